/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/kernel_private.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/observe/features.h"
#include "agent/observe/filter.h"
#include "agent/observe/process.h"
#include "agent/observe/symbols.h"
#include <pmo/hints.h>

#define DEFAULT_BPFFS "/sys/fs/bpf"
#define SECOND_NS     1000000000ULL
#define PORTS_BYTES   (65536 / 8)
#define SCOPES_BYTES  (PMO_INSTANCES_MAX * sizeof(uint64_t))
#define PEERS_BYTES   (PMO_PEERS_MAX * sizeof(struct pmo_peer))

uint32_t pmo_kernel_ring_bytes = 4 << 20;
uint64_t pmo_kernel_page_offset_at;

static size_t hints_bytes(void)
{
    size_t page = sysconf(_SC_PAGESIZE);

    return ((size_t)PMO_HINTS_ROWS * PMO_HINTS_ROW + page - 1) / page * page;
}

static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
    _cleanup_free_ char *text = NULL; /* a verifier's log has many lines */

    if (pmo_log_max < PMO_LOG_DEBUG || vasprintf(&text, format, args) < 0)
        return 0;
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
        if (line[0])
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

    pmo_filter_detach(directory, NULL);
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
    for (i = PMO_OVERFLOW_SLOTS; !r && i < PMO_COUNTERS_MAX; i++)
        r = bpf_map__update_elem(k->skeleton->maps.free_counters, NULL, 0, &i, sizeof(i), 0);
    for (i = 0; !r && i < PMO_STASH_PIECES; i++)
        r = bpf_map__update_elem(k->skeleton->maps.free_stash, NULL, 0, &i, sizeof(i), 0);
    for (i = 0; !r && i < PMO_OVERFLOW_SLOTS; i++) {
        struct pmo_counter_key key = {.status_class = i % (PMO_STATUS_ARRIVED + 1),
                                      .direction = i > PMO_STATUS_ARRIVED};

        r = bpf_map__update_elem(k->skeleton->maps.counter_keys, &i, sizeof(i), &key, sizeof(key),
                                 0);
    }
    if (!r)
        r = bpf_map__update_elem(k->skeleton->maps.routes, &zero, sizeof(zero), &other,
                                 sizeof(other), 0);
    if (r)
        return pmo_err_r(r, "cannot fill the maps in %s", k->directory);
    k->control->shards = k->skeleton->rodata->shards;
    k->control->slots_used = PMO_OVERFLOW_SLOTS;
    k->control->instances_used = 1;
    k->control->routes_used = 1;
    k->control->peers_used = 1;
    memcpy(k->control->header_key, k->header_key, sizeof(k->header_key));
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
    k->accepting_ports = mmap(NULL, PORTS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                              bpf_map__fd(s->maps.accepting_ports), 0);
    if (k->accepting_ports == MAP_FAILED) {
        k->accepting_ports = NULL;
        return pmo_err_r(errno, "cannot map %s/accepting_ports", k->directory);
    }
    k->scopes = mmap(NULL, SCOPES_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                     bpf_map__fd(s->maps.instance_scopes), 0);
    if (k->scopes == MAP_FAILED) {
        k->scopes = NULL;
        return pmo_err_r(errno, "cannot map %s/instance_scopes", k->directory);
    }
    k->headers_wanted = mmap(NULL, SCOPES_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                             bpf_map__fd(s->maps.headers_wanted), 0);
    if (k->headers_wanted == MAP_FAILED) {
        k->headers_wanted = NULL;
        return pmo_err_r(errno, "cannot map %s/headers_wanted", k->directory);
    }
    k->peers =
        mmap(NULL, PEERS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(s->maps.peers), 0);
    if (k->peers == MAP_FAILED) {
        k->peers = NULL;
        return pmo_err_r(errno, "cannot map %s/peers", k->directory);
    }
    k->targets = mmap(NULL, PMO_TARGETS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                      bpf_map__fd(s->maps.targets), 0);
    if (k->targets == MAP_FAILED) {
        k->targets = NULL;
        return pmo_err_r(errno, "cannot map %s/targets", k->directory);
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
 * both of them may see in between, they handle once). What is off stays so, and what is not needed
 * is off from here on where it cannot be attached. */
