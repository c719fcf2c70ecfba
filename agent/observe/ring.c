/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

int pmo_ring_open(struct pmo_ring *ring, int map_fd, size_t size)
{
    size_t page = sysconf(_SC_PAGESIZE);
    void *consumer, *producer;

    consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
    if (consumer == MAP_FAILED)
        return -errno;
    producer = mmap(NULL, 2 * page + size, PROT_READ, MAP_SHARED, map_fd, page);
    if (producer == MAP_FAILED) {
        int r = -errno;

        (void)munmap(consumer, page);
        return r;
    }
    ring->consumer = consumer;
    ring->producer = producer;
    ring->size = size;
    ring->position = __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
    return 0;
}

void pmo_ring_close(struct pmo_ring *ring)
{
    size_t page = sysconf(_SC_PAGESIZE);

    if (!ring->consumer)
        return;
    (void)munmap(ring->consumer, page);
    (void)munmap((void *)ring->producer, 2 * page + ring->size);
    ring->consumer = NULL;
}

void pmo_ring_read(struct pmo_ring *ring, pmo_ring_record_fn record, void *context)
{
    const char *data = (const char *)ring->producer + sysconf(_SC_PAGESIZE);
    unsigned long end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);

    while (ring->position < end) {
        const char *at = data + (ring->position & (ring->size - 1));
        uint32_t header = __atomic_load_n((const uint32_t *)at, __ATOMIC_ACQUIRE);
        uint32_t length = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

        if (header & BPF_RINGBUF_BUSY_BIT)
            return; /* still being written: records are handed out in order */
        if (!(header & BPF_RINGBUF_DISCARD_BIT))
            record(context, at + BPF_RINGBUF_HDR_SZ, length);
        ring->position += (length + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
    }
}

void pmo_ring_commit(struct pmo_ring *ring)
{
    __atomic_store_n(ring->consumer, ring->position, __ATOMIC_RELEASE);
}
