/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/refresh.h"

#include <errno.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/events/feed.h"
#include "agent/events/fetch.h"
#include "agent/events/ical.h"
#include "agent/events/kafka.h"

#define LOOK_MS     1000
#define FORGET_S    60
#define SCHEDULE_MS 600000    /* schedules are worked out anew */
#define FETCHED_MAX 20000     /* happenings in one file, before those far away are left out */
#define PAST_MAX    (24 * 60) /* of one source: one a minute */

/* One source on its way. */
struct running {
    uv_work_t work;
    struct pmo_refresh *refresh;
    const struct pmo_source *source;
    struct pmo_kafka *kafka;
    uint64_t due_ms; /* of the loop's clock */
    bool busy, failed;
    /* what the thread of the pool hands over */
    struct pmo_happening *list;
    size_t count;
    int64_t now;
    int result;
    char error[320];
};

struct pmo_refresh {
    uv_loop_t *loop;
    struct pmo_sources *sources; /* to be freed, when it is stopped */
    struct pmo_calendar *calendar;
    uv_timer_t timer;
    bool stopped, closed;
    size_t busy;
    int64_t forgotten;
    size_t count;
    struct running running[];
};

/* ---- what a source says ---------------------------------------------------------------------- */

struct collection {
    const struct pmo_source *source;
    int64_t now;
    struct pmo_happening *list;
    size_t count, room;
};

/* NULL: no memory. */
static struct pmo_happening *add(struct collection *all, const struct pmo_event_form *form)
{
    struct pmo_happening *added;

    if (all->count == all->room) {
        size_t room = all->room ? 2 * all->room : 64;
        void *list = reallocarray(all->list, room, sizeof(*all->list));

        if (!list)
            return NULL;
        all->list = list;
        all->room = room;
    }
    added = &all->list[all->count++];
    *added = (struct pmo_happening){.strength = form->strength, .duration_s = form->duration_s};
    (void)snprintf(added->kind, sizeof(added->kind), "%s", form->kind);
    (void)snprintf(added->scope, sizeof(added->scope), "%s", form->scope);
    return added;
}

static int read_schedule(struct collection *all)
{
    const struct pmo_source *source = all->source;
    uint32_t duration =
        source->form.duration_s != PMO_DURATION_UNSET ? source->form.duration_s : PMO_DURATION_S;
    int64_t from = all->now - PMO_CALENDAR_PAST_S - duration;
    size_t room = (size_t)(all->now - from) / 60 + PMO_REFRESH_AHEAD_MAX + 2, count;
    _cleanup_free_ int64_t *times = calloc(room, sizeof(*times));

    if (!times)
        return -ENOMEM;
    count = pmo_cron_between(&source->cron, source->zone, from, all->now + PMO_CALENDAR_AHEAD_S,
                             times, room);
    for (size_t i = 0; i < count; i++) {
        struct pmo_happening *added = add(all, &source->form);
        char id[32];

        if (!added)
            return -ENOMEM;
        added->duration_s = duration;
        added->start = times[i];
        (void)snprintf(id, sizeof(id), "%lld", (long long)times[i]);
        pmo_happening_name(added, "", id);
    }
    return 0;
}

static bool is_over(const struct collection *all, int64_t start, const struct pmo_event_form *form,
                    uint32_t duration_s)
{
    if (form->duration_s != PMO_DURATION_UNSET)
        duration_s = form->duration_s;
    return start + duration_s < all->now - PMO_CALENDAR_PAST_S;
}

static int on_ical_event(void *context, const struct pmo_ical_event *event)
{
    struct collection *all = context;
    char text[512], part[32];
    const struct pmo_event_form *form;
    struct pmo_happening *added;

    (void)snprintf(text, sizeof(text), "%.255s\n%.255s", event->summary, event->categories);
    form = pmo_source_form(all->source, text);
    if (!form || is_over(all, event->start, form, event->duration_s))
        return 0;
    if (all->count == FETCHED_MAX)
        return -E2BIG;
    added = add(all, form);
    if (!added)
        return -ENOMEM;
    if (added->duration_s == PMO_DURATION_UNSET)
        added->duration_s = event->duration_s;
    added->start = event->start;
    (void)snprintf(part, sizeof(part), "%lld", (long long)event->recurrence);
    pmo_happening_name(added, *event->uid ? event->uid : event->summary, part);
    return 0;
}

