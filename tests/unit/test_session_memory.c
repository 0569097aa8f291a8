/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out at the n-th allocation, for every n of a whole session's life, for good or
 * for a while: nothing crashes, nothing leaks, no end hears a wrong byte, and when memory comes
 * back and nobody gave up, all ends in order (pair.c checks each byte).
 */
#include "pair.h"
#include "single.h"
#include "suite.h"

#define N_MAX 400
#define STEPS 12
#define CAP 1000000u

static struct pair pair;

static bool is_over(void)
{
    return pair.side[PAIR_LOCAL].closed || pair.side[PAIR_REMOTE].closed;
}

/* A session with all there is: three subflows, both directions, a death, half-close. */
static void live(int step)
{
    switch (step % STEPS) {
    case 0:
        pair_write(&pair, PAIR_LOCAL, 30000);
        break;
    case 1:
        pair_write(&pair, PAIR_REMOTE, 90000);
        break;
    case 4:
        if (pair_wire_at(&pair, PAIR_LOCAL, 1) != NULL)
            pair_lose(&pair, pair_wire_at(&pair, PAIR_LOCAL, 1));
        break;
    case 5:
        pair_write(&pair, PAIR_LOCAL, 100000);
        break;
    case 7:
        if (pair.side[PAIR_REMOTE].session != NULL && !pair.side[PAIR_REMOTE].closed)
            braid_session_answer(pair.side[PAIR_REMOTE].session, BRAID_OK, pair.now);
        break;
    case 8:
        pair_write(&pair, PAIR_REMOTE, 500);
        pair_shutdown(&pair, PAIR_LOCAL);
        break;
    default:
        break;
    }
    /* Small writes and slices, so that frames are cut and gathered. */
    for (int i = 0; i < 6; i++) {
        pair_send(&pair, PAIR_LOCAL, 6, 5000);
        pair_send(&pair, PAIR_REMOTE, 6, 777);
        for (unsigned k = 0; k < PAIR_WIRES; k++) {
            if (pair.wire[k].used)
                pair_deliver(&pair, &pair.wire[k], (enum pair_end)(i & 1), 3000, 701);
        }
        pair_act(&pair, PAIR_LOCAL);
        pair_act(&pair, PAIR_REMOTE);
    }
    pair_move(&pair, (step & 1) != 0);
    pair_sleep(&pair, pair.now + 20000);
}

/* Runs with memory failing from the n-th allocation on, for some steps; false: there was no n-th.
 */
static bool run(uint64_t n, int steps)
{
    bool failed = false;

    pair_init(&pair, 3);
    pair.side[PAIR_LOCAL].config.first = 2;
    pair.lenient = true;
    braid_pool_fail_after(pair.pool, n);
    if (!pair_open(&pair)) {
        pair_free(&pair);
        return true;
    }
    for (int step = 0; step < STEPS && !is_over(); step++) {
        live(step);
        if (!failed && !braid_pool_has(pair.pool, 1)) {
            failed = true;
            steps += step;
        }
        if (failed && step >= steps)
            braid_pool_fail_after(pair.pool, 0);
    }
    braid_pool_fail_after(pair.pool, 0);
    if (!is_over())
        pair_finish(&pair);
    for (int i = 0; i < 150 && pair.side[PAIR_REMOTE].session != NULL &&
                    !(pair.side[PAIR_LOCAL].closed && pair.side[PAIR_REMOTE].closed);
         i++)
        pair_settle(&pair, 1000000);
    ck_assert(pair.side[PAIR_LOCAL].closed);
    ck_assert(pair.side[PAIR_REMOTE].session == NULL || pair.side[PAIR_REMOTE].closed);
    if (!failed) {
        ck_assert_int_eq(pair.side[PAIR_LOCAL].error, BRAID_OK);
        ck_assert_int_eq(pair.side[PAIR_REMOTE].error, BRAID_OK);
    }
    pair_free(&pair);
    return failed;
}

/* For good, and for one step, two, three. */
START_TEST(test_every_allocation)
{
    uint64_t n = 1;

    while (run(n, _i == 0 ? STEPS : _i))
        ck_assert_uint_lt(++n, N_MAX * 10);
    ck_assert_uint_gt(n, 50); /* or the test does not do what it says */
}
END_TEST

/* A cap that is too small for what is wanted: slower, but everything arrives. */
START_TEST(test_cap)
{
    uint64_t seed = 1;

    pair_init(&pair, 2);
    braid_pool_free(pair.pool);
    pair.pool = braid_pool_new(CAP);
    pair.lenient = true;
    ck_assert(pair_open(&pair));
    while (pair.side[PAIR_REMOTE].drained < 500000 && pair.now < 60000000) {
        pair_write(&pair, PAIR_LOCAL, 60000);
        pair_write(&pair, PAIR_REMOTE, 60000);
        pair_move(&pair, suite_below(&seed, 4) == 0);
        pair_sleep(&pair, pair.now + 1000);
        ck_assert_uint_le(braid_pool_used(pair.pool), CAP);
        ck_assert(!is_over());
    }
    ck_assert_uint_ge(pair.side[PAIR_REMOTE].drained, 500000);
    pair_finish(&pair);
    pair_free(&pair);
}
END_TEST

/* Nothing can be noted: the subflow does not ask for room all the time, but after a while. */
START_TEST(test_starved)
{
    struct single s;
    struct braid_subflow *subflow;

    single_local(&s, 1);
    subflow = s.flow[0].subflow;
    single_write(&s, 1000);
    ck_assert(braid_subflow_wants_room(subflow));
    braid_pool_fail_after(s.pool, 1);
    braid_subflow_set_room(subflow, 65536);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "");
    ck_assert(!braid_subflow_wants_room(subflow));
    braid_pool_fail_after(s.pool, 0);
    single_sleep(&s, 19999);
    ck_assert(!braid_subflow_wants_room(subflow));
    single_sleep(&s, 1);
    ck_assert(braid_subflow_wants_room(subflow));
    braid_subflow_set_room(subflow, 65536);
    single_send(&s);
    ck_assert_str_eq(single_said(&s, 0), "DATA 0+1000");
    single_free(&s);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_every_allocation, 4},
        {test_cap, 0},
        {test_starved, 0},
    };

    return SUITE_RUN("session_memory", tests);
}
