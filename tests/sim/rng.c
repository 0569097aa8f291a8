/* SPDX-License-Identifier: MIT */
#include "rng.h"

uint64_t sim_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void sim_rng_init(struct sim_rng *rng, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        rng->s[i] = sim_mix(seed + i * 0x9e3779b97f4a7c15u);
    }
}

static uint64_t rotate(uint64_t x, unsigned k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t sim_rng_next(struct sim_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t sim_rng_below(struct sim_rng *rng, uint64_t n)
{
    /* The bias of a remainder is below n / 2^64: of no matter here. */
    return sim_rng_next(rng) % n;
}

uint64_t sim_rng_range(struct sim_rng *rng, uint64_t low, uint64_t high)
{
    return low + sim_rng_below(rng, high - low + 1);
}

uint64_t sim_rng_scale(struct sim_rng *rng, uint64_t low, uint64_t high)
{
    unsigned doublings = 0;

    while (doublings < 63 && (low << (doublings + 1)) <= high) {
        doublings++;
    }
    uint64_t base = low << sim_rng_below(rng, doublings + 1u);
    uint64_t x = base + sim_rng_below(rng, base);
    return x > high ? high : x;
}

bool sim_rng_chance(struct sim_rng *rng, unsigned percent)
{
    return sim_rng_below(rng, 100) < percent;
}
