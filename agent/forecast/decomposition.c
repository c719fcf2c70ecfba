/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The regression of decomposition.h, and a forecast model that reads it.
 *
 * Trend: a line whose slope may change at points that are spread over the first four fifths of the
 * history, at least a day apart. Each change has a Laplace prior, so most are next to nothing.
 * Seasons: Fourier series, of which an hour of long ago gets the mean over the hour (each wave
 * times sin(x) / x). Occasions: indicators. Other terms have wide normal priors (a ridge).
 *
 * The maximum of the posterior is found by least squares that is iteratively reweighted, which is
 * all one loop: a residual counts less the further out it is (Huber 1964), and the Laplace prior is
 * a ridge that is anew 1 / |change| (a majorisation, Hunter and Li 2005). The normal equations are
 * summed up block by block; LAPACK solves them. Neighbouring minutes have common noise and tell
 * less than as many independent ones would: priors count as much more as their autocorrelation
 * says. Older minutes count less, so that new habits are learned in weeks.
 *
 * Times are UTC. When daylight saving time begins or ends, people's days shift by an hour, and the
 * day's season is late or early until it is fitted to more days after than before the change. The
 * forecast model hardly minds: the level is that of the last minute, and only how the rate changes
 * within a minute is read from here. (Local time would do the same to what comes from elsewhere.)
 */
#include "agent/forecast/decomposition.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cblas.h>
#include <lapacke.h>
#include "agent/base/cleanup.h"
#include "agent/base/library.h"
#include "agent/forecast/model.h"

#define TERMS PMO_DECOMPOSITION_TERMS
#define HOUR  3600
#define DAY   (24 * HOUR)

static const struct season {
    unsigned int period, waves; /* seconds; waves of period / 1, / 2, .. */
    unsigned int but;           /* not those of which a shorter season has all: multiples of this */
    int64_t needs;              /* seconds of history */
} seasons[] = {
    {DAY, 12, 0, 2LL * DAY},
    {7 * DAY, 13, 7, 14LL * DAY},
    {HOUR, 12, 0, DAY},
    {31556952, 5, 0, 366LL * DAY},
};
#define SEASONS (sizeof(seasons) / sizeof(*seasons))
_Static_assert(2 * (12 + 12 + 12 + 5) == PMO_DECOMPOSITION_SEASONAL, "room for all seasons");

#define LEAST        DAY
#define CHANGES_TILL 0.8  /* of the history */
#define OFFSET       0.05 /* of the usual rate: what is less is hardly seen on the log scale */
#define HALF_LIFE    (28.0 * DAY)

/* Priors, on the log scale; time runs from 0 to 1 over the history. */
#define CHANGE_SCALE 0.05 /* Taylor and Letham's default */
#define LINE_SCALE   10.0
#define SEASON_SCALE 1.0
#define LEAST_CHANGE 1e-4 /* smaller ones are as good as nothing */

#define ROUNDS      6      /* at most: */
#define SETTLED     1e-3   /* greatest change of a term that ends them, log scale */
#define BLOCK       128    /* rows that are summed up at once */
#define HUBER       1.5    /* robust standard deviations that count in full */
#define MAD         1.4826 /* standard deviation of a normal distribution in median deviations */
#define LEAST_NOISE 1e-3   /* log scale: a thousandth */
#define CORRELATION 0.97   /* of neighbours, at most */

/* Loaded for the first fit: with what they are linked with, they take more than a megabyte. */
static struct {
    typeof(cblas_dsyrk) *dsyrk;
    typeof(cblas_dgemv) *dgemv;
    typeof(cblas_ddot) *ddot;
} blas;
static typeof(LAPACKE_dposv) *dposv;

static int load(void)
{
    static const struct pmo_function of_blas[] = {{"cblas_dsyrk", &blas.dsyrk},
                                                  {"cblas_dgemv", &blas.dgemv},
                                                  {"cblas_ddot", &blas.ddot}},
                                     of_lapack = {"LAPACKE_dposv", &dposv};
    int r = pmo_library_load("libblas.so.3", of_blas, sizeof(of_blas) / sizeof(*of_blas));

    return r ? r : pmo_library_load("liblapacke.so.3", &of_lapack, 1);
}

/* ---- regressors ------------------------------------------------------------------------------ */

/* Cosine and sine of an angle's multiples, by turning on: two calls of libm instead of twelve. */
struct turn {
    double c1, s1; /* of the angle */
    double c, s;   /* of the multiple at hand */
};

static struct turn turn_of(double angle)
{
    return (struct turn){.c1 = cos(angle), .s1 = sin(angle), .c = 1};
}

static void turn_on(struct turn *turn)
{
    double c = turn->c * turn->c1 - turn->s * turn->s1;

    turn->s = turn->s * turn->c1 + turn->c * turn->s1;
    turn->c = c;
}

