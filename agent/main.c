/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include "agent/base/descriptors.h"
#include "agent/base/log.h"
#include "agent/core.h"

static const char usage[] =
    "usage: pmo-agent [OPTION]...\n"
    "Counts the requests of every service on this host in the kernel, forecasts the next minute,\n"
    "and scales ahead as policies allow.\n"
    "\n"
    "  -c, --config FILE     policies, services, event sources (YAML); without it, the agent only\n"
    "                        observes\n"
    "  -i, --interface NAME  count SYNs and datagrams on this interface of the node, too (may be\n"
    "                        repeated); they are always counted on those of its own instances\n"
    "  -z, --zones FILE      names for where clients are, by prefixes of their addresses (YAML)\n"
    "  -s, --socket PATH     API socket (default: /run/pmo/pmo.sock)\n"
    "  -d, --state-dir DIR   history and logs (default: /var/lib/pmo)\n"
    "  -b, --bpffs DIR       bpf file system for pins (default: /sys/fs/bpf, mounted if needed)\n"
    "  -m, --mode MODE       observe, recommend or act: no policy does more (default: act, so "
    "that\n"
    "                        each policy's own mode decides; a policy without one recommends)\n"
    "  -t, --train-share PCT CPU time that training of forecasts may take, of one CPU, where "
    "nobody\n"
    "                        else wants it (default: 10 %, 0 for none)\n"
    "      --discard         remove what an earlier agent left in the bpf file system, and exit\n"
    "  -v, --verbose         log more\n"
    "  -V, --version         print the version\n"
    "  -h, --help            print this\n"
    "\n"
    "The configuration file is read anew when it changes, on SIGHUP and by `pmoctl reload`. One "
    "with\n"
    "a mistake changes nothing.\n"
    "\n"
    "Signals: TERM and INT stop the agent and remove everything it made. USR2 stops the agent and\n"
    "leaves all in place: counting goes on, and the next agent takes over.\n";

struct program {
    struct pmo_core core;
    uv_loop_t loop;
    uv_signal_t terminate, interrupt, hand_over, reload;
    bool leave;
};

static void on_signal(uv_signal_t *handle, int signal)
{
    struct program *program = handle->data;

    program->leave = signal == SIGUSR2;
    uv_stop(handle->loop);
}

static void on_reload(uv_signal_t *handle, int signal)
{
    struct program *program = handle->data;

    if (pmo_agent_reload(&program->core.agent, "SIGHUP") == -ENOENT)
        pmo_warn("SIGHUP: there is nothing to be read anew, as no --config was given");
}

static void watch_signal(struct program *program, uv_signal_t *handle, int signal, uv_signal_cb act)
{
    (void)uv_signal_init(&program->loop, handle);
    handle->data = program;
    (void)uv_signal_start(handle, act, signal);
}

static int run(const struct pmo_options *options)
{
    struct program *program = calloc(1, sizeof(*program));
    size_t services = 0;
    int r;

    if (!program)
        return pmo_err_r(ENOMEM, "cannot start");
    (void)uv_loop_init(&program->loop);
    watch_signal(program, &program->terminate, SIGTERM, on_signal);
    watch_signal(program, &program->interrupt, SIGINT, on_signal);
    watch_signal(program, &program->hand_over, SIGUSR2, on_signal);
    watch_signal(program, &program->reload, SIGHUP, on_reload);
    (void)signal(SIGPIPE, SIG_IGN);
    pmo_descriptors_raise();
    r = pmo_core_start(&program->core, &program->loop, options);
    if (!r) {
        for (struct pmo_service *s = program->core.agent.services; s; s = s->next)
            services++;
        (void)printf("ready: counting %zu services; API at %s\n", services, options->socket);
        (void)fflush(stdout);
        (void)sd_notify(0, "READY=1");
        (void)uv_run(&program->loop, UV_RUN_DEFAULT);
        (void)sd_notify(0, "STOPPING=1");
    }
    if (r) /* what an earlier agent left stays for whoever can use it */
        program->leave = program->core.kernel && pmo_kernel_adopted(program->core.kernel);
    pmo_core_stop(&program->core, program->leave);
    uv_close((uv_handle_t *)&program->terminate, NULL);
    uv_close((uv_handle_t *)&program->interrupt, NULL);
    uv_close((uv_handle_t *)&program->hand_over, NULL);
    uv_close((uv_handle_t *)&program->reload, NULL);
    (void)uv_run(&program->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&program->loop);
    free(program);
    return r;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"interface", required_argument, NULL, 'i'},
                                            {"zones", required_argument, NULL, 'z'},
                                            {"socket", required_argument, NULL, 's'},
                                            {"state-dir", required_argument, NULL, 'd'},
                                            {"bpffs", required_argument, NULL, 'b'},
                                            {"mode", required_argument, NULL, 'm'},
                                            {"train-share", required_argument, NULL, 't'},
                                            {"discard", no_argument, NULL, 'x'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"version", no_argument, NULL, 'V'},
                                            {"help", no_argument, NULL, 'h'},
                                            {}};
    struct pmo_options chosen = {.socket = "/run/pmo/pmo.sock",
                                 .state_dir = "/var/lib/pmo",
                                 .mode = PMO_MODE_ACT,
                                 .train_share = PMO_TRAINER_SHARE};
    char *end;
    bool discard = false;
    int option, mode;

    while ((option = getopt_long(argc, argv, "c:i:z:s:d:b:m:t:vVh", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            chosen.config = optarg;
            break;
        case 'i':
            if (chosen.interfaces_count == PMO_NODE_INTERFACES_MAX || !optarg[0] ||
                strlen(optarg) >= IF_NAMESIZE || strchr(optarg, '/')) {
                (void)pmo_fail(EINVAL,
                               "\"%s\" is no name of an interface, or there are more than %d; "
                               "`ip link` lists them",
                               optarg, PMO_NODE_INTERFACES_MAX);
                return 2;
            }
            chosen.interfaces[chosen.interfaces_count++] = optarg;
            break;
        case 'z':
            chosen.zones = optarg;
            break;
        case 's':
            chosen.socket = optarg;
            break;
        case 'd':
            chosen.state_dir = optarg;
            break;
        case 'b':
            chosen.bpffs = optarg;
            break;
        case 'm':
            mode = pmo_mode_parse(optarg);
            if (mode < 0) {
                (void)pmo_fail(EINVAL,
                               "no mode is called %s; write --mode observe, recommend or "
                               "act",
                               optarg);
                return 2;
            }
            chosen.mode = mode;
            break;
        case 't':
            chosen.train_share = strtod(optarg, &end) / 100;
            if (end == optarg || (*end && strcmp(end, "%") != 0) ||
                !(chosen.train_share >= 0 && chosen.train_share <= 1)) {
                (void)pmo_fail(EINVAL, "\"%s\" is no share of a CPU; write e.g. 10%% or 0", optarg);
                return 2;
            }
            break;
        case 'x':
            discard = true;
            break;
        case 'v':
            pmo_log_max = PMO_LOG_DEBUG;
            break;
        case 'V':
            (void)printf("pmo-agent %s\n", PMO_VERSION);
            return 0;
        case 'h':
            (void)fputs(usage, stdout);
            return 0;
        default: /* getopt has said what is wrong */
            return 2;
        }
    }
    if (optind < argc) {
        (void)pmo_fail(EINVAL, "what is \"%s\"? A configuration file is named with --config",
                       argv[optind]);
        return 2;
    }
    if (discard)
        return pmo_kernel_remove(chosen.bpffs) ? 1 : 0;
    return run(&chosen) ? 1 : 0;
}
