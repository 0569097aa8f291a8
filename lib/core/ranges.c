/* SPDX-License-Identifier: MIT */
#include "ranges.h"

#include <string.h>

#include <braid/error.h>

/* Index of the first range that ends at or after offset; count when there is none. */
static size_t find(const struct braid_ranges *set, uint64_t offset)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (set->at[middle].end < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Makes room for one range more. */
static int grow(struct braid_ranges *set, struct braid_pool *pool)
{
    size_t room = set->room == 0 ? 4 : set->room * 2;
    struct braid_range *at;

    if (set->count < set->room)
        return 0;
    at = braid_pool_alloc(pool, room * sizeof *at);
    if (at == NULL)
        return -BRAID_ERR_MEMORY;
    if (set->count > 0)
        memcpy(at, set->at, set->count * sizeof *at);
    braid_pool_release(pool, set->at, set->room * sizeof *at);
    set->at = at;
    set->room = room;
    return 0;
}

/* Replaces `old` ranges from index i on by one; old may be 0 when there is room. */
static void replace(struct braid_ranges *set, size_t i, size_t old, struct braid_range range)
{
    memmove(set->at + i + 1, set->at + i + old, (set->count - i - old) * sizeof *set->at);
    set->at[i] = range;
    set->count = set->count + 1 - old;
}

static void erase(struct braid_ranges *set, size_t i, size_t n)
{
    if (n == 0)
        return;
    memmove(set->at + i, set->at + i + n, (set->count - i - n) * sizeof *set->at);
    set->count -= n;
}

void braid_ranges_clear(struct braid_ranges *set, struct braid_pool *pool)
{
    braid_pool_release(pool, set->at, set->room * sizeof *set->at);
    memset(set, 0, sizeof *set);
}

int braid_ranges_add(struct braid_ranges *set, struct braid_pool *pool, uint64_t start,
                     uint64_t end)
{
    struct braid_range range = {start, end};
    size_t first, last;

    if (start >= end)
        return 0;
    first = find(set, start);
    for (last = first; last < set->count && set->at[last].start <= end; last++) {
        if (set->at[last].start < range.start)
            range.start = set->at[last].start;
        if (set->at[last].end > range.end)
            range.end = set->at[last].end;
    }
    if (last == first && grow(set, pool) != 0)
        return -BRAID_ERR_MEMORY;
    replace(set, first, last - first, range);
    return 0;
}

int braid_ranges_remove(struct braid_ranges *set, struct braid_pool *pool, uint64_t start,
                        uint64_t end)
{
    size_t first, last;

    if (start >= end)
        return 0;
    first = find(set, start + 1);
    if (first < set->count && set->at[first].start < start && set->at[first].end > end) {
        struct braid_range tail = {end, set->at[first].end};

        if (grow(set, pool) != 0)
            return -BRAID_ERR_MEMORY;
        set->at[first].end = start;
        replace(set, first + 1, 0, tail);
        return 0;
    }
    if (first < set->count && set->at[first].start < start)
        set->at[first++].end = start;
    for (last = first; last < set->count && set->at[last].end <= end; last++)
        ;
    if (last < set->count && set->at[last].start < end)
        set->at[last].start = end;
    erase(set, first, last - first);
    return 0;
}

void braid_ranges_remove_below(struct braid_ranges *set, uint64_t offset)
{
    size_t n = 0;

    while (n < set->count && set->at[n].end <= offset)
        n++;
    erase(set, 0, n);
    if (set->count > 0 && set->at[0].start < offset)
        set->at[0].start = offset;
}

bool braid_ranges_gap(const struct braid_ranges *set, uint64_t start, uint64_t end,
                      struct braid_range *gap)
{
    size_t i = find(set, start + 1);

    if (i < set->count && set->at[i].start <= start)
        start = set->at[i++].end;
    if (start >= end)
        return false;
    gap->start = start;
    gap->end = i < set->count && set->at[i].start < end ? set->at[i].start : end;
    return true;
}

uint64_t braid_ranges_size(const struct braid_ranges *set)
{
    uint64_t size = 0;

    for (size_t i = 0; i < set->count; i++)
        size += set->at[i].end - set->at[i].start;
    return size;
}
