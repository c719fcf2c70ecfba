/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree of a database is walked twice: once for how many addresses each value has, which tells
 * the values that get a row, and once to list the networks. IPv4 is below ::/96 there, with more
 * ways to it (::ffff:0:0/96, 2002::/16): it is walked by itself, and these lead nowhere.
 */
#include "agent/observe/maxmind.h"

#include <errno.h>
#include <math.h>
#include <maxminddb.h>
#include <search.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_NODE   UINT32_MAX
#define STEPS_MAX (1U << 26) /* a tree of more nodes has a ring in it */

struct value {
    char name[64]; /* first: see by_name() */
    double share;  /* of all addresses of IPv4, and of all of IPv6 */
    uint8_t row;
};

static struct value mixed; /* stands for a subtree that has several */

struct reading {
    MMDB_s database;
    const char *const *by;
    void *tree; /* of values, by name: see tsearch(3) */
    struct value **values;
    size_t values_count, room;
    struct value other;
    bool lists; /* else it weighs */
    size_t networks_room;
    struct pmo_maxmind *to;
    struct pmo_prefix at; /* where the walk is */
    uint32_t first_bits;  /* where it began */
    uint32_t ipv4;        /* node where IPv4 begins */
    uint32_t steps;
    int failed;
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 2, 3))) static void fail(struct reading *r, const char *format, ...)
{
    va_list arguments;

    if (r->failed)
        return;
    r->failed = -EINVAL;
    va_start(arguments, format);
    (void)vsnprintf(r->error, r->error_size, format, arguments);
    va_end(arguments);
}

static void fail_broken(struct reading *r)
{
    fail(r, "is broken: its search tree leads nowhere; get it again");
}

/* ---- values ---------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int by_share(const void *a, const void *b)
{
    const struct value *x = *(struct value *const *)a, *y = *(struct value *const *)b;

    return x->share != y->share ? (x->share < y->share) - (x->share > y->share)
                                : strcmp(x->name, y->name);
}

static struct value *value_add(struct reading *r, const char *name)
{
    struct value *v;

    if (r->values_count == r->room) {
        size_t room = r->room ? 2 * r->room : 64;
        void *larger = reallocarray(r->values, room, sizeof(*r->values));

        if (!larger)
            return NULL;
        r->values = larger;
        r->room = room;
    }
    v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    (void)snprintf(v->name, sizeof(v->name), "%s", name);
    if (!tsearch(v, &r->tree, by_name)) {
        free(v);
        return NULL;
    }
    r->values[r->values_count++] = v;
    return v;
}

/* The value of a record, NULL: it has none. */
static struct value *value_of(struct reading *r, MMDB_entry_s *record)
{
    struct value **known, *v;
    MMDB_entry_data_s field;
    char name[64];
    int status = MMDB_aget_value(record, &field, r->by);

    if (status == MMDB_LOOKUP_PATH_DOES_NOT_MATCH_DATA_ERROR ||
        status == MMDB_INVALID_LOOKUP_PATH_ERROR || (!status && !field.has_data))
        return NULL;
    if (status)
        fail(r, "is broken: %s; get it again", MMDB_strerror(status));
    else if (field.type != MMDB_DATA_TYPE_UTF8_STRING)
        fail(r, "has something else than a text in this field; `mmdblookup --file FILE --ip "
                "ADDRESS` shows its fields");
    if (r->failed)
        return NULL;
    (void)snprintf(name, sizeof(name), "%.*s", (int)field.data_size, field.utf8_string);
    if (!name[0])
        return NULL;
    known = tfind(name, &r->tree, by_name);
    v = known ? *known : value_add(r, name);
    if (!v)
        r->failed = -ENOMEM;
    else if (r->lists && r->to->others && v->row == r->other.row)
        v = &r->other;
    return v;
}

/* ---- the tree -------------------------------------------------------------------------------- */

