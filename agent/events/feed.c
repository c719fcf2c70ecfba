/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/feed.h"

#include <curl/curl.h>
#include <errno.h>
#include <libxml/parser.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "agent/base/library.h"
#include "agent/events/instant.h"

#define ATOM "http://www.w3.org/2005/Atom"

static bool is(const xmlNode *node, const char *name, bool atom)
{
    const char *space = node->ns ? (const char *)node->ns->href : "";

    return node->type == XML_ELEMENT_NODE && !strcmp((const char *)node->name, name) &&
           !strcmp(space, atom ? ATOM : "");
}

static xmlNode *child(const xmlNode *node, const char *name, bool atom)
{
    for (xmlNode *c = node->children; c; c = c->next)
        if (is(c, name, atom))
            return c;
    return NULL;
}

/* Text of a child element; the caller's to free. NULL: there is none. */
static char *text_of(const xmlNode *node, const char *name, bool atom)
{
    xmlNode *c = child(node, name, atom);

    return c ? (char *)xmlNodeGetContent(c) : NULL;
}

static int64_t mail_date(const char *text)
{
    static typeof(curl_getdate) *parse;
    static const struct pmo_function function = {"curl_getdate", &parse};

    return pmo_library_load("libcurl-gnutls.so.4", &function, 1) ? -1 : parse(text, NULL);
}

/* Atom has dates of RFC 3339, RSS those of mails. */
static bool read_date(const xmlNode *node, const char *name, bool atom, int64_t *t)
{
    _cleanup_free_ char *text = text_of(node, name, atom);
    char *start = text ? text + strspn(text, " \t\r\n") : NULL;

    if (!start)
        return false;
    start[strcspn(start, "\r\n")] = '\0';
    if (!pmo_instant_parse(start, t))
        return true;
    *t = mail_date(start);
    return *t >= 0;
}

/* Appends the contents of all children of a name, one a line. */
static void write_all(FILE *out, const xmlNode *node, const char *name, bool atom)
{
    for (xmlNode *c = node->children; c; c = c->next) {
        _cleanup_free_ char *content = NULL;

        if (!is(c, name, atom))
            continue;
        content = atom && !strcmp(name, "category") ? (char *)xmlGetProp(c, (xmlChar *)"term")
                                                    : (char *)xmlNodeGetContent(c);
        (void)fprintf(out, "%s\n", content ? content : "");
    }
}

/* Title, what it is about, and categories; the caller's to free. */
static char *describe(const xmlNode *node, bool atom)
{
    size_t length = 0;
    char *text = NULL;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        return NULL;
    write_all(out, node, "title", atom);
    write_all(out, node, atom ? "summary" : "description", atom);
    write_all(out, node, "category", atom);
    (void)fclose(out);
    return text;
}

static int tell(const xmlNode *node, bool atom, int64_t now, pmo_feed_fn each, void *context)
{
    _cleanup_free_ char *id = text_of(node, atom ? "id" : "guid", atom);
    _cleanup_free_ char *link = text_of(node, "link", atom);
    _cleanup_free_ char *title = text_of(node, "title", atom);
    _cleanup_free_ char *text = describe(node, atom);
    struct pmo_feed_item item = {.published = now,
                                 .id = id     ? id
                                       : link ? link
                                              : title,
                                 .text = text ? text : ""};

    if (!item.id || !*item.id)
        return 0; /* Atom has an id, RSS at least a title or a description */
    if (atom && !read_date(node, "published", atom, &item.published))
        (void)read_date(node, "updated", atom, &item.published);
    else if (!atom)
        (void)read_date(node, "pubDate", atom, &item.published);
    if (item.published < 0)
        item.published = now;
    return each(context, &item);
}

static int read_root(const xmlNode *root, int64_t now, pmo_feed_fn each, void *context, char *error,
                     size_t error_size)
{
    const xmlNode *list = NULL;
    bool atom = false;
    int r = 0;

    if (root && is(root, "feed", true)) {
        list = root;
        atom = true;
    } else if (root && is(root, "rss", false)) {
        list = child(root, "channel", false);
    }
    if (!list) {
        (void)snprintf(error, error_size,
                       "this is neither RSS 2.0 nor Atom (its root is <%.40s>); give the address "
                       "of the feed itself",
                       root ? (const char *)root->name : "");
        return -EINVAL;
    }
    for (const xmlNode *node = list->children; node && !r; node = node->next)
        if (is(node, atom ? "entry" : "item", atom))
            r = tell(node, atom, now, each, context);
    return r;
}

static void silence(void *context, const char *format, ...)
{
}

int pmo_feed_read(const char *text, size_t length, int64_t now, pmo_feed_fn each, void *context,
                  char *error, size_t error_size)
{
    const int options =
        XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOERROR | XML_PARSE_NOWARNING;
    xmlParserCtxt *parser = xmlNewParserCtxt();
    xmlDoc *document = NULL;
    int r = -EINVAL;

    if (!parser)
        return -ENOMEM;
    parser->sax->error = parser->sax->warning = silence;
    document = xmlCtxtReadMemory(parser, text, (int)length, NULL, NULL, options);
    if (!document) {
        const xmlError *last = xmlCtxtGetLastError(parser);
        const char *message = last && last->message ? last->message : "it is empty";

        (void)snprintf(error, error_size, "line %d is no XML: %.*s; the feed has to be mended",
                       last ? last->line : 1, (int)strcspn(message, "\n"), message);
    } else if (document->intSubset && document->intSubset->entities) {
        (void)snprintf(error, error_size,
                       "it declares entities, which no feed needs and which can be made to grow "
                       "without bounds; it is not read");
    } else {
        r = read_root(xmlDocGetRootElement(document), now, each, context, error, error_size);
    }
    xmlFreeDoc(document);
    xmlFreeParserCtxt(parser);
    return r;
}
