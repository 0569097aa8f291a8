/* SPDX-License-Identifier: MIT */
/*
 * The pump: what keeps one session going between its subflows' sockets, the application and time.
 *
 * Every event of the loop that concerns a session is put between enter and leave. Leave hands the
 * session's actions on, runs the application's callbacks, and then sends, once, whatever came of
 * it all. Calls of the application do the same without callbacks: those wait for the loop.
 *
 * A pump lives until its session is over and the application has freed the stream.
 */
#ifndef BRAID_EVENT_SESSION_IO_H
#define BRAID_EVENT_SESSION_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "core/session.h"

#include "key.h"
#include "options.h"
#include "stream.h"

struct braid_claim;
struct braid_connector;
struct braid_context;
struct braid_credentials;
struct braid_past;
struct braid_path;
struct braid_subflow_io;

struct braid_session_io {
    LIST_ENTRY(braid_session_io) link;
    struct braid_context *context;
    struct braid_session *session;
    struct braid_stream stream;
    struct braid_claim *claim;             /* REMOTE, until the session is over */
    uint64_t listener;                     /* REMOTE: the number of the socket it came in through */
    struct braid_connector *connector;     /* LOCAL */
    struct braid_credentials *credentials; /* LOCAL: what its subflows show; NULL: nothing */
    struct braid_identity identity;        /* of the peer; all zero: not known */
    TAILQ_HEAD(, braid_subflow_io) subflows;
    STAILQ_HEAD(, braid_past) past; /* the oldest first */
    unsigned past_count;
    struct event wake; /* the session's time, or callbacks that wait for the loop */
    uint64_t armed;    /* when it goes off */
    uint64_t counted;  /* the peer that the guard counts this session for; 0: none */
    unsigned entered;
    bool closed;    /* the session is over */
    bool withdrawn; /* reset, since its peer is not accepted any more */
    int error;
};

/* The pump that a stream is a part of. */
static inline struct braid_session_io *braid_session_io_of(const struct braid_stream *stream)
{
    return (struct braid_session_io *)(void *)((char *)(void *)stream -
                                               offsetof(struct braid_session_io, stream));
}

/* Makes the pump of a new session: of an id that has just been claimed, or of a random one. */
struct braid_session_io *braid_session_io_accept(struct braid_context *context,
                                                 const struct braid_options *options,
                                                 const struct braid_identity *peer,
                                                 const struct braid_hello *hello, uint64_t now);
struct braid_session_io *braid_session_io_connect(struct braid_context *context,
                                                  const struct braid_options *options,
                                                  struct braid_path *const *paths, size_t n,
                                                  uint64_t now);

void braid_session_io_enter(struct braid_session_io *io);

/* The pump may be gone afterwards. */
void braid_session_io_leave(struct braid_session_io *io, uint64_t now);

/* Instead of leave: does the same from the loop, after what is to be run there already. */
void braid_session_io_postpone(struct braid_session_io *io);

/* After a call of the application: sends what came of it. The pump may be gone afterwards. */
void braid_session_io_touch(struct braid_session_io *io, uint64_t now);

/* Sees to it that it is woken in time. */
void braid_session_io_arm(struct braid_session_io *io, uint64_t now);

/* Has it woken by the loop as soon as possible. */
void braid_session_io_wake(struct braid_session_io *io);

/* Breaks the session off and frees the pump, stream and all. Not to be called while entered. */
void braid_session_io_abort(struct braid_session_io *io);

/* Marks a session that never came to life: leave frees it, the id is remembered with the error. */
void braid_session_io_discard(struct braid_session_io *io, int error, uint64_t now);

#endif
