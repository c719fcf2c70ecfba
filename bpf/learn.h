/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Route folding that learns: which segments of a service's paths are variable shows in how many
 * there are. What is told apart of a service is a tree; a path with PMO_FOLD_CHILDREN children gets
 * no more of them: from then on, what is new behind it folds, in the kernel and at once, so that no
 * burst of new paths can use up the rows of routes, whether or not an agent is there. The more
 * routes a service has, the fewer children are enough, so that a tree that grows everywhere folds
 * everywhere before the service's routes are used up.
 *
 * Names that an administrator pinned come first: they are nodes and rules that the agent put there.
 *
 * A segment is looked up when it ends, and only in paths that no cache knows.
 */
#pragma once

#include "bpf/fold.h"

#define LEARN_DEPTH        16U /* deeper segments are not told apart: they stay as they are */
#define LEARN_CHILDREN_MIN 4U  /* fewer are no sign of anything */

/* What the includer provides; all but the first find or make an entry of a map. There is little
 * room on the stack: what is known of a segment is kept in its struct fold. */
static __always_inline __u64 learn_scope(const struct fold *f);
static __always_inline struct pmo_fold_node *learn_node(__u64 key);
static __always_inline bool learn_node_make(__u64 key, __u64 scope); /* false: was there */
static __always_inline struct pmo_fold_rule *learn_rule(__u64 key);
/* Makes the rule that folds what comes behind the path before the current segment. */
static __always_inline bool learn_rule_make(const struct fold *f);

/* The node of a key, made on first sight. */
static __always_inline struct pmo_fold_node *learn_node_of(__u64 key, __u64 scope)
{
    struct pmo_fold_node *node = learn_node(key);

    if (likely(node))
        return node;
    learn_node_make(key, scope);
    return learn_node(key);
}

/* Whether a service may have one more route, which is then noted. */
static __always_inline bool learn_route(struct fold *f)
{
    struct pmo_fold_node *root;

    f->root = fold_root(f->scope);
    root = learn_node_of(f->root, f->scope);
    if (!root || root->routes >= PMO_FOLD_ROUTES)
        return false;
    __sync_fetch_and_add(&root->routes, 1);
    return true;
}

/* Puts a rule's name in the place of the current segment. */
static __always_inline enum fold_verdict learn_name(struct fold *f, const struct pmo_fold_rule *r)
{
    __u32 at = f->segment, length = 0;
    char c = 0, before;

    if (at + PMO_FOLD_NAME_BYTES > FOLD_TEXT_MAX)
        return FOLD_ID; /* no room for more */
    pmo_opaque(at);
    at &= 127;
    for (__u32 i = 0; i < PMO_FOLD_NAME_BYTES; i++) {
        before = c;
        c = r->name[i];
        f->text[at + i] = c;
        if (!c)
            break;
        length++;
        if (before == '.' && c == '}')
            f->rest = 1;
    }
    f->length = at + length;
    return FOLD_DONE;
}

/* One more child of a path, whose node is made on first sight: may it be told apart, or do its
 * children fold from here on? */
static __always_inline bool learn_child(struct fold *f, struct pmo_fold_node *parent)
{
    struct pmo_fold_node *root;
    __u32 routes, children;

    if (parent && parent->flags & PMO_FOLD_NODE_LEARNED)
        return false;
    root = learn_node(f->root);
    routes = root ? root->routes : 0;
    if (routes >= PMO_FOLD_ROUTES)
        return true; /* but not as a route */
    if (!parent)
        parent = learn_node_of(f->above, f->scope);
    if (!parent)
        return true; /* no room for a node: rows of routes are what bounds it */
    children = parent->children;
    if (children < LEARN_CHILDREN_MIN ||
        (children < PMO_FOLD_CHILDREN && routes + 4 * children < PMO_FOLD_ROUTES)) {
        if (!learn_node_make(f->node, f->scope))
            return true; /* another CPU was first, or there is no room: likewise */
        if (__sync_fetch_and_add(&parent->children, 1) < PMO_FOLD_CHILDREN)
            return true;
    }
    if (!learn_rule_make(f))
        return true; /* no room for a rule: likewise */
    __sync_fetch_and_or(&parent->flags, PMO_FOLD_NODE_LEARNED);
    return false;
}

/* What becomes of the segment that ends here. */
static __always_inline enum fold_verdict learn_segment(struct fold *f, bool variable)
{
    struct pmo_fold_node *parent, *node;
    struct pmo_fold_rule *rule;

    if (!f->depth) {
        f->scope = learn_scope(f);
        f->root = f->node = fold_root(f->scope);
    }
    if (!f->scope || f->depth >= LEARN_DEPTH || f->segment >= FOLD_TEXT_MAX)
        return variable ? FOLD_ID : FOLD_KEEP;
    f->above = f->node;
    f->node = fold_child(f->above, f->hash);
    node = learn_node(f->node);
    if (node && node->flags & PMO_FOLD_NODE_KEPT)
        return FOLD_KEEP;
    parent = learn_node(f->above);
    if (parent && parent->flags & PMO_FOLD_NODE_NAMED) {
        f->node = fold_child(f->above, FOLD_VARIABLE);
        rule = learn_rule(f->above);
        return rule ? learn_name(f, rule) : FOLD_ID;
    }
    if (!variable) {
        if (node || learn_child(f, parent))
            return FOLD_KEEP;
        rule = learn_rule(f->above);
        if (rule)
            fold_sketch(rule->sketch, f->node);
    }
    f->node = fold_child(f->above, FOLD_VARIABLE);
    return FOLD_ID;
}
