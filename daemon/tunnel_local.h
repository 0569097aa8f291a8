/* SPDX-License-Identifier: MIT */
/*
 * A worker's part of a [local] tunnel: accepts clients, and makes each a session to the remote
 * endpoint.
 */
#ifndef BRAIDD_TUNNEL_LOCAL_H
#define BRAIDD_TUNNEL_LOCAL_H

#include "daemon/tunnel.h"

struct worker;
struct tunnel_local;

/* Starts to accept on all of the tunnel's sockets. NULL: out of memory. */
struct tunnel_local *tunnel_local_new(struct worker *worker, struct tunnel *tunnel);

/* Stops accepting; its sessions go on. NULL is allowed. */
void tunnel_local_free(struct tunnel_local *local);

/* There may be a slot for a session again. */
void tunnel_local_resume(struct tunnel_local *local);

/*
 * Makes a client a session of this worker, which has been charged for it.
 *
 * The socket is the session's from now on; if nothing comes of it, the client sees a reset.
 */
void tunnel_local_serve(struct worker *worker, struct tunnel *tunnel, int fd, const char *client);

#endif
