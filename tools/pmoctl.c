/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pmoctl: what the agent sees, expects and decides, at the command line. Each command asks the
 * agent's API (docs/openapi.yaml) over its socket; `policy`, `backtest`, `simulate`, `doctor`
 * and `version` need no agent.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/quantity.h"
#include "tools/pmoctl/pmoctl.h"

#define SOCKET_PATH     "/run/pmo/pmo.sock"
#define STATE_DIRECTORY "/var/lib/pmo"
#define USAGE_ERROR     2

/* Options by bit, so that a command can say which it takes. */
enum {
    SERVICE = 1,
    SINCE = 2,
    UNTIL = 4,
    INTERVAL = 8,
    ONCE = 16,
    DURATION = 32,
    LOAD = 64,
    TARGET = 128,
    SOCKET = 256,
    JSON = 512,
    HELP = 1024,
    INSTANCE = 2048,
    DOT = 4096,
    TRACE = 1 << 13,
    OUT = 1 << 14,
    PLOT = 1 << 15,
    FROM = 1 << 16,
    CAPACITY = 1 << 17,
    STARTUP = 1 << 18,
    SLO = 1 << 19,
    POLICY = 1 << 20,
    AGAINST = 1 << 21,
    ORIGINS = 1 << 22,
    STRIDE = 1 << 23,
    HORIZONS = 1 << 24,
    QUANTILES = 1 << 25,
    MODELS = 1 << 26,
    EVENTS = 1 << 27,
    SCORES = 1 << 28,
    LEARN = 1 << 29,
    FOR = 1 << 30,
    REASON = 1ULL << 31,
    TYPES = 1ULL << 32,
    HISTORY = 1ULL << 33,
    STATE_DIR = 1ULL << 34,
};
#define EVERYWHERE (SOCKET | JSON | HELP)

static const struct option_text {
    uint64_t bit;
    const char *name, *value, *text;
} option_texts[] = {
    {SERVICE, "service", "S", "only this service"},
    {INSTANCE, "instance", "I", "only this instance of it, by its name"},
    {SINCE, "since", "T", "from this second on: seconds since 1970, or -60s, -5m, -1h from now"},
    {UNTIL, "until", "T", "up to this second, given like --since"},
    {INTERVAL, "interval", "TIME", "between two views (1s)"},
    {ONCE, "once", NULL, "one view, then end"},
    {DURATION, "duration", "TIME", "end after this time, as in 90s or 3m"},
    {LOAD, "load", "FILE", "JSON report of pmo-load"},
    {TARGET, "target", "SHARE", "utilisation that the HPA algorithm aims at (70%)"},
    {DOT, "dot", NULL, "print it in the language of Graphviz: pmoctl graph --dot | dot -Tsvg"},
    {TRACE, "trace", "FILE", "CSV with the header t,requests, one row a second; .gz is fine"},
    {CAPACITY, "capacity", "RPS", "requests per second that one instance serves in time"},
    {STARTUP, "startup", "S", "seconds from the order of an instance to its first request"},
    {LEARN, "learn", NULL, "PMO is told neither capacity nor start, and learns them as live"},
    {SLO, "slo", "MS", "milliseconds; who waits longer is late (the policy's objective, or 250)"},
    {POLICY, "policy", "FILE", "what to scale by (every field's default, up to 10000 instances)"},
    {AGAINST, "against", "LIST", "whom to compare with (hpa:70,fast:70,oracle)"},
    {FROM, "from", "T", "score from this second of the trace on; what comes before is history"},
    {EVENTS, "events", "FILE",
     "CSV with the header start,duration,kind,strength: what was known to come"},
    {ORIGINS, "origins", "FILE", "forecast at these seconds of the trace only: one a line, rising"},
    {STRIDE, "stride", "TIME", "forecast once in this time (60s), instead of --origins"},
    {HORIZONS, "horizons", "LIST", "how far ahead, in seconds up to 60 (5,15,30,60)"},
    {QUANTILES, "quantiles", "LIST", "which quantiles (0.1,0.5,0.9,0.99)"},
    {MODELS, "models", NULL, "print weight and error of each model at the end, too"},
    {SCORES, "scores", NULL, "print how forecasts did, by model and horizon"},
    {HISTORY, "history", NULL, "say what it would have come to on the load that was recorded"},
    {STATE_DIR, "state-dir", "DIR", "where the agent keeps its history (" STATE_DIRECTORY ")"},
    {FOR, "for", "TIME", "end by itself after this time, as in 30m or 1h"},
    {REASON, "reason", "TEXT", "why, for who asks later"},
    {TYPES, "types", NULL, "print what is expected of each type of request; needs --service"},
    {OUT, "out", "FILE", "write the outcome to this CSV file"},
    {PLOT, "plot", "FILE", "draw an SVG of the stretch with the strongest rise"},
    {SOCKET, "socket", "PATH", "the agent's socket (" SOCKET_PATH ")"},
    {JSON, "json", NULL, "print JSON"},
    {HELP, "help", NULL, "print this"},
};
#define OPTIONS (sizeof(option_texts) / sizeof(option_texts[0]))

