/* SPDX-License-Identifier: MIT */
/*
 * The public handle of a session: the application's callbacks, and what they are still to be told.
 * It is a part of the session's pump.
 */
#ifndef BRAID_EVENT_STREAM_H
#define BRAID_EVENT_STREAM_H

#include <braid/stream.h>

struct braid_stream {
    braid_stream_data_cb readcb;
    braid_stream_data_cb writecb;
    braid_stream_event_cb eventcb;
    void *arg;
    unsigned events; /* to be told: a set of enum braid_stream_event */
    bool readable;   /* to be told */
    bool writable;   /* to be told */
    bool freed;      /* by the application: its callbacks are never called again */
};

/* Whether there is something to tell, and somebody to tell it to. */
bool braid_stream_is_due(const struct braid_stream *stream);

/* Runs the callbacks that are due; false: there were none. */
bool braid_stream_deliver(struct braid_stream *stream);

#endif
