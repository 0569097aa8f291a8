/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "run.h"

#define BURIED_FOR (60 * SIM_SECOND)

void sim_host_init(struct sim_host *host, struct sim_run *run, unsigned side)
{
    memset(host, 0, sizeof(*host));
    host->run = run;
    host->world = &run->world;
    host->side = side;
    host->driver = &run->scenario->drivers[side];
    host->instance = sim_rng_next(&run->world.rng) | 1;
    host->pool = braid_pool_new(host->driver->memory);
    if (!host->pool) {
        abort();
    }
    host->budget.max = host->driver->max_memory;
    braid_pool_set_budget(host->pool, &host->budget);
}

static void free_links(struct sim_host *host)
{
    struct sim_link *link = host->links;

    while (link) {
        struct sim_link *next = link->next;
        if (link->state != SIM_LINK_GONE) {
            link->subflow = NULL; /* freed with its session */
            sim_link_end(link, true);
        }
        free(link);
        link = next;
    }
    host->links = NULL;
}

void sim_host_clear(struct sim_host *host)
{
    struct sim_endpoint *endpoint = host->endpoints;

    while (endpoint) {
        struct sim_endpoint *next = endpoint->next;
        sim_endpoint_free(endpoint);
        endpoint = next;
    }
    host->endpoints = NULL;
    free_links(host);
    size_t used = braid_pool_used(host->pool);
    if (used > 0) {
        sim_fail(host->world, "side %u: %zu bytes of the pool were never given back", host->side,
                 used);
    } else {
        braid_pool_free(host->pool);
    }
    host->pool = NULL;
}

bool sim_host_accept(struct sim_pipe *pipe, void *arg)
{
    struct sim_host *host = arg;
    struct sim_link *link = sim_link_new(host, 1);

    link->pipe = pipe;
    link->path = pipe->path->index;
    link->state = SIM_LINK_GREETING;
    sim_pipe_set_owner(pipe, 1, sim_link_notify, link);
    sim_timer_set(&link->timeout, host->world->now + 5 * SIM_SECOND);
    sim_note(host->world, SIM_NOTE_ACCEPTED, pipe->number, link->path, 0);
    return true;
}

void sim_host_bury(struct sim_host *host, uint64_t id, int error)
{
    struct sim_tombstone *tombstone = &host->tombstones[host->buried++ % SIM_TOMBSTONES];

    tombstone->id = id;
    tombstone->until = host->world->now + BURIED_FOR;
    tombstone->error = error;
}

void sim_host_restart(struct sim_host *host)
{
    for (struct sim_endpoint *e = host->endpoints; e; e = e->next) {
        sim_endpoint_vanish(e);
    }
    for (struct sim_link *link = host->links; link; link = link->next) {
        if (link->state != SIM_LINK_GONE) {
            sim_link_end(link, true);
        }
    }
    host->buried = 0;
    memset(host->tombstones, 0, sizeof(host->tombstones));
    host->instance = sim_rng_next(&host->world->rng) | 1;
    host->run->restarted = true;
}

bool sim_host_frozen(struct sim_host *host, struct sim_timer *timer)
{
    if (host->frozen_until <= host->world->now) {
        return false;
    }
    sim_timer_set(timer, host->frozen_until);
    return true;
}

uint64_t sim_host_latency(struct sim_host *host)
{
    uint64_t latency = host->driver->latency;

    return latency ? sim_rng_below(&host->world->rng, latency + 1) : 0;
}
