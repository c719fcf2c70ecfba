/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configuration: a YAML file of one or more documents in the Kubernetes style (apiVersion, kind,
 * metadata.name, spec), read through libyaml. Every value knows its place, so that each mistake is
 * one line: FILE:LINE:COLUMN: what is wrong; what to write instead.
 *
 * Not thread-safe; a file is read, bound and freed by one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct pmo_file;  /* a parsed file */
struct pmo_value; /* a scalar, sequence or mapping inside it; lives as long as the file */

/* Where complaints go: logged as errors when NULL. Line 0: the file as a whole. */
typedef void (*pmo_complaint_fn)(void *context, const char *file, size_t line, size_t column,
                                 const char *message);

/**
 * pmo_file_read - parse all documents of a file
 * Returns 0, or -ENOENT/-EACCES..., -EINVAL for YAML that does not parse or an empty file, each
 * complained about once. Files of more than 1 MiB are refused (-EFBIG).
 */
int pmo_file_read(struct pmo_file **file, const char *path, pmo_complaint_fn complain,
                  void *context);
/* The same from memory; @name stands for the path in complaints. */
int pmo_file_parse(struct pmo_file **file, const char *name, const char *text, size_t length,
                   pmo_complaint_fn complain, void *context);
void pmo_file_free(struct pmo_file **file);

size_t pmo_file_documents(const struct pmo_file *file);
/* Root value of document i. */
const struct pmo_value *pmo_file_document(const struct pmo_file *file, size_t i);
/* Complaints so far; a file with any is refused by its callers after everything was checked. */
size_t pmo_file_complaints(const struct pmo_file *file);

/* Complains at a value's place; always returns -EINVAL. */
__attribute__((format(printf, 2, 3))) int pmo_value_complain(const struct pmo_value *value,
                                                             const char *format, ...);

bool pmo_value_is_map(const struct pmo_value *value);
bool pmo_value_is_list(const struct pmo_value *value);
/* Text of a scalar, NULL for anything else. */
const char *pmo_value_text(const struct pmo_value *value);
size_t pmo_value_count(const struct pmo_value *value); /* of a list or mapping */
const struct pmo_value *pmo_value_item(const struct pmo_value *list, size_t i);
const char *pmo_value_key(const struct pmo_value *map, size_t i);
/* Member of a mapping, NULL where absent. */
const struct pmo_value *pmo_value_get(const struct pmo_value *map, const char *key);
/* Value's place, 1-based. */
void pmo_value_place(const struct pmo_value *value, size_t *line, size_t *column);

/* Complains about every key of @map that is not in the NULL-terminated list, naming the nearest
 * known one, and about a @map that is no mapping. NULL is fine. Returns 0 or -EINVAL. */
int pmo_value_only_keys(const struct pmo_value *map, const char *const *known);

/*
 * Typed readers. @map may be NULL (the default applies). Absent: *out is unchanged, 0 is returned.
 * Present but wrong: complained about (with an example of what to write), -EINVAL.
 */
int pmo_value_get_text(const struct pmo_value *map, const char *key, const char **out);
int pmo_value_get_bool(const struct pmo_value *map, const char *key, bool *out);
int pmo_value_get_integer(const struct pmo_value *map, const char *key, long min, long max,
                          long *out);
/* "250ms", "3s", "10 m", "1h" in seconds */
int pmo_value_get_duration(const struct pmo_value *map, const char *key, double *seconds);
/* "80%", "80 %" or a number from 0 to 1, as a fraction */
int pmo_value_get_share(const struct pmo_value *map, const char *key, double *fraction);
/* "50rps", "50/s", "3000/m", in requests per second */
int pmo_value_get_rate(const struct pmo_value *map, const char *key, double *rps);
/* One of a NULL-terminated list of words; *out is its index. */
int pmo_value_get_choice(const struct pmo_value *map, const char *key, const char *const *words,
                         int *out);
