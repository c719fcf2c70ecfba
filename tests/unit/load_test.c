/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of pmo-load that need no network: rates, schedules, percentiles. */
#include "tests/unit/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
/* A program's objects are in no library: its pure files are compiled in here. */
#include "tools/pmo-load/histogram.c" /* NOLINT(bugprone-suspicious-include) */
#include "tools/pmo-load/schedule.c"  /* NOLINT(bugprone-suspicious-include) */

#define S_NS 1000000000ULL

static int quietly(int (*parse)(struct pmo_load_rate *, const char *), struct pmo_load_rate *rate,
                   const char *text)
{
    enum pmo_log_level level = pmo_log_max;
    int r;

    pmo_log_max = 0;
    r = parse(rate, text);
    pmo_log_max = level;
    return r;
}

static int parse_profile(struct pmo_load_rate *rate, const char *text)
{
    _cleanup_free_ char *copy = strdup(text);

    return pmo_load_profile_parse(rate, "test.csv", copy);
}

/* Requests a schedule has in [from_s, to_s). */
static unsigned int requests(const struct pmo_load_rate *rate, double duration_s, bool even,
                             uint64_t seed, double from_s, double to_s)
{
    struct pmo_load_schedule schedule;
    unsigned int count = 0;
    uint64_t at_ns;

    pmo_load_schedule_init(&schedule, rate, duration_s, even, seed);
    while (pmo_load_schedule_next(&schedule, &at_ns))
        count += (double)at_ns >= from_s * 1e9 && (double)at_ns < to_s * 1e9;
    return count;
}

static void times_are_read_with_their_unit(void)
{
    double s = -1;

    CU_ASSERT_EQUAL(pmo_load_duration_parse("250ms", &s), 0);
    CU_ASSERT_DOUBLE_EQUAL(s, 0.25, 1e-12);
    CU_ASSERT_EQUAL(pmo_load_duration_parse("3m", &s), 0);
    CU_ASSERT_DOUBLE_EQUAL(s, 180, 1e-12);
    CU_ASSERT_EQUAL(pmo_load_duration_parse("1.5", &s), 0);
    CU_ASSERT_DOUBLE_EQUAL(s, 1.5, 1e-12);
    CU_ASSERT_NOT_EQUAL(pmo_load_duration_parse("", &s), 0);
    CU_ASSERT_NOT_EQUAL(pmo_load_duration_parse("5y", &s), 0);
    CU_ASSERT_NOT_EQUAL(pmo_load_duration_parse("-5s", &s), 0);
    CU_ASSERT_NOT_EQUAL(pmo_load_duration_parse("nan", &s), 0);
    CU_ASSERT_NOT_EQUAL(pmo_load_duration_parse("5s ", &s), 0);
}

static void wrong_waves_and_bursts_are_refused(void)
{
    static const char *const waves[] = {"", "1", "1:2", "1:2:0", "1:2:3s:4", "a:2:3", "1:2e9:3"};
    static const char *const bursts[] = {"", "1:2", "1:2:0", "1:2:3:", "1:2:3:4:5", "1:2x:3"};
    struct pmo_load_rate rate = {0};

    for (size_t i = 0; i < sizeof(waves) / sizeof(waves[0]); i++)
        CU_ASSERT_EQUAL(quietly(pmo_load_wave_parse, &rate, waves[i]), -EINVAL);
    for (size_t i = 0; i < sizeof(bursts) / sizeof(bursts[0]); i++)
        CU_ASSERT_EQUAL(quietly(pmo_load_burst_parse, &rate, bursts[i]), -EINVAL);
}

