/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pmo-load: an open-loop HTTP load generator. Requests leave when a schedule says so
 * (pmo-load/schedule.h), whatever became of the earlier ones, and each is accounted for
 * (pmo-load/client.h).
 */
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "tools/pmo-load/client.h"
#include "tools/pmo-load/report.h"
#include "tools/pmo-load/schedule.h"

#define PATHS_MAX      64
#define DURATION_MAX_S (30 * 86400.0)

static const char help[] =
    "usage: pmo-load [OPTION]... URL\n"
    "\n"
    "Sends HTTP/1.1 GET requests to URL at a rate that does not depend on the answers (an open\n"
    "loop), and reports what became of each. Latency counts from when a request was to leave.\n"
    "\n"
    "Rate, one of:\n"
    "  --rate RPS                 level, requests per second\n"
    "  --wave BASE:PEAK:PERIOD    a cosine from BASE to PEAK and back, as in 50:200:60s\n"
    "  --profile FILE             CSV of t,requests: seconds, requests per second from then on\n"
    "and on top of it:\n"
    "  --burst RATE:LENGTH:EVERY[:OFFSET]\n"
    "                             RATE more for LENGTH, every EVERY from OFFSET (0) on\n"
    "  --even                     equal distances; otherwise arrivals are a Poisson process\n"
    "  --seed N                   of the Poisson process (1): same seed, same schedule\n"
    "\n"
    "Requests:\n"
    "  --duration TIME            of the schedule (60s, or the profile's length)\n"
    "  --connections new|reuse    one connection a request (new), or kept ones\n"
    "  --path PATH                instead of URL's; given several times: in turn\n"
    "  --timeout TIME             gives a request up (5s)\n"
    "  --late TIME                an answer after this is late (250ms), as is none\n"
    "\n"
    "Output:\n"
    "  --json                     the report as JSON\n"
    "  --timeline FILE            CSV of t,scheduled,sent,answered,late, a row a second\n"
    "  --progress                 a line a second on standard error\n"
    "  --help, --version\n"
    "\n"
    "TIME is a number and ms, s, m or h. Ctrl-C ends the schedule, waits for outstanding answers "
    "and\n"
    "reports. `sent` counts requests that left, once each: nothing is ever repeated. Percentiles "
    "are\n"
    "of what was answered.\n"
    "\n"
    "Exit status: 0, 1 if nothing was answered, 2 for a wrong argument.\n";

struct arguments {
    struct pmo_load_options options;
    struct pmo_load_rate rate;
    const char *url, *profile, *timeline;
    const char *paths[PATHS_MAX];
    size_t paths_count;
    uint64_t seed;
    bool even, json;
    int rates; /* how many of --rate, --wave, --profile were given */
};

static int parse_duration(const char *name, const char *text, double *seconds)
{
    if (pmo_load_duration_parse(text, seconds) < 0 || *seconds <= 0 || *seconds > DURATION_MAX_S)
        return pmo_fail(EINVAL, "--%s %s: write a time up to 720h, as in 250ms, 5s or 3m", name,
                        text);
    return 0;
}

static int parse_seed(const char *text, uint64_t *seed)
{
    char *end;

    errno = 0;
    *seed = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-')
        return pmo_fail(EINVAL, "--seed %s: write a whole number", text);
    return 0;
}

static int parse_level(const char *text, struct pmo_load_rate *rate)
{
    if (pmo_load_rps_parse(text, &rate->wave_base_rps) < 0)
        return pmo_fail(EINVAL, "--rate %s: write requests per second, 0 to 1000000", text);
    return 0;
}

static int parse_connections(const char *text, bool *reuse)
{
    *reuse = !strcmp(text, "reuse");
    if (!*reuse && strcmp(text, "new") != 0)
        return pmo_fail(EINVAL, "--connections %s: write new or reuse", text);
    return 0;
}

static int add_path(struct arguments *arguments, const char *path)
{
    if (path[0] != '/')
        return pmo_fail(EINVAL, "--path %s: a path starts with /", path);
    if (arguments->paths_count == PATHS_MAX)
        return pmo_fail(EINVAL, "--path %s: at most %d paths", path, PATHS_MAX);
    arguments->paths[arguments->paths_count++] = path;
    return 0;
}

enum {
    OPTION_RATE = 256,
    OPTION_WAVE,
    OPTION_PROFILE,
    OPTION_BURST,
    OPTION_EVEN,
    OPTION_SEED,
    OPTION_DURATION,
    OPTION_CONNECTIONS,
    OPTION_PATH,
    OPTION_TIMEOUT,
    OPTION_LATE,
    OPTION_JSON,
    OPTION_TIMELINE,
    OPTION_PROGRESS,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"rate", required_argument, NULL, OPTION_RATE},
    {"wave", required_argument, NULL, OPTION_WAVE},
    {"profile", required_argument, NULL, OPTION_PROFILE},
    {"burst", required_argument, NULL, OPTION_BURST},
    {"even", no_argument, NULL, OPTION_EVEN},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"path", required_argument, NULL, OPTION_PATH},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"late", required_argument, NULL, OPTION_LATE},
    {"json", no_argument, NULL, OPTION_JSON},
    {"timeline", required_argument, NULL, OPTION_TIMELINE},
    {"progress", no_argument, NULL, OPTION_PROGRESS},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

