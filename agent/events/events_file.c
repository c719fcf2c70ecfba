/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/events_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/base/spelling.h"

#define ROWS_MAX 1000000

enum column { START, DURATION, KIND, STRENGTH, SCOPE, KNOWN, COLUMNS };
static const char *const names[] = {"start", "duration", "kind", "strength",
                                    "scope", "known",    NULL};

struct reader {
    const char *path;
    size_t line;
    enum column order[COLUMNS];
    size_t columns;
    struct pmo_happening *list;
    size_t count, room;
};

/* Cuts the next field off; NULL after the last. Nothing that is written here needs quotes. */
static char *next_field(char **at)
{
    char *field = *at, *end;

    if (!field)
        return NULL;
    *at = strchr(field, ',');
    if (*at)
        *(*at)++ = '\0';
    field += strspn(field, " \t\"");
    end = field + strlen(field);
    while (end > field && strchr(" \t\"\r\n", end[-1]))
        *--end = '\0';
    return field;
}

static int read_head(struct reader *reader, char *line)
{
    bool seen[COLUMNS] = {};
    const char *field;
    char known[64];

    pmo_spelling_list(names, known, sizeof(known));
    while ((field = next_field(&line))) {
        size_t i = 0;

        while (names[i] && strcmp(names[i], field) != 0)
            i++;
        if (!names[i] || seen[i])
            return pmo_fail(EINVAL, "%s:1: no column \"%.40s\" can be here; write %s", reader->path,
                            field, known);
        seen[i] = true;
        reader->order[reader->columns++] = i;
    }
    if (!seen[START] || !seen[KIND])
        return pmo_fail(EINVAL,
                        "%s:1: the first line names the columns, start and kind among them; write "
                        "e.g. start,duration,kind,strength",
                        reader->path);
    return 0;
}

static int read_number(const struct reader *reader, enum column column, const char *text,
                       double min, double max, double *number)
{
    char *end;

    errno = 0;
    *number = strtod(text, &end);
    if (errno || end == text || *end || !(*number >= min && *number <= max))
        return pmo_fail(EINVAL, "%s:%zu: %s \"%.40s\" is no number from %.0f to %.0f", reader->path,
                        reader->line, names[column], text, min, max);
    return 0;
}

static int read_text(const struct reader *reader, enum column column, const char *text, char *to,
                     size_t size)
{
    if (strlen(text) >= size)
        return pmo_fail(EINVAL, "%s:%zu: %s is longer than %zu bytes; write a shorter one",
                        reader->path, reader->line, names[column], size - 1);
    (void)snprintf(to, size, "%s", text);
    return 0;
}

static int read_field(const struct reader *reader, enum column column, const char *text,
                      struct pmo_happening *happening)
{
    double number = 0;
    int r;

    switch (column) {
    case KIND:
        return read_text(reader, column, text, happening->kind, sizeof(happening->kind));
    case SCOPE:
        return read_text(reader, column, text, happening->scope, sizeof(happening->scope));
    case DURATION:
        r = read_number(reader, column, text, 0, PMO_DURATION_MAX_S, &number);
        happening->duration_s = (uint32_t)lround(number);
        return r;
    case STRENGTH:
        r = read_number(reader, column, text, 0, (double)PMO_STRENGTH_MAX, &number);
        happening->strength = (float)number;
        return r;
    case START:
    case KNOWN:
    default:
        r = read_number(reader, column, text, -1e12, 1e12, &number);
        *(column == START ? &happening->start : &happening->known) = llround(floor(number));
        return r;
    }
}

static int read_row(struct reader *reader, char *line)
{
    struct pmo_happening row = {
        .known = INT64_MIN, .duration_s = PMO_DURATION_S, .strength = 1, .scope = "*"};
    bool has_start = false;
    const char *field;
    size_t i = 0;

    for (; (field = next_field(&line)); i++) {
        if (i == reader->columns)
            break;
        if (*field && read_field(reader, reader->order[i], field, &row))
            return -EINVAL;
        has_start |= *field && reader->order[i] == START;
    }
    if (i != reader->columns || field)
        return pmo_fail(EINVAL,
                        "%s:%zu: there are %s than the %zu fields that the first line names",
                        reader->path, reader->line, field ? "more" : "fewer", reader->columns);
    if (!has_start || !*row.kind)
        return pmo_fail(EINVAL, "%s:%zu: an event needs a start and a kind", reader->path,
                        reader->line);
    if (reader->count == ROWS_MAX)
        return pmo_fail(E2BIG, "%s:%zu: there are more than %d events; split the file",
                        reader->path, reader->line, ROWS_MAX);
    if (reader->count == reader->room) {
        size_t room = reader->room ? 2 * reader->room : 256;
        void *list = reallocarray(reader->list, room, sizeof(row));

        if (!list)
            return pmo_err_r(ENOMEM, "%s", reader->path);
        reader->list = list;
        reader->room = room;
    }
    (void)snprintf(row.id, sizeof(row.id), "%zu", reader->line);
    reader->list[reader->count++] = row;
    return 0;
}

static int by_start(const void *a, const void *b)
{
    const struct pmo_happening *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

int pmo_events_file_read(const char *path, struct pmo_happening **list, size_t *count)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    struct reader reader = {.path = path};
    _cleanup_free_ char *line = NULL;
    size_t size = 0;
    int r = 0;

    if (!file)
        return pmo_err_r(errno, "cannot open %s", path);
    while (!r && getline(&line, &size, file) >= 0) {
        reader.line++;
        if (line[strspn(line, " \t\r\n")] == '\0' || line[0] == '#')
            continue;
        r = reader.columns ? read_row(&reader, line) : read_head(&reader, line);
    }
    if (!r && !reader.columns)
        r = pmo_fail(EINVAL,
                     "%s: is empty; its first line names the columns: start,duration,kind,"
                     "strength",
                     path);
    if (r) {
        free(reader.list);
        return r;
    }
    if (reader.count)
        qsort(reader.list, reader.count, sizeof(*reader.list), by_start);
    *list = reader.list;
    *count = reader.count;
    return 0;
}
