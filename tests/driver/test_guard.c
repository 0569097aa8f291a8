/* SPDX-License-Identifier: MIT */
/*
 * What a guard lets in: so many in all and from one network, so much memory, not after too many
 * failures; and that it keeps nothing of those who have gone.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "event/clock.h"
#include "event/guard.h"
#include "world.h"

static struct braid_guard *guard;

static void setup(void)
{
    guard = braid_guard_new();
    ck_assert_ptr_nonnull(guard);
}

static void teardown(void)
{
    struct braid_group_info info;

    braid_guard_get_info(guard, &info);
    ck_assert_uint_eq(info.half_open, 0);
    ck_assert_uint_eq(info.half_open_memory, 0);
    braid_guard_free(guard);
}

static union braid_endpoint from(const char *text)
{
    union braid_endpoint peer;

    memset(&peer, 0, sizeof peer);
    if (strchr(text, ':') == NULL) {
        peer.family = AF_INET;
        ck_assert_int_eq(inet_pton(AF_INET, text, &peer.in.sin_addr), 1);
    } else {
        peer.family = AF_INET6;
        ck_assert_int_eq(inet_pton(AF_INET6, text, &peer.in6.sin6_addr), 1);
    }
    return peer;
}

static enum braid_guard_verdict enter(const char *text, struct braid_guard_pass *pass)
{
    union braid_endpoint peer = from(text);

    return braid_guard_enter(guard, &peer, 100, 1000, pass);
}

START_TEST(so_many_in_all)
{
    struct braid_guard_pass passes[5];
    char text[32];

    braid_guard_limits(guard)->half_open = 4;
    for (int i = 0; i < 4; i++) {
        snprintf(text, sizeof text, "192.0.%d.1", i);
        ck_assert_int_eq(enter(text, &passes[i]), BRAID_GUARD_WELCOME);
    }
    ck_assert_int_eq(enter("198.51.100.1", &passes[4]), BRAID_GUARD_FULL);
    ck_assert(!passes[4].held);
    braid_guard_leave(guard, &passes[4]);
    braid_guard_leave(guard, &passes[0]);
    braid_guard_leave(guard, &passes[0]); /* it holds nothing any more */
    ck_assert_int_eq(enter("198.51.100.1", &passes[0]), BRAID_GUARD_WELCOME);
    for (int i = 0; i < 4; i++)
        braid_guard_leave(guard, &passes[i]);
}
END_TEST

/* Two that count together, two that do not. */
static const struct {
    const char *one, *same, *other;
} networks[] = {
    {"192.0.2.1", "192.0.2.255", "192.0.3.1"},
    {"2001:db8:0:100::1", "2001:db8:0:1ff:ffff::1", "2001:db8:0:200::1"},
    {"::ffff:192.0.2.1", "192.0.2.9", "::ffff:192.0.3.1"},
    {"::1", "::2", "0.0.0.1"},
};

START_TEST(so_many_of_a_network)
{
    struct braid_guard_pass one, same, other;
    union braid_endpoint peer = from(networks[_i].same);

    braid_guard_limits(guard)->half_open_source = 1;
    ck_assert_int_eq(enter(networks[_i].one, &one), BRAID_GUARD_WELCOME);
    ck_assert_int_eq(enter(networks[_i].same, &same), BRAID_GUARD_FULL_SOURCE);
    ck_assert_int_eq(enter(networks[_i].other, &other), BRAID_GUARD_WELCOME);
    ck_assert(braid_guard_is_from(guard, &one, &peer));
    ck_assert(!braid_guard_is_from(guard, &other, &peer));
    ck_assert_uint_eq(one.network, braid_guard_network(guard, &peer));
    ck_assert_uint_ne(other.network, one.network);
    braid_guard_leave(guard, &one);
    ck_assert_int_eq(enter(networks[_i].same, &same), BRAID_GUARD_WELCOME);
    braid_guard_leave(guard, &same);
    braid_guard_leave(guard, &other);
}
END_TEST

START_TEST(unix_sockets_have_no_network)
{
    union braid_endpoint peer = {.family = AF_UNIX};
    struct braid_guard_pass one, two;

    braid_guard_limits(guard)->half_open_source = 1;
    braid_guard_limits(guard)->join_failures = 1;
    braid_guard_failed(guard, &peer, 1000);
    braid_guard_failed(guard, &peer, 1000);
    ck_assert_int_eq(braid_guard_enter(guard, &peer, 1, 1000, &one), BRAID_GUARD_WELCOME);
    ck_assert_int_eq(braid_guard_enter(guard, &peer, 1, 1000, &two), BRAID_GUARD_WELCOME);
    ck_assert(braid_guard_is_from(guard, &one, &peer));
    braid_guard_leave(guard, &one);
    braid_guard_leave(guard, &two);
}
END_TEST

START_TEST(so_much_memory)
{
    struct braid_guard_pass one, two, three;

    braid_guard_limits(guard)->half_open_memory = 1000;
    ck_assert_int_eq(enter("192.0.2.1", &one), BRAID_GUARD_WELCOME);
    ck_assert_int_eq(enter("192.0.2.1", &two), BRAID_GUARD_WELCOME);
    ck_assert(!braid_guard_grow(guard, &one, 801));
    ck_assert(braid_guard_grow(guard, &one, 800));
    ck_assert_int_eq(enter("192.0.2.1", &three), BRAID_GUARD_FULL_MEMORY);
    braid_guard_leave(guard, &one);
    ck_assert(braid_guard_grow(guard, &two, 900));
    braid_guard_leave(guard, &two);
}
END_TEST

