/* SPDX-License-Identifier: MIT */
/*
 * Whole sessions through the driver while memory runs out: every allocation of the process fails in
 * turn, the system's libraries' own included, alone or with all after it. Whatever that brings
 * about, nothing is left behind, and both ends come to an end.
 *
 * malloc() and the like of this program are the ones below; a build with AddressSanitizer has its
 * own, and the test is left out.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <event2/event.h>

#include <braid/braid.h>

#include "event/clock.h"

#if defined(__SANITIZE_ADDRESS__)
#define OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

#if OWN_MALLOC

/* ---- memory ---- */

/* For libraries to find them here. */
#define REPLACES __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

static long live;               /* blocks */
static unsigned long countdown; /* 0: nothing fails */
static unsigned long failing;   /* how many fail then */
static unsigned long failed;

static bool is_denied(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    failed++;
    if (--failing > 0)
        countdown = 1;
    errno = ENOMEM;
    return true;
}

static void *count(void *memory)
{
    if (memory != NULL)
        live++;
    return memory;
}

REPLACES void *malloc(size_t size)
{
    return is_denied() ? NULL : count(__libc_malloc(size));
}

REPLACES void *calloc(size_t n, size_t size)
{
    return is_denied() ? NULL : count(__libc_calloc(n, size));
}

REPLACES void *realloc(void *memory, size_t size)
{
    if (memory == NULL)
        return malloc(size);
    return is_denied() ? NULL : __libc_realloc(memory, size);
}

REPLACES void free(void *memory)
{
    if (memory != NULL)
        live--;
    __libc_free(memory);
}

/* ---- a session ---- */

#define BYTES 200000u
#define SECONDS 20

struct end {
    struct braid_stream *stream;
    size_t sent, received;
    bool over;
};

struct scene {
    struct event_base *base;
    struct braid_context *local, *remote;
    struct braid_options *options;
    struct braid_path *path;
    struct braid_address *address;
    struct braid_listener *listener;
    struct end client, server;
};

static void on_readable(struct braid_stream *stream, void *arg)
{
    struct end *end = arg;
    struct iovec v[8];
    int n;

    while ((n = braid_stream_peek(stream, v, 8)) > 0) {
        size_t total = 0;

        for (int i = 0; i < n; i++)
            total += v[i].iov_len;
        end->received += total;
        braid_stream_drain(stream, total);
    }
}

static void on_writable(struct braid_stream *stream, void *arg)
{
    struct end *end = arg;
    struct iovec v[8];
    int n;

    while (end->sent < BYTES && (n = braid_stream_reserve(stream, v, 8)) > 0) {
        size_t total = 0;

        for (int i = 0; i < n; i++)
            total += v[i].iov_len;
        if (total > BYTES - end->sent)
            total = BYTES - end->sent;
        end->sent += total;
        braid_stream_commit(stream, total);
        if (end->sent == BYTES)
            braid_stream_shutdown(stream, EV_WRITE);
    }
}

static void on_event(struct braid_stream *stream, unsigned events, void *arg)
{
    struct end *end = arg;

    (void)stream;
    if ((events & (BRAID_EVENT_CLOSED | BRAID_EVENT_ERROR)) != 0)
        end->over = true;
}

static void on_stream(struct braid_listener *listener, struct braid_stream *stream, void *arg)
{
    struct scene *scene = arg;

    (void)listener;
    if (scene->server.stream != NULL) { /* the first one was lost on the way */
        braid_stream_free(stream);
        return;
    }
    scene->server.stream = stream;
    braid_stream_setcb(stream, on_readable, on_writable, on_event, &scene->server);
    braid_stream_answer(stream, BRAID_OK);
    on_writable(stream, &scene->server);
}

/* Each step may find no memory. */
static bool open_scene(struct scene *scene, int listen_fd, const char *address)
{
    scene->local = braid_context_new(scene->base, NULL);
    scene->remote = braid_context_new(scene->base, NULL);
    scene->options = braid_options_new();
    scene->path = braid_path_new("p");
    scene->address = braid_address_new(address, NULL);
    if (scene->local == NULL || scene->remote == NULL || scene->options == NULL ||
        scene->path == NULL || scene->address == NULL ||
        braid_options_set_subflows(scene->options, 2) != 0 ||
        braid_options_set_grace(scene->options, 100) != 0 ||
        braid_path_add_remote(scene->path, scene->address) != 0)
        return false;
    scene->listener =
        braid_listener_new(scene->remote, scene->options, listen_fd, on_stream, scene);
    if (scene->listener == NULL)
        return false;
    scene->client.stream = braid_stream_connect(scene->local, scene->options, &scene->path, 1);
    if (scene->client.stream == NULL)
        return false;
    braid_stream_setcb(scene->client.stream, on_readable, on_writable, on_event, &scene->client);
    on_writable(scene->client.stream, &scene->client);
    return true;
}

