/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Headers that policies name, as the kernel side's HTTP/2 parser finds them. */
#include "tests/unit/http2_world.h"
#include "agent/core.h"

static void headers_begin(void)
{
    headers_on = true;
    headers_rows = 15;
    put_preface(&stream, true);
    block.length = 0;
}

static void headers_end(const char *expected)
{
    expect(true, &stream, expected);
    headers_on = false;
    headers_rows = 0;
}

/* GET / with what is in `block`. */
static void put_get(__u32 id)
{
    put_byte(&block, 0x82);
    put_byte(&block, 0x84);
    put_headers(&stream, id);
}

static void named_headers_are_found_in_every_form(void)
{
    static const __u8 how[] = {0x40, 0x00, 0x10};

    for (__u8 form = 0; form < 12; form++) {
        headers_begin();
        put_literal(&block, how[form / 4], "x-tenant", form & 1, "acme", form & 2);
        put_get(1);
        if (how[form / 4] == 0x40) { /* the field again, and its name with another value */
            put_byte(&block, 0xbe);
            put_get(3);
            put_byte(&block, 0x7e);
            put_string(&block, "umbrella", 8, form & 2);
            put_get(5);
            put_byte(&block, 0xbe);
            put_get(7);
            put_byte(&block, 0xbf);
        } else {
            for (__u32 id = 3; id < 9; id += 2)
                put_get(id);
        }
        put_get(9);
        headers_end(how[form / 4] == 0x40
                        ? "1:GET / x-tenant=acme;3:GET / x-tenant=acme;5:GET / x-tenant=umbrella;"
                          "7:GET / x-tenant=umbrella;9:GET / x-tenant=acme;"
                        : "1:GET / x-tenant=acme;3:GET /;5:GET /;7:GET /;9:GET /;");
    }
}

static void named_headers_are_found_by_names_of_the_static_table(void)
{
    headers_begin();
    put_byte(&block, 0x41); /* :authority */
    put_string(&block, "acme", 4, true);
    put_byte(&block, 0x90); /* accept-encoding: gzip, deflate */
    put_get(1);
    put_byte(&block, 0xbe);
    put_byte(&block, 0x0f); /* accept-encoding */
    put_byte(&block, 0x01);
    put_string(&block, "umbrella", 8, false);
    put_get(3);
    put_byte(&block, 0x66); /* host */
    put_string(&block, "umbrella", 8, true);
    put_byte(&block, 0x7a); /* user-agent */
    put_string(&block, "acme", 4, true);
    put_byte(&block, 0x91); /* accept-language, which nobody names */
    put_get(5);
    put_byte(&block, 0xbf);
    put_byte(&block, 0xba); /* user-agent, of no value */
    put_get(7);
    put_literal(&block, 0x00, ":authority", true, "acme", true);
    put_literal(&block, 0x40, "user-agent-of-thirtyone-letters", false, "umbrella", false);
    put_get(9);
    headers_end("1:GET / accept-encoding=gzip, deflate host=acme;"
                "3:GET / accept-encoding=umbrella host=acme;"
                "5:GET / host=umbrella user-agent-of-thirtyone-letters=acme;"
                "7:GET / host=umbrella user-agent-of-thirtyone-letters=;"
                "9:GET / host=acme user-agent-of-thirtyone-letters=umbrella;");
}

static void the_agent_knows_the_names_of_the_static_table(void)
{
    nghttp2_hd_inflater *inflater;

    CU_ASSERT_FATAL(!nghttp2_hd_inflate_new(&inflater));
    for (size_t i = 15; i < HPACK_STATIC; i++) {
        const nghttp2_nv *nv = nghttp2_hd_inflate_get_table_entry(inflater, i);
        struct pmo_policy_header named = {.hash = true};
        struct pmo_header header;

        (void)snprintf(named.name, sizeof(named.name), "%.*s", (int)nv->namelen, nv->name);
        pmo_header_make(&header, &named, header_key);
        CU_ASSERT_EQUAL(header.http2_indices, i == 31   ? 0 /* of a kind of its own */
                                              : i == 38 ? 1ULL << 38 | 1ULL << 1
                                                        : 1ULL << i);
        CU_ASSERT_EQUAL(header.http2_name,
                        header_digest(i == 38 ? ":authority" : named.name, header_key));
    }
    nghttp2_hd_inflate_del(inflater);
}

