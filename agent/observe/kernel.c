/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/observe/process.h"
#include "agent/observe/ring.h"
#include <pmo/hints.h>
#include "pmo.skel.h"

#define DEFAULT_BPFFS "/sys/fs/bpf"
#define SECOND_NS     1000000000ULL

uint32_t pmo_kernel_ring_bytes = 4 << 20;

struct pmo_kernel {
    char directory[200]; /* <bpffs>/pmo */
    struct pmo_kernel_events events;
    struct pmo_bpf *skeleton;
    struct pmo_control *control;
    void *hints;
    struct pmo_ring windows, changes;
    int cgroup_fd;
    int lock_fd;
    int windows_completed;
    bool adopted;
    uint64_t adopted_wall_offset_ns;
};

static size_t hints_bytes(void)
{
    size_t page = sysconf(_SC_PAGESIZE);

    return ((size_t)PMO_HINTS_ROWS * PMO_HINTS_ROW + page - 1) / page * page;
}

static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
    char line[512];

    if (pmo_log_max < PMO_LOG_DEBUG)
        return 0;
    (void)vsnprintf(line, sizeof(line), format, args);
    line[strcspn(line, "\n")] = 0;
    pmo_debug("%s", line);
    return 0;
}

static int cgroup_root_open(void)
{
    const char *root = pmo_cgroup_mount();
    int fd;

    if (!root[0])
        return pmo_fail(ENOTSUP, "cgroup v2 is not mounted: mount it with "
                                 "`mount -t cgroup2 none /sys/fs/cgroup`");
    fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? pmo_err_r(errno, "cannot open %s", root) : fd;
}

