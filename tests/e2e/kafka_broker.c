/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Kafka broker to count the requests of: the one that librdkafka has for tests, which speaks the
 * protocol over sockets. Prints its address, and is there until its input ends. The first two
 * InitProducerId get an error (that the coordinator is loading), which clients ask again after.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>

#define INIT_PRODUCER_ID 22

int main(void)
{
    char why[256];
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_PRODUCER, NULL, why, sizeof(why));
    rd_kafka_mock_cluster_t *broker = kafka ? rd_kafka_mock_cluster_new(kafka, 1) : NULL;

    if (!broker) {
        (void)fprintf(stderr, "no broker: %s\n", why);
        return 1;
    }
    rd_kafka_mock_push_request_errors(broker, INIT_PRODUCER_ID, 2,
                                      RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
                                      RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    (void)printf("%s\n", rd_kafka_mock_cluster_bootstraps(broker));
    (void)fflush(stdout);
    while (getchar() != EOF)
        ;
    rd_kafka_mock_cluster_destroy(broker);
    rd_kafka_destroy(kafka);
    return 0;
}
