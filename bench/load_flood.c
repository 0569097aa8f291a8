/* SPDX-License-Identifier: MIT */
/*
 * A flood of strangers: connections from the addresses of forty networks of this machine, at an
 * even pace, that all say the same, or nothing. They are closed at once, or held until end of file
 * on standard input.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"
#include "load_net.h"

enum { NETWORKS = 40, HOSTS = 250, SAY_MAX = 4096 };

/* The value of one digit, or -1. */
static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

/* Reads hexadecimal digits; fails on anything else. */
static size_t parse_hex(const char *text, unsigned char *bytes)
{
    size_t size = 0;

    for (; text[0] != '\0'; text += 2) {
        int high = digit(text[0]);
        int low = digit(text[1]);

        errno = EINVAL;
        if (high < 0 || low < 0 || size == SAY_MAX)
            net_fail("flood: --say");
        bytes[size++] = (unsigned char)(high << 4 | low);
    }
    return size;
}

/* The next stranger's own address: 127.1.0.1, 127.1.1.1 and so on. */
static in_addr_t source_of(unsigned number)
{
    unsigned network = number % NETWORKS;
    unsigned host = 1 + number / NETWORKS % HOSTS;

    return htonl(127U << 24 | 1U << 16 | network << 8 | host);
}

/* -1: it was not let in, which a flood has to put up with. */
static int connect_from(unsigned number, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = source_of(number)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        net_fail("flood: socket");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void wait_until(uint64_t when)
{
    struct timespec at = {.tv_sec = (time_t)(when / 1000000000U),
                          .tv_nsec = (long)(when % 1000000000U)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        continue;
}

static void allow_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int load_flood(const struct load_options *options)
{
    unsigned char say[SAY_MAX];
    size_t size = parse_hex(options->say, say);
    uint64_t begin = net_now();
    unsigned connected = 0;
    char byte;

    allow_files();
    for (unsigned i = 0; i < options->connections; i++) {
        int fd;

        wait_until(begin + i * UINT64_C(1000000000) / options->rate);
        fd = connect_from(i, options->port);
        if (fd < 0)
            continue;
        connected++;
        if (size > 0)
            (void)send(fd, say, size, MSG_NOSIGNAL);
        if (!options->hold)
            close(fd);
    }
    printf("{\"connected\": %u, \"seconds\": %.3f}\n", connected,
           (double)(net_now() - begin) / 1e9);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return 0; /* and the kernel closes them all */
}
