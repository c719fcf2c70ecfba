/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The calendar, CloudEvents, feeds, and files of happenings. */
#include "agent/events/event.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/events/cloudevent.h"
#include "agent/events/events_file.h"
#include "agent/events/feed.h"
#include "tests/unit/suite.h"

#define _cleanup_calendar_ __attribute__((cleanup(pmo_calendar_free)))
#define NOW                1000000

/* ---- calendar -------------------------------------------------------------------------------- */

static struct pmo_happening happening(int64_t start, uint32_t duration_s, const char *id)
{
    struct pmo_happening h = {
        .start = start, .duration_s = duration_s, .strength = 1, .kind = "sale", .scope = "*"};

    pmo_happening_name(&h, id, "");
    return h;
}

static struct pmo_calendar *calendar_new(void)
{
    struct pmo_calendar *calendar = NULL;

    CU_ASSERT_EQUAL_FATAL(pmo_calendar_new(&calendar), 0);
    return calendar;
}

static int add(struct pmo_calendar *calendar, int64_t start, uint32_t duration_s, const char *id)
{
    struct pmo_happening h = happening(start, duration_s, id);

    return pmo_calendar_add(calendar, &h, NOW);
}

static void what_goes_on_in_a_time_is_found_whenever_it_began(void)
{
    _cleanup_calendar_ struct pmo_calendar *calendar = calendar_new();
    const struct pmo_happening *found[10];

    CU_ASSERT_EQUAL(add(calendar, NOW + 100, 50, "b"), 1);
    CU_ASSERT_EQUAL(add(calendar, NOW - 5000, 6000, "a"), 1);
    CU_ASSERT_EQUAL(add(calendar, NOW + 500, 0, "c"), 1);
    CU_ASSERT_EQUAL_FATAL(pmo_calendar_between(calendar, NOW, NOW + 60, found, 10), 1);
    CU_ASSERT_STRING_EQUAL(found[0]->id, "a");
    CU_ASSERT_EQUAL_FATAL(pmo_calendar_between(calendar, NOW + 150, NOW + 500, found, 10), 3);
    CU_ASSERT_STRING_EQUAL(found[1]->id, "b");
    CU_ASSERT_STRING_EQUAL(found[2]->id, "c");
    CU_ASSERT_EQUAL(pmo_calendar_between(calendar, NOW + 150, NOW + 500, found, 2), 2);
    CU_ASSERT_EQUAL(pmo_calendar_between(calendar, NOW + 1001, NOW + 2000, found, 10), 0);
    CU_ASSERT(pmo_happening_concerns(found[0], "front"));
}

static void one_of_the_same_source_and_id_replaces_the_other(void)
{
    _cleanup_calendar_ struct pmo_calendar *calendar = calendar_new();
    struct pmo_happening h = happening(NOW + 10, 5, "x");

    CU_ASSERT_EQUAL(pmo_calendar_add(calendar, &h, NOW), 1);
    h.start = NOW + 7000;
    CU_ASSERT_EQUAL(pmo_calendar_add(calendar, &h, NOW + 1), 0);
    CU_ASSERT_EQUAL(pmo_calendar_count(calendar), 1);
    CU_ASSERT_EQUAL(pmo_calendar_at(calendar, 0)->start, NOW + 7000);
    CU_ASSERT_EQUAL(pmo_calendar_at(calendar, 0)->known, NOW); /* it was known before */
    h.source = 1;
    CU_ASSERT_EQUAL(pmo_calendar_add(calendar, &h, NOW), 1);
    CU_ASSERT(pmo_calendar_remove(calendar, 1, "x"));
    CU_ASSERT(!pmo_calendar_remove(calendar, 1, "x"));
    CU_ASSERT_EQUAL(pmo_calendar_count(calendar), 1);
}

