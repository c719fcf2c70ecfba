/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CloudEvents from a topic of Kafka, through librdkafka: structured mode (a JSON object as value)
 * and binary mode (headers ce_...), as the Kafka binding of CloudEvents has them. Each agent reads
 * all partitions: the last PMO_KAFKA_TAIL messages of each when it begins, as what is to come may
 * have been announced before, and then what comes.
 *
 * librdkafka has threads of its own; what they have for us is told through a descriptor that the
 * loop polls. All functions are for the loop's thread.
 */
#pragma once

#include <uv.h>
#include "agent/events/cloudevent.h"

#define PMO_KAFKA_TAIL 1000

struct pmo_kafka;
struct pmo_source;

/* Called with what one message holds. */
typedef void (*pmo_kafka_fn)(void *context, const struct pmo_cloudevents *events);

/* Whether librdkafka has such a setting; else, what to write is in @error (-EINVAL). */
int pmo_kafka_setting_check(const char *name, const char *value, char *error, size_t error_size);

/* Returns 0 or a negative errno, logged. Brokers that cannot be reached are no failure: librdkafka
 * goes on trying; a line in the log says so. */
int pmo_kafka_start(struct pmo_kafka **kafka, uv_loop_t *loop, const struct pmo_source *source,
                    pmo_event_form_fn form, const void *forms, pmo_kafka_fn each, void *context);
/* Takes NULL, sets NULL. Afterwards, nothing that was given to it is used; the loop frees what is
 * left the next time it runs. */
void pmo_kafka_stop(struct pmo_kafka **kafka);
