/* SPDX-License-Identifier: MIT */
/*
 * The chunks that a context reads its subflows into.
 *
 * One read may fill several; what a read leaves free of the last one is filled by the next, on
 * whatever subflow it is. Bytes below a chunk's fill mark may be referenced and never change
 * while they are; a chunk that nobody else refers to is used from its start again.
 */
#ifndef BRAID_EVENT_RECEIVE_H
#define BRAID_EVENT_RECEIVE_H

#include <stdbool.h>
#include <sys/uio.h>

#include "core/pool.h"

#define BRAID_RECEIVE_CHUNKS 4

struct braid_receive {
    struct braid_chunk *chunks[BRAID_RECEIVE_CHUNKS];
};

/* One piece of what was read. */
struct braid_received {
    struct braid_chunk *chunk;
    uint32_t start;
    uint32_t len;
};

/*
 * Offers room for a read: one chunk's rest, or with eager up to 256 KiB.
 *
 * Returns the number of pieces in v (BRAID_RECEIVE_CHUNKS at most), 0: no memory.
 */
int braid_receive_prepare(struct braid_receive *receive, struct braid_pool *pool, bool eager,
                          struct iovec *v);

/* Marks n bytes as read and names their pieces; returns their number. */
int braid_receive_done(struct braid_receive *receive, size_t n,
                       struct braid_received pieces[BRAID_RECEIVE_CHUNKS]);

/* Lets go of all chunks. */
void braid_receive_clear(struct braid_receive *receive);

#endif
