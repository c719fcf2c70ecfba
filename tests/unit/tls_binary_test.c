/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/suite.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/lib-names.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "agent/observe/tls_binary.h"
#include <pmo/abi.h>

static struct pmo_tls_probe probes[PMO_TLS_PROBES_MAX];

/* Path of a library that this process has loaded. */
static int find_library(struct dl_phdr_info *info, size_t size, void *name)
{
    const char **found = name;

    if (!strstr(info->dlpi_name, *found))
        return 0;
    *found = info->dlpi_name;
    return 1;
}

static int read_library(const char *name)
{
    int fd, count;

    CU_ASSERT_FATAL(dl_iterate_phdr(find_library, &name));
    fd = open(name, O_RDONLY | O_CLOEXEC);
    CU_ASSERT_FATAL(fd >= 0);
    count = pmo_tls_binary_read(fd, probes);
    (void)close(fd);
    return count;
}

static void a_library_that_speaks_tls_has_probes(void)
{
    int count = read_library("libgnutls.so");
    int reads = 0, writes = 0, frees = 0;

    CU_ASSERT_FATAL(count > 0);
    for (int i = 0; i < count; i++) {
        CU_ASSERT(probes[i].offset > 0);
        frees += probes[i].program == PMO_TLS_FREE;
        if (probes[i].program == PMO_TLS_EXIT)
            continue;
        reads += probes[i].flags == PMO_TLS_READ;
        writes += probes[i].flags == PMO_TLS_WRITE;
        if (probes[i].program == PMO_TLS_ENTER) { /* each comes with its return */
            CU_ASSERT_EQUAL(probes[i + 1].program, PMO_TLS_EXIT);
            CU_ASSERT_EQUAL(probes[i + 1].offset, probes[i].offset);
        }
    }
    CU_ASSERT(reads >= 2 && writes >= 1);
    CU_ASSERT_EQUAL(frees, 1);
}

static void a_library_that_does_not_has_none(void)
{
    CU_ASSERT_EQUAL(read_library(LIBC_SO), 0);
}

#if defined(__x86_64__)
/* OpenSSL's functions begin with what the kernel steps through, those inside with a push. */
static void probes_are_where_the_kernel_emulates(void)
{
    void *library = dlopen("libssl.so.3", RTLD_LAZY);
    const char *name = "libssl.so";
    int fd, count, inside = 0;

    CU_ASSERT_FATAL(library && dl_iterate_phdr(find_library, &name));
    fd = open(name, O_RDONLY | O_CLOEXEC);
    count = pmo_tls_binary_read(fd, probes);
    CU_ASSERT_FATAL(count > 0);
    for (int i = 0; i < count; i++) {
        uint8_t code[2];

        CU_ASSERT_EQUAL(probes[i].flags & PMO_TLS_INT, 0); /* SSL_read() and SSL_write() */
        CU_ASSERT_FATAL(pread(fd, code, sizeof(code), (off_t)probes[i].offset) == sizeof(code));
        if (probes[i].program == PMO_TLS_FREE) /* at the jump behind its look at the argument */
            CU_ASSERT(code[0] == 0x74 || code[0] == 0x0f);
        inside += probes[i].program == PMO_TLS_ENTER && probes[i].flags & PMO_TLS_LENGTH_AT &&
                  (code[0] == 0x41 ? code[1] : code[0]) >> 3 == 0x50 >> 3;
    }
    CU_ASSERT(inside >= 2);
    (void)close(fd);
    (void)dlclose(library);
}
#endif

static int read_bytes(const void *bytes, size_t length)
{
    int fd = memfd_create("binary", MFD_CLOEXEC), count;

    CU_ASSERT_FATAL(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
    count = pmo_tls_binary_read(fd, probes);
    (void)close(fd);
    return count;
}

static void what_is_no_program_is_told(void)
{
    static const char text[] = "#!/bin/sh\necho this is no ELF file, but it is one that is run\n";
    Elf64_Ehdr other = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_S390,
        .e_version = EV_CURRENT,
        .e_ehsize = sizeof(other)};

    CU_ASSERT_EQUAL(read_bytes(text, sizeof(text)), -ENOEXEC);
    CU_ASSERT_EQUAL(read_bytes(&other, sizeof(other)), -ENOEXEC);
    CU_ASSERT_EQUAL(read_bytes("", 1), -ENOEXEC);
}

static void break_library(const char *name)
{
    size_t size;
    unsigned int seed = 1;
    unsigned char *bytes;
    FILE *library;

    CU_ASSERT_FATAL(dl_iterate_phdr(find_library, &name));
    library = fopen(name, "re");
    CU_ASSERT_FATAL(library && !fseek(library, 0, SEEK_END));
    size = (size_t)ftell(library);
    bytes = malloc(size);
    CU_ASSERT_FATAL(bytes && !fseek(library, 0, SEEK_SET) &&
                    fread(bytes, 1, size, library) == size);
    (void)fclose(library);
    for (int i = 0; i < 60; i++) {
        size_t at = i < 30 ? (size_t)rand_r(&seed) % 1024 : (size_t)rand_r(&seed) % size;
        unsigned char was = bytes[at];

        bytes[at] = (unsigned char)rand_r(&seed);
        (void)read_bytes(bytes, i % 2 ? size : (size_t)rand_r(&seed) % size);
        bytes[at] = was;
    }
    CU_ASSERT(read_bytes(bytes, size) > 0);
    free(bytes);
}

/* Anybody can map a file that is broken. */
static void broken_files_do_no_harm(void)
{
    void *library = dlopen("libssl.so.3", RTLD_LAZY);

    CU_ASSERT_FATAL(library != NULL);
    break_library("libgnutls.so");
    break_library("libssl.so");
    (void)dlclose(library);
}

SUITE(tls_binary) = {
    TEST(a_library_that_speaks_tls_has_probes), TEST(a_library_that_does_not_has_none),
#if defined(__x86_64__)
    TEST(probes_are_where_the_kernel_emulates),
#endif
    TEST(what_is_no_program_is_told),           TEST(broken_files_do_no_harm),          {0}};
