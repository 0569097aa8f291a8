/* SPDX-License-Identifier: MIT */
/*
 * How bytes move: room, limits, partial writes, and what a hostile peer may not do.
 */
#include <string.h>

#include "pair.h"
#include "single.h"
#include "suite.h"

static struct single s;

/* ---- sending ---- */

START_TEST(test_data_goes_out_once)
{
    single_local(&s, 1);
    ck_assert_uint_eq(single_write(&s, 100), 100);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "DATA 0+100");
    ck_assert_uint_eq(single_write(&s, 50), 50);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "DATA 100+50");
    single_free(&s);
}
END_TEST

START_TEST(test_stops_at_the_limit)
{
    single_local(&s, 1);
    single_write(&s, 200000);
    single_write(&s, 200000);
    braid_subflow_set_room(s.flow[0].subflow, 1u << 30);
    while (single_send_some(&s, SIZE_MAX, 64))
        ;
    single_said(&s, 0);
    single_write(&s, 262144);
    braid_subflow_set_room(s.flow[0].subflow, 1u << 30);
    single_send(&s);
    single_said(&s, 0);
    ck_assert_ptr_null(braid_session_next_sender(s.session, s.now));
    /* One byte more is allowed, one byte goes. */
    ck_assert_int_eq(feed_ack(&s, 0, 0, 262145, 0, NULL), 0);
    braid_subflow_set_room(s.flow[0].subflow, 1u << 30);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "DATA 262144+1");
    /* A limit that goes back is an older ACK. */
    ck_assert_int_eq(feed_ack(&s, 0, 0, 1000, 0, NULL), 0);
    ck_assert_int_eq(feed_ack(&s, 0, 0, 262146, 0, NULL), 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "DATA 262145+1");
    single_free(&s);
}
END_TEST

/* Before the peer has said anything: 64 KiB. */
START_TEST(test_initial_limit)
{
    single_init(&s, BRAID_LOCAL);
    single_open(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_write(&s, 100000);
    braid_subflow_set_room(s.flow[0].subflow, 1u << 30);
    single_send(&s);
    ck_assert_uint_gt(s.flow[0].out_len, 65536);
    ck_assert_uint_lt(s.flow[0].out_len, 65536 + 400);
    single_free(&s);
}
END_TEST

/* At the limit for long: the ACK that moved it may be lost, so the peer is asked, ever less often.
 */
START_TEST(test_asks_at_the_limit)
{
    single_local(&s, 1);
    while (s.committed < 262144) {
        single_write(&s, 262144 - s.committed);
        braid_subflow_set_room(s.flow[0].subflow, 1u << 30);
        single_send(&s);
    }
    single_write(&s, 100);
    single_send(&s);
    ck_assert_int_eq(feed_ack(&s, 0, 262144, 262144, 1, (uint64_t[]){0, 262144}), 0);
    single_said(&s, 0);
    for (uint64_t wait = 125000; wait <= 1000000; wait *= 2) {
        single_sleep(&s, wait - 1);
        single_send(&s);
        ck_assert_str_eq(single_said(&s, 0), "");
        single_sleep(&s, 1);
        single_send(&s);
        ck_assert_str_eq(single_said(&s, 0), "PING");
        ck_assert_int_eq(feed_pong(&s, 0, s.flow[0].ping, 0), 0);
    }
    single_sleep(&s, 1000000);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "PING");
    single_free(&s);
}
END_TEST

START_TEST(test_room_and_blocked)
{
    single_local(&s, 1);
    single_write(&s, 100);
    braid_subflow_set_room(s.flow[0].subflow, 0);
    ck_assert_ptr_null(braid_session_next_sender(s.session, s.now));
    ck_assert(braid_subflow_wants_room(s.flow[0].subflow));
    braid_subflow_set_room(s.flow[0].subflow, 100);
    braid_subflow_set_blocked(s.flow[0].subflow, true);
    ck_assert_ptr_null(braid_session_next_sender(s.session, s.now));
    ck_assert(braid_subflow_wants_room(s.flow[0].subflow));
    braid_subflow_set_blocked(s.flow[0].subflow, false);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "DATA 0+100");
    ck_assert(!braid_subflow_wants_room(s.flow[0].subflow));
    ck_assert_uint_eq(braid_subflow_room(s.flow[0].subflow), 0);
    single_free(&s);
}
END_TEST

