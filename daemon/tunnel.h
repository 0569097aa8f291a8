/* SPDX-License-Identifier: MIT */
/*
 * One [local] or [remote] section as all workers share it: what never changes, and counters.
 */
#ifndef BRAIDD_TUNNEL_H
#define BRAIDD_TUNNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <braid/options.h>
#include <braid/path.h>

#include "daemon/config.h"

/* A listening socket. */
struct tunnel_socket {
    int fd;           /* -1: closed, for draining */
    char *text;       /* the address it is really bound to, as in status and logs */
    const char *path; /* the unix socket's file that this process made; NULL: none */
};

struct tunnel {
    const struct config_tunnel *config;
    struct braid_options *options;
    struct braid_path **paths; /* local: config->path_count of them */
    struct tunnel_socket *sockets;
    size_t socket_count;
    atomic_uint sessions; /* now */
    atomic_ullong total;  /* so far */
};

/*
 * Opens everything that a configuration's tunnels need: sockets passed by the service manager are
 * used where their address is configured, the others are opened.
 *
 * Every failure is logged as one line. Returns tunnels in the configuration's order, or NULL.
 */
struct tunnel *tunnels_open(const struct config *config);

/* A path as the configuration has it. NULL: out of memory. */
struct braid_path *tunnel_make_path(const struct config_tunnel_path *config);

/* Closes the sockets of one role, and removes their files: new clients are refused from now on. */
void tunnels_close_sockets(struct tunnel *tunnels, size_t count, enum config_role role);

/* Closes all there is. NULL is allowed. */
void tunnels_free(struct tunnel *tunnels, size_t count);

/* "local" or "remote". */
const char *tunnel_role(const struct tunnel *tunnel);

#endif
