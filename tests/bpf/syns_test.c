/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What asks for a connection, on real interfaces: a client writes frames of its own making to one
 * end of a veth pair, whose other end is in another network namespace, where the programs count.
 * Both namespaces go with this process.
 */
#include "tests/unit/suite.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/core.h"
#include "bpf/packet.h"
#include "tests/bpf/world.h"

#define PORT        8080
#define FAKE        77 /* an instance that is only a row */
#define FRAME_BYTES 9000

static struct world w;
static int home = -1, client = -1, node = -1; /* namespaces */
static int wire_fd = -1;                      /* packet socket of the client */

__attribute__((format(printf, 1, 2))) static int run(const char *format, ...)
{
    char command[1024];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    return system(command); // NOLINT(cert-env33-c): fixed commands of this test
}

static void end(void)
{
    int *const descriptors[] = {&wire_fd, &client, &node, &home};

    if (home >= 0)
        (void)setns(home, CLONE_NEWNET);
    for (size_t i = 0; i < 4; i++) {
        if (*descriptors[i] >= 0)
            (void)close(*descriptors[i]);
        *descriptors[i] = -1;
    }
    world_close(&w, false);
}

static int namespace_new(void)
{
    if (unshare(CLONE_NEWNET))
        return -1;
    return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* A veth pair: `in` here, in the node's namespace, and `out` in the client's, which writes to it.
 */
static bool pair_make(const char *in)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};

    if (run("ip link add %s mtu 9000 type veth peer name out mtu 9000 netns /proc/%d/fd/%d", in,
            getpid(), client) ||
        run("ip addr add 198.18.7.1/24 dev %s && ip addr add 2001:2:7::1/64 dev %s nodad && "
            "ip link set %s up",
            in, in, in) ||
        setns(client, CLONE_NEWNET) ||
        run("ip addr add 198.18.7.2/24 dev out && ip link set out up"))
        return false;
    if (wire_fd >= 0)
        (void)close(wire_fd);
    wire_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    to.sll_ifindex = (int)if_nametoindex("out");
    return wire_fd >= 0 && !bind(wire_fd, (struct sockaddr *)&to, sizeof(to)) &&
           !setns(node, CLONE_NEWNET);
}

static bool begin(uint64_t zones)
{
    end(); /* a test that failed left it */
    home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    client = namespace_new();
    node = namespace_new();
    memset(&w.extras, 0, sizeof(w.extras));
    w.extras.zones = zones;
    if (home < 0 || client < 0 || node < 0 || !pair_make("in") || setns(home, CLONE_NEWNET) ||
        !world_open(&w) || setns(node, CLONE_NEWNET))
        return false;
    __atomic_store_n((uint32_t *)&pmo_kernel_control(w.kernel)->instances_used, FAKE + 1,
                     __ATOMIC_RELAXED);
    return true;
}

/* ---- frames --------------------------------------------------------------------------------- */

struct frame {
    uint8_t bytes[FRAME_BYTES];
    size_t length;
};

static void put(struct frame *f, const void *bytes, size_t length)
{
    if (bytes)
        memcpy(f->bytes + f->length, bytes, length);
    f->length += length;
}

/* Its tags, each as 0x81000001; the last is 0. */
static void ethernet(struct frame *f, const uint32_t *tags, uint16_t type)
{
    memset(f, 0, sizeof(*f));
    memset(f->bytes, 0xff, 6); /* to anyone */
    f->length = 12;
    for (; tags && *tags; tags++)
        put(f, &(uint32_t){htonl(*tags)}, 4);
    put(f, &(uint16_t){htons(type)}, 2);
}

static void ipv4(struct frame *f, uint8_t protocol, size_t payload, uint32_t from,
                 uint16_t fragment)
{
    uint8_t ip[20] = {0x45, 0, (uint8_t)((payload + 20) >> 8), (uint8_t)(payload + 20)};

    memcpy(ip + 6, &(uint16_t){htons(fragment)}, 2);
    ip[8] = 64;
    ip[9] = protocol;
    memcpy(ip + 12, &(uint32_t){htonl(from)}, 4);
    memcpy(ip + 16, &(uint32_t){htonl(0xc6120701)}, 4);
    put(f, ip, sizeof(ip));
}

