/* SPDX-License-Identifier: MIT */
#include "core/estimator.h"
#include "core/session.h"
#include "suite.h"

static struct braid_sample sample;

static void reset_sample(void)
{
    sample = (struct braid_sample){
        .rtt = 20000, .rttvar = 2000, .min_rtt = 18000, .cwnd = 10, .mss = 1000};
}

START_TEST(test_unknown)
{
    struct braid_estimator e = {0};

    ck_assert_uint_gt(braid_estimator_rate(&e), 0);
    ck_assert_uint_gt(braid_estimator_arrival(&e, 0, 1000000), 0);
}
END_TEST

START_TEST(test_first_guess_is_the_window)
{
    struct braid_estimator e = {0};

    reset_sample();
    braid_estimator_sample(&e, &sample, 1000);
    ck_assert_uint_eq(braid_estimator_rate(&e), 500000);
    ck_assert_uint_eq(e.rtt, 20000);
    ck_assert_uint_eq(e.min_rtt, 18000);
    ck_assert_uint_eq(braid_estimator_arrival(&e, 250000, 250000), 1000000 - 9000);
}
END_TEST

/* Sends `rate` bytes a second for some milliseconds, with a full socket or not. */
static void run(struct braid_estimator *e, uint64_t *now, uint64_t rate, int milliseconds, int full)
{
    for (int i = 0; i < milliseconds; i += 10) {
        *now += 10000;
        sample.bytes_acked += rate / 100;
        sample.delivered += rate / 100 / 1000;
        sample.outq = full ? sample.cwnd * sample.mss : 1;
        braid_estimator_sample(e, &sample, *now);
    }
}

START_TEST(test_measures_the_rate)
{
    struct braid_estimator e = {0};
    uint64_t now = 1000000;

    reset_sample();
    run(&e, &now, 5000000, 2000, 1);
    ck_assert_uint_ge(braid_estimator_rate(&e), 4900000);
    ck_assert_uint_le(braid_estimator_rate(&e), 5100000);
    run(&e, &now, 1000000, 2000, 1);
    ck_assert_uint_ge(braid_estimator_rate(&e), 980000);
    ck_assert_uint_le(braid_estimator_rate(&e), 1050000);
}
END_TEST

/* Little was sent because there was little to send: that says nothing about the path. */
START_TEST(test_idle_does_not_count)
{
    struct braid_estimator e = {0};
    uint64_t now = 1000000, before;

    reset_sample();
    run(&e, &now, 5000000, 2000, 1);
    before = braid_estimator_rate(&e);
    run(&e, &now, 1000, 5000, 0);
    ck_assert_uint_eq(braid_estimator_rate(&e), before);
    run(&e, &now, 5000000, 1000, 1);
    ck_assert_uint_ge(braid_estimator_rate(&e), 4900000);
}
END_TEST

/* After a minute without a look, measuring begins anew, and does begin. */
START_TEST(test_after_a_long_silence)
{
    struct braid_estimator e = {0};
    uint64_t now = 1000000;

    reset_sample();
    run(&e, &now, 5000000, 2000, 1);
    now += 90000000;
    run(&e, &now, 1000000, 3000, 1);
    ck_assert_uint_ge(braid_estimator_rate(&e), 900000);
    ck_assert_uint_le(braid_estimator_rate(&e), 1100000);
}
END_TEST

/* TCP's count of segments tells, those above a gap included; without it, acknowledged bytes do. */
START_TEST(test_tells_what_moved)
{
    struct braid_estimator e = {0};

    reset_sample();
    ck_assert(!braid_estimator_sample(&e, &sample, 1000));
    sample.bytes_acked = 1;
    ck_assert(braid_estimator_sample(&e, &sample, 2000));
    ck_assert(!braid_estimator_sample(&e, &sample, 3000));
    sample.delivered = 2;
    ck_assert(braid_estimator_sample(&e, &sample, 4000));
    ck_assert(!braid_estimator_sample(&e, &sample, 5000));
}
END_TEST

/* No cap while the rate grows; then what fills the path, and 15 ms. */
START_TEST(test_cap)
{
    struct braid_estimator e = {0};
    uint64_t now = 1000000;

    reset_sample();
    ck_assert_uint_eq(braid_estimator_cap(&e), UINT64_MAX);
    run(&e, &now, 1000000, 40, 1);
    ck_assert_uint_eq(braid_estimator_cap(&e), UINT64_MAX);
    run(&e, &now, 5000000, 2000, 1);
    ck_assert_uint_ge(braid_estimator_cap(&e), 5000000 / 1000 * (18 + 2 + 14));
    ck_assert_uint_le(braid_estimator_cap(&e), 5000000 / 1000 * (18 + 3 + 16));
}
END_TEST

