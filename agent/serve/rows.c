/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/series. An hour of a service with many types is tens of megabytes of JSON, so its rows
 * are made while they are sent: a piece at a time, each a bounded amount of work, so that neither
 * memory nor the loop suffers from a large answer or a slow reader. Stores and types are never
 * removed while the agent runs, so a row's place (second, type) is enough to go on from.
 */
#include "agent/serve/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES   32768U
#define LOOKUPS_MAX   50000U /* of counts for one row or piece of white space */
#define DEFAULT_SINCE (-59)  /* the last minute */

struct rows {
    const struct pmo_service_store *store;
    int64_t t, until;
    size_t type, types_count;
    char **types; /* JSON text of each */
    char *text;   /* what is sent next: the beginning, a row, or the end */
    size_t text_length, text_sent, text_space;
    bool any_row, ended;
};

static void rows_free(void *context)
{
    struct rows *rows = context;

    for (size_t i = 0; rows->types && i < rows->types_count; i++)
        free(rows->types[i]);
    free(rows->types);
    free(rows->text);
    free(rows);
}

/* Prepares the next row, or the end. White space where it takes long to find one: the reader
 * ignores it, and the loop has its turn. */
static void next_text(struct rows *rows)
{
    rows->text_sent = 0;
    for (unsigned int lookups = 0; rows->t <= rows->until; rows->t++, rows->type = 0) {
        for (; rows->type < rows->types_count; rows->type++) {
            uint32_t count = 0;

            if (lookups++ == LOOKUPS_MAX) {
                rows->text_length = 1;
                rows->text[0] = '\n';
                return;
            }
            if (pmo_service_store_type_count(rows->store, rows->type, rows->t, &count) < 0 ||
                !count)
                continue;
            rows->text_length = (size_t)snprintf(
                rows->text, rows->text_space, "%s{\"t\":%lld,\"type\":%s,\"count\":%u}",
                rows->any_row ? ",\n" : "", (long long)rows->t, rows->types[rows->type], count);
            rows->any_row = true;
            rows->type++;
            return;
        }
    }
    rows->text_length = (size_t)snprintf(rows->text, rows->text_space, "]}\n");
    rows->ended = true;
}

static ssize_t rows_read(void *context, uint64_t position, char *buffer, size_t max)
{
    struct rows *rows = context;
    size_t used = 0;

    while (used < max) {
        size_t length;

        if (rows->text_sent == rows->text_length) {
            /* Stop after white space: its lookups were this piece's share of work. */
            if (rows->ended || (used && rows->text_length == 1))
                break;
            next_text(rows);
        }
        length = rows->text_length - rows->text_sent;
        if (length > max - used)
            length = max - used;
        memcpy(buffer + used, rows->text + rows->text_sent, length);
        rows->text_sent += length;
        used += length;
    }
    return used ? (ssize_t)used : MHD_CONTENT_READER_END_OF_STREAM;
}

/* Everything but the rows, whose list is left open at the end. */
static char *beginning(const struct pmo_service *service, int64_t since, int64_t until)
{
    json_t *arrivals = json_array(), *missing = json_array(), *json;
    char *text;

    for (int64_t t = since; t <= until; t++) {
        struct pmo_service_second second;

        if (pmo_service_store_second(service->store, t, &second) < 0)
            (void)json_array_append_new(missing, json_integer(t));
        else
            (void)json_array_append_new(arrivals,
                                        json_pack("{s:I, s:o, s:I, s:I}", "t", (json_int_t)t,
                                                  "count", pmo_json_number(second.arrivals),
                                                  "ready", (json_int_t)second.ready, "starting",
                                                  (json_int_t)second.starting));
    }
    json = json_pack("{s:o, s:I, s:I, s:o, s:o, s:[]}", "service", pmo_json_text(service->name),
                     "since", (json_int_t)since, "until", (json_int_t)until, "arrivals", arrivals,
                     "missing", missing, "rows");
    text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(json);
    if (text)
        text[strlen(text) - strlen("]}")] = '\0';
    return text;
}

static int make_types(struct rows *rows)
{
    size_t longest = 0;

    rows->types_count = pmo_service_store_types(rows->store);
    rows->types = calloc(rows->types_count + 1, sizeof(*rows->types));
    if (!rows->types)
        return -ENOMEM;
    for (size_t i = 0; i < rows->types_count; i++) {
        json_t *json = pmo_json_type(pmo_service_store_type_at(rows->store, i));
        size_t length;

        rows->types[i] = json ? json_dumps(json, JSON_COMPACT) : NULL;
        json_decref(json);
        if (!rows->types[i])
            return -ENOMEM;
        length = strlen(rows->types[i]);
        longest = length > longest ? length : longest;
    }
    rows->text_space = longest + 96; /* the row's own words and two numbers */
    return 0;
}

static int make_rows(struct rows *rows, const struct pmo_service *service, int64_t since,
                     int64_t until)
{
    char *grown;
    int r;

    rows->store = service->store;
    rows->t = since;
    rows->until = until;
    r = make_types(rows);
    if (r < 0)
        return r;
    rows->text = beginning(service, since, until);
    if (!rows->text)
        return -ENOMEM;
    rows->text_length = strlen(rows->text);
    if (rows->text_length + 1 >= rows->text_space) {
        rows->text_space = rows->text_length + 1;
        return 0;
    }
    grown = realloc(rows->text, rows->text_space);
    if (!grown)
        return -ENOMEM;
    rows->text = grown;
    return 0;
}

int pmo_answer_series(struct pmo_exchange *exchange)
{
    const struct pmo_agent *agent = exchange->agent;
    const char *name = pmo_query_text(exchange, "service");
    int64_t since = DEFAULT_SINCE, until = 0;
    struct pmo_service *service;
    struct rows *rows;

    if (!name)
        return pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                                "the query names no service; write /v1/series?service=NAME, "
                                "GET /v1/services lists them");
    if (!pmo_query_integer(exchange, "since", -INT32_MAX, INT32_MAX * 8LL, &since) ||
        !pmo_query_integer(exchange, "until", -INT32_MAX, INT32_MAX * 8LL, &until))
        return 0;
    service = pmo_agent_service(exchange->agent, name);
    if (!service)
        return pmo_answer_error(exchange, MHD_HTTP_NOT_FOUND,
                                "there is no service \"%.64s\"; GET /v1/services lists them", name);
    /* Zero and negative numbers count from the last complete second. */
    since += since <= 0 ? agent->now : 0;
    until += until <= 0 ? agent->now : 0;
    if (since <= agent->now - PMO_SERIES_SECONDS)
        since = agent->now - PMO_SERIES_SECONDS + 1;
    if (until > agent->now)
        until = agent->now;
    rows = calloc(1, sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    if (make_rows(rows, service, since, until) == 0)
        exchange->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES,
                                                               rows_read, rows, rows_free);
    if (!exchange->response) {
        rows_free(rows);
        return -ENOMEM;
    }
    exchange->status = MHD_HTTP_OK;
    exchange->content_type = "application/json";
    return 0;
}
