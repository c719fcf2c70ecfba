/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/act/record.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <jansson.h>
#include "agent/base/json_file.h"
#include "agent/base/log.h"

int pmo_record_write(const char *directory, const char *name, const struct pmo_record *record)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    json_t *json =
        json_pack("{s:s, s:i, s:i, s:i, s:i, s:f, s:f}", "service", record->service, "number",
                  (int)record->number, "port", (int)record->port, "pid", (int)record->pid, "phase",
                  (int)record->phase, "ordered_s", record->ordered_s, "ready_s", record->ready_s);
    int r;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    (void)snprintf(temporary, sizeof(temporary), "%s/.%s", directory, name);
    if (!json)
        return pmo_err_r(ENOMEM, "cannot write %s", path);
    r = json_dump_file(json, temporary, JSON_COMPACT);
    json_decref(json);
    if (r < 0 || rename(temporary, path) < 0)
        return pmo_err_r(errno, "cannot write %s", path);
    return 0;
}

int pmo_record_read(const char *directory, const char *name, struct pmo_record *record)
{
    char path[PATH_MAX];
    int number, port, pid, phase, r;
    double ordered_s, ready_s;
    const char *service;
    json_t *json;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    json = json_load_file(path, 0, NULL);
    if (!json)
        return -EINVAL;
    r = json_unpack(json, "{s:s, s:i, s:i, s:i, s:i, s:F, s:F}", "service", &service, "number",
                    &number, "port", &port, "pid", &pid, "phase", &phase, "ordered_s", &ordered_s,
                    "ready_s", &ready_s);
    if (r || number < 1 || number > UINT16_MAX || port < 1 || port > UINT16_MAX || pid < 0 ||
        phase < PMO_INSTANCE_STARTING || phase > PMO_INSTANCE_DRAINING ||
        strlen(service) >= sizeof(record->service)) {
        json_decref(json);
        return -EINVAL;
    }
    *record = (struct pmo_record){.number = (uint16_t)number,
                                  .port = (uint16_t)port,
                                  .pid = pid,
                                  .phase = (enum pmo_instance_phase)phase,
                                  .ordered_s = ordered_s,
                                  .ready_s = ready_s};
    memcpy(record->service, service, strlen(service) + 1);
    json_decref(json);
    return 0;
}

void pmo_record_remove(const char *directory, const char *name)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (unlink(path) < 0 && errno != ENOENT)
        (void)pmo_err_r(errno, "cannot remove %s", path);
}

void pmo_records_each(const char *directory, void (*found)(void *context, const char *name),
                      void *context)
{
    DIR *stream = opendir(directory);

    while (stream) {
        const struct dirent *entry = readdir(stream);

        if (!entry)
            break;
        if (entry->d_name[0] != '.')
            found(context, entry->d_name);
        else if (entry->d_type == DT_REG) /* a replacement that was not finished */
            pmo_record_remove(directory, entry->d_name);
    }
    if (stream)
        (void)closedir(stream);
}

int pmo_wanted_write(const char *path, const char *service, uint32_t wanted)
{
    json_t *json = json_load_file(path, 0, NULL);

    if (!json_is_object(json)) {
        json_decref(json);
        json = json_object();
    }
    (void)json_object_set_new(json, service, json_integer(wanted));
    return pmo_json_replace(path, json);
}

bool pmo_wanted_read(const char *path, const char *service, uint32_t *wanted)
{
    json_t *json = json_load_file(path, 0, NULL), *value = json_object_get(json, service);
    json_int_t count = json_is_integer(value) ? json_integer_value(value) : -1;

    json_decref(json);
    if (count < 0 || count > UINT16_MAX)
        return false;
    *wanted = (uint32_t)count;
    return true;
}
