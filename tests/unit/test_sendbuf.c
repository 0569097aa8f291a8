/* SPDX-License-Identifier: MIT */
/*
 * Sendbuf against a byte array: whatever was committed in pieces of any size can be found at its
 * offset until it is acknowledged.
 */
#include <string.h>

#include <braid/error.h>

#include "core/sendbuf.h"
#include "suite.h"

#define BYTES 600000u

struct model {
    struct braid_pool *pool;
    struct braid_sendbuf buf;
    unsigned lent, released;
    uint8_t bytes[BYTES];
};

static struct model model;

static void setup(void)
{
    memset(&model, 0, sizeof model);
    model.pool = braid_pool_new(0);
}

static void teardown(void)
{
    braid_sendbuf_clear(&model.buf);
    ck_assert_uint_eq(braid_pool_used(model.pool), 0);
    ck_assert_uint_eq(model.buf.memory, 0);
    ck_assert_uint_eq(model.released, model.lent);
    braid_pool_free(model.pool);
}

/* Reserves `room` in at most max pieces and commits at most n bytes of them; returns how many. */
static size_t append(uint64_t *seed, size_t room, int max, size_t n)
{
    struct iovec v[8];
    int count = braid_sendbuf_reserve(&model.buf, model.pool, v, max, room);
    size_t lent = 0, done = 0;

    for (int i = 0; i < count; i++) {
        ck_assert_uint_gt(v[i].iov_len, 0);
        lent += v[i].iov_len;
        for (size_t k = 0; k < v[i].iov_len && done < n; k++, done++) {
            uint8_t byte = (uint8_t)suite_random(seed);

            ((uint8_t *)v[i].iov_base)[k] = byte;
            model.bytes[model.buf.end + done] = byte;
        }
    }
    ck_assert_uint_le(lent, room);
    braid_sendbuf_commit(&model.buf, done);
    ck_assert_ptr_null(model.buf.spare);
    return done;
}

static void on_release(void *arg)
{
    (void)arg;
    model.released++;
}

/* Appends n bytes of somebody else's; returns how many. */
static size_t append_lent(uint64_t *seed, size_t n)
{
    uint8_t *bytes = model.bytes + model.buf.end;

    for (size_t k = 0; k < n; k++)
        bytes[k] = (uint8_t)suite_random(seed);
    braid_sendbuf_append(&model.buf,
                         braid_chunk_lend(model.pool, bytes, (uint32_t)n, on_release, NULL));
    model.lent++;
    return n;
}

/* Holds [offset, offset + len) against the model, as far as max slices reach. */
static void check(uint64_t offset, uint32_t len, int max)
{
    struct braid_slice slices[16];
    int count = braid_sendbuf_slice(&model.buf, offset, len, slices, max);
    uint32_t found = 0;

    ck_assert_int_le(count, max);
    for (int i = 0; i < count; i++) {
        ck_assert_uint_gt(slices[i].len, 0);
        ck_assert_uint_le(slices[i].start + slices[i].len, slices[i].chunk->fill);
        ck_assert_mem_eq(slices[i].chunk->data + slices[i].start, model.bytes + offset + found,
                         slices[i].len);
        found += slices[i].len;
    }
    ck_assert(found == len || (found < len && count == max));
}

START_TEST(test_against_bytes)
{
    uint64_t seed = (uint64_t)_i + 1;

    setup();
    for (int i = 0; i < 400; i++) {
        uint64_t held = model.buf.end - model.buf.una;
        uint64_t big = suite_below(&seed, 3);
        size_t n = (size_t)suite_below(&seed, big == 0 ? 50 : big == 1 ? 5000 : 60000);

        if (model.buf.end + n < BYTES && n > 0 && suite_below(&seed, 4) == 0)
            append_lent(&seed, n);
        else if (model.buf.end + n < BYTES)
            append(&seed, (size_t)suite_below(&seed, 150000), 1 + (int)suite_below(&seed, 8), n);
        held = model.buf.end - model.buf.una;
        for (int k = 0; k < 4 && held > 0; k++) {
            uint64_t at = suite_below(&seed, held);

            check(model.buf.una + at, (uint32_t)(1 + suite_below(&seed, held - at)),
                  1 + (int)suite_below(&seed, 16));
        }
        if (suite_below(&seed, 3) == 0)
            braid_sendbuf_ack(&model.buf, model.buf.una + suite_below(&seed, held + 1));
    }
    braid_sendbuf_ack(&model.buf, model.buf.end);
    ck_assert_ptr_null(model.buf.head);
    ck_assert_uint_eq(model.buf.memory, 0);
    ck_assert_uint_eq(braid_pool_used(model.pool), 0);
    ck_assert_uint_gt(model.lent, 0);
    teardown();
}
END_TEST

START_TEST(test_nothing_committed_nothing_held)
{
    struct iovec v[8];

    setup();
    ck_assert_int_gt(braid_sendbuf_reserve(&model.buf, model.pool, v, 8, 100000), 0);
    ck_assert_uint_gt(braid_pool_used(model.pool), 0);
    braid_sendbuf_commit(&model.buf, 0);
    ck_assert_uint_eq(braid_pool_used(model.pool), 0);
    ck_assert_uint_eq(model.buf.end, 0);
    teardown();
}
END_TEST

