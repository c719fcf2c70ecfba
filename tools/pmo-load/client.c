/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmo-load/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <uv.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"

#define SECOND_NS 1000000000ULL

const char *const pmo_load_failure_names[PMO_LOAD_FAILURES] = {"refused", "timeout", "reset",
                                                               "other"};

struct client;

struct request {
    struct client *client;
    CURL *easy;
    uint64_t intended_ns; /* from the start */
    unsigned int attempts;
    struct request *next; /* in the list of idle ones */
};

struct client {
    const struct pmo_load_options *options;
    struct pmo_load_schedule *schedule;
    struct pmo_load_result *result;
    uv_loop_t loop;
    uv_poll_t arrivals;
    uv_timer_t curl_timer, progress;
    uv_signal_t interrupted, terminated;
    CURLM *multi;
    struct curl_slist *headers;
    struct request *idle;
    int timer_fd;
    uint64_t start_ns; /* CLOCK_MONOTONIC */
    uint64_t next_ns;  /* of the next request, from the start */
    uint64_t outstanding;
    size_t turn; /* of the urls */
    bool ended;  /* the schedule is over */
};

static uint64_t now_ns(const struct client *client)
{
    return uv_hrtime() - client->start_ns; /* CLOCK_MONOTONIC */
}

/* ---- one request ----------------------------------------------------------------------------- */
static size_t discard(char *body, size_t size, size_t count, void *context)
{
    return size * count;
}

/* Called before each attempt to send. curl repeats a request by itself where a kept connection
 * turns out to be closed; each of ours leaves once or not at all. */
static int before_request(void *context, char *peer, char *local, int peer_port, int local_port)
{
    struct request *request = context;

    return request->attempts++ ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static struct request *request_new(struct client *client)
{
    struct request *request = calloc(1, sizeof(*request));
    CURL *easy = request ? curl_easy_init() : NULL;

    if (!easy) {
        free(request);
        return NULL;
    }
    request->client = client;
    request->easy = easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, request);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, -1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "pmo-load/" PMO_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, client->headers);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, client->options->reuse ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, client->options->reuse ? 0L : 1L);
    return request;
}

static void request_free(struct request *request)
{
    curl_easy_cleanup(request->easy);
    free(request);
}

static void fail(struct pmo_load_result *result, enum pmo_load_failure why, const char *text)
{
    result->failed[why]++;
    if (why == PMO_LOAD_OTHER && !result->other[0])
        (void)snprintf(result->other, sizeof(result->other), "%s", text);
}

static enum pmo_load_failure failure_of(CURLcode code, long system_errno)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return PMO_LOAD_TIMEOUT;
    case CURLE_COULDNT_CONNECT:
        return system_errno == ECONNREFUSED ? PMO_LOAD_REFUSED : PMO_LOAD_OTHER;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_ABORTED_BY_CALLBACK: /* by before_request */
        return PMO_LOAD_RESET;
    default:
        return PMO_LOAD_OTHER;
    }
}

/* Accounts for a request that has ended, and makes it idle. */
static void complete(struct request *request, CURLcode code)
{
    struct client *client = request->client;
    struct pmo_load_result *result = client->result;
    struct pmo_load_counts *second = &result->seconds[request->intended_ns / SECOND_NS];
    uint64_t latency_us = (now_ns(client) - request->intended_ns) / 1000;
    long sent_bytes = 0, status = 0, system_errno = 0;
    bool late = true;

    curl_easy_getinfo(request->easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &system_errno);
    if (sent_bytes > 0) {
        result->total.sent++;
        second->sent++;
    }
    if (code != CURLE_OK) {
        char text[sizeof(result->other)];

        (void)snprintf(text, sizeof(text), "%s%s%s", curl_easy_strerror(code),
                       system_errno ? ": " : "", system_errno ? strerror((int)system_errno) : "");
        fail(result, failure_of(code, system_errno), text);
    } else if (status < 100 || status > 599) {
        fail(result, PMO_LOAD_OTHER, "the answer is not HTTP/1.x with a status of 100 to 599");
    } else {
        result->answered[status / 100]++;
        result->total.answered++;
        second->answered++;
        pmo_load_histogram_add(&result->latency, latency_us);
        late = (double)latency_us > client->options->late_s * 1e6;
    }
    result->total.late += late;
    second->late += late;

    curl_multi_remove_handle(client->multi, request->easy);
    request->next = client->idle;
    client->idle = request;
    client->outstanding--;
}

