/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/observe/process.h"
#include "pmo.skel.h"

#define BTF_FILE "/sys/kernel/btf/vmlinux"
#define BPFFS    "/sys/fs/bpf"

/* What a program is for, and what is missing without it (NULL: the agent needs it). Its helpers
 * are those that a kernel with ring buffers (5.8) may lack. */
static const struct role {
    const char *program, *what, *without;
    int helpers[4];
} roles[] = {
    {"request_ingress", "requests", NULL, {BPF_FUNC_loop, BPF_FUNC_sk_storage_get}},
    {"response_egress", "responses", NULL, {BPF_FUNC_loop, BPF_FUNC_sk_storage_get}},
    {"connection_established",
     "connections",
     NULL,
     {BPF_FUNC_sk_storage_get, BPF_FUNC_get_netns_cookie}},
    {"listener_state", "listeners", NULL, {0}},
    {"flusher_start", "seconds", NULL, {BPF_FUNC_loop, BPF_FUNC_timer_init}},
    {"process_exit",
     "exits of processes",
     "a dead instance is known dead only when its listener is gone",
     {0}},
    {"connections_join",
     "older connections",
     "connections that are older than the agent are not counted",
     {0}},
    {"datagrams_expire",
     "DNS without an answer",
     "DNS over UDP that gets no answer is not known as aborted",
     {0}},
    {"service_connect",
     "service addresses",
     "connect() to a service address is not led to an instance",
     {BPF_FUNC_loop, BPF_FUNC_set_retval}},
    {"call_request",
     "requests to others",
     "a service's calls cannot be counted (observe: {calls: true})",
     {BPF_FUNC_loop, BPF_FUNC_sk_storage_get}},
    {"call_response",
     "their responses",
     "a service's calls cannot be counted (observe: {calls: true})",
     {BPF_FUNC_loop, BPF_FUNC_sk_storage_get}},
    {"syn_count", "connection attempts", "SYNs are not counted", {0}},
    {"syn_count_tc", "connection attempts at tc", "SYNs are not counted", {0}},
    {"node_count",
     "connection attempts on the node's interfaces",
     "SYNs are not counted (--interface)",
     {0}},
    {"node_count_tc",
     "connection attempts on the node's interfaces at tc",
     "SYNs are not counted (--interface)",
     {0}},
    {"data_read",
     "reads",
     "how long requests wait is not known, and requests inside TLS are not counted",
     {BPF_FUNC_skc_to_tcp_sock}},
    {"segment_sent_again", "retransmits", "they are not counted", {0}},
    {"reset_sent", "resets sent", "they are not counted", {0}},
    {"reset_received", "resets received", "they are not counted", {0}},
    {"tls_enter", "TLS calls", "requests inside TLS are not counted", {BPF_FUNC_get_attach_cookie}},
    {"tls_bytes",
     "TLS bytes",
     "requests inside TLS are not counted",
     {BPF_FUNC_get_attach_cookie, BPF_FUNC_loop}},
    {"tls_linger", "ends of TLS sockets", "requests inside TLS are not counted", {BPF_FUNC_loop}},
    {"tls_free", "ends of TLS", "requests inside TLS are not counted", {0}},
};

static const struct {
    int helper;
    const char *name, *since;
} helpers[] = {
    {BPF_FUNC_sk_storage_get, "bpf_sk_storage_get", "5.2"},
    {BPF_FUNC_skc_to_tcp_sock, "bpf_skc_to_tcp_sock", "5.9"},
    {BPF_FUNC_get_netns_cookie, "bpf_get_netns_cookie", "5.15"},
    {BPF_FUNC_get_attach_cookie, "bpf_get_attach_cookie", "5.15"},
    {BPF_FUNC_timer_init, "bpf_timer_init", "5.15"},
    {BPF_FUNC_loop, "bpf_loop", "5.17"},
    {BPF_FUNC_set_retval, "bpf_set_retval", "5.18"},
};