/* Behind it @extensions of eight bytes each: their numbers, ended by that of the transport. */
static void ipv6(struct frame *f, const uint8_t *extensions, size_t count, size_t payload)
{
    uint8_t ip[40] = {0x60, [6] = extensions[0], 64, 0x20, 0x01, 0, 2};

    payload += 8 * count;
    ip[4] = (uint8_t)(payload >> 8);
    ip[5] = (uint8_t)payload;
    ip[23] = 9;
    memcpy(ip + 24, (const uint8_t[16]){0x20, 0x01, 0, 2, 0, 7, [15] = 1}, 16);
    put(f, ip, sizeof(ip));
    for (size_t i = 0; i < count; i++)
        put(f, (const uint8_t[8]){extensions[i + 1]}, 8);
}

static void tcp(struct frame *f, uint16_t port, uint8_t flags)
{
    uint8_t tcp[20] = {1, 1, (uint8_t)(port >> 8), (uint8_t)port, [12] = 5 << 4, [13] = flags};

    put(f, tcp, sizeof(tcp));
}

/* @first: of what it carries, as QUIC version @version. */
static void udp(struct frame *f, size_t payload, uint8_t first, uint32_t version)
{
    uint8_t udp[14] = {1, 1, PORT >> 8, PORT & 255, (uint8_t)((payload + 8) >> 8)};

    udp[5] = (uint8_t)(payload + 8);
    udp[8] = first;
    memcpy(udp + 9, &(uint32_t){htonl(version)}, 4);
    udp[13] = 8;
    put(f, udp, payload + 8 < sizeof(udp) ? payload + 8 : sizeof(udp));
    if (payload + 8 > sizeof(udp))
        put(f, NULL, payload + 8 - sizeof(udp));
}

static void send_frame(const struct frame *f)
{
    CU_ASSERT_EQUAL(write(wire_fd, f->bytes, f->length), (ssize_t)f->length);
}

#define CLIENT 0xc6120702 /* 198.18.7.2 */

static void syn_from(uint32_t from)
{
    struct frame f;

    ethernet(&f, NULL, ETH_P_IP);
    ipv4(&f, IPPROTO_TCP, 20, from, 0);
    tcp(&f, PORT, 0x02);
    send_frame(&f);
}

/* What is counted: 6 SYNs, 5 datagrams, 3 of them Initials. */
static void send_all_kinds(void)
{
    static const uint32_t tag[] = {0x81000001, 0}, tags[] = {0x88a80002, 0x81000001, 0};
    static const uint32_t many[] = {0x88a80002, 0x81000001, 0x81000001, 0x81000001, 0};
    static const uint8_t plain[] = {IPPROTO_TCP};
    static const uint8_t headers[] = {IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING,
                                      IPPROTO_FRAGMENT, IPPROTO_TCP};
    const uint32_t *const nested[] = {NULL, tag, tags, many};
    struct frame f;

    for (size_t i = 0; i < 4; i++) { /* the last one has too many tags */
        ethernet(&f, nested[i], ETH_P_IP);
        ipv4(&f, IPPROTO_TCP, 20, CLIENT, 0);
        tcp(&f, PORT, 0x02);
        send_frame(&f);
    }
    ethernet(&f, NULL, ETH_P_IPV6);
    ipv6(&f, plain, 0, 20);
    tcp(&f, PORT, 0x02);
    send_frame(&f);
    ethernet(&f, tags, ETH_P_IPV6);
    ipv6(&f, headers, 4, 20);
    tcp(&f, PORT, 0x02);
    send_frame(&f);
    ethernet(&f, NULL, ETH_P_IP);
    ipv4(&f, IPPROTO_TCP, 20, CLIENT, 0);
    tcp(&f, PORT, 0xc2); /* with ECN */
    send_frame(&f);

    for (uint8_t flags = 0; flags < 0x20; flags++) { /* no SYN, or not that alone */
        ethernet(&f, NULL, ETH_P_IP);
        ipv4(&f, IPPROTO_TCP, 20, CLIENT, 0);
        tcp(&f, PORT, flags == 0x02 || flags == 0x0a ? 0x12 : flags);
        send_frame(&f);
    }
    for (size_t cut = 1; cut < 40; cut++) { /* truncated */
        ethernet(&f, NULL, ETH_P_IP);
        ipv4(&f, IPPROTO_TCP, 20, CLIENT, 0);
        tcp(&f, PORT, 0x02);
        f.length -= cut;
        send_frame(&f);
    }
    ethernet(&f, NULL, ETH_P_IP);
    ipv4(&f, IPPROTO_TCP, 20, CLIENT, 0);
    tcp(&f, PORT + 1, 0x02); /* to nobody */
    send_frame(&f);
    ethernet(&f, NULL, ETH_P_IP);
    ipv4(&f, IPPROTO_TCP, 20, CLIENT, 0x0010); /* not the first fragment */
    tcp(&f, PORT, 0x02);
    send_frame(&f);

    for (int i = 0; i < 5;
         i++) { /* an Initial, of version 2, jumbo; one that is short, another type */
        size_t payload = i == 2 ? 8900 : i == 3 ? 1199 : 1200;

        ethernet(&f, NULL, ETH_P_IP);
        ipv4(&f, IPPROTO_UDP, payload + 8, CLIENT, 0);
        udp(&f, payload, i == 1 ? 0xd0 : i == 4 ? 0xe0 : 0xc0, i == 1 ? 0x6b3343cf : 1);
        send_frame(&f);
    }
    ethernet(&f, NULL, ETH_P_IP);
    ipv4(&f, IPPROTO_UDP, 1208, CLIENT, 0);
    udp(&f, 1300, 0xc0, 1); /* longer than its packet */
    send_frame(&f);
}