static bool let_in(const char *text, uint64_t now)
{
    union braid_endpoint peer = from(text);
    struct braid_guard_pass pass;
    enum braid_guard_verdict verdict = braid_guard_enter(guard, &peer, 1, now, &pass);

    ck_assert(verdict == BRAID_GUARD_WELCOME || verdict == BRAID_GUARD_FAILING);
    braid_guard_leave(guard, &pass);
    return verdict == BRAID_GUARD_WELCOME;
}

static void fail_from(const char *text, uint64_t now, unsigned times)
{
    union braid_endpoint peer = from(text);

    while (times-- > 0)
        braid_guard_failed(guard, &peer, now);
}

START_TEST(so_many_failures)
{
    uint64_t now = 77 * BRAID_SECOND;

    braid_guard_limits(guard)->join_failures = 3;
    fail_from("192.0.2.1", now, 2);
    ck_assert(let_in("192.0.2.1", now));
    fail_from("192.0.2.1", now, 1);
    ck_assert(!let_in("192.0.2.1", now));
    ck_assert(let_in("192.0.2.2", now)); /* an address, not its network */
    ck_assert(!let_in("::ffff:192.0.2.1", now));
    ck_assert(let_in("192.0.2.1", now + BRAID_SECOND / 3 + 1));
    fail_from("192.0.2.1", now + BRAID_SECOND / 3 + 1, 1000);
    ck_assert(!let_in("192.0.2.1", now + BRAID_SECOND / 3 + 1));
    ck_assert(let_in("192.0.2.1", now + 2 * BRAID_SECOND)); /* however many there were */

    fail_from("2001:db8:0:1ff::1", now, 3);
    ck_assert(!let_in("2001:db8:0:100::7", now));
    ck_assert(let_in("2001:db8:0:200::7", now));
    braid_guard_limits(guard)->join_failures = 0;
    ck_assert(let_in("2001:db8:0:100::7", now));
}
END_TEST

/* More sources than are remembered: the last ones are. */
START_TEST(failures_are_bounded)
{
    uint64_t now = 77 * BRAID_SECOND;
    char text[32];

    braid_guard_limits(guard)->join_failures = 1;
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(text, sizeof text, "10.%u.%u.1", i / 250, i % 250);
        fail_from(text, now, 1);
    }
    ck_assert(let_in("10.0.0.1", now));
    ck_assert(!let_in("10.39.249.1", now));
    ck_assert(!let_in("10.30.0.1", now));
}
END_TEST

START_TEST(so_many_sessions_of_a_peer)
{
    braid_guard_limits(guard)->peer_sessions = 3;
    for (unsigned i = 0; i < 3; i++)
        ck_assert(braid_guard_take_session(guard, 5));
    ck_assert(!braid_guard_take_session(guard, 5));
    ck_assert(braid_guard_take_session(guard, 6));
    for (unsigned i = 0; i < 100; i++)
        ck_assert(braid_guard_take_session(guard, 0)); /* nobody in particular */
    braid_guard_end_session(guard, 5);
    ck_assert(braid_guard_take_session(guard, 5));
    for (unsigned i = 0; i < 3; i++)
        braid_guard_end_session(guard, 5);
    braid_guard_end_session(guard, 5); /* one too many does no harm */
    braid_guard_end_session(guard, 6);
    braid_guard_end_session(guard, 0);
    braid_guard_limits(guard)->peer_sessions = 0;
    ck_assert(!braid_guard_take_session(guard, 5));
}
END_TEST

START_TEST(a_line_a_minute)
{
    uint64_t now = 77 * BRAID_SECOND, before = 99;
    struct braid_group_info info;

    ck_assert(braid_guard_turned_away(guard, BRAID_GUARD_FULL, now, &before));
    ck_assert_uint_eq(before, 0);
    for (unsigned i = 0; i < 10; i++)
        ck_assert(
            !braid_guard_turned_away(guard, BRAID_GUARD_FULL, now + 59 * BRAID_SECOND, &before));
    ck_assert(braid_guard_turned_away(guard, BRAID_GUARD_FULL_PEER, now, &before)); /* its own */
    ck_assert(braid_guard_turned_away(guard, BRAID_GUARD_FULL, now + 60 * BRAID_SECOND, &before));
    ck_assert_uint_eq(before, 10);
    braid_guard_get_info(guard, &info);
    ck_assert_uint_eq(info.refused_half_open, 12);
    ck_assert_uint_eq(info.refused_peer, 1);
    ck_assert_uint_eq(info.refused_source + info.refused_failing + info.failures, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard");
    TCase *cases = tcase_create("guard");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, so_many_in_all);
    tcase_add_loop_test(cases, so_many_of_a_network, 0, sizeof networks / sizeof networks[0]);
    tcase_add_test(cases, unix_sockets_have_no_network);
    tcase_add_test(cases, so_much_memory);
    tcase_add_test(cases, so_many_failures);
    tcase_add_test(cases, failures_are_bounded);
    tcase_add_test(cases, so_many_sessions_of_a_peer);
    tcase_add_test(cases, a_line_a_minute);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
