/* SPDX-License-Identifier: MIT */
/*
 * How arrived bytes are acknowledged, and how far the limit lets the peer go.
 */
#include <string.h>

#include "single.h"
#include "suite.h"

static struct single s;

START_TEST(test_delayed_ack)
{
    single_local(&s, 2);
    /* The first bytes on each of several subflows are acknowledged at once: it is on trial. */
    ck_assert_int_eq(feed_data(&s, 0, 0, 10, 0), 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "ACK 10/524288 0:10");
    ck_assert_int_eq(feed_data(&s, 1, 10, 10, 0), 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "ACK 20/524288 1:10");
    ck_assert_int_eq(feed_data(&s, 0, 20, 100, 0), 0);
    single_acted(&s);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "");
    ck_assert_uint_eq(braid_session_deadline(s.session), s.now + 10000);
    ck_assert_int_eq(feed_data(&s, 1, 120, 50, 0), 0); /* the first one's time counts */
    single_sleep(&s, 9999);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "");
    single_sleep(&s, 1);
    single_send(&s);
    /* It goes where data came last: that subflow is alive. */
    ck_assert_str_eq(single_said(&s, 1), "ACK 170/524288 0:110 1:60");
    ck_assert_str_eq(single_said(&s, 0), "");
    /* Only what is new is said again. */
    ck_assert_int_eq(feed_data(&s, 1, 170, 50, 0), 0);
    single_sleep(&s, 10000);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "ACK 220/524288 1:110");
    single_free(&s);
}
END_TEST

/* However large the window is: the peer holds what is not acknowledged. */
START_TEST(test_ack_after_256_kib)
{
    const struct braid_sample far = {.rtt = 100000, .min_rtt = 100000, .mss = 1000};
    uint64_t at = 0;

    single_remote(&s, 1);
    braid_subflow_sample(s.flow[0].subflow, &far, s.now);
    while (at < 16u << 20) { /* until the window is as large as it may become */
        ck_assert_int_eq(feed_data(&s, 0, at, 32768, 0), 0);
        at += 32768;
        single_read(&s, 32768);
        single_sleep(&s, 1000);
        single_send(&s);
    }
    single_sleep(&s, 10000);
    single_send(&s);
    single_said(&s, 0);
    for (int i = 0; i < 2; i++) {
        for (unsigned n = 0; n < 262144 - 32768; n += 32768, at += 32768)
            ck_assert_int_eq(feed_data(&s, 0, at, 32768, 0), 0);
        single_send(&s);
        ck_assert_str_eq(single_said(&s, 0), "");
        ck_assert_int_eq(feed_data(&s, 0, at, 32768, 0), 0);
        at += 32768;
        single_send(&s);
        ck_assert_ptr_nonnull(strstr(single_said(&s, 0), "ACK "));
    }
    single_free(&s);
}
END_TEST

/* From 4 KiB on the peer knows what a subflow is worth, however small the pieces of them were. */
START_TEST(test_first_bytes_are_told)
{
    single_local(&s, 2);
    ck_assert_int_eq(feed_data(&s, 1, 0, 1000, 0), 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "ACK 1000/524288 1:1000");
    ck_assert_int_eq(feed_data(&s, 1, 1000, 3095, 0), 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "");
    ck_assert_int_eq(feed_data(&s, 1, 4095, 1, 0), 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "ACK 4096/524288 1:4096");
    ck_assert_int_eq(feed_data(&s, 1, 4096, 5000, 0), 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "");
    single_free(&s);
}
END_TEST

START_TEST(test_ack_rides_along)
{
    single_local(&s, 1);
    ck_assert_int_eq(feed_data(&s, 0, 0, 100, 0), 0);
    single_write(&s, 10);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "ACK 100/524288 0:100 DATA 0+10");
    single_sleep(&s, 10000);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "");
    single_free(&s);
}
END_TEST

START_TEST(test_ack_at_once)
{
    single_local(&s, 1);
    ck_assert_int_eq(feed_data(&s, 0, 0, 50000, 0), 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "");
    ck_assert_int_eq(feed_data(&s, 0, 50000, 15536, 0), 0); /* 64 KiB */
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "ACK 65536/524288 0:65536");
    ck_assert_int_eq(feed_data(&s, 0, 0, 10, BRAID_DATA_AGAIN), 0); /* somebody waits for it */
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "ACK 65536/524288 0:65546");
    single_free(&s);
}
END_TEST

