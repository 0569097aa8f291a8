/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <event2/event.h>

#include "clock.h"
#include "connector.h"
#include "context.h"
#include "path.h"
#include "session_io.h"

/* ---- callbacks ---- */

static bool read_is_due(const struct braid_stream *stream)
{
    return stream->readable && !stream->freed && stream->readcb != NULL &&
           (stream->disabled & EV_READ) == 0 && braid_stream_has_enough(stream);
}

static bool write_is_due(const struct braid_stream *stream)
{
    return stream->writable && !stream->freed && stream->writecb != NULL &&
           (stream->disabled & EV_WRITE) == 0 && braid_stream_output(stream) <= stream->write_low;
}

bool braid_stream_is_due(const struct braid_stream *stream)
{
    if (stream->freed)
        return false;
    return stream->room || read_is_due(stream) || write_is_due(stream) ||
           (stream->events != 0 && stream->eventcb != NULL);
}

/* Tells those of the events that are due. */
static void tell(struct braid_stream *stream, unsigned which)
{
    unsigned events = stream->events & which;

    if (events == 0 || stream->freed || stream->eventcb == NULL)
        return;
    stream->events &= ~events;
    stream->eventcb(stream, events, stream->event_arg);
}

bool braid_stream_deliver(struct braid_stream *stream)
{
    if (!braid_stream_is_due(stream))
        return false;
    if (stream->room)
        braid_stream_use_room(stream);
    tell(stream, BRAID_EVENT_CONNECTED);
    if (read_is_due(stream)) {
        stream->readable = false;
        braid_stream_fill_input(stream);
        stream->readcb(stream, stream->read_arg);
    }
    if (write_is_due(stream)) {
        stream->writable = false;
        stream->writecb(stream, stream->write_arg);
    }
    tell(stream, BRAID_EVENT_EOF | BRAID_EVENT_CLOSED | BRAID_EVENT_ERROR);
    return true;
}

/* Has the loop tell what is due to callbacks that are new or enabled again. */
static void retell(struct braid_stream *stream)
{
    struct braid_session_io *io = braid_session_io_of(stream);
    struct iovec v;

    if (!io->closed && braid_session_peek(io->session, &v, 1) > 0)
        stream->readable = true;
    braid_session_io_touch(io, braid_clock());
}

void braid_stream_setcb(struct braid_stream *stream, braid_stream_data_cb readcb,
                        braid_stream_data_cb writecb, braid_stream_event_cb eventcb, void *arg)
{
    stream->readcb = readcb;
    stream->writecb = writecb;
    stream->eventcb = eventcb;
    stream->read_arg = stream->write_arg = stream->event_arg = arg;
    retell(stream);
}

void braid_stream_set_read_cb(struct braid_stream *stream, braid_stream_data_cb cb, void *arg)
{
    stream->readcb = cb;
    stream->read_arg = arg;
    retell(stream);
}

void braid_stream_set_write_cb(struct braid_stream *stream, braid_stream_data_cb cb, void *arg)
{
    stream->writecb = cb;
    stream->write_arg = arg;
    retell(stream);
}

void braid_stream_enable(struct braid_stream *stream, short events)
{
    stream->disabled &= ~(unsigned)events;
    retell(stream);
}

void braid_stream_disable(struct braid_stream *stream, short events)
{
    stream->disabled |= (unsigned)events & (EV_READ | EV_WRITE);
}

/* ---- life ---- */

static bool paths_are_usable(struct braid_path *const *paths, size_t n,
                             const struct braid_options *options)
{
    if (n < 1 || n > BRAID_SLOTS_MAX || !braid_options_agree(options))
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
    io = NULL;
    if (paths_are_usable(paths, n, &copy))
        io = braid_session_io_connect(context, &copy, paths, n, now);
    braid_options_clear(&copy);
    if (io == NULL)
        return NULL;
    braid_session_io_touch(io, now);
    return &io->stream;
}

struct braid_stream *braid_stream_connect_addresses(struct braid_context *context,
                                                    const struct braid_options *options,
                                                    struct braid_address *const *addresses,
                                                    size_t n)
{
    struct braid_path *paths[BRAID_SLOTS_MAX] = {NULL};
    struct braid_stream *stream = NULL;
    size_t made = 0;

    if (n > BRAID_SLOTS_MAX)
        return NULL;
    for (; made < n; made++) {
        paths[made] = braid_path_new(braid_address_text(addresses[made]));
        if (paths[made] == NULL)
            break;
        if (braid_path_add_remote(paths[made], addresses[made]) != 0) {
            made++;
            break;
        }
    }
    if (made == n)
        stream = braid_stream_connect(context, options, paths, n);
    while (made > 0)
        braid_path_free(paths[--made]);
    return stream;
}

void braid_stream_free(struct braid_stream *stream)
{
    struct braid_session_io *io;
    uint64_t now;

    if (stream == NULL)
        return;
    io = braid_session_io_of(stream);
    now = braid_clock();
    stream->freed = true;
    if (!io->closed)
        braid_session_reset(io->session, BRAID_ERR_RESET, now);
    braid_session_io_touch(io, now);
}

void braid_stream_answer(struct braid_stream *stream, int error)
{
    struct braid_session_io *io = braid_session_io_of(stream);
    uint64_t now = braid_clock();

    if (io->closed)
        return;
    braid_session_answer(io->session, error, now);
    braid_session_io_touch(io, now);
}

void braid_stream_shutdown(struct braid_stream *stream, short how)
{
    struct braid_session_io *io = braid_session_io_of(stream);
    uint64_t now = braid_clock();

    if (io->closed)
        return;
    if ((how & EV_READ) != 0)
        braid_stream_discard(stream);
    if ((how & EV_WRITE) != 0) {
        stream->shut = true;
        if (braid_stream_output(stream) == 0)
            braid_session_shutdown(io->session, now);
    }
    braid_session_io_touch(io, now);
}

void braid_stream_reset(struct braid_stream *stream, int error)
{
    struct braid_session_io *io = braid_session_io_of(stream);
    uint64_t now = braid_clock();

    if (io->closed)
        return;
    braid_session_reset(io->session, error, now);
    braid_session_io_touch(io, now);
}

int braid_stream_get_error(const struct braid_stream *stream)
{
    return braid_session_io_of(stream)->error;
}

/* ---- bytes ---- */

int braid_stream_reserve(struct braid_stream *stream, struct iovec *v, int max)
{
    struct braid_session_io *io = braid_session_io_of(stream);

    if (io->closed || stream->shut || braid_stream_output(stream) > 0)
        return 0;
    return braid_session_reserve(io->session, v, max);
}

void braid_stream_commit(struct braid_stream *stream, size_t n)
{
    struct braid_session_io *io = braid_session_io_of(stream);
    uint64_t now = braid_clock();

    if (io->closed)
        return;
    braid_session_commit(io->session, n, now);
    if (n > 0)
        braid_session_io_touch(io, now);
}

int braid_stream_peek(struct braid_stream *stream, struct iovec *v, int max)
{
    struct braid_session_io *io = braid_session_io_of(stream);

    return io->closed ? 0 : braid_session_peek(io->session, v, max);
}

void braid_stream_drain(struct braid_stream *stream, size_t n)
{
    struct braid_session_io *io = braid_session_io_of(stream);
    uint64_t now = braid_clock();

    if (io->closed || n == 0)
        return;
    braid_session_drain(io->session, n, now);
    braid_session_io_touch(io, now);
}
