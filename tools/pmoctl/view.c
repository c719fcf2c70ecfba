/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What pmoctl top shows, as lines of text: for each service its load, forecast, instances, use of
 * capacity, and a line of blocks with the last minute and, after a bar, the next half. */
#include "tools/pmoctl/pmoctl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PAST_MAX       60U
#define FUTURE_MAX     30U
#define BAR_CELLS      20
#define DECISIONS_MAX  6
#define SERVICE_LINES  7  /* of one service, with the empty line after it */
#define OTHER_LINES    13 /* head, "more ..." and decisions */
#define MEDIAN_DEFAULT 3  /* column of the median in a forecast's values */

static const char reset[] = "\033[0m", bold[] = "\033[1m", dim[] = "\033[2m", red[] = "\033[31m",
                  green[] = "\033[32m", yellow[] = "\033[33m", cyan[] = "\033[36m";

/* An escape sequence, or nothing where there are no colours. */
static const char *ink(const struct pmoctl_view *view, const char *sequence)
{
    return view->colour ? sequence : "";
}

static void print_head(const struct pmoctl_view *view, FILE *out)
{
    const json_t *status = view->status;
    double cpu = pmoctl_number(status, "cpuCores");
    char time[32], memory[32];

    (void)fprintf(out,
                  "%sPMO%s  %s  mode %s  %lld services  %lld instances  agent %.1f %% CPU, %s\n",
                  ink(view, bold), ink(view, reset),
                  pmoctl_format_time(time, pmoctl_integer(status, "now"), false),
                  pmoctl_text(status, "mode"), (long long)pmoctl_integer(status, "services"),
                  (long long)pmoctl_integer(status, "instances"), isfinite(cpu) ? cpu * 100 : 0,
                  pmoctl_format_bytes(memory, pmoctl_number(status, "residentBytes")));
    if (view->complaint)
        (void)fprintf(out, "%s%s%s\n", ink(view, red), view->complaint, ink(view, reset));
    else
        (void)fputc('\n', out);
}

static double flood_of(const json_t *service)
{
    return pmoctl_number(json_object_get(service, "attempts"), "floodPerS");
}

static void print_load(const struct pmoctl_view *view, const json_t *service, FILE *out)
{
    static const struct {
        const char *name, *colour;
    } classes[] = {{"2xx", green}, {"3xx", ""},      {"4xx", yellow},
                   {"5xx", red},   {"aborted", red}, {"1xx", ""}};
    const json_t *rates = json_object_get(service, "rates");
    double flood = flood_of(service);
    char rps[32], p50[32], p99[32], syns[32];

    (void)fprintf(out, "  load       %s%6s/s%s ", ink(view, bold),
                  pmoctl_format(rps, pmoctl_number(service, "rps")), ink(view, reset));
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        json_int_t rate = pmoctl_integer(rates, classes[i].name);

        if (rate || i == 0)
            (void)fprintf(out, "  %s%s %lld%s", ink(view, classes[i].colour), classes[i].name,
                          (long long)rate, ink(view, reset));
    }
    (void)fprintf(out, "   latency p50 %s ms  p99 %s ms",
                  pmoctl_format(p50, pmoctl_number(service, "latencyP50Ms")),
                  pmoctl_format(p99, pmoctl_number(service, "latencyP99Ms")));
    if (flood > 0)
        (void)fprintf(out, "   %sflood %s SYNs/s%s", ink(view, red), pmoctl_format(syns, flood),
                      ink(view, reset));
    (void)fputc('\n', out);
}

/* What comes before load. */
static void print_signals(const struct pmoctl_view *view, const json_t *service, FILE *out)
{
    const json_t *signals = json_object_get(service, "signals");
    char wait[32], p99[32], queue[32], limit[32], rtt[32];
    json_int_t lost = pmoctl_integer(signals, "retransmits");
    json_int_t overflows = pmoctl_integer(signals, "acceptQueueOverflows");

    (void)fprintf(out, "  waiting    read after p50 %s ms  p99 %s ms   accept queue %s of %s",
                  pmoctl_format(wait, pmoctl_number(signals, "waitP50Ms")),
                  pmoctl_format(p99, pmoctl_number(signals, "waitP99Ms")),
                  pmoctl_format(queue, pmoctl_number(signals, "acceptQueue")),
                  pmoctl_format(limit, pmoctl_number(signals, "acceptQueueLimit")));
    if (overflows)
        (void)fprintf(out, "  %s%lld overflows%s", ink(view, red), (long long)overflows,
                      ink(view, reset));
    (void)fprintf(out, "   rtt %s ms", pmoctl_format(rtt, pmoctl_number(signals, "rttMs")));
    if (lost)
        (void)fprintf(out, "  %s%lld sent again%s", ink(view, yellow), (long long)lost,
                      ink(view, reset));
    (void)fputc('\n', out);
}