static void list(struct reading *r, uint32_t bits, uint8_t row)
{
    struct pmo_maxmind *to = r->to;
    struct pmo_kernel_zone *network;

    if (to->networks_count == r->networks_room) {
        size_t room = r->networks_room ? 2 * r->networks_room : 1024;
        void *larger = reallocarray(to->networks, room, sizeof(*to->networks));

        if (!larger) {
            r->failed = -ENOMEM;
            return;
        }
        to->networks = larger;
        r->networks_room = room;
    }
    network = &to->networks[to->networks_count++];
    *network = (struct pmo_kernel_zone){.prefix = r->at, .zone = row};
    network->prefix.bits = bits;
    for (uint32_t bit = bits; bit < 128; bit++)
        network->prefix.addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static void found(struct reading *r, uint32_t bits, struct value *v)
{
    if (!v || v == &mixed || r->failed)
        return;
    if (r->lists)
        list(r, bits, v->row);
    else
        v->share += ldexp(1, (int)r->first_bits - (int)bits);
}

static void turn(struct reading *r, uint32_t bits, bool right)
{
    uint8_t bit = (uint8_t)(0x80 >> bits % 8);

    if (right)
        r->at.addr[bits / 8] |= bit;
    else
        r->at.addr[bits / 8] &= (uint8_t)~bit;
}

/* The value that all of a subtree has; where it has several, its networks are found. */
static struct value *walk(struct reading *r, uint32_t node,
                          uint32_t bits) // NOLINT(misc-no-recursion)
{
    struct value *side[2] = {NULL, NULL};
    MMDB_search_node_s read;

    if (bits >= 128 || ++r->steps > STEPS_MAX || MMDB_read_node(&r->database, node, &read))
        fail_broken(r);
    for (int right = 0; right < 2 && !r->failed; right++) {
        uint64_t next = right ? read.right_record : read.left_record;
        uint8_t type = right ? read.right_record_type : read.left_record_type;

        turn(r, bits, right);
        if (type == MMDB_RECORD_TYPE_DATA)
            side[right] = value_of(r, right ? &read.right_record_entry : &read.left_record_entry);
        else if (type == MMDB_RECORD_TYPE_SEARCH_NODE && next != r->ipv4)
            side[right] = walk(r, (uint32_t)next, bits + 1);
        else if (type == MMDB_RECORD_TYPE_INVALID)
            fail_broken(r);
    }
    if (side[0] == side[1])
        return side[0];
    for (int right = 0; right < 2; right++) {
        turn(r, bits, right);
        found(r, bits + 1, side[right]);
    }
    return &mixed;
}

static void walk_all(struct reading *r)
{
    uint32_t ipv4 = r->ipv4;

    r->steps = 0;
    if (r->database.metadata.ip_version == 6) {
        r->at = (struct pmo_prefix){0};
        r->first_bits = 0;
        found(r, 0, walk(r, 0, 0));
    }
    if (ipv4 == NO_NODE || r->failed)
        return;
    r->ipv4 = NO_NODE; /* it would be a ring there */
    r->at = (struct pmo_prefix){.addr = {[10] = 0xff, 0xff}};
    r->first_bits = 96;
    found(r, 96, walk(r, ipv4, 96));
    r->ipv4 = ipv4;
}

/* NO_NODE: nothing tells networks of IPv4 apart, ::/96 is in one that is larger. */
static uint32_t ipv4_begins(struct reading *r)
{
    uint32_t node = 0;

    for (int bit = 0; r->database.metadata.ip_version == 6 && bit < 96; bit++) {
        MMDB_search_node_s read;

        if (MMDB_read_node(&r->database, node, &read))
            fail_broken(r);
        if (r->failed || read.left_record_type != MMDB_RECORD_TYPE_SEARCH_NODE)
            return NO_NODE;
        node = (uint32_t)read.left_record;
    }
    return node;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int choose_rows(struct reading *r, size_t rows)
{
    struct pmo_maxmind *to = r->to;
    bool others = r->values_count > rows;
    size_t named = others ? rows - 1 : r->values_count;

    to->values = calloc(rows, sizeof(*to->values));
    if (!to->values)
        return -ENOMEM;
    qsort(r->values, r->values_count, sizeof(struct value *), by_share);
    for (size_t i = 0; i < r->values_count; i++) {
        r->values[i]->row = (uint8_t)(i < named ? i : named);
        if (i < named)
            memcpy(to->values[i], r->values[i]->name, sizeof(*to->values));
    }
    r->other.row = (uint8_t)named;
    to->values_count = named + others;
    to->others = r->values_count - named;
    if (others)
        (void)snprintf(to->values[named], sizeof(*to->values), "{other}");
    return 0;
}

static int read_open(struct reading *r, size_t values_max)
{
    int status;

    r->ipv4 = ipv4_begins(r);
    walk_all(r);
    if (!r->failed && !r->values_count)
        fail(r, "has this field in no record; `mmdblookup --file FILE --ip ADDRESS` shows its "
                "fields");
    if (r->failed)
        return r->failed;
    status = choose_rows(r, values_max);
    if (status)
        return status;
    r->lists = true;
    walk_all(r);
    return r->failed;
}

int pmo_maxmind_read(struct pmo_maxmind *maxmind, const char *path, const char *const *by,
                     size_t values_max, char *error, size_t error_size)
{
    struct reading r = {.by = by, .to = maxmind, .error = error, .error_size = error_size};
    int status = MMDB_open(path, MMDB_MODE_MMAP, &r.database);

    memset(maxmind, 0, sizeof(*maxmind));
    error[0] = '\0';
    if (status == MMDB_OUT_OF_MEMORY_ERROR)
        return -ENOMEM;
    if (status) {
        bool by_system = status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR;

        (void)snprintf(error, error_size, "cannot be read as a MaxMind database: %s",
                       by_system && errno ? strerror(errno) : MMDB_strerror(status));
        return -EINVAL;
    }
    status = read_open(&r, values_max);
    MMDB_close(&r.database);
    tdestroy(r.tree, free);
    free(r.values);
    if (status)
        pmo_maxmind_clear(maxmind);
    return status;
}

void pmo_maxmind_clear(struct pmo_maxmind *maxmind)
{
    free(maxmind->values);
    free(maxmind->networks);
    memset(maxmind, 0, sizeof(*maxmind));
}
