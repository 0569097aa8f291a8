/* SPDX-License-Identifier: MIT */
/*
 * Relief when the sessions of all contexts hold too much memory: when it is short, contexts give
 * back what they keep in reserve; when it is more than it may be, the largest session of the
 * context that holds the most is reset, and so on until it is enough.
 */
#ifndef BRAID_EVENT_RELIEF_H
#define BRAID_EVENT_RELIEF_H

#include <stdbool.h>
#include <event2/event.h>
#include <event2/event_struct.h>

struct braid_context;

struct braid_relief {
    struct event event;
    bool short_told; /* to the other contexts, since it was not short */
};

void braid_relief_init(struct braid_relief *relief, struct braid_context *context);
void braid_relief_clear(struct braid_relief *relief);

/* Sees to it that there is relief, from the loop, where there is too much. */
void braid_relief_check(struct braid_context *context);

#endif