/* Waves of a season, as means over @length seconds around @middle. */
static size_t waves_at(const struct season *season, double middle, double length, double *x)
{
    double half = M_PI * length / season->period;
    struct turn within = turn_of(half);
    struct turn wave = turn_of(2 * M_PI * fmod(middle, season->period) / season->period);
    size_t n = 0;

    for (unsigned int k = 1; k <= season->waves; k++) {
        double left;

        turn_on(&wave);
        turn_on(&within);
        if (season->but && k % season->but == 0)
            continue;
        left = within.s / (k * half);
        x[n++] = left * wave.c;
        x[n++] = left * wave.s;
    }
    return n;
}

static double share_within(const struct pmo_occasion *occasion, double from, double length)
{
    double begin = fmax(from, (double)occasion->from);
    double end = fmin(from + length, (double)occasion->until);

    return end > begin ? (end - begin) / length : 0;
}

/* All terms for the mean over @length seconds around @middle; returns how many. */
static size_t terms_at(const struct pmo_decomposition *fit, const struct pmo_occasion *occasions,
                       size_t occasions_count, double middle, double length, double x[TERMS])
{
    double whole = (double)(fit->until - fit->from), step = CHANGES_TILL / (fit->changes + 1);
    double time = (middle - (double)fit->from) / whole;
    size_t n = 0;

    /* a fit that is not renewed does not run away */
    time = fmin(fmax(time, 0), 1 + fmin(step, DAY / whole));
    x[n++] = 1;
    x[n++] = time;
    for (uint32_t j = 1; j <= fit->changes; j++)
        x[n++] = fmax(time - j * step, 0);
    for (size_t i = 0; i < SEASONS; i++)
        if (fit->seasons & 1U << i)
            n += waves_at(&seasons[i], middle, length, x + n);
    for (uint32_t kind = 0; kind < fit->kinds; kind++)
        x[n + kind] = 0;
    for (size_t i = 0; i < occasions_count; i++)
        x[n + occasions[i].kind] += share_within(&occasions[i], middle - length / 2, length);
    return n + fit->kinds;
}

static double expected(const struct pmo_decomposition *fit, double middle, double length)
{
    double x[TERMS], sum = 0;
    size_t n = terms_at(fit, fit->occasions, fit->occasions_count, middle, length, x);

    for (size_t i = 0; i < n; i++)
        sum += fit->weight[i] * x[i];
    return fmax(fit->smear * exp(sum) - fit->offset, 0);
}

double pmo_decomposition_at(const struct pmo_decomposition *fit, int64_t t)
{
    return expected(fit, (double)t + 0.5, 1);
}

/* ---- fitting --------------------------------------------------------------------------------- */

struct fitting {
    struct pmo_decomposition fit;
    const struct pmo_minutes *history;
    size_t terms;
    double weight[TERMS];
    double noise;   /* robust standard deviation of the residuals */
    double inflate; /* minutes that tell as much as one that is independent */
    double normal[TERMS * TERMS], right[TERMS];
    double block[BLOCK * TERMS], target[BLOCK];
    double *residual; /* of each minute; NAN: it is left out */
    double *sorted;
};

static double counts(const struct fitting *fitting, const struct pmo_minute *minute)
{
    double age = (double)(fitting->fit.until - minute->t);

    return minute->observed / 60.0 * exp2(-age / HALF_LIFE);
}

static size_t minute_terms(const struct fitting *fitting, const struct pmo_minute *minute,
                           double x[TERMS])
{
    return terms_at(&fitting->fit, fitting->history->occasions, fitting->history->occasions_count,
                    (double)minute->t + minute->seconds / 2.0, minute->seconds, x);
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Sorts. */
static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), by_size);
    return values[count / 2];
}

/* What the history is like, before anything is fitted. */
static int survey(struct fitting *fitting)
{
    const struct pmo_minutes *history = fitting->history;
    struct pmo_decomposition *fit = &fitting->fit;
    double observed = 0, requests = 0, usual, days;
    int64_t last = INT64_MIN;
    size_t known = 0;

    for (size_t i = 0; i < history->count; i++) {
        const struct pmo_minute *minute = &history->at[i];

        if (minute->t <= last || !minute->seconds || minute->rps < 0)
            return -EINVAL;
        last = minute->t;
        fitting->residual[i] = NAN;
        if (!isfinite(minute->rps) || !minute->observed)
            continue;
        fitting->residual[i] = 0;
        if (observed == 0)
            fit->from = minute->t;
        fit->until = minute->t + minute->seconds;
        observed += minute->observed;
        requests += (double)minute->rps * minute->observed;
        fitting->sorted[known++] = minute->rps;
    }
    if (observed < LEAST || requests <= 0)
        return -ENODATA;
    usual = median(fitting->sorted, known);
    fit->offset = (float)(OFFSET * (usual > 0 ? usual : requests / observed));
    days = CHANGES_TILL * (double)(fit->until - fit->from) / DAY - 1;
    fit->changes = (uint32_t)fmin(fmax(days, 0), PMO_DECOMPOSITION_CHANGES);
    for (size_t i = 0; i < SEASONS; i++)
        if (fit->until - fit->from >= seasons[i].needs)
            fit->seasons |= 1U << i;
    for (size_t i = 0; i < history->occasions_count; i++) {
        if (history->occasions[i].kind >= PMO_DECOMPOSITION_KINDS)
            return -EINVAL;
        if (history->occasions[i].kind >= fit->kinds)
            fit->kinds = history->occasions[i].kind + 1;
    }
    return 0;
}

