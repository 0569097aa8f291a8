/* SPDX-License-Identifier: MIT */
/*
 * What the sessions of a path know of it together: when it counts as up, suspect and down, and when
 * it may be dialled.
 */
#include <check.h>

#include <braid/error.h>

#include "event/clock.h"
#include "event/path_state.h"
#include "world.h"

#define MS BRAID_MILLISECOND
#define SECOND BRAID_SECOND
#define START (1000 * SECOND)

static struct braid_path_state state;

static void setup(void)
{
    ck_assert(braid_path_state_init(&state));
}

static void teardown(void)
{
    braid_path_state_clear(&state);
}

static enum braid_path_health health(void)
{
    return braid_path_state_view(&state).health;
}

static bool ask(uint64_t now, uint64_t *when)
{
    return braid_path_state_ask(&state, 1, false, now, when);
}

/* A dial to address `remote` of so many has failed, at once unless it began earlier. */
static bool fail_to(unsigned remote, unsigned remotes, int error, uint64_t began, uint64_t now)
{
    const struct braid_path_failure failure = {remote, remotes, error, NULL, began};

    return braid_path_state_failed(&state, &failure, now);
}

static bool dial_fails(int error, uint64_t now)
{
    return fail_to(0, 1, error, now, now);
}

/* Dials that fail one after the other, as soon as they are allowed; returns the longest wait. */
static uint64_t fail_for(uint64_t *now, uint64_t span, int error)
{
    uint64_t end = *now + span, longest = 0, when;

    while (*now < end) {
        uint64_t before = *now;

        if (!ask(*now, &when)) {
            *now = when;
            ck_assert(ask(*now, &when));
        }
        if (*now - before > longest)
            longest = *now - before;
        dial_fails(error, *now);
    }
    return longest;
}

START_TEST(health_follows_the_subflows)
{
    uint64_t now = START;

    ck_assert_int_eq(health(), BRAID_PATH_UNKNOWN);
    ck_assert(!braid_path_state_connected(&state, 1000, now)); /* nobody waits for a new path */
    ck_assert_int_eq(health(), BRAID_PATH_UP);
    ck_assert_uint_eq(braid_path_state_view(&state).since, now);
    ck_assert(!braid_path_state_connected(&state, 1000, now + 1));
    ck_assert_uint_eq(braid_path_state_view(&state).since, now);

    braid_path_state_silent(&state, true, now + 2);
    ck_assert_int_eq(health(), BRAID_PATH_UP); /* the other one is well */
    braid_path_state_silent(&state, true, now + 3);
    ck_assert_int_eq(health(), BRAID_PATH_SUSPECT);
    braid_path_state_silent(&state, false, now + 4);
    ck_assert_int_eq(health(), BRAID_PATH_UP);

    braid_path_state_gone(&state, false, true, now + 5);
    ck_assert_int_eq(health(), BRAID_PATH_SUSPECT); /* what is left is silent */
    braid_path_state_gone(&state, true, true, now + 6);
    ck_assert_int_eq(health(), BRAID_PATH_SUSPECT);
    ck_assert_uint_eq(braid_path_state_view(&state).alive, 0);
    ck_assert_uint_eq(braid_path_state_view(&state).unwell, 0);
    ck_assert(dial_fails(BRAID_ERR_TIMED_OUT, now + 7));
    ck_assert_int_eq(health(), BRAID_PATH_DOWN);
    ck_assert_int_eq(braid_path_state_view(&state).error, BRAID_ERR_TIMED_OUT);
    ck_assert_uint_eq(braid_path_state_view(&state).since, now + 7);
    ck_assert(!dial_fails(BRAID_ERR_TIMED_OUT, now + 8));

    ck_assert(braid_path_state_connected(&state, 2000, now + 9)); /* others wait for this */
    ck_assert_int_eq(health(), BRAID_PATH_UP);
    ck_assert_int_eq(braid_path_state_view(&state).error, BRAID_OK);
    ck_assert_uint_eq(braid_path_state_view(&state).returns, 1);
    ck_assert_uint_eq(braid_path_state_view(&state).rtt, 2000);
}
END_TEST

