/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pmoctl backtest: what the live forecaster (agent/forecast/forecast.h) would have said on a
 * recorded load, and how that compares with what came. The trace goes through the forecaster second
 * by second, as live: at an origin it has seen the seconds up to there and nothing else. Only the
 * scores look at what came after.
 */
#include "tools/pmoctl/pmoctl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/events/events_file.h"
#include "agent/forecast/effects.h"
#include "agent/forecast/forecast.h"
#include "agent/forecast/study.h"
#include "tools/pmoctl/doublings.h"
#include "tools/pmoctl/plot.h"
#include "tools/pmoctl/progress.h"
#include "tools/pmoctl/rules.h"
#include "tools/pmoctl/score.h"
#include "tools/pmoctl/table.h"
#include "tools/pmoctl/trace.h"

#define HORIZONS  "5,15,30,60"
#define QUANTILES "0.1,0.5,0.9,0.99"
#define STRIDE_S  60
#define DAY_S     86400
#define BEFORE_S  300 /* of the picture: what is shown before the rise, */
#define SHOWN_S   900 /* and altogether */

/* Who foresees a doubling has it below this quantile so many seconds before. */
#define FORESEEN_QUANTILE 0.9
#define FORESEEN_NORMAL   1.2815515655 /* the same of the standard normal distribution */
#define MEAN_TO_DEVIATION 1.2533141373 /* from its mean absolute error to the standard one */

enum { PMO = PMO_RULES, METHODS }; /* who forecasts: the rules, and PMO */

/* What the picture shows of a stretch of the trace: what came, and what had been said of it at the
 * longest horizon. By second, from `first` on. */
struct picture {
    size_t first, seconds; /* 0: no picture */
    double t[SHOWN_S], q10[SHOWN_S], q50[SHOWN_S], q90[SHOWN_S], q99[SHOWN_S];
};

/* Of how many doublings each one had the level below the quantile. */
struct foresight {
    size_t count, methods[METHODS], models[PMO_MODELS_MAX];
};

struct backtest {
    const struct pmoctl *ctl;
    struct pmo_trace trace;
    bool *scored; /* by second of the trace */
    size_t *origins, origins_count;
    unsigned int horizons[PMO_HORIZONS];
    size_t horizons_count;
    struct pmo_score_quantiles quantiles;
    struct pmo_score scores[PMO_HORIZONS][METHODS];
    struct pmo_model_score models[PMO_HORIZONS][PMO_MODELS_MAX]; /* at the end */
    size_t models_count;
    struct pmo_doublings doublings;
    size_t next_doubling;
    struct foresight any, recurring; /* by the clock */
    struct picture picture;
    struct pmo_happening *events; /* by start */
    size_t events_count, events_over;
};

static void backtest_free(struct backtest *b)
{
    free(b->doublings.at);
    free(b->events);
    free(b->origins);
    free(b->scored);
    pmo_trace_free(&b->trace);
}

/* ---- what is asked for ----------------------------------------------------------------------- */

/* Numbers with commas between them, rising, above @least; -EINVAL: these are not. */
static int read_list(const char *text, double least, double *values, size_t most, size_t *count)
{
    *count = 0;
    for (char *end;; text = end + 1) {
        if (*count == most || !strchr("0123456789.", *text) || !*text)
            return -EINVAL;
        values[*count] = strtod(text, &end);
        if (end == text || !(values[*count] > (*count ? values[*count - 1] : least)))
            return -EINVAL;
        ++*count;
        if (!*end)
            return 0;
        if (*end != ',')
            return -EINVAL;
    }
}

