/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/tls_binary.h"

#include <capstone/capstone.h>
#include <errno.h>
#include <gelf.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <pmo/abi.h>
#include "agent/base/library.h"

/* Functions that are built on others in this list may be in it too: the outermost call counts. */
static const struct function {
    const char *name;
    uint32_t flags; /* 0: of a handshake */
    enum pmo_tls_program program;
} functions[] = {
    /* OpenSSL, BoringSSL */
    {"SSL_read", PMO_TLS_READ | PMO_TLS_INT, PMO_TLS_ENTER},
    {"SSL_write", PMO_TLS_WRITE | PMO_TLS_INT, PMO_TLS_ENTER},
    {"SSL_read_ex", PMO_TLS_READ | PMO_TLS_LENGTH_AT, PMO_TLS_ENTER},
    {"SSL_write_ex", PMO_TLS_WRITE | PMO_TLS_LENGTH_AT, PMO_TLS_ENTER},
    {"SSL_write_ex2", PMO_TLS_WRITE | PMO_TLS_LENGTH_AT | PMO_TLS_FIFTH, PMO_TLS_ENTER},
    {"SSL_read_early_data", PMO_TLS_READ | PMO_TLS_LENGTH_AT, PMO_TLS_ENTER},
    {"SSL_write_early_data", PMO_TLS_WRITE | PMO_TLS_LENGTH_AT, PMO_TLS_ENTER},
    {"SSL_sendfile", PMO_TLS_WRITE | PMO_TLS_UNSEEN, PMO_TLS_ENTER}, /* TLS in the kernel */
    {"SSL_do_handshake", 0, PMO_TLS_ENTER},
    {"SSL_accept", 0, PMO_TLS_ENTER},
    {"SSL_connect", 0, PMO_TLS_ENTER},
    {"SSL_free", 0, PMO_TLS_FREE},
    /* GnuTLS */
    {"gnutls_record_recv", PMO_TLS_READ, PMO_TLS_ENTER},
    {"gnutls_record_recv_seq", PMO_TLS_READ, PMO_TLS_ENTER},
    {"gnutls_record_recv_early_data", PMO_TLS_READ, PMO_TLS_ENTER},
    {"gnutls_record_send", PMO_TLS_WRITE, PMO_TLS_ENTER},
    {"gnutls_record_send2", PMO_TLS_WRITE, PMO_TLS_ENTER},
    {"gnutls_handshake", 0, PMO_TLS_ENTER},
    {"gnutls_deinit", 0, PMO_TLS_FREE},
    /* Go */
    {"crypto/tls.(*Conn).Read", PMO_TLS_READ, PMO_TLS_GO_ENTER},
    {"crypto/tls.(*Conn).Write", PMO_TLS_WRITE, PMO_TLS_GO_ENTER},
};

#define FUNCTIONS (sizeof(functions) / sizeof(*functions))

struct place { /* in the file; 0: it has none */
    uint64_t offset, size;
};

struct reading {
    int fd;
    Elf *elf;
    struct pmo_tls_probe *probes;
    size_t count;
    struct place function[FUNCTIONS];
};

static void add(struct reading *r, enum pmo_tls_program program, uint32_t flags, uint64_t offset)
{
    for (size_t i = 0; i < r->count; i++) /* it has two names */
        if (r->probes[i].offset == offset && r->probes[i].program == program)
            return;
    if (r->count < PMO_TLS_PROBES_MAX)
        r->probes[r->count++] = (struct pmo_tls_probe){program, flags, offset};
}

/* Offset in the file of an address in its code; 0: there is none. */
static uint64_t file_offset(Elf *elf, uint64_t address)
{
    size_t count = 0;
    GElf_Phdr part;

    (void)elf_getphdrnum(elf, &count);
    for (size_t i = 0; i < count; i++)
        if (gelf_getphdr(elf, (int)i, &part) && part.p_type == PT_LOAD && part.p_flags & PF_X &&
            address >= part.p_vaddr && address < part.p_vaddr + part.p_filesz)
            return address - part.p_vaddr + part.p_offset;
    return 0;
}

