/* SPDX-License-Identifier: MIT */
#include "lane.h"

#define SECOND UINT64_C(1000000000)

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* splitmix64; 53 bits of it as a number below 1 */
static double draw(struct lane *lane)
{
    uint64_t z = lane->random += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

void lane_init(struct lane *lane, uint64_t seed)
{
    *lane = (struct lane){.random = seed};
    frame_list_init(&lane->queue);
    frame_list_init(&lane->wire);
}

void lane_clear(struct lane *lane)
{
    frame_list_clear(&lane->queue);
    frame_list_clear(&lane->wire);
}

void lane_seed(struct lane *lane, uint64_t seed)
{
    lane->random = seed;
}

/* How long the sender needs for so many bytes. */
static uint64_t transmission(const struct lane *lane, uint64_t bytes)
{
    return lane->settings.rate == 0 ? 0 : bytes * 8 * SECOND / lane->settings.rate;
}

static bool has_room(const struct lane *lane, size_t size)
{
    const struct lane_settings *set = &lane->settings;
    const struct frame_list *queue = &lane->queue;

    if (queue->frames == 0)
        return set->limit_frames == 0 || lane->wire.frames < set->limit_frames;
    if (set->queue_time > 0 && transmission(lane, queue->bytes + size) > set->queue_time)
        return false;
    if (set->queue_bytes > 0 && queue->bytes + size > set->queue_bytes)
        return false;
    if (set->queue_frames > 0 && queue->frames >= set->queue_frames)
        return false;
    return set->limit_frames == 0 || queue->frames + lane->wire.frames < set->limit_frames;
}

/* The counter of the reason to drop a frame; NULL: there is none. */
static uint64_t *reason_to_drop(struct lane *lane, const struct frame *frame, uint64_t now)
{
    if (lane->settings.down)
        return &lane->counters.dropped_down;
    if (lane->settings.loss > 0 && draw(lane) < lane->settings.loss)
        return &lane->counters.dropped_loss;
    if (!policer_pass(&lane->policer, frame->data, frame->size, now))
        return &lane->counters.dropped_police;
    if (now >= lane->held_until && !has_room(lane, frame->size))
        return &lane->counters.dropped_queue;
    return NULL;
}

void lane_offer(struct lane *lane, struct frame *frame, uint64_t now)
{
    uint64_t *reason;

    lane->counters.in_frames++;
    lane->counters.in_bytes += frame->size;
    lane_run(lane, now);
    reason = reason_to_drop(lane, frame, now);
    if (reason != NULL) {
        ++*reason;
        frame_free(frame);
        return;
    }
    frame->time = now;
    frame_list_push(&lane->queue, frame);
}

/* When the frame at the head of the queue will have been sent. */
static uint64_t sent_at(const struct lane *lane)
{
    const struct frame *frame = lane->queue.head;
    uint64_t start = later(later(lane->free_at, frame->time), lane->held_until);

    return start + transmission(lane, frame->size);
}

void lane_run(struct lane *lane, uint64_t now)
{
    while (lane->queue.frames > 0) {
        uint64_t sent = sent_at(lane);
        struct frame *frame;

        if (sent > now)
            return;
        frame = frame_list_pop(&lane->queue);
        lane->free_at = sent;
        lane->last_due = later(lane->last_due, sent + lane->settings.delay);
        frame->time = lane->last_due;
        frame_list_push(&lane->wire, frame);
    }
}

struct frame *lane_take(struct lane *lane, uint64_t now)
{
    struct frame *frame;

    lane_run(lane, now);
    if (now < lane->held_until || lane->wire.frames == 0 || lane->wire.head->time > now)
        return NULL;
    frame = frame_list_pop(&lane->wire);
    lane->counters.out_frames++;
    lane->counters.out_bytes += frame->size;
    lane->counters.late_max =
        later(lane->counters.late_max, now - later(frame->time, lane->held_until));
    return frame;
}

uint64_t lane_next(const struct lane *lane)
{
    if (lane->wire.frames > 0)
        return later(lane->wire.head->time, lane->held_until);
    if (lane->queue.frames > 0)
        return later(lane->last_due, sent_at(lane) + lane->settings.delay);
    return LANE_NEVER;
}

void lane_pause(struct lane *lane, uint64_t now, uint64_t duration)
{
    lane_run(lane, now);
    lane->held_until = later(lane->held_until, now + duration);
}

void lane_set_down(struct lane *lane, bool down)
{
    lane->settings.down = down;
    if (!down)
        return;
    lane->counters.dropped_down += lane->queue.frames + lane->wire.frames;
    lane_clear(lane);
}
