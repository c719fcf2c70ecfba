/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmo-load/schedule.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"

#define RPS_MAX 1e6
#define TICK_S  1e-3 /* the rate is taken as level for this long */

/* ---- text ------------------------------------------------------------------------------------ */
static int take_number(const char **cursor, double *value)
{
    char *end;

    *value = strtod(*cursor, &end);
    if (end == *cursor || !isfinite(*value) || *value < 0)
        return -EINVAL;
    *cursor = end;
    return 0;
}

static int take_rps(const char **cursor, double *rps)
{
    return take_number(cursor, rps) || *rps > RPS_MAX ? -EINVAL : 0;
}

static int take_duration(const char **cursor, double *seconds)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};

    if (take_number(cursor, seconds))
        return -EINVAL;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t length = strlen(units[i].name);

        if (strncmp(*cursor, units[i].name, length) != 0)
            continue;
        *cursor += length;
        *seconds *= units[i].seconds;
        break;
    }
    return 0;
}

static bool take_colon(const char **cursor)
{
    bool colon = **cursor == ':';

    *cursor += colon;
    return colon;
}

int pmo_load_duration_parse(const char *text, double *seconds)
{
    return take_duration(&text, seconds) || *text ? -EINVAL : 0;
}

int pmo_load_rps_parse(const char *text, double *rps)
{
    return take_rps(&text, rps) || *text ? -EINVAL : 0;
}

int pmo_load_wave_parse(struct pmo_load_rate *rate, const char *text)
{
    const char *at = text;

    if (take_rps(&at, &rate->wave_base_rps) || !take_colon(&at) ||
        take_rps(&at, &rate->wave_peak_rps) || !take_colon(&at) ||
        take_duration(&at, &rate->wave_period_s) || *at || rate->wave_period_s <= 0)
        return pmo_fail(EINVAL, "--wave %s: write BASE:PEAK:PERIOD, as in 50:200:60s", text);
    return 0;
}

int pmo_load_burst_parse(struct pmo_load_rate *rate, const char *text)
{
    const char *at = text;

    rate->burst_offset_s = 0;
    if (take_rps(&at, &rate->burst_rps) || !take_colon(&at) ||
        take_duration(&at, &rate->burst_length_s) || !take_colon(&at) ||
        take_duration(&at, &rate->burst_every_s) ||
        (take_colon(&at) && take_duration(&at, &rate->burst_offset_s)) || *at ||
        rate->burst_every_s <= 0)
        return pmo_fail(EINVAL, "--burst %s: write RATE:LENGTH:EVERY[:OFFSET], as in 300:5s:30s",
                        text);
    return 0;
}

/* ---- profile --------------------------------------------------------------------------------- */
static int parse_row(const char *line, struct pmo_load_step *step)
{
    if (take_number(&line, &step->start_s) || *line++ != ',' || take_rps(&line, &step->rps))
        return -EINVAL;
    return *line == ',' || !line[strspn(line, " \r")] ? 0 : -EINVAL;
}

int pmo_load_profile_parse(struct pmo_load_rate *rate, const char *name, char *text)
{
    _cleanup_free_ struct pmo_load_step *steps = NULL;
    size_t count = 0, room = 0, number = 0;
    double first_s = 0;
    char *line;

    while ((line = strsep(&text, "\n"))) {
        struct pmo_load_step step;

        number++;
        if (!line[strspn(line, " \r")] || (number == 1 && !strchr("+-.0123456789", line[0])))
            continue;
        if (parse_row(line, &step) < 0)
            return pmo_fail(EINVAL, "%s:%zu: write seconds,requests per second, as in 0,120", name,
                            number);
        if (!count)
            first_s = step.start_s;
        step.start_s -= first_s;
        if (count && step.start_s <= steps[count - 1].start_s)
            return pmo_fail(EINVAL, "%s:%zu: times must rise from row to row", name, number);
        if (count == room) {
            size_t more = room ? room * 2 : 1024;
            struct pmo_load_step *moved = reallocarray(steps, more, sizeof(*steps));

            if (!moved)
                return pmo_err_r(ENOMEM, "cannot hold %s", name);
            steps = moved;
            room = more;
        }
        steps[count++] = step;
    }
    if (!count)
        return pmo_fail(EINVAL, "%s: no rows; write lines of seconds,requests per second", name);

    rate->steps_end_s = count > 1 ? 2 * steps[count - 1].start_s - steps[count - 2].start_s : 1;
    rate->steps_count = count;
    rate->steps = TAKE_PTR(steps);
    return 0;
}

int pmo_load_profile_read(struct pmo_load_rate *rate, const char *path)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    _cleanup_free_ char *text = NULL;
    size_t room = 0;

    if (!file)
        return pmo_err_r(errno, "cannot open profile %s", path);
    if (getdelim(&text, &room, '\0', file) < 0)
        return ferror(file)
                   ? pmo_err_r(errno, "cannot read profile %s", path)
                   : pmo_fail(EINVAL, "%s: no rows; write lines of seconds,requests per second",
                              path);
    return pmo_load_profile_parse(rate, path, text);
}

void pmo_load_rate_free(struct pmo_load_rate *rate)
{
    free(rate->steps);
    rate->steps = NULL;
}

/* ---- arrivals -------------------------------------------------------------------------------- */
/* @step: index of a step that starts at or before @t_s, moved forward. */
static double rate_at(const struct pmo_load_rate *rate, double t_s, size_t *step)
{
    double rps = rate->wave_base_rps;

    if (rate->steps) {
        while (*step + 1 < rate->steps_count && rate->steps[*step + 1].start_s <= t_s)
            ++*step;
        rps = t_s < rate->steps_end_s ? rate->steps[*step].rps : 0;
    } else if (rate->wave_period_s > 0) {
        rps += (rate->wave_peak_rps - rate->wave_base_rps) *
               (1 - cos(2 * M_PI * t_s / rate->wave_period_s)) / 2;
    }
    if (rate->burst_rps > 0 && t_s >= rate->burst_offset_s &&
        fmod(t_s - rate->burst_offset_s, rate->burst_every_s) < rate->burst_length_s)
        rps += rate->burst_rps;
    return rps;
}

/* SplitMix64 (Steele, Lea, Flood 2014), as a double in (0, 1]. */
static double uniform(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    x ^= x >> 31;
    return (double)((x >> 11) + 1) * 0x1p-53;
}

void pmo_load_schedule_init(struct pmo_load_schedule *schedule, const struct pmo_load_rate *rate,
                            double duration_s, bool even, uint64_t seed)
{
    *schedule = (struct pmo_load_schedule){
        .rate = rate,
        .even = even,
        .random = seed,
        .credit = even ? 0.5 : 0, /* in the middle of its share: 10 rps for 1 s are 10, not 9 */
        .ticks = (uint64_t)llround(duration_s / TICK_S),
    };
}

bool pmo_load_schedule_next(struct pmo_load_schedule *schedule, uint64_t *at_ns)
{
    double wanted = schedule->even ? 1 - schedule->credit : -log(uniform(&schedule->random));

    schedule->credit = 0;
    while (schedule->tick < schedule->ticks) {
        double rps =
            rate_at(schedule->rate, ((double)schedule->tick + 0.5) * TICK_S, &schedule->step);
        double expected = rps * (TICK_S - schedule->within_s);

        if (expected > wanted) {
            schedule->within_s += wanted / rps;
            *at_ns = schedule->tick * 1000000 + (uint64_t)(schedule->within_s * 1e9);
            return true;
        }
        wanted -= expected;
        schedule->tick++;
        schedule->within_s = 0;
    }
    return false;
}
