/* SPDX-License-Identifier: MIT */
/*
 * What is known of one subflow's speed: round trip, rate, and how long new bytes would take; and of
 * its liveliness: when TCP last delivered anything, and the longest pause it has made of late.
 */
#ifndef BRAID_ESTIMATOR_H
#define BRAID_ESTIMATOR_H

#include <stdbool.h>
#include <stdint.h>

struct braid_sample;

#define BRAID_BURST_LEAST 4096u /* bytes: how long fewer took says nothing of the rate */

struct braid_estimator {
    bool sampled; /* there was a sample at all: a transport without TCP never has one */
    uint64_t rtt; /* microseconds, smoothed; 0: unknown */
    uint64_t rttvar;
    uint64_t min_rtt;
    uint64_t rate;        /* bytes a second, measured; 0: unknown */
    uint64_t window_rate; /* congestion window over round trip: the guess before that */
    uint64_t window;      /* the congestion window, bytes; 0: unknown */
    uint64_t burst;    /* what the first burst arrived at: no more than that as yet; 0: unknown */
    uint64_t best;     /* the highest measurement so far, to see when it stops growing */
    unsigned plateau;  /* measurements since it last grew by a quarter */
    unsigned low;      /* measurements in a row that were lower than the rate */
    bool reaching;     /* now and then the cap is higher, to see whether there is more */
    uint64_t reach_at; /* when that changes */

    uint64_t delivered;  /* segments, or bytes, of the last sample */
    uint64_t rate_start; /* of the running measurement: time and bytes arrived then; 0: none */
    uint64_t rate_arrived;
    bool full; /* since then the socket has held as much as the path should have */

    uint64_t outq;    /* bytes in the socket: of the last sample, and written since */
    bool waiting;     /* something was on its way, unacknowledged by TCP, at the last sample */
    uint32_t unacked; /* segments, at the last sample */
    bool straggled;   /* the last sample showed a delayed acknowledgement, and nothing else */
    uint64_t moved;   /* since when that shows nothing newly delivered */
    uint64_t backoff; /* TCP's own timer has fired so often in a row */

    uint64_t pause[2]; /* the longest between two deliveries: in the last full epoch, in this one */
    uint64_t pause_start;
};

/* Takes a sample; returns whether it shows that anything new was delivered. */
bool braid_estimator_sample(struct braid_estimator *e, const struct braid_sample *sample,
                            uint64_t now);

/* A measured round trip, from PING and PONG, for transports without samples. */
void braid_estimator_round_trip(struct braid_estimator *e, uint64_t rtt);

/* Notes n bytes written to the socket. */
void braid_estimator_written(struct braid_estimator *e, uint64_t n, uint64_t now);

/* Notes that something is known to have arrived, by other means than a sample. */
void braid_estimator_arrived(struct braid_estimator *e, uint64_t now);

/*
 * Notes that the first n bytes, written at once, were confirmed so long after, microseconds. A few
 * bytes tell nothing: any chance delay would make a slow path of it.
 */
void braid_estimator_burst(struct braid_estimator *e, uint64_t n, uint64_t elapsed);

/* The best guess of the rate, bytes a second, never 0. */
uint64_t braid_estimator_rate(const struct braid_estimator *e);

/*
 * When the last of n more bytes would arrive behind `queued` ones, microseconds from now:
 * half a round trip before they are acknowledged, which is when the path, kept busy, has carried
 * them and what is queued; of which all that fits on the path is on its way.
 */
uint64_t braid_estimator_arrival(const struct braid_estimator *e, uint64_t queued, uint64_t n);

/*
 * In what time n more bytes would be gone if this subflow carried nothing else, microseconds. While
 * slow start goes on, each round trip carries twice as many as the one before.
 */
uint64_t braid_estimator_alone(const struct braid_estimator *e, uint64_t queued, uint64_t n);

/*
 * The most bytes that this subflow should have in its socket: what fills the path, and 15 ms. More
 * would only queue in the network, where nobody can take it back. Half as much again for one round
 * trip in eight, or what others' queues add to the round trip would hold the rate down for ever. No
 * limit (UINT64_MAX) before the rate is known and has stopped growing.
 */
uint64_t braid_estimator_cap(const struct braid_estimator *e);

/*
 * How long TCP may deliver nothing before the path is suspected, microseconds: a round trip more
 * than usual, or three times the longest pause of the last seconds; 60 to 500 ms (transport.md 2).
 */
uint64_t braid_estimator_patience(const struct braid_estimator *e);

/* Whether the rate has not stopped growing yet. */
bool braid_estimator_in_slow_start(const struct braid_estimator *e);

/* For how long something was on its way and nothing was delivered; 0: nothing is. */
uint64_t braid_estimator_silence(const struct braid_estimator *e, uint64_t now);

#endif