static void start(struct client *client, uint64_t intended_ns, uint64_t now)
{
    const struct pmo_load_options *options = client->options;
    struct pmo_load_result *result = client->result;
    struct request *request = client->idle;
    double behind_s = (double)(now - intended_ns) / 1e9;
    double left_s = fmax(options->timeout_s - behind_s, 1e-3);

    result->total.scheduled++;
    result->seconds[intended_ns / SECOND_NS].scheduled++;
    result->behind_s = fmax(result->behind_s, behind_s);
    if (request)
        client->idle = request->next;
    else
        request = request_new(client);
    if (!request) {
        result->total.late++;
        result->seconds[intended_ns / SECOND_NS].late++;
        fail(result, PMO_LOAD_OTHER, strerror(ENOMEM));
        return;
    }
    request->intended_ns = intended_ns;
    request->attempts = 0;
    curl_easy_setopt(request->easy, CURLOPT_URL, options->urls[client->turn]);
    curl_easy_setopt(request->easy, CURLOPT_TIMEOUT_MS, lround(left_s * 1e3));
    client->turn = (client->turn + 1) % options->urls_count;
    client->outstanding++;
    if (curl_multi_add_handle(client->multi, request->easy) != CURLM_OK)
        complete(request, CURLE_OUT_OF_MEMORY);
}

/* ---- the loop -------------------------------------------------------------------------------- */
static void stop_if_done(struct client *client)
{
    if (client->ended && !client->outstanding)
        uv_stop(&client->loop);
}

/* Gives curl an event (or the passing of time) and takes what has ended. */
static void drive(struct client *client, curl_socket_t fd, int events)
{
    CURLMsg *message;
    int count;

    curl_multi_socket_action(client->multi, fd, events, &count);
    while ((message = curl_multi_info_read(client->multi, &count))) {
        struct request *request = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        complete(request, message->data.result);
    }
    stop_if_done(client);
}

static void socket_ready(uv_poll_t *poll, int status, int events)
{
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    uv_os_fd_t fd;

    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    if (uv_fileno((uv_handle_t *)poll, &fd) == 0)
        drive(poll->loop->data, fd, flags);
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

/* curl wants to wait for a socket, or is about to close it. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
    struct client *client = context;
    uv_poll_t *poll = socket_context;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

    if (what == CURL_POLL_REMOVE) {
        if (poll)
            uv_close((uv_handle_t *)poll, free_handle);
        curl_multi_assign(client->multi, fd, NULL);
        return 0;
    }
    if (!poll) {
        poll = malloc(sizeof(*poll));
        if (!poll || uv_poll_init(&client->loop, poll, fd) < 0) {
            free(poll);
            return -1;
        }
        curl_multi_assign(client->multi, fd, poll);
    }
    return uv_poll_start(poll, events, socket_ready);
}

static void curl_timer_expired(uv_timer_t *timer)
{
    drive(timer->loop->data, CURL_SOCKET_TIMEOUT, 0);
}

static int set_curl_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct client *client = context;

    if (timeout_ms < 0)
        return uv_timer_stop(&client->curl_timer);
    return uv_timer_start(&client->curl_timer, curl_timer_expired, (uint64_t)timeout_ms, 0);
}

static void end_schedule(struct client *client)
{
    client->ended = true;
    uv_poll_stop(&client->arrivals);
    stop_if_done(client);
}

/* Wakes us at the next request's time, which is in the past if we are behind. */
static void arm(struct client *client)
{
    uint64_t at_ns = client->start_ns + client->next_ns;
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at_ns / SECOND_NS), .tv_nsec = (long)(at_ns % SECOND_NS)}};

    (void)timerfd_settime(client->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void arrivals_due(uv_poll_t *poll, int status, int events)
{
    struct client *client = poll->loop->data;
    uint64_t now = now_ns(client);

    /* Arming the timer anew clears its expiry, so it need not be read. */
    while (client->next_ns <= now) {
        start(client, client->next_ns, now);
        if (!pmo_load_schedule_next(client->schedule, &client->next_ns)) {
            end_schedule(client);
            break;
        }
    }
    if (!client->ended)
        arm(client);
    drive(client, CURL_SOCKET_TIMEOUT, 0);
}

static void stop_signalled(uv_signal_t *handle, int number)
{
    end_schedule(handle->loop->data);
}

static void show_progress(uv_timer_t *timer)
{
    struct client *client = timer->loop->data;
    uint64_t second = now_ns(client) / SECOND_NS;
    const struct pmo_load_counts *total = &client->result->total;

    if (second && second <= client->result->seconds_count)
        (void)fprintf(stderr, "%4llu s  %6llu/s  scheduled %llu  answered %llu  late %llu\n",
                      (unsigned long long)second,
                      (unsigned long long)client->result->seconds[second - 1].scheduled,
                      (unsigned long long)total->scheduled, (unsigned long long)total->answered,
                      (unsigned long long)total->late);
}

/* ---- setting up and down --------------------------------------------------------------------- */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int watch_everything(struct client *client)
{
    uv_loop_t *loop = &client->loop;
    int r = uv_poll_init(loop, &client->arrivals, client->timer_fd);

    loop->data = client;
    if (r < 0 || (r = uv_timer_init(loop, &client->curl_timer)) < 0 ||
        (r = uv_timer_init(loop, &client->progress)) < 0 ||
        (r = uv_signal_init(loop, &client->interrupted)) < 0 ||
        (r = uv_signal_init(loop, &client->terminated)) < 0 ||
        (r = uv_signal_start(&client->interrupted, stop_signalled, SIGINT)) < 0 ||
        (r = uv_signal_start(&client->terminated, stop_signalled, SIGTERM)) < 0 ||
        (r = uv_poll_start(&client->arrivals, UV_READABLE, arrivals_due)) < 0)
        return r;
    return client->options->progress ? uv_timer_start(&client->progress, show_progress, 1000, 1000)
                                     : 0;
}

static int open_curl(struct client *client)
{
    client->multi = curl_multi_init();
    if (!client->multi)
        return -ENOMEM;
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_curl_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, 1000000L);
    if (client->options->reuse)
        return 0;
    /* RFC 9112 section 9.6: a client that keeps no connections must say so. */
    client->headers = curl_slist_append(NULL, "Connection: close");
    return client->headers ? 0 : -ENOMEM;
}

