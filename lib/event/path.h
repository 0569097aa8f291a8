/* SPDX-License-Identifier: MIT */
/*
 * What is inside of a braid_path: a description that does not change once it is used, and the state
 * that the sessions of all threads share.
 */
#ifndef BRAID_EVENT_PATH_H
#define BRAID_EVENT_PATH_H

#include <stdatomic.h>
#include <net/if.h>

#include <braid/context.h>
#include <braid/path.h>

#include "address.h"
#include "path_state.h"

#define BRAID_CONGESTION_MAX 16 /* TCP_CA_NAME_MAX, with its zero */

struct braid_path {
    atomic_uint references; /* the application's, and one of each context that uses it */
    char *name;
    char interface[IFNAMSIZ];    /* "": any */
    union braid_endpoint source; /* of the family AF_UNSPEC: any */
    struct braid_address *remotes[BRAID_PATH_REMOTES];
    unsigned remote_count;
    unsigned subflows; /* 0: as the options say */
    bool backup;
    uint64_t max_rate;
    char congestion_control[BRAID_CONGESTION_MAX]; /* "": the system's default */
    atomic_bool complained;                        /* about the congestion control, once */
    struct braid_path_state state;
};

/* One more reference, for braid_path_free(). */
void braid_path_keep(struct braid_path *path);

/*
 * Prepares a new socket for its connect(): bound to interface and source, and with the options of
 * the path. subflows: how many a session has on it. Returns 0 or an errno.
 */
int braid_path_prepare(struct braid_path *path, struct braid_context *context, int fd,
                       const struct sockaddr *target, unsigned subflows);

/*
 * The address of a family that an interface has now and that fits to a target: none of the link's
 * own where the target is none. false: it has none.
 */
bool braid_path_interface_address(const char *interface, const struct sockaddr *target,
                                  union braid_endpoint *address);

#endif
