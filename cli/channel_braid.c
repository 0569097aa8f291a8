/* SPDX-License-Identifier: MIT */
/* A channel on a session of libbraid's, which is what a channel is modelled on. */
#include "cli/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <event2/event.h>

#include <braid/path.h>
#include <braid/stream.h>

struct channel_braid {
    struct channel channel;
    struct braid_stream *stream;
    struct braid_path *const *paths; /* on which it is to connect; the caller's */
    size_t path_count;
    bool reached; /* the other end */
    bool sent;    /* something, or the word that it was all */
    char why[256];
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
    struct channel_braid *self = (struct channel_braid *)channel;

    self->sent |= n > 0;
    braid_stream_commit(self->stream, n);
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
    struct channel_braid *self = (struct channel_braid *)channel;

    self->sent = true;
    braid_stream_shutdown(self->stream, EV_WRITE);
}

static void release(struct channel *channel)
{
    braid_stream_free(stream_of(channel));
    free(channel);
}

static bool reached(const struct channel *channel)
{
    return ((const struct channel_braid *)channel)->reached;
}

/* What is wrong with the paths that do not work, one after the other. Whether there are any. */
static bool describe_paths(struct channel_braid *channel)
{
    size_t len = 0;

    for (size_t i = 0; i < channel->path_count && len < sizeof(channel->why); i++) {
        struct braid_path_info info;

        braid_path_get_info(channel->paths[i], &info);
        if (info.error != BRAID_OK) {
            len += (size_t)snprintf(channel->why + len, sizeof(channel->why) - len, "%s%s: %s",
                                    len > 0 ? "; " : "", braid_path_get_name(channel->paths[i]),
                                    info.reason);
        }
    }
    return len > 0;
}

static const char *error_text(struct channel *channel)
{
    struct channel_braid *self = (struct channel_braid *)channel;
    int error = braid_stream_get_error(self->stream);

    if (error == BRAID_ERR_TRUNCATED) {
        return self->sent ? "the other end did not take all of it"
                          : "bytes are missing, or the other end did not say that this was all "
                            "(--bare-end does without)";
    }
    if (!self->reached && describe_paths(self)) {
        return self->why;
    }
    return !self->reached && error == BRAID_ERR_TIMEOUT
               ? "the other end does not answer: is it a braid server, and has it the same key?"
               : braid_strerror(error);
}

static const struct channel_ops ops = {
    .reserve = reserve,
    .commit = commit,
    .peek = peek,
    .drain = drain,
    .shutdown = finish,
    .free = release,
    .reached = reached,
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
    ((struct channel_braid *)arg)->reached = true;
    tell(arg, CHANNEL_READABLE);
}

static void callback_writable(struct braid_stream *stream, void *arg)
{
    (void)stream;
    tell(arg, CHANNEL_WRITABLE);
}

static void callback_event(struct braid_stream *stream, unsigned events, void *arg)
{
    struct channel_braid *channel = arg;
    unsigned told = 0;

    (void)stream;
    channel->reached |= (events & (BRAID_EVENT_CONNECTED | BRAID_EVENT_EOF)) != 0;
    told |= (events & BRAID_EVENT_CONNECTED) != 0 ? CHANNEL_WRITABLE : 0u;
    told |= (events & BRAID_EVENT_EOF) != 0 ? CHANNEL_EOF : 0u;
    told |= (events & BRAID_EVENT_CLOSED) != 0 ? CHANNEL_CLOSED : 0u;
    told |= (events & BRAID_EVENT_ERROR) != 0 ? CHANNEL_BROKEN : 0u;
    tell(&channel->channel, told);
}

struct channel *channel_braid_new(struct braid_stream *stream, struct braid_path *const *paths,
                                  size_t count)
{
    struct channel_braid *channel = calloc(1, sizeof(*channel));

    if (channel == NULL) {
        braid_stream_free(stream);
        return NULL;
    }
    channel->channel.ops = &ops;
    channel->stream = stream;
    channel->paths = paths;
    channel->path_count = count;
    channel->reached = count == 0; /* it has come from there */
    braid_stream_setcb(stream, callback_readable, callback_writable, callback_event, channel);
    return &channel->channel;
}
