/* SPDX-License-Identifier: MIT */
/*
 * Paths that change: one that comes back, is cut off, loses its address, or may not have outlived
 * the machine's sleep.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "event/clock.h"
#include "event/connector.h"
#include "event/context.h"

#include "path_world.h"

/* A path that works again is used again, by all sessions that wait for it. */
START_TEST(returning_path_is_used_again)
{
    const struct braid_address *address = refusing();
    struct braid_path *via[2] = {paths[0], world_path(&w, address)};
    struct forwarder late;
    struct app *both[2] = {&app, &second};
    uint64_t start;

    for (unsigned i = 0; i < 2; i++) {
        app_connect_paths(&w, both[i], via, 2);
        ck_assert(run_until(w.base, connected, both[i], PATIENCE));
        ck_assert(both[i]->connected);
    }
    ck_assert(run_until(w.base, is_down, via[1], PATIENCE));
    run_for(w.base, 0.3);
    /* From now on it leads somewhere. */
    memset(&late, 0, sizeof late);
    forwarder_open_at(&late, w.base, braid_address_text(address), port_of(w.listen_fd));
    start = braid_clock();
    for (unsigned i = 0; i < 2; i++)
        ck_assert(wait_subflows(both[i], 2, PATIENCE));
    ck_assert_double_lt((double)(braid_clock() - start) / 1e6, allow(1.5));
    ck_assert_str_eq(state_of(via[1]), "up");
    app_free(&app);
    app_free(&second);
    world_close_begin(&w);
    forwarder_close(&late);
}
END_TEST

/* Does something with every session's use of a path. */
static void with_uses(const struct braid_path *path,
                      void (*act)(struct braid_session_path *session_path))
{
    struct braid_session_path *session_path;
    struct braid_path_use *use;

    LIST_FOREACH(use, &w.local->paths.list, link) {
        if (path != NULL && use->path != path)
            continue;
        LIST_FOREACH(session_path, &use->sessions, link)
            act(session_path);
    }
}

/* A session at rest on a path does not hide from the others that nobody connects there. */
START_TEST(a_session_at_rest_hides_no_outage)
{
    struct app *both[2] = {&app, &second};

    for (unsigned i = 0; i < 2; i++) {
        app_connect_paths(&w, both[i], paths, 2);
        ck_assert(wait_subflows(both[i], 2, PATIENCE));
    }
    ck_assert_uint_eq(forwarders[1].count, 2);
    run_for(w.base, 1.2); /* for that long what was heard before is proof enough */
    forwarder_refuse(&forwarders[1]);
    forwarder_cut(&forwarders[1], 0);
    ck_assert(run_until(w.base, is_down, paths[1], PATIENCE));
    ck_assert_uint_eq(forwarder_open_count(&forwarders[1]), 1);
}
END_TEST

static void cut_one(struct braid_session_path *session_path)
{
    braid_session_path_cut(session_path, braid_clock());
}

static const char *state_on(unsigned path)
{
    struct braid_subflow_info infos[4];
    size_t n = braid_stream_get_subflows(app.stream, infos, 4);

    for (size_t i = 0; i < n; i++) {
        if (infos[i].path == path)
            return infos[i].state;
    }
    return "";
}

static bool both_are_active(void *arg)
{
    (void)arg;
    return strcmp(state_on(0), "active") == 0 && strcmp(state_on(1), "active") == 0;
}

/* What is on a link that the machine knows to be gone goes elsewhere without a test of patience. */
START_TEST(a_cut_path_is_left_at_once)
{
    app.to_send = 64 * MIB;
    app_connect_paths(&w, &app, paths, 2);
    ck_assert(run_until(w.base, both_are_active, NULL, PATIENCE));
    forwarder_stall(&forwarders[0], 0);
    with_uses(paths[0], cut_one);
    ck_assert_str_eq(state_on(0), "stale");
    ck_assert_str_eq(state_on(1), "active");
    ck_assert(run_until(w.base, received_all, NULL, PATIENCE));
    ck_assert(!w.apps[0].wrong);
}
END_TEST

static void doubt_one(struct braid_session_path *session_path)
{
    braid_session_path_doubt(session_path);
}

static void hurry_one(struct braid_session_path *session_path)
{
    uint64_t now = braid_clock();

    braid_session_path_hurry(session_path, now, now);
}

static bool so_many_on_both(void *arg)
{
    const unsigned *counts = arg;

    return forwarders[0].count == counts[0] && forwarders[1].count == counts[1] &&
           forwarder_open_count(&forwarders[0]) == 1 && forwarder_open_count(&forwarders[1]) == 1;
}

/* As when the machine wakes up: every subflow is replaced, and goes only when its successor is. */
START_TEST(doubtful_subflows_are_replaced)
{
    app.to_send = 32 * MIB;
    app_connect_paths(&w, &app, paths, 2);
    ck_assert(wait_subflows(&app, 2, PATIENCE));
    with_uses(NULL, hurry_one);
    run_for(w.base, 0.1);
    ck_assert(so_many_on_both((unsigned[]){1, 1})); /* without doubt, nothing changes */
    with_uses(NULL, doubt_one);
    with_uses(NULL, hurry_one);
    ck_assert(run_until(w.base, so_many_on_both, (unsigned[]){2, 2}, PATIENCE));
    ck_assert(run_until(w.base, received_all, NULL, PATIENCE));
    ck_assert(!w.apps[0].wrong);
}
END_TEST

