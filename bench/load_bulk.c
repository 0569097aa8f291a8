/* SPDX-License-Identifier: MIT */
/*
 * Throughput: some connections at once push (or pull) for a fixed time, all of it is received, and
 * the counts of both ends are compared. The clock runs from the first byte to the last one's
 * arrival, so what a relay has buffered is not counted before it is through.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"
#include "load_net.h"

/* One connection of the run. */
struct flow {
    int fd;
    uint64_t sent;                       /* payload bytes */
    uint64_t received;                   /* all bytes, the peer's count included */
    unsigned char tail[LOAD_COUNT_SIZE]; /* the last bytes received */
    size_t tail_size;
};

/* Keeps the last LOAD_COUNT_SIZE bytes of a flow, whatever the sizes it is read in. */
static void keep_tail(struct flow *flow, const unsigned char *data, size_t size)
{
    size_t keep = sizeof flow->tail;

    if (size >= keep) {
        memcpy(flow->tail, data + size - keep, keep);
        flow->tail_size = keep;
        return;
    }
    if (flow->tail_size + size > keep) {
        size_t drop = flow->tail_size + size - keep;

        memmove(flow->tail, flow->tail + drop, flow->tail_size - drop);
        flow->tail_size -= drop;
    }
    memcpy(flow->tail + flow->tail_size, data, size);
    flow->tail_size += size;
}

/* Reads once; true at end of file. */
static bool pull(struct flow *flow, unsigned char *buffer)
{
    ssize_t n = recv(flow->fd, buffer, LOAD_BUFFER, 0);

    if (n < 0 && !net_is_again())
        net_fail("receive");
    if (n > 0) {
        keep_tail(flow, buffer, (size_t)n);
        flow->received += (uint64_t)n;
    }
    return n == 0;
}

static void push(struct flow *flow, const unsigned char *buffer)
{
    ssize_t n = send(flow->fd, buffer, LOAD_BUFFER, MSG_NOSIGNAL);

    if (n < 0 && !net_is_again())
        net_fail("send");
    if (n > 0)
        flow->sent += (uint64_t)n;
}

static void start(struct flow *flow, const struct load_options *options)
{
    uint32_t ms = (uint32_t)(options->seconds * 1000);
    unsigned char request[LOAD_SOURCE_REQUEST] = {
        LOAD_SOURCE,
        (unsigned char)(ms >> 24),
        (unsigned char)(ms >> 16),
        (unsigned char)(ms >> 8),
        (unsigned char)ms,
    };

    if (options->upload)
        request[0] = LOAD_SINK;
    net_send_all(flow->fd, request, options->upload ? 1 : sizeof request);
}

/* The number of payload bytes that went through, once both ends agree on it. */
static uint64_t settle(const struct flow *flow, bool upload)
{
    uint64_t peer = net_get_count(flow->tail);
    uint64_t mine = upload ? flow->sent : flow->received - LOAD_COUNT_SIZE;

    errno = 0;
    if (flow->tail_size < LOAD_COUNT_SIZE)
        net_fail("bulk: ended before the peer's count");
    if (peer != mine) {
        fprintf(stderr, "load: bulk: %s %llu bytes, the peer says %llu\n",
                upload ? "sent" : "received", (unsigned long long)mine, (unsigned long long)peer);
        _exit(1);
    }
    return mine;
}

static void watch_all(int epoll, int operation, struct flow *flows, unsigned n, uint32_t events)
{
    for (unsigned i = 0; i < n; i++) {
        struct epoll_event event = {.events = events, .data.ptr = &flows[i]};

        if (epoll_ctl(epoll, operation, flows[i].fd, &event) < 0)
            net_fail("epoll_ctl");
    }
}

/* Pushes into all flows until it is time to stop, and finishes that direction. */
static void run_push(struct flow *flows, unsigned n, int epoll, uint64_t until)
{
    unsigned char *buffer = net_alloc(LOAD_BUFFER);

    while (net_now() < until) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, 64, 100);

        for (int i = 0; i < ready; i++)
            push(events[i].data.ptr, buffer);
    }
    for (unsigned i = 0; i < n; i++)
        shutdown(flows[i].fd, SHUT_WR);
    free(buffer);
}

/* Reads all flows to their end. */
static void run_pull(unsigned n, int epoll)
{
    unsigned char *buffer = net_alloc(LOAD_BUFFER);

    while (n > 0) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, 64, 10000);

        if (ready == 0)
            errno = ETIMEDOUT;
        if (ready <= 0)
            net_fail("bulk");
        for (int i = 0; i < ready; i++) {
            struct flow *flow = events[i].data.ptr;

            if (pull(flow, buffer)) {
                close(flow->fd);
                n--;
            }
        }
    }
    free(buffer);
}

int load_bulk(const struct load_options *options)
{
    unsigned n = options->connections;
    struct flow *flows = net_alloc(n * sizeof *flows);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    uint64_t bytes = 0;
    uint64_t begin;
    double seconds;

    if (epoll < 0)
        net_fail("epoll_create1");
    for (unsigned i = 0; i < n; i++)
        flows[i] = (struct flow){.fd = net_connect(options->port)};
    begin = net_now();
    for (unsigned i = 0; i < n; i++) {
        start(&flows[i], options);
        net_set_nonblocking(flows[i].fd);
    }
    watch_all(epoll, EPOLL_CTL_ADD, flows, n, options->upload ? EPOLLOUT : EPOLLIN);
    if (options->upload) {
        run_push(flows, n, epoll, begin + net_span(options->seconds));
        watch_all(epoll, EPOLL_CTL_MOD, flows, n, EPOLLIN);
    }
    run_pull(n, epoll);
    seconds = (double)(net_now() - begin) / 1e9;
    for (unsigned i = 0; i < n; i++)
        bytes += settle(&flows[i], options->upload);
    printf("{\"bytes\": %llu, \"seconds\": %.6f, \"gbit_per_second\": %.4f}\n",
           (unsigned long long)bytes, seconds, (double)bytes * 8 / seconds / 1e9);
    return 0;
}
