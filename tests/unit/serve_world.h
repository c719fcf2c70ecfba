/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small world made with the real stages, the API over it on a real socket in a loop and thread of
 * its own, and a client. The world does not change while the server runs: no locks.
 *
 * Services catalog (no policy) and front, the same 100 seconds each: 50 requests for /products/{id}
 * and one for WORLD_ODD_ROUTE; second WORLD_MISSING was not observed. Front has two instances, of
 * which the first was asked for all products, and decisions 1 (in the history only) and 2.
 */
#pragma once

#include <stdbool.h>
#include <pthread.h>
#include <jansson.h>
#include <uv.h>
#include "agent/core.h"

#define WORLD_NOW       1700000000LL
#define WORLD_SECONDS   100
#define WORLD_MISSING   (WORLD_NOW - 5)
#define WORLD_IN_FLIGHT 3 /* requests for products that front has not answered yet */
#define WORLD_ODD_ROUTE "/a\"b\\c\n\xff{id}" /* quote, backslash, newline, not UTF-8 */

struct world {
    char directory[64];
    char socket[96];
    char config[96];      /* a file that was taken over, with world_config_text in it */
    struct pmo_core core; /* of which only the agent, the hints and the backend are there */
    void *hints;          /* rows */
    struct pmo_service front, catalog;
    struct pmo_agent_instance instances[2];
    struct pmo_policy policy;
    uv_loop_t loop;
    uv_async_t stop;
    struct pmo_server *server;
    pthread_t thread;
};

extern const char world_config_text[];
/* Writes the configuration file. */
void world_configure(const struct world *world, const char *text);

/* Fatal assertions of CUnit where something fails. */
void world_start(struct world *world);
void world_stop(struct world *world);

struct answer {
    long status;
    char type[64];
    char *text; /* the caller's to free */
    size_t length;
};

/* @body: sent as @content_type unless NULL; further headers may follow that, one a line. */
struct answer world_ask(const struct world *world, const char *method, const char *path,
                        const char *content_type, const char *body);
/* The JSON of a GET that is answered with 200. */
json_t *world_get(const struct world *world, const char *path);
/* An answer with this status, whose error has @part in it and says what to do. @body: JSON. */
void world_expect_error(const struct world *world, const char *method, const char *path,
                        const char *body, long status, const char *part);
/* Metrics have this line in them. */
void world_expect_line(const char *text, const char *line);

/* Has figures looked at that the second service and its first instance have, and the first service
 * and that instance's neighbour have not. */
void world_expect_figures(const struct world *w, void (*expect)(const json_t *of, bool known));
/* A number of an object; 0: it has none. */
double world_number(const json_t *object, const char *name);
/* A connected socket. */
int world_connect(const struct world *world);
