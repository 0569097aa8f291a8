/* SPDX-License-Identifier: MIT */
/*
 * Which subflow the aggregate scheduler takes.
 */
#include "pair.h"
#include "single.h"
#include "suite.h"

static struct single s;

/* Says what a subflow's path is like. */
static void path(unsigned i, uint32_t rtt, uint64_t rate)
{
    struct braid_sample sample = {.rtt = rtt, .rttvar = rtt / 8, .min_rtt = rtt, .mss = 1000};

    sample.cwnd = (uint32_t)(rate * rtt / 1000 / 1000000);
    braid_subflow_sample(s.flow[i].subflow, &sample, s.now);
}

static void room(unsigned i, size_t bytes)
{
    braid_subflow_set_room(s.flow[i].subflow, bytes);
}

/* The number of the subflow that would be taken; -1: none. */
static int taken(void)
{
    struct braid_subflow *subflow = braid_session_next_sender(s.session, s.now);

    return subflow == NULL ? -1 : (int)((struct single_flow *)braid_subflow_user(subflow) - s.flow);
}

START_TEST(test_shortest_way_first)
{
    single_local(&s, 3);
    path(0, 80000, 10000000);
    path(1, 10000, 10000000);
    path(2, 40000, 10000000);
    single_write(&s, 1000);
    ck_assert_int_eq(taken(), 1);
    single_free(&s);
}
END_TEST

START_TEST(test_fastest_first)
{
    single_local(&s, 2);
    path(0, 20000, 1000000);
    path(1, 20000, 50000000);
    single_write(&s, 100000);
    ck_assert_int_eq(taken(), 1);
    single_free(&s);
}
END_TEST

/* What is queued on a path already counts: the next bytes go where they arrive first. */
START_TEST(test_queue_counts)
{
    single_local(&s, 2);
    path(0, 20000, 1000000);
    path(1, 40000, 1000000);
    room(0, 1u << 20);
    room(1, 1u << 20);
    single_write(&s, 200000);
    ck_assert_int_eq(taken(), 0);
    while (taken() == 0)
        ck_assert(single_send_some(&s, SIZE_MAX, 64));
    ck_assert_int_eq(taken(), 1);
    single_free(&s);
}
END_TEST

/* The slow path would be done later with one frame than the fast one with everything: it waits. */
START_TEST(test_slow_path_stays_idle)
{
    single_local(&s, 2);
    path(0, 10000, 12500000);
    path(1, 800000, 100000);
    single_write(&s, 50000);
    room(0, 0);
    ck_assert_int_eq(taken(), -1);
    room(0, 100000);
    ck_assert_int_eq(taken(), 0);
    single_free(&s);
}
END_TEST

/* But when there is a lot to do, it helps. */
START_TEST(test_slow_path_helps_with_much)
{
    single_init(&s, BRAID_LOCAL);
    s.config.subflows = s.config.first = 2;
    single_open(&s);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(single_add(&s, i), 0);
    single_send(&s);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(feed_hello(&s, i, BRAID_OK, 0, 8u << 20, SINGLE_INSTANCE), 0);
    path(0, 10000, 1000000);
    path(1, 200000, 500000);
    room(0, 0);
    while (single_write(&s, 100000) > 0) /* until the application waits for room */
        ;
    ck_assert_int_eq(taken(), 1);
    single_free(&s);
}
END_TEST

