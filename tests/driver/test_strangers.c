/* SPDX-License-Identifier: MIT */
/*
 * The limits on those who have not proven anything, over real sockets: who goes when there are too
 * many, who is not heard any more, how long a greeting may take, and what is told about it.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/hello.h"
#include "core/wire.h"
#include "event/clock.h"
#include "event/context.h"
#include "stranger.h"
#include "world.h"

static struct world w;
static struct app app;

static void setup(void)
{
    world_open(&w);
    app = (struct app){.key = 1, .peer_key = 2, .to_send = 1000, .shut = true};
    w.script = (struct app){.key = 2, .peer_key = 1, .to_send = 1000, .shut = true};
}

static void teardown(void)
{
    app_free(&app);
    stranger_wait_none(&w);
    world_close(&w);
}

/* Nothing of it stays with the kernel, as of one that is shut down. */
static bool is_reset(void *arg)
{
    char byte;

    return recv(*(int *)arg, &byte, 1, 0) < 0 && errno == ECONNRESET;
}

static unsigned expected;

static bool so_many_wait(void *arg)
{
    (void)arg;
    return stranger_info(&w).half_open == expected;
}

static void wait_for(unsigned half_open)
{
    expected = half_open;
    ck_assert_msg(run_until(w.base, so_many_wait, NULL, PATIENCE), "%u half-open",
                  stranger_info(&w).half_open);
}

static bool app_over(void *arg)
{
    const struct app *a = arg;

    return a->closed || a->error;
}

/* A whole stream still works. */
static void check_alive(void)
{
    app_connect(&w, &app);
    ck_assert(run_until(w.base, app_over, &app, PATIENCE));
    ck_assert(app.closed && !app.wrong);
}

/* The first flight of a join to a session that there is not. */
static void join_nothing(int fd)
{
    uint8_t buf[BRAID_GREETING_MAX];
    struct braid_writer out = {buf, sizeof buf, false};
    struct braid_preamble preamble = {
        .session = 4711, .version = BRAID_VERSION, .security = BRAID_SECURITY_NONE};
    struct braid_hello hello = {
        .max_version = BRAID_VERSION, .session = 4711, .limit = 65536, .instance = 7};

    braid_wire_write_preamble(&out, &preamble);
    braid_wire_write_hello(&out, &hello, 12345);
    ck_assert_int_eq(send(fd, buf, sizeof buf - out.left, 0), (ssize_t)(sizeof buf - out.left));
}

/* ---- too many ---- */

START_TEST(the_oldest_of_all_goes)
{
    int fds[5];

    ck_assert_int_eq(braid_group_set_max_half_open(w.remote->group, 4, 4), 0);
    for (int i = 0; i < 4; i++) {
        fds[i] = stranger_connect(&w, "127.0.1.1");
        wait_for((unsigned)i + 1);
    }
    fds[4] = stranger_connect(&w, "127.0.2.1");
    ck_assert(run_until(w.base, is_reset, &fds[0], PATIENCE));
    for (int i = 1; i < 5; i++)
        ck_assert(!stranger_is_closed(&fds[i]));
    ck_assert_uint_eq(stranger_info(&w).half_open, 4);
    ck_assert_uint_eq(stranger_info(&w).refused_half_open, 1);
    ck_assert(strstr(w.last_line, "max-half-open)") != NULL);
    ck_assert(strstr(w.last_line, "127.0.2.1:") != NULL);
    check_alive();
    for (int i = 0; i < 5; i++)
        close(fds[i]);
}
END_TEST