static const struct role *role_of(const char *program)
{
    for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++)
        if (!strcmp(roles[i].program, program))
            return &roles[i];
    return NULL;
}

bool pmo_program_needed(const char *name)
{
    const struct role *role = role_of(name);

    return !role || !role->without;
}

void pmo_program_off(const char *name, const char *reason)
{
    const struct role *role = role_of(name);

    pmo_warn("%s are off, as this kernel refuses the BPF program %s (%s): %s", role->what, name,
             reason, role->without);
}

/* ---- probing ---------------------------------------------------------------------------------
 */

void pmo_verifier_reason(const char *log, char *reason, size_t size)
{
    /* what follows the reason */
    static const char *const ends[] = {"processed ", "verification time ", "stack depth ",
                                       "-- END"};

    reason[0] = '\0';
    while (*log) {
        size_t length = strcspn(log, "\n");
        bool end = !length;

        for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
            end |= !strncmp(log, ends[i], strlen(ends[i]));
        if (!end)
            (void)snprintf(reason, size, "%.*s", (int)length, log);
        log += length + (log[length] == '\n');
    }
}

/* What libbpf said in the last load: its first complaint, or the verifier's reason; and of which
 * program, "" of none. It has no context for its printer. */
static char complaint[128], complained_of[32];

static int print_complaint(enum libbpf_print_level level, const char *format, va_list args)
{
    _cleanup_free_ char *text = NULL;
    const char *log;

    if (level != LIBBPF_WARN || vasprintf(&text, format, args) < 0)
        return 0;
    log = strstr(text, "prog '");
    if (log)
        (void)sscanf(log, "prog '%31[^']", complained_of);
    log = strstr(text, "BEGIN PROG LOAD LOG");
    if (log) {
        pmo_verifier_reason(log + strcspn(log, "\n"), complaint, sizeof(complaint));
    } else if (!complaint[0]) {
        log = strncmp(text, "libbpf: ", 8) != 0 ? text : text + 8;
        (void)snprintf(complaint, sizeof(complaint), "%.*s", (int)strcspn(log, "\n"), log);
    }
    return 0;
}

/* Attaches what the agent can do without, for a moment. An interface for XDP is known only when an
 * instance is there. */