static const struct pmo_kernel_target fakes[] = {
    {{.addr = {[10] = 0xff, 0xff, 198, 18, 7, 1}, .port = PORT}, FAKE},
    {{.addr = {0x20, 0x01, 0, 2, 0, 7, [15] = 1}, .port = PORT}, FAKE},
};

static void expect_all_kinds(void)
{
    world_settle(&w);
    CU_ASSERT_EQUAL(w.instances[FAKE].syns, 6);
    CU_ASSERT_EQUAL(w.instances[FAKE].datagrams, 5);
    CU_ASSERT_EQUAL(w.instances[FAKE].initials, 3);
    CU_ASSERT_EQUAL(w.instances[FAKE].arrivals, 0);
    memset(&w.instances[FAKE], 0, sizeof(w.instances[FAKE]));
}

/* A program that passes all, on the interface. Returns its link. */
static int hold_xdp(void)
{
    static const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = BPF_F_XDP_HAS_FRAGS);
    _cleanup_close_ int program =
        bpf_prog_load(BPF_PROG_TYPE_XDP, "holder", "GPL", pass, 2, &options);

    return bpf_link_create(program, (int)if_nametoindex("in"), BPF_XDP, NULL);
}

static void frames_are_counted_for_what_they_ask(void)
{
    CU_ASSERT_FATAL(begin(0));
    CU_ASSERT_EQUAL(pmo_kernel_node_targets(w.kernel, fakes, 2), 0);
    for (int held = 0; held < 2; held++) {
        int holder = held ? hold_xdp() : -1;

        CU_ASSERT_FATAL(!held || holder >= 0);
        CU_ASSERT_EQUAL(pmo_kernel_node_interface(w.kernel, "in"), 0);
        send_all_kinds();
        expect_all_kinds();
        pmo_kernel_node_interface_end(w.kernel, "in");
        if (holder >= 0)
            (void)close(holder);
    }
    end();
}

/* What a command prints. */
static const char *printed(const char *command)
{
    static char text[4096];
    FILE *out = popen(command, "re"); // NOLINT(cert-env33-c): fixed commands of this test
    size_t length = out ? fread(text, 1, sizeof(text) - 1, out) : 0;

    text[length] = '\0';
    if (out)
        (void)pclose(out);
    return text;
}

static size_t filters(void)
{
    size_t count = 0;

    for (const char *at = printed("tc filter show dev in ingress");
         (at = strstr(at, "handle 0x504d4f")); at++)
        count++;
    return count;
}

static bool has_clsact(void)
{
    return strstr(printed("tc qdisc show dev in"), "clsact");
}

/* On the way out, of a program that lets all pass. */
static void others_filter_add(void)
{
    static const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -1},
        {.code = BPF_JMP | BPF_EXIT},
    };
    _cleanup_close_ int program =
        bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "other", "GPL", pass, 2, NULL);
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex("in"),
                .attach_point = BPF_TC_EGRESS);
    LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = program);

    CU_ASSERT_EQUAL(bpf_tc_attach(&hook, &filter), 0);
}