static void sum_up(struct fitting *fitting, size_t rows)
{
    const int n = (int)fitting->terms;

    blas.dsyrk(CblasRowMajor, CblasUpper, CblasTrans, n, (int)rows, 1, fitting->block, n, 1,
               fitting->normal, n);
    blas.dgemv(CblasRowMajor, CblasTrans, (int)rows, n, 1, fitting->block, n, fitting->target, 1, 1,
               fitting->right, 1);
}

/* The normal equations of the minutes, weighted by how far out each was in the last round. */
static void equations(struct fitting *fitting)
{
    const struct pmo_minutes *history = fitting->history;
    const double most = HUBER * fitting->noise;
    size_t rows = 0;

    memset(fitting->normal, 0, sizeof(fitting->normal));
    memset(fitting->right, 0, sizeof(fitting->right));
    for (size_t i = 0; i < history->count; i++) {
        const struct pmo_minute *minute = &history->at[i];
        double *x = fitting->block + rows * fitting->terms, weight;

        if (isnan(fitting->residual[i]))
            continue;
        weight = counts(fitting, minute);
        if (fabs(fitting->residual[i]) > most)
            weight *= most / fabs(fitting->residual[i]);
        weight = sqrt(weight);
        (void)minute_terms(fitting, minute, x);
        for (size_t j = 0; j < fitting->terms; j++)
            x[j] *= weight;
        fitting->target[rows++] = weight * log((double)minute->rps + fitting->fit.offset);
        if (rows == BLOCK) {
            sum_up(fitting, rows);
            rows = 0;
        }
    }
    sum_up(fitting, rows);
}

static void priors(struct fitting *fitting)
{
    double variance = fitting->noise * fitting->noise * fitting->inflate;
    const size_t changes = 2 + fitting->fit.changes;

    for (size_t i = 0; i < fitting->terms; i++) {
        double scale = i < 2 ? LINE_SCALE * LINE_SCALE : SEASON_SCALE * SEASON_SCALE;

        if (i >= 2 && i < changes)
            scale = CHANGE_SCALE * fmax(fabs(fitting->weight[i]), LEAST_CHANGE);
        fitting->normal[i * fitting->terms + i] += variance / scale;
    }
}

/* Residuals of each minute, what is usual of them, and how those of neighbours go together. */
static void residuals(struct fitting *fitting)
{
    const struct pmo_minutes *history = fitting->history;
    double products = 0, squares = 0, most, before = 0, correlation;
    size_t known = 0;

    for (size_t i = 0; i < history->count; i++) {
        double x[TERMS], *residual = &fitting->residual[i];

        if (isnan(*residual))
            continue;
        (void)minute_terms(fitting, &history->at[i], x);
        *residual = log((double)history->at[i].rps + fitting->fit.offset) -
                    blas.ddot((int)fitting->terms, x, 1, fitting->weight, 1);
        fitting->sorted[known++] = fabs(*residual);
    }
    fitting->noise = fmax(MAD * median(fitting->sorted, known), LEAST_NOISE);
    most = HUBER * fitting->noise;
    for (size_t i = 0; i < history->count; i++) {
        double residual = fmin(fmax(fitting->residual[i], -most), most);

        if (isnan(fitting->residual[i]))
            continue;
        if (i > 0 && history->at[i].t == history->at[i - 1].t + history->at[i - 1].seconds) {
            products += before * residual;
            squares += residual * residual;
        }
        before = residual;
    }
    correlation = squares > 0 ? fmin(fmax(products / squares, 0), CORRELATION) : 0;
    fitting->inflate = (1 + correlation) / (1 - correlation);
}

/* The mean of a log-normal noise is not the exponential of its mean. */
static double smear(const struct fitting *fitting)
{
    const double most = 2 * HUBER * fitting->noise;
    double sum = 0, weights = 0;

    for (size_t i = 0; i < fitting->history->count; i++) {
        double weight = counts(fitting, &fitting->history->at[i]);

        if (isnan(fitting->residual[i]))
            continue;
        sum += weight * exp(fmin(fmax(fitting->residual[i], -most), most));
        weights += weight;
    }
    return sum / weights;
}

