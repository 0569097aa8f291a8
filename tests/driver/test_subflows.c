/* SPDX-License-Identifier: MIT */
/*
 * Subflows that die, stall and come back under a session, and paths that lead nowhere.
 */
#include <check.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event/context.h"
#include "event/session_io.h"
#include "event/subflow_io.h"
#include "forwarder.h"
#include "world.h"

#define MIB ((uint64_t)1 << 20)

static struct world w;
static struct app app;
static struct forwarder forwarder;

static int port_of(int fd)
{
    struct sockaddr_in in;
    socklen_t len = sizeof in;

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    return ntohs(in.sin_port);
}

static void setup(void)
{
    world_open(&w);
    forwarder_open(&forwarder, w.base, port_of(w.listen_fd));
    app = (struct app){.key = 1, .peer_key = 2};
    w.script = (struct app){.key = 2, .peer_key = 1};
}

static void teardown(void)
{
    app_free(&app);
    world_close_begin(&w);
    forwarder_close(&forwarder);
    world_close(&w);
}

static void connect_forwarded(void)
{
    const struct braid_address *via = forwarder.address;

    app_connect_via(&w, &app, &via, 1);
}

static bool finished(void *arg)
{
    (void)arg;
    return (app.closed || app.error) && w.accepted > 0 && (w.apps[0].closed || w.apps[0].error);
}

static void check_exact(void)
{
    ck_assert(run_until(w.base, finished, NULL, PATIENCE));
    ck_assert(app.closed && w.apps[0].closed);
    ck_assert(!app.wrong && !w.apps[0].wrong);
    ck_assert_uint_eq(w.apps[0].received, app.to_send);
    ck_assert_uint_eq(app.received, w.apps[0].to_send);
}

static unsigned long wanted_bytes;

static bool so_many_bytes(void *arg)
{
    (void)arg;
    return forwarder.bytes >= wanted_bytes || finished(NULL);
}

static unsigned wanted_subflows;

static bool so_many_subflows(void *arg)
{
    struct braid_stream_info info;

    (void)arg;
    braid_stream_get_info(app.stream, &info);
    return info.subflows == wanted_subflows && forwarder_open_count(&forwarder) >= wanted_subflows;
}

/* Every subflow in turn is cut in the middle of a transfer both ways; its bytes go elsewhere. */
START_TEST(each_subflow_is_cut_in_turn)
{
    struct braid_stream_info info;

    braid_options_set_subflows(w.options, 4);
    app.to_send = w.script.to_send = 24 * MIB;
    app.shut = w.script.shut = true;
    connect_forwarded();
    for (unsigned cut = 0; cut < 4; cut++) {
        wanted_bytes = (cut + 1) * 4 * MIB;
        ck_assert(run_until(w.base, so_many_bytes, NULL, PATIENCE));
        ck_assert(!finished(NULL));
        ck_assert_uint_gt(forwarder.count, cut);
        forwarder_cut(&forwarder, cut);
    }
    check_exact();
    braid_stream_get_info(app.stream, &info);
    ck_assert_uint_ge(info.subflows_lost, 4);
    ck_assert_uint_gt(forwarder.count, 4);
}
END_TEST

/* All at once, again and again: the session waits, dials, and goes on where it was. */
START_TEST(all_subflows_are_cut)
{
    braid_options_set_subflows(w.options, 1 + (unsigned)_i * 3);
    app.to_send = w.script.to_send = 16 * MIB;
    app.shut = w.script.shut = true;
    connect_forwarded();
    for (unsigned cut = 1; cut <= 3; cut++) {
        wanted_bytes = cut * 6 * MIB;
        ck_assert(run_until(w.base, so_many_bytes, NULL, PATIENCE));
        for (unsigned i = 0; i < forwarder.count; i++)
            if (forwarder_is_open(&forwarder, i))
                forwarder_cut(&forwarder, i);
    }
    check_exact();
}
END_TEST

/* The dead one is dialled again, and both are told apart in the numbers. */
START_TEST(lost_subflow_is_replaced)
{
    struct braid_subflow_info infos[32];
    size_t n, lost = 0;

    braid_options_set_subflows(w.options, 2);
    app.to_send = 1 * MIB;
    connect_forwarded();
    wanted_subflows = 2;
    ck_assert(run_until(w.base, so_many_subflows, NULL, PATIENCE));
    forwarder_cut(&forwarder, 1);
    ck_assert(!so_many_subflows(NULL));
    ck_assert(run_until(w.base, so_many_subflows, NULL, PATIENCE));
    n = braid_stream_get_subflows(app.stream, infos, 32);
    ck_assert_uint_eq(n, 3);
    for (size_t i = 0; i < n; i++)
        lost += strcmp(infos[i].state, "lost") == 0 ? 1 : 0;
    ck_assert_uint_eq(lost, 1);
    ck_assert_str_eq(infos[2].state, "lost");
    ck_assert_int_eq(infos[2].peer.ss_family, AF_INET);
    ck_assert_uint_ne(infos[0].index, infos[1].index);
    ck_assert_uint_ne(infos[1].index, infos[2].index);
    ck_assert_uint_ge(w.lines, 1);
}
END_TEST

static bool all_received(void *arg)
{
    (void)arg;
    return w.accepted > 0 && w.apps[0].received == app.to_send;
}

