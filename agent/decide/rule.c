/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules in words, and expressions in them. The grammar, upper and lower case and blanks being all
 * alike:
 *
 *   rule       = "scale" ("up by" | "down by" | "to") NUMBER "instance(s)" "if" condition
 *                ["for" DURATION]
 *   condition  = all ("or" all)*                  all = one ("and" one)*
 *   one        = "not" one | "(" condition ")" | event ".active" | comparison
 *   comparison = (quantity ["(" DURATION ")"] | "predicted load in" DURATION | event ".starts_in")
 *                compares threshold
 *   event      = 'event("' KIND or ID '")'        as it is written there
 *   quantity   = "predicted load" | "predicted.load" | "predicted.utilization" | "load"
 *              | "utilization" | "latency" | "error rate" | "error_rate" | "requests in flight"
 *              | "in_flight" | "waiting" | "cpu" | "instances.ready" | "trust"
 *   compares   = "exceeds" | "is above" | ">" | ">=" | "falls below" | "is below" | "<" | "<=" ...
 *   threshold  = loads: RATE or NUMBER "% of capacity"; else as pmo_quantity_texts[] has it
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
    if (isalpha((unsigned char)words[length - 1]) &&
        (isalnum((unsigned char)s->at[length]) || strchr("_.", s->at[length])) && s->at[length])
        return false;
    s->at += length;
    s->at += *s->at == ' ';
    return true;
}

