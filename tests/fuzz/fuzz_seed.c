/* SPDX-License-Identifier: MIT */
/*
 * A session in the seed's format, whose peers say whatever they like on each of its subflows, in
 * slices of any size, while the application writes, reads and ends and connections break.
 *
 * Whatever comes of it: nothing crashes or leaks, what is held is bounded by the window and what
 * one read brings, and a session without subflows is over. Input: one byte of settings, then
 * operations.
 */
#include <string.h>

#include "core/seed_wire.h"
#include "core/session.h"
#include "fuzz.h"
#include "tests/unit/pair.h"

#define STREAMS_MAX 4u
#define WINDOW ((size_t)65536)
#define SLICE_MAX 4096u

const char fuzz_corpus[] = "seed";

struct state {
    struct braid_pool *pool;
    struct braid_session *session;
    struct braid_subflow *subflow[STREAMS_MAX];
    uint64_t written[STREAMS_MAX]; /* bytes the sockets took */
    unsigned streams;
    uint64_t now;
    uint64_t drained;
    bool closed;
};

static void act(struct state *s)
{
    struct braid_action action;

    while (!s->closed && braid_session_next_action(s->session, &action)) {
        if (action.type == BRAID_ACTION_CLOSE_SUBFLOW) {
            unsigned *number = action.user;

            MUST(s->subflow[*number] == action.subflow);
            s->subflow[*number] = NULL;
        }
        s->closed = s->closed || action.type == BRAID_ACTION_CLOSED;
    }
}

/* A message that makes sense: its bytes follow from their offsets. */
static void say_data(struct braid_chunk *chunk, uint64_t offset, uint32_t len)
{
    braid_seed_write_head(chunk->data, offset, len);
    for (uint32_t at = 0; at < len; at++)
        chunk->data[BRAID_SEED_HEAD + at] = (uint8_t)(offset + at);
    chunk->fill = BRAID_SEED_HEAD + len;
}

/* Feeds a message of the pattern, or bytes of the input as they are, cut in two. */
static void feed(struct state *s, unsigned i, struct fuzz_input *input, bool raw)
{
    struct braid_chunk *chunk;
    uint32_t cut;
    int error;

    if (s->subflow[i] == NULL || !braid_subflow_may_read(s->subflow[i]))
        return;
    chunk = braid_chunk_new(s->pool, 1);
    MUST(chunk != NULL);
    if (raw) {
        size_t n = fuzz_u8(input);
        const uint8_t *bytes = fuzz_bytes(input, &n);

        if (n > 0)
            memcpy(chunk->data, bytes, n);
        chunk->fill = (uint32_t)n;
    } else {
        uint64_t offset = (uint64_t)fuzz_u8(input) << (fuzz_u8(input) & 15);

        say_data(chunk, offset, fuzz_u8(input) * 16u + 1);
    }
    cut = chunk->fill > 0 ? fuzz_u8(input) % chunk->fill : 0;
    error = braid_subflow_feed(s->subflow[i], chunk, 0, cut, s->now);
    if (error == 0)
        error = braid_subflow_feed(s->subflow[i], chunk, cut, chunk->fill - cut, s->now);
    braid_chunk_unref(chunk);
    if (error != 0) {
        MUST(error == -BRAID_ERR_PROTOCOL);
        braid_subflow_lost(s->subflow[i], -error, s->now);
        s->subflow[i] = NULL;
    }
}

static void read_some(struct state *s)
{
    struct iovec v[4];
    size_t n = 0;
    int count = s->closed ? 0 : braid_session_peek(s->session, v, 4);

    for (int i = 0; i < count; i++) {
        MUST(v[i].iov_len > 0);
        n += v[i].iov_len;
    }
    if (n > 0)
        braid_session_drain(s->session, n, s->now);
    s->drained += n;
}

static void write_some(struct state *s, uint8_t n)
{
    struct iovec v[4];
    int count = s->closed ? 0 : braid_session_reserve(s->session, v, 4);

    if (count > 0)
        memset(v[0].iov_base, 'x', v[0].iov_len < n ? v[0].iov_len : n);
    if (count > 0)
        braid_session_commit(s->session, v[0].iov_len < n ? v[0].iov_len : n, s->now);
}