#define TEXT_OF(version) #version
#define FILE_OF(version) "libcapstone.so." TEXT_OF(version)
#define CAPSTONE         FILE_OF(CS_API_MAJOR)

/* Capstone takes 3 MiB, and only hosts with Go programs need it. */
static struct {
    typeof(cs_open) *open;
    typeof(cs_option) *option;
    typeof(cs_malloc) *new;
    typeof(cs_disasm_iter) *disasm_iter;
    typeof(cs_insn_group) *insn_group;
    typeof(cs_free) *free;
    typeof(cs_close) *close;
} capstone;

static const struct pmo_function capstone_functions[] = {
    {"cs_open", &capstone.open},
    {"cs_option", &capstone.option},
    {"cs_malloc", &capstone.new},
    {"cs_disasm_iter", &capstone.disasm_iter},
    {"cs_insn_group", &capstone.insn_group},
    {"cs_free", &capstone.free},
    {"cs_close", &capstone.close},
};

/* Go's functions move their stacks, which return probes do not survive. */
static void add_returns(struct reading *r, const struct function *f, uint64_t offset, uint64_t size)
{
    uint64_t address = offset;
    const uint8_t *at;
    uint8_t code[1 << 14]; /* each has some kilobytes */
    cs_insn *instruction;
    ssize_t length;
    csh handle;

    if (pmo_library_load(CAPSTONE, capstone_functions,
                         sizeof(capstone_functions) / sizeof(*capstone_functions)))
        return;
#if defined(__aarch64__)
    if (capstone.open(CS_ARCH_ARM64, CS_MODE_ARM, &handle) != CS_ERR_OK)
#else
    if (capstone.open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK)
#endif
        return;
    (void)capstone.option(handle, CS_OPT_DETAIL, CS_OPT_ON);
    instruction = capstone.new(handle);
    length = size <= sizeof(code) ? pread(r->fd, code, size, (off_t)offset) : -1;
    size = length > 0 ? (uint64_t)length : 0;
    at = code;
    while (instruction && capstone.disasm_iter(handle, &at, &size, &address, instruction))
        if (capstone.insn_group(handle, instruction, CS_GRP_RET))
            add(r, PMO_TLS_GO_EXIT, f->flags, instruction->address);
    if (instruction)
        capstone.free(instruction, 1);
    (void)capstone.close(&handle);
}

#if defined(__x86_64__)
/*
 * A breakpoint costs about a microsecond where the kernel emulates the instruction below it, as it
 * does with pushes and jumps (arch/x86/kernel/uprobes.c). Any other one it steps through, with a
 * second exception, which a virtual machine leaves for: a microsecond more, or ten. So probes move
 * to an instruction that is emulated, where the arguments are still where they were.
 */
static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
static const uint8_t sub_rsp[] = {0x48, 0x83, 0xec}; /* a byte follows */
#define CALL        0xe8
#define CALL_LENGTH 5U

static bool is_push(const uint8_t *code)
{
    return (code[0] & 0xf8) == 0x50 || (code[0] == 0x41 && (code[1] & 0xf8) == 0x50);
}

/* Where a function does its first work: behind endbr64, if it begins with that. */
static uint64_t first_of(const struct reading *r, uint64_t offset)
{
    uint8_t code[sizeof(endbr64)];

    return pread(r->fd, code, sizeof(code), (off_t)offset) == sizeof(code) &&
                   !memcmp(code, endbr64, sizeof(code))
               ? offset + sizeof(endbr64)
               : offset;
}

/* Is this a function that begins with a push? Sets @offset to that. */
static bool pushes(const struct reading *r, uint64_t *offset)
{
    uint64_t first = first_of(r, *offset);
    uint8_t code[2];

    if (pread(r->fd, code, sizeof(code), (off_t)first) != sizeof(code) || !is_push(code))
        return false;
    *offset = first;
    return true;
}