/* Another XDP program has the interface, and there is no tcx, as before 6.6. */
static void a_filter_is_one_over_an_agent_restart_and_gone_at_the_end(void)
{
    int holder;

    CU_ASSERT_FATAL(begin(0));
    CU_ASSERT_EQUAL(pmo_kernel_node_targets(w.kernel, fakes, 2), 0);
    holder = hold_xdp();
    CU_ASSERT_FATAL(holder >= 0);
    pmo_kernel_without_tcx = true;
    CU_ASSERT_EQUAL(pmo_kernel_node_interface(w.kernel, "in"), 0);
    send_all_kinds();
    expect_all_kinds();
    CU_ASSERT_EQUAL(filters(), 1);
    world_close(&w, true);
    (void)close(holder); /* what is there goes on, though XDP would do by now */
    CU_ASSERT_FATAL(world_reopen(&w));
    CU_ASSERT_EQUAL(pmo_kernel_node_interface(w.kernel, "in"), 0);
    CU_ASSERT_EQUAL(filters(), 1);
    send_all_kinds();
    expect_all_kinds();
    others_filter_add();
    pmo_kernel_node_interface_end(w.kernel, "in");
    CU_ASSERT_EQUAL(filters(), 0);
    CU_ASSERT_TRUE(has_clsact()); /* somebody else has a filter there */
    CU_ASSERT_EQUAL(run("tc qdisc del dev in clsact"), 0);
    holder = hold_xdp();
    CU_ASSERT_EQUAL(pmo_kernel_node_interface(w.kernel, "in"), 0);
    CU_ASSERT_EQUAL(filters(), 1);
    world_close(&w, false);
    CU_ASSERT_FALSE(has_clsact());
    pmo_kernel_without_tcx = false;
    (void)close(holder);
    end();
}

struct find {
    uint64_t netns;
    uint32_t id;
};

static void match(void *context, const struct pmo_listener *listener,
                  const struct pmo_instance *instance)
{
    struct find *find = context;

    if (listener->netns == find->netns && listener->port == PORT)
        find->id = instance->id;
}

/* A server in the node's namespace; its instance, and the namespace's cookie. */
static int server_open(struct find *find)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof(find->netns);

    find->id = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &find->netns, &size) ||
        bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 64))
        return -1;
    pmo_kernel_instances(w.kernel, match, find);
    return fd;
}

/* From the client's namespace; asks for something if @request. */
static void connect_once(int server, bool request)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int from, accepted;
    char byte;

    to.sin_addr.s_addr = htonl(0xc6120701);
    CU_ASSERT_EQUAL(setns(client, CLONE_NEWNET), 0);
    from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL(setns(node, CLONE_NEWNET), 0);
    CU_ASSERT_EQUAL(connect(from, (struct sockaddr *)&to, sizeof(to)), 0);
    accepted = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    if (request) {
        CU_ASSERT_EQUAL(write(from, text, strlen(text)), (ssize_t)strlen(text));
        CU_ASSERT_EQUAL(read(accepted, &byte, 1), 1);
    }
    (void)close(from);
    (void)close(accepted);
}

static struct pmo_kernel_zone zone(uint32_t bits, uint32_t address, uint8_t number)
{
    struct pmo_kernel_zone z = {{96 + bits, {[10] = 0xff, 0xff}}, number};

    memcpy(z.prefix.addr + 12, &(uint32_t){htonl(address)}, 4);
    return z;
}

/* Clients whose addresses nobody has ask for connections that they never use: 10.99/16 and
 * 198.19/16, the latter in a zone of its own. */
static void a_flood_of_syns_is_no_demand_and_has_zones(void)
{
    struct pmo_kernel_zone zones[] = {zone(15, 0xc6120000, 1), zone(16, 0xc6130000, 200)};
    struct pmo_kernel_target target = {.address = fakes[0].address};
    const struct pmo_instance_counts *counts;
    struct find found;
    int server;

    CU_ASSERT_FATAL(begin(1));
    CU_ASSERT_EQUAL(pmo_kernel_zones(w.kernel, zones, 2), 0);
    server = server_open(&found);
    CU_ASSERT_FATAL(server >= 0 && found.id);
    target.instance = found.id;
    counts = &w.instances[found.id];
    CU_ASSERT_EQUAL(pmo_kernel_node_targets(w.kernel, &target, 1), 0);
    CU_ASSERT_EQUAL(pmo_kernel_node_interface(w.kernel, "in"), 0);
    for (uint32_t i = 0; i < 3000; i++)
        syn_from((i % 3 ? 0x0a630000 : 0xc6130000) + i);
    world_settle(&w);
    CU_ASSERT_EQUAL(counts->syns, 3000);
    CU_ASSERT_EQUAL(counts->connections, 0);
    CU_ASSERT_EQUAL(counts->arrivals, 0);
    CU_ASSERT_EQUAL(world_requests(&w, (int)found.id, -1, -1, NULL), 0);
    CU_ASSERT_EQUAL(world_zone(&w, found.id, PMO_PROTOCOL_SYNS, 200), 1000);
    CU_ASSERT_EQUAL(world_zone(&w, found.id, PMO_PROTOCOL_SYNS, 1), 0);
    end();
    (void)close(server);
}