START_TEST(the_oldest_of_its_network_goes)
{
    int other, fds[3];

    ck_assert_int_eq(braid_group_set_max_half_open(w.remote->group, 100, 2), 0);
    other = stranger_connect(&w, "127.0.2.1");
    wait_for(1);
    for (int i = 0; i < 3; i++) {
        fds[i] = stranger_connect(&w, i == 1 ? "127.0.1.1" : "127.0.1.9");
        if (i < 2)
            wait_for((unsigned)i + 2);
    }
    ck_assert(run_until(w.base, stranger_is_closed, &fds[0], PATIENCE));
    ck_assert(!stranger_is_closed(&other) && !stranger_is_closed(&fds[1]) &&
              !stranger_is_closed(&fds[2]));
    ck_assert_uint_eq(stranger_info(&w).refused_source, 1);
    ck_assert_uint_eq(stranger_info(&w).refused_half_open, 0);
    ck_assert(strstr(w.last_line, "max-half-open-per-source") != NULL);
    close(other);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}
END_TEST

/* However many there are, there is one line about them. */
START_TEST(a_flood_is_one_line)
{
    int fds[60];
    unsigned closed = 0;

    ck_assert_int_eq(braid_group_set_max_half_open(w.remote->group, 10, 10), 0);
    for (int i = 0; i < 60; i++)
        fds[i] = stranger_connect(&w, "127.0.1.1");
    ck_assert(run_until(w.base, stranger_is_closed, &fds[49], PATIENCE));
    for (int i = 0; i < 60; i++)
        closed += stranger_is_closed(&fds[i]);
    ck_assert_uint_eq(closed, 50);
    ck_assert_uint_eq(stranger_info(&w).refused_source, 50);
    ck_assert_uint_eq(w.lines, 1);
    for (int i = 0; i < 60; i++)
        close(fds[i]);
}
END_TEST

/* Who was refused and holds on is the first to go. */
START_TEST(the_refused_make_room)
{
    int refused, silent, next;

    ck_assert_int_eq(braid_group_set_max_half_open(w.remote->group, 2, 2), 0);
    silent = stranger_connect(&w, "127.0.1.1");
    wait_for(1);
    refused = stranger_connect(&w, "127.0.1.1");
    join_nothing(refused);
    wait_for(2);
    ck_assert(run_until(w.base, stranger_is_closed, &refused,
                        PATIENCE)); /* shut down, and not closed by us */
    ck_assert_uint_eq(stranger_info(&w).half_open, 2);
    ck_assert_uint_eq(w.remote->refused.waiting.count, 1);
    next = stranger_connect(&w, "127.0.1.1");
    run_for(w.base, 0.1);
    ck_assert_uint_eq(w.remote->refused.waiting.count, 0);
    ck_assert(!stranger_is_closed(&silent) && !stranger_is_closed(&next));
    close(refused);
    close(silent);
    close(next);
}
END_TEST

/* ---- failures ---- */

/* Whether what comes from there is closed at once, without a word. */
static bool is_shut_out(const char *source)
{
    int fd = stranger_connect(&w, source);
    uint64_t before = stranger_info(&w).refused_failing;
    bool out;

    run_for(w.base, 0.02);
    out = stranger_info(&w).refused_failing == before + 1;
    ck_assert_int_eq(is_reset(&fd), out);
    close(fd);
    return out;
}

