/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever TCP does to a stream, each request is counted once. The client is the test itself
 * (packets.h): it chooses every segment. What is compared with what was sent is what the kernel
 * side counted of the service, by method, route and status, and nothing else.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include "agent/observe/kernel.h"
#include "tests/bpf/packets.h"

#define OK        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
#define GET       "GET /items/42?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST      "POST /cart HTTP/1.1\r\nHost: a\r\nContent-Length: 26\r\n\r\n" FAKE
#define FAKE      "GET /fake HTTP/1.1\r\n\r\nGET " /* a body that looks like a request */
#define FLAGS     (TCP_ACK_FLAG | TCP_PSH_FLAG)
#define FIRST     0x11223344U
#define KEPT      8 /* segments out of turn that a connection keeps (STASHED_MAX) */

/* The kernel side, and a service that listens; @options as in service_open(). Fatal assertions of
 * CUnit where something fails. */
extern struct service service;
void segments_begin(void); /* IPv6, which takes IPv4, too */
void segments_begin_with(int family, void (*options)(int socket));

struct expected {
    int method, status_class;
    const char *route;
    uint64_t requests;
};

/* Everything was counted that is expected, up to an entry without requests, and nothing else. */
void segments_end(const struct expected *expected, uint64_t holes_expected);
#define END(holes, ...) segments_end((const struct expected[]){__VA_ARGS__, {0}}, holes)

/* A connection (IPv4) whose stream begins with sequence number @first: @f. */
struct flow *segments_open(struct flow *f, uint32_t first);
/* A request in one segment, and its answer. */
void segments_exchange(struct flow *f, const char *request, const char *response);
