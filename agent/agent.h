/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agent's state: what the stages hand to each other. One process, one event loop, one thread;
 * agent/serve reads it and changes nothing but through pmo_agent_orchestrate(),
 * pmo_agent_events_take(), pmo_agent_pause(), pmo_agent_resume() and pmo_agent_reload().
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include "agent/act/backend.h"
#include "agent/attempts.h"
#include "agent/config.h"
#include "agent/decide/capacity.h"
#include "agent/decide/lead_time.h"
#include "agent/decide/outcome.h"
#include "agent/decide/pauses.h"
#include "agent/decide/plan.h"
#include "agent/decide/policy.h"
#include "agent/events/sources.h"
#include "agent/forecast/effects.h"
#include "agent/forecast/forecast.h"
#include "agent/observe/workload.h"
#include "agent/series/history.h"
#include "agent/series/operations.h"
#include "agent/series/routes.h"
#include "agent/series/series.h"
#include "agent/signals.h"
#include "agent/upstream.h"
#include "agent/use.h"

struct pmo_zones; /* agent/observe/zones.h */

/* What an instance answered in a second. */
struct pmo_answers {
    int64_t t;                  /* that second; 0: none */
    double requests, latency_s; /* latency: the sum, to the first byte */
};

/* One instance, found by discovery or started by a backend. */
struct pmo_agent_instance {
    uint32_t id; /* row in the kernel's maps and in the hints map */
    char name[80];
    struct pmo_service *service;
    enum pmo_instance_phase phase;
    bool managed; /* the backend's, else found on this host */
    struct pmo_listener listener;
    bool datagrams; /* nobody listens there: it was asked over UDP */
    uint32_t pid;
    char cgroup[256];
    struct pmo_workload workload; /* nothing where it is managed */
    char pod[254];                /* see struct pmo_container */
    char interface[16];
    int netns_fd; /* -1 where none; owned by the backend */
    uint32_t in_flight;
    double cpu_share;      /* of one core, last second */
    uint64_t memory_bytes; /* resident, all its processes */
    double rx_bytes_per_s, tx_bytes_per_s;
    struct pmo_use use;               /* last second */
    struct pmo_usage_reading reading; /* the last one, for differences */
    struct pmo_signals_second signals;
    double load_rps;     /* arrivals in the last second */
    int64_t load_second; /* that second */
    struct pmo_answers answers;
    double cpu_limit;                  /* cores; NAN: no limit is known */
    bool started;                      /* `start` was begun: an instance has one */
    struct pmo_start start;            /* until it serves well */
    double predicted_latency_s;        /* in the next second; NAN where not known */
    int64_t gone;                      /* second it went, 0: it is there */
    unsigned int missed;               /* scans in a row that did not find its listener */
    struct pmo_usage_instance *usage;  /* NULL: cannot be read */
    struct pmo_operations *operations; /* NULL: nobody asked it for anything yet */
    struct pmo_operations *calls;      /* what it asks others for; NULL: nothing yet */
    struct pmo_attempts attempts;
    struct pmo_agent_instance *next;
};

struct pmo_service {
    char name[64];
    uint64_t scope; /* of its rules in `routes` */
    struct pmo_service_store *store;
    struct pmo_operations *headers; /* requests with a header that its policy names, by "name:
                                       value" as a route; NULL: there were none */
    struct pmo_forecaster *forecaster;
    struct pmo_forecast forecast;      /* of arrivals, from the last complete second */
    int64_t trained_since;             /* what came later was not trained on yet */
    int64_t decomposed;                /* second of the last fit of trend and seasons; 0: none */
    const struct pmo_policy *policy;   /* NULL: none applies */
    bool managed;                      /* a backend runs its instances */
    int hints_number;                  /* in the hints map, -1: it did not fit */
    uint32_t wanted;                   /* instances asked for, when managed */
    struct pmo_backend_status backend; /* likewise */
    uint32_t ready, starting, draining;
    struct pmo_capacity capacity;
    struct pmo_capacity_second together; /* its instances that serve well, last second */
    struct pmo_capacity_estimate learned;
    struct pmo_lead_times lead_times;
    struct pmo_outcome outcome;
    double lead_time_s;      /* that is planned with, NAN where nothing is known */
    double capacity_rps;     /* of one instance, likewise; 0 where not known */
    double instance_seconds; /* since the agent's start, starting ones included */
    double cpu_seconds, memory_bytes, rx_bytes, tx_bytes; /* of its instances, last second */
    struct pmo_use use;                                   /* of its instances, last second */
    struct pmo_use_sums use_total;                        /* since the agent's start */
    struct pmo_signals_second signals;
    struct pmo_signals signals_total; /* likewise */
    struct pmo_attempts attempts;
    struct pmo_asks asks; /* what it asks others for */
    double upstream_rps;  /* what reaches it from its callers, last second; NAN: nobody is known */
    bool led;             /* more than requests in flight was known that may come before load */
    struct pmo_service *next;
};

/* Counters of the agent itself, for /metrics and `pmoctl services`. */
struct pmo_agent_totals {
    uint64_t windows;      /* window records read */
    uint64_t late_windows; /* seconds that had to be spread */
    uint64_t ring_full, routes_full, counters_full, instances_full; /* from struct pmo_control */
    uint64_t peers_full, midstream, holes, not_http, tls, tls_read;
};