static int print_version(struct pmoctl *ctl)
{
    if (ctl->json)
        return pmoctl_print_json(json_pack("{s:s}", "version", PMO_VERSION));
    puts("pmoctl " PMO_VERSION);
    return 0;
}

static const struct command {
    const char *name, *arguments, *summary, *description;
    uint64_t options;
    int least, most; /* arguments */
    int (*run)(struct pmoctl *ctl);
} commands[] = {
    {"top", "", "watch services live",
     "Shows every service once a second: rate by status class, latency, forecast, instances, use\n"
     "of capacity, the last minute of arrivals and the forecast of the next 30 s, and the last\n"
     "decisions. Full-screen on a terminal (q quits), else a block of lines each second.",
     SERVICE | INTERVAL | ONCE | DURATION, 0, 0, pmoctl_top},
    {"services", "", "list services",
     "Lists every service with its load, latency, instances, use of capacity and forecast.", 0, 0,
     0, pmoctl_services},
    {"series", "", "requests per second by type",
     "Prints one row for each second and type of request, exact, from up to the last hour. With\n"
     "--json: a list of {t, type: {direction, protocol, method, route, peer, status_class, zone},\n"
     "count}.",
     SERVICE | SINCE | UNTIL, 0, 0, pmoctl_series},
    {"types", "", "what a service is asked for",
     "Prints one row for each protocol, method and route, the busiest first: arrivals and bytes\n"
     "in the last second, requests in flight; time to the first and to the last byte (END) and\n"
     "share of errors (5xx) over the last minute. Outbound are requests that the service makes to\n"
     "others, where its policy says calls: true. pmoctl services --json names the instances.",
     SERVICE | INSTANCE, 0, 0, pmoctl_types},
    {"routes", "", "what was folded in a service's routes",
     "Prints one row for each route, the busiest first: its requests, and of each folded segment\n"
     "whether it was folded by its bytes (syntax), because there are too many of its kind "
     "(learned),\n"
     "or as a policy says (pinned), how many different ones there were, and some of them.",
     SERVICE, 0, 0, pmoctl_routes},
    {"graph", "", "which service calls which",
     "Prints a tree for each service that nobody here calls, of whom it calls and whom these "
     "call:\n"
     "calls per second and calls to a request that the caller serves (PER REQUEST), both over the\n"
     "last 10 s; time to the first byte, and share of errors (5xx), over the last minute; and the\n"
     "busiest type. A service that calls others in several places has them below it in the first\n"
     "one only. Calls are those of services whose policy says calls: true.",
     DOT, 0, 0, pmoctl_graph},
    {"forecast", "", "what load is coming",
     "Prints the forecast of arrivals for the next 60 s as quantiles, and draws it after those of\n"
     "the last minute: the median, and lighter above it up to the 0.9 quantile. With --scores: "
     "how\n"
     "far off forecasts were of late (MEAN ERROR: of the median; PINBALL: mean loss over all\n"
     "quantiles), how often 0.9 and 0.99 quantiles HELD, and each model's weight and mean error.\n"
     "Where forecasts have been wrong in one way for a minute and more (drift), it says how. With\n"
     "--types: the busiest types' shares of the service in the last minutes, and what is expected\n"
     "of them (0.5 and 0.9 quantile), which adds up to the service's.",
     SERVICE | SCORES | TYPES, 0, 0, pmoctl_forecast},
    {"events", "", "what is known to come, and has come",
     "Lists events that change the load, of the last hour and to come, from the sources that\n"
     "EventSource documents name and from POST /v1/events: when they begin and how long they\n"
     "last, their kind, whom they concern (SCOPE), and their strength. --since -24h shows all\n"
     "that are kept.",
     SERVICE | SINCE | UNTIL, 0, 0, pmoctl_events},
    {"decisions", "", "the last decisions", "Lists decisions, newest first, with their reasons.",
     SERVICE | SINCE, 0, 0, pmoctl_decisions},
    {"explain", "DECISION", "why a decision was made",
     "Prints everything that led to the decision with this number (see pmoctl decisions).", 0, 1, 1,
     pmoctl_explain},
    {"pause", "", "order nothing from now on",
     "The kill switch: for all services, or for --service, nothing is ordered until pmoctl "
     "resume,\n"
     "or until --for is over; also not by the next agent, if this one is restarted. Decisions are\n"
     "made all the same, as in mode recommend. Instances that end are still replaced.",
     SERVICE | FOR | REASON, 0, 0, pmoctl_pause},
    {"resume", "", "end a pause", "Ends the pause of --service, or all pauses there are.", SERVICE,
     0, 0, pmoctl_resume},
    {"reload", "", "read the configuration file anew",
     "Has the agent take over what its configuration file says now, which it also does by itself\n"
     "when the file changes. A file with a mistake changes nothing; then the exit status is 1.",
     0, 0, 0, pmoctl_reload},
    {"audit", "", "what was done, and by whom",
     "Lists pauses, reloads, orders, instances that started or ended and why, newest first, for\n"
     "400 days. Entries that concern all services are listed with --service, too.",
     SERVICE | SINCE, 0, 0, pmoctl_audit},
    {"logs", "INSTANCE[.N]", "what an instance has printed",
     "Prints what the instance of this name has printed, also if it is gone. N from 1 to 3: what "
     "an\n"
     "earlier one of that name has, or (if it prints more than 8 MiB) this one has before.",
     0, 1, 1, pmoctl_logs},
    {"policy", "check FILE...", "check policy files",
     "Checks policy files and prints what is wrong with file, line and column (exit status 1), "
     "and\n"
     "warns of what is right but will hardly do what was meant: rules that never act, or pull to\n"
     "and fro, schedules that contradict each other or are frozen. Needs no agent.\n\n"
     "With --history, it says what each policy would have come to on what the agent has recorded\n"
     "of its service's load --since a week ago (the last day by seconds, before that by minutes;\n"
     "the live code in virtual time, as in simulate): decisions, requests that are late, and "
     "instance-seconds, beside those that\n"
     "there were. --capacity and --startup go in the place of what the policy does not state.",
     HISTORY | STATE_DIR | SINCE | SERVICE | CAPACITY | STARTUP, 2, 1000, pmoctl_policy},
    {"report", "", "what a load run came to",
     "Compares requests sent (by pmo-load) and counted (by the kernel), and instances and late\n"
     "requests with what the Kubernetes HPA algorithm would have reached on the same load.",
     LOAD | TARGET | SERVICE, 0, 0, pmoctl_report},
    {"backtest", "", "how good forecasts would have been",
     "Lets the live code forecast a recorded load, at each origin knowing nothing that comes "
     "after\n"
     "it, and compares with what came: pinball loss (mean over the quantiles), error of the "
     "median\n"
     "(WAPE), and how much stayed BELOW each quantile; beside the last value, the same second\n"
     "yesterday (seasonal naive; an hour ago on the first day), the mean of 30 s, and the floor,\n"
     "which knows the seconds around the target. Needs --trace, and no agent.\n\n"
     "Origins are, if not --origins says which, one in each --stride --from the end of the first\n"
     "day on (the middle of the trace, where that is earlier) to the last second. The rows of "
     "--out\n"
     "are t,horizon,q,value: the forecast, made at second t, of second t + horizon. Those of an\n"
     "origin that was not recorded are made from the last second before it that was. Seconds that\n"
     "were not recorded, and the minute after them, are not scored, nor is what is beyond the "
     "end.\n"
     "The same trace gives the same output.",
     TRACE | EVENTS | ORIGINS | STRIDE | FROM | HORIZONS | QUANTILES | MODELS | OUT | PLOT, 0, 0,
     pmoctl_backtest},
    {"simulate", "", "what PMO would do on a recorded load",
     "Lets the live code decide over a trace in virtual time, and a queue model say what that\n"
     "comes to: requests that are late, and instance-seconds (COST: relative to the oracle's),\n"
     "beside the Kubernetes HPA algorithm (hpa:70 aims at 70 % of capacity), a fast reactive rule\n"
     "(fast:70: each second, by the mean of the last 10 s) and an oracle that knows the future.\n"
     "Needs --trace, --capacity, --startup and --out, and no agent. Where the policy file has\n"
     "several policies, --service chooses. The rows of --out are t,replicas: what was asked for\n"
     "in second t, knowing no later one. Scored is the whole trace, if not --from says else.",
     TRACE | CAPACITY | STARTUP | LEARN | SLO | POLICY | SERVICE | AGAINST | FROM | OUT | PLOT, 0,
     0, pmoctl_simulate},
    {"status", "", "the agent itself", "Prints version, mode, cost and totals of the agent.", 0, 0,
     0, pmoctl_status},
    {"doctor", "", "what this machine can do for the agent",
     "Looks at this machine, loading every BPF program on trial, and says what works, what does\n"
     "not, and what to do. Needs no agent; sees all as root only. Exit status 1 where something\n"
     "is missing that the agent needs; what is off, it does without.",
     0, 0, 0, pmoctl_doctor},
    {"version", "", "version of pmoctl", "Prints the version. Needs no agent.", 0, 0, 0,
     print_version},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_options(uint64_t bits)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        const struct option_text *option = &option_texts[i];
        char name[32];

        if (!(bits & option->bit))
            continue;
        (void)snprintf(name, sizeof(name), "--%s%s%s", option->name, option->value ? " " : "",
                       option->value ? option->value : "");
        printf("  %-18s %s\n", name, option->text);
    }
}