static void all_of_a_source_are_replaced_and_others_stay(void)
{
    _cleanup_calendar_ struct pmo_calendar *calendar = calendar_new();
    struct pmo_happening list[3] = {happening(NOW + 30, 5, "c"), happening(NOW + 10, 5, "a"),
                                    happening(NOW + 30, 5, "c")}; /* told twice */

    CU_ASSERT_EQUAL(add(calendar, NOW + 20, 5, "other"), 1);
    CU_ASSERT_EQUAL(pmo_calendar_replace(calendar, 7, list, 3, NOW), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_calendar_count(calendar), 3);
    CU_ASSERT_STRING_EQUAL(pmo_calendar_at(calendar, 0)->id, "a");
    CU_ASSERT_STRING_EQUAL(pmo_calendar_at(calendar, 1)->id, "other");
    list[1] = happening(NOW + 40, 5, "d");
    CU_ASSERT_EQUAL(pmo_calendar_replace(calendar, 7, list, 2, NOW + 100), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_calendar_count(calendar), 3);
    CU_ASSERT_STRING_EQUAL(pmo_calendar_at(calendar, 0)->id, "other");
    CU_ASSERT_EQUAL(pmo_calendar_at(calendar, 1)->known, NOW);
    CU_ASSERT_EQUAL(pmo_calendar_at(calendar, 2)->known, NOW + 100);
    CU_ASSERT_EQUAL(pmo_calendar_at(calendar, 2)->source, 7);
    CU_ASSERT_EQUAL(pmo_calendar_replace(calendar, 7, NULL, 0, NOW), 0);
    CU_ASSERT_EQUAL(pmo_calendar_count(calendar), 1);
}

static void what_is_over_for_a_day_goes(void)
{
    _cleanup_calendar_ struct pmo_calendar *calendar = calendar_new();

    CU_ASSERT_EQUAL(add(calendar, NOW - PMO_CALENDAR_PAST_S - 11, 10, "old"), -ERANGE);
    CU_ASSERT_EQUAL(add(calendar, NOW - PMO_CALENDAR_PAST_S - 10, 10, "nearly"), 1);
    CU_ASSERT_EQUAL(add(calendar, NOW, 10, "new"), 1);
    pmo_calendar_forget(calendar, NOW + 1);
    CU_ASSERT_EQUAL_FATAL(pmo_calendar_count(calendar), 1);
    CU_ASSERT_STRING_EQUAL(pmo_calendar_at(calendar, 0)->id, "new");
}

static void a_full_calendar_keeps_the_nearest(void)
{
    _cleanup_calendar_ struct pmo_calendar *calendar = calendar_new();
    char id[16];

    for (int i = 0; i < PMO_CALENDAR_MAX; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        CU_ASSERT_EQUAL_FATAL(add(calendar, NOW + 10 * i, 1, id), 1);
    }
    CU_ASSERT_EQUAL(add(calendar, NOW + 10 * PMO_CALENDAR_MAX, 1, "far"), -ENOSPC);
    CU_ASSERT_EQUAL(add(calendar, NOW + 5, 1, "near"), 1);
    CU_ASSERT_EQUAL(pmo_calendar_count(calendar), PMO_CALENDAR_MAX);
    CU_ASSERT_EQUAL(pmo_calendar_dropped(calendar), 2);
    CU_ASSERT_STRING_EQUAL(pmo_calendar_at(calendar, 1)->id, "near");
}

static void long_ids_are_told_apart(void)
{
    struct pmo_happening a = {}, b = {}, c = {};
    char long_id[300];

    memset(long_id, 'x', sizeof(long_id));
    long_id[sizeof(long_id) - 1] = '\0';
    pmo_happening_name(&a, long_id, "1");
    pmo_happening_name(&b, long_id, "2");
    pmo_happening_name(&c, long_id, "1");
    CU_ASSERT_STRING_NOT_EQUAL(a.id, b.id);
    CU_ASSERT_STRING_EQUAL(a.id, c.id);
    CU_ASSERT_EQUAL(strlen(a.id), PMO_HAPPENING_BYTES - 1);
    for (size_t i = 1; i + 2 < sizeof(long_id); i += 2) /* x, and characters of two bytes */
        memcpy(&long_id[i], "\xc3\xa4", 2);
    pmo_happening_name(&a, long_id, "1");
    pmo_happening_name(&b, long_id + 1, "1");
    CU_ASSERT_EQUAL(strlen(a.id) + strlen(b.id),
                    2 * PMO_HAPPENING_BYTES - 3); /* one is cut earlier */
    pmo_happening_name(&a, "/shop", "1");
    CU_ASSERT_STRING_EQUAL(a.id, "/shop 1");
}

/* ---- CloudEvents ----------------------------------------------------------------------------- */

static struct pmo_event_form sale_form = {
    .kind = "sale", .scope = "front", .duration_s = 600, .strength = 2, .effect = NAN};

