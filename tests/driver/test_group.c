/* SPDX-License-Identifier: MIT */
/*
 * Two contexts in two threads that share a listening socket: subflows come to either, and find
 * their session wherever it lives.
 */
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/wire.h"
#include "event/context.h"
#include "event/session_io.h"
#include "world.h"

#define WORKERS 2

struct worker {
    pthread_t thread;
    struct event_base *base;
    struct braid_context *context;
    struct braid_listener *listener;
    atomic_uint sessions;
    atomic_bool stop;
    struct event *tick;
};

static struct world w; /* its remote context is not used */
static struct braid_group *group;
static struct worker workers[WORKERS];
static struct app clients[APPS_MAX];

/* Sends back what comes. */
static void on_bytes(struct braid_stream *stream, void *arg)
{
    struct iovec in[4], out[4];
    int n, m;

    (void)arg;
    while ((n = braid_stream_peek(stream, in, 1)) > 0 &&
           (m = braid_stream_reserve(stream, out, 1)) > 0) {
        size_t len = in[0].iov_len < out[0].iov_len ? in[0].iov_len : out[0].iov_len;

        memcpy(out[0].iov_base, in[0].iov_base, len);
        braid_stream_commit(stream, len);
        braid_stream_drain(stream, len);
    }
}

static void on_event(struct braid_stream *stream, unsigned events, void *arg)
{
    (void)arg;
    if (events & BRAID_EVENT_EOF)
        braid_stream_shutdown(stream, EV_WRITE);
    if (events & (BRAID_EVENT_CLOSED | BRAID_EVENT_ERROR))
        braid_stream_free(stream);
}

static void on_stream(struct braid_listener *listener, struct braid_stream *stream, void *arg)
{
    struct worker *worker = arg;

    (void)listener;
    atomic_fetch_add(&worker->sessions, 1);
    braid_stream_setcb(stream, on_bytes, on_bytes, on_event, NULL);
    braid_stream_answer(stream, BRAID_OK);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;

    (void)fd;
    (void)what;
    if (atomic_load(&worker->stop))
        event_base_loopbreak(worker->base);
}

static void *run(void *arg)
{
    event_base_dispatch(((struct worker *)arg)->base);
    return NULL;
}

static void open_all(struct braid_security *security)
{
    const struct timeval tick = {.tv_usec = 5000};

    world_open(&w);
    braid_options_set_security(w.options, security);
    braid_listener_free(w.listener);
    w.listener = NULL;
    group = braid_group_new();
    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &workers[i];

        memset(worker, 0, sizeof *worker);
        worker->base = event_base_new();
        worker->context = braid_context_new(worker->base, group);
        worker->listener =
            braid_listener_new(worker->context, w.options, w.listen_fd, on_stream, worker);
        ck_assert_ptr_nonnull(worker->listener);
        worker->tick = event_new(worker->base, -1, EV_PERSIST, on_tick, worker);
        event_add(worker->tick, &tick);
        ck_assert_int_eq(pthread_create(&worker->thread, NULL, run, worker), 0);
    }
}

static void setup(void)
{
    open_all(NULL);
}

static void setup_secure(void)
{
    static const char key[] =
        "web 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
    struct braid_security *security = braid_security_new();
    char why[512];

    ck_assert_int_eq(
        braid_security_read_keys(security, key, sizeof key - 1, "test", why, sizeof why), 1);
    open_all(security);
    braid_security_free(security);
}

static void teardown(void)
{
    for (int i = 0; i < WORKERS; i++)
        atomic_store(&workers[i].stop, true);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        event_free(workers[i].tick);
        braid_context_free(workers[i].context);
        event_base_free(workers[i].base);
    }
    braid_group_free(group);
    world_close(&w);
}

static bool clients_over(void *arg)
{
    for (unsigned i = 0; i < *(unsigned *)arg; i++)
        if (!clients[i].closed && !clients[i].error)
            return false;
    return true;
}