/* Silence counts from the last delivery while something is on its way, not while nothing is. */
/* 22 KB are no full socket, but queue all the same; others' queue is no reason, nor is a burst. */
START_TEST(test_cap_when_held_back)
{
    static const struct {
        uint32_t rtt, outq, unacked;
        bool capped;
    } cases[] = {{90000, 22000, 22, true}, {90000, 2000, 2, false}, {20000, 22000, 22, false}};
    struct braid_estimator e = {0};
    uint64_t now = 1000000;

    reset_sample();
    sample.cwnd = 50;
    sample.rtt = cases[_i].rtt;
    sample.outq = cases[_i].outq;
    sample.unacked = cases[_i].unacked;
    for (int i = 0; i < 50; i++) {
        now += 10000;
        sample.bytes_acked += 2400;
        sample.delivered += 2;
        braid_estimator_sample(&e, &sample, now);
    }
    if (cases[_i].capped)
        ck_assert_uint_lt(braid_estimator_cap(&e), 15000);
    else
        ck_assert_uint_eq(braid_estimator_cap(&e), UINT64_MAX);
}
END_TEST

/* A path that hardly carries anything gets something to carry, or it would never be seen again. */
START_TEST(test_cap_of_nearly_nothing)
{
    struct braid_estimator e = {.rate = 20, .plateau = 3, .min_rtt = 10000};

    ck_assert_uint_gt(braid_estimator_cap(&e), 0);
}
END_TEST

/* Twenty bytes that met a delay of 10 ms do not make a path of 2 KB/s. */
START_TEST(test_small_burst)
{
    struct braid_estimator e = {0};

    reset_sample();
    braid_estimator_sample(&e, &sample, 1000);
    braid_estimator_burst(&e, 20, 28000);
    ck_assert_uint_eq(braid_estimator_rate(&e), 500000);
    braid_estimator_burst(&e, 5000, 68000);
    ck_assert_uint_eq(braid_estimator_rate(&e), 100000);
}
END_TEST

START_TEST(test_silence)
{
    struct braid_estimator e = {0};

    reset_sample();
    braid_estimator_sample(&e, &sample, 1000);
    ck_assert_uint_eq(braid_estimator_silence(&e, 900000), 0);
    braid_estimator_written(&e, 1000, 1000000);
    ck_assert_uint_eq(braid_estimator_silence(&e, 1050000), 50000);
    sample.unacked = 1;
    braid_estimator_sample(&e, &sample, 1060000);
    ck_assert_uint_eq(braid_estimator_silence(&e, 1070000), 70000);
    sample.delivered++;
    braid_estimator_sample(&e, &sample, 1080000);
    ck_assert_uint_eq(braid_estimator_silence(&e, 1090000), 10000);
    sample.unacked = 0; /* bytes in the socket may stay unsent: the peer's window is closed */
    sample.outq = 5000;
    braid_estimator_sample(&e, &sample, 1100000);
    ck_assert_uint_eq(braid_estimator_silence(&e, 9000000), 0);
}
END_TEST

/* 60 ms at the least, 500 at the most; three times a pause that was seen in the last seconds. */
START_TEST(test_patience)
{
    struct braid_estimator e = {0};
    uint64_t now = 1000000;

    reset_sample();
    sample.unacked = 1;
    run(&e, &now, 5000000, 1000, 1);
    ck_assert_uint_eq(braid_estimator_patience(&e), 60000);
    now += 90000;
    run(&e, &now, 5000000, 100, 1);
    ck_assert_uint_eq(braid_estimator_patience(&e), 300000);
    run(&e, &now, 5000000, 5000, 1);
    ck_assert_uint_eq(braid_estimator_patience(&e), 60000);
    sample.rtt = 400000;
    sample.rttvar = 300000;
    braid_estimator_sample(&e, &sample, now);
    ck_assert_uint_eq(braid_estimator_patience(&e), 500000);
}
END_TEST

START_TEST(test_round_trips)
{
    struct braid_estimator e = {0};

    braid_estimator_round_trip(&e, 8000);
    ck_assert_uint_eq(e.rtt, 8000);
    ck_assert_uint_eq(e.min_rtt, 8000);
    braid_estimator_round_trip(&e, 16000);
    ck_assert_uint_eq(e.rtt, 9000);
    ck_assert_uint_eq(e.min_rtt, 8000);
    braid_estimator_round_trip(&e, 1000);
    ck_assert_uint_eq(e.rtt, 8000);
    ck_assert_uint_eq(e.min_rtt, 1000);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_unknown, 0},
        {test_first_guess_is_the_window, 0},
        {test_measures_the_rate, 0},
        {test_idle_does_not_count, 0},
        {test_after_a_long_silence, 0},
        {test_tells_what_moved, 0},
        {test_cap_when_held_back, 3},
        {test_cap_of_nearly_nothing, 0},
        {test_small_burst, 0},
        {test_cap, 0},
        {test_silence, 0},
        {test_patience, 0},
        {test_round_trips, 0},
    };

    return SUITE_RUN("estimator", tests);
}
