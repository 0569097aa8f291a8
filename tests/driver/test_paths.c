/* SPDX-License-Identifier: MIT */
/*
 * Streams over paths: where they leave from and lead to, which ones a session begins with, and what
 * backups are for.
 */
#include <check.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event/clock.h"
#include "event/context.h"
#include "event/session_io.h"
#include "event/sockopt.h"
#include "event/subflow_io.h"

#include "path_world.h"

/* ---- sources and options ---- */

/* The addresses that the remote end sees subflows come from; how many of them are this one. */
static unsigned count_from(const char *source)
{
    struct braid_subflow_info infos[32];
    size_t n = braid_stream_get_subflows(w.apps[0].stream, infos, 32);
    char text[128];
    unsigned found = 0;

    for (size_t i = 0; i < n; i++) {
        braid_sockaddr_text((struct sockaddr *)&infos[i].peer, text, sizeof text);
        found += strncmp(text, source, strlen(source)) == 0 ? 1 : 0;
    }
    return found;
}

START_TEST(each_path_has_its_source)
{
    struct braid_path *from[2] = {world_path(&w, w.address), world_path(&w, w.address)};

    ck_assert_int_eq(braid_path_set_source(from[0], "127.0.0.2"), 0);
    ck_assert_int_eq(braid_path_set_source(from[1], "127.0.0.3"), 0);
    ck_assert_int_eq(braid_path_set_subflows(from[1], 2), 0);
    app.to_send = 1 * MIB;
    app_connect_paths(&w, &app, from, 2);
    ck_assert(wait_subflows(&app, 3, PATIENCE));
    ck_assert(run_until(w.base, received_all, NULL, PATIENCE));
    ck_assert_uint_eq(count_from("127.0.0.2:"), 1);
    ck_assert_uint_eq(count_from("127.0.0.3:"), 2);
}
END_TEST

static const char *reason_of(struct braid_path *path)
{
    struct braid_path_info info;

    braid_path_get_info(path, &info);
    return info.reason;
}

START_TEST(an_interface_is_bound_to)
{
    struct braid_path *via[2] = {world_path(&w, w.address), world_path(&w, w.address)};

    ck_assert_int_eq(braid_path_set_interface(via[0], "lo"), 0);
    ck_assert_int_eq(braid_path_set_interface(via[1], "no-such-if"), 0);
    app_connect_paths(&w, &app, via, 2);
    ck_assert(run_until(w.base, connected, &app, PATIENCE));
    ck_assert(app.connected);
    ck_assert(run_until(w.base, is_down, via[1], PATIENCE));
    ck_assert_str_eq(state_of(via[0]), "up");
    ck_assert_str_eq(reason_of(via[0]), "");
    ck_assert_str_eq(reason_of(via[1]), "No such device");
}
END_TEST

static struct braid_subflow_io *first_subflow(void)
{
    struct braid_session_io *io = LIST_FIRST(&w.local->sessions);

    ck_assert_ptr_nonnull(io);
    ck_assert(!TAILQ_EMPTY(&io->subflows));
    return TAILQ_FIRST(&io->subflows);
}

START_TEST(sockets_have_the_paths_options)
{
    struct braid_path *path = world_path(&w, w.address);
    unsigned long rate = 0;
    socklen_t len = sizeof rate;
    char name[16] = "";

    ck_assert_int_eq(braid_path_set_subflows(path, 2), 0);
    braid_path_set_max_rate(path, 1000000);
    ck_assert_int_eq(braid_path_set_congestion_control(path, "reno"), 0);
    app_connect_paths(&w, &app, &path, 1);
    ck_assert(run_until(w.base, connected, &app, PATIENCE));
    ck_assert_int_eq(
        getsockopt(first_subflow()->transport.fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &len), 0);
    ck_assert_uint_eq(rate, 500000); /* a half for each subflow */
    len = sizeof name;
    ck_assert_int_eq(
        getsockopt(first_subflow()->transport.fd, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
    ck_assert_str_eq(name, "reno");
    ck_assert_uint_eq(w.lines, 0);
}
END_TEST

static unsigned long pacing_of(int fd)
{
    unsigned long rate = 0;
    socklen_t len = sizeof rate;

    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &len), 0);
    return rate;
}