static int print_help(const struct command *command)
{
    if (command) {
        printf("usage: pmoctl %s%s%s [OPTION]...\n\n%s\n\n", command->name,
               *command->arguments ? " " : "", command->arguments, command->description);
        print_options(command->options | EVERYWHERE);
        return 0;
    }
    puts("usage: pmoctl COMMAND [OPTION]...\n\nWhat the PMO agent sees, expects and decides.\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "%s %s", commands[i].name, commands[i].arguments);
        printf("  %-22s %s\n", name, commands[i].summary);
    }
    puts("\nOptions of every command (more: pmoctl COMMAND --help):");
    print_options(EVERYWHERE);
    return 0;
}

/* A quantity with its unit, or a mere number of @unit. */
static int read_quantity(const char *name, const char *text, enum pmo_dimension dimension,
                         double unit, double *value)
{
    enum pmo_dimension found;
    const char *at = text;

    if (pmo_quantity_scan(&at, value, &found) < 0 || *at ||
        (found != dimension && found != PMO_NUMBER))
        return pmo_fail(EINVAL, "--%s %s: not %s; write e.g. %s", name, text,
                        pmo_dimension_name(dimension), pmo_dimension_example(dimension));
    if (found == PMO_NUMBER)
        *value *= unit;
    return 0;
}