/* Does it begin with a look at its argument, whether that is NULL? Sets @offset to the jump. */
static bool tests(const struct reading *r, uint64_t *offset)
{
    static const uint8_t test_rdi[] = {0x48, 0x85, 0xff};
    uint64_t first = first_of(r, *offset);
    uint8_t code[sizeof(test_rdi) + 2], *jump = &code[sizeof(test_rdi)];

    if (pread(r->fd, code, sizeof(code), (off_t)first) != sizeof(code) ||
        memcmp(code, test_rdi, sizeof(test_rdi)) != 0 ||
        !(jump[0] == 0x74 || (jump[0] == 0x0f && jump[1] == 0x84)))
        return false;
    *offset = first + sizeof(test_rdi);
    return true;
}

/* What the call at @offset, whose code this is, calls. */
static uint64_t called(const uint8_t code[CALL_LENGTH], uint64_t offset)
{
    int32_t distance;

    memcpy(&distance, code + 1, sizeof(distance));
    return offset + CALL_LENGTH + (uint64_t)(int64_t)distance;
}

/* The function to which this one hands on all of its arguments at once; 0: it does not. */
static uint64_t handed_to(const struct reading *r, const struct place *function)
{
    uint64_t at = function->offset ? first_of(r, function->offset) : 0;
    uint8_t code[sizeof(sub_rsp) + 1 + CALL_LENGTH];
    const uint8_t *call = &code[sizeof(sub_rsp) + 1];

    if (!at || pread(r->fd, code, sizeof(code), (off_t)at) != sizeof(code) ||
        memcmp(code, sub_rsp, sizeof(sub_rsp)) != 0 || *call != CALL)
        return 0;
    return called(call, at + sizeof(sub_rsp) + 1);
}

static bool calls(const struct reading *r, const struct place *function, uint64_t callee)
{
    uint8_t code[512];
    ssize_t length =
        function->offset ? pread(r->fd, code, sizeof(code), (off_t)function->offset) : 0;
    ssize_t end = length - (ssize_t)CALL_LENGTH;

    for (ssize_t i = 0; i <= end && (uint64_t)i < function->size; i++)
        if (code[i] == CALL && called(code + i, function->offset + (uint64_t)i) == callee)
            return true;
    return false;
}

static struct place *place_of(struct reading *r, const char *name)
{
    size_t i = 0;

    while (strcmp(functions[i].name, name) != 0)
        i++;
    return &r->function[i];
}

/* OpenSSL's calls with int and size_t are the same function inside, which the latter only hand on
 * to. That one is probed in their place, where it begins with a push. */
static void probe_inside(struct reading *r, const char *with_int, const char *with_size)
{
    const struct place *outer[] = {place_of(r, with_int), place_of(r, with_size)};
    uint64_t inner = handed_to(r, outer[1]);
    size_t kept = 0;

    if (!inner || !calls(r, outer[0], inner) || !pushes(r, &inner))
        return;
    for (size_t i = 0; i < r->count; i++) {
        struct pmo_tls_probe probe = r->probes[i];

        if (probe.offset == outer[0]->offset)
            continue;
        if (probe.offset == outer[1]->offset)
            probe.offset = inner;
        r->probes[kept++] = probe;
    }
    r->count = kept;
}

static void make_cheap(struct reading *r)
{
    probe_inside(r, "SSL_read", "SSL_read_ex");
    probe_inside(r, "SSL_write", "SSL_write_ex");
    probe_inside(r, "SSL_write", "SSL_write_ex2"); /* since 3.3 */
    for (size_t i = 0; i < r->count; i++)
        if (r->probes[i].program < PMO_TLS_GO_ENTER && !pushes(r, &r->probes[i].offset) &&
            r->probes[i].program == PMO_TLS_FREE)
            (void)tests(r, &r->probes[i].offset);
}

/* How far into a function of Go the jump is that follows its look at how much stack is left: at
 * rsp, or rsp less its frame, in r12. With more stack, the function begins again, and comes by here
 * once more. */
