/* SPDX-License-Identifier: MIT */
/*
 * Half-open subflows: accepted, and their greeting not read yet.
 *
 * First comes the preamble, then the handshake where there is TLS, once its first message is there,
 * then HELLO. Up to that nothing is looked up and nothing is remembered: neither preamble nor
 * handshake do anything when they are replayed. When the greeting is whole the subflow joins its
 * session, makes one, or is refused. When that session belongs to another context's thread,
 * transport and bytes are handed over to that one. How many there are, and for how long, the
 * group's guard says; for a new one that is too many the oldest is closed.
 */
#ifndef BRAID_EVENT_PENDING_H
#define BRAID_EVENT_PENDING_H

#include <stdint.h>

#include "address.h"
#include "transport.h"
#include "waiting.h"

struct braid_context;
struct braid_handoff;

struct braid_pendings {
    struct braid_waiting greeting;    /* hold next to nothing */
    struct braid_waiting handshaking; /* hold what TLS takes */
};

void braid_pendings_init(struct braid_pendings *pendings, struct braid_context *context);

/* How many there are. */
unsigned braid_pendings_count(const struct braid_pendings *pendings);

/* Takes over a freshly accepted transport. listener: the socket's number. */
void braid_pending_new(struct braid_context *context, uint64_t listener,
                       struct braid_transport *transport, const union braid_endpoint *peer);

/* Takes over what another context has handed here. */
void braid_pending_adopt(struct braid_context *context, struct braid_handoff *handoff);

/* Closes those that came in through one listener. */
void braid_pendings_drop(struct braid_pendings *pendings, uint64_t listener);

/* Closes all. */
void braid_pendings_clear(struct braid_pendings *pendings);

#endif
