/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Protocols of bpf/wire.h. What is here is what the fuzzer's references do not know. */
#include "tests/unit/suite.h"

#include "tests/unit/wire_reference.h"

static struct wire_seen seen;

/* What is told of bytes, whole and one by one. */
static void tells(__u8 protocol, bool response, const char *bytes, size_t length,
                  const char *expected)
{
    for (int cut = 0; cut < 2; cut++) {
        wire_see(&seen, protocol, response);
        for (size_t at = 0; at < length; at += cut ? 1 : length)
            wire_feed(&seen, (const __u8 *)bytes + at, cut ? 1 : length);
        CU_ASSERT_STRING_EQUAL(seen.text, expected);
        if (strcmp(seen.text, expected) != 0)
            printf("\n    %s, expected %s\n", seen.text, expected);
    }
}

#define TELLS(protocol, response, bytes, expected)                                                 \
    tells(protocol, response, bytes, sizeof(bytes) - 1, expected)
#define FIRST(bytes) wire_first(bytes, sizeof(bytes) - 1)

static void a_protocol_is_known_by_its_first_bytes(void)
{
    CU_ASSERT_EQUAL(FIRST("*1\r\n$4\r\nPING\r\n"), PMO_PROTOCOL_REDIS);
    CU_ASSERT_EQUAL(FIRST("*12\r\n$4\r\nMSET\r\n"), PMO_PROTOCOL_REDIS);
    CU_ASSERT_EQUAL(FIRST("PING\r\n"), PMO_PROTOCOL_REDIS);
    CU_ASSERT_EQUAL(FIRST("get k\r\n"), PMO_PROTOCOL_MEMCACHED);
    CU_ASSERT_EQUAL(FIRST("version\r\n"), PMO_PROTOCOL_MEMCACHED);
    CU_ASSERT_EQUAL(FIRST("\0\0\0\x08\x04\xd2\x16\x2f"), PMO_PROTOCOL_POSTGRESQL);
    CU_ASSERT_EQUAL(FIRST("\0\0\0\x10\0\x03\0\0user\0a\0\0"), PMO_PROTOCOL_POSTGRESQL);
    CU_ASSERT_EQUAL(FIRST("GET / HTTP/1.1\r\n"), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(FIRST("PRI * HTTP/2.0\r\n"), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(FIRST("\x16\x03\x01\0\xf4\x01\0\0\xf0\x03\x03"), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(FIRST("SSH-2.0-x\r\n"), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(FIRST("*"), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(FIRST("\0\0\0\0\0\0\0\0"), PMO_PROTOCOL_UNKNOWN);
}

static void redis_has_types_of_its_third_version(void)
{
    TELLS(PMO_PROTOCOL_REDIS, true, "%1\r\n+a\r\n*2\r\n:1\r\n#t\r\n_\r\n,1.5\r\n(12\r\n",
          "+;+;+;+;");
    TELLS(PMO_PROTOCOL_REDIS, true, "!5\r\nwrong\r\n=7\r\ntxt:abc\r\n~2\r\n:1\r\n:2\r\n", "-;+;+;");
    /* attributes come before the value that answers, and what is pushed answers nothing */
    TELLS(PMO_PROTOCOL_REDIS, true, "|1\r\n+k\r\n-v\r\n+OK\r\n", "+;");
    TELLS(PMO_PROTOCOL_REDIS, true, "|1\r\n+k\r\n+v\r\n-ERR\r\n", "-;");
    TELLS(PMO_PROTOCOL_REDIS, true, ">3\r\n+message\r\n+c\r\n$2\r\nhi\r\n:1\r\n", "+;");
    TELLS(PMO_PROTOCOL_REDIS, true, "HTTP/1.1 200 OK\r\n\r\n+OK\r\n", "");
}

static void redis_takes_lines_too(void)
{
    TELLS(PMO_PROTOCOL_REDIS, false, "PING\r\nset k some value\r\n\r\n*1\r\n$4\r\nquit\r\n",
          "PING;SET;QUIT;");
    TELLS(PMO_PROTOCOL_REDIS, false,
          "*1\r\n$4\r\nPING\r\n*2\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n*1\r\n", "PING;");
}

static void memcached_is_told_with_its_blocks(void)
{
    TELLS(PMO_PROTOCOL_MEMCACHED, false,
          "set k 0 0 9\r\nget fake\n\r\nget a b\r\nms k 2 T0\r\nhi\r\nmg k v\r\ntouch k 1\r\n",
          "SET;GET;MS;MG;TOUCH;");
    TELLS(PMO_PROTOCOL_MEMCACHED, false,
          "set k 0 0 2 noreply\r\nhi\r\ndelete k noreply\r\nget noreply\r\nquit\r\n", "GET;");
    TELLS(PMO_PROTOCOL_MEMCACHED, true,
          "STORED\r\nVALUE k 0 5 12\r\nEND\r\n\r\nVALUE l 0 0\r\n\r\nEND\r\nEND\r\n", "+;+;+;");
    TELLS(PMO_PROTOCOL_MEMCACHED, true,
          "VA 2 t1\r\nhi\r\nEN\r\nHD\r\n17\r\nERROR\r\nCLIENT_ERROR bad\r\nSTAT a 1\r\nEND\r\n",
          "+;+;+;+;-;-;+;");
}

static void postgresql_may_begin_with_a_wish_for_tls(void)
{
    TELLS(PMO_PROTOCOL_POSTGRESQL, true, "SR", "tls;");
    TELLS(PMO_PROTOCOL_POSTGRESQL, true, "NR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", "+;");
    TELLS(PMO_PROTOCOL_POSTGRESQL, false,
          "\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x09\0\x03\0\0\0Q\0\0\0\x0c(select)X\0\0\0\x04",
          "STARTUP;SELECT;");
    TELLS(PMO_PROTOCOL_POSTGRESQL, false, "\0\0\0\x09\0\x03\0\0\0Q\0\0\0\x04", "STARTUP;QUERY;");
}

SUITE(wire) = {TEST(a_protocol_is_known_by_its_first_bytes),
               TEST(redis_has_types_of_its_third_version),
               TEST(redis_takes_lines_too),
               TEST(memcached_is_told_with_its_blocks),
               TEST(postgresql_may_begin_with_a_wish_for_tls),
               {0}};
