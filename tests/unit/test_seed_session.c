/* SPDX-License-Identifier: MIT */
/*
 * Two sessions that speak the seed's format to each other, and what they make of the rest of the
 * world: where they wait, what is sent again, and when an end is one.
 */
#include <string.h>

#include <braid/error.h>

#include "core/seed_wire.h"
#include "pair.h"
#include "suite.h"

#define BIG ((size_t)3 << 20)

/* Writes and settles until the application at one end has sent n bytes. */
static void send_all(struct pair *pair, enum pair_end end, size_t n)
{
    size_t done = 0;

    while (done < n) {
        size_t part = pair_write(pair, end, n - done);

        done += part;
        if (part == 0)
            pair_settle(pair, 10000);
    }
}

/* ---- both ends are ours ---- */

START_TEST(test_any_number_of_subflows)
{
    struct pair pair;

    pair_init_seed(&pair, (unsigned)_i + 1);
    ck_assert(pair_open(&pair));
    pair_settle(&pair, 1000);
    send_all(&pair, PAIR_LOCAL, BIG);
    send_all(&pair, PAIR_REMOTE, BIG / 3);
    pair_finish(&pair);
    ck_assert_uint_eq(pair.side[PAIR_REMOTE].drained, BIG);
    ck_assert_uint_eq(pair.side[PAIR_LOCAL].drained, BIG / 3);
    pair_free(&pair);
}
END_TEST

START_TEST(test_few_bytes)
{
    struct pair pair;

    pair_init_seed(&pair, 4);
    ck_assert(pair_open(&pair));
    pair_settle(&pair, 1000);
    ck_assert_uint_eq(pair_write(&pair, PAIR_LOCAL, (size_t)_i), (size_t)_i);
    pair_finish(&pair);
    pair_free(&pair);
}
END_TEST

/* A half that has ended leaves the other one as it is. */
START_TEST(test_half_close)
{
    struct pair pair;

    pair_init_seed(&pair, 3);
    ck_assert(pair_open(&pair));
    send_all(&pair, PAIR_LOCAL, 1000);
    pair_shutdown(&pair, PAIR_LOCAL);
    pair_settle(&pair, 5000000);
    ck_assert(pair.side[PAIR_REMOTE].eof && !pair.side[PAIR_REMOTE].closed);
    ck_assert(!pair.side[PAIR_LOCAL].closed);
    send_all(&pair, PAIR_REMOTE, BIG);
    pair_finish(&pair);
    pair_free(&pair);
}
END_TEST

/* Only the socket tells what was delivered; who would soon stand still for that asks it often. */
START_TEST(test_looks_often_near_the_limit)
{
    struct braid_subflow *subflow;
    struct pair_wire *wire;
    struct pair pair;

    pair_init_seed(&pair, 1);
    ck_assert(pair_open(&pair));
    pair_settle(&pair, 1000);
    subflow = braid_session_subflow_after(pair.side[PAIR_LOCAL].session, NULL);
    wire = braid_subflow_user(subflow);
    wire->rtt[PAIR_LOCAL] = 100;
    send_all(&pair, PAIR_LOCAL, 100000);
    pair_settle(&pair, 10000);
    while (pair.side[PAIR_LOCAL].committed < BIG) {
        ck_assert_uint_eq(braid_subflow_sample_time(subflow),
                          pair.side[PAIR_LOCAL].committed > 100000 + (2u << 20) ? 250 : 2000);
        ck_assert_uint_gt(pair_write(&pair, PAIR_LOCAL, 65536), 0);
        braid_subflow_set_room(subflow, 1u << 20);
        while (pair_send(&pair, PAIR_LOCAL, 64, PAIR_ALL))
            continue;
    }
    pair_settle(&pair, 1000); /* it hears of all of them */
    ck_assert_uint_eq(braid_subflow_sample_time(subflow), 2000);
    pair_finish(&pair);
    pair_free(&pair);
}
END_TEST

/* ---- how many there are ---- */