static void close_scene(struct scene *scene)
{
    if (scene->client.stream != NULL)
        braid_stream_free(scene->client.stream);
    if (scene->server.stream != NULL)
        braid_stream_free(scene->server.stream);
    braid_context_free(scene->local);
    braid_context_free(scene->remote);
    braid_options_free(scene->options);
    braid_path_free(scene->path);
    braid_address_free(scene->address);
}

static bool is_over(const struct scene *scene)
{
    return scene->client.over && (scene->server.stream == NULL || scene->server.over);
}

struct outcome {
    bool hung;   /* no end was come to in time */
    bool whole;  /* all bytes came, both ways */
    long leaked; /* blocks */
};

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

/* The n-th allocation fails, and so do as many in all. n: 0, none. */
static struct outcome run(unsigned long n, unsigned long fail, int listen_fd, const char *address)
{
    const struct timeval tick = {0, 50000};
    long before = live;
    struct outcome outcome = {.hung = false};
    struct scene scene = {.base = event_base_new()};
    struct event *ticker = event_new(scene.base, -1, EV_PERSIST, on_tick, NULL);
    uint64_t end = braid_clock() + SECONDS * BRAID_SECOND;

    event_add(ticker, &tick);
    failed = 0;
    failing = fail;
    countdown = n;
    if (open_scene(&scene, listen_fd, address)) {
        while (!is_over(&scene) && braid_clock() < end)
            (void)event_base_loop(scene.base, EVLOOP_ONCE);
        outcome.hung = !is_over(&scene);
    }
    countdown = 0;
    outcome.whole = scene.client.received == BYTES && scene.server.received == BYTES;
    close_scene(&scene);
    (void)event_base_loop(scene.base, EVLOOP_NONBLOCK);
    event_free(ticker);
    event_base_free(scene.base);
    outcome.leaked = live - before;
    return outcome;
}

/* ---- the tests ---- */

static int listen_fd;
static char address[64];

static void setup(void)
{
    struct braid_address *any = braid_address_new("127.0.0.1:0", NULL);
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct outcome outcome;

    ck_assert_ptr_nonnull(any);
    listen_fd = braid_address_listen(any, 64);
    ck_assert_int_ge(listen_fd, 0);
    ck_assert_int_eq(getsockname(listen_fd, (struct sockaddr *)&sa, &len), 0);
    braid_sockaddr_text((struct sockaddr *)&sa, address, sizeof address);
    braid_address_free(any);
    outcome = run(0, 0, listen_fd, address); /* what is made once and kept is there from now on */
    ck_assert(outcome.whole && !outcome.hung);
    outcome = run(0, 0, listen_fd, address);
    ck_assert(outcome.whole && !outcome.hung);
    ck_assert_int_eq(outcome.leaked, 0);
}

static void teardown(void)
{
    close(listen_fd);
}

/* One, two, or several in a row. With many more, ends wait for each other's words that never come.
 */
static const unsigned long spans[] = {1, 2, 5};

START_TEST(every_allocation)
{
    unsigned long n = 0;

    do {
        struct outcome outcome = run(++n, spans[_i], listen_fd, address);

        ck_assert_msg(outcome.leaked == 0, "%ld blocks are left when number %lu fails",
                      outcome.leaked, n);
        ck_assert_msg(!outcome.hung, "no end when number %lu fails", n);
    } while (failed > 0);
    ck_assert_uint_gt(n, 50); /* or the test does not do what it says */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("allocation");
    TCase *cases = tcase_create("allocation");
    SRunner *runner;
    int failures;

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, every_allocation, 0, sizeof spans / sizeof spans[0]);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}

#else

#define SKIPPED 77

int main(void)
{
    puts("skipped: this build has a malloc() of its own");
    return SKIPPED;
}
#endif