static int attach(const struct bpf_program *program)
{
    _cleanup_close_ int cgroup = -1;
    struct bpf_link *link;
    int r;

    switch (bpf_program__type(program)) {
    case BPF_PROG_TYPE_TRACING:
        link = bpf_program__attach(program);
        break;
    case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
        cgroup = open(pmo_cgroup_mount(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (cgroup < 0)
            return 0; /* told as such */
        link = bpf_program__attach_cgroup(program, cgroup);
        break;
    default:
        return 0;
    }
    r = link ? 0 : -errno;
    (void)bpf_link__destroy(link);
    return r;
}

/* Loads all programs that have no error yet, with maps of one row each, and attaches those that are
 * not needed. Where that fails, complained_of is the program. */
static int load(const struct pmo_host *host)
{
    struct pmo_bpf *s = pmo_bpf__open();
    struct bpf_program *program;
    struct bpf_map *map;
    int r = 0;

    complaint[0] = complained_of[0] = '\0';
    if (!s)
        return -errno;
    for (size_t i = 0; i < host->programs_count; i++) {
        program = bpf_object__find_program_by_name(s->obj, host->programs[i].name);
        r |= bpf_program__set_autoload(program, !host->programs[i].error);
    }
    bpf_object__for_each_map(map, s->obj)
    {
        if (bpf_map__type(map) == BPF_MAP_TYPE_RINGBUF)
            r |= bpf_map__set_max_entries(map, sysconf(_SC_PAGESIZE));
        else if (bpf_map__max_entries(map) > 1)
            r |= bpf_map__set_max_entries(map, 1);
    }
    if (!r)
        r = bpf_object__load(s->obj);
    bpf_object__for_each_program(program, s->obj)
    {
        const char *name = bpf_program__name(program);

        if (r || !bpf_program__autoload(program) || pmo_program_needed(name))
            continue;
        r = attach(program);
        if (r)
            (void)snprintf(complained_of, sizeof(complained_of), "%s", name);
    }
    pmo_bpf__destroy(s);
    return r;
}

/* A part that the kernel lacks for a program which does not load; false: it has all that can be
 * asked for. */
static bool part_missing(enum bpf_prog_type type, const char *name, char *part, size_t size)
{
    const struct role *role = role_of(name);

    /* libbpf 1.1 does not understand what 6.18 says about tracing, which comes with BTF */
    if (type != BPF_PROG_TYPE_TRACING && libbpf_probe_bpf_prog_type(type, NULL) == 0) {
        (void)snprintf(part, size, "no programs of type %s", libbpf_bpf_prog_type_str(type));
        return true;
    }
    for (size_t i = 0; role && i < 4 && role->helpers[i]; i++) {
        size_t h = 0;

        if (libbpf_probe_bpf_helper(type, role->helpers[i], NULL) != 0)
            continue; /* it has it, or cannot say */
        while (helpers[h].helper != role->helpers[i])
            h++;
        (void)snprintf(part, size, "no %s(), new in %s", helpers[h].name, helpers[h].since);
        return true;
    }
    return false;
}

/* Gives its error to the program that was complained of in the last load, or to all that are left
 * where it is none of them (a map type that is missing fails every program: what is in
 * host->maps_none tells that). false: none are left. */
static bool take_complaint(struct pmo_host *host, const struct pmo_bpf *s, int error)
{
    bool taken = false, one = false;

    for (size_t i = 0; i < host->programs_count; i++)
        one |= !host->programs[i].error && !strcmp(host->programs[i].name, complained_of);

    for (size_t i = 0; i < host->programs_count; i++) {
        struct pmo_host_program *p = &host->programs[i];

        if (p->error || (one && strcmp(p->name, complained_of) != 0))
            continue;
        taken = true;
        p->error = error;
        (void)snprintf(p->reason, sizeof(p->reason), "%s", complaint);
        if (part_missing(bpf_program__type(bpf_object__find_program_by_name(s->obj, p->name)),
                         p->name, p->reason, sizeof(p->reason)))
            p->error = -ENOTSUP;
    }
    return taken;
}

void pmo_host_programs_probe(struct pmo_host *host)
{
    libbpf_print_fn_t printer = libbpf_set_print(print_complaint);
    struct pmo_bpf *s = pmo_bpf__open();
    struct bpf_program *program;
    bool tried = !host->bpf && host->btf;
    int r;

    host->programs_count = 0;
    if (s) {
        bpf_object__for_each_program(program, s->obj)
        {
            struct pmo_host_program *p = &host->programs[host->programs_count];

            if (host->programs_count == PMO_HOST_PROGRAMS)
                break;
            host->programs_count++;
            *p = (struct pmo_host_program){.error = tried ? 0 : -EPERM};
            (void)snprintf(p->name, sizeof(p->name), "%s", bpf_program__name(program));
            (void)snprintf(p->section, sizeof(p->section), "%s",
                           bpf_program__section_name(program));
        }
        /* all at once, and where one of them is refused, the others once more */
        while (tried && (r = load(host)) && take_complaint(host, s, r))
            ;
    }
    pmo_bpf__destroy(s);
    (void)libbpf_set_print(printer);
}

/* Types of the maps that the programs use. */
static void maps_probe(struct pmo_host *host)
{
    struct pmo_bpf *s = pmo_bpf__open();
    struct bpf_map *map;
    uint64_t seen = 0;

    if (!s)
        return;
    bpf_object__for_each_map(map, s->obj)
    {
        enum bpf_map_type type = bpf_map__type(map);
        char *list = host->maps;
        size_t size = sizeof(host->maps), length;

        if (seen & 1ULL << type)
            continue;
        seen |= 1ULL << type;
        if (libbpf_probe_bpf_map_type(type, NULL) == 0) {
            list = host->maps_none;
            size = sizeof(host->maps_none);
        }
        length = strlen(list);
        (void)snprintf(list + length, size - length, "%s%s", length ? " " : "",
                       libbpf_bpf_map_type_str(type));
    }
    pmo_bpf__destroy(s);
}

/* Reads the beginning of a file; "" where it cannot be. */
static void read_text(const char *path, char *text, size_t size)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    size_t length = file ? fread(text, 1, size - 1, file) : 0;

    text[length] = '\0';
}

static uint64_t capabilities_read(const char *status, const char *field)
{
    const char *at = strstr(status, field);
    uint64_t set = 0;

    return at && sscanf(at + strlen(field), "%" SCNx64, &set) == 1 ? set : 0;
}

/* Packet programs need what ours need, and the smallest one tells whether it is granted. */
static int bpf_probe(void)
{
    static const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };
    _cleanup_close_ int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "pmo_probe", "GPL", pass, 2, NULL);

    return fd < 0 ? -errno : 0;
}

