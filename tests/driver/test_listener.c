/* SPDX-License-Identifier: MIT */
/*
 * What may come to a listener: garbage, silence, greetings byte by byte, floods, a lack of
 * descriptors. Each gets a closed connection and a limited number of log lines; sessions live on.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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
    world_close(&w);
}

/* The first flight of a subflow, without data; returns its length. */
static size_t greeting(uint8_t *buf, uint64_t id, uint16_t flags)
{
    struct braid_writer out = {buf, BRAID_GREETING_MAX, false};
    struct braid_preamble preamble = {
        .session = id, .version = BRAID_VERSION, .security = BRAID_SECURITY_NONE};
    struct braid_hello hello = {
        .max_version = BRAID_VERSION, .flags = flags, .session = id, .limit = 65536, .instance = 7};

    braid_wire_write_preamble(&out, &preamble);
    braid_wire_write_hello(&out, &hello, 12345);
    ck_assert(!out.failed);
    return BRAID_GREETING_MAX - out.left;
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
    ck_assert_uint_eq(app.received, 1000);
}

/* ---- garbage ---- */

#define TEXT(s)                                                                                    \
    {                                                                                              \
        s, sizeof(s) - 1                                                                           \
    }

START_TEST(garbage_is_closed)
{
    static const struct {
        const char *bytes;
        size_t len;
    } texts[] = {
        TEXT("GET / HTTP/1.1\r\nHost: example.net\r\n\r\n"),
        TEXT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this might be TLS"),
        TEXT("12345678BRD\x09\x00\x00\x00\x00 another version"),
        TEXT("12345678BRD\x01\x07\x00\x00\x00 another security"),
        TEXT("12345678BRD\x01\x01\x00\x00\x00 TLS, which nobody asked for"),
        TEXT("12345678BRD\x01\x00\x00\x00\x00\x01\x00\xff\xff a HELLO without end"),
        TEXT("12345678BRD\x01\x00\x00\x00\x00\x02\x00\x00\x10 DATA, not HELLO ............."),
    };
    char big[200];
    int fd = stranger_connect(&w, NULL);

    memset(big, 0, sizeof big);
    memcpy(big, texts[_i].bytes, texts[_i].len);
    ck_assert_int_eq(send(fd, big, sizeof big, 0), sizeof big);
    ck_assert(run_until(w.base, stranger_is_closed, &fd, PATIENCE));
    ck_assert_uint_eq(w.lines, 1);
    ck_assert(strstr(w.last_line, "127.0.0.1:") != NULL);
    close(fd);
    check_alive();
    ck_assert_uint_eq(w.accepted, 1);
}
END_TEST

START_TEST(truncated_greeting_is_closed)
{
    uint8_t buf[BRAID_GREETING_MAX];
    size_t len = greeting(buf, 42, BRAID_HELLO_CREATE);
    int fd = stranger_connect(&w, NULL);

    ck_assert_int_eq(send(fd, buf, len - 1, 0), (ssize_t)len - 1);
    shutdown(fd, SHUT_WR);
    ck_assert(run_until(w.base, stranger_is_closed, &fd, PATIENCE));
    ck_assert_uint_eq(w.accepted, 0);
    ck_assert_uint_eq(w.lines, 1);
    close(fd);
    check_alive();
}
END_TEST

static bool accepted_one(void *arg)
{
    (void)arg;
    return w.accepted == 1;
}

/* Byte by byte, but in time. */
START_TEST(slow_greeting_is_taken)
{
    uint8_t buf[BRAID_GREETING_MAX];
    size_t len = greeting(buf, 42, BRAID_HELLO_CREATE);
    int fd = stranger_connect(&w, NULL);

    for (size_t i = 0; i < len; i++) {
        ck_assert_uint_eq(w.accepted, 0);
        ck_assert_int_eq(send(fd, buf + i, 1, 0), 1);
        run_for(w.base, 0.002);
    }
    ck_assert(run_until(w.base, accepted_one, NULL, PATIENCE));
    close(fd);
}
END_TEST

