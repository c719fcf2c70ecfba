/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an HTTP server answers, gathered as libcurl hands it out. */
#pragma once

#include <stdbool.h>
#include <curl/curl.h>

struct pmo_body {
    char *text; /* ended by a NUL; NULL: nothing has come; the owner's to free */
    size_t length, room;
    size_t max; /* bytes */
    bool too_big;
    const bool *cancelled; /* of pmo_body_progress() */
};

/* CURLOPT_WRITEFUNCTION, with a body: ends the transfer beyond its maximum (too_big), and where
 * there is no memory. */
size_t pmo_body_keep(char *bytes, size_t size, size_t count, void *body);

/* CURLOPT_XFERINFOFUNCTION, with a body: ends the transfer as soon as *cancelled is true. */
int pmo_body_progress(void *body, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                      curl_off_t up);
