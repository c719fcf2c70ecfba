/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: bpf/wire.h and its protocols.
 *
 * The first byte of the input chooses the protocol, whose bytes the rest are, and what was asked
 * for. However they are cut into segments, the parser must say the same of them; and it must say
 * what a reference says that has all of them at once: hiredis of Redis's responses (RESP2, and from
 * its version 1 on RESP3), and for the others one that is written here with no regard for how bytes
 * come.
 * What the reference rejects, or does not see the end of, is left out: what came before it counts.
 */
#include <hiredis/hiredis.h>
#include <linux/types.h>
#include <stdbool.h>
#include <string.h>
#include "tests/fuzz/input.h"
#include "tests/unit/wire_reference.h"

#define INPUT_MAX 4000

#ifdef REDIS_REPLY_PUSH
#define REPLY_PUSH REDIS_REPLY_PUSH
#else
#define REPLY_PUSH (-1) /* this hiredis knows none */
#endif

/* What was told, as text: "SET;" for a request, "+;" and "-;" for answers. */
static struct wire_seen whole, cut;
static char expected[WIRE_SEEN_MAX];
static size_t expected_length;

static void expect(const char *what, size_t length)
{
    if (length > WIRE_NAME && whole.parser.protocol != PMO_PROTOCOL_KAFKA)
        length = WIRE_NAME;
    if (expected_length + length + 8 > sizeof(expected))
        return;
    for (size_t i = 0; i < length; i++) {
        char c = what[i];
        bool lower = c >= 'a' && c <= 'z' && whole.parser.protocol != PMO_PROTOCOL_KAFKA;

        expected[expected_length++] = (char)(lower ? c - 32 : c);
    }
    expected[expected_length++] = ';';
    expected[expected_length] = 0;
}

/* ---- references ------------------------------------------------------------------------------ */

static void refer_redis_responses(void)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;

    REQUIRE(reader);
    /* byte by byte: of what comes before an error, it tells then all */
    for (size_t at = 0; at < input_length; at++) {
        if (redisReaderFeed(reader, (const char *)input + at, 1) != REDIS_OK ||
            redisReaderGetReply(reader, &reply) != REDIS_OK)
            break;
        if (!reply)
            continue;
        if (((redisReply *)reply)->type != REPLY_PUSH) /* nobody asked for that */
            expect(((redisReply *)reply)->type == REDIS_REPLY_ERROR ? "-" : "+", 1);
        freeReplyObject(reply);
        reply = NULL;
    }
    redisReaderFree(reader);
}

/* A line from @at on, without its end: its length; -1: it has none. */
static long line_at(size_t at, size_t *next)
{
    const unsigned char *end =
        at < input_length ? memchr(input + at, '\n', input_length - at) : NULL;
    size_t length;

    if (!end)
        return -1;
    length = (size_t)(end - input) - at;
    *next = at + length + 1;
    return (long)(length && end[-1] == '\r' ? length - 1 : length);
}

/* A decimal number that is all of @length bytes; -1: it is none. */
static long number_at(size_t at, long length)
{
    long n = 0;

    if (length < 1 || length > 6)
        return -1;
    for (long i = 0; i < length; i++) {
        if (input[at + (size_t)i] < '0' || input[at + (size_t)i] > '9')
            return -1;
        n = n * 10 + (input[at + (size_t)i] - '0');
    }
    return n;
}

static void refer_redis_requests(void)
{
    size_t at = 0, next;

    while (at < input_length) {
        size_t name = 0, name_length = 0;
        long length = line_at(at, &next), count;

        if (length < 0 || input[at] != '*')
            return;
        count = number_at(at + 1, length - 1);
        if (count < 1)
            return;
        at = next;
        for (long i = 0; i < count; i++) {
            long bytes;

            length = line_at(at, &next);
            if (length < 0 || input[at] != '$')
                return;
            bytes = number_at(at + 1, length - 1);
            if (bytes < 0 || (!i && !bytes) || next + (size_t)bytes + 2 > input_length)
                return;
            if (!i) {
                name = next;
                name_length = (size_t)bytes;
            }
            at = next + (size_t)bytes + 2;
        }
        if (name_length > WIRE_NAME || memchr(input + name, 0, name_length))
            return; /* it is a text in the kernel */
        for (size_t k = 0; k < sizeof(wire_over) / sizeof(wire_over[0]); k++)
            if (name_length >= strlen(wire_over[k]) &&
                !strncasecmp((const char *)input + name, wire_over[k], strlen(wire_over[k])))
                return;
        expect((const char *)input + name, name_length);
    }
}