START_TEST(test_control_needs_no_room)
{
    single_local(&s, 1);
    braid_subflow_set_room(s.flow[0].subflow, 0);
    ck_assert_int_eq(feed_ping(&s, 0, 42), 0);
    s.now += 7;
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "ACK 0/524288 PONG 42+7");
    single_free(&s);
}
END_TEST

/* What may be written, to the byte, and when the application is woken. */
START_TEST(test_writable)
{
    struct iovec v[8];
    size_t n = 0;

    single_local(&s, 1);
    while (single_write(&s, 100000) > 0)
        ;
    n = s.committed;
    ck_assert_uint_ge(n, 200000);
    ck_assert_str_eq(single_acted(&s), "DIAL");
    ck_assert_int_eq(braid_session_reserve(s.session, v, 8), 0);
    braid_subflow_set_room(s.flow[0].subflow, 30000);
    single_send(&s);
    ck_assert_str_eq(single_acted(&s), ""); /* too little to wake up for */
    braid_subflow_set_room(s.flow[0].subflow, 100000);
    single_send(&s);
    ck_assert_str_eq(single_acted(&s), "WRITABLE");
    ck_assert_str_eq(single_acted(&s), "");
    single_free(&s);
}
END_TEST

/* The window is for what was not acknowledged. */
START_TEST(test_window)
{
    single_init(&s, BRAID_LOCAL);
    s.config.subflows = 1;
    s.config.window = 65536;
    single_open(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 0, 0, 0, 1u << 30, SINGLE_INSTANCE), 0);
    while (single_write(&s, 10000) > 0) {
        braid_subflow_set_room(s.flow[0].subflow, 100000);
        single_send(&s);
    }
    ck_assert_uint_gt(s.committed, 65536 - 4096);
    ck_assert_uint_le(s.committed, 65536);
    single_acted(&s);
    ck_assert_int_eq(feed_ack(&s, 0, 20000, 1u << 30, 0, NULL), 0);
    ck_assert_str_eq(single_acted(&s), "");
    ck_assert_int_eq(feed_ack(&s, 0, 33000, 1u << 30, 0, NULL), 0);
    ck_assert_str_eq(single_acted(&s), "WRITABLE");
    single_free(&s);
}
END_TEST

static void on_release(void *arg)
{
    ++*(unsigned *)arg;
}

/* Memory that is lent: as much as there is room for, given back when the peer has all of it. */
START_TEST(test_lent)
{
    static uint8_t bytes[1300000];
    unsigned released = 0;
    size_t n;

    pair_fill(PAIR_LOCAL, 0, bytes, sizeof bytes);
    single_local(&s, 1);
    braid_subflow_set_room(s.flow[0].subflow, 1u << 20);
    n = braid_session_lend(s.session, bytes, 5000, on_release, &released, s.now);
    ck_assert_uint_eq(n, 5000);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "DATA 0+5000");
    ck_assert_int_eq(feed_ack(&s, 0, 4999, 1u << 20, 0, NULL), 0);
    ck_assert_uint_eq(released, 0);
    ck_assert_int_eq(feed_ack(&s, 0, 5000, 1u << 20, 0, NULL), 0);
    ck_assert_uint_eq(released, 1);

    n = braid_session_lend(s.session, bytes + 5000, 1295000, on_release, &released, s.now);
    ck_assert_uint_ge(n, 1000000);
    ck_assert_uint_lt(n, 1295000);
    single_acted(&s);
    ck_assert_uint_eq(braid_session_lend(s.session, bytes, 5000, on_release, &released, s.now), 0);
    single_send(&s);
    ck_assert_str_eq(single_acted(&s), "WRITABLE");
    ck_assert_uint_eq(released, 1);
    single_free(&s);
    ck_assert_uint_eq(released, 2);
}
END_TEST