static void a_wave_runs_from_its_base_to_its_peak_and_back(void)
{
    struct pmo_load_rate rate = {0};
    size_t step = 0;

    CU_ASSERT_EQUAL(pmo_load_wave_parse(&rate, "50:200:60s"), 0);
    CU_ASSERT_DOUBLE_EQUAL(rate_at(&rate, 0, &step), 50, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(rate_at(&rate, 15, &step), 125, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(rate_at(&rate, 30, &step), 200, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(rate_at(&rate, 60, &step), 50, 1e-9);
    CU_ASSERT_EQUAL(requests(&rate, 60, true, 1, 0, 60), 60 * 125);
}

static void bursts_come_on_top_and_again(void)
{
    struct pmo_load_rate rate = {.wave_base_rps = 10};

    CU_ASSERT_EQUAL(pmo_load_burst_parse(&rate, "300:5s:30s:10s"), 0);
    CU_ASSERT_EQUAL(requests(&rate, 60, true, 1, 0, 10), 100);
    CU_ASSERT_EQUAL(requests(&rate, 60, true, 1, 10, 15), 5 * 310);
    CU_ASSERT_EQUAL(requests(&rate, 60, true, 1, 15, 40), 250);
    CU_ASSERT_EQUAL(requests(&rate, 60, true, 1, 40, 45), 5 * 310);
    CU_ASSERT_EQUAL(requests(&rate, 60, true, 1, 0, 60), 600 + 10 * 300);
}

static void a_profile_row_holds_until_the_next(void)
{
    struct pmo_load_rate rate = {0};

    CU_ASSERT_EQUAL(parse_profile(&rate, "t,requests\n100,5\n101,0\n104,7,x\r\n\n106,20\n"), 0);
    CU_ASSERT_EQUAL_FATAL(rate.steps_count, 4);
    CU_ASSERT_DOUBLE_EQUAL(rate.steps_end_s, 8, 1e-12);
    CU_ASSERT_EQUAL(requests(&rate, 100, true, 1, 0, 1), 5);
    CU_ASSERT_EQUAL(requests(&rate, 100, true, 1, 1, 4), 0);
    CU_ASSERT_EQUAL(requests(&rate, 100, true, 1, 4, 6), 14);
    CU_ASSERT_EQUAL(requests(&rate, 100, true, 1, 6, 8), 40);
    CU_ASSERT_EQUAL(requests(&rate, 100, true, 1, 8, 100), 0);
    pmo_load_rate_free(&rate);
}

static void wrong_profiles_are_refused(void)
{
    static const char *const texts[] = {"",           "t,requests\n", "0;5\n",
                                        "0,5\n0,6\n", "1,5\n0,6\n",   "0,-5\n",
                                        "0,nan\n",    "0,5x\n",       "0,5\nt,r\n"};
    struct pmo_load_rate rate = {0};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        CU_ASSERT_EQUAL(quietly(parse_profile, &rate, texts[i]), -EINVAL);
    CU_ASSERT_PTR_NULL(rate.steps);
}

static void even_requests_are_equally_far_apart(void)
{
    struct pmo_load_rate rate = {.wave_base_rps = 30};
    struct pmo_load_schedule schedule;
    uint64_t at_ns = 0, last_ns;

    pmo_load_schedule_init(&schedule, &rate, 2, true, 1);
    CU_ASSERT_TRUE(pmo_load_schedule_next(&schedule, &last_ns));
    CU_ASSERT_DOUBLE_EQUAL((double)last_ns, 1e9 / 60, 10);
    for (int i = 1; i < 60; i++) {
        CU_ASSERT_TRUE(pmo_load_schedule_next(&schedule, &at_ns));
        CU_ASSERT_DOUBLE_EQUAL((double)(at_ns - last_ns), 1e9 / 30, 10);
        last_ns = at_ns;
    }
    CU_ASSERT_FALSE(pmo_load_schedule_next(&schedule, &at_ns));
}

static void the_same_seed_gives_the_same_schedule(void)
{
    struct pmo_load_rate rate = {.wave_base_rps = 100};
    struct pmo_load_schedule a, b, c;
    uint64_t at_a = 0, at_b = 0, at_c = 0, last = 0;
    bool differs = false;

    pmo_load_schedule_init(&a, &rate, 100, false, 7);
    pmo_load_schedule_init(&b, &rate, 100, false, 7);
    pmo_load_schedule_init(&c, &rate, 100, false, 8);
    while (pmo_load_schedule_next(&a, &at_a)) {
        CU_ASSERT_TRUE(pmo_load_schedule_next(&b, &at_b));
        CU_ASSERT_EQUAL(at_a, at_b);
        CU_ASSERT_TRUE(at_a >= last && at_a < 100 * S_NS);
        last = at_a;
        differs |= pmo_load_schedule_next(&c, &at_c) && at_c != at_a;
    }
    CU_ASSERT_FALSE(pmo_load_schedule_next(&b, &at_b));
    CU_ASSERT_TRUE(differs);
}

/* Mean and variance of a Poisson count are equal: 40000 seconds of 25 requests. */
static void arrivals_are_a_poisson_process(void)
{
    struct pmo_load_rate rate = {.wave_base_rps = 25};
    struct pmo_load_schedule schedule;
    static unsigned int counts[40000];
    double mean = 0, variance = 0;
    uint64_t at_ns;

    memset(counts, 0, sizeof(counts));
    pmo_load_schedule_init(&schedule, &rate, 40000, false, 3);
    while (pmo_load_schedule_next(&schedule, &at_ns))
        counts[at_ns / S_NS]++;
    for (size_t i = 0; i < 40000; i++)
        mean += counts[i] / 40000.0;
    for (size_t i = 0; i < 40000; i++)
        variance += (counts[i] - mean) * (counts[i] - mean) / 40000.0;
    CU_ASSERT_DOUBLE_EQUAL(mean, 25, 4 * 5 / 200.0); /* four standard errors */
    CU_ASSERT_DOUBLE_EQUAL(variance, 25, 4 * 25 * 1.42 / 200.0);
}

static void histogram_buckets_have_no_gaps(void)
{
    for (uint64_t us = 0; us < 5000000; us += 1 + us / 1000) {
        unsigned int bucket = bucket_of(us);

        CU_ASSERT_TRUE(last_in_bucket(bucket) >= us);
        CU_ASSERT_TRUE(!bucket || last_in_bucket(bucket - 1) < us);
        CU_ASSERT_TRUE((double)(last_in_bucket(bucket) - us) <= 0.008 * (double)us);
    }
    CU_ASSERT_EQUAL(bucket_of((1ULL << 36) - 1), PMO_LOAD_BUCKETS - 1);
}

static void percentiles_are_within_one_percent(void)
{
    struct pmo_load_histogram *h = calloc(1, sizeof(*h));

    CU_ASSERT_EQUAL(pmo_load_histogram_quantile(h, 0.99), 0);
    for (uint64_t us = 1; us <= 100000; us++)
        pmo_load_histogram_add(h, us);
    CU_ASSERT_DOUBLE_EQUAL((double)pmo_load_histogram_quantile(h, 0.5), 50000, 500);
    CU_ASSERT_DOUBLE_EQUAL((double)pmo_load_histogram_quantile(h, 0.999), 99900, 999);
    CU_ASSERT_EQUAL(pmo_load_histogram_quantile(h, 1), 100000);
    CU_ASSERT_EQUAL(pmo_load_histogram_quantile(h, 0), 1);
    pmo_load_histogram_add(h, UINT64_MAX / 2); /* beyond the last bucket */
    CU_ASSERT_EQUAL(pmo_load_histogram_quantile(h, 0.5), pmo_load_histogram_quantile(h, 0.5));
    CU_ASSERT_EQUAL(h->max_us, UINT64_MAX / 2);
    free(h);
}

SUITE(load) = {TEST(times_are_read_with_their_unit),
               TEST(wrong_waves_and_bursts_are_refused),
               TEST(a_wave_runs_from_its_base_to_its_peak_and_back),
               TEST(bursts_come_on_top_and_again),
               TEST(a_profile_row_holds_until_the_next),
               TEST(wrong_profiles_are_refused),
               TEST(even_requests_are_equally_far_apart),
               TEST(the_same_seed_gives_the_same_schedule),
               TEST(arrivals_are_a_poisson_process),
               TEST(histogram_buckets_have_no_gaps),
               TEST(percentiles_are_within_one_percent),
               {0}};