static int read_horizons(struct backtest *b)
{
    const char *text = b->ctl->horizons ? b->ctl->horizons : HORIZONS;
    double values[PMO_HORIZONS];
    int r = read_list(text, 0, values, PMO_HORIZONS, &b->horizons_count);

    for (size_t i = 0; !r && i < b->horizons_count; i++) {
        b->horizons[i] = (unsigned int)fmin(values[i], PMO_HORIZONS);
        if (b->horizons[i] != values[i])
            r = -EINVAL;
    }
    return r ? pmo_fail(EINVAL, "--horizons %s: write rising seconds from 1 to %d, as in " HORIZONS,
                        text, PMO_HORIZONS)
             : 0;
}

static int read_quantiles(struct backtest *b)
{
    const char *text = b->ctl->quantiles ? b->ctl->quantiles : QUANTILES;
    struct pmo_score_quantiles *quantiles = &b->quantiles;

    if (read_list(text, 0, quantiles->q, PMO_SCORE_QUANTILES, &quantiles->count) < 0 ||
        quantiles->q[quantiles->count - 1] >= 1)
        return pmo_fail(
            EINVAL,
            "--quantiles %s: write up to %d rising shares between 0 and 1, as in " QUANTILES, text,
            PMO_SCORE_QUANTILES);
    pmo_score_quantiles_init(quantiles);
    return 0;
}

/* One line of --origins. */
static int read_origin(struct backtest *b, size_t number, const char *line)
{
    const char *path = b->ctl->origins;
    size_t digits = strspn(line, "0123456789");
    unsigned long long t = strtoull(line, NULL, 10);

    if (!digits || line[digits + strspn(line + digits, " \r\n")])
        return pmo_fail(EINVAL, "%s:%zu: not a second of the trace; write one whole number a line",
                        path, number);
    if (t >= b->trace.seconds)
        return pmo_fail(EINVAL, "%s:%zu: second %llu is beyond %s; write up to %zu", path, number,
                        t, b->ctl->trace, b->trace.seconds - 1);
    if (b->origins_count && t <= b->origins[b->origins_count - 1])
        return pmo_fail(EINVAL, "%s:%zu: second %llu comes after second %zu; sort them, each once",
                        path, number, t, b->origins[b->origins_count - 1]);
    b->origins[b->origins_count++] = t;
    return 0;
}

static int read_origins(struct backtest *b)
{
    const char *path = b->ctl->origins;
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    _cleanup_free_ char *line = NULL;
    size_t number = 0, room = 0;

    if (!file)
        return pmo_fail(EINVAL, "%s: cannot be opened: %s; give a file of seconds, one a line",
                        path, strerror(errno));
    while (getline(&line, &room, file) > 0)
        if (read_origin(b, ++number, line) < 0)
            return -EINVAL;
    if (ferror(file))
        return pmo_err_r(errno, "cannot read %s", path);
    if (!b->origins_count)
        return pmo_fail(EINVAL,
                        "%s: there is nothing in it; write seconds of the trace, one a line", path);
    return 0;
}

/* One in each stride. */
static int make_origins(struct backtest *b)
{
    double stride_s = b->ctl->stride_s > 0 ? b->ctl->stride_s : STRIDE_S, from_s = b->ctl->from_s;
    size_t middle = b->trace.seconds / 2;

    if (stride_s != floor(stride_s) || stride_s > PMO_TRACE_SECONDS_MAX)
        return pmo_fail(EINVAL, "--stride %g: write whole seconds, as in 60s or 5m", stride_s);
    if (from_s >= (double)b->trace.seconds)
        return pmo_fail(EINVAL, "--from %.0f: %s ends after %zu s; write less", from_s,
                        b->ctl->trace, b->trace.seconds);
    if (isnan(from_s))
        from_s = middle < DAY_S ? (double)middle : DAY_S;
    for (size_t t = (size_t)from_s; t < b->trace.seconds; t += (size_t)stride_s)
        b->origins[b->origins_count++] = t;
    return 0;
}

