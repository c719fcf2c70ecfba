/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pmoctl graph: which service calls which, as a tree, or for Graphviz. */
#include "tools/pmoctl/pmoctl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/pmoctl/table.h"

struct tree {
    struct libscols_table *table;
    const json_t *edges;
    json_t *shown; /* whose callees are there already: there may be circles */
};

/* "1.25", or "-" */
static const char *format_ratio(char text[32], double ratio)
{
    if (!isfinite(ratio))
        return "-";
    (void)snprintf(text, 32, "%.2f", ratio);
    return text;
}

static const char *format_busiest(char text[256], const json_t *edge)
{
    const json_t *type = json_array_get(json_object_get(edge, "types"), 0);
    json_int_t more = pmoctl_integer(edge, "typesTotal") - 1;
    int used;

    if (!type)
        return "-";
    used =
        snprintf(text, 256, "%s %.160s", pmoctl_text(type, "method"), pmoctl_text(type, "route"));
    if (more > 0)
        (void)snprintf(text + used, 256 - (size_t)used, " and %lld more", (long long)more);
    return text;
}

static void add_callees(struct tree *tree, const char *caller, struct libscols_line *line)
{
    json_t *edge;
    size_t i;

    if (json_object_get(tree->shown, caller))
        return;
    (void)json_object_set_new(tree->shown, caller, json_true());
    json_array_foreach (tree->edges, i, edge) {
        const char *name = pmoctl_text(edge, "to");
        struct libscols_line *below;
        char cell[7][32], busiest[256];

        if (strcmp(pmoctl_text(edge, "from"), caller) != 0)
            continue;
        below = pmoctl_table_row_below(
            tree->table, line,
            (const char *[]){name, pmoctl_format(cell[0], pmoctl_number(edge, "rps10s")),
                             format_ratio(cell[1], pmoctl_number(edge, "callsPerRequest10s")),
                             pmoctl_format_ms(cell[2], pmoctl_number(edge, "delayMeanMs")),
                             pmoctl_format_ms(cell[3], pmoctl_number(edge, "firstByteMeanMs")),
                             pmoctl_format_ms(cell[4], pmoctl_number(edge, "firstByteP50Ms")),
                             pmoctl_format_ms(cell[5], pmoctl_number(edge, "firstByteP99Ms")),
                             pmoctl_format_errors(cell[6], edge), format_busiest(busiest, edge)});
        add_callees(tree, name, below);
    }
}

static void add_tree(struct tree *tree, const json_t *node)
{
    const char *name = pmoctl_text(node, "name");
    char rps[32];

    add_callees(tree, name,
                pmoctl_table_row_below(
                    tree->table, NULL,
                    (const char *[]){name, pmoctl_format(rps, pmoctl_number(node, "rps10s")), "",
                                     "", "", "", "", "", ""}));
}

/* Is there an edge from it, or to it from another? */
static bool has_edge(const struct tree *tree, const char *name, const char *end)
{
    json_t *edge;
    size_t i;

    json_array_foreach (tree->edges, i, edge)
        if (!strcmp(pmoctl_text(edge, end), name) &&
            strcmp(pmoctl_text(edge, "from"), pmoctl_text(edge, "to")) != 0)
            return true;
    return false;
}

static int print_tree(const json_t *nodes, const json_t *edges)
{
    static const char *const columns[] = {"+SERVICE",     ">RPS",    ">PER REQUEST", ">DELAY MS",
                                          ">MEAN MS",     ">P50 MS", ">P99 MS",      ">ERRORS",
                                          "BUSIEST TYPE", NULL};
    struct tree tree = {.table = pmoctl_table_new(columns), .edges = edges, .shown = json_object()};
    json_t *node;
    size_t i;

    json_array_foreach (nodes, i, node)
        if (!has_edge(&tree, pmoctl_text(node, "name"), "to"))
            add_tree(&tree, node);
    json_array_foreach (nodes, i, node) /* those that call each other, and nobody else calls them */
        if (has_edge(&tree, pmoctl_text(node, "name"), "from") &&
            !json_object_get(tree.shown, pmoctl_text(node, "name")))
            add_tree(&tree, node);
    json_decref(tree.shown);
    return pmoctl_table_print(tree.table);
}

/* A string of Graphviz' language. */
static void print_quoted(const char *text)
{
    (void)putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            (void)putchar('\\');
        (void)putchar(*text);
    }
    (void)putchar('"');
}

static int print_dot(const json_t *nodes, const json_t *edges)
{
    const json_t *item;
    char cell[6][32];
    size_t i;

    puts("digraph calls {\n    rankdir=LR;\n    node [shape=box];");
    json_array_foreach (nodes, i, item) {
        (void)fputs("    ", stdout);
        print_quoted(pmoctl_text(item, "name"));
        puts(strcmp(pmoctl_text(item, "kind"), "service") != 0 ? " [style=dashed];" : ";");
    }
    json_array_foreach (edges, i, item) {
        (void)fputs("    ", stdout);
        print_quoted(pmoctl_text(item, "from"));
        (void)fputs(" -> ", stdout);
        print_quoted(pmoctl_text(item, "to"));
        printf(" [label=\"%s/s, %s per request, %s ms after it\\n"
               "p50 %s ms, p99 %s ms, errors %s\"];\n",
               pmoctl_format(cell[0], pmoctl_number(item, "rps10s")),
               format_ratio(cell[1], pmoctl_number(item, "callsPerRequest10s")),
               pmoctl_format_ms(cell[2], pmoctl_number(item, "delayMeanMs")),
               pmoctl_format_ms(cell[3], pmoctl_number(item, "firstByteP50Ms")),
               pmoctl_format_ms(cell[4], pmoctl_number(item, "firstByteP99Ms")),
               pmoctl_format_errors(cell[5], item));
    }
    puts("}");
    return EXIT_SUCCESS;
}

int pmoctl_graph(struct pmoctl *ctl)
{
    json_t *answer = pmoctl_logged(ctl, pmoctl_get(ctl, "/v1/graph", NULL));
    const json_t *nodes, *edges;
    int r;

    if (!answer)
        return EXIT_FAILURE;
    if (ctl->json)
        return pmoctl_print_json(answer);
    nodes = json_object_get(answer, "nodes");
    edges = json_object_get(answer, "edges");
    if (ctl->dot)
        r = print_dot(nodes, edges);
    else if (json_array_size(edges))
        r = print_tree(nodes, edges);
    else
        r = puts("no calls yet; they are counted of services whose policy says calls: true") < 0;
    json_decref(answer);
    return r;
}
