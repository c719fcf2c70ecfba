/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/kafka.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/base/library.h"
#include "agent/base/log.h"
#include "agent/events/sources.h"

#define AT_ONCE 256 /* messages, before the loop has a turn again */

/* librdkafka and what it is linked with take 4 MiB, and only agents with such a source need them.
 */
static struct {
    typeof(rd_kafka_assign) *assign;
    typeof(rd_kafka_conf_destroy) *conf_destroy;
    typeof(rd_kafka_conf_new) *conf_new;
    typeof(rd_kafka_conf_set) *conf_set;
    typeof(rd_kafka_conf_set_error_cb) *conf_set_error_cb;
    typeof(rd_kafka_conf_set_log_cb) *conf_set_log_cb;
    typeof(rd_kafka_conf_set_opaque) *conf_set_opaque;
    typeof(rd_kafka_conf_set_rebalance_cb) *conf_set_rebalance_cb;
    typeof(rd_kafka_consumer_poll) *consumer_poll;
    typeof(rd_kafka_destroy_flags) *destroy_flags;
    typeof(rd_kafka_err2str) *err2str;
    typeof(rd_kafka_header_get_last) *header_get_last;
    typeof(rd_kafka_message_destroy) *message_destroy;
    typeof(rd_kafka_message_errstr) *message_errstr;
    typeof(rd_kafka_message_headers) *message_headers;
    typeof(rd_kafka_new) *new;
    typeof(rd_kafka_poll_set_consumer) *poll_set_consumer;
    typeof(rd_kafka_queue_destroy) *queue_destroy;
    typeof(rd_kafka_queue_get_consumer) *queue_get_consumer;
    typeof(rd_kafka_queue_io_event_enable) *queue_io_event_enable;
    typeof(rd_kafka_subscribe) *subscribe;
    typeof(rd_kafka_topic_partition_list_add) *topic_partition_list_add;
    typeof(rd_kafka_topic_partition_list_destroy) *topic_partition_list_destroy;
    typeof(rd_kafka_topic_partition_list_new) *topic_partition_list_new;
} rdkafka;

static const struct pmo_function functions[] = {
    {"rd_kafka_assign", &rdkafka.assign},
    {"rd_kafka_conf_destroy", &rdkafka.conf_destroy},
    {"rd_kafka_conf_new", &rdkafka.conf_new},
    {"rd_kafka_conf_set", &rdkafka.conf_set},
    {"rd_kafka_conf_set_error_cb", &rdkafka.conf_set_error_cb},
    {"rd_kafka_conf_set_log_cb", &rdkafka.conf_set_log_cb},
    {"rd_kafka_conf_set_opaque", &rdkafka.conf_set_opaque},
    {"rd_kafka_conf_set_rebalance_cb", &rdkafka.conf_set_rebalance_cb},
    {"rd_kafka_consumer_poll", &rdkafka.consumer_poll},
    {"rd_kafka_destroy_flags", &rdkafka.destroy_flags},
    {"rd_kafka_err2str", &rdkafka.err2str},
    {"rd_kafka_header_get_last", &rdkafka.header_get_last},
    {"rd_kafka_message_destroy", &rdkafka.message_destroy},
    {"rd_kafka_message_errstr", &rdkafka.message_errstr},
    {"rd_kafka_message_headers", &rdkafka.message_headers},
    {"rd_kafka_new", &rdkafka.new},
    {"rd_kafka_poll_set_consumer", &rdkafka.poll_set_consumer},
    {"rd_kafka_queue_destroy", &rdkafka.queue_destroy},
    {"rd_kafka_queue_get_consumer", &rdkafka.queue_get_consumer},
    {"rd_kafka_queue_io_event_enable", &rdkafka.queue_io_event_enable},
    {"rd_kafka_subscribe", &rdkafka.subscribe},
    {"rd_kafka_topic_partition_list_add", &rdkafka.topic_partition_list_add},
    {"rd_kafka_topic_partition_list_destroy", &rdkafka.topic_partition_list_destroy},
    {"rd_kafka_topic_partition_list_new", &rdkafka.topic_partition_list_new},
};

static int load(void)
{
    return pmo_library_load("librdkafka.so.1", functions, sizeof(functions) / sizeof(*functions));
}