/* Nobody says anything before all have connected, since the count comes first. */
START_TEST(test_waits_for_all_to_connect)
{
    struct pair pair;
    struct pair_wire *first;

    pair_init_seed(&pair, 2);
    ck_assert(pair_open(&pair));
    pair_write(&pair, PAIR_LOCAL, 100);
    first = pair_dial(&pair);
    ck_assert(!pair_send(&pair, PAIR_LOCAL, 64, PAIR_ALL));
    ck_assert_uint_eq(braid_session_subflows_wanted(pair.side[PAIR_LOCAL].session), 2);
    pair_dial(&pair);
    ck_assert_uint_eq(braid_session_subflows_wanted(pair.side[PAIR_LOCAL].session), 0);
    ck_assert(pair_send(&pair, PAIR_LOCAL, 64, PAIR_ALL));
    ck_assert_uint_eq(first->to[PAIR_REMOTE].bytes[15], 2);
    pair_finish(&pair);
    pair_free(&pair);
}
END_TEST

/* One that does not connect is left out after half a second. */
START_TEST(test_a_path_that_does_not_connect)
{
    struct pair pair;
    struct pair_wire *first, *second;

    pair_init_seed(&pair, 3);
    ck_assert(pair_open(&pair));
    first = pair_dial(&pair);
    second = pair_dial(&pair);
    while (pair_sleep(&pair, 1499999)) {
    }
    ck_assert(!pair_send(&pair, PAIR_LOCAL, 64, PAIR_ALL));
    pair_sleep(&pair, 1500000);
    ck_assert_uint_eq(braid_session_subflows_wanted(pair.side[PAIR_LOCAL].session), 0);
    while (pair_send(&pair, PAIR_LOCAL, 64, PAIR_ALL)) {
    }
    ck_assert_uint_eq(first->to[PAIR_REMOTE].bytes[15], 2);
    ck_assert_uint_eq(second->to[PAIR_REMOTE].bytes[15], 2);
    pair_finish(&pair);
    pair_free(&pair);
}
END_TEST

/* One that is lost before anybody has heard of it does not count. */
START_TEST(test_lost_before_the_count)
{
    struct pair pair;

    pair_init_seed(&pair, 2);
    ck_assert(pair_open(&pair));
    pair_lose(&pair, pair_dial(&pair));
    ck_assert(pair_dial(&pair) != NULL && pair_dial(&pair) != NULL);
    send_all(&pair, PAIR_LOCAL, BIG);
    pair_finish(&pair);
    pair_free(&pair);
}
END_TEST

/* ---- subflows that die ---- */

START_TEST(test_nothing_is_lost_with_a_subflow)
{
    struct pair pair;
    uint64_t seed = (uint64_t)_i + 1;

    pair_init_seed(&pair, 4);
    ck_assert(pair_open(&pair));
    pair_run(&pair, true);
    for (int dead = 0; dead < 3; dead++) {
        struct pair_wire *wire;

        pair_write(&pair, PAIR_LOCAL, PAIR_ALL);
        pair_write(&pair, PAIR_REMOTE, PAIR_ALL);
        for (uint64_t i = suite_below(&seed, 12); i > 0; i--)
            pair_send(&pair, (enum pair_end)(i & 1), 64, suite_below(&seed, 70000));
        wire = pair_wire_at(&pair, PAIR_LOCAL, (unsigned)suite_below(&seed, 4 - (unsigned)dead));
        /* Some of what is on the way gets there, and TCP's word of it back. */
        pair_deliver(&pair, wire, PAIR_REMOTE, suite_below(&seed, 50000), 1000);
        pair_deliver(&pair, wire, PAIR_LOCAL, suite_below(&seed, 50000), 1000);
        pair_sample(&pair, wire, PAIR_LOCAL);
        pair_lose(&pair, wire);
    }
    send_all(&pair, PAIR_LOCAL, BIG);
    pair_finish(&pair);
    pair_free(&pair);
}
END_TEST

