/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/condition.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "agent/decide/need.h"

const struct pmo_quantity_text pmo_quantity_texts[PMO_QUANTITIES] = {
    [PMO_PREDICTED_LOAD] = {"predicted load", "80 % of capacity or 300 rps", PMO_RATE},
    [PMO_PREDICTED_UTILIZATION] = {"predicted utilization", "80 %", PMO_SHARE},
    [PMO_LOAD] = {"load", "80 % of capacity or 300 rps", PMO_RATE},
    [PMO_UTILIZATION] = {"utilization", "80 %", PMO_SHARE},
    [PMO_LATENCY] = {"latency", "200 ms", PMO_DURATION},
    [PMO_ERROR_RATE] = {"error rate", "2 %", PMO_SHARE},
    [PMO_IN_FLIGHT] = {"requests in flight", "20, for each ready instance", PMO_NUMBER},
    [PMO_WAITING] = {"waiting", "5 ms", PMO_DURATION},
    [PMO_CPU] = {"cpu", "80 % (of one core, for each ready instance)", PMO_SHARE},
    [PMO_READY] = {"instances.ready", "3", PMO_NUMBER},
    [PMO_TRUST] = {"trust", "50 %", PMO_SHARE},
    [PMO_EVENT_ACTIVE] = {"event", "", PMO_NUMBER},
    [PMO_EVENT_STARTS_IN] = {"starts_in", "10m", PMO_DURATION},
};

/* ---- windows --------------------------------------------------------------------------------- */

static size_t slot(int64_t t)
{
    return (size_t)(t % PMO_WINDOW_MAX_S);
}

void pmo_windows_note(struct pmo_windows *windows, const struct pmo_service_state *state, int64_t t)
{
    int64_t first = t - windows->t < PMO_WINDOW_MAX_S ? windows->t + 1 : t - PMO_WINDOW_MAX_S + 1;

    for (int64_t s = windows->t ? first : t - PMO_WINDOW_MAX_S + 1; s < t; s++)
        for (size_t i = 0; i < PMO_SEEN; i++)
            windows->seen[i][slot(s + PMO_WINDOW_MAX_S)] = NAN;
    windows->seen[PMO_SEEN_LOAD][slot(t)] = (float)state->load_rps;
    windows->seen[PMO_SEEN_LATENCY][slot(t)] = (float)state->latency_p99_s;
    windows->seen[PMO_SEEN_ANSWERED][slot(t)] = (float)state->answered;
    windows->seen[PMO_SEEN_FAILED][slot(t)] = (float)state->failed;
    windows->seen[PMO_SEEN_IN_FLIGHT][slot(t)] = (float)state->in_flight;
    windows->seen[PMO_SEEN_WAITING][slot(t)] = (float)state->wait_p99_s;
    windows->seen[PMO_SEEN_CPU][slot(t)] = (float)state->cpu_cores;
    windows->t = t;
}

static double mean(const struct pmo_windows *windows, int what, unsigned int seconds)
{
    unsigned int known = 0;
    double sum = 0;

    for (int64_t s = windows->t - seconds + 1; s <= windows->t; s++) {
        float seen = windows->seen[what][slot(s + PMO_WINDOW_MAX_S)];

        if (isnan(seen))
            continue;
        sum += seen;
        known++;
    }
    return 2 * known >= seconds ? sum / known : NAN;
}

/* ---- quantities ------------------------------------------------------------------------------ */

static double each(double all, const struct pmo_situation *situation)
{
    return all / (situation->state->ready ? situation->state->ready : 1);
}

static double of_capacity(double rps, const struct pmo_situation *situation)
{
    double capacity_rps = situation->need->capacity_rps;

    return capacity_rps > 0 ? rps / ((situation->count ? situation->count : 1) * capacity_rps)
                            : NAN;
}

/* The mean of what is given second by second; without a window, the last second's as it is. */
static double lately(const struct pmo_node *node, const struct pmo_situation *situation, int what,
                     double last)
{
    return node->seconds ? mean(situation->windows, what, node->seconds) : last;
}

