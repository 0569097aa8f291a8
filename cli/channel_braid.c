/* SPDX-License-Identifier: MIT */
/* A channel on a session of libbraid's, which is what a channel is modelled on. */
#include "cli/channel.h"

#include <stdlib.h>
#include <event2/event.h>

#include <braid/stream.h>

struct channel_braid {
    struct channel channel;
    struct braid_stream *stream;
};

static struct braid_stream *stream_of(const struct channel *channel)
{
    return ((const struct channel_braid *)channel)->stream;
}

static int reserve(struct channel *channel, struct iovec *v, int max)
{
    return braid_stream_reserve(stream_of(channel), v, max);
}

static void commit(struct channel *channel, size_t n)
{
    braid_stream_commit(stream_of(channel), n);
}

static int peek(struct channel *channel, struct iovec *v, int max)
{
    return braid_stream_peek(stream_of(channel), v, max);
}

static void drain(struct channel *channel, size_t n)
{
    braid_stream_drain(stream_of(channel), n);
}

static void finish(struct channel *channel)
{
    braid_stream_shutdown(stream_of(channel), EV_WRITE);
}

static void release(struct channel *channel)
{
    braid_stream_free(stream_of(channel));
    free(channel);
}

static const char *error_text(const struct channel *channel)
{
    int error = braid_stream_get_error(stream_of(channel));

    return error == BRAID_ERR_TRUNCATED ? "bytes are missing, or the other end did not say that "
                                          "this was all (--bare-end does without)"
                                        : braid_strerror(error);
}

static const struct channel_ops ops = {
    .reserve = reserve,
    .commit = commit,
    .peek = peek,
    .drain = drain,
    .shutdown = finish,
    .free = release,
    .error = error_text,
};

static void tell(struct channel *channel, unsigned events)
{
    if (events != 0 && channel->cb != NULL) {
        channel->cb(channel, events, channel->arg);
    }
}

static void callback_readable(struct braid_stream *stream, void *arg)
{
    (void)stream;
    tell(arg, CHANNEL_READABLE);
}

static void callback_writable(struct braid_stream *stream, void *arg)
{
    (void)stream;
    tell(arg, CHANNEL_WRITABLE);
}

static void callback_event(struct braid_stream *stream, unsigned events, void *arg)
{
    unsigned told = 0;

    (void)stream;
    told |= (events & BRAID_EVENT_CONNECTED) != 0 ? CHANNEL_WRITABLE : 0u;
    told |= (events & BRAID_EVENT_EOF) != 0 ? CHANNEL_EOF : 0u;
    told |= (events & BRAID_EVENT_CLOSED) != 0 ? CHANNEL_CLOSED : 0u;
    told |= (events & BRAID_EVENT_ERROR) != 0 ? CHANNEL_BROKEN : 0u;
    tell(arg, told);
}

struct channel *channel_braid_new(struct braid_stream *stream)
{
    struct channel_braid *channel = calloc(1, sizeof(*channel));

    if (channel == NULL) {
        braid_stream_free(stream);
        return NULL;
    }
    channel->channel.ops = &ops;
    channel->stream = stream;
    braid_stream_setcb(stream, callback_readable, callback_writable, callback_event, channel);
    return &channel->channel;
}
