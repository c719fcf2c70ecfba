/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/study.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "agent/forecast/decomposition.h"
#include "agent/forecast/leading.h"
#include "agent/forecast/lstm_train.h"
#include "agent/forecast/lstm_window.h"

#define EVERY_SECONDS 3600
#define SLICES        20
#define SEED          1
#define FIT_EVERY     86400
#define FIT_MINUTES   (28 * 1440) /* of the past that are fitted to */

struct pmo_study {
    struct pmo_lstm_trainer *trainer;
    struct pmo_lstm net[2]; /* the one in use, and the next */
    unsigned int in_use;
    int64_t trained; /* second of the last time; INT64_MIN: before the first one */
    int64_t since;   /* second from which nothing was trained on yet */
    float seconds[PMO_RECENT_SECONDS];
    float logs[PMO_LSTM_LEADING][PMO_RECENT_SECONDS];    /* of signals, by slot, */
    float leading[PMO_LSTM_LEADING][PMO_RECENT_SECONDS]; /* and in the order of `seconds` */
    int64_t fitted;
    size_t minutes; /* in `minute`, the last one not over */
    struct pmo_minute minute[FIT_MINUTES];
};

int pmo_study_new(struct pmo_study **study)
{
    struct pmo_study *made = calloc(1, sizeof(*made));

    if (!made)
        return -ENOMEM;
    if (pmo_lstm_trainer_new(&made->trainer, SEED, PMO_LSTM_MEMORY)) {
        free(made);
        return -ENOMEM;
    }
    made->trained = made->since = INT64_MIN;
    *study = made;
    return 0;
}

void pmo_study_free(struct pmo_study **study)
{
    if (!*study)
        return;
    pmo_lstm_trainer_free(&(*study)->trainer);
    free(*study);
    *study = NULL;
}

static void train(struct pmo_study *study, struct pmo_forecaster *forecaster)
{
    const struct pmo_recent *recent = pmo_forecaster_recent(forecaster);
    struct pmo_lstm_past past = {.start = recent->last - PMO_RECENT_SECONDS + 1,
                                 .count = PMO_RECENT_SECONDS,
                                 .since = study->since,
                                 .value = study->seconds};
    bool changed = false;

    for (size_t i = 0; i < PMO_RECENT_SECONDS; i++) {
        int64_t t = past.start + (int64_t)i;

        study->seconds[i] = pmo_recent_at(recent, t);
        for (size_t k = 0; k < PMO_LSTM_LEADING; k++)
            study->leading[k][i] = study->logs[k][pmo_recent_slot(t)];
    }
    for (size_t k = 0; k < PMO_LSTM_LEADING; k++)
        past.leading[k] = study->leading[k];
    if (past.since < past.start)
        past.since = past.start;
    study->since = pmo_lstm_trainer_add(study->trainer, &past);
    for (int i = 0; i < SLICES; i++)
        changed |= pmo_lstm_train_slice(study->trainer) == PMO_LSTM_CHANGED;
    if (!changed)
        return;
    study->in_use = !study->in_use;
    study->net[study->in_use] = pmo_lstm_trainer_training(study->trainer)->net;
    pmo_forecaster_set_lstm(forecaster, &study->net[study->in_use]);
}

static void note_signals(struct pmo_study *study, const struct pmo_forecaster *forecaster,
                         int64_t t)
{
    const struct pmo_leading *leading = pmo_forecaster_leading(forecaster);
    float logs[PMO_LSTM_LEADING] = {0};

    if (leading)
        pmo_leading_logs(leading, t, logs);
    for (size_t k = 0; k < PMO_LSTM_LEADING; k++)
        study->logs[k][pmo_recent_slot(t)] = logs[k];
}

static void note_minute(struct pmo_study *study, int64_t t, float y)
{
    struct pmo_minute *minute = &study->minute[study->minutes - !!study->minutes];

    if (!study->minutes || t >= minute->t + 60) {
        if (study->minutes == FIT_MINUTES) {
            study->minutes -= FIT_MINUTES / 4;
            memmove(study->minute, study->minute + FIT_MINUTES / 4,
                    study->minutes * sizeof(*study->minute));
        }
        minute = &study->minute[study->minutes++];
        *minute = (struct pmo_minute){.t = t - (t % 60 + 60) % 60, .seconds = 60};
    }
    minute->observed++;
    minute->rps += (y - minute->rps) / (float)minute->observed;
}

static void fit(struct pmo_study *study, struct pmo_forecaster *forecaster)
{
    const struct pmo_minutes history = {.at = study->minute, .count = study->minutes - 1};
    struct pmo_decomposition made;

    if (!pmo_decomposition_fit(&made, &history)) /* else there is too little yet */
        pmo_forecaster_set_decomposition(forecaster, &made);
}

void pmo_study_second(struct pmo_study *study, struct pmo_forecaster *forecaster, int64_t t)
{
    if (study->trained == INT64_MIN)
        study->trained = study->fitted = study->since = t;
    note_signals(study, forecaster, t);
    note_minute(study, t, pmo_recent_at(pmo_forecaster_recent(forecaster), t));
    if (t - study->fitted >= pmo_forecaster_study_after(forecaster, FIT_EVERY)) {
        study->fitted = t;
        fit(study, forecaster);
    }
    if (t - study->trained < pmo_forecaster_study_after(forecaster, EVERY_SECONDS))
        return;
    study->trained = t;
    train(study, forecaster);
}