/* The machine has slept, as the clocks have it: that alone is enough to dial again. */
START_TEST(sleep_replaces_subflows)
{
    app_connect_paths(&w, &app, paths, 2);
    ck_assert(wait_subflows(&app, 2, PATIENCE));
    w.local->paths.netlink.asleep -= (int64_t)(10 * BRAID_SECOND);
    event_active(&w.local->paths.netlink.clock, EV_READ, 0); /* as when the clock is set */
    ck_assert(run_until(w.base, so_many_on_both, (unsigned[]){2, 2}, PATIENCE));
}
END_TEST

/* A backup does not wait for TCP to give up a primary path that fell silent early. */
START_TEST(backup_follows_an_early_silence)
{
    double seconds;

    braid_path_set_backup(paths[1], true);
    app_connect_paths(&w, &app, paths, 2);
    ck_assert(run_until(w.base, connected, &app, PATIENCE));
    forwarder_stall(&forwarders[0], 0);
    app.to_send = 1000;
    app_send(&app);
    seconds = seconds_until(received_all, NULL, PATIENCE);
    ck_assert_double_lt(seconds, allow(0.95)); /* with one second of age it would join anyway */
    ck_assert_uint_eq(forwarders[1].count, 1);
}
END_TEST

static unsigned wanted_connections, most_dials;

/* Notes on the way how many dials there are while the session has no subflow. */
static bool so_many_connections(void *arg)
{
    struct braid_stream_info info;

    (void)arg;
    braid_stream_get_info(app.stream, &info);
    if (info.subflows == 0 && count_dials(paths[0]) > most_dials)
        most_dials = count_dials(paths[0]);
    return forwarders[0].count >= wanted_connections;
}

/* Waits until the first forwarder has seen so many connections in all. */
static bool wait_forwarded(unsigned n)
{
    wanted_connections = n;
    return run_until(w.base, so_many_connections, NULL, PATIENCE) && forwarders[0].count == n;
}

/* A path without any subflow is probed by one dial, and the others follow when it connects. */
START_TEST(one_probe_then_all)
{
    ck_assert_int_eq(braid_path_set_subflows(paths[0], 4), 0);
    app.to_send = 1 * MIB;
    app_connect_paths(&w, &app, paths, 1);
    ck_assert(wait_forwarded(4));
    most_dials = 0;
    for (unsigned i = 0; i < 4; i++)
        forwarder_cut(&forwarders[0], i);
    ck_assert(wait_forwarded(8));
    ck_assert_uint_le(most_dials, 1);
    ck_assert(wait_subflows(&app, 4, PATIENCE));
}
END_TEST

static void lose_one(struct braid_session_path *session_path)
{
    union braid_endpoint gone = {.family = AF_INET};

    ck_assert_int_eq(inet_pton(AF_INET, "127.0.0.3", &gone.in.sin_addr), 1);
    braid_session_path_lose(session_path, &gone);
}

/* The subflows from an address that is gone are lost at once, and no others. */
START_TEST(subflows_go_with_their_source)
{
    struct braid_path *from[2] = {world_path(&w, w.address), world_path(&w, w.address)};
    struct braid_stream_info info;

    ck_assert_int_eq(braid_path_set_source(from[0], "127.0.0.2"), 0);
    ck_assert_int_eq(braid_path_set_source(from[1], "127.0.0.3"), 0);
    app_connect_paths(&w, &app, from, 2);
    ck_assert(wait_subflows(&app, 2, PATIENCE));
    with_uses(NULL, lose_one);
    ck_assert(run_until(w.base, connected, &app, PATIENCE));
    run_for(w.base, 0.1);
    braid_stream_get_info(app.stream, &info);
    ck_assert_uint_eq(info.subflows_lost, 1);
}
END_TEST

/* Without a descriptor nobody can be asked for the way: that says nothing against it. */
START_TEST(no_descriptor_to_ask_with)
{
    const struct braid_news news = {.better = true};
    struct braid_netlink *netlink = &w.local->paths.netlink;
    struct braid_stream_info info;
    struct rlimit old, none;

    app_connect_paths(&w, &app, paths, 2);
    ck_assert(wait_subflows(&app, 2, PATIENCE));
    ck_assert(run_until(w.base, connected, &app, PATIENCE));
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    netlink->cb(&news, netlink->arg);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_str_eq(state_of(paths[0]), "up");
    ck_assert_str_eq(state_of(paths[1]), "up");
    braid_stream_get_info(app.stream, &info);
    ck_assert_uint_eq(info.subflows_lost, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("path_changes");
    TCase *tc = tcase_create("path_changes");

    tcase_set_timeout(tc, TEST_TIMEOUT);
    tcase_add_checked_fixture(tc, path_world_open, path_world_close);
    tcase_add_test(tc, returning_path_is_used_again);
    tcase_add_test(tc, a_session_at_rest_hides_no_outage);
    tcase_add_test(tc, a_cut_path_is_left_at_once);
    tcase_add_test(tc, doubtful_subflows_are_replaced);
    tcase_add_test(tc, sleep_replaces_subflows);
    tcase_add_test(tc, backup_follows_an_early_silence);
    tcase_add_test(tc, one_probe_then_all);
    tcase_add_test(tc, subflows_go_with_their_source);
    tcase_add_test(tc, no_descriptor_to_ask_with);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
