/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pmoctl forecast: the next minute as numbers and as a chart, and how forecasts did. */
#include "tools/pmoctl/pmoctl.h"

#include <langinfo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "tools/pmoctl/chart.h"
#include "tools/pmoctl/table.h"

#define SECONDS         60
#define CHART_ROWS      8
#define COLUMNS_DEFAULT 80

static unsigned int terminal_columns(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col)
        return COLUMNS_DEFAULT;
    return size.ws_col;
}

/* Column of a quantile in the rows of values; none: one past the last. */
static size_t column_of(const json_t *quantiles, double quantile)
{
    size_t i = 0;

    while (i < json_array_size(quantiles) &&
           fabs(json_number_value(json_array_get(quantiles, i)) - quantile) > 1e-6)
        i++;
    return i;
}

static double number_at(const json_t *numbers, size_t i)
{
    const json_t *value = json_array_get(numbers, i);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void print_chart(const json_t *forecast, const json_t *quantiles)
{
    const json_t *values = json_object_get(forecast, "values");
    const json_t *recent = json_object_get(forecast, "recentArrivals");
    size_t middle = column_of(quantiles, 0.5), upper = column_of(quantiles, 0.9);
    double past[SECONDS], median[SECONDS], high[SECONDS];
    const struct pmoctl_chart chart = {
        .past = past,
        .past_count = SECONDS,
        .median = median,
        .high = high,
        .future_count = SECONDS,
        .columns = terminal_columns(),
        .rows = CHART_ROWS,
        .unicode = !strcmp(nl_langinfo(CODESET), "UTF-8"),
    };

    for (size_t i = 0; i < SECONDS; i++) {
        const json_t *row = json_array_get(values, i);

        past[i] = number_at(recent, i);
        median[i] = number_at(row, middle);
        high[i] = number_at(row, upper);
    }
    pmoctl_chart_print(&chart, stdout);
}

static int print_values(const json_t *forecast, const json_t *quantiles)
{
    static const int horizons[] = {1, 5, 10, 15, 30, 45, 60};
    static const double shown[] = {0.1, 0.5, 0.9, 0.99};
    static const char *const columns[] = {">IN", ">0.1", ">0.5", ">0.9", ">0.99", NULL};
    const json_t *values = json_object_get(forecast, "values");
    struct libscols_table *table = pmoctl_table_new(columns);

    for (size_t h = 0; h < sizeof(horizons) / sizeof(horizons[0]); h++) {
        const json_t *row = json_array_get(values, horizons[h] - 1);
        char in[32], texts[4][32];
        const char *cells[5] = {in};

        (void)snprintf(in, sizeof(in), "%d s", horizons[h]);
        for (size_t q = 0; q < 4; q++)
            cells[q + 1] = pmoctl_format(texts[q], number_at(row, column_of(quantiles, shown[q])));
        pmoctl_table_row(table, cells);
    }
    return pmoctl_table_print(table);
}

static const char *format_share(char text[32], const json_t *held)
{
    double share = pmoctl_number(held, "share");

    if (!isfinite(share))
        return "-";
    (void)snprintf(text, 32, "%.1f%%", share * 100);
    return text;
}

/* All together in rows of their own, and below each the models. */
static int print_scores(const json_t *forecast)
{
    static const char *const columns[] = {">IN",      "MODEL",     ">WEIGHT",    ">MEAN ERROR",
                                          ">PINBALL", ">HELD 0.9", ">HELD 0.99", NULL};
    struct libscols_table *table = pmoctl_table_new(columns);
    json_t *score, *model;
    size_t i, k;

    json_array_foreach (json_object_get(forecast, "scores"), i, score) {
        const json_t *held = json_object_get(score, "held");
        json_int_t horizon = pmoctl_integer(score, "horizonS");
        char in[32], error[32], pinball[32], weight[32], shares[2][32];

        (void)snprintf(in, sizeof(in), "%lld s", (long long)horizon);
        pmoctl_table_row(table,
                         (const char *[]){in, "all together", "",
                                          pmoctl_format(error, pmoctl_number(score, "error")),
                                          pmoctl_format(pinball, pmoctl_number(score, "pinball")),
                                          format_share(shares[0], json_array_get(held, 0)),
                                          format_share(shares[1], json_array_get(held, 1))});
        json_array_foreach (json_object_get(forecast, "models"), k, model) {
            if (pmoctl_integer(model, "horizonS") != horizon)
                continue;
            (void)snprintf(weight, sizeof(weight), "%.2f", pmoctl_number(model, "weight"));
            pmoctl_table_row(table,
                             (const char *[]){in, pmoctl_text(model, "model"), weight,
                                              pmoctl_format(error, pmoctl_number(model, "error")),
                                              "", "", ""});
        }
    }
    return pmoctl_table_print(table);
}

/* Each with its share, and medians and 0.9 quantiles at a near and a far horizon. */
static int print_types(const json_t *forecast, const json_t *quantiles)
{
    static const char *const columns[] = {">SHARE",       ">0.5 IN 5 S",  ">0.9 IN 5 S",
                                          ">0.5 IN 30 S", ">0.9 IN 30 S", "PROTOCOL",
                                          "METHOD",       "ROUTE",        NULL};
    static const double shown[] = {0.5, 0.9};
    static const json_int_t horizons[] = {5, 30};
    struct libscols_table *table = pmoctl_table_new(columns);
    json_t *type, *row;
    size_t i, k;

    json_array_foreach (json_object_get(forecast, "types"), i, type) {
        char share[32], texts[4][32];
        const char *cells[4] = {"-", "-", "-", "-"};

        (void)snprintf(share, sizeof(share), "%.1f%%", pmoctl_number(type, "share") * 100);
        json_array_foreach (json_object_get(type, "forecast"), k, row)
            for (size_t n = 0; n < 4; n++)
                if (pmoctl_integer(row, "horizonS") == horizons[n / 2])
                    cells[n] =
                        pmoctl_format(texts[n], number_at(json_object_get(row, "values"),
                                                          column_of(quantiles, shown[n % 2])));
        pmoctl_table_row(table,
                         (const char *[]){share, cells[0], cells[1], cells[2], cells[3],
                                          pmoctl_text(type, "protocol"),
                                          pmoctl_text(type, "method"), pmoctl_text(type, "route")});
    }
    return pmoctl_table_print(table);
}

static int print_forecast(const struct pmoctl *ctl, const json_t *forecast, const json_t *quantiles)
{
    char time[32];

    printf("%s: after %s, learned from %lld s, trust %.2f, drift: %s; requests per second:\n",
           pmoctl_text(forecast, "service"),
           pmoctl_format_time(time, pmoctl_integer(forecast, "origin"), true),
           (long long)pmoctl_integer(forecast, "observed"), pmoctl_number(forecast, "trust"),
           pmoctl_text(json_object_get(forecast, "drift"), "text"));
    if (ctl->scores)
        return print_scores(forecast);
    if (ctl->types)
        return print_types(forecast, quantiles);
    print_chart(forecast, quantiles);
    return print_values(forecast, quantiles);
}

int pmoctl_forecast(struct pmoctl *ctl)
{
    json_t *answer, *forecast;
    int status = EXIT_SUCCESS;
    size_t i;

    if (ctl->types && !ctl->service)
        return -pmo_fail(1, "which service? write: pmoctl forecast --types --service S");
    answer = pmoctl_logged(ctl, pmoctl_get(ctl, "/v1/forecast", "service", ctl->service, "types",
                                           ctl->types ? "1" : NULL, NULL));
    if (!answer)
        return EXIT_FAILURE;
    if (ctl->json)
        return pmoctl_print_json(answer);
    json_array_foreach (json_object_get(answer, "forecasts"), i, forecast) {
        if (i)
            (void)putchar('\n');
        status |= print_forecast(ctl, forecast, json_object_get(answer, "quantiles"));
    }
    json_decref(answer);
    return status;
}
