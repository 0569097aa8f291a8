/* SPDX-License-Identifier: MIT */
/*
 * The world of one simulated run: a virtual clock, the timers that move it, the random numbers, the
 * timeline and its hash, and the first thing that went wrong.
 *
 * Time jumps from timer to timer; timers of the same time run in the order in which they were set.
 * Nothing else decides an order, so a run is a function of its scenario and seed.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "rng.h"

#define SIM_MS 1000ull
#define SIM_SECOND 1000000ull

struct sim_world;

typedef void (*sim_timer_cb)(void *arg);

struct sim_timer {
    struct sim_world *world;
    sim_timer_cb cb;
    void *arg;
    uint64_t when;
    uint64_t order;
    size_t slot; /* in the heap, from 1; 0: not set */
};

/* What can stand in the timeline. */
enum sim_note {
    SIM_NOTE_DIAL,
    SIM_NOTE_CONNECTED,
    SIM_NOTE_ACCEPTED,
    SIM_NOTE_JOINED,
    SIM_NOTE_REFUSED,
    SIM_NOTE_WRITE,
    SIM_NOTE_READ,
    SIM_NOTE_LOST,
    SIM_NOTE_CLOSE,
    SIM_NOTE_RTO,
    SIM_NOTE_PROBE,
    SIM_NOTE_RECOVERY,
    SIM_NOTE_DROPPED,
    SIM_NOTE_ACTION,
    SIM_NOTE_SENT,
    SIM_NOTE_RECEIVED,
    SIM_NOTE_SHUTDOWN,
    SIM_NOTE_ABORT,
    SIM_NOTE_FAULT,
    SIM_NOTE_HEALED,
    SIM_NOTE_CLOSED,
    SIM_NOTES
};

struct sim_world {
    uint64_t now;
    uint64_t seed;
    struct sim_rng rng;
    struct sim_timer **heap; /* from 1 */
    size_t timers;
    size_t capacity;
    uint64_t order;
    uint64_t same_instant; /* timers run since the clock last moved */
    FILE *trace;           /* NULL: no timeline is printed; not owned */
    uint64_t hash;         /* of the timeline */
    bool failed;
    char failure[256];
};

void sim_world_init(struct sim_world *world, uint64_t seed, FILE *trace);
void sim_world_clear(struct sim_world *world);

/* Runs the next timer unless it lies beyond limit; false: none was run, or the run has failed. */
bool sim_world_step(struct sim_world *world, uint64_t limit);

/* Records what went wrong, the first time; the run ends with it. */
void sim_fail(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts something into the timeline. */
void sim_note(struct sim_world *world, enum sim_note note, uint64_t a, uint64_t b, uint64_t c);

void sim_timer_init(struct sim_timer *timer, struct sim_world *world, sim_timer_cb cb, void *arg);

/* Sets a timer, or moves it. */
void sim_timer_set(struct sim_timer *timer, uint64_t when);

/* As above unless it would run sooner already. */
void sim_timer_hasten(struct sim_timer *timer, uint64_t when);

void sim_timer_clear(struct sim_timer *timer);

/* Memory or the end of the program: the simulator's own memory is not what is tested. */
void *sim_alloc(size_t size);
void *sim_grow(void *memory, size_t size);

#endif