/* At no rate of its own, and a rate that somebody has set is left alone. */
START_TEST(pacing_is_no_limit)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_uint_eq(pacing_of(fd), ULONG_MAX); /* which TCP takes for: no pacing */
    braid_sockopt_pace(fd);
    ck_assert_uint_eq(pacing_of(fd), ULONG_MAX - 1);
    braid_sockopt_max_rate(fd, 1000000);
    braid_sockopt_pace(fd);
    ck_assert_uint_eq(pacing_of(fd), 1000000);
    close(fd);
}
END_TEST

START_TEST(unknown_congestion_control_is_told_once)
{
    struct braid_path *path = world_path(&w, w.address);

    ck_assert_int_eq(braid_path_set_congestion_control(path, "no_such_cc"), 0);
    ck_assert_int_eq(braid_path_set_subflows(path, 4), 0);
    app.to_send = 1 * MIB;
    app_connect_paths(&w, &app, &path, 1);
    ck_assert(wait_subflows(&app, 4, PATIENCE));
    ck_assert(run_until(w.base, connected, &app, PATIENCE));
    ck_assert(app.connected);
    ck_assert_uint_eq(w.lines, 1);
    ck_assert_ptr_nonnull(strstr(w.last_line, "no_such_cc"));
}
END_TEST

START_TEST(descriptions_are_checked)
{
    struct braid_path *path = world_path(&w, NULL);

    ck_assert_str_eq(braid_path_get_name(path), "p3");
    ck_assert_int_eq(braid_path_set_interface(path, ""), -1);
    ck_assert_int_eq(braid_path_set_interface(path, "a/b"), -1);
    ck_assert_int_eq(braid_path_set_interface(path, "abcdefghijklmnop"), -1);
    ck_assert_int_eq(braid_path_set_interface(path, NULL), 0);
    ck_assert_int_eq(braid_path_set_source(path, "localhost"), -1);
    ck_assert_int_eq(braid_path_set_source(path, "::1"), 0);
    ck_assert_int_eq(braid_path_set_source(path, NULL), 0);
    ck_assert_int_eq(braid_path_set_subflows(path, 17), -1);
    ck_assert_int_eq(braid_path_set_congestion_control(path, "a b"), -1);
    /* Nowhere to go, and too much of it. */
    ck_assert_ptr_null(braid_stream_connect(w.local, NULL, &path, 1));
    for (int i = 0; i < BRAID_PATH_REMOTES; i++)
        ck_assert_int_eq(braid_path_add_remote(path, w.address), 0);
    ck_assert_int_eq(braid_path_add_remote(path, w.address), -1);
    ck_assert_int_eq(braid_path_set_subflows(path, 16), 0);
    ck_assert_ptr_null(
        braid_stream_connect(w.local, NULL, (struct braid_path *[]){path, paths[0]}, 2));
    ck_assert_ptr_null(braid_stream_connect(w.local, NULL, &path, 0));
}
END_TEST

/* ---- which paths a session begins with ---- */

START_TEST(all_paths_join)
{
    struct braid_subflow_info infos[8];
    size_t n;

    app.to_send = 4 * MIB;
    app_connect_paths(&w, &app, paths, PATHS);
    ck_assert(wait_subflows(&app, PATHS, PATIENCE));
    n = braid_stream_get_subflows(app.stream, infos, 8);
    ck_assert_uint_eq(n, PATHS);
    for (unsigned i = 0; i < PATHS; i++) {
        ck_assert_uint_eq(forwarders[i].count, 1);
        ck_assert_str_eq(infos[i].path_name, braid_path_get_name(paths[infos[i].path]));
        ck_assert_str_eq(state_of(paths[i]), "up");
    }
    ck_assert(run_until(w.base, received_all, NULL, PATIENCE));
}
END_TEST