/* The rise that is the strongest of what is forecast. */
static void choose_stretch(struct backtest *b)
{
    struct picture *picture = &b->picture;
    size_t from = b->origins[0], rise;
    size_t to = b->origins[b->origins_count - 1] + b->horizons[b->horizons_count - 1] + 1;

    if (to > b->trace.seconds)
        to = b->trace.seconds;
    rise = pmo_trace_rise(b->trace.requests + from, to - from);
    picture->first = from + (rise > BEFORE_S ? rise - BEFORE_S : 0);
    picture->seconds = to - picture->first < SHOWN_S ? to - picture->first : SHOWN_S;
    for (size_t i = 0; i < picture->seconds; i++) {
        picture->t[i] = (double)(picture->first + i);
        picture->q10[i] = picture->q50[i] = picture->q90[i] = picture->q99[i] = NAN;
    }
}

static int prepare(struct backtest *b, const struct pmoctl *ctl)
{
    int r;

    b->ctl = ctl;
    if (!ctl->trace)
        return pmo_fail(EINVAL, "which trace? write: pmoctl backtest --trace FILE");
    if (ctl->origins && (ctl->stride_s > 0 || !isnan(ctl->from_s)))
        return pmo_fail(EINVAL, "--origins says it all; leave --stride and --from out");
    r = read_horizons(b);
    if (!r)
        r = read_quantiles(b);
    if (!r)
        r = pmo_trace_keep(ctl->trace, "--out", ctl->out);
    if (!r)
        r = pmo_trace_keep(ctl->trace, "--plot", ctl->plot);
    if (!r)
        r = pmo_trace_read(&b->trace, ctl->trace);
    if (!r && ctl->events)
        r = pmo_events_file_read(ctl->events, &b->events, &b->events_count);
    if (r < 0)
        return r;
    b->scored = pmo_score_seconds(&b->trace);
    b->origins = calloc(b->trace.seconds, sizeof(*b->origins));
    if (!b->scored || !b->origins || pmo_doublings_find(&b->doublings, &b->trace, b->scored) < 0)
        return pmo_err_r(ENOMEM, "cannot hold %s", ctl->trace);
    r = ctl->origins ? read_origins(b) : make_origins(b);
    if (!r && ctl->plot)
        choose_stretch(b);
    return r;
}

/* ---- forecasting and scoring ----------------------------------------------------------------- */

/* PMO's quantile of second @t + @h, told at @t. The last recorded second may be before that. */
static double predicted(const struct pmo_forecast *forecast, size_t t, unsigned int h, double q)
{
    size_t ahead = forecast->observed ? t - (size_t)forecast->origin + h : h;

    return pmo_forecast_quantile(forecast, ahead < PMO_HORIZONS ? ahead : PMO_HORIZONS, q);
}

/* Scored is what is written, to its last digit. */
static double rounded(double value)
{
    return round(fmax(value, 0) * 1e4) / 1e4;
}

static void score_rule(struct backtest *b, const struct pmo_rules *rules, enum pmo_rule rule,
                       size_t horizon)
{
    double mean, width, value[PMO_SCORE_QUANTILES];

    pmo_rules_predict(rules, rule, b->horizons[horizon], &mean, &width);
    for (size_t i = 0; i < b->quantiles.count; i++)
        value[i] = fmax(mean + b->quantiles.z[i] * width, 0);
    pmo_score_add(&b->scores[horizon][rule], &b->quantiles, value,
                  b->trace.requests[rules->t + b->horizons[horizon]]);
}

/* All forecasts of one origin. */
static void forecast_at(struct backtest *b, const struct pmo_forecast *forecast, size_t t,
                        FILE *out)
{
    struct pmo_rules rules;

    pmo_rules_init(&rules, &b->trace, t);
    for (size_t i = 0; i < b->horizons_count; i++) {
        unsigned int h = b->horizons[i];
        double value[PMO_SCORE_QUANTILES];

        for (size_t q = 0; q < b->quantiles.count; q++) {
            value[q] = rounded(predicted(forecast, t, h, b->quantiles.q[q]));
            if (out)
                (void)fprintf(out, "%zu,%u,%.10g,%.4f\n", t, h, b->quantiles.q[q], value[q]);
        }
        if (t + h >= b->trace.seconds || !b->scored[t] || !b->scored[t + h])
            continue;
        pmo_score_add(&b->scores[i][PMO], &b->quantiles, value, b->trace.requests[t + h]);
        for (enum pmo_rule rule = 0; rule < PMO_RULES; rule++)
            score_rule(b, &rules, rule, i);
    }
}

