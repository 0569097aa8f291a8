/* SPDX-License-Identifier: MIT */
#include "session_io.h"

#include <string.h>

#include "clock.h"
#include "connector.h"
#include "context.h"
#include "past.h"
#include "random.h"
#include "security.h"
#include "subflow_io.h"

/* Callbacks and sending may go on bringing each other about; then others have their turn. */
#define ROUNDS 16

/* ---- life ---- */

static void on_wake(evutil_socket_t fd, short what, void *arg);

static struct braid_session_io *io_new(struct braid_context *context,
                                       const struct braid_session_config *config, uint64_t now)
{
    struct braid_session_io *io = braid_pool_alloc(context->pool, sizeof *io);

    if (io == NULL)
        return NULL;
    io->session = braid_session_new(context->pool, config, now);
    if (io->session == NULL) {
        braid_pool_release(context->pool, io, sizeof *io);
        return NULL;
    }
    io->context = context;
    io->armed = BRAID_NEVER;
    TAILQ_INIT(&io->subflows);
    STAILQ_INIT(&io->past);
    evtimer_assign(&io->wake, context->base, on_wake, io);
    LIST_INSERT_HEAD(&context->sessions, io, link);
    atomic_fetch_add_explicit(&context->session_count, 1, memory_order_relaxed);
    return io;
}

static void configure(struct braid_session_config *config, const struct braid_context *context,
                      const struct braid_options *options)
{
    config->instance = braid_group_instance(context->group);
    if (options->redundant)
        config->mode = BRAID_MODE_REDUNDANT; /* else as the peer wishes */
    config->max_subflows = options->max_subflows;
    config->grace = options->grace * BRAID_MILLISECOND;
    config->window = options->window;
    config->tls = options->security != NULL;
    config->bare_end = options->bare_end;
}

struct braid_session_io *braid_session_io_accept(struct braid_context *context,
                                                 const struct braid_options *options,
                                                 const struct braid_identity *peer,
                                                 const struct braid_hello *hello, uint64_t now)
{
    struct braid_session_config config = {.role = BRAID_REMOTE, .id = hello->session};
    struct braid_session_io *io;

    if (!braid_random(&config.seed, sizeof config.seed))
        return NULL;
    memcpy(config.token, hello->token, sizeof config.token);
    if ((hello->flags & BRAID_HELLO_REDUNDANT) != 0)
        config.mode = BRAID_MODE_REDUNDANT;
    configure(&config, context, options);
    if (hello->streams > 0) { /* as many as max_subflows, at the most */
        config.speaks_seed = true;
        config.streams = (unsigned)hello->streams;
        config.mode = BRAID_MODE_AGGREGATE;
    }
    io = io_new(context, &config, now);
    if (io != NULL)
        io->identity = *peer;
    return io;
}

/* Takes what its subflows are to show; false: there is nothing to be shown. */
static bool take_credentials(struct braid_session_io *io, struct braid_security *security)
{
    const struct braid_identity *peer;

    if (security == NULL)
        return true;
    io->credentials = braid_security_credentials(security);
    peer = braid_credentials_first(io->credentials);
    if (peer == NULL)
        return false;
    io->identity = *peer;
    return true;
}

struct braid_session_io *braid_session_io_connect(struct braid_context *context,
                                                  const struct braid_options *options,
                                                  struct braid_path *const *paths, size_t n,
                                                  uint64_t now)
{
    struct braid_session_config config = {.role = BRAID_LOCAL};
    struct {
        uint64_t id;
        uint64_t seed;
        uint8_t token[16];
    } random;
    struct braid_session_io *io;

    do {
        if (!braid_random(&random, sizeof random))
            return NULL;
    } while (random.id == 0);
    config.id = random.id;
    config.seed = random.seed;
    memcpy(config.token, random.token, sizeof config.token);
    configure(&config, context, options);
    config.speaks_seed = options->protocol == BRAID_PROTOCOL_SEED;
    config.first = braid_connector_first(paths, n);
    config.subflows = braid_connector_slots(paths, n, options->subflows);
    io = io_new(context, &config, now);
    if (io == NULL)
        return NULL;
    if (take_credentials(io, options->security))
        io->connector = braid_connector_new(io, paths, n, options->subflows, now);
    if (io->connector == NULL) {
        braid_session_io_abort(io);
        return NULL;
    }
    return io;
}

static void io_free(struct braid_session_io *io)
{
    struct braid_context *context = io->context;

    while (!TAILQ_EMPTY(&io->subflows))
        braid_subflow_io_drop(TAILQ_FIRST(&io->subflows));
    braid_past_clear(io);
    braid_connector_free(io->connector);
    event_del(&io->wake);
    braid_session_free(io->session);
    braid_guard_end_session(braid_group_guard(context->group), io->counted);
    braid_stream_clear(&io->stream);
    braid_credentials_unref(io->credentials);
    LIST_REMOVE(io, link);
    braid_pool_release(context->pool, io, sizeof *io);
    if (atomic_fetch_sub_explicit(&context->session_count, 1, memory_order_relaxed) == 1)
        braid_receive_clear(&context->receive); /* an idle context holds no buffers */
}

/* ---- actions ---- */

/* The session is over; what is left is to tell the application. */
static void closed(struct braid_session_io *io, int error, uint64_t now)
{
    io->closed = true;
    if (io->error == BRAID_OK)
        io->error = error;
    if (io->claim != NULL)
        braid_group_end(io->context->group, io->claim, error, now);
    io->claim = NULL;
    braid_connector_free(io->connector);
    io->connector = NULL;
    if (error == BRAID_OK) {
        io->stream.events |= BRAID_EVENT_CLOSED;
    } else {
        io->stream.readable = false;
        io->stream.writable = false;
        io->stream.room = false;
        io->stream.events |= BRAID_EVENT_ERROR;
    }
}

