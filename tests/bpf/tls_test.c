/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests inside TLS: OpenSSL at both ends of a connection over loopback, in this process. Where
 * the kernel can encrypt by itself, it does so, too.
 */
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "agent/core.h"
#include "bpf/headers.h"
#include "tests/bpf/world.h"

#define GET "GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct world w;
static struct wire wire;
static struct pmo_tls *tls;
static SSL_CTX *context;

static bool certificate_make(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    bool made;

    if (!key || !certificate)
        return false;
    (void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    (void)X509_set_pubkey(certificate, key);
    made = X509_sign(certificate, key, EVP_sha256()) > 0 &&
           SSL_CTX_use_certificate(context, certificate) == 1 &&
           SSL_CTX_use_PrivateKey(context, key) == 1;
    X509_free(certificate);
    EVP_PKEY_free(key);
    return made;
}

/* The agent's side, and a listener. The first connection of @wire is not used. */
static void begin(void)
{
    context = SSL_CTX_new(TLS_method());
    CU_ASSERT_FATAL(context && certificate_make());
    w.extras.tls = true;
    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    CU_ASSERT_FATAL(!pmo_tls_new(&tls, w.kernel));
    pmo_tls_process(tls, getpid());
}

static void end(void)
{
    wire_close(&wire);
    pmo_tls_free(&tls);
    world_close(&w, false);
    SSL_CTX_free(context);
}

struct pair {
    SSL *client, *server;
    int client_socket, server_socket;
};

/* One more connection, and its handshake. */
static struct pair pair_open(bool in_kernel)
{
    struct pair p = {SSL_new(context), SSL_new(context), -1, -1};
    int client = 0, server = 0;

    (void)close(wire.client);
    (void)close(wire.server);
    CU_ASSERT_FATAL(wire_again(&wire));
    p.client_socket = dup(wire.client);
    p.server_socket = dup(wire.server);
    CU_ASSERT_FATAL(!fcntl(p.client_socket, F_SETFL, O_NONBLOCK) &&
                    !fcntl(p.server_socket, F_SETFL, O_NONBLOCK));
    if (in_kernel) {
        (void)SSL_set_options(p.server, SSL_OP_ENABLE_KTLS);
        (void)SSL_set_max_proto_version(p.server, TLS1_2_VERSION); /* 3.0 receives no other so */
    }
    (void)SSL_set_fd(p.client, p.client_socket);
    (void)SSL_set_fd(p.server, p.server_socket);
    SSL_set_connect_state(p.client);
    SSL_set_accept_state(p.server);
    for (int i = 0; i < 10000 && (client != 1 || server != 1); i++) {
        client = SSL_do_handshake(p.client);
        server = SSL_do_handshake(p.server);
    }
    CU_ASSERT_FATAL(client == 1 && server == 1);
    return p;
}

static void pair_close(struct pair *p)
{
    SSL_free(p->client);
    SSL_free(p->server);
    (void)close(p->client_socket);
    (void)close(p->server_socket);
    (void)close(wire.client);
    (void)close(wire.server);
    wire.client = wire.server = -1;
}

/* Writes at one end, and reads all of it at the other. */
static void pass(SSL *from, SSL *to, const char *bytes, size_t length)
{
    char buffer[20000];
    size_t sent = 0, received = 0;

    for (int turns = 0; received < length && turns < 1000000; turns++) {
        int n = sent < length ? SSL_write(from, bytes + sent, (int)(length - sent)) : 0;

        if (n > 0)
            sent += (size_t)n;
        n = SSL_read(to, buffer, sizeof(buffer));
        if (n > 0)
            received += (size_t)n;
    }
    CU_ASSERT_EQUAL(received, length);
}

static void request(struct pair *p, const char *bytes)
{
    pass(p->client, p->server, bytes, strlen(bytes));
}

static void response(struct pair *p, const char *bytes)
{
    pass(p->server, p->client, bytes, strlen(bytes));
}

static uint32_t in_flight(void)
{
    return world_in_flight(&w, wire.instance);
}

static void requests_inside_tls_are_counted_once(void)
{
    struct pair p;

    begin();
    p = pair_open(false);
    for (int i = 0; i < 20; i++) {
        request(&p, GET);
        CU_ASSERT_EQUAL(in_flight(), 1);
        response(&p, i % 4 ? OK : "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
        CU_ASSERT_EQUAL(in_flight(), 0);
    }
    pair_close(&p);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/items/{id}"), 15);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 4, "/items/{id}"), 5);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 20);
    CU_ASSERT_EQUAL(w.instances[wire.instance].arrivals, 20);
    CU_ASSERT_EQUAL(w.events[wire.instance][PMO_EVENT_TLS], 1);
    end();
}

static void what_tls_carries_may_be_split_anywhere(void)
{
    static const char post[] = "POST /cart HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "5\r\nhello\r\n0\r\n\r\n";
    static const char created[] = "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello";
    size_t n = strlen(post), m = strlen(created);
    struct pair p;

    begin();
    p = pair_open(false);
    for (size_t i = 1; i < n; i++) {
        size_t at = i % (m - 1) + 1;

        pass(p.client, p.server, post, i);
        pass(p.client, p.server, post + i, n - i);
        pass(p.server, p.client, created, at);
        pass(p.server, p.client, created + at, m - at);
    }
    pair_close(&p);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_POST, 2, "/cart"), n - 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), n - 1);
    end();
}

