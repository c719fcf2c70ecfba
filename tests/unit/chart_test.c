/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Charts in a terminal: what is drawn for which values. */
#include "tests/unit/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "tools/pmoctl/chart.h"

static char *drawn(struct pmoctl_chart chart)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    CU_ASSERT_FATAL(out != NULL);
    pmoctl_chart_print(&chart, out);
    (void)fclose(out);
    return text;
}

static void expect(struct pmoctl_chart chart, const char *wanted)
{
    _cleanup_free_ char *text = drawn(chart);

    if (strcmp(text, wanted) != 0)
        printf("\n%s", text);
    CU_ASSERT_STRING_EQUAL(text, wanted);
}

/* The top is 16, so a row is 8, and an eighth of it 1. */
static const double past[] = {0, 1, NAN, 8, 12, 16}, median[] = {8, 3, 0, 4, 4, 4},
                    high[] = {16, 8, 2, 16, 12, 4};
static const struct pmoctl_chart tiny = {
    .past = past,
    .past_count = 6,
    .median = median,
    .high = high,
    .future_count = 6,
    .rows = 2,
};

static void values_are_blocks_and_what_lies_above_is_lighter(void)
{
    struct pmoctl_chart chart = tiny;

    chart.unicode = true;
    expect(chart, "      16     ▄█│░  ░░ \n"
                  "       0 ▁▁ ███│█▃▁▄▄▄\n"
                  "         -6s  now  +6s\n");
}

static void without_utf_8_it_is_ascii(void)
{
    expect(tiny, "      16     ##|.  .. \n"
                 "       0 __ ###|#._###\n"
                 "         -6s  now  +6s\n");
}

static size_t longest_line(const char *text)
{
    size_t longest = 0;

    for (; *text; text += strcspn(text, "\n") + 1)
        longest = strcspn(text, "\n") > longest ? strcspn(text, "\n") : longest;
    return longest;
}

static void it_fits_the_terminal_and_shows_the_peaks(void)
{
    static const unsigned int columns[] = {0, 40, 79, 80, 131, 200};
    double values[60] = {[30] = 50}, low[60] = {[59] = 10};
    struct pmoctl_chart chart = {.past = values,
                                 .past_count = 60,
                                 .median = low,
                                 .high = low,
                                 .future_count = 60,
                                 .rows = 5};

    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        _cleanup_free_ char *text = NULL;

        chart.columns = columns[i];
        text = drawn(chart);
        CU_ASSERT(longest_line(text) <= (columns[i] > 40 ? columns[i] : 40));
        CU_ASSERT(!strncmp(text, "      50 ", 9));
        CU_ASSERT_EQUAL(strcspn(text, "#") < strcspn(text, "|"), true); /* the peak, on top */
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "_#\n"));                   /* the last second */
    }
}

static void nothing_known_is_an_empty_chart(void)
{
    static const double none[] = {NAN, NAN};

    expect((struct pmoctl_chart){.past = none,
                                 .past_count = 2,
                                 .median = none,
                                 .high = none,
                                 .future_count = 2,
                                 .rows = 2},
           "     1.0   |  \n"
           "       0   |  \n"
           "         -2snow+2s\n");
}

SUITE(chart) = {
    TEST(values_are_blocks_and_what_lies_above_is_lighter),
    TEST(without_utf_8_it_is_ascii),
    TEST(it_fits_the_terminal_and_shows_the_peaks),
    TEST(nothing_known_is_an_empty_chart),
    {0},
};