static __u32 big_endian(size_t at)
{
    return (__u32)input[at] << 24 | (__u32)input[at + 1] << 16 | (__u32)input[at + 2] << 8 |
           input[at + 3];
}

/* The first word of a query of @length bytes. */
static void first_word(size_t at, size_t length, char word[WIRE_NAME + 1])
{
    size_t n = 0;

    while (length &&
           (input[at] == ' ' || input[at] == '\n' || input[at] == '\t' || input[at] == '('))
        at++, length--;
    while (length && ((input[at] | 32) >= 'a' && (input[at] | 32) <= 'z')) {
        if (n < WIRE_NAME)
            word[n++] = (char)input[at];
        at++, length--;
    }
    word[n] = 0;
}

static void refer_postgresql_requests(void)
{
    char word[WIRE_NAME + 1] = "";
    bool named = false;
    size_t at = 0;

    for (;;) {
        if (at + 8 > input_length)
            return;
        if (big_endian(at + 4) != 80877103 && big_endian(at + 4) != 80877104)
            break;
        at += 8;
    }
    if ((big_endian(at + 4) & ~15U) != 0x30000 || big_endian(at) < 8 || big_endian(at) > 10008 ||
        at + big_endian(at) > input_length)
        return;
    expect("STARTUP", 7);
    at += big_endian(at);
    while (at + 5 <= input_length) {
        size_t length = big_endian(at + 1), text = at + 5, left = length - 4;

        if (length < 4 || length > 1 << 30 || at + 1 + length > input_length)
            return;
        switch (input[at]) {
        case 'P': {
            const unsigned char *end = memchr(input + text, 0, left);

            word[0] = 0;
            if (end)
                first_word((size_t)(end - input) + 1, left - (size_t)(end - input - text) - 1,
                           word);
            named = true;
            break;
        }
        case 'Q':
            first_word(text, left, word);
            if (word[0])
                expect(word, strlen(word));
            else
                expect("QUERY", 5);
            named = false;
            break;
        case 'F':
            expect("FUNCTION", 8);
            named = false;
            break;
        case 'S':
            if (named && word[0])
                expect(word, strlen(word));
            else
                expect("EXECUTE", 7);
            named = false;
            break;
        }
        at += 1 + length;
    }
}

static void refer_postgresql_responses(void)
{
    bool failed = false;
    size_t at = 0;

    while (at < input_length && input[at] == 'N')
        at++;
    if (at < input_length && (input[at] == 'S' || input[at] == 'G'))
        return;
    while (at + 5 <= input_length) {
        size_t length = big_endian(at + 1);

        if (length < 4 || length > 1 << 30 || at + 1 + length > input_length)
            return;
        failed |= input[at] == 'E';
        if (input[at] == 'Z') {
            expect(failed ? "-" : "+", 1);
            failed = false;
        }
        at += 1 + length;
    }
}

static __u32 little_endian(size_t at, size_t bytes)
{
    __u32 n = 0;

    while (bytes--)
        n = n << 8 | input[at + bytes];
    return n;
}

/* A name, and what is asked for. */
static void expect_asking(const char *name, __u32 asked)
{
    expect(name, strlen(name));
    expected_length--; /* its end comes later */
    expected_length += (size_t)snprintf(expected + expected_length,
                                        sizeof(expected) - expected_length, ":%u;", asked);
}

/* A packet at @at, of which all is there: its payload; 0: there is none. */
static size_t mysql_packet(size_t at, size_t *length)
{
    if (at + 4 > input_length)
        return 0;
    *length = little_endian(at, 3);
    return at + 4 + *length <= input_length ? at + 4 : 0;
}

