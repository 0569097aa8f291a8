/* SPDX-License-Identifier: MIT */
#include "core/deadline.h"
#include "suite.h"

START_TEST(test_empty)
{
    struct braid_deadlines d;

    braid_timers_clear(&d);
    ck_assert_uint_eq(braid_timers_next(&d), UINT64_MAX);
    for (int i = 0; i < BRAID_TIMERS; i++) {
        ck_assert(!braid_timer_is_set(&d, (enum braid_timer)i));
        ck_assert(!braid_timer_due(&d, (enum braid_timer)i, UINT64_MAX - 1));
    }
}
END_TEST

START_TEST(test_earliest_first)
{
    struct braid_deadlines d;

    braid_timers_clear(&d);
    braid_timer_set(&d, BRAID_TIMER_WATCH, 500);
    braid_timer_set(&d, BRAID_TIMER_ACK, 700);
    ck_assert_uint_eq(braid_timers_next(&d), 500);
    braid_timer_clear(&d, BRAID_TIMER_WATCH);
    ck_assert_uint_eq(braid_timers_next(&d), 700);
    braid_timer_set(&d, BRAID_TIMER_ACK, 900);
    ck_assert_uint_eq(braid_timers_next(&d), 900);
}
END_TEST

START_TEST(test_due_once)
{
    struct braid_deadlines d;

    braid_timers_clear(&d);
    braid_timer_set(&d, BRAID_TIMER_END, 500);
    ck_assert(!braid_timer_due(&d, BRAID_TIMER_END, 499));
    ck_assert(braid_timer_is_set(&d, BRAID_TIMER_END));
    ck_assert(braid_timer_due(&d, BRAID_TIMER_END, 500));
    ck_assert(!braid_timer_due(&d, BRAID_TIMER_END, 500));
    ck_assert_uint_eq(braid_timers_next(&d), UINT64_MAX);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_empty, 0},
        {test_earliest_first, 0},
        {test_due_once, 0},
    };

    return SUITE_RUN("deadline", tests);
}
