/* SPDX-License-Identifier: MIT */
/*
 * Strangers who begin a TLS handshake and then stall: with half of a first flight, with one they
 * have recorded and play again, byte after byte. How long they are heard, what they may hold, who
 * has to go for others, and that sessions go on beside a thousand of them.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/hello.h"
#include "core/wire.h"
#include "event/clock.h"
#include "event/context.h"
#include "event/security.h"
#include "event/transport_tls.h"
#include "stranger.h"
#include "world.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define WEB "web 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
#define THOUSAND 1000
#define HANDSHAKE ((size_t)64 << 10) /* what one is counted with */
#define MIB ((size_t)1 << 20)

static struct world w;
static struct app app;
static struct braid_security *security;
static uint8_t flight[4096]; /* preamble and ClientHello of one who has the key */
static size_t flight_len;

/* What whoever has seen a subflow begin can say again. */
static void record_flight(void)
{
    struct braid_tls_scratch *scratch = calloc(1, sizeof *scratch);
    struct braid_credentials *credentials = braid_security_credentials(security);
    struct braid_preamble preamble = {
        .session = 42, .version = BRAID_VERSION, .security = BRAID_SECURITY_TLS};
    uint8_t bytes[BRAID_PREAMBLE_SIZE];
    struct braid_writer out = {bytes, sizeof bytes, false};
    struct braid_transport transport;
    ssize_t n;
    int fds[2];

    ck_assert_ptr_nonnull(scratch);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    braid_transport_plain(&transport, fds[0], false);
    braid_wire_write_preamble(&out, &preamble);
    ck_assert(braid_transport_tls_connect(&transport, scratch, credentials, bytes, sizeof bytes));
    n = recv(fds[1], flight, sizeof flight, 0);
    ck_assert_int_gt(n, BRAID_PREAMBLE_SIZE + 100);
    flight_len = (size_t)n;
    transport.ops->close(&transport);
    close(fds[1]);
    braid_credentials_unref(credentials);
    free(scratch);
}

static void setup(void)
{
    char why[512];

    world_open(&w);
    security = braid_security_new();
    ck_assert_ptr_nonnull(security);
    ck_assert_int_eq(braid_security_read_keys(security, WEB, strlen(WEB), "test", why, sizeof why),
                     1);
    braid_options_set_security(w.options, security);
    braid_listener_free(w.listener);
    w.listener = world_listen(&w);
    record_flight();
    app = (struct app){.key = 1, .peer_key = 2, .to_send = 1000000, .shut = true};
    w.script = (struct app){.key = 2, .peer_key = 1, .to_send = 1000000, .shut = true};
}

static void teardown(void)
{
    app_free(&app);
    stranger_wait_none(&w);
    world_close(&w);
    braid_security_free(security);
}

/* A stranger who says the first bytes of the flight. */
static int stall(size_t bytes)
{
    int fd = stranger_connect(&w, NULL);

    if (bytes > 0)
        ck_assert_int_eq(send(fd, flight, bytes, 0), (ssize_t)bytes);
    return fd;
}

static void go_on(int fd, size_t from)
{
    ck_assert_int_eq(send(fd, flight + from, flight_len - from, 0), (ssize_t)(flight_len - from));
}

/* So many hold what a handshake takes. */
static bool so_many_shake(void *arg)
{
    return w.remote->pendings.handshaking.count == *(const unsigned *)arg;
}

/* So many have come. */
static bool so_many_came(void *arg)
{
    return stranger_info(&w).half_open == *(const unsigned *)arg;
}

static bool app_over(void *arg)
{
    const struct app *a = arg;

    return a->closed || a->error;
}

static void check_whole(void)
{
    ck_assert(run_until(w.base, app_over, &app, PATIENCE));
    ck_assert(app.closed && !app.wrong && app.connected);
    ck_assert_uint_eq(app.received, w.script.to_send);
    ck_assert_uint_eq(w.apps[0].received, app.to_send);
    ck_assert(!w.apps[0].wrong);
}

/* ---- one ---- */

