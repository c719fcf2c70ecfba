/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of pmoctl: what was asked for, the way to the agent, and the commands. */
#pragma once

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The command line, and the connection that its command uses. */
struct pmoctl {
    const char *socket;
    bool json, dot, once, models, scores, learn, types, history;
    const char *state_dir;
    const char *service, *instance, *load; /* NULL where not given */
    const char *since, *until;             /* as the API takes them */
    double interval_s, duration_s, target;
    const char *trace, *out, *plot, *policy, *against;   /* NULL where not given */
    const char *origins, *horizons, *quantiles, *events; /* NULL where not given */
    double capacity_rps, slo_s, stride_s;                /* 0 where not given */
    double startup_s, from_s;                            /* NAN where not given */
    const char *reason;                                  /* NULL where not given */
    double for_s;                                        /* 0 where not given */
    char **arguments;                                    /* what is not an option */
    int arguments_count;

    CURL *curl;
    char error[320]; /* of the last request to the agent */
};

/* ---- the agent (client.c) ---- */

/* The answer to a GET of @path with pairs of parameter and value (left out where NULL), ended by
 * NULL; the caller's to free. NULL: none; ctl->error says why in one line. Unless it is for --json,
 * texts in it are safe for a terminal. */
__attribute__((sentinel)) json_t *pmoctl_get(struct pmoctl *ctl, const char *path, ...);
/* The answer to a POST of @body, which it takes; else as pmoctl_get(). */
json_t *pmoctl_post(struct pmoctl *ctl, const char *path, json_t *body);
/* Passes an answer on, and logs ctl->error where there is none. */
json_t *pmoctl_logged(struct pmoctl *ctl, json_t *answer);
void pmoctl_close(struct pmoctl *ctl);

/* ---- reading JSON, and showing it (show.c) ---- */

/* Member of an object by name; NAN, 0, "" or an empty list where it is null or missing. */
double pmoctl_number(const json_t *object, const char *name);
json_int_t pmoctl_integer(const json_t *object, const char *name);
const char *pmoctl_text(const json_t *object, const char *name);

/* Prints for machines, takes the reference; returns the exit status 0. */
int pmoctl_print_json(json_t *json);
/* "12.3", "1234", or "-" for NAN. */
const char *pmoctl_format(char text[32], double value);
/* "1.25", "12.5", "125", of milliseconds */
const char *pmoctl_format_ms(char text[32], double ms);
/* "0.4%", of what has an errorRate */
const char *pmoctl_format_errors(char text[32], const json_t *of);
/* "1.5 GiB" */
const char *pmoctl_format_bytes(char text[32], double bytes);
/* "2023-11-14 22:13:20", or only the time */
const char *pmoctl_format_time(char text[32], json_int_t t, bool date);
/* "paused until 2023-11-14 22:13:20: reason", of what a service has as `paused` */
const char *pmoctl_format_pause(char text[256], const json_t *pause);
/* --since, for paths that take no time from now. */
const char *pmoctl_since(const struct pmoctl *ctl, char text[32]);
/* Member q10, q50 or q90... of a forecast's range: "120 [100..150]". */
const char *pmoctl_format_range(char text[64], const json_t *range);

/* ---- commands; each returns the exit status ---- */

int pmoctl_services(struct pmoctl *ctl);
int pmoctl_series(struct pmoctl *ctl);
int pmoctl_types(struct pmoctl *ctl);
int pmoctl_routes(struct pmoctl *ctl);
int pmoctl_graph(struct pmoctl *ctl);
int pmoctl_forecast(struct pmoctl *ctl);
int pmoctl_events(struct pmoctl *ctl);
int pmoctl_decisions(struct pmoctl *ctl);
int pmoctl_explain(struct pmoctl *ctl);
int pmoctl_status(struct pmoctl *ctl);
int pmoctl_policy(struct pmoctl *ctl);
struct pmo_policy;
/* What a policy would have come to on the load that is in --state-dir: {policy, service, seconds,
 * requests, decisions, latePercent, instanceSeconds, recordedInstanceSeconds}, the caller's to
 * free. NULL: nothing can be said; the log has why. (policy_history.c) */
json_t *pmoctl_policy_history(const struct pmoctl *ctl, const struct pmo_policy *policy);
int pmoctl_top(struct pmoctl *ctl);
int pmoctl_report(struct pmoctl *ctl);
int pmoctl_doctor(struct pmoctl *ctl);
int pmoctl_backtest(struct pmoctl *ctl);
int pmoctl_simulate(struct pmoctl *ctl);
int pmoctl_pause(struct pmoctl *ctl);
int pmoctl_resume(struct pmoctl *ctl);
int pmoctl_reload(struct pmoctl *ctl);
int pmoctl_audit(struct pmoctl *ctl);
int pmoctl_logs(struct pmoctl *ctl);

/* ---- the view of top (view.c) ---- */

struct pmoctl_view {
    json_t *status, *services, *forecasts, *decisions; /* answers of the API */
    unsigned int columns, rows; /* of the terminal; rows 0: as many as it takes */
    bool colour;
    const char *service;   /* only this one; NULL: all */
    const char *complaint; /* NULL: all is well */
};
/* Writes the view as lines, each ended by "\n". */
void pmoctl_view_print(const struct pmoctl_view *view, FILE *out);