START_TEST(test_without_any_it_is_over)
{
    struct pair pair;

    pair_init_seed(&pair, 2);
    ck_assert(pair_open(&pair));
    send_all(&pair, PAIR_LOCAL, 5000);
    pair_settle(&pair, 10000);
    pair_lose(&pair, pair_wire_at(&pair, PAIR_LOCAL, 0));
    pair_run(&pair, true);
    ck_assert(!pair.side[0].closed && !pair.side[1].closed);
    pair_lose(&pair, pair_wire_at(&pair, PAIR_LOCAL, 0));
    pair_run(&pair, true);
    for (int end = 0; end < 2; end++) {
        ck_assert(pair.side[end].closed);
        ck_assert_int_eq(pair.side[end].error, BRAID_ERR_TRUNCATED);
        ck_assert(!pair.side[end].eof);
    }
    pair_free(&pair);
}
END_TEST

/* The peer sees a reset fail, which is not the end of a stream. */
START_TEST(test_reset)
{
    struct pair pair;

    pair_init_seed(&pair, 2);
    pair.side[PAIR_REMOTE].config.bare_end = true;
    ck_assert(pair_open(&pair));
    send_all(&pair, PAIR_LOCAL, 5000);
    pair_settle(&pair, 10000);
    braid_session_reset(pair.side[PAIR_LOCAL].session, BRAID_ERR_RESET, pair.now);
    pair_run(&pair, true);
    ck_assert_int_eq(pair.side[PAIR_LOCAL].error, BRAID_ERR_RESET);
    ck_assert(pair.side[PAIR_REMOTE].closed && !pair.side[PAIR_REMOTE].eof);
    ck_assert_int_eq(pair.side[PAIR_REMOTE].error, BRAID_ERR_TRUNCATED);
    pair_free(&pair);
}
END_TEST

/* ---- what other programs say ---- */

/* A session that a test talks to. */
struct other {
    struct pair pair; /* for the pool; its LOCAL is the test */
    struct braid_session *session;
    struct braid_subflow *subflow[4];
    struct braid_action closed; /* type NONE: it is not */
    bool eof;
};

/* It tells of so many streams, and the first of them come. */
static void other_init_some(struct other *other, unsigned streams, unsigned come, bool bare_end)
{
    struct braid_session_config config;

    pair_init_seed(&other->pair, streams);
    config = other->pair.side[PAIR_REMOTE].config;
    config.streams = streams;
    config.bare_end = bare_end;
    config.window = 1u << 20;
    other->session = braid_session_new(other->pair.pool, &config, other->pair.now);
    other->closed.type = BRAID_ACTION_NONE;
    other->eof = false;
    for (unsigned i = 0; i < come; i++) {
        struct braid_hello hello = {.session = PAIR_ID, .streams = streams};
        int error;

        other->subflow[i] = braid_subflow_join(other->session, &hello, other, &error, 1);
        ck_assert(other->subflow[i] != NULL);
    }
}

static void other_init(struct other *other, unsigned streams, bool bare_end)
{
    other_init_some(other, streams, streams, bare_end);
}

static void other_act(struct other *other)
{
    struct braid_action action;

    while (braid_session_next_action(other->session, &action)) {
        if (action.type == BRAID_ACTION_CLOSED)
            other->closed = action;
        if (action.type == BRAID_ACTION_EOF)
            other->eof = true;
    }
}

static void other_free(struct other *other)
{
    other_act(other);
    braid_session_free(other->session);
    pair_free(&other->pair);
}

static int say(struct other *other, unsigned i, const void *bytes, size_t len)
{
    struct braid_chunk *chunk = braid_chunk_new(other->pair.pool, 1);
    int error;

    ck_assert(chunk != NULL && len <= chunk->size);
    memcpy(chunk->data, bytes, len);
    chunk->fill = (uint32_t)len;
    error = braid_subflow_feed(other->subflow[i], chunk, 0, (uint32_t)len, 2);
    braid_chunk_unref(chunk);
    return error;
}

static int say_data(struct other *other, unsigned i, uint64_t offset, uint32_t len)
{
    uint8_t bytes[BRAID_SEED_HEAD + 60000];

    ck_assert(len <= 60000);
    braid_seed_write_head(bytes, offset, len);
    pair_fill(PAIR_LOCAL, offset, bytes + BRAID_SEED_HEAD, len);
    return say(other, i, bytes, BRAID_SEED_HEAD + len);
}