/* With less than the preamble, half of the first flight, all of it. */
START_TEST(given_up_in_time)
{
    const size_t lengths[] = {BRAID_PREAMBLE_SIZE - 1, flight_len / 2, flight_len};
    const unsigned one = 1;
    uint64_t start = braid_clock();
    int fd;

    ck_assert_int_eq(braid_group_set_hello_time(w.remote->group, 200), 0);
    fd = stall(lengths[_i]);
    if (lengths[_i] == flight_len) {
        ck_assert(run_until(w.base, so_many_shake, (void *)&one, PATIENCE));
        ck_assert_uint_ge(stranger_info(&w).half_open_memory, 16384);
    }
    ck_assert(run_until(w.base, stranger_is_closed, &fd, PATIENCE));
    ck_assert_uint_eq(w.remote->pendings.handshaking.count, 0);
    ck_assert_uint_ge(braid_clock() - start, 190000);
    ck_assert(was_logged(&w, "no whole greeting within 0.2 s"));
    ck_assert_uint_eq(stranger_info(&w).failures, 0); /* a path may have died */
    close(fd);
}
END_TEST

struct drip {
    int fd;
    size_t sent;
    uint64_t next;
};

/* A byte every other millisecond. */
static bool drip_until_closed(void *arg)
{
    struct drip *drip = arg;

    if (braid_clock() >= drip->next && drip->sent < flight_len) {
        drip->sent += send(drip->fd, flight + drip->sent, 1, MSG_NOSIGNAL) == 1;
        drip->next = braid_clock() + 2 * BRAID_MILLISECOND;
    }
    return stranger_is_closed(&drip->fd);
}

/* Saying something all the time is no reason to be heard longer. */
START_TEST(slowness_gains_nothing)
{
    struct drip drip = {.fd = stall(BRAID_PREAMBLE_SIZE), .sent = BRAID_PREAMBLE_SIZE};
    uint64_t start = braid_clock();

    ck_assert_int_eq(braid_group_set_hello_time(w.remote->group, 200), 0);
    ck_assert(run_until(w.base, drip_until_closed, &drip, PATIENCE));
    ck_assert_uint_ge(braid_clock() - start, 190000);
    ck_assert_uint_gt(drip.sent, BRAID_PREAMBLE_SIZE);
    ck_assert_uint_lt(drip.sent, flight_len);
    ck_assert(was_logged(&w, "no whole greeting within 0.2 s"));
    close(drip.fd);
}
END_TEST

/* What was recorded is answered, and changes nothing: no session, and none joined. */
START_TEST(a_replay_gets_nowhere)
{
    const unsigned one = 1;
    int fd;

    app_connect(&w, &app);
    check_whole();
    fd = stall(flight_len);
    ck_assert(run_until(w.base, so_many_shake, (void *)&one, PATIENCE));
    ck_assert(!stranger_is_closed(&fd));
    ck_assert_uint_eq(w.accepted, 1);
    close(fd);
}
END_TEST

/* Of a hello that is longer than any needs to be, nothing is collected. */
START_TEST(a_long_hello_is_not_heard)
{
    static const uint8_t begin[] = {22, 3, 1, 0x20, 0x01, 1, 0, 0x1f, 0xfd, 3, 3};
    int fd = stall(BRAID_PREAMBLE_SIZE);

    ck_assert_int_eq(send(fd, begin, sizeof begin, 0), sizeof begin);
    ck_assert(run_until(w.base, stranger_is_closed, &fd, PATIENCE));
    ck_assert(was_logged(&w, "one of over 8 KiB"));
    ck_assert_uint_eq(stranger_info(&w).failures, 1);
    close(fd);
}
END_TEST

/* ---- many ---- */

/* Handshakes hold all the memory there may be: those that began first go, and honest ones get in.
 */
START_TEST(the_first_make_room)
{
    const unsigned all = 8;
    size_t each;
    int fds[8];

    fds[0] = stall(flight_len);
    ck_assert(run_until(w.base, so_many_shake, (void *)&(unsigned){1}, PATIENCE));
    each = stranger_info(&w).half_open_memory;
    braid_guard_limits(braid_group_guard(w.remote->group))->half_open_memory = all * each + 4096;
    for (unsigned i = 1; i < all; i++)
        fds[i] = stall(flight_len);
    ck_assert(run_until(w.base, so_many_shake, (void *)&all, PATIENCE));
    app_connect(&w, &app);
    check_whole();
    ck_assert(stranger_is_closed(&fds[0]));
    ck_assert(!stranger_is_closed(&fds[all - 1]));
    ck_assert(was_logged(&w, "max-half-open-memory"));
    for (unsigned i = 0; i < all; i++)
        close(fds[i]);
}
END_TEST

/* Bytes that this process has in memory. */
static size_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Each has two descriptors here. */
static bool allow_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_max < 2 * THOUSAND + 200)
        return false;
    files.rlim_cur = files.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &files) == 0;
}

