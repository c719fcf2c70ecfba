/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmoctl/trace.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "agent/base/log.h"

#define HEADER       "t,requests"
#define ROW_MAX      256
#define COLUMNS_MAX  (1 + PMO_LEADING_SIGNALS)
#define RISE_S       30
#define REQUESTS_MAX 1e12 /* more than the forecaster takes for a count */

static const char *const signal_names[PMO_LEADING_SIGNALS] = {
    [PMO_LEADING_UPSTREAM] = "upstream",
    [PMO_LEADING_SYNS] = "syns",
    [PMO_LEADING_ACCEPT_QUEUE] = "accept_queue",
    [PMO_LEADING_IN_FLIGHT] = "in_flight",
};

/* Where the reader is. */
struct reader {
    const char *path;
    size_t line;
    size_t room;                  /* seconds that there is memory for */
    double **column[COLUMNS_MAX]; /* after t, in their order */
    size_t columns;
};

#define complain(reader, format, ...)                                                              \
    pmo_fail(EINVAL, "%s:%zu: " format, (reader)->path, (reader)->line, ##__VA_ARGS__)

/* Seconds up to and including @t, those without a row as not recorded. */
static int reach(struct pmo_trace *trace, struct reader *reader, size_t t)
{
    if (t >= reader->room) {
        size_t room = t + t / 2 + 4096;

        for (size_t i = 0; i < reader->columns; i++) {
            double *moved = reallocarray(*reader->column[i], room, sizeof(*moved));

            if (!moved)
                return pmo_err_r(ENOMEM, "cannot hold %s", reader->path);
            *reader->column[i] = moved;
        }
        reader->room = room;
    }
    for (; trace->seconds <= t; trace->seconds++)
        for (size_t i = 0; i < reader->columns; i++)
            (*reader->column[i])[trace->seconds] = NAN;
    return 0;
}

/* What comes after "t,requests" in the header. */
static int read_signals(struct pmo_trace *trace, struct reader *reader, const char *text)
{
    while (*text == ',') {
        size_t length = strcspn(++text, ","), i = 0;

        while (i < PMO_LEADING_SIGNALS &&
               (strlen(signal_names[i]) != length || strncmp(text, signal_names[i], length) != 0))
            i++;
        if (i == PMO_LEADING_SIGNALS)
            return complain(reader,
                            "no column is called \"%.*s\"; after t,requests write some of "
                            "upstream, syns, accept_queue, in_flight",
                            (int)length, text);
        for (size_t k = 1; k < reader->columns; k++)
            if (reader->column[k] == &trace->signals[i])
                return complain(reader, "two columns are called %s; leave one out",
                                signal_names[i]);
        reader->column[reader->columns++] = &trace->signals[i];
        text += length;
    }
    return 0;
}

static int read_header(struct pmo_trace *trace, struct reader *reader, const char *text)
{
    size_t length = strlen(HEADER);

    if (strncmp(text, HEADER, length) != 0 || !strchr(",", text[length]))
        return complain(reader, "no header; begin the file with the line " HEADER);
    reader->column[reader->columns++] = &trace->requests;
    return read_signals(trace, reader, text + length);
}

/* A number that ends where the field does. Returns its length, or -1: it is none. */
static int read_number(const char *text, double *number)
{
    size_t length = strspn(text, "0123456789.eE+-"); /* else it may be hexadecimal, or "nan" */
    char *end;

    *number = strtod(text, &end);
    if (!length || end != text + length || !strchr(",", *end) || *text == '-' ||
        !(*number <= REQUESTS_MAX))
        return -1;
    return (int)length;
}

/* What comes after SECOND,REQUESTS in a row. */
static int read_row_signals(const struct reader *reader, size_t t, const char *text)
{
    for (size_t i = 1; i < reader->columns; i++) {
        int length = 0;

        if (*text != ',')
            return complain(reader, "%zu of %zu columns; write as many as in the header", i + 1,
                            reader->columns + 1);
        if (*++text && *text != ',')
            length = read_number(text, &(*reader->column[i])[t]);
        if (length < 0)
            return complain(reader,
                            "column %zu is not a number from 0 to %.0e; leave it empty where it is "
                            "not known",
                            i + 2, REQUESTS_MAX);
        text += length;
    }
    return *text
               ? complain(reader, "more columns than in the header; write %zu", reader->columns + 1)
               : 0;
}

static int read_row(struct pmo_trace *trace, struct reader *reader, const char *text)
{
    size_t digits = strspn(text, "0123456789");
    const char *value = text + digits + 1;
    unsigned long long t;
    double requests;
    int r, length;

    if (!digits || text[digits] != ',')
        return complain(reader, "not a row; write SECOND,REQUESTS, as in 17,120");
    t = strtoull(text, NULL, 10); /* beyond its range: its maximum */
    if (t >= PMO_TRACE_SECONDS_MAX)
        return complain(reader, "t is beyond %d days; count it from the trace's start",
                        PMO_TRACE_SECONDS_MAX / 86400);
    if (t < trace->seconds)
        return complain(reader, "t is not later than before; sort rows by t, one for each second");
    if (*value == '-')
        return complain(reader, "requests are negative; leave seconds out that are not known");
    length = read_number(value, &requests);
    if (length < 0 || (reader->columns == 1 && value[length]))
        return complain(reader,
                        "requests are not a number up to %.0e; write SECOND,REQUESTS, as "
                        "in 17,120",
                        REQUESTS_MAX);
    r = reach(trace, reader, t);
    if (r < 0)
        return r;
    trace->requests[t] = requests;
    return read_row_signals(reader, t, value + length);
}

/* Why there is no further line, or only a part of one: 0 at the end of the file, or -EINVAL. */
static int ended(gzFile file, const struct reader *reader, int system_error)
{
    int error;
    const char *why = gzerror(file, &error);

    if (error == Z_OK)
        return 0;
    if (error == Z_ERRNO)
        return complain(reader, "cannot be read: %s", strerror(system_error));
    return complain(reader, "%s; write the gzip file again",
                    error == Z_BUF_ERROR ? "cut off in the middle" : why);
}

/* The next line without its end. Returns 1; 0 at the end of the file; or -EINVAL. */
static int next_line(gzFile file, struct reader *reader, char line[ROW_MAX])
{
    bool some;

    reader->line++;
    errno = 0;
    some = gzgets(file, line, ROW_MAX) != NULL;
    if (!some || !strchr(line, '\n')) {
        if (ended(file, reader, errno) < 0)
            return -EINVAL;
        if (some && !gzeof(file))
            return complain(reader, "too long or binary; write SECOND,REQUESTS, as in 17,120");
    }
    line[some ? strcspn(line, "\r\n") : 0] = '\0';
    return some;
}

static int read_rows(struct pmo_trace *trace, struct reader *reader, gzFile file)
{
    char line[ROW_MAX];
    int r;

    r = next_line(file, reader, line);
    if (r < 0)
        return r;
    r = read_header(trace, reader, r ? line : "");
    if (r < 0)
        return r;
    while ((r = next_line(file, reader, line)) > 0) {
        if (!*line)
            continue;
        r = read_row(trace, reader, line);
        if (r < 0)
            return r;
    }
    if (r == 0 && !trace->seconds)
        return complain(reader, "no rows; write lines of SECOND,REQUESTS, as in 17,120");
    return r;
}

int pmo_trace_read(struct pmo_trace *trace, const char *path)
{
    struct pmo_trace made = {0};
    struct reader reader = {.path = path};
    gzFile file = gzopen(path, "rbe");
    int r;

    if (!file)
        return pmo_fail(EINVAL, "%s: cannot be opened: %s; give a CSV file of " HEADER, path,
                        strerror(errno));
    r = read_rows(&made, &reader, file);
    (void)gzclose_r(file);
    if (r < 0) {
        pmo_trace_free(&made);
        return r;
    }
    *trace = made;
    return 0;
}

void pmo_trace_signals(const struct pmo_trace *trace, size_t t, double signal[PMO_LEADING_SIGNALS])
{
    for (size_t i = 0; i < PMO_LEADING_SIGNALS; i++)
        signal[i] = trace->signals[i] ? trace->signals[i][t] : NAN;
}

int pmo_trace_keep(const char *path, const char *option, const char *output)
{
    struct stat in, out;

    if (output && !stat(path, &in) && !stat(output, &out) && in.st_dev == out.st_dev &&
        in.st_ino == out.st_ino)
        return pmo_fail(EINVAL, "%s %s: that is the trace; write another name", option, output);
    return 0;
}

size_t pmo_trace_rise(const double *requests, size_t seconds)
{
    double rise = 0, most = -INFINITY;
    size_t known = 0, at = 0;

    for (size_t t = 0; t < seconds; t++) { /* rise: sum of t-29..t less that of t-59..t-30 */
        known = isnan(requests[t]) ? 0 : known + 1;
        rise = known ? rise + requests[t] : 0;
        rise -= known > RISE_S ? 2 * requests[t - RISE_S] : 0;
        rise += known > 2 * RISE_S ? requests[t - 2 * RISE_S] : 0;
        if (known >= 2 * RISE_S && rise > most) {
            most = rise;
            at = t + 1 - RISE_S;
        }
    }
    return at;
}

void pmo_trace_free(struct pmo_trace *trace)
{
    free(trace->requests);
    for (size_t i = 0; i < PMO_LEADING_SIGNALS; i++)
        free(trace->signals[i]);
    *trace = (struct pmo_trace){0};
}
