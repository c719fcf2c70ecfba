/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * News: the items of an RSS 2.0 or Atom (RFC 4287) feed, through libxml2. Nothing is fetched from
 * the network for it, and a document that declares entities is refused.
 *
 * Pure; may run in any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct pmo_feed_item {
    int64_t published;
    const char *id;   /* guid or id, else the link, else the title */
    const char *text; /* title, summary and categories, one a line */
};

/* Texts are gone when it returns. Returns 0, or anything else to end it. */
typedef int (*pmo_feed_fn)(void *context, const struct pmo_feed_item *item);

/**
 * pmo_feed_read - all items of a feed, in its order
 * @now: when those were published that do not say so
 * @error: on failure, what is wrong, in one line
 * Returns 0, what @each ended it with, or -EINVAL for what is no feed.
 */
int pmo_feed_read(const char *text, size_t length, int64_t now, pmo_feed_fn each, void *context,
                  char *error, size_t error_size);