static void refer_mysql_requests(void)
{
    static const struct {
        unsigned char code;
        __u8 asked;
        const char *name;
    } commands[] = {{0x02, 32, "INIT_DB"}, {0x03, 48, "QUERY"},   {0x04, 64, "FIELDS"},
                    {0x09, 32, "STATUS"},  {0x0a, 48, "PROCESS"}, {0x0c, 32, "KILL"},
                    {0x0e, 32, "PING"},    {0x11, 16, "CONNECT"}, {0x16, 80, "PREPARE"},
                    {0x17, 48, "EXECUTE"}, {0xfa, 48, "EXECUTE"}, {0x1a, 32, "RESET"},
                    {0x1f, 32, "RESET"},   {0x1b, 32, "OPTION"},  {0x1c, 64, "FETCH"}};
    size_t length, at = mysql_packet(0, &length), known = sizeof(commands) / sizeof(commands[0]);
    bool wraps = false;
    __u32 can;

    if (!at || !input[3] || input[3] > 2 || length < 32)
        return;
    can = little_endian(at, 4);
    if ((can & 1 << 11 && length == 32) || !(can & 1 << 9) || can & (1 << 5 | 1 << 25 | 1 << 26))
        return;
    expect_asking("CONNECT", 16);
    for (at += length; (at = mysql_packet(at, &length)); at += length) {
        bool goes_on = input[at - 1] || wraps;
        char word[WIRE_NAME + 1];
        size_t i;

        wraps = input[at - 1] == 255 && length;
        if (goes_on)
            continue;
        if (!length || input[at] == 0x12 || input[at] == 0x13 || input[at] == 0x1e)
            return;
        if (input[at] == 0x01 || input[at] == 0x18 || input[at] == 0x19)
            continue;
        for (i = 0; i < known && commands[i].code != input[at];)
            i++;
        (void)snprintf(word, sizeof(word), "%s", i < known ? commands[i].name : "COMMAND");
        if (input[at] == 0x03) {
            size_t text = can & 1 << 27 ? 3 : 1;

            word[0] = 0;
            if (length > text && (text == 1 || !input[at + 1]))
                first_word(at + text, length - text, word);
            if (!word[0])
                (void)snprintf(word, sizeof(word), "QUERY");
        }
        expect_asking(word, (i < known ? commands[i].asked : 32U) | (can >> 24 & 1 ? 8 : 0));
    }
}

/* The status of a packet of two kinds; 0: it has none. */
static __u32 mysql_status_at(size_t at, size_t length, bool ok)
{
    size_t end = at + length;

    at++;
    for (int i = 0; ok && i < 2; i++) {
        if (at >= end)
            return 0;
        at += 1 + (input[at] == 0xfc ? 2U : input[at] == 0xfd ? 3U : input[at] == 0xfe ? 8U : 0U);
    }
    at += ok ? 0 : 2;
    return at < end ? input[at] : 0;
}

/* One answer at *at. Returns false where it does not end, or makes no sense. */
static bool mysql_answer(size_t *at, __u32 kind, bool no_eof, bool *failed)
{
    size_t descriptions = 0, length;
    bool rows = kind == 64;

    *failed = false;
    for (;; *at += length) {
        unsigned char c;

        do {
            *at = mysql_packet(*at, &length);
        } while (*at && !length);
        if (!*at)
            return false;
        c = input[*at];
        if (descriptions) {
            bool last = !--descriptions;

            if (last && kind == 80)
                break;
            rows = last;
            if (last && !no_eof) {
                __u32 status = length > 1 ? mysql_status_at(*at, length, false) : 0;

                if (length == 1 || (status & 0x48) == 0x40)
                    break;
                rows = !(status & 0x40);
            }
            continue;
        }
        if (c == 0xff) {
            if (length >= 3 && input[*at + 1] == 0xff && input[*at + 2] == 0xff)
                continue;
            *failed = true;
            break;
        }
        if (rows) {
            if (c != 0xfe || (!no_eof && length >= 9))
                continue;
            if (!(mysql_status_at(*at, length, no_eof) & 8) || length == 1)
                break;
            rows = kind == 64;
            continue;
        }
        if (kind == 32 || (kind == 16 && !c))
            break;
        if (kind == 16 || (kind == 48 && c == 0xfb))
            continue;
        if (kind == 80) {
            __u32 columns, parameters;

            if (c || length < 9)
                return false;
            columns = little_endian(*at + 5, 2);
            parameters = little_endian(*at + 7, 2);
            descriptions = columns + parameters;
            if (!no_eof)
                descriptions += (columns > 0) + (parameters > 0);
            if (!descriptions)
                break;
            continue;
        }
        if (!c) {
            if (!(mysql_status_at(*at, length, true) & 8))
                break;
            continue;
        }
        if (c > 0xfc || (c == 0xfc && length < 3))
            return false;
        descriptions = c == 0xfc ? little_endian(*at + 1, 2) : c;
        if (length > (c == 0xfc ? 3 : 1) && !input[*at + (c == 0xfc ? 3 : 1)])
            descriptions = 0;
        descriptions += !no_eof;
        rows = !descriptions;
    }
    *at += length;
    return true;
}

