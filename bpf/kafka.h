/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kafka's protocol (kafka.apache.org/protocol): requests named after their API. A broker answers in
 * the order in which it was asked, but for a Produce that wants no acknowledgement. Messages have
 * their length, so nothing else is looked at but the code of an error, where an API has one for all
 * that was asked, at a fixed place. Where it has one for each topic or partition, an answer is a
 * success, whatever is in it.
 */
#pragma once

enum kafka_step {
    KAFKA_LENGTH = 0,
    KAFKA_HEADER, /* API, its version, a number */
    /* of a Produce */
    KAFKA_CLIENT,
    KAFKA_TAGS,
    KAFKA_TRANSACTION,
    KAFKA_ACKS,
    /* of an answer */
    KAFKA_CODE,
};

#define KAFKA_LENGTH_MAX (1U << 30)
#define KAFKA_NAME       32U
#define KAFKA_NEVER      255U

enum { KAFKA_PRODUCE = 0, KAFKA_METADATA = 3, KAFKA_API_VERSIONS = 18 };

enum { /* what a request asks for: any answer, with an error behind its header, behind how long it
        * was throttled; the header ends with a byte (that there are no tags) */
       KAFKA_ASKED = 1,
       KAFKA_ASKED_CODE = 2,
       KAFKA_ASKED_THROTTLE = 4,
       KAFKA_ASKED_TAGS = 8,
};

struct kafka_api {
    char name[KAFKA_NAME];
    __u8 length;
    __u8 code, code_end; /* versions with an error at a fixed place: from, and before */
    __u8 throttle;       /* first version in which that is behind a throttle time, */
    __u8 tags;           /* and in which headers have tags */
    __u8 pad[3];
};

