/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Headers that policies name, wired: the kernel side has one table of them for all services, and
 * for each instance which of its rows are looked for in the requests that it serves. Policies that
 * say the same of a header share a row.
 */
#include "agent/core.h"

#include <string.h>
#include "bpf/headers.h"

static void value_make(struct pmo_header_value *to, const char *name, const char *value,
                       const __u64 key[2])
{
    to->digest = header_digest(value, key);
    to->length = (uint32_t)snprintf(to->text, sizeof(to->text), "%s: %s", name, value);
}

/* Which entries of HPACK's static table (RFC 7541, appendix A) have a name, a bit each. These are
 * the names from index 15 on; those before are none of a header. */
static uint64_t http2_indices(const char *name)
{
    static const char *const names[] = {"accept-charset",
                                        "accept-encoding",
                                        "accept-language",
                                        "accept-ranges",
                                        "accept",
                                        "access-control-allow-origin",
                                        "age",
                                        "allow",
                                        "authorization",
                                        "cache-control",
                                        "content-disposition",
                                        "content-encoding",
                                        "content-language",
                                        "content-length",
                                        "content-location",
                                        "content-range",
                                        "content-type",
                                        "cookie",
                                        "date",
                                        "etag",
                                        "expect",
                                        "expires",
                                        "from",
                                        "host",
                                        "if-match",
                                        "if-modified-since",
                                        "if-none-match",
                                        "if-range",
                                        "if-unmodified-since",
                                        "last-modified",
                                        "link",
                                        "location",
                                        "max-forwards",
                                        "proxy-authenticate",
                                        "proxy-authorization",
                                        "range",
                                        "referer",
                                        "refresh",
                                        "retry-after",
                                        "server",
                                        "set-cookie",
                                        "strict-transport-security",
                                        "transfer-encoding",
                                        "user-agent",
                                        "vary",
                                        "via",
                                        "www-authenticate"};
    uint64_t indices = 0;

    _Static_assert(sizeof(names) / sizeof(names[0]) == 62 - 15, "all of them");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(names[i], name) && 15 + i != 31) /* content-type is of a kind of its own */
            indices |= 1ULL << (15 + i);
    return indices;
}

void pmo_header_make(struct pmo_header *header, const struct pmo_policy_header *from,
                     const __u64 key[2])
{
    memset(header, 0, sizeof(*header));
    header->name = header->http2_name = header_digest(from->name, key);
    header->http2_indices = http2_indices(from->name);
    if (!strcmp(from->name, "host")) { /* RFC 9113 8.3.1 */
        header->http2_name = header_digest(":authority", key);
        header->http2_indices |= 1ULL << 1;
    }
    header->hash = from->hash;
    header->values = (uint32_t)from->values_count;
    value_make(&header->value[0], from->name, "{other}", key);
    if (from->hash)
        value_make(&header->value[1], from->name, "", key);
    for (size_t i = 0; i < from->values_count; i++)
        value_make(&header->value[1 + i], from->name, from->values[i], key);
}

int pmo_headers_start(struct pmo_core *core)
{
    const volatile struct pmo_control *control = pmo_kernel_control(core->kernel);
    const __u64 key[2] = {control->header_key[0], control->header_key[1]};
    const struct pmo_policy_header *rows[PMO_HEADERS_MAX];
    size_t count = pmo_policies_headers(core->agent.policies, rows);
    struct pmo_header headers[PMO_HEADERS_MAX] = {};

    for (size_t row = 0; row < count; row++)
        pmo_header_make(&headers[row], rows[row], key);
    return pmo_kernel_headers(core->kernel, headers);
}

void pmo_headers_follow(struct pmo_core *core, const struct pmo_agent_instance *instance)
{
    const struct pmo_policy *policy = instance->service->policy;
    const struct pmo_policy_header *rows[PMO_HEADERS_MAX];
    size_t count = policy ? pmo_policies_headers(core->agent.policies, rows) : 0;
    uint32_t wanted = 0, letters = 0;

    for (size_t row = 0; row < count; row++)
        for (size_t h = 0; h < policy->headers_count; h++)
            if (pmo_policy_header_equal(rows[row], &policy->headers[h])) {
                wanted |= 1U << row;
                letters |= header_letter((uint8_t)rows[row]->name[0]);
                if (!strcmp(rows[row]->name, "host"))
                    letters |= header_letter(':');
            }
    pmo_kernel_headers_wanted(core->kernel, instance->id, PMO_HEADERS_WANTED(wanted, letters));
}