static bool has_begun(void *arg)
{
    return ((struct app *)arg)->received > 0;
}

/* All that came begin a handshake, or so many that there is no memory for one more. */
static bool all_shake(void *arg)
{
    const size_t most = braid_guard_limits(braid_group_guard(w.remote->group))->half_open_memory;

    return w.remote->pendings.handshaking.count == *(const unsigned *)arg ||
           (w.remote->pendings.greeting.count == 0 &&
            stranger_info(&w).half_open_memory + 2 * HANDSHAKE > most);
}

/* A thousand come to a session that has just begun; returns how much memory they take. */
static size_t a_thousand_come(int *fds, size_t length)
{
    unsigned count = 0;
    size_t before, after;

    app.to_send = w.script.to_send = 64 * MIB;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, has_begun, &app, PATIENCE));
    before = resident();
    while (count < THOUSAND) {
        for (unsigned i = 0; i < 100; i++)
            fds[count++] = stall(length);
        ck_assert(
            run_until(w.base, length == flight_len ? all_shake : so_many_came, &count, PATIENCE));
    }
    check_whole(); /* and by then, all that has come was read */
    after = resident();
    return after > before ? after - before : 0;
}

/* With half of a first flight, or all of it: what they may hold in memory. */
START_TEST(a_thousand)
{
    const bool half = _i == 0;
    const unsigned some = 300;
    size_t length = half ? flight_len / 2 : flight_len, grown;
    int *fds;

    if (!allow_files())
        return;
    fds = calloc(THOUSAND, sizeof *fds);
    ck_assert_ptr_nonnull(fds);
    ck_assert_int_eq(braid_group_set_hello_time(w.remote->group, 60000), 0);
    grown = a_thousand_come(fds, length);
    if (!SANITIZED)
        ck_assert_msg(grown <= 64 * MIB, "%zu KiB more", grown / 1024);
    ck_assert_uint_le(stranger_info(&w).half_open_memory, half ? 2 * MIB : 32 * MIB);
    if (half) {
        ck_assert_uint_eq(stranger_info(&w).half_open, THOUSAND);
        ck_assert_uint_eq(w.remote->pendings.handshaking.count, 0);
        for (unsigned i = 0; i < some; i++)
            go_on(fds[i], length);
        ck_assert(run_until(w.base, so_many_shake, (void *)&some, PATIENCE));
    }
    for (unsigned i = 0; i < THOUSAND; i++)
        close(fds[i]);
    free(fds);
}
END_TEST

/* What comes byte by byte is heard when all of it is there. */
START_TEST(a_hello_in_pieces_is_heard)
{
    const unsigned one = 1;
    int fd = stall(0);

    for (size_t i = 0; i < flight_len; i++) {
        ck_assert_int_eq(send(fd, flight + i, 1, 0), 1);
        event_base_loop(w.base, EVLOOP_NONBLOCK);
        if (i + 1 < flight_len)
            ck_assert_uint_eq(w.remote->pendings.handshaking.count, 0);
    }
    ck_assert(run_until(w.base, so_many_shake, (void *)&one, PATIENCE));
    ck_assert(!stranger_is_closed(&fd));
    close(fd);
}
END_TEST

/* Who ends in the middle is gone at once, and has cost nothing. */
START_TEST(an_end_in_the_middle_is_seen)
{
    const unsigned none = 0;
    int fd = stall(flight_len / 2);

    ck_assert(run_until(w.base, so_many_came, (void *)&(unsigned){1}, PATIENCE));
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    ck_assert(run_until(w.base, so_many_came, (void *)&none, PATIENCE));
    ck_assert(was_logged(&w, "it ended before its ClientHello was whole"));
    ck_assert_uint_eq(stranger_info(&w).failures, 0);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stallers");
    TCase *cases = tcase_create("stallers");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, TEST_TIMEOUT);
    tcase_add_loop_test(cases, given_up_in_time, 0, 3);
    tcase_add_test(cases, slowness_gains_nothing);
    tcase_add_test(cases, a_replay_gets_nowhere);
    tcase_add_test(cases, a_long_hello_is_not_heard);
    tcase_add_test(cases, a_hello_in_pieces_is_heard);
    tcase_add_test(cases, an_end_in_the_middle_is_seen);
    tcase_add_test(cases, the_first_make_room);
    tcase_add_loop_test(cases, a_thousand, 0, 2);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
