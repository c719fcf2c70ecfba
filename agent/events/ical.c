/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/ical.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "agent/events/event.h"

#define DAY_S     86400
#define STEPS_MAX 500000 /* of rules, in one calendar: a few tenths of a second */

/* An instance that another VEVENT stands for. */
struct moved {
    const char *uid;
    int64_t recurrence;
};

struct reader {
    icaltimezone *zone;
    int64_t from, to;
    pmo_ical_fn each;
    void *context;
    struct moved *moved;
    size_t moved_count;
    unsigned int steps;
    char *error;
    size_t error_size;
};

/* One VEVENT. */
struct event {
    icalcomponent *component;
    struct icaltimetype start;
    int64_t first; /* the instant of it */
    struct pmo_ical_event told;
};

static int64_t instant_of(const struct reader *reader, struct icaltimetype time)
{
    int64_t seconds = icaltime_as_timet(time);

    if (icaltime_is_utc(time))
        return seconds;
    return pmo_zone_instant(time.zone && !time.is_date ? (icaltimezone *)time.zone : reader->zone,
                            seconds);
}

static const char *text_of(icalcomponent *component, icalproperty_kind kind)
{
    icalproperty *property = icalcomponent_get_first_property(component, kind);
    icalvalue *value = property ? icalproperty_get_value(property) : NULL;
    const char *text = value ? icalvalue_get_text(value) : NULL;

    return text ? text : "";
}

static bool is_moved(const struct reader *reader, const struct event *event, int64_t instant)
{
    for (size_t i = 0; i < reader->moved_count; i++)
        if (reader->moved[i].recurrence == instant &&
            !strcmp(reader->moved[i].uid, event->told.uid))
            return true;
    return false;
}

/* An instance by rule or date, unless there is an exception. */
static int tell_instance(struct reader *reader, struct event *event, struct icaltimetype time)
{
    int64_t instant = instant_of(reader, time);

    if (instant < reader->from || instant >= reader->to || is_moved(reader, event, instant) ||
        icalproperty_recurrence_is_excluded(event->component, &event->start, &time))
        return 0;
    event->told.start = event->told.recurrence = instant;
    return reader->each(reader->context, &event->told);
}

/* Seconds between two of a rule of hours, minutes or seconds; 0 for all others. */
static int64_t period_of(const struct icalrecurrencetype *rule)
{
    int64_t unit = rule->freq == ICAL_HOURLY_RECURRENCE     ? 3600
                   : rule->freq == ICAL_MINUTELY_RECURRENCE ? 60
                   : rule->freq == ICAL_SECONDLY_RECURRENCE ? 1
                                                            : 0;

    return unit * (rule->interval > 0 ? rule->interval : 1);
}

/* An iterator that begins not far from the window; of rules that count, at the beginning. In rules
 * of less than a day, libical's jump loses the interval: they begin some intervals later instead.
 */
static icalrecur_iterator *iterate(const struct reader *reader,
                                   const struct icalrecurrencetype *rule, struct icaltimetype start)
{
    int64_t first = icaltime_as_timet(start), period = period_of(rule);
    int64_t at = reader->from - 2 * DAY_S;
    icalrecur_iterator *iterator;

    if (rule->count || at <= first)
        return icalrecur_iterator_new(*rule, start);
    if (period)
        return icalrecur_iterator_new(
            *rule, icaltime_from_timet_with_zone(first + (at - first) / period * period, 0, NULL));
    iterator = icalrecur_iterator_new(*rule, start);
    if (iterator)
        (void)icalrecur_iterator_set_start(iterator,
                                           icaltime_from_timet_with_zone(at, start.is_date, NULL));
    return iterator;
}

static int step(struct reader *reader, struct event *event, struct icaltimetype time)
{
    int64_t instant;

    if (reader->steps++ > STEPS_MAX) {
        (void)snprintf(reader->error, reader->error_size,
                       "its rules (the last: \"%.60s\") take more than %d steps to work out; give "
                       "them an UNTIL, or begin them later",
                       event->told.summary, STEPS_MAX);
        return -EINVAL;
    }
    if (icaltime_as_timet(time) < reader->from - 2 * DAY_S)
        return 0;
    instant = instant_of(reader, time);
    if (instant >= reader->to + DAY_S)
        return 1;
    return instant == event->first ? 0 : tell_instance(reader, event, time);
}

/* The rule is worked out on the wall clock, without a zone: in one, libical's iterator does not
 * come back from a time that clocks skipped. */
static int tell_rule(struct reader *reader, struct event *event, icalproperty *property)
{
    struct icalrecurrencetype rule = icalproperty_get_rrule(property);
    struct icaltimetype start = event->start, time;
    icalrecur_iterator *iterator;
    int r = 0;

    start.zone = NULL;
    if (icaltime_is_utc(rule.until)) {
        icaltimezone *zone = event->start.zone ? (icaltimezone *)event->start.zone : reader->zone;

        rule.until = icaltime_from_timet_with_zone(
            pmo_zone_local(zone, icaltime_as_timet(rule.until)), 0, NULL);
    }
    iterator = iterate(reader, &rule, start);
    if (!iterator) {
        (void)snprintf(reader->error, reader->error_size,
                       "the RRULE of \"%.60s\" makes no sense; its first date is taken",
                       event->told.summary);
        return 0;
    }
    while (!r) {
        time = icalrecur_iterator_next(iterator);
        if (icaltime_is_null_time(time))
            break;
        time.zone = event->start.zone;
        r = step(reader, event, time);
    }
    icalrecur_iterator_free(iterator);
    return r > 0 ? 0 : r;
}

