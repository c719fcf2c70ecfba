/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of agent/serve: one exchange (a request and its answer), the table of endpoints, and the
 * JSON forms of what the agent knows. */
#pragma once

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/agent.h"
#include "agent/serve/json_text.h"

#define PMO_BODY_BYTES_MAX 65536U
#define PMO_NAME_BYTES_MAX 256U /* of a path's {segment} */

struct pmo_exchange {
    struct pmo_agent *agent;
    struct MHD_Connection *connection;
    char segment[PMO_NAME_BYTES_MAX]; /* what stands for the path's {segment} */
    char *body;
    size_t body_length; /* also counts bytes that were not kept */
    size_t body_space;

    unsigned int status;
    const char *content_type;
    const char *allow; /* methods, with a 405 */
    struct MHD_Response *response;
};

struct pmo_endpoint {
    const char *method;
    const char *path;              /* as in docs/openapi.yaml: /v1/decisions/{id} */
    const char *const *parameters; /* of the query, NULL-terminated; others are refused */
    /* Fills status, content_type and response. Returns 0 or -ENOMEM. */
    int (*answer)(struct pmo_exchange *exchange);
};

extern const struct pmo_endpoint pmo_endpoints[]; /* ends with a method of NULL */

/* ---- answers (server.c) ---- */

/* Takes the reference; NULL is "no memory". All return 0 or -ENOMEM. */
int pmo_answer_json(struct pmo_exchange *exchange, unsigned int status, json_t *json);
/* Takes @text, which came from malloc(). */
int pmo_answer_text(struct pmo_exchange *exchange, const char *content_type, char *text,
                    size_t length);
/* {"error": "what; what to do"} */
__attribute__((format(printf, 3, 4))) int
pmo_answer_error(struct pmo_exchange *exchange, unsigned int status, const char *format, ...);

/* ---- query (server.c) ---- */

/* Value of a query parameter, NULL where absent. */
const char *pmo_query_text(const struct pmo_exchange *exchange, const char *name);
/* Whole number from @min to @max; absent: *out is unchanged. False where it is something else; then
 * the exchange is answered (400). */
bool pmo_query_integer(struct pmo_exchange *exchange, const char *name, int64_t min, int64_t max,
                       int64_t *out);

/* ---- body (server.c) ---- */

/* Whether the Content-Type is @wanted, with or without parameters. */
bool pmo_body_is(const struct pmo_exchange *exchange, const char *wanted);

/* ---- endpoints in files of their own ---- */

int pmo_answer_series(struct pmo_exchange *exchange);
int pmo_answer_types(struct pmo_exchange *exchange);
int pmo_answer_routes(struct pmo_exchange *exchange);
int pmo_answer_graph(struct pmo_exchange *exchange);
int pmo_answer_events(struct pmo_exchange *exchange);
int pmo_answer_events_post(struct pmo_exchange *exchange);
int pmo_answer_metrics(struct pmo_exchange *exchange);
int pmo_answer_pauses(struct pmo_exchange *exchange); /* these in control.c */
int pmo_answer_pause(struct pmo_exchange *exchange);
int pmo_answer_resume(struct pmo_exchange *exchange);
int pmo_answer_config(struct pmo_exchange *exchange);
int pmo_answer_reload(struct pmo_exchange *exchange);
int pmo_answer_audit(struct pmo_exchange *exchange);

/* ---- JSON forms (describe.c); NULL: no memory ---- */

/* Rounded to thousandths; null for NAN and infinities. */
json_t *pmo_json_number(double value);
json_t *pmo_json_type(const struct pmo_type *type);
/* Members that types and edges of the graph have in common. */
json_t *pmo_json_load(const struct pmo_operation_load *load);
/* What a router asks for of one, and all that is known of one. */
json_t *pmo_json_instance_ready(const struct pmo_agent_instance *instance,
                                double predicted_latency_s);
json_t *pmo_json_instance(const struct pmo_agent *agent, const struct pmo_agent_instance *instance);
json_t *pmo_json_service(const struct pmo_agent *agent, const struct pmo_service *service);
/* Seconds ahead at which scores are shown, here and in the metrics. */
#define PMO_SCORED 4
extern const unsigned int pmo_scored[PMO_SCORED];
json_t *pmo_json_forecast(const struct pmo_service *service);
/* What is expected of its types at these horizons; they add up to the service's (shares.c). */
json_t *pmo_json_forecast_types(const struct pmo_service *service);
json_t *pmo_json_decision(const struct pmo_decision *decision);
json_t *pmo_json_pause(const struct pmo_pause *pause); /* NULL gives null */

/* "0" is not a zone: "unknown", else its number as text. */
const char *pmo_zone_name(uint8_t zone, char name[8]);
/* Mode in which a service is run: its policy's, capped by the agent's. */
enum pmo_mode pmo_service_mode(const struct pmo_agent *agent, const struct pmo_service *service);
/* Load of the last complete second over the capacity of the ready instances, NAN where unknown. */
double pmo_service_utilization(const struct pmo_agent *agent, const struct pmo_service *service);
