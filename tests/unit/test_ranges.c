/* SPDX-License-Identifier: MIT */
/*
 * Ranges against a bitmap: after every operation both must say the same, and the ranges must be
 * sorted, disjoint and not adjacent.
 */
#include <string.h>

#include <braid/error.h>

#include "core/ranges.h"
#include "suite.h"

#define BITS 400u

struct model {
    struct braid_pool *pool;
    struct braid_ranges set;
    bool bit[BITS];
};

static void check(const struct model *model)
{
    bool seen[BITS] = {false};
    uint64_t end = 0, size = 0;

    for (size_t i = 0; i < model->set.count; i++) {
        const struct braid_range *range = &model->set.at[i];

        suite_assert(range->start < range->end);
        suite_assert(i == 0 || range->start > end);
        suite_assert(range->end <= BITS);
        for (uint64_t k = range->start; k < range->end; k++)
            seen[k] = true;
        size += range->end - range->start;
        end = range->end;
    }
    suite_assert(memcmp(seen, model->bit, sizeof seen) == 0);
    suite_assert(braid_ranges_size(&model->set) == size);
}

static void check_gap(const struct model *model, uint64_t start, uint64_t end)
{
    struct braid_range gap = {1, 2};
    uint64_t first = start, last;
    bool found = braid_ranges_gap(&model->set, start, end, &gap);

    while (first < end && model->bit[first])
        first++;
    suite_assert(found == (first < end));
    if (!found)
        return;
    for (last = first; last < end && !model->bit[last]; last++)
        ;
    suite_assert(gap.start == first);
    suite_assert(gap.end == last);
}

static void operate(struct model *model, uint64_t *seed)
{
    uint64_t start = suite_below(seed, BITS), n = suite_below(seed, 30);
    uint64_t end = start + n < BITS ? start + n : BITS;
    uint64_t what = suite_below(seed, 100);

    if (what < 50) {
        ck_assert_int_eq(braid_ranges_add(&model->set, model->pool, start, end), 0);
        for (uint64_t i = start; i < end; i++)
            model->bit[i] = true;
    } else if (what < 95) {
        ck_assert_int_eq(braid_ranges_remove(&model->set, model->pool, start, end), 0);
        for (uint64_t i = start; i < end; i++)
            model->bit[i] = false;
    } else {
        start /= 4;
        braid_ranges_remove_below(&model->set, start);
        for (uint64_t i = 0; i < start; i++)
            model->bit[i] = false;
    }
}

START_TEST(test_against_a_bitmap)
{
    struct model model = {.pool = braid_pool_new(0)};
    uint64_t seed = (uint64_t)_i + 1;

    for (int i = 0; i < 2000; i++) {
        uint64_t start = suite_below(&seed, BITS), end = suite_below(&seed, BITS + 1);

        operate(&model, &seed);
        check(&model);
        check_gap(&model, start, end);
    }
    braid_ranges_clear(&model.set, model.pool);
    ck_assert_uint_eq(model.set.count, 0);
    ck_assert_uint_eq(braid_pool_used(model.pool), 0);
    braid_pool_free(model.pool);
}
END_TEST

START_TEST(test_neighbours_become_one)
{
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_ranges set = {0};

    ck_assert_int_eq(braid_ranges_add(&set, pool, 10, 20), 0);
    ck_assert_int_eq(braid_ranges_add(&set, pool, 30, 40), 0);
    ck_assert_uint_eq(set.count, 2);
    ck_assert_int_eq(braid_ranges_add(&set, pool, 20, 30), 0);
    ck_assert_uint_eq(set.count, 1);
    ck_assert_uint_eq(set.at[0].start, 10);
    ck_assert_uint_eq(set.at[0].end, 40);
    braid_ranges_clear(&set, pool);
    braid_pool_free(pool);
}
END_TEST

START_TEST(test_empty_range_changes_nothing)
{
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_ranges set = {0};

    ck_assert_int_eq(braid_ranges_add(&set, pool, 5, 5), 0);
    ck_assert_int_eq(braid_ranges_add(&set, pool, 6, 5), 0);
    ck_assert_int_eq(braid_ranges_remove(&set, pool, 5, 5), 0);
    braid_ranges_remove_below(&set, UINT64_MAX);
    ck_assert_uint_eq(set.count, 0);
    ck_assert_uint_eq(braid_pool_used(pool), 0);
    braid_pool_free(pool);
}
END_TEST

START_TEST(test_highest_offsets)
{
    struct braid_pool *pool = braid_pool_new(0);
    struct braid_ranges set = {0};
    struct braid_range gap;

    ck_assert_int_eq(braid_ranges_add(&set, pool, UINT64_MAX - 10, UINT64_MAX), 0);
    ck_assert(!braid_ranges_gap(&set, UINT64_MAX - 10, UINT64_MAX, &gap));
    ck_assert(braid_ranges_gap(&set, UINT64_MAX - 11, UINT64_MAX, &gap));
    ck_assert_uint_eq(gap.end, UINT64_MAX - 10);
    ck_assert_int_eq(braid_ranges_remove(&set, pool, UINT64_MAX - 1, UINT64_MAX), 0);
    ck_assert_uint_eq(braid_ranges_size(&set), 9);
    ck_assert_int_eq(braid_ranges_add(&set, pool, 0, UINT64_MAX), 0);
    ck_assert_uint_eq(set.count, 1);
    ck_assert_uint_eq(braid_ranges_size(&set), UINT64_MAX);
    braid_ranges_clear(&set, pool);
    braid_pool_free(pool);
}
END_TEST

/* Without memory an operation says so and leaves the set as it was. */
START_TEST(test_no_memory)
{
    struct model model = {.pool = braid_pool_new(0)};
    const struct braid_ranges *set = &model.set;

    for (uint64_t i = 0; i < 4; i++) {
        ck_assert_int_eq(braid_ranges_add(&model.set, model.pool, 10 * i, 10 * i + 5), 0);
        memset(model.bit + 10 * i, true, 5);
    }
    ck_assert_uint_eq(set->count, set->room); /* what follows needs more */
    braid_pool_fail_after(model.pool, 1);
    ck_assert_int_eq(braid_ranges_add(&model.set, model.pool, 100, 105), -BRAID_ERR_MEMORY);
    check(&model);
    ck_assert_int_eq(braid_ranges_remove(&model.set, model.pool, 11, 13), -BRAID_ERR_MEMORY);
    check(&model);
    ck_assert_int_eq(braid_ranges_add(&model.set, model.pool, 5, 7), 0); /* only grows one */
    memset(model.bit + 5, true, 2);
    check(&model);
    ck_assert_int_eq(braid_ranges_remove(&model.set, model.pool, 0, 3), 0);
    memset(model.bit, false, 3);
    check(&model);
    braid_ranges_clear(&model.set, model.pool);
    braid_pool_free(model.pool);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_against_a_bitmap, 40},
        {test_neighbours_become_one, 0},
        {test_empty_range_changes_nothing, 0},
        {test_highest_offsets, 0},
        {test_no_memory, 0},
    };

    return SUITE_RUN("ranges", tests);
}