/* Nothing, or half a greeting, for five seconds. */
START_TEST(silence_is_closed)
{
    uint8_t buf[BRAID_GREETING_MAX];
    uint64_t start = braid_clock();
    int silent = stranger_connect(&w, NULL), half = stranger_connect(&w, NULL);

    greeting(buf, 42, BRAID_HELLO_CREATE);
    ck_assert_int_eq(send(half, buf, 20, 0), 20);
    ck_assert(run_until(w.base, stranger_is_closed, &silent, PATIENCE));
    ck_assert(run_until(w.base, stranger_is_closed, &half, PATIENCE));
    ck_assert_uint_ge(braid_clock() - start, 4900000);
    ck_assert_uint_eq(w.lines, 2);
    close(silent);
    close(half);
    check_alive();
}
END_TEST

/* ---- refusals ---- */

/* Reads a refusal; its status. */
static int read_refusal(int fd)
{
    static uint8_t buf[BRAID_GREETING_MAX];
    size_t fill = 0;
    struct braid_hello hello;
    uint64_t end = braid_clock() + 2000000;

    while (braid_clock() < end) {
        ssize_t n = recv(fd, buf + fill, sizeof buf - fill, 0);

        if (n == 0)
            break;
        if (n > 0)
            fill += (size_t)n;
        run_for(w.base, 0.005);
    }
    ck_assert_uint_gt(fill, 4);
    ck_assert_uint_eq(buf[0], BRAID_FRAME_HELLO);
    ck_assert_int_eq(braid_wire_read_hello(buf + 4, fill - 4, &hello), 0);
    ck_assert_uint_ne(hello.flags & BRAID_HELLO_REPLY, 0);
    return hello.status;
}

static int refusal_of(uint64_t id, uint16_t flags)
{
    uint8_t buf[BRAID_GREETING_MAX];
    size_t len = greeting(buf, id, flags);
    int fd = stranger_connect(&w, NULL), status;

    ck_assert_int_eq(send(fd, buf, len, 0), (ssize_t)len);
    status = read_refusal(fd);
    close(fd);
    return status;
}

START_TEST(join_to_unknown_is_refused)
{
    ck_assert_int_eq(refusal_of(4711, 0), BRAID_ERR_UNKNOWN_SESSION);
    ck_assert(strstr(w.last_line, "refused") != NULL);
    ck_assert_uint_eq(w.accepted, 0);
    check_alive();
}
END_TEST

START_TEST(wrong_token_is_refused)
{
    struct braid_stream_info info;

    app.shut = false;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, accepted_one, NULL, PATIENCE));
    braid_stream_get_info(app.stream, &info);
    ck_assert_int_eq(refusal_of(info.id, 0), BRAID_ERR_TOKEN);
    ck_assert(!app.error && !w.apps[0].error);
}
END_TEST

static bool both_over(void *arg)
{
    (void)arg;
    return app_over(&app) && w.accepted > 0 && app_over(&w.apps[0]);
}

/* A late subflow opens nothing twice: not after an orderly end, nor after a reset. */
START_TEST(ended_sessions_are_remembered)
{
    struct braid_stream_info info;
    int expected = _i == 0 ? BRAID_ERR_FINISHED : BRAID_ERR_UNKNOWN_SESSION;

    app.shut = _i == 0;
    app_connect(&w, &app);
    braid_stream_get_info(app.stream, &info);
    ck_assert(run_until(w.base, accepted_one, NULL, PATIENCE));
    if (_i == 1)
        braid_stream_reset(app.stream, BRAID_ERR_RESET);
    ck_assert(run_until(w.base, both_over, NULL, PATIENCE));
    ck_assert_int_eq(refusal_of(info.id, BRAID_HELLO_CREATE), expected);
    ck_assert_int_eq(refusal_of(info.id, 0), expected);
    ck_assert_uint_eq(w.accepted, 1);
}
END_TEST

static bool four_subflows(void *arg)
{
    struct braid_stream_info info;

    (void)arg;
    braid_stream_get_info(w.apps[0].stream, &info);
    return info.subflows == 4;
}