static bool is_bpffs(const char *path)
{
    struct statfs fs;

    return !statfs(path, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static int directory_open(char *directory, size_t size, const char *bpffs, bool make)
{
    const char *root = bpffs ? bpffs : DEFAULT_BPFFS;
    char links[256];

    if (!bpffs && !is_bpffs(root) && make) {
        if (mount("bpf", root, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
            return pmo_err_r(errno,
                             "cannot mount the bpf file system on %s; mount it with "
                             "`mount -t bpf bpf %s`",
                             root, root);
        pmo_info("mounted the bpf file system on %s", root);
    }
    if (!is_bpffs(root))
        return pmo_fail(ENOTDIR,
                        "%s is not a bpf file system: mount one with "
                        "`mount -t bpf bpf %s`, or name another with --bpffs",
                        root, root);
    if (snprintf(directory, size, "%s/pmo", root) >= (int)size)
        return pmo_fail(ENAMETOOLONG, "the path of --bpffs is too long: %s", root);
    if (!make)
        return 0;
    if (mkdir(directory, 0755) && errno != EEXIST)
        return pmo_err_r(errno, "cannot make %s", directory);
    (void)snprintf(links, sizeof(links), "%s/links", directory);
    if (mkdir(links, 0700) && errno != EEXIST)
        return pmo_err_r(errno, "cannot make %s", links);
    return 0;
}

static void remove_files(const char *directory)
{
    DIR *d = opendir(directory);
    struct dirent *entry;

    if (!d)
        return;
    while ((entry = readdir(d)))
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(d), entry->d_name, 0);
    (void)closedir(d);
}

/* First what counts, then the counts. */
static void remove_contents(const char *directory)
{
    char links[256];

    (void)snprintf(links, sizeof(links), "%s/links", directory);
    remove_files(links);
    remove_files(directory);
}

static void remove_pins(const char *directory)
{
    char links[256];

    remove_contents(directory);
    (void)snprintf(links, sizeof(links), "%s/links", directory);
    (void)rmdir(links);
    (void)rmdir(directory);
}

/* One agent at a time: the lock goes with the descriptor, however the agent ends. */
static int directory_lock(const char *directory)
{
    _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return pmo_err_r(errno, "cannot open %s", directory);
    if (flock(fd, LOCK_EX | LOCK_NB))
        return pmo_fail(EBUSY,
                        "another agent is using %s; stop it, or choose another bpf file system "
                        "with --bpffs",
                        directory);
    return TAKE_FD(fd);
}

int pmo_kernel_remove(const char *bpffs)
{
    char directory[200];
    int r = directory_open(directory, sizeof(directory), bpffs, false);

    if (!r)
        remove_pins(directory);
    return r;
}

/* First value of a pinned map. Returns 1, or 0 where there is no such pin. */
static int pin_read(const char *directory, const char *name, void *value)
{
    _cleanup_close_ int fd = -1;
    char path[256];
    uint32_t zero = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    fd = bpf_obj_get(path);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || bpf_map_lookup_elem(fd, &zero, value))
        return pmo_err_r(errno, "cannot read %s", path);
    return 1;
}

/* Looks at what an earlier agent left. Returns 1 where it can be adopted, 0 where there is nothing.
 */
static int pins_check(const char *directory, struct pmo_control *control)
{
    struct pmo_hints_header hints = {};
    char row[4096] = {}; /* a value of another version may be larger */
    int r = pin_read(directory, "control", row);

    if (r <= 0)
        return r;
    memcpy(control, row, sizeof(*control));
    if (!control->abi_version) {
        remove_contents(directory); /* an agent died while it made them: nothing is counted yet */
        return 0;
    }
    if (control->abi_version != PMO_ABI_VERSION)
        return pmo_fail(EPROTO,
                        "the maps in %s are of version %u, this agent speaks %u: run the "
                        "agent that made them, or discard them and their counts with "
                        "`pmo-agent --discard`",
                        directory, control->abi_version, PMO_ABI_VERSION);
    r = pin_read(directory, "hints", row);
    memcpy(&hints, row, sizeof(hints));
    if (r > 0 && hints.magic &&
        (hints.magic != PMO_HINTS_MAGIC || hints.version != PMO_HINTS_VERSION))
        return pmo_fail(EPROTO,
                        "the hints map in %s is of version %u, this agent writes %u: run the "
                        "agent that made it, or discard it with `pmo-agent --discard` and "
                        "restart routers",
                        directory, hints.version, PMO_HINTS_VERSION);
    return r < 0 ? r : 1;
}

static int maps_set_pins(struct pmo_kernel *k)
{
    struct bpf_map *map;

    bpf_object__for_each_map(map, k->skeleton->obj)
    {
        char path[280];

        if (bpf_map__is_internal(map))
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", k->directory, bpf_map__name(map));
        if (bpf_map__set_pin_path(map, path))
            return pmo_err_r(errno, "cannot pin %s", path);
    }
    return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

/* First use of fresh maps: all rows are free, and the rows that count what has no row are named. */
static int maps_begin(struct pmo_kernel *k)
{
    struct pmo_route other = {.text = "{other}"};
    uint32_t zero = 0, i;
    int r = 0;

    for (i = 1; !r && i < PMO_INSTANCES_MAX; i++)
        r = bpf_map__update_elem(k->skeleton->maps.free_instances, NULL, 0, &i, sizeof(i), 0);
    for (i = PMO_STATUS_CLASSES; !r && i < PMO_COUNTERS_MAX; i++)
        r = bpf_map__update_elem(k->skeleton->maps.free_counters, NULL, 0, &i, sizeof(i), 0);
    for (i = 0; !r && i < PMO_STATUS_CLASSES; i++) {
        struct pmo_counter_key key = {.status_class = i};

        r = bpf_map__update_elem(k->skeleton->maps.counter_keys, &i, sizeof(i), &key, sizeof(key),
                                 0);
    }
    if (!r)
        r = bpf_map__update_elem(k->skeleton->maps.routes, &zero, sizeof(zero), &other,
                                 sizeof(other), 0);
    if (r)
        return pmo_err_r(r, "cannot fill the maps in %s", k->directory);
    k->control->cpus = libbpf_num_possible_cpus();
    k->control->slots_used = PMO_STATUS_CLASSES;
    k->control->instances_used = 1;
    k->control->routes_used = 1;
    __atomic_store_n(&k->control->abi_version, PMO_ABI_VERSION, __ATOMIC_RELEASE);
    return 0;
}

static int maps_map(struct pmo_kernel *k)
{
    struct pmo_bpf *s = k->skeleton;
    size_t page = sysconf(_SC_PAGESIZE);
    int r;

    k->control =
        mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(s->maps.control), 0);
    if (k->control == MAP_FAILED) {
        k->control = NULL;
        return pmo_err_r(errno, "cannot map %s/control", k->directory);
    }
    k->hints = mmap(NULL, hints_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED,
                    bpf_map__fd(s->maps.hints), 0);
    if (k->hints == MAP_FAILED) {
        k->hints = NULL;
        return pmo_err_r(errno, "cannot map %s/hints", k->directory);
    }
    r = pmo_ring_open(&k->windows, bpf_map__fd(s->maps.windows),
                      bpf_map__max_entries(s->maps.windows));
    if (!r)
        r = pmo_ring_open(&k->changes, bpf_map__fd(s->maps.events),
                          bpf_map__max_entries(s->maps.events));
    return r ? pmo_err_r(r, "cannot map the rings in %s", k->directory) : 0;
}

/* Puts a program in the place of the one an earlier agent attached, without a gap: links of cgroups
 * are updated; tracing links cannot be, so the new one is attached before the old one goes (what
 * both of them may see in between, they handle once). */
static int attach(struct pmo_kernel *k, struct bpf_program *program)
{
    enum bpf_prog_type type = bpf_program__type(program);
    const char *name = bpf_program__name(program);
    struct bpf_link *link;
    char path[256];
    int r;

    (void)snprintf(path, sizeof(path), "%s/links/%s", k->directory, name);
    link = bpf_link__open(path);
    if (link) {
        r = type == BPF_PROG_TYPE_TRACING ? -ENOTSUP : bpf_link__update_program(link, program);
        if (!r) {
            (void)bpf_link__destroy(link);
            return 0;
        }
    }
    struct bpf_link *fresh = type == BPF_PROG_TYPE_TRACING
                                 ? bpf_program__attach(program)
                                 : bpf_program__attach_cgroup(program, k->cgroup_fd);

    r = fresh ? 0 : -errno;
    if (link) {
        (void)unlink(path);
        (void)bpf_link__destroy(link);
    }
    if (!r && bpf_link__pin(fresh, path))
        r = -errno;
    (void)bpf_link__destroy(fresh); /* closes our descriptor: the pin keeps the link */
    return r ? pmo_err_r(r, "cannot attach the BPF program %s", name) : 0;
}

static int load(struct pmo_kernel *k)
{
    int r;

    if (access("/sys/kernel/btf/vmlinux", R_OK))
        return pmo_fail(ENOTSUP, "this kernel has no type information (/sys/kernel/btf/vmlinux): "
                                 "run one that is built with CONFIG_DEBUG_INFO_BTF=y");
    (void)libbpf_set_print(print_libbpf);
    k->skeleton = pmo_bpf__open();
    if (!k->skeleton)
        return pmo_err_r(errno, "cannot read the BPF object");
    r = maps_set_pins(k);
    if (!r)
        r = bpf_map__set_max_entries(k->skeleton->maps.windows, pmo_kernel_ring_bytes);
    if (r)
        return r;
    k->skeleton->rodata->wall_offset_ns =
        k->adopted ? k->adopted_wall_offset_ns
                   : clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
    r = pmo_bpf__load(k->skeleton);
    if (r == -EPERM || r == -EACCES)
        return pmo_fail(EPERM, "not allowed to load BPF programs: run as root, or with the "
                               "capabilities BPF, NET_ADMIN, PERFMON and SYS_ADMIN");
    if (r == -EINVAL && k->adopted)
        return pmo_fail(EPROTO,
                        "the maps in %s do not fit this agent: run the agent that made "
                        "them, or discard them and their counts with `pmo-agent "
                        "--discard`",
                        k->directory);
    if (r)
        return pmo_err_r(r, "cannot load the BPF programs (`pmo-agent --verbose` shows why)");
    r = maps_map(k);
    if (!r && !k->adopted) {
        k->control->wall_offset_ns = k->skeleton->rodata->wall_offset_ns;
        r = maps_begin(k);
    }
    return r;
}

int pmo_kernel_open(struct pmo_kernel **kernel, const char *bpffs,
                    const struct pmo_kernel_events *events)
{
    struct pmo_kernel *k = calloc(1, sizeof(*k));
    struct pmo_control control = {};
    int r;

    if (!k)
        return pmo_err_r(ENOMEM, "cannot start");
    k->events = *events;
    k->cgroup_fd = k->lock_fd = -1;
    r = directory_open(k->directory, sizeof(k->directory), bpffs, true);
    if (r)
        goto failed;
    r = k->lock_fd = directory_lock(k->directory);
    if (r < 0)
        goto failed;
    r = pins_check(k->directory, &control);
    if (r < 0)
        goto failed;
    k->adopted = r;
    k->adopted_wall_offset_ns = control.wall_offset_ns;
    r = k->cgroup_fd = cgroup_root_open();
    if (r < 0)
        goto failed;
    r = load(k);
    if (!r)
        r = attach(k, k->skeleton->progs.listener_state);
    if (!r)
        r = attach(k, k->skeleton->progs.process_exit);
    if (r)
        goto failed;
    *kernel = k;
    return 0;

failed:
    pmo_kernel_close(&k, k->adopted || r == -EPROTO || r == -EBUSY);
    return r;
}

/* Runs the iterator over this namespace's TCP sockets: reading it to its end is running it. */
static int connections_join(struct pmo_kernel *k)
{
    struct bpf_link *link = bpf_program__attach_iter(k->skeleton->progs.connections_join, NULL);
    char buffer[64];
    int fd, r = 0;

    if (!link)
        return pmo_err_r(errno, "cannot attach the BPF program connections_join");
    fd = bpf_iter_create(bpf_link__fd(link));
    if (fd < 0)
        r = pmo_err_r(errno, "cannot iterate over TCP sockets");
    while (fd >= 0 && read(fd, buffer, sizeof(buffer)) > 0)
        ;
    if (fd >= 0)
        (void)close(fd);
    (void)bpf_link__destroy(link);
    return r;
}

int pmo_kernel_start(struct pmo_kernel *k)
{
    LIBBPF_OPTS(bpf_test_run_opts, run);
    struct pmo_bpf *s = k->skeleton;
    struct bpf_program *const traffic[] = {s->progs.request_ingress, s->progs.response_egress,
                                           s->progs.service_connect,
                                           s->progs.connection_established};
    int r;

    for (size_t i = 0; i < sizeof(traffic) / sizeof(*traffic); i++) {
        r = attach(k, traffic[i]);
        if (r)
            return r;
    }
    r = connections_join(k);
    if (r)
        return r;
    r = bpf_prog_test_run_opts(bpf_program__fd(s->progs.flusher_start), &run);
    if (r || run.retval)
        return pmo_err_r(r ? r : EIO, "cannot start the flusher (step %u)", run.retval);
    return 0;
}

void pmo_kernel_close(struct pmo_kernel **kernel, bool leave)
{
    struct pmo_kernel *k = *kernel;

    if (!k)
        return;
    *kernel = NULL;
    pmo_ring_close(&k->windows);
    pmo_ring_close(&k->changes);
    if (k->control)
        (void)munmap(k->control, sysconf(_SC_PAGESIZE));
    if (k->hints)
        (void)munmap(k->hints, hints_bytes());
    pmo_bpf__destroy(k->skeleton);
    if (k->cgroup_fd >= 0)
        (void)close(k->cgroup_fd);
    if (!leave && k->directory[0])
        remove_pins(k->directory);
    if (k->lock_fd >= 0)
        (void)close(k->lock_fd);
    free(k);
}

static void read_window_record(void *context, const void *record, size_t size)
{
    struct pmo_kernel *k = context;

    switch (*(const uint32_t *)record) {
    case PMO_RECORD_TYPE:
        k->events.type(k->events.context, record);
        break;
    case PMO_RECORD_INSTANCE:
        k->events.instance(k->events.context, record);
        break;
    case PMO_RECORD_WINDOW:
        k->windows_completed++;
        k->events.window(k->events.context, record);
        break;
    }
}

int pmo_kernel_drain(struct pmo_kernel *k)
{
    k->windows_completed = 0;
    pmo_ring_read(&k->windows, read_window_record, k);
    return k->windows_completed;
}

void pmo_kernel_commit(struct pmo_kernel *k)
{
    pmo_ring_commit(&k->windows);
}

int pmo_kernel_events_fd(const struct pmo_kernel *k)
{
    return bpf_map__fd(k->skeleton->maps.events);
}

static void read_event(void *context, const void *record, size_t size)
{
    struct pmo_kernel *k = context;

    k->events.event(k->events.context, record);
}

void pmo_kernel_read_events(struct pmo_kernel *k)
{
    pmo_ring_read(&k->changes, read_event, k);
    pmo_ring_commit(&k->changes);
}

const volatile struct pmo_control *pmo_kernel_control(const struct pmo_kernel *k)
{
    return k->control;
}

void *pmo_kernel_hints(const struct pmo_kernel *k)
{
    return k->hints;
}

bool pmo_kernel_adopted(const struct pmo_kernel *k)
{
    return k->adopted;
}

int64_t pmo_kernel_second(const struct pmo_kernel *k, uint64_t *into_ns)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC) + k->control->wall_offset_ns;

    if (into_ns)
        *into_ns = now % SECOND_NS;
    return now / SECOND_NS;
}

