/* SPDX-License-Identifier: MIT */
/* Many connections: short ones one after the other in several workers, or idle ones, held. */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"
#include "load_net.h"

enum { IDLE_SIZE = 64 };

/* One connection at a time: connect, request, response, end of file, and the next. */
struct worker {
    int fd;
    bool asked; /* the request was sent */
    size_t received;
};

struct short_run {
    int epoll;
    unsigned port;
    unsigned char *buffer;
    uint64_t done;
    uint64_t failed;
};

static void worker_start(struct short_run *run, struct worker *worker)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = worker};

    worker->asked = false;
    worker->received = 0;
    worker->fd = net_connect_start(run->port);
    if (worker->fd < 0)
        net_fail("connect");
    if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, worker->fd, &event) < 0)
        net_fail("epoll_ctl");
}

/* True when this connection came to its end, good or bad. */
static bool worker_step(struct short_run *run, struct worker *worker)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = worker};
    ssize_t n;

    if (!worker->asked) {
        run->buffer[0] = LOAD_SHORT;
        n = send(worker->fd, run->buffer, LOAD_SHORT_REQUEST, MSG_NOSIGNAL);
        if (n != LOAD_SHORT_REQUEST) {
            run->failed++;
            return true;
        }
        worker->asked = true;
        if (epoll_ctl(run->epoll, EPOLL_CTL_MOD, worker->fd, &event) < 0)
            net_fail("epoll_ctl");
        return false;
    }
    n = recv(worker->fd, run->buffer, LOAD_BUFFER, 0);
    if (n < 0 && net_is_again())
        return false;
    if (n > 0) {
        worker->received += (size_t)n;
        return false;
    }
    if (n == 0 && worker->received == LOAD_SHORT_RESPONSE)
        run->done++;
    else
        run->failed++;
    return true;
}

int load_short(const struct load_options *options)
{
    struct worker *workers = net_alloc(options->connections * sizeof *workers);
    struct short_run run = {
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .port = options->port,
        .buffer = net_alloc(LOAD_BUFFER),
    };
    uint64_t begin;
    uint64_t until;
    double seconds;

    if (run.epoll < 0)
        net_fail("epoll_create1");
    for (unsigned i = 0; i < options->connections; i++)
        worker_start(&run, &workers[i]);
    begin = net_now();
    until = begin + net_span(options->seconds);
    while (net_now() < until) {
        struct epoll_event events[64];
        int n = epoll_wait(run.epoll, events, 64, 100);

        for (int i = 0; i < n; i++) {
            struct worker *worker = events[i].data.ptr;

            if (worker_step(&run, worker)) {
                close(worker->fd);
                worker_start(&run, worker);
            }
        }
    }
    seconds = (double)(net_now() - begin) / 1e9;
    printf("{\"done\": %llu, \"failed\": %llu, \"per_second\": %.1f}\n",
           (unsigned long long)run.done, (unsigned long long)run.failed,
           (double)run.done / seconds);
    return 0;
}

int load_idle(const struct load_options *options)
{
    unsigned char data[IDLE_SIZE] = {LOAD_ECHO};
    struct rlimit files;
    int *fds = net_alloc(options->connections * sizeof *fds);

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    for (unsigned i = 0; i < options->connections; i++) {
        fds[i] = net_connect(options->port);
        data[0] = LOAD_ECHO;
        net_send_all(fds[i], data, sizeof data);
        net_receive_all(fds[i], data, sizeof data - 1);
    }
    printf("{\"held\": %u}\n", options->connections);
    fflush(stdout);
    while (read(STDIN_FILENO, data, sizeof data) > 0)
        continue;
    /* Whoever still answers has kept the session alive; one lost would be a wrong figure. */
    for (unsigned i = 0; i < options->connections; i++) {
        net_send_all(fds[i], data, sizeof data);
        net_receive_all(fds[i], data, sizeof data);
        close(fds[i]);
    }
    return 0;
}