/* One stands still for a while: nothing is lost, whether the rest goes around it or waits. */
START_TEST(stalled_subflow_comes_back)
{
    braid_options_set_subflows(w.options, 4);
    app.to_send = 24 * MIB;
    connect_forwarded();
    wanted_bytes = 4 * MIB;
    ck_assert(run_until(w.base, so_many_bytes, NULL, PATIENCE));
    ck_assert_uint_gt(forwarder.count, 1);
    forwarder_stall(&forwarder, 1);
    run_for(w.base, 0.5);
    forwarder_resume(&forwarder, 1);
    ck_assert(run_until(w.base, all_received, NULL, PATIENCE));
    ck_assert(!w.apps[0].wrong);
}
END_TEST

static bool connected(void *arg)
{
    (void)arg;
    return app.connected || app.error;
}

/* A socket with a port at which nobody listens, and nobody else can as long as it is open. */
static int take_port(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
    return fd;
}

/* The first path is dead, the second one works: that one makes the session. */
START_TEST(dead_path_does_not_matter)
{
    int fd = take_port();
    struct braid_address *dead = address_of(fd);
    const struct braid_address *via[2] = {dead, forwarder.address};

    app.to_send = w.script.to_send = 4 * MIB;
    app.shut = w.script.shut = true;
    app_connect_via(&w, &app, via, 2);
    ck_assert(run_until(w.base, connected, NULL, PATIENCE));
    ck_assert(app.connected);
    check_exact();
    ck_assert(strstr(w.last_line, "path p0") != NULL || w.lines > 1);
    app_free(&app);
    braid_address_free(dead);
    close(fd);
}
END_TEST

static bool nothing_alive(void *arg)
{
    struct braid_stream_info info;

    (void)arg;
    braid_stream_get_info(app.stream, &info);
    return info.subflows == 0;
}

static bool peer_over(void *arg)
{
    (void)arg;
    return w.apps[0].closed || w.apps[0].error;
}

/* Nobody there, and nobody comes: the stream ends in an error. */
START_TEST(nobody_there)
{
    int fd = take_port();
    struct braid_address *dead = address_of(fd);
    const struct braid_address *via = dead;

    braid_options_set_grace(w.options, 100);
    app_connect_via(&w, &app, &via, 1);
    ck_assert(run_until(w.base, connected, NULL, PATIENCE));
    ck_assert(app.error);
    ck_assert_int_ne(app.reason, BRAID_OK);
    app_free(&app);
    braid_address_free(dead);
    close(fd);
}
END_TEST

/* The remote endpoint is gone for longer than the grace time. */
START_TEST(grace_ends)
{
    braid_options_set_grace(w.options, 300);
    braid_listener_free(w.listener);
    w.listener = world_listen(&w);
    w.script.to_send = 1000;
    connect_forwarded();
    ck_assert(run_until(w.base, connected, NULL, PATIENCE));
    forwarder_refuse(&forwarder);
    for (unsigned i = 0; i < forwarder.count; i++)
        forwarder_cut(&forwarder, i);
    ck_assert(run_until(w.base, finished, NULL, PATIENCE));
    ck_assert(app.error && w.apps[0].error);
    ck_assert_int_eq(app.reason, BRAID_ERR_GRACE);
    ck_assert_int_eq(w.apps[0].reason, BRAID_ERR_GRACE);
}
END_TEST

/* The address goes with the stream, but the peer must still be told of the end. */
START_TEST(reset_is_dialled_after_the_stream)
{
    const struct braid_address *via =
        braid_address_new(braid_address_text(forwarder.address), NULL);

    app.to_send = w.script.to_send = 1000;
    app_connect_via(&w, &app, &via, 1);
    ck_assert(run_until(w.base, connected, NULL, PATIENCE));
    for (unsigned i = 0; i < forwarder.count; i++)
        forwarder_cut(&forwarder, i);
    ck_assert(run_until(w.base, nothing_alive, NULL, PATIENCE));
    app_free(&app);
    braid_address_free((struct braid_address *)(uintptr_t)via);
    ck_assert(run_until(w.base, peer_over, NULL, PATIENCE));
    ck_assert_int_eq(w.apps[0].reason, BRAID_ERR_RESET);
}
END_TEST

static int option_of(int fd, int level, int option)
{
    int value = 0;
    socklen_t len = sizeof value;

    ck_assert_int_eq(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

/* At both ends, though one of them only inherits them from its listener. */
START_TEST(options_are_set)
{
    struct braid_context *contexts[2] = {w.local, w.remote};

    app.to_send = w.script.to_send = 1000;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, connected, NULL, PATIENCE));
    for (int i = 0; i < 2; i++) {
        const struct braid_session_io *io = LIST_FIRST(&contexts[i]->sessions);
        int fd = TAILQ_FIRST(&io->subflows)->transport.fd;

        ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
        ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
        ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
        ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
        ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 6);
        ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 20000);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("subflows");
    TCase *t = tcase_create("subflows");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, TEST_TIMEOUT);
    tcase_add_test(t, each_subflow_is_cut_in_turn);
    tcase_add_loop_test(t, all_subflows_are_cut, 0, 2);
    tcase_add_test(t, lost_subflow_is_replaced);
    tcase_add_test(t, stalled_subflow_comes_back);
    tcase_add_test(t, dead_path_does_not_matter);
    tcase_add_test(t, nobody_there);
    tcase_add_test(t, grace_ends);
    tcase_add_test(t, reset_is_dialled_after_the_stream);
    tcase_add_test(t, options_are_set);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
