/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/forecast/lstm_file.h"
#include "agent/forecast/lstm_train.h"
#include "tests/unit/suite.h"

#define _cleanup_trainer_ __attribute__((cleanup(pmo_trainer_free)))

/* A directory that ends with its test, and a path in it. */
struct place {
    char directory[32], path[48], aside[56];
};

static void place_remove(struct place *place)
{
    (void)unlink(place->path);
    (void)unlink(place->aside);
    (void)rmdir(place->directory);
}

#define _cleanup_place_ __attribute__((cleanup(place_remove)))

static struct place place_new(void)
{
    struct place place = {.directory = "/tmp/pmo-trainer.XXXXXX"};

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(place.directory));
    (void)snprintf(place.path, sizeof(place.path), "%s/lstm", place.directory);
    (void)snprintf(place.aside, sizeof(place.aside), "%s.bad", place.path);
    return place;
}

static struct pmo_trainer *trainer_new(const char *path, double cpu_share)
{
    struct pmo_trainer *trainer = NULL;
    struct pmo_trainer_options options = {
        .path = path, .cpu_share = cpu_share, .memory_bytes = 4 << 20, .seed = 1};

    CU_ASSERT_EQUAL_FATAL(pmo_trainer_new(&trainer, &options), 0);
    return trainer;
}

/* Some hours of a series that is easily foreseen. */
static struct pmo_lstm_past easy_past(void)
{
    enum { seconds = 5 * 3600 };
    static float value[seconds];

    for (size_t t = 0; t < seconds; t++)
        value[t] = 1000 + 600 * sinf((float)t / 10);
    return (struct pmo_lstm_past){.count = seconds, .value = value};
}

