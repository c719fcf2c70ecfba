/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The numbers of GET /v1/services, series, types, forecast and decisions. */
#include <string.h>

#include "tests/unit/serve_world.h"
#include "tests/unit/suite.h"

static void the_rows_of_a_series_add_up_to_the_total(void)
{
    json_t *series, *services, *service, *row;
    json_int_t sum = 0, total;
    struct world w;
    size_t i;

    world_start(&w);
    series = world_get(&w, "/v1/series?service=front&since=1&until=0");
    services = world_get(&w, "/v1/services");
    json_array_foreach (json_object_get(series, "rows"), i, row)
        sum += json_integer_value(json_object_get(row, "count"));
    service = json_array_get(json_object_get(services, "services"), 1);
    total = json_integer_value(json_object_get(service, "requestsTotal"));
    CU_ASSERT_EQUAL(total, 51 * (WORLD_SECONDS - 1));
    CU_ASSERT_EQUAL(sum, total);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(service, "arrivedTotal")),
                    total + WORLD_IN_FLIGHT);
    json_decref(series);
    json_decref(services);
    world_stop(&w);
}

static void a_missing_second_is_listed_and_not_a_zero(void)
{
    json_t *series, *missing;
    struct world w;

    world_start(&w);
    series = world_get(&w, "/v1/series?service=front&since=-9");
    missing = json_object_get(series, "missing");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(series, "since")), WORLD_NOW - 9);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(series, "until")), WORLD_NOW);
    CU_ASSERT_EQUAL(json_array_size(missing), 1);
    CU_ASSERT_EQUAL(json_integer_value(json_array_get(missing, 0)), WORLD_MISSING);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(series, "arrivals")), 9);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(series, "rows")), 18);
    json_decref(series);
    world_stop(&w);
}

static void a_range_without_seconds_is_an_empty_series(void)
{
    json_t *series;
    struct world w;

    world_start(&w);
    series = world_get(&w, "/v1/series?service=front&since=1800000000");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(series, "arrivals")), 0);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(series, "rows")), 0);
    json_decref(series);
    world_stop(&w);
}

static void types_show_what_a_service_is_asked_for(void)
{
    json_t *answer, *types, *type, *totals;
    struct world w;

    world_start(&w);
    answer = world_get(&w, "/v1/types?service=front");
    CU_ASSERT_TRUE(json_is_null(json_object_get(answer, "instance")));
    types = json_object_get(answer, "types");
    CU_ASSERT_EQUAL_FATAL(json_array_size(types), 2);
    type = json_array_get(types, 0); /* the busiest first */
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(type, "route")), "/products/{id}");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(type, "protocol")), "http1");
    CU_ASSERT_EQUAL(world_number(type, "rps"), 50 + WORLD_IN_FLIGHT);
    CU_ASSERT_EQUAL(world_number(type, "inFlight"), WORLD_IN_FLIGHT);
    CU_ASSERT_EQUAL(world_number(type, "requestBytesPerS"), 5000);
    CU_ASSERT_EQUAL(world_number(type, "responseBytesPerS"), 50000);
    CU_ASSERT_EQUAL(world_number(type, "errorRate"), 0);
    CU_ASSERT_TRUE(world_number(type, "firstByteP50Ms") > 4 &&
                   world_number(type, "firstByteP50Ms") < 8);
    CU_ASSERT_TRUE(world_number(type, "lastByteP50Ms") > 16 &&
                   world_number(type, "lastByteP99Ms") < 34);
    totals = json_object_get(type, "totals");
    CU_ASSERT_EQUAL(world_number(totals, "answered"), 50 * (WORLD_SECONDS - 1));
    CU_ASSERT_EQUAL(world_number(totals, "arrived"),
                    world_number(totals, "finished") + WORLD_IN_FLIGHT);
    CU_ASSERT_EQUAL(world_number(totals, "responseBytes"), 1000 * world_number(totals, "finished"));
    json_decref(answer);
    world_stop(&w);
}

static void types_of_an_instance_are_its_own(void)
{
    json_t *first, *second, *types;
    struct world w;

    world_start(&w);
    first = world_get(&w, "/v1/types?service=front&instance=front-1");
    second = world_get(&w, "/v1/types?service=front&instance=front-2");
    types = json_object_get(first, "types");
    CU_ASSERT_EQUAL_FATAL(json_array_size(types), 1);
    CU_ASSERT_EQUAL(world_number(json_array_get(types, 0), "inFlight"), WORLD_IN_FLIGHT);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(second, "types")), 0);
    world_expect_error(&w, "GET", "/v1/types?service=front&instance=front-3", NULL, 404, "front-3");
    world_expect_error(&w, "GET", "/v1/types?service=catalog&instance=front-1", NULL, 404,
                       "front-1");
    world_expect_error(&w, "GET", "/v1/types?instance=front-1", NULL, 400, "service=NAME");
    json_decref(first);
    json_decref(second);
    world_stop(&w);
}

