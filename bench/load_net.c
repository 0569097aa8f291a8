/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "load_net.h"

void net_fail(const char *what)
{
    if (errno != 0)
        fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    else
        fprintf(stderr, "load: %s\n", what);
    exit(1);
}

uint64_t net_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t net_span(double seconds)
{
    return (uint64_t)(seconds * 1e9);
}

void *net_alloc(size_t size)
{
    void *memory = malloc(size);

    if (memory == NULL)
        net_fail("malloc");
    memset(memory, 0x5a, size);
    return memory;
}

static struct sockaddr_in loopback(unsigned port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void set_nodelay(int fd)
{
    int on = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        net_fail("TCP_NODELAY");
}

int net_listen(unsigned port)
{
    struct sockaddr_in address = loopback(port);
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0)
        net_fail("listen");
    return fd;
}

int net_connect(unsigned port)
{
    struct sockaddr_in address = loopback(port);
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
        net_fail("socket");
    set_nodelay(fd);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        net_fail("connect");
    return fd;
}

int net_connect_start(unsigned port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        net_fail("socket");
    set_nodelay(fd);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

void net_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        net_fail("O_NONBLOCK");
    set_nodelay(fd);
}

void net_send_all(int fd, const void *data, size_t size)
{
    const unsigned char *at = data;

    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

        if (n < 0 && net_is_again()) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};

            errno = ETIMEDOUT;
            if (poll(&wait, 1, 10000) <= 0)
                net_fail("send");
            continue;
        }
        if (n < 0)
            net_fail("send");
        at += n;
        size -= (size_t)n;
    }
}

void net_receive_all(int fd, void *data, size_t size)
{
    unsigned char *at = data;

    while (size > 0) {
        ssize_t n = recv(fd, at, size, 0);

        if (n == 0)
            errno = 0;
        if (n <= 0)
            net_fail(n == 0 ? "receive: early end of file" : "receive");
        at += n;
        size -= (size_t)n;
    }
}

bool net_is_again(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

void net_put_count(unsigned char *at, uint64_t count)
{
    for (int i = 7; i >= 0; i--, count >>= 8)
        at[i] = (unsigned char)count;
}

uint64_t net_get_count(const unsigned char *at)
{
    uint64_t count = 0;

    for (int i = 0; i < 8; i++)
        count = count << 8 | at[i];
    return count;
}