static const struct pmo_event_form *sale_only(const void *context, const char *type)
{
    return !strcmp(type, "com.example.sale") ? &sale_form : NULL;
}

static int read_events(struct pmo_cloudevents *events, const char *text, char error[320])
{
    json_t *json = json_loads(text, 0, NULL);
    int r;

    error[0] = '\0';
    CU_ASSERT_PTR_NOT_NULL_FATAL(json);
    r = pmo_cloudevents_json(events, json, NOW, sale_only, NULL, error, 320);
    json_decref(json);
    return r;
}

/* The first example of the JSON format of CloudEvents 1.0 (section 3.2), with data of XML. */
static void examples_of_the_specification_are_read(void)
{
    static const char xml[] =
        "{\"specversion\": \"1.0\", \"type\": \"com.example.someevent\", \"source\": "
        "\"/mycontext\","
        " \"subject\": null, \"id\": \"C234-1234-1234\", \"time\": \"2018-04-05T17:31:00Z\","
        " \"comexampleextension1\": \"value\", \"comexampleothervalue\": 5,"
        " \"datacontenttype\": \"application/xml\", \"data\": \"<much wow=\\\"xml\\\"/>\"}";
    static const char json[] =
        "{\"specversion\": \"1.0\", \"type\": \"com.example.someevent\", \"source\": "
        "\"/mycontext\","
        " \"id\": \"D234-1234-1234\", \"time\": \"2018-04-05T17:31:00Z\","
        " \"datacontenttype\": \"application/json\","
        " \"data\": {\"appinfoA\": \"abc\", \"appinfoB\": 123, \"appinfoC\": true}}";
    static const char binary[] = "{\"specversion\": \"1.0\", \"type\": \"com.example.someevent\", "
                                 "\"source\": \"/mycontext\","
                                 " \"id\": \"B234-1234-1234\", \"datacontenttype\": "
                                 "\"application/vnd.apache.thrift.binary\","
                                 " \"data_base64\": \"ZGF0YQ==\"}";
    struct pmo_cloudevents events = {};
    char error[320];

    CU_ASSERT_EQUAL_FATAL(read_events(&events, xml, error), 0);
    CU_ASSERT_EQUAL(events.count, 1);
    CU_ASSERT_EQUAL(events.list[0].start, 1522949460);
    CU_ASSERT_STRING_EQUAL(events.list[0].kind, "com.example.someevent");
    CU_ASSERT_STRING_EQUAL(events.list[0].scope, "*");
    CU_ASSERT_STRING_EQUAL(events.list[0].id, "/mycontext C234-1234-1234");
    CU_ASSERT_EQUAL(events.list[0].duration_s, PMO_DURATION_S);
    free(events.list);
    CU_ASSERT_EQUAL_FATAL(read_events(&events, json, error), 0);
    free(events.list);
    CU_ASSERT_EQUAL_FATAL(read_events(&events, binary, error), 0);
    CU_ASSERT_EQUAL(events.list[0].start, NOW);
    free(events.list);
}

static void data_say_how_long_whom_and_how_much(void)
{
    struct pmo_cloudevents events = {};
    char error[320];

    CU_ASSERT_EQUAL_FATAL(
        read_events(
            &events,
            "[{\"specversion\": \"1.0\", \"type\": \"com.example.sale\", \"source\": \"a\", "
            "\"id\": \"1\"},"
            "{\"specversion\": \"1.0\", \"type\": \"com.example.sale\", \"source\": \"a\", "
            "\"id\": \"2\", \"data\": {\"duration\": \"5m\", \"scope\": \"catalog\", "
            "\"strength\": 0.5}},"
            "{\"specversion\": \"1.0\", \"type\": \"x\", \"source\": \"a\", \"id\": \"3\", "
            "\"data\": {\"duration\": 90, \"strength\": 0}}]",
            error),
        0);
    CU_ASSERT_EQUAL_FATAL(events.count, 3);
    CU_ASSERT_STRING_EQUAL(events.list[0].kind, "sale");
    CU_ASSERT_STRING_EQUAL(events.list[0].scope, "front");
    CU_ASSERT_EQUAL(events.list[0].duration_s, 600);
    CU_ASSERT_EQUAL(events.list[0].strength, 2);
    CU_ASSERT_STRING_EQUAL(events.list[1].scope, "catalog");
    CU_ASSERT_EQUAL(events.list[1].duration_s, 300);
    CU_ASSERT_EQUAL(events.list[1].strength, 0.5F);
    CU_ASSERT_EQUAL(events.list[2].duration_s, 90);
    CU_ASSERT_EQUAL(events.list[2].strength, 0);
    free(events.list);
    CU_ASSERT_EQUAL(read_events(&events, "[]", error), 0); /* an empty batch is one, too */
    CU_ASSERT_EQUAL(events.count, 0);
    free(events.list);
}

