/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libcurl (OpenSSL), loaded where something is asked for first: with what it is linked with, it
 * takes 6 MiB. */
#pragma once

#include <curl/curl.h>

struct pmo_libcurl {
    typeof(curl_easy_init) *init;
    typeof(curl_easy_reset) *reset;
    typeof(curl_easy_setopt) *setopt;
    typeof(curl_easy_perform) *perform;
    typeof(curl_easy_getinfo) *getinfo;
    typeof(curl_easy_strerror) *strerror;
    typeof(curl_easy_escape) *escape;
    typeof(curl_easy_cleanup) *cleanup;
    typeof(curl_slist_append) *slist_append;
    typeof(curl_slist_free_all) *slist_free_all;
    typeof(curl_free) *free;
    typeof(curl_getdate) *getdate;
};

extern struct pmo_libcurl pmo_libcurl;

/* Fills it in. Returns as pmo_library_load(). */
int pmo_libcurl_load(void);