static void look(unsigned i, uint32_t round_trip)
{
    const struct braid_sample sample = {.rtt = round_trip, .min_rtt = round_trip, .mss = 1000};

    braid_subflow_sample(s.flow[i].subflow, &sample, s.now);
}

static uint64_t write_all(void)
{
    while (single_write(&s, 65536) > 0) {
        for (unsigned i = 0; i < 2; i++)
            braid_subflow_set_room(s.flow[i].subflow, 1u << 20);
        single_send(&s);
        single_said(&s, 0);
        single_said(&s, 1);
    }
    return s.committed;
}

/* In the house 1.25 MB fill any network; one subflow that goes further needs all of the window. */
START_TEST(test_window_nearby)
{
    single_local(&s, 2);
    ck_assert_int_eq(feed_ack(&s, 0, 0, 1u << 30, 0, NULL), 0);
    look(0, 999);
    look(1, 999);
    ck_assert_uint_le(write_all(), 1250000);
    ck_assert_uint_gt(s.committed, 1250000 - 4096);
    single_acted(&s);
    ck_assert_int_eq(feed_ack(&s, 0, 100000, 1u << 30, 0, NULL), 0);
    ck_assert_str_eq(single_acted(&s), "WRITABLE");
    ck_assert_uint_le(write_all(), 100000 + 1250000);

    look(1, 1000);
    ck_assert_uint_gt(write_all(), 100000 + (8u << 20) - 4096);
    ck_assert_uint_le(s.committed, 100000 + (8u << 20));
    single_free(&s);
}
END_TEST

/* What is lent is no memory of ours: nearby too, it may fill the window. What we copy waits. */
START_TEST(test_lent_nearby)
{
    static uint8_t bytes[9u << 20];
    unsigned released = 0;
    uint64_t lent = 0;
    size_t n;

    pair_fill(PAIR_LOCAL, 0, bytes, sizeof bytes);
    single_local(&s, 1);
    ck_assert_int_eq(feed_ack(&s, 0, 0, 1u << 30, 0, NULL), 0);
    look(0, 999);
    do {
        n = braid_session_lend(s.session, bytes + lent, 100000, on_release, &released, s.now);
        lent += n;
        braid_subflow_set_room(s.flow[0].subflow, 1u << 20);
        single_send(&s);
        single_said(&s, 0);
    } while (n > 0);
    ck_assert_uint_le(lent, 8u << 20);
    ck_assert_uint_gt(lent, (8u << 20) - 4096);
    single_acted(&s);

    ck_assert_int_eq(feed_ack(&s, 0, 1u << 20, 1u << 30, 0, NULL), 0);
    ck_assert_str_eq(single_acted(&s), "WRITABLE");
    ck_assert_uint_eq(single_write(&s, 65536), 0);
    ck_assert_int_eq(feed_ack(&s, 0, lent - 1000000, 1u << 30, 0, NULL), 0);
    ck_assert_str_eq(single_acted(&s), "WRITABLE");
    ck_assert_uint_gt(single_write(&s, 65536), 0);
    single_free(&s);
}
END_TEST

/*
 * A socket that takes n bytes of a plan and no more, for every n: what comes out in the end is
 * always the same stream of whole frames.
 */
START_TEST(test_partial_writes)
{
    for (size_t n = 0; n < 400; n++) {
        single_init(&s, BRAID_LOCAL);
        s.config.subflows = 1;
        single_open(&s);
        ck_assert_int_eq(single_add(&s, 0), 0);
        single_write(&s, 100);
        braid_session_shutdown(s.session, s.now);
        ck_assert(single_send_some(&s, n, 64));
        single_send(&s);
        ck_assert_str_eq(single_said(&s, 0), "HELLO 0 create 0/524288 DATA 0+100 FIN 100");
        ck_assert_uint_eq(s.flow[0].out_len, 0);
        single_free(&s);
    }
}
END_TEST

