/* SPDX-License-Identifier: MIT */
/*
 * What a session remembers of its subflows that are gone: the latest 16.
 */
#ifndef BRAID_EVENT_PAST_H
#define BRAID_EVENT_PAST_H

#include <sys/queue.h>

#include "core/session.h"

#include "address.h"

#define BRAID_PAST_MAX 16u

struct braid_session_io;
struct braid_subflow_io;

struct braid_past {
    STAILQ_ENTRY(braid_past) link;
    struct braid_subflow_stats stats;
    union braid_endpoint local;
    union braid_endpoint peer;
};

/* Remembers a subflow. subflow: its last state in the core; state: what became of it, static. */
void braid_past_add(struct braid_session_io *io, struct braid_subflow_io *from,
                    const struct braid_subflow *subflow, const char *state);

/* Forgets all. */
void braid_past_clear(struct braid_session_io *io);

#endif