/* Index of second @t + the longest horizon in the picture; at or beyond its seconds: not there. */
static size_t shown_at(const struct backtest *b, size_t t)
{
    return t + b->horizons[b->horizons_count - 1] - b->picture.first;
}

static void draw_at(struct backtest *b, const struct pmo_forecast *forecast, size_t t)
{
    struct picture *picture = &b->picture;
    unsigned int h = b->horizons[b->horizons_count - 1];
    size_t i = shown_at(b, t);

    picture->q10[i] = predicted(forecast, t, h, 0.1);
    picture->q50[i] = predicted(forecast, t, h, 0.5);
    picture->q90[i] = predicted(forecast, t, h, 0.9);
    picture->q99[i] = predicted(forecast, t, h, 0.99);
}

/* Tells the forecaster what is known at second @t of events around it. */
static void tell_events(struct backtest *b, struct pmo_forecaster *forecaster, int64_t t)
{
    struct pmo_effect_event events[PMO_EFFECT_EVENTS];
    size_t count = 0;

    while (b->events_over < b->events_count && b->events[b->events_over].start +
                                                       b->events[b->events_over].duration_s +
                                                       PMO_EFFECT_FADE_S <
                                                   t)
        b->events_over++;
    for (size_t i = b->events_over; i < b->events_count && count < PMO_EFFECT_EVENTS; i++) {
        const struct pmo_happening *event = &b->events[i];

        if (event->start > t + PMO_HORIZONS + PMO_EFFECT_LEAD_S)
            break;
        if (event->known > t || event->start + event->duration_s + PMO_EFFECT_FADE_S < t)
            continue;
        events[count++] = (struct pmo_effect_event){.kind = pmo_effect_kind(event->kind),
                                                    .duration_s = event->duration_s,
                                                    .start = event->start,
                                                    .strength = event->strength,
                                                    .guess_log = NAN};
    }
    pmo_forecaster_set_events(forecaster, events, count);
}

static void foresee(struct foresight *foresight, const bool methods[METHODS],
                    const bool models[PMO_MODELS_MAX])
{
    foresight->count++;
    for (size_t i = 0; i < METHODS; i++)
        foresight->methods[i] += methods[i];
    for (size_t i = 0; i < PMO_MODELS_MAX; i++)
        foresight->models[i] += models[i];
}

/* Models by themselves say only a mean: taken as normal distributions, as wide as they have been
 * wrong lately, like the rules. */
static void judge_models(const struct pmo_forecaster *forecaster, double level,
                         bool foreseen[PMO_MODELS_MAX])
{
    struct pmo_model_score models[PMO_MODELS_MAX];
    double means[PMO_MODELS_MAX];
    size_t count = pmo_forecaster_means(forecaster, PMO_DOUBLING_AHEAD_S, means);

    (void)pmo_forecaster_scores(forecaster, PMO_DOUBLING_AHEAD_S, models);
    for (size_t i = 0; i < count; i++)
        foreseen[i] = means[i] + FORESEEN_NORMAL * MEAN_TO_DEVIATION * models[i].error > level;
}