START_TEST(disabled_listener_refuses_new_sessions)
{
    app.shut = false;
    app.to_send = 1 << 20;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, accepted_one, NULL, PATIENCE));
    braid_listener_disable(w.listener);
    ck_assert_int_eq(refusal_of(42, BRAID_HELLO_CREATE), BRAID_ERR_SHUTDOWN);
    ck_assert(run_until(w.base, four_subflows, NULL, PATIENCE)); /* they still join */
    ck_assert(!app.error);
}
END_TEST

/* ---- too many ---- */

#define FLOOD 1100

START_TEST(flood_of_silence)
{
    static int fds[FLOOD];
    size_t memory;

    for (int i = 0; i < FLOOD; i++) {
        fds[i] = stranger_connect(&w, NULL);
        if (i % 50 == 0)
            run_for(w.base, 0.006);
    }
    ck_assert(run_until(w.base, stranger_is_closed, &fds[0], PATIENCE)); /* the oldest goes first */
    ck_assert(!stranger_is_closed(&fds[FLOOD - 1]));
    ck_assert_uint_eq(braid_pendings_count(&w.remote->pendings), 1024);
    memory = braid_context_get_memory(w.remote);
    ck_assert_uint_le(memory, 2 << 20);
    check_alive();
    ck_assert_uint_le(w.lines, 10);
    for (int i = 0; i < FLOOD; i++)
        close(fds[i]);
}
END_TEST

static bool accepted_eight(void *arg)
{
    (void)arg;
    return w.accepted == 8;
}

static bool logged(void *arg)
{
    (void)arg;
    return w.lines > 0;
}

/* Without descriptors nothing is accepted for a while, and nobody is lost. */
START_TEST(out_of_descriptors)
{
    struct rlimit old, low;
    int fds[8], spare[64], spares = 0;
    uint8_t buf[BRAID_GREETING_MAX];

    for (int i = 0; i < 8; i++) {
        size_t len = greeting(buf, 100 + (uint64_t)i, BRAID_HELLO_CREATE);

        fds[i] = stranger_connect(&w, NULL);
        ck_assert_int_eq(send(fds[i], buf, len, 0), (ssize_t)len);
    }
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)fds[7] + 8;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (spares < 64 && (spare[spares] = dup(fds[0])) >= 0)
        spares++;
    ck_assert_int_lt(spares, 64);
    ck_assert(run_until(w.base, logged, NULL, PATIENCE));
    ck_assert_uint_eq(w.accepted, 0);
    ck_assert(strstr(w.last_line, "Too many open files") != NULL);
    while (spares > 0)
        close(spare[--spares]);
    setrlimit(RLIMIT_NOFILE, &old);
    ck_assert(run_until(w.base, accepted_eight, NULL, PATIENCE));
    for (int i = 0; i < 8; i++)
        close(fds[i]);
}
END_TEST

/* ---- a live subflow whose peer goes wrong ---- */

START_TEST(broken_frames_end_the_subflow)
{
    static const uint8_t bad[][16] = {
        {0x7f, 0, 0, 0},                               /* a type that is not known */
        {0x02, 0, 0, 9, 0xff, 0, 0, 0, 0, 0, 0, 0, 1}, /* DATA past the limit */
        {0x03, 0, 0, 1, 0},                            /* an ACK cut short */
    };
    uint8_t buf[BRAID_GREETING_MAX];
    size_t len = greeting(buf, 42, BRAID_HELLO_CREATE);
    int fd = stranger_connect(&w, NULL);

    ck_assert_int_eq(send(fd, buf, len, 0), (ssize_t)len);
    ck_assert(run_until(w.base, accepted_one, NULL, PATIENCE));
    ck_assert_int_eq(send(fd, bad[_i], sizeof bad[_i], 0), sizeof bad[_i]);
    ck_assert(run_until(w.base, stranger_is_closed, &fd, PATIENCE));
    ck_assert_uint_eq(w.lines, 1);
    ck_assert(strstr(w.last_line, "127.0.0.1:") != NULL);
    close(fd);
    check_alive();
}
END_TEST