struct pmo_kafka {
    const struct pmo_source *source;
    pmo_event_form_fn form;
    const void *forms;
    pmo_kafka_fn each;
    void *context;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    int fd;
    uv_poll_t poll;
    bool down;    /* said so */
    bool refused; /* the last message was no event: said so */
};

int pmo_kafka_setting_check(const char *name, const char *value, char *error, size_t error_size)
{
    rd_kafka_conf_t *conf;
    char reason[200] = "";
    bool good;

    if (load()) {
        (void)snprintf(error, error_size, "librdkafka cannot be loaded; install it");
        return -ELIBACC;
    }
    conf = rdkafka.conf_new();
    good = rdkafka.conf_set(conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK;
    rdkafka.conf_destroy(conf);
    if (good)
        return 0;
    (void)snprintf(error, error_size, "%.200s; write one of librdkafka's settings", reason);
    return -EINVAL;
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Attribute "id" is the header "ce_id"; its value need not end with a NUL. */
struct headers {
    const rd_kafka_headers_t *list;
    char values[8][256];
    size_t used;
};

static const char *header(void *context, const char *name)
{
    struct headers *headers = context;
    char key[64], *value = headers->values[headers->used % 8];
    const void *bytes;
    size_t size;

    (void)snprintf(key, sizeof(key), "ce_%s", name);
    if (!headers->list || rdkafka.header_get_last(headers->list, key, &bytes, &size) ||
        size >= sizeof(headers->values[0]))
        return NULL;
    headers->used++;
    memcpy(value, bytes, size);
    value[size] = '\0';
    return value;
}

static void take(struct pmo_kafka *kafka, rd_kafka_message_t *message)
{
    struct pmo_cloudevents events = {};
    struct headers headers = {};
    json_t *json = json_loadb(message->payload, message->len, 0, NULL);
    rd_kafka_headers_t *list = NULL;
    char error[320] = "";
    int r;

    (void)rdkafka.message_headers(message, &list);
    headers.list = list;
    if (header(&headers, "specversion"))
        r = pmo_cloudevents_binary(&events, header, &headers, json, time(NULL), kafka->form,
                                   kafka->forms, error, sizeof(error));
    else
        r = pmo_cloudevents_json(&events, json, time(NULL), kafka->form, kafka->forms, error,
                                 sizeof(error));
    if (r && !kafka->refused)
        pmo_warn("%s: offset %lld of topic %s, partition %d: %s (others like it are left out, too)",
                 kafka->source->name, (long long)message->offset, kafka->source->topic,
                 message->partition, *error ? error : strerror(-r));
    kafka->refused = r;
    if (!r)
        kafka->each(kafka->context, &events);
    free(events.list);
    json_decref(json);
}

static void on_readable(uv_poll_t *poll, int status, int readable)
{
    struct pmo_kafka *kafka = poll->data;
    rd_kafka_message_t *message;
    uint64_t count;
    int taken = 0;

    (void)!read(kafka->fd, &count, sizeof(count));
    while (taken < AT_ONCE && (message = rdkafka.consumer_poll(kafka->client, 0))) {
        if (!message->err)
            take(kafka, message);
        else if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
            pmo_warn("%s: topic %s: %s", kafka->source->name, kafka->source->topic,
                     rdkafka.message_errstr(message));
        rdkafka.message_destroy(message);
        taken++;
    }
    count = 1;
    if (taken == AT_ONCE) /* there may be more, of which nothing is told again */
        (void)!write(kafka->fd, &count, sizeof(count));
}

/* ---- the client ------------------------------------------------------------------------------ */

/* Partitions are given out by the group, of which this agent is the only member. */
static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t error,
                         rd_kafka_topic_partition_list_t *partitions, void *context)
{
    if (error != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        (void)rdkafka.assign(client, NULL);
        return;
    }
    for (int i = 0; i < partitions->cnt; i++)
        partitions->elems[i].offset = RD_KAFKA_OFFSET_TAIL(PMO_KAFKA_TAIL);
    (void)rdkafka.assign(client, partitions);
}

static void on_error(rd_kafka_t *client, int error, const char *reason, void *context)
{
    struct pmo_kafka *kafka = context;

    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && kafka->down)
        return;
    kafka->down = error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    if (kafka->down)
        pmo_warn("%s: no broker of %s answers; it is tried again and again", kafka->source->name,
                 kafka->source->place);
    else
        pmo_debug("%s: %s", kafka->source->name, reason);
}

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    pmo_debug("kafka: %s", text);
}