static size_t drain(struct other *other)
{
    struct iovec v[64];
    size_t total = 0, n;

    do {
        int count = braid_session_peek(other->session, v, 64);

        n = 0;
        for (int i = 0; i < count; i++)
            n += v[i].iov_len;
        braid_session_drain(other->session, n, 3);
        total += n;
    } while (n > 0);
    return total;
}

/* In whatever way the streams end, the last of them decides. */
enum end { SHUTDOWN, BARE, CUT, LOST };

static void end(struct other *other, unsigned i, enum end how)
{
    if (how == SHUTDOWN)
        ck_assert_int_eq(say(other, i, "\x02", 1), 0);
    if (how == CUT)
        ck_assert_int_eq(say(other, i, "\0\0", 2), 0);
    if (how != LOST && braid_subflow_ended(other->subflow[i], 4))
        return;
    braid_subflow_lost(other->subflow[i], BRAID_ERR_SUBFLOW_LOST, 5);
}

START_TEST(test_ends)
{
    static const struct {
        enum end how[2];
        bool bare_end;
        bool gap;
        int error; /* 0: that is the end of the stream */
    } cases[] = {
        {{SHUTDOWN, SHUTDOWN}, false, false, 0},
        {{SHUTDOWN, SHUTDOWN}, true, true, BRAID_ERR_TRUNCATED},
        {{SHUTDOWN, BARE}, false, false, BRAID_ERR_TRUNCATED},
        {{BARE, BARE}, false, false, BRAID_ERR_TRUNCATED},
        {{BARE, BARE}, true, false, 0},
        {{SHUTDOWN, BARE}, true, false, 0},
        {{BARE, BARE}, true, true, BRAID_ERR_TRUNCATED},
        {{BARE, CUT}, true, false, BRAID_ERR_TRUNCATED},
        {{SHUTDOWN, LOST}, true, false, BRAID_ERR_TRUNCATED},
        {{SHUTDOWN, LOST}, false, false, BRAID_ERR_TRUNCATED},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct other other;

        other_init(&other, 2, cases[i].bare_end);
        ck_assert_int_eq(say_data(&other, 0, 0, 3000), 0);
        ck_assert_int_eq(say_data(&other, 1, cases[i].gap ? 3001 : 3000, 3000), 0);
        end(&other, 0, cases[i].how[0]);
        drain(&other);
        other_act(&other);
        ck_assert(!other.eof && other.closed.type == BRAID_ACTION_NONE);
        end(&other, 1, cases[i].how[1]);
        drain(&other);
        other_act(&other);
        ck_assert_msg(other.eof == (cases[i].error == 0), "case %zu", i);
        if (cases[i].error != 0)
            ck_assert_msg(other.closed.type == BRAID_ACTION_CLOSED &&
                              other.closed.error == cases[i].error,
                          "case %zu", i);
        other_free(&other);
    }
}
END_TEST

/* Behind a seal nothing is missing, whatever became of the other streams. */
START_TEST(test_sealed_end)
{
    uint8_t bytes[64];
    struct braid_writer w = {bytes, sizeof bytes, false};
    struct other other;

    other_init(&other, 3, false);
    ck_assert_int_eq(say_data(&other, 0, 3000, 2000), 0);
    end(&other, 1, LOST);
    braid_seed_write_end(&w, 5000, pair_byte(PAIR_LOCAL, 4999));
    ck_assert_int_eq(say(&other, 0, bytes, sizeof bytes - w.left), 0);
    other_act(&other);
    ck_assert(!other.eof);
    ck_assert_int_eq(say_data(&other, 2, 0, 3000), 0);
    ck_assert_uint_eq(drain(&other), 5000);
    other_act(&other);
    ck_assert(other.eof && other.closed.type == BRAID_ACTION_NONE); /* our half goes on */
    ck_assert_int_eq(say_data(&other, 2, 5000, 1), -BRAID_ERR_PROTOCOL);
    other_free(&other);
}
END_TEST

