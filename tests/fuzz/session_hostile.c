/* SPDX-License-Identifier: MIT */
/*
 * One honest session against a peer that sends anything. Whatever it sends, the session answers
 * with well-formed frames, sends its own bytes unchanged and never beyond the limit it was told,
 * holds no more than its window, and lets go of everything at the end.
 *
 * Input: 2 bytes of set-up, then one event after the other (enum event).
 */
#include <string.h>

#include "core/parser.h"
#include "core/wire.h"
#include "session_modes.h"
#include "tests/unit/pair.h"

#define EVENTS_MAX 400u
#define SUBFLOWS 6u
#define BYTES_MAX 400000u

enum event {
    EVENT_BYTES,
    EVENT_FRAME,
    EVENT_FRAME_AGAIN, /* twice as likely */
    EVENT_WRITE,
    EVENT_READ,
    EVENT_SEND,
    EVENT_SLEEP,
    EVENT_JOIN,
    EVENT_GREET, /* LOCAL: the answer to a HELLO */
    EVENT_LOSE,
    EVENT_APPLICATION,
    EVENT_MEMORY,
    EVENTS,
};

/* What the peer keeps of one subflow: a parser of what it is sent. */
struct ear {
    struct braid_subflow *subflow;
    struct braid_parser parser;
    unsigned index;
    unsigned skip; /* bytes of the preamble still to come */
};

struct world {
    struct braid_pool *pool; /* the session's */
    struct braid_pool *own;  /* what the peer parses with */
    struct braid_session *session;
    struct braid_session_config config;
    struct ear ear[SUBFLOWS];
    uint64_t now;
    uint64_t committed;
    uint64_t limit; /* the highest that the session could have been told */
    uint64_t heard; /* end of the highest byte that was sent to us */
    uint64_t ping;  /* the time in the last PING */
    unsigned next_index;
    bool lenient;
    bool closed;
};

static void let_go(struct world *world, struct ear *ear)
{
    ear->subflow = NULL;
    braid_parser_clear(&ear->parser, world->own);
}

static void lose(struct world *world, struct ear *ear)
{
    braid_subflow_lost(ear->subflow, BRAID_ERR_SUBFLOW_LOST, world->now);
    let_go(world, ear);
}

/* ---- what the session says ---- */

static void hear_frame(struct world *world, const struct braid_parsed *parsed)
{
    if (parsed->kind == BRAID_PARSED_DATA) {
        MUST(pair_same(PAIR_LOCAL, parsed->offset, parsed->payload, parsed->len));
        MUST(parsed->offset + parsed->len <= world->committed);
        MUST(parsed->offset + parsed->len <= world->limit);
        if (parsed->offset + parsed->len > world->heard)
            world->heard = parsed->offset + parsed->len;
    } else if (parsed->type == BRAID_FRAME_PING) {
        MUST(braid_wire_read_ping(parsed->payload, parsed->len, &world->ping) == 0);
    } else if (parsed->type == BRAID_FRAME_ACK) {
        struct braid_ack ack;

        MUST(braid_wire_read_ack(parsed->payload, parsed->len, &ack) == 0);
    } else if (parsed->type == BRAID_FRAME_FIN) {
        uint64_t final;

        MUST(braid_wire_read_fin(parsed->payload, parsed->len, &final) == 0);
        MUST(final == world->committed && final <= world->limit);
    }
}

static void hear(struct world *world, struct ear *ear, const uint8_t *bytes, size_t len)
{
    size_t skipped = len < ear->skip ? len : ear->skip;

    ear->skip -= (unsigned)skipped;
    bytes += skipped;
    len -= skipped;
    while (len > 0) {
        struct braid_parsed parsed;
        size_t used;

        MUST(braid_parser_next(&ear->parser, world->own, bytes, len, &used, &parsed) == 0);
        if (parsed.kind != BRAID_PARSED_MORE)
            hear_frame(world, &parsed);
        bytes += used;
        len -= used;
    }
}

