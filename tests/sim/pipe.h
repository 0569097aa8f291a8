/* SPDX-License-Identifier: MIT */
/*
 * A pipe: one TCP connection over a path, the transport of one subflow. Side 0 has dialled it.
 *
 * Reliable and in order as TCP is, and with all of TCP that a session can feel: see tcp.h. Bytes
 * that were written may be lost only by an abort or a reset.
 */
#ifndef SIM_PIPE_H
#define SIM_PIPE_H

#include "congestion.h"
#include "path.h"
#include "scoreboard.h"

#define SIM_MSS 1448u

typedef void (*sim_notify_cb)(void *arg);

enum sim_end_state {
    SIM_END_FRESH,      /* side 1: nobody came yet */
    SIM_END_CONNECTING, /* side 0: no answer yet */
    SIM_END_OPEN,
    SIM_END_CLOSED, /* by its owner; TCP goes on sending what was written */
    SIM_END_DEAD,   /* reset, refused or timed out */
};

/* One end, seen by its owner. */
struct sim_end {
    enum sim_end_state state;
    sim_notify_cb notify; /* something has changed: look. It must only set a timer. */
    void *arg;
    bool want_write;
    uint64_t write_mark;
};

enum sim_flow_state {
    SIM_FLOW_OPEN,
    SIM_FLOW_RECOVERY, /* segments were lost, others still arrive */
    SIM_FLOW_LOSS,     /* the retransmission timer has fired */
};

/* One direction, named after the side that sends. Offsets count bytes; FIN counts as one more. */
struct sim_flow {
    uint8_t *data; /* ring of [base, written) */
    size_t capacity;
    uint64_t base;
    uint64_t written;
    uint64_t una;      /* acknowledged up to here */
    uint64_t nxt;      /* sent up to here */
    uint64_t received; /* at the other side, in order */
    uint64_t read;     /* by the other side's owner */
    bool fin;          /* nothing is written any more */
    bool cut;          /* a middlebox has ended it: what is written from now on is lost */
    bool stopped;      /* nothing is sent any more */

    /* the sender */
    enum sim_flow_state state;
    struct sim_board board;
    struct sim_congestion congestion;
    uint64_t recover; /* not OPEN: until this is acknowledged */
    uint64_t resent;  /* not OPEN: when something was sent again first; 0: nothing was */
    uint64_t srtt, rttvar, min_rtt;
    uint64_t dialled; /* when SYN was sent */
    unsigned backoff;
    bool probing;       /* the timer is to send a tail loss probe */
    bool probed;        /* one is out */
    uint64_t sent_at;   /* when something new was sent last; 0: never */
    uint64_t progress;  /* when the last new acknowledgement came, or sending began */
    uint64_t timed;     /* what the retransmission timer counts from */
    uint64_t delivered; /* segments, those above a gap included */
    struct sim_timer timer;

    /* the receiver, on the other side */
    struct sim_arrivals arrivals;
    uint64_t told;    /* what its last segment has acknowledged */
    uint64_t stamp;   /* of what it acknowledges */
    unsigned at_once; /* so many acknowledgements are not delayed */
    struct sim_timer ack;
};

struct sim_keepalive {
    struct sim_timer timer;
    uint64_t heard; /* when the last segment came */
    bool probed;    /* since */
};

struct sim_pipe {
    struct sim_pipe *next;
    struct sim_path *path;
    unsigned number;
    struct sim_end ends[2];
    struct sim_flow flows[2];
    struct sim_timer syn;
    struct sim_timer torn;             /* a middlebox resets it */
    struct sim_keepalive keepalive[2]; /* by the side that asks */
    unsigned syns;
    uint64_t sndbuf;    /* at the least */
    unsigned stalled;   /* how many faults hold this one pipe back */
    bool reads_nothing; /* a reset takes with it what was not read yet */
};

/* Dials; the pipe lives until sim_pipe_free(), whatever becomes of the connection. */
struct sim_pipe *sim_pipe_dial(struct sim_path *path, unsigned number, uint64_t sndbuf,
                               sim_notify_cb notify, void *arg);
void sim_pipe_free(struct sim_pipe *pipe);

void sim_pipe_set_owner(struct sim_pipe *pipe, unsigned side, sim_notify_cb notify, void *arg);

/* For struct sim_path: takes a segment that has arrived. */
void sim_pipe_deliver(struct sim_segment *segment);

/* Writes what the send buffer takes; returns how much. */
size_t sim_pipe_write(struct sim_pipe *pipe, unsigned side, const uint8_t *bytes, size_t len);

/* Reads at most len bytes that have arrived. */
size_t sim_pipe_read(struct sim_pipe *pipe, unsigned side, uint8_t *bytes, size_t len);

/* Bytes that could be read. */
uint64_t sim_pipe_readable(const struct sim_pipe *pipe, unsigned side);

/* Whether everything was read and the other side has finished. */
bool sim_pipe_eof(const struct sim_pipe *pipe, unsigned side);

/* Written and never sent yet; what the send buffer would take. */
uint64_t sim_pipe_unsent(const struct sim_pipe *pipe, unsigned side);
uint64_t sim_pipe_space(const struct sim_pipe *pipe, unsigned side);

/* Asks for one notification when less than mark bytes are unsent and there is space. */
void sim_pipe_want_write(struct sim_pipe *pipe, unsigned side, uint64_t mark);

/* Finishes this side's half. */
void sim_pipe_shutdown(struct sim_pipe *pipe, unsigned side);

/* Closes: gracefully, unless bytes were left unread. */
void sim_pipe_close(struct sim_pipe *pipe, unsigned side);

/* Closes with a RST; nothing written is sent any more. */
void sim_pipe_abort(struct sim_pipe *pipe, unsigned side);

/* Kills both ends at once; bytes in flight are lost. */
void sim_pipe_reset(struct sim_pipe *pipe);

/* A middlebox ends both halves in order, after what was written until now. */
void sim_pipe_cut(struct sim_pipe *pipe);

/* Holds this pipe's sending back, both directions, or lets it go again. */
void sim_pipe_stall(struct sim_pipe *pipe, bool on);

/* Whether both owners could still use it. */
bool sim_pipe_alive(const struct sim_pipe *pipe);

#endif