static uint64_t go_check(const struct reading *r, uint64_t offset)
{
    static const uint8_t small[] = {0x49, 0x3b, 0x66, 0x10}, large[] = {0x4d, 0x3b, 0x66, 0x10};
    static const uint8_t frame[] = {0x4c, 0x8d, 0x64, 0x24}, frame4[] = {0x4c, 0x8d, 0xa4, 0x24};
    uint8_t code[16];
    size_t at = 0;

    if (pread(r->fd, code, sizeof(code), (off_t)offset) != sizeof(code))
        return 0;
    if (!memcmp(code, frame, sizeof(frame)))
        at = sizeof(frame) + 1;
    else if (!memcmp(code, frame4, sizeof(frame4)))
        at = sizeof(frame4) + 4;
    if (memcmp(code + at, at ? large : small, sizeof(small)) != 0)
        return 0;
    at += sizeof(small);
    return code[at] == 0x76 || (code[at] == 0x0f && code[at + 1] == 0x86) ? at : 0;
}
#else
static void make_cheap(struct reading *r)
{
    (void)r;
}

static uint64_t go_check(const struct reading *r, uint64_t offset)
{
    (void)r;
    (void)offset;
    return 0;
}
#endif

static void read_symbol(struct reading *r, const char *name, const GElf_Sym *symbol)
{
    uint64_t offset;

    if (GELF_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF)
        return;
    for (const struct function *f = functions; f < functions + FUNCTIONS; f++) {
        if (strcmp(f->name, name) != 0 || !(offset = file_offset(r->elf, symbol->st_value)))
            continue;
        r->function[f - functions] = (struct place){offset, symbol->st_size};
        add(r, f->program, f->flags,
            f->program == PMO_TLS_GO_ENTER ? offset + go_check(r, offset) : offset);
        if (f->program == PMO_TLS_ENTER)
            add(r, PMO_TLS_EXIT, f->flags, offset);
        else if (f->program == PMO_TLS_GO_ENTER)
            add_returns(r, f, offset, symbol->st_size);
    }
}

/* @table: SHT_DYNSYM, what a library shows to others, or SHT_SYMTAB, all there is */
static void read_symbols(struct reading *r, uint32_t table)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    GElf_Sym symbol;

    while ((section = elf_nextscn(r->elf, section))) {
        Elf_Data *data;

        if (!gelf_getshdr(section, &header) || !header.sh_entsize || header.sh_type != table ||
            !(data = elf_getdata(section, NULL)))
            continue;
        for (size_t i = 0; i < header.sh_size / header.sh_entsize; i++) {
            const char *name = gelf_getsym(data, (int)i, &symbol)
                                   ? elf_strptr(r->elf, header.sh_link, symbol.st_name)
                                   : NULL;

            /* few names pass */
            if (name && (name[0] == 'S' || name[0] == 'g' || name[0] == 'c'))
                read_symbol(r, name, &symbol);
        }
    }
}

int pmo_tls_binary_read(int fd, struct pmo_tls_probe probes[PMO_TLS_PROBES_MAX])
{
    struct reading r = {.fd = fd, .probes = probes};
    GElf_Ehdr header;

    /* not mapped: whoever owns the file may cut it short meanwhile */
    if (elf_version(EV_CURRENT) == EV_NONE || !(r.elf = elf_begin(fd, ELF_C_READ, NULL)))
        return -ENOEXEC;
#if defined(__aarch64__)
    const int machine = EM_AARCH64;
#else
    const int machine = EM_X86_64;
#endif
    if (elf_kind(r.elf) == ELF_K_ELF && gelf_getehdr(r.elf, &header) &&
        header.e_machine == machine) {
        read_symbols(&r, SHT_DYNSYM);
        if (!r.count)
            read_symbols(&r, SHT_SYMTAB);
        make_cheap(&r);
    } else {
        r.count = (size_t)-ENOEXEC;
    }
    (void)elf_end(r.elf);
    return (int)r.count;
}
