/* SPDX-License-Identifier: MIT */
#include "sockopt.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define STATE_CLOSE 7 /* TCP_CLOSE of <netinet/tcp.h>, which does not go with <linux/tcp.h> */

/* Kernels 6.15 and 6.11 and on; not in Debian 12's headers. */
#define BRAID_TCP_RTO_MAX_MS 44
#define BRAID_TCP_RTO_MIN_US 45

static void set_tcp(int fd, int option, int value)
{
    (void)setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);
}

void braid_sockopt_nodelay(int fd)
{
    set_tcp(fd, TCP_NODELAY, 1);
}

void braid_sockopt_subflow(int fd)
{
    const int on = 1;

    set_tcp(fd, TCP_NODELAY, 1);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    set_tcp(fd, TCP_KEEPIDLE, 60);
    set_tcp(fd, TCP_KEEPINTVL, 10);
    set_tcp(fd, TCP_KEEPCNT, 6);
    set_tcp(fd, TCP_USER_TIMEOUT, 20000);
    set_tcp(fd, BRAID_TCP_RTO_MIN_US, 50000);
    set_tcp(fd, BRAID_TCP_RTO_MAX_MS, 1000);
}

void braid_sockopt_abort(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void braid_sockopt_late_port(int fd)
{
    const int on = 1;

    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
}

int braid_sockopt_device(int fd, const char *interface)
{
    socklen_t len = (socklen_t)strlen(interface);

    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, len) == 0 ? 0 : errno;
}

void braid_sockopt_max_rate(int fd, uint64_t bytes)
{
    /* Where a long has 32 bits, so has the kernel's; all of them set: no limit. */
    unsigned long rate = bytes < ULONG_MAX ? (unsigned long)bytes : ULONG_MAX;

    (void)setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate);
}

void braid_sockopt_pace(int fd)
{
    unsigned long rate = 0;
    socklen_t len = sizeof rate;

    if (getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &len) != 0 || rate != ULONG_MAX)
        return;
    rate--; /* any limit will do */
    (void)setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate);
}

int braid_sockopt_congestion(int fd, const char *name)
{
    socklen_t len = (socklen_t)strlen(name);

    return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, len) == 0 ? 0 : errno;
}

void braid_sockopt_lowat(int fd, size_t bytes)
{
    set_tcp(fd, TCP_NOTSENT_LOWAT, (int)bytes);
}

static size_t queue_size(int fd, unsigned long request)
{
    int value = 0;

    if (ioctl(fd, request, &value) != 0 || value < 0)
        return 0;
    return (size_t)value;
}

size_t braid_sockopt_unsent(int fd)
{
    return queue_size(fd, SIOCOUTQNSD);
}

size_t braid_sockopt_queued(int fd)
{
    return queue_size(fd, SIOCOUTQ);
}

bool braid_sockopt_sample(int fd, struct braid_sample *sample)
{
    struct tcp_info info;
    socklen_t len = sizeof info;

    memset(&info, 0, sizeof info); /* an old kernel fills in less */
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return false;
    if (len < offsetof(struct tcp_info, tcpi_bytes_received))
        return false;
    *sample = (struct braid_sample){
        .closed = info.tcpi_state == STATE_CLOSE,
        .rtt = info.tcpi_rtt,
        .rttvar = info.tcpi_rttvar,
        .min_rtt = info.tcpi_min_rtt,
        .cwnd = info.tcpi_snd_cwnd,
        .mss = info.tcpi_snd_mss,
        .outq = (uint32_t)queue_size(fd, SIOCOUTQ),
        .unacked = info.tcpi_unacked,
        .bytes_acked = info.tcpi_bytes_acked,
        .delivered = info.tcpi_delivered,
        .sacked = info.tcpi_sacked,
        .backoff = info.tcpi_backoff,
    };
    return true;
}
