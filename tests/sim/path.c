/* SPDX-License-Identifier: MIT */
#include "path.h"

#include <stdlib.h>
#include <string.h>

/* Ethernet, IPv4 and TCP with timestamps, as an emulated link counts them. */
#define HEADERS 66u
#define QUEUE_MIN (16u * 1514u) /* bytes; with less, TCP without pacing gets nowhere */

static void segments_init(struct sim_segments *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void segments_put(struct sim_segments *list, struct sim_segment *segment)
{
    segment->next = NULL;
    *list->last = segment;
    list->last = &segment->next;
}

static struct sim_segment *segments_take(struct sim_segments *list)
{
    struct sim_segment *segment = list->first;

    list->first = segment->next;
    if (!list->first) {
        list->last = &list->first;
    }
    return segment;
}

static unsigned segments_clear(struct sim_segments *list)
{
    unsigned n = 0;

    while (list->first) {
        free(segments_take(list));
        n++;
    }
    return n;
}

static uint64_t serialisation(const struct sim_wire *wire, uint64_t bytes)
{
    return bytes * SIM_SECOND / wire->rate;
}

static void serve_next(struct sim_wire *wire)
{
    if (wire->queue.first && wire->paused == 0 && wire->serve.slot == 0) {
        uint64_t took = serialisation(wire, wire->queue.first->len + HEADERS);
        sim_timer_set(&wire->serve, wire->path->world->now + took);
    }
}

static void arrive_next(struct sim_wire *wire)
{
    if (wire->transit.first && wire->paused == 0 && wire->arrive.slot == 0) {
        sim_timer_set(&wire->arrive, wire->transit.first->due);
    }
}

static void served(void *arg)
{
    struct sim_wire *wire = arg;
    struct sim_segment *segment = segments_take(&wire->queue);

    wire->queued -= segment->len + HEADERS;
    segment->due = wire->path->world->now + wire->delay;
    if (segment->due < wire->last_due) {
        segment->due = wire->last_due; /* the delay has shrunk: still in order */
    }
    wire->last_due = segment->due;
    segments_put(&wire->transit, segment);
    arrive_next(wire);
    serve_next(wire);
}

static void arrived(void *arg)
{
    struct sim_wire *wire = arg;
    struct sim_world *world = wire->path->world;

    while (wire->transit.first && wire->transit.first->due <= world->now) {
        wire->path->deliver(segments_take(&wire->transit));
    }
    arrive_next(wire);
}

static uint64_t queue_limit(uint64_t rate, uint64_t time)
{
    uint64_t limit = rate * time / SIM_SECOND;

    return limit > QUEUE_MIN ? limit : QUEUE_MIN;
}

void sim_path_init(struct sim_path *path, struct sim_world *world, unsigned index,
                   const struct sim_path_spec *spec, sim_deliver_cb deliver)
{
    memset(path, 0, sizeof(*path));
    path->world = world;
    path->index = index;
    path->loss = spec->loss;
    path->deliver = deliver;
    for (unsigned side = 0; side < 2; side++) {
        struct sim_wire *wire = &path->wires[side];
        wire->path = path;
        wire->rate = spec->rate / 8;
        wire->delay = spec->delay;
        wire->limit = queue_limit(wire->rate, spec->queue);
        wire->queue_time = spec->queue;
        segments_init(&wire->queue);
        segments_init(&wire->transit);
        sim_timer_init(&wire->serve, world, served, wire);
        sim_timer_init(&wire->arrive, world, arrived, wire);
    }
}

void sim_path_clear(struct sim_path *path)
{
    for (unsigned side = 0; side < 2; side++) {
        segments_clear(&path->wires[side].queue);
        segments_clear(&path->wires[side].transit);
    }
}

/* Whether the queue has no room for it; while nothing moves, it grows without a limit. */
static bool is_full(const struct sim_wire *wire, uint64_t size)
{
    return wire->queue.first && wire->paused == 0 && wire->queued + size > wire->limit;
}

void sim_path_send(struct sim_path *path, struct sim_segment *segment)
{
    struct sim_wire *wire = &path->wires[segment->side];
    uint64_t size = segment->len + HEADERS;

    if (wire->holes) {
        path->swallowed++;
        free(segment);
        return;
    }
    if ((path->loss && sim_rng_below(&path->world->rng, path->loss) == 0) || is_full(wire, size)) {
        path->dropped++;
        sim_note(path->world, SIM_NOTE_DROPPED, path->index, segment->side, wire->queued);
        free(segment);
        return;
    }
    wire->queued += size;
    segments_put(&wire->queue, segment);
    serve_next(wire);
}

void sim_path_set_rate(struct sim_path *path, uint64_t rate)
{
    for (unsigned side = 0; side < 2; side++) {
        struct sim_wire *wire = &path->wires[side];
        wire->rate = rate / 8;
        wire->limit = queue_limit(wire->rate, wire->queue_time);
    }
}

void sim_path_set_delay(struct sim_path *path, uint64_t delay)
{
    path->wires[0].delay = delay;
    path->wires[1].delay = delay;
}

void sim_path_pause(struct sim_path *path, unsigned sides, bool on)
{
    for (unsigned side = 0; side < 2; side++) {
        struct sim_wire *wire = &path->wires[side];
        if (!(sides & (1u << side))) {
            continue;
        }
        wire->paused = on ? wire->paused + 1 : wire->paused - 1;
        if (wire->paused) {
            sim_timer_clear(&wire->serve);
            sim_timer_clear(&wire->arrive);
        } else {
            arrive_next(wire);
            serve_next(wire);
        }
    }
}

void sim_path_hole(struct sim_path *path, unsigned sides, bool on)
{
    for (unsigned side = 0; side < 2; side++) {
        struct sim_wire *wire = &path->wires[side];
        if (!(sides & (1u << side))) {
            continue;
        }
        wire->holes += on ? 1u : -1u;
        if (on) {
            path->swallowed += segments_clear(&wire->queue) + segments_clear(&wire->transit);
            wire->queued = 0;
            sim_timer_clear(&wire->serve);
            sim_timer_clear(&wire->arrive);
        }
    }
}

uint64_t sim_path_latency(const struct sim_path *path)
{
    return path->wires[0].delay + serialisation(&path->wires[0], 1500);
}