static void refer_mysql_responses(__u16 asked)
{
    size_t at = 0;
    bool failed;

    while (mysql_answer(&at, asked & ~8U, asked & 8, &failed))
        expect(failed ? "-" : "+", 1);
}

static __u32 big_endian_16(size_t at)
{
    return (__u32)input[at] << 8 | input[at + 1];
}

/* Type of the question of a whole message; 0: there is none. */
static __u32 dns_question(size_t at, size_t length)
{
    size_t end = at + length;

    for (at += 12; at < end && input[at] && input[at] < 64;)
        at += 1 + input[at];
    return at < end && !input[at] && at + 3 <= end ? big_endian_16(at + 1) : 0;
}

static void refer_dns_requests(void)
{
    static const struct {
        __u32 type;
        const char *name;
    } types[] = {{1, "A"},      {2, "NS"},      {5, "CNAME"}, {6, "SOA"},   {12, "PTR"},
                 {15, "MX"},    {16, "TXT"},    {28, "AAAA"}, {33, "SRV"},  {35, "NAPTR"},
                 {43, "DS"},    {48, "DNSKEY"}, {52, "TLSA"}, {64, "SVCB"}, {65, "HTTPS"},
                 {251, "IXFR"}, {252, "AXFR"},  {255, "ANY"}, {257, "CAA"}};
    size_t length;

    for (size_t at = 0; at + 2 <= input_length; at += 2 + length) {
        const char *name = "OTHER";
        __u32 opcode;

        length = big_endian_16(at);
        if (length < 12 || at + 2 + length > input_length || input[at + 4] & 0x80)
            return;
        opcode = input[at + 4] >> 3 & 15;
        for (size_t i = 0; !opcode && i < sizeof(types) / sizeof(types[0]); i++)
            if (types[i].type == dns_question(at + 2, length))
                name = types[i].name;
        expect_asking(opcode == 4 ? "NOTIFY" : opcode == 5 ? "UPDATE" : name, 1);
    }
}

static void refer_dns_responses(void)
{
    for (size_t at = 0, length; at + 2 <= input_length; at += 2 + length) {
        length = big_endian_16(at);
        if (length < 12 || at + 2 + length > input_length)
            return;
        expect(&"+!-!-!!!!!!-----"[input[at + 5] & 15], 1);
    }
}

/* A message by itself, as over UDP: what its name is. */
static void check_dns_datagram(void)
{
    static struct http1_chunk chunk;
    __u32 n = input_length < HTTP1_CHUNK ? (__u32)input_length : HTTP1_CHUNK;
    __u64 name, expected_name;

    memset(&chunk, 0, sizeof(chunk));
    memcpy(chunk.buf, input, n);
    if (n < DNS_LEAST_BYTES || !dns_asks(chunk.buf))
        return;
    name = dns_name(chunk.buf, n);
    expected_name =
        input[2] >> 3 ? dns_opcode_name(input[2] >> 3) : dns_type_name(dns_question(0, n));
    REQUIRE(name == expected_name);
    REQUIRE(wire_letters(name) == strnlen((const char *)&name, sizeof(name)));
}

static void refer_kafka_requests(void)
{
    size_t length;

    for (size_t at = 0; at + 4 <= input_length; at += 4 + length) {
        __u32 api, version, asked = 1;
        size_t to, text = 0;

        length = big_endian(at);
        if (length < 8 || at + 4 + length > input_length)
            return;
        api = big_endian_16(at + 4);
        version = big_endian_16(at + 6);
        if (api > 1024 || version > 127)
            return;
        if (api > KAFKA_OTHER)
            api = KAFKA_OTHER;
        if (version >= kafka_apis[api].code && version < kafka_apis[api].code_end)
            asked |= 2U | (version >= kafka_apis[api].throttle ? 4U : 0U) |
                     (version >= kafka_apis[api].tags ? 8U : 0U);
        /* acknowledgements of a Produce: behind the client's name, tags, a transaction's name */
        to = at + 12;
        if (!api && to + 2 <= at + 4 + length) {
            text = big_endian_16(to);
            to += 2 + (text == 0xffff ? 0 : text);
            if (version >= 9 && to < at + 4 + length)
                to = input[to] ? input_length : to + 1;
            if (version >= 9 && to < at + 4 + length)
                to = input[to] > 127 ? input_length : to + 1 + (input[to] ? input[to] - 1U : 0U);
            else if (version >= 3 && version < 9 && to + 2 <= at + 4 + length)
                to += 2 + (big_endian_16(to) == 0xffff ? 0 : big_endian_16(to));
            else if (version >= 3)
                to = input_length;
            if (to + 2 <= at + 4 + length && !big_endian_16(to))
                continue;
        }
        expect_asking(kafka_apis[api].name, asked);
    }
}

