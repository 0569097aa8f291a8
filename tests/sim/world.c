/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* More than any honest run needs without the clock moving. */
#define SAME_INSTANT_MAX 1000000u

static const struct {
    const char *name, *a, *b, *c;
} notes[SIM_NOTES] = {
    [SIM_NOTE_DIAL] = {"dial", "pipe", "path", "slot"},
    [SIM_NOTE_CONNECTED] = {"connected", "pipe", "path", "live"},
    [SIM_NOTE_ACCEPTED] = {"accepted", "pipe", "path", "-"},
    [SIM_NOTE_JOINED] = {"joined", "pipe", "subflow", "created"},
    [SIM_NOTE_REFUSED] = {"refused", "pipe", "error", "-"},
    [SIM_NOTE_WRITE] = {"write", "pipe", "side", "bytes"},
    [SIM_NOTE_READ] = {"read", "pipe", "side", "bytes"},
    [SIM_NOTE_LOST] = {"lost", "pipe", "side", "error"},
    [SIM_NOTE_CLOSE] = {"close-subflow", "pipe", "side", "error"},
    [SIM_NOTE_RTO] = {"rto", "pipe", "side", "backoff"},
    [SIM_NOTE_PROBE] = {"tail-probe", "pipe", "side", "out"},
    [SIM_NOTE_RECOVERY] = {"recovery", "pipe", "side", "cwnd"},
    [SIM_NOTE_DROPPED] = {"dropped", "path", "side", "queued"},
    [SIM_NOTE_ACTION] = {"action", "side", "type", "error"},
    [SIM_NOTE_SENT] = {"app-sent", "side", "offset", "bytes"},
    [SIM_NOTE_RECEIVED] = {"app-received", "side", "offset", "bytes"},
    [SIM_NOTE_SHUTDOWN] = {"app-shutdown", "side", "offset", "-"},
    [SIM_NOTE_ABORT] = {"app-abort", "side", "sent", "received"},
    [SIM_NOTE_FAULT] = {"fault", "kind", "path", "value"},
    [SIM_NOTE_HEALED] = {"healed", "kind", "path", "value"},
    [SIM_NOTE_CLOSED] = {"closed", "side", "error", "received"},
};

void sim_world_init(struct sim_world *world, uint64_t seed, FILE *trace)
{
    memset(world, 0, sizeof(*world));
    world->seed = seed;
    sim_rng_init(&world->rng, seed);
    world->trace = trace;
    world->capacity = 64;
    world->heap = sim_alloc(world->capacity * sizeof(struct sim_timer *));
}

void sim_world_clear(struct sim_world *world)
{
    free(world->heap);
    world->heap = NULL;
}

void sim_fail(struct sim_world *world, const char *format, ...)
{
    va_list args;
    int n;

    if (world->failed) {
        return;
    }
    world->failed = true;
    n = snprintf(world->failure, sizeof(world->failure), "at %.6f s: ", (double)world->now / 1e6);
    va_start(args, format);
    vsnprintf(world->failure + n, sizeof(world->failure) - (size_t)n, format, args);
    va_end(args);
    if (world->trace) {
        fprintf(world->trace, "FAIL %s\n", world->failure);
    }
}

void sim_note(struct sim_world *world, enum sim_note note, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t hash = world->hash;

    hash = sim_mix(hash ^ world->now);
    hash = sim_mix(hash ^ a ^ ((uint64_t)note << 56));
    hash = sim_mix(hash ^ b);
    world->hash = sim_mix(hash ^ c);
    if (world->trace) {
        fprintf(world->trace, "%12.6f %-13s %s=%" PRIu64 " %s=%" PRIu64 " %s=%" PRIu64 "\n",
                (double)world->now / 1e6, notes[note].name, notes[note].a, a, notes[note].b, b,
                notes[note].c, c);
    }
}

/* ---- timers: a binary heap ---- */

static bool earlier(const struct sim_timer *a, const struct sim_timer *b)
{
    return a->when != b->when ? a->when < b->when : a->order < b->order;
}

static void place(struct sim_world *world, struct sim_timer *timer, size_t slot)
{
    world->heap[slot] = timer;
    timer->slot = slot;
}

static void sift_up(struct sim_world *world, struct sim_timer *timer, size_t slot)
{
    while (slot > 1 && earlier(timer, world->heap[slot / 2])) {
        place(world, world->heap[slot / 2], slot);
        slot /= 2;
    }
    place(world, timer, slot);
}

static void sift_down(struct sim_world *world, struct sim_timer *timer, size_t slot)
{
    for (;;) {
        size_t child = slot * 2;
        if (child > world->timers) {
            break;
        }
        if (child < world->timers && earlier(world->heap[child + 1], world->heap[child])) {
            child++;
        }
        if (!earlier(world->heap[child], timer)) {
            break;
        }
        place(world, world->heap[child], slot);
        slot = child;
    }
    place(world, timer, slot);
}

void sim_timer_init(struct sim_timer *timer, struct sim_world *world, sim_timer_cb cb, void *arg)
{
    memset(timer, 0, sizeof(*timer));
    timer->world = world;
    timer->cb = cb;
    timer->arg = arg;
}

void sim_timer_clear(struct sim_timer *timer)
{
    struct sim_world *world = timer->world;
    size_t slot = timer->slot;

    if (slot == 0) {
        return;
    }
    struct sim_timer *last = world->heap[world->timers--];
    timer->slot = 0;
    if (last != timer) {
        if (slot > 1 && earlier(last, world->heap[slot / 2])) {
            sift_up(world, last, slot);
        } else {
            sift_down(world, last, slot);
        }
    }
}

void sim_timer_set(struct sim_timer *timer, uint64_t when)
{
    struct sim_world *world = timer->world;

    sim_timer_clear(timer);
    if (world->timers + 2 > world->capacity) {
        world->capacity *= 2;
        world->heap = sim_grow(world->heap, world->capacity * sizeof(struct sim_timer *));
    }
    timer->when = when > world->now ? when : world->now;
    timer->order = world->order++;
    sift_up(world, timer, ++world->timers);
}

void sim_timer_hasten(struct sim_timer *timer, uint64_t when)
{
    if (timer->slot == 0 || timer->when > when) {
        sim_timer_set(timer, when);
    }
}

bool sim_world_step(struct sim_world *world, uint64_t limit)
{
    if (world->failed || world->timers == 0 || world->heap[1]->when > limit) {
        return false;
    }
    struct sim_timer *timer = world->heap[1];
    if (timer->when > world->now) {
        world->now = timer->when;
        world->same_instant = 0;
    } else if (++world->same_instant > SAME_INSTANT_MAX) {
        sim_fail(world, "time stands still: something is due again and again");
        return false;
    }
    sim_timer_clear(timer);
    timer->cb(timer->arg);
    return true;
}

void *sim_alloc(size_t size)
{
    void *memory = calloc(1, size);

    if (!memory) {
        abort();
    }
    return memory;
}

void *sim_grow(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (!memory) {
        abort();
    }
    return memory;
}