static void what_is_no_cloudevent_is_said_in_one_line(void)
{
#define GOOD "\"specversion\": \"1.0\", \"type\": \"t\", \"source\": \"s\", \"id\": \"1\""
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"{}", "the attribute \"specversion\" is missing"},
        {"{\"specversion\": \"0.3\", \"type\": \"t\", \"source\": \"s\", \"id\": \"1\"}",
         "specversion \"0.3\" is not known; send \"1.0\""},
        {"{\"specversion\": \"1.0\", \"type\": \"t\", \"source\": \"s\"}", "\"id\" is missing"},
        {"{\"specversion\": \"1.0\", \"type\": \"t\", \"source\": \"\", \"id\": \"1\"}",
         "\"source\" is missing"},
        {"{\"specversion\": \"1.0\", \"type\": 5, \"source\": \"s\", \"id\": \"1\"}",
         "\"type\" is missing"},
        {"{" GOOD ", \"time\": \"tomorrow\"}", "time \"tomorrow\" is no time; write e.g."},
        {"{" GOOD ", \"data\": {\"duration\": \"5 apples\"}}", "data.duration is no time"},
        {"{" GOOD ", \"data\": {\"duration\": -1}}", "data.duration is no time"},
        {"{" GOOD ", \"data\": {\"duration\": 1e9}}", "data.duration is no time"},
        {"{" GOOD ", \"data\": {\"scope\": 7}}", "data.scope is no name"},
        {"{" GOOD ", \"data\": {\"strength\": \"big\"}}", "data.strength is no number"},
        {"{" GOOD ", \"data\": {\"strength\": -1}}", "data.strength is no number"},
        {"[{" GOOD "}, {" GOOD ", \"data\": {\"strength\": -1}}]", "event 2 of the batch: data."},
        {"[7]", "event 1 of the batch: a CloudEvent is a JSON object"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pmo_cloudevents events = {};
        char error[320];

        CU_ASSERT_EQUAL(read_events(&events, cases[i].text, error), -EINVAL);
        CU_ASSERT_PTR_NULL(events.list);
        CU_ASSERT_PTR_NOT_NULL(strstr(error, cases[i].part));
        CU_ASSERT_PTR_NOT_NULL(strstr(error, "; "));
        if (!strstr(error, cases[i].part))
            printf("\n    %s: %s\n", cases[i].text, error);
    }
}

/* ---- feeds ----------------------------------------------------------------------------------- */

static struct item {
    int64_t published;
    char id[100], text[300];
} items[10];
static size_t items_count;

static int keep_item(void *context, const struct pmo_feed_item *item)
{
    struct item *kept = &items[items_count++];

    kept->published = item->published;
    (void)snprintf(kept->id, sizeof(kept->id), "%s", item->id);
    (void)snprintf(kept->text, sizeof(kept->text), "%s", item->text);
    return items_count == 10 ? 1 : 0;
}

static int read_feed(const char *text, char error[320])
{
    items_count = 0;
    error[0] = '\0';
    return pmo_feed_read(text, strlen(text), NOW, keep_item, NULL, error, 320);
}

/* From the RSS 2.0 specification's sample (https://cyber.harvard.edu/rss/examples/rss2sample.xml).
 */