/* Who foresaw the doubling after second doubling->t, the last one that the forecaster has seen. */
static void judge_doubling(struct backtest *b, const struct pmo_forecaster *forecaster,
                           const struct pmo_forecast *forecast, const struct pmo_doubling *doubling)
{
    bool methods[METHODS], models[PMO_MODELS_MAX] = {0};
    struct pmo_rules rules;

    pmo_rules_init(&rules, &b->trace, doubling->t);
    for (enum pmo_rule rule = 0; rule < PMO_RULES; rule++) {
        double mean, width;

        pmo_rules_predict(&rules, rule, PMO_DOUBLING_AHEAD_S, &mean, &width);
        methods[rule] = mean + FORESEEN_NORMAL * width > doubling->level;
    }
    methods[PMO] =
        predicted(forecast, doubling->t, PMO_DOUBLING_AHEAD_S, FORESEEN_QUANTILE) > doubling->level;
    judge_models(forecaster, doubling->level, models);
    foresee(&b->any, methods, models);
    if (doubling->recurs)
        foresee(&b->recurring, methods, models);
}

/* The doubling that is to be foreseen at second @t; NULL: none. */
static const struct pmo_doubling *doubling_at(struct backtest *b, size_t t)
{
    const struct pmo_doublings *all = &b->doublings;

    while (b->next_doubling < all->count && all->at[b->next_doubling].t < t)
        b->next_doubling++;
    if (t < b->origins[0] || b->next_doubling == all->count || all->at[b->next_doubling].t != t)
        return NULL;
    return &all->at[b->next_doubling];
}

static void run_through(struct backtest *b, struct pmo_forecaster *forecaster,
                        struct pmo_study *study, FILE *out)
{
    size_t next = 0, last = b->origins[b->origins_count - 1];
    struct pmo_progress progress;

    pmo_progress_begin(&progress, last + 1);
    for (size_t t = 0; t <= last; t++) {
        bool origin = b->origins[next] == t, shown = shown_at(b, t) < b->picture.seconds;
        const struct pmo_doubling *doubling = doubling_at(b, t);
        double signals[PMO_LEADING_SIGNALS];
        struct pmo_forecast forecast;

        if (!isnan(b->trace.requests[t])) {
            tell_events(b, forecaster, (int64_t)t);
            pmo_trace_signals(&b->trace, t, signals);
            pmo_forecaster_set_signals(forecaster, signals);
            pmo_forecaster_observe(forecaster, (int64_t)t, b->trace.requests[t]);
            pmo_study_second(study, forecaster, (int64_t)t);
        }
        if (origin || shown || doubling)
            pmo_forecaster_predict(forecaster, &forecast);
        if (origin) {
            forecast_at(b, &forecast, t, out);
            next++;
        }
        if (doubling)
            judge_doubling(b, forecaster, &forecast, doubling);
        if (shown)
            draw_at(b, &forecast, t);
        pmo_progress_at(&progress, t + 1);
    }
    pmo_progress_end(&progress);
    for (size_t i = 0; i < b->horizons_count; i++)
        b->models_count = pmo_forecaster_scores(forecaster, b->horizons[i], b->models[i]);
}

/* Writes the forecasts, where they are asked for. */
static int run_into(struct backtest *b, struct pmo_forecaster *forecaster, struct pmo_study *study)
{
    const char *path = b->ctl->out;
    FILE *out = NULL;
    bool failed;
    int r;

    if (path) {
        out = fopen(path, "we"); /* before the work, that it is not for nothing */
        if (!out)
            return pmo_err_r(errno, "cannot write %s", path);
        (void)fputs("t,horizon,q,value\n", out);
    }
    run_through(b, forecaster, study, out);
    if (!out)
        return 0;
    failed = fflush(out) != 0 || ferror(out);
    r = errno;
    return fclose(out) != 0 || failed ? pmo_err_r(failed ? r : errno, "cannot write %s", path) : 0;
}

static int run(struct backtest *b)
{
    struct pmo_forecaster *forecaster = NULL;
    struct pmo_study *study = NULL;
    int r = pmo_forecaster_new(&forecaster);

    if (!r)
        r = pmo_study_new(&study);
    r = r < 0 ? pmo_err_r(r, "cannot forecast") : run_into(b, forecaster, study);
    pmo_forecaster_free(&forecaster);
    pmo_study_free(&study);
    return r;
}