static int fit_all(struct fitting *fitting)
{
    double x[TERMS], change = INFINITY;
    int r = survey(fitting);

    if (r)
        return r;
    fitting->terms = minute_terms(fitting, fitting->history->at, x);
    fitting->noise = 1;
    fitting->inflate = 1;
    for (size_t i = 0; i < fitting->terms; i++)
        fitting->weight[i] = CHANGE_SCALE;
    for (int round = 0; round < ROUNDS && change > SETTLED; round++) {
        change = 0;
        equations(fitting);
        priors(fitting);
        if (dposv(LAPACK_ROW_MAJOR, 'U', (int)fitting->terms, 1, fitting->normal,
                  (int)fitting->terms, fitting->right, 1))
            return -EDOM;
        for (size_t i = 0; i < fitting->terms; i++)
            change = fmax(change, fabs(fitting->right[i] - fitting->weight[i]));
        memcpy(fitting->weight, fitting->right, sizeof(fitting->weight));
        residuals(fitting);
    }
    return 0;
}

int pmo_decomposition_fit(struct pmo_decomposition *fit, const struct pmo_minutes *history)
{
    _cleanup_free_ struct fitting *fitting = calloc(1, sizeof(*fitting));
    _cleanup_free_ double *residual = calloc(2 * history->count + 1, sizeof(*residual));
    size_t kept;
    int r = load();

    if (r)
        return r;
    if (!fitting || !residual)
        return -ENOMEM;
    fitting->history = history;
    fitting->residual = residual;
    fitting->sorted = residual + history->count;
    r = fit_all(fitting);
    if (r)
        return r;
    fitting->fit.smear = (float)smear(fitting);
    for (size_t i = 0; i < fitting->terms; i++)
        fitting->fit.weight[i] = (float)fitting->weight[i];
    kept = history->occasions_count < PMO_DECOMPOSITION_OCCASIONS ? history->occasions_count
                                                                  : PMO_DECOMPOSITION_OCCASIONS;
    fitting->fit.occasions_count = (uint32_t)kept;
    if (kept)
        memcpy(fitting->fit.occasions, history->occasions + history->occasions_count - kept,
               kept * sizeof(*history->occasions));
    *fit = fitting->fit;
    return 0;
}

/* ---- the model -------------------------------------------------------------------------------
 */

#define LEVEL_SECONDS 20
#define STEP          20  /* seconds between which the expected rate is read along lines */
#define RATIO_MAX     4.0 /* within a minute */

struct reading {
    struct pmo_decomposition fit;
    uint32_t has; /* 0 or 1 */
};

void pmo_decomposition_use(void *state, const struct pmo_decomposition *fit)
{
    struct reading *reading = state;

    reading->fit = *fit;
    reading->has = 1;
}

/* The first fit makes another model; later ones are much the same. */
static uint32_t generation(const void *state)
{
    return ((const struct reading *)state)->has;
}

static double ratio_at(const struct pmo_decomposition *fit, double base, int64_t t)
{
    double ratio = (pmo_decomposition_at(fit, t) + fit->offset) / base;

    return fmin(fmax(ratio, 1 / RATIO_MAX), RATIO_MAX);
}

static void predict(const struct pmo_model_ops *model, const void *state,
                    const struct pmo_context *context, float mean[PMO_HORIZONS])
{
    const struct pmo_recent *recent = context->recent;
    const struct reading *reading = state;
    const struct pmo_decomposition *fit = &reading->fit;
    double level, base, before, after;

    for (size_t h = 0; !reading->has && h < PMO_HORIZONS; h++)
        mean[h] = NAN;
    if (!reading->has)
        return;
    level = pmo_recent_mean(recent, LEVEL_SECONDS);
    base =
        expected(fit, (double)recent->last + 1 - LEVEL_SECONDS / 2.0, LEVEL_SECONDS) + fit->offset;
    after = ratio_at(fit, base, recent->last);
    for (int64_t h = 0; h < PMO_HORIZONS; h += STEP) {
        before = after;
        after = ratio_at(fit, base, recent->last + h + STEP);
        for (int64_t i = 1; i <= STEP; i++)
            mean[h + i - 1] = (float)(level * (before + (after - before) * (double)i / STEP));
    }
}

_Static_assert(PMO_HORIZONS % STEP == 0, "whole steps");
_Static_assert(sizeof(struct pmo_decomposition) <= 2048, "half a page a series");

const struct pmo_model_ops pmo_model_decomposition = {
    .name = "trend and seasons",
    .state_bytes = sizeof(struct reading),
    .generation = generation,
    .predict = predict,
};
