/* SPDX-License-Identifier: MIT */
/*
 * All memory of the core: small objects by size, and chunks, the reference-counted buffers that
 * payload lives in from the read that brings it to the write that takes it away.
 *
 * One pool a thread. Every byte is accounted for, and what others hold for a session may be; the
 * cap makes an allocation fail, never grow. Freed chunks are kept on a last-in-first-out list, so
 * that the hottest memory is used again first.
 */
#ifndef BRAID_POOL_H
#define BRAID_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "budget.h"

#define BRAID_CHUNK_SMALL 4120u  /* with its header: 4,056 bytes of payload */
#define BRAID_CHUNK_LARGE 65560u /* with its header: 65,496 bytes, more than a frame's */

struct braid_pool;

/* Tells who has lent memory that nobody looks at it any more. */
typedef void (*braid_release_cb)(void *arg);

struct braid_chunk {
    struct braid_chunk *next; /* for the list of whoever owns it */
    struct braid_pool *pool;
    uint8_t *data;   /* behind this, or lent by somebody, and then not to be written to */
    uint64_t offset; /* sendbuf: stream offset of data[0] */
    uint32_t refs;
    uint32_t size; /* of data */
    uint32_t fill; /* bytes of data in use, from the start */
    uint32_t large;
    braid_release_cb release; /* NULL: data is not lent */
    void *release_arg;
};

/* A new pool that never holds more than cap bytes (0: no cap). NULL: no memory. */
struct braid_pool *braid_pool_new(size_t cap);

/* Frees a pool; everything allocated from it must have been freed. NULL is allowed. */
void braid_pool_free(struct braid_pool *pool);

/*
 * Lets the pool share a budget, which must outlive it, with others; before the first allocation.
 * NULL: the pool is under no pressure, as before.
 */
void braid_pool_set_budget(struct braid_pool *pool, struct braid_budget *budget);

/* How short memory is, over all pools of the budget. */
enum braid_pressure braid_pool_pressure(const struct braid_pool *pool);

/* What the pool has told its budget that it holds; any thread may ask. */
size_t braid_pool_told(const struct braid_pool *pool);

/* Gives what is kept in reserve back to the system. */
void braid_pool_trim(struct braid_pool *pool);

/* Bytes handed out and kept in reserve. */
size_t braid_pool_bytes(const struct braid_pool *pool);

/* Bytes handed out alone, 0 when nothing is leaked at the end. */
size_t braid_pool_used(const struct braid_pool *pool);

/* The most it hands out; SIZE_MAX when there is no cap. */
size_t braid_pool_cap(const struct braid_pool *pool);

/* Whether size more bytes would be handed out now. */
bool braid_pool_has(const struct braid_pool *pool, size_t size);

/* Tests only: lets the n-th allocation from now (1: the next) and all after it fail; 0: none. */
void braid_pool_fail_after(struct braid_pool *pool, uint64_t n);

/* Allocates zeroed memory; NULL when there is none or the cap is reached. */
void *braid_pool_alloc(struct braid_pool *pool, size_t size);

/* Gives back memory of exactly this size; NULL is allowed. */
void braid_pool_release(struct braid_pool *pool, void *memory, size_t size);

/*
 * Accounts for memory that others hold on behalf of what is in the pool, as a library does; false:
 * the cap is reached. What was charged is to be discharged.
 */
bool braid_pool_charge(struct braid_pool *pool, size_t size);
void braid_pool_discharge(struct braid_pool *pool, size_t size);

/* A chunk with one reference, empty; its data is not initialised. NULL as above. */
struct braid_chunk *braid_chunk_new(struct braid_pool *pool, int large);

/*
 * A full chunk of memory that somebody has lent, with one reference. len: 1 and more. Calls
 * release(arg) when the last reference goes. NULL as above, and then not.
 */
struct braid_chunk *braid_chunk_lend(struct braid_pool *pool, const void *data, uint32_t len,
                                     braid_release_cb release, void *arg);

/* One reference more; returns chunk. */
struct braid_chunk *braid_chunk_ref(struct braid_chunk *chunk);

/* One reference less; the last one returns the chunk to its pool. NULL is allowed. */
void braid_chunk_unref(struct braid_chunk *chunk);

#endif