static void values_are_those_of_http_1(void)
{
    for (int coded = 0; coded < 2; coded++) {
        headers_begin();
        put_literal(&block, 0x40, "x-tenant", coded, " \t a  b\t\tc  ", coded);
        put_get(1);
        put_literal(&block, 0x40, "x-tenant", coded, "m\xc3\xbcller", coded);
        put_get(3);
        put_literal(&block, 0x40, "x-tenant", coded, "", coded);
        put_get(5);
        put_literal(&block, 0x40, "x-tenant", coded, "Acme", coded);
        put_get(7);
        put_literal(&block, 0x40, "x-tenant", coded, "acme", coded); /* the first one counts */
        put_byte(&block, 0xbf);
        put_literal(&block, 0x40, "x-tenant", coded, "umbrella", coded);
        put_get(9);
        headers_end("1:GET / x-tenant=a b c;3:GET / x-tenant=m\xc3\xbcller;5:GET / x-tenant=;"
                    "7:GET / x-tenant={other};9:GET / x-tenant=acme;");
    }
}

static void headers_that_look_alike_are_others(void)
{
    static const char *const names[] = {
        "x-tenant-id",
        "x-tenan",
        "x",
        "X-Tenant",
        "ax-tenant",
        "y-tenant",
        "",
        "user-agent-of-thirtyone-letters1",
        "x-tenant-with-a-name-that-is-much-longer-than-any-that-is"};

    for (int coded = 0; coded < 2; coded++) {
        headers_begin();
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            put_literal(&block, i & 1 ? 0x40 : 0x00, names[i], coded, "acme", false);
        put_get(1);
        headers_end("1:GET /;");
    }
    headers_begin();
    headers_rows = 2; /* another service's */
    put_literal(&block, 0x40, "x-tenant", true, "acme", true);
    put_byte(&block, 0x90);
    put_get(1);
    put_byte(&block, 0xbe);
    put_get(3);
    headers_end("1:GET / accept-encoding=gzip, deflate;3:GET /;");
    for (int on = 0; on < 2; on++) {
        headers_begin();
        headers_on = on;
        headers_rows = on ? 0 : 15;
        put_literal(&block, 0x40, "x-tenant", true, "acme", true);
        put_get(1);
        put_byte(&block, 0xbe);
        put_get(3);
        headers_end("1:GET /;3:GET /;");
    }
}

static void a_long_value_is_one_value(void)
{
    static char value[16001];

    memset(value, 'v', sizeof(value) - 1);
    for (int coded = 0; coded < 2; coded++) {
        headers_begin();
        put_byte(&block, 0x82);
        put_literal(&block, 0x00, "x-tenant", coded, value, coded);
        put_headers(&stream, 1);
        see_begin(true);
        for (size_t at = 0; at < stream.length; at += 1448)
            feed(&seen, stream.at + at, stream.length - at < 1448 ? stream.length - at : 1448);
        CU_ASSERT_EQUAL(http2_value(&seen.parser, HPACK_NAMED),
                        1U << HPACK_ROW_BITS | reference_row(value, strlen(value)));
    }
    headers_on = false;
}

