/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pmoctl policy check: the agent's own readers on a file, and what may be wrong in spite of them;
 * without an agent. */
#include "tools/pmoctl/pmoctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/document.h"
#include "agent/base/log.h"
#include "agent/decide/policy.h"
#include "agent/decide/review.h"
#include "agent/events/sources.h"
#include "agent/serve/json_text.h"

/* What is found in one file. */
struct findings {
    const char *file;
    json_t *complaints, *warnings, *policies, *local_services, *event_sources, *history;
    bool failed; /* the history says nothing */
};

static void complain(void *context, const char *file, size_t line, size_t column,
                     const char *message)
{
    struct findings *findings = context;

    (void)json_array_append_new(findings->complaints,
                                json_pack("{s:o, s:I, s:I, s:o}", "file", pmo_json_text(file),
                                          "line", (json_int_t)line, "column", (json_int_t)column,
                                          "message", pmo_json_text(message)));
}

static void warn(void *context, size_t line, const char *message)
{
    struct findings *findings = context;

    (void)json_array_append_new(
        findings->warnings, json_pack("{s:o, s:I, s:o}", "file", pmo_json_text(findings->file),
                                      "line", (json_int_t)line, "message", pmo_json_text(message)));
}

/* What would have come of a policy; of those for another service than --service, nothing. */
static void check_history(struct findings *findings, const struct pmoctl *ctl,
                          const struct pmo_policy *policy)
{
    json_t *outcome;

    if (ctl->service && strcmp(policy->service, "*") != 0 &&
        strcmp(policy->service, ctl->service) != 0)
        return;
    outcome = pmoctl_policy_history(ctl, policy);
    findings->failed |= !outcome;
    if (outcome)
        (void)json_array_append_new(findings->history, outcome);
}

/* Documents of other kinds: services that a backend runs, or mistakes. */
static void check_kinds(struct findings *findings, const struct pmo_file *file)
{
    for (size_t i = 0; i < pmo_file_documents(file); i++) {
        const struct pmo_value *root = pmo_file_document(file, i);
        const char *kind = pmo_value_text(pmo_value_get(root, "kind"));
        const char *name = pmo_value_text(pmo_value_get(pmo_value_get(root, "metadata"), "name"));

        if (!kind)
            (void)pmo_value_complain(root, "kind is missing; write kind: OrchestrationPolicy");
        else if (!strcmp(kind, "LocalService"))
            (void)json_array_append_new(findings->local_services, json_string(name ? name : "?"));
        else if (strcmp(kind, "OrchestrationPolicy") != 0 &&
                 strcmp(kind, "OrchestrationLimits") != 0 &&
                 strcmp(kind, PMO_EVENT_SOURCE_KIND) != 0)
            (void)pmo_value_complain(pmo_value_get(root, "kind"),
                                     "kind \"%.40s\" is not known; write OrchestrationPolicy, "
                                     "OrchestrationLimits, LocalService or " PMO_EVENT_SOURCE_KIND,
                                     kind);
    }
}

static void check_file(struct findings *findings, const struct pmoctl *ctl)
{
    struct pmo_policies *policies = NULL;
    struct pmo_sources *sources = NULL;
    struct pmo_file *file = NULL;
    int r;

    if (pmo_file_read(&file, findings->file, complain, findings) < 0)
        return;
    r = pmo_policies_read(&policies, file);
    if (!pmo_sources_read(&sources, file) && !r)
        check_kinds(findings, file);
    for (size_t i = 0; i < pmo_sources_count(sources); i++)
        (void)json_array_append_new(findings->event_sources,
                                    json_string(pmo_sources_at(sources, i)->name));
    pmo_sources_free(&sources);
    for (size_t i = 0; policies && i < pmo_policies_count(policies); i++) {
        const struct pmo_policy *policy = pmo_policies_at(policies, i);

        (void)json_array_append_new(
            findings->policies, json_pack("{s:s, s:s, s:s}", "name", policy->name, "service",
                                          policy->service, "mode", pmo_mode_name(policy->mode)));
        pmo_policy_review(policy, time(NULL), warn, findings);
        if (ctl->history && !json_array_size(findings->complaints))
            check_history(findings, ctl, policy);
    }
    pmo_policies_free(&policies);
    pmo_file_free(&file);
}

