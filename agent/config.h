/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration file: all that is in it, read before anything is touched, so that a bad one
 * changes nothing. */
#pragma once

#include "agent/act/backend.h"
#include "agent/base/document.h"
#include "agent/decide/policy.h"
#include "agent/events/sources.h"

#define PMO_SHA256_BYTES 65 /* as text */

struct pmo_config {
    struct pmo_file *file;
    struct pmo_policies *policies;
    struct pmo_sources *sources;
    const struct pmo_backend_ops *backend_ops; /* NULL: it has no services to be run */
};

/* Reads all documents; those of a backend are left to it, in `file`. @complain: as of
 * pmo_file_read(). Returns 0, or a negative errno that was complained about, with *config empty. */
int pmo_config_read(struct pmo_config *config, const char *path, pmo_complaint_fn complain,
                    void *context);
void pmo_config_free(struct pmo_config *config);

/* SHA-256 of a regular file, as sha256sum prints it. Returns 0 or a negative errno, not logged. */
int pmo_config_hash(const char *path, char hash[PMO_SHA256_BYTES]);
