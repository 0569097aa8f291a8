/* SPDX-License-Identifier: MIT */
/*
 * A reliable byte stream to the other end, whatever carries it: a session of libbraid's, or one TCP
 * connection. As with a braid_stream, memory is lent for both directions, and a callback that runs
 * from the loop only says what may be done.
 */
#ifndef BRAID_CLI_CHANNEL_H
#define BRAID_CLI_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct braid_path;
struct braid_stream;
struct channel;
struct event_base;

enum channel_event {
    CHANNEL_READABLE = 1, /* bytes can be peeked */
    CHANNEL_WRITABLE = 2, /* bytes can be reserved again after there was no room */
    CHANNEL_EOF = 4,      /* the other end has finished, and all it sent was drained */
    CHANNEL_CLOSED = 8,   /* both ends have finished */
    CHANNEL_BROKEN = 16,  /* channel_error() says why */
};

/* events: a set of enum channel_event. The channel may be freed in it. */
typedef void (*channel_cb)(struct channel *channel, unsigned events, void *arg);

struct channel_ops {
    int (*reserve)(struct channel *channel, struct iovec *v, int max);
    void (*commit)(struct channel *channel, size_t n);
    int (*peek)(struct channel *channel, struct iovec *v, int max);
    void (*drain)(struct channel *channel, size_t n);
    void (*shutdown)(struct channel *channel);
    void (*free)(struct channel *channel);
    bool (*reached)(const struct channel *channel);
    const char *(*error)(struct channel *channel);
};

struct channel {
    const struct channel_ops *ops;
    channel_cb cb;
    void *arg;
};

/*
 * A channel on a stream, which it owns from now on; NULL: out of memory, the stream is freed.
 * paths: the caller's, for as long as the channel lives, where the stream is to connect on them.
 */
struct channel *channel_braid_new(struct braid_stream *stream, struct braid_path *const *paths,
                                  size_t count);

/* The same on a connected, non-blocking socket. */
struct channel *channel_tcp_new(struct event_base *base, int fd);

/* Who is told; what can be done already is told from the loop. */
static inline void channel_set_cb(struct channel *channel, channel_cb cb, void *arg)
{
    channel->cb = cb;
    channel->arg = arg;
}

/* Memory for outgoing bytes; returns the pieces. 0: no room, CHANNEL_WRITABLE follows. */
static inline int channel_reserve(struct channel *channel, struct iovec *v, int max)
{
    return channel->ops->reserve(channel, v, max);
}

/* Sends the first n bytes of it. */
static inline void channel_commit(struct channel *channel, size_t n)
{
    channel->ops->commit(channel, n);
}

/* Shows what arrived; returns the pieces. 0: none, CHANNEL_READABLE follows. */
static inline int channel_peek(struct channel *channel, struct iovec *v, int max)
{
    return channel->ops->peek(channel, v, max);
}

/* Takes n bytes of it off. */
static inline void channel_drain(struct channel *channel, size_t n)
{
    channel->ops->drain(channel, n);
}

/* No more bytes from here. */
static inline void channel_shutdown(struct channel *channel)
{
    channel->ops->shutdown(channel);
}

/* Ends it: before CHANNEL_CLOSED the other end sees it break. NULL is allowed. */
static inline void channel_free(struct channel *channel)
{
    if (channel != NULL) {
        channel->ops->free(channel);
    }
}

/* Whether the other end has ever been there. */
static inline bool channel_reached(const struct channel *channel)
{
    return channel->ops->reached(channel);
}

/* Why it broke, or could not be made; valid as long as the channel. */
static inline const char *channel_error(struct channel *channel)
{
    return channel->ops->error(channel);
}

#endif