/* What became of the configuration file, see agent/reload.c. */
struct pmo_config_state {
    const char *path;              /* NULL: there is none */
    char sha256[PMO_SHA256_BYTES]; /* of what is in force */
    char tried[PMO_SHA256_BYTES];  /* of what was read last */
    int64_t loaded;                /* when what is in force was read, seconds since 1970 */
    bool failed;                   /* the file has changed since, and is not taken over */
    char error[768];               /* why: FILE:LINE:COLUMN: ...; "" if it did not fail */
    char restart[256];             /* what in it takes a restart, "" for nothing */
};

#define PMO_DECISIONS_KEPT 256

struct pmo_agent {
    enum pmo_mode mode; /* --mode: no policy does more */
    int64_t now;        /* last complete second */
    double started;     /* seconds since 1970 */
    struct pmo_store *store;
    struct pmo_routes *routes; /* how routes are folded */
    struct pmo_history *history;
    struct pmo_policies *policies;
    struct pmo_planner *planner;
    struct pmo_pauses pauses; /* for whom nothing is ordered */
    struct pmo_config_state config;
    struct pmo_sources *sources;          /* of events; NULL: there are none */
    struct pmo_calendar *calendar;        /* what they and the API have told, */
    char told[PATH_MAX];                  /* and the file of the API's; "": none */
    struct pmo_zones *zones;              /* NULL: there are none */
    struct pmo_service *services;         /* list, sorted by name */
    struct pmo_agent_instance *instances; /* list, sorted by service and name */
    struct pmo_decision
        decisions[PMO_DECISIONS_KEPT]; /* ring: newest at (decisions_made - 1) % KEPT */
    uint64_t decisions_made;
    struct pmo_agent_totals totals;
    char logs[PATH_MAX + 8]; /* directory of what instances print; "" where there is none */
    double cpu_share;        /* the agent's own, of one core, last second */
    uint64_t resident_bytes; /* the agent's own */
};

struct pmo_service *pmo_agent_service(struct pmo_agent *agent, const char *name);

/* POST /v1/orchestrate: what a router or client knows of a request to come. */
struct pmo_orchestrate_request {
    const char *service;              /* required */
    const char *method, *path, *zone; /* NULL where not given */
    const char *const *flags;         /* feature flags that are on */
    size_t flags_count;
};

struct pmo_orchestrate_instance {
    const struct pmo_agent_instance *instance;
    double predicted_latency_s;
};

struct pmo_orchestrate_answer {
    const struct pmo_service *service;
    double predicted_rps; /* peak over the lead time, at the policy's quantile */
    double utilization;   /* of ready capacity, NAN where capacity is not known */
    bool scaled;          /* a decision was made by this call */
    struct pmo_decision decision;
    bool deployed; /* always false until a backend can deploy versions */
    struct pmo_orchestrate_instance instances[64]; /* ready ones, best first */
    size_t instances_count;
};

/* Predicts, scales if the policy says so (in its mode), and lists the ready instances. Returns 0,
 * or -ENOENT for a service that is not known. */
int pmo_agent_orchestrate(struct pmo_agent *agent, const struct pmo_orchestrate_request *request,
                          struct pmo_orchestrate_answer *answer);

/* POST /v1/events: what became of them. */
struct pmo_events_taken {
    size_t accepted; /* new ones */
    size_t replaced; /* told before, and now again */
    size_t removed;  /* taken back */
    size_t dropped;  /* over for long, or there are too many */
};
/* Puts CloudEvents into the calendar at @now. Returns 0 or -ENOMEM. */
int pmo_agent_events_take(struct pmo_agent *agent, const struct pmo_cloudevents *events,
                          int64_t now, struct pmo_events_taken *taken);

/* What a service's forecaster has to know of events, as of @now: those that touch seconds from..to
 * with their effects (before and after them, too), and were known by then; up to @room of them. */
size_t pmo_agent_events(const struct pmo_agent *agent, const char *service, int64_t now,
                        int64_t from, int64_t to, struct pmo_effect_event *events, size_t room);

/* ---- control.c, reload.c; @who: for the audit log ---- */

#define PMO_AUDIT_TEXT 1024

/* Notes what was done. @service: "" where it concerns all. */
__attribute__((format(printf, 5, 6))) void pmo_agent_audit(struct pmo_agent *agent,
                                                           const char *kind, const char *service,
                                                           const char *who, const char *format,
                                                           ...);
/* Orders nothing from here on, over restarts. Returns 0, -ENOENT for a service that is not known,
 * or -ENOMEM. */
int pmo_agent_pause(struct pmo_agent *agent, const struct pmo_pause *pause, const char *who);
/* Ends the pause of a service, or all that there are (""). Returns how many it ended, or -ENOENT.
 */
int pmo_agent_resume(struct pmo_agent *agent, const char *service, const char *who);
/* Takes over what the configuration file says now. Returns 1, 0 where that is in force already,
 * -ENOENT where the agent has no such file, or -EINVAL: nothing has changed, and
 * agent->config.error says why. */
int pmo_agent_reload(struct pmo_agent *agent, const char *who);