/* A session that ends in order says nothing against the path. */
START_TEST(an_orderly_end_leaves_it_up)
{
    braid_path_state_connected(&state, 0, START);
    braid_path_state_gone(&state, false, false, START + 1);
    ck_assert_int_eq(health(), BRAID_PATH_UP);
    ck_assert_uint_eq(braid_path_state_view(&state).since, START);
}
END_TEST

/* A dial that fails beside a subflow that works is one lost SYN, or one subflow too many. */
START_TEST(one_failed_dial_is_not_an_outage)
{
    uint64_t now = START + 10 * SECOND, when;

    braid_path_state_connected(&state, 1000, START);
    braid_path_state_measured(&state, 1000, 0, now - 300 * MS, now - 50 * MS);
    ck_assert(fail_to(0, 1, BRAID_ERR_TIMED_OUT, now - 400 * MS, now));
    ck_assert_int_eq(health(), BRAID_PATH_UP);
    ck_assert(ask(now, &when));
    ck_assert(ask(now, &when)); /* anybody may dial what is up */
    ck_assert(dial_fails(BRAID_ERR_REFUSED, now + 900 * MS));
    ck_assert_int_eq(health(), BRAID_PATH_UP);
}
END_TEST

/*
 * A subflow that says nothing, as that of a session at rest, is no proof against a dial that nobody
 * answers; and does not make the path look up again by itself.
 */
START_TEST(a_subflow_at_rest_proves_nothing)
{
    uint64_t now = START + 10 * SECOND;

    braid_path_state_connected(&state, 1000, START);
    braid_path_state_connected(&state, 1000, START);
    ck_assert(fail_to(0, 1, BRAID_ERR_TIMED_OUT, now - 400 * MS, now));
    ck_assert_int_eq(health(), BRAID_PATH_DOWN);
    braid_path_state_gone(&state, false, false, now + 1);
    ck_assert_int_eq(health(), BRAID_PATH_DOWN);
    /* What came before is no sign of life either. */
    ck_assert(!braid_path_state_measured(&state, 1000, 0, now - 100 * MS, now + 150 * MS));
    ck_assert_int_eq(health(), BRAID_PATH_DOWN);
    ck_assert(!braid_path_state_measured(&state, 1000, 0, 0, now + 400 * MS));
    ck_assert_int_eq(health(), BRAID_PATH_DOWN);
    /* What comes now is, and others may be waiting for it. */
    ck_assert(braid_path_state_measured(&state, 1000, 0, now + 400 * MS, now + 650 * MS));
    ck_assert_int_eq(health(), BRAID_PATH_UP);
    ck_assert_int_eq(braid_path_state_view(&state).error, BRAID_OK);
    ck_assert_uint_eq(braid_path_state_view(&state).returns, 1);
}
END_TEST

/* So is a subflow that was silent and is well again. */
START_TEST(a_subflow_that_recovers_is_a_return)
{
    braid_path_state_connected(&state, 1000, START);
    ck_assert(!braid_path_state_silent(&state, true, START + 1));
    dial_fails(BRAID_ERR_TIMED_OUT, START + 2);
    ck_assert_int_eq(health(), BRAID_PATH_DOWN);
    ck_assert(braid_path_state_silent(&state, false, START + 3));
    ck_assert_int_eq(health(), BRAID_PATH_UP);
    ck_assert(!braid_path_state_silent(&state, true, START + 4));
    ck_assert(!braid_path_state_silent(&state, false, START + 5)); /* that was no outage */
}
END_TEST

