/* SPDX-License-Identifier: MIT */
/*
 * The insides of a session and its subflows, for the files that make them up: session.c (life,
 * application, time), session_send.c (who sends), session_plan.c (pull), session_pulled.c,
 * session_receive.c (feed), subflow.c, rescue.c, late.c, and the schedulers.
 */
#ifndef BRAID_SESSION_INTERNAL_H
#define BRAID_SESSION_INTERNAL_H

#include "deadline.h"
#include "estimator.h"
#include "flow.h"
#include "inflight.h"
#include "parser.h"
#include "plan.h"
#include "ranges.h"
#include "recvbuf.h"
#include "scheduler.h"
#include "seed.h"
#include "sendbuf.h"
#include "session.h"
#include "wire.h"

#define BRAID_GONE_MAX 4u         /* subflows to be reported as lost at once */
#define BRAID_FRAME_MIN 4096u     /* bytes of payload; less is a crumb */
#define BRAID_FRAME_MAX 65000u    /* bytes of payload */
#define BRAID_PROBE 8192u         /* bytes, copies, on a subflow that has yet to show its worth */
#define BRAID_SLICES_MAX 8u       /* pieces of payload in one frame */
#define BRAID_NEAR 1000u          /* microseconds of a round trip; below, a path is in the house */
#define BRAID_MEMORY_RETRY 20000u /* microseconds until what had no memory is tried again */
#define BRAID_REST_CONTROL 700u   /* the longest control frame we send, and more */

/*
 * Bytes committed and never sent; more waits with the application. Whole frames, so that a full
 * write leaves no crumb for another. Lent ones are in nobody's memory but the application's: as
 * many as one write may take.
 */
#define BRAID_BACKLOG_MAX (4 * BRAID_FRAME_MAX)
#define BRAID_BACKLOG_LENT (16 * BRAID_FRAME_MAX)

/* The better one first: control goes there. */
enum braid_subflow_state {
    BRAID_SUBFLOW_ACTIVE,
    BRAID_SUBFLOW_HELLO,   /* LOCAL: our HELLO was not answered yet */
    BRAID_SUBFLOW_SUSPECT, /* silent for too long: no new data, head of the line sent elsewhere */
    BRAID_SUBFLOW_STALE,   /* silent for longer: everything on it was sent elsewhere */
    BRAID_SUBFLOW_ENDING,  /* waits to be given back by CLOSE_SUBFLOW */
};

/* What is left of a frame that a write cut in two: bytes first, then payload. */
struct braid_rest {
    uint32_t at;
    uint32_t len;
    uint8_t then; /* BRAID_FRAME_RESET or _CLOSE: it ends the subflow once it is written; else 0 */
    unsigned slice;
    unsigned slices;
    struct braid_slice slice_at[BRAID_SLICES_MAX]; /* each with a reference on its chunk */
    uint8_t bytes[BRAID_REST_CONTROL];
};

struct braid_subflow {
    struct braid_subflow *next;
    struct braid_session *session;
    void *user;
    enum braid_subflow_state state;
    int error; /* ENDING: for CLOSE_SUBFLOW */
    unsigned index;
    unsigned path;

    struct braid_parser parser;
    struct braid_estimator estimator;
    struct braid_inflight inflight;
    struct braid_rest *rest;
    struct braid_seed_flow *seed; /* NULL: protocol version 1 */
    size_t room;

    uint64_t sent;      /* payload bytes written */
    uint64_t first_at;  /* when the first of them were */
    uint64_t confirmed; /* of these, that the peer says it has received */
    uint64_t resent;
    uint64_t rescued; /* bytes at the front of inflight that were sent elsewhere already */
    uint64_t cursor;  /* redundant: the first byte that was not sent on this one */
    uint64_t received;
    uint64_t told; /* of received, in the last ACK */

    uint64_t added_at;
    uint64_t sent_at;     /* of the last write */
    uint64_t progress_at; /* of the last sign that what we send arrives, while any is due */
    uint64_t suspected_at;
    uint64_t ping_at;   /* of a PING without an answer; 0: none */
    uint64_t pong_time; /* what the PONG must say, and since when we hold it */
    uint64_t pong_since;

    bool blocked;
    bool backup; /* for when no other is in good health */
    bool proven; /* the peer has received data on it */
    bool want_hello;
    bool want_ping;
    bool want_pong;
    bool want_close;
    bool starved; /* there was no memory to note what it would carry: no data until it is due */
};

enum braid_session_state {
    BRAID_SESSION_OPEN,
    BRAID_SESSION_CLOSING,  /* both halves finished and acknowledged; CLOSE goes out */
    BRAID_SESSION_ABORTING, /* RESET goes out */
    BRAID_SESSION_OVER,
};

struct braid_session {
    struct braid_pool *pool;
    struct braid_session_config config;
    const struct braid_scheduler *scheduler;
    enum braid_session_state state;
    int error; /* OVER: why */
    struct braid_deadlines deadlines;
    uint64_t random;

