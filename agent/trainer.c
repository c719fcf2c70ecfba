/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/trainer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/forecast/lstm_file.h"
#include "agent/forecast/lstm_train.h"

#define NS           1000000000LL
#define IDLE_NS      NS /* until somebody looks again whether there is a past to train on */
#define SAVE_EVERY_S 600
#define OFFERS       32 /* pasts under way; a power of two */

struct offer {
    struct pmo_lstm_past past;
    float value[PMO_RECENT_SECONDS];
    float event[PMO_RECENT_SECONDS];
    float leading[PMO_LSTM_LEADING][PMO_RECENT_SECONDS];
};

/* Of three networks, the thread has one, the event loop has one, and one is between them. */
#define FRESH 4U /* the one in between is newer than the event loop's */

struct pmo_trainer {
    struct pmo_lstm_trainer *lstm; /* the thread's, from the start on */
    char path[PATH_MAX];           /* empty: nowhere */
    double cpu_share;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    sem_t wake; /* ends a sleep */

    struct offer *offers;
    atomic_uint offered, taken; /* counts; the event loop's and the thread's */

    struct pmo_lstm net[3];
    unsigned int ours, theirs;
    atomic_uint between;

    int64_t saved_ns;
    bool save_failed; /* said once */
    _Atomic double cpu_s;
    atomic_uint_fast64_t batches;
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return now.tv_sec * NS + now.tv_nsec;
}

/* ---- the file -------------------------------------------------------------------------------- */

static int write_all(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;

    while (count > 0) {
        ssize_t written = write(fd, at, count);

        if (written < 0 && errno != EINTR)
            return -errno;
        at += written > 0 ? written : 0;
        count -= written > 0 ? (size_t)written : 0;
    }
    return fsync(fd) ? -errno : 0;
}

static int save(struct pmo_trainer *trainer)
{
    _cleanup_free_ struct pmo_lstm_file *file = malloc(sizeof(*file));
    char temporary[PATH_MAX + 8];
    int fd, r;

    (void)snprintf(temporary, sizeof(temporary), "%s.new", trainer->path);
    if (!file)
        return -ENOMEM;
    pmo_lstm_file_fill(file, pmo_lstm_trainer_training(trainer->lstm));
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    r = write_all(fd, file, sizeof(*file));
    if (close(fd) && !r)
        r = -errno;
    if (!r && rename(temporary, trainer->path))
        r = -errno;
    if (r)
        (void)unlink(temporary);
    return r;
}

/* What fails again and again is one line. */
static void try_to_save(struct pmo_trainer *trainer)
{
    int r = trainer->path[0] ? save(trainer) : 0;

    if (r && !trainer->save_failed)
        (void)pmo_err_r(r, "cannot save the trained network to %s: a restart will train anew",
                        trainer->path);
    trainer->save_failed = r;
    trainer->saved_ns = clock_ns(CLOCK_MONOTONIC);
}

/* Returns how many bytes of the file there are, or a negative errno. */
static ssize_t read_file(const char *path, void *bytes, size_t count)
{
    _cleanup_fclose_ FILE *stream = fopen(path, "re");
    size_t got;

    if (!stream)
        return -errno;
    got = fread(bytes, 1, count, stream);
    return ferror(stream) ? -EIO : (ssize_t)got;
}

static int resume(struct pmo_trainer *trainer)
{
    struct pmo_lstm_file *file;
    /* one byte more, which tells a longer one */
    _cleanup_free_ void *bytes = file = malloc(sizeof(*file) + 1);
    char aside[PATH_MAX + 8];
    const char *wrong;
    ssize_t got;

    if (!file)
        return pmo_err_r(ENOMEM, "cannot read %s", trainer->path);
    got = read_file(trainer->path, bytes, sizeof(*file) + 1);
    if (got == -ENOENT)
        return 0;
    if (got < 0)
        return pmo_err_r((int)got, "cannot read the trained network %s", trainer->path);
    wrong = pmo_lstm_file_check(file, (size_t)got);
    if (!wrong) {
        pmo_lstm_trainer_resume(trainer->lstm, &file->training);
        return 0;
    }
    (void)snprintf(aside, sizeof(aside), "%s.bad", trainer->path);
    if (rename(trainer->path, aside))
        return pmo_err_r(errno, "the trained network %s %s, and cannot be moved to %s",
                         trainer->path, wrong, aside);
    pmo_warn("the trained network %s %s: moved to %s, training begins anew", trainer->path, wrong,
             aside);
    return 0;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void publish(struct pmo_trainer *trainer)
{
    trainer->net[trainer->theirs] = pmo_lstm_trainer_training(trainer->lstm)->net;
    trainer->theirs = atomic_exchange(&trainer->between, trainer->theirs | FRESH) & ~FRESH;
}

static void take_offers(struct pmo_trainer *trainer)
{
    unsigned int taken = trainer->taken;

    while (taken != trainer->offered) {
        (void)pmo_lstm_trainer_add(trainer->lstm, &trainer->offers[taken % OFFERS].past);
        trainer->taken = ++taken;
    }
}

/* Returns how long to sleep at least, not counting what the work took. */
static int64_t work(struct pmo_trainer *trainer)
{
    enum pmo_lstm_slice slice;

    take_offers(trainer);
    slice = pmo_lstm_train_slice(trainer->lstm);
    trainer->batches = pmo_lstm_trainer_training(trainer->lstm)->batches;
    if (slice == PMO_LSTM_IDLE)
        return IDLE_NS;
    if (slice == PMO_LSTM_CHANGED)
        publish(trainer);
    if (slice == PMO_LSTM_CHANGED ||
        clock_ns(CLOCK_MONOTONIC) - trainer->saved_ns > SAVE_EVERY_S * NS)
        try_to_save(trainer);
    return 0;
}

static void sleep_until(struct pmo_trainer *trainer, int64_t ns)
{
    struct timespec until = {.tv_sec = ns / NS, .tv_nsec = ns % NS};

    while (sem_clockwait(&trainer->wake, CLOCK_MONOTONIC, &until) && errno == EINTR)
        ;
}

static void *run(void *context)
{
    struct pmo_trainer *trainer = context;
    int64_t cpu_ns = 0, began, used;

    if (sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0}))
        pmo_debug("training is not scheduled behind other work: %s", strerror(errno));
    while (!trainer->stopping) {
        int64_t pause;

        began = clock_ns(CLOCK_MONOTONIC);
        pause = work(trainer);
        used = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
        cpu_ns += used;
        trainer->cpu_s = (double)cpu_ns / NS;
        sleep_until(trainer, began + pause + (int64_t)((double)used / trainer->cpu_share));
    }
    return NULL;
}

