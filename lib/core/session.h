/* SPDX-License-Identifier: MIT */
/*
 * A session: one reliable byte stream in each direction, carried over any number of subflows.
 *
 * The core does no I/O and knows no clock: a driver (lib/event, the simulator, the fuzzer) feeds it
 * what subflows and the application bring, asks it what to send while a socket can take bytes, and
 * drains a queue of actions after every call. Times are monotonic microseconds and never run back.
 * A session and its subflows belong to one thread.
 *
 * How a driver uses it, in order, whenever something happened:
 *   1. tell the session (feed, commit, drain, lost, sample, on_time ...);
 *   2. while braid_session_next_sender() names a subflow: pull, write, pulled;
 *   3. drain braid_session_next_action();
 *   4. arm its timer for braid_session_deadline().
 */
#ifndef BRAID_SESSION_H
#define BRAID_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <braid/error.h>

#include "hello.h"
#include "pool.h"

#define BRAID_NEVER UINT64_MAX

struct braid_session;
struct braid_subflow;

enum braid_role {
    BRAID_LOCAL,  /* makes the session and dials its subflows */
    BRAID_REMOTE, /* is joined */
};

/* What a session does with its subflows. */
enum braid_mode {
    BRAID_MODE_AGGREGATE, /* adds them up */
    BRAID_MODE_REDUNDANT, /* sends every byte on the two best */
};

struct braid_session_config {
    enum braid_role role;
    enum braid_mode mode;
    uint64_t id;           /* random, not 0 */
    uint8_t token[16];     /* random; proves that a join belongs */
    uint64_t instance;     /* random, one for the life of the endpoint's process */
    uint64_t seed;         /* random; for what the wire wants random and is no secret */
    unsigned subflows;     /* LOCAL: how many to keep */
    unsigned first;        /* LOCAL: how many to start with, one a path; 0 means 1 */
    unsigned max_subflows; /* REMOTE: how many to accept */
    uint64_t grace;        /* microseconds without a subflow before the session ends */
    size_t window;         /* the most that one direction may hold, bytes */
    bool tls;              /* subflows carry TLS from the preamble on, which the driver sends */
    bool speaks_seed;      /* the seed's format is spoken, not version 1: see seed.h */
    unsigned streams;      /* REMOTE, seed: how many subflows there are, as the first one said */
    bool bare_end;         /* seed: a stream whose connections all end between two messages ends,
                              though nobody said so */
};

enum braid_action_type {
    BRAID_ACTION_NONE,
    BRAID_ACTION_ESTABLISHED,   /* the peer has answered (LOCAL), or is there (REMOTE) */
    BRAID_ACTION_RESULT,        /* LOCAL: error says whether the target was reached */
    BRAID_ACTION_READABLE,      /* bytes can be peeked */
    BRAID_ACTION_WRITABLE,      /* bytes can be reserved again after there was no room */
    BRAID_ACTION_EOF,           /* the peer's half is finished and everything of it was drained */
    BRAID_ACTION_DIAL,          /* LOCAL: braid_session_subflows_wanted() has grown, or one died */
    BRAID_ACTION_CLOSE_SUBFLOW, /* close it: error BRAID_OK: nothing is left to send, shut it down
                                   and read to its end; else at once, and where the seed's format
                                   is spoken so that the peer sees it fail (RST). It is no longer
                                   the session's. */
    BRAID_ACTION_CLOSED,        /* the last action: the session is over, error says why */
};

struct braid_action {
    enum braid_action_type type;
    int error;
    void *user;                    /* CLOSE_SUBFLOW: the subflow's, see braid_subflow_add() */
    struct braid_subflow *subflow; /* CLOSE_SUBFLOW: for its last statistics; it stays valid (and
                                      ignores what it is fed) until the next action is asked for */
};

