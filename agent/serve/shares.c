/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/forecast?types=1: what is expected of each type, which is an operation here, as in
 * types.c. The busiest have a row each and all others one together, so that rows sum to their
 * service. An answer looks at the last seconds of a limited number of operations, those with most
 * requests since counting began.
 */
#include "agent/serve/api.h"

#include <math.h>
#include <stdlib.h>

#include "agent/base/cleanup.h"
#include "agent/forecast/shares.h"

#define LOOKED_AT 256
#define SHOWN     16

struct part {
    size_t number; /* in the service's set */
    double ever, lately, share;
};

static int by(double left, double right, size_t left_number, size_t right_number)
{
    if (left != right)
        return left < right ? 1 : -1;
    return (left_number > right_number) - (left_number < right_number);
}

static int most_ever_first(const void *left, const void *right)
{
    const struct part *a = left, *b = right;

    return by(a->ever, b->ever, a->number, b->number);
}

static int greatest_first(const void *left, const void *right)
{
    const struct part *a = left, *b = right;

    return by(a->share, b->share, a->number, b->number);
}

/* By weight, up to second @until: of operation @number; of all, beyond the last one. */
static double lately(const struct pmo_service_store *store, size_t number, int64_t until)
{
    bool all = number == pmo_operations_count(pmo_service_store_operations(store));
    double sum = 0;

    for (unsigned int age = 0; age < PMO_SHARE_SECONDS; age++) {
        struct pmo_service_second second;
        uint32_t arrivals = 0;

        if (all && !pmo_service_store_second(store, until - age, &second))
            sum += pmo_share_weight(age) * (double)second.arrivals;
        else if (!all &&
                 !pmo_service_store_operation_arrivals(store, number, until - age, &arrivals))
            sum += pmo_share_weight(age) * arrivals;
    }
    return sum;
}

/* The shares of parts, and last of all that is in none of them. */
static void divide(struct part *parts, size_t count)
{
    double recent[LOOKED_AT + 1] = {0}, ever[LOOKED_AT + 1] = {0}, share[LOOKED_AT + 1];

    for (size_t i = 0; i < count; i++) {
        recent[i] = parts[i].lately;
        ever[i] = parts[i].ever;
    }
    pmo_shares(recent, ever, count, share);
    for (size_t i = 0; i < count; i++)
        parts[i].share = share[i];
}

/* At most SHOWN parts, and the rest behind them; returns how many that are. */
static size_t make_parts(const struct pmo_service_store *store, int64_t until, struct part *parts)
{
    const struct pmo_operations *set = pmo_service_store_operations(store);
    size_t count = pmo_operations_count(set), looked_at, shown;
    struct part rest = {.number = count, .lately = lately(store, count, until), .share = 1};

    for (size_t i = 0; i < count; i++) {
        struct pmo_operation_load load;

        pmo_operations_load(set, i, until, &load);
        parts[i] = (struct part){.number = i, .ever = (double)load.arrived};
        rest.ever += parts[i].ever;
    }
    qsort(parts, count, sizeof(*parts), most_ever_first);
    looked_at = count < LOOKED_AT ? count : LOOKED_AT;
    for (size_t i = 0; i < looked_at; i++) {
        parts[i].lately = lately(store, parts[i].number, until);
        rest.lately -= parts[i].lately;
        rest.ever -= parts[i].ever;
    }
    rest.lately = fmax(rest.lately, 0);
    rest.ever = fmax(rest.ever, 0);
    parts[looked_at] = rest;
    divide(parts, looked_at + 1);
    qsort(parts, looked_at, sizeof(*parts), greatest_first);
    shown = looked_at < SHOWN ? looked_at : SHOWN;
    rest.share = 1;
    for (size_t i = 0; i < shown; i++)
        rest.share -= parts[i].share;
    rest.share = fmax(rest.share, 0);
    parts[shown] = rest;
    return shown + 1;
}

static double thousandths(double value)
{
    return round(value * 1e3);
}

/* A part's quantiles at one horizon, taken from what is @left of the service's, in thousandths. The
 * last part has all of it, so that what is shown adds up, too. */
static json_t *values_json(const struct pmo_forecast *forecast, unsigned int horizon, double share,
                           bool last, double left[PMO_QUANTILES])
{
    json_t *values = json_array();

    for (size_t q = 0; q < PMO_QUANTILES; q++) {
        double value = thousandths(forecast->value[horizon - 1][q] * share);

        value = last ? left[q] : fmin(value, left[q]);
        left[q] -= value;
        (void)json_array_append_new(values, pmo_json_number(value / 1e3));
    }
    return json_pack("{s:i, s:o}", "horizonS", (int)horizon, "values", values);
}

static json_t *part_json(const struct pmo_operations *set, const struct part *part)
{
    const struct pmo_operation *operation;

    if (part->number == pmo_operations_count(set))
        return json_pack("{s:n, s:n, s:s, s:o}", "protocol", "method", "route", "{other}", "share",
                         pmo_json_number(part->share));
    operation = pmo_operations_at(set, part->number);
    return json_pack("{s:s, s:s, s:o, s:o}", "protocol", pmo_protocol_name(operation->protocol),
                     "method", pmo_method_name(operation->method), "route",
                     pmo_json_text(operation->route), "share", pmo_json_number(part->share));
}

json_t *pmo_json_forecast_types(const struct pmo_service *service)
{
    const struct pmo_operations *set = pmo_service_store_operations(service->store);
    const struct pmo_forecast *forecast = &service->forecast;
    _cleanup_free_ struct part *parts = calloc(pmo_operations_count(set) + 1, sizeof(*parts));
    json_t *types = parts ? json_array() : NULL;
    double left[PMO_SCORED][PMO_QUANTILES];
    size_t count = types ? make_parts(service->store, forecast->origin, parts) : 0;

    for (size_t i = 0; i < PMO_SCORED; i++)
        for (size_t q = 0; q < PMO_QUANTILES; q++)
            left[i][q] = thousandths(forecast->value[pmo_scored[i] - 1][q]);
    for (size_t k = 0; k < count; k++) {
        json_t *json = part_json(set, &parts[k]), *rows = json_array();

        for (size_t i = 0; i < PMO_SCORED; i++)
            (void)json_array_append_new(rows, values_json(forecast, pmo_scored[i], parts[k].share,
                                                          k + 1 == count, left[i]));
        (void)json_object_set_new(json, "forecast", rows);
        (void)json_array_append_new(types, json);
    }
    return types;
}
