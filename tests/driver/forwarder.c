/* SPDX-License-Identifier: MIT */
#include "forwarder.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "world.h"

#define BUFFER 65536

static void connection_close(struct lane *lane, int reset)
{
    const struct linger linger = {.l_onoff = reset};
    struct lane *lanes[2] = {lane, lane->back};

    if (lane->from < 0)
        return;
    for (int i = 0; i < 2; i++) {
        event_free(lanes[i]->readable);
        event_free(lanes[i]->writable);
        free(lanes[i]->buffer);
        setsockopt(lanes[i]->from, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    close(lanes[0]->from);
    close(lanes[1]->from);
    lanes[0]->from = lanes[1]->from = -1;
}

/* Writes what is held; true: all of it. */
static int flush(struct lane *lane)
{
    ssize_t n = send(lane->to, lane->buffer, lane->fill, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN) {
        connection_close(lane, 1);
        return 0;
    }
    if (n > 0) {
        lane->forwarder->bytes += (unsigned long)n;
        lane->fill -= (size_t)n;
        memmove(lane->buffer, lane->buffer + n, lane->fill);
    }
    return lane->fill == 0;
}

static void on_lane_readable(evutil_socket_t fd, short what, void *arg)
{
    struct lane *lane = arg;
    ssize_t n = read(fd, lane->buffer, BUFFER);

    (void)what;
    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0) {
        connection_close(lane, 1);
    } else if (n == 0) {
        lane->ended = 1;
        event_del(lane->readable);
        shutdown(lane->to, SHUT_WR);
        if (lane->back->ended)
            connection_close(lane, 0);
    } else {
        lane->fill = (size_t)n;
        if (!flush(lane) && lane->from >= 0) {
            event_del(lane->readable);
            event_add(lane->writable, NULL);
        }
    }
}

static void on_lane_writable(evutil_socket_t fd, short what, void *arg)
{
    struct lane *lane = arg;

    (void)fd;
    (void)what;
    if (!flush(lane))
        return;
    event_del(lane->writable);
    event_add(lane->readable, NULL);
}

static void lane_open(struct forwarder *f, struct lane *lane, struct lane *back, int from, int to)
{
    *lane = (struct lane){.forwarder = f, .from = from, .to = to, .back = back};
    lane->buffer = malloc(BUFFER);
    lane->readable = event_new(f->base, from, EV_READ | EV_PERSIST, on_lane_readable, lane);
    lane->writable = event_new(f->base, to, EV_WRITE | EV_PERSIST, on_lane_writable, lane);
    ck_assert(lane->buffer != NULL && lane->readable != NULL && lane->writable != NULL);
    event_add(lane->readable, NULL);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct forwarder *f = arg;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f->port)};
    int near = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)what;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_ge(near, 0);
    ck_assert_int_ge(far, 0);
    ck_assert_uint_lt(f->count, FORWARDER_MAX);
    if (connect(far, (struct sockaddr *)&to, sizeof to) != 0) {
        close(near);
        close(far);
        return;
    }
    evutil_make_socket_nonblocking(far);
    lane_open(f, &f->lanes[f->count][0], &f->lanes[f->count][1], near, far);
    lane_open(f, &f->lanes[f->count][1], &f->lanes[f->count][0], far, near);
    f->count++;
}

void forwarder_open(struct forwarder *f, struct event_base *base, int port)
{
    forwarder_open_at(f, base, "127.0.0.1:0", port);
}

void forwarder_open_at(struct forwarder *f, struct event_base *base, const char *at, int port)
{
    struct braid_address *any = braid_address_new(at, NULL);

    memset(f, 0, sizeof *f);
    f->base = base;
    f->port = port;
    f->fd = braid_address_listen(any, 128);
    braid_address_free(any);
    ck_assert_int_ge(f->fd, 0);
    f->address = address_of(f->fd);
    f->acceptable = event_new(base, f->fd, EV_READ | EV_PERSIST, on_accept, f);
    event_add(f->acceptable, NULL);
}

void forwarder_refuse(struct forwarder *f)
{
    if (f->acceptable == NULL)
        return;
    event_free(f->acceptable);
    f->acceptable = NULL;
    close(f->fd);
}

void forwarder_close(struct forwarder *f)
{
    for (unsigned i = 0; i < f->count; i++)
        connection_close(&f->lanes[i][0], 0);
    forwarder_refuse(f);
    braid_address_free(f->address);
}

int forwarder_is_open(const struct forwarder *f, unsigned i)
{
    return i < f->count && f->lanes[i][0].from >= 0;
}

unsigned forwarder_open_count(const struct forwarder *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < f->count; i++)
        n += forwarder_is_open(f, i) ? 1 : 0;
    return n;
}

void forwarder_cut(struct forwarder *f, unsigned i)
{
    ck_assert_uint_lt(i, f->count);
    connection_close(&f->lanes[i][0], 1);
}

void forwarder_stall(struct forwarder *f, unsigned i)
{
    for (int k = 0; k < 2; k++) {
        event_del(f->lanes[i][k].readable);
        event_del(f->lanes[i][k].writable);
    }
}

void forwarder_resume(struct forwarder *f, unsigned i)
{
    for (int k = 0; k < 2; k++)
        event_add(f->lanes[i][k].fill > 0 ? f->lanes[i][k].writable : f->lanes[i][k].readable,
                  NULL);
}
