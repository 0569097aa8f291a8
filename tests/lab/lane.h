/* SPDX-License-Identifier: MIT */
/*
 * One direction of an emulated link, without sockets and without a clock: what comes in is dropped
 * or queued, is sent at the link's rate, travels for the link's delay, and is due then.
 *
 *   offered -> up? loss? policed? room in the queue? -> queue -(rate)-> wire -(delay)-> due
 *
 * Times are in ns and never go backwards; frames keep their order whatever is changed meanwhile.
 * Before settings are changed lane_run() has to have been called with the time of the change.
 */
#ifndef LAB_LANE_H
#define LAB_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "policer.h"

#define LANE_NEVER UINT64_MAX

/* All that can be set while the link runs; 0 is without that limit, delay or loss. */
struct lane_settings {
    uint64_t rate;         /* bit/s, of whole frames */
    uint64_t delay;        /* ns */
    uint64_t queue_time;   /* ns, at the rate */
    uint64_t queue_bytes;  /* in the queue */
    uint64_t queue_frames; /* in the queue */
    uint64_t limit_frames; /* in the queue and on the wire together, as netem counts */
    double loss;           /* probability, 0 to 1 */
    bool down;
};

struct lane_counters {
    uint64_t in_frames, in_bytes;   /* offered */
    uint64_t out_frames, out_bytes; /* delivered */
    uint64_t dropped_queue;         /* frames, for each reason */
    uint64_t dropped_loss;
    uint64_t dropped_police;
    uint64_t dropped_down;
    uint64_t late_max; /* ns: how long after its time a frame was taken, at worst */
};

struct lane {
    struct lane_settings settings;
    struct lane_counters counters;
    struct policer policer;
    struct frame_list queue;
    struct frame_list wire;
    uint64_t free_at;    /* when the sender of the link has sent what it was given */
    uint64_t held_until; /* nothing moves before */
    uint64_t last_due;   /* of what was put on the wire last */
    uint64_t random;     /* state of the generator that loss is drawn from */
};

void lane_init(struct lane *lane, uint64_t seed);
void lane_clear(struct lane *lane);
void lane_seed(struct lane *lane, uint64_t seed);

/* Takes a frame in: the lane owns it, or has dropped it. */
void lane_offer(struct lane *lane, struct frame *frame, uint64_t now);

/* Brings the lane up to now. */
void lane_run(struct lane *lane, uint64_t now);

/* A frame that is due, to be freed by the caller; NULL when there is none. */
struct frame *lane_take(struct lane *lane, uint64_t now);

/* When there will be something to take, unless something changes before. */
uint64_t lane_next(const struct lane *lane);

/* Holds everything for some time and loses nothing by it: meanwhile the queue has no limit. */
void lane_pause(struct lane *lane, uint64_t now, uint64_t duration);

/* Down: what is inside is lost, and so is what comes. */
void lane_set_down(struct lane *lane, bool down);

#endif
