/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "run.h"

#define LINGER (10 * SIM_SECOND)
#define READ_MAX (256u << 10) /* in one go */

static void connected(struct sim_link *link)
{
    struct sim_endpoint *endpoint = link->endpoint;
    struct sim_world *world = link->host->world;

    link->subflow = braid_subflow_add(endpoint->session, link->path, link, world->now);
    sim_timer_clear(&link->timeout);
    if (!link->subflow) {
        sim_dialler_refused(endpoint, link);
        sim_link_end(link, false);
        return;
    }
    braid_subflow_set_backup(link->subflow, link->host->run->scenario->paths[link->path].backup);
    sim_endpoint_joined(endpoint, link);
    sim_dialler_connected(endpoint, link);
    sim_note(world, SIM_NOTE_CONNECTED, link->pipe->number, link->path, endpoint->live);
}

static void discard(struct sim_link *link)
{
    uint8_t bytes[4096];

    while (sim_pipe_read(link->pipe, link->side, bytes, sizeof(bytes)) > 0) {
    }
    if (sim_pipe_eof(link->pipe, link->side) ||
        link->pipe->ends[link->side].state == SIM_END_DEAD) {
        sim_link_end(link, false);
    }
}

static void wake(void *arg)
{
    struct sim_link *link = arg;
    struct sim_endpoint *endpoint = link->endpoint;
    enum sim_end_state state = link->pipe->ends[link->side].state;

    if (sim_host_frozen(link->host, &link->wake)) {
        return;
    }
    switch (link->state) {
    case SIM_LINK_DIALLING:
        if (state == SIM_END_OPEN) {
            connected(link);
            sim_endpoint_pump(endpoint);
        } else if (state == SIM_END_DEAD) {
            sim_dialler_failed(endpoint, link, BRAID_ERR_REFUSED);
            sim_link_end(link, false);
        }
        break;
    case SIM_LINK_GREETING:
        sim_link_greet(link);
        if (link->state != SIM_LINK_LIVE) {
            break;
        }
        endpoint = link->endpoint;
        /* fall through */
    case SIM_LINK_LIVE:
        sim_link_feed(link);
        sim_endpoint_pump(endpoint);
        break;
    case SIM_LINK_LINGER:
        discard(link);
        break;
    case SIM_LINK_GONE:
        break;
    }
}

static void timed_out(void *arg)
{
    struct sim_link *link = arg;

    if (sim_host_frozen(link->host, &link->timeout)) {
        return;
    }
    if (link->state == SIM_LINK_DIALLING) {
        sim_dialler_failed(link->endpoint, link, BRAID_ERR_TIMED_OUT);
    }
    sim_link_end(link, link->state != SIM_LINK_DIALLING);
}

static void unblocked(void *arg)
{
    struct sim_link *link = arg;

    if (sim_host_frozen(link->host, &link->unblock)) {
        return;
    }
    link->blocked = false;
    if (link->state == SIM_LINK_LIVE) {
        sim_endpoint_pump(link->endpoint);
    }
}

struct sim_link *sim_link_new(struct sim_host *host, unsigned side)
{
    struct sim_link *link = sim_alloc(sizeof(*link));

    link->host = host;
    link->side = side;
    link->next = host->links;
    host->links = link;
    sim_timer_init(&link->wake, host->world, wake, link);
    sim_timer_init(&link->timeout, host->world, timed_out, link);
    sim_timer_init(&link->unblock, host->world, unblocked, link);
    return link;
}

void sim_link_notify(void *arg)
{
    struct sim_link *link = arg;

    sim_timer_hasten(&link->wake, link->host->world->now + sim_host_latency(link->host));
}

void sim_link_adopt(struct sim_link *link, struct braid_chunk *input)
{
    braid_chunk_unref(link->input);
    link->input = input;
    link->fed = 0;
}

/* It has no session any more; failed: not in order. */
static void part(struct sim_link *link, bool failed)
{
    struct sim_endpoint *endpoint = link->endpoint;

    link->subflow = NULL;
    link->endpoint = NULL;
    sim_link_adopt(link, NULL);
    sim_timer_clear(&link->unblock);
    if (endpoint && link->state == SIM_LINK_LIVE) {
        sim_endpoint_parted(endpoint, link, failed);
    }
}

void sim_link_end(struct sim_link *link, bool abort)
{
    part(link, abort);
    link->state = SIM_LINK_GONE;
    sim_timer_clear(&link->wake);
    sim_timer_clear(&link->timeout);
    if (abort) {
        sim_pipe_abort(link->pipe, link->side);
    } else {
        sim_pipe_close(link->pipe, link->side);
    }
}