/* Makes a uprobe in this program, on a byte that is no instruction. */
static int uprobe_probe(void)
{
    struct perf_event_attr attr = {.size = sizeof(attr), .disabled = 1};
    _cleanup_close_ int fd = -1;
    char text[16];

    read_text("/sys/bus/event_source/devices/uprobe/type", text, sizeof(text));
    if (sscanf(text, "%u", &attr.type) != 1)
        return -ENOTSUP;
    attr.uprobe_path = (uint64_t)(uintptr_t) "/proc/self/exe";
    fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : 0;
}

void pmo_host_probe(struct pmo_host *host)
{
    char text[4096];
    struct utsname name;
    struct statfs fs;
    struct stat status;
    struct rlimit limit;

    memset(host, 0, sizeof(*host));
    /* before libbpf, which lifts it */
    if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY)
        limit.rlim_cur = UINT64_MAX;
    host->locked_bytes = limit.rlim_cur;
    (void)uname(&name);
    (void)snprintf(host->release, sizeof(host->release), "%s", name.release);
    host->uid = geteuid();
    read_text("/proc/self/status", text, sizeof(text));
    host->capabilities = capabilities_read(text, "\nCapEff:");
    host->capabilities_max = capabilities_read(text, "\nCapBnd:");
    host->bpf = bpf_probe();
    host->btf = !access(BTF_FILE, R_OK);
    host->bpffs = !statfs(BPFFS, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
    host->bpffs_place = !stat(BPFFS, &status) && S_ISDIR(status.st_mode);
    (void)snprintf(host->cgroup, sizeof(host->cgroup), "%s", pmo_cgroup_mount());
    read_text("/proc/self/cgroup", text, sizeof(text));
    host->cgroup_v1 = text[0] && strncmp(text, "0::", 3) != 0; /* v2 comes last */
    read_text("/proc/sys/net/core/bpf_jit_enable", text, sizeof(text));
    if (sscanf(text, "%d", &host->jit) != 1)
        host->jit = -1;
    read_text("/sys/kernel/security/lockdown", text, sizeof(text));
    (void)sscanf(text + strcspn(text, "["), "[%23[^]]", host->lockdown);
    host->uprobe = uprobe_probe();
    if (!host->bpf)
        maps_probe(host);
    pmo_host_programs_probe(host);
}

/* ---- judging ---------------------------------------------------------------------------------
 */

static const char newer[] = "run a kernel of 5.19 or newer";

struct judgement {
    struct pmo_feature *features;
    size_t count;
};