static int client_new(struct pmo_kafka *kafka)
{
    rd_kafka_conf_t *conf = rdkafka.conf_new();
    char host[65] = "", group[128], reason[256] = "";
    const struct {
        const char *name, *value;
    } own[] = {{"bootstrap.servers", kafka->source->place},
               {"group.id", group},
               {"client.id", "pmo-agent"},
               {"enable.auto.commit", "false"},
               {"enable.auto.offset.store", "false"},
               {"auto.offset.reset", "earliest"}}; /* of a tail that is longer than the topic */
    bool good = true;

    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(group, sizeof(group), "pmo-%s-%d", host, (int)getpid());
    for (size_t i = 0; good && i < sizeof(own) / sizeof(*own); i++)
        good = !rdkafka.conf_set(conf, own[i].name, own[i].value, reason, sizeof(reason));
    for (size_t i = 0; good && i < kafka->source->settings_count; i++)
        good = !rdkafka.conf_set(conf, kafka->source->settings[i].name,
                                 kafka->source->settings[i].value, reason, sizeof(reason));
    rdkafka.conf_set_opaque(conf, kafka);
    rdkafka.conf_set_rebalance_cb(conf, on_rebalance);
    rdkafka.conf_set_error_cb(conf, on_error);
    rdkafka.conf_set_log_cb(conf, on_log);
    if (good)
        kafka->client = rdkafka.new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
    if (kafka->client)
        return 0;
    rdkafka.conf_destroy(conf);
    return pmo_fail(EINVAL, "%s: Kafka: %s", kafka->source->name, reason);
}

static int subscribe(struct pmo_kafka *kafka)
{
    rd_kafka_topic_partition_list_t *topics = rdkafka.topic_partition_list_new(1);
    rd_kafka_resp_err_t error;

    (void)rdkafka.topic_partition_list_add(topics, kafka->source->topic, RD_KAFKA_PARTITION_UA);
    (void)rdkafka.poll_set_consumer(kafka->client);
    error = rdkafka.subscribe(kafka->client, topics);
    rdkafka.topic_partition_list_destroy(topics);
    if (error)
        return pmo_fail(EINVAL, "%s: topic %s: %s", kafka->source->name, kafka->source->topic,
                        rdkafka.err2str(error));
    return 0;
}

static void client_free(struct pmo_kafka *kafka)
{
    if (kafka->queue) {
        rdkafka.queue_io_event_enable(kafka->queue, -1, NULL, 0);
        rdkafka.queue_destroy(kafka->queue);
    }
    /* Without a word to the group, which would take a second of waiting: it has no other member. */
    if (kafka->client)
        rdkafka.destroy_flags(kafka->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    if (kafka->fd >= 0)
        (void)close(kafka->fd);
}

int pmo_kafka_start(struct pmo_kafka **kafka, uv_loop_t *loop, const struct pmo_source *source,
                    pmo_event_form_fn form, const void *forms, pmo_kafka_fn each, void *context)
{
    static const uint64_t one = 1;
    struct pmo_kafka *k = calloc(1, sizeof(*k));
    int r;

    if (!k)
        return pmo_err_r(ENOMEM, "%s", source->name);
    *k = (struct pmo_kafka){.source = source,
                            .form = form,
                            .forms = forms,
                            .each = each,
                            .context = context,
                            .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    r = k->fd < 0 ? pmo_err_r(errno, "%s", source->name) : load();
    if (!r)
        r = client_new(k);
    if (!r)
        r = subscribe(k);
    if (!r)
        r = uv_poll_init(loop, &k->poll, k->fd);
    if (r) {
        client_free(k);
        free(k);
        return r;
    }
    k->queue = rdkafka.queue_get_consumer(k->client);
    rdkafka.queue_io_event_enable(k->queue, k->fd, &one, sizeof(one));
    (void)!write(k->fd, &one, sizeof(one)); /* for what is in it already */
    k->poll.data = k;
    (void)uv_poll_start(&k->poll, UV_READABLE, on_readable);
    *kafka = k;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void pmo_kafka_stop(struct pmo_kafka **kafka)
{
    if (!*kafka)
        return;
    uv_close((uv_handle_t *)&(*kafka)->poll, on_closed);
    client_free(*kafka);
    *kafka = NULL;
}