static double error_rate(const struct pmo_node *node, const struct pmo_situation *situation)
{
    double answered;

    if (!node->seconds)
        return situation->state->error_rate;
    answered = mean(situation->windows, PMO_SEEN_ANSWERED, node->seconds);
    return answered > 0 ? mean(situation->windows, PMO_SEEN_FAILED, node->seconds) / answered : NAN;
}

static bool is_named(const struct pmo_happening *happening, const char *name,
                     const struct pmo_situation *situation)
{
    return (!strcmp(happening->kind, name) || !strcmp(happening->id, name)) &&
           pmo_happening_concerns(happening, situation->state->name);
}

/* Events in the calendar are in the order of their starts. */
static double event(const struct pmo_node *node, const char *name,
                    const struct pmo_situation *situation)
{
    const struct pmo_calendar *calendar = situation->state->calendar;
    bool starts = node->quantity == PMO_EVENT_STARTS_IN;
    const struct pmo_happening *happening;
    size_t count = calendar ? pmo_calendar_count(calendar) : 0;

    for (size_t i = 0; i < count; i++) {
        happening = pmo_calendar_at(calendar, i);
        if (happening->start > situation->t) {
            if (!starts)
                return 0;
            if (is_named(happening, name, situation))
                return (double)(happening->start - situation->t);
        } else if (!starts && happening->start + happening->duration_s > situation->t &&
                   is_named(happening, name, situation)) {
            return 1;
        }
    }
    return calendar && !starts ? 0 : NAN;
}

double pmo_quantity_value(const struct pmo_condition *condition, const struct pmo_node *node,
                          const struct pmo_situation *situation)
{
    const struct pmo_service_state *state = situation->state;
    const struct pmo_need *need = situation->need;

    switch (node->quantity) {
    case PMO_PREDICTED_LOAD:
        return pmo_need_predict(need, state, node->seconds ? node->seconds : need->horizon_s);
    case PMO_PREDICTED_UTILIZATION:
        return of_capacity(
            pmo_need_predict(need, state, node->seconds ? node->seconds : need->horizon_s),
            situation);
    case PMO_LOAD:
        return lately(node, situation, PMO_SEEN_LOAD, state->load_rps);
    case PMO_UTILIZATION:
        return of_capacity(lately(node, situation, PMO_SEEN_LOAD, state->load_rps), situation);
    case PMO_LATENCY:
        return lately(node, situation, PMO_SEEN_LATENCY, state->latency_p99_s);
    case PMO_ERROR_RATE:
        return error_rate(node, situation);
    case PMO_IN_FLIGHT:
        return each(lately(node, situation, PMO_SEEN_IN_FLIGHT, state->in_flight), situation);
    case PMO_WAITING:
        return lately(node, situation, PMO_SEEN_WAITING, state->wait_p99_s);
    case PMO_CPU:
        return each(lately(node, situation, PMO_SEEN_CPU, state->cpu_cores), situation);
    case PMO_READY:
        return state->ready;
    case PMO_TRUST:
        return state->forecast ? state->forecast->trust : NAN;
    case PMO_EVENT_ACTIVE:
    case PMO_EVENT_STARTS_IN:
        return event(node, condition->events[node->event], situation);
    case PMO_QUANTITIES:
        break;
    }
    return NAN;
}

/* ---- truth ----------------------------------------------------------------------------------- */

/* In this order, "and" is the lesser of two and "or" the greater. */
enum truth { FALSE, UNKNOWN, TRUE };

static enum truth compare(const struct pmo_node *node, double value)
{
    if (isnan(value))
        return UNKNOWN;
    switch (node->operator) {
    case PMO_ABOVE:
        return value > node->threshold ? TRUE : FALSE;
    case PMO_AT_LEAST:
        return value >= node->threshold ? TRUE : FALSE;
    case PMO_BELOW:
        return value < node->threshold ? TRUE : FALSE;
    default:
        return value <= node->threshold ? TRUE : FALSE;
    }
}

