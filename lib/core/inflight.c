/* SPDX-License-Identifier: MIT */
#include "inflight.h"

#include <string.h>

#include <braid/error.h>

/* A ring larger than this is given back when it runs empty, so that idle subflows hold little. */
#define KEEP_ROOM 8u

/* Neighbours whose times differ by less, in microseconds, are one entry. */
#define SAME_TIME 5000u

void braid_inflight_clear(struct braid_inflight *queue, struct braid_pool *pool)
{
    braid_pool_release(pool, queue->at, queue->room * sizeof *queue->at);
    memset(queue, 0, sizeof *queue);
}

int braid_inflight_reserve(struct braid_inflight *queue, struct braid_pool *pool, size_t n)
{
    size_t room = queue->room == 0 ? KEEP_ROOM : queue->room;
    struct braid_flight *at;

    while (room < queue->count + n)
        room *= 2;
    if (room == queue->room)
        return 0;
    at = braid_pool_alloc(pool, room * sizeof *at);
    if (at == NULL)
        return -BRAID_ERR_MEMORY;
    for (size_t i = 0; i < queue->count; i++)
        at[i] = braid_inflight_at(queue, i);
    braid_pool_release(pool, queue->at, queue->room * sizeof *queue->at);
    queue->at = at;
    queue->first = 0;
    queue->room = room;
    return 0;
}

void braid_inflight_push(struct braid_inflight *queue, uint64_t start, uint32_t len, uint64_t due,
                         uint64_t now)
{
    queue->bytes += len;
    if (queue->count > 0) {
        struct braid_flight *last =
            &queue->at[(queue->first + queue->count - 1) & (queue->room - 1)];

        if (last->range.end == start && due <= last->due + SAME_TIME) {
            last->range.end += len;
            return;
        }
    }
    queue->at[(queue->first + queue->count) & (queue->room - 1)] =
        (struct braid_flight){{start, start + len}, now, due};
    queue->count++;
}

struct braid_range braid_inflight_pop(struct braid_inflight *queue, struct braid_pool *pool,
                                      uint64_t max)
{
    struct braid_range *front = &queue->at[queue->first].range;
    struct braid_range popped = *front;

    if (popped.end - popped.start > max)
        popped.end = popped.start + max;
    front->start = popped.end;
    queue->bytes -= popped.end - popped.start;
    if (front->start < front->end)
        return popped;
    queue->first = (queue->first + 1) & (queue->room - 1);
    queue->count--;
    if (queue->count == 0 && queue->room > KEEP_ROOM)
        braid_inflight_clear(queue, pool);
    return popped;
}

bool braid_inflight_has(const struct braid_inflight *queue, uint64_t offset)
{
    for (size_t i = 0; i < queue->count; i++) {
        struct braid_range range = braid_inflight_at(queue, i).range;

        if (range.start <= offset && offset < range.end)
            return true;
    }
    return false;
}

struct braid_flight braid_inflight_at(const struct braid_inflight *queue, size_t i)
{
    return queue->at[(queue->first + i) & (queue->room - 1)];
}
