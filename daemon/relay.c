/* SPDX-License-Identifier: MIT */
/*
 * One edge-triggered event a socket, added once: readiness is remembered in can_read and can_write,
 * so that pausing a direction costs no epoll_ctl, and the event still tells about a reset while
 * reading is paused. The price is care: whoever stops while a flag is set must be sure to be called
 * again, either by the other side (callback_stream_*) or by relay_again().
 */
#include "daemon/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/sockopt.h"

/* What one stream may lend for one readv: up to 256 KiB. */
#define READ_PIECES 8
/* What is written at once; beyond some 256 KiB the system call's own cost no longer shows. */
#define WRITE_PIECES 64
/* After so many reads or writes in a row it is other sessions' turn. */
#define ROUNDS 4

struct relay {
    struct braid_stream *stream;
    struct event *event; /* of the socket */
    struct event *again; /* due at once: ROUNDS was reached with more to do */
    int fd;
    relay_connected_cb connected;
    relay_end_cb end;
    void *arg;
    bool can_read;     /* a read may find something; false: wait for the event */
    bool can_write;    /* the same for writes */
    bool fin_arrived;  /* an end of file is in the socket, perhaps behind bytes */
    bool socket_ended; /* it was read, and the stream's sending half is finished */
    bool stream_ended; /* the stream's receiving half is finished, and the socket's sending one */
    bool in_order;     /* all of both directions was relayed */
};

/* The last thing a relay does: it is gone when this returns. */
static void finish(struct relay *relay, int error)
{
    relay->in_order = error == BRAID_OK;
    braid_stream_setcb(relay->stream, NULL, NULL, NULL, NULL);
    relay->end(error, relay->arg);
}

/* The socket is broken: tell the other endpoint, at once, whatever else is still under way. */
static void fail(struct relay *relay, int socket_error)
{
    int error = BRAID_ERR_RESET;

    if (socket_error == ETIMEDOUT) {
        error = BRAID_ERR_TIMED_OUT;
    } else if (socket_error == EHOSTUNREACH || socket_error == ENETUNREACH) {
        error = BRAID_ERR_UNREACHABLE;
    }
    braid_stream_reset(relay->stream, error);
    finish(relay, error);
}

static void relay_again(struct relay *relay)
{
    static const struct timeval at_once = {0, 0};

    /* Not event_active(): that would run before any other socket is looked at. */
    event_add(relay->again, &at_once);
}

static size_t total(const struct iovec *v, int pieces)
{
    size_t bytes = 0;

    for (int i = 0; i < pieces; i++) {
        bytes += v[i].iov_len;
    }
    return bytes;
}

/* One read from the socket into the stream. Returns false when the relay is gone. */
static bool read_once(struct relay *relay, const struct iovec *v, int pieces)
{
    ssize_t n = readv(relay->fd, v, pieces);

    if (n > 0) {
        braid_stream_commit(relay->stream, (size_t)n);
        /* Less than asked for: the socket is empty, and whatever comes now makes a new edge. Only
         * an end of file that was announced already would not. */
        if ((size_t)n < total(v, pieces) && !relay->fin_arrived) {
            relay->can_read = false;
        }
        return true;
    }
    braid_stream_commit(relay->stream, 0);
    if (n == 0) {
        relay->socket_ended = true;
        braid_stream_shutdown(relay->stream, EV_WRITE);
        return true;
    }
    if (errno == EAGAIN) {
        relay->can_read = false;
    } else if (errno != EINTR) {
        fail(relay, errno);
        return false;
    }
    return true;
}

/* From the socket to the stream. Returns false when the relay is gone. */
static bool pump_in(struct relay *relay)
{
    struct iovec v[READ_PIECES];

    for (int round = 0; relay->can_read && !relay->socket_ended; round++) {
        int pieces;

        if (round == ROUNDS) {
            relay_again(relay);
            break;
        }
        pieces = braid_stream_reserve(relay->stream, v, READ_PIECES);
        if (pieces <= 0) {
            break; /* callback_stream_writable goes on */
        }
        if (!read_once(relay, v, pieces)) {
            return false;
        }
    }
    return true;
}

/* One write to the socket from the stream. Returns false when the relay is gone. */
static bool write_once(struct relay *relay, struct iovec *v, int pieces)
{
    ssize_t n = writev(relay->fd, v, pieces);

    if (n >= 0) {
        if ((size_t)n < total(v, pieces)) {
            relay->can_write = false;
        }
        braid_stream_drain(relay->stream, (size_t)n);
    } else if (errno == EAGAIN) {
        relay->can_write = false;
    } else if (errno != EINTR) {
        fail(relay, errno);
        return false;
    }
    return true;
}

