/* SPDX-License-Identifier: MIT */
/*
 * A subflow that has greeted, on its way to the context that owns its session: the transport, what
 * was read from it, and what it holds of the group's guard and table.
 */
#ifndef BRAID_EVENT_HANDOFF_H
#define BRAID_EVENT_HANDOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/hello.h"

#include "address.h"
#include "guard.h"
#include "receive.h"
#include "transport.h"

struct braid_claim;
struct braid_context;
struct braid_group;

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

/* With a copy of what was read; the rest is the caller's to fill in. NULL: out of memory. */
struct braid_handoff *braid_handoff_new(const struct braid_received *rest);

/* Puts the copy where bytes that are read go; false: out of memory. */
bool braid_handoff_restore(const struct braid_handoff *handoff, struct braid_context *context,
                           struct braid_received *rest);

/* Frees what cannot be delivered, descriptor and all. */
void braid_handoff_free(struct braid_group *group, struct braid_handoff *handoff);

#endif
