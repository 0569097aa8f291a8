/* SPDX-License-Identifier: MIT */
/* Latency: one thing at a time, each timed alone, with blocking calls. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"
#include "load_net.h"

enum { MAX_SAMPLES = 1000000, ECHO_SIZE = 64, ECHO_WARM_UP = 200, CONNECT_WARM_UP = 20 };

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* samples: nanoseconds; sorted here. */
static int report(uint64_t *samples, size_t n)
{
    errno = 0;
    if (n == 0)
        net_fail("no sample was taken in time");
    qsort(samples, n, sizeof *samples, compare);
    printf("{\"samples\": %zu, \"p50_ms\": %.5f, \"p99_ms\": %.5f, \"max_ms\": %.5f}\n", n,
           (double)samples[n / 2] / 1e6, (double)samples[n - 1 - n / 100] / 1e6,
           (double)samples[n - 1] / 1e6);
    return 0;
}

static uint64_t echo_once(int fd)
{
    unsigned char out[ECHO_SIZE] = "braid";
    unsigned char in[ECHO_SIZE];
    uint64_t begin = net_now();

    net_send_all(fd, out, sizeof out);
    net_receive_all(fd, in, sizeof in);
    return net_now() - begin;
}

int load_echo(const struct load_options *options)
{
    uint64_t *samples = net_alloc(MAX_SAMPLES * sizeof *samples);
    int fd = net_connect(options->port);
    size_t n = 0;
    uint64_t until;

    net_send_all(fd, &(unsigned char){LOAD_ECHO}, 1);
    for (int i = 0; i < ECHO_WARM_UP; i++)
        echo_once(fd);
    until = net_now() + net_span(options->seconds);
    while (n < MAX_SAMPLES && net_now() < until)
        samples[n++] = echo_once(fd);
    close(fd);
    return report(samples, n);
}

static uint64_t connect_once(unsigned port)
{
    unsigned char byte = LOAD_BYTE;
    uint64_t begin = net_now();
    uint64_t end;
    int fd = net_connect(port);

    net_send_all(fd, &byte, 1);
    net_receive_all(fd, &byte, 1);
    end = net_now();
    /* Wait for the whole of it to be gone: its end must not slow the next one down. */
    shutdown(fd, SHUT_WR);
    if (recv(fd, &byte, 1, 0) != 0)
        net_fail("first-byte: no end of file");
    close(fd);
    return end - begin;
}

int load_first_byte(const struct load_options *options)
{
    uint64_t *samples = net_alloc(MAX_SAMPLES * sizeof *samples);
    size_t n = 0;
    uint64_t until;

    for (int i = 0; i < CONNECT_WARM_UP; i++)
        connect_once(options->port);
    until = net_now() + net_span(options->seconds);
    while (n < MAX_SAMPLES && net_now() < until)
        samples[n++] = connect_once(options->port);
    return report(samples, n);
}
