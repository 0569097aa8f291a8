/* SPDX-License-Identifier: MIT */
/*
 * One session of the daemon: a stream, the plain connection at this end of it, and who and what it
 * is for. It belongs to one worker, holds a slot of max-sessions, and ends with a line in the log.
 */
#ifndef BRAIDD_SESSION_H
#define BRAIDD_SESSION_H

#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>

#include <braid/dial.h>
#include <braid/stream.h>

#include "daemon/relay.h"
#include "daemon/tunnel.h"

struct worker;

struct session {
    TAILQ_ENTRY(session) entry; /* of the worker's list, in the order of serial */
    struct worker *worker;
    struct tunnel *tunnel;
    struct braid_stream *stream;
    struct relay *relay;     /* once the plain connection is there */
    struct braid_dial *dial; /* [remote]: while the target is being dialled */
    char *client;
    uint64_t serial;  /* unique in the worker */
    uint64_t started; /* clock_now() */
    bool established; /* the target was reached */
};

TAILQ_HEAD(session_list, session);

/*
 * A new session in a worker that was charged for it (worker_charge()).
 *
 * The stream is the session's from now on, also on failure. `client` is copied.
 * Returns NULL when out of memory; the charge has been given back then.
 */
struct session *session_new(struct worker *worker, struct tunnel *tunnel,
                            struct braid_stream *stream, const char *client);

/* Hands over the connected plain socket, on failure too: the session has ended then. */
void session_relay(struct session *session, int fd);

/* Ends a session: logs, frees all of it, and gives its slot back. */
void session_end(struct session *session, int error);

/* Breaks a session off: both peers see a reset. */
void session_abort(struct session *session, int error);

/* Writes the session's record and its subflows' in the control protocol's form. */
void session_write_status(const struct session *session, FILE *out);

#endif
