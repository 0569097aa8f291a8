/* SPDX-License-Identifier: MIT */
/*
 * A worker's part of a [remote] tunnel: takes the sessions that its listeners bring, and connects
 * each to the target.
 */
#ifndef BRAIDD_TUNNEL_REMOTE_H
#define BRAIDD_TUNNEL_REMOTE_H

#include "daemon/tunnel.h"

struct worker;
struct tunnel_remote;

/* Starts to listen on all of the tunnel's sockets. NULL: out of memory or descriptors. */
struct tunnel_remote *tunnel_remote_new(struct worker *worker, struct tunnel *tunnel);

/* Takes no new sessions any more; subflows still join those there are. */
void tunnel_remote_drain(struct tunnel_remote *remote);

/* Ends sessions whose key or certificate is not accepted any more. */
void tunnel_remote_recheck(struct tunnel_remote *remote);

/* Stops listening. NULL is allowed. */
void tunnel_remote_free(struct tunnel_remote *remote);

#endif