int pmo_trainer_start(struct pmo_trainer *trainer)
{
    sigset_t all, before;
    int r;

    /* signals are the event loop's */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&trainer->thread, NULL, run, trainer);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r)
        return pmo_err_r(r, "cannot start the thread that trains");
    trainer->started = true;
    return 0;
}

/* ---- the event loop's side ------------------------------------------------------------------- */

int pmo_trainer_new(struct pmo_trainer **trainer, const struct pmo_trainer_options *options)
{
    struct pmo_trainer *made = calloc(1, sizeof(*made));
    int r = made ? 0 : -ENOMEM;

    assert(options->cpu_share > 0 && options->cpu_share <= 1);
    if (!r)
        made->offers = calloc(OFFERS, sizeof(*made->offers));
    if (!r)
        r = pmo_lstm_trainer_new(&made->lstm, options->seed, options->memory_bytes);
    if (r || !made->offers) {
        pmo_trainer_free(&made);
        return pmo_err_r(ENOMEM, "cannot train");
    }
    made->cpu_share = options->cpu_share;
    made->ours = 0;
    made->theirs = 1;
    made->between = 2;
    (void)sem_init(&made->wake, 0, 0);
    made->saved_ns = clock_ns(CLOCK_MONOTONIC);
    if (options->path) {
        (void)snprintf(made->path, sizeof(made->path), "%s", options->path);
        r = resume(made);
        if (r) {
            pmo_trainer_free(&made);
            return r;
        }
    }
    if (pmo_lstm_trainer_training(made->lstm)->net.generation)
        publish(made);
    *trainer = made;
    return 0;
}

void pmo_trainer_free(struct pmo_trainer **trainer)
{
    struct pmo_trainer *old = *trainer;

    if (!old)
        return;
    *trainer = NULL;
    if (old->started) {
        old->stopping = true;
        (void)sem_post(&old->wake);
        /* not behind all others any more: this is waited for */
        (void)pthread_setschedparam(old->thread, SCHED_OTHER, &(struct sched_param){0});
        (void)pthread_join(old->thread, NULL);
        try_to_save(old);
    }
    if (old->lstm)
        pmo_lstm_trainer_free(&old->lstm);
    free(old->offers);
    free(old);
}

/* The last @count of @all seconds that *@from points to, which @to is to hold. */
static void copy_last(float *to, const float **from, size_t all, size_t count)
{
    if (!*from)
        return;
    memcpy(to, *from + all - count, count * sizeof(*to));
    *from = to;
}

int64_t pmo_trainer_offer(struct pmo_trainer *trainer, const struct pmo_lstm_past *past)
{
    struct offer *offer = &trainer->offers[trainer->offered % OFFERS];
    struct pmo_lstm_past kept = *past;
    int64_t next;

    if (!trainer->started)
        return pmo_lstm_trainer_add(trainer->lstm, past);
    if (kept.count > PMO_RECENT_SECONDS)
        kept.count = PMO_RECENT_SECONDS;
    kept.start += (int64_t)(past->count - kept.count);
    next = pmo_lstm_past_next(&kept);
    if (next == past->since || trainer->offered - trainer->taken == OFFERS)
        return past->since;
    copy_last(offer->value, &kept.value, past->count, kept.count);
    copy_last(offer->event, &kept.event, past->count, kept.count);
    for (size_t i = 0; i < PMO_LSTM_LEADING; i++)
        copy_last(offer->leading[i], &kept.leading[i], past->count, kept.count);
    offer->past = kept;
    trainer->offered++;
    return next;
}

const struct pmo_lstm *pmo_trainer_net(struct pmo_trainer *trainer)
{
    if (trainer->between & FRESH)
        trainer->ours = atomic_exchange(&trainer->between, trainer->ours) & ~FRESH;
    return trainer->net[trainer->ours].generation ? &trainer->net[trainer->ours] : NULL;
}

double pmo_trainer_cpu_s(const struct pmo_trainer *trainer)
{
    return trainer->cpu_s;
}

uint64_t pmo_trainer_batches(const struct pmo_trainer *trainer)
{
    return trainer->batches;
}