static int read_positive(const char *name, const char *text, enum pmo_dimension dimension,
                         double unit, double *value)
{
    if (read_quantity(name, text, dimension, unit, value) < 0)
        return -EINVAL;
    return *value > 0 ? 0 : pmo_fail(EINVAL, "--%s %s: write more than 0", name, text);
}

static int read_share(const char *name, const char *text, double *share)
{
    enum pmo_dimension dimension;
    const char *at = text;

    if (pmo_quantity_scan(&at, share, &dimension) < 0 || *at ||
        (dimension != PMO_SHARE && dimension != PMO_NUMBER) || !(*share > 0 && *share <= 1))
        return pmo_fail(EINVAL, "--%s %s: not a share; write e.g. 70%% or 0.7", name, text);
    return 0;
}

/* The API takes whole seconds, from now where they are not positive; people may write -5m, or 5m.
 */
static int read_time(const char *name, const char *text, const char **out)
{
    static char texts[2][32]; /* --since and --until */
    static int used;
    enum pmo_dimension dimension;
    bool relative = *text == '-';
    const char *at = text + relative;
    double seconds;

    if (pmo_quantity_scan(&at, &seconds, &dimension) < 0 || *at || seconds > 1e11 ||
        (dimension != PMO_NUMBER && dimension != PMO_DURATION))
        return pmo_fail(EINVAL, "--%s %s: not a time; write seconds since 1970, or e.g. -60s", name,
                        text);
    used = (used + 1) % 2;
    relative |= dimension == PMO_DURATION;
    (void)snprintf(texts[used], sizeof(texts[used]), "%s%.0f", relative ? "-" : "", floor(seconds));
    *out = texts[used];
    return 0;
}

