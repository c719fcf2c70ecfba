/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules in words. The grammar, upper and lower case and blanks being all alike:
 *
 *   rule       = "scale" ("up by" | "down by" | "to") NUMBER "instance(s)" "if" condition
 *   condition  = quantity comparison threshold ["for" DURATION]
 *   quantity   = "predicted load" ["in" DURATION] | "load" | "latency" | "error rate"
 *              | "requests in flight"
 *   comparison = "exceeds" | "is above" | ">" | "falls below" | "is below" | "<" ...
 *   threshold  = loads: RATE or NUMBER "% of capacity"; latency: DURATION;
 *                error rate: NUMBER "%"; requests in flight: NUMBER ["per instance"]
 *
 * A sentence is read from left to right without going back, so that what is wrong is always the
 * word at the cursor.
 */
#include "agent/decide/policy.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "agent/base/quantity.h"
#include "agent/base/spelling.h"
#include "agent/forecast/forecast.h"

#define INSTANCES_MAX 1000
#define FOR_MAX_S     3600

struct sentence {
    char text[sizeof(((struct pmo_rule *)0)->text)]; /* lower case, single blanks */
    const char *at;
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct sentence *s, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(s->error, s->error_size, format, args);
    va_end(args);
    return -EINVAL;
}

/* Steps over a word, or several, if they come next. */
static bool take(struct sentence *s, const char *words)
{
    size_t length = strlen(words);

    if (strncmp(s->at, words, length) != 0)
        return false;
    if (isalpha((unsigned char)words[length - 1]) && isalnum((unsigned char)s->at[length]))
        return false;
    s->at += length;
    s->at += *s->at == ' ';
    return true;
}

/* The word at the cursor is none of these. */
static int refuse_word(struct sentence *s, const char *const *expected)
{
    const char *near;
    char word[64], list[160];

    pmo_spelling_list(expected, list, sizeof(list));
    (void)snprintf(word, sizeof(word), "%.*s", (int)strcspn(s->at, " "), s->at);
    near = pmo_spelling_nearest(word, expected);
    if (!*word)
        return refuse(s, "the rule ends too early; go on with %s", list);
    if (near)
        return refuse(s, "\"%s\" is not understood; did you mean \"%s\"?", word, near);
    return refuse(s, "\"%s\" is not understood; write %s", word, list);
}

#define EXPECTED(...) ((const char *const[]){__VA_ARGS__, NULL})

static int expect(struct sentence *s, const char *word)
{
    return take(s, word) ? 0 : refuse_word(s, EXPECTED(word));
}

static int read_action(struct sentence *s, struct pmo_rule *rule)
{
    enum pmo_dimension dimension;
    double instances;

    if (expect(s, "scale") < 0)
        return -EINVAL;
    if (take(s, "to"))
        rule->action = PMO_SCALE_TO;
    else if (take(s, "up"))
        rule->action = PMO_SCALE_UP_BY;
    else if (take(s, "down"))
        rule->action = PMO_SCALE_DOWN_BY;
    else
        return refuse_word(s, EXPECTED("up", "down", "to"));
    if (rule->action != PMO_SCALE_TO && expect(s, "by") < 0)
        return -EINVAL;
    if (pmo_quantity_scan(&s->at, &instances, &dimension) < 0 || dimension != PMO_NUMBER ||
        instances != floor(instances) || instances < 1 || instances > INSTANCES_MAX)
        return refuse(s, "how many instances? write a whole number from 1 to %d, e.g. 2 instances",
                      INSTANCES_MAX);
    rule->instances = (uint32_t)instances;
    if (take(s, "instance") || take(s, "instances"))
        return 0;
    return refuse_word(s, EXPECTED("instance", "instances"));
}

/* A duration of whole seconds, in a rule or after it. */
static int read_seconds(struct sentence *s, const char *before, uint32_t max, uint32_t *seconds)
{
    enum pmo_dimension dimension;
    double value;

    if (pmo_quantity_scan(&s->at, &value, &dimension) < 0 || dimension != PMO_DURATION ||
        value != floor(value) || value < 1 || value > max)
        return refuse(s, "\"%s\" is followed by whole seconds from 1s to %us, e.g. %s 30s", before,
                      max, before);
    *seconds = (uint32_t)value;
    return 0;
}

static int read_quantity(struct sentence *s, struct pmo_rule *rule)
{
    if (take(s, "predicted")) {
        rule->quantity = PMO_PREDICTED_LOAD;
        if (expect(s, "load") < 0)
            return -EINVAL;
        return take(s, "in") ? read_seconds(s, "in", PMO_HORIZONS, &rule->horizon_s) : 0;
    }
    if (take(s, "load")) {
        rule->quantity = PMO_LOAD;
        return 0;
    }
    if (take(s, "latency")) {
        rule->quantity = PMO_LATENCY;
        return 0;
    }
    if (take(s, "error")) {
        rule->quantity = PMO_ERROR_RATE;
        return expect(s, "rate");
    }
    if (take(s, "requests")) {
        rule->quantity = PMO_IN_FLIGHT;
        return expect(s, "in") < 0 ? -EINVAL : expect(s, "flight");
    }
    return refuse_word(
        s, EXPECTED("predicted load", "load", "latency", "error rate", "requests in flight"));
}