/* Who gives up a dial lets others dial, still at the pace of one. */
/* Whoever takes connections and closes them at once makes no return of each. */
START_TEST(a_flapping_path_returns_seldom)
{
    uint64_t now = START;
    unsigned told = 0;

    braid_path_state_connected(&state, 1000, now);
    for (int i = 0; i < 250; i++) { /* one after the other, 4 ms each */
        braid_path_state_gone(&state, false, true, now);
        now += 4 * MS;
        told += braid_path_state_connected(&state, 1000, now) ? 1 : 0;
        ck_assert_int_eq(braid_path_state_view(&state).health, BRAID_PATH_UP);
    }
    ck_assert_uint_eq(told, 2);
    ck_assert_uint_eq(braid_path_state_view(&state).returns, 2);
}
END_TEST

START_TEST(a_dial_given_up_is_released)
{
    uint64_t now = START, when;

    dial_fails(BRAID_ERR_TIMED_OUT, now);
    now += 500 * MS;
    ck_assert(ask(now, &when));
    ck_assert(!ask(now + 1, &when));
    ck_assert_uint_gt(when, now + 5 * SECOND); /* nothing is known of its round trip */
    braid_path_state_release(&state, now + 2);
    ck_assert(!ask(now + 2, &when));
    ck_assert_uint_le(when, now + 2 + 500 * MS);
}
END_TEST

START_TEST(all_sessions_probe_at_the_pace_of_one)
{
    uint64_t now = START, when;

    braid_path_state_connected(&state, 10 * MS, now);
    braid_path_state_gone(&state, false, true, now);
    dial_fails(BRAID_ERR_TIMED_OUT, now);
    ck_assert(!ask(now, &when));
    ck_assert_uint_gt(when, now);
    ck_assert_uint_le(when, now + 500 * MS);
    now = when;
    ck_assert(ask(now, &when));
    /* Whoever comes now finds that somebody dials already. */
    ck_assert(!ask(now, &when));
    ck_assert(!ask(now + 400 * MS, &when));
    ck_assert_uint_eq(when, now + 400 * MS + 500 * MS);
    /* Unless it has nothing else. */
    ck_assert(braid_path_state_ask(&state, 1, true, now, &when));
}
END_TEST

START_TEST(pauses_are_short_at_first)
{
    uint64_t now = START;

    braid_path_state_connected(&state, 10 * MS, now);
    braid_path_state_gone(&state, false, true, now);
    ck_assert_uint_le(fail_for(&now, 60 * SECOND, BRAID_ERR_TIMED_OUT), 500 * MS);
    ck_assert_uint_ge(fail_for(&now, 60 * SECOND, BRAID_ERR_TIMED_OUT), 4 * SECOND);
    ck_assert_uint_le(fail_for(&now, 600 * SECOND, BRAID_ERR_UNREACHABLE), 5 * SECOND);
    /* What comes back and goes again is a new outage. */
    braid_path_state_connected(&state, 10 * MS, now);
    braid_path_state_gone(&state, false, true, now);
    ck_assert_uint_le(fail_for(&now, 60 * SECOND, BRAID_ERR_TIMED_OUT), 500 * MS);
}
END_TEST

START_TEST(refusals_are_dialled_more_and_more_seldom)
{
    uint64_t now = START;

    ck_assert_uint_le(fail_for(&now, 1 * SECOND, BRAID_ERR_REFUSED), 1 * SECOND);
    ck_assert_uint_ge(fail_for(&now, 120 * SECOND, BRAID_ERR_REFUSED), 24 * SECOND);
    ck_assert_uint_le(fail_for(&now, 600 * SECOND, BRAID_ERR_REFUSED), 30 * SECOND);
}
END_TEST

START_TEST(a_better_network_forgets_the_pauses)
{
    uint64_t now = START, when;

    fail_for(&now, 300 * SECOND, BRAID_ERR_REFUSED);
    ck_assert(!ask(now, &when));
    braid_path_state_hurry(&state);
    ck_assert(ask(now, &when));
    dial_fails(BRAID_ERR_REFUSED, now);
    ck_assert(!ask(now, &when));
    ck_assert_uint_le(when, now + 250 * MS);
}
END_TEST

