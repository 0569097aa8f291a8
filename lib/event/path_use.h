/* SPDX-License-Identifier: MIT */
/*
 * The paths that a context's sessions use, and what is to be done for all of these when something
 * becomes known of a path: it has come back, or the machine has gained or lost a way.
 */
#ifndef BRAID_EVENT_PATH_USE_H
#define BRAID_EVENT_PATH_USE_H

#include <sys/queue.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "address.h"
#include "netlink.h"

struct braid_context;
struct braid_path;
struct braid_session_path;

/* A path with the sessions that use it; exists while there are any. */
struct braid_path_use {
    LIST_ENTRY(braid_path_use) link;
    struct braid_context *context;
    struct braid_path *path;
    unsigned returns;            /* of the path, as far as the sessions know */
    union braid_endpoint far;    /* where it led to last; of the family AF_UNSPEC: not known */
    union braid_endpoint source; /* from where the routes let it leave, as of the latest news */
    LIST_HEAD(, braid_session_path) sessions;
};

struct braid_path_uses {
    LIST_HEAD(, braid_path_use) list;
    struct event check; /* something may have come back */
    struct braid_netlink netlink;
};

void braid_path_uses_init(struct braid_path_uses *uses, struct braid_context *context);

/* Nobody uses a path any more. */
void braid_path_uses_clear(struct braid_path_uses *uses);

/* Notes a session's use of a path; false: no memory. */
bool braid_path_use_begin(struct braid_context *context, struct braid_path *path,
                          struct braid_session_path *session_path);
void braid_path_use_end(struct braid_session_path *session_path);

/* The path has come back: the sessions of all contexts that wait for it are told, from their loops.
 */
void braid_path_use_returned(struct braid_path_use *use);

/* Looks which paths have come back since the last time, and tells those that wait. */
void braid_path_uses_check(struct braid_context *context);

#endif
