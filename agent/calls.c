/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls, wired: policies say of which services the requests are counted that they make to others;
 * the kernel side is told by what it knows one of their instances when it opens a connection. An
 * instance of the backend has a network namespace to itself. Any other is known by its process, and
 * by its cgroup where that is a service's or a container's and nobody else listens in it: a login
 * session is a cgroup, too, and whatever is started from it would make an instance's calls.
 *
 * A process that listens in several places is several instances, and which of them a call is of,
 * nobody knows: those are put into a circle in the hints map, as what is in flight at all of them
 * says whether the request is known that a call is made for.
 *
 * Whom a call goes to, the kernel side mostly knows: who has accepted the connection, however it
 * got there (bpf/peers.h).
 */
#include "agent/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/address.h"

struct known {
    struct pmo_caller caller;
    struct pmo_calling instance;
};

/* Where an instance listens. */
struct place {
    uint64_t id; /* as a caller of that kind has it */
    uint32_t kind;
    uint32_t instance;
};

struct follow {
    struct pmo_core *core;
    struct known *known;
    size_t count, room;
    struct place *places; /* of all instances */
    size_t places_count;
};

bool pmo_calls_wanted(const struct pmo_policies *policies)
{
    for (size_t i = 0; i < pmo_policies_count(policies); i++)
        if (pmo_policies_at(policies, i)->calls)
            return true;
    return false;
}

static void add(struct follow *f, uint32_t kind, uint64_t id, const struct pmo_instance *instance)
{
    struct known *known;

    for (size_t i = 0; i < f->count; i++)
        if (f->known[i].caller.kind == kind && f->known[i].caller.id == id)
            return; /* it listens in several places: the first one has its calls */
    if (f->count == f->room) {
        size_t room = f->room ? 2 * f->room : 16;
        void *larger = reallocarray(f->known, room, sizeof(*f->known));

        if (!larger)
            return; /* the next time */
        f->known = larger;
        f->room = room;
    }
    known = &f->known[f->count++];
    *known =
        (struct known){.caller = {.kind = kind, .id = id},
                       .instance = {.instance = instance->id, .generation = instance->generation}};
}

static bool cgroup_is_its_own(const struct pmo_core *core, const struct pmo_agent_instance *of)
{
    const char *name = strrchr(of->cgroup, '/');
    size_t length = strlen(of->cgroup);

    if (!name || !strcmp(of->cgroup, pmo_cgroup_mount()) || !strncmp(name, "/session-", 9) ||
        (length > 6 && !strcmp(of->cgroup + length - 6, ".slice")))
        return false;
    for (const struct pmo_agent_instance *i = core->agent.instances; i; i = i->next)
        if (!i->gone && i->pid != of->pid && !strcmp(i->cgroup, of->cgroup))
            return false;
    return true;
}

static bool is_in_managed(const struct pmo_core *core, uint64_t netns)
{
    for (const struct pmo_agent_instance *i = core->agent.instances; i; i = i->next)
        if (i->managed && !i->gone && i->listener.netns == netns)
            return true;
    return false;
}

static void note_place(struct follow *f, const struct pmo_listener *listener,
                       const struct pmo_instance *instance, const struct pmo_agent_instance *known)
{
    struct place place = {.instance = instance->id, .id = known ? known->pid : instance->pid};

    if (f->places_count == PMO_INSTANCES_MAX)
        return;
    if (is_in_managed(f->core, listener->netns))
        place = (struct place){listener->netns, PMO_CALLER_NETNS, instance->id};
    else if (place.id)
        place.kind = PMO_CALLER_PROCESS;
    else
        place.id = instance->id; /* of its own kind: nobody knows */
    f->places[f->places_count++] = place;
}

static int compare_places(const void *left, const void *right)
{
    const struct place *a = left, *b = right;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return (a->instance > b->instance) - (a->instance < b->instance);
}

static bool is_same_place(const struct place *a, const struct place *b)
{
    return a->kind == b->kind && a->id == b->id;
}

