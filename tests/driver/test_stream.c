/* SPDX-License-Identifier: MIT */
/*
 * Whole streams over loopback: bytes exact both ways, half-close, resets, refusals, and streams
 * freed in every place where that is allowed.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "world.h"

#define MIB ((uint64_t)1 << 20)

static struct world w;
static struct app app;

static void setup(void)
{
    world_open(&w);
    app = (struct app){.key = 1, .peer_key = 2};
    w.script = (struct app){.key = 2, .peer_key = 1};
}

static void teardown(void)
{
    app_free(&app);
    ck_assert_uint_eq(app.calls_after_free, 0);
    world_close(&w);
}

static bool over(void *arg)
{
    const struct app *a = arg;

    return a->closed || a->error;
}

static bool both_over(void *arg)
{
    (void)arg;
    return (app.closed || app.error) && w.accepted > 0 && (w.apps[0].closed || w.apps[0].error);
}

/* ---- bytes ---- */

static const struct {
    unsigned subflows;
    uint64_t up, down;
} transfers[] = {
    {1, 0, 0},
    {1, 1, 0},
    {1, 0, 1},
    {1, 64, 64},
    {1, 16 * MIB, 16 * MIB},
    {4, 64, 64},
    {4, 16 * MIB, 16 * MIB},
    {4, 32 * MIB, 0},
    {4, 0, 32 * MIB},
    {16, 8 * MIB, 8 * MIB},
};

START_TEST(bytes_are_exact)
{
    braid_options_set_subflows(w.options, transfers[_i].subflows);
    app.to_send = transfers[_i].up;
    w.script.to_send = transfers[_i].down;
    app.shut = w.script.shut = true;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, both_over, NULL, PATIENCE));
    ck_assert(app.closed && w.apps[0].closed);
    ck_assert(app.connected);
    ck_assert(app.eof && w.apps[0].eof);
    ck_assert(!app.wrong && !w.apps[0].wrong);
    ck_assert_uint_eq(w.apps[0].received, app.to_send);
    ck_assert_uint_eq(app.received, w.apps[0].to_send);
    ck_assert_int_eq(app.reason, BRAID_OK);
    ck_assert_uint_eq(w.accepted, 1);
}
END_TEST

/* ---- halves and ends ---- */

static bool upstream_finished(void *arg)
{
    (void)arg;
    return w.accepted > 0 && w.apps[0].eof && w.apps[0].received == app.to_send;
}

/* The client's half is over long before the other one begins. */
START_TEST(half_close_passes)
{
    app.to_send = 100000;
    app.shut = true;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, upstream_finished, NULL, PATIENCE));
    ck_assert(!app.eof && !app.closed);
    w.apps[0].to_send = 3 * MIB;
    w.apps[0].shut = true;
    app_send(&w.apps[0]);
    ck_assert(run_until(w.base, both_over, NULL, PATIENCE));
    ck_assert(app.closed && app.eof && !app.wrong);
    ck_assert_uint_eq(app.received, 3 * MIB);
}
END_TEST

static bool some_arrived(void *arg)
{
    (void)arg;
    return w.accepted > 0 && w.apps[0].received > 0 && app.received > 0;
}

/* _i: 0, the client breaks off; 1, the server does */
START_TEST(reset_passes)
{
    struct app *breaker, *other;

    app.to_send = w.script.to_send = 64 * MIB;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, some_arrived, NULL, PATIENCE));
    breaker = _i == 0 ? &app : &w.apps[0];
    other = _i == 0 ? &w.apps[0] : &app;
    braid_stream_reset(breaker->stream, BRAID_ERR_RESET);
    ck_assert(run_until(w.base, both_over, NULL, PATIENCE));
    ck_assert(other->error && !other->closed && !other->eof);
    ck_assert_int_eq(other->reason, BRAID_ERR_RESET);
    ck_assert(breaker->error);
    ck_assert(!other->wrong);
}
END_TEST

START_TEST(free_is_reset)
{
    struct app *other;

    app.to_send = w.script.to_send = 64 * MIB;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, some_arrived, NULL, PATIENCE));
    other = _i == 0 ? &w.apps[0] : &app;
    app_free(_i == 0 ? &app : &w.apps[0]);
    other->free_in = FREE_IN_EVENT;
    ck_assert(run_until(w.base, over, other, PATIENCE));
    ck_assert(other->freed && other->error);
    ck_assert_int_eq(other->reason, BRAID_ERR_RESET);
}
END_TEST

