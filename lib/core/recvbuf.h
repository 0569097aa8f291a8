/* SPDX-License-Identifier: MIT */
/*
 * One direction's incoming bytes: whatever arrived on any subflow, put in order.
 *
 * Invariant: drained <= next; every byte of [drained, next) is here and may be taken; pieces beyond
 * next are out of order. The first copy of a byte wins, later ones are trimmed.
 */
#ifndef BRAID_RECVBUF_H
#define BRAID_RECVBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "pool.h"

struct braid_piece;

struct braid_recvbuf {
    struct braid_piece *head;
    struct braid_piece *tail;
    struct braid_chunk *fill;  /* where small pieces are copied to; NULL: none yet */
    struct braid_chunk *loose; /* the same for those out of order, until they are in order */
    uint64_t drained;
    uint64_t next;
    size_t bytes; /* in all pieces */
    size_t pieces;
    bool takes_crumbs; /* whoever fills it stops by himself: see braid_recvbuf_is_crumbled() */
};

/* Releases the memory; the offsets stay, peek shows nothing. Zeroed: a new one. */
void braid_recvbuf_clear(struct braid_recvbuf *buf, struct braid_pool *pool);

/*
 * Takes payload chunk->data[start .. start + len) at this stream offset.
 *
 * Large pieces keep a reference on the chunk, small ones are copied. Returns 0, -BRAID_ERR_MEMORY,
 * or -BRAID_ERR_PROTOCOL when the peer cuts its data so small that keeping it costs too much, which
 * is no error where takes_crumbs is set.
 */
int braid_recvbuf_insert(struct braid_recvbuf *buf, struct braid_pool *pool, uint64_t offset,
                         struct braid_chunk *chunk, uint32_t start, uint32_t len);

/* Whether it is in so many and so small pieces that more of them cost too much. */
bool braid_recvbuf_is_crumbled(const struct braid_recvbuf *buf);

/* Shows what is in order; returns the number of pieces, at most max. */
int braid_recvbuf_peek(const struct braid_recvbuf *buf, struct iovec *v, int max);

/* Takes n bytes off, at most next - drained. */
void braid_recvbuf_drain(struct braid_recvbuf *buf, struct braid_pool *pool, size_t n);

#endif