/* ---- what is told ---------------------------------------------------------------------------- */

static const char *method_name(size_t method)
{
    return method == PMO ? "pmo" : pmo_rule_name(method);
}

/* PMO first, the rules, and the floor last. */
static const size_t order[METHODS] = {PMO, PMO_RULE_LAST, PMO_RULE_SEASONAL, PMO_RULE_MEAN,
                                      PMO_RULE_FLOOR};

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *method_json(const struct backtest *b, size_t horizon, size_t method)
{
    const struct pmo_score *score = &b->scores[horizon][method];
    json_t *below = json_array();

    for (size_t i = 0; i < b->quantiles.count; i++)
        (void)json_array_append_new(below, json_pack("{s:f, s:o}", "q", b->quantiles.q[i], "share",
                                                     number(pmo_score_below(score, i))));
    return json_pack("{s:s, s:o, s:o, s:o}", "name", method_name(method), "pinball",
                     number(pmo_score_pinball(score, &b->quantiles)), "wape",
                     number(pmo_score_wape(score, &b->quantiles)), "below", below);
}

static json_t *horizon_json(const struct backtest *b, size_t horizon)
{
    json_t *methods = json_array(), *models = json_array();
    json_t *json = json_pack("{s:i, s:I, s:o}", "horizon", (int)b->horizons[horizon], "scored",
                             (json_int_t)b->scores[horizon][PMO].count, "methods", methods);

    for (size_t i = 0; i < METHODS; i++)
        (void)json_array_append_new(methods, method_json(b, horizon, order[i]));
    for (size_t i = 0; i < b->models_count; i++) {
        const struct pmo_model_score *model = &b->models[horizon][i];

        (void)json_array_append_new(models, json_pack("{s:s, s:o, s:o}", "name", model->model,
                                                      "weight", number(model->weight), "error",
                                                      number(model->error)));
    }
    if (b->ctl->models)
        (void)json_object_set(json, "models", models);
    json_decref(models);
    return json;
}

static json_t *foresight_json(const struct backtest *b, const struct foresight *foresight)
{
    json_t *methods = json_object(), *models = json_object();
    json_t *json =
        json_pack("{s:I, s:o}", "count", (json_int_t)foresight->count, "foreseen", methods);

    for (size_t i = 0; i < METHODS; i++)
        (void)json_object_set_new(methods, method_name(order[i]),
                                  json_integer((json_int_t)foresight->methods[order[i]]));
    for (size_t i = 0; i < b->models_count; i++)
        (void)json_object_set_new(models, b->models[0][i].model,
                                  json_integer((json_int_t)foresight->models[i]));
    if (b->ctl->models)
        (void)json_object_set(json, "models", models);
    json_decref(models);
    return json;
}

static json_t *report_json(const struct backtest *b)
{
    json_t *horizons = json_array();

    for (size_t i = 0; i < b->horizons_count; i++)
        (void)json_array_append_new(horizons, horizon_json(b, i));
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o}", "seconds", (json_int_t)b->trace.seconds,
                     "origins", (json_int_t)b->origins_count, "from", (json_int_t)b->origins[0],
                     "jumps", foresight_json(b, &b->any), "recurring_jumps",
                     foresight_json(b, &b->recurring), "horizons", horizons);
}

static const char *format(char text[32], double value, double scale, int digits, const char *unit)
{
    if (!isfinite(value))
        return "-";
    (void)snprintf(text, 32, "%.*f%s", digits, value * scale, unit);
    return text;
}