static void zones_are_those_of_the_newest_agent(void)
{
    struct pmo_kernel_zone first[] = {zone(15, 0xc6120000, 1)},
                           second[] = {zone(24, 0xc6120700, 2)};
    struct pmo_kernel_target target = {.address = fakes[0].address};
    struct find found;
    int server;

    CU_ASSERT_FATAL(begin(1));
    CU_ASSERT_EQUAL(pmo_kernel_zones(w.kernel, first, 1), 0);
    server = server_open(&found);
    CU_ASSERT_FATAL(server >= 0 && found.id);
    target.instance = found.id;
    CU_ASSERT_EQUAL(pmo_kernel_node_targets(w.kernel, &target, 1), 0);
    CU_ASSERT_EQUAL(pmo_kernel_node_interface(w.kernel, "in"), 0);
    connect_once(server, true);
    world_close(&w, true);
    connect_once(server, true); /* nobody is there, and the zones are the first agent's */
    w.extras.zones = 2;
    CU_ASSERT_FATAL(world_reopen(&w));
    CU_ASSERT_EQUAL(pmo_kernel_zones(w.kernel, second, 1), 0);
    CU_ASSERT_EQUAL(pmo_kernel_node_targets(w.kernel, &target, 1), 0);
    CU_ASSERT_EQUAL(pmo_kernel_node_interface(w.kernel, "in"), 0);
    connect_once(server, false);
    world_settle(&w);
    CU_ASSERT_EQUAL(w.instances[found.id].syns, 3);
    CU_ASSERT_EQUAL(w.instances[found.id].connections, 3);
    CU_ASSERT_EQUAL(w.instances[found.id].arrivals, 2);
    CU_ASSERT_EQUAL(world_zone(&w, found.id, PMO_PROTOCOL_SYNS, 1), 2);
    CU_ASSERT_EQUAL(world_zone(&w, found.id, PMO_PROTOCOL_CONNECTIONS, 1), 2);
    CU_ASSERT_EQUAL(world_zone(&w, found.id, PMO_PROTOCOL_SYNS, 2), 1);
    CU_ASSERT_EQUAL(world_zone(&w, found.id, PMO_PROTOCOL_CONNECTIONS, 2), 1);
    pmo_kernel_node_interfaces_only(w.kernel, NULL, 0); /* the next agent is to watch none */
    syn_from(0xc6130001);
    world_settle(&w);
    CU_ASSERT_EQUAL(w.instances[found.id].syns, 3);
    (void)close(server);
    end();
}

