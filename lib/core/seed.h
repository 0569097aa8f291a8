/* SPDX-License-Identifier: MIT */
/*
 * A session that speaks the seed's format (doc/protocol.md) rather than protocol version 1: what is
 * different about it. Buffers, scheduler, estimator and rescue are the same.
 *
 * The format has no acknowledgements: what TCP has acknowledged counts as delivered. It has no
 * window: a sender stays within BRAID_SEED_SKEW of the first byte that is not delivered, and a
 * receiver stops reading subflows that are too far ahead, never the one that has the next byte. It
 * has a fixed number of subflows: LOCAL waits for those that connect, says how many there are, and
 * dials no more. Without any the session is over.
 */
#ifndef BRAID_SEED_H
#define BRAID_SEED_H

#include <stdbool.h>
#include <stdint.h>

#include "inflight.h"
#include "seed_parser.h"

struct braid_chunk;
struct braid_hello;
struct braid_sample;
struct braid_session;
struct braid_subflow;

#define BRAID_SEED_SKEW ((uint64_t)4 << 20)

/* Of a session. */
struct braid_seed {
    unsigned streams; /* that the session has; 0: LOCAL still waits for some to connect */
    unsigned joined;  /* so many of them have come */
    unsigned shut;    /* and so many of these have ended by SHUTDOWN, */
    unsigned bare;    /* by the end of their connection alone, between two messages, */
    unsigned failed;  /* or in any other way */
    bool said;        /* our SHUTDOWN was written on one at least */
    bool overdue;     /* those on which it was not are not waited for any more */
    uint8_t last;     /* the last byte that was committed */
};

/* Of a subflow. */
struct braid_seed_flow {
    struct braid_seed_parser parser;
    struct braid_inflight marks; /* where in its bytes payload is that TCP has not acknowledged */
    uint64_t written;            /* bytes given to the socket */
    uint64_t base;               /* what TCP had acknowledged before the first of them */
    uint64_t ping_end;           /* where the last PING ends */
    bool based;                  /* base is known */
    bool ended;                  /* nothing more comes from the peer */
    bool said;                   /* our SHUTDOWN was written */
};

/* LOCAL: whether the session waits for its subflows to connect, and says nothing yet. */
bool braid_seed_is_gathering(const struct braid_session *session);

/* LOCAL: what has connected by now is all; tells everybody how many there are. */
void braid_seed_open(struct braid_session *session, uint64_t now);

/* LOCAL: one more has connected. */
void braid_seed_added(struct braid_subflow *subflow, uint64_t now);

/* REMOTE: whether one more may join: enum braid_error. And that it has. */
int braid_seed_check_join(const struct braid_session *session, const struct braid_hello *hello);
void braid_seed_joined(struct braid_subflow *subflow, uint64_t now);

/* A subflow is taken off the live ones; and what becomes of the session when it was lost. */
void braid_seed_retired(struct braid_subflow *subflow);
void braid_seed_lost(struct braid_session *session, uint64_t now);

/* Takes bytes that arrived, as braid_subflow_feed(). */
int braid_seed_feed(struct braid_subflow *subflow, struct braid_chunk *chunk, uint32_t start,
                    uint32_t len, uint64_t now);

/* Takes from a sample what TCP has acknowledged. */
void braid_seed_sampled(struct braid_subflow *subflow, const struct braid_sample *sample,
                        uint64_t now);

/* Whether a sender would be at its limit before long, unless it hears what was acknowledged. */
bool braid_seed_is_near_limit(const struct braid_session *session);

/* Notes payload that is len bytes, `before` bytes after what was written so far. */
void braid_seed_mark(struct braid_subflow *subflow, uint32_t before, uint32_t len, uint64_t now);

/* Makes a message without payload true that was written: its type, or BRAID_SEED_OPEN. */
#define BRAID_SEED_OPEN 0x10u
void braid_seed_written(struct braid_subflow *subflow, uint8_t type, uint64_t now);

/* Looks whether either direction, or the session, has come to its end. */
void braid_seed_check(struct braid_session *session, uint64_t now);

/* SHUTDOWN has been waiting for long enough for those that do not take it. */
void braid_seed_overdue(struct braid_session *session, uint64_t now);

/* Sees to it that somebody asks soon what TCP has acknowledged. */
void braid_seed_watch(struct braid_session *session, uint64_t now);

#endif
