/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <stddef.h>

#include "clock.h"
#include "connector.h"
#include "context.h"
#include "path.h"
#include "session_io.h"

static struct braid_session_io *io_of(const struct braid_stream *stream)
{
    return (struct braid_session_io *)(void *)((char *)(void *)stream -
                                               offsetof(struct braid_session_io, stream));
}

/* ---- callbacks ---- */

bool braid_stream_is_due(const struct braid_stream *stream)
{
    if (stream->freed)
        return false;
    return (stream->readable && stream->readcb != NULL) ||
           (stream->writable && stream->writecb != NULL) ||
           (stream->events != 0 && stream->eventcb != NULL);
}

/* Tells those of the events that are due. */
static void tell(struct braid_stream *stream, unsigned which)
{
    unsigned events = stream->events & which;

    if (events == 0 || stream->freed || stream->eventcb == NULL)
        return;
    stream->events &= ~events;
    stream->eventcb(stream, events, stream->arg);
}

bool braid_stream_deliver(struct braid_stream *stream)
{
    if (!braid_stream_is_due(stream))
        return false;
    tell(stream, BRAID_EVENT_CONNECTED);
    if (stream->readable && !stream->freed && stream->readcb != NULL) {
        stream->readable = false;
        stream->readcb(stream, stream->arg);
    }
    if (stream->writable && !stream->freed && stream->writecb != NULL) {
        stream->writable = false;
        stream->writecb(stream, stream->arg);
    }
    tell(stream, BRAID_EVENT_EOF | BRAID_EVENT_CLOSED | BRAID_EVENT_ERROR);
    return true;
}

void braid_stream_setcb(struct braid_stream *stream, braid_stream_data_cb readcb,
                        braid_stream_data_cb writecb, braid_stream_event_cb eventcb, void *arg)
{
    struct braid_session_io *io = io_of(stream);
    struct iovec v;

    stream->readcb = readcb;
    stream->writecb = writecb;
    stream->eventcb = eventcb;
    stream->arg = arg;
    if (!io->closed && braid_session_peek(io->session, &v, 1) > 0)
        stream->readable = true;
    braid_session_io_touch(io, braid_clock());
}

/* ---- life ---- */

static bool paths_are_usable(struct braid_path *const *paths, size_t n,
                             const struct braid_options *options)
{
    if (n < 1 || n > BRAID_SLOTS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (paths[i]->remote_count == 0)
            return false;
    }
    return braid_connector_slots(paths, n, options->subflows) <= BRAID_SLOTS_MAX;
}

struct braid_stream *braid_stream_connect(struct braid_context *context,
                                          const struct braid_options *options,
                                          struct braid_path *const *paths, size_t n)
{
    struct braid_options copy;
    struct braid_session_io *io;
    uint64_t now = braid_clock();

    braid_options_copy(&copy, options);
    if (!paths_are_usable(paths, n, &copy))
        return NULL;
    io = braid_session_io_connect(context, &copy, paths, n, now);
    if (io == NULL)
        return NULL;
    braid_session_io_touch(io, now);
    return &io->stream;
}

void braid_stream_free(struct braid_stream *stream)
{
    struct braid_session_io *io;
    uint64_t now;

    if (stream == NULL)
        return;
    io = io_of(stream);
    now = braid_clock();
    stream->freed = true;
    if (!io->closed)
        braid_session_reset(io->session, BRAID_ERR_RESET, now);
    braid_session_io_touch(io, now);
}

void braid_stream_answer(struct braid_stream *stream, int error)
{
    struct braid_session_io *io = io_of(stream);
    uint64_t now = braid_clock();

    if (io->closed)
        return;
    braid_session_answer(io->session, error, now);
    braid_session_io_touch(io, now);
}

void braid_stream_shutdown(struct braid_stream *stream)
{
    struct braid_session_io *io = io_of(stream);
    uint64_t now = braid_clock();

    if (io->closed)
        return;
    braid_session_shutdown(io->session, now);
    braid_session_io_touch(io, now);
}

void braid_stream_reset(struct braid_stream *stream, int error)
{
    struct braid_session_io *io = io_of(stream);
    uint64_t now = braid_clock();

    if (io->closed)
        return;
    braid_session_reset(io->session, error, now);
    braid_session_io_touch(io, now);
}

int braid_stream_get_error(const struct braid_stream *stream)
{
    return io_of(stream)->error;
}

/* ---- bytes ---- */

int braid_stream_reserve(struct braid_stream *stream, struct iovec *v, int max)
{
    struct braid_session_io *io = io_of(stream);

    return io->closed ? 0 : braid_session_reserve(io->session, v, max);
}

void braid_stream_commit(struct braid_stream *stream, size_t n)
{
    struct braid_session_io *io = io_of(stream);
    uint64_t now = braid_clock();

    if (io->closed)
        return;
    braid_session_commit(io->session, n, now);
    if (n > 0)
        braid_session_io_touch(io, now);
}

int braid_stream_peek(struct braid_stream *stream, struct iovec *v, int max)
{
    struct braid_session_io *io = io_of(stream);

    return io->closed ? 0 : braid_session_peek(io->session, v, max);
}

void braid_stream_drain(struct braid_stream *stream, size_t n)
{
    struct braid_session_io *io = io_of(stream);
    uint64_t now = braid_clock();

    if (io->closed || n == 0)
        return;
    braid_session_drain(io->session, n, now);
    braid_session_io_touch(io, now);
}
