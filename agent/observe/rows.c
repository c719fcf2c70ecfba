/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of the maps: instances, processes, callers, routes and how they fold, headers, addresses. */
#include "agent/observe/kernel_private.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include "agent/base/log.h"
#include "bpf/fold.h"

void pmo_kernel_datagrams(struct pmo_kernel *k, uint16_t port)
{
    (void)__atomic_fetch_or(&k->accepting_ports[port / 64], 1ULL << (port % 64), __ATOMIC_RELAXED);
}

int pmo_kernel_instance(struct pmo_kernel *k, const struct pmo_listener *listener, uint32_t pid,
                        uint64_t cgroup, uint32_t listeners, uint32_t *instance)
{
    struct pmo_instance row = {.pid = pid, .cgroup = cgroup, .listeners = listeners};
    int map = bpf_map__fd(k->skeleton->maps.instances);
    int free_rows = bpf_map__fd(k->skeleton->maps.free_instances);
    struct pmo_instance known;
    uint32_t used;

    (void)__atomic_fetch_or(&k->accepting_ports[listener->port / 64], 1ULL << (listener->port % 64),
                            __ATOMIC_RELAXED);
    if (!bpf_map_lookup_elem(map, listener, &known)) {
        *instance = known.id;
        if (known.listeners != listeners) { /* what the kernel side missed before it was there */
            known.listeners = listeners;
            (void)bpf_map_update_elem(map, listener, &known, BPF_EXIST);
        }
        return 0;
    }
    if (bpf_map_lookup_and_delete_elem(free_rows, NULL, &row.id))
        return -ENOSPC;
    row.generation = __atomic_add_fetch(&k->control->generations, 1, __ATOMIC_RELAXED);
    used = __atomic_load_n(&k->control->instances_used, __ATOMIC_RELAXED);
    while (used < row.id + 1 &&
           !__atomic_compare_exchange_n(&k->control->instances_used, &used, row.id + 1, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    if (bpf_map_update_elem(map, listener, &row, BPF_NOEXIST)) {
        (void)bpf_map_update_elem(free_rows, NULL, &row.id, BPF_ANY);
        if (bpf_map_lookup_elem(map, listener, &known)) /* the kernel was first */
            return -errno;
        *instance = known.id;
        return 0;
    }
    *instance = row.id;
    return 0;
}

void pmo_kernel_instances(struct pmo_kernel *k, pmo_kernel_listener_fn each, void *context)
{
    int map = bpf_map__fd(k->skeleton->maps.instances);
    struct pmo_listener key;
    struct pmo_instance instance;
    struct map_walk walk = map_walk_begin(map, sizeof(key));

    while (map_walk_next(&walk, &key)) {
        if (!bpf_map_lookup_elem(map, &key, &instance))
            each(context, &key, &instance);
    }
}

void pmo_kernel_listener_forget(struct pmo_kernel *k, const struct pmo_listener *listener)
{
    (void)bpf_map__delete_elem(k->skeleton->maps.instances, listener, sizeof(*listener), 0);
}

void pmo_kernel_instance_free(struct pmo_kernel *k, uint32_t instance)
{
    int slots = bpf_map__fd(k->skeleton->maps.counter_slots);
    int free_slots = bpf_map__fd(k->skeleton->maps.free_counters);
    int rows = bpf_map__fd(k->skeleton->maps.instances);
    struct pmo_counter_key key;
    struct pmo_listener listener;
    struct pmo_instance row;
    uint32_t slot;
    struct map_walk walk = map_walk_begin(slots, sizeof(key));

    while (map_walk_next(&walk, &key)) {
        if (key.instance != instance || bpf_map_lookup_elem(slots, &key, &slot))
            continue;
        if (!bpf_map_delete_elem(slots, &key))
            (void)bpf_map_update_elem(free_slots, NULL, &slot, BPF_ANY);
    }
    walk = map_walk_begin(rows, sizeof(listener));
    while (map_walk_next(&walk, &listener)) {
        if (!bpf_map_lookup_elem(rows, &listener, &row) && row.id == instance)
            (void)bpf_map_delete_elem(rows, &listener);
    }
    for (uint32_t i = 0; i < PMO_PEERS_MAX; i++)
        if (k->peers[i].instance == instance)
            k->peers[i].instance = 0;
    pmo_kernel_scope(k, instance, 0);
    pmo_kernel_headers_wanted(k, instance, 0);
    (void)bpf_map_update_elem(bpf_map__fd(k->skeleton->maps.free_instances), NULL, &instance,
                              BPF_ANY);
}

int pmo_kernel_process(struct pmo_kernel *k, uint32_t pid, uint32_t instance)
{
    if (bpf_map__update_elem(k->skeleton->maps.processes, &pid, sizeof(pid), &instance,
                             sizeof(instance), BPF_ANY))
        return pmo_err_r(errno, "cannot watch process %u in the kernel", pid);
    return 0;
}

int pmo_kernel_caller(struct pmo_kernel *k, const struct pmo_caller *caller,
                      const struct pmo_calling *instance)
{
    if (bpf_map_update_elem(bpf_map__fd(k->skeleton->maps.callers), caller, instance, BPF_ANY))
        return pmo_err_r(errno, "cannot count the calls of instance %u", instance->instance);
    return 0;
}

void pmo_kernel_caller_forget(struct pmo_kernel *k, const struct pmo_caller *caller)
{
    (void)bpf_map_delete_elem(bpf_map__fd(k->skeleton->maps.callers), caller);
}

void pmo_kernel_callers(struct pmo_kernel *k, pmo_kernel_caller_fn each, void *context)
{
    int map = bpf_map__fd(k->skeleton->maps.callers);
    struct pmo_caller key;
    struct pmo_calling instance;
    struct map_walk walk = map_walk_begin(map, sizeof(key));

    while (map_walk_next(&walk, &key)) {
        if (!bpf_map_lookup_elem(map, &key, &instance))
            each(context, &key, &instance);
    }
}

int pmo_kernel_peer(const struct pmo_kernel *k, uint32_t row, struct pmo_peer *peer)
{
    if (!row || row >= PMO_PEERS_MAX)
        return -ENOENT;
    *peer = k->peers[row];
    return 0;
}

int pmo_kernel_route(struct pmo_kernel *k, uint32_t row, char text[PMO_ROUTE_BYTES])
{
    struct pmo_route route;

    if (bpf_map__lookup_elem(k->skeleton->maps.routes, &row, sizeof(row), &route, sizeof(route), 0))
        return -ENOENT;
    memcpy(text, route.text, PMO_ROUTE_BYTES);
    text[PMO_ROUTE_BYTES - 1] = 0;
    return 0;
}

void pmo_kernel_scope(struct pmo_kernel *k, uint32_t instance, uint64_t scope)
{
    if (instance < PMO_INSTANCES_MAX)
        __atomic_store_n(&k->scopes[instance], scope, __ATOMIC_RELAXED);
}

void pmo_kernel_headers_wanted(struct pmo_kernel *k, uint32_t instance, uint64_t wanted)
{
    if (instance < PMO_INSTANCES_MAX)
        __atomic_store_n(&k->headers_wanted[instance], wanted, __ATOMIC_RELAXED);
}

/* Are they in the kernel already? */
static bool headers_same(int map, const struct pmo_header headers[PMO_HEADERS_MAX])
{
    struct pmo_header header;

    for (uint32_t row = 0; row < PMO_HEADERS_MAX; row++)
        if (bpf_map_lookup_elem(map, &row, &header) ||
            memcmp(&header, &headers[row], sizeof(header)) != 0)
            return false;
    return true;
}

int pmo_kernel_headers(struct pmo_kernel *k, const struct pmo_header headers[PMO_HEADERS_MAX])
{
    int map = bpf_map__fd(k->skeleton->maps.named_headers);

    if (headers_same(map, headers))
        return 0;
    for (uint32_t i = 0; i < PMO_INSTANCES_MAX; i++)
        pmo_kernel_headers_wanted(k, i, 0);
    /* before the rows: who has read a new one sees that they have changed */
    __atomic_add_fetch(&k->control->headers_epoch, 1, __ATOMIC_SEQ_CST);
    for (uint32_t row = 0; row < PMO_HEADERS_MAX; row++)
        if (bpf_map_update_elem(map, &row, &headers[row], BPF_ANY))
            return pmo_err_r(errno, "cannot name header number %u in the kernel", row + 1);
    return 0;
}

void pmo_kernel_fold_rules(struct pmo_kernel *k, pmo_kernel_rule_fn each, void *context)
{
    int map = bpf_map__fd(k->skeleton->maps.fold_rules);
    struct pmo_fold_rule rule;
    uint64_t key;
    struct map_walk walk = map_walk_begin(map, sizeof(key));

    while (map_walk_next(&walk, &key)) {
        if (!bpf_map_lookup_elem(map, &key, &rule) && rule.kind)
            each(context, &rule);
    }
}

/* Sets and clears flags of a rule's node. The kernel side may count a child meanwhile; that it is
 * lost lets one more through. */
static int fold_node_flags(struct pmo_kernel *k, const struct pmo_fold_rule *rule, uint32_t set,
                           uint32_t clear)
{
    int map = bpf_map__fd(k->skeleton->maps.fold_nodes);
    struct pmo_fold_node node = {.scope = rule->scope};
    uint64_t key = fold_path(rule->scope, rule->text);

    (void)bpf_map_lookup_elem(map, &key, &node);
    node.flags = (node.flags & ~clear) | set;
    return bpf_map_update_elem(map, &key, &node, BPF_ANY);
}

int pmo_kernel_fold_rule(struct pmo_kernel *k, const struct pmo_fold_rule *rule)
{
    static const uint32_t flags[] = {[PMO_FOLD_LEARNED] = PMO_FOLD_NODE_LEARNED,
                                     [PMO_FOLD_LEARNED_KEPT] = PMO_FOLD_NODE_KEPT,
                                     [PMO_FOLD_PINNED] = PMO_FOLD_NODE_NAMED,
                                     [PMO_FOLD_PINNED_KEPT] = PMO_FOLD_NODE_KEPT};
    int map = bpf_map__fd(k->skeleton->maps.fold_rules);
    struct pmo_fold_rule known, made = *rule;
    uint64_t key = fold_rule_key(rule);

    if (!bpf_map_lookup_elem(map, &key, &known) && known.kind == rule->kind)
        memcpy(made.sketch, known.sketch, sizeof(made.sketch));
    /* the rule first: a node that says there is one is believed */
    if (bpf_map_update_elem(map, &key, &made, BPF_ANY) ||
        fold_node_flags(k, rule, flags[rule->kind], 0))
        return pmo_err_r(errno, "cannot fold routes at %s", rule->text);
    return 0;
}

void pmo_kernel_fold_rule_remove(struct pmo_kernel *k, const struct pmo_fold_rule *rule)
{
    bool folds = rule->kind == PMO_FOLD_LEARNED || rule->kind == PMO_FOLD_PINNED;
    uint64_t key = fold_rule_key(rule);

    (void)fold_node_flags(k, rule, 0,
                          folds ? PMO_FOLD_NODE_LEARNED | PMO_FOLD_NODE_NAMED : PMO_FOLD_NODE_KEPT);
    (void)bpf_map_delete_elem(bpf_map__fd(k->skeleton->maps.fold_rules), &key);
}

void pmo_kernel_fold_merge(struct pmo_kernel *k, uint64_t scope, const char *path)
{
    uint64_t key = fold_path(scope, path);

    (void)bpf_map_delete_elem(bpf_map__fd(k->skeleton->maps.fold_nodes), &key);
}

void pmo_kernel_scope_forget(struct pmo_kernel *k, uint64_t scope)
{
    int map = bpf_map__fd(k->skeleton->maps.fold_nodes);
    struct pmo_fold_node node;
    uint64_t key;
    struct map_walk walk = map_walk_begin(map, sizeof(key));

    while (map_walk_next(&walk, &key)) {
        if (!bpf_map_lookup_elem(map, &key, &node) && node.scope == scope && !node.flags)
            (void)bpf_map_delete_elem(map, &key);
    }
}

int pmo_kernel_service_address(struct pmo_kernel *k, const uint8_t addr[16], uint16_t port,
                               uint32_t service)
{
    struct pmo_listener key = {.port = port};

    memcpy(key.addr, addr, 16);
    if (bpf_map__update_elem(k->skeleton->maps.service_addresses, &key, sizeof(key), &service,
                             sizeof(service), BPF_ANY))
        return pmo_err_r(errno, "cannot route service address number %u in the kernel", service);
    return 0;
}