int pmo_kernel_attach(struct pmo_kernel *k, struct bpf_program *program)
{
    enum bpf_prog_type type = bpf_program__type(program);
    const char *name = bpf_program__name(program);
    struct bpf_link *link;
    char path[256];
    int r;

    if (!bpf_program__autoload(program))
        return 0;
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
    if (r && pmo_program_needed(name))
        return pmo_err_r(r, "cannot attach the BPF program %s", name);
    if (r)
        pmo_program_off(name, strerror(-r));
    return 0;
}

/* A shard of the counters for each CPU, up to a limit, and one for all. */
static int shards_choose(struct pmo_kernel *k)
{
    struct pmo_bpf *s = k->skeleton;
    uint32_t cpus = libbpf_num_possible_cpus();
    uint32_t shards = cpus + 1 < PMO_SHARDS_MAX ? cpus + 1 : PMO_SHARDS_MAX;
    int r = bpf_map__set_max_entries(s->maps.counters, shards * PMO_COUNTERS_MAX);

    s->rodata->shards = shards;
    s->rodata->exclusive = cpus < shards;
    return r ? r : bpf_map__set_max_entries(s->maps.instance_counters, shards * PMO_INSTANCES_MAX);
}

/* What the programs that see packets go on with for those of calls: an earlier agent's do, too,
 * from here on. */
static int call_programs_set(struct pmo_kernel *k)
{
    const struct pmo_bpf *s = k->skeleton;
    int request = bpf_program__fd(s->progs.call_request), zero = 0;
    int response = bpf_program__fd(s->progs.call_response);

    if (bpf_map_update_elem(bpf_map__fd(s->maps.call_request_program), &zero, &request, BPF_ANY) ||
        bpf_map_update_elem(bpf_map__fd(s->maps.call_response_program), &zero, &response, BPF_ANY))
        return pmo_err_r(errno, "cannot use the BPF programs for calls");
    return 0;
}

/* The coarse clocks go from tick to tick. */
static uint32_t tick_us(void)
{
    struct timespec tick;

    (void)clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    return (uint32_t)(tick.tv_nsec / 1000);
}

/* Whether the kernel was moved to a random place when it was loaded, and its maps of memory with it
 * (Documentation/arch/x86/boot.rst in its sources: KASLR_FLAG of loadflags); true if not known. */
static bool kernel_moved(void)
{
    _cleanup_close_ int fd = open("/sys/kernel/boot_params/data", O_RDONLY | O_CLOEXEC);
    uint8_t flags;

    return fd < 0 || pread(fd, &flags, 1, 0x211) != 1 || flags & 2;
}

/* What bpf/direct.h needs to know of the kernel's memory. */
static void memory_find(struct pmo_bpf *s)
{
    static struct pmo_symbol symbols[] = {{.name = "page_offset_base"}, {.name = "vmemmap_base"}};
    static bool looked, fixed;

    if (!looked) {
        pmo_symbols_find(symbols, 2);
        fixed = !kernel_moved();
    }
    looked = true;
    s->rodata->page_offset_base_at =
        pmo_kernel_page_offset_at ? pmo_kernel_page_offset_at : symbols[0].address;
    s->rodata->vmemmap_base_at = symbols[1].address;
    s->rodata->memory_known = fixed || (symbols[0].address && symbols[1].address);
}

/* The dearest programs to verify are those that nobody may need. */
static void leave_out(struct pmo_bpf *s, const struct pmo_kernel_extras *extras)
{
    struct bpf_program *const calls[] = {s->progs.call_request, s->progs.call_response};
    struct bpf_program *const tls[] = {s->progs.tls_enter, s->progs.tls_bytes, s->progs.tls_free,
                                       s->progs.tls_linger};

    for (size_t i = 0; !(extras && extras->calls) && i < sizeof(calls) / sizeof(*calls); i++)
        (void)bpf_program__set_autoload(calls[i], false);
    for (size_t i = 0; !(extras && extras->tls) && i < sizeof(tls) / sizeof(*tls); i++)
        (void)bpf_program__set_autoload(tls[i], false);
}