START_TEST(refusal_passes)
{
    static const int errors[] = {BRAID_ERR_REFUSED, BRAID_ERR_UNREACHABLE, BRAID_ERR_NAME};

    w.answer = errors[_i];
    app.to_send = 1000;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, over, &app, PATIENCE));
    ck_assert(app.error && !app.connected);
    ck_assert_int_eq(app.reason, errors[_i]);
}
END_TEST

static bool freed(void *arg)
{
    bool at_client = *(bool *)arg;

    return at_client ? app.freed : w.accepted > 0 && w.apps[0].freed;
}

/* Each kind of callback, with a little and with much on the way, at both ends. */
START_TEST(free_in_callbacks)
{
    unsigned kind = 1 + (unsigned)_i % 3;
    bool at_client = _i / 3 % 2 == 0, much = _i >= 6 || kind == FREE_IN_WRITE;
    struct app *freer = at_client ? &app : &w.script;

    app.to_send = w.script.to_send = much ? 8 * MIB : 100;
    app.shut = w.script.shut = true;
    freer->free_in = kind;
    freer->free_after = much ? 1 * MIB : 1;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, freed, &at_client, PATIENCE));
    ck_assert(run_until(w.base, over, at_client ? &w.apps[0] : &app, PATIENCE));
    ck_assert_uint_eq(w.accepted, 1);
    ck_assert(!app.wrong && !w.apps[0].wrong);
}
END_TEST

/* ---- what is due and when it is told ---- */

static unsigned told;

static void count_readable(struct braid_stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
    told++;
}

static void count_event(struct braid_stream *stream, unsigned events, void *arg)
{
    (void)stream;
    (void)arg;
    told |= events << 8;
}

static bool told_all(void *arg)
{
    (void)arg;
    return (told & 0xff) > 0 && (told & (BRAID_EVENT_CONNECTED << 8)) != 0;
}

/* Callbacks set late are told, from the loop, what came before them. */
START_TEST(late_callbacks_are_told)
{
    struct braid_path *via = world_path(&w, w.address);

    told = 0;
    w.script.to_send = 1000;
    app.stream = braid_stream_connect(w.local, w.options, &via, 1);
    ck_assert_ptr_nonnull(app.stream);
    run_for(w.base, 0.2);
    ck_assert_uint_eq(w.accepted, 1);
    braid_stream_setcb(app.stream, count_readable, NULL, count_event, NULL);
    ck_assert_uint_eq(told, 0);
    ck_assert(run_until(w.base, told_all, NULL, PATIENCE));
}
END_TEST

static bool nested, outside;

static void must_be_outside(struct braid_stream *stream, void *arg)
{
    (void)arg;
    ck_assert(!nested);
    outside = true;
    app_read(&app);
    (void)stream;
}

/* No call of the application's runs a callback of its own. */
START_TEST(callbacks_run_from_the_loop)
{
    w.script.to_send = 4 * MIB;
    app.paused = true;
    app_connect(&w, &app);
    run_for(w.base, 0.3);
    braid_stream_setcb(app.stream, must_be_outside, NULL, NULL, NULL);
    nested = true;
    app_read(&app);
    braid_stream_setcb(app.stream, must_be_outside, NULL, NULL, NULL);
    nested = false;
    run_for(w.base, 0.3);
    ck_assert(outside);
    ck_assert(!app.wrong);
}
END_TEST

/* ---- flow control, numbers ---- */

static bool all_received(void *arg)
{
    (void)arg;
    return w.accepted > 0 && w.apps[0].received == app.to_send;
}

