/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The protocol of MySQL and MariaDB, from version 4.1 on (MySQL's internals manual, "Client/Server
 * Protocol"; MariaDB's knowledge base says the same and what it has of its own). The server speaks
 * first; a client's first packet, its login, is the first request, CONNECT. What follows are
 * commands: those with a statement are named after its first word, the others after themselves.
 *
 * All bytes are in packets: three bytes of length, a number, and the payload. The number of a
 * command is 0; what a client sends besides (of a login, of a file that is loaded) goes on
 * counting. An answer may be many packets, and how it ends depends on the command and on what the
 * client has said at login that it can take, so a request says so (`asked`). It failed if there was
 * an ERR.
 *
 * What is compressed is not read, and the stream of a replica is over.
 */
#pragma once

enum mysql_step {
    MYSQL_HEADER = 0,
    /* of a client */
    MYSQL_LOGIN,
    MYSQL_COMMAND,
    MYSQL_ATTRIBUTES, /* how many a statement has, and of how many sets */
    MYSQL_WORD,       /* up to the end of the first one of a statement */
    /* of the server */
    MYSQL_TYPE,     /* first byte of a packet */
    MYSQL_ERROR,    /* its code */
    MYSQL_PREPARED, /* numbers of a statement, its columns, its parameters */
    MYSQL_COLUMNS,  /* how many */
    MYSQL_METADATA, /* whether they are described */
    MYSQL_SKIP,     /* numbers before the status */
    MYSQL_STATUS,
};

enum {                   /* flags, of a client */
       MYSQL_LONG = 1,   /* a packet of the greatest length, which the next one continues; */
                         /* of the server, too */
       MYSQL_KNOWN = 2,  /* it has logged in */
       MYSQL_WRAPS = 4,  /* the next packet's number is 0, and goes on counting */
       MYSQL_NO_EOF = 8, /* rows follow columns with nothing between them */
       MYSQL_NAMES = 16, /* statements begin with attributes */
};

enum { /* what a request asks for; together with MYSQL_NO_EOF */
       MYSQL_ASKED_LOGIN = 16,
       MYSQL_ASKED_PACKET = 32, /* of any kind */
       MYSQL_ASKED_RESULT = 48,
       MYSQL_ASKED_ROWS = 64, /* without what comes before them */
       MYSQL_ASKED_STATEMENT = 80,
};

enum { /* `kind`: what comes next of an answer, other than its first packet */
       MYSQL_DESCRIPTIONS = 1,
       MYSQL_ROWS,
};

#define MYSQL_PACKET_MAX 0xffffffU

enum { /* capabilities of a client */
       MYSQL_CAN_COMPRESS = 1 << 5 | 1 << 26,
       MYSQL_CAN_41 = 1 << 9,
       MYSQL_CAN_TLS = 1 << 11,
       MYSQL_CAN_NO_EOF = 1 << 24,
       MYSQL_CAN_NO_METADATA = 1 << 25,
       MYSQL_CAN_ATTRIBUTES = 1 << 27,
};

#define MYSQL_TLS_BYTES 32U /* of the wish for it; a login has more */

/* Inside TLS, where no greeting is: length, number, capabilities, the greatest packet, character
 * set, zeros. MariaDB reads the first four bytes by themselves. */
static __always_inline bool mysql_begins(const __u8 *b, __u32 n)
{
    if (n < 4 || b[3] != 2 || b[2] || b[1] > 3 || (b[0] < MYSQL_TLS_BYTES && !b[1]))
        return false;
    return n == 4 ||
           (n >= 36 && b[5] & MYSQL_CAN_41 >> 8 && !load_word(b + 13) && !load_word(b + 21));
}

/* Is this what a server sends first? The segment has nothing else: length, number, version of the
 * protocol, that of the server as text. */
static __always_inline bool mysql_greets(const __u8 *b, __u32 n)
{
    return n > 32 && b[0] + (b[1] << 8) + 4U == n && !b[2] && !b[3] && b[4] == 10 &&
           wire_digit(b[5]) >= 0 && (b[6] == '.' || wire_digit(b[6]) >= 0);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* A command's name, where it is not that of its statement, and what it asks for: nothing, where
 * there will be no answer. */
static __always_inline __u64 mysql_command(struct wire *w, __u8 command)
{
    w->asked = MYSQL_ASKED_PACKET;
    switch (command) {
    case 0x01: /* COM_QUIT */
    case 0x18: /* COM_STMT_SEND_LONG_DATA */
    case 0x19: /* COM_STMT_CLOSE */
        w->asked = 0;
        return 0;
    case 0x02:
        return W('I', 'N', 'I', 'T', '_', 'D', 'B', 0);
    case 0x03:
        w->asked = MYSQL_ASKED_RESULT;
        return 0;
    case 0x04:
        w->asked = MYSQL_ASKED_ROWS;
        return W('F', 'I', 'E', 'L', 'D', 'S', 0, 0);
    case 0x09: /* COM_STATISTICS */
        return W('S', 'T', 'A', 'T', 'U', 'S', 0, 0);
    case 0x0a: /* COM_PROCESS_INFO */
        w->asked = MYSQL_ASKED_RESULT;
        return W('P', 'R', 'O', 'C', 'E', 'S', 'S', 0);
    case 0x0c:
        return W('K', 'I', 'L', 'L', 0, 0, 0, 0);
    case 0x0e:
        return W('P', 'I', 'N', 'G', 0, 0, 0, 0);
    case 0x11: /* COM_CHANGE_USER */
        w->asked = MYSQL_ASKED_LOGIN;
        return W('C', 'O', 'N', 'N', 'E', 'C', 'T', 0);
    case 0x16:
        w->asked = MYSQL_ASKED_STATEMENT;
        return W('P', 'R', 'E', 'P', 'A', 'R', 'E', 0);
    case 0x17:
    case 0xfa: /* COM_STMT_BULK_EXECUTE of MariaDB */
        w->asked = MYSQL_ASKED_RESULT;
        return W('E', 'X', 'E', 'C', 'U', 'T', 'E', 0);
    case 0x1a: /* COM_STMT_RESET */
    case 0x1f: /* COM_RESET_CONNECTION */
        return W('R', 'E', 'S', 'E', 'T', 0, 0, 0);
    case 0x1b:
        return W('O', 'P', 'T', 'I', 'O', 'N', 0, 0);
    case 0x1c:
        w->asked = MYSQL_ASKED_ROWS;
        return W('F', 'E', 'T', 'C', 'H', 0, 0, 0);
    }
    return W('C', 'O', 'M', 'M', 'A', 'N', 'D', 0);
}

/* A packet of a command of which all is known. */
static __always_inline enum wire_event mysql_sent(struct wire *w, struct fold *fold)
{
    if (!w->length)
        wire_name_word(w, fold, W('Q', 'U', 'E', 'R', 'Y', 0, 0, 0));
    w->step = MYSQL_HEADER;
    w->token = 0;
    w->number = 0;
    return wire_after(w, w->count, w->flags & MYSQL_LONG || !w->asked ? WIRE_MORE : WIRE_REQUEST);
}

static __always_inline enum wire_event mysql_header_sent(struct wire *w, struct fold *fold)
{
    __u32 length = w->number & MYSQL_PACKET_MAX;
    __u8 number = w->number >> 24;
    bool goes_on = number || w->flags & MYSQL_WRAPS;

    w->token = 0;
    w->number = 0;
    w->count = length;
    w->flags &= ~MYSQL_WRAPS;
    if (number == 255 && length)
        w->flags |= MYSQL_WRAPS;
    if (!(w->flags & MYSQL_KNOWN)) {
        w->step = MYSQL_LOGIN;
        return (number == 1 || number == 2) && length >= MYSQL_TLS_BYTES && length < 1 << 16
                   ? WIRE_MORE
                   : WIRE_OVER;
    }
    if (goes_on && !(w->flags & MYSQL_LONG))
        return wire_after(w, length, WIRE_MORE);
    if (length < MYSQL_PACKET_MAX)
        w->flags &= ~MYSQL_LONG;
    else
        w->flags |= MYSQL_LONG;
    if (goes_on)
        return mysql_sent(w, fold);
    w->step = MYSQL_COMMAND;
    return length ? WIRE_MORE : WIRE_OVER;
}

static __always_inline enum wire_event mysql_login(struct wire *w, struct fold *fold)
{
    __u32 can = w->number;

    if (can & MYSQL_CAN_TLS && w->count == MYSQL_TLS_BYTES - 4)
        return WIRE_TLS;
    if (!(can & MYSQL_CAN_41) || can & (MYSQL_CAN_COMPRESS | MYSQL_CAN_NO_METADATA))
        return WIRE_OVER;
    wire_name_word(w, fold, W('C', 'O', 'N', 'N', 'E', 'C', 'T', 0));
    w->flags = MYSQL_KNOWN;
    if (can & MYSQL_CAN_NO_EOF)
        w->flags |= MYSQL_NO_EOF;
    if (can & MYSQL_CAN_ATTRIBUTES)
        w->flags |= MYSQL_NAMES;
    w->asked = MYSQL_ASKED_LOGIN;
    return mysql_sent(w, fold);
}

static __always_inline enum wire_event mysql_request(struct wire *w, struct fold *fold, __u8 c)
{
    if (w->step == MYSQL_HEADER) {
        w->number |= (__u64)c << (8 * (w->token & 3));
        w->token++;
        return w->token < 4 ? WIRE_MORE : mysql_header_sent(w, fold);
    }
    w->count--;
    switch (w->step) {
    case MYSQL_LOGIN:
        w->number |= (__u64)c << (8 * (w->token & 3));
        w->token++;
        return w->token < 4 ? WIRE_MORE : mysql_login(w, fold);
    case MYSQL_COMMAND:
        if (c == 0x12 || c == 0x13 || c == 0x1e) /* of replicas */
            return WIRE_OVER;
        wire_name_word(w, fold, mysql_command(w, c));
        if (w->asked)
            w->asked |= w->flags & MYSQL_NO_EOF;
        if (c != 0x03 || !w->count)
            return mysql_sent(w, fold);
        w->step = w->flags & MYSQL_NAMES ? MYSQL_ATTRIBUTES : MYSQL_WORD;
        return WIRE_MORE;
    case MYSQL_ATTRIBUTES:
        w->token++;
        if ((w->token == 1 && c) || !w->count)
            return mysql_sent(w, fold); /* there are some before the statement */
        if (w->token == 2)
            w->step = MYSQL_WORD;
        return WIRE_MORE;
    case MYSQL_WORD:
        return !wire_word(w, fold, c) && w->count ? WIRE_MORE : mysql_sent(w, fold);
    }
    return WIRE_OVER;
}

/* ---- responses ------------------------------------------------------------------------------- */

/* The rest of a packet means nothing. */
static __always_inline enum wire_event mysql_rest(struct wire *w, enum wire_event event)
{
    __u64 rest = w->number;

    w->step = MYSQL_HEADER;
    w->token = 0;
    w->number = 0;
    if (event != WIRE_MORE)
        w->kind = 0;
    return wire_after(w, rest, event);
}

/* A result begins: descriptions of its columns, if there are any, and what ends them, come next. */
static __always_inline enum wire_event mysql_columns(struct wire *w, __u32 descriptions)
{
    w->count = descriptions + !(w->asked & MYSQL_NO_EOF);
    w->kind = w->count ? MYSQL_DESCRIPTIONS : MYSQL_ROWS;
    return mysql_rest(w, WIRE_MORE);
}

/* Bytes before a status: of two numbers (an OK packet), or two bytes (EOF). */
static __always_inline enum wire_event mysql_skip(struct wire *w, bool ok)
{
    w->step = MYSQL_SKIP;
    w->token = ok ? 2 : 0;
    w->length = ok ? 0 : 2;
    return w->number ? WIRE_MORE : mysql_rest(w, WIRE_ANSWER);
}

/* First byte of a row, or of what ends them. */
static __always_inline enum wire_event mysql_row(struct wire *w, __u8 c)
{
    bool no_eof = w->asked & MYSQL_NO_EOF;

    if (c == 0xfe && !(w->flags & MYSQL_LONG) && (no_eof || w->number < 8))
        return mysql_skip(w, no_eof);
    return mysql_rest(w, WIRE_MORE);
}

/* First byte of an answer. */
static __always_inline enum wire_event mysql_first(struct wire *w, __u8 c)
{
    switch (w->asked & ~MYSQL_NO_EOF) {
    case MYSQL_ASKED_LOGIN: /* anything else is for the client to go on with */
        return mysql_rest(w, c ? WIRE_MORE : WIRE_ANSWER);
    case MYSQL_ASKED_PACKET:
        return mysql_rest(w, WIRE_ANSWER);
    case MYSQL_ASKED_ROWS:
        return mysql_row(w, c);
    case MYSQL_ASKED_STATEMENT:
        w->step = MYSQL_PREPARED;
        w->token = 0;
        w->count = 0;
        return c || w->number < 8 ? WIRE_OVER : WIRE_MORE;
    case MYSQL_ASKED_RESULT:
        if (!c)
            return mysql_skip(w, true);
        if (c == 0xfb) /* a file of the client's is asked for */
            return mysql_rest(w, WIRE_MORE);
        if (c == 0xfc && w->number >= 2) {
            w->step = MYSQL_COLUMNS;
            w->token = 0;
            w->count = 0;
            return WIRE_MORE;
        }
        if (c > 0xfb)
            return WIRE_OVER;
        w->count = c;
        w->step = MYSQL_METADATA;
        return w->number ? WIRE_MORE : mysql_columns(w, c);
    }
    return WIRE_OVER;
}

static __always_inline enum wire_event mysql_type(struct wire *w, __u8 c)
{
    if (c == 0xff && w->kind != MYSQL_DESCRIPTIONS) {
        w->step = MYSQL_ERROR;
        w->token = 0;
        w->count = 0;
        return w->number < 2 ? mysql_rest(w, WIRE_ERROR) : WIRE_MORE;
    }
    if (!w->kind)
        return mysql_first(w, c);
    if (w->kind == MYSQL_ROWS)
        return mysql_row(w, c);
    if (w->count > 1) {
        w->count--;
        return mysql_rest(w, WIRE_MORE);
    }
    if ((w->asked & ~MYSQL_NO_EOF) == MYSQL_ASKED_STATEMENT)
        return mysql_rest(w, WIRE_ANSWER);
    if (!(w->asked & MYSQL_NO_EOF))
        return mysql_skip(w, false);
    w->kind = MYSQL_ROWS;
    return mysql_rest(w, WIRE_MORE);
}

/* Status of an OK or EOF packet: are there more results, is there a cursor that keeps the rows? */
static __always_inline enum wire_event mysql_status(struct wire *w, __u8 c)
{
    if (w->kind == MYSQL_DESCRIPTIONS && !(c & 0x40)) {
        w->kind = MYSQL_ROWS;
        return mysql_rest(w, WIRE_MORE);
    }
    if (!(c & 8))
        return mysql_rest(w, WIRE_ANSWER);
    w->kind = 0;
    return mysql_rest(w, WIRE_MORE);
}

static __always_inline enum wire_event mysql_header_received(struct wire *w)
{
    bool goes_on = w->flags & MYSQL_LONG;

    w->number &= MYSQL_PACKET_MAX;
    w->flags = w->number == MYSQL_PACKET_MAX ? MYSQL_LONG : 0;
    if (goes_on || !w->asked || !w->number) /* nothing was asked: a greeting, a farewell */
        return mysql_rest(w, WIRE_MORE);
    w->step = MYSQL_TYPE;
    return WIRE_MORE;
}

static __always_inline enum wire_event mysql_response(struct wire *w, __u8 c)
{
    __u32 packets;

    if (w->step == MYSQL_HEADER) {
        w->number |= (__u64)c << (8 * (w->token & 3));
        w->token++;
        return w->token < 4 ? WIRE_MORE : mysql_header_received(w);
    }
    w->number--;
    switch (w->step) {
    case MYSQL_TYPE:
        return mysql_type(w, c);
    case MYSQL_ERROR:
        w->count = w->count << 8 | c;
        w->token++;
        if (w->token < 2)
            return WIRE_MORE;
        /* how far a long statement is, in MariaDB, has a code that is none */
        return mysql_rest(w, w->count == 0xffff ? WIRE_MORE : WIRE_ERROR);
    case MYSQL_PREPARED: /* the last four of eight bytes; descriptions of both kinds follow */
        if (w->token >= 4)
            w->count |= (__u32)c << (8 * (w->token & 3));
        w->token++;
        if (w->token < 8)
            return WIRE_MORE;
        packets = (w->count & 0xffff) + (w->count >> 16);
        if (!(w->asked & MYSQL_NO_EOF))
            packets += !!(w->count & 0xffff) + !!(w->count >> 16);
        w->count = packets;
        w->kind = packets ? MYSQL_DESCRIPTIONS : 0;
        return mysql_rest(w, packets ? WIRE_MORE : WIRE_ANSWER);
    case MYSQL_COLUMNS:
        w->count |= (__u32)c << (8 * (w->token & 1));
        w->token++;
        if (w->token < 2)
            return WIRE_MORE;
        w->step = MYSQL_METADATA;
        return w->number ? WIRE_MORE : mysql_columns(w, w->count);
    case MYSQL_METADATA: /* of MariaDB: 0 where the client has it already */
        return mysql_columns(w, c ? w->count : 0);
    case MYSQL_SKIP:
        if (w->length) {
            w->length--;
        } else {
            w->token--;
            w->length = c == 0xfc ? 2 : c == 0xfd ? 3 : c == 0xfe ? 8 : 0;
        }
        if (!w->number)
            return mysql_status(w, 0);
        if (!w->length && !w->token)
            w->step = MYSQL_STATUS;
        return WIRE_MORE;
    case MYSQL_STATUS:
        return mysql_status(w, c);
    }
    return WIRE_OVER;
}