/* The objects of closed connections are used again; one ends with a request that has no answer. */
static void the_ends_of_tls_connections_are_seen(void)
{
    struct pair p;

    begin();
    for (int i = 0; i < 50; i++) {
        p = pair_open(false);
        request(&p, GET);
        if (i % 2)
            response(&p, OK);
        pair_close(&p);
        CU_ASSERT_EQUAL(in_flight(), 0);
    }
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/items/{id}"), 25);
    CU_ASSERT_EQUAL(
        world_requests(&w, (int)wire.instance, PMO_METHOD_GET, PMO_STATUS_ABORTED, "/items/{id}"),
        25);
    CU_ASSERT_EQUAL(pmo_kernel_control(w.kernel)->tls_read, 50);
    end();
}

/* With the same programs, whose probes stay, and with others, which take their place. */
static void tls_is_counted_once_over_an_agent_restart(void)
{
    struct pair p;

    begin();
    p = pair_open(false);
    for (int i = 0; i < 2; i++) {
        pmo_kernel_tls_replaces = i;
        request(&p, GET);
        pmo_tls_free(&tls);
        world_close(&w, true);
        response(&p, OK);
        request(&p, GET);
        CU_ASSERT_FATAL(world_reopen(&w));
        CU_ASSERT_FATAL(!pmo_tls_new(&tls, w.kernel));
        pmo_tls_process(tls, getpid());
        response(&p, OK);
        request(&p, GET);
        pmo_kernel_tls_end(w.kernel, PMO_KERNEL_TLS_OLD, false);
        response(&p, OK);
    }
    pmo_kernel_tls_replaces = false;
    pair_close(&p);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/items/{id}"), 6);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 6);
    end();
}

/* The next agent, whose policies say something else; when the probes of the first are gone. */
static void begin_again(struct pmo_kernel_extras extras)
{
    pmo_tls_free(&tls);
    world_close(&w, true);
    w.extras = extras;
    w.extras.tls = true;
    CU_ASSERT_FATAL(world_reopen(&w));
    w.extras = (struct pmo_kernel_extras){.tls = true};
    CU_ASSERT_FATAL(!pmo_tls_new(&tls, w.kernel));
    pmo_tls_process(tls, getpid());
    pmo_kernel_tls_end(w.kernel, PMO_KERNEL_TLS_OLD, false);
    (void)usleep(500000); /* the kernel takes them off a little later */
}

/* Probes that stay over a restart do what the next agent's policies say. */
static void headers_inside_tls_are_counted_from_when_a_policy_names_them(void)
{
    static const char get[] = "GET /items/7 HTTP/1.1\r\nX-Tenant: acme\r\n\r\n";
    static const struct pmo_policy_header tenant = {
        .name = "x-tenant", .values = {"acme"}, .values_count = 1};
    struct pmo_header headers[PMO_HEADERS_MAX] = {};
    struct pair p;

    begin();
    pmo_kernel_scope(w.kernel, wire.instance, 1);
    p = pair_open(false);
    request(&p, get);
    response(&p, OK);
    begin_again((struct pmo_kernel_extras){.headers = true});
    pmo_header_make(&headers[0], &tenant,
                    (__u64[2]){pmo_kernel_control(w.kernel)->header_key[0],
                               pmo_kernel_control(w.kernel)->header_key[1]});
    CU_ASSERT_EQUAL(pmo_kernel_headers(w.kernel, headers), 0);
    pmo_kernel_headers_wanted(w.kernel, wire.instance, PMO_HEADERS_WANTED(1, header_letter('x')));
    for (int i = 0; i < 3; i++) {
        request(&p, get);
        response(&p, OK);
    }
    pair_close(&p);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, "x-tenant: acme"), 3);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, NULL), 3);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/items/{id}"), 4);
    end();
}

