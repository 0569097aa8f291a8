/* SPDX-License-Identifier: MIT */
/*
 * The plan of one write: what braid_subflow_pull() has proposed and braid_subflow_pulled() will
 * make true as far as it was written. There is one in each pool, since the two calls are a pair.
 */
#ifndef BRAID_PLAN_H
#define BRAID_PLAN_H

#include <stdint.h>

#include "pool.h"

#define BRAID_PLAN_ITEMS 64u
#define BRAID_PLAN_CONTROL 2048u /* bytes of control frames in one plan */
#define BRAID_DATA_HEAD 12u      /* frame header and offset of a DATA frame */
#define BRAID_HEAD_MAX 17u       /* the same in the seed's format */

struct braid_subflow;

enum braid_plan_kind {
    BRAID_PLAN_REST, /* of a frame that an earlier write cut in two */
    BRAID_PLAN_CONTROL_FRAME,
    BRAID_PLAN_NEW,   /* DATA sent for the first time */
    BRAID_PLAN_AGAIN, /* DATA sent again */
};

struct braid_plan_item {
    enum braid_plan_kind kind;
    uint8_t type;    /* CONTROL_FRAME: the frame's */
    uint32_t size;   /* bytes on the wire */
    uint32_t len;    /* DATA: payload bytes */
    uint64_t offset; /* DATA: stream offset; CONTROL_FRAME: where in control[] */
    uint8_t head_len;
    uint8_t head[BRAID_HEAD_MAX];
};

struct braid_plan {
    struct braid_subflow *subflow; /* NULL: no plan is open */
    uint64_t now;                  /* when it was made: what a PING in it says */
    unsigned count;
    uint32_t control_fill;
    struct braid_plan_item items[BRAID_PLAN_ITEMS];
    uint8_t control[BRAID_PLAN_CONTROL];
};

/* The pool's one plan. */
struct braid_plan *braid_pool_plan(struct braid_pool *pool);

#endif
