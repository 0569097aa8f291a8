/* SPDX-License-Identifier: MIT */
/*
 * A channel on one TCP connection. Each direction has one buffer: what is committed is sent at
 * once, and only what the socket does not take stays there until it does.
 */
#include "cli/channel.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/event.h>

#define BUFFER 262144u
/* After so many system calls in a row the loop has its turn. */
#define ROUNDS 16
#define SILENCE 60000 /* milliseconds that sent bytes may stay unacknowledged */

struct buffer {
    uint8_t *data;
    size_t start;
    size_t end;
};

struct channel_tcp {
    struct channel channel;
    int fd;
    struct event *read_event;
    struct event *write_event;
    struct event *later; /* tells due, from the loop */
    unsigned due;        /* a set of enum channel_event */
    struct buffer in;
    struct buffer out;
    int reads; /* in a row */
    int writes;
    bool shut;      /* after what is in out */
    bool shut_done; /* it was said */
    bool eof;
    int error;
};

static void tell_later(struct channel_tcp *tcp, unsigned events)
{
    static const struct timeval at_once = {0, 0};

    tcp->due |= events;
    event_add(tcp->later, &at_once);
}

static void break_off(struct channel_tcp *tcp, int error)
{
    if (tcp->error == 0) {
        tcp->error = error;
        event_del(tcp->read_event);
        event_del(tcp->write_event);
        tell_later(tcp, CHANNEL_BROKEN);
    }
}

static void check_closed(struct channel_tcp *tcp)
{
    if (tcp->eof && tcp->shut_done && tcp->error == 0) {
        tell_later(tcp, CHANNEL_CLOSED);
    }
}

/* ---- sending ---- */

static void check_shutdown(struct channel_tcp *tcp)
{
    if (tcp->shut && !tcp->shut_done && tcp->out.start == tcp->out.end && tcp->error == 0) {
        tcp->shut_done = true;
        (void)shutdown(tcp->fd, SHUT_WR);
        check_closed(tcp);
    }
}

/* Sends what is in the buffer; true: all of it. */
static bool flush(struct channel_tcp *tcp)
{
    struct buffer *out = &tcp->out;

    while (out->start < out->end) {
        ssize_t n = send(tcp->fd, out->data + out->start, out->end - out->start, MSG_NOSIGNAL);

        if (n >= 0) {
            out->start += (size_t)n;
        } else if (errno == EAGAIN) {
            event_add(tcp->write_event, NULL);
            return false;
        } else if (errno != EINTR) {
            break_off(tcp, errno);
            return false;
        }
    }
    out->start = out->end = 0;
    return true;
}

static void callback_writable(evutil_socket_t fd, short what, void *arg)
{
    struct channel_tcp *tcp = arg;

    (void)fd;
    (void)what;
    if (flush(tcp)) {
        check_shutdown(tcp);
        tell_later(tcp, CHANNEL_WRITABLE);
    }
}

static int reserve(struct channel *channel, struct iovec *v, int max)
{
    struct channel_tcp *tcp = (struct channel_tcp *)channel;

    if (tcp->shut || tcp->error != 0 || tcp->out.end > 0 || max < 1) {
        return 0;
    }
    if (tcp->writes++ == ROUNDS) {
        tcp->writes = 0;
        tell_later(tcp, CHANNEL_WRITABLE);
        return 0;
    }
    v->iov_base = tcp->out.data;
    v->iov_len = BUFFER;
    return 1;
}

static void commit(struct channel *channel, size_t n)
{
    struct channel_tcp *tcp = (struct channel_tcp *)channel;

    tcp->out.end = n;
    (void)flush(tcp);
}

static void finish(struct channel *channel)
{
    struct channel_tcp *tcp = (struct channel_tcp *)channel;

    tcp->shut = true;
    check_shutdown(tcp);
}

/* ---- receiving ---- */

static void callback_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    tell_later(arg, CHANNEL_READABLE);
}

/* Reads once; whether there is something now. */
static bool fill(struct channel_tcp *tcp)
{
    ssize_t n;

    if (tcp->reads++ == ROUNDS) {
        tcp->reads = 0;
        tell_later(tcp, CHANNEL_READABLE);
        return false;
    }
    do {
        n = recv(tcp->fd, tcp->in.data, BUFFER, 0);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        tcp->in.start = 0;
        tcp->in.end = (size_t)n;
        return true;
    }
    tcp->reads = 0;
    if (n == 0) {
        tcp->eof = true;
        tell_later(tcp, CHANNEL_EOF);
        check_closed(tcp);
    } else if (errno == EAGAIN) {
        event_add(tcp->read_event, NULL);
    } else {
        break_off(tcp, errno);
    }
    return false;
}

static int peek(struct channel *channel, struct iovec *v, int max)
{
    struct channel_tcp *tcp = (struct channel_tcp *)channel;

    if (max < 1 || tcp->error != 0 || (tcp->in.start == tcp->in.end && (tcp->eof || !fill(tcp)))) {
        return 0;
    }
    v->iov_base = tcp->in.data + tcp->in.start;
    v->iov_len = tcp->in.end - tcp->in.start;
    return 1;
}

static void drain(struct channel *channel, size_t n)
{
    ((struct channel_tcp *)channel)->in.start += n;
}

/* ---- life ---- */

static void callback_later(evutil_socket_t fd, short what, void *arg)
{
    struct channel_tcp *tcp = arg;
    unsigned events = tcp->due;

    (void)fd;
    (void)what;
    tcp->due = 0;
    if (events != 0 && tcp->channel.cb != NULL) {
        tcp->channel.cb(&tcp->channel, events, tcp->channel.arg);
    }
}

static void release(struct channel *channel)
{
    static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    struct channel_tcp *tcp = (struct channel_tcp *)channel;

    if (!tcp->eof || !tcp->shut_done) {
        (void)setsockopt(tcp->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
    if (tcp->read_event != NULL) {
        event_free(tcp->read_event);
    }
    if (tcp->write_event != NULL) {
        event_free(tcp->write_event);
    }
    if (tcp->later != NULL) {
        event_free(tcp->later);
    }
    close(tcp->fd);
    free(tcp->in.data);
    free(tcp->out.data);
    free(tcp);
}

/* It was connected before it became a channel. */
static bool reached(const struct channel *channel)
{
    (void)channel;
    return true;
}

static const char *error_text(struct channel *channel)
{
    return strerrordesc_np(((struct channel_tcp *)channel)->error);
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

/* So that a peer that is gone without a word is noticed. A unix socket needs none of it. */
static void set_options(int fd)
{
    const int on = 1;
    const int idle = 15;
    const int silence = SILENCE;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof(silence));
}

struct channel *channel_tcp_new(struct event_base *base, int fd)
{
    struct channel_tcp *tcp = calloc(1, sizeof(*tcp));

    if (tcp == NULL) {
        close(fd);
        return NULL;
    }
    tcp->channel.ops = &ops;
    tcp->fd = fd;
    set_options(fd);
    tcp->in.data = malloc(BUFFER);
    tcp->out.data = malloc(BUFFER);
    tcp->read_event = event_new(base, fd, EV_READ, callback_readable, tcp);
    tcp->write_event = event_new(base, fd, EV_WRITE, callback_writable, tcp);
    tcp->later = evtimer_new(base, callback_later, tcp);
    if (tcp->in.data == NULL || tcp->out.data == NULL || tcp->read_event == NULL ||
        tcp->write_event == NULL || tcp->later == NULL) {
        release(&tcp->channel);
        return NULL;
    }
    tell_later(tcp, CHANNEL_READABLE | CHANNEL_WRITABLE);
    return &tcp->channel;
}