/* Of a database, and of a node that is known only later: by then its address has been seen. */
static void zones_that_change_are_those_of_sources_seen_before(void)
{
    static const char text[] = "kubernetes: {server: \"https://127.0.0.1:1\"}\n"
                               "maxmind: {database: tests/unit/data/zones.mmdb, "
                               "by: [country, iso_code]}";
    struct pmo_node_network network = {"198.19.65.0/24", "rack"};
    struct pmo_nodes nodes = {&network, 1, 1};
    struct pmo_zones *zones = NULL;
    struct pmo_file *file = NULL;
    const struct pmo_kernel_zone *prefixes;
    uint64_t seen[PMO_ZONES_MAX] = {0};
    size_t count;

    CU_ASSERT_EQUAL_FATAL(pmo_file_parse(&file, "zones", text, strlen(text), NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_zones_read(&zones, file), 0);
    pmo_file_free(&file);
    CU_ASSERT_FATAL(begin(1));
    CU_ASSERT_EQUAL(pmo_kernel_node_targets(w.kernel, fakes, 2), 0);
    CU_ASSERT_EQUAL(pmo_kernel_node_interface(w.kernel, "in"), 0);
    for (int i = 0; i < 3; i++) { /* without nodes, with one, without */
        nodes.count = i == 1;
        CU_ASSERT_EQUAL(pmo_zones_set_nodes(zones, &nodes), 0);
        prefixes = pmo_zones_prefixes(zones, &count);
        CU_ASSERT_EQUAL(pmo_kernel_zones(w.kernel, prefixes, count), 0);
        for (int k = 0; k < 1 << i; k++)
            syn_from(0xc6134101); /* 198.19.65.1 */
        syn_from(0xc6120101);
        syn_from(0x0a000001);
        (void)usleep(50000);
    }
    world_settle(&w);
    CU_ASSERT_EQUAL(w.instances[FAKE].syns, 1 + 2 + 4 + 6);
    for (unsigned int zone = 1; zone < PMO_ZONES_MAX; zone++)
        seen[zone] = world_zone(&w, FAKE, PMO_PROTOCOL_SYNS, (uint8_t)zone);
    for (unsigned int zone = 1; zone < PMO_ZONES_MAX; zone++) {
        const char *name = pmo_zones_name(zones, (uint8_t)zone);

        CU_ASSERT_EQUAL(seen[zone], !strcmp(name, "DE")     ? 5
                                    : !strcmp(name, "NL")   ? 3
                                    : !strcmp(name, "rack") ? 2
                                                            : 0);
    }
    pmo_zones_free(&zones);
    end();
}

static void on_interface(void *context, int ifindex, const char *name, bool present)
{
    pmo_node_interface(context, ifindex, name, present);
}

/* Lets the loop handle what the kernel has queued, and then sends. */
static void send_syns(uv_loop_t *loop, int count)
{
    for (int i = 0; i < 20; i++)
        (void)uv_run(loop, UV_RUN_NOWAIT);
    while (count-- > 0)
        syn_from(CLIENT);
    (void)usleep(50000); /* the other end takes them in a softirq, which may be late */
}

/* The agent's own part, with one listener on any address of the node; by a name as VLANs have. */
static void interfaces_of_the_node_are_followed(void)
{
    static struct pmo_core core;
    struct pmo_options options = {.interfaces = {"in.7"}, .interfaces_count = 1};
    struct pmo_agent_instance instance = {.id = FAKE, .listener = {.port = PORT}};
    uv_loop_t loop;

    CU_ASSERT_FATAL(begin(0));
    CU_ASSERT_EQUAL(run("ip link set in down && ip link set in name in.7 && ip link set in.7 up"),
                    0);
    CU_ASSERT_EQUAL(uv_loop_init(&loop), 0);
    memset(&core, 0, sizeof(core));
    core.kernel = w.kernel;
    core.agent.instances = &instance;
    pmo_node_start(&core, &options);
    CU_ASSERT_EQUAL_FATAL(pmo_interfaces_start(&core.interfaces, &loop, on_interface, &core), 0);
    send_syns(&loop, 1);
    CU_ASSERT_EQUAL(run("ip link set in.7 down && ip link set in.7 name other && "
                        "ip link set other up"),
                    0);
    send_syns(&loop, 10); /* by another name it is not counted on */
    CU_ASSERT_EQUAL(run("ip link del other"), 0);
    CU_ASSERT_FATAL(pair_make("in.7"));
    send_syns(&loop, 100);
    instance.gone = 1;
    pmo_node_targets_follow(&core);
    send_syns(&loop, 1000); /* to nobody */
    world_settle(&w);
    CU_ASSERT_EQUAL(w.instances[FAKE].syns, 101);
    pmo_interfaces_stop(&core.interfaces);
    while (uv_run(&loop, UV_RUN_NOWAIT))
        ;
    CU_ASSERT_EQUAL(uv_loop_close(&loop), 0);
    end();
}

SUITE(syns) = {TEST(frames_are_counted_for_what_they_ask),
               TEST(a_filter_is_one_over_an_agent_restart_and_gone_at_the_end),
               TEST(a_flood_of_syns_is_no_demand_and_has_zones),
               TEST(zones_are_those_of_the_newest_agent),
               TEST(zones_that_change_are_those_of_sources_seen_before),
               TEST(interfaces_of_the_node_are_followed),
               {0}};