static void rss_is_read(void)
{
    static const char rss[] =
        "<?xml version=\"1.0\"?>\n<rss version=\"2.0\"><channel>"
        "<title>Liftoff News</title><link>http://liftoff.msfc.nasa.gov/</link>"
        "<item><title>Star City</title>"
        "<link>http://liftoff.msfc.nasa.gov/news/2003/news-starcity.asp</link>"
        "<description>How do Americans get ready to work with Russians? &lt;a href=\"x\"&gt;Star "
        "City&lt;/a&gt;.</description><category>Space</category>"
        "<pubDate>Tue, 03 Jun 2003 09:39:21 GMT</pubDate>"
        "<guid>http://liftoff.msfc.nasa.gov/2003/06/03.html#item573</guid></item>"
        "<item><description>Sky watchers in Europe will experience a <![CDATA[partial eclipse]]>."
        "</description><pubDate>Fri, 30 May 2003 11:06:42 GMT</pubDate>"
        "<guid>http://liftoff.msfc.nasa.gov/2003/05/30.html#item572</guid></item>"
        "<item><title>No date</title><link>http://l/1</link></item>"
        "<item><description>Nothing to tell it by</description></item>"
        "</channel></rss>";
    char error[320];

    CU_ASSERT_EQUAL(read_feed(rss, error), 0);
    CU_ASSERT_EQUAL_FATAL(items_count, 3);
    CU_ASSERT_EQUAL(items[0].published, 1054633161);
    CU_ASSERT_STRING_EQUAL(items[0].id, "http://liftoff.msfc.nasa.gov/2003/06/03.html#item573");
    CU_ASSERT_PTR_NOT_NULL(strstr(items[0].text, "Star City\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(items[0].text, "\nSpace\n"));
    CU_ASSERT_EQUAL(items[1].published, 1054292802);
    CU_ASSERT_PTR_NOT_NULL(strstr(items[1].text, "partial eclipse"));
    CU_ASSERT_EQUAL(items[2].published, NOW);
    CU_ASSERT_STRING_EQUAL(items[2].id, "http://l/1");
}

/* RFC 4287, 1.1: both examples. */
static void atom_is_read(void)
{
    static const char brief[] =
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
        "<feed xmlns=\"http://www.w3.org/2005/Atom\">\n"
        " <title>Example Feed</title><link href=\"http://example.org/\"/>\n"
        " <updated>2003-12-13T18:30:02Z</updated><author><name>John Doe</name></author>\n"
        " <id>urn:uuid:60a76c80-d399-11d9-b93C-0003939e0af6</id>\n"
        " <entry><title>Atom-Powered Robots Run Amok</title>\n"
        "  <link href=\"http://example.org/2003/12/13/atom03\"/>\n"
        "  <id>urn:uuid:1225c695-cfb8-4ebb-aaaa-80da344efa6a</id>\n"
        "  <updated>2003-12-13T18:30:02Z</updated><summary>Some text.</summary>\n"
        " </entry></feed>";
    static const char more[] =
        "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title type=\"text\">dive into mark</title>"
        "<entry><title>Atom draft-07 snapshot</title>"
        "<id>tag:example.org,2003:3.2397</id><updated>2005-07-31T12:29:29Z</updated>"
        "<published>2003-12-13T08:29:29-04:00</published><category term=\"drafts\"/>"
        "<content type=\"xhtml\"><div xmlns=\"http://www.w3.org/1999/xhtml\"><p><i>[Update: The "
        "Atom draft is finished.]</i></p></div></content></entry></feed>";
    char error[320];

    CU_ASSERT_EQUAL(read_feed(brief, error), 0);
    CU_ASSERT_EQUAL_FATAL(items_count, 1);
    CU_ASSERT_EQUAL(items[0].published, 1071340202);
    CU_ASSERT_STRING_EQUAL(items[0].id, "urn:uuid:1225c695-cfb8-4ebb-aaaa-80da344efa6a");
    CU_ASSERT_STRING_EQUAL(items[0].text, "Atom-Powered Robots Run Amok\nSome text.\n");
    CU_ASSERT_EQUAL(read_feed(more, error), 0);
    CU_ASSERT_EQUAL_FATAL(items_count, 1);
    CU_ASSERT_EQUAL(items[0].published, 1071318569); /* when it came, not when it was changed */
    CU_ASSERT_PTR_NOT_NULL(strstr(items[0].text, "drafts\n"));
}

static void what_is_no_feed_is_said_in_one_line_and_harmless(void)
{
    static const char laughs[] =
        "<?xml version=\"1.0\"?><!DOCTYPE rss [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;"
        "&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;\">"
        "<!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;&d;\"><!ENTITY f \"&e;&e;&e;&e;&e;&e;&e;&e;\"><!ENTITY "
        "g "
        "\"&f;&f;&f;&f;&f;&f;&f;&f;\"><!ENTITY h "
        "\"&g;&g;&g;&g;&g;&g;&g;&g;\">]><rss><channel><item>"
        "<title>&h;</title></item></channel></rss>";
    static const char outside[] =
        "<!DOCTYPE rss [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><rss><channel><item><title>&x;"
        "</title></item></channel></rss>";
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "line 1 is no XML"},
        {"<rss><channel>\n<item></rss>", "line 2 is no XML"},
        {"<rss version=\"2.0\"></rss>", "neither RSS 2.0 nor Atom"},
        {"<html><body/></html>", "(its root is <html>)"},
        {"{\"a\": 1}", "line 1 is no XML"},
        {laughs, ""},
        {outside, "declares entities"},
    };
    char error[320];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CU_ASSERT_EQUAL(read_feed(cases[i].text, error), -EINVAL);
        CU_ASSERT_EQUAL(items_count, 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(error, cases[i].part));
        CU_ASSERT_PTR_NOT_NULL(strstr(error, "; "));
        CU_ASSERT_PTR_NULL(strchr(error, '\n'));
        if (!strstr(error, cases[i].part))
            printf("\n    %zu: %s\n", i, error);
    }
}