static int tell_dates(struct reader *reader, struct event *event)
{
    icalproperty *property =
        icalcomponent_get_first_property(event->component, ICAL_RDATE_PROPERTY);
    int r = 0;

    for (; property && !r;
         property = icalcomponent_get_next_property(event->component, ICAL_RDATE_PROPERTY)) {
        struct icaldatetimeperiodtype date = icalproperty_get_rdate(property);
        struct icaltimetype time =
            icaltime_is_null_time(date.time)
                ? date.period.start
                : icalproperty_get_datetime_with_component(property, event->component);

        if (!icaltime_is_null_time(time))
            r = tell_instance(reader, event, time);
    }
    return r;
}

static bool is_cancelled(icalcomponent *component)
{
    return icalcomponent_get_status(component) == ICAL_STATUS_CANCELLED;
}

/* An instance that was moved: it alone, and known by when it would have been. */
static int tell_moved(struct reader *reader, struct event *event, icalproperty *property)
{
    event->told.start = event->first;
    event->told.recurrence =
        instant_of(reader, icalproperty_get_datetime_with_component(property, event->component));
    if (event->first < reader->from || event->first >= reader->to)
        return 0;
    return reader->each(reader->context, &event->told);
}

static int tell_event(struct reader *reader, icalcomponent *component)
{
    struct event event = {.component = component, .start = icalcomponent_get_dtstart(component)};
    struct icaltimetype end = icalcomponent_get_dtend(component);
    icalproperty *property =
        icalcomponent_get_first_property(component, ICAL_RECURRENCEID_PROPERTY);
    int64_t duration;
    int r;

    event.told.uid = text_of(component, ICAL_UID_PROPERTY);
    event.told.summary = text_of(component, ICAL_SUMMARY_PROPERTY);
    event.told.categories = text_of(component, ICAL_CATEGORIES_PROPERTY);
    if (is_cancelled(component))
        return 0;
    if (icaltime_is_null_time(event.start) || !icaltime_is_valid_time(event.start)) {
        (void)snprintf(reader->error, reader->error_size,
                       "the event \"%.60s\" has no DTSTART that can be read; it is left out",
                       event.told.summary);
        return 0;
    }
    event.first = instant_of(reader, event.start);
    duration = event.start.is_date ? DAY_S : 0;
    if (!icaltime_is_null_time(end))
        duration = instant_of(reader, end) - event.first;
    event.told.duration_s = (uint32_t)(duration < 0                    ? 0
                                       : duration > PMO_DURATION_MAX_S ? PMO_DURATION_MAX_S
                                                                       : duration);
    if (property)
        return tell_moved(reader, &event, property);
    r = tell_instance(reader, &event, event.start);
    property = icalcomponent_get_first_property(component, ICAL_RRULE_PROPERTY);
    for (; property && !r;
         property = icalcomponent_get_next_property(component, ICAL_RRULE_PROPERTY))
        r = tell_rule(reader, &event, property);
    return r ? r : tell_dates(reader, &event);
}

/* Notes the instances that others stand for; of those outside of the window nobody asks. */
static int note_moved(struct reader *reader, icalcomponent *component)
{
    icalproperty *property =
        icalcomponent_get_first_property(component, ICAL_RECURRENCEID_PROPERTY);
    struct moved *moved;
    int64_t instant;

    if (!property)
        return 0;
    instant = instant_of(reader, icalproperty_get_datetime_with_component(property, component));
    if (instant < reader->from || instant >= reader->to)
        return 0;
    moved = reallocarray(reader->moved, reader->moved_count + 1, sizeof(*moved));
    if (!moved)
        return -ENOMEM;
    moved[reader->moved_count++] = (struct moved){text_of(component, ICAL_UID_PROPERTY), instant};
    reader->moved = moved;
    return 0;
}

/* Calls @with for each VEVENT of a calendar. */
static int for_events(struct reader *reader, icalcomponent *calendar,
                      int (*with)(struct reader *reader, icalcomponent *component))
{
    icalcompiter at = icalcomponent_begin_component(calendar, ICAL_VEVENT_COMPONENT);
    int r = 0;

    for (icalcomponent *c = icalcompiter_deref(&at); c && !r; c = icalcompiter_next(&at))
        r = with(reader, c);
    return r;
}

static int read_calendar(struct reader *reader, icalcomponent *calendar)
{
    int r = for_events(reader, calendar, note_moved);

    return r ? r : for_events(reader, calendar, tell_event);
}

int pmo_ical_read(const char *text, icaltimezone *zone, int64_t from, int64_t to, pmo_ical_fn each,
                  void *context, char *error, size_t error_size)
{
    struct reader reader = {.zone = zone,
                            .from = from,
                            .to = to,
                            .each = each,
                            .context = context,
                            .error = error,
                            .error_size = error_size};
    icalcomponent *root;
    bool any = false;
    int r = 0;

    error[0] = '\0';
    icalerror_set_errors_are_fatal(0);
    root = icalparser_parse_string(text);
    if (root && icalcomponent_isa(root) == ICAL_VCALENDAR_COMPONENT) {
        any = true;
        r = read_calendar(&reader, root);
    } else if (root) { /* several, one behind the other */
        icalcompiter at = icalcomponent_begin_component(root, ICAL_VCALENDAR_COMPONENT);

        for (icalcomponent *c = icalcompiter_deref(&at); c && !r; c = icalcompiter_next(&at)) {
            any = true;
            r = read_calendar(&reader, c);
        }
    }
    if (root)
        icalcomponent_free(root);
    icalmemory_free_ring();
    free(reader.moved);
    if (any)
        return r;
    (void)snprintf(error, error_size,
                   "this is no iCalendar: there is no BEGIN:VCALENDAR that is ended; give the "
                   "address of an .ics file");
    return -EINVAL;
}
