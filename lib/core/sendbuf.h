/* SPDX-License-Identifier: MIT */
/*
 * One direction's outgoing bytes, from the application's read until the peer has acknowledged them.
 *
 * Invariant: una <= end; the bytes [una, end) are in a list of chunks in order of their offsets.
 */
#ifndef BRAID_SENDBUF_H
#define BRAID_SENDBUF_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "pool.h"

struct braid_sendbuf {
    struct braid_chunk *head;
    struct braid_chunk *tail;
    struct braid_chunk *cursor; /* where the last slice was found; NULL: look from head */
    struct braid_chunk *spare;  /* reserved and not committed */
    uint64_t una;               /* all below is acknowledged */
    uint64_t end;               /* all below was committed */
    size_t memory;              /* of the chunks in the list */
    uint32_t last_commit;       /* sizes the next reservation */
};

/* A piece of payload with a reference on its chunk (when braid_sendbuf_slice() is told to). */
struct braid_slice {
    struct braid_chunk *chunk;
    uint32_t start;
    uint32_t len;
};

/* Releases the memory; the offsets stay. Zeroed: a new one. */
void braid_sendbuf_clear(struct braid_sendbuf *buf);

/*
 * Lends at most `bytes` of memory behind the end, in at most max pieces; returns how many.
 *
 * Small after small commits and large after large ones, so that a thousand short requests do not
 * hold a thousand large chunks.
 */
int braid_sendbuf_reserve(struct braid_sendbuf *buf, struct braid_pool *pool, struct iovec *v,
                          int max, size_t bytes);

/* Appends the first n bytes of what was lent and gives the rest back. */
void braid_sendbuf_commit(struct braid_sendbuf *buf, size_t n);

/* Appends a full chunk, whose reference it takes. */
void braid_sendbuf_append(struct braid_sendbuf *buf, struct braid_chunk *chunk);

/* The last byte that was committed or appended; there must have been one in the latest. */
uint8_t braid_sendbuf_last(const struct braid_sendbuf *buf);

/*
 * Finds [offset, offset + len), which must lie in [una, end), as at most max slices, without taking
 * references. Returns how many; fewer bytes than asked for when max was reached.
 */
int braid_sendbuf_slice(struct braid_sendbuf *buf, uint64_t offset, uint32_t len,
                        struct braid_slice *slices, int max);

/* Lets go of everything below offset. */
void braid_sendbuf_ack(struct braid_sendbuf *buf, uint64_t offset);

#endif
