/* SPDX-License-Identifier: MIT */
/*
 * A guard: bounds what those may cost who have not proven anything yet.
 *
 * One for all contexts of a group. It counts connections that have not greeted, in all and by the
 * network they come from, and the memory they hold; greetings that failed, by where they came from;
 * and the sessions of each peer. It decides only: who is refused, or closed to make room, is closed
 * by the caller.
 *
 * Its lock is taken a few times in the life of a subflow, never for data. What it remembers is
 * bounded: a source for each connection that has not greeted, a peer for each session, and 4,096
 * of those that failed.
 */
#ifndef BRAID_EVENT_GUARD_H
#define BRAID_EVENT_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <braid/context.h>

#include "address.h"

struct braid_guard;
struct braid_guard_source;

struct braid_guard_limits {
    unsigned half_open;        /* connections that have not greeted, in all */
    unsigned half_open_source; /* of these, from one network: /24 or /56 */
    size_t half_open_memory;   /* bytes they hold, in all */
    uint64_t hello_time;       /* microseconds that a greeting may take */
    unsigned peer_sessions;    /* of one key or certificate */
    unsigned join_failures;    /* a second, from one address, or one /56; 0: any number */
};

enum braid_guard_verdict {
    BRAID_GUARD_WELCOME,
    BRAID_GUARD_FULL,        /* too many have not greeted */
    BRAID_GUARD_FULL_SOURCE, /* too many of its network's */
    BRAID_GUARD_FULL_MEMORY, /* they hold too much */
    BRAID_GUARD_FAILING,     /* too many greetings from there failed */
    BRAID_GUARD_FULL_PEER,   /* the peer has as many sessions as it may have */
    BRAID_GUARD_VERDICTS
};

/* What a connection that has not greeted holds of a guard; zeroed: nothing. */
struct braid_guard_pass {
    struct braid_guard_source *source; /* NULL: it is from this machine, by a unix socket */
    size_t bytes;
    uint32_t network; /* braid_guard_network of its peer */
    bool held;
};

/* With the defaults of braid/context.h. NULL: out of memory, or no random numbers. */
struct braid_guard *braid_guard_new(void);
void braid_guard_free(struct braid_guard *guard);

/* The limits, to be set before the first connection. */
struct braid_guard_limits *braid_guard_limits(struct braid_guard *guard);

/*
 * Lets a connection in, that holds so many bytes; or says why not, and then pass holds nothing.
 * With a verdict FULL or FULL_SOURCE there is room once another one, of the same source, left.
 */
enum braid_guard_verdict braid_guard_enter(struct braid_guard *guard,
                                           const union braid_endpoint *peer, size_t bytes,
                                           uint64_t now, struct braid_guard_pass *pass);

/* It holds more from now on; false: that would be too much, and nothing changed. */
bool braid_guard_grow(struct braid_guard *guard, struct braid_guard_pass *pass, size_t bytes);

/* It has greeted, or is gone. A pass that holds nothing is allowed. */
void braid_guard_leave(struct braid_guard *guard, struct braid_guard_pass *pass);

/* A number for the network that peer counts with, whose high bits spread well; others may have the
 * same, though not by choice. */
uint32_t braid_guard_network(const struct braid_guard *guard, const union braid_endpoint *peer);

/* Whether a connection from peer would count with the one that has the pass. */
bool braid_guard_is_from(const struct braid_guard *guard, const struct braid_guard_pass *pass,
                         const union braid_endpoint *peer);

/* A greeting from there was no good. */
void braid_guard_failed(struct braid_guard *guard, const union braid_endpoint *peer, uint64_t now);

/*
 * Counts one more session of a peer; false: it has as many as it may have. peer: its id's first
 * bytes, where 0 is nobody in particular, who is not counted.
 */
bool braid_guard_take_session(struct braid_guard *guard, uint64_t peer);
void braid_guard_end_session(struct braid_guard *guard, uint64_t peer);

/*
 * Counts that someone was turned away, or closed to make room. True: the one line a minute about
 * such is due, *before: how many there were since the last one, this one left out.
 */
bool braid_guard_turned_away(struct braid_guard *guard, enum braid_guard_verdict verdict,
                             uint64_t now, uint64_t *before);

void braid_guard_get_info(struct braid_guard *guard, struct braid_group_info *info);

#endif
