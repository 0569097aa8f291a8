/* SPDX-License-Identifier: MIT */
/*
 * Half-open subflows: accepted, and their greeting not read yet.
 *
 * First comes the preamble, then the handshake where there is TLS, then HELLO. Up to that nothing
 * is looked up and nothing is remembered: neither preamble nor handshake do anything when they are
 * replayed. When the greeting is whole the subflow joins its session, makes one, or is refused.
 * When that session belongs to another context's thread, transport and bytes are handed over to
 * that one. How many there are, and for how long, the group's guard says; for a new one that is too
 * many the oldest is closed.
 */
#ifndef BRAID_EVENT_PENDING_H
#define BRAID_EVENT_PENDING_H

#include <sys/queue.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "core/hello.h"

#include "address.h"
#include "guard.h"
#include "transport.h"

struct braid_claim;
struct braid_context;
struct braid_group;
struct braid_pending;

struct braid_pendings {
    struct braid_context *context;
    TAILQ_HEAD(braid_pending_list, braid_pending) list; /* the oldest first */
    unsigned count;
    struct event timer; /* for the oldest */
};

/* A subflow that has greeted, on its way to another context. */
struct braid_handoff {
    STAILQ_ENTRY(braid_handoff) link;
    struct braid_claim *claim; /* with a reference */
    struct braid_transport transport;
    union braid_endpoint peer;
    uint64_t listener;
    struct braid_guard_pass pass;
    struct braid_hello hello;
    size_t len; /* of what was read behind it */
    uint8_t data[];
};

void braid_pendings_init(struct braid_pendings *pendings, struct braid_context *context);

/* Takes over a freshly accepted transport. listener: the socket's number. */
void braid_pending_new(struct braid_context *context, uint64_t listener,
                       struct braid_transport *transport, const union braid_endpoint *peer);

/* Takes over what another context has handed here. */
void braid_pending_adopt(struct braid_context *context, struct braid_handoff *handoff);

/* Frees what cannot be delivered, descriptor and all. */
void braid_handoff_free(struct braid_group *group, struct braid_handoff *handoff);

/* Closes those that came in through one listener. */
void braid_pendings_drop(struct braid_pendings *pendings, uint64_t listener);

/* Closes all. */
void braid_pendings_clear(struct braid_pendings *pendings);

#endif
