/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the nodes of a Kubernetes cluster are: what the API server says of each node's pods
 * (spec.podCIDRs) and own addresses (status.addresses, InternalIP), in the zone that a label of the
 * node names. Through libcurl, which waits: for a thread of libuv's pool, never for the loop.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "agent/base/document.h"

struct pmo_node_network {
    char prefix[52]; /* as the server writes it: "10.244.1.0/24", "192.0.2.7" */
    char zone[64];
};

struct pmo_nodes {
    struct pmo_node_network *list;
    size_t count, room;
};

struct pmo_cluster; /* an API server, how to be known to it, and the label */

/**
 * pmo_cluster_read - from {server: https://..., certificateAuthority: FILE, tokenFile: FILE,
 * certificate: FILE, key: FILE, label: topology.kubernetes.io/zone, refresh: 60s}
 *
 * What is not said is what a pod finds in itself: its server in the environment, its service
 * account in /var/run/secrets. A token that is renewed in its file is read anew each time.
 * Returns 0, -ENOMEM, or -EINVAL for mistakes, each complained about.
 */
int pmo_cluster_read(struct pmo_cluster **cluster, const struct pmo_value *map);
void pmo_cluster_free(struct pmo_cluster **cluster);
/* How often it is to be asked. */
double pmo_cluster_refresh_s(const struct pmo_cluster *cluster);

/**
 * pmo_cluster_nodes - ask the server, page by page
 * @cancelled: as soon as it is true, it ends (-ECANCELED)
 * @nodes: the caller's to clear; nothing on failure
 * @error: on failure, what is wrong and what to do, in one line that names the server
 * Returns 0, -ECANCELED, -ENOMEM, -ELIBACC (see library.h) or -EIO.
 */
int pmo_cluster_nodes(const struct pmo_cluster *cluster, const bool *cancelled,
                      struct pmo_nodes *nodes, char *error, size_t error_size);
/* Adds those of a NodeList. Nodes without the label, and what is no text, are left out. Returns 0
 * or -ENOMEM. */
int pmo_nodes_add(struct pmo_nodes *nodes, const json_t *list, const char *label);
/* Whether they are the same ones, in the same order, which is by name. */
bool pmo_nodes_same(const struct pmo_nodes *a, const struct pmo_nodes *b);
void pmo_nodes_clear(struct pmo_nodes *nodes);
