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
};

/* Earliest expected arrival over all subflows (transport.md 1, 12). */
extern const struct braid_scheduler braid_scheduler_aggregate;

#endif
