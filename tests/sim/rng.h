/* SPDX-License-Identifier: MIT */
/*
 * Seeded pseudo-random numbers (xoshiro256** filled by splitmix64): the same seed gives the same
 * numbers on every machine, which makes a run of the simulator repeatable.
 */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct sim_rng {
    uint64_t s[4];
};

/* One step of splitmix64: a good hash of x. */
uint64_t sim_mix(uint64_t x);

void sim_rng_init(struct sim_rng *rng, uint64_t seed);

uint64_t sim_rng_next(struct sim_rng *rng);

/* Evenly in [0, n); n may not be 0. */
uint64_t sim_rng_below(struct sim_rng *rng, uint64_t n);

/* Evenly in [low, high]. */
uint64_t sim_rng_range(struct sim_rng *rng, uint64_t low, uint64_t high);

/* In [low, high], each order of magnitude as likely as the next; low may not be 0. */
uint64_t sim_rng_scale(struct sim_rng *rng, uint64_t low, uint64_t high);

bool sim_rng_chance(struct sim_rng *rng, unsigned percent);

#endif
