/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this machine offers of what the agent needs, and what to do about the rest. Probing and
 * judging are apart: pmo_host_probe() looks at the machine, pmo_features_judge() is pure.
 *
 * A BPF program is probed by loading it, which is the only probe that a verifier cannot fool; the
 * questions by program type and helper then say why it failed. What the agent can do without is
 * attached for a moment, too. Nothing is pinned, and the maps have one row, or none that a program
 * could use: nothing is counted, nothing is left.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PMO_HOST_PROGRAMS 48
#define PMO_FEATURES_MAX  (PMO_HOST_PROGRAMS + 16)

/* A BPF program of the agent on this machine. */
struct pmo_host_program {
    char name[32];    /* in bpf/ */
    char section[48]; /* "cgroup_skb/ingress" */
    int error;        /* 0: loads; -EPERM: may not be tried; -ENOTSUP: the kernel lacks a part */
    char reason[128]; /* the missing part, or what the verifier said; "" with 0 and -EPERM */
};

/* A machine as it was found. */
struct pmo_host {
    char release[65];              /* of the kernel, as in uname -r */
    uint32_t uid;                  /* effective */
    uint64_t capabilities;         /* effective, 1 << CAP_BPF... */
    uint64_t capabilities_max;     /* those that root could have here (bounding set) */
    int bpf;                       /* 0: this process may load programs; or a negative errno */
    bool btf;                      /* type information is there */
    bool bpffs, bpffs_place;       /* /sys/fs/bpf is a bpf file system; is a directory */
    char cgroup[128];              /* where cgroup v2 is mounted, "" nowhere */
    bool cgroup_v1;                /* there are v1 hierarchies besides */
    int jit;                       /* net.core.bpf_jit_enable; negative: cannot be read */
    uint64_t locked_bytes;         /* RLIMIT_MEMLOCK; UINT64_MAX: no limit */
    char lockdown[24];             /* "none", "integrity", "confidentiality"; "" not told */
    int uprobe;                    /* 0: uprobes can be made; or a negative errno */
    char maps[128], maps_none[64]; /* map types that the kernel has, and that it has not */
    size_t programs_count;
    struct pmo_host_program programs[PMO_HOST_PROGRAMS];
};

enum pmo_feature_state {
    PMO_FEATURE_OK,
    PMO_FEATURE_OFF,     /* missing, and the agent does without */
    PMO_FEATURE_MISSING, /* missing, and the agent does not start */
    PMO_FEATURE_UNKNOWN, /* cannot be known without root */
};

struct pmo_feature {
    char name[32];
    enum pmo_feature_state state;
    bool needed;
    char found[160];  /* what there is */
    char advice[200]; /* what to do, or what goes without; "" where all is well */
};

/* Looks at this machine. Takes some seconds of CPU, logs nothing. */
void pmo_host_probe(struct pmo_host *host);

/* The part of it that loads programs: fills host->programs, where host->bpf and host->btf say that
 * they can be tried. */
void pmo_host_programs_probe(struct pmo_host *host);

/* Whether the agent cannot do its work without this program of bpf/. */
bool pmo_program_needed(const char *name);

/* Logs in one line what is off without a program that is not needed, and why it is. */
void pmo_program_off(const char *name, const char *reason);

/* Fills @features in the order in which to read them; returns how many. */
size_t pmo_features_judge(const struct pmo_host *host,
                          struct pmo_feature features[PMO_FEATURES_MAX]);

/* Whether the agent can do its work: 1, 0, or -EPERM where that cannot be known without root. */
int pmo_features_able(const struct pmo_feature *features, size_t count);

/* The line of a verifier's log that says why a program was refused. */
void pmo_verifier_reason(const char *log, char *reason, size_t size);