static void services_show_the_last_byte_and_bytes(void)
{
    json_t *services, *front;
    struct world w;

    world_start(&w);
    services = world_get(&w, "/v1/services");
    front = json_array_get(json_object_get(services, "services"), 1);
    CU_ASSERT_EQUAL(world_number(front, "requestBytesPerS"), 5100);
    CU_ASSERT_EQUAL(world_number(front, "responseBytesPerS"), 51000);
    CU_ASSERT_TRUE(world_number(front, "lastByteP50Ms") > 16 &&
                   world_number(front, "lastByteP99Ms") < 34);
    json_decref(services);
    world_stop(&w);
}

static void expect_use(const json_t *owner, bool known)
{
    static const struct {
        const char *name;
        double value;
    } figures[] = {{"throttledMsPerS", 250},     {"cpuWaitMsPerS", 500},
                   {"workingSetBytes", 3e6},     {"diskReadBytesPerS", 4096},
                   {"diskWriteBytesPerS", 8192}, {"openFiles", 128},
                   {"openFilesRatio", 0.125}};
    const json_t *use = json_object_get(owner, "use");

    CU_ASSERT_EQUAL(json_object_size(use), sizeof(figures) / sizeof(figures[0]));
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        const json_t *figure = json_object_get(use, figures[i].name);

        if (known)
            CU_ASSERT_DOUBLE_EQUAL(json_number_value(figure), figures[i].value, 1e-9);
        CU_ASSERT_EQUAL(json_is_null(figure), !known);
    }
}

static void what_instances_use_is_shown_and_null_where_it_is_not_known(void)
{
    const json_t *services, *instances;
    struct world w;
    json_t *answer;

    world_start(&w);
    world_expect_figures(&w, expect_use);
    answer = world_get(&w, "/v1/services");
    services = json_object_get(answer, "services");
    instances = json_object_get(json_array_get(services, 1), "instances");
    CU_ASSERT_EQUAL(
        json_number_value(json_object_get(json_array_get(instances, 0), "openFilesLimit")), 1024);
    CU_ASSERT_TRUE(json_is_null(json_object_get(json_array_get(instances, 1), "openFilesLimit")));
    json_decref(answer);
    world_stop(&w);
}

/* The forecaster saw 51 in each second, so only its first forecasts were off. */
static void forecasts_come_with_their_scores_and_drift(void)
{
    static const int horizons[] = {5, 15, 30, 60};
    json_t *answer, *score, *held, *model;
    const json_t *forecast, *recent;
    struct pmo_forecast_score said;
    struct world w;
    size_t i, k, models = 0;

    world_start(&w);
    answer = world_get(&w, "/v1/forecast?service=front");
    forecast = json_array_get(json_object_get(answer, "forecasts"), 0);
    CU_ASSERT_STRING_EQUAL(
        json_string_value(json_object_get(json_object_get(forecast, "drift"), "kind")), "steady");
    recent = json_object_get(forecast, "recentArrivals");
    CU_ASSERT_EQUAL(json_array_size(recent), 60);
    CU_ASSERT_EQUAL(json_number_value(json_array_get(recent, 58)), 51);
    CU_ASSERT_EQUAL(json_is_null(json_array_get(recent, 59 - (WORLD_NOW - WORLD_MISSING))),
                    WORLD_NOW - WORLD_MISSING < 60);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(forecast, "scores")), 4);
    json_array_foreach (json_object_get(forecast, "scores"), i, score) {
        CU_ASSERT_EQUAL(json_integer_value(json_object_get(score, "horizonS")), horizons[i]);
        pmo_forecaster_score(w.front.forecaster, (unsigned int)horizons[i], &said);
        CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(score, "error")), said.error,
                               1e-3);
        CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(score, "pinball")), said.pinball,
                               1e-3);
        CU_ASSERT(said.pinball > 0);
        json_array_foreach (json_object_get(score, "held"), k, held)
            CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(held, "share")), said.held[k],
                                   1e-3);
        CU_ASSERT_EQUAL(k, 2);
        json_array_foreach (json_object_get(forecast, "models"), k, model)
            models += json_integer_value(json_object_get(model, "horizonS")) == horizons[i];
    }
    CU_ASSERT(models >= 24);
    CU_ASSERT_EQUAL(models, json_array_size(json_object_get(forecast, "models")));
    json_decref(answer);
    world_stop(&w);
}

