/* SPDX-License-Identifier: MIT */
/*
 * Recvbuf against a byte array: pieces of any size in any order, overlapping as they like; what
 * comes out is in order, complete, and the first copy of each byte.
 */
#include <string.h>

#include <braid/error.h>

#include "core/recvbuf.h"
#include "suite.h"

#define BYTES 400000u

struct model {
    struct braid_pool *pool;
    struct braid_recvbuf buf;
    uint8_t bytes[BYTES]; /* the first copy */
    bool there[BYTES];
    uint64_t max; /* end of the highest byte */
};

static struct model model;

static void setup(void)
{
    memset(&model, 0, sizeof model);
    model.pool = braid_pool_new(0);
}

static void teardown(void)
{
    braid_recvbuf_clear(&model.buf, model.pool);
    ck_assert_uint_eq(model.buf.pieces, 0);
    ck_assert_uint_eq(model.buf.bytes, 0);
    ck_assert_uint_eq(braid_pool_used(model.pool), 0);
    braid_pool_free(model.pool);
}

/* Inserts [offset, offset + len) of bytes that differ in every copy; returns what insert did. */
static int insert(uint64_t *seed, uint64_t offset, uint32_t len)
{
    struct braid_chunk *chunk = braid_chunk_new(model.pool, 1);
    uint32_t start = (uint32_t)suite_below(seed, chunk->size - len + 1);
    int error;

    for (uint32_t i = 0; i < len; i++) {
        chunk->data[start + i] = (uint8_t)suite_random(seed);
        if (!model.there[offset + i])
            model.bytes[offset + i] = chunk->data[start + i];
        model.there[offset + i] = true;
    }
    error = braid_recvbuf_insert(&model.buf, model.pool, offset, chunk, start, len);
    if (offset + len > model.max)
        model.max = offset + len;
    braid_chunk_unref(chunk);
    return error;
}

/* All that is in order must be shown, and be right. */
static void check(void)
{
    struct iovec v[3];
    uint64_t next = model.buf.drained, bytes = 0;
    int count = braid_recvbuf_peek(&model.buf, v, 3);

    for (int i = 0; i < count; i++) {
        ck_assert_uint_gt(v[i].iov_len, 0);
        ck_assert_mem_eq(v[i].iov_base, model.bytes + next, v[i].iov_len);
        next += v[i].iov_len;
    }
    ck_assert_uint_le(next, model.buf.next);
    ck_assert(next == model.buf.next || count == 3);
    for (next = model.buf.drained; next < BYTES && model.there[next]; next++)
        ;
    ck_assert_uint_eq(model.buf.next, next);
    for (uint64_t i = model.buf.drained; i < model.max; i++)
        bytes += model.there[i];
    ck_assert_uint_eq(model.buf.bytes, bytes);
}

static void drain(size_t n)
{
    braid_recvbuf_drain(&model.buf, model.pool, n);
    check();
}

START_TEST(test_against_bytes)
{
    uint64_t seed = (uint64_t)_i + 1;
    uint32_t most = _i % 3 == 0 ? 200 : _i % 3 == 1 ? 6000 : 40000;
    uint64_t spread = _i % 2 == 0 ? 20000 : 100000;

    setup();
    for (int i = 0; i < 150; i++) {
        uint32_t len = (uint32_t)suite_below(&seed, most) + 1;
        uint64_t below = suite_below(&seed, 5000);
        uint64_t offset = model.buf.next + suite_below(&seed, spread);

        offset = suite_below(&seed, 3) == 0 ? model.buf.next : offset;
        offset -= below < offset ? below : offset;
        if (offset + len <= BYTES)
            ck_assert_int_eq(insert(&seed, offset, len), 0);
        check();
        if (suite_below(&seed, 3) == 0)
            drain((size_t)suite_below(&seed, model.buf.next - model.buf.drained + 1));
    }
    teardown();
}
END_TEST

