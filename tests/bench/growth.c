/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a tick of forecasting (observe, predict) grows: with the number of series, which take turns,
 * so that more of them come from memory further away; and with how long a series has been going on.
 * And what memory a series takes once all horizons are under way.
 */
#include <math.h>
#include "agent/base/log.h"
#include "agent/forecast/forecast.h"
#include "tests/bench/measure.h"

#define SERIES_MAX 10000
#define WARM_UP    60 /* seconds: as many forecasts are under way as there can be */
#define SECONDS    15 /* measured */
#define DAY        86400

static struct pmo_forecaster *forecaster[SERIES_MAX];

/* Requests in second @t: a wave, and a burst every two minutes. */
static double load_at(int series, int t)
{
    double wave = 100 + 60 * sin(2 * M_PI * (t + 37 * series) / 600.0);

    return floor(wave + ((t + series) % 120 < 10 ? 150 : 0) + (t * 7 + series) % 20);
}

/* One second of all series; us each. */
static double tick(int series, int t)
{
    static struct pmo_forecast forecast;
    uint64_t start = now_ns();

    for (int s = 0; s < series; s++) {
        pmo_forecaster_observe(forecaster[s], t, load_at(s, t));
        pmo_forecaster_predict(forecaster[s], &forecast);
    }
    use(&forecast);
    return (double)(now_ns() - start) / 1e3 / series;
}

static double resident_kib(void)
{
    FILE *stream = fopen("/proc/self/statm", "r");
    long all = 0, resident = 0;

    if (stream && fscanf(stream, "%ld %ld", &all, &resident) != 2)
        resident = 0;
    if (stream)
        (void)fclose(stream);
    return (double)resident * 4;
}

static int begin(int series)
{
    int r = 0;

    for (int s = 0; !r && s < series; s++)
        r = pmo_forecaster_new(&forecaster[s]);
    return r;
}

static void end(int series)
{
    for (int s = 0; s < series; s++)
        pmo_forecaster_free(&forecaster[s]);
}

static int with_series(int series)
{
    double took[SECONDS], before = resident_kib();
    int r = begin(series);

    if (r)
        return r;
    for (int t = 0; t < WARM_UP; t++)
        (void)tick(series, t);
    for (int i = 0; i < SECONDS; i++)
        took[i] = tick(series, WARM_UP + i);
    (void)printf("series_%d %.1f\n", series, quantile(took, SECONDS, 0.5));
    if (series == SERIES_MAX) {
        (void)printf("all_s %.2f\n", quantile(took, SECONDS, 0.5) * series / 1e6);
        (void)printf("young_kib %.1f\n", (resident_kib() - before) / series);
    }
    end(series);
    return 0;
}

static int with_history(void)
{
    static const struct {
        const char *name;
        int seconds;
    } histories[] = {{"1h", 3600}, {"1d", DAY}, {"7d", 7 * DAY}};
    static double took[300];
    const int count = sizeof(took) / sizeof(*took);
    int r = begin(1), t = 0;

    for (size_t i = 0; !r && i < sizeof(histories) / sizeof(*histories); i++) {
        for (; t < histories[i].seconds - count; t++)
            pmo_forecaster_observe(forecaster[0], t, load_at(0, t));
        for (int k = 0; k < count; k++)
            took[k] = tick(1, t++);
        (void)printf("history_%s %.1f\n", histories[i].name, quantile(took, count, 0.5));
    }
    end(1);
    return r;
}

int main(void)
{
    int r = 0;

    for (int series = 1; !r && series <= SERIES_MAX; series *= series == 1 ? 100 : 10)
        r = with_series(series);
    if (!r)
        r = with_history();
    return r ? -pmo_err_r(r, "cannot measure") : 0;
}
