/* SPDX-License-Identifier: MIT */
/*
 * The public handle of a session: the application's callbacks, and what they are still to be told.
 * It is a part of the session's pump.
 */
#ifndef BRAID_EVENT_STREAM_H
#define BRAID_EVENT_STREAM_H

#include <braid/stream.h>

struct evbuffer;

struct braid_stream {
    braid_stream_data_cb readcb;
    braid_stream_data_cb writecb;
    braid_stream_event_cb eventcb;
    void *read_arg;
    void *write_arg;
    void *event_arg;
    struct evbuffer *output; /* was written, and the session has no room yet; NULL: never any */
    struct braid_loan *loan; /* before it: what the session is lent piece by piece; NULL: none */
    struct evbuffer *input;  /* was shown by get_input() and not drained; NULL: never asked for */
    size_t read_low;
    size_t read_high;  /* of input; 0: the default */
    size_t write_low;  /* of output */
    size_t write_high; /* of output; 0: the default */
    unsigned disabled; /* EV_READ, EV_WRITE: these callbacks wait */
    bool room;         /* to be used for the output */
    bool shut;         /* for writing, once output is empty */
    bool discarding;   /* for reading: what arrives is thrown away */
    unsigned events;   /* to be told: a set of enum braid_stream_event */
    bool readable;     /* to be told */
    bool writable;     /* to be told */
    bool freed;        /* by the application: its callbacks are never called again */
};

/* Whether there is something to tell, and somebody to tell it to. */
bool braid_stream_is_due(const struct braid_stream *stream);

/* Runs the callbacks that are due; false: there were none. */
bool braid_stream_deliver(struct braid_stream *stream);

/* ---- stream_buffer.c ---- */

/* Bytes that were written and are not the session's yet. */
size_t braid_stream_output(const struct braid_stream *stream);

/* Whether there is as much to read as the low-water mark wants, or all that will ever come. */
bool braid_stream_has_enough(const struct braid_stream *stream);

/* Moves to the input, where there is one, what it has room for. */
void braid_stream_fill_input(struct braid_stream *stream);

/* The session says that there are bytes to read, or room to write. */
void braid_stream_readable(struct braid_stream *stream);
void braid_stream_writable(struct braid_stream *stream);

/* Moves as much of the output to the session as there is room for. */
void braid_stream_use_room(struct braid_stream *stream);

/* Throws away what has arrived, and what comes from now on. */
void braid_stream_discard(struct braid_stream *stream);

/* Frees the buffers. */
void braid_stream_clear(struct braid_stream *stream);

#endif