/* What had been going on before the probes were there is not guessed at. */
static void a_tls_connection_is_joined_at_its_next_request(void)
{
    struct pair p;

    begin();
    pmo_kernel_tls_end(w.kernel, PMO_KERNEL_TLS_PIN, false);
    (void)usleep(500000); /* the kernel takes them off a little later */
    p = pair_open(false);
    request(&p, "POST /lost HTTP/1.1\r\nContent-Length: 60\r\n\r\n");
    pmo_tls_free(&tls);
    CU_ASSERT_FATAL(!pmo_tls_new(&tls, w.kernel));
    pmo_tls_process(tls, getpid());
    request(&p, "this is the body of a request whose head nobody has seen....");
    response(&p, OK);
    request(&p, GET);
    response(&p, OK);
    pair_close(&p);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/items/{id}"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_OTHER, 2, "{other}"), 1);
    CU_ASSERT(pmo_kernel_control(w.kernel)->midstream >= 1);
    end();
}

/* The kernel encrypts what it sends, a file too, and decrypts; the library's calls stay the same.
 */
static void tls_in_the_kernel_is_counted(void)
{
    char page[4096] = "";
    struct pair p;
    int file;

    begin();
    p = pair_open(true);
    if (!BIO_get_ktls_send(SSL_get_wbio(p.server))) {
        printf("(this kernel has no TLS) ");
        CU_ASSERT(!getenv("PMO_TESTS_KERNEL_TLS"));
        pair_close(&p);
        end();
        return;
    }
    file = memfd_create("page", MFD_CLOEXEC);
    CU_ASSERT_EQUAL(write(file, page, sizeof(page)), (ssize_t)sizeof(page));
    for (int i = 0; i < 10; i++) {
        char buffer[sizeof(page)];
        size_t received = 0;
        off_t sent = 0;

        request(&p, GET);
        response(&p, "HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n");
        for (int turns = 0; received < sizeof(page) && turns < 100000; turns++) {
            ossl_ssize_t n =
                sent < (off_t)sizeof(page)
                    ? SSL_sendfile(p.server, file, sent, sizeof(page) - (size_t)sent, 0)
                    : 0;
            int got;

            if (n > 0)
                sent += n;
            got = SSL_read(p.client, buffer, sizeof(buffer));
            if (got > 0)
                received += (size_t)got;
        }
        CU_ASSERT_EQUAL(received, sizeof(page));
        CU_ASSERT_EQUAL(in_flight(), 0);
    }
    (void)close(file);
    pair_close(&p);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/items/{id}"), 10);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 10);
    end();
}

/* Both ends are of this process: the one is served by an instance, the other called by another. */
static void calls_inside_tls_are_counted_from_when_a_policy_asks_for_them(void)
{
    struct wire caller;
    struct pair p;

    begin();
    begin_again((struct pmo_kernel_extras){.calls = true});
    CU_ASSERT_FATAL(wire_open(&w, &caller, AF_INET));
    CU_ASSERT_FATAL(world_caller(&w, caller.instance, PMO_CALLER_PROCESS, (uint64_t)getpid()));
    for (int i = 0; i < 3; i++) {
        p = pair_open(false);
        for (int k = 0; k < 10; k++) {
            request(&p, GET);
            response(&p, k ? OK : "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
        }
        request(&p, "POST /cart HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
        pair_close(&p);
    }
    world_settle(&w);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 2, "/items/{id}"), 27);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 5, "/items/{id}"), 3);
    CU_ASSERT_EQUAL(
        world_calls(&w, (int)caller.instance, PMO_METHOD_POST, PMO_STATUS_ABORTED, "/cart"), 3);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, -1, -1, NULL), 33);
    CU_ASSERT_EQUAL(world_calls_to(&w, caller.instance, wire.port, wire.instance), 33);
    CU_ASSERT_EQUAL(w.calls_left[caller.instance], 33);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 33);
    CU_ASSERT_EQUAL(world_requests(&w, (int)caller.instance, -1, -1, NULL), 0);
    CU_ASSERT_EQUAL(world_calls(&w, (int)wire.instance, -1, -1, NULL), 0);
    CU_ASSERT_EQUAL(in_flight(), 0);
    wire_close(&caller);
    end();
}

SUITE(tls) = {TEST(requests_inside_tls_are_counted_once),
              TEST(what_tls_carries_may_be_split_anywhere),
              TEST(the_ends_of_tls_connections_are_seen),
              TEST(tls_is_counted_once_over_an_agent_restart),
              TEST(headers_inside_tls_are_counted_from_when_a_policy_names_them),
              TEST(a_tls_connection_is_joined_at_its_next_request),
              TEST(tls_in_the_kernel_is_counted),
              TEST(calls_inside_tls_are_counted_from_when_a_policy_asks_for_them),
              {0}};
