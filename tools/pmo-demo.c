/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pmo-demo: an HTTP/1.1 service for demonstrations, whose capacity can really be exhausted: each
 * request takes a stated amount of CPU time of its thread, so a CPU limit around the process is a
 * limit on requests per second. It listens only when its start-up time is over.
 *
 * One thread a connection, so that a request that waits for its CPU time or for the service it
 * calls holds up no other one; a semaphore limits how many work at once.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <curl/curl.h>
#include <microhttpd.h>

#define CALL_TIMEOUT_MS 10000L
#define IDLE_TIMEOUT_S  60U
#define STOP_POLL_NS    5000000L
#define CONNECTIONS_MAX 4096U
#define STACK_BYTES     ((size_t)256 * 1024)

static const char help[] =
    "Usage: pmo-demo [OPTION]...\n"
    "An HTTP/1.1 service for demonstrations: burns CPU time for each request.\n"
    "\n"
    "  --port PORT           listen on this port (8080)\n"
    "  --address ADDRESS     listen on this IPv4 address (0.0.0.0)\n"
    "  --startup DURATION    start listening only after this time, e.g. 250ms or 3s (0s)\n"
    "  --work-us N           CPU time for each request, microseconds (0)\n"
    "  --threads N           requests worked on at once; more wait for their turn (64)\n"
    "  --call HOST:PORT/PATH for each request, GET this on a new connection; when that fails,\n"
    "                        answer 502\n"
    "  --help                print this and exit\n"
    "  --version             print the version and exit\n"
    "\n"
    "GET /ready is answered with 200 and no work; everything else with 200, the work, and a\n"
    "small JSON body. SIGTERM or SIGINT: stops listening, finishes the requests it has, exits\n"
    "with status 0.\n";

static struct {
    uint16_t port;
    struct in_addr address;
    double startup_s;
    long work_us;
    unsigned int threads;
    char *call; /* URL, NULL: none */
    const char *name;
} options = {.port = 8080, .threads = 64};

static atomic_uint running; /* requests whose response is not yet sent */
static sem_t turns;

__attribute__((format(printf, 1, 2), noreturn)) static void usage_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fputs("pmo-demo: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputs("; see pmo-demo --help\n", stderr);
    va_end(args);
    exit(2);
}

/* Arithmetic on one number, whose result is part of the answer, so that no compiler can drop it. */
static uint64_t work(long work_us)
{
    uint64_t state = 0x9e3779b97f4a7c15U;
    struct timespec start, now;
    int64_t spent_ns;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    do {
        for (int i = 0; i < 4096; i++) { /* some 10 us: xorshift64 (Marsaglia 2003) */
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        spent_ns =
            (now.tv_sec - start.tv_sec) * INT64_C(1000000000) + (now.tv_nsec - start.tv_nsec);
    } while (spent_ns < work_us * INT64_C(1000));
    return state;
}

static size_t discard(char *bytes, size_t size, size_t count, void *context)
{
    return size * count;
}

static bool call(const char *url)
{
    CURL *curl = curl_easy_init();
    CURLcode result;

    if (!curl)
        return false;
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, CALL_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
    result = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    return result == CURLE_OK;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status,
                              const char *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(body), (void *)body, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result queued;

    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

/* Called for the head, for each part of a body, and when the request is complete. */
static enum MHD_Result serve(void *context, struct MHD_Connection *connection, const char *url,
                             const char *method, const char *version, const char *upload,
                             size_t *upload_size, void **request)
{
    bool called = true;
    uint64_t result;
    char body[256];

    if (!*request) {
        *request = &running;
        atomic_fetch_add(&running, 1);
        return MHD_YES;
    }
    if (*upload_size) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (!strcmp(url, "/ready"))
        return answer(connection, MHD_HTTP_OK, "{\"ready\": true}\n");
    while (sem_wait(&turns) < 0)
        ; /* interrupted */
    if (options.call)
        called = call(options.call);
    result = work(options.work_us);
    (void)sem_post(&turns);
    (void)snprintf(body, sizeof(body),
                   "{\"instance\": \"%s\", \"work_us\": %ld, \"result\": \"%016" PRIx64 "\"%s}\n",
                   options.name, options.work_us, result,
                   called ? "" : ", \"error\": \"the service it calls did not answer\"");
    return answer(connection, called ? MHD_HTTP_OK : MHD_HTTP_BAD_GATEWAY, body);
}

static void completed(void *context, struct MHD_Connection *connection, void **request,
                      enum MHD_RequestTerminationCode code)
{
    if (*request)
        atomic_fetch_sub(&running, 1);
}

static long parse_number(const char *option, const char *text, long min, long max)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < min || value > max)
        usage_error("%s takes a number from %ld to %ld, not '%s'", option, min, max, text);
    return value;
}