static int on_feed_item(void *context, const struct pmo_feed_item *item)
{
    struct collection *all = context;
    const struct pmo_event_form *form = pmo_source_form(all->source, item->text);
    struct pmo_happening *added;

    if (!form || is_over(all, item->published, form, PMO_DURATION_S))
        return 0;
    if (all->count == FETCHED_MAX)
        return -E2BIG;
    added = add(all, form);
    if (!added)
        return -ENOMEM;
    if (added->duration_s == PMO_DURATION_UNSET)
        added->duration_s = PMO_DURATION_S;
    added->start = item->published;
    pmo_happening_name(added, item->id, "");
    return 0;
}

static int by_start(const void *a, const void *b)
{
    const struct pmo_happening *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

/* The nearest are those that count. */
static void cut(struct collection *all)
{
    size_t past = 0, first;

    if (all->count)
        qsort(all->list, all->count, sizeof(*all->list), by_start);
    while (past < all->count && all->list[past].start <= all->now)
        past++;
    first = past > PAST_MAX ? past - PAST_MAX : 0;
    if (all->count > past + PMO_REFRESH_AHEAD_MAX)
        all->count = past + PMO_REFRESH_AHEAD_MAX;
    all->count -= first;
    if (first)
        memmove(all->list, all->list + first, all->count * sizeof(*all->list));
}

int pmo_refresh_read(const struct pmo_source *source, const char *text, size_t length, int64_t now,
                     struct pmo_happening **list, size_t *count, char *error, size_t error_size)
{
    struct collection all = {.source = source, .now = now};
    int r;

    error[0] = '\0';
    if (source->type == PMO_SOURCE_SCHEDULE)
        r = read_schedule(&all);
    else if (source->type == PMO_SOURCE_CALENDAR)
        /* what is going on may have begun long ago */
        r = pmo_ical_read(text, source->zone, now - PMO_CALENDAR_PAST_S - PMO_DURATION_MAX_S,
                          now + PMO_CALENDAR_AHEAD_S, on_ical_event, &all, error, error_size);
    else
        r = pmo_feed_read(text, length, now, on_feed_item, &all, error, error_size);
    if (r == -E2BIG)
        (void)snprintf(error, error_size,
                       "has more than %d events in the week to come and the month before; choose "
                       "some by rules",
                       FETCHED_MAX);
    if (r) {
        free(all.list);
        return r == -E2BIG ? -EINVAL : r;
    }
    cut(&all);
    *list = all.list;
    *count = all.count;
    return 0;
}

/* ---- in the loop ----------------------------------------------------------------------------- */

/* In a thread of the pool: touches nothing but its own. */
static void on_work(uv_work_t *work)
{
    struct running *run = work->data;
    const struct pmo_source *source = run->source;
    _cleanup_free_ char *text = NULL;
    size_t length = 0;

    run->result = pmo_fetch(source->place, source->plain_http, &run->refresh->stopped, &text,
                            &length, run->error, sizeof(run->error));
    if (!run->result)
        run->result = pmo_refresh_read(source, text, length, run->now, &run->list, &run->count,
                                       run->error, sizeof(run->error));
}

/* Once where it begins, once where it ends. */
static void report(struct running *run)
{
    const struct pmo_source *source = run->source;
    bool failed = run->result || run->error[0];

    if (failed && !run->failed)
        pmo_warn("%s: %s %s%s", source->name, source->place ? source->place : "its schedule",
                 run->error[0] ? run->error : strerror(-run->result),
                 run->result ? "; what it had is kept" : "");
    else if (!failed && run->failed)
        pmo_info("%s: %s is read again", source->name, source->place);
    run->failed = failed;
}

static void take(struct running *run)
{
    struct pmo_calendar *calendar = run->refresh->calendar;
    uint16_t number = (uint16_t)(run - run->refresh->running + 1);

    if (run->source->type == PMO_SOURCE_FEED) {
        /* what is no longer in a feed has happened all the same */
        for (size_t i = 0; i < run->count; i++) {
            run->list[i].source = number;
            (void)pmo_calendar_add(calendar, &run->list[i], run->now);
        }
    } else if (pmo_calendar_replace(calendar, number, run->list, run->count, run->now)) {
        run->result = -ENOMEM;
    }
}

static void settle(struct running *run)
{
    uint64_t dropped = pmo_calendar_dropped(run->refresh->calendar);

    if (!run->result)
        take(run);
    report(run);
    if (pmo_calendar_dropped(run->refresh->calendar) > dropped && !dropped)
        pmo_warn("%s: there are more than %d events: those that are furthest ahead wait",
                 run->source->name, PMO_CALENDAR_MAX);
    free(run->list);
    run->list = NULL;
    run->count = 0;
}

static void free_if_done(struct pmo_refresh *refresh)
{
    if (!refresh->closed || refresh->busy)
        return;
    pmo_sources_free(&refresh->sources);
    free(refresh);
}

static void on_fetched(uv_work_t *work, int status)
{
    struct running *run = work->data;
    struct pmo_refresh *refresh = run->refresh;

    run->busy = false;
    refresh->busy--;
    if (refresh->stopped)
        free(run->list);
    else
        settle(run);
    free_if_done(refresh);
}

static void begin(struct running *run, int64_t now)
{
    const struct pmo_source *source = run->source;

    run->now = now;
    run->error[0] = '\0';
    if (source->type == PMO_SOURCE_SCHEDULE) {
        run->due_ms += SCHEDULE_MS;
        run->result = pmo_refresh_read(source, NULL, 0, now, &run->list, &run->count, run->error,
                                       sizeof(run->error));
        settle(run);
        return;
    }
    run->due_ms = uv_now(run->refresh->loop) + (uint64_t)(source->refresh_s * 1000);
    run->work.data = run;
    run->busy = !uv_queue_work(run->refresh->loop, &run->work, on_work, on_fetched);
    run->refresh->busy += run->busy;
}

static void on_timer(uv_timer_t *timer)
{
    struct pmo_refresh *refresh = timer->data;
    int64_t now = time(NULL);

    for (size_t i = 0; i < refresh->count; i++) {
        struct running *run = &refresh->running[i];
        bool timed = run->source->type <= PMO_SOURCE_FEED;

        if (timed && !run->busy && run->due_ms <= uv_now(refresh->loop))
            begin(run, now);
    }
    if (now - refresh->forgotten >= FORGET_S) {
        pmo_calendar_forget(refresh->calendar, now);
        refresh->forgotten = now;
    }
}

static void on_message(void *context, const struct pmo_cloudevents *events)
{
    struct running *run = context;
    int64_t now = time(NULL);

    for (size_t i = 0; i < events->count; i++)
        if (events->list[i].strength > 0)
            (void)pmo_calendar_add(run->refresh->calendar, &events->list[i], now);
        else
            (void)pmo_calendar_remove(run->refresh->calendar, 0, events->list[i].id);
}

int pmo_refresh_start(struct pmo_refresh **refresh, uv_loop_t *loop,
                      const struct pmo_sources *sources, struct pmo_calendar *calendar)
{
    size_t count = pmo_sources_count(sources);
    struct pmo_refresh *made = calloc(1, sizeof(*made) + count * sizeof(made->running[0]));
    struct pmo_sources *none = NULL;
    int r = 0;

    if (!made)
        return pmo_err_r(ENOMEM, "cannot read event sources");
    made->loop = loop;
    made->calendar = calendar;
    made->count = count;
    xmlInitParser(); /* before threads use it */
    (void)uv_timer_init(loop, &made->timer);
    made->timer.data = made;
    for (size_t i = 0; i < count; i++) {
        made->running[i].refresh = made;
        made->running[i].source = pmo_sources_at(sources, i);
        if (!r && made->running[i].source->type == PMO_SOURCE_KAFKA)
            r = pmo_kafka_start(&made->running[i].kafka, loop, made->running[i].source,
                                pmo_sources_cloudevent, sources, on_message, &made->running[i]);
    }
    if (r)
        pmo_refresh_stop(&made, &none);
    else
        (void)uv_timer_start(&made->timer, on_timer, 0, LOOK_MS);
    *refresh = made;
    return r;
}

static void on_closed(uv_handle_t *handle)
{
    struct pmo_refresh *refresh = handle->data;

    refresh->closed = true;
    free_if_done(refresh);
}

void pmo_refresh_stop(struct pmo_refresh **refresh, struct pmo_sources **sources)
{
    struct pmo_refresh *stopped = *refresh;

    if (!stopped) {
        pmo_sources_free(sources);
        return;
    }
    *refresh = NULL;
    __atomic_store_n(&stopped->stopped, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < stopped->count; i++)
        pmo_kafka_stop(&stopped->running[i].kafka);
    stopped->sources = TAKE_PTR(*sources);
    uv_close((uv_handle_t *)&stopped->timer, on_closed);
}