/* 50 of 51 requests are for one route; what is said of the types is what is said of the service. */
static void forecasts_of_types_add_up_to_their_service(void)
{
    json_t *answer, *type, *row;
    const json_t *forecast, *types, *values;
    double shares = 0, sums[PMO_HORIZONS + 1][PMO_QUANTILES] = {{0}};
    struct world w;
    size_t i, k;

    world_start(&w);
    answer = world_get(&w, "/v1/forecast?service=front&types=1");
    forecast = json_array_get(json_object_get(answer, "forecasts"), 0);
    values = json_object_get(forecast, "values");
    types = json_object_get(forecast, "types");
    CU_ASSERT_EQUAL_FATAL(json_array_size(types), 3);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(types, 0), "route")),
                           "/products/{id}");
    CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(json_array_get(types, 0), "share")),
                           50.0 / 51, 2e-3);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(types, 2), "route")),
                           "{other}");
    json_array_foreach (types, i, type) {
        shares += json_number_value(json_object_get(type, "share"));
        json_array_foreach (json_object_get(type, "forecast"), k, row)
            for (size_t q = 0; q < PMO_QUANTILES; q++)
                sums[json_integer_value(json_object_get(row, "horizonS"))][q] +=
                    json_number_value(json_array_get(json_object_get(row, "values"), q));
        CU_ASSERT_EQUAL(k, 4);
    }
    CU_ASSERT_DOUBLE_EQUAL(shares, 1, 2e-3);
    for (size_t h = 5; h <= 60; h += h < 15 ? 10 : h) /* 5, 15, 30, 60 */
        for (size_t q = 0; q < PMO_QUANTILES; q++)
            CU_ASSERT_DOUBLE_EQUAL(
                sums[h][q], json_number_value(json_array_get(json_array_get(values, h - 1), q)),
                1e-9);
    CU_ASSERT(sums[30][PMO_MEDIAN] > 40);
    json_decref(answer);
    world_expect_error(&w, "GET", "/v1/forecast?types=1", NULL, 400, "needs a service");
    world_expect_error(&w, "GET", "/v1/forecast?service=front&types=2", NULL, 400, "from 0 to 1");
    world_stop(&w);
}

static void decisions_come_newest_first_from_memory_and_history(void)
{
    json_t *all, *some, *decisions;
    struct world w;

    world_start(&w);
    all = world_get(&w, "/v1/decisions");
    decisions = json_object_get(all, "decisions");
    CU_ASSERT_EQUAL(json_array_size(decisions), 2);
    for (size_t i = 0; i < 2; i++)
        CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_array_get(decisions, i), "id")),
                        (json_int_t)(2 - i));
    some = world_get(&w, "/v1/decisions?service=front&limit=1");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(some, "decisions")), 1);
    json_decref(some);
    some = world_get(&w, "/v1/decisions?service=catalog");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(some, "decisions")), 0);
    json_decref(some);
    some = world_get(&w, "/v1/decisions?since=1699999999");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(some, "decisions")), 1);
    json_decref(some);
    json_decref(all);
    world_stop(&w);
}

static void an_agent_that_has_seen_no_second_yet_answers(void)
{
    static const char *const paths[] = {"/v1/services", "/v1/series?service=front", "/v1/forecast",
                                        "/v1/status"};
    struct pmo_forecaster *forecaster;
    struct world w;

    world_start(&w); /* the loop waits for a request: nobody reads what changes here */
    forecaster = w.front.forecaster;
    w.core.agent.now = 0;
    w.front.forecaster = NULL;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        json_decref(world_get(&w, paths[i]));
    w.front.forecaster = forecaster;
    world_stop(&w);
}

SUITE(serve_numbers) = {
    TEST(the_rows_of_a_series_add_up_to_the_total),
    TEST(a_missing_second_is_listed_and_not_a_zero),
    TEST(a_range_without_seconds_is_an_empty_series),
    TEST(types_show_what_a_service_is_asked_for),
    TEST(types_of_an_instance_are_its_own),
    TEST(services_show_the_last_byte_and_bytes),
    TEST(what_instances_use_is_shown_and_null_where_it_is_not_known),
    TEST(forecasts_come_with_their_scores_and_drift),
    TEST(forecasts_of_types_add_up_to_their_service),
    TEST(decisions_come_newest_first_from_memory_and_history),
    TEST(an_agent_that_has_seen_no_second_yet_answers),
    {0},
};