/* The same with many frames, cut again and again, and few pieces a plan. */
START_TEST(test_torn_to_shreds)
{
    uint64_t seed = (uint64_t)_i + 1;

    single_local(&s, 2);
    for (int round = 0; round < 200; round++) {
        single_write(&s, (size_t)suite_below(&seed, 3000));
        feed_ping(&s, 0, 5);
        for (int i = 0; i < 2; i++)
            braid_subflow_set_room(s.flow[i].subflow, 1u << 20);
        while (single_send_some(&s, (size_t)suite_below(&seed, 200) + (suite_below(&seed, 9) == 0),
                                4 + (int)suite_below(&seed, 20)))
            ;
        single_said(&s, 0); /* which holds all DATA against what was written */
        single_said(&s, 1);
    }
    for (int i = 0; i < 2; i++)
        braid_subflow_set_room(s.flow[i].subflow, 1u << 20);
    single_send(&s);
    single_said(&s, 0);
    single_said(&s, 1);
    ck_assert_uint_eq(s.flow[0].out_len + s.flow[1].out_len, 0);
    single_free(&s);
}
END_TEST

/* What an unfinished frame holds is still there when the peer acknowledged it otherwise. */
START_TEST(test_rest_outlives_ack)
{
    single_local(&s, 2);
    single_write(&s, 1000);
    ck_assert(single_send_some(&s, 100, 64));
    braid_subflow_set_blocked(s.flow[0].subflow, true);
    single_lose(&s, 1);
    single_sleep(&s, 300000);
    ck_assert_int_eq(feed_ack(&s, 0, 1000, 524288, 0, NULL), 0);
    braid_subflow_set_blocked(s.flow[0].subflow, false);
    single_send(&s);
    ck_assert_int_eq(strncmp(single_said(&s, 0), "DATA 0+1000", 11), 0);
    single_free(&s);
}
END_TEST

/* ---- what nobody may say ---- */

START_TEST(test_protocol_errors)
{
    static const uint64_t counts[] = {0, 101};
    int expected = -BRAID_ERR_PROTOCOL;

    single_local(&s, 1);
    single_write(&s, 100);
    single_send(&s);
    switch (_i) {
    case 0:
        feed_data(&s, 0, 524288, 1, 0);
        break;
    case 1:
        feed_data(&s, 0, 524287, 2, 0);
        break;
    case 2:
        feed_data(&s, 0, UINT64_MAX - 4, 5, 0);
        break;
    case 3:
        feed_data(&s, 0, UINT64_MAX - 4, 60, 0);
        break;
    case 4:
        feed_ack(&s, 0, 101, 524288, 0, NULL);
        break;
    case 5:
        feed_ack(&s, 0, UINT64_MAX, UINT64_MAX, 0, NULL);
        break;
    case 6:
        feed_ack(&s, 0, 0, 524288, 1, counts);
        break;
    case 7: /* CONNECT_RESULT is what a REMOTE session says */
        single_free(&s);
        single_remote(&s, 1);
        feed_code(&s, 0, BRAID_FRAME_CONNECT_RESULT, 0);
        break;
    case 8:
        single_feed(&s, 0, "\x0e\x00\x00\x00", 4);
        break;
    case 9:
        single_feed(&s, 0, "\x7f\x00\x00\x00", 4);
        break;
    case 10:
        single_feed(&s, 0, "\x04\x00\x00\x01x", 5);
        break;
    case 11: /* these are ignored */
        single_feed(&s, 0, "\x80\x00\x00\x00\xff\x00\x00\x01x\x00\x00\x00\x02xx", 15);
        expected = 0;
        break;
    case 12: /* and these are advice */
        single_feed(&s, 0, "\x09\0\0\3abc\x0a\0\0\4abcd\x0b\0\0\0\x0c\0\0\1x", 24);
        expected = 0;
        break;
    case 13: /* an ACK for a subflow that is gone */
        feed_ack(&s, 0, 0, 524288, 1, (uint64_t[]){77, 1000000});
        expected = 0;
        break;
    case 14: /* an answer to a PING that was never sent */
        feed_pong(&s, 0, 12345, 1);
        expected = 0;
        break;
    case 15:
        feed_data(&s, 0, 524287, 1, 0);
        expected = 0;
        break;
    }
    ck_assert_int_eq(s.feed_error, expected);
    single_free(&s);
}
END_TEST