/* From the stream to the socket. Returns false when the relay is gone. */
static bool pump_out(struct relay *relay)
{
    struct iovec v[WRITE_PIECES];

    for (int round = 0; relay->can_write && !relay->stream_ended; round++) {
        int pieces = braid_stream_peek(relay->stream, v, WRITE_PIECES);

        if (pieces <= 0) {
            break; /* callback_stream_readable goes on */
        }
        if (round == ROUNDS) {
            relay_again(relay);
            break;
        }
        if (!write_once(relay, v, pieces)) {
            return false;
        }
    }
    return true;
}

static void callback_socket(evutil_socket_t fd, short what, void *arg)
{
    struct relay *relay = arg;

    if ((what & EV_READ) != 0) {
        relay->can_read = true;
    }
    if ((what & EV_WRITE) != 0) {
        relay->can_write = true;
    }
    if ((what & EV_CLOSED) != 0) {
        relay->fin_arrived = true;
        relay->can_read = true;
    } else if ((what & EV_READ) != 0 && (what & EV_WRITE) != 0) {
        /* This is also how libevent shows EPOLLERR. Ask, since a short read or a paused direction
         * would not find out, and there will be no other edge. */
        int error = sockopt_take_error((int)fd);

        if (error != 0) {
            fail(relay, error);
            return;
        }
    }
    if (pump_out(relay)) {
        (void)pump_in(relay);
    }
}

static void callback_again(evutil_socket_t fd, short what, void *arg)
{
    struct relay *relay = arg;

    (void)fd;
    (void)what;
    if (pump_out(relay)) {
        (void)pump_in(relay);
    }
}

static void callback_stream_readable(struct braid_stream *stream, void *arg)
{
    (void)stream;
    (void)pump_out(arg);
}

static void callback_stream_writable(struct braid_stream *stream, void *arg)
{
    (void)stream;
    (void)pump_in(arg);
}

static void callback_stream_event(struct braid_stream *stream, unsigned events, void *arg)
{
    struct relay *relay = arg;

    if ((events & BRAID_EVENT_CONNECTED) != 0) {
        relay->connected(relay->arg);
    }
    if ((events & BRAID_EVENT_ERROR) != 0) {
        finish(relay, braid_stream_get_error(stream));
        return;
    }
    if ((events & BRAID_EVENT_EOF) != 0 && !relay->stream_ended) {
        /* ENOTCONN: the peer has just reset; the socket's event says so. */
        relay->stream_ended = true;
        (void)shutdown(relay->fd, SHUT_WR);
    }
    if ((events & BRAID_EVENT_CLOSED) != 0) {
        /* The socket was read to its end, so closing it cannot turn into a reset. */
        finish(relay, BRAID_OK);
    }
}

struct relay *relay_new(struct event_base *base, int fd, struct braid_stream *stream,
                        relay_connected_cb connected, relay_end_cb end, void *arg)
{
    struct relay *relay = calloc(1, sizeof(*relay));

    if (relay == NULL) {
        sockopt_close_reset(fd);
        return NULL;
    }
    relay->fd = fd;
    relay->stream = stream;
    relay->connected = connected;
    relay->end = end;
    relay->arg = arg;
    relay->can_write = true; /* a fresh socket is */
    relay->event = event_new(base, fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST,
                             callback_socket, relay);
    relay->again = evtimer_new(base, callback_again, relay);
    if (relay->event == NULL || relay->again == NULL || event_add(relay->event, NULL) != 0) {
        goto fail;
    }
    braid_stream_setcb(stream, callback_stream_readable, callback_stream_writable,
                       callback_stream_event, relay);
    return relay;

fail:
    if (relay->again != NULL) {
        event_free(relay->again);
    }
    if (relay->event != NULL) {
        event_free(relay->event);
    }
    sockopt_close_reset(fd);
    free(relay);
    return NULL;
}

void relay_free(struct relay *relay)
{
    if (relay == NULL) {
        return;
    }
    braid_stream_setcb(relay->stream, NULL, NULL, NULL, NULL);
    event_free(relay->again);
    event_free(relay->event);
    if (relay->in_order) {
        close(relay->fd);
    } else {
        sockopt_close_reset(relay->fd);
    }
    free(relay);
}

const char *relay_state(const struct relay *relay)
{
    if (relay->socket_ended && relay->stream_ended) {
        return "closing";
    }
    return relay->socket_ended || relay->stream_ended ? "half-closed" : "open";
}