/* Every order of small parts of one whole gives the whole, and at the end nothing is held. */
START_TEST(test_every_order)
{
    uint64_t seed = (uint64_t)_i + 1;
    unsigned order[8];

    setup();
    for (unsigned i = 0; i < 8; i++) {
        unsigned k = (unsigned)suite_below(&seed, i + 1);

        order[i] = order[k];
        order[k] = i;
    }
    for (unsigned i = 0; i < 8; i++)
        ck_assert_int_eq(insert(&seed, order[i] * 1000, 1000), 0);
    check();
    ck_assert_uint_eq(model.buf.next, 8000);
    drain(8000);
    ck_assert_uint_eq(braid_pool_used(model.pool), 0);
    teardown();
}
END_TEST

START_TEST(test_large_pieces_are_not_copied)
{
    struct braid_chunk *chunk;
    struct iovec v[2];

    setup();
    chunk = braid_chunk_new(model.pool, 1);
    memset(chunk->data, 1, chunk->size);
    ck_assert_int_eq(braid_recvbuf_insert(&model.buf, model.pool, 0, chunk, 100, 20000), 0);
    ck_assert_int_eq(braid_recvbuf_peek(&model.buf, v, 2), 1);
    ck_assert_ptr_eq(v[0].iov_base, chunk->data + 100);
    ck_assert_uint_eq(chunk->refs, 2);
    braid_chunk_unref(chunk);
    teardown();
}
END_TEST

START_TEST(test_small_pieces_do_not_pin_their_chunk)
{
    struct braid_chunk *chunk;

    setup();
    chunk = braid_chunk_new(model.pool, 1);
    memset(chunk->data, 1, chunk->size);
    ck_assert_int_eq(braid_recvbuf_insert(&model.buf, model.pool, 0, chunk, 0, 100), 0);
    ck_assert_int_eq(braid_recvbuf_insert(&model.buf, model.pool, 500, chunk, 500, 100), 0);
    ck_assert_uint_eq(chunk->refs, 1);
    braid_chunk_unref(chunk);
    ck_assert_uint_lt(braid_pool_used(model.pool), 3 * BRAID_CHUNK_SMALL);
    teardown();
}
END_TEST

/* A reader that stopped holds the window's worth of memory, and little more. */
START_TEST(test_backlog_costs_what_it_holds)
{
    uint64_t seed = 1, offset = 0;
    struct braid_chunk *chunk;

    setup();
    while (offset < 4u << 20) {
        uint32_t len = (uint32_t)suite_below(&seed, 3000) + 4000;

        chunk = braid_chunk_new(model.pool, 1); /* each frame comes in a chunk of its own */
        memset(chunk->data, 1, len);
        ck_assert_int_eq(braid_recvbuf_insert(&model.buf, model.pool, offset, chunk, 0, len), 0);
        braid_chunk_unref(chunk);
        offset += len;
    }
    ck_assert_uint_lt(braid_pool_used(model.pool), (4u << 20) + 20 * (1u << 20));
    teardown();
}
END_TEST

/* Interactive bytes that nobody reads stay few pieces. */
START_TEST(test_single_bytes_join)
{
    uint64_t seed = 1;

    setup();
    for (uint64_t i = 0; i < 20000; i++)
        ck_assert_int_eq(insert(&seed, i, 1), 0);
    ck_assert_uint_lt(model.buf.pieces, 40);
    ck_assert_uint_lt(braid_pool_used(model.pool), 200000);
    check();
    drain(20000);
    teardown();
}
END_TEST

/* The same when every second one overtakes the one before it. */
START_TEST(test_single_bytes_out_of_order_join)
{
    uint64_t seed = 1;

    setup();
    for (uint64_t i = 0; i < 20000; i += 2) {
        ck_assert_int_eq(insert(&seed, i + 1, 1), 0);
        ck_assert_int_eq(insert(&seed, i, 1), 0);
    }
    ck_assert_uint_lt(model.buf.pieces, 100);
    ck_assert_uint_lt(braid_pool_used(model.pool), 400000);
    check();
    teardown();
}
END_TEST

