/* SPDX-License-Identifier: MIT */
/*
 * The handshake of a subflow that was dialled: the preamble, then TLS until both ends have proven
 * who they are.
 */
#ifndef BRAID_EVENT_HANDSHAKE_H
#define BRAID_EVENT_HANDSHAKE_H

#include <stdint.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "transport_tls.h"

struct braid_context;

/* How it ended: transport NULL with why, in words, or the callee's from now on. */
typedef void (*braid_handshake_cb)(const struct braid_transport *transport, const char *why,
                                   void *arg);

struct braid_handshake {
    struct braid_context *context;
    struct braid_transport transport;
    struct event event;
    uint64_t ends;
    braid_handshake_cb cb;
    void *arg;
};

/*
 * Begins one for a subflow of a session on a plain transport, which is taken over.
 *
 * time: microseconds that it may take. cb: called once, from the loop, when the handshake is gone.
 * NULL: out of memory.
 */
struct braid_handshake *braid_handshake_new(struct braid_context *context,
                                            struct braid_transport *transport,
                                            struct braid_credentials *credentials, uint64_t session,
                                            uint64_t time, braid_handshake_cb cb, void *arg);

/* Gives it up, transport and all; cb will not be called. NULL is allowed. */
void braid_handshake_cancel(struct braid_handshake *handshake);

#endif
