/* SPDX-License-Identifier: MIT */
#include "core/flow.h"
#include "core/wire.h"
#include "suite.h"

#define MIB (1u << 20)

START_TEST(test_start)
{
    struct braid_flow flow;

    braid_flow_init(&flow, 8 * MIB, 1000);
    ck_assert_uint_eq(flow.limit, BRAID_INITIAL_LIMIT);
    ck_assert_uint_eq(braid_flow_next_limit(&flow, 0), 512 * 1024);
    braid_flow_init(&flow, 70000, 1000);
    ck_assert_uint_eq(braid_flow_next_limit(&flow, 0), 70000);
    /* What was promised before the first word stands, however small the window. */
    braid_flow_init(&flow, 1000, 1000);
    ck_assert_uint_eq(braid_flow_next_limit(&flow, 0), BRAID_INITIAL_LIMIT);
    ck_assert_uint_eq(braid_flow_next_limit(&flow, 65000), 66000);
}
END_TEST

/* An application that takes everything at this rate: the window becomes twice rate times delay. */
START_TEST(test_grows_with_appetite)
{
    struct braid_flow flow;
    uint64_t now = 0, drained = 0;

    braid_flow_init(&flow, 64 * MIB, now);
    for (int i = 0; i < 1000; i++) {
        now += 1000;
        drained += 12500; /* 100 Mbit/s */
        braid_flow_drained(&flow, drained, 100000, now);
    }
    ck_assert_uint_ge(flow.window, 3 * 1250000);
    ck_assert_uint_le(flow.window, 3 * 1250000 + 512 * 1024);
}
END_TEST

START_TEST(test_never_beyond_its_cap)
{
    struct braid_flow flow;
    uint64_t now = 0, drained = 0;

    braid_flow_init(&flow, MIB, now);
    for (int i = 0; i < 1000; i++) {
        now += 1000;
        drained += 1250000;
        braid_flow_drained(&flow, drained, 100000, now);
        ck_assert_uint_le(braid_flow_next_limit(&flow, drained), drained + MIB);
    }
    ck_assert_uint_eq(flow.window, MIB);
}
END_TEST

START_TEST(test_slow_reader_keeps_it_small)
{
    struct braid_flow flow;
    uint64_t now = 0, drained = 0;

    braid_flow_init(&flow, 64 * MIB, now);
    for (int i = 0; i < 1000; i++) {
        now += 10000;
        drained += 10;
        braid_flow_drained(&flow, drained, 50000, now);
    }
    ck_assert_uint_le(flow.window, 512 * 1024);
}
END_TEST

/* Whatever happens, limits only move up. */
START_TEST(test_monotonic)
{
    struct braid_flow flow;
    uint64_t seed = (uint64_t)_i + 1, now = 0, drained = 0, last = 0;

    braid_flow_init(&flow, 8 * MIB, now);
    for (int i = 0; i < 5000; i++) {
        uint64_t limit, window = flow.window;

        now += suite_below(&seed, i % 100 == 0 ? 100000000 : 20000);
        drained += suite_below(&seed, 300000);
        braid_flow_drained(&flow, drained, suite_below(&seed, 500000), now);
        ck_assert_uint_ge(flow.window, window);
        limit = braid_flow_next_limit(&flow, drained);
        ck_assert_uint_ge(limit, last);
        ck_assert_uint_le(limit, drained + 8 * MIB);
        last = limit;
        if (suite_below(&seed, 2) == 0)
            flow.limit = limit;
    }
}
END_TEST

START_TEST(test_worth_telling)
{
    struct braid_flow flow;

    braid_flow_init(&flow, 256 * 1024, 0);
    flow.limit = 256 * 1024; /* as told by HELLO */
    ck_assert(!braid_flow_worth_telling(&flow, 0, 0));
    ck_assert(!braid_flow_worth_telling(&flow, 40 * 1024, 100 * 1024));
    ck_assert(braid_flow_worth_telling(&flow, 64 * 1024, 100 * 1024));
    /* Nearly out of limit: less is enough. */
    ck_assert(braid_flow_worth_telling(&flow, 40 * 1024, 250 * 1024));
    ck_assert(!braid_flow_worth_telling(&flow, 20 * 1024, 250 * 1024));
}
END_TEST

/* A peer that stopped at its limit must always hear of the next one once all was drained. */
START_TEST(test_cannot_get_stuck)
{
    static const uint64_t windows[] = {4096, 65536, 65537, 100000, 262144, 8 * MIB};
    struct braid_flow flow;
    uint64_t drained = 0;

    braid_flow_init(&flow, windows[_i], 0);
    for (int i = 0; i < 1000; i++) {
        drained = flow.limit;
        ck_assert(braid_flow_worth_telling(&flow, drained, drained));
        ck_assert_uint_gt(braid_flow_next_limit(&flow, drained), flow.limit);
        flow.limit = braid_flow_next_limit(&flow, drained);
    }
}
END_TEST

/* Near its end, and once a round trip, up to its cap. */
START_TEST(test_doubles_past_a_gap)
{
    struct braid_flow flow;

    braid_flow_init(&flow, 3 * MIB / 2, 0);
    flow.limit = 512 * 1024;
    braid_flow_gap(&flow, 384 * 1024, 20000, 50000);
    ck_assert_uint_eq(flow.window, 512 * 1024);
    braid_flow_gap(&flow, 384 * 1024 + 1, 20000, 50000);
    ck_assert_uint_eq(flow.window, MIB);
    flow.limit = MIB;
    braid_flow_gap(&flow, MIB, 20000, 70999);
    ck_assert_uint_eq(flow.window, MIB);
    braid_flow_gap(&flow, MIB, 20000, 71000);
    ck_assert_uint_eq(flow.window, 3 * MIB / 2);
    flow.limit = 3 * MIB / 2;
    braid_flow_gap(&flow, flow.limit, 20000, 1000000);
    ck_assert_uint_eq(flow.window, 3 * MIB / 2);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_start, 0},
        {test_grows_with_appetite, 0},
        {test_never_beyond_its_cap, 0},
        {test_slow_reader_keeps_it_small, 0},
        {test_monotonic, 10},
        {test_worth_telling, 0},
        {test_cannot_get_stuck, 6},
        {test_doubles_past_a_gap, 0},
    };

    return SUITE_RUN("flow", tests);
}