static double parse_duration(const char *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (end != text && value >= 0 && value <= 3600 && !strcmp(end, "ms"))
        return value / 1000;
    if (end != text && value >= 0 && value <= 3600 && !strcmp(end, "s"))
        return value;
    usage_error("%s takes a duration such as 250ms or 3s, not '%s'", option, text);
}

static char *parse_call(const char *text)
{
    const char *slash = strchr(text, '/'), *colon = strchr(text, ':');
    char *url;

    if (!slash || !colon || colon > slash || colon == text || colon + 1 == slash)
        usage_error("--call takes HOST:PORT/PATH such as 198.18.0.11:80/items, not '%s'", text);
    if (asprintf(&url, "http://%s", text) < 0)
        exit(1);
    return url;
}

static void parse_options(int argc, char **argv)
{
    enum { PORT = 256, ADDRESS, STARTUP, WORK_US, THREADS, CALL, HELP, VERSION };
    static const struct option known[] = {
        {"port", required_argument, NULL, PORT},
        {"address", required_argument, NULL, ADDRESS},
        {"startup", required_argument, NULL, STARTUP},
        {"work-us", required_argument, NULL, WORK_US},
        {"threads", required_argument, NULL, THREADS},
        {"call", required_argument, NULL, CALL},
        {"help", no_argument, NULL, HELP},
        {"version", no_argument, NULL, VERSION},
        {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) >= 0) {
        switch (option) {
        case PORT:
            options.port = (uint16_t)parse_number("--port", optarg, 1, 65535);
            break;
        case ADDRESS:
            if (inet_pton(AF_INET, optarg, &options.address) != 1)
                usage_error("--address takes an IPv4 address such as 127.0.0.1, not '%s'", optarg);
            break;
        case STARTUP:
            options.startup_s = parse_duration("--startup", optarg);
            break;
        case WORK_US:
            options.work_us = parse_number("--work-us", optarg, 0, 10000000);
            break;
        case THREADS:
            options.threads = (unsigned int)parse_number("--threads", optarg, 1, 4096);
            break;
        case CALL:
            free(options.call);
            options.call = parse_call(optarg);
            break;
        case HELP:
            (void)fputs(help, stdout);
            exit(0);
        case VERSION:
            (void)puts("pmo-demo " PMO_VERSION);
            exit(0);
        default:
            (void)fputs("See pmo-demo --help.\n", stderr);
            exit(2);
        }
    }
    if (optind < argc)
        usage_error("'%s' is no option", argv[optind]);
}

static struct MHD_Daemon *start(void)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(options.port), .sin_addr = options.address};
    struct MHD_Daemon *daemon;

    daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
            MHD_USE_ITC,
        options.port, NULL, NULL, serve, NULL, MHD_OPTION_SOCK_ADDR, &at,
        MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
        MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_END);
    if (!daemon)
        (void)fprintf(stderr, "pmo-demo: cannot listen on port %u: %s\n", options.port,
                      strerror(errno));
    return daemon;
}

static void stop(struct MHD_Daemon *daemon)
{
    static const struct timespec pause = {.tv_nsec = STOP_POLL_NS};
    int listener = MHD_quiesce_daemon(daemon);

    if (listener >= 0)
        (void)close(listener);
    while (atomic_load(&running))
        (void)nanosleep(&pause, NULL);
    MHD_stop_daemon(daemon);
}

int main(int argc, char **argv)
{
    struct timespec startup;
    struct MHD_Daemon *daemon;
    sigset_t ends;
    int signal_number;

    parse_options(argc, argv);
    options.name = getenv("PMO_INSTANCE");
    if (!options.name)
        options.name = "pmo-demo";
    (void)sem_init(&turns, 0, options.threads);
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL); /* threads inherit it; main waits for them */
    (void)signal(SIGPIPE, SIG_IGN);
    if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK)
        return 1;
    startup.tv_sec = (time_t)options.startup_s;
    startup.tv_nsec = (long)((options.startup_s - (double)startup.tv_sec) * 1e9);
    if (options.startup_s > 0 && sigtimedwait(&ends, NULL, &startup) > 0)
        return 0;
    daemon = start();
    if (!daemon)
        return 1;
    (void)sigwait(&ends, &signal_number);
    stop(daemon);
    free(options.call);
    curl_global_cleanup();
    return 0;
}