/* Puts the instances of each place into a circle. */
static void join_places(struct follow *f)
{
    struct place *first = f->places, *end = f->places + f->places_count;

    qsort(f->places, f->places_count, sizeof(*f->places), compare_places);
    for (struct place *at = f->places; at < end; at++) {
        bool last = at + 1 == end || !is_same_place(at, at + 1);
        uint32_t next = last ? first->instance : at[1].instance;

        pmo_hints_together(f->core->hints, at->instance, next == at->instance ? 0 : next);
        if (last)
            first = at + 1;
    }
}

static void look_at(void *context, const struct pmo_listener *listener,
                    const struct pmo_instance *instance)
{
    struct follow *f = context;
    const struct pmo_agent_instance *i = pmo_instance_by_id(f->core, instance->id);

    note_place(f, listener, instance, i);
    if (!i || i->gone || !i->service->policy || !i->service->policy->calls)
        return;
    if (i->managed) {
        add(f, PMO_CALLER_NETNS, listener->netns, instance);
        return;
    }
    if (i->pid)
        add(f, PMO_CALLER_PROCESS, i->pid, instance);
    if (instance->cgroup && cgroup_is_its_own(f->core, i))
        add(f, PMO_CALLER_CGROUP, instance->cgroup, instance);
}

/* Forgets a caller that is none any more. */
static void check(void *context, const struct pmo_caller *caller,
                  const struct pmo_calling *instance)
{
    struct follow *f = context;

    for (size_t i = 0; i < f->count; i++)
        if (!memcmp(&f->known[i].caller, caller, sizeof(*caller)))
            return;
    pmo_kernel_caller_forget(f->core->kernel, caller);
}

void pmo_calls_follow(struct pmo_core *core)
{
    struct follow f = {.core = core};

    if (!core->calls)
        return;
    f.places = calloc(PMO_INSTANCES_MAX, sizeof(*f.places));
    if (!f.places)
        return; /* the next time */
    pmo_kernel_instances(core->kernel, look_at, &f);
    join_places(&f);
    for (size_t i = 0; i < f.count; i++)
        (void)pmo_kernel_caller(core->kernel, &f.known[i].caller, &f.known[i].instance);
    pmo_kernel_callers(core->kernel, check, &f);
    free(f.known);
    free(f.places);
}

/* Who listens on an address, for connections from before the kernel side was there. On any address
 * of the host is enough only where the address is loopback: others may be of other hosts. */
static const struct pmo_agent_instance *listens_on(struct pmo_core *core,
                                                   const struct pmo_listener *address)
{
    static const uint8_t any[16];

    for (const struct pmo_agent_instance *i = core->agent.instances; i; i = i->next) {
        const struct pmo_listener *at = &i->listener;

        if (i->gone || at->port != address->port || (address->netns && at->netns != address->netns))
            continue;
        if (!memcmp(at->addr, address->addr, sizeof(any)) ||
            (address->netns && !memcmp(at->addr, any, sizeof(any))))
            return i;
    }
    return NULL;
}

void pmo_calls_peer(struct pmo_core *core, uint32_t row, char name[PMO_PEER_BYTES])
{
    const struct pmo_agent_instance *i;
    char text[INET6_ADDRSTRLEN];
    struct pmo_peer peer;

    if (pmo_kernel_peer(core->kernel, row, &peer)) {
        (void)snprintf(name, PMO_PEER_BYTES, "%s", PMO_PEER_OTHER);
        return;
    }
    i = pmo_instance_by_id(core, peer.instance);
    if (!i)
        i = listens_on(core, &peer.address);
    if (i)
        (void)snprintf(name, PMO_PEER_BYTES, "%s", i->service->name);
    else if (strchr(pmo_address_text(peer.address.addr, text), ':'))
        (void)snprintf(name, PMO_PEER_BYTES, "[%s]:%u", text, peer.address.port);
    else
        (void)snprintf(name, PMO_PEER_BYTES, "%s:%u", text, peer.address.port);
}
