/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/act/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include "agent/base/cleanup.h"
#include "agent/base/descriptors.h"
#include "agent/base/log.h"

/* After clone() of a process that may have threads: only async-signal-safe calls. */
static int prepare_child(const struct pmo_process *process, int log_fd)
{
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t none;

    (void)sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || signal(SIGPIPE, SIG_DFL) == SIG_ERR)
        return -errno;
    if (setsid() < 0 || setns(process->netns_fd, CLONE_NEWNET) < 0)
        return -errno;
    for (size_t i = 0; i < PMO_CGROUP_CONTROLLERS; i++)
        if (process->v1_fds[i] >= 0 && write(process->v1_fds[i], "0", 1) < 0)
            return -errno;
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(log_fd, STDOUT_FILENO) < 0 ||
        dup2(log_fd, STDERR_FILENO) < 0)
        return -errno;
    if (pmo_descriptors_restore() < 0)
        return -errno;
    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return -errno;
    return 0;
}

/* The pipe closes when the program runs; an errno in it says why it does not. */
static void run_child(const struct pmo_process *process, int log_fd, int error_fd)
{
    int r = prepare_child(process, log_fd);

    if (!r) {
        (void)execvpe(process->command[0], process->command, process->environment);
        r = -errno;
    }
    if (write(error_fd, &r, sizeof(r)) < 0)
        _exit(126);
    _exit(127);
}

int pmo_process_start(const struct pmo_process *process, pid_t *pid, int *pidfd)
{
    _cleanup_close_ int log_fd = -1, read_fd = -1, write_fd = -1, fd = -1;
    struct clone_args args = {.flags = CLONE_PIDFD | CLONE_INTO_CGROUP,
                              .pidfd = (uintptr_t)&fd,
                              .exit_signal = SIGCHLD,
                              .cgroup = (uint64_t)process->cgroup_fd};
    int pipe_fds[2], error = 0;
    pid_t child;
    ssize_t n;

    log_fd = open(process->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (log_fd < 0)
        return -errno;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return -errno;
    read_fd = pipe_fds[0];
    write_fd = pipe_fds[1];
    child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (child < 0)
        return -errno;
    if (child == 0)
        run_child(process, log_fd, write_fd);
    (void)close(TAKE_FD(write_fd));
    do
        n = read(read_fd, &error, sizeof(error));
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        (void)waitid(P_PIDFD, fd, &(siginfo_t){0}, WEXITED | __WALL);
        return error;
    }
    *pid = child;
    *pidfd = TAKE_FD(fd);
    return 0;
}

int pmo_process_open(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    return fd < 0 ? -errno : fd;
}

void pmo_process_signal(int pidfd, int signal)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 && errno != ESRCH)
        (void)pmo_err_r(errno, "cannot send signal %d", signal);
}

void pmo_process_reap(int pidfd, char *how, size_t size)
{
    siginfo_t info = {0};

    if (waitid(P_PIDFD, pidfd, &info, WEXITED | WNOHANG) < 0 || !info.si_pid)
        (void)snprintf(how, size, "ended");
    else if (info.si_code == CLD_EXITED)
        (void)snprintf(how, size, "exited with status %d", info.si_status);
    else
        (void)snprintf(how, size, "was killed by signal %d (%s)", info.si_status,
                       strsignal(info.si_status));
}
