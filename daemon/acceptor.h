/* SPDX-License-Identifier: MIT */
/*
 * Accepts clients on a listening socket that other threads accept on too.
 *
 * A slot is taken before a client is. Where there is none, or no descriptor, the
 * acceptor pauses; clients then wait in the kernel's queue, and nobody is lost.
 */
#ifndef BRAIDD_ACCEPTOR_H
#define BRAIDD_ACCEPTOR_H

#include <sys/socket.h>

#include <event2/event.h>

#include "daemon/limits.h"

struct acceptor;

/* Takes a client with its slot: `fd` is non-blocking and close-on-exec, and now the callee's. */
typedef void (*acceptor_cb)(int fd, const struct sockaddr *peer, void *arg);

/*
 * Accepts on `fd`, a non-blocking listening socket that stays the caller's. `name` is for the log,
 * and must stay.
 *
 * Returns NULL when out of memory.
 */
struct acceptor *acceptor_new(struct event_base *base, struct limits *limits, int fd,
                              const char *name, acceptor_cb cb, void *arg);

/* Stops accepting. NULL is allowed. */
void acceptor_free(struct acceptor *acceptor);

/* There may be a slot again: ends a pause. */
void acceptor_resume(struct acceptor *acceptor);

#endif