/* Loads the programs, but for those that @host could not load. */
static int skeleton_load(struct pmo_kernel *k, const struct pmo_kernel_extras *extras,
                         const struct pmo_host *host)
{
    struct bpf_program *program;
    int r;

    pmo_bpf__destroy(k->skeleton);
    k->skeleton = pmo_bpf__open();
    if (!k->skeleton)
        return -errno;
    for (size_t i = 0; i < host->programs_count; i++) {
        program = bpf_object__find_program_by_name(k->skeleton->obj, host->programs[i].name);
        if (host->programs[i].error && program)
            (void)bpf_program__set_autoload(program, false);
    }
    k->skeleton->rodata->wall_offset_ns =
        k->adopted ? k->adopted_wall_offset_ns
                   : clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
    k->skeleton->rodata->tick_us = tick_us();
    memory_find(k->skeleton);
    k->skeleton->rodata->calls = extras && extras->calls;
    k->skeleton->rodata->headers_named = extras && extras->headers;
    k->skeleton->rodata->zones_seed = extras ? extras->zones : 0;
    for (size_t i = 0; i < 2; i++)
        k->skeleton->rodata->header_key[i] = k->header_key[i];
    leave_out(k->skeleton, extras);
    r = maps_set_pins(k);
    if (!r)
        r = bpf_map__set_max_entries(k->skeleton->maps.windows, pmo_kernel_ring_bytes);
    if (!r)
        r = shards_choose(k);
    return r ? r : pmo_bpf__load(k->skeleton);
}

static int load_failed(const struct pmo_kernel *k, int r)
{
    if (r == -EPERM) /* -EACCES is the verifier's */
        return pmo_fail(EPERM, "not allowed to load BPF programs: run as root, or with the "
                               "capabilities BPF, NET_ADMIN, PERFMON and SYS_ADMIN");
    if (r == -EINVAL && k->adopted)
        return pmo_fail(EPROTO,
                        "the maps in %s do not fit this agent: run the agent that made "
                        "them, or discard them and their counts with `pmo-agent "
                        "--discard`",
                        k->directory);
    return pmo_err_r(r, "cannot load the BPF programs (`pmo-agent --verbose` shows why)");
}

/* Loads what this kernel takes, after all of it failed with @r. */
static int load_what_can_be(struct pmo_kernel *k, const struct pmo_kernel_extras *extras, int r)
{
    _cleanup_free_ struct pmo_host *host = calloc(1, sizeof(*host));
    bool refused = false;

    if (!host)
        return load_failed(k, r);
    host->btf = true;
    pmo_host_programs_probe(host);
    for (size_t i = 0; i < host->programs_count; i++) {
        const struct pmo_host_program *p = &host->programs[i];

        refused |= p->error;
        if (p->error && pmo_program_needed(p->name))
            return pmo_fail(ENOTSUP,
                            "this kernel refuses the BPF program %s (%s): `pmoctl doctor` says "
                            "what to do",
                            p->name, p->reason[0] ? p->reason : strerror(-p->error));
    }
    if (refused)
        r = skeleton_load(k, extras, host);
    if (r)
        return load_failed(k, r);
    for (size_t i = 0; i < host->programs_count; i++) {
        const struct pmo_host_program *p = &host->programs[i];

        if (p->error)
            pmo_program_off(p->name, p->reason[0] ? p->reason : strerror(-p->error));
    }
    return 0;
}

