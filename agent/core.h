/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agent's own parts, wired together: instances.c knows who is there, second.c is what happens
 * each second, learn.c what is learned from it for decisions, node.c counts on the node's
 * interfaces, calls.c, headers.c and routes.c tell the kernel side what policies want of it,
 * control.c has the kill switch, reload.c a new configuration, core.c starts and ends it all. Only
 * these and main.c see this header.
 */
#pragma once

#include <uv.h>
#include "agent/agent.h"
#include "agent/decomposer.h"
#include "agent/events/refresh.h"
#include "agent/observe/container.h"
#include "agent/observe/interfaces.h"
#include "agent/observe/kernel.h"
#include "agent/observe/listeners.h"
#include "agent/observe/tls.h"
#include "agent/observe/usage.h"
#include "agent/route/hints.h"
#include "agent/serve/serve.h"
#include "agent/trainer.h"
#include "agent/zones.h"

#define PMO_NODE_INTERFACES_MAX 64

struct pmo_options {
    const char *config;                              /* file, or NULL: observe only */
    const char *zones;                               /* likewise: there are none */
    const char *interfaces[PMO_NODE_INTERFACES_MAX]; /* of the node, that SYNs are counted on */
    size_t interfaces_count;
    const char *socket;    /* path */
    const char *state_dir; /* made if missing */
    const char *bpffs;     /* NULL: the default */
    enum pmo_mode mode;
    double train_share; /* of one CPU, that training may take; 0: no training */
};

struct pmo_node_interface {
    const char *name;
    int ifindex; /* 0: it is not there */
};

struct pmo_core {
    struct pmo_agent agent; /* first: pmo_agent_orchestrate() gets a pointer to it */
    uv_loop_t *loop;
    uv_timer_t second, scan;
    uv_poll_t events;
    struct pmo_kernel *kernel;
    struct pmo_hints *hints;
    struct pmo_listeners *listeners;
    struct pmo_runtimes *runtimes;
    struct pmo_interfaces *interfaces;
    struct pmo_node_interface node[PMO_NODE_INTERFACES_MAX];
    size_t node_count;
    struct pmo_usage *usage;
    struct pmo_tls *tls;
    unsigned int scans;
    uint64_t tls_unread; /* TLS connections that nobody reads, when it was looked for who could */
    bool adopting;       /* not all instances that there are are known yet */
    const struct pmo_backend_ops *backend_ops; /* NULL: none is configured */
    struct pmo_backend *backend;
    struct pmo_server *server;
    struct pmo_refresh *refresh;             /* of events */
    struct pmo_zones_refresh *zones_refresh; /* NULL: they do not change */
    struct pmo_trainer *trainer;             /* NULL: nothing is trained */
    struct pmo_decomposer *decomposer;
    float past[PMO_RECENT_SECONDS];                           /* of one series, for it, */
    float past_leading[PMO_LSTM_LEADING][PMO_RECENT_SECONDS]; /* and of its signals */
    struct pmo_file *config;                                  /* as read at the start */
    const char *state_dir;
    uv_fs_event_t config_changed; /* in its directory */
    uv_timer_t config_settled;
    uint64_t own_netns;     /* cookie */
    char own_cgroups[4096]; /* see pmo_workload_parse() */
    bool calls;             /* of any service are counted */
    bool learned_else;      /* it was told that an earlier agent's learning cannot be used */
    bool headers;           /* can be counted: a policy named some at the start */
    uint32_t rules_read;    /* rules of folding that the kernel side had made */
    int64_t rules_refreshed;
    int64_t committed;       /* last second that an earlier agent has on disk */
    int64_t flushed;         /* last second that is on disk */
    uint64_t own_cpu_usec;   /* last reading */
    uint64_t waits_measured; /* reads, since the last second was run */
};

/* core.c */
int pmo_core_start(struct pmo_core *core, uv_loop_t *loop, const struct pmo_options *options);
void pmo_core_stop(struct pmo_core *core, bool leave);
/* Finds a service, or makes it. NULL: no memory. */
struct pmo_service *pmo_core_service(struct pmo_core *core, const char *name);
/* Gives a service the policy that is for it. */
void pmo_core_policy(struct pmo_core *core, struct pmo_service *service);

/* adopt.c */
/* Has the planner go on with a service from where it was, as far as it is on disk. Returns 0 or a
 * negative errno, logged. */
int pmo_core_adopt(struct pmo_core *core, const struct pmo_service *service);

/* control.c */
/* Reads who is paused. */
int pmo_pauses_start(struct pmo_core *core);
/* Ends what is over; once a second. */
void pmo_pauses_expire(struct pmo_core *core);