static void print_forecast(const struct pmoctl_view *view, const json_t *service, FILE *out)
{
    const json_t *forecast = json_object_get(service, "forecast");
    char in10s[64], in30s[64];

    (void)fprintf(out, "  %sforecast   in 10 s %s   in 30 s %s   trust %.0f %%%s\n",
                  ink(view, cyan), pmoctl_format_range(in10s, json_object_get(forecast, "in10s")),
                  pmoctl_format_range(in30s, json_object_get(forecast, "in30s")),
                  pmoctl_number(forecast, "trust") * 100, ink(view, reset));
}

static void print_capacity(const struct pmoctl_view *view, const json_t *service, FILE *out)
{
    static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    double use = pmoctl_number(service, "utilization");
    const char *colour = use > 1 ? red : use > 0.8 ? yellow : green;
    int eighths = isfinite(use) ? (int)lround(fmin(use, 1) * BAR_CELLS * 8) : 0;
    int cells = eighths / 8 + (eighths % 8 > 0);
    json_int_t draining = pmoctl_integer(service, "draining");

    (void)fprintf(out, "  instances  %lld ready  %lld starting  %lld wanted",
                  (long long)pmoctl_integer(service, "ready"),
                  (long long)pmoctl_integer(service, "starting"),
                  (long long)pmoctl_integer(service, "wanted"));
    if (draining)
        (void)fprintf(out, "  %lld draining", (long long)draining);
    if (!isfinite(use)) {
        (void)fputs("   use of capacity: not known\n", out);
        return;
    }
    (void)fprintf(out, "   use %s", ink(view, colour));
    for (int i = 0; i < eighths / 8; i++)
        (void)fputs("█", out);
    (void)fprintf(out, "%s%s%s", parts[eighths % 8], ink(view, reset), ink(view, dim));
    for (int i = cells; i < BAR_CELLS; i++)
        (void)fputs("·", out);
    (void)fprintf(out, "%s %.0f %%\n", ink(view, reset), use * 100);
}

/* Median of a service's forecast @h seconds ahead (1..60), NAN where there is none. */
static double median(const struct pmoctl_view *view, const char *name, size_t h)
{
    json_t *forecast;
    size_t i;

    json_array_foreach (json_object_get(view->forecasts, "forecasts"), i, forecast)
        if (!strcmp(pmoctl_text(forecast, "service"), name)) {
            const json_t *row = json_array_get(json_object_get(forecast, "values"), h - 1);
            const json_t *value = json_array_get(row, MEDIAN_DEFAULT);

            return json_is_number(value) ? json_number_value(value) : NAN;
        }
    return NAN;
}

static const char *block(double value, double top)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

    if (!isfinite(value))
        return " "; /* not observed */
    return blocks[top > 0 ? (int)fmin(7, floor(value / top * 8)) : 0];
}

static void print_sparkline(const struct pmoctl_view *view, const json_t *service, FILE *out)
{
    const json_t *recent = json_object_get(service, "recentArrivals");
    unsigned int room = view->columns > 24 ? view->columns - 20 : 4; /* margin, bar, "peak ..." */
    unsigned int future = room >= PAST_MAX + FUTURE_MAX ? FUTURE_MAX : room / 3;
    unsigned int past = room >= PAST_MAX + FUTURE_MAX ? PAST_MAX : room - future;
    double values[PAST_MAX + FUTURE_MAX], top = 0;
    char text[32];

    for (unsigned int i = 0; i < past; i++) {
        const json_t *value = json_array_get(recent, json_array_size(recent) - past + i);

        values[i] = json_is_number(value) ? json_number_value(value) : NAN;
    }
    for (unsigned int i = 0; i < future; i++)
        values[past + i] = median(view, pmoctl_text(service, "name"), i + 1);
    for (unsigned int i = 0; i < past + future; i++)
        top = fmax(top, values[i]); /* fmax() leaves NAN out */
    (void)fputs("  ", out);
    for (unsigned int i = 0; i < past + future; i++) {
        if (i == past)
            (void)fprintf(out, "│%s", ink(view, cyan));
        (void)fputs(block(values[i], top), out);
    }
    (void)fprintf(out, "%s peak %s/s\n", ink(view, reset), pmoctl_format(text, top));
}

