/* SPDX-License-Identifier: MIT */
/*
 * Transports that have nothing left to send: shut down, and read to their end, 10 s at most, since
 * closing one with unread bytes would make TCP take back what the peer has not read yet.
 *
 * Those of strangers who were refused hold a guard's pass, and make room for others.
 */
#ifndef BRAID_EVENT_LINGER_H
#define BRAID_EVENT_LINGER_H

#include <stdbool.h>

#include "transport.h"
#include "waiting.h"

struct braid_context;

struct braid_lingers {
    struct braid_context *context;
    struct braid_waiting waiting;
};

void braid_lingers_init(struct braid_lingers *lingers, struct braid_context *context);

/* Takes a transport over, shuts it down and drains it. */
void braid_linger_start(struct braid_context *context, struct braid_transport *transport);

/* The same, with what a stranger holds of the context's guard. */
void braid_linger_refused(struct braid_context *context, struct braid_transport *transport,
                          struct braid_guard_pass *pass);

/* Closes the oldest stranger, who comes from where peer does; NULL: from anywhere. False: none. */
bool braid_lingers_make_room(struct braid_lingers *lingers, const union braid_endpoint *peer);

/* Closes all at once. */
void braid_lingers_clear(struct braid_lingers *lingers);

#endif
