/* SPDX-License-Identifier: MIT */
/*
 * A set of byte offsets as sorted, disjoint, non-adjacent half-open ranges.
 */
#ifndef BRAID_RANGES_H
#define BRAID_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool.h"

struct braid_range {
    uint64_t start;
    uint64_t end; /* not in it */
};

/* Zeroed: the empty set. */
struct braid_ranges {
    struct braid_range *at;
    size_t count;
    size_t room;
};

/* Empties the set and releases its memory. */
void braid_ranges_clear(struct braid_ranges *set, struct braid_pool *pool);

/* Adds [start, end). Returns 0, or -BRAID_ERR_MEMORY with the set unchanged. */
int braid_ranges_add(struct braid_ranges *set, struct braid_pool *pool, uint64_t start,
                     uint64_t end);

/* Takes [start, end) away. Returns 0, or -BRAID_ERR_MEMORY with the set unchanged. */
int braid_ranges_remove(struct braid_ranges *set, struct braid_pool *pool, uint64_t start,
                        uint64_t end);

/* Takes everything below offset away. */
void braid_ranges_remove_below(struct braid_ranges *set, uint64_t offset);

/*
 * The first part of [start, end) that is not in the set: true, with *gap set; false: all of it is.
 */
bool braid_ranges_gap(const struct braid_ranges *set, uint64_t start, uint64_t end,
                      struct braid_range *gap);

/* How many offsets are in it. */
uint64_t braid_ranges_size(const struct braid_ranges *set);

#endif
