/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event/clock.h"
#include "event/context.h"

/* ---- the loop ---- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

bool run_until(struct event_base *base, condition holds, void *arg, double seconds)
{
    const struct timeval tick = {.tv_usec = 5000};
    struct event *timer = event_new(base, -1, EV_PERSIST, on_tick, NULL);
    uint64_t end = braid_clock() + (uint64_t)(seconds * 1e6);
    bool held;

    ck_assert_ptr_nonnull(timer);
    event_add(timer, &tick);
    while (!(held = holds(arg)) && braid_clock() < end)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(timer);
    return held;
}

double allow(double seconds)
{
    double load = 0;

    (void)getloadavg(&load, 1);
    return seconds * (1 + load / (double)sysconf(_SC_NPROCESSORS_ONLN));
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

void run_for(struct event_base *base, double seconds)
{
    run_until(base, never, NULL, seconds);
}

/* ---- applications ---- */

static uint8_t byte_at(uint8_t key, uint64_t offset)
{
    return (uint8_t)(((offset * 2654435761u) >> 13) ^ key);
}

static void note_after_free(struct app *app)
{
    if (app->freed)
        app->calls_after_free++;
}

static void maybe_free(struct app *app, unsigned kind)
{
    if (app->free_in == kind && app->sent + app->received >= app->free_after)
        app_free(app);
}

void app_read(struct app *app)
{
    struct iovec v[8];
    int n;

    while (!app->freed && (n = braid_stream_peek(app->stream, v, 8)) > 0) {
        size_t total = 0;

        for (int i = 0; i < n; i++) {
            const uint8_t *bytes = v[i].iov_base;

            for (size_t k = 0; k < v[i].iov_len; k++)
                app->wrong |= bytes[k] != byte_at(app->peer_key, app->received + total + k);
            total += v[i].iov_len;
        }
        app->received += total;
        braid_stream_drain(app->stream, total);
    }
}

void app_send(struct app *app)
{
    struct iovec v[8];
    int n;

    while (!app->freed && app->sent < app->to_send &&
           (n = braid_stream_reserve(app->stream, v, 8)) > 0) {
        uint64_t left = app->to_send - app->sent;
        size_t total = 0;

        for (int i = 0; i < n && left > 0; i++) {
            size_t len = v[i].iov_len < left ? v[i].iov_len : (size_t)left;

            for (size_t k = 0; k < len; k++)
                ((uint8_t *)v[i].iov_base)[k] = byte_at(app->key, app->sent + total + k);
            total += len;
            left -= len;
        }
        app->sent += total;
        braid_stream_commit(app->stream, total);
    }
    if (!app->freed && app->shut && !app->did_shut && app->sent == app->to_send) {
        app->did_shut = true;
        braid_stream_shutdown(app->stream, EV_WRITE);
    }
}

void app_free(struct app *app)
{
    if (app->stream == NULL || app->freed)
        return;
    app->freed = true;
    braid_stream_free(app->stream);
}

static void on_readable(struct braid_stream *stream, void *arg)
{
    struct app *app = arg;

    note_after_free(app);
    ck_assert_ptr_eq(stream, app->stream);
    if (!app->paused)
        app_read(app);
    maybe_free(app, FREE_IN_READ);
}

static void on_writable(struct braid_stream *stream, void *arg)
{
    struct app *app = arg;

    note_after_free(app);
    ck_assert_ptr_eq(stream, app->stream);
    app_send(app);
    maybe_free(app, FREE_IN_WRITE);
}

static void on_event(struct braid_stream *stream, unsigned events, void *arg)
{
    struct app *app = arg;

    note_after_free(app);
    ck_assert_ptr_eq(stream, app->stream);
    if (events & BRAID_EVENT_CONNECTED)
        app->connected = true;
    if (events & BRAID_EVENT_EOF)
        app->eof = true;
    if (events & (BRAID_EVENT_CLOSED | BRAID_EVENT_ERROR)) {
        app->closed |= (events & BRAID_EVENT_CLOSED) != 0;
        app->error |= (events & BRAID_EVENT_ERROR) != 0;
        app->reason = braid_stream_get_error(stream);
    }
    maybe_free(app, FREE_IN_EVENT);
}

static void on_stream(struct braid_listener *listener, struct braid_stream *stream, void *arg)
{
    struct world *w = arg;
    struct app *app = &w->apps[w->accepted];

    (void)listener;
    ck_assert_uint_lt(w->accepted, APPS_MAX);
    w->accepted++;
    *app = w->script;
    app->stream = stream;
    braid_stream_setcb(stream, on_readable, on_writable, on_event, app);
    if (w->answer >= 0)
        braid_stream_answer(stream, w->answer);
    app_send(app);
}

void app_start(struct app *app)
{
    braid_stream_setcb(app->stream, on_readable, on_writable, on_event, app);
    app_send(app);
}

struct braid_path *world_path(struct world *w, const struct braid_address *remote)
{
    char name[16];
    struct braid_path *path;