/* Without an address, a route or a link it is down, until something gets through. */
START_TEST(a_cut_takes_it_down)
{
    uint64_t when;

    braid_path_state_connected(&state, 0, START);
    ck_assert(braid_path_state_cut(&state, START + 1));
    ck_assert(!braid_path_state_cut(&state, START + 2));
    ck_assert_int_eq(health(), BRAID_PATH_DOWN);
    ck_assert_int_eq(braid_path_state_view(&state).error, BRAID_ERR_UNREACHABLE);
    ck_assert_uint_eq(braid_path_state_view(&state).since, START + 1);
    ck_assert(!ask(START + 3, &when));
    ck_assert_uint_le(when, START + 3 + 500 * MS);
    braid_path_state_hurry(&state);
    ck_assert(ask(START + 4, &when));
    ck_assert(braid_path_state_connected(&state, 0, START + 5));
    ck_assert_int_eq(health(), BRAID_PATH_UP);
}
END_TEST

START_TEST(several_addresses_have_their_turn)
{
    uint64_t when;

    ck_assert_uint_eq(braid_path_state_view(&state).remote, 0);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(braid_path_state_view(&state).remote, i);
        ck_assert(braid_path_state_ask(&state, 3, false, START, &when));
        fail_to(i, 3, BRAID_ERR_REFUSED, START, START);
    }
    /* Only after the last one is there a pause. */
    ck_assert_uint_eq(braid_path_state_view(&state).remote, 0);
    ck_assert(!braid_path_state_ask(&state, 3, false, START, &when));
    /* Somebody else's older dial to another address does not change what is next. */
    fail_to(2, 3, BRAID_ERR_REFUSED, START, START);
    ck_assert_uint_eq(braid_path_state_view(&state).remote, 0);
}
END_TEST

static const struct {
    uint64_t rtt;
    unsigned remotes;
    uint64_t patience;
} patiences[] = {
    {0, 1, 5 * SECOND},        {0, 2, 1 * SECOND},         {1, 1, 400 * MS},
    {25 * MS, 1, 400 * MS},    {100 * MS, 1, 1000 * MS},   {100 * MS, 2, 1000 * MS},
    {600 * MS, 1, 5 * SECOND}, {5000 * MS, 1, 5 * SECOND},
};

START_TEST(patience_follows_the_round_trip)
{
    braid_path_state_connected(&state, patiences[_i].rtt, START);
    ck_assert_uint_eq(braid_path_state_patience(&state, patiences[_i].remotes),
                      patiences[_i].patience);
}
END_TEST

START_TEST(measurements_are_smoothed)
{
    braid_path_state_measured(&state, 0, 0, 0, START);
    ck_assert_uint_eq(braid_path_state_view(&state).rtt, 0);
    braid_path_state_measured(&state, 8000, 800, 0, START);
    braid_path_state_measured(&state, 16000, 0, 0, START);
    ck_assert_uint_eq(braid_path_state_view(&state).rtt, 9000);
    ck_assert_uint_eq(braid_path_state_view(&state).rate, 800);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("path_state");
    TCase *tc = tcase_create("path_state");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, health_follows_the_subflows);
    tcase_add_test(tc, an_orderly_end_leaves_it_up);
    tcase_add_test(tc, one_failed_dial_is_not_an_outage);
    tcase_add_test(tc, a_subflow_at_rest_proves_nothing);
    tcase_add_test(tc, a_subflow_that_recovers_is_a_return);
    tcase_add_test(tc, a_flapping_path_returns_seldom);
    tcase_add_test(tc, a_dial_given_up_is_released);
    tcase_add_test(tc, all_sessions_probe_at_the_pace_of_one);
    tcase_add_test(tc, pauses_are_short_at_first);
    tcase_add_test(tc, refusals_are_dialled_more_and_more_seldom);
    tcase_add_test(tc, a_better_network_forgets_the_pauses);
    tcase_add_test(tc, a_cut_takes_it_down);
    tcase_add_test(tc, several_addresses_have_their_turn);
    tcase_add_loop_test(tc, patience_follows_the_round_trip, 0,
                        (int)(sizeof patiences / sizeof *patiences));
    tcase_add_test(tc, measurements_are_smoothed);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