/* Lets the session send; the socket takes at most n bytes of each write. */
static void send_some(struct world *world, int pieces, size_t n)
{
    struct braid_subflow *subflow;
    struct iovec v[64];

    for (int turns = 0;
         turns < 50 && (subflow = braid_session_next_sender(world->session, world->now)) != NULL;
         turns++) {
        struct ear *ear = braid_subflow_user(subflow);
        int count = braid_subflow_pull(subflow, v, pieces, world->now);
        size_t left = n, total = 0;

        MUST(count <= pieces && ear->subflow == subflow);
        for (int i = 0; i < count; i++) {
            size_t part = v[i].iov_len < left ? v[i].iov_len : left;

            total += v[i].iov_len;
            left -= part;
            hear(world, ear, v[i].iov_base, part);
        }
        braid_subflow_set_blocked(subflow, n < total);
        braid_subflow_pulled(subflow, n < total ? n : total, world->now);
    }
}

/* ---- what it is told ---- */

static void feed(struct world *world, struct ear *ear, const uint8_t *bytes, size_t len)
{
    struct braid_chunk *chunk = braid_chunk_new(world->own, 1);

    MUST(chunk != NULL);
    len = len < chunk->size ? len : chunk->size;
    memcpy(chunk->data, bytes, len);
    chunk->fill = (uint32_t)len;
    if (braid_subflow_feed(ear->subflow, chunk, 0, (uint32_t)len, world->now) != 0)
        lose(world, ear);
    braid_chunk_unref(chunk);
}

/* A number near those that matter. */
static uint64_t number(const struct world *world, struct fuzz_input *input)
{
    uint8_t how = fuzz_u8(input), low = fuzz_u8(input);
    struct braid_session_stats stats;
    uint64_t value = 0;

    braid_session_get_stats(world->session, &stats);
    switch (how & 7) {
    case 0:
        return low;
    case 1:
        return world->committed + (low & 1);
    case 2:
        return world->heard - (low < world->heard ? low : 0);
    case 3:
        return stats.drained + stats.unread + low;
    case 4:
        return UINT64_MAX - low;
    case 5:
        return 65536u - 128u + low;
    case 6:
        return (uint64_t)low << (how >> 3 & 31);
    default:
        for (int i = 0; i < 8; i++)
            value = value << 8 | fuzz_u8(input);
        return value;
    }
}

static void note_limit(struct world *world, uint64_t limit)
{
    if (limit > world->limit)
        world->limit = limit;
}

static void write_ack(struct world *world, struct braid_writer *w, struct fuzz_input *input)
{
    struct braid_ack ack = {.ack = number(world, input), .limit = number(world, input)};

    ack.count = fuzz_u8(input) % 8;
    for (unsigned i = 0; i < ack.count; i++) {
        ack.counts[i].subflow = fuzz_u8(input);
        ack.counts[i].bytes = number(world, input);
    }
    note_limit(world, ack.limit);
    braid_wire_write_ack(w, &ack);
}

static void write_data(const struct world *world, struct braid_writer *w, struct fuzz_input *input)
{
    uint64_t offset = number(world, input);
    size_t len = fuzz_size(input) % 9000 + 1;
    uint8_t head[12];

    braid_wire_write_data_head(head, offset, (uint32_t)len, fuzz_u8(input));
    braid_write_bytes(w, head, sizeof head);
    while (len-- > 0)
        braid_write_uint(w, (uint8_t)offset++, 1);
}

