/* SPDX-License-Identifier: MIT */
/*
 * The target of every measurement: one thread, epoll, level-triggered. A connection that breaks is
 * forgotten; the client notices and says so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"
#include "load_net.h"

/* One accepted connection; mode is 0 until its first byte was read. */
struct peer {
    int fd;
    unsigned char mode;
    unsigned char request[LOAD_SOURCE_REQUEST - 1];
    size_t request_size;
    uint64_t count; /* of payload bytes: sink and short received, source sent */
    uint64_t until; /* source: when to stop */
};

struct server {
    int epoll;
    int listener;
    unsigned char *in;
    unsigned char *out;
};

static void watch(const struct server *server, int operation, int fd, uint32_t events, void *arg)
{
    struct epoll_event event = {.events = events, .data.ptr = arg};

    if (epoll_ctl(server->epoll, operation, fd, &event) < 0)
        net_fail("epoll_ctl");
}

static void peer_free(struct peer *peer)
{
    close(peer->fd);
    free(peer);
}

static void accept_all(const struct server *server)
{
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        struct peer *peer;

        if (fd < 0)
            return;
        net_set_nonblocking(fd);
        peer = calloc(1, sizeof *peer);
        if (peer == NULL)
            net_fail("calloc");
        peer->fd = fd;
        watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, peer);
    }
}

/* All answers but a source's are small enough for any socket's buffer. */
static bool answer(const struct peer *peer, const void *data, size_t size)
{
    return send(peer->fd, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static void source_request(const struct server *server, struct peer *peer,
                           const unsigned char *data, size_t size)
{
    uint32_t ms = 0;

    for (; size > 0 && peer->request_size < sizeof peer->request; size--)
        peer->request[peer->request_size++] = *data++;
    if (peer->request_size < sizeof peer->request || peer->until != 0)
        return;
    for (size_t i = 0; i < sizeof peer->request; i++)
        ms = ms << 8 | peer->request[i];
    peer->until = net_now() + net_span(ms / 1e3);
    watch(server, EPOLL_CTL_MOD, peer->fd, EPOLLOUT, peer);
}

/* Takes what was read behind the mode byte. False: the connection is finished. */
static bool take(const struct server *server, struct peer *peer, const unsigned char *data,
                 size_t size)
{
    switch (peer->mode) {
    case LOAD_ECHO:
        return size == 0 || answer(peer, data, size);
    case LOAD_SINK:
        peer->count += size;
        return true;
    case LOAD_SOURCE:
        source_request(server, peer, data, size);
        return true;
    case LOAD_BYTE:
        return size > 0 || answer(peer, "f", 1);
    case LOAD_SHORT:
        peer->count += size;
        if (peer->count + 1 < LOAD_SHORT_REQUEST)
            return true;
        answer(peer, server->out, LOAD_SHORT_RESPONSE);
        return false;
    default:
        return false;
    }
}

static bool on_readable(const struct server *server, struct peer *peer)
{
    unsigned char count[LOAD_COUNT_SIZE];
    ssize_t n = recv(peer->fd, server->in, LOAD_BUFFER, 0);

    if (n < 0)
        return net_is_again();
    if (n == 0) {
        if (peer->mode == LOAD_SINK) {
            net_put_count(count, peer->count);
            answer(peer, count, sizeof count);
        }
        return false;
    }
    if (peer->mode != 0)
        return take(server, peer, server->in, (size_t)n);
    peer->mode = server->in[0];
    return take(server, peer, server->in + 1, (size_t)n - 1);
}

/* Only a source waits for this. */
static bool on_writable(const struct server *server, struct peer *peer)
{
    unsigned char count[LOAD_COUNT_SIZE];
    ssize_t n;

    if (net_now() < peer->until) {
        n = send(peer->fd, server->out, LOAD_BUFFER, MSG_NOSIGNAL);
        if (n < 0)
            return net_is_again();
        peer->count += (uint64_t)n;
        return true;
    }
    /* Writable means that far more than these eight bytes has room. */
    net_put_count(count, peer->count);
    if (!answer(peer, count, sizeof count))
        return false;
    shutdown(peer->fd, SHUT_WR);
    watch(server, EPOLL_CTL_MOD, peer->fd, EPOLLIN, peer);
    return true;
}

int load_serve(const struct load_options *options)
{
    struct rlimit files;
    struct server server = {
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .listener = net_listen(options->port),
        .in = net_alloc(LOAD_BUFFER),
        .out = net_alloc(LOAD_BUFFER),
    };

    if (server.epoll < 0)
        net_fail("epoll_create1");
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    net_set_nonblocking(server.listener);
    watch(&server, EPOLL_CTL_ADD, server.listener, EPOLLIN, NULL);
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(server.epoll, events, 64, -1);

        if (n < 0 && errno != EINTR)
            net_fail("epoll_wait");
        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            bool more = true;

            if (peer == NULL)
                accept_all(&server);
            else if (events[i].events & EPOLLOUT)
                more = on_writable(&server, peer);
            else
                more = on_readable(&server, peer);
            if (!more)
                peer_free(peer);
        }
    }
}
