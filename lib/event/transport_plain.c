/* SPDX-License-Identifier: MIT */
#include "transport.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int plain_nothing(struct braid_transport *transport)
{
    (void)transport;
    return 0;
}

static ssize_t plain_read(struct braid_transport *transport, const struct iovec *v, int count)
{
    ssize_t n;

    do
        n = readv(transport->fd, v, count);
    while (n < 0 && errno == EINTR);
    return n;
}

static ssize_t plain_write(struct braid_transport *transport, const struct iovec *v, int count)
{
    const struct msghdr message = {.msg_iov = (struct iovec *)(void *)v,
                                   .msg_iovlen = (size_t)count};
    ssize_t n;

    do /* writev(2), but without a SIGPIPE in whatever program this is */
        n = sendmsg(transport->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

static void plain_shutdown(struct braid_transport *transport)
{
    (void)shutdown(transport->fd, SHUT_WR);
}

static void plain_close(struct braid_transport *transport)
{
    close(transport->fd);
    transport->fd = -1;
}

static const struct braid_transport_ops plain_ops = {
    .handshake = plain_nothing,
    .read = plain_read,
    .write = plain_write,
    .flush = plain_nothing,
    .shutdown = plain_shutdown,
    .close = plain_close,
};

void braid_transport_plain(struct braid_transport *transport, int fd, bool tcp)
{
    *transport = (struct braid_transport){.ops = &plain_ops, .fd = fd, .tcp = tcp};
}

const char *braid_transport_why(const struct braid_transport *transport, int number)
{
    return number == EPROTO && transport->why != NULL ? transport->why : strerrordesc_np(number);
}
