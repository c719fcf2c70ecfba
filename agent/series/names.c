/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the numbers of a type are called. */
#include "agent/series/series.h"

const char *pmo_direction_name(uint8_t direction)
{
    return direction == PMO_OUTBOUND ? "outbound" : "inbound";
}

const char *pmo_protocol_name(uint8_t protocol)
{
    static const char *const names[] = {[PMO_PROTOCOL_UNKNOWN] = "unknown",
                                        [PMO_PROTOCOL_HTTP1] = "http1",
                                        [PMO_PROTOCOL_HTTP2] = "http2",
                                        [PMO_PROTOCOL_GRPC] = "grpc",
                                        [PMO_PROTOCOL_REDIS] = "redis",
                                        [PMO_PROTOCOL_MEMCACHED] = "memcached",
                                        [PMO_PROTOCOL_POSTGRESQL] = "postgresql",
                                        [PMO_PROTOCOL_MYSQL] = "mysql",
                                        [PMO_PROTOCOL_DNS] = "dns",
                                        [PMO_PROTOCOL_KAFKA] = "kafka"};

    return names[protocol < sizeof(names) / sizeof(*names) ? protocol : PMO_PROTOCOL_UNKNOWN];
}

const char *pmo_method_name(uint8_t method)
{
    static const char *const names[PMO_METHODS] = {
        [PMO_METHOD_OTHER] = "OTHER",     [PMO_METHOD_GET] = "GET",
        [PMO_METHOD_HEAD] = "HEAD",       [PMO_METHOD_POST] = "POST",
        [PMO_METHOD_PUT] = "PUT",         [PMO_METHOD_DELETE] = "DELETE",
        [PMO_METHOD_CONNECT] = "CONNECT", [PMO_METHOD_OPTIONS] = "OPTIONS",
        [PMO_METHOD_TRACE] = "TRACE",     [PMO_METHOD_PATCH] = "PATCH",
    };

    return names[method < PMO_METHODS ? method : PMO_METHOD_OTHER];
}

const char *pmo_status_class_name(uint8_t status_class)
{
    static const char *const names[PMO_STATUS_CLASSES] = {"aborted", "1xx", "2xx",
                                                          "3xx",     "4xx", "5xx"};

    return names[status_class < PMO_STATUS_CLASSES ? status_class : PMO_STATUS_ABORTED];
}
