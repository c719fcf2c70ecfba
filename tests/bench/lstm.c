/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the network costs: a step and a forecast for each of SERIES series that take turns, as they
 * do in an agent; a new network's first look at a series; and training, a slice at a time.
 */
#include <math.h>
#include "agent/base/log.h"
#include "agent/forecast/lstm_train.h"
#include "tests/bench/measure.h"

#define SERIES  200
#define WARM_UP 3700 /* seconds before the measurement: there is an hour ago */
#define SECONDS 300  /* measured */
#define SLICES  600

static struct pmo_recent recent[SERIES];
static struct pmo_lstm_state state[SERIES];

/* Requests in second @t: a wave, a burst every two minutes. */
static float load_at(int series, int t)
{
    double wave = 100 + 60 * sin(2 * M_PI * (t + 37 * series) / 600.0);

    return (float)floor(wave + ((t + series) % 120 < 10 ? 150 : 0));
}

static double time_forecasts(const struct pmo_lstm *net, int t)
{
    uint64_t start;

    for (int s = 0; s < SERIES; s++)
        pmo_recent_append(&recent[s], t, load_at(s, t));
    start = now_ns();
    for (int s = 0; s < SERIES; s++) {
        struct pmo_lstm_second second;
        float mean[PMO_HORIZONS];

        pmo_lstm_second_from(&recent[s], &second);
        pmo_lstm_observe(net, &state[s], &second);
        pmo_lstm_predict(net, &state[s], mean);
        use(mean);
    }
    return (double)(now_ns() - start) / 1e3 / SERIES;
}

static double time_warming(const struct pmo_lstm *net)
{
    uint64_t start = now_ns();

    for (int s = 0; s < SERIES; s++)
        pmo_lstm_warm(net, &state[s], &recent[s], NULL);
    return (double)(now_ns() - start) / 1e3 / SERIES;
}

int main(void)
{
    static double forecasts[SECONDS], slices[SLICES];
    static float day[86400];
    struct pmo_lstm_trainer *trainer = NULL;
    struct pmo_lstm net;
    int r = pmo_lstm_trainer_new(&trainer, 1, PMO_LSTM_MEMORY);

    if (r)
        return -pmo_err_r(r, "cannot begin");
    for (int s = 0; s < 10; s++) {
        struct pmo_lstm_past past = {.count = sizeof(day) / sizeof(*day), .value = day};

        for (size_t t = 0; t < past.count; t++)
            day[t] = load_at(s, (int)t);
        (void)pmo_lstm_trainer_add(trainer, &past);
    }
    for (int i = 0; i < SLICES; i++) {
        uint64_t start = now_ns();

        (void)pmo_lstm_train_slice(trainer);
        slices[i] = (double)(now_ns() - start) / 1e6;
    }
    net = pmo_lstm_trainer_training(trainer)->net;
    for (int t = 0; t < WARM_UP; t++)
        (void)time_forecasts(&net, t);
    for (int i = 0; i < SECONDS; i++)
        forecasts[i] = time_forecasts(&net, WARM_UP + i);
    (void)printf("step_p50 %.2f\n", quantile(forecasts, SECONDS, 0.5));
    (void)printf("step_p99 %.2f\n", quantile(forecasts, SECONDS, 0.99));
    (void)printf("warming %.0f\n", time_warming(&net));
    (void)printf("slice_p50 %.1f\n", quantile(slices, SLICES, 0.5));
    (void)printf("slice_p99 %.1f\n", quantile(slices, SLICES, 0.99));
    (void)printf("state_bytes %zu\n", sizeof(struct pmo_lstm_state));
    (void)printf("weights_kib %.1f\n", sizeof(struct pmo_lstm) / 1024.0);
    pmo_lstm_trainer_free(&trainer);
    return 0;
}