static int read_option(struct pmoctl *ctl, uint64_t bit, const char *value)
{
    switch (bit) {
    case SERVICE:
        ctl->service = value;
        return 0;
    case INSTANCE:
        ctl->instance = value;
        return 0;
    case SINCE:
        return read_time("since", value, &ctl->since);
    case UNTIL:
        return read_time("until", value, &ctl->until);
    case INTERVAL:
        return read_positive("interval", value, PMO_DURATION, 1, &ctl->interval_s);
    case DURATION:
        return read_positive("duration", value, PMO_DURATION, 1, &ctl->duration_s);
    case TARGET:
        return read_share("target", value, &ctl->target);
    case LOAD:
        ctl->load = value;
        return 0;
    case ONCE:
        ctl->once = true;
        return 0;
    case DOT:
        ctl->dot = true;
        return 0;
    case TRACE:
        ctl->trace = value;
        return 0;
    case OUT:
        ctl->out = value;
        return 0;
    case PLOT:
        ctl->plot = value;
        return 0;
    case POLICY:
        ctl->policy = value;
        return 0;
    case EVENTS:
        ctl->events = value;
        return 0;
    case ORIGINS:
        ctl->origins = value;
        return 0;
    case HORIZONS:
        ctl->horizons = value;
        return 0;
    case QUANTILES:
        ctl->quantiles = value;
        return 0;
    case MODELS:
        ctl->models = true;
        return 0;
    case LEARN:
        ctl->learn = true;
        return 0;
    case SCORES:
        ctl->scores = true;
        return 0;
    case TYPES:
        ctl->types = true;
        return 0;
    case HISTORY:
        ctl->history = true;
        return 0;
    case STATE_DIR:
        ctl->state_dir = value;
        return 0;
    case STRIDE:
        return read_positive("stride", value, PMO_DURATION, 1, &ctl->stride_s);
    case AGAINST:
        ctl->against = value;
        return 0;
    case FROM:
        return read_quantity("from", value, PMO_DURATION, 1, &ctl->from_s);
    case STARTUP:
        return read_quantity("startup", value, PMO_DURATION, 1, &ctl->startup_s);
    case CAPACITY:
        return read_positive("capacity", value, PMO_RATE, 1, &ctl->capacity_rps);
    case SLO:
        return read_positive("slo", value, PMO_DURATION, 1e-3, &ctl->slo_s);
    case FOR:
        return read_positive("for", value, PMO_DURATION, 1, &ctl->for_s);
    case REASON:
        ctl->reason = value;
        return 0;
    case SOCKET:
        ctl->socket = value;
        return 0;
    default:
        ctl->json = true;
        return 0;
    }
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

/* Reads all options; which of them were given goes to @given. */
static int read_options(struct pmoctl *ctl, int argc, char **argv, uint64_t *given)
{
    struct option options[OPTIONS + 1] = {0};
    int index, c;

    for (size_t i = 0; i < OPTIONS; i++)
        options[i] = (struct option){
            option_texts[i].name, option_texts[i].value ? required_argument : no_argument, NULL, 0};
    while ((c = getopt_long(argc, argv, "", options, &index)) != -1) {
        if (c != 0)
            return -EINVAL; /* getopt has said what is wrong */
        *given |= option_texts[index].bit;
        if (option_texts[index].bit != HELP &&
            read_option(ctl, option_texts[index].bit, optarg) < 0)
            return -EINVAL;
    }
    return 0;
}

static int check_command(const struct pmoctl *ctl, const struct command *command, uint64_t given)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (given & option_texts[i].bit & ~(command->options | EVERYWHERE))
            return pmo_fail(EINVAL, "%s takes no --%s; see pmoctl %s --help", command->name,
                            option_texts[i].name, command->name);
    if (ctl->arguments_count < command->least || ctl->arguments_count > command->most)
        return pmo_fail(EINVAL, "write: pmoctl %s%s%s; see pmoctl %s --help", command->name,
                        *command->arguments ? " " : "", command->arguments, command->name);
    return 0;
}

int main(int argc, char **argv)
{
    struct pmoctl ctl = {.socket = SOCKET_PATH,
                         .state_dir = STATE_DIRECTORY,
                         .interval_s = 1,
                         .target = 0.7,
                         .startup_s = NAN,
                         .from_s = NAN};
    const struct command *command;
    uint64_t given = 0;
    int status;

    (void)setlocale(LC_CTYPE, "");
    if (read_options(&ctl, argc, argv, &given) < 0)
        return USAGE_ERROR;
    command = optind < argc ? find_command(argv[optind]) : NULL;
    if (optind < argc && !command) {
        (void)pmo_fail(EINVAL, "there is no command \"%s\"; see pmoctl --help", argv[optind]);
        return USAGE_ERROR;
    }
    if (given & HELP)
        return print_help(command);
    if (!command) {
        (void)pmo_fail(EINVAL, "no command; see pmoctl --help");
        return USAGE_ERROR;
    }
    ctl.arguments = argv + optind + 1;
    ctl.arguments_count = argc - optind - 1;
    if (check_command(&ctl, command, given) < 0)
        return USAGE_ERROR;
    status = command->run(&ctl);
    pmoctl_close(&ctl);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)pmo_err_r(errno, "cannot write to standard output");
        return EXIT_FAILURE;
    }
    return status;
}