static int read_comparison(struct sentence *s, struct pmo_rule *rule)
{
    static const struct {
        const char *words;
        bool above;
    } comparisons[] = {
        {"exceeds", true},     {"exceed", true},    {"is above", true},   {"are above", true},
        {"is over", true},     {"above", true},     {">", true},          {"falls below", false},
        {"fall below", false}, {"is below", false}, {"are below", false}, {"is under", false},
        {"below", false},      {"<", false},
    };

    for (size_t i = 0; i < sizeof(comparisons) / sizeof(*comparisons); i++) {
        if (!take(s, comparisons[i].words))
            continue;
        rule->above = comparisons[i].above;
        return 0;
    }
    return refuse_word(s, EXPECTED("exceeds", "is above", "falls below", "is below"));
}

static int read_threshold(struct sentence *s, struct pmo_rule *rule)
{
    static const struct {
        const char *name, *example;
    } quantities[] = {
        [PMO_PREDICTED_LOAD] = {"predicted load", "80 % of capacity or 300 rps"},
        [PMO_LOAD] = {"load", "80 % of capacity or 300 rps"},
        [PMO_LATENCY] = {"latency", "200 ms"},
        [PMO_ERROR_RATE] = {"error rate", "2 %"},
        [PMO_IN_FLIGHT] = {"requests in flight", "20, for each ready instance"},
    };
    const char *before = s->at;
    enum pmo_dimension dimension;
    bool is_load = rule->quantity == PMO_PREDICTED_LOAD || rule->quantity == PMO_LOAD;

    if (pmo_quantity_scan(&s->at, &rule->threshold, &dimension) < 0)
        return refuse(s, "%s is compared with a number; write e.g. %s",
                      quantities[rule->quantity].name, quantities[rule->quantity].example);
    if (is_load && dimension == PMO_SHARE) {
        rule->unit = PMO_UNIT_CAPACITY;
        if (!take(s, "of"))
            return refuse(s, "%g %% of what? write %g %% of capacity", 100 * rule->threshold,
                          100 * rule->threshold);
        return expect(s, "capacity");
    }
    if (is_load && dimension == PMO_RATE) {
        rule->unit = PMO_UNIT_RPS;
        return 0;
    }
    if (rule->quantity == PMO_LATENCY && dimension == PMO_DURATION) {
        rule->unit = PMO_UNIT_SECONDS;
        return 0;
    }
    if (rule->quantity == PMO_ERROR_RATE && dimension == PMO_SHARE && rule->threshold <= 1) {
        rule->unit = PMO_UNIT_SHARE;
        return 0;
    }
    if (rule->quantity == PMO_IN_FLIGHT && dimension == PMO_NUMBER) {
        rule->unit = PMO_UNIT_COUNT;
        (void)take(s, "per instance");
        return 0;
    }
    return refuse(s, "%s cannot be compared with \"%s\"; write e.g. %s",
                  quantities[rule->quantity].name, before, quantities[rule->quantity].example);
}

static int read_rule(struct sentence *s, struct pmo_rule *rule)
{
    if (read_action(s, rule) < 0 || expect(s, "if") < 0 || read_quantity(s, rule) < 0 ||
        read_comparison(s, rule) < 0 || read_threshold(s, rule) < 0)
        return -EINVAL;
    if (take(s, "for") && read_seconds(s, "for", FOR_MAX_S, &rule->for_s) < 0)
        return -EINVAL;
    if (*s->at)
        return refuse(s, "\"%s\" is not understood; only \"for\" and a duration may end a rule",
                      s->at);
    return 0;
}

/* Lower case, single blanks, none at the ends. */
static void normalise(const char *text, char *to)
{
    const char *start = to;

    for (; *text; text++) {
        if (!isspace((unsigned char)*text))
            *to++ = (char)tolower((unsigned char)*text);
        else if (to > start && to[-1] != ' ')
            *to++ = ' ';
    }
    to -= to > start && to[-1] == ' ';
    *to = '\0';
}

int pmo_rule_parse(struct pmo_rule *rule, const char *text, char *error, size_t error_size)
{
    struct sentence s = {.error = error, .error_size = error_size};
    struct pmo_rule parsed = {0};

    if (strlen(text) >= sizeof(s.text))
        return refuse(&s, "a rule has at most %zu letters; make two rules of it",
                      sizeof(s.text) - 1);
    normalise(text, s.text);
    s.at = s.text;
    if (read_rule(&s, &parsed) < 0)
        return -EINVAL;
    (void)snprintf(parsed.text, sizeof(parsed.text), "%s", text);
    *rule = parsed;
    return 0;
}
