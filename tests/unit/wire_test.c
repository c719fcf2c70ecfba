/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Protocols of bpf/wire.h. What is here is what the fuzzer's references do not know. */
#include "tests/unit/suite.h"

#include "tests/unit/wire_reference.h"

static struct wire_seen seen;

/* What is told of bytes, whole, one by one, and in two parts that are cut anywhere. @asked: by each
 * request, of an answer that has to know. */
static void tells(__u8 protocol, bool response, __u16 asked, const char *bytes, size_t length,
                  const char *expected)
{
    for (size_t cut = 0; cut <= length; cut++) {
        wire_see(&seen, protocol, response);
        seen.asked = asked;
        for (size_t at = 0, n; at < length; at += n) {
            n = !cut ? 1 : at ? length - at : cut;
            wire_feed(&seen, (const __u8 *)bytes + at, n);
        }
        CU_ASSERT_STRING_EQUAL(seen.text, expected);
        if (strcmp(seen.text, expected) != 0) {
            printf("\n    %s, expected %s\n", seen.text, expected);
            return;
        }
    }
}

#define TELLS(protocol, response, bytes, expected)                                                 \
    tells(protocol, response, 0, bytes, sizeof(bytes) - 1, expected)
#define ANSWERS(protocol, asked, bytes, expected)                                                  \
    tells(protocol, true, asked, bytes, sizeof(bytes) - 1, expected)
#define FIRST(bytes) wire_first(bytes, sizeof(bytes) - 1)

/* of DNS: number, flags (that recursion is wished for), one question */
#define DNS_QUESTION "\x12\x34\1\0\0\1\0\0\0\0\0\0"