/* reload.c */
int pmo_reload_start(struct pmo_core *core);
void pmo_reload_stop(struct pmo_core *core);

/* instances.c */
struct pmo_agent_instance *pmo_instance_by_id(struct pmo_core *core, uint32_t id);
/* Listeners of this host, by sock_diag and the kernel side's own list. @everywhere: of all network
 * namespaces; the kernel side tells of those that begin to listen from its start on. */
int pmo_instances_scan(struct pmo_core *core, bool everywhere);
/* A listener came or went, an instance's process ended (from the kernel side). */
void pmo_instances_event(struct pmo_core *core, const struct pmo_event *event);
/* An instance of the backend changed its phase. */
void pmo_instances_backend(struct pmo_core *core, const struct pmo_backend_instance *instance);
/* Forgets what is long gone, reads what each uses; once a second. */
void pmo_instances_tick(struct pmo_core *core, int64_t now);
/* Writes the service's member list and each instance's row into the hints map. */
void pmo_instances_publish(struct pmo_core *core, struct pmo_service *service);

/* second.c */
extern const struct pmo_kernel_events pmo_second_events; /* context: struct pmo_core */
/* Drains the ring; when windows are complete, forecasts, decides and acts. */
void pmo_second_run(struct pmo_core *core);
/* Decides for a service now, and acts. Returns as pmo_planner_decide(). */
int pmo_second_decide(struct pmo_core *core, struct pmo_service *service, int64_t t,
                      struct pmo_decision *decision);

/* learn.c */
/* An instance of the backend is ready: how long it takes until it serves well begins to be known.
 */
void pmo_learn_start(struct pmo_agent_instance *instance, const struct pmo_backend_instance *b);
/* Requests that an instance answered in [since, until]. */
void pmo_learn_answered(struct pmo_agent_instance *instance, const struct pmo_type *type,
                        int64_t since, int64_t until, const struct pmo_counts *counts);
/* Second @t is over: what instances can take, how long they took to start, and what came of
 * decisions, of all services. */
void pmo_learn_second(struct pmo_core *core, int64_t t);

/* What an earlier agent had learned of a new service. */
void pmo_learn_restore(struct pmo_core *core, struct pmo_service *service);
/* Writes to the history what was learned of a service. */
void pmo_learn_keep(struct pmo_core *core, const struct pmo_service *service);

/* forecasts.c */
int pmo_forecasts_start(struct pmo_core *core, const char *state_dir, double cpu_share);
/* Makes the service's forecaster, from what the history has of it before second @t. */
int pmo_forecasts_begin(struct pmo_core *core, struct pmo_service *service, int64_t t);
/* @second: @t, of which the signals and service->upstream_rps are, too. */
void pmo_forecasts_observe(struct pmo_core *core, struct pmo_service *service, int64_t t,
                           const struct pmo_service_second *second);
/* Takes the newest network, gives what is new to be trained on, and has what is due fitted; once a
 * second. */
void pmo_forecasts_train(struct pmo_core *core);

/* node.c */
void pmo_node_start(struct pmo_core *core, const struct pmo_options *options);
/* An interface came or went: see pmo_interface_fn. */
void pmo_node_interface(struct pmo_core *core, int ifindex, const char *name, bool present);
/* Tells the kernel side who listens on the node; when listeners or addresses may have changed. */
void pmo_node_targets_follow(struct pmo_core *core);

/* calls.c */
bool pmo_calls_wanted(const struct pmo_policies *policies);
/* Tells the kernel side whose calls to count, and by what it knows them; when instances came or
 * went. */
void pmo_calls_follow(struct pmo_core *core);
/* Who is behind a row of the kernel side's peers: a service, where an instance of this host has
 * accepted connections to it or listens there, else the address. */
void pmo_calls_peer(struct pmo_core *core, uint32_t row, char name[PMO_PEER_BYTES]);

/* headers.c */
/* The kernel side's row of a header. */
void pmo_header_make(struct pmo_header *header, const struct pmo_policy_header *from,
                     const __u64 key[2]);
/* Tells the kernel side the headers; instances follow. */
int pmo_headers_start(struct pmo_core *core);
/* Has an instance's requests searched for those that its policy names. */
void pmo_headers_follow(struct pmo_core *core, const struct pmo_agent_instance *instance);

/* routes.c */
/* Reads the rules of folding that the kernel side made since, and once in a while all of them. */
void pmo_routes_refresh(struct pmo_core *core);
/* Pins what the service's policy names, and nothing else. */
void pmo_routes_follow(struct pmo_core *core, const struct pmo_service *service);
/* Decides what becomes of what was told apart before a rule was learned; once a second. */
void pmo_routes_settle(struct pmo_core *core);