/* What a path seems to be is halved until it has shown it: here, it would be the later one. */
START_TEST(test_unproven_path_helps_with_more)
{
    single_local(&s, 2);
    braid_subflow_set_path(s.flow[1].subflow, 1);
    path(0, 10000, 1000000);
    path(1, 20000, 1000000);
    room(1, 0);
    for (uint64_t n = 10000; n <= 70000; n += 10000) { /* until the first is well known */
        const uint64_t counts[] = {0, n};

        room(0, 1u << 20);
        single_write(&s, 10000);
        single_send(&s);
        ck_assert_int_eq(feed_ack(&s, 0, n, 1u << 20, 1, counts), 0);
        path(0, 10000, 1000000);
    }
    single_write(&s, 5000);
    single_send(&s);
    room(0, 0);
    room(1, 1u << 20);
    single_write(&s, 20000);
    ck_assert_int_eq(taken(), 1); /* for a copy, as a trial */
    ck_assert(single_send_some(&s, SIZE_MAX, 64));
    path(1, 20000, 1000000);       /* which has arrived, but the peer has not said so */
    ck_assert_int_eq(taken(), -1); /* 25 ms alone, 20 ms for a frame there */
    single_write(&s, 180000);
    ck_assert_int_eq(taken(), 1);
    single_free(&s);
}
END_TEST

/* A short message does not wait for another, equal path that has no room. */
START_TEST(test_short_message_goes_at_once)
{
    single_local(&s, 2);
    path(0, 20000, 1000000);
    path(1, 20000, 1000000);
    room(1, 0);
    single_write(&s, 100);
    ck_assert_int_eq(taken(), 0);
    single_free(&s);
}
END_TEST

/* Bytes that are sent again are waited for: whoever can take them does. */
START_TEST(test_again_does_not_wait)
{
    single_local(&s, 3);
    path(0, 10000, 12500000);
    path(1, 800000, 100000);
    room(0, 0);
    room(1, 0);
    single_write(&s, 50000);
    ck_assert_int_eq(taken(), 2);
    ck_assert(single_send_some(&s, SIZE_MAX, 64));
    single_lose(&s, 2);
    room(1, 100000);
    ck_assert(single_send_some(&s, SIZE_MAX, 64)); /* and the ACK with it */
    ck_assert_ptr_nonnull(s.flow[1].out);
    ck_assert_uint_gt(s.flow[1].out_len, 1000);
    single_free(&s);
}
END_TEST

START_TEST(test_little_room_is_none)
{
    single_local(&s, 1);
    single_write(&s, 50000);
    room(0, 4095);
    ck_assert_int_eq(taken(), -1);
    room(0, 4096);
    ck_assert_int_eq(taken(), 0);
    single_free(&s);
    single_local(&s, 1);
    single_write(&s, 50); /* unless it is enough */
    room(0, 50);
    ck_assert_int_eq(taken(), 0);
    room(0, 49);
    ck_assert_int_eq(taken(), -1);
    single_free(&s);
}
END_TEST

START_TEST(test_blocked_is_passed_over)
{
    single_local(&s, 2);
    path(0, 20000, 1000000);
    path(1, 21000, 1000000);
    single_write(&s, 50000);
    ck_assert_int_eq(taken(), 0);
    braid_subflow_set_blocked(s.flow[0].subflow, true);
    ck_assert_int_eq(taken(), 1);
    braid_subflow_set_blocked(s.flow[1].subflow, true);
    ck_assert_int_eq(taken(), -1);
    single_free(&s);
}
END_TEST

/* A peer may allow any number of bytes; that must not upset the reckoning. */
START_TEST(test_absurd_limit)
{
    single_local(&s, 2);
    path(0, 10000, 1000000);
    path(1, 20000, 900000);
    room(0, 0);
    while (single_write(&s, 100000) > 0)
        ;
    /* Times a million this wraps to next to nothing. */
    ck_assert_int_eq(feed_ack(&s, 0, 0, UINT64_MAX / 1000000 + 1, 0, NULL), 0);
    ck_assert_int_eq(taken(), 1);
    ck_assert_int_eq(feed_ack(&s, 0, 0, UINT64_MAX, 0, NULL), 0);
    ck_assert_int_eq(taken(), 1);
    single_free(&s);
}
END_TEST

START_TEST(test_nothing_to_send)
{
    single_local(&s, 2);
    ck_assert_int_eq(taken(), -1);
    single_lose(&s, 0);
    single_lose(&s, 1);
    single_write(&s, 100);
    ck_assert_int_eq(taken(), -1);
    single_free(&s);
}
END_TEST