static void add_method(struct libscols_table *table, const struct backtest *b, size_t horizon,
                       size_t method)
{
    const struct pmo_score *score = &b->scores[horizon][method];
    char text[5 + PMO_SCORE_QUANTILES][32];
    const char *cells[5 + PMO_SCORE_QUANTILES] = {text[0], text[1], method_name(method)};

    (void)snprintf(text[0], sizeof(text[0]), "%u s", b->horizons[horizon]);
    (void)snprintf(text[1], sizeof(text[1]), "%zu", score->count);
    cells[3] = format(text[3], pmo_score_pinball(score, &b->quantiles), 1, 4, "");
    cells[4] = format(text[4], pmo_score_wape(score, &b->quantiles), 1, 3, "");
    for (size_t i = 0; i < b->quantiles.count; i++)
        cells[5 + i] = format(text[5 + i], pmo_score_below(score, i), 100, 1, " %");
    pmoctl_table_row(table, cells);
}

static int print_scores(const struct backtest *b)
{
    char below[PMO_SCORE_QUANTILES][32];
    const char *columns[6 + PMO_SCORE_QUANTILES] = {">HORIZON", ">SCORED", "METHOD", ">PINBALL",
                                                    ">WAPE"};
    struct libscols_table *table;

    for (size_t i = 0; i < b->quantiles.count; i++) {
        (void)snprintf(below[i], sizeof(below[i]), ">BELOW %.10g", b->quantiles.q[i]);
        columns[5 + i] = below[i];
    }
    table = pmoctl_table_new(columns);
    printf("%s: %zu s, %zu origins from second %zu on\n\n", b->ctl->trace, b->trace.seconds,
           b->origins_count, b->origins[0]);
    for (size_t i = 0; table && i < b->horizons_count; i++)
        for (size_t method = 0; method < METHODS; method++)
            add_method(table, b, i, order[method]);
    return pmoctl_table_print(table);
}

static void add_foresight(struct libscols_table *table, const struct backtest *b, const char *name,
                          size_t any, size_t recurring)
{
    char of_any[32], of_recurring[32];

    pmoctl_table_row(
        table,
        (const char *[]){
            name, format(of_any, (double)any / (double)b->any.count, 100, 0, " %"),
            format(of_recurring, (double)recurring / (double)b->recurring.count, 100, 0, " %")});
}

static int print_foresight(const struct backtest *b)
{
    static const char *const columns[] = {"METHOD", ">ANY JUMP", ">BY THE CLOCK", NULL};
    struct libscols_table *table;

    if (!b->any.count)
        return EXIT_SUCCESS;
    printf("\nJumps to more than twice the level: %zu, %zu of them recur by the clock.\n"
           "The level reached was below the %g quantile of %d s before:\n\n",
           b->any.count, b->recurring.count, FORESEEN_QUANTILE, PMO_DOUBLING_AHEAD_S);
    table = pmoctl_table_new(columns);
    for (size_t i = 0; table && i < METHODS; i++)
        add_foresight(table, b, method_name(order[i]), b->any.methods[order[i]],
                      b->recurring.methods[order[i]]);
    for (size_t i = 0; table && b->ctl->models && i < b->models_count; i++) {
        char name[64];

        (void)snprintf(name, sizeof(name), "model: %s", b->models[0][i].model);
        add_foresight(table, b, name, b->any.models[i], b->recurring.models[i]);
    }
    return pmoctl_table_print(table);
}

static int print_models(const struct backtest *b)
{
    static const char *const columns[] = {">HORIZON", "MODEL", ">WEIGHT", ">ERROR", NULL};
    struct libscols_table *table = pmoctl_table_new(columns);

    puts("\nThe models at the end: weight in the forecast, mean absolute error of late\n");
    for (size_t i = 0; table && i < b->horizons_count; i++)
        for (size_t m = 0; m < b->models_count; m++) {
            const struct pmo_model_score *model = &b->models[i][m];
            char horizon[32], weight[32], error[32];

            (void)snprintf(horizon, sizeof(horizon), "%u s", b->horizons[i]);
            pmoctl_table_row(table, (const char *[]){horizon, model->model,
                                                     format(weight, model->weight, 100, 1, " %"),
                                                     format(error, model->error, 1, 3, "")});
        }
    return pmoctl_table_print(table);
}

