/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "endpoint.h"
#include "run.h"

const char *sim_fault_name(enum sim_fault_kind kind)
{
    static const char *const names[SIM_FAULTS] = {
        [SIM_FAULT_NONE] = "none",         [SIM_FAULT_RESET] = "reset",
        [SIM_FAULT_CUT] = "cut",           [SIM_FAULT_STALL] = "stall",
        [SIM_FAULT_PAUSE] = "pause",       [SIM_FAULT_HOLE] = "hole",
        [SIM_FAULT_HOLE_OUT] = "hole-out", [SIM_FAULT_HOLE_BACK] = "hole-back",
        [SIM_FAULT_RATE] = "rate",         [SIM_FAULT_DELAY] = "delay",
        [SIM_FAULT_REFUSE] = "refuse",     [SIM_FAULT_RESTART] = "restart",
        [SIM_FAULT_FREEZE] = "freeze",     [SIM_FAULT_MEMORY] = "memory",
        [SIM_FAULT_GARBAGE] = "garbage",
    };

    return names[kind];
}

/* The n-th pipe of those that live, the oldest first; NULL: none lives. */
static struct sim_pipe *live_pipe(const struct sim_run *run, unsigned n)
{
    unsigned live = 0;

    for (struct sim_pipe *pipe = run->pipes; pipe; pipe = pipe->next) {
        live += sim_pipe_alive(pipe);
    }
    if (live == 0) {
        return NULL;
    }
    n = live - 1 - n % live; /* the list has the latest first */
    for (struct sim_pipe *pipe = run->pipes; pipe; pipe = pipe->next) {
        if (sim_pipe_alive(pipe) && n-- == 0) {
            return pipe;
        }
    }
    return NULL;
}

static unsigned sides_of(enum sim_fault_kind kind)
{
    return kind == SIM_FAULT_HOLE_OUT ? 1 : kind == SIM_FAULT_HOLE_BACK ? 2 : 3;
}

static void count(const struct sim_fault_run *f)
{
    f->run->counters.faults[f->fault->kind]++;
}

/* ---- faults of subflows ---- */

static void strike_pipe(struct sim_fault_run *f, struct sim_pipe *pipe)
{
    count(f);
    if (f->fault->kind == SIM_FAULT_RESET) {
        sim_pipe_reset(pipe);
    } else if (f->fault->kind == SIM_FAULT_CUT) {
        sim_pipe_cut(pipe);
    } else {
        sim_pipe_stall(pipe, true);
        f->pipe = pipe;
    }
}

static void strike_pipes(struct sim_fault_run *f)
{
    struct sim_run *run = f->run;

    if (f->fault->target != SIM_ALL) {
        struct sim_pipe *pipe = live_pipe(run, f->fault->target);
        if (pipe) {
            strike_pipe(f, pipe);
        }
        return;
    }
    for (struct sim_pipe *pipe = run->pipes; pipe; pipe = pipe->next) {
        if (sim_pipe_alive(pipe)) {
            strike_pipe(f, pipe);
        }
    }
}

/* A stranger's connection: bytes that are no greeting, then nothing. */
static void send_garbage(struct sim_fault_run *f)
{
    struct sim_run *run = f->run;
    uint8_t bytes[256];
    struct sim_pipe *pipe = f->pipe;

    if (!pipe) {
        f->pipe = sim_run_dial(run, f->fault->target % run->path_count, NULL, NULL);
        sim_timer_set(&f->begin, run->world.now + 2 * sim_path_latency(f->pipe->path) + SIM_MS);
        return;
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)sim_rng_next(&run->world.rng);
    }
    if (pipe->ends[0].state == SIM_END_OPEN) {
        count(f);
        sim_pipe_write(pipe, 0, bytes, f->fault->value % sizeof(bytes));
    }
}

/* ---- faults of paths ---- */

static void strike_path(struct sim_fault_run *f, struct sim_path *path, bool on)
{
    const struct sim_fault *fault = f->fault;

    switch (fault->kind) {
    case SIM_FAULT_PAUSE:
        sim_path_pause(path, 3, on);
        break;
    case SIM_FAULT_HOLE:
    case SIM_FAULT_HOLE_OUT:
    case SIM_FAULT_HOLE_BACK:
        sim_path_hole(path, sides_of(fault->kind), on);
        break;
    case SIM_FAULT_RATE:
        sim_path_set_rate(path, on ? fault->value : f->run->scenario->paths[path->index].rate);
        break;
    case SIM_FAULT_DELAY:
        sim_path_set_delay(path, on ? fault->value : f->run->scenario->paths[path->index].delay);
        break;
    case SIM_FAULT_REFUSE:
        path->refusing += on ? 1u : -1u;
        break;
    default:
        break;
    }
}

static void strike_paths(struct sim_fault_run *f, bool on)
{
    struct sim_run *run = f->run;

    for (unsigned i = 0; i < run->path_count; i++) {
        if (f->fault->target == SIM_ALL || f->fault->target % run->path_count == i) {
            strike_path(f, &run->paths[i], on);
        }
    }
}

/* ---- beginning and end ---- */

static void begin(void *arg)
{
    struct sim_fault_run *f = arg;
    const struct sim_fault *fault = f->fault;
    struct sim_run *run = f->run;
    struct sim_host *host = &run->hosts[fault->target & 1];

    sim_note(&run->world, SIM_NOTE_FAULT, fault->kind, fault->target, fault->value);
    switch (fault->kind) {
    case SIM_FAULT_NONE:
    case SIM_FAULTS:
        return;
    case SIM_FAULT_RESET:
    case SIM_FAULT_CUT:
    case SIM_FAULT_STALL:
        strike_pipes(f);
        break;
    case SIM_FAULT_GARBAGE:
        send_garbage(f);
        return;
    case SIM_FAULT_RESTART:
        count(f);
        sim_host_restart(&run->hosts[1]);
        return;
    case SIM_FAULT_FREEZE:
        count(f);
        host->frozen_until = run->world.now + fault->lasts;
        return;
    case SIM_FAULT_MEMORY:
        count(f);
        run->starved = true;
        braid_pool_fail_after(host->pool, fault->value);
        break;
    default:
        count(f);
        strike_paths(f, true);
        break;
    }
    sim_timer_set(&f->end, run->world.now + fault->lasts);
}

static void end(void *arg)
{
    struct sim_fault_run *f = arg;
    struct sim_run *run = f->run;

    sim_note(&run->world, SIM_NOTE_HEALED, f->fault->kind, f->fault->target, f->fault->value);
    if (f->fault->kind == SIM_FAULT_MEMORY) {
        braid_pool_fail_after(run->hosts[f->fault->target & 1].pool, 0);
    } else if (f->fault->kind == SIM_FAULT_STALL) {
        if (f->pipe) {
            sim_pipe_stall(f->pipe, false);
        }
    } else {
        strike_paths(f, false);
    }
}

void sim_faults_start(struct sim_run *run)
{
    for (unsigned i = 0; i < SIM_FAULTS_MAX; i++) {
        struct sim_fault_run *f = &run->faults[i];
        f->run = run;
        f->fault = &run->scenario->faults[i];
        sim_timer_init(&f->begin, &run->world, begin, f);
        sim_timer_init(&f->end, &run->world, end, f);
        if (f->fault->kind != SIM_FAULT_NONE) {
            sim_timer_set(&f->begin, f->fault->at);
        }
    }
}