static void a_protocol_is_known_by_its_first_bytes(void)
{
    CU_ASSERT_EQUAL(FIRST("*1\r\n$4\r\nPING\r\n"), PMO_PROTOCOL_REDIS);
    CU_ASSERT_EQUAL(FIRST("*12\r\n$4\r\nMSET\r\n"), PMO_PROTOCOL_REDIS);
    CU_ASSERT_EQUAL(FIRST("PING\r\n"), PMO_PROTOCOL_REDIS);
    CU_ASSERT_EQUAL(FIRST("get k\r\n"), PMO_PROTOCOL_MEMCACHED);
    CU_ASSERT_EQUAL(FIRST("version\r\n"), PMO_PROTOCOL_MEMCACHED);
    CU_ASSERT_EQUAL(FIRST("\0\0\0\x08\x04\xd2\x16\x2f"), PMO_PROTOCOL_POSTGRESQL);
    CU_ASSERT_EQUAL(FIRST("\0\0\0\x10\0\x03\0\0user\0a\0\0"), PMO_PROTOCOL_POSTGRESQL);
    CU_ASSERT_EQUAL(FIRST("\0\x11" DNS_QUESTION "\0\0\1\0\1"), PMO_PROTOCOL_DNS);
    CU_ASSERT_EQUAL(FIRST("\0\x12" DNS_QUESTION "\0\0\1\0\1"), PMO_PROTOCOL_DNS); /* not whole */
    CU_ASSERT_EQUAL(FIRST("\0\x11\x12\x34\x81\0\0\1\0\0\0\0\0\0\0\0\1\0\1"), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(FIRST("\0\x11"), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(FIRST("\0\0\0\x0d\0\x12\0\3\0\0\0\1\0\3kcat"), PMO_PROTOCOL_KAFKA);
    CU_ASSERT_EQUAL(FIRST("\0\0\0\x0c\0\x12\0\0\0\0\0\1\xff\xff  "), PMO_PROTOCOL_KAFKA);
    /* ZooKeeper */
    CU_ASSERT_EQUAL(FIRST("\0\0\0\x0c\0\0\0\0\0\0\0\0\0\0\0\0"), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(FIRST("GET / HTTP/1.1\r\n"), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(FIRST("PRI * HTTP/2.0\r\n"), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(FIRST("\x16\x03\x01\0\xf4\x01\0\0\xf0\x03\x03"), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(FIRST("SSH-2.0-x\r\n"), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(FIRST("*"), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(FIRST("\0\0\0\0\0\0\0\0"), PMO_PROTOCOL_UNKNOWN);
}

/* length, number, capabilities (4.1, and as said), greatest packet, character set, zeros */
#define MYSQL_ZEROS "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define MYSQL_LOGIN_BYTES(length, number, low, high)                                               \
    length "\0\0" number low high "\0\0\0\1\x2d" MYSQL_ZEROS
#define MYSQL_LOGGED_IN MYSQL_LOGIN_BYTES("\x25", "\1", "\x85\xa6", "\0\0") "root\0"
#define MYSQL_NO_EOF_IN MYSQL_LOGIN_BYTES("\x25", "\1", "\x85\xa6", "\0\1") "root\0"
#define MYSQL_NAMES_IN  MYSQL_LOGIN_BYTES("\x25", "\1", "\x85\xa6", "\0\x08") "root\0"
#define MYSQL_GREETING                                                                             \
    "\x28\0\0\0\x0a"                                                                               \
    "8.0.1\0"                                                                                      \
    "\1\0\0\0"                                                                                     \
    "abcdefgh\0"                                                                                   \
    "\xff\xff\x2d\2\0\xff\xdf\x15"                                                                 \
    "\0\0\0\0\0\0\0\0\0\0"                                                                         \
    "\0\0"

static void mysql_is_known_by_its_server_or_inside_tls_by_its_client(void)
{
    char greeting[] = MYSQL_GREETING, login[] = MYSQL_LOGGED_IN;

    CU_ASSERT_EQUAL(wire_greeting(greeting, sizeof(greeting) - 1), PMO_PROTOCOL_MYSQL);
    CU_ASSERT_EQUAL(wire_greeting(greeting, sizeof(greeting)), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(wire_greeting(greeting, 8), PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(wire_greeting("220 mail.example ESMTP ready, and so on\r\n", 41),
                    PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(wire_greeting("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n", 41),
                    PMO_PROTOCOL_UNKNOWN);
    CU_ASSERT_EQUAL(wire_first(login, sizeof(login) - 1), PMO_PROTOCOL_UNKNOWN);
    login[3] = 2;
    CU_ASSERT_EQUAL(wire_first(login, sizeof(login) - 1), PMO_PROTOCOL_MYSQL);
    CU_ASSERT_EQUAL(wire_first(login, 4), PMO_PROTOCOL_MYSQL);
    CU_ASSERT_EQUAL(wire_first(login, 20), PMO_PROTOCOL_UNKNOWN);
}

static void mysql_commands_have_the_names_of_their_statements(void)
{
    TELLS(PMO_PROTOCOL_MYSQL, false,
          MYSQL_LOGGED_IN "\x09\0\0\0\3select 1"
                          "\1\0\0\0\x0e"
                          "\x05\0\0\0\3\n (x"
                          "\x09\0\0\0\x16select ?"
                          "\x0a\0\0\0\x17\1\0\0\0\0\1\0\0\0"
                          "\5\0\0\0\x19\1\0\0\0"
                          "\1\0\0\0\3"
                          "\1\0\0\0\1",
          "CONNECT:16;SELECT:48;PING:32;X:48;PREPARE:80;EXECUTE:48;QUERY:48;");
    TELLS(PMO_PROTOCOL_MYSQL, false,
          MYSQL_NO_EOF_IN "\5\0\0\0\3set "
                          "\2\0\0\0\2t",
          "CONNECT:16;SET:56;INIT_DB:40;");
    /* what a client sends besides of a login, or of a file, is no command */
    TELLS(PMO_PROTOCOL_MYSQL, false,
          MYSQL_LOGGED_IN "\4\0\0\3\3pwd"
                          "\6\0\0\0\3load "
                          "\2\0\0\xff\3x"
                          "\2\0\0\0\3x"
                          "\0\0\0\1"
                          "\1\0\0\0\x0e",
          "CONNECT:16;LOAD:48;PING:32;");
    TELLS(PMO_PROTOCOL_MYSQL, false,
          MYSQL_NAMES_IN "\x0b\0\0\0\3\0\1SELECT 1"
                         "\x0b\0\0\0\3\1\1SELECT 1",
          "CONNECT:16;SELECT:48;QUERY:48;");
}

static void mysql_is_left_alone_where_it_cannot_be_read(void)
{
    TELLS(PMO_PROTOCOL_MYSQL, false, MYSQL_LOGIN_BYTES("\x20", "\1", "\x85\xae", "\0\0"), "tls;");
    /* compressed; 4.0; a replica */
    TELLS(PMO_PROTOCOL_MYSQL, false, MYSQL_LOGIN_BYTES("\x25", "\1", "\xa5\xa6", "\0\0") "root\0",
          "");
    TELLS(PMO_PROTOCOL_MYSQL, false, MYSQL_LOGIN_BYTES("\x25", "\1", "\x85\xa4", "\0\0") "root\0",
          "");
    TELLS(PMO_PROTOCOL_MYSQL, false,
          MYSQL_LOGGED_IN "\1\0\0\0\x12"
                          "\1\0\0\0\x0e",
          "CONNECT:16;");
}

#define MYSQL_OK     "\7\0\0\1\0\0\0\2\0\0\0"
#define MYSQL_ERR    "\x09\0\0\1\xff\x28\4#42000"
#define MYSQL_EOF    "\5\0\0\4\xfe\0\0\2\0"
#define MYSQL_COLUMN "\4\0\0\2\3def"

static void mysql_answers_end_as_they_were_asked_for(void)
{
    ANSWERS(PMO_PROTOCOL_MYSQL, 0, MYSQL_GREETING, ""); /* answers nothing */
    /* to a login, the server may ask once more */
    ANSWERS(PMO_PROTOCOL_MYSQL, 16,
            "\5\0\0\2\xfe"
            "a\0bc" MYSQL_OK MYSQL_ERR,
            "+;-;");
    ANSWERS(PMO_PROTOCOL_MYSQL, 32, MYSQL_OK MYSQL_ERR MYSQL_EOF, "+;-;+;");
    /* no rows; two rows, of which one begins as an EOF does; an error in the middle of them */
    ANSWERS(PMO_PROTOCOL_MYSQL, 48, MYSQL_OK "\1\0\0\1\1" MYSQL_COLUMN MYSQL_EOF MYSQL_EOF, "+;+;");
    ANSWERS(PMO_PROTOCOL_MYSQL, 48,
            "\1\0\0\1\2" MYSQL_COLUMN MYSQL_COLUMN MYSQL_EOF "\2\0\0\3\1x"
            "\x0a\0\0\4\xfe\0\0\0\0\0\0\0\0\0" MYSQL_EOF MYSQL_ERR,
            "+;-;");
    ANSWERS(PMO_PROTOCOL_MYSQL, 48,
            "\1\0\0\1\1" MYSQL_COLUMN MYSQL_EOF "\2\0\0\3\1x" MYSQL_ERR MYSQL_OK, "-;+;");
    /* without EOF between columns and rows; of MariaDB, with or without what columns are */
    ANSWERS(PMO_PROTOCOL_MYSQL, 56,
            "\1\0\0\1\1" MYSQL_COLUMN "\2\0\0\3\1x"
            "\7\0\0\4\xfe\0\0\2\0\0\0" MYSQL_OK,
            "+;+;");
    ANSWERS(PMO_PROTOCOL_MYSQL, 56,
            "\2\0\0\1\1\1" MYSQL_COLUMN "\2\0\0\3\1x"
            "\7\0\0\4\xfe\0\0\2\0\0\0"
            "\2\0\0\1\1\0"
            "\2\0\0\3\1x"
            "\7\0\0\4\xfe\0\0\2\0\0\0",
            "+;+;");
    /* more than one result; a cursor keeps the rows */
    ANSWERS(PMO_PROTOCOL_MYSQL, 48,
            "\1\0\0\1\1" MYSQL_COLUMN MYSQL_EOF "\5\0\0\4\xfe\0\0\x0a\0" MYSQL_OK, "+;");
    ANSWERS(PMO_PROTOCOL_MYSQL, 48, "\1\0\0\1\1" MYSQL_COLUMN "\5\0\0\4\xfe\0\0\x42\0" MYSQL_OK,
            "+;+;");
    ANSWERS(PMO_PROTOCOL_MYSQL, 64, "\2\0\0\1\1x\2\0\0\2\1x" MYSQL_EOF MYSQL_EOF, "+;+;");
    ANSWERS(PMO_PROTOCOL_MYSQL, 80,
            "\x0c\0\0\1\0\1\0\0\0\1\0\2\0\0\0\0" MYSQL_COLUMN MYSQL_COLUMN MYSQL_EOF MYSQL_COLUMN
                MYSQL_EOF "\x0c\0\0\1\0\1\0\0\0\0\0\0\0\0\0\0" MYSQL_ERR,
            "+;+;-;");
    /* a file of the client's is asked for; how far it is, an error is not */
    ANSWERS(PMO_PROTOCOL_MYSQL, 48,
            "\2\0\0\1\xfb"
            "f"
            "\7\0\0\1\xff\xff\xff\1\1\1x" MYSQL_OK,
            "+;");
}

static void dns_is_asked_for_types(void)
{
    TELLS(PMO_PROTOCOL_DNS, false,
          "\0\x18" DNS_QUESTION "\1a\4test\0\0\x1c\0\1"
          "\0\x11" DNS_QUESTION "\0\0\1\0\1"
          "\0\x11" DNS_QUESTION "\0\x12\x34\0\1"
          "\0\x0c\x12\x34\x28\0\0\1\0\0\0\0\0\0",
          "AAAA:1;A:1;OTHER:1;UPDATE:1;");
    /* names that end too late, or point elsewhere; and what is a response */
    TELLS(PMO_PROTOCOL_DNS, false,
          "\0\x11" DNS_QUESTION "\5abcd"
          "\0\x0c" DNS_QUESTION "\0\x11" DNS_QUESTION "\xc0\x0c\0\1\0"
          "\0\x11" DNS_QUESTION "\0\0\x0f\0\1"
          "\0\x0c\x12\x34\x81\0\0\1\0\0\0\0\0\0",
          "OTHER:1;OTHER:1;OTHER:1;MX:1;");
    ANSWERS(PMO_PROTOCOL_DNS, 1,
            "\0\x0c\x12\x34\x81\x80\0\0\0\0\0\0\0\0"
            "\0\x0d\x12\x34\x81\x83\0\0\0\0\0\0\0\0x"
            "\0\x0c\x12\x34\x81\x82\0\0\0\0\0\0\0\0"
            "\0\x0c\x12\x34\x81\x85\0\0\0\0\0\0\0\0",
            "+;!;-;!;");
    ANSWERS(PMO_PROTOCOL_DNS, 0, "\0\x0c\x12\x34\x81\x80\0\0\0\0\0\0\0\0", ""); /* a zone goes on */
}

static void kafka_says_nothing_of_what_wants_no_acknowledgement(void)
{
    TELLS(PMO_PROTOCOL_KAFKA, false,
          "\0\0\0\x0b\0\x12\0\3\0\0\0\1\0\1k"        /* ApiVersions */
          "\0\0\0\x0f\0\0\0\2\0\0\0\2\0\1k\0\1##"    /* Produce: of version 2, acknowledged, */
          "\0\0\0\x0f\0\0\0\2\0\0\0\3\0\1k\0\0##"    /* and not; */
          "\0\0\0\x10\0\0\0\7\0\0\0\4\0\1k\0\1t\0\0" /* of 7, with a transaction; */
          "\0\0\0\x0f\0\0\0\7\0\0\0\5\0\1k\xff\xff\xff\xff"
          "\0\0\0\x0f\0\0\0\x09\0\0\0\6\xff\xff\0\2t\0\0" /* of 9, with tags */
          "\0\0\0\x0e\0\0\0\x09\0\0\0\6\xff\xff\0\0\0\1"
          "\0\0\0\x08\0\1\0\x0b\0\0\0\7"
          "\0\0\0\x08\0\x16\0\4\0\0\0\x08"
          "\0\0\0\x08\0\x47\0\0\0\0\0\x08"
          "\0\0\0\x08\0\x5c\0\0\0\0\0\x08"
          "\0\0\0\x08\1\0\0\0\0\0\0\x09"
          "\0\0\0\x08\x7f\0\0\0\0\0\0\x0a",
          "ApiVersions:3;Produce:1;Produce:1;Produce:1;Fetch:7;InitProducerId:15;"
          "GetTelemetrySubscriptions:15;DeleteShareGroupOffsets:15;Other:1;");
    ANSWERS(PMO_PROTOCOL_KAFKA, 3,
            "\0\0\0\7\0\0\0\1\0\0#"
            "\0\0\0\6\0\0\0\1\0\x23"
            "\0\0\0\6\0\0\0\1\0\7",
            "+;+;-;");
    ANSWERS(PMO_PROTOCOL_KAFKA, 15,
            "\0\0\0\x0b\0\0\0\1\0\0\0\0\1\0\0"
            "\0\0\0\x0b\0\0\0\1\0\0\0\0\1\0\x0e"
            "\0\0\0\4\0\0\0\1",
            "+;-;+;");
    ANSWERS(PMO_PROTOCOL_KAFKA, 1, "\0\0\0\6\0\0\0\1\0\x0e", "+;");
    ANSWERS(PMO_PROTOCOL_KAFKA, 0, "\0\0\0\6\0\0\0\1\0\x0e", "");
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
               TEST(mysql_is_known_by_its_server_or_inside_tls_by_its_client),
               TEST(mysql_commands_have_the_names_of_their_statements),
               TEST(mysql_is_left_alone_where_it_cannot_be_read),
               TEST(mysql_answers_end_as_they_were_asked_for),
               TEST(dns_is_asked_for_types),
               TEST(kafka_says_nothing_of_what_wants_no_acknowledgement),
               TEST(redis_has_types_of_its_third_version),
               TEST(redis_takes_lines_too),
               TEST(memcached_is_told_with_its_blocks),
               TEST(postgresql_may_begin_with_a_wish_for_tls),
               {0}};
