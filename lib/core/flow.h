/* SPDX-License-Identifier: MIT */
/*
 * Flow control of what comes in: how far the peer may send.
 *
 * The window grows with the application's appetite: thrice what it takes in one round trip
 * (dynamic right-sizing, as Linux' tcp_rcv_space_adjust does). An application that waits for a byte
 * which one subflow has lost shows no appetite, though the others could go on: then it doubles,
 * once a round trip. It never grows beyond its cap, and never shrinks below what was promised:
 * limits only move up.
 */
#ifndef BRAID_FLOW_H
#define BRAID_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct braid_flow {
    uint64_t limit;  /* the highest that was told to the peer */
    uint64_t window; /* what the limit should be ahead of the drained bytes */
    uint64_t window_max;
    uint64_t epoch_start; /* of the running measurement */
    uint64_t epoch_drained;
    uint64_t widened_at; /* when it was doubled last */
};

void braid_flow_init(struct braid_flow *flow, uint64_t window_max, uint64_t now);

/* The same, with a window that is no larger than what a peer may send unasked. */
void braid_flow_init_small(struct braid_flow *flow, uint64_t window_max, uint64_t now);

/*
 * Notes that the application has drained up to this offset.
 *
 * round_trip: the longest among the live subflows, microseconds; 0: unknown.
 */
void braid_flow_drained(struct braid_flow *flow, uint64_t drained, uint64_t round_trip,
                        uint64_t now);

/*
 * Notes that the application has drained all that is in order, and bytes up to `received` wait for
 * one that is missing.
 */
void braid_flow_gap(struct braid_flow *flow, uint64_t received, uint64_t round_trip, uint64_t now);

/* The application waits for so many bytes before it takes any: they are let in, up to the cap. */
void braid_flow_want(struct braid_flow *flow, uint64_t bytes);

/* The limit that could be told now. */
uint64_t braid_flow_next_limit(const struct braid_flow *flow, uint64_t drained);

/* Whether that is so much more than the last one told that the peer should hear of it at once. */
bool braid_flow_worth_telling(const struct braid_flow *flow, uint64_t drained, uint64_t received);

#endif