/* Reserving twice gives the first loan back. */
START_TEST(test_reserve_again)
{
    struct iovec v[8];
    size_t used;

    setup();
    ck_assert_int_gt(braid_sendbuf_reserve(&model.buf, model.pool, v, 8, 100000), 0);
    used = braid_pool_used(model.pool);
    ck_assert_int_gt(braid_sendbuf_reserve(&model.buf, model.pool, v, 8, 100000), 0);
    ck_assert_uint_eq(braid_pool_used(model.pool), used);
    teardown();
}
END_TEST

START_TEST(test_no_room_no_pieces)
{
    struct iovec v[8];

    setup();
    ck_assert_int_eq(braid_sendbuf_reserve(&model.buf, model.pool, v, 8, 0), 0);
    ck_assert_int_eq(braid_sendbuf_reserve(&model.buf, model.pool, v, 0, 1000), 0);
    teardown();
}
END_TEST

/* A short request holds a page, bulk gets large chunks. */
START_TEST(test_memory_by_size_of_commits)
{
    uint64_t seed = 1;

    setup();
    append(&seed, 200000, 8, 100);
    ck_assert_uint_eq(model.buf.memory, BRAID_CHUNK_SMALL);
    append(&seed, 200000, 8, 60000);
    ck_assert_uint_eq(model.buf.memory, 2 * BRAID_CHUNK_SMALL + BRAID_CHUNK_LARGE);
    append(&seed, 200000, 8, 150000);
    ck_assert_uint_le(model.buf.memory, 2 * BRAID_CHUNK_SMALL + 4 * BRAID_CHUNK_LARGE);
    braid_sendbuf_ack(&model.buf, model.buf.end);
    ck_assert_uint_eq(model.buf.memory, 0);
    teardown();
}
END_TEST

/* What does not fill a chunk is filled up by the next commit. */
START_TEST(test_small_commits_share_a_chunk)
{
    uint64_t seed = 1;

    setup();
    for (int i = 0; i < 30; i++)
        ck_assert_uint_eq(append(&seed, 100000, 8, 100), 100);
    ck_assert_uint_eq(model.buf.memory, BRAID_CHUNK_SMALL);
    check(0, 3000, 1);
    teardown();
}
END_TEST

START_TEST(test_no_memory)
{
    struct iovec v[8];
    uint64_t seed = 1;

    setup();
    append(&seed, 100000, 8, 3000);
    braid_pool_fail_after(model.pool, 1);
    /* What is left of the last chunk is there all the same. */
    ck_assert_int_eq(braid_sendbuf_reserve(&model.buf, model.pool, v, 8, 100000), 1);
    ck_assert_uint_gt(v[0].iov_len, 0);
    memset(v[0].iov_base, 9, v[0].iov_len);
    memset(model.bytes + 3000, 9, v[0].iov_len);
    braid_sendbuf_commit(&model.buf, v[0].iov_len);
    ck_assert_int_eq(braid_sendbuf_reserve(&model.buf, model.pool, v, 8, 100000), 0);
    braid_sendbuf_commit(&model.buf, 0);
    check(0, (uint32_t)model.buf.end, 4);
    teardown();
}
END_TEST

/* When there is no large chunk left, a small one is better than nothing. */
START_TEST(test_small_when_large_is_too_much)
{
    struct braid_pool *pool = braid_pool_new(2 * BRAID_CHUNK_SMALL);
    struct braid_sendbuf buf = {.last_commit = 1u << 20};
    struct iovec v[8];

    ck_assert_int_eq(braid_sendbuf_reserve(&buf, pool, v, 8, 100000), 1);
    ck_assert_uint_lt(v[0].iov_len, BRAID_CHUNK_SMALL);
    braid_sendbuf_commit(&buf, 1);
    braid_sendbuf_clear(&buf);
    ck_assert_uint_eq(braid_pool_used(pool), 0);
    braid_pool_free(pool);
}
END_TEST

/* A slice that somebody still writes from outlives the acknowledgement. */
START_TEST(test_reference_outlives_ack)
{
    struct braid_slice slice;
    uint64_t seed = 1;

    setup();
    append(&seed, 100000, 8, 1000);
    ck_assert_int_eq(braid_sendbuf_slice(&model.buf, 10, 20, &slice, 1), 1);
    braid_chunk_ref(slice.chunk);
    braid_sendbuf_ack(&model.buf, 1000);
    append(&seed, 100000, 8, 1000);
    ck_assert_mem_eq(slice.chunk->data + slice.start, model.bytes + 10, 20);
    braid_chunk_unref(slice.chunk);
    teardown();
}
END_TEST

START_TEST(test_older_ack_changes_nothing)
{
    uint64_t seed = 1;

    setup();
    append(&seed, 100000, 8, 1000);
    braid_sendbuf_ack(&model.buf, 600);
    braid_sendbuf_ack(&model.buf, 500);
    ck_assert_uint_eq(model.buf.una, 600);
    check(600, 400, 1);
    teardown();
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_against_bytes, 40},
        {test_nothing_committed_nothing_held, 0},
        {test_reserve_again, 0},
        {test_no_room_no_pieces, 0},
        {test_memory_by_size_of_commits, 0},
        {test_small_commits_share_a_chunk, 0},
        {test_no_memory, 0},
        {test_small_when_large_is_too_much, 0},
        {test_reference_outlives_ack, 0},
        {test_older_ack_changes_nothing, 0},
    };

    return SUITE_RUN("sendbuf", tests);
}