/* What the driver can learn of a subflow's socket (tcp_info, SIOCOUTQ). */
struct braid_sample {
    bool closed;  /* TCP has given it up, or it has ended both ways */
    uint32_t rtt; /* smoothed, microseconds */
    uint32_t rttvar;
    uint32_t min_rtt;
    uint32_t cwnd;        /* segments */
    uint32_t mss;         /* bytes */
    uint32_t outq;        /* bytes in the socket not acknowledged by TCP, unsent ones included */
    uint32_t unacked;     /* segments on their way: 0 while the peer's window is closed */
    uint64_t bytes_acked; /* by TCP, since the connection began */
    uint64_t delivered;   /* segments known to have arrived, SACKed ones included */
    uint32_t sacked;      /* segments SACKed just now */
    uint32_t backoff;     /* RTO back-off exponent: not 0 while TCP's own timer has fired */
};

/* ---- life ---- */

/*
 * Makes a session.
 *
 * config: copied. Returns NULL when out of memory.
 */
struct braid_session *braid_session_new(struct braid_pool *pool,
                                        const struct braid_session_config *config, uint64_t now);

/* Frees a session and its subflows at once, without a word to the peer. NULL is allowed. */
void braid_session_free(struct braid_session *session);

uint64_t braid_session_id(const struct braid_session *session);
bool braid_session_speaks_seed(const struct braid_session *session);

/* ---- subflows ---- */

/*
 * LOCAL: adds a subflow whose transport has just connected. Its preamble and HELLO are the first
 * bytes it will be asked to send.
 *
 * path: subflows with the same number share one. user: the driver's, given back by CLOSE_SUBFLOW
 * and braid_subflow_user(). Returns a subflow owned by the session, or NULL (out of memory, or the
 * session is ending).
 */
struct braid_subflow *braid_subflow_add(struct braid_session *session, unsigned path, void *user,
                                        uint64_t now);

/*
 * REMOTE: adds a subflow that has said HELLO, as read by braid_greeting_feed().
 *
 * The session's first one too. Returns a subflow owned by the session, or NULL with *error set to
 * what the peer is to be told: BRAID_ERR_TOKEN, _LIMIT, _FINISHED, _PROTOCOL, _MEMORY.
 */
struct braid_subflow *braid_subflow_join(struct braid_session *session,
                                         const struct braid_hello *hello, void *user, int *error,
                                         uint64_t now);

/*
 * LOCAL: keeps a subflow for when no other is in good health, at both ends; before its HELLO is
 * sent. What mode = backup and priority = backup mean.
 */
void braid_subflow_set_backup(struct braid_subflow *subflow, bool backup);

/* The driver's pointer; the subflow's session. */
void *braid_subflow_user(const struct braid_subflow *subflow);
struct braid_session *braid_subflow_session(const struct braid_subflow *subflow);

/*
 * Takes bytes that arrived: chunk->data[start .. start + len). Payload is kept by reference where
 * that is cheaper than a copy, so the bytes must not change while others hold a reference.
 *
 * Returns 0, or a negative enum braid_error when the peer broke the protocol or memory ran out: the
 * driver then closes the transport and calls braid_subflow_lost() with it.
 */
int braid_subflow_feed(struct braid_subflow *subflow, struct braid_chunk *chunk, uint32_t start,
                       uint32_t len, uint64_t now);

/*
 * Whether more of it should be read now. Always, but for the seed's format: that has no window, so
 * a subflow that is too far ahead of the application is left alone until that has taken more. Ask
 * again after everything that the session is told.
 */
bool braid_subflow_may_read(const struct braid_subflow *subflow);

/*
 * The peer has ended its half of the transport in order, so that nothing more can be read. Returns
 * whether the subflow lives on for what is sent; false: braid_subflow_lost() has to follow.
 */
bool braid_subflow_ended(struct braid_subflow *subflow, uint64_t now);

/* Whether nothing more will be written, so that our half of the transport can be shut down. */
bool braid_subflow_is_shut(const struct braid_subflow *subflow);

