/* SPDX-License-Identifier: MIT */
/*
 * Plain TCP over one path, with nothing else in the world: what a session is compared with.
 */
#include <stdlib.h>

#include "run.h"
#include "tcp.h"

#define LOWAT (128u << 10)
#define SNDBUF 87040u
#define LIMIT (3600 * SIM_SECOND)

struct plain {
    struct sim_world world;
    struct sim_path path;
    struct sim_pipe *pipe;
    uint64_t written, read, total;
};

static void send_some(void *arg)
{
    static const uint8_t bytes[65536];
    struct plain *p = arg;

    while (p->pipe->ends[0].state == SIM_END_OPEN && p->written < p->total) {
        uint64_t left = p->total - p->written;
        size_t n =
            sim_pipe_write(p->pipe, 0, bytes, left < sizeof(bytes) ? (size_t)left : sizeof(bytes));
        p->written += n;
        if (n == 0) {
            break;
        }
    }
    if (p->written < p->total && p->pipe->ends[0].state == SIM_END_OPEN) {
        p->pipe->ends[0].want_write = true;
        p->pipe->ends[0].write_mark = LOWAT;
    }
}

static void read_all(void *arg)
{
    uint8_t bytes[65536];
    struct plain *p = arg;
    size_t n;

    while ((n = sim_pipe_read(p->pipe, 1, bytes, sizeof(bytes))) > 0) {
        p->read += n;
    }
}

static bool accept_it(struct sim_pipe *pipe, void *arg)
{
    sim_pipe_set_owner(pipe, 1, read_all, arg);
    return true;
}

uint64_t sim_plain_transfer(const struct sim_path_spec *spec, uint64_t bytes, uint64_t seed)
{
    struct plain *p = sim_alloc(sizeof(*p));
    uint64_t took;

    p->total = bytes;
    sim_world_init(&p->world, seed, NULL);
    sim_path_init(&p->path, &p->world, 0, spec, sim_pipe_deliver);
    p->path.accept = accept_it;
    p->path.accept_arg = p;
    p->pipe = sim_pipe_dial(&p->path, 0, SNDBUF, send_some, p);
    while (p->read < p->total && sim_world_step(&p->world, LIMIT)) {
    }
    took = p->read == p->total ? p->world.now : LIMIT;
    sim_path_clear(&p->path);
    sim_pipe_free(p->pipe);
    sim_world_clear(&p->world);
    free(p);
    return took;
}