/* One more; @state is that of something needed. */
__attribute__((format(printf, 6, 7))) static void add(struct judgement *j, const char *name,
                                                      bool needed, enum pmo_feature_state state,
                                                      const char *advice, const char *found, ...)
{
    struct pmo_feature *f = &j->features[j->count];
    va_list args;

    if (j->count == PMO_FEATURES_MAX)
        return;
    j->count++;
    *f = (struct pmo_feature){.needed = needed, .state = state};
    if (state == PMO_FEATURE_MISSING && !needed)
        f->state = PMO_FEATURE_OFF;
    (void)snprintf(f->name, sizeof(f->name), "%s", name);
    if (state != PMO_FEATURE_OK)
        (void)snprintf(f->advice, sizeof(f->advice), "%s", advice);
    va_start(args, found);
    (void)vsnprintf(f->found, sizeof(f->found), found, args);
    va_end(args);
}

static enum pmo_feature_state missing_unless(bool there)
{
    return there ? PMO_FEATURE_OK : PMO_FEATURE_MISSING;
}

static bool older_than(const char *release, unsigned int major, unsigned int minor)
{
    unsigned int a = 0, b = 0;

    return sscanf(release, "%u.%u", &a, &b) == 2 && (a < major || (a == major && b < minor));
}

/* The capabilities that the agent asks for, of which @set has none. SYS_ADMIN includes two. */
static void capabilities_lacking(uint64_t set, char *text, size_t size)
{
    static const struct {
        int number;
        const char *name;
    } wanted[] = {{CAP_BPF, "BPF"},
                  {CAP_NET_ADMIN, "NET_ADMIN"},
                  {CAP_PERFMON, "PERFMON"},
                  {CAP_SYS_ADMIN, "SYS_ADMIN"}};

    if (set & 1ULL << CAP_SYS_ADMIN)
        set |= 1ULL << CAP_BPF | 1ULL << CAP_PERFMON;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        size_t length = strlen(text);

        if (!(set & 1ULL << wanted[i].number))
            (void)snprintf(text + length, size - length, "%s%s", length ? ", " : "",
                           wanted[i].name);
    }
}

static void judge_privileges(struct judgement *j, const struct pmo_host *host)
{
    static const char name[] = "privileges";
    char lacking[64], never[64];

    capabilities_lacking(host->capabilities, lacking, sizeof(lacking));
    capabilities_lacking(host->capabilities_max, never, sizeof(never));
    if (never[0])
        add(j, name, true, PMO_FEATURE_MISSING,
            "run where root has the capabilities BPF, NET_ADMIN, PERFMON and SYS_ADMIN",
            "not even root has %s here", never);
    else if (host->uid || lacking[0])
        add(j, name, true, PMO_FEATURE_UNKNOWN, "run as root (`sudo pmoctl doctor`)", "user %u%s%s",
            host->uid, lacking[0] ? " without " : "", lacking);
    else
        add(j, name, true, missing_unless(!host->bpf),
            "run outside of a user namespace, and where seccomp lets bpf() pass", "root%s%s",
            host->bpf ? ", who may not load BPF programs: " : "",
            host->bpf ? strerror(-host->bpf) : "");
}

static void judge_kernel(struct judgement *j, const struct pmo_host *host)
{
    add(j, "kernel", false, older_than(host->release, 5, 19) ? PMO_FEATURE_UNKNOWN : PMO_FEATURE_OK,
        newer, "%s", host->release);
    add(j, "type information", true, missing_unless(host->btf),
        "run a kernel that is built with CONFIG_DEBUG_INFO_BTF=y", "%s",
        host->btf ? BTF_FILE : "no " BTF_FILE);
    add(j, "lockdown", host->lockdown[0],
        host->lockdown[0] ? missing_unless(strcmp(host->lockdown, "confidentiality") != 0)
                          : PMO_FEATURE_UNKNOWN,
        host->lockdown[0]
            ? "boot with lockdown=integrity, or none: BPF programs must read the kernel's sockets"
            : "",
        "%s", host->lockdown[0] ? host->lockdown : "no /sys/kernel/security/lockdown");
    /* without it, functions may not be passed to bpf_loop() and timers */
    add(j, "JIT", host->jit == 0,
        host->jit < 0 ? PMO_FEATURE_UNKNOWN : missing_unless(host->jit > 0),
        host->jit < 0 ? "" : "sysctl -w net.core.bpf_jit_enable=1", "%s",
        host->jit < 0    ? "net.core.bpf_jit_enable cannot be read"
        : host->jit == 0 ? "off"
                         : "on");
    /* later ones charge maps to the cgroup instead; libbpf lifts the limit where it may */
    if (older_than(host->release, 5, 11) && host->locked_bytes != UINT64_MAX)
        add(j, "locked memory", true, missing_unless(host->capabilities & 1ULL << CAP_SYS_RESOURCE),
            "ulimit -l unlimited, or LimitMEMLOCK=infinity", "at most %" PRIu64 " bytes",
            host->locked_bytes);
}