    ck_assert_uint_lt(w->path_count, PATHS_MAX);
    snprintf(name, sizeof name, "p%u", w->path_count);
    path = braid_path_new(name);
    ck_assert_ptr_nonnull(path);
    if (remote != NULL)
        ck_assert_int_eq(braid_path_add_remote(path, remote), 0);
    w->paths[w->path_count++] = path;
    return path;
}

void app_connect_paths(struct world *w, struct app *app, struct braid_path *const *paths, size_t n)
{
    app->stream = braid_stream_connect(w->local, w->options, paths, n);
    ck_assert_ptr_nonnull(app->stream);
    app_start(app);
}

void app_connect_via(struct world *w, struct app *app, const struct braid_address *const *via,
                     size_t n)
{
    struct braid_path *paths[16];

    for (size_t i = 0; i < n; i++)
        paths[i] = world_path(w, via[i]);
    app_connect_paths(w, app, paths, n);
}

void app_connect(struct world *w, struct app *app)
{
    const struct braid_address *via = w->address;

    app_connect_via(w, app, &via, 1);
}

/* ---- the world ---- */

static void on_log(enum braid_severity severity, const char *message, void *arg)
{
    struct world *w = arg;

    (void)severity;
    w->lines++;
    snprintf(w->last_line, sizeof w->last_line, "%s", message);
    if (strlen(message) + 2 <= sizeof w->log - w->log_fill)
        w->log_fill += (size_t)sprintf(w->log + w->log_fill, "%s\n", message);
    if (getenv("BRAID_TEST_LOG") != NULL)
        fprintf(stderr, "log: %s\n", message);
}

void log_forget(struct world *w)
{
    w->log_fill = 0;
    w->log[0] = '\0';
}

bool was_logged(const struct world *w, const char *words)
{
    return strstr(w->log, words) != NULL;
}

struct logged {
    const struct world *world;
    const char *words;
};

static bool is_logged(void *arg)
{
    const struct logged *logged = arg;

    return was_logged(logged->world, logged->words);
}

bool run_until_logged(struct world *w, const char *words)
{
    struct logged logged = {w, words};

    return run_until(w->base, is_logged, &logged, PATIENCE);
}

struct braid_address *address_of(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct braid_address *address;
    char text[128];

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    address =
        braid_address_new(braid_sockaddr_text((struct sockaddr *)&sa, text, sizeof text), NULL);
    ck_assert_ptr_nonnull(address);
    return address;
}

struct braid_listener *world_listen(struct world *w)
{
    struct braid_listener *listener =
        braid_listener_new(w->remote, w->options, w->listen_fd, on_stream, w);

    ck_assert_ptr_nonnull(listener);
    return listener;
}

void world_open(struct world *w)
{
    struct braid_address *any = braid_address_new("127.0.0.1:0", NULL);

    memset(w, 0, sizeof *w);
    ck_assert_ptr_nonnull(any);
    w->base = event_base_new();
    w->local = braid_context_new(w->base, NULL);
    w->remote = braid_context_new(w->base, NULL);
    w->options = braid_options_new();
    w->listen_fd = braid_address_listen(any, 1024);
    braid_address_free(any);
    ck_assert(w->base != NULL && w->local != NULL && w->remote != NULL && w->options != NULL);
    ck_assert_int_ge(w->listen_fd, 0);
    w->address = address_of(w->listen_fd);
    braid_context_set_log_cb(w->local, on_log, w);
    braid_context_set_log_cb(w->remote, on_log, w);
    w->listener = world_listen(w);
}

size_t memory_in_use(const struct braid_context *context)
{
    return braid_pool_used(context->pool);
}

void limit_memory(struct braid_context *context, uint64_t n)
{
    braid_pool_fail_after(context->pool, n);
}

static bool sessions_gone(void *arg)
{
    const struct world *w = arg;

    return LIST_EMPTY(&w->local->sessions) && LIST_EMPTY(&w->remote->sessions) &&
           w->local->lingers.waiting.count == 0 && w->remote->lingers.waiting.count == 0 &&
           w->remote->refused.waiting.count == 0;
}

void world_close_begin(struct world *w)
{
    for (unsigned i = 0; i < w->accepted; i++) {
        app_free(&w->apps[i]);
        ck_assert_uint_eq(w->apps[i].calls_after_free, 0);
    }
    ck_assert_msg(run_until(w->base, sessions_gone, w, PATIENCE),
                  "sessions or sockets are left over");
}

void world_close(struct world *w)
{
    world_close_begin(w);
    braid_listener_free(w->listener);
    braid_receive_clear(&w->local->receive);
    braid_receive_clear(&w->remote->receive);
    braid_pendings_clear(&w->remote->pendings);
    ck_assert_uint_eq(memory_in_use(w->local), 0);
    ck_assert_uint_eq(memory_in_use(w->remote), 0);
    braid_context_free(w->local);
    braid_context_free(w->remote);
    for (unsigned i = 0; i < w->path_count; i++)
        braid_path_free(w->paths[i]);
    braid_address_free(w->address);
    braid_options_free(w->options);
    if (w->listen_fd >= 0)
        close(w->listen_fd);
    event_base_free(w->base);
}

int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
