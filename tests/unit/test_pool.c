/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/pool.h"
#include "suite.h"

START_TEST(test_accounts_for_every_byte)
{
    struct braid_pool *pool = braid_pool_new(0);
    void *a = braid_pool_alloc(pool, 100);
    struct braid_chunk *chunk = braid_chunk_new(pool, 0);

    ck_assert_ptr_nonnull(a);
    ck_assert_uint_eq(braid_pool_used(pool), 100 + BRAID_CHUNK_SMALL);
    braid_pool_release(pool, a, 100);
    ck_assert_uint_eq(braid_pool_used(pool), BRAID_CHUNK_SMALL);
    braid_chunk_unref(chunk);
    ck_assert_uint_eq(braid_pool_used(pool), 0);
    ck_assert_uint_eq(braid_pool_bytes(pool), BRAID_CHUNK_SMALL); /* kept in reserve */
    braid_pool_free(pool);
}
END_TEST

START_TEST(test_memory_is_zeroed)
{
    struct braid_pool *pool = braid_pool_new(0);
    uint8_t *bytes = braid_pool_alloc(pool, 4000);

    memset(bytes, 0xff, 4000);
    braid_pool_release(pool, bytes, 4000);
    bytes = braid_pool_alloc(pool, 4000);
    for (int i = 0; i < 4000; i++)
        ck_assert_uint_eq(bytes[i], 0);
    braid_pool_release(pool, bytes, 4000);
    braid_pool_free(pool);
}
END_TEST

START_TEST(test_nothing_to_free)
{
    struct braid_pool *pool = braid_pool_new(0);

    braid_pool_release(pool, NULL, 12);
    braid_chunk_unref(NULL);
    ck_assert_uint_eq(braid_pool_used(pool), 0);
    braid_pool_free(pool);
    braid_pool_free(NULL);
}
END_TEST

START_TEST(test_cap)
{
    struct braid_pool *pool = braid_pool_new(1000);
    void *a = braid_pool_alloc(pool, 600);
    void *b;

    ck_assert_ptr_nonnull(a);
    ck_assert(braid_pool_has(pool, 400));
    ck_assert(!braid_pool_has(pool, 401));
    ck_assert_ptr_null(braid_pool_alloc(pool, 401));
    ck_assert_ptr_null(braid_pool_alloc(pool, 1001));
    ck_assert_ptr_null(braid_pool_alloc(pool, SIZE_MAX));
    b = braid_pool_alloc(pool, 400);
    ck_assert_ptr_nonnull(b);
    ck_assert_ptr_null(braid_pool_alloc(pool, 1));
    ck_assert_ptr_null(braid_chunk_new(pool, 0));
    braid_pool_release(pool, a, 600);
    ck_assert(braid_pool_has(pool, 600));
    braid_pool_release(pool, b, 400);
    braid_pool_free(pool);
}
END_TEST

START_TEST(test_charges)
{
    struct braid_pool *pool = braid_pool_new(1000);
    void *memory;

    ck_assert(braid_pool_charge(pool, 600));
    ck_assert_uint_eq(braid_pool_used(pool), 600);
    ck_assert(!braid_pool_charge(pool, 401));
    ck_assert_ptr_null(braid_pool_alloc(pool, 401));
    memory = braid_pool_alloc(pool, 400);
    ck_assert_ptr_nonnull(memory);
    braid_pool_discharge(pool, 600);
    ck_assert_uint_eq(braid_pool_used(pool), 400);
    braid_pool_release(pool, memory, 400);
    ck_assert_uint_eq(braid_pool_used(pool), 0);
    braid_pool_free(pool);
}
END_TEST

START_TEST(test_chunks_fill_their_memory)
{
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_chunk *small = braid_chunk_new(pool, 0);
    struct braid_chunk *large = braid_chunk_new(pool, 1);

    ck_assert_uint_eq(small->size, BRAID_CHUNK_SMALL - sizeof *small);
    ck_assert_uint_eq(large->size, BRAID_CHUNK_LARGE - sizeof *large);
    memset(small->data, 1, small->size);
    memset(large->data, 1, large->size);
    ck_assert_uint_eq(small->fill, 0);
    ck_assert_uint_eq(small->refs, 1);
    braid_chunk_unref(small);
    braid_chunk_unref(large);
    ck_assert_uint_eq(braid_pool_used(pool), 0);
    braid_pool_free(pool);
}
END_TEST