void sim_link_release(struct sim_link *link, int error)
{
    if (error != BRAID_OK) {
        sim_link_end(link, true);
        return;
    }
    part(link, false);
    link->state = SIM_LINK_LINGER;
    sim_pipe_shutdown(link->pipe, link->side);
    sim_timer_set(&link->timeout, link->host->world->now + LINGER);
    sim_link_notify(link);
}

void sim_link_lose(struct sim_link *link, int error)
{
    struct braid_subflow *subflow = link->subflow;
    struct sim_world *world = link->host->world;

    sim_note(world, SIM_NOTE_LOST, link->pipe->number, link->side, (uint64_t)error);
    link->host->run->counters.lost++;
    link->host->run->last_lost = world->now;
    braid_subflow_lost(subflow, error, world->now);
    sim_link_end(link, true);
}

/* What the session could not take: only memory may be the reason between two honest endpoints. */
static void broken(struct sim_link *link, int error)
{
    if (error != BRAID_ERR_MEMORY) {
        sim_fail(link->host->world, "side %u: pipe %u: feed says %d (%s)", link->side,
                 link->pipe->number, error, braid_strerror(error));
    }
    sim_link_lose(link, error);
}

/* ---- reading ---- */

static struct braid_chunk *input_of(struct sim_link *link)
{
    const struct sim_driver_spec *driver = link->host->driver;

    if (link->input && link->input->fill == link->input->size) {
        if (link->input->refs == 1) {
            link->input->fill = 0; /* nobody else has kept it */
            link->fed = 0;
        } else {
            sim_link_adopt(link, NULL);
        }
    }
    if (!link->input) {
        sim_link_adopt(link, braid_chunk_new(link->host->pool, !driver->small_chunks));
    }
    return link->input;
}

/* Feeds what the chunk has new, in slices; 0 or what the session says. */
static int feed_slices(struct sim_link *link)
{
    const struct sim_driver_spec *driver = link->host->driver;
    struct sim_world *world = link->host->world;

    while (link->state == SIM_LINK_LIVE && link->fed < link->input->fill) {
        uint32_t len = link->input->fill - link->fed;
        uint32_t start = link->fed;
        if (driver->slice_max && len > 1) {
            uint32_t most = len < driver->slice_max ? len : driver->slice_max;
            len = (uint32_t)sim_rng_range(&world->rng, 1, most);
        }
        link->fed += len;
        int result = braid_subflow_feed(link->subflow, link->input, start, len, world->now);
        if (result < 0) {
            return result;
        }
        if (driver->slice_max && sim_rng_chance(&world->rng, 10)) {
            sim_endpoint_pump(link->endpoint); /* the session must bear being asked at any byte */
        }
    }
    return 0;
}

bool sim_link_feed(struct sim_link *link)
{
    struct sim_world *world = link->host->world;
    size_t total = 0;

    while (link->state == SIM_LINK_LIVE && total < READ_MAX) {
        bool rest = link->input && link->fed < link->input->fill;
        if (!rest && !braid_subflow_may_read(link->subflow)) {
            link->paused = true;
            return true;
        }
        if (!rest && sim_pipe_readable(link->pipe, link->side) == 0) {
            break;
        }
        struct braid_chunk *chunk = rest ? link->input : input_of(link);
        if (!chunk) {
            sim_link_lose(link, BRAID_ERR_MEMORY);
            return false;
        }
        if (!rest) {
            size_t n = sim_pipe_read(link->pipe, link->side, chunk->data + chunk->fill,
                                     chunk->size - chunk->fill);
            chunk->fill += (uint32_t)n;
            total += n;
            sim_note(world, SIM_NOTE_READ, link->pipe->number, link->side, n);
            sim_run_note_use(link->host->run, link->path, n);
        }
        int result = feed_slices(link);
        if (result < 0) {
            broken(link, -result);
            return false;
        }
    }
    if (link->state != SIM_LINK_LIVE) {
        return false;
    }
    if (sim_pipe_readable(link->pipe, link->side) > 0) {
        sim_link_notify(link);
    } else if (link->pipe->ends[link->side].state == SIM_END_DEAD ||
               (sim_pipe_eof(link->pipe, link->side) && !link->ended &&
                !braid_subflow_ended(link->subflow, world->now))) {
        sim_link_lose(link, BRAID_ERR_SUBFLOW_LOST);
        return false;
    } else if (sim_pipe_eof(link->pipe, link->side)) {
        link->ended = true;
    }
    return true;
}