/* ", 2 LocalServices (a, b)" */
static void print_names(const char *what, const json_t *names)
{
    size_t count = json_array_size(names), i;
    json_t *name;

    if (!count)
        return;
    printf(", %zu %s%s", count, what, count == 1 ? "" : "s");
    json_array_foreach (names, i, name)
        printf("%s%s", i ? ", " : " (", json_string_value(name));
    (void)putchar(')');
}

static void print_history(const json_t *history)
{
    size_t i;
    json_t *h;

    json_array_foreach (history, i, h)
        printf("policy %s on %.1f h of service %s: %.0f requests, %g rps an instance, %.0f s to "
               "start\n"
               "  %lld decisions, %.4f %% late, %.0f instance-seconds (there were %.0f)\n",
               pmoctl_text(h, "policy"), (double)pmoctl_integer(h, "seconds") / 3600,
               pmoctl_text(h, "service"), pmoctl_number(h, "requests"),
               pmoctl_number(h, "capacityRps"), pmoctl_number(h, "startupS"),
               (long long)pmoctl_integer(h, "decisions"), pmoctl_number(h, "latePercent"),
               pmoctl_number(h, "instanceSeconds"), pmoctl_number(h, "recordedInstanceSeconds"));
}

static void print_findings(const struct findings *findings)
{
    size_t policies = json_array_size(findings->policies), i;
    json_t *item;

    json_array_foreach (findings->complaints, i, item) {
        (void)fprintf(stderr, "%s:", pmoctl_text(item, "file"));
        if (pmoctl_integer(item, "line")) /* 0: the file as a whole */
            (void)fprintf(stderr, "%lld:%lld:", (long long)pmoctl_integer(item, "line"),
                          (long long)pmoctl_integer(item, "column"));
        (void)fprintf(stderr, " %s\n", pmoctl_text(item, "message"));
    }
    if (i > 0)
        return;
    json_array_foreach (findings->warnings, i, item)
        (void)fprintf(stderr, "warning: %s:%lld: %s\n", findings->file,
                      (long long)pmoctl_integer(item, "line"), pmoctl_text(item, "message"));
    printf("%s: ok: %zu polic%s", findings->file, policies, policies == 1 ? "y" : "ies");
    print_names("LocalService", findings->local_services);
    print_names("EventSource", findings->event_sources);
    (void)putchar('\n');
    print_history(findings->history);
}

int pmoctl_policy(struct pmoctl *ctl)
{
    json_t *files = json_array();
    bool ok = true;

    if (strcmp(ctl->arguments[0], "check") != 0) {
        json_decref(files);
        return -pmo_fail(2, "policy has no \"%s\"; write: pmoctl policy check FILE...",
                         ctl->arguments[0]);
    }
    for (int i = 1; i < ctl->arguments_count; i++) {
        struct findings findings = {.file = ctl->arguments[i],
                                    .complaints = json_array(),
                                    .warnings = json_array(),
                                    .policies = json_array(),
                                    .local_services = json_array(),
                                    .event_sources = json_array(),
                                    .history = json_array()};
        bool good;

        check_file(&findings, ctl);
        good = json_array_size(findings.complaints) == 0 && !findings.failed;
        ok &= good;
        if (!ctl->json)
            print_findings(&findings);
        (void)json_array_append_new(
            files,
            json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "file",
                      pmo_json_text(findings.file), "ok", good, "policies", findings.policies,
                      "localServices", findings.local_services, "eventSources",
                      findings.event_sources, "complaints", findings.complaints, "warnings",
                      findings.warnings, "history", findings.history));
    }
    if (ctl->json)
        (void)pmoctl_print_json(files);
    else
        json_decref(files);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
