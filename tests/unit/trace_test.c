/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading traces from real files: what is a trace, and what is said of what is none. */
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "agent/base/log.h"
#include "tools/pmoctl/trace.h"

static char path[64];

static void write_file(const char *bytes, size_t count)
{
    int fd;

    (void)snprintf(path, sizeof(path), "/tmp/pmo-trace-test.XXXXXX");
    fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, bytes, count), (ssize_t)count);
    (void)close(fd);
}

/* Writes @text gzipped, without its last @cut bytes; fewer bytes than that cannot be there. */
static void write_gzip(const char *text, size_t cut)
{
    struct stat status;
    gzFile file;

    write_file("", 0);
    file = gzopen(path, "wb");
    CU_ASSERT_FATAL(file != NULL);
    CU_ASSERT_EQUAL(gzwrite(file, text, (unsigned int)strlen(text)), (int)strlen(text));
    (void)gzclose(file);
    CU_ASSERT_EQUAL_FATAL(stat(path, &status), 0);
    CU_ASSERT_EQUAL(truncate(path, status.st_size - (off_t)cut), 0);
}

/* Reads the file, catching what is logged, and removes it. */
static int read_file(struct pmo_trace *trace, char message[512])
{
    int saved = dup(STDERR_FILENO), ends[2], r;
    ssize_t length;

    CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    (void)dup2(ends[1], STDERR_FILENO);
    r = pmo_trace_read(trace, path);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    (void)close(ends[1]);
    length = read(ends[0], message, 511);
    message[length > 0 ? length : 0] = '\0';
    (void)close(ends[0]);
    (void)unlink(path);
    return r;
}

/* One line that begins with the file and @line (0: none) and says @what. */
static void expect_refused(const char *line, const char *what)
{
    struct pmo_trace trace = {0};
    char message[512], where[100];

    CU_ASSERT_EQUAL(read_file(&trace, message), -EINVAL);
    CU_ASSERT_PTR_NULL(trace.requests);
    (void)snprintf(where, sizeof(where), "error: %s:%s", path, line);
    CU_ASSERT_PTR_NOT_NULL(strstr(message, where));
    CU_ASSERT_PTR_NOT_NULL(strstr(message, what));
    CU_ASSERT_PTR_EQUAL(strchr(message, '\n'), message + strlen(message) - 1);
    if (!strstr(message, where) || !strstr(message, what))
        (void)fprintf(stderr, "expected \"%s ... %s\" in \"%s\"\n", where, what, message);
}

static void expect_number(double number, double expected)
{
    CU_ASSERT(isnan(expected) ? isnan(number) : number == expected);
}

static void expect_trace(void)
{
    static const double expected[] = {5, NAN, NAN, 0, 2.5};
    struct pmo_trace trace = {0};
    char message[512];

    CU_ASSERT_EQUAL_FATAL(read_file(&trace, message), 0);
    CU_ASSERT_STRING_EQUAL(message, "");
    CU_ASSERT_EQUAL_FATAL(trace.seconds, 5);
    for (size_t i = 0; i < 5; i++)
        expect_number(trace.requests[i], expected[i]);
    pmo_trace_free(&trace);
    CU_ASSERT_PTR_NULL(trace.requests);
}

static void seconds_without_a_row_are_not_recorded(void)
{
    static const char text[] = "t,requests\n0,5\n3,0\n4,2.5\n",
                      last[] = "t,requests\n0,5\n3,0\n4,2.5",
                      windows[] = "t,requests\r\n0,5\r\n3,0\r\n\r\n4,2.5\r\n";

    write_file(text, strlen(text));
    expect_trace();
    write_file(last, strlen(last));
    expect_trace();
    write_file(windows, strlen(windows));
    expect_trace();
    write_gzip(text, 0);
    expect_trace();
}

static void wrong_rows_are_refused_with_their_line(void)
{
    static const struct {
        const char *text, *line, *what;
    } wrong[] = {
        {"", "1: ", "begin the file with the line t,requests"},
        {"0,5\n", "1: ", "no header"},
        {"t,count\n0,5\n", "1: ", "no header"},
        {"t,requests\n", "2: ", "no rows"},
        {"t,requests\n0;5\n", "2: ", "write SECOND,REQUESTS"},
        {"t,requests\n0,5\nx,5\n", "3: ", "write SECOND,REQUESTS"},
        {"t,requests\n-1,5\n", "2: ", "write SECOND,REQUESTS"},
        {"t,requests\n1.5,5\n", "2: ", "write SECOND,REQUESTS"},
        {"t,requests\n0,\n", "2: ", "requests are not a number"},
        {"t,requests\n0,five\n", "2: ", "requests are not a number"},
        {"t,requests\n0,nan\n", "2: ", "requests are not a number"},
        {"t,requests\n0,0x10\n", "2: ", "requests are not a number"},
        {"t,requests\n0,1e999\n", "2: ", "requests are not a number"},
        {"t,requests\n0,5,6\n", "2: ", "requests are not a number"},
        {"t,requests\n0,5\n1,-2\n", "3: ", "negative"},
        {"t,requests\n0,5\n1,5\n1,5\n", "4: ", "not later than before"},
        {"t,requests\n7,5\n6,5\n", "3: ", "not later than before"},
        {"t,requests\n1690000000,5\n", "2: ", "count it from the trace's start"},
        {"t,requests\n99999999999999999999999,5\n", "2: ", "count it from the trace's start"},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        write_file(wrong[i].text, strlen(wrong[i].text));
        expect_refused(wrong[i].line, wrong[i].what);
    }
}

