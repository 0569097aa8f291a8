/* SPDX-License-Identifier: MIT */
/*
 * A slow reader behind a sender that never waits. Both ends of the path are in this one program:
 * it listens where the path leads to, connects where it begins, sends at one end from a thread
 * and reads at the other at the rate that was asked for.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"
#include "load_net.h"

enum { TICK_NS = 10 * 1000 * 1000 };

struct sender {
    int fd;
    atomic_ullong sent;
};

/* Ends when the socket is shut down under it. */
static void *send_all_you_can(void *arg)
{
    struct sender *sender = arg;
    unsigned char *buffer = net_alloc(LOAD_BUFFER);
    ssize_t n;

    for (;;) {
        n = send(sender->fd, buffer, LOAD_BUFFER, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return NULL;
        if (n > 0)
            atomic_fetch_add(&sender->sent, (unsigned long long)n);
    }
}

/* Reads what has become due since the beginning, once a tick. */
static uint64_t read_slowly(int fd, double seconds, uint64_t rate)
{
    unsigned char *buffer = net_alloc(LOAD_BUFFER);
    uint64_t begin = net_now();
    uint64_t until = begin + net_span(seconds);
    uint64_t received = 0;
    uint64_t now;

    while ((now = net_now()) < until) {
        double due = (double)rate * (double)(now - begin) / 1e9 - (double)received;
        struct timespec tick = {.tv_nsec = TICK_NS};
        ssize_t n = 0;

        if (due >= 1)
            n = recv(fd, buffer, due < LOAD_BUFFER ? (size_t)due : LOAD_BUFFER, 0);
        if (n < 0 || (n == 0 && due >= 1))
            net_fail("slow: the path broke");
        received += (uint64_t)n;
        nanosleep(&tick, NULL);
    }
    return received;
}

int load_slow(const struct load_options *options)
{
    int listener = net_listen(options->listen);
    int near = net_connect(options->port);
    unsigned char byte = 0;
    struct sender sender;
    pthread_t thread;
    uint64_t received;
    int far;

    /* A relay may connect onwards only when it has something to send. */
    net_send_all(near, &byte, 1);
    far = accept(listener, NULL, NULL);
    if (far < 0)
        net_fail("accept");
    net_receive_all(far, &byte, 1);
    sender.fd = options->upload ? near : far;
    atomic_init(&sender.sent, 0);
    if (pthread_create(&thread, NULL, send_all_you_can, &sender) != 0)
        net_fail("pthread_create");
    received = read_slowly(options->upload ? far : near, options->seconds, options->rate);
    printf("{\"sent\": %llu, \"received\": %llu}\n", (unsigned long long)atomic_load(&sender.sent),
           (unsigned long long)received);
    fflush(stdout);
    /* Hold both ends until told to end: the path's memory is read meanwhile. */
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    shutdown(sender.fd, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(near);
    close(far);
    close(listener);
    return 0;
}