START_TEST(too_many_failures_shut_out)
{
    ck_assert_int_eq(braid_group_set_max_join_failures(w.remote->group, 3), 0);
    for (int i = 0; i < 3; i++) {
        int fd = stranger_connect(&w, "127.0.1.1");

        ck_assert_int_eq(is_shut_out("127.0.1.2"), 0); /* another address */
        if (_i == 0)
            ck_assert_int_eq(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
        else
            join_nothing(fd);
        ck_assert(run_until(w.base, stranger_is_closed, &fd, PATIENCE));
        close(fd);
    }
    ck_assert_uint_eq(stranger_info(&w).failures, 3);
    ck_assert(is_shut_out("127.0.1.1"));
    ck_assert(!is_shut_out("127.0.1.2"));
    run_for(w.base, 1.1);
    ck_assert(!is_shut_out("127.0.1.1"));
    check_alive();
}
END_TEST

/* Silence, and going away before a word was said, as health checks do, is no failure. */
START_TEST(who_says_nothing_does_not_fail)
{
    ck_assert_int_eq(braid_group_set_max_join_failures(w.remote->group, 1), 0);
    for (int i = 0; i < 5; i++) {
        close(stranger_connect(&w, "127.0.1.1"));
        run_for(w.base, 0.01);
    }
    ck_assert_uint_eq(stranger_info(&w).failures, 0);
    ck_assert(!is_shut_out("127.0.1.1"));
}
END_TEST

/* ---- the rest ---- */

START_TEST(hello_time_is_kept)
{
    uint64_t start = braid_clock();
    int fd;

    ck_assert_int_eq(braid_group_set_hello_time(w.remote->group, 99), -1);
    ck_assert_int_eq(braid_group_set_hello_time(w.remote->group, 300), 0);
    fd = stranger_connect(&w, "127.0.1.1");
    ck_assert(run_until(w.base, is_reset, &fd, PATIENCE));
    ck_assert_uint_ge(braid_clock() - start, 290000);
    ck_assert(strstr(w.last_line, "within 0.3 s") != NULL);
    close(fd);
}
END_TEST

START_TEST(memory_is_limited)
{
    int first, second;

    ck_assert_int_eq(braid_group_set_max_half_open_memory(w.remote->group, 1), -1);
    braid_guard_limits(braid_group_guard(w.remote->group))->half_open_memory = 1500;
    first = stranger_connect(&w, "127.0.1.1");
    wait_for(1);
    ck_assert_uint_gt(stranger_info(&w).half_open_memory, 500);
    ck_assert_uint_le(stranger_info(&w).half_open_memory, 1500);
    second = stranger_connect(&w, "127.0.2.1");
    ck_assert(run_until(w.base, stranger_is_closed, &first, PATIENCE));
    ck_assert(!stranger_is_closed(&second));
    ck_assert(strstr(w.last_line, "max-half-open-memory") != NULL);
    close(first);
    close(second);
}
END_TEST

START_TEST(limits_have_ranges)
{
    struct braid_group *group = w.remote->group;

    ck_assert_int_eq(braid_group_set_max_half_open(group, 0, 1), -1);
    ck_assert_int_eq(braid_group_set_max_half_open(group, 1, 0), -1);
    ck_assert_int_eq(braid_group_set_max_half_open(group, 1000001, 1), -1);
    ck_assert_int_eq(braid_group_set_max_half_open(group, 1, 1000001), -1);
    ck_assert_int_eq(braid_group_set_max_half_open(group, 1000000, 1000000), 0);
    ck_assert_int_eq(braid_group_set_max_peer_sessions(group, 0), -1);
    ck_assert_int_eq(braid_group_set_max_peer_sessions(group, 1000001), -1);
    ck_assert_int_eq(braid_group_set_max_peer_sessions(group, 1), 0);
    ck_assert_int_eq(braid_group_set_hello_time(group, 60001), -1);
    ck_assert_int_eq(braid_group_set_hello_time(group, 60000), 0);
    ck_assert_int_eq(braid_group_set_max_join_failures(group, 100001), -1);
    ck_assert_int_eq(braid_group_set_max_join_failures(group, 0), 0);
    ck_assert_int_eq(braid_group_set_max_half_open_memory(group, 1 << 20), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("strangers");
    TCase *cases = tcase_create("strangers");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, TEST_TIMEOUT);
    tcase_add_test(cases, the_oldest_of_all_goes);
    tcase_add_test(cases, the_oldest_of_its_network_goes);
    tcase_add_test(cases, a_flood_is_one_line);
    tcase_add_test(cases, the_refused_make_room);
    tcase_add_loop_test(cases, too_many_failures_shut_out, 0, 2);
    tcase_add_test(cases, who_says_nothing_does_not_fail);
    tcase_add_test(cases, hello_time_is_kept);
    tcase_add_test(cases, memory_is_limited);
    tcase_add_test(cases, limits_have_ranges);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