/*
 * The transport is gone (EOF, error, or closed by the driver). Frees the subflow; what it had not
 * delivered is sent on others.
 *
 * error: why; BRAID_ERR_MEMORY: there was none for what has arrived, which ends a session in the
 * seed's format, as its peer takes that for delivered.
 */
void braid_subflow_lost(struct braid_subflow *subflow, int error, uint64_t now);

/*
 * The driver knows that nothing gets through on it for now: its link or route is gone. Where there
 * is another that works, what it had not delivered is sent there at once, and it is used again once
 * something of it was delivered.
 */
void braid_subflow_cut(struct braid_subflow *subflow, uint64_t now);

/* Says which path a subflow that joined takes; subflows with the same number share one. */
void braid_subflow_set_path(struct braid_subflow *subflow, unsigned path);

/* Whether it may be given data: false while it is silent, or late with an answer. */
bool braid_subflow_is_well(const struct braid_subflow *subflow);

/*
 * How long one look at the socket is good for, microseconds: 10 ms, 2 while slow start goes on; in
 * the seed's format, where only that tells what was delivered, 2 ms and less near its limit.
 */
uint64_t braid_subflow_sample_time(const struct braid_subflow *subflow);

/*
 * Takes a look at the socket: as it is added, and so often, and before braid_session_on_time(), for
 * one that was written to since the last look or that had bytes in its socket then.
 */
void braid_subflow_sample(struct braid_subflow *subflow, const struct braid_sample *sample,
                          uint64_t now);

/*
 * Says how many bytes the socket should be given at the most: the low-water mark that
 * braid_subflow_lowat() asks for, less what is unsent in it. Pulling uses it up.
 */
void braid_subflow_set_room(struct braid_subflow *subflow, size_t bytes);

/* Says how many bytes the socket holds, unsent or not acknowledged by TCP (SIOCOUTQ), just now. */
void braid_subflow_set_queued(struct braid_subflow *subflow, uint64_t bytes);

/*
 * Whether data waits because the socket holds as much as its path should have in flight: the driver
 * then refreshes braid_subflow_set_queued() before it asks for the next sender.
 */
bool braid_subflow_is_capped(const struct braid_subflow *subflow);

/* What is left of it. */
size_t braid_subflow_room(const struct braid_subflow *subflow);

/* Says that the socket takes nothing now (EAGAIN, short write), or that it does again. */
void braid_subflow_set_blocked(struct braid_subflow *subflow, bool blocked);

/* The unsent bytes worth having in this subflow's socket: TCP_NOTSENT_LOWAT, 16 KiB to 1 MiB. */
size_t braid_subflow_lowat(const struct braid_subflow *subflow);

/*
 * Whether bytes wait for this subflow's socket: the driver then refreshes its room, and asks for a
 * write event when there is none.
 */
bool braid_subflow_wants_room(const struct braid_subflow *subflow);

/*
 * The subflow that should be written to next, or NULL when nothing is to be sent now or nothing
 * can take it. Asked again after each braid_subflow_pulled().
 */
struct braid_subflow *braid_session_next_sender(struct braid_session *session, uint64_t now);

/*
 * Plans the next bytes for a subflow that braid_session_next_sender() has just named.
 *
 * Fills in at most max pieces (at least 4) of memory that stay as they are until
 * braid_subflow_pulled(), which must follow before any other call on a session of this pool.
 * Returns the number of pieces.
 */
int braid_subflow_pull(struct braid_subflow *subflow, struct iovec *v, int max, uint64_t now);

/*
 * Says that the first n bytes of the plan were written. A frame cut in two is finished on this
 * subflow later; whole frames that were not begun are free to go elsewhere.
 */
void braid_subflow_pulled(struct braid_subflow *subflow, size_t n, uint64_t now);

/* Visits the live subflows: the first when subflow is NULL, NULL after the last. */
struct braid_subflow *braid_session_subflow_after(const struct braid_session *session,
                                                  const struct braid_subflow *subflow);