/* ---- files for backtests --------------------------------------------------------------------- */

static int read_file(const char *text, struct pmo_happening **list, size_t *count)
{
    char path[] = "/tmp/pmo-events-XXXXXX";
    int fd = mkstemp(path), r;
    enum pmo_log_level level = pmo_log_max;

    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    pmo_log_max = 0;
    r = pmo_events_file_read(path, list, count);
    pmo_log_max = level;
    (void)unlink(path);
    return r;
}

static void a_file_of_events_is_read_by_its_first_line(void)
{
    struct pmo_happening *list = NULL;
    size_t count = 0;

    CU_ASSERT_EQUAL_FATAL(read_file("start,duration,kind,strength\n"
                                    "# the second comes first\n"
                                    "7200,300,newsletter,1\n"
                                    "60, 90 ,\"flash sale\",0.5\r\n\n",
                                    &list, &count),
                          0);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_EQUAL(list[0].start, 60);
    CU_ASSERT_EQUAL(list[0].duration_s, 90);
    CU_ASSERT_STRING_EQUAL(list[0].kind, "flash sale");
    CU_ASSERT_EQUAL(list[0].strength, 0.5F);
    CU_ASSERT_EQUAL(list[0].known, INT64_MIN);
    CU_ASSERT_STRING_EQUAL(list[1].scope, "*");
    free(list);
    CU_ASSERT_EQUAL_FATAL(
        read_file("kind,start,known,scope\nnews,500,500,front\nnews,900,,\n", &list, &count), 0);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_EQUAL(list[0].known, 500);
    CU_ASSERT_STRING_EQUAL(list[0].scope, "front");
    CU_ASSERT_EQUAL(list[1].known, INT64_MIN);
    CU_ASSERT_EQUAL(list[1].duration_s, PMO_DURATION_S);
    free(list);
}

static void a_file_of_something_else_is_refused(void)
{
    static const char *const bad[] = {
        "",
        "start,duration\n1,2\n",
        "start,kind,start\n1,a,2\n",
        "start,kind,colour\n1,a,red\n",
        "start,kind\n1\n",
        "start,kind\n1,a,2\n",
        "start,kind\nsoon,a\n",
        "start,kind\n,a\n",
        "start,kind\n1,\n",
        "start,kind,strength\n1,a,-1\n",
        "start,kind,duration\n1,a,nan\n",
        "start,kind\n1,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct pmo_happening *list = NULL;
        size_t count;

        CU_ASSERT_EQUAL(read_file(bad[i], &list, &count), -EINVAL);
        CU_ASSERT_PTR_NULL(list);
    }
}

SUITE(events) = {
    TEST(what_goes_on_in_a_time_is_found_whenever_it_began),
    TEST(one_of_the_same_source_and_id_replaces_the_other),
    TEST(all_of_a_source_are_replaced_and_others_stay),
    TEST(what_is_over_for_a_day_goes),
    TEST(a_full_calendar_keeps_the_nearest),
    TEST(long_ids_are_told_apart),
    TEST(examples_of_the_specification_are_read),
    TEST(data_say_how_long_whom_and_how_much),
    TEST(what_is_no_cloudevent_is_said_in_one_line),
    TEST(rss_is_read),
    TEST(atom_is_read),
    TEST(what_is_no_feed_is_said_in_one_line_and_harmless),
    TEST(a_file_of_events_is_read_by_its_first_line),
    TEST(a_file_of_something_else_is_refused),
    {0},
};
