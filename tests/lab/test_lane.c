/* SPDX-License-Identifier: MIT */
/*
 * The emulated link in virtual time: what it delivers, when, and what it drops. Figures of
 * benchmarks are only as good as this.
 */
#include <netinet/in.h>
#include <string.h>

#include "lane.h"
#include "tests/unit/suite.h"

#define MS UINT64_C(1000000)
#define US UINT64_C(1000)

enum { FULL = 1500 };

static struct lane lane;

static void setup(void)
{
    lane_init(&lane, 1);
}

static void offer(size_t size, uint64_t now)
{
    struct frame *frame = frame_new();

    ck_assert_ptr_nonnull(frame);
    memset(frame->data, 0, sizeof frame->data);
    frame->size = size;
    lane_offer(&lane, frame, now);
}

/* When the next frame comes out; its size. */
static size_t take(uint64_t *when)
{
    struct frame *frame;
    size_t size;

    *when = lane_next(&lane);
    ck_assert_uint_ne(*when, LANE_NEVER);
    if (*when > 0)
        ck_assert_ptr_null(lane_take(&lane, *when - 1));
    frame = lane_take(&lane, *when);
    ck_assert_ptr_nonnull(frame);
    size = frame->size;
    frame_free(frame);
    return size;
}

static uint64_t take_time(void)
{
    uint64_t when;

    take(&when);
    return when;
}

/* All that comes until a time; how many frames. */
static unsigned drain(uint64_t until)
{
    unsigned n = 0;

    while (lane_next(&lane) <= until) {
        take_time();
        n++;
    }
    return n;
}

static void finish(void)
{
    lane_clear(&lane);
    frame_free_spares();
}

START_TEST(nothing_set_is_a_wire)
{
    setup();
    ck_assert_uint_eq(lane_next(&lane), LANE_NEVER);
    offer(FULL, 5);
    offer(60, 5);
    ck_assert_uint_eq(take_time(), 5);
    ck_assert_uint_eq(take_time(), 5);
    ck_assert_uint_eq(lane_next(&lane), LANE_NEVER);
    finish();
}
END_TEST

START_TEST(rate_and_delay_add)
{
    setup();
    lane.settings.rate = 12000000; /* 1 ms for each full frame */
    lane.settings.delay = 5 * MS;
    for (int i = 0; i < 3; i++)
        offer(FULL, 0);
    offer(FULL / 2, 0);
    ck_assert_uint_eq(take_time(), 6 * MS);
    ck_assert_uint_eq(take_time(), 7 * MS);
    ck_assert_uint_eq(take_time(), 8 * MS);
    ck_assert_uint_eq(take_time(), 8 * MS + 500 * US);
    /* An idle link does not save up. */
    offer(FULL, 20 * MS);
    ck_assert_uint_eq(take_time(), 26 * MS);
    finish();
}
END_TEST

/* However it is asked, a full link carries its rate. */
START_TEST(a_full_link_carries_its_rate)
{
    uint64_t bytes = 0, seed = (uint64_t)_i + 1, now = 0, last = 0;

    setup();
    lane.settings.rate = 100000000;
    lane.settings.delay = 3 * MS;
    lane.settings.queue_time = 20 * MS;
    while (now < 1000 * MS) {
        struct frame *frame;

        for (int i = 0; i < 40; i++)
            offer(60 + (size_t)suite_below(&seed, FULL - 60), now);
        now += suite_below(&seed, 2 * MS);
        while ((frame = lane_take(&lane, now)) != NULL) {
            ck_assert_uint_ge(frame->time, last);
            last = frame->time;
            bytes += frame->size;
            frame_free(frame);
        }
    }
    ck_assert_uint_ge(bytes, 12400000);
    ck_assert_uint_le(bytes, 12500000);
    ck_assert_uint_gt(lane.counters.dropped_queue, 0);
    ck_assert_uint_eq(lane.counters.in_frames, lane.counters.out_frames +
                                                   lane.counters.dropped_queue + lane.queue.frames +
                                                   lane.wire.frames);
    finish();
}
END_TEST

START_TEST(the_queue_drops_its_tail)
{
    setup();
    lane.settings.rate = 12000000;
    lane.settings.queue_time = 4 * MS;
    for (size_t i = 0; i < 6; i++)
        offer(FULL - i, 0);
    ck_assert_uint_eq(lane.counters.dropped_queue, 2);
    for (size_t i = 0; i < 4; i++) {
        uint64_t when;

        ck_assert_uint_eq(take(&when), FULL - i);
    }
    lane.settings.queue_time = 0;
    lane.settings.queue_frames = 3;
    for (int i = 0; i < 5; i++)
        offer(60, 10 * MS);
    ck_assert_uint_eq(lane.counters.dropped_queue, 4);
    ck_assert_uint_eq(drain(LANE_NEVER - 1), 3);
    lane.settings.queue_frames = 0;
    lane.settings.queue_bytes = 2000;
    for (int i = 0; i < 3; i++)
        offer(900, 20 * MS);
    ck_assert_uint_eq(lane.counters.dropped_queue, 5);
    finish();
}
END_TEST