bool pmo_condition_holds_with(const struct pmo_condition *condition, pmo_value_fn value,
                              void *context)
{
    enum truth stack[PMO_NODES_MAX];
    size_t depth = 0;

    for (size_t i = 0; i < condition->count; i++) {
        const struct pmo_node *node = &condition->nodes[i];
        enum truth top;

        if (pmo_node_compares(node)) {
            stack[depth++] = compare(node, value(context, condition, node));
            continue;
        }
        assert(depth > (node->operator!= PMO_NOT));
        top = stack[--depth];
        if (node->operator== PMO_NOT)
            stack[depth++] = (enum truth)(TRUE - top);
        else if ((top < stack[depth - 1]) == (node->operator== PMO_AND))
            stack[depth - 1] = top;
    }
    return depth == 1 && stack[0] == TRUE;
}

static double value_now(void *context, const struct pmo_condition *condition,
                        const struct pmo_node *node)
{
    return pmo_quantity_value(condition, node, context);
}

bool pmo_condition_holds(const struct pmo_condition *condition,
                         const struct pmo_situation *situation)
{
    return pmo_condition_holds_with(condition, value_now, (void *)situation);
}

/* ---- in words -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void say(char *text, size_t size, const char *format,
                                                      ...)
{
    size_t used = strlen(text);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static int decimals(double rps)
{
    return rps < 10 && rps != floor(rps) ? 1 : 0;
}

static void describe(const struct pmo_condition *condition, const struct pmo_node *node,
                     const struct pmo_situation *situation, char *text, size_t size)
{
    double value = pmo_quantity_value(condition, node, situation), rps;
    bool starts = node->quantity == PMO_EVENT_STARTS_IN;
    uint32_t count = situation->count ? situation->count : 1;

    if (node->quantity == PMO_EVENT_ACTIVE || starts)
        say(text, size, "event \"%s\"", condition->events[node->event]);
    else if (node->quantity == PMO_PREDICTED_UTILIZATION || node->quantity == PMO_UTILIZATION)
        say(text, size, "%s", node->quantity == PMO_UTILIZATION ? "load" : "predicted load");
    else
        say(text, size, "%s", pmo_quantity_texts[node->quantity].name);
    if (isnan(value)) {
        say(text, size, starts ? " is not known to come" : " is not known");
        return;
    }
    switch (node->quantity) {
    case PMO_PREDICTED_UTILIZATION:
    case PMO_UTILIZATION:
        rps = value * count * situation->need->capacity_rps;
        say(text, size, " %.*f rps is %.0f %% of the capacity of %u instance%s", decimals(rps), rps,
            100 * value, count, count == 1 ? "" : "s");
        break;
    case PMO_PREDICTED_LOAD:
    case PMO_LOAD:
        say(text, size, " is %.*f rps", decimals(value), value);
        break;
    case PMO_LATENCY:
    case PMO_WAITING:
        say(text, size, " is %.0f ms", 1000 * value);
        break;
    case PMO_ERROR_RATE:
    case PMO_CPU:
    case PMO_TRUST:
        say(text, size, " is %.1f %%", 100 * value);
        break;
    case PMO_IN_FLIGHT:
        say(text, size, " are %.1f per ready instance", value);
        break;
    case PMO_READY:
        say(text, size, " is %.0f", value);
        break;
    case PMO_EVENT_ACTIVE:
        say(text, size, value > 0 ? " is on" : " is not on");
        break;
    case PMO_EVENT_STARTS_IN:
        say(text, size, " starts in %.0f s", value);
        break;
    case PMO_QUANTITIES:
        break;
    }
}

void pmo_condition_describe(const struct pmo_condition *condition,
                            const struct pmo_situation *situation, char *text, size_t text_size)
{
    const char *separator = "";

    for (size_t i = 0; i < condition->count; i++) {
        if (!pmo_node_compares(&condition->nodes[i]))
            continue;
        say(text, text_size, "%s", separator);
        describe(condition, &condition->nodes[i], situation, text, text_size);
        separator = ", ";
    }
}