/* The same for one without any bytes. */
START_TEST(test_sealed_empty)
{
    uint8_t bytes[64];
    struct braid_writer w = {bytes, sizeof bytes, false};
    struct other other;

    other_init(&other, 2, false);
    end(&other, 1, LOST);
    braid_seed_write_end(&w, 0, 0);
    for (size_t i = 0; i < sizeof bytes - w.left; i++) {
        other_act(&other);
        ck_assert(!other.eof && braid_subflow_may_read(other.subflow[0]));
        ck_assert_int_eq(say(&other, 0, bytes + i, 1), 0);
    }
    other_act(&other);
    ck_assert(other.eof && other.closed.type == BRAID_ACTION_NONE);
    ck_assert_uint_eq(drain(&other), 0);
    other_free(&other);
}
END_TEST

/* What there is no memory for was acknowledged by TCP, so nobody sends it again. */
START_TEST(test_no_memory_for_what_comes)
{
    struct other other;
    int error;

    other_init(&other, 2, false);
    ck_assert_int_eq(say_data(&other, 0, 0, 3000), 0);
    for (uint64_t n = 1; (error = say_data(&other, 1, 3000 * n, 3000)) == 0; n++)
        braid_pool_fail_after(other.pair.pool, 2); /* the chunk that it is in is one */
    braid_pool_fail_after(other.pair.pool, 0);
    ck_assert_int_eq(error, -BRAID_ERR_MEMORY);
    braid_subflow_lost(other.subflow[1], BRAID_ERR_MEMORY, 5);
    other_act(&other);
    ck_assert(other.closed.type == BRAID_ACTION_CLOSED);
    ck_assert_int_eq(other.closed.error, BRAID_ERR_MEMORY);
    other_free(&other);

    other_init(&other, 2, false);
    end(&other, 1, SHUTDOWN);
    braid_subflow_lost(other.subflow[1], BRAID_ERR_MEMORY, 5); /* which had nothing to bring */
    other_act(&other);
    ck_assert(other.closed.type == BRAID_ACTION_NONE);
    other_free(&other);
}
END_TEST

/* All that came are lost, and one that was told of never comes: nobody waits for ever. */
START_TEST(test_sealed_and_lost)
{
    uint8_t bytes[64];
    struct braid_writer w = {bytes, sizeof bytes, false};
    struct other other;

    other_init_some(&other, 2, 1, false);
    braid_seed_write_end(&w, 0, 0);
    ck_assert_int_eq(say(&other, 0, bytes, sizeof bytes - w.left), 0);
    other_act(&other);
    ck_assert(other.eof);
    end(&other, 0, LOST);
    for (int i = 0; i < 10 && other.closed.type == BRAID_ACTION_NONE; i++) {
        uint64_t at = braid_session_deadline(other.session);

        ck_assert_uint_ne(at, BRAID_NEVER);
        braid_session_on_time(other.session, at);
        other_act(&other);
    }
    ck_assert_int_eq(other.closed.error, BRAID_ERR_GRACE);
    other_free(&other);
}
END_TEST

/* What is too far ahead is not read; who has the next bytes always is. */
START_TEST(test_too_far_ahead)
{
    const uint32_t step = 50000;
    struct other other;
    uint64_t at = step;

    other_init(&other, 2, false);
    while (braid_subflow_may_read(other.subflow[1])) {
        ck_assert_int_eq(say_data(&other, 1, at, step), 0);
        at += step;
    }
    ck_assert_uint_ge(at, 1u << 20);
    ck_assert_uint_lt(at, (1u << 20) + step);
    ck_assert(braid_subflow_may_read(other.subflow[0]));
    ck_assert_int_eq(say_data(&other, 0, 0, step), 0);
    ck_assert(!braid_subflow_may_read(other.subflow[1])); /* nothing was drained yet */
    ck_assert_uint_eq(drain(&other), at);
    ck_assert(braid_subflow_may_read(other.subflow[1]));
    other_act(&other);
    ck_assert(other.closed.type == BRAID_ACTION_NONE);
    other_free(&other);
}
END_TEST

