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
    struct braid_path *path; /* the way to take; NULL: any */
    unsigned subflows;       /* that a session has on it */
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
    bool patient;
    union braid_endpoint *reached; /* of a subflow's dial */
};

/*
 * As braid_dial_new(), for one of a session's subflows on a path: *reached is set to the address
 * that it is connected to. A connection that is there at once is told about after all sockets were
 * looked at, so that what they bring goes along with its first bytes.
 */
struct braid_dial *braid_dial_subflow(struct braid_context *context, struct braid_path *path,
                                      unsigned subflows, const struct braid_address *address,
                                      unsigned milliseconds, union braid_endpoint *reached,
                                      braid_dial_cb cb, void *arg);

#endif