static void transfer(unsigned count, uint64_t bytes)
{
    for (unsigned i = 0; i < count; i++) {
        clients[i] = (struct app){.key = (uint8_t)i, .peer_key = (uint8_t)i};
        clients[i].to_send = bytes;
        clients[i].shut = true;
        app_connect(&w, &clients[i]);
    }
    ck_assert(run_until(w.base, clients_over, &count, PATIENCE));
    for (unsigned i = 0; i < count; i++) {
        ck_assert(clients[i].closed);
        ck_assert(!clients[i].wrong);
        ck_assert_uint_eq(clients[i].received, bytes);
        app_free(&clients[i]);
    }
}

/* Many sessions of many subflows each: about half of the joins come to the wrong thread. */
START_TEST(joins_find_their_session)
{
    braid_options_set_subflows(w.options, 8);
    transfer(16, 2 << 20);
    ck_assert_uint_eq(workers[0].sessions + workers[1].sessions, 16);
}
END_TEST

START_TEST(sessions_are_spread)
{
    braid_options_set_subflows(w.options, 4);
    transfer(32, 1 << 20);
    ck_assert_uint_eq(workers[0].sessions + workers[1].sessions, 32);
    ck_assert_uint_gt(workers[0].sessions, 0);
    ck_assert_uint_gt(workers[1].sessions, 0);
}
END_TEST

START_TEST(short_ones)
{
    for (int i = 0; i < 5; i++)
        transfer(40, 100);
    ck_assert_uint_eq(workers[0].sessions + workers[1].sessions, 200);
}
END_TEST

static int raw_send(const uint8_t *bytes, size_t len)
{
    struct sockaddr_in in;
    socklen_t size = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(getsockname(w.listen_fd, (struct sockaddr *)&in, &size), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    ck_assert_int_eq(send(fd, bytes, len, 0), (ssize_t)len);
    return fd;
}

/*
 * One session whose first two subflows come at the same time, each with CREATE and a piece of data,
 * in halves, so that both are whole at about the same time.
 */
START_TEST(simultaneous_creation)
{
    for (uint64_t id = 1; id <= 100; id++) {
        uint8_t flights[2][BRAID_GREETING_MAX];
        size_t len[2];
        int fds[2];
        unsigned before = workers[0].sessions + workers[1].sessions;
        uint8_t reply[4];

        for (unsigned i = 0; i < 2; i++) {
            struct braid_writer out = {flights[i], BRAID_GREETING_MAX, false};
            struct braid_preamble preamble = {.session = id, .version = BRAID_VERSION};
            struct braid_hello hello = {.max_version = BRAID_VERSION,
                                        .subflow = (uint16_t)i,
                                        .flags = BRAID_HELLO_CREATE,
                                        .session = id,
                                        .limit = 65536,
                                        .instance = 7};

            braid_wire_write_preamble(&out, &preamble);
            braid_wire_write_hello(&out, &hello, id * 2 + i);
            len[i] = BRAID_GREETING_MAX - out.left;
            fds[i] = raw_send(flights[i], 18);
        }
        for (unsigned i = 0; i < 2; i++)
            ck_assert_int_eq(send(fds[i], flights[i] + 18, len[i] - 18, 0), (ssize_t)len[i] - 18);
        for (unsigned i = 0; i < 2; i++) {
            ck_assert_int_eq(recv(fds[i], reply, 4, MSG_WAITALL), 4);
            ck_assert_uint_eq(reply[0], BRAID_FRAME_HELLO);
        }
        ck_assert_uint_eq(workers[0].sessions + workers[1].sessions, before + 1);
        close(fds[0]);
        close(fds[1]);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("group");
    TCase *t = tcase_create("group"), *secure = tcase_create("secure");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, TEST_TIMEOUT);
    tcase_add_test(t, joins_find_their_session);
    tcase_add_test(t, sessions_are_spread);
    tcase_add_test(t, short_ones);
    tcase_add_test(t, simultaneous_creation);
    suite_add_tcase(s, t);

    /* A connection that is handed over takes its TLS along. */
    tcase_add_checked_fixture(secure, setup_secure, teardown);
    tcase_set_timeout(secure, TEST_TIMEOUT);
    tcase_add_test(secure, joins_find_their_session);
    tcase_add_test(secure, sessions_are_spread);
    tcase_add_test(secure, short_ones);
    suite_add_tcase(s, secure);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
