/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the services' series and their forecasters: one begins with what the history knows of its
 * service, is told of events, of what comes before load, and of the newest network each second,
 * and gives its past to the thread that trains that.
 */
#include "agent/core.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include "agent/base/log.h"
#include "agent/forecast/decomposition.h"
#include "agent/forecast/effects.h"
#include "agent/forecast/leading.h"
#include "agent/forecast/lstm_train.h"
#include "agent/forecast/recent.h"

/* Seconds of history that all forecasters together go through when they begin, a second or two's
 * work. */
#define REPLAY_SECONDS 86400
#define REPLAY_MIN     1800 /* of each */

static void on_decomposed(void *context, const char *service, const struct pmo_decomposition *fit)
{
    struct pmo_core *core = context;
    struct pmo_service *s = pmo_agent_service(&core->agent, service);

    if (s && s->forecaster)
        pmo_forecaster_set_decomposition(s->forecaster, fit);
}

int pmo_forecasts_start(struct pmo_core *core, const char *state_dir, double cpu_share)
{
    char path[512];
    const struct pmo_trainer_options options = {
        .path = path, .cpu_share = cpu_share, .memory_bytes = PMO_LSTM_MEMORY, .seed = 1};
    int r;

    r = pmo_decomposer_new(&core->decomposer, core->loop, state_dir, on_decomposed, core);
    if (r || !(cpu_share > 0))
        return r;
    if (snprintf(path, sizeof(path), "%s/lstm", state_dir) >= (int)sizeof(path))
        return pmo_err_r(ENAMETOOLONG, "%s", state_dir);
    r = pmo_trainer_new(&core->trainer, &options);
    return r ? r : pmo_trainer_start(core->trainer);
}

static int replay(void *context, int64_t t, uint32_t seconds, double arrivals)
{
    if (seconds == 1) /* rolled-up rows are too coarse */
        pmo_forecaster_observe(context, t, arrivals);
    return 0;
}

int pmo_forecasts_begin(struct pmo_core *core, struct pmo_service *service, int64_t t)
{
    int64_t services = 1, seconds;
    int r = pmo_forecaster_new(&service->forecaster);

    if (r)
        return r;
    for (const struct pmo_service *s = core->agent.services; s; s = s->next)
        services++;
    seconds = REPLAY_SECONDS / services;
    if (seconds < REPLAY_MIN)
        seconds = REPLAY_MIN;
    (void)pmo_history_arrivals(core->agent.history, service->name, t - seconds, replay,
                               service->forecaster);
    service->trained_since = t - seconds;
    return 0;
}

/* A flood is no sign of demand. */
static double syns(const struct pmo_service *service, int64_t t, double syns)
{
    const struct pmo_attempts attempts = pmo_attempts_in(&service->attempts, t);

    return attempts.total.syns && pmo_attempts_flood(&attempts) == 0 ? syns : NAN;
}

/* Requests in flight are always known, but by themselves say only how long they take. */
static void tell_signals(struct pmo_service *service, int64_t t,
                         const struct pmo_service_second *second)
{
    const struct pmo_queues *queues = &service->signals.queues;
    double signal[PMO_LEADING_SIGNALS] = {
        [PMO_LEADING_UPSTREAM] = service->upstream_rps,
        [PMO_LEADING_SYNS] = syns(service, t, second->syns),
        [PMO_LEADING_ACCEPT_QUEUE] = service->signals.t != t ? NAN
                                     : queues->window        ? queues->accept_queue
                                                             : 0,
        [PMO_LEADING_IN_FLIGHT] = second->in_flight,
    };

    service->led = service->led || !isnan(signal[PMO_LEADING_UPSTREAM]) ||
                   !isnan(signal[PMO_LEADING_SYNS]) || signal[PMO_LEADING_ACCEPT_QUEUE] > 0;
    if (service->led)
        pmo_forecaster_set_signals(service->forecaster, signal);
}

void pmo_forecasts_observe(struct pmo_core *core, struct pmo_service *service, int64_t t,
                           const struct pmo_service_second *second)
{
    struct pmo_effect_event events[PMO_EFFECT_EVENTS];
    size_t count = pmo_agent_events(&core->agent, service->name, t, t, t + PMO_HORIZONS, events,
                                    PMO_EFFECT_EVENTS);

    pmo_forecaster_set_events(service->forecaster, events, count);
    tell_signals(service, t, second);
    pmo_forecaster_observe(service->forecaster, t, second->arrivals);
}

/* Signals are kept for shorter than requests; offers come more often than that. */
static void offer_signals(struct pmo_core *core, const struct pmo_leading *leading,
                          struct pmo_lstm_past *past)
{
    for (size_t i = 0; i < past->count; i++) {
        float logs[PMO_LSTM_LEADING];

        pmo_leading_logs(leading, past->start + (int64_t)i, logs);
        for (size_t k = 0; k < PMO_LSTM_LEADING; k++)
            core->past_leading[k][i] = logs[k];
    }
    for (size_t k = 0; k < PMO_LSTM_LEADING; k++)
        past->leading[k] = core->past_leading[k];
}

static void offer(struct pmo_core *core, struct pmo_service *service)
{
    const struct pmo_recent *recent = pmo_forecaster_recent(service->forecaster);
    struct pmo_lstm_past past = {.start = recent->last - PMO_RECENT_SECONDS + 1,
                                 .count = PMO_RECENT_SECONDS,
                                 .since = service->trained_since,
                                 .value = core->past};

    if (recent->last + 1 - service->trained_since < PMO_LSTM_WINDOW)
        return;
    for (size_t i = 0; i < PMO_RECENT_SECONDS; i++)
        core->past[i] = pmo_recent_at(recent, past.start + (int64_t)i);
    if (pmo_forecaster_leading(service->forecaster))
        offer_signals(core, pmo_forecaster_leading(service->forecaster), &past);
    if (past.since < past.start)
        past.since = past.start;
    service->trained_since = pmo_trainer_offer(core->trainer, &past);
}

void pmo_forecasts_train(struct pmo_core *core)
{
    const struct pmo_lstm *net = NULL;

    if (core->trainer)
        net = pmo_trainer_net(core->trainer); /* the one before is not to be used from now on */
    for (struct pmo_service *s = core->agent.services; s; s = s->next) {
        if (!s->forecaster)
            continue;
        pmo_forecaster_set_lstm(s->forecaster, net);
        if (core->trainer)
            offer(core, s);
        if (core->agent.now - s->decomposed >=
                pmo_forecaster_study_after(s->forecaster, PMO_DECOMPOSER_EVERY) &&
            pmo_decomposer_begin(core->decomposer, s->name, core->agent.now))
            s->decomposed = core->agent.now;
    }
}