START_TEST(test_limit_moves_with_drain)
{
    single_local(&s, 1);
    for (uint64_t at = 0; at < 524288; at += 32768)
        ck_assert_int_eq(feed_data(&s, 0, at, 32768, 0), 0);
    single_send(&s);
    single_said(&s, 0);
    ck_assert_int_eq(feed_data(&s, 0, 524288, 1, 0), -BRAID_ERR_PROTOCOL);
    single_free(&s);

    single_local(&s, 1);
    for (uint64_t at = 0; at < 524288; at += 32768)
        ck_assert_int_eq(feed_data(&s, 0, at, 32768, 0), 0);
    single_send(&s);
    single_said(&s, 0);
    ck_assert_uint_eq(single_read(&s, 65536), 65536);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "ACK 524288/589824");
    ck_assert_int_eq(feed_data(&s, 0, 524288, 60000, 0), 0);
    single_free(&s);
}
END_TEST

/* Bytes out of order are acknowledged for their subflow, and wait. */
START_TEST(test_out_of_order)
{
    struct iovec v;

    single_local(&s, 2);
    ck_assert_int_eq(feed_data(&s, 1, 100, 50, 0), 0);
    ck_assert_str_eq(single_acted(&s), "");
    ck_assert_int_eq(braid_session_peek(s.session, &v, 1), 0);
    single_sleep(&s, 10000);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "ACK 0/524288 1:50");
    ck_assert_int_eq(feed_data(&s, 0, 0, 100, 0), 0);
    ck_assert_str_eq(single_acted(&s), "READABLE");
    ck_assert_uint_eq(single_read(&s, 1000), 150);
    single_free(&s);
}
END_TEST

/* One subflow has lost a byte: the others need not stop for it, and no reader is to blame. */
START_TEST(test_limit_moves_past_a_gap)
{
    single_local(&s, 2);
    single_sleep(&s, 1000);
    for (uint64_t at = 32768; at < 393216; at += 32768)
        ck_assert_int_eq(feed_data(&s, 1, at, 32768, 0), 0);
    single_send(&s);
    ck_assert_ptr_nonnull(strstr(single_said(&s, 1), "ACK 0/524288 "));
    ck_assert_int_eq(feed_data(&s, 1, 393216, 32768, 0), 0);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "ACK 0/1048576 1:393216");
    single_free(&s);

    /* Bytes that lie here unread are another matter. */
    single_local(&s, 2);
    single_sleep(&s, 1000);
    for (uint64_t at = 0; at < 425984; at += 32768) {
        if (at != 32768)
            ck_assert_int_eq(feed_data(&s, 1, at, 32768, 0), 0);
    }
    single_sleep(&s, 10000);
    single_send(&s);
    ck_assert_ptr_nonnull(strstr(single_said(&s, 1), "ACK 32768/524288 "));
    single_free(&s);
}
END_TEST

START_TEST(test_duplicates_count_for_their_subflow)
{
    single_local(&s, 2);
    ck_assert_int_eq(feed_data(&s, 0, 0, 100, 0), 0);
    ck_assert_int_eq(feed_data(&s, 1, 0, 100, 0), 0);
    ck_assert_int_eq(feed_data(&s, 1, 50, 100, 0), 0);
    single_sleep(&s, 10000);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 1), "ACK 150/524288 0:100 1:200");
    ck_assert_uint_eq(single_read(&s, 1000), 150);
    single_free(&s);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_delayed_ack, 0},
        {test_ack_after_256_kib, 0},
        {test_first_bytes_are_told, 0},
        {test_ack_rides_along, 0},
        {test_ack_at_once, 0},
        {test_limit_moves_with_drain, 0},
        {test_out_of_order, 0},
        {test_limit_moves_past_a_gap, 0},
        {test_duplicates_count_for_their_subflow, 0},
    };

    return SUITE_RUN("session_ack", tests);
}