/* A first path that never answers takes no time from the session, nor from the next one. */
START_TEST(silent_first_path_costs_nothing)
{
    struct silence silence;
    struct braid_path *via[2];

    silence_begin(&silence);
    via[0] = world_path(&w, silence.address);
    via[1] = paths[0];
    app_connect_paths(&w, &app, via, 2);
    ck_assert_double_lt(seconds_until(connected, &app, PATIENCE), allow(0.5));
    ck_assert(app.connected);
    /* 5 s are given to a path of which nothing is known. */
    ck_assert(run_until(w.base, is_down, via[0], PATIENCE));
    ck_assert_str_eq(reason_of(via[0]), "no answer");
    app_connect_paths(&w, &second, via, 2);
    ck_assert_double_lt(seconds_until(connected, &second, PATIENCE), allow(0.5));
    ck_assert(second.connected);
    silence_end(&silence);
}
END_TEST

static bool dials(const struct braid_path *path)
{
    return count_dials(path) > 0;
}

START_TEST(new_sessions_leave_a_dead_path_alone)
{
    struct braid_path *via[2] = {world_path(&w, refusing()), paths[0]};
    uint64_t now, when;

    app_connect_paths(&w, &app, via, 2);
    ck_assert(run_until(w.base, connected, &app, PATIENCE));
    ck_assert(run_until(w.base, is_down, via[0], PATIENCE));
    now = braid_clock();
    braid_path_state_ask(&via[0]->state, 1, true, now, &when); /* somebody probes it just now */
    app_connect_paths(&w, &second, via, 2);
    ck_assert(!dials(via[0]));
    ck_assert(run_until(w.base, connected, &second, PATIENCE));
    ck_assert(second.connected);
}
END_TEST

/* But when there is no other, it is tried at once. */
START_TEST(new_sessions_try_all_dead_paths)
{
    struct braid_path *via[2] = {world_path(&w, refusing()), world_path(&w, refusing())};
    uint64_t when;

    app_connect_paths(&w, &app, via, 2);
    ck_assert(run_until(w.base, is_down, via[0], PATIENCE));
    ck_assert(run_until(w.base, is_down, via[1], PATIENCE));
    ck_assert_str_eq(reason_of(via[1]), "connection refused");
    for (unsigned i = 0; i < 2; i++)
        braid_path_state_ask(&via[i]->state, 1, true, braid_clock(), &when);
    ck_assert(!dials(via[0]) && !dials(via[1]));
    app_connect_paths(&w, &second, via, 2);
    ck_assert(dials(via[0]) && dials(via[1]));
}
END_TEST

START_TEST(addresses_of_a_path_are_tried_in_turn)
{
    struct braid_path *path = world_path(&w, refusing());

    ck_assert_int_eq(braid_path_add_remote(path, refusing()), 0);
    ck_assert_int_eq(braid_path_add_remote(path, w.address), 0);
    app_connect_paths(&w, &app, &path, 1);
    ck_assert_double_lt(seconds_until(connected, &app, PATIENCE), allow(0.2));
    ck_assert(app.connected);
    /* The next session begins with the one that answered. */
    ck_assert_uint_eq(braid_path_state_view(&path->state).remote, 2);
}
END_TEST

static bool both_received_all(void *arg)
{
    return received_all(arg) && app.received == w.script.to_send;
}

/* Both ends send every byte twice, though only one was told to. */
START_TEST(redundant_goes_both_ways)
{
    struct braid_stream_info info;

    braid_options_set_redundant(w.options, true); /* the listener has a copy of its own */
    app.to_send = w.script.to_send = 4 * MIB;
    app_connect_paths(&w, &app, paths, 2);
    ck_assert(run_until(w.base, both_received_all, NULL, PATIENCE));
    ck_assert(!app.wrong && !w.apps[0].wrong);
    braid_stream_get_info(app.stream, &info);
    ck_assert_uint_gt(info.bytes_resent, 1 * MIB);
    braid_stream_get_info(w.apps[0].stream, &info);
    ck_assert_uint_gt(info.bytes_resent, 1 * MIB);
}
END_TEST

/* ---- backup ---- */

