/* SPDX-License-Identifier: MIT */
#include "daemon/sockopt.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEEPALIVE_IDLE 60 /* seconds of silence before the first probe */
#define KEEPALIVE_INTERVAL 10
#define KEEPALIVE_PROBES 6

static void set_int(int fd, int level, int name, int value)
{
    /* None of these can fail on TCP, and the TCP ones may on unix sockets, where nothing is lost.
     */
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

void sockopt_plain(int fd)
{
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(fd, SOL_SOCKET, SO_OOBINLINE, 1);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL);
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

void sockopt_close_reset(int fd)
{
    const struct linger abort_at_once = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_at_once, sizeof(abort_at_once));
    close(fd);
}

int sockopt_take_error(int fd)
{
    int error = 0;
    socklen_t length = sizeof(error);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}