    struct braid_subflow *subflows; /* in the order they came */
    struct braid_subflow *ending;   /* to be given back */
    struct braid_subflow *given;    /* by the last action; lives until the next is asked for */
    unsigned subflow_count;
    unsigned lost_count;
    unsigned doubts; /* suspicions of late that proved wrong; see patience() */
    uint64_t doubted_at;
    unsigned shortages;          /* subflows lost for lack of memory since ... */
    uint64_t short_at;           /* ... this sum of what moves when anything does */
    unsigned next_index;         /* LOCAL */
    struct braid_ranges indices; /* REMOTE: the ones used */
    uint64_t peer_instance;      /* LOCAL; 0: unknown */
    bool established;
    bool grown; /* LOCAL: moved more than a first flight, or grew old: wants all its subflows */
    unsigned allowed;  /* LOCAL: so many the peer takes, as far as it has said */
    unsigned refusals; /* for having too many, in a row */

    /* out */
    struct braid_sendbuf sendbuf;
    uint64_t next;               /* first byte never sent */
    uint64_t limit;              /* the peer's */
    uint64_t advanced_at;        /* when the peer had more in order than before */
    unsigned asked;              /* how often in a row for a higher one */
    unsigned crumbs, old_crumbs; /* tiny frames sent behind crumbs_mark, and before it */
    uint64_t crumbs_mark;
    struct braid_ranges again;     /* to be sent again */
    struct braid_ranges delivered; /* above una, known to have arrived */
    uint64_t bytes_resent;
    uint64_t late_bytes; /* of these: only because they were late */
    bool shut;           /* no more will be committed */
    bool fin_acked;
    bool want_writable;           /* the application found no room */
    bool lends;                   /* and it was for memory of its own */
    struct braid_subflow *fin_on; /* carries FIN; NULL: none does */

    /* in */
    struct braid_recvbuf recvbuf;
    struct braid_flow flow;
    uint64_t final;               /* from FIN; BRAID_NEVER: not known */
    uint64_t received_max;        /* end of the highest byte seen */
    uint64_t unacked;             /* payload bytes since the last ACK */
    bool ack_owed;                /* an ACK would tell something new */
    bool ack_due;                 /* and should go now */
    struct braid_subflow *ack_on; /* brought what is to be acknowledged last; NULL: none lives */
    bool fin_told;                /* an ACK of the peer's FIN was sent */
    bool eof_told;

    /* single messages */
    bool want_result; /* REMOTE: CONNECT_RESULT is to be sent */
    bool answered;    /* it was decided (REMOTE) or came (LOCAL) */
    int result;
    struct braid_subflow *result_on;
    bool close_sent;               /* CLOSING: on one subflow at least */
    struct braid_seed seed;        /* the seed's format, where that is spoken */
    uint16_t gone[BRAID_GONE_MAX]; /* subflows that fell silent and were given up: to be told */
    unsigned gone_count;
    unsigned resets_left; /* ABORTING: on how many subflows RESET still goes */
    int reset_code;

    unsigned actions; /* set of 1 << enum braid_action_type */
    bool closed_told;
};

/* ---- session.c ---- */

void braid_session_act(struct braid_session *session, enum braid_action_type type);

/* The session ends for this reason: everything is let go, subflows are given back. */
void braid_session_end(struct braid_session *session, int error);

/* Goes on to CLOSING when both halves are finished and acknowledged. */
void braid_session_check_finished(struct braid_session *session, uint64_t now);

/* CLOSING: ends when CLOSE went out on every subflow that may still take it. */
void braid_session_check_closed(struct braid_session *session, uint64_t now);

/* LOCAL: wants all its subflows from now on. */
void braid_session_grow(struct braid_session *session);

/* The same, once the session has moved more than a first flight. */
void braid_session_check_growth(struct braid_session *session);

/* Tells the application what it can read, and of the end once it has read everything. */
void braid_session_check_eof(struct braid_session *session);

/* The longest round trip of a live subflow, microseconds; 0: unknown. */
uint64_t braid_session_longest_round_trip(const struct braid_session *session);

/* ---- session_receive.c ---- */

/*
 * Takes payload that a subflow has brought, which the caller has found to be within bounds: for
 * the application, while it listens. Returns 0 or the error of braid_recvbuf_insert().
 */
int braid_session_take_data(struct braid_subflow *subflow, const struct braid_parsed *parsed,
                            struct braid_chunk *chunk);

/* Applies an ACK, or what a HELLO says of one, that came on this subflow. Returns 0 or
 * -BRAID_ERR_PROTOCOL. */
int braid_session_on_ack(struct braid_session *session, const struct braid_ack *ack,
                         const struct braid_subflow *from, uint64_t now);

/*
 * The receiver has `count` payload bytes of this subflow. When another one brings that word while
 * this one is silent, it may be old news, and no sign of life. Returns 0, or -BRAID_ERR_PROTOCOL,
 * or, where nobody would say it again, -BRAID_ERR_MEMORY.
 */
int braid_subflow_confirm(struct braid_subflow *subflow, uint64_t count,
                          const struct braid_subflow *from, uint64_t now);

/* All below una has arrived. */
void braid_session_advance(struct braid_session *session, uint64_t una, uint64_t now);

