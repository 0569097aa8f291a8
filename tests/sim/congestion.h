/* SPDX-License-Identifier: MIT */
/*
 * How much a TCP sender may have in flight, in segments, as Linux decides it by default: CUBIC (RFC
 * 9438) with HyStart, proportional rate reduction during recovery (RFC 6937), and a window that is
 * not used does not grow and fades. In whole numbers, so that a run is the same on every machine.
 */
#ifndef SIM_CONGESTION_H
#define SIM_CONGESTION_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_WINDOW_START 10u

struct sim_hystart {
    uint64_t round_end; /* when that offset is acknowledged a new round begins */
    uint64_t round_at, ack_at;
    uint64_t shortest; /* round trip of this round */
    unsigned samples;
};

struct sim_congestion {
    uint32_t cwnd, ssthresh;
    uint32_t last_max, origin;  /* CUBIC: the window before the last loss, and where it grows to */
    uint32_t grown;             /* acknowledged since the window grew */
    uint32_t reno, reno_acked;  /* what Reno would have */
    uint64_t epoch, inflection; /* ms; epoch 0: none */
    uint64_t shortest;          /* round trip ever, microseconds */
    struct sim_hystart hystart;
    uint32_t prior_cwnd, prior_ssthresh; /* before the latest cut, in case it was a mistake */
    uint32_t prr_delivered, prr_out;
    bool limited;         /* the window was what limited, of late */
    uint32_t out;         /* the most that was out in this round ... */
    uint64_t round_until; /* ... which ends at that offset ... */
    uint32_t used;        /* ... and since the window was used up last ... */
    uint64_t used_at;     /* ... then */
};

void sim_congestion_init(struct sim_congestion *c);

/* ---- what was sent ---- */

struct sim_usage {
    uint32_t out; /* segments */
    bool limited; /* the window is full */
    bool waits;   /* for room in the socket: the application is not what limits */
    uint64_t una, nxt;
    uint64_t rto;
};

void sim_congestion_sent(struct sim_congestion *c, const struct sim_usage *usage, uint64_t now);

/* Sending begins again after a time without anything in flight. */
void sim_congestion_restart(struct sim_congestion *c, uint64_t idle, uint64_t rto);

/* ---- what was acknowledged ---- */

/* A round trip was measured. */
void sim_congestion_rtt(struct sim_congestion *c, uint64_t rtt, uint64_t una, uint64_t nxt,
                        uint64_t now);

/* In order, and nothing is amiss. */
void sim_congestion_acked(struct sim_congestion *c, uint32_t segments, uint64_t now);

/* ---- what was lost ---- */

/* Recovery begins; goes on with so many newly delivered and so many in flight; ends. */
void sim_congestion_recover(struct sim_congestion *c);
void sim_congestion_reduce(struct sim_congestion *c, uint32_t delivered, uint32_t flying);
void sim_congestion_recovered(struct sim_congestion *c);

/* The retransmission timer has fired; for the first time, or again. */
void sim_congestion_timeout(struct sim_congestion *c, bool first);

/* Nothing was lost at all. */
void sim_congestion_undo(struct sim_congestion *c);

#endif
