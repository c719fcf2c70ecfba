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
#define RISE_S       30
#define REQUESTS_MAX 1e12 /* more than the forecaster takes for a count */

/* Where the reader is. */
struct reader {
    const char *path;
    size_t line;
    size_t room; /* seconds that there is memory for */
};

#define complain(reader, format, ...)                                                              \
    pmo_fail(EINVAL, "%s:%zu: " format, (reader)->path, (reader)->line, ##__VA_ARGS__)

/* Seconds up to and including @t, those without a row as not recorded. */
static int reach(struct pmo_trace *trace, struct reader *reader, size_t t)
{
    if (t >= reader->room) {
        size_t room = t + t / 2 + 4096;
        double *moved = reallocarray(trace->requests, room, sizeof(*moved));

        if (!moved)
            return pmo_err_r(ENOMEM, "cannot hold %s", reader->path);
        trace->requests = moved;
        reader->room = room;
    }
    while (trace->seconds <= t)
        trace->requests[trace->seconds++] = NAN;
    return 0;
}

static int read_row(struct pmo_trace *trace, struct reader *reader, const char *text)
{
    size_t digits = strspn(text, "0123456789"), length;
    const char *value = text + digits + 1;
    unsigned long long t;
    double requests;
    char *end;
    int r;

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
    length = strspn(value, "0123456789.eE+-"); /* else a number may be hexadecimal, or "nan" */
    requests = strtod(value, &end);
    if (!length || end != value + length || *end || !(requests <= REQUESTS_MAX))
        return complain(reader,
                        "requests are not a number up to %.0e; write SECOND,REQUESTS, as "
                        "in 17,120",
                        REQUESTS_MAX);
    r = reach(trace, reader, t);
    if (r == 0)
        trace->requests[t] = requests;
    return r;
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
    if (r == 0 || strcmp(line, HEADER) != 0)
        return complain(reader, "no header; begin the file with the line " HEADER);
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
    *trace = (struct pmo_trace){0};
}