/* Many tiny holes cost more than they carry: refused, and long before memory is in danger. */
START_TEST(test_tiny_holes_are_refused)
{
    uint64_t seed = 1, i = 0;
    int error = 0;

    setup();
    for (i = 1; i < BYTES / 2 && error == 0; i++)
        error = insert(&seed, 2 * i, 1);
    ck_assert_int_eq(error, -BRAID_ERR_PROTOCOL);
    ck_assert_uint_lt(braid_pool_used(model.pool), 2u << 20);
    teardown();
}
END_TEST

/* Memory may run out in the middle; what was stored is right, and the rest can come again. */
START_TEST(test_no_memory)
{
    uint64_t seed = 1;
    struct braid_chunk *chunk;

    setup();
    chunk = braid_chunk_new(model.pool, 1);
    for (uint32_t i = 0; i < 60000; i++)
        chunk->data[i] = (uint8_t)suite_random(&seed);
    for (uint64_t offset = 1000; offset < 60000; offset += 7000)
        ck_assert_int_eq(
            braid_recvbuf_insert(&model.buf, model.pool, offset, chunk, (uint32_t)offset, 100), 0);
    braid_pool_fail_after(model.pool, (uint64_t)_i + 1);
    if (braid_recvbuf_insert(&model.buf, model.pool, 0, chunk, 0, 60000) != 0) {
        braid_pool_fail_after(model.pool, 0);
        ck_assert_int_eq(braid_recvbuf_insert(&model.buf, model.pool, 0, chunk, 0, 60000), 0);
    }
    ck_assert_uint_eq(model.buf.next, 60000);
    for (uint32_t at = 0; at < 60000;) {
        struct iovec v;

        ck_assert_int_eq(braid_recvbuf_peek(&model.buf, &v, 1), 1);
        ck_assert_mem_eq(v.iov_base, chunk->data + at, v.iov_len);
        at += (uint32_t)v.iov_len;
        braid_recvbuf_drain(&model.buf, model.pool, v.iov_len);
    }
    braid_chunk_unref(chunk);
    teardown();
}
END_TEST

START_TEST(test_cleared_keeps_its_offsets)
{
    uint64_t seed = 1;
    struct iovec v;

    setup();
    ck_assert_int_eq(insert(&seed, 0, 500), 0);
    braid_recvbuf_drain(&model.buf, model.pool, 100);
    braid_recvbuf_clear(&model.buf, model.pool);
    ck_assert_uint_eq(model.buf.next, 500);
    ck_assert_uint_eq(model.buf.drained, 100);
    ck_assert_int_eq(braid_recvbuf_peek(&model.buf, &v, 1), 0);
    teardown();
}
END_TEST

START_TEST(test_repeats_change_nothing)
{
    uint64_t seed = 1;

    setup();
    ck_assert_int_eq(insert(&seed, 0, 5000), 0);
    ck_assert_int_eq(insert(&seed, 6000, 5000), 0);
    for (int i = 0; i < 3; i++) {
        size_t pieces = model.buf.pieces, used = braid_pool_used(model.pool);

        ck_assert_int_eq(insert(&seed, 0, 5000), 0);
        ck_assert_int_eq(insert(&seed, 6000, 5000), 0);
        ck_assert_int_eq(insert(&seed, 7000, 10), 0);
        ck_assert_uint_eq(model.buf.pieces, pieces);
        ck_assert_uint_eq(braid_pool_used(model.pool), used);
        check();
    }
    drain(5000);
    ck_assert_int_eq(insert(&seed, 1000, 100), 0);
    check();
    teardown();
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_against_bytes, 30},
        {test_every_order, 100},
        {test_large_pieces_are_not_copied, 0},
        {test_small_pieces_do_not_pin_their_chunk, 0},
        {test_backlog_costs_what_it_holds, 0},
        {test_single_bytes_join, 0},
        {test_single_bytes_out_of_order_join, 0},
        {test_tiny_holes_are_refused, 0},
        {test_no_memory, 12},
        {test_cleared_keeps_its_offsets, 0},
        {test_repeats_change_nothing, 0},
    };

    return SUITE_RUN("recvbuf", tests);
}