static void print_service(const struct pmoctl_view *view, const json_t *service, FILE *out)
{
    const json_t *pause = json_object_get(service, "paused");
    const char *crash_loop = pmoctl_text(json_object_get(service, "crashLoop"), "text");
    char text[256];

    (void)fprintf(out, "%s%s%s  %s", ink(view, bold), pmoctl_text(service, "name"),
                  ink(view, reset), pmoctl_text(service, "mode"));
    if (json_is_object(pause))
        (void)fprintf(out, "  %s%s%s", ink(view, yellow), pmoctl_format_pause(text, pause),
                      ink(view, reset));
    if (*crash_loop)
        (void)fprintf(out, "  %s%s%s", ink(view, red), crash_loop, ink(view, reset));
    (void)fputc('\n', out);
    print_load(view, service, out);
    print_signals(view, service, out);
    print_forecast(view, service, out);
    print_capacity(view, service, out);
    print_sparkline(view, service, out);
    (void)fputc('\n', out);
}

/* Is there anything to see: a service of ours, or one with requests in the last minute? */
static bool is_active(const json_t *service)
{
    json_t *value;
    size_t i;

    json_array_foreach (json_object_get(service, "recentArrivals"), i, value)
        if (json_number_value(value) > 0)
            return true;
    if (flood_of(service) > 0)
        return true;
    return json_is_true(json_object_get(service, "managed"));
}

static void print_decisions(const struct pmoctl_view *view, FILE *out)
{
    json_t *decision;
    char time[32];
    size_t i;

    (void)fprintf(out, "%sDecisions%s\n", ink(view, bold), ink(view, reset));
    json_array_foreach (json_object_get(view->decisions, "decisions"), i, decision) {
        bool up = pmoctl_integer(decision, "to") > pmoctl_integer(decision, "from");

        if (i >= DECISIONS_MAX)
            break;
        (void)fprintf(out, "  %s  %s  %s%lld -> %lld%s  %s%s\n",
                      pmoctl_format_time(time, pmoctl_integer(decision, "t"), false),
                      pmoctl_text(decision, "service"), ink(view, up ? yellow : green),
                      (long long)pmoctl_integer(decision, "from"),
                      (long long)pmoctl_integer(decision, "to"), ink(view, reset),
                      json_is_true(json_object_get(decision, "carriedOut")) ? "" : "(recommended) ",
                      pmoctl_text(decision, "reason"));
    }
    if (i == 0)
        (void)fputs("  none yet\n", out);
}

void pmoctl_view_print(const struct pmoctl_view *view, FILE *out)
{
    unsigned int room = view->rows ? view->rows : UINT32_MAX;
    unsigned int fit =
        room > OTHER_LINES + SERVICE_LINES ? (room - OTHER_LINES) / SERVICE_LINES : 1;
    unsigned int shown = 0, quiet = 0, hidden = 0;
    json_t *service;
    size_t i;

    print_head(view, out);
    json_array_foreach (json_object_get(view->services, "services"), i, service) {
        if (view->service && strcmp(view->service, pmoctl_text(service, "name")) != 0)
            continue;
        if (!view->service && !is_active(service))
            quiet++;
        else if (shown == fit)
            hidden++;
        else {
            print_service(view, service, out);
            shown++;
        }
    }
    if (hidden)
        (void)fprintf(out, "%s%u more do not fit; --service S shows one of them%s\n",
                      ink(view, dim), hidden, ink(view, reset));
    if (quiet)
        (void)fprintf(out, "%s%u more without requests in the last minute%s\n", ink(view, dim),
                      quiet, ink(view, reset));
    if (hidden || quiet)
        (void)fputc('\n', out);
    print_decisions(view, out);
}