/* LOCAL: how many subflows the session wants alive now: 1 for a short exchange, 0 when it ends. */
unsigned braid_session_subflows_wanted(const struct braid_session *session);

/* ---- the application ---- */

/*
 * Lends memory for outgoing bytes; see braid_stream_reserve(). Returns the number of pieces, 0 when
 * there is no room (WRITABLE follows) or the direction is finished.
 */
int braid_session_reserve(struct braid_session *session, struct iovec *v, int max);

/* Sends the first n reserved bytes; what is left over goes back. */
void braid_session_commit(struct braid_session *session, size_t n, uint64_t now);

/*
 * Sends memory that somebody has lent, without a copy: the first bytes of it, as many as there is
 * room for. It must not change until release(arg) has been called, which must not call the session.
 *
 * Returns how many bytes, 0 when there is no room; then WRITABLE comes, and release is never
 * called.
 */
size_t braid_session_lend(struct braid_session *session, const void *data, size_t len,
                          braid_release_cb release, void *arg, uint64_t now);

/* Shows bytes that arrived in order; returns the number of pieces. */
int braid_session_peek(const struct braid_session *session, struct iovec *v, int max);

/*
 * The application will take nothing before so many bytes are there. The window becomes as large, up
 * to its cap, and unless memory is tight.
 */
void braid_session_want(struct braid_session *session, size_t n, uint64_t now);

/* Takes n peeked bytes off; opens the window. */
void braid_session_drain(struct braid_session *session, size_t n, uint64_t now);

/* No more outgoing bytes: FIN. */
void braid_session_shutdown(struct braid_session *session, uint64_t now);

/* Breaks the session off: RESET with error to the peer, then CLOSED with BRAID_ERR_RESET here. */
void braid_session_reset(struct braid_session *session, int error, uint64_t now);

/* REMOTE: tells the peer whether the target was reached; not BRAID_OK: and resets the session. */
void braid_session_answer(struct braid_session *session, int error, uint64_t now);

/* ---- time and actions ---- */

/* When braid_session_on_time() must be called at the latest; BRAID_NEVER: no need. */
uint64_t braid_session_deadline(const struct braid_session *session);

/* Does what is due. Calling it early is harmless. */
void braid_session_on_time(struct braid_session *session, uint64_t now);

/*
 * Takes the next action; false: none left. After CLOSED nothing but braid_session_get_stats() and
 * braid_session_free().
 */
bool braid_session_next_action(struct braid_session *session, struct braid_action *action);

/* ---- statistics ---- */

struct braid_subflow_stats {
    unsigned index;
    unsigned path;
    const char *state;
    uint64_t bytes_sent;     /* payload handed to it */
    uint64_t bytes_received; /* payload that arrived on it */
    uint64_t bytes_resent;   /* of bytes_sent: what had been sent before */
    uint64_t rtt;            /* microseconds, 0: unknown */
    uint64_t rate;           /* bytes a second, 0: unknown */
    uint64_t moved;          /* grows whenever anything is known to have arrived, either way */
};

struct braid_session_stats {
    uint64_t committed; /* bytes taken from the application */
    uint64_t acked;     /* of these, known to have arrived */
    uint64_t drained;   /* bytes the application took */
    uint64_t unread;    /* bytes in order that it did not take yet */
    uint64_t bytes_resent;
    unsigned subflows;
    unsigned subflows_lost;
    bool established;
    bool complete; /* all that the peer sends has arrived, its FIN too */
    bool full;     /* there is no room for more before something is drained */
    size_t memory; /* bytes of buffers held in both directions */
};

void braid_subflow_get_stats(const struct braid_subflow *subflow,
                             struct braid_subflow_stats *stats);
void braid_session_get_stats(const struct braid_session *session,
                             struct braid_session_stats *stats);

#endif