static void refer_kafka_responses(__u16 asked)
{
    for (size_t at = 0, length; at + 4 <= input_length; at += 4 + length) {
        size_t code = at + 8 + (asked & 8 ? 1U : 0U) + (asked & 4 ? 4U : 0U);

        length = big_endian(at);
        if (length < 4 || length > 1 << 30 || at + 4 + length > input_length)
            return;
        if (!(asked & 2) || code + 2 > at + 4 + length || !big_endian_16(code) ||
            big_endian_16(code) == 27 || big_endian_16(code) == 35 || big_endian_16(code) == 79)
            expect("+", 1);
        else
            expect("-", 1);
    }
}

/* ---- ours ------------------------------------------------------------------------------------ */

static void feed_in_pieces(struct wire_seen *s)
{
    for (size_t at = 0, n; at < input_length; at += n) {
        n = choose_piece(input_length - at);
        wire_feed(s, input + at, n);
    }
}

/* What every request asks for that is answered, by four bits. */
static __u16 asks(__u8 protocol, __u8 choice)
{
    return protocol == PMO_PROTOCOL_MYSQL   ? (1 + choice % 8 % 5) << 4 | (choice & 8)
           : protocol == PMO_PROTOCOL_KAFKA ? choice | 1
                                            : 1;
}

int LLVMFuzzerTestOneInput(const __u8 *bytes, size_t length);

int LLVMFuzzerTestOneInput(const __u8 *bytes, size_t length)
{
    static const __u8 protocols[] = {PMO_PROTOCOL_REDIS,     PMO_PROTOCOL_POSTGRESQL,
                                     PMO_PROTOCOL_MEMCACHED, PMO_PROTOCOL_MYSQL,
                                     PMO_PROTOCOL_DNS,       PMO_PROTOCOL_KAFKA};
    bool response;
    __u8 protocol;

    if (length < 2 || length > INPUT_MAX)
        return 0;
    response = bytes[0] & 1;
    protocol = protocols[(bytes[0] >> 1 & 7) % (sizeof(protocols) / sizeof(protocols[0]))];
    input_begin(bytes + 1, length - 1);
    (void)wire_first(input, input_length);
    (void)wire_greeting(input, input_length);
    check_dns_datagram();
    wire_see(&whole, protocol, response);
    whole.asked = asks(protocol, bytes[0] >> 4);
    for (size_t at = 0; at < input_length; at++)
        wire_feed(&whole, input + at, 1);
    wire_see(&cut, protocol, response);
    cut.asked = whole.asked;
    feed_in_pieces(&cut);
    REQUIRE(!strcmp(whole.text, cut.text));

    expected_length = 0;
    expected[0] = 0;
    if (protocol == PMO_PROTOCOL_REDIS)
        response ? refer_redis_responses() : refer_redis_requests();
    else if (protocol == PMO_PROTOCOL_POSTGRESQL)
        response ? refer_postgresql_responses() : refer_postgresql_requests();
    else if (protocol == PMO_PROTOCOL_MYSQL)
        response ? refer_mysql_responses(whole.asked) : refer_mysql_requests();
    else if (protocol == PMO_PROTOCOL_DNS)
        response ? refer_dns_responses() : refer_dns_requests();
    else if (protocol == PMO_PROTOCOL_KAFKA)
        response ? refer_kafka_responses(whole.asked) : refer_kafka_requests();
    if (!strncmp(whole.text, expected, expected_length))
        return 0;
    (void)fprintf(stderr, "expected: %s\nours: %s\n", expected, whole.text);
    abort();
}
