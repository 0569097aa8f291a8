/* SPDX-License-Identifier: MIT */
/*
 * Inflight against a plain list of bytes: every byte that goes in comes out once, in order.
 */
#include <braid/error.h>

#include "core/inflight.h"
#include "suite.h"

#define BYTES 100000u

/* The offsets of the bytes in the queue, one by one. */
struct model {
    uint64_t at[BYTES];
    size_t first;
    size_t end;
};

static void push(struct braid_inflight *queue, struct braid_pool *pool, struct model *model,
                 uint64_t start, uint32_t len)
{
    ck_assert_int_eq(braid_inflight_reserve(queue, pool, 1), 0);
    braid_inflight_push(queue, start, len, 0, 0);
    for (uint32_t i = 0; i < len; i++)
        model->at[model->end++] = start + i;
}

static void check_range(const struct braid_range *range, const uint64_t *at)
{
    uint64_t offset = range->start;

    while (offset < range->end && offset == *at) {
        offset++;
        at++;
    }
    suite_assert(offset == range->end);
}

static void pop(struct braid_inflight *queue, struct braid_pool *pool, struct model *model,
                uint64_t max)
{
    struct braid_range range = braid_inflight_pop(queue, pool, max);

    suite_assert(range.start < range.end);
    suite_assert(range.end - range.start <= max);
    suite_assert(range.end - range.start <= model->end - model->first);
    check_range(&range, model->at + model->first);
    model->first += range.end - range.start;
}

static void check(const struct braid_inflight *queue, const struct model *model)
{
    size_t at = model->first;

    suite_assert(queue->bytes == model->end - model->first);
    for (size_t i = 0; i < queue->count; i++) {
        struct braid_range range = braid_inflight_at(queue, i).range;

        suite_assert(range.start < range.end);
        suite_assert(range.end - range.start <= model->end - at);
        check_range(&range, model->at + at);
        at += range.end - range.start;
    }
    suite_assert(at == model->end);
}

START_TEST(test_against_a_list)
{
    static struct model model;
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_inflight queue = {0};
    uint64_t seed = (uint64_t)_i + 1, next = 0;

    model.first = model.end = 0;
    for (int i = 0; i < 1500; i++) {
        uint32_t len = (uint32_t)suite_below(&seed, 60) + 1;

        if (suite_below(&seed, 100) < 55 && model.end + len < BYTES) {
            if (suite_below(&seed, 2) == 0)
                next += suite_below(&seed, 100); /* what lies between went elsewhere */
            push(&queue, pool, &model, next, len);
            next += len;
        } else if (queue.count > 0) {
            pop(&queue, pool, &model, suite_below(&seed, 100) + 1);
        }
        check(&queue, &model);
    }
    while (queue.bytes > 0)
        pop(&queue, pool, &model, 1000);
    check(&queue, &model);
    braid_inflight_clear(&queue, pool);
    ck_assert_uint_eq(braid_pool_used(pool), 0);
    braid_pool_free(pool);
}
END_TEST

START_TEST(test_a_run_is_one_range)
{
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_inflight queue = {0};

    ck_assert_int_eq(braid_inflight_reserve(&queue, pool, 3), 0);
    braid_inflight_push(&queue, 0, 100, 1000, 0);
    braid_inflight_push(&queue, 100, 50, 2000, 0);
    ck_assert_uint_eq(queue.count, 1);
    braid_inflight_push(&queue, 160, 1, 2000, 0);
    ck_assert_uint_eq(queue.count, 2);
    ck_assert_uint_eq(queue.bytes, 151);
    braid_inflight_clear(&queue, pool);
    ck_assert_uint_eq(queue.bytes, 0);
    braid_pool_free(pool);
}
END_TEST

/* What was written at different times is expected at different times, and stays apart. */
START_TEST(test_times_keep_apart)
{
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_inflight queue = {0};

    ck_assert_int_eq(braid_inflight_reserve(&queue, pool, 3), 0);
    braid_inflight_push(&queue, 0, 100, 1000, 0);
    braid_inflight_push(&queue, 100, 50, 9000, 0);
    ck_assert_uint_eq(queue.count, 2);
    ck_assert_uint_eq(braid_inflight_at(&queue, 0).due, 1000);
    ck_assert_uint_eq(braid_inflight_at(&queue, 1).due, 9000);
    braid_inflight_clear(&queue, pool);
    braid_pool_free(pool);
}
END_TEST

/* After a reservation of n, n pushes need no memory. */
START_TEST(test_reservation_holds)
{
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_inflight queue = {0};

    for (uint64_t round = 0; round < 5; round++) {
        ck_assert_int_eq(braid_inflight_reserve(&queue, pool, 64), 0);
        braid_pool_fail_after(pool, 1);
        for (uint64_t i = 0; i < 64; i++)
            braid_inflight_push(&queue, (round * 64 + i) * 10, 5, 0, 0);
        ck_assert_int_eq(braid_inflight_reserve(&queue, pool, 1000), -BRAID_ERR_MEMORY);
        braid_pool_fail_after(pool, 0);
    }
    ck_assert_uint_eq(queue.count, 5 * 64);
    for (uint64_t i = 0; i < 5 * 64; i++)
        ck_assert_uint_eq(braid_inflight_at(&queue, i).range.start, i * 10);
    braid_inflight_clear(&queue, pool);
    braid_pool_free(pool);
}
END_TEST

/* A queue that was long gives its memory back when it runs empty. */
START_TEST(test_idle_holds_little)
{
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_inflight queue = {0};

    ck_assert_int_eq(braid_inflight_reserve(&queue, pool, 500), 0);
    for (uint64_t i = 0; i < 500; i++)
        braid_inflight_push(&queue, i * 10, 5, 0, 0);
    while (queue.count > 0)
        braid_inflight_pop(&queue, pool, 5);
    ck_assert_uint_le(braid_pool_used(pool), 16 * sizeof(struct braid_flight));
    ck_assert_uint_eq(queue.bytes, 0);
    ck_assert_int_eq(braid_inflight_reserve(&queue, pool, 1), 0);
    braid_inflight_push(&queue, 7, 1, 0, 0);
    ck_assert_uint_eq(braid_inflight_at(&queue, 0).range.start, 7);
    braid_inflight_clear(&queue, pool);
    braid_pool_free(pool);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_against_a_list, 20},   {test_a_run_is_one_range, 0}, {test_times_keep_apart, 0},
        {test_reservation_holds, 0}, {test_idle_holds_little, 0},
    };

    return SUITE_RUN("inflight", tests);
}