#define KAFKA_API(name)                                                                            \
    {                                                                                              \
#name, sizeof(#name) - 1, 0, 0, 0, 0,                                                      \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define KAFKA_CODE(name, throttle, tags)                                                           \
    {                                                                                              \
#name, sizeof(#name) - 1, 0, KAFKA_NEVER, throttle, tags,                                  \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define KAFKA_CODES(name, from, end, throttle, tags)                                               \
    {                                                                                              \
#name, sizeof(#name) - 1, from, end, throttle, tags,                                       \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

static const struct kafka_api kafka_apis[] = {
    KAFKA_API(Produce),
    KAFKA_CODES(Fetch, 7, KAFKA_NEVER, 1, 12),
    KAFKA_API(ListOffsets),
    KAFKA_API(Metadata),
    KAFKA_API(LeaderAndIsr),
    KAFKA_API(StopReplica),
    KAFKA_API(UpdateMetadata),
    KAFKA_API(ControlledShutdown),
    KAFKA_API(OffsetCommit),
    KAFKA_API(OffsetFetch),
    KAFKA_CODES(FindCoordinator, 0, 4, 1, 3),
    KAFKA_CODE(JoinGroup, 2, 6),
    KAFKA_CODE(Heartbeat, 1, 4),
    KAFKA_CODE(LeaveGroup, 1, 4),
    KAFKA_CODE(SyncGroup, 1, 4),
    KAFKA_API(DescribeGroups),
    KAFKA_CODE(ListGroups, 1, 3),
    KAFKA_CODE(SaslHandshake, KAFKA_NEVER, KAFKA_NEVER),
    KAFKA_CODE(ApiVersions, KAFKA_NEVER, KAFKA_NEVER), /* its header never has tags */
    KAFKA_API(CreateTopics),
    KAFKA_API(DeleteTopics),
    KAFKA_API(DeleteRecords),
    KAFKA_CODE(InitProducerId, 0, 2),
    KAFKA_API(OffsetForLeaderEpoch),
    KAFKA_API(AddPartitionsToTxn),
    KAFKA_CODE(AddOffsetsToTxn, 0, 3),
    KAFKA_CODE(EndTxn, 0, 3),
    KAFKA_API(WriteTxnMarkers),
    KAFKA_API(TxnOffsetCommit),
    KAFKA_API(DescribeAcls),
    KAFKA_API(CreateAcls),
    KAFKA_API(DeleteAcls),
    KAFKA_API(DescribeConfigs),
    KAFKA_API(AlterConfigs),
    KAFKA_API(AlterReplicaLogDirs),
    KAFKA_API(DescribeLogDirs),
    KAFKA_CODE(SaslAuthenticate, KAFKA_NEVER, 2),
    KAFKA_API(CreatePartitions),
    KAFKA_API(CreateDelegationToken),
    KAFKA_API(RenewDelegationToken),
    KAFKA_API(ExpireDelegationToken),
    KAFKA_API(DescribeDelegationToken),
    KAFKA_API(DeleteGroups),
    KAFKA_API(ElectLeaders),
    KAFKA_API(IncrementalAlterConfigs),
    KAFKA_API(AlterPartitionReassignments),
    KAFKA_API(ListPartitionReassignments),
    KAFKA_API(OffsetDelete),
    KAFKA_API(DescribeClientQuotas),
    KAFKA_API(AlterClientQuotas),
    KAFKA_API(DescribeUserScramCredentials),
    KAFKA_API(AlterUserScramCredentials),
    KAFKA_API(Vote),
    KAFKA_API(BeginQuorumEpoch),
    KAFKA_API(EndQuorumEpoch),
    KAFKA_API(DescribeQuorum),
    KAFKA_API(AlterPartition),
    KAFKA_API(UpdateFeatures),
    KAFKA_API(Envelope),
    KAFKA_API(FetchSnapshot),
    KAFKA_CODE(DescribeCluster, 0, 0),
    KAFKA_API(DescribeProducers),
    KAFKA_API(BrokerRegistration),
    KAFKA_API(BrokerHeartbeat),
    KAFKA_API(UnregisterBroker),
    KAFKA_API(DescribeTransactions),
    KAFKA_API(ListTransactions),
    KAFKA_API(AllocateProducerIds),
    KAFKA_CODE(ConsumerGroupHeartbeat, 0, 0),
    KAFKA_API(ConsumerGroupDescribe),
    KAFKA_API(ControllerRegistration),
    KAFKA_CODE(GetTelemetrySubscriptions, 0, 0),
    KAFKA_CODE(PushTelemetry, 0, 0),
    KAFKA_CODE(AssignReplicasToDirs, 0, 0),
    KAFKA_CODE(ListConfigResources, 0, 0),
    KAFKA_API(DescribeTopicPartitions),
    KAFKA_CODE(ShareGroupHeartbeat, 0, 0),
    KAFKA_API(ShareGroupDescribe),
    KAFKA_CODE(ShareFetch, 0, 0),
    KAFKA_CODE(ShareAcknowledge, 0, 0),
    KAFKA_CODE(AddRaftVoter, 0, 0),
    KAFKA_CODE(RemoveRaftVoter, 0, 0),
    KAFKA_CODE(UpdateRaftVoter, 0, 0),
    KAFKA_API(InitializeShareGroupState),
    KAFKA_API(ReadShareGroupState),
    KAFKA_API(WriteShareGroupState),
    KAFKA_API(DeleteShareGroupState),
    KAFKA_API(ReadShareGroupStateSummary),
    KAFKA_CODE(StreamsGroupHeartbeat, 0, 0),
    KAFKA_API(StreamsGroupDescribe),
    KAFKA_API(DescribeShareGroupOffsets),
    KAFKA_CODE(AlterShareGroupOffsets, 0, 0),
    KAFKA_CODE(DeleteShareGroupOffsets, 0, 0),
    KAFKA_API(Other), /* and what is newer */
};

#define KAFKA_OTHER (sizeof(kafka_apis) / sizeof(kafka_apis[0]) - 1)

static __always_inline bool kafka_begins(const __u8 *b, __u32 n)
{
    __u32 length = b[1] << 16 | b[2] << 8 | b[3], client = b[12] << 8 | b[13];

    if (n < 14 || b[0] || length < 10 || length + 4 > n || b[4] || b[6] || b[7] > 31 || b[8] > 127)
        return false;
    if (client == 0xffff || !client) /* who has no name, has to say what it wants to know */
        return b[5] == KAFKA_API_VERSIONS || b[5] == KAFKA_METADATA;
    return b[5] < KAFKA_OTHER && client <= length - 10 && b[14] > ' ' && b[14] < 127;
}

static __always_inline enum wire_event kafka_sent(struct wire *w, bool answered)
{
    w->step = KAFKA_LENGTH;
    w->token = 0;
    w->number = 0;
    w->kind = 0;
    return wire_after(w, w->count, answered ? WIRE_REQUEST : WIRE_MORE);
}

/* Passes over a text before what is wanted of a Produce. */
static __always_inline enum wire_event kafka_text(struct wire *w, __u32 length,
                                                  enum kafka_step then)
{
    w->step = then;
    w->token = 0;
    w->number = 0;
    if (length >= w->count)
        return kafka_sent(w, true);
    w->count -= length;
    return wire_after(w, length, WIRE_MORE);
}

/* The header but for the client's name. */
static __always_inline enum wire_event kafka_header(struct wire *w, struct fold *fold)
{
    __u64 at = w->number >> 48 & 0xffff, version = w->number >> 32 & 0xffff;
    const struct kafka_api *api;

    if (at > 1024 || version > 127)
        return WIRE_OVER;
    if (at > KAFKA_OTHER)
        at = KAFKA_OTHER;
    pmo_opaque(at);
    if (at > KAFKA_OTHER) /* for the verifier */
        return WIRE_OVER;
    api = &kafka_apis[at];
    wire_name_begin(w, fold);
    __builtin_memcpy(fold->text, api->name, KAFKA_NAME);
    w->length = api->length;
    w->asked = KAFKA_ASKED;
    if (version >= api->code && version < api->code_end) {
        w->asked |= KAFKA_ASKED_CODE;
        if (version >= api->throttle)
            w->asked |= KAFKA_ASKED_THROTTLE;
        if (version >= api->tags)
            w->asked |= KAFKA_ASKED_TAGS;
    }
    if (at != KAFKA_PRODUCE)
        return kafka_sent(w, true);
    w->kind = version;
    return kafka_text(w, 0, KAFKA_CLIENT);
}

static __always_inline enum wire_event kafka_request(struct wire *w, struct fold *fold, __u8 c)
{
    __u32 text;

    w->number = w->number << 8 | c;
    w->token++;
    if (w->step == KAFKA_LENGTH) {
        if (w->token < 4)
            return WIRE_MORE;
        w->count = w->number;
        w->token = 0;
        w->step = KAFKA_HEADER;
        return w->count >= 8 && w->count < KAFKA_LENGTH_MAX ? WIRE_MORE : WIRE_OVER;
    }
    w->count--;
    if (w->step == KAFKA_HEADER)
        return w->token < 8 ? WIRE_MORE : kafka_header(w, fold);
    if (!w->count && (w->step != KAFKA_ACKS || w->token < 2))
        return kafka_sent(w, true);
    text = w->number & 0xffff;
    if (text == 0xffff) /* none */
        text = 0;
    switch (w->step) {
    case KAFKA_CLIENT:
        if (w->token < 2)
            return WIRE_MORE;
        return kafka_text(w, text,
                          w->kind >= 9   ? KAFKA_TAGS
                          : w->kind >= 3 ? KAFKA_TRANSACTION
                                         : KAFKA_ACKS);
    case KAFKA_TAGS: /* there are none that are known */
        return c ? kafka_sent(w, true) : kafka_text(w, 0, KAFKA_TRANSACTION);
    case KAFKA_TRANSACTION: /* of newer versions, its length is one more, and a byte if it is short
                             */
        if (w->kind >= 9)
            return c > 127 ? kafka_sent(w, true) : kafka_text(w, c ? c - 1 : 0, KAFKA_ACKS);
        return w->token < 2 ? WIRE_MORE : kafka_text(w, text, KAFKA_ACKS);
    case KAFKA_ACKS:
        return w->token < 2 ? WIRE_MORE : kafka_sent(w, w->number & 0xffff);
    }
    return WIRE_OVER;
}

/* Codes that tell a client how to go on are no failures: a rebalance goes on, an older version is
 * to be used, a member has a name now. */
static __always_inline bool kafka_failed(__u16 code)
{
    return code && code != 27 && code != 35 && code != 79;
}

static __always_inline enum wire_event kafka_response(struct wire *w, __u8 c)
{
    __u32 before;

    w->number = w->number << 8 | c;
    w->token++;
    if (w->step == KAFKA_CODE) {
        if (w->token < 2)
            return WIRE_MORE;
        w->step = KAFKA_LENGTH;
        w->token = 0;
        return wire_after(w, w->count, kafka_failed(w->number) ? WIRE_ERROR : WIRE_ANSWER);
    }
    if (w->token < 4)
        return WIRE_MORE;
    w->token = 0;
    w->count = w->number;
    if (w->count < 4 || w->count > KAFKA_LENGTH_MAX)
        return WIRE_OVER;
    before = 4 + (w->asked & KAFKA_ASKED_TAGS ? 1 : 0) + (w->asked & KAFKA_ASKED_THROTTLE ? 4 : 0);
    if (!(w->asked & KAFKA_ASKED_CODE) || w->count < before + 2)
        return wire_after(w, w->count, w->asked ? WIRE_ANSWER : WIRE_MORE);
    w->count -= before + 2;
    w->step = KAFKA_CODE;
    return wire_after(w, before, WIRE_MORE);
}
