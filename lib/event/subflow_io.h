/* SPDX-License-Identifier: MIT */
/*
 * One subflow of a session: its transport and events, and the core's object that belongs to it.
 *
 * A read event is always there, since a receiver never stops reading: but in the seed's format,
 * which has no other back-pressure. A write event is there only while bytes wait and the socket has
 * no room for them.
 */
#ifndef BRAID_EVENT_SUBFLOW_IO_H
#define BRAID_EVENT_SUBFLOW_IO_H

#include <stdbool.h>
#include <sys/queue.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "core/session.h"

#include "address.h"
#include "receive.h"
#include "transport.h"

struct braid_session_io;
struct braid_session_path;
struct braid_slot;

struct braid_subflow_io {
    TAILQ_ENTRY(braid_subflow_io) link;
    struct braid_session_io *io;
    struct braid_subflow *subflow;
    struct braid_slot *slot;                   /* LOCAL: who dialled it, and looks after it */
    const struct braid_session_path *outdated; /* of which the next one takes its place */
    struct braid_transport transport;
    struct event read;
    struct event write;
    union braid_endpoint local; /* once somebody asked */
    union braid_endpoint peer;
    unsigned path;         /* REMOTE: a number for the two hosts' addresses */
    size_t lowat;          /* the unsent bytes that the socket may hold */
    uint64_t sampled;      /* when */
    bool lowat_set;        /* as TCP_NOTSENT_LOWAT */
    bool paced;            /* TCP was told to */
    bool settled;          /* what is not needed for the first bytes was seen to */
    bool busy;             /* written to since, or not all acknowledged then */
    bool writing;          /* the write event is there */
    bool blocked;          /* the core was told that the socket takes nothing */
    bool eager;            /* the last read filled all it was given */
    bool paused;           /* there is no read event */
    bool ended;            /* nor will there be: all was read */
    bool shut;             /* nothing more is written */
    const char *condemned; /* why it is to be lost at its next event, static; NULL: it is not */
};

/* LOCAL: adds a connected transport to the session. NULL: it was not taken. */
struct braid_subflow_io *braid_subflow_io_add(struct braid_session_io *io, unsigned path,
                                              const struct braid_transport *transport,
                                              uint64_t now);

/* REMOTE: adds one that has greeted. NULL: it was not taken, *error is what to answer. */
struct braid_subflow_io *braid_subflow_io_join(struct braid_session_io *io,
                                               const struct braid_transport *transport,
                                               const union braid_endpoint *peer,
                                               const struct braid_hello *hello, int *error,
                                               uint64_t now);

/* Gives it what was read. The subflow may be gone afterwards. */
void braid_subflow_io_feed(struct braid_subflow_io *subflow, const struct braid_received *pieces,
                           int count, uint64_t now);

/* Takes a sample when one is due, and finds out how much room there is when that matters. */
void braid_subflow_io_refresh(struct braid_subflow_io *subflow, uint64_t now);

/* Takes a sample, busy or not, when the last one has aged. */
void braid_subflow_io_look(struct braid_subflow_io *subflow, uint64_t now);

/* Writes what the core has planned for it. The subflow may be gone afterwards. */
void braid_subflow_io_write(struct braid_subflow_io *subflow, uint64_t now);

/* Asks for events that are needed, and for none that are not. */
void braid_subflow_io_watch(struct braid_subflow_io *subflow);

/* Its own address. */
const union braid_endpoint *braid_subflow_io_local(struct braid_subflow_io *subflow);

/* The core gives it back: last is its end state there, or NULL. */
void braid_subflow_io_close(struct braid_subflow_io *subflow, const struct braid_subflow *last,
                            int error);

/* Has it lost as soon as the loop comes to it. why: static. */
void braid_subflow_io_condemn(struct braid_subflow_io *subflow, const char *why);

/* The machine has no way for it: it carries nothing any more if there is another. */
void braid_subflow_io_cut(struct braid_subflow_io *subflow, uint64_t now);

/* Closes and frees it, without a word to anybody. */
void braid_subflow_io_drop(struct braid_subflow_io *subflow);

#endif