struct ending {
    int fd;
    bool in_order;
};

/* Throws away what comes; true once the connection is over, with an end in order or without. */
static bool is_over(void *arg)
{
    struct ending *ending = arg;
    char bytes[4096];
    ssize_t n;

    do
        n = recv(ending->fd, bytes, sizeof bytes, 0);
    while (n > 0);
    ending->in_order = n == 0;
    return n == 0 || errno != EAGAIN;
}

/* Whoever breaks a stream of the seed's off says so, for an end in order is a success there. */
START_TEST(a_lost_subflow_of_the_seeds_is_reset)
{
    static const uint8_t opening[16] = {[7] = 1, [15] = 1};
    struct ending ending;

    ck_assert_int_eq(braid_options_set_protocol(w.options, BRAID_PROTOCOL_SEED), 0);
    braid_listener_free(w.listener);
    w.listener = world_listen(&w);
    w.script.to_send = 16 << 20;
    ending.fd = stranger_connect(&w, NULL);
    ck_assert_int_eq(send(ending.fd, opening, sizeof opening, 0), sizeof opening);
    ck_assert(run_until(w.base, accepted_one, NULL, PATIENCE));
    ck_assert_int_eq(send(ending.fd, "\x09", 1, 0), 1); /* no message begins so */
    ck_assert(run_until(w.base, app_over, &w.apps[0], PATIENCE));
    ck_assert(w.apps[0].error);
    ck_assert(run_until(w.base, is_over, &ending, PATIENCE));
    ck_assert(!ending.in_order);
    close(ending.fd);
}
END_TEST

/* Nothing is made that would go in clear though a key was given, or that the format cannot do. */
START_TEST(the_seeds_format_has_no_security)
{
    struct braid_context *context = w.remote;
    struct braid_options *options = braid_options_new();
    struct braid_security *security = braid_security_new();
    struct braid_address *address = braid_address_new("127.0.0.1:1", NULL);

    ck_assert(options != NULL && security != NULL && address != NULL);
    ck_assert_int_eq(braid_options_set_protocol(options, (enum braid_protocol)3), -1);
    braid_options_set_security(options, security);
    for (int i = 0; i < 2; i++) {
        enum braid_protocol protocol = i == 0 ? BRAID_PROTOCOL_SEED : BRAID_PROTOCOL_EITHER;

        ck_assert_int_eq(braid_options_set_protocol(options, protocol), 0);
        errno = 0;
        ck_assert_ptr_null(braid_listener_new(context, options, w.listen_fd, NULL, NULL));
        ck_assert_int_eq(errno, EINVAL);
        ck_assert_ptr_null(braid_stream_connect_addresses(context, options, &address, 1));
    }
    braid_options_set_security(options, NULL);
    braid_options_set_redundant(options, true);
    ck_assert_int_eq(braid_options_set_protocol(options, BRAID_PROTOCOL_SEED), 0);
    ck_assert_ptr_null(braid_stream_connect_addresses(context, options, &address, 1));
    braid_address_free(address);
    braid_security_free(security);
    braid_options_free(options);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("listener");
    TCase *t = tcase_create("listener");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, TEST_TIMEOUT);
    tcase_add_loop_test(t, garbage_is_closed, 0, 7);
    tcase_add_test(t, truncated_greeting_is_closed);
    tcase_add_test(t, slow_greeting_is_taken);
    tcase_add_test(t, silence_is_closed);
    tcase_add_test(t, join_to_unknown_is_refused);
    tcase_add_test(t, wrong_token_is_refused);
    tcase_add_loop_test(t, ended_sessions_are_remembered, 0, 2);
    tcase_add_test(t, disabled_listener_refuses_new_sessions);
    tcase_add_test(t, flood_of_silence);
    tcase_add_test(t, out_of_descriptors);
    tcase_add_loop_test(t, broken_frames_end_the_subflow, 0, 3);
    tcase_add_test(t, a_lost_subflow_of_the_seeds_is_reset);
    tcase_add_test(t, the_seeds_format_has_no_security);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