/* The same of what is ahead in very many small messages: keeping them costs more than they hold. */
START_TEST(test_crumbs_ahead)
{
    const uint32_t step = 20;
    struct other other;
    uint64_t at = step, end;

    other_init(&other, 2, false);
    for (; braid_subflow_may_read(other.subflow[1]); at += 2 * step)
        ck_assert_int_eq(say_data(&other, 1, at, step), 0);
    ck_assert_uint_lt(at, 1u << 20);
    for (end = at + 1000 * step; at < end; at += 2 * step) /* what was read with them */
        ck_assert_int_eq(say_data(&other, 1, at, step), 0);
    for (at = 0; at < end; at += 2 * step) {
        ck_assert(braid_subflow_may_read(other.subflow[0]));
        ck_assert_int_eq(say_data(&other, 0, at, step), 0);
    }
    ck_assert(braid_subflow_may_read(other.subflow[1]));
    ck_assert_uint_eq(drain(&other), end);
    other_act(&other);
    ck_assert(other.closed.type == BRAID_ACTION_NONE);
    other_free(&other);
}
END_TEST

/* If all are, there is nobody to bring what is missing: that is an end, not a wait for ever. */
START_TEST(test_all_too_far_ahead)
{
    struct other other;

    other_init(&other, 2, false);
    ck_assert_int_eq(say_data(&other, 0, 2u << 20, 10), 0);
    other_act(&other);
    ck_assert(other.closed.type == BRAID_ACTION_NONE);
    ck_assert_int_eq(say_data(&other, 1, 3u << 20, 10), 0);
    other_act(&other);
    ck_assert(other.closed.type == BRAID_ACTION_CLOSED);
    ck_assert_int_eq(other.closed.error, BRAID_ERR_MEMORY);
    other_free(&other);
}
END_TEST

START_TEST(test_who_may_join)
{
    struct braid_hello hello = {.session = PAIR_ID, .streams = 2};
    struct other other;
    int error;

    other_init(&other, 2, false);
    ck_assert(braid_subflow_join(other.session, &hello, &other, &error, 1) == NULL);
    ck_assert_int_eq(error, BRAID_ERR_LIMIT);
    hello.streams = 3;
    ck_assert(braid_subflow_join(other.session, &hello, &other, &error, 1) == NULL);
    ck_assert_int_eq(error, BRAID_ERR_PROTOCOL);
    hello.streams = 0; /* one of version 1 */
    ck_assert(braid_subflow_join(other.session, &hello, &other, &error, 1) == NULL);
    ck_assert_int_eq(error, BRAID_ERR_UNKNOWN_SESSION);
    other_free(&other);
}
END_TEST

START_TEST(test_refused)
{
    struct other other;

    other_init(&other, 2, false);
    ck_assert_int_eq(say(&other, 0, "\x03", 1), -BRAID_ERR_PROTOCOL);
    ck_assert_int_eq(say(&other, 1, "\0\0\0\0\0\0\0\0\0\x80\0\0\0\0\0\0\0", 17),
                     -BRAID_ERR_PROTOCOL);
    other_free(&other);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_any_number_of_subflows, 16},
        {test_few_bytes, 4},
        {test_half_close, 0},
        {test_looks_often_near_the_limit, 0},
        {test_waits_for_all_to_connect, 0},
        {test_a_path_that_does_not_connect, 0},
        {test_lost_before_the_count, 0},
        {test_nothing_is_lost_with_a_subflow, 100},
        {test_without_any_it_is_over, 0},
        {test_reset, 0},
        {test_ends, 0},
        {test_sealed_end, 0},
        {test_sealed_empty, 0},
        {test_no_memory_for_what_comes, 0},
        {test_sealed_and_lost, 0},
        {test_too_far_ahead, 0},
        {test_crumbs_ahead, 0},
        {test_all_too_far_ahead, 0},
        {test_who_may_join, 0},
        {test_refused, 0},
    };

    return SUITE_RUN("seed_session", tests);
}
