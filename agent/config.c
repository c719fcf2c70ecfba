/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <gnutls/crypto.h>
#include "agent/base/cleanup.h"

#define HASHED_MAX (1L << 20) /* no larger file is read */

static const struct pmo_backend_ops *backend_of_kind(const char *kind)
{
    for (size_t i = 0; pmo_backends[i]; i++)
        if (!strcmp(pmo_backends[i]->kind, kind))
            return pmo_backends[i];
    return NULL;
}

static int read_kinds(struct pmo_config *config)
{
    int r = 0;

    for (size_t i = 0; i < pmo_file_documents(config->file); i++) {
        const struct pmo_value *document = pmo_file_document(config->file, i);
        const struct pmo_value *value = pmo_value_get(document, "kind");
        const char *kind = pmo_value_text(value);
        const struct pmo_backend_ops *ops = kind ? backend_of_kind(kind) : NULL;

        if (ops)
            config->backend_ops = ops;
        else if (kind && strcmp(kind, "OrchestrationPolicy") != 0 &&
                 strcmp(kind, "OrchestrationLimits") != 0 &&
                 strcmp(kind, PMO_EVENT_SOURCE_KIND) != 0)
            r = pmo_value_complain(value,
                                   "no document of kind \"%s\" is known; write "
                                   "OrchestrationPolicy, LocalService or " PMO_EVENT_SOURCE_KIND,
                                   kind);
    }
    return r;
}

int pmo_config_read(struct pmo_config *config, const char *path, pmo_complaint_fn complain,
                    void *context)
{
    int r;

    *config = (struct pmo_config){};
    r = pmo_file_read(&config->file, path, complain, context);
    if (r)
        return r;
    r = pmo_policies_read(&config->policies, config->file);
    if (pmo_sources_read(&config->sources, config->file))
        r = -EINVAL;
    if (read_kinds(config))
        r = -EINVAL;
    if (r)
        pmo_config_free(config);
    return r;
}

void pmo_config_free(struct pmo_config *config)
{
    pmo_policies_free(&config->policies);
    pmo_sources_free(&config->sources);
    pmo_file_free(&config->file);
    config->backend_ops = NULL;
}

static int hash_all(int fd, gnutls_hash_hd_t sha256)
{
    char bytes[4096];
    ssize_t n;

    while ((n = read(fd, bytes, sizeof(bytes))) > 0)
        if (gnutls_hash(sha256, bytes, (size_t)n))
            return -EIO;
    return n < 0 ? -errno : 0;
}

int pmo_config_hash(const char *path, char hash[PMO_SHA256_BYTES])
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    gnutls_hash_hd_t sha256;
    unsigned char digest[32];
    struct stat status;
    int r;

    if (fd < 0 || fstat(fd, &status))
        return -errno;
    if (!S_ISREG(status.st_mode)) /* what is read from a pipe is gone */
        return -EINVAL;
    if (status.st_size > HASHED_MAX)
        return -EFBIG;
    if (gnutls_hash_init(&sha256, GNUTLS_DIG_SHA256))
        return -ENOMEM;
    r = hash_all(fd, sha256);
    gnutls_hash_deinit(sha256, digest);
    for (size_t i = 0; !r && i < sizeof(digest); i++)
        (void)snprintf(hash + 2 * i, 3, "%02x", digest[i]);
    return r;
}
