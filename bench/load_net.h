/* SPDX-License-Identifier: MIT */
/*
 * Sockets and time for the load generator. It is a program for one purpose: what cannot be helped
 * ends it with one line on standard error.
 */
#ifndef LOAD_NET_H
#define LOAD_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Prints one line, with errno's words when it is not 0, and exits with 1. */
_Noreturn void net_fail(const char *what);

/* Monotonic time in nanoseconds. */
uint64_t net_now(void);

/* Seconds, as given on the command line, in nanoseconds. */
uint64_t net_span(double seconds);

/* Allocates or fails; the memory is written once, so that no page fault falls into a measurement.
 */
void *net_alloc(size_t size);

/* A listening socket on 127.0.0.1. */
int net_listen(unsigned port);

/* A connected, blocking socket with TCP_NODELAY that gives up after 10 s without progress. */
int net_connect(unsigned port);

/* A non-blocking socket with TCP_NODELAY on which connect was called; -1 when that failed. */
int net_connect_start(unsigned port);

/* Makes a socket non-blocking and sets TCP_NODELAY. */
void net_set_nonblocking(int fd);

/* Sends all or fails; on a non-blocking socket too. */
void net_send_all(int fd, const void *data, size_t size);

/* Receives exactly size bytes or fails. */
void net_receive_all(int fd, void *data, size_t size);

/* Whether an error of a non-blocking call only says that nothing can be done now. */
bool net_is_again(void);

/* The peer's counts, LOAD_COUNT_SIZE bytes. */
void net_put_count(unsigned char *at, uint64_t count);
uint64_t net_get_count(const unsigned char *at);

#endif