static int load(struct pmo_kernel *k, const struct pmo_kernel_extras *extras)
{
    static const struct pmo_host all;
    int r;

    if (access("/sys/kernel/btf/vmlinux", R_OK))
        return pmo_fail(ENOTSUP, "this kernel has no type information (/sys/kernel/btf/vmlinux): "
                                 "run one that is built with CONFIG_DEBUG_INFO_BTF=y");
    (void)libbpf_set_print(print_libbpf);
    r = skeleton_load(k, extras, &all);
    if (r)
        r = r == -EPERM ? load_failed(k, r) : load_what_can_be(k, extras, r);
    if (r)
        return r;
    r = maps_map(k);
    if (!r && k->skeleton->rodata->calls)
        r = call_programs_set(k);
    if (!r && !k->adopted) {
        k->control->wall_offset_ns = k->skeleton->rodata->wall_offset_ns;
        r = maps_begin(k);
    }
    return r;
}

int pmo_kernel_open(struct pmo_kernel **kernel, const char *bpffs,
                    const struct pmo_kernel_extras *extras, const struct pmo_kernel_events *events)
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
    memcpy(k->header_key, control.header_key, sizeof(k->header_key));
    if (!k->adopted && getrandom(k->header_key, sizeof(k->header_key), 0) < 0) {
        r = pmo_err_r(errno, "cannot draw a key for digests of headers");
        goto failed;
    }
    r = k->cgroup_fd = cgroup_root_open();
    if (r < 0)
        goto failed;
    r = load(k, extras);
    if (!r)
        r = pmo_kernel_attach(k, k->skeleton->progs.listener_state);
    if (!r)
        r = pmo_kernel_attach(k, k->skeleton->progs.process_exit);
    if (r)
        goto failed;
    *kernel = k;
    return 0;

failed:
    pmo_kernel_close(&k, k->adopted || r == -EPROTO || r == -EBUSY);
    return r;
}

/* Runs the iterator over this namespace's TCP sockets: reading it to its end is running it. */
static void connections_join(struct pmo_kernel *k)
{
    struct bpf_program *program = k->skeleton->progs.connections_join;
    _cleanup_close_ int fd = -1;
    struct bpf_link *link;
    char buffer[64];

    if (!bpf_program__autoload(program))
        return;
    link = bpf_program__attach_iter(program, NULL);
    if (link)
        fd = bpf_iter_create(bpf_link__fd(link));
    if (fd < 0)
        pmo_program_off(bpf_program__name(program), strerror(errno));
    while (fd >= 0 && read(fd, buffer, sizeof(buffer)) > 0)
        ;
    (void)bpf_link__destroy(link);
}

int pmo_kernel_start(struct pmo_kernel *k)
{
    LIBBPF_OPTS(bpf_test_run_opts, run);
    struct pmo_bpf *s = k->skeleton;
    struct bpf_program *const traffic[] = {
        s->progs.data_read,       s->progs.request_ingress,        s->progs.response_egress,
        s->progs.service_connect, s->progs.connection_established, s->progs.segment_sent_again,
        s->progs.reset_sent,      s->progs.reset_received,
    };
    int r;

    for (size_t i = 0; i < sizeof(traffic) / sizeof(*traffic); i++) {
        r = pmo_kernel_attach(k, traffic[i]);
        if (r)
            return r;
    }
    connections_join(k);
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
    if (k->accepting_ports)
        (void)munmap(k->accepting_ports, PORTS_BYTES);
    if (k->scopes)
        (void)munmap(k->scopes, SCOPES_BYTES);
    if (k->headers_wanted)
        (void)munmap(k->headers_wanted, SCOPES_BYTES);
    if (k->peers)
        (void)munmap(k->peers, PEERS_BYTES);
    if (k->targets)
        (void)munmap(k->targets, PMO_TARGETS_BYTES);
    free(k->zones);
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
    case PMO_RECORD_SIGNALS:
        k->events.signals(k->events.context, record);
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

void pmo_kernel_datagrams_expire(struct pmo_kernel *k)
{
    LIBBPF_OPTS(bpf_test_run_opts, run);
    int program = bpf_program__fd(k->skeleton->progs.datagrams_expire);

    if (program >= 0)
        (void)bpf_prog_test_run_opts(program, &run);
}

void pmo_kernel_wait_mask(struct pmo_kernel *k, uint32_t mask)
{
    __atomic_store_n(&k->control->wait_mask, mask, __ATOMIC_RELAXED);
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