/* The word at the cursor is none of these. */
static int refuse_word(struct sentence *s, const char *const *expected)
{
    const char *near;
    char word[64], list[224];

    pmo_spelling_list(expected, list, sizeof(list));
    (void)snprintf(word, sizeof(word), "%.*s", (int)strcspn(s->at, " ("), s->at);
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

/* "(30s)", where it comes next. */
static int read_window(struct sentence *s, struct pmo_node *node, const char *name)
{
    bool ahead = node->quantity <= PMO_PREDICTED_UTILIZATION;
    char before[64];
    uint32_t seconds;

    if (!take(s, "("))
        return 0;
    if (node->quantity >= PMO_READY)
        return refuse(s, "%s is what it is now; take out the parentheses", name);
    (void)snprintf(before, sizeof(before), "%s(", name);
    if (read_seconds(s, before, ahead ? PMO_HORIZONS : PMO_WINDOW_MAX_S, &seconds) < 0)
        return -EINVAL;
    node->seconds = (uint16_t)seconds;
    return expect(s, ")");
}

static int read_quantity(struct sentence *s, struct pmo_node *node)
{
    static const struct {
        const char *words;
        enum pmo_quantity quantity;
    } quantities[] = {
        {"predicted.load", PMO_PREDICTED_LOAD},
        {"predicted.utilization", PMO_PREDICTED_UTILIZATION},
        {"load", PMO_LOAD},
        {"utilization", PMO_UTILIZATION},
        {"latency", PMO_LATENCY},
        {"error_rate", PMO_ERROR_RATE},
        {"in_flight", PMO_IN_FLIGHT},
        {"waiting", PMO_WAITING},
        {"cpu", PMO_CPU},
        {"instances.ready", PMO_READY},
        {"trust", PMO_TRUST},
    };
    uint32_t seconds = 0;

    if (take(s, "predicted")) {
        node->quantity = PMO_PREDICTED_LOAD;
        if (expect(s, "load") < 0 ||
            (take(s, "in") && read_seconds(s, "in", PMO_HORIZONS, &seconds) < 0))
            return -EINVAL;
        node->seconds = (uint16_t)seconds;
        return 0;
    }
    if (take(s, "error")) {
        node->quantity = PMO_ERROR_RATE;
        return expect(s, "rate");
    }
    if (take(s, "requests")) {
        node->quantity = PMO_IN_FLIGHT;
        return expect(s, "in") < 0 ? -EINVAL : expect(s, "flight");
    }
    for (size_t i = 0; i < sizeof(quantities) / sizeof(*quantities); i++) {
        if (!take(s, quantities[i].words))
            continue;
        node->quantity = quantities[i].quantity;
        return read_window(s, node, quantities[i].words);
    }
    return refuse_word(s, EXPECTED("predicted load", "predicted.load", "predicted.utilization",
                                   "load", "utilization", "latency", "error rate", "error_rate",
                                   "requests in flight", "in_flight", "waiting", "cpu",
                                   "instances.ready", "trust", "event"));
}

static int read_comparison(struct sentence *s, struct pmo_node *node)
{
    static const struct {
        const char *words;
        enum pmo_operator operator;
    } comparisons[] = {
        {">=", PMO_AT_LEAST},       {"<=", PMO_AT_MOST},       {"exceeds", PMO_ABOVE},
        {"exceed", PMO_ABOVE},      {"is above", PMO_ABOVE},   {"are above", PMO_ABOVE},
        {"is over", PMO_ABOVE},     {"above", PMO_ABOVE},      {">", PMO_ABOVE},
        {"falls below", PMO_BELOW}, {"fall below", PMO_BELOW}, {"is below", PMO_BELOW},
        {"are below", PMO_BELOW},   {"is under", PMO_BELOW},   {"below", PMO_BELOW},
        {"<", PMO_BELOW},
    };

    for (size_t i = 0; i < sizeof(comparisons) / sizeof(*comparisons); i++) {
        if (!take(s, comparisons[i].words))
            continue;
        node->operator= comparisons[i].operator;
        return 0;
    }
    return refuse_word(s, EXPECTED("exceeds", "is above", "falls below", "is below"));
}

/* "80 % of capacity" makes utilization of load. */
static int read_of_capacity(struct sentence *s, struct pmo_node *node)
{
    if (!take(s, "of"))
        return refuse(s, "%g %% of what? write %g %% of capacity", 100 * node->threshold,
                      100 * node->threshold);
    node->quantity = node->quantity == PMO_LOAD ? PMO_UTILIZATION : PMO_PREDICTED_UTILIZATION;
    return expect(s, "capacity");
}

static int read_threshold(struct sentence *s, struct pmo_node *node)
{
    const struct pmo_quantity_text *text = &pmo_quantity_texts[node->quantity];
    const char *before = s->at;
    enum pmo_dimension dimension;
    bool is_share = node->quantity == PMO_ERROR_RATE || node->quantity == PMO_TRUST;
    int length;

    if (pmo_quantity_scan(&s->at, &node->threshold, &dimension) < 0)
        return refuse(s, "%s is compared with a number; write e.g. %s", text->name, text->example);
    if (text->dimension == PMO_RATE && dimension == PMO_SHARE)
        return read_of_capacity(s, node);
    if (dimension == text->dimension && !(is_share && node->threshold > 1)) {
        if (node->quantity == PMO_IN_FLIGHT)
            (void)take(s, "per instance");
        return 0;
    }
    length = (int)(s->at - before);
    while (length && before[length - 1] == ' ')
        length--;
    return refuse(s, "%s cannot be compared with \"%.*s\"; write e.g. %s", text->name, length,
                  before, text->example);
}

static int add(struct sentence *s, struct pmo_condition *condition, const struct pmo_node *node)
{
    if (condition->count == PMO_NODES_MAX)
        return refuse(s, "there are too many comparisons in one rule; make two rules of it");
    condition->nodes[condition->count++] = *node;
    return 0;
}

/* 'event("campaign").active' or '.starts_in', "event" being taken already. */
static int read_event(struct sentence *s, struct pmo_condition *condition, struct pmo_node *node)
{
    const char *name = strncmp(s->at, "(\"", 2) != 0 ? "" : s->at + 2;
    size_t length = strcspn(name, "\"");

    if (!length || length >= PMO_HAPPENING_BYTES || strncmp(name + length, "\")", 2) != 0)
        return refuse(s, "which event? write its kind or id in quotes, e.g. event(\"campaign\")"
                         ".active");
    if (condition->events_count == PMO_NAMED_MAX)
        return refuse(s, "a rule names at most %d events; make two rules of it", PMO_NAMED_MAX);
    node->event = (uint16_t)condition->events_count;
    (void)snprintf(condition->events[condition->events_count++], PMO_HAPPENING_BYTES, "%.*s",
                   (int)length, name);
    s->at = name + length + 2;
    if (take(s, ".active")) {
        *node = (struct pmo_node){.quantity = PMO_EVENT_ACTIVE, .event = node->event};
        return 0;
    }
    node->quantity = PMO_EVENT_STARTS_IN;
    if (!take(s, ".starts_in"))
        return refuse_word(s, EXPECTED(".active", ".starts_in"));
    return read_comparison(s, node) < 0 ? -EINVAL : read_threshold(s, node);
}

static int read_condition(struct sentence *s, struct pmo_condition *condition);

static int read_one(struct sentence *s, struct pmo_condition *condition)
{
    struct pmo_node node = {};
    int r;

    if (take(s, "not")) {
        r = read_one(s, condition);
        return r < 0 ? r : add(s, condition, &(struct pmo_node){.operator = PMO_NOT});
    }
    if (take(s, "(")) {
        r = read_condition(s, condition);
        return r < 0 ? r : expect(s, ")");
    }
    if (take(s, "event"))
        r = read_event(s, condition, &node);
    else if (read_quantity(s, &node) < 0 || read_comparison(s, &node) < 0)
        r = -EINVAL;
    else
        r = read_threshold(s, &node);
    return r < 0 ? r : add(s, condition, &node);
}

static int read_all(struct sentence *s, struct pmo_condition *condition)
{
    int r = read_one(s, condition);

    while (!r && take(s, "and")) {
        r = read_one(s, condition);
        if (!r)
            r = add(s, condition, &(struct pmo_node){.operator = PMO_AND});
    }
    return r;
}

static int read_condition(struct sentence *s, struct pmo_condition *condition)
{
    int r = read_all(s, condition);

    while (!r && take(s, "or")) {
        r = read_all(s, condition);
        if (!r)
            r = add(s, condition, &(struct pmo_node){.operator = PMO_OR});
    }
    return r;
}

static int read_rule(struct sentence *s, struct pmo_rule *rule)
{
    if (read_action(s, rule) < 0 || expect(s, "if") < 0 || read_condition(s, &rule->condition) < 0)
        return -EINVAL;
    if (take(s, "for") && read_seconds(s, "for", FOR_MAX_S, &rule->for_s) < 0)
        return -EINVAL;
    if (*s->at)
        return refuse(s, "\"%s\" is not understood; go on with and, or, or with for and a duration",
                      s->at);
    return 0;
}

/* Lower case, single blanks, none at the ends; what is in quotes stays as it is. */
static void normalise(const char *text, char *to)
{
    const char *start = to;
    bool quoted = false;

    for (; *text; text++) {
        quoted ^= *text == '"';
        if (quoted)
            *to++ = *text;
        else if (!isspace((unsigned char)*text))
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
