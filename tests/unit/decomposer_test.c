/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decomposer.h"

#include <ftw.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/series/history.h"
#include "tests/unit/suite.h"

#define DAY 86400LL
#define T0  (1700000000LL - 1700000000LL % DAY)

static char state_dir[64];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static double rate_at(int64_t t)
{
    return 100 + 50 * sin(2 * M_PI * (double)t / DAY);
}

/* A history of @days minutes of service "front", as the agent would have rolled them up. */
static struct pmo_history *history_of(int days)
{
    struct pmo_history *history = NULL;
    char path[96], sql[256];
    sqlite3 *db = NULL;

    (void)snprintf(state_dir, sizeof(state_dir), "/tmp/pmo-decomposer-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(state_dir));
    CU_ASSERT_EQUAL_FATAL(pmo_history_open(&history, state_dir), 0);
    (void)snprintf(path, sizeof(path), "%s/history.db", state_dir);
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &db), SQLITE_OK);
    CU_ASSERT_EQUAL(
        sqlite3_exec(db, "BEGIN; INSERT INTO services VALUES (1, 'front')", NULL, NULL, NULL),
        SQLITE_OK);
    for (int64_t t = T0; t < T0 + days * DAY; t += 60) {
        (void)snprintf(sql, sizeof(sql),
                       "INSERT INTO spans VALUES (1, 60, %lld, 60, %d, 0, 0, 0, 0, 0, 0, 0, 0, 0,"
                       " NULL, NULL)",
                       (long long)t, (int)(60 * rate_at(t + 30)));
        CU_ASSERT_EQUAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    }
    CU_ASSERT_EQUAL(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    return history;
}

static void end(struct pmo_history *history)
{
    pmo_history_close(&history);
    CU_ASSERT_EQUAL(nftw(state_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

struct result {
    unsigned int fits;
    struct pmo_decomposition fit;
};

static void on_done(void *context, const char *service, const struct pmo_decomposition *fit)
{
    struct result *result = context;

    CU_ASSERT_STRING_EQUAL(service, "front");
    result->fits++;
    result->fit = *fit;
}

static void a_fit_is_made_beside_the_loop_one_at_a_time(void)
{
    struct pmo_history *history = history_of(3);
    struct pmo_decomposer *decomposer = NULL;
    struct result result = {0};
    uv_loop_t loop;

    CU_ASSERT_EQUAL_FATAL(uv_loop_init(&loop), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_decomposer_new(&decomposer, &loop, state_dir, on_done, &result), 0);
    CU_ASSERT(pmo_decomposer_begin(decomposer, "front", T0 + 3 * DAY));
    CU_ASSERT_FALSE(pmo_decomposer_begin(decomposer, "front", T0 + 3 * DAY));
    CU_ASSERT_EQUAL(uv_run(&loop, UV_RUN_DEFAULT), 0);
    CU_ASSERT_EQUAL(result.fits, 1);
    CU_ASSERT_EQUAL(result.fit.until, T0 + 3 * DAY);
    for (int64_t t = T0 + 3 * DAY; t < T0 + 4 * DAY; t += 7200)
        CU_ASSERT_DOUBLE_EQUAL(pmo_decomposition_at(&result.fit, t), rate_at(t), 0.05 * rate_at(t));
    /* of a service without any history nothing is said; the next one may come */
    CU_ASSERT(pmo_decomposer_begin(decomposer, "nobody", T0 + 3 * DAY));
    CU_ASSERT_EQUAL(uv_run(&loop, UV_RUN_DEFAULT), 0);
    CU_ASSERT_EQUAL(result.fits, 1);
    CU_ASSERT(pmo_decomposer_begin(decomposer, "front", T0 + 3 * DAY));
    CU_ASSERT_EQUAL(uv_run(&loop, UV_RUN_DEFAULT), 0);
    CU_ASSERT_EQUAL(result.fits, 2);
    pmo_decomposer_free(&decomposer);
    CU_ASSERT_PTR_NULL(decomposer);
    CU_ASSERT_EQUAL(uv_loop_close(&loop), 0);
    end(history);
}

static void who_goes_while_it_is_made_is_not_told(void)
{
    struct pmo_history *history = history_of(2);
    struct pmo_decomposer *decomposer = NULL;
    struct result result = {0};
    uv_loop_t loop;

    CU_ASSERT_EQUAL_FATAL(uv_loop_init(&loop), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_decomposer_new(&decomposer, &loop, state_dir, on_done, &result), 0);
    CU_ASSERT(pmo_decomposer_begin(decomposer, "front", T0 + 2 * DAY));
    pmo_decomposer_free(&decomposer);
    CU_ASSERT_EQUAL(uv_run(&loop, UV_RUN_DEFAULT), 0);
    CU_ASSERT_EQUAL(result.fits, 0);
    CU_ASSERT_EQUAL(uv_loop_close(&loop), 0);
    end(history);
}

SUITE(decomposer) = {
    TEST(a_fit_is_made_beside_the_loop_one_at_a_time),
    TEST(who_goes_while_it_is_made_is_not_told),
    {},
};