int pmo_kernel_instance(struct pmo_kernel *k, const struct pmo_listener *listener, uint32_t pid,
                        uint64_t cgroup, uint32_t listeners, uint32_t *instance)
{
    struct pmo_instance row = {.pid = pid, .cgroup = cgroup, .listeners = listeners};
    int map = bpf_map__fd(k->skeleton->maps.instances);
    int free_rows = bpf_map__fd(k->skeleton->maps.free_instances);
    struct pmo_instance known;
    uint32_t used;

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
    struct pmo_listener key, next;
    struct pmo_instance instance;
    bool more = !bpf_map_get_next_key(map, NULL, &next);

    while (more) {
        key = next;
        more = !bpf_map_get_next_key(map, &key, &next);
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
    struct pmo_counter_key key, next;
    struct pmo_listener listener, next_listener;
    struct pmo_instance row;
    uint32_t slot;
    bool more = !bpf_map_get_next_key(slots, NULL, &next);

    while (more) {
        key = next;
        more = !bpf_map_get_next_key(slots, &key, &next);
        if (key.instance != instance || bpf_map_lookup_elem(slots, &key, &slot))
            continue;
        if (!bpf_map_delete_elem(slots, &key))
            (void)bpf_map_update_elem(free_slots, NULL, &slot, BPF_ANY);
    }
    more = !bpf_map_get_next_key(rows, NULL, &next_listener);
    while (more) {
        listener = next_listener;
        more = !bpf_map_get_next_key(rows, &listener, &next_listener);
        if (!bpf_map_lookup_elem(rows, &listener, &row) && row.id == instance)
            (void)bpf_map_delete_elem(rows, &listener);
    }
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

int pmo_kernel_route(struct pmo_kernel *k, uint32_t row, char text[PMO_ROUTE_BYTES])
{
    struct pmo_route route;

    if (bpf_map__lookup_elem(k->skeleton->maps.routes, &row, sizeof(row), &route, sizeof(route), 0))
        return -ENOENT;
    memcpy(text, route.text, PMO_ROUTE_BYTES);
    text[PMO_ROUTE_BYTES - 1] = 0;
    return 0;
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

/* Attaches to an interface of another namespace from inside of it: interfaces are named by index,
 * and an index means the namespace of the caller. */
static int xdp_attach(struct pmo_kernel *k, int netns_fd, const char *interface, const char *path)
{
    _cleanup_close_ int home = -1, link = -1;
    int r = 0;

    if (netns_fd >= 0) {
        home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        if (home < 0 || setns(netns_fd, CLONE_NEWNET))
            return -errno;
    }
    link = bpf_link_create(bpf_program__fd(k->skeleton->progs.syn_count),
                           (int)if_nametoindex(interface), BPF_XDP, NULL);
    if (link < 0 || bpf_obj_pin(link, path))
        r = -errno;
    if (home >= 0 && setns(home, CLONE_NEWNET))
        abort(); /* cannot go on in the wrong namespace */
    return r;
}

int pmo_kernel_count_syns(struct pmo_kernel *k, int netns_fd, const char *interface,
                          const char *name, const struct pmo_listener *listener, uint32_t instance)
{
    struct pmo_listener key = *listener;
    char path[280];
    int r, fd;

    key.netns = 0;
    (void)bpf_map__update_elem(k->skeleton->maps.syn_targets, &key, sizeof(key), &instance,
                               sizeof(instance), BPF_ANY);
    (void)snprintf(path, sizeof(path), "%s/links/xdp_%s", k->directory, name);
    fd = bpf_obj_get(path);
    if (fd >= 0) {
        r = bpf_link_update(fd, bpf_program__fd(k->skeleton->progs.syn_count), NULL);
        (void)close(fd);
        if (!r)
            return 0;
        (void)unlink(path);
    }
    r = xdp_attach(k, netns_fd, interface, path);
    if (r)
        return pmo_err_r(r, "cannot count SYNs at XDP on %s of %s", interface, name);
    return 0;
}

void pmo_kernel_count_syns_end(struct pmo_kernel *k, const char *name,
                               const struct pmo_listener *listener)
{
    struct pmo_listener key = *listener;
    char path[280];

    key.netns = 0;
    (void)bpf_map__delete_elem(k->skeleton->maps.syn_targets, &key, sizeof(key), 0);
    (void)snprintf(path, sizeof(path), "%s/links/xdp_%s", k->directory, name);
    (void)unlink(path);
}
