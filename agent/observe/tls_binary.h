/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where in a program or library TLS is spoken: the functions that take and give what is not
 * encrypted, by their symbols. OpenSSL (1.1 and 3), BoringSSL and GnuTLS, as libraries or linked
 * into a program; crypto/tls of Go.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum pmo_tls_program { /* of bpf/tls.h */
                       PMO_TLS_ENTER,
                       PMO_TLS_EXIT, /* on the return */
                       PMO_TLS_FREE,
                       PMO_TLS_GO_ENTER,
                       PMO_TLS_GO_EXIT, /* on each return instruction */
                       PMO_TLS_PROGRAMS
};

struct pmo_tls_probe {
    enum pmo_tls_program program;
    uint32_t flags;  /* PMO_TLS_READ... of abi.h */
    uint64_t offset; /* in the file */
};

#define PMO_TLS_PROBES_MAX 160U

/**
 * pmo_tls_binary_read - probes for a file
 * @fd: an ELF file
 * Returns how many, 0 where it speaks no TLS, or -ENOEXEC for a file that is no ELF of this
 * machine.
 */
int pmo_tls_binary_read(int fd, struct pmo_tls_probe probes[PMO_TLS_PROBES_MAX]);
