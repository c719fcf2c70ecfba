/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmoctl/trace.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "agent/base/log.h"

#define SECONDS_MAX (1U << 27) /* four years, one gigabyte */

struct reader {
    gzFile file; /* reads what is not compressed, too */
    const char *path;
    size_t line, room;
    struct pmo_trace trace;
};

static int make_room(struct reader *reader, size_t seconds)
{
    size_t room = reader->room;
    double *requests;

    while (room < seconds)
        room = room ? room * 2 : 1 << 16;
    if (room == reader->room)
        return 0;
    requests = realloc(reader->trace.requests, room * sizeof(*requests));
    if (!requests)
        return pmo_err_r(ENOMEM, "cannot read %s", reader->path);
    reader->trace.requests = requests;
    reader->room = room;
    return 0;
}

static int take_row(struct reader *reader, const char *text)
{
    struct pmo_trace *trace = &reader->trace;
    char *end = NULL;
    unsigned long long t = strtoull(text, &end, 10);
    bool number = *text >= '0' && *text <= '9' && *end == ',';
    double requests = number ? strtod(end + 1, &end) : NAN;
    int r;

    if (!number || !(requests >= 0) || !isfinite(requests) || strspn(end, "\r\n") != strlen(end))
        return pmo_fail(EINVAL, "%s:%zu: not a second and its requests; write e.g. 17,250",
                        reader->path, reader->line);
    if (t < trace->seconds)
        return pmo_fail(EINVAL, "%s:%zu: second %llu comes after second %zu; sort the rows by t",
                        reader->path, reader->line, t, trace->seconds - 1);
    if (t >= SECONDS_MAX)
        return pmo_fail(EINVAL, "%s:%zu: second %llu is too late; count t from the trace's start",
                        reader->path, reader->line, t);
    r = make_room(reader, t + 1);
    if (r < 0)
        return r;
    while (trace->seconds < t)
        trace->requests[trace->seconds++] = NAN;
    trace->requests[trace->seconds++] = requests;
    return 0;
}

static int take_lines(struct reader *reader)
{
    char text[128];
    int r = 0, error = Z_OK;

    while (!r && gzgets(reader->file, text, sizeof(text))) {
        reader->line++;
        if (reader->line > 1)
            r = take_row(reader, text);
        else if (strncmp(text, "t,requests", 10) != 0 ||
                 strspn(text + 10, "\r\n") != strlen(text + 10))
            r = pmo_fail(EINVAL, "%s:1: not a trace; its first line must be t,requests",
                         reader->path);
    }
    if (r < 0)
        return r;
    (void)gzerror(reader->file, &error);
    if (error == Z_ERRNO)
        return pmo_err_r(errno, "cannot read %s", reader->path);
    if (error != Z_OK && error != Z_STREAM_END)
        return pmo_fail(EINVAL, "%s: its compression is damaged or cut off; make it again",
                        reader->path);
    if (!reader->trace.seconds)
        return pmo_fail(EINVAL,
                        "%s: there is nothing in it; write t,requests and a row for each "
                        "second",
                        reader->path);
    return 0;
}

int pmo_trace_read(struct pmo_trace *trace, const char *path)
{
    struct reader reader = {.path = path};
    int r;

    errno = ENOMEM; /* what zlib leaves unset when it has none */
    reader.file = gzopen(path, "re");
    if (!reader.file)
        return pmo_err_r(errno, "cannot open %s", path);
    r = take_lines(&reader);
    (void)gzclose(reader.file);
    if (r < 0)
        free(reader.trace.requests);
    else
        *trace = reader.trace;
    return r;
}

void pmo_trace_free(struct pmo_trace *trace)
{
    free(trace->requests);
    *trace = (struct pmo_trace){0};
}
