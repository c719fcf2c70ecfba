/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands in a file or at a URL, through libcurl. Waits: for a thread of libuv's pool, never
 * for the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define PMO_FETCH_BYTES_MAX (4U << 20)
#define PMO_FETCH_TIMEOUT_S 20

/**
 * pmo_fetch - read a file ("/..." or "file:///...") or a URL (https; http where @plain)
 * @cancelled: as soon as it is true, the transfer ends (-ECANCELED)
 * @text: all of it, ended by a NUL; the caller's to free
 * @error: on failure, what is wrong and what to do, in one line without the place itself
 * Returns 0; -EFBIG beyond PMO_FETCH_BYTES_MAX; -EIO for what was answered with something else than
 * 200, and where it does not get there; -ENOENT...
 */
int pmo_fetch(const char *place, bool plain, const bool *cancelled, char **text, size_t *length,
              char *error, size_t error_size);
