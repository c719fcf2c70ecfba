/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/told.h"

#include "tests/unit/directory.h"

#define NOW   1000000
#define PATH  "other"
#define ASIDE PATH ".unreadable"
#define GOOD                                                                                       \
    "{\"id\":\"a\",\"kind\":\"k\",\"scope\":\"*\",\"start\":1000000,\"durationS\":1,\"strength\":" \
    "1.0,\"known\":1}"
#define TEXT "told \"twice\", \xc3\xa4"

static struct pmo_calendar *calendar(void)
{
    struct pmo_calendar *made;

    CU_ASSERT_EQUAL_FATAL(pmo_calendar_new(&made), 0);
    return made;
}

/* Those of a source, told @known. */
static void add(struct pmo_calendar *to, const char *id, uint16_t source, int64_t start,
                int64_t known)
{
    struct pmo_happening h = {.start = start,
                              .duration_s = 300,
                              .strength = 1.5F,
                              .source = source,
                              .kind = "sale",
                              .scope = "front"};

    pmo_happening_name(&h, id, "");
    CU_ASSERT_EQUAL(pmo_calendar_add(to, &h, known), 1);
}

static void what_was_told_is_known_after_a_restart(void)
{
    struct pmo_calendar *before = calendar(), *after = calendar();
    const struct pmo_happening *h;

    enter();
    add(before, TEXT, 0, NOW + 3600, NOW - 5);
    add(before, "of a feed", 1, NOW + 3600, NOW);
    add(before, "over for long", 0, NOW - PMO_CALENDAR_PAST_S, NOW - PMO_CALENDAR_PAST_S);
    CU_ASSERT_EQUAL(pmo_told_write(PATH, before), 0);
    CU_ASSERT_EQUAL(pmo_told_read(PATH, after, NOW + 1000), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_calendar_count(after), 1);
    h = pmo_calendar_at(after, 0);
    CU_ASSERT_STRING_EQUAL(h->id, TEXT);
    CU_ASSERT_STRING_EQUAL(h->kind, "sale");
    CU_ASSERT_STRING_EQUAL(h->scope, "front");
    CU_ASSERT_EQUAL(h->start, NOW + 3600);
    CU_ASSERT_EQUAL(h->known, NOW - 5);
    CU_ASSERT_EQUAL(h->duration_s, 300);
    CU_ASSERT_EQUAL(h->strength, 1.5F);
    CU_ASSERT_EQUAL(h->source, 0);
    pmo_calendar_free(&before);
    pmo_calendar_free(&after);
    leave();
}

static void where_nothing_was_told_there_is_no_file(void)
{
    struct pmo_calendar *empty = calendar();

    enter();
    CU_ASSERT_EQUAL(pmo_told_read(PATH, empty, NOW), 0);
    CU_ASSERT_EQUAL(pmo_calendar_count(empty), 0);
    CU_ASSERT_NOT_EQUAL(access(ASIDE, F_OK), 0);
    pmo_calendar_free(&empty);
    leave();
}

static void a_file_that_makes_no_sense_is_moved_aside_and_kept(void)
{
    static const char *const bad[] = {"",
                                      "[",
                                      "{}",
                                      "[3]",
                                      "[{\"id\": \"a\"}]",
                                      "[{\"id\":\"a\",\"kind\":\"k\",\"scope\":\"*\",\"start\":1,"
                                      "\"durationS\":-1,\"strength\":1.0,\"known\":1}]",
                                      "[{\"id\":\"a\",\"kind\":\"k\",\"scope\":\"*\",\"start\":1,"
                                      "\"durationS\":1,\"strength\":0.0,\"known\":1}]"};

    enter();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct pmo_calendar *empty = calendar();

        write_text(PATH, bad[i]);
        CU_ASSERT_EQUAL(pmo_told_read(PATH, empty, NOW), 0);
        CU_ASSERT_EQUAL(pmo_calendar_count(empty), 0);
        CU_ASSERT_EQUAL(unlink(ASIDE), 0);
        pmo_calendar_free(&empty);
    }
    leave();
}

static void rows_beside_one_that_makes_no_sense_are_kept(void)
{
    struct pmo_calendar *first = calendar(), *second = calendar();

    enter();
    write_text(PATH, "[{\"id\":\"b\"}," GOOD "]");
    CU_ASSERT_EQUAL(pmo_told_read(PATH, first, NOW), 0);
    CU_ASSERT_EQUAL(pmo_calendar_count(first), 1);
    CU_ASSERT_EQUAL(unlink(ASIDE), 0);
    CU_ASSERT_EQUAL(pmo_told_read(PATH, second, NOW), 0);
    CU_ASSERT_EQUAL(pmo_calendar_count(second), 1);
    CU_ASSERT_NOT_EQUAL(access(ASIDE, F_OK), 0);
    pmo_calendar_free(&first);
    pmo_calendar_free(&second);
    leave();
}

SUITE(told) = {
    TEST(what_was_told_is_known_after_a_restart),
    TEST(where_nothing_was_told_there_is_no_file),
    TEST(a_file_that_makes_no_sense_is_moved_aside_and_kept),
    TEST(rows_beside_one_that_makes_no_sense_are_kept),
    {0},
};