/* A path that comes back is on probation and alone, since only a backup has worked so far. */
START_TEST(test_nobody_to_wait_for)
{
    single_init(&s, BRAID_LOCAL);
    s.config.subflows = s.config.first = 2;
    single_open(&s);
    ck_assert_int_eq(single_add(&s, 0), 0);
    braid_subflow_set_backup(s.flow[0].subflow, true);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 0, BRAID_OK, 0, 8u << 20, SINGLE_INSTANCE), 0);
    path(0, 10000, 1000000);
    single_write(&s, 5000);
    single_send(&s);
    ck_assert_int_eq(feed_ack(&s, 0, 1000, 8u << 20, 1, (uint64_t[]){0, 1000}), 0);
    ck_assert_int_eq(single_add(&s, 1), 0);
    braid_subflow_set_path(s.flow[1].subflow, 1);
    single_send(&s);
    ck_assert_int_eq(feed_hello(&s, 1, BRAID_OK, 1000, 8u << 20, SINGLE_INSTANCE), 0);
    path(1, 10000, 1000000);
    single_write(&s, 5000);
    ck_assert_int_eq(taken(), 1);
    single_send(&s);
    single_free(&s);
}
END_TEST

/* One that idles may have to repeat what is late elsewhere: its room is to be known until then. */
START_TEST(test_room_for_what_may_be_repeated)
{
    single_local(&s, 2);
    path(0, 10000, 1000000);
    path(1, 10000, 1000000);
    single_write(&s, 1000);
    single_send(&s);
    ck_assert_int_eq(feed_ack(&s, 0, 1000, 262144, 1, (uint64_t[]){0, 1000}), 0);
    ck_assert(!braid_subflow_wants_room(s.flow[1].subflow));
    single_write(&s, 1000);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "DATA 0+1000 DATA 1000+1000");
    ck_assert(braid_subflow_wants_room(s.flow[1].subflow));
    ck_assert_int_eq(feed_ack(&s, 0, 2000, 262144, 1, (uint64_t[]){0, 2000}), 0);
    ck_assert(!braid_subflow_wants_room(s.flow[1].subflow));
    single_free(&s);
    single_local(&s, 1); /* alone it has nothing to repeat for others */
    single_write(&s, 1000);
    single_send(&s);
    ck_assert(!braid_subflow_wants_room(s.flow[0].subflow));
    single_free(&s);
}
END_TEST

/* How much a socket is given ahead: a few milliseconds of its rate, within bounds. */
START_TEST(test_lowat)
{
    single_local(&s, 1);
    ck_assert_uint_eq(braid_subflow_lowat(s.flow[0].subflow), 65536);
    path(0, 20000, 10000000);
    ck_assert_uint_eq(braid_subflow_lowat(s.flow[0].subflow), 80000);
    path(0, 20000, 100000);
    ck_assert_uint_eq(braid_subflow_lowat(s.flow[0].subflow), 16384);
    path(0, 20000, 10000000000);
    ck_assert_uint_eq(braid_subflow_lowat(s.flow[0].subflow), 1048576);
    single_free(&s);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_shortest_way_first, 0},
        {test_fastest_first, 0},
        {test_queue_counts, 0},
        {test_slow_path_stays_idle, 0},
        {test_slow_path_helps_with_much, 0},
        {test_unproven_path_helps_with_more, 0},
        {test_short_message_goes_at_once, 0},
        {test_again_does_not_wait, 0},
        {test_little_room_is_none, 0},
        {test_blocked_is_passed_over, 0},
        {test_absurd_limit, 0},
        {test_nothing_to_send, 0},
        {test_nobody_to_wait_for, 0},
        {test_room_for_what_may_be_repeated, 0},
        {test_lowat, 0},
    };

    return SUITE_RUN("scheduler", tests);
}