static int parse_option(struct arguments *arguments, int option, const char *value)
{
    struct pmo_load_options *options = &arguments->options;

    switch (option) {
    case OPTION_RATE:
        arguments->rates++;
        return parse_level(value, &arguments->rate);
    case OPTION_WAVE:
        arguments->rates++;
        return pmo_load_wave_parse(&arguments->rate, value);
    case OPTION_PROFILE:
        arguments->rates++;
        arguments->profile = value;
        return 0;
    case OPTION_BURST:
        return pmo_load_burst_parse(&arguments->rate, value);
    case OPTION_EVEN:
        arguments->even = true;
        return 0;
    case OPTION_SEED:
        return parse_seed(value, &arguments->seed);
    case OPTION_DURATION:
        return parse_duration("duration", value, &options->duration_s);
    case OPTION_CONNECTIONS:
        return parse_connections(value, &options->reuse);
    case OPTION_PATH:
        return add_path(arguments, value);
    case OPTION_TIMEOUT:
        return parse_duration("timeout", value, &options->timeout_s);
    case OPTION_LATE:
        return parse_duration("late", value, &options->late_s);
    case OPTION_JSON:
        arguments->json = true;
        return 0;
    case OPTION_TIMELINE:
        arguments->timeline = value;
        return 0;
    case OPTION_PROGRESS:
        options->progress = true;
        return 0;
    case OPTION_HELP:
        (void)fputs(help, stdout);
        exit(0);
    case OPTION_VERSION:
        puts("pmo-load " PMO_VERSION);
        exit(0);
    default: /* getopt has said what is wrong */
        return -EINVAL;
    }
}

static int parse_arguments(struct arguments *arguments, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (parse_option(arguments, option, optarg) < 0)
            return -EINVAL;
    if (optind != argc - 1)
        return pmo_fail(EINVAL, "%s (see --help)",
                        optind < argc ? "give one URL, after the options" : "give a URL");
    arguments->url = argv[optind];
    if (arguments->rates != 1)
        return pmo_fail(EINVAL, "give one of --rate, --wave and --profile (see --help)");
    if (arguments->profile && pmo_load_profile_read(&arguments->rate, arguments->profile) < 0)
        return -EINVAL;
    if (arguments->options.duration_s <= 0)
        arguments->options.duration_s = arguments->profile ? arguments->rate.steps_end_s : 60;
    return 0;
}

/* Resolves each path against the URL, as a browser would a link. */
static int make_urls(const struct arguments *arguments, char *urls[PATHS_MAX], size_t *count)
{
    size_t wanted = arguments->paths_count ? arguments->paths_count : 1;

    for (*count = 0; *count < wanted; ++*count) {
        CURLU *url = curl_url();
        const char *path = arguments->paths[*count];
        char *scheme = NULL;
        CURLUcode code = curl_url_set(url, CURLUPART_URL, arguments->url, CURLU_DEFAULT_SCHEME);
        bool http = !code && !curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) &&
                    (!strcmp(scheme, "http") || !strcmp(scheme, "https"));

        if (!code && path)
            code = curl_url_set(url, CURLUPART_URL, path, 0);
        if (!code)
            code = curl_url_get(url, CURLUPART_URL, &urls[*count], 0);
        curl_free(scheme);
        curl_url_cleanup(url);
        if (code || !http)
            return pmo_fail(EINVAL, "%s: not a URL such as http://198.18.0.1:8080/",
                            arguments->url);
    }
    return 0;
}

static int run(const struct arguments *arguments, struct pmo_load_result *result)
{
    struct pmo_load_schedule schedule;
    int r;

    pmo_load_schedule_init(&schedule, &arguments->rate, arguments->options.duration_s,
                           arguments->even, arguments->seed);
    r = pmo_load_run(&arguments->options, &schedule, result);
    if (r == 0 && arguments->json)
        r = pmo_load_report_json(&arguments->options, result);
    else if (r == 0)
        pmo_load_report_text(&arguments->options, result);
    if (r == 0 && arguments->timeline)
        r = pmo_load_report_timeline(result, arguments->timeline);
    return r < 0 || !result->total.answered ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.options = {.timeout_s = 5, .late_s = 0.25}, .seed = 1};
    static struct pmo_load_result result; /* 30 kB */
    char *urls[PATHS_MAX] = {NULL};
    int status = 2;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return 1;
    arguments.options.urls = urls;
    if (parse_arguments(&arguments, argc, argv) == 0 &&
        make_urls(&arguments, urls, &arguments.options.urls_count) == 0) {
        status = run(&arguments, &result);
        pmo_load_result_free(&result);
    }
    for (size_t i = 0; i < PATHS_MAX; i++)
        curl_free(urls[i]);
    pmo_load_rate_free(&arguments.rate);
    curl_global_cleanup();
    return status;
}