START_TEST(slow_reader_stops_the_sender)
{
    size_t window = 1 * MIB;

    braid_options_set_window(w.options, window);
    braid_listener_free(w.listener);
    w.listener = world_listen(&w);
    w.script.paused = true;
    app.to_send = 32 * MIB;
    app.shut = true;
    app_connect(&w, &app);
    run_for(w.base, 0.5);
    ck_assert_uint_eq(w.accepted, 1);
    ck_assert_uint_le(app.sent, 2 * window + MIB);
    ck_assert_uint_le(memory_in_use(w.local), 2 * window);
    ck_assert_uint_le(memory_in_use(w.remote), 2 * window);
    w.apps[0].paused = false;
    app_read(&w.apps[0]);
    ck_assert(run_until(w.base, all_received, NULL, PATIENCE));
    ck_assert(!w.apps[0].wrong);
}
END_TEST

START_TEST(numbers_add_up)
{
    struct braid_subflow_info subflows[32];
    struct braid_stream_info info;
    uint64_t sent = 0, received = 0;
    size_t n;

    app.to_send = 8 * MIB;
    w.script.to_send = 4 * MIB;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, all_received, NULL, PATIENCE));
    run_for(w.base, 0.3);
    braid_stream_get_info(app.stream, &info);
    ck_assert_uint_ne(info.id, 0);
    ck_assert(info.established);
    ck_assert_uint_eq(info.bytes_sent, 8 * MIB);
    ck_assert_uint_eq(info.bytes_received, 4 * MIB);
    ck_assert_uint_eq(info.backlog, 0);
    ck_assert_uint_eq(info.unread, 0);
    ck_assert_uint_eq(info.subflows, 4);
    ck_assert_uint_eq(info.subflows_lost, 0);
    n = braid_stream_get_subflows(app.stream, subflows, 32);
    ck_assert_uint_eq(n, 4);
    for (size_t i = 0; i < n; i++) {
        sent += subflows[i].bytes_sent - subflows[i].bytes_resent;
        received += subflows[i].bytes_received;
        ck_assert_str_eq(subflows[i].state, "active");
        ck_assert_uint_gt(subflows[i].rtt, 0);
        ck_assert_int_eq(subflows[i].peer.ss_family, AF_INET);
        ck_assert_int_eq(subflows[i].local.ss_family, AF_INET);
    }
    ck_assert_uint_eq(sent, 8 * MIB);
    ck_assert_uint_ge(received, 4 * MIB);
    ck_assert_uint_eq(braid_stream_get_subflows(app.stream, subflows, 2), 2);
}
END_TEST

/* What the log line of a session's end is made of. */
START_TEST(numbers_outlive_the_session)
{
    struct braid_subflow_info subflows[32];
    struct braid_stream_info info;
    uint64_t sent = 0;
    size_t n;

    app.to_send = 8 * MIB;
    app.shut = w.script.shut = true;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, both_over, NULL, PATIENCE));
    braid_stream_get_info(app.stream, &info);
    ck_assert_uint_eq(info.bytes_sent, 8 * MIB);
    ck_assert_uint_eq(info.subflows, 0);
    n = braid_stream_get_subflows(app.stream, subflows, 32);
    ck_assert_uint_eq(n, 4);
    for (size_t i = 0; i < n; i++) {
        sent += subflows[i].bytes_sent - subflows[i].bytes_resent;
        ck_assert_str_eq(subflows[i].state, "closed");
    }
    ck_assert_uint_eq(sent, 8 * MIB);
}
END_TEST

/* ---- many, and the end of everything ---- */

static struct app clients[APPS_MAX];

static bool clients_over(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < APPS_MAX; i++)
        if (!clients[i].closed && !clients[i].error)
            return false;
    return true;
}

START_TEST(many_at_once)
{
    w.script.to_send = 100000;
    w.script.shut = true;
    for (unsigned i = 0; i < APPS_MAX; i++) {
        clients[i] = app;
        clients[i].to_send = 50000;
        clients[i].shut = true;
        app_connect(&w, &clients[i]);
    }
    ck_assert(run_until(w.base, clients_over, NULL, PATIENCE));
    for (unsigned i = 0; i < APPS_MAX; i++) {
        ck_assert(clients[i].closed && !clients[i].wrong);
        ck_assert_uint_eq(clients[i].received, 100000);
        app_free(&clients[i]);
    }
    ck_assert_uint_eq(w.accepted, APPS_MAX);
}
END_TEST

/* ---- other kinds of sockets ---- */