static void headers_follow_the_table_they_are_in(void)
{
    headers_begin();
    put_literal(&block, 0x40, "x-tenant", true, "acme", true); /* 44 bytes */
    put_get(1);
    put_integer(&block, 0x20, 0x1f, 100);
    put_literal(&block, 0x40, "x-tenant", false, "umbrella", true); /* 48 */
    put_get(3);
    put_byte(&block, 0xbf); /* neither has gone */
    put_get(5);
    put_byte(&block, 0x20); /* now both have */
    put_get(7);
    put_byte(&block, 0xbe);
    put_get(9);
    headers_end(
        "1:GET / x-tenant=acme;3:GET / x-tenant=umbrella;5:GET / x-tenant=acme;7:GET /;broken;");

    headers_begin(); /* beyond the ring it is not known, */
    put_integer(&block, 0x20, 0x1f, 65536);
    put_literal(&block, 0x40, "x-tenant", true, "acme", true);
    put_get(1);
    for (__u32 i = 0; i < HPACK_RING; i++)
        put_literal(&block, 0x40, "x", false, "y", false);
    put_get(3);
    put_integer(&block, 0x80, 0x7f, HPACK_STATIC + HPACK_RING);
    put_get(5);
    put_integer(&block, 0x40, 0x3f, HPACK_STATIC + HPACK_RING);
    put_string(&block, "acme", 4, false);
    put_get(7);
    put_literal(&block, 0x40, "x-tenant", true, "umbrella", true); /* but in it, it is */
    put_get(9);
    see_begin(true);
    feed(&seen, stream.at, stream.length);
    (void)see_is("1:GET / x-tenant=acme;3:GET /;5:GET /?;7:GET /?;9:GET / x-tenant=umbrella;",
                 "ring", 0);
    headers_on = false;

    stream.length = 0; /* and what was there before a join is not, either */
    headers_on = true;
    put_byte(&block, 0xbe);
    put_byte(&block, 0x7e);
    put_string(&block, "acme", 4, false);
    put_literal(&block, 0x40, "x-tenant", true, "umbrella", true);
    put_get(11);
    put_byte(&block, 0xbe);
    put_get(13);
    see_begin(true);
    http2_join(&seen.parser);
    feed(&seen, stream.at, stream.length);
    (void)see_is("11:GET / x-tenant=umbrella?;13:GET / x-tenant=umbrella;", "joined", 0);
    headers_on = false;
    headers_rows = 0;
}

/* An agent with other policies comes, while the connection goes on. */
static void no_header_is_counted_by_the_name_of_another(void)
{
    const size_t at = strlen(PREFACE) + 9 + 9; /* of the first block */
    size_t first, cut;

    headers_begin();
    put_literal(&block, 0x40, "x-tenant", true, "acme", true);
    put_get(1);
    first = stream.length;
    put_byte(&block, 0xbe); /* what it is, is not known any more */
    put_byte(&block, 0x7e);
    put_string(&block, "umbrella", 8, false);
    put_get(3);
    put_literal(&block, 0x40, "x-tenant", true, "umbrella", true);
    put_get(5);
    put_byte(&block, 0xbe);
    put_get(7);
    see_begin(true);
    feed(&seen, stream.at, first);
    headers_epoch++;
    feed(&seen, stream.at + first, stream.length - first);
    (void)see_is(
        "1:GET / x-tenant=acme;3:GET /;5:GET / x-tenant=umbrella;7:GET / x-tenant=umbrella;",
        "epoch", 0);
    for (cut = at; cut < first; cut++) { /* in the middle of a block: all of it, or nothing */
        see_begin(true);
        feed(&seen, stream.at, cut);
        headers_epoch++;
        feed(&seen, stream.at + cut, stream.length - cut);
        (void)see_is(strncmp(seen.text, "1:GET / x-tenant=acme;", 22) != 0
                         ? "1:GET /;3:GET /;5:GET / x-tenant=umbrella;7:GET / x-tenant=umbrella;"
                         : "1:GET / x-tenant=acme;3:GET / x-tenant=acme;"
                           "5:GET / x-tenant=umbrella;7:GET / x-tenant=umbrella;",
                     "epoch at", cut);
    }
    headers_on = false;
    headers_rows = 0;
}

SUITE(http2_headers) = {TEST(named_headers_are_found_in_every_form),
                        TEST(named_headers_are_found_by_names_of_the_static_table),
                        TEST(the_agent_knows_the_names_of_the_static_table),
                        TEST(values_are_those_of_http_1),
                        TEST(headers_that_look_alike_are_others),
                        TEST(a_long_value_is_one_value),
                        TEST(headers_follow_the_table_they_are_in),
                        TEST(no_header_is_counted_by_the_name_of_another),
                        {0}};
