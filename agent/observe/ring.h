/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reader of a BPF ring buffer whose records are given back later than they are read. libbpf's
 * ring_buffer gives each record back as soon as its callback returns, so a record would be lost
 * with an agent that dies before it is on disk. Layout: kernel/bpf/ringbuf.c, and libbpf's
 * ringbuf.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct pmo_ring {
    unsigned long *consumer;       /* mapped page, written by us */
    const unsigned long *producer; /* mapped page, followed by the data, and its first page again:
                                    * records, all shorter than a page, are in one piece */
    size_t size;                   /* of the data, a power of two */
    unsigned long position;        /* read up to here; the consumer's page may be behind */
};

typedef void (*pmo_ring_record_fn)(void *context, const void *record, size_t size);

/* Maps the ring buffer @map_fd of @size bytes. Returns 0 or a negative errno. */
int pmo_ring_open(struct pmo_ring *ring, int map_fd, size_t size);
void pmo_ring_close(struct pmo_ring *ring);
/* Hands out complete records that were not read yet. */
void pmo_ring_read(struct pmo_ring *ring, pmo_ring_record_fn record, void *context);
/* Gives everything that was read back to the kernel. */
void pmo_ring_commit(struct pmo_ring *ring);
