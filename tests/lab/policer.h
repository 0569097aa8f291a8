/* SPDX-License-Identifier: MIT */
/*
 * Polices every TCP flow by itself, as some networks do: a token bucket for each 4-tuple and
 * direction; a frame that finds too few tokens is dropped. Other traffic passes.
 *
 * The bucket is kept as the time at which it will be full again (GCRA), so nothing has to be
 * refilled.
 */
#ifndef LAB_POLICER_H
#define LAB_POLICER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POLICER_FLOWS = 1024, POLICER_PROBES = 8 };

struct policer_flow {
    uint64_t key;  /* a hash of the 4-tuple; 0: unused */
    uint64_t full; /* when the bucket is full, in ns */
};

struct policer {
    uint64_t rate;  /* bit/s of whole frames; 0: off */
    uint64_t burst; /* bytes; how much a full bucket lets through at once */
    struct policer_flow flows[POLICER_FLOWS];
};

/* Whether a frame may pass; takes its tokens if so. */
bool policer_pass(struct policer *policer, const unsigned char *frame, size_t size, uint64_t now);

#endif
