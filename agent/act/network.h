/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mesh: a bridge `pmo0` in a network namespace `pmo-mesh`, and for each instance a namespace
 * whose eth0 is one end of a veth pair; the other end is a port of the bridge. The host is a
 * neighbour on the same bridge through its own veth `pmo-host`, so nothing is forwarded and the
 * host's packet filter and forwarding setting have no part in it.
 *
 * A member of the mesh has a number from which everything else follows: its address is
 * 198.19.0.0/16 plus the number, its MAC address ends in its IPv4 address (so that a neighbour
 * entry is right even when an address is used again), its port on the bridge is `pmo<number>`.
 *
 * Namespaces are bind-mounted under /run/netns as `ip netns` does, which therefore lists them. That
 * directory is left in place, it is everybody's.
 *
 * Each function enters another namespace at most while it runs, with the calling thread alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PMO_MESH_HOST 65534U /* the host's own number */

/* The first free number after @last, in a circle, so that a number rests as long as can be before
 * it is used again. @used: numbers in use. Returns 1..65533, or 0 when all are in use. */
uint16_t pmo_mesh_number(const uint16_t *used, size_t used_count, uint16_t last);
/* A member's address, IPv4-mapped. */
void pmo_mesh_address(uint16_t number, uint8_t addr[16]);

struct pmo_network;

/* Makes the mesh, or what is missing of it. Returns 0 or a negative errno, logged. */
int pmo_network_open(struct pmo_network **network);
/* @remove: the mesh too, once no instance is in it. Takes NULL, sets NULL. */
void pmo_network_close(struct pmo_network **network, bool remove);
/* Whether any agent has left a mesh on this host. */
bool pmo_network_exists(void);

/**
 * pmo_network_add - make namespace `pmo-@name` and connect it to the mesh
 * @netns_fd: receives a descriptor of the namespace, the caller's to close
 * @cookie:   receives the namespace's cookie (SO_NETNS_COOKIE)
 * Returns 0, or a negative errno, logged, with nothing left behind.
 */
int pmo_network_add(struct pmo_network *network, const char *name, uint16_t number, int *netns_fd,
                    uint64_t *cookie);
/* The same for one that exists. Returns -ENOENT, not logged, where any part is missing. */
int pmo_network_adopt(struct pmo_network *network, const char *name, uint16_t number, int *netns_fd,
                      uint64_t *cookie);
/* Removes namespace and links; what does not exist is no error. */
void pmo_network_remove(struct pmo_network *network, const char *name, uint16_t number);

/* Removes instances' namespaces and links that @keep does not claim. It is called with a name, or
 * with NULL and a number. */
void pmo_network_sweep(struct pmo_network *network,
                       bool (*keep)(void *context, const char *name, uint16_t number),
                       void *context);