/* One write, of which the socket takes so many bytes. */
static void send_once(struct state *s, size_t most)
{
    struct braid_subflow *subflow;
    struct iovec v[8];
    size_t total = 0;
    int count;

    subflow = s->closed ? NULL : braid_session_next_sender(s->session, s->now);
    if (subflow == NULL)
        return;
    count = braid_subflow_pull(subflow, v, 8, s->now);
    for (int i = 0; i < count; i++)
        total += v[i].iov_len;
    if (total > most)
        total = most;
    s->written[*(unsigned *)braid_subflow_user(subflow)] += total;
    braid_subflow_pulled(subflow, total, s->now);
}

/* TCP has acknowledged a share of what was written. */
static void sample(struct state *s, unsigned i, uint8_t share)
{
    struct braid_sample taken = {.rtt = 1000, .min_rtt = 1000, .cwnd = 10, .mss = 1448};

    if (s->subflow[i] == NULL)
        return;
    taken.bytes_acked = s->written[i] * share / 255;
    taken.delivered = taken.bytes_acked;
    braid_subflow_sample(s->subflow[i], &taken, s->now);
    braid_subflow_set_room(s->subflow[i], 65536);
    braid_subflow_set_blocked(s->subflow[i], false);
}

static void step(struct state *s, struct fuzz_input *input)
{
    uint8_t op = fuzz_u8(input);
    unsigned i = (op >> 4) % s->streams;

    s->now += 100;
    switch (op & 15) {
    case 0:
    case 1:
    case 2:
        feed(s, i, input, true);
        break;
    case 3:
    case 4:
    case 5:
        feed(s, i, input, false);
        break;
    case 6:
        read_some(s);
        break;
    case 7:
        write_some(s, fuzz_u8(input));
        break;
    case 8:
    case 9:
        send_once(s, fuzz_u8(input) * 64u);
        break;
    case 10:
    case 11:
        sample(s, i, fuzz_u8(input));
        break;
    case 12:
        if (s->subflow[i] != NULL && !braid_subflow_ended(s->subflow[i], s->now)) {
            braid_subflow_lost(s->subflow[i], BRAID_ERR_SUBFLOW_LOST, s->now);
            s->subflow[i] = NULL;
        }
        break;
    case 13:
        if (!s->closed)
            braid_session_shutdown(s->session, s->now);
        break;
    case 14:
        if (s->subflow[i] != NULL) {
            braid_subflow_lost(s->subflow[i], BRAID_ERR_SUBFLOW_LOST, s->now);
            s->subflow[i] = NULL;
        }
        break;
    default:
        s->now += 1000u * fuzz_u8(input);
        if (!s->closed)
            braid_session_on_time(s->session, s->now);
        break;
    }
}

static void check(struct state *s)
{
    struct braid_session_stats stats;
    bool any = false;

    act(s);
    if (s->closed)
        return;
    braid_session_get_stats(s->session, &stats);
    MUST(stats.drained == s->drained && stats.acked <= stats.committed);
    MUST(stats.memory <= 2 * WINDOW + 2 * BRAID_CHUNK_LARGE + STREAMS_MAX * 2 * SLICE_MAX);
    for (unsigned i = 0; i < s->streams; i++)
        any = any || s->subflow[i] != NULL;
    MUST(any || stats.complete); /* without any it is over, once all was read */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint8_t settings = fuzz_u8(&input);
    struct state s = {.streams = (settings & 3u) + 1, .now = 1000000};
    unsigned numbers[STREAMS_MAX];
    struct braid_session_config config = {
        .role = BRAID_REMOTE,
        .id = PAIR_ID,
        .seed = 7,
        .max_subflows = 16,
        .grace = 1000000,
        .window = WINDOW,
        .speaks_seed = true,
        .streams = s.streams,
        .bare_end = (settings & 4) != 0,
    };

    s.pool = braid_pool_new(0);
    MUST(s.pool != NULL);
    s.session = braid_session_new(s.pool, &config, s.now);
    MUST(s.session != NULL);
    for (unsigned i = 0; i < s.streams; i++) {
        struct braid_hello hello = {.session = PAIR_ID, .streams = s.streams};
        int error;

        numbers[i] = i;
        s.subflow[i] = braid_subflow_join(s.session, &hello, &numbers[i], &error, s.now);
        MUST(s.subflow[i] != NULL);
        sample(&s, i, 0);
    }
    while (input.left > 0 && !s.closed) {
        step(&s, &input);
        check(&s);
    }
    braid_session_free(s.session);
    MUST(braid_pool_used(s.pool) == 0);
    braid_pool_free(s.pool);
    return 0;
}
