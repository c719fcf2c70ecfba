/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that tell the agent to do something, and those that show what was done. */
#include "tools/pmoctl/pmoctl.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "tools/pmoctl/table.h"

static const char *whom(const struct pmoctl *ctl)
{
    return ctl->service ? ctl->service : "all services";
}

int pmoctl_pause(struct pmoctl *ctl)
{
    json_t *body = json_object(), *answer;

    if (ctl->service)
        (void)json_object_set_new(body, "service", json_string(ctl->service));
    if (ctl->reason)
        (void)json_object_set_new(body, "reason", json_string(ctl->reason));
    if (ctl->for_s > 0)
        (void)json_object_set_new(body, "forS", json_real(ctl->for_s));
    answer = pmoctl_logged(ctl, pmoctl_post(ctl, "/v1/pause", body));
    if (!answer)
        return EXIT_FAILURE;
    if (ctl->json)
        return pmoctl_print_json(answer);
    json_decref(answer);
    printf("Nothing is ordered for %s any more; pmoctl resume%s%s ends that.\n", whom(ctl),
           ctl->service ? " --service " : "", ctl->service ? ctl->service : "");
    return EXIT_SUCCESS;
}

/* A service may be paused together with all others. */
static void tell_if_paused(struct pmoctl *ctl)
{
    json_t *answer = pmoctl_get(ctl, "/v1/pause", NULL), *pause;
    size_t i;

    json_array_foreach (json_object_get(answer, "pauses"), i, pause)
        if (ctl->service && json_is_null(json_object_get(pause, "service")))
            puts("All services are paused, and it with them: pmoctl resume");
    json_decref(answer);
}

int pmoctl_resume(struct pmoctl *ctl)
{
    json_t *body = json_object(), *answer;
    json_int_t resumed;

    if (ctl->service)
        (void)json_object_set_new(body, "service", json_string(ctl->service));
    answer = pmoctl_logged(ctl, pmoctl_post(ctl, "/v1/resume", body));
    if (!answer)
        return EXIT_FAILURE;
    if (ctl->json)
        return pmoctl_print_json(answer);
    resumed = pmoctl_integer(answer, "resumed");
    json_decref(answer);
    if (resumed)
        printf("Orders for %s are carried out again.\n", whom(ctl));
    else
        printf("There was no pause of %s.\n", ctl->service ? ctl->service : "any service");
    tell_if_paused(ctl);
    return EXIT_SUCCESS;
}

int pmoctl_reload(struct pmoctl *ctl)
{
    json_t *answer = pmoctl_logged(ctl, pmoctl_post(ctl, "/v1/reload", json_object()));
    const char *restart;

    if (!answer)
        return EXIT_FAILURE;
    if (ctl->json)
        return pmoctl_print_json(answer);
    restart = pmoctl_text(answer, "needsRestart");
    printf("%s %s\n", pmoctl_text(answer, "path"),
           json_is_true(json_object_get(answer, "changed")) ? "is taken over."
                                                            : "has not changed since it was read.");
    if (*restart)
        printf("A restart is needed for: %s\n", restart);
    json_decref(answer);
    return EXIT_SUCCESS;
}

int pmoctl_audit(struct pmoctl *ctl)
{
    static const char *const columns[] = {"TIME", "WHAT", "SERVICE", "WHO", "DETAILS", NULL};
    struct libscols_table *table;
    json_t *answer, *entry;
    char since[32], at[32];
    size_t i;

    answer = pmoctl_logged(ctl, pmoctl_get(ctl, "/v1/audit", "service", ctl->service, "since",
                                           pmoctl_since(ctl, since), NULL));
    if (!answer)
        return EXIT_FAILURE;
    if (ctl->json)
        return pmoctl_print_json(answer);
    table = pmoctl_table_new(columns);
    json_array_foreach (json_object_get(answer, "entries"), i, entry) {
        const char *service = pmoctl_text(entry, "service");

        pmoctl_table_row(table,
                         (const char *[]){pmoctl_format_time(at, pmoctl_integer(entry, "t"), true),
                                          pmoctl_text(entry, "kind"), *service ? service : "-",
                                          pmoctl_text(entry, "who"), pmoctl_text(entry, "text")});
    }
    json_decref(answer);
    return pmoctl_table_print(table);
}

/* "front-2" or "front-2.1": where that is; NULL: it is no such name. */
static char *log_path(const char *directory, const char *instance)
{
    const char *dot = strchr(instance, '.');
    char *path = NULL;

    if (strchr(instance, '/') || *instance == '.' ||
        (dot && (dot[1] < '1' || dot[1] > '3' || dot[2])))
        return NULL;
    if (asprintf(&path, "%s/%.*s.log%s", directory,
                 (int)(dot ? dot - instance : (long)strlen(instance)), instance,
                 dot ? dot : "") < 0)
        return NULL;
    return path;
}

int pmoctl_logs(struct pmoctl *ctl)
{
    json_t *status = pmoctl_logged(ctl, pmoctl_get(ctl, "/v1/status", NULL));
    const char *directory = pmoctl_text(status, "logs");
    _cleanup_free_ char *path = log_path(directory, ctl->arguments[0]);
    _cleanup_fclose_ FILE *file = NULL;
    char bytes[65536];
    size_t n;
    int r = EXIT_SUCCESS;

    if (!status)
        return EXIT_FAILURE;
    if (!*directory)
        r = -pmo_fail(1, "this agent runs no instances, so it keeps no logs of any");
    else if (!path)
        r = -pmo_fail(1, "\"%s\" is no instance's name; write e.g. front-1, or front-1.1",
                      ctl->arguments[0]);
    else if (ctl->json)
        r = pmoctl_print_json(json_pack("{s:s}", "path", path));
    else if (!(file = fopen(path, "re")))
        r = -pmo_fail(1, "cannot read %s: %s; `pmoctl services --json` names the instances", path,
                      strerror(errno));
    while (file && (n = fread(bytes, 1, sizeof(bytes), file)) > 0)
        (void)fwrite(bytes, 1, n, stdout);
    json_decref(status);
    return r;
}