static void feed_frame(struct world *world, struct ear *ear, struct fuzz_input *input)
{
    static uint8_t buf[16384];
    struct braid_writer w = {buf, sizeof buf, false};
    uint8_t type = fuzz_u8(input);

    switch (type % 12) {
    case 0:
    case 1:
    case 2:
        write_data(world, &w, input);
        break;
    case 3:
    case 4:
        write_ack(world, &w, input);
        break;
    case 5:
        braid_wire_write_fin(&w, number(world, input));
        break;
    case 6:
        braid_wire_write_ping(&w, number(world, input));
        break;
    case 7:
        braid_wire_write_pong(&w, world->ping, fuzz_u8(input));
        break;
    case 8:
        braid_wire_write_code(&w, BRAID_FRAME_CONNECT_RESULT, fuzz_u8(input) & 1, "");
        break;
    case 9:
        braid_wire_write_code(&w, BRAID_FRAME_CLOSE, fuzz_u8(input) & 1, "");
        break;
    case 10:
        braid_wire_write_head(&w, fuzz_u8(input), 0, 0);
        break;
    default:
        braid_wire_write_code(&w, BRAID_FRAME_RESET, fuzz_u8(input), "reset");
        break;
    }
    feed(world, ear, buf, sizeof buf - w.left);
}

static void feed_greeting(struct world *world, struct ear *ear, struct fuzz_input *input)
{
    uint8_t buf[256];
    struct braid_writer w = {buf, sizeof buf, false};
    struct braid_hello hello = {
        .max_version = BRAID_VERSION,
        .subflow = (uint16_t)ear->index,
        .flags = BRAID_HELLO_REPLY,
        .session = PAIR_ID,
        .instance = fuzz_u8(input) & 3,
        .status = fuzz_u8(input) % 24,
    };

    if (hello.status > 7)
        hello.status = BRAID_OK;
    hello.ack = number(world, input);
    hello.limit = number(world, input);
    note_limit(world, hello.limit);
    braid_wire_write_hello(&w, &hello, hello.ack);
    feed(world, ear, buf, sizeof buf - w.left);
}

static void join(struct world *world, struct ear *ear, struct fuzz_input *input)
{
    struct braid_hello hello = {.max_version = BRAID_VERSION, .session = PAIR_ID};
    int error;

    memset(ear, 0, sizeof *ear);
    if (world->config.role == BRAID_LOCAL) {
        ear->subflow = braid_subflow_add(world->session, 0, ear, world->now);
        ear->index = world->next_index;
        ear->skip = BRAID_PREAMBLE_SIZE;
        if (ear->subflow != NULL)
            world->next_index++;
        return;
    }
    hello.subflow = fuzz_u8(input);
    hello.ack = number(world, input);
    hello.limit = number(world, input);
    note_limit(world, hello.limit);
    memcpy(hello.token, world->config.token, sizeof hello.token);
    ear->index = hello.subflow;
    ear->subflow = braid_subflow_join(world->session, &hello, ear, &error, world->now);
    MUST((ear->subflow == NULL) == (error != BRAID_OK));
}

/* ---- the application ---- */

static void write_some(struct world *world, size_t n)
{
    struct iovec v[8];
    int count = braid_session_reserve(world->session, v, 8);
    size_t done = 0;

    if (count == 0)
        return;
    n = n < BYTES_MAX - world->committed ? n : BYTES_MAX - world->committed;
    for (int i = 0; i < count && done < n; i++) {
        size_t part = v[i].iov_len < n - done ? v[i].iov_len : n - done;

        pair_fill(PAIR_LOCAL, world->committed + done, v[i].iov_base, part);
        done += part;
    }
    braid_session_commit(world->session, done, world->now);
    world->committed += done;
}

static void read_some(struct world *world, size_t n)
{
    struct iovec v[8];
    int count = braid_session_peek(world->session, v, 8);
    size_t there = 0;

    for (int i = 0; i < count; i++)
        there += v[i].iov_len;
    braid_session_drain(world->session, n < there ? n : there, world->now);
}

static void application(struct world *world, uint8_t what)
{
    switch (what % 8) {
    case 0:
        braid_session_reset(world->session, BRAID_ERR_RESET, world->now);
        break;
    case 1:
        braid_session_answer(world->session, BRAID_ERR_REFUSED, world->now);
        break;
    case 2:
    case 3:
        braid_session_answer(world->session, BRAID_OK, world->now);
        break;
    default:
        braid_session_shutdown(world->session, world->now);
        break;
    }
}