static double seconds_of(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void sleep_ms(unsigned int ms)
{
    (void)usleep(ms * 1000);
}

static void wait_for_batch(const struct pmo_trainer *trainer)
{
    uint64_t batches = pmo_trainer_batches(trainer);

    for (int i = 0; pmo_trainer_batches(trainer) == batches && i < 10000; i++)
        sleep_ms(5);
    CU_ASSERT(pmo_trainer_batches(trainer) > batches);
}

/* Of all CPUs together, in seconds. */
static double idle_seconds(void)
{
    _cleanup_fclose_ FILE *stream = fopen("/proc/stat", "re");
    unsigned long idle = 0;

    CU_ASSERT_FATAL(stream && fscanf(stream, "cpu %*u %*u %*u %lu", &idle) == 1);
    return (double)idle / (double)sysconf(_SC_CLK_TCK);
}

static void training_keeps_to_its_share_and_ends_at_once(void)
{
    struct pmo_trainer *trainer = trainer_new(NULL, 0.1);
    struct pmo_lstm_past past = easy_past();
    double cpu, began, took, idle = idle_seconds();
    int batches = 0;

    (void)pmo_trainer_offer(trainer, &past);
    CU_ASSERT_EQUAL_FATAL(pmo_trainer_start(trainer), 0);
    wait_for_batch(trainer);
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    began = seconds_of(CLOCK_MONOTONIC);
    do { /* whole batches, which a sanitizer makes long; all that this process takes is theirs */
        wait_for_batch(trainer);
        took = seconds_of(CLOCK_MONOTONIC) - began;
    } while (took < 1.5 || (++batches < 8 && took < 8));
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    CU_ASSERT(cpu / took < 0.13); /* batches are not equally long */
    CU_ASSERT(pmo_trainer_cpu_s(trainer) <= seconds_of(CLOCK_PROCESS_CPUTIME_ID));
    /* not less either, unless others take the CPU, which they may */
    CU_ASSERT(cpu / took > 0.08 || idle_seconds() - idle < 0.5 * took);
    began = seconds_of(CLOCK_MONOTONIC);
    pmo_trainer_free(&trainer);
    CU_ASSERT_PTR_NULL(trainer);
    CU_ASSERT(seconds_of(CLOCK_MONOTONIC) - began < suite_slower());
}

/* Training that is about to be judged, for the first time. */
static void write_training(const char *path)
{
    struct pmo_lstm_trainer *trainer = NULL;
    struct pmo_lstm_past past = easy_past();
    _cleanup_free_ struct pmo_lstm_file *file = malloc(sizeof(*file));
    struct pmo_lstm_training training;
    _cleanup_fclose_ FILE *stream = fopen(path, "we");

    CU_ASSERT_FATAL(file && stream);
    CU_ASSERT_EQUAL_FATAL(pmo_lstm_trainer_new(&trainer, 1, 4 << 20), 0);
    (void)pmo_lstm_trainer_add(trainer, &past);
    for (int i = 0; i < 60; i++)
        (void)pmo_lstm_train_slice(trainer);
    training = *pmo_lstm_trainer_training(trainer);
    training.batches = 254;
    pmo_lstm_file_fill(file, &training);
    CU_ASSERT_EQUAL(fwrite(file, sizeof(*file), 1, stream), 1);
    pmo_lstm_trainer_free(&trainer);
}

static const struct pmo_lstm *wait_for_net(struct pmo_trainer *trainer)
{
    const struct pmo_lstm *net = NULL;

    /* the thread gets only what nobody else wants: on a busy host that may take its time */
    for (int i = 0; !net && i < 12000; i++) {
        sleep_ms(10);
        net = pmo_trainer_net(trainer);
    }
    return net;
}

static void a_network_is_published_saved_and_there_after_a_restart(void)
{
    _cleanup_place_ struct place place = place_new();
    struct pmo_trainer *trainer;
    struct pmo_lstm_past past = easy_past();
    const struct pmo_lstm *net;
    struct pmo_lstm published;

    write_training(place.path);
    trainer = trainer_new(place.path, 1);
    CU_ASSERT_PTR_NULL(pmo_trainer_net(trainer));
    CU_ASSERT_EQUAL_FATAL(pmo_trainer_start(trainer), 0);
    while (past.since < (int64_t)past.count - PMO_LSTM_WINDOW) { /* as it comes, an hour each */
        struct pmo_lstm_past part = past;

        part.count = (size_t)(past.since + PMO_LSTM_WINDOW);
        past.since = pmo_trainer_offer(trainer, &part);
        sleep_ms(1);
    }
    net = wait_for_net(trainer);
    CU_ASSERT_PTR_NOT_NULL_FATAL(net);
    CU_ASSERT_EQUAL(net->generation, 1);
    CU_ASSERT_TRUE(pmo_lstm_usable(net, 30));
    CU_ASSERT_PTR_EQUAL(pmo_trainer_net(trainer), net);
    published = *net;
    pmo_trainer_free(&trainer);

    trainer = trainer_new(place.path, 1);
    net = pmo_trainer_net(trainer);
    CU_ASSERT_PTR_NOT_NULL_FATAL(net);
    CU_ASSERT(net->generation >= 1);
    if (net->generation == 1)
        CU_ASSERT_FALSE(memcmp(&net->weights, &published.weights, sizeof(net->weights)));
    pmo_trainer_free(&trainer);
}

static void a_ring_that_is_full_takes_nothing(void)
{
    struct pmo_lstm_past past = easy_past();
    _cleanup_trainer_ struct pmo_trainer *trainer = trainer_new(NULL, 0.0001);
    int taken = 0;

    /* it has slept since its first slice, and will for a minute */
    (void)pmo_trainer_offer(trainer, &past);
    CU_ASSERT_EQUAL_FATAL(pmo_trainer_start(trainer), 0);
    wait_for_batch(trainer);
    past.since = 0;
    past.count = PMO_LSTM_WINDOW;
    for (int i = 0; i < 100; i++)
        taken += pmo_trainer_offer(trainer, &past) != 0;
    CU_ASSERT_EQUAL(taken, 32);
}

static void a_damaged_file_is_moved_aside(void)
{
    _cleanup_place_ struct place place = place_new();
    _cleanup_trainer_ struct pmo_trainer *trainer = NULL;
    FILE *stream = fopen(place.path, "we");

    CU_ASSERT_FATAL(stream != NULL);
    (void)fputs("what is this?", stream);
    (void)fclose(stream);
    pmo_log_max = PMO_LOG_ERROR;
    trainer = trainer_new(place.path, 0.1);
    pmo_log_max = PMO_LOG_INFO;
    CU_ASSERT_PTR_NULL(pmo_trainer_net(trainer));
    CU_ASSERT(access(place.path, F_OK));
    CU_ASSERT_FALSE(access(place.aside, F_OK));
}

SUITE(trainer) = {
    TEST(training_keeps_to_its_share_and_ends_at_once),
    TEST(a_network_is_published_saved_and_there_after_a_restart),
    TEST(a_ring_that_is_full_takes_nothing),
    TEST(a_damaged_file_is_moved_aside),
    {},
};