/* _i: 0, IPv6; 1, unix sockets, which have none of TCP's counters */
START_TEST(other_families)
{
    char directory[] = "/tmp/braid-test-XXXXXX", text[128];
    struct braid_address *listening, *reach;
    struct braid_subflow_info infos[8];

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(text, sizeof text, "unix:%s/socket", directory);
    listening = braid_address_new(_i == 0 ? "[::1]:0" : text, NULL);
    braid_listener_free(w.listener);
    close(w.listen_fd);
    w.listen_fd = braid_address_listen(listening, 128);
    ck_assert_int_ge(w.listen_fd, 0);
    w.listener = world_listen(&w);
    reach = address_of(w.listen_fd);
    app.to_send = w.script.to_send = 16 * MIB;
    app.shut = w.script.shut = true;
    app_connect_via(&w, &app, (const struct braid_address *const *)&reach, 1);
    ck_assert(run_until(w.base, both_over, NULL, PATIENCE));
    ck_assert(app.closed && w.apps[0].closed && !app.wrong && !w.apps[0].wrong);
    ck_assert_uint_eq(app.received + w.apps[0].received, 32 * MIB);
    ck_assert_uint_eq(braid_stream_get_subflows(app.stream, infos, 8), 4);
    ck_assert_int_eq(infos[0].peer.ss_family, _i == 0 ? AF_INET6 : AF_UNIX);
    app_free(&app);
    braid_address_free(listening);
    braid_address_free(reach);
    unlink(text + 5);
    rmdir(directory);
}
END_TEST

/* ---- memory ---- */

/* The n-th allocation fails, and all after it, at one end or the other: nothing breaks or leaks. */
START_TEST(memory_runs_out)
{
    struct braid_context *poor = _i % 2 == 0 ? w.local : w.remote;
    struct braid_path *via = world_path(&w, w.address);

    limit_memory(poor, 1 + (uint64_t)_i / 2);
    app.to_send = w.script.to_send = 200000;
    app.shut = w.script.shut = true;
    app.stream = braid_stream_connect(w.local, w.options, &via, 1);
    if (app.stream != NULL)
        app_start(&app);
    for (int i = 0; i < 50 && !both_over(NULL); i++)
        event_base_loop(w.base, EVLOOP_NONBLOCK);
    run_for(w.base, 0.01);
    ck_assert(!app.wrong && !w.apps[0].wrong);
    limit_memory(poor, 0);
}
END_TEST

/* A context takes all with it, and the other end sees a reset where the sockets take it at once. */
START_TEST(context_frees_all)
{
    struct braid_context *going = _i == 0 ? w.local : w.remote;
    struct app *other;

    app.to_send = 1 * MIB;
    w.script.to_send = 100;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, all_received, NULL, PATIENCE));
    ck_assert(run_until(w.base, some_arrived, NULL, PATIENCE));
    braid_context_free(going);
    other = _i == 0 ? &w.apps[0] : &app;
    if (_i == 0) {
        w.local = braid_context_new(w.base, NULL);
        app.freed = true;
    } else {
        w.remote = braid_context_new(w.base, NULL);
        w.listener = NULL;
        w.apps[0].freed = true;
    }
    ck_assert(run_until(w.base, over, other, PATIENCE));
    ck_assert(other->error && !other->wrong);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("stream");
    TCase *t = tcase_create("stream");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, TEST_TIMEOUT);
    tcase_add_loop_test(t, bytes_are_exact, 0, sizeof transfers / sizeof *transfers);
    tcase_add_test(t, half_close_passes);
    tcase_add_loop_test(t, reset_passes, 0, 2);
    tcase_add_loop_test(t, free_is_reset, 0, 2);
    tcase_add_loop_test(t, refusal_passes, 0, 3);
    tcase_add_loop_test(t, free_in_callbacks, 0, 12);
    tcase_add_test(t, late_callbacks_are_told);
    tcase_add_test(t, callbacks_run_from_the_loop);
    tcase_add_test(t, slow_reader_stops_the_sender);
    tcase_add_test(t, numbers_add_up);
    tcase_add_test(t, numbers_outlive_the_session);
    tcase_add_test(t, many_at_once);
    tcase_add_loop_test(t, context_frees_all, 0, 2);
    tcase_add_loop_test(t, other_families, 0, 2);
    tcase_add_loop_test(t, memory_runs_out, 0, 160);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
