/* SPDX-License-Identifier: MIT */
/*
 * Whole sessions through the driver while memory runs out: every allocation of the process fails in
 * turn, the system's libraries' own included, alone or with all after it, in clear and with a key.
 * Whatever that brings about, nothing is left behind, and both ends come to an end.
 *
 * malloc() and the like of this program are the ones below; a build with AddressSanitizer has its
 * own, and the test is left out.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <event2/event.h>
#include <openssl/crypto.h>

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
#define KEY "web 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"

/* Where sessions are made. */
struct place {
    int listen_fd;
    char address[64];
    bool keyed;
};

struct end {
    struct braid_stream *stream;
    size_t sent, received;
    bool over;
};

struct scene {
    struct event_base *base;
    struct braid_context *local, *remote;
    struct braid_options *options;
    struct braid_security *security; /* NULL: none */
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

static bool set_key(struct scene *scene)
{
    char why[256];

    scene->security = braid_security_new();
    if (scene->security == NULL ||
        braid_security_read_keys(scene->security, KEY, strlen(KEY), "test", why, sizeof why) != 1)
        return false;
    braid_options_set_security(scene->options, scene->security);
    return true;
}

/* Each step may find no memory. */
static bool open_scene(struct scene *scene, const struct place *place)
{
    scene->local = braid_context_new(scene->base, NULL);
    scene->remote = braid_context_new(scene->base, NULL);
    scene->options = braid_options_new();
    scene->path = braid_path_new("p");
    scene->address = braid_address_new(place->address, NULL);
    if (scene->local == NULL || scene->remote == NULL || scene->options == NULL ||
        scene->path == NULL || scene->address == NULL ||
        braid_options_set_subflows(scene->options, 2) != 0 ||
        braid_options_set_grace(scene->options, 100) != 0 ||
        braid_path_add_remote(scene->path, scene->address) != 0 ||
        (place->keyed && !set_key(scene)))
        return false;
    scene->listener =
        braid_listener_new(scene->remote, scene->options, place->listen_fd, on_stream, scene);
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
    braid_security_free(scene->security);
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
static struct outcome run(unsigned long n, unsigned long fail, const struct place *place)
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
    if (open_scene(&scene, place)) {
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
    OPENSSL_thread_stop(); /* with the thread's last errors */
    outcome.leaked = live - before;
    return outcome;
}

/* ---- the tests ---- */

static struct place place;

static void open_place(bool keyed)
{
    struct braid_address *any = braid_address_new("127.0.0.1:0", NULL);
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct outcome outcome;

    ck_assert_ptr_nonnull(any);
    place.keyed = keyed;
    place.listen_fd = braid_address_listen(any, 64);
    ck_assert_int_ge(place.listen_fd, 0);
    ck_assert_int_eq(getsockname(place.listen_fd, (struct sockaddr *)&sa, &len), 0);
    braid_sockaddr_text((struct sockaddr *)&sa, place.address, sizeof place.address);
    braid_address_free(any);
    outcome = run(0, 0, &place); /* what is made once and kept is there from now on */
    ck_assert(outcome.whole && !outcome.hung);
    outcome = run(0, 0, &place);
    ck_assert(outcome.whole && !outcome.hung);
    ck_assert_int_eq(outcome.leaked, 0);
}

/*
 * One fails, or two, or several in a row. With many more, ends wait for each other's words that
 * never come. A handshake has thousands of allocations: each eighth is enough for every day, and
 * BRAID_TEST_WHOLE is set for all.
 */
static const struct {
    bool keyed;
    unsigned long span, every;
} cases[] = {{false, 1, 1}, {false, 2, 1}, {false, 5, 1}, {true, 1, 8}};

/* Processes that share the work, since most of it is waiting: what failed is tried again later. */
#define HANDS 48u

/* What one of them does: from the first on, each so many-th fails. Returns its exit status. */
static int take_turns(int i, unsigned long first, unsigned long step)
{
    int result = 0;

    open_place(cases[i].keyed);
    for (unsigned long n = first;; n += step) {
        struct outcome outcome = run(n, cases[i].span, &place);

        if (outcome.leaked != 0 || outcome.hung) {
            fprintf(stderr, "number %lu fails: %ld blocks are left%s\n", n, outcome.leaked,
                    outcome.hung ? ", and no end" : "");
            result = 1;
        }
        if (failed == 0) {
            close(place.listen_fd);
            return n > (cases[i].keyed ? 1000 : 50) ? result
                                                    : 1; /* or it did not do what it says */
        }
    }
}

START_TEST(every_allocation)
{
    unsigned long every = getenv("BRAID_TEST_WHOLE") != NULL ? 1 : cases[_i].every;
    pid_t hands[HANDS];

    for (unsigned i = 0; i < HANDS; i++) {
        hands[i] = fork();
        ck_assert_int_ge(hands[i], 0);
        if (hands[i] == 0)
            _exit(take_turns(_i, 1 + i * every, HANDS * every));
    }
    for (unsigned i = 0; i < HANDS; i++) {
        int status = 0;

        ck_assert_int_eq(waitpid(hands[i], &status, 0), hands[i]);
        ck_assert_int_eq(status, 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("allocation");
    TCase *turns = tcase_create("allocation");
    SRunner *runner;
    int failures;

    tcase_set_timeout(turns, 300);
    tcase_add_loop_test(turns, every_allocation, 0, sizeof cases / sizeof cases[0]);
    suite_add_tcase(suite, turns);
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
