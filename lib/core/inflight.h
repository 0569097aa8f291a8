/* SPDX-License-Identifier: MIT */
/*
 * What a subflow has been given and its receiver has not confirmed: stream ranges in the order they
 * were written. TCP keeps that order, so one count of bytes received tells exactly which arrived.
 */
#ifndef BRAID_INFLIGHT_H
#define BRAID_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool.h"
#include "ranges.h"

struct braid_flight {
    struct braid_range range;
    uint64_t since; /* its first byte was written */
    uint64_t due;   /* when that was expected to arrive then */
};

/* Zeroed: empty. A ring: room is a power of two or 0. */
struct braid_inflight {
    struct braid_flight *at;
    size_t first;
    size_t count;
    size_t room;
    uint64_t bytes;
};

void braid_inflight_clear(struct braid_inflight *queue, struct braid_pool *pool);

/* Makes sure that the next n pushes succeed. Returns 0 or -BRAID_ERR_MEMORY. */
int braid_inflight_reserve(struct braid_inflight *queue, struct braid_pool *pool, size_t n);

/* Appends [start, start + len), written now, expected to arrive at `due`; there must be room. */
void braid_inflight_push(struct braid_inflight *queue, uint64_t start, uint32_t len, uint64_t due,
                         uint64_t now);

/*
 * Takes at most max bytes off the front, all from one range; max and the queue must not be 0.
 */
struct braid_range braid_inflight_pop(struct braid_inflight *queue, struct braid_pool *pool,
                                      uint64_t max);

/* Whether the byte at this offset is among them. */
bool braid_inflight_has(const struct braid_inflight *queue, uint64_t offset);

/* The i-th from the front, i < count. */
struct braid_flight braid_inflight_at(const struct braid_inflight *queue, size_t i);

#endif
