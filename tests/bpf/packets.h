/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client that is no kernel's TCP but the test itself: it writes IP packets to a TUN device in a
 * network namespace of its own, where a socket of the kernel listens, and so chooses every segment,
 * its order, its headers and its sequence numbers. The kernel has handled a packet when the call
 * that sends it returns.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Moves this thread into a new network namespace with a TUN device; false: failed. */
bool packets_open(void);
/* Back to the namespace from before. */
void packets_close(void);

enum { /* flags of a TCP header */
       TCP_FIN_FLAG = 1,
       TCP_SYN_FLAG = 2,
       TCP_RST_FLAG = 4,
       TCP_PSH_FLAG = 8,
       TCP_ACK_FLAG = 16,
};

/* A socket that listens in the namespace. */
struct service {
    int listener;
    int family;
    uint16_t port;
};

/* @options is called, if not NULL, with the socket before it listens. AF_INET6 takes IPv4, too. */
bool service_open(struct service *service, int family, void (*options)(int socket));
void service_close(struct service *service);

/* The client's side of a connection. */
struct flow {
    struct service *service;
    int family;       /* of its packets */
    int server;       /* the accepted socket; -1: none yet */
    uint32_t next;    /* sequence number of the first byte that the server did not read yet */
    uint32_t expect;  /* of the first byte that did not come from the server yet */
    uint32_t packets; /* sent */
    uint16_t port;
    uint16_t window; /* the server's, as it said last */
    /* how its packets are made */
    uint32_t acknowledge_more; /* is added to the acknowledgement number */
    bool bad_checksum;
    bool fragments_reversed;
    uint8_t extension_first;  /* IPv6: what the first extension header is */
    size_t fragment;          /* if not 0, packets come in fragments with so many bytes */
    size_t extension_bytes;   /* IPv4 options, or IPv6 extension headers, */
    const uint8_t *extension; /* the last of which says that TCP follows */
};

/* A flow that has sent nothing; its stream begins with sequence number @first. */
void flow_init(struct flow *flow, struct service *service, int family, uint32_t first);
/* A handshake, whole: and the connection is accepted. */
bool flow_open(struct flow *flow);
/* Its first two packets; the first may bring data. */
bool flow_syn(struct flow *flow, const void *data, size_t length);
bool flow_accept(struct flow *flow);
/* A segment: @length bytes that begin @at bytes behind flow->next. */
void flow_put(struct flow *flow, int64_t at, const void *data, size_t length, uint8_t flags);
/* Bytes @from to @to of a message. */
void flow_part(struct flow *flow, const char *message, size_t from, size_t to);
/* The server reads @length bytes, which have to be these. */
bool flow_taken(struct flow *flow, const char *message, size_t length);
/* The server sends. */
void flow_answer(struct flow *flow, const char *text);
void flow_close(struct flow *flow);
/* Reads what the server has sent to any of the flows, and acknowledges it with the next segment. */
void flows_read(struct flow *flows, size_t count);
