/* SPDX-License-Identifier: MIT */
/*
 * A dial: resolve, connect to one address after the other, hand the descriptor over.
 *
 * It has one event, used in turn as time limit of the name, for the connection, for a pause, and
 * to tell the end from the loop.
 */
#ifndef BRAID_EVENT_DIAL_H
#define BRAID_EVENT_DIAL_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include <braid/dial.h>

#include "resolve.h"

struct braid_dial {
    LIST_ENTRY(braid_dial) link;
    struct braid_context *context;
    const struct braid_address *address;
    uint64_t deadline;
    braid_dial_cb cb;
    void *arg;
    struct event event;
    struct braid_waiter waiter;
    struct braid_answer answer; /* of a name, ports filled in */
    unsigned next;              /* the address that is being tried */
    unsigned targets;
    int fd;
    int error;  /* once finished */
    int number; /* errno of the latest attempt */
};

#endif
