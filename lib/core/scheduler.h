/* SPDX-License-Identifier: MIT */
/*
 * Which subflow carries the next bytes. A scheduler decides from the session's state alone; it
 * keeps none of its own and changes nothing.
 */
#ifndef BRAID_SCHEDULER_H
#define BRAID_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

struct braid_session;
struct braid_subflow;

struct braid_scheduler {
    const char *name;

    /*
     * The subflow to send on now, or NULL: none can take bytes, or waiting is better.
     *
     * again: the bytes were sent before and somebody may be waiting for them.
     */
    struct braid_subflow *(*pick)(const struct braid_session *session, bool again);

    /* Where on this subflow the next new bytes begin; the session's next when each is sent once. */
    uint64_t (*next)(const struct braid_session *session, const struct braid_subflow *subflow);
};

/* Earliest expected arrival over all subflows (transport.md 1, 12). */
extern const struct braid_scheduler braid_scheduler_aggregate;

/* Every byte on the two subflows with the shortest round trips, each at its own pace. */
extern const struct braid_scheduler braid_scheduler_redundant;

/* ---- what schedulers share (scheduler.c) ---- */

/*
 * Whether a subflow may be given data at all: in good health and no backup, as long as there is one
 * like that; then any in good health; then any.
 */
bool braid_scheduler_eligible(const struct braid_session *session,
                              const struct braid_subflow *subflow);

/* Whether it can take data now, of which `waiting` bytes wait. */
bool braid_scheduler_can_take(const struct braid_subflow *subflow, uint64_t waiting);

/* Whether it can take some of what is to be sent again; of whatever will be, if nothing is yet. */
bool braid_scheduler_can_repeat(const struct braid_session *session,
                                const struct braid_subflow *subflow);

#endif
