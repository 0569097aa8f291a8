/* SPDX-License-Identifier: MIT */
/*
 * Keeps as many subflows of a local session dialled as it wants: each has a slot, slot i goes over
 * path i mod n, and a slot that failed waits for longer each time.
 */
#include "endpoint.h"
#include "run.h"

#define CONNECT_TIMEOUT (5 * SIM_SECOND)
#define BACKOFF_MIN (250 * SIM_MS)
#define BACKOFF_MAX (8 * SIM_SECOND)

static void dial(struct sim_endpoint *endpoint, unsigned slot)
{
    struct sim_host *host = endpoint->host;
    struct sim_run *run = host->run;
    struct sim_link *link = sim_link_new(host, 0);

    link->state = SIM_LINK_DIALLING;
    link->endpoint = endpoint;
    link->slot = slot;
    link->path = slot % run->path_count;
    link->pipe = sim_run_dial(run, link->path, sim_link_notify, link);
    endpoint->slots[slot].link = link;
    sim_timer_set(&link->timeout, host->world->now + CONNECT_TIMEOUT);
    sim_note(host->world, SIM_NOTE_DIAL, link->pipe->number, link->path, slot);
}

void sim_dialler_run(struct sim_endpoint *endpoint)
{
    struct sim_world *world = endpoint->host->world;
    unsigned wanted = endpoint->session ? braid_session_subflows_wanted(endpoint->session) : 0;
    unsigned have = 0;
    uint64_t next = BRAID_NEVER;

    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        have += endpoint->slots[i].link != NULL;
    }
    for (unsigned i = 0; i < SIM_SLOTS && i < wanted && have < wanted; i++) {
        struct sim_slot *slot = &endpoint->slots[i];
        if (slot->link) {
            continue;
        }
        if (slot->not_before <= world->now) {
            dial(endpoint, i);
            have++;
        } else if (slot->not_before < next) {
            next = slot->not_before;
        }
    }
    if (next != BRAID_NEVER) {
        sim_timer_set(&endpoint->dial, next);
    } else {
        sim_timer_clear(&endpoint->dial);
    }
}

void sim_dialler_expired(void *arg)
{
    struct sim_endpoint *endpoint = arg;

    if (!sim_host_frozen(endpoint->host, &endpoint->dial)) {
        sim_dialler_run(endpoint);
    }
}

void sim_dialler_failed(struct sim_endpoint *endpoint, struct sim_link *link)
{
    struct sim_slot *slot = &endpoint->slots[link->slot];
    struct sim_world *world = endpoint->host->world;
    uint64_t lived = link->joined_at ? world->now - link->joined_at : 0;

    if (slot->link != link) {
        return;
    }
    slot->link = NULL;
    if (slot->backoff == 0 || lived > 2 * SIM_SECOND) {
        slot->backoff = BACKOFF_MIN;
    } else if (slot->backoff < BACKOFF_MAX) {
        slot->backoff *= 2;
    }
    uint64_t jitter = sim_rng_below(&world->rng, slot->backoff / 5);
    /* One that had lived is dialled again at once, the first time. */
    slot->not_before = lived > 2 * SIM_SECOND ? world->now : world->now + slot->backoff + jitter;
    sim_dialler_run(endpoint);
}

void sim_dialler_stop(struct sim_endpoint *endpoint)
{
    sim_timer_clear(&endpoint->dial);
    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        struct sim_link *link = endpoint->slots[i].link;
        endpoint->slots[i].link = NULL;
        if (link && link->state == SIM_LINK_DIALLING) {
            sim_link_end(link, false);
        }
    }
}
