/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/base/libcurl.h"

#include "agent/base/library.h"

struct pmo_libcurl pmo_libcurl;

int pmo_libcurl_load(void)
{
    static const struct pmo_function functions[] = {
        {"curl_easy_init", &pmo_libcurl.init},
        {"curl_easy_reset", &pmo_libcurl.reset},
        {"curl_easy_setopt", &pmo_libcurl.setopt},
        {"curl_easy_perform", &pmo_libcurl.perform},
        {"curl_easy_getinfo", &pmo_libcurl.getinfo},
        {"curl_easy_strerror", &pmo_libcurl.strerror},
        {"curl_easy_escape", &pmo_libcurl.escape},
        {"curl_easy_cleanup", &pmo_libcurl.cleanup},
        {"curl_slist_append", &pmo_libcurl.slist_append},
        {"curl_slist_free_all", &pmo_libcurl.slist_free_all},
        {"curl_free", &pmo_libcurl.free},
        {"curl_getdate", &pmo_libcurl.getdate},
    };

    return pmo_library_load("libcurl.so.4", functions, sizeof(functions) / sizeof(*functions));
}