START_TEST(netem_counts_what_travels)
{
    setup();
    lane.settings.rate = 12000000;
    lane.settings.delay = 50 * MS;
    lane.settings.limit_frames = 10;
    for (uint64_t i = 0; i < 40; i++)
        offer(FULL, i * MS);
    ck_assert_uint_eq(lane.counters.dropped_queue, 30);
    ck_assert_uint_eq(drain(100 * MS), 10);
    finish();
}
END_TEST

START_TEST(loss_is_what_it_says_and_repeats)
{
    uint64_t lost[2];

    for (unsigned run = 0; run < 2; run++) {
        setup();
        lane_seed(&lane, 42);
        lane.settings.loss = 0.005;
        for (int i = 0; i < 100000; i++) {
            offer(60, 0);
            drain(0);
        }
        lost[run] = lane.counters.dropped_loss;
        finish();
    }
    ck_assert_uint_eq(lost[0], lost[1]);
    ck_assert_uint_ge(lost[0], 400);
    ck_assert_uint_le(lost[0], 600);
}
END_TEST

/* A TCP segment of a flow: IPv4, ports. */
static void offer_flow(unsigned char port, uint64_t now)
{
    struct frame *frame = frame_new();

    ck_assert_ptr_nonnull(frame);
    memset(frame->data, 0, sizeof frame->data);
    frame->data[12] = 0x08;
    frame->data[14] = 0x45;
    frame->data[23] = IPPROTO_TCP;
    frame->data[35] = port;
    frame->size = FULL;
    lane_offer(&lane, frame, now);
}

START_TEST(each_flow_is_policed_by_itself)
{
    unsigned n = 0;

    setup();
    lane.policer.rate = 12000000;
    lane.policer.burst = 10 * FULL;
    for (unsigned i = 0; i < 2000; i++)
        for (unsigned char port = 1; port <= 8; port++) {
            offer_flow(port, i * MS / 2);
            n += drain(i * MS / 2);
        }
    /* A burst, and 1 s at a frame a millisecond, eight times. */
    ck_assert_uint_ge(n, 8 * 1005);
    ck_assert_uint_le(n, 8 * 1012);
    ck_assert_uint_eq(n + lane.counters.dropped_police, 16000);
    finish();
}
END_TEST

START_TEST(a_pause_loses_nothing)
{
    setup();
    lane.settings.rate = 12000000;
    lane.settings.delay = 5 * MS;
    lane.settings.queue_time = 3 * MS;
    offer(FULL, 0);
    offer(FULL, 0);
    lane_pause(&lane, MS, 200 * MS);
    for (int i = 0; i < 50; i++)
        offer(FULL, 10 * MS);
    ck_assert_uint_eq(lane.counters.dropped_queue, 0);
    ck_assert_uint_eq(drain(201 * MS - 1), 0);
    /* What travelled arrives at once, what was queued at the rate from then on. */
    ck_assert_uint_eq(take_time(), 201 * MS);
    for (uint64_t i = 1; i <= 51; i++)
        ck_assert_uint_eq(take_time(), (206 + i) * MS);
    finish();
}
END_TEST

START_TEST(down_loses_what_is_inside)
{
    setup();
    lane.settings.rate = 12000000;
    lane.settings.delay = 5 * MS;
    for (int i = 0; i < 10; i++)
        offer(FULL, 0);
    lane_run(&lane, 3 * MS);
    lane_set_down(&lane, true);
    ck_assert_uint_eq(lane_next(&lane), LANE_NEVER);
    offer(FULL, 4 * MS);
    ck_assert_uint_eq(lane.counters.dropped_down, 11);
    lane_set_down(&lane, false);
    offer(FULL, 20 * MS);
    ck_assert_uint_eq(take_time(), 26 * MS);
    finish();
}
END_TEST

START_TEST(a_rate_that_steps_counts_at_once)
{
    setup();
    lane.settings.rate = 12000; /* 1 s for each */
    offer(FULL, 0);
    offer(FULL, 0);
    lane_run(&lane, 100 * MS);
    lane.settings.rate = 12000000;
    ck_assert_uint_le(take_time(), 100 * MS);
    ck_assert_uint_le(take_time(), 101 * MS);
    finish();
}
END_TEST

START_TEST(a_shorter_delay_overtakes_nothing)
{
    uint64_t when;

    setup();
    lane.settings.delay = 50 * MS;
    offer(100, 0);
    lane_run(&lane, MS);
    lane.settings.delay = MS;
    offer(200, MS);
    ck_assert_uint_eq(take(&when), 100);
    ck_assert_uint_eq(when, 50 * MS);
    ck_assert_uint_eq(take(&when), 200);
    ck_assert_uint_eq(when, 50 * MS);
    finish();
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {nothing_set_is_a_wire, 0},
        {rate_and_delay_add, 0},
        {a_full_link_carries_its_rate, 20},
        {the_queue_drops_its_tail, 0},
        {netem_counts_what_travels, 0},
        {loss_is_what_it_says_and_repeats, 0},
        {each_flow_is_policed_by_itself, 0},
        {a_pause_loses_nothing, 0},
        {down_loses_what_is_inside, 0},
        {a_rate_that_steps_counts_at_once, 0},
        {a_shorter_delay_overtakes_nothing, 0},
    };

    return SUITE_RUN("lane", tests);
}
