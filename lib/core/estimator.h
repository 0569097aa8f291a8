/* SPDX-License-Identifier: MIT */
/*
 * What is known of one subflow's speed: round trip, rate, and how long new bytes would take.
 */
#ifndef BRAID_ESTIMATOR_H
#define BRAID_ESTIMATOR_H

#include <stdint.h>

struct braid_sample;

struct braid_estimator {
    uint64_t rtt; /* microseconds, smoothed; 0: unknown */
    uint64_t rttvar;
    uint64_t min_rtt;
    uint64_t rate;        /* bytes a second; 0: unknown */
    uint64_t window_rate; /* congestion window over round trip, the guess before rate is measured */
    uint64_t delivered;   /* of the last sample: segments, and bytes acknowledged */
    uint64_t bytes_acked;
    uint64_t rate_start; /* of the running measurement: time and bytes acknowledged then */
    uint64_t rate_acked;
    uint32_t outq;
};

/*
 * Takes a sample.
 *
 * busy: whether there was always something to send since the last one; only then it says anything
 * about the rate. Returns whether the sample shows that anything new was delivered.
 */
int braid_estimator_sample(struct braid_estimator *e, const struct braid_sample *sample, int busy,
                           uint64_t now);

/* A measured round trip, from PING and PONG, for transports without samples. */
void braid_estimator_round_trip(struct braid_estimator *e, uint64_t rtt);

/* The best guess of the rate, bytes a second, never 0. */
uint64_t braid_estimator_rate(const struct braid_estimator *e);

/*
 * When the last of n more bytes would arrive behind `queued` ones, microseconds from now:
 * (queued + n) / rate + min_rtt / 2 (transport.md 1.2).
 */
uint64_t braid_estimator_arrival(const struct braid_estimator *e, uint64_t queued, uint64_t n);

#endif