START_TEST(backup_is_left_alone_by_short_sessions)
{
    braid_path_set_backup(paths[1], true);
    app.to_send = 1000;
    app.shut = w.script.shut = true;
    app_connect_paths(&w, &app, paths, 2);
    ck_assert(run_until(w.base, received_all, NULL, PATIENCE));
    run_for(w.base, 0.5);
    ck_assert_uint_eq(forwarders[0].count, 1);
    ck_assert_uint_eq(forwarders[1].count, 0);
}
END_TEST

/* A session that lasts has it ready, and sends nothing on it. */
START_TEST(backup_waits_without_data)
{
    struct braid_subflow_info infos[4];

    braid_path_set_backup(paths[0], true);
    app.to_send = 8 * MIB;
    app_connect_paths(&w, &app, paths, 2);
    ck_assert(wait_subflows(&app, 2, PATIENCE));
    ck_assert(run_until(w.base, received_all, NULL, PATIENCE));
    ck_assert_uint_eq(braid_stream_get_subflows(app.stream, infos, 4), 2);
    for (unsigned i = 0; i < 2; i++) {
        if (infos[i].path == 0)
            ck_assert_uint_eq(infos[i].bytes_sent, 0);
        else
            ck_assert_uint_eq(infos[i].bytes_sent, app.to_send);
    }
}
END_TEST

START_TEST(backup_follows_a_refusal_at_once)
{
    struct braid_path *via[2] = {world_path(&w, refusing()), paths[0]};

    braid_path_set_backup(paths[0], true);
    app_connect_paths(&w, &app, via, 2);
    ck_assert_double_lt(seconds_until(connected, &app, PATIENCE), allow(0.2));
    ck_assert(app.connected);
}
END_TEST

START_TEST(backup_follows_silence_soon)
{
    struct silence silence;
    struct braid_path *via[2];
    double seconds;

    silence_begin(&silence);
    via[0] = world_path(&w, silence.address);
    via[1] = paths[0];
    braid_path_set_backup(paths[0], true);
    app_connect_paths(&w, &app, via, 2);
    seconds = seconds_until(connected, &app, PATIENCE);
    ck_assert(app.connected);
    ck_assert_double_gt(seconds, 0.25);
    ck_assert_double_lt(seconds, allow(0.8));
    silence_end(&silence);
}
END_TEST

START_TEST(backup_takes_over)
{
    braid_path_set_backup(paths[1], true);
    app.to_send = 16 * MIB;
    app_connect_paths(&w, &app, paths, 2);
    ck_assert(wait_subflows(&app, 2, PATIENCE));
    forwarder_refuse(&forwarders[0]);
    forwarder_cut(&forwarders[0], 0);
    ck_assert(run_until(w.base, received_all, NULL, PATIENCE));
    ck_assert(!w.apps[0].wrong);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("paths");
    TCase *tc = tcase_create("paths");

    tcase_set_timeout(tc, TEST_TIMEOUT);
    tcase_add_checked_fixture(tc, path_world_open, path_world_close);
    tcase_add_test(tc, each_path_has_its_source);
    tcase_add_test(tc, an_interface_is_bound_to);
    tcase_add_test(tc, sockets_have_the_paths_options);
    tcase_add_test(tc, pacing_is_no_limit);
    tcase_add_test(tc, unknown_congestion_control_is_told_once);
    tcase_add_test(tc, descriptions_are_checked);
    tcase_add_test(tc, all_paths_join);
    tcase_add_test(tc, silent_first_path_costs_nothing);
    tcase_add_test(tc, new_sessions_leave_a_dead_path_alone);
    tcase_add_test(tc, new_sessions_try_all_dead_paths);
    tcase_add_test(tc, addresses_of_a_path_are_tried_in_turn);
    tcase_add_test(tc, redundant_goes_both_ways);
    tcase_add_test(tc, backup_is_left_alone_by_short_sessions);
    tcase_add_test(tc, backup_waits_without_data);
    tcase_add_test(tc, backup_follows_a_refusal_at_once);
    tcase_add_test(tc, backup_follows_silence_soon);
    tcase_add_test(tc, backup_takes_over);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