/* Notes that an ACK is owed, and due at once or soon. */
void braid_session_owe_ack(struct braid_session *session, bool at_once, uint64_t now);

/* What was acknowledged may be lost with a subflow: the next ACK says all of it again. */
void braid_session_forget_told(struct braid_session *session);

/* ---- subflow.c ---- */

/* Takes a subflow out of service as the session ends; the driver is told to close it. */
void braid_subflow_end(struct braid_subflow *subflow, int error);

/* Takes a subflow out of service that has failed; the session goes on without it. */
void braid_subflow_fail(struct braid_subflow *subflow, int error, uint64_t now);

void braid_subflow_destroy(struct braid_subflow *subflow);

/* Whether bytes may be put on it now, as far as its state goes. */
bool braid_subflow_usable(const struct braid_subflow *subflow);

/* Whether something of ours on it waits for a sign of the peer. */
bool braid_subflow_outstanding(const struct braid_subflow *subflow);

/* Notes a sign that what we send on it arrives. */
void braid_subflow_progress(struct braid_subflow *subflow, uint64_t now);

/* Notes that something is outstanding from now on, when nothing was. */
void braid_subflow_expect(struct braid_subflow *subflow, uint64_t now);

/* Bytes in its socket, as far as known. */
uint64_t braid_subflow_queued(const struct braid_subflow *subflow);

/* When the last of n more bytes would arrive, microseconds from now. */
uint64_t braid_subflow_arrival(const struct braid_subflow *subflow, uint64_t n);

/*
 * Whether it has yet to show that it delivers, while another one carries the session: until then it
 * gets only a copy of what waits for its turn there.
 */
bool braid_subflow_on_probation(const struct braid_subflow *subflow);

/*
 * HELLO: whether nothing but copies should go there before its answer: another one has answered,
 * and none of these has proven its path.
 */
bool braid_subflow_must_answer(const struct braid_subflow *subflow);

/* Bytes that its path should get now at the most. */
uint64_t braid_subflow_allowance(const struct braid_subflow *subflow);

/* Whether its path should get no more data now, though the socket would take it. */
bool braid_subflow_is_full(const struct braid_subflow *subflow);

void braid_subflow_drop_rest(struct braid_subflow *subflow);

/* ---- rescue.c ---- */

/* Notes that a subflow that was suspected is well. */
void braid_rescue_doubt(struct braid_subflow *subflow, uint64_t now);

/* Queues everything undelivered on a subflow to be sent again, once. Returns 0 or -_MEMORY. */
int braid_rescue_all(struct braid_subflow *subflow);

/* Sees to it that somebody looks soon: something has just become outstanding. */
void braid_rescue_expect(struct braid_session *session, const struct braid_subflow *subflow,
                         uint64_t now);

/*
 * Queues the next `bytes` of what this subflow carries and nobody else does, less what is known to
 * have arrived. Returns 0 or -BRAID_ERR_MEMORY.
 */
int braid_rescue_more(struct braid_subflow *subflow, uint64_t bytes);

/* Sees to it that somebody looks in time at a subflow that is new. */
void braid_rescue_welcome(struct braid_session *session, uint64_t now);

/* Whether something on it waits for longer than usual for a sign of its arrival. */
bool braid_rescue_is_quiet(const struct braid_subflow *subflow, uint64_t now);

/* Looks at the silence of every subflow; arms the timer for the next look. */
void braid_rescue_watch(struct braid_session *session, uint64_t now);

/* ---- late.c ---- */

/*
 * Queues some of the head of the line again when it is late, or would arrive sooner on `fast`; when
 * that one does not idle, only if the session would come to a stop at the peer's limit. Returns
 * whether there is something to send again.
 */
bool braid_late_rescue(struct braid_session *session, const struct braid_subflow *fast, bool idle,
                       uint64_t now);

/* ---- session_send.c ---- */

/* The subflow for data now, new or again; NULL: none can or should take any. */
struct braid_subflow *braid_session_data_sender(const struct braid_session *session);

/*
 * A subflow on probation that is to carry a copy of the head of the line. It shows what the path is
 * worth, delays nothing if that is little, and is of use if the other path has just failed.
 */
struct braid_subflow *braid_session_probe_sender(const struct braid_session *session);

/* The subflow for what any may carry: in good health, then the one with the shortest way. */
struct braid_subflow *braid_session_shortest(const struct braid_session *session);

bool braid_session_wants_reset(const struct braid_session *session);

/* Counts a new frame of so many bytes, which may be one of many tiny ones. */
void braid_session_count_crumb(struct braid_session *session, uint32_t len);

/* Whether there is payload to send: again, or new within the peer's limit. */
bool braid_session_has_again(const struct braid_session *session);
bool braid_session_has_new(const struct braid_session *session);

/* Whether some of what is to be sent again is not on this subflow itself, where TCP sees to it. */
bool braid_session_has_again_for(const struct braid_session *session,
                                 const struct braid_subflow *subflow);

/* ---- session_plan.c ---- */

/* Bytes of payload that one frame on this subflow should have: 5 ms of its rate. */
uint64_t braid_subflow_frame(const struct braid_subflow *subflow);

#endif
