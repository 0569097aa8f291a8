/* SPDX-License-Identifier: MIT */
/*
 * A listener: accepts subflows, a few a wake-up, since the listening socket may be shared with the
 * contexts of other threads.
 */
#ifndef BRAID_EVENT_LISTENER_H
#define BRAID_EVENT_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include <braid/listener.h>

#include "options.h"
#include "security.h"

struct braid_listener {
    LIST_ENTRY(braid_listener) link;
    struct braid_listener *first; /* of those that were bound together: the one the caller knows */
    struct braid_listener *next;  /* of those; NULL: the last */
    struct braid_context *context;
    struct braid_options options;
    int fd;
    bool tcp;
    uint64_t number; /* of the listening socket, the same in all contexts that share it */
    braid_listener_cb cb;
    void *arg;
    struct event event; /* a connection waits */
    struct event pause; /* the end of a pause in accepting */
    unsigned at_once;   /* so many are accepted before the loop has its turn */
    bool disabled;
};

/* The listener of a context on the socket of that number, or NULL. */
struct braid_listener *braid_listener_find(const struct braid_context *context, uint64_t number);

#endif
