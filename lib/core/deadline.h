/* SPDX-License-Identifier: MIT */
/*
 * The few timers of a session: a table of times, the earliest of which is its deadline.
 */
#ifndef BRAID_DEADLINE_H
#define BRAID_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

enum braid_timer {
    BRAID_TIMER_ACK,     /* a delayed acknowledgement */
    BRAID_TIMER_WATCH,   /* a look at the subflows' progress, or their keep-alive */
    BRAID_TIMER_PACE,    /* a path that was full should have drained a little */
    BRAID_TIMER_JOIN,    /* a session that has grown old wants all its subflows; seed: no longer */
    BRAID_TIMER_LIMIT,   /* LOCAL: the peer may take more subflows again than it did */
    BRAID_TIMER_OPEN,    /* LOCAL: the peer must have answered */
    BRAID_TIMER_GRACE,   /* without a subflow */
    BRAID_TIMER_BLOCKED, /* the peer's limit has stopped us for long: ask */
    BRAID_TIMER_MEMORY,  /* the application waits for room, but the pool is empty: try again */
    BRAID_TIMER_END,     /* CLOSE or RESET must have been sent */
    BRAID_TIMERS,
};

struct braid_deadlines {
    uint64_t at[BRAID_TIMERS]; /* UINT64_MAX: not set */
};

static inline void braid_timer_set(struct braid_deadlines *d, enum braid_timer timer, uint64_t at)
{
    d->at[timer] = at;
}

static inline void braid_timer_clear(struct braid_deadlines *d, enum braid_timer timer)
{
    d->at[timer] = UINT64_MAX;
}

static inline bool braid_timer_is_set(const struct braid_deadlines *d, enum braid_timer timer)
{
    return d->at[timer] != UINT64_MAX;
}

/* Clears a timer and returns true when it is due. */
static inline bool braid_timer_due(struct braid_deadlines *d, enum braid_timer timer, uint64_t now)
{
    if (d->at[timer] > now)
        return false;
    d->at[timer] = UINT64_MAX;
    return true;
}

static inline void braid_timers_clear(struct braid_deadlines *d)
{
    for (int i = 0; i < BRAID_TIMERS; i++)
        d->at[i] = UINT64_MAX;
}

static inline uint64_t braid_timers_next(const struct braid_deadlines *d)
{
    uint64_t next = UINT64_MAX;

    for (int i = 0; i < BRAID_TIMERS; i++)
        next = d->at[i] < next ? d->at[i] : next;
    return next;
}

#endif