static void close_handle(uv_handle_t *handle, void *context)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void client_close(struct client *client)
{
    while (client->idle) {
        struct request *request = client->idle;

        client->idle = request->next;
        request_free(request);
    }
    curl_multi_cleanup(client->multi);
    curl_slist_free_all(client->headers);
    uv_walk(&client->loop, close_handle, NULL);
    (void)uv_run(&client->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&client->loop);
    (void)close(client->timer_fd);
}

static void ignore_signals(void)
{
    sigset_t signals;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
}

static double cpu_seconds(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void send_all(struct client *client)
{
    struct timespec started;
    double cpu_s = cpu_seconds();

    (void)clock_gettime(CLOCK_REALTIME, &started);
    client->start_ns = uv_hrtime();
    client->result->started = (double)started.tv_sec + (double)started.tv_nsec / 1e9;
    if (pmo_load_schedule_next(client->schedule, &client->next_ns)) {
        arm(client);
        (void)uv_run(&client->loop, UV_RUN_DEFAULT);
    }
    client->result->elapsed_s = (double)now_ns(client) / 1e9;
    client->result->cpu_s = cpu_seconds() - cpu_s;
}

int pmo_load_run(const struct pmo_load_options *options, struct pmo_load_schedule *schedule,
                 struct pmo_load_result *result)
{
    struct client client = {.options = options, .schedule = schedule, .result = result};
    int r;

    *result = (struct pmo_load_result){.seconds_count = (size_t)ceil(options->duration_s)};
    result->seconds = calloc(result->seconds_count, sizeof(*result->seconds));
    if (!result->seconds)
        return pmo_err_r(ENOMEM, "cannot account for %.0f s", options->duration_s);
    raise_file_limit();
    (void)signal(SIGPIPE, SIG_IGN);
    client.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (client.timer_fd < 0 || uv_loop_init(&client.loop) < 0)
        return pmo_err_r(errno, "cannot set up an event loop");

    r = watch_everything(&client);
    if (r == 0)
        r = open_curl(&client);
    if (r == 0)
        send_all(&client);
    ignore_signals(); /* they came too late: what is left to do is the report */
    client_close(&client);
    return r < 0 ? pmo_err_r(r, "cannot set up the client") : 0;
}

void pmo_load_result_free(struct pmo_load_result *result)
{
    free(result->seconds);
    result->seconds = NULL;
}