static void judge_mounts(struct judgement *j, const struct pmo_host *host)
{
    add(j, "bpf file system", true, missing_unless(host->bpffs || host->bpffs_place),
        "mount one with `mount -t bpf bpf DIR`, and name it with --bpffs", "%s",
        host->bpffs         ? BPFFS
        : host->bpffs_place ? "not mounted: the agent does it"
                            : "no " BPFFS);
    add(j, "cgroup v2", true, missing_unless(host->cgroup[0]),
        "mount it with `mount -t cgroup2 none /sys/fs/cgroup`", "%s%s",
        host->cgroup[0] ? host->cgroup : "not mounted",
        host->cgroup[0] && host->cgroup_v1 ? ", besides v1" : "");
}

static void judge_maps(struct judgement *j, const struct pmo_host *host)
{
    static const char name[] = "maps";

    if (host->bpf)
        add(j, name, true, PMO_FEATURE_UNKNOWN, "", "cannot be tried");
    else if (host->maps_none[0])
        add(j, name, true, PMO_FEATURE_MISSING, newer, "no %s", host->maps_none);
    else
        add(j, name, true, PMO_FEATURE_OK, "", "%s", host->maps);
}

static void judge_program(struct judgement *j, const struct pmo_host_program *p, bool old)
{
    const struct role *role = role_of(p->name);
    const char *what = role ? role->what : p->name, *advice;
    bool needed = pmo_program_needed(p->name);

    if (p->error == -EPERM && !p->reason[0]) {
        add(j, what, needed, PMO_FEATURE_UNKNOWN, "", "%s", p->section);
        return;
    }
    advice = role && role->without         ? role->without
             : old || p->error == -ENOTSUP ? newer
                                           : "run another kernel, and report what is said here";
    add(j, what, needed, missing_unless(!p->error), advice, "%s%s%s", p->section,
        p->error ? ": " : "",
        !p->error      ? ""
        : p->reason[0] ? p->reason
                       : strerror(-p->error));
}

size_t pmo_features_judge(const struct pmo_host *host,
                          struct pmo_feature features[PMO_FEATURES_MAX])
{
    struct judgement j = {.features = features};

    judge_kernel(&j, host);
    judge_privileges(&j, host);
    judge_mounts(&j, host);
    judge_maps(&j, host);
    for (size_t i = 0; i < host->programs_count; i++)
        judge_program(&j, &host->programs[i], older_than(host->release, 5, 19));
    if (host->uprobe == -EPERM || host->uprobe == -EACCES)
        add(&j, "uprobes", false, PMO_FEATURE_UNKNOWN, "", "cannot be tried");
    else
        add(&j, "uprobes", false, missing_unless(!host->uprobe),
            "requests inside TLS cannot be seen", "%s",
            host->uprobe ? strerror(-host->uprobe) : "can be made");
    return j.count;
}

int pmo_features_able(const struct pmo_feature *features, size_t count)
{
    bool unknown = false;

    for (size_t i = 0; i < count; i++) {
        if (features[i].state == PMO_FEATURE_MISSING)
            return 0;
        unknown |= features[i].needed && features[i].state == PMO_FEATURE_UNKNOWN;
    }
    return unknown ? -EPERM : 1;
}