static int report(const struct backtest *b)
{
    int status;

    if (b->ctl->json)
        return pmoctl_print_json(report_json(b));
    status = print_scores(b);
    if (status == EXIT_SUCCESS)
        status = print_foresight(b);
    return status == EXIT_SUCCESS && b->ctl->models ? print_models(b) : status;
}

/* The strongest rise, as it was forecast; and all scores by horizon. */
static int plot(const struct backtest *b)
{
    static const enum pmo_plot_colour colours[METHODS] = {
        [PMO] = PMO_PLOT_BLUE,
        [PMO_RULE_LAST] = PMO_PLOT_RED,
        [PMO_RULE_SEASONAL] = PMO_PLOT_GREEN,
        [PMO_RULE_MEAN] = PMO_PLOT_ORANGE,
        [PMO_RULE_FLOOR] = PMO_PLOT_GREY,
    };
    const struct picture *p = &b->picture;
    double most = 0, horizons[PMO_HORIZONS], pinball[METHODS][PMO_HORIZONS];
    struct pmo_plot_series losses[METHODS];
    char title[128];

    for (size_t i = 0; i < METHODS; i++) {
        for (size_t h = 0; h < b->horizons_count; h++) {
            horizons[h] = b->horizons[h];
            pinball[i][h] = pmo_score_pinball(&b->scores[h][order[i]], &b->quantiles);
        }
        losses[i] = (struct pmo_plot_series){.label = method_name(order[i]),
                                             .kind = order[i] == PMO_RULE_FLOOR ? PMO_PLOT_DOTTED
                                                                                : PMO_PLOT_LINE,
                                             .colour = colours[order[i]],
                                             .count = b->horizons_count,
                                             .x = horizons,
                                             .y = pinball[i]};
    }
    for (size_t i = 0; i < p->seconds; i++)
        most = fmax(most, fmax(p->q90[i], b->trace.requests[p->first + i]));
    (void)snprintf(title, sizeof(title), "Requests per second, and what was expected %u s before",
                   b->horizons[b->horizons_count - 1]);

    const struct pmo_plot_series rates[] = {
        {"0.1 to 0.9", PMO_PLOT_BAND, PMO_PLOT_BLUE, p->seconds, p->t, p->q90, p->q10},
        {"what came", PMO_PLOT_LINE, PMO_PLOT_GREY, p->seconds, p->t, b->trace.requests + p->first,
         NULL},
        {"0.99", PMO_PLOT_DOTTED, PMO_PLOT_BLUE, p->seconds, p->t, p->q99, NULL},
        {"median", PMO_PLOT_LINE, PMO_PLOT_BLUE, p->seconds, p->t, p->q50, NULL}};
    const struct pmo_plot_panel panels[] = {{.title = title,
                                             .x_is_time = true,
                                             .x_label = "time in the trace",
                                             .limit = 1.5 * most, /* 0.99 can be far above */
                                             .series = rates,
                                             .series_count = 4},
                                            {.title = "Pinball loss",
                                             .x_label = "seconds ahead",
                                             .series = losses,
                                             .series_count = METHODS}};

    return pmo_plot_write(b->ctl->plot, panels, b->horizons_count > 1 ? 2 : 1);
}

int pmoctl_backtest(struct pmoctl *ctl)
{
    struct backtest *b = calloc(1, sizeof(*b));
    int status = EXIT_FAILURE;

    if (!b) {
        (void)pmo_err_r(ENOMEM, "cannot begin");
        return status;
    }
    if (prepare(b, ctl) == 0 && run(b) == 0)
        status = report(b);
    if (status == EXIT_SUCCESS && ctl->plot && plot(b) < 0)
        status = EXIT_FAILURE;
    backtest_free(b);
    free(b);
    return status;
}
