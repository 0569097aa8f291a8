/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include <stdbool.h>
#include <stdlib.h>

#include "plan.h"

/* What is kept of freed chunks; more goes back to the system. */
#define RESERVE_LARGE 32u
#define RESERVE_SMALL 64u

struct reserve {
    struct braid_chunk *head;
    unsigned count;
    unsigned max;
};

struct braid_pool {
    size_t used;
    size_t reserved;
    size_t cap;
    struct braid_budget *budget; /* NULL: none */
    atomic_size_t told;          /* of used and reserved, to the budget */
    uint64_t fail_in;            /* 0: allocations do not fail; 1: they do; else counts down */
    struct reserve reserves[2];  /* small, large */
    struct braid_plan plan;
};

static size_t chunk_bytes(bool large)
{
    return large ? BRAID_CHUNK_LARGE : BRAID_CHUNK_SMALL;
}

size_t braid_pool_cap(const struct braid_pool *pool)
{
    return pool->cap == 0 ? SIZE_MAX : pool->cap;
}

bool braid_pool_has(const struct braid_pool *pool, size_t size)
{
    if (pool->fail_in == 1)
        return false;
    return pool->cap == 0 || (size <= pool->cap && pool->used <= pool->cap - size);
}

/* Whether size more bytes are handed out; counts down to the failure that a test wants. */
static bool admit(struct braid_pool *pool, size_t size)
{
    if (!braid_pool_has(pool, size))
        return false;
    if (pool->fail_in > 1)
        pool->fail_in--;
    return true;
}

struct braid_pool *braid_pool_new(size_t cap)
{
    struct braid_pool *pool = calloc(1, sizeof *pool);

    if (pool == NULL)
        return NULL;
    pool->cap = cap;
    pool->reserves[0].max = RESERVE_SMALL;
    pool->reserves[1].max = RESERVE_LARGE;
    return pool;
}

/* Tells the budget what has changed; all: even if it is little. */
static void tell_budget(struct braid_pool *pool, bool all)
{
    size_t held = pool->used + pool->reserved;
    size_t told = atomic_load_explicit(&pool->told, memory_order_relaxed);

    if (pool->budget == NULL ||
        (!all && held < told + BRAID_BUDGET_STEP && told < held + BRAID_BUDGET_STEP))
        return;
    atomic_fetch_add_explicit(&pool->budget->held, held - told, memory_order_relaxed);
    atomic_store_explicit(&pool->told, held, memory_order_relaxed);
}

void braid_pool_set_budget(struct braid_pool *pool, struct braid_budget *budget)
{
    pool->budget = budget;
}

enum braid_pressure braid_pool_pressure(const struct braid_pool *pool)
{
    return pool->budget == NULL ? BRAID_PRESSURE_NONE : braid_budget_pressure(pool->budget);
}

size_t braid_pool_told(const struct braid_pool *pool)
{
    return atomic_load_explicit(&pool->told, memory_order_relaxed);
}

void braid_pool_trim(struct braid_pool *pool)
{
    if (pool->reserved == 0)
        return;
    for (int i = 0; i < 2; i++) {
        struct reserve *reserve = &pool->reserves[i];
        struct braid_chunk *chunk;

        while ((chunk = reserve->head) != NULL) {
            reserve->head = chunk->next;
            free(chunk);
        }
        reserve->count = 0;
    }
    pool->reserved = 0;
    tell_budget(pool, true);
}

void braid_pool_free(struct braid_pool *pool)
{
    if (pool == NULL)
        return;
    braid_pool_trim(pool);
    tell_budget(pool, true);
    free(pool);
}

size_t braid_pool_bytes(const struct braid_pool *pool)
{
    return pool->used + pool->reserved;
}

size_t braid_pool_used(const struct braid_pool *pool)
{
    return pool->used;
}

void braid_pool_fail_after(struct braid_pool *pool, uint64_t n)
{
    pool->fail_in = n;
}

struct braid_plan *braid_pool_plan(struct braid_pool *pool)
{
    return &pool->plan;
}

bool braid_pool_charge(struct braid_pool *pool, size_t size)
{
    if (!admit(pool, size))
        return false;
    pool->used += size;
    tell_budget(pool, false);
    return true;
}

void braid_pool_discharge(struct braid_pool *pool, size_t size)
{
    pool->used -= size;
    tell_budget(pool, false);
}

void *braid_pool_alloc(struct braid_pool *pool, size_t size)
{
    void *memory;

    if (!braid_pool_charge(pool, size))
        return NULL;
    memory = calloc(1, size);
    if (memory == NULL)
        braid_pool_discharge(pool, size);
    return memory;
}

void braid_pool_release(struct braid_pool *pool, void *memory, size_t size)
{
    if (memory == NULL)
        return;
    braid_pool_discharge(pool, size);
    free(memory);
}

struct braid_chunk *braid_chunk_new(struct braid_pool *pool, int large)
{
    size_t bytes = chunk_bytes(large != 0);
    struct reserve *reserve = &pool->reserves[large != 0];
    struct braid_chunk *chunk;

    if (!admit(pool, bytes))
        return NULL;
    chunk = reserve->head;
    if (chunk != NULL) {
        reserve->head = chunk->next;
        reserve->count--;
        pool->reserved -= bytes;
    } else {
        chunk = malloc(bytes);
        if (chunk == NULL)
            return NULL;
        chunk->pool = pool;
        chunk->data = (uint8_t *)(chunk + 1);
        chunk->size = (uint32_t)(bytes - sizeof *chunk);
        chunk->large = large != 0;
        chunk->release = NULL;
    }
    pool->used += bytes;
    tell_budget(pool, false);
    chunk->next = NULL;
    chunk->offset = 0;
    chunk->refs = 1;
    chunk->fill = 0;
    return chunk;
}

struct braid_chunk *braid_chunk_lend(struct braid_pool *pool, const void *data, uint32_t len,
                                     braid_release_cb release, void *arg)
{
    struct braid_chunk *chunk = braid_pool_alloc(pool, sizeof *chunk);

    if (chunk == NULL)
        return NULL;
    chunk->pool = pool;
    chunk->data = (uint8_t *)(uintptr_t)data;
    chunk->refs = 1;
    chunk->size = chunk->fill = len;
    chunk->release = release;
    chunk->release_arg = arg;
    return chunk;
}

struct braid_chunk *braid_chunk_ref(struct braid_chunk *chunk)
{
    chunk->refs++;
    return chunk;
}

void braid_chunk_unref(struct braid_chunk *chunk)
{
    struct braid_pool *pool;
    struct reserve *reserve;

    if (chunk == NULL || --chunk->refs > 0)
        return;
    pool = chunk->pool;
    if (chunk->release != NULL) {
        chunk->release(chunk->release_arg);
        braid_pool_release(pool, chunk, sizeof *chunk);
        return;
    }
    reserve = &pool->reserves[chunk->large];
    pool->used -= chunk_bytes(chunk->large);
    if (reserve->count >= reserve->max || braid_pool_pressure(pool) >= BRAID_PRESSURE_SHORT) {
        tell_budget(pool, false);
        free(chunk);
        return;
    }
    chunk->next = reserve->head;
    reserve->head = chunk;
    reserve->count++;
    pool->reserved += chunk_bytes(chunk->large);
}