/* ---- round trips ---- */

START_TEST(test_ping_measures)
{
    struct braid_subflow_stats stats;

    single_local(&s, 1);
    single_sleep(&s, 25000000); /* keep-alive */
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "PING");
    s.now += 50000;
    ck_assert_int_eq(feed_pong(&s, 0, s.flow[0].ping, 20000), 0);
    braid_subflow_get_stats(s.flow[0].subflow, &stats);
    ck_assert_uint_eq(stats.rtt, 30000);
    single_free(&s);
}
END_TEST

/* A peer that says it held the PONG for longer than it took is not believed. */
START_TEST(test_pong_that_lies)
{
    struct braid_subflow_stats stats;

    single_local(&s, 1);
    single_sleep(&s, 25000000);
    single_send(&s);
    single_said(&s, 0);
    s.now += 50000;
    ck_assert_int_eq(feed_pong(&s, 0, s.flow[0].ping, UINT32_MAX), 0);
    braid_subflow_get_stats(s.flow[0].subflow, &stats);
    ck_assert_uint_eq(stats.rtt, 0);
    single_free(&s);
}
END_TEST

START_TEST(test_stats)
{
    struct braid_session_stats session;
    struct braid_subflow_stats subflow;

    single_local(&s, 2);
    single_write(&s, 100);
    single_send(&s);
    ck_assert_int_eq(feed_data(&s, 1, 0, 70, 0), 0);
    ck_assert_uint_eq(single_read(&s, 30), 30);
    ck_assert_int_eq(feed_ack(&s, 0, 60, 524288, 1, (uint64_t[]){0, 60}), 0);
    braid_session_get_stats(s.session, &session);
    ck_assert_uint_eq(session.committed, 100);
    ck_assert_uint_eq(session.acked, 60);
    ck_assert_uint_eq(session.drained, 30);
    ck_assert_uint_eq(session.unread, 40);
    ck_assert_uint_eq(session.subflows, 2);
    ck_assert_uint_eq(session.subflows_lost, 0);
    ck_assert(session.established);
    ck_assert_uint_gt(session.memory, 0);
    braid_subflow_get_stats(s.flow[0].subflow, &subflow);
    ck_assert_uint_eq(subflow.bytes_sent, 100);
    ck_assert_uint_eq(subflow.index, 0);
    ck_assert_str_eq(subflow.state, "active");
    braid_subflow_get_stats(s.flow[1].subflow, &subflow);
    ck_assert_uint_eq(subflow.bytes_received, 70);
    single_free(&s);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_data_goes_out_once, 0},
        {test_stops_at_the_limit, 0},
        {test_initial_limit, 0},
        {test_asks_at_the_limit, 0},
        {test_room_and_blocked, 0},
        {test_control_needs_no_room, 0},
        {test_writable, 0},
        {test_window, 0},
        {test_window_nearby, 0},
        {test_lent_nearby, 0},
        {test_lent, 0},
        {test_partial_writes, 0},
        {test_torn_to_shreds, 10},
        {test_rest_outlives_ack, 0},
        {test_protocol_errors, 16},
        {test_ping_measures, 0},
        {test_pong_that_lies, 0},
        {test_stats, 0},
    };

    return SUITE_RUN("session_data", tests);
}