START_TEST(test_last_reference_frees)
{
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_chunk *chunk = braid_chunk_new(pool, 1);

    ck_assert_ptr_eq(braid_chunk_ref(chunk), chunk);
    braid_chunk_ref(chunk);
    braid_chunk_unref(chunk);
    braid_chunk_unref(chunk);
    ck_assert_uint_eq(braid_pool_used(pool), BRAID_CHUNK_LARGE);
    braid_chunk_unref(chunk);
    ck_assert_uint_eq(braid_pool_used(pool), 0);
    braid_pool_free(pool);
}
END_TEST

static void on_release(void *arg)
{
    ++*(unsigned *)arg;
}

/* Memory that is lent is told of once, when nobody looks at it any more. */
START_TEST(test_lent_memory)
{
    const uint8_t bytes[100] = {1, 2, 3};
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_chunk *chunk;
    unsigned released = 0;

    chunk = braid_chunk_lend(pool, bytes, sizeof bytes, on_release, &released);
    ck_assert_ptr_eq(chunk->data, bytes);
    ck_assert_uint_eq(chunk->fill, sizeof bytes);
    ck_assert_uint_eq(chunk->size, sizeof bytes); /* there is no room behind it */
    braid_chunk_ref(chunk);
    braid_chunk_unref(chunk);
    ck_assert_uint_eq(released, 0);
    braid_chunk_unref(chunk);
    ck_assert_uint_eq(released, 1);
    braid_pool_fail_after(pool, 1);
    ck_assert_ptr_null(braid_chunk_lend(pool, bytes, 1, on_release, &released));
    ck_assert_uint_eq(released, 1);
    ck_assert_uint_eq(braid_pool_used(pool), 0);
    braid_pool_free(pool);
}
END_TEST

START_TEST(test_hottest_chunk_first_and_clean)
{
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_chunk *a = braid_chunk_new(pool, 0);
    struct braid_chunk *b = braid_chunk_new(pool, 0);
    struct braid_chunk *again;

    a->fill = 7;
    a->offset = 99;
    a->next = b;
    braid_chunk_unref(b);
    braid_chunk_unref(a);
    again = braid_chunk_new(pool, 0);
    ck_assert_ptr_eq(again, a);
    ck_assert_uint_eq(again->fill, 0);
    ck_assert_uint_eq(again->offset, 0);
    ck_assert_ptr_null(again->next);
    braid_chunk_unref(again);
    braid_pool_free(pool);
}
END_TEST

/* However many chunks there were, only a few MiB of them are kept. */
START_TEST(test_reserve_is_limited)
{
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_chunk *chunks[200];

    for (int i = 0; i < 200; i++)
        chunks[i] = braid_chunk_new(pool, i & 1);
    for (int i = 0; i < 200; i++)
        braid_chunk_unref(chunks[i]);
    ck_assert_uint_eq(braid_pool_used(pool), 0);
    ck_assert_uint_le(braid_pool_bytes(pool), 64 * BRAID_CHUNK_SMALL + 32 * BRAID_CHUNK_LARGE);
    ck_assert_uint_gt(braid_pool_bytes(pool), 0);
    braid_pool_free(pool);
}
END_TEST

START_TEST(test_fail_after)
{
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_chunk *chunk;
    void *a;

    braid_pool_fail_after(pool, 3);
    a = braid_pool_alloc(pool, 10);
    ck_assert_ptr_nonnull(a);
    chunk = braid_chunk_new(pool, 0);
    ck_assert_ptr_nonnull(chunk);
    ck_assert_ptr_null(braid_pool_alloc(pool, 10));
    ck_assert_ptr_null(braid_chunk_new(pool, 1));
    ck_assert(!braid_pool_has(pool, 1));
    braid_pool_release(pool, a, 10);
    braid_chunk_unref(chunk);
    ck_assert_ptr_null(braid_chunk_new(pool, 0)); /* not out of the reserve either */
    braid_pool_fail_after(pool, 0);
    chunk = braid_chunk_new(pool, 0);
    ck_assert_ptr_nonnull(chunk);
    braid_chunk_unref(chunk);
    ck_assert_uint_eq(braid_pool_used(pool), 0);
    braid_pool_free(pool);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_accounts_for_every_byte, 0},
        {test_memory_is_zeroed, 0},
        {test_nothing_to_free, 0},
        {test_cap, 0},
        {test_charges, 0},
        {test_chunks_fill_their_memory, 0},
        {test_last_reference_frees, 0},
        {test_lent_memory, 0},
        {test_hottest_chunk_first_and_clean, 0},
        {test_reserve_is_limited, 0},
        {test_fail_after, 0},
    };

    return SUITE_RUN("pool", tests);
}