static void act(struct world *world)
{
    struct braid_session_stats stats;
    struct braid_action action;

    while (!world->closed && braid_session_next_action(world->session, &action)) {
        if (action.type == BRAID_ACTION_CLOSE_SUBFLOW)
            let_go(world, action.user);
        world->closed = action.type == BRAID_ACTION_CLOSED;
    }
    braid_session_get_stats(world->session, &stats);
    MUST(stats.unread <= world->config.window);
    MUST(stats.memory <= 2 * world->config.window + 4 * BRAID_CHUNK_LARGE);
    if (!world->closed && !world->lenient)
        MUST(braid_session_deadline(world->session) > 0);
}

static void step(struct world *world, struct fuzz_input *input)
{
    enum event event = (enum event)(fuzz_u8(input) % EVENTS);
    struct ear *ear = &world->ear[fuzz_u8(input) % SUBFLOWS];
    bool live = ear->subflow != NULL;
    size_t n = 0;

    switch (event) {
    case EVENT_BYTES:
        n = fuzz_u8(input);
        if (live) {
            const uint8_t *bytes = fuzz_bytes(input, &n);

            world->limit = UINT64_MAX; /* who knows what they say */
            feed(world, ear, bytes, n);
        }
        break;
    case EVENT_FRAME:
    case EVENT_FRAME_AGAIN:
        if (live)
            feed_frame(world, ear, input);
        break;
    case EVENT_WRITE:
        write_some(world, fuzz_size(input));
        break;
    case EVENT_READ:
        read_some(world, fuzz_size(input));
        break;
    case EVENT_SEND:
        n = fuzz_size(input);
        send_some(world, 4 + (fuzz_u8(input) & 31), n == 0 ? PAIR_ALL : n);
        break;
    case EVENT_SLEEP:
        world->now += fuzz_size(input) * 64;
        braid_session_on_time(world->session, world->now);
        MUST(braid_session_deadline(world->session) > world->now);
        break;
    case EVENT_JOIN:
        if (!live)
            join(world, ear, input);
        break;
    case EVENT_GREET:
        if (live && world->config.role == BRAID_LOCAL)
            feed_greeting(world, ear, input);
        break;
    case EVENT_LOSE:
        if (live)
            lose(world, ear);
        break;
    case EVENT_APPLICATION:
        application(world, fuzz_u8(input));
        break;
    default:
        world->lenient = true;
        braid_pool_fail_after(world->pool, fuzz_u8(input));
        break;
    }
    act(world);
}

void fuzz_hostile(struct fuzz_input *input)
{
    static struct world world;
    unsigned events = 0;

    memset(&world, 0, sizeof world);
    world.now = 1000000;
    world.limit = 65536;
    world.config.role = (fuzz_u8(input) & 1) == 0 ? BRAID_LOCAL : BRAID_REMOTE;
    world.config.id = PAIR_ID;
    world.config.subflows = SUBFLOWS;
    world.config.max_subflows = SUBFLOWS;
    world.config.grace = 10000000;
    world.config.window = (size_t)65536 << (fuzz_u8(input) & 7);
    world.pool = braid_pool_new(0);
    world.own = braid_pool_new(0);
    MUST(world.pool != NULL && world.own != NULL);
    world.session = braid_session_new(world.pool, &world.config, world.now);
    MUST(world.session != NULL);
    while (input->left > 0 && !world.closed && events++ < EVENTS_MAX)
        step(&world, input);
    braid_session_free(world.session);
    for (unsigned i = 0; i < SUBFLOWS; i++)
        braid_parser_clear(&world.ear[i].parser, world.own);
    MUST(braid_pool_used(world.pool) == 0 && braid_pool_used(world.own) == 0);
    braid_pool_free(world.pool);
    braid_pool_free(world.own);
}