static void signals_are_columns_in_any_order(void)
{
    static const char text[] = "t,requests,syns,upstream\n0,5,1,20\n2,6,,0.5\n3,7,2,\n";
    static const double syns[] = {1, NAN, NAN, 2}, upstream[] = {20, NAN, 0.5, NAN};
    double signal[PMO_LEADING_SIGNALS];
    struct pmo_trace trace = {0};
    char message[512];

    write_file(text, strlen(text));
    CU_ASSERT_EQUAL_FATAL(read_file(&trace, message), 0);
    CU_ASSERT_STRING_EQUAL(message, "");
    CU_ASSERT_EQUAL_FATAL(trace.seconds, 4);
    for (size_t t = 0; t < 4; t++) {
        pmo_trace_signals(&trace, t, signal);
        expect_number(signal[PMO_LEADING_SYNS], syns[t]);
        expect_number(signal[PMO_LEADING_UPSTREAM], upstream[t]);
        CU_ASSERT(isnan(signal[PMO_LEADING_ACCEPT_QUEUE]) && isnan(signal[PMO_LEADING_IN_FLIGHT]));
    }
    CU_ASSERT_EQUAL(trace.requests[3], 7);
    pmo_trace_free(&trace);
}

static void wrong_signals_are_refused_with_their_line(void)
{
    static const struct {
        const char *text, *line, *what;
    } wrong[] = {
        {"t,requests,load\n0,5,1\n", "1: ", "no column is called \"load\""},
        {"t,requests,\n0,5,1\n", "1: ", "no column is called \"\""},
        {"t,requests,syns,syns\n0,5,1,1\n", "1: ", "two columns are called syns"},
        {"t,requests,syns\n0,5\n", "2: ", "2 of 3 columns"},
        {"t,requests,syns\n0,5,1,2\n", "2: ", "more columns than in the header; write 3"},
        {"t,requests,syns\n0,,1\n", "2: ", "requests are not a number"},
        {"t,requests,syns,upstream\n0,5,1,1\n1,5,1,x\n", "3: ", "column 4 is not a number"},
        {"t,requests,syns\n0,5,-1\n", "2: ", "column 3 is not a number"},
        {"t,requests,syns\n0,5,nan\n", "2: ", "column 3 is not a number"},
        {"t,requests,syns\n0,5,1e999\n", "2: ", "column 3 is not a number"},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        write_file(wrong[i].text, strlen(wrong[i].text));
        expect_refused(wrong[i].line, wrong[i].what);
    }
}

static void lines_that_are_no_text_are_refused(void)
{
    static const char zeros[] = "t,requests\n0,5\n\0\0\0\n1,5\n";
    char text[600] = "t,requests\n0,";

    write_file(zeros, sizeof(zeros) - 1);
    expect_refused("3: ", "binary");
    memset(text + strlen(text), '1', 500);
    write_file(text, strlen(text));
    expect_refused("2: ", "too long");
}

static void a_gzip_file_that_was_cut_off_is_refused(void)
{
    static char text[1 << 20] = "t,requests\n";
    size_t length = strlen(text);

    for (int t = 0; t < 20000; t++)
        length += (size_t)sprintf(text + length, "%d,%d\n", t, t * 7919 % 1000);
    write_gzip(text, 1);
    expect_refused("", "cut off in the middle");
    write_gzip(text, 8);
    expect_refused("", "cut off in the middle");
    write_gzip(text, 20000);
    expect_refused("", "cut off in the middle");
}

static void a_file_that_cannot_be_read_is_refused(void)
{
    write_file("", 0);
    (void)unlink(path);
    expect_refused(" ", "No such file");
    (void)mkdir(path, 0700);
    expect_refused("1: ", "Is a directory");
    (void)rmdir(path);
}

SUITE(trace) = {
    TEST(seconds_without_a_row_are_not_recorded), TEST(wrong_rows_are_refused_with_their_line),
    TEST(signals_are_columns_in_any_order),       TEST(wrong_signals_are_refused_with_their_line),
    TEST(lines_that_are_no_text_are_refused),     TEST(a_gzip_file_that_was_cut_off_is_refused),
    TEST(a_file_that_cannot_be_read_is_refused),  {0}};