static void take_actions(struct braid_session_io *io, uint64_t now)
{
    struct braid_stream *stream = &io->stream;
    struct braid_action action;

    while (!io->closed && braid_session_next_action(io->session, &action)) {
        switch (action.type) {
        case BRAID_ACTION_NONE:
        case BRAID_ACTION_ESTABLISHED:
            break;
        case BRAID_ACTION_RESULT:
            if (action.error == BRAID_OK)
                stream->events |= BRAID_EVENT_CONNECTED;
            else
                io->error = action.error;
            break;
        case BRAID_ACTION_READABLE:
            braid_stream_readable(stream);
            break;
        case BRAID_ACTION_WRITABLE:
            braid_stream_writable(stream);
            break;
        case BRAID_ACTION_EOF:
            stream->events |= BRAID_EVENT_EOF;
            break;
        case BRAID_ACTION_DIAL:
            if (io->connector != NULL)
                braid_connector_update(io->connector, now);
            break;
        case BRAID_ACTION_CLOSE_SUBFLOW:
            braid_subflow_io_close(action.user, action.subflow, action.error);
            break;
        case BRAID_ACTION_CLOSED:
            closed(io, action.error, now);
            break;
        }
    }
}

/* ---- sending ---- */

/*
 * Writes for as long as sockets take it. One that has taken its fill is asked again, since what it
 * was given may be on its way already; else the loop would be gone through for every few frames.
 */
static void send_all(struct braid_session_io *io, uint64_t now)
{
    struct braid_subflow *next;
    struct braid_subflow_io *subflow;
    bool wrote;

    if (io->closed)
        return;
    do {
        wrote = false;
        TAILQ_FOREACH(subflow, &io->subflows, link)
            braid_subflow_io_refresh(subflow, now);
        while ((next = braid_session_next_sender(io->session, now)) != NULL) {
            braid_subflow_io_write(braid_subflow_user(next), now);
            wrote = true;
        }
    } while (wrote);
    TAILQ_FOREACH(subflow, &io->subflows, link)
        braid_subflow_io_watch(subflow);
}

/* ---- time ---- */

void braid_session_io_arm(struct braid_session_io *io, uint64_t now)
{
    uint64_t deadline = braid_session_deadline(io->session);
    uint64_t dial = BRAID_NEVER;
    struct timeval tv;

    if (io->connector != NULL)
        dial = braid_connector_deadline(io->connector, now);
    if (dial < deadline)
        deadline = dial;
    if (deadline >= io->armed) /* it is armed for that time or earlier */
        return;
    tv = braid_timeval(deadline > now ? deadline - now : 0);
    if (event_add(&io->wake, &tv) == 0)
        io->armed = deadline;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct braid_session_io *io = arg;
    struct braid_subflow_io *subflow;
    uint64_t now = braid_clock();

    (void)fd;
    (void)what;
    io->armed = BRAID_NEVER;
    braid_session_io_enter(io);
    if (!io->closed) {
        TAILQ_FOREACH(subflow, &io->subflows, link)
            braid_subflow_io_refresh(subflow, now); /* what it decides wants fresh samples */
        braid_session_on_time(io->session, now);
        if (io->connector != NULL)
            braid_connector_update(io->connector, now);
    }
    braid_session_io_leave(io, now);
}

/* ---- the pump ---- */

void braid_session_io_enter(struct braid_session_io *io)
{
    io->entered++;
}

void braid_session_io_wake(struct braid_session_io *io)
{
    event_active(&io->wake, EV_TIMEOUT, 0);
    io->armed = 0; /* running it takes the timer off */
}

/* Sees to the next time, or to the end. */
static void settle(struct braid_session_io *io, uint64_t now)
{
    if (io->closed && io->stream.freed) {
        io_free(io);
        return;
    }
    if (braid_stream_is_due(&io->stream)) {
        braid_session_io_wake(io);
    } else if (!io->closed) {
        braid_session_io_arm(io, now);
    }
}

void braid_session_io_leave(struct braid_session_io *io, uint64_t now)
{
    int round = 0;

    if (io->entered > 1) {
        io->entered--;
        return;
    }
    do {
        take_actions(io, now);
        while (round++ < ROUNDS && braid_stream_deliver(&io->stream)) {
            now = braid_clock();
            take_actions(io, now);
        }
        send_all(io, now);
        take_actions(io, now);
    } while (round < ROUNDS && braid_stream_is_due(&io->stream));
    io->entered--;
    braid_relief_check(io->context);
    settle(io, now);
}

void braid_session_io_postpone(struct braid_session_io *io)
{
    io->entered--;
    braid_session_io_wake(io);
}

void braid_session_io_touch(struct braid_session_io *io, uint64_t now)
{
    if (io->entered > 0)
        return; /* leave does it */
    io->entered++;
    take_actions(io, now);
    send_all(io, now);
    take_actions(io, now);
    io->entered--;
    braid_relief_check(io->context);
    settle(io, now);
}

void braid_session_io_abort(struct braid_session_io *io)
{
    uint64_t now = braid_clock();

    io->stream.freed = true;
    if (!io->closed) {
        braid_session_reset(io->session, BRAID_ERR_SHUTDOWN, now);
        take_actions(io, now);
        send_all(io, now);
        take_actions(io, now);
    }
    if (!io->closed)
        closed(io, BRAID_ERR_SHUTDOWN, now);
    io_free(io);
}

void braid_session_io_discard(struct braid_session_io *io, int error, uint64_t now)
{
    io->stream.freed = true;
    closed(io, error, now);
}
