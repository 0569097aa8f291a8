/* SPDX-License-Identifier: MIT */
/*
 * What a listener does with a connection that came in: reads its greeting, finds or makes the
 * session, or says why not.
 */
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "run.h"

static void refuse(struct sim_link *link, const struct braid_hello *hello, int error)
{
    uint8_t answer[BRAID_GREETING_MAX];
    size_t len;

    sim_note(link->host->world, SIM_NOTE_REFUSED, link->pipe->number, (uint64_t)error, 0);
    link->host->run->counters.refused++;
    if (hello->streams > 0) { /* there is no word for it */
        sim_link_end(link, true);
        return;
    }
    len = braid_greeting_refuse(answer, hello, link->host->instance, error);
    sim_pipe_write(link->pipe, link->side, answer, len);
    sim_link_release(link, BRAID_OK);
}

static struct sim_endpoint *find(const struct sim_host *host, uint64_t id)
{
    for (struct sim_endpoint *e = host->endpoints; e; e = e->next) {
        if (e->session && e->pair->id == id) {
            return e;
        }
    }
    return NULL;
}

/* Why a session that is not there is not there; BRAID_OK: it may be made. */
static int whereabouts(const struct sim_host *host, const struct braid_hello *hello)
{
    for (unsigned i = 0; i < SIM_TOMBSTONES; i++) {
        const struct sim_tombstone *tombstone = &host->tombstones[i];
        if (tombstone->id == hello->session && tombstone->until > host->world->now) {
            return tombstone->error == BRAID_OK ? BRAID_ERR_FINISHED : BRAID_ERR_UNKNOWN_SESSION;
        }
    }
    return hello->flags & BRAID_HELLO_CREATE ? BRAID_OK : BRAID_ERR_UNKNOWN_SESSION;
}

/* One who comes before or after the session he wants to enter would only make one of his own. */
static bool is_intruder(const struct sim_host *host, const struct braid_hello *hello)
{
    const struct sim_pair *pair = sim_run_pair(host->run, hello->session);

    return pair && hello->streams == 0 &&
           memcmp(pair->token, hello->token, sizeof(pair->token)) != 0;
}

static struct sim_endpoint *create(struct sim_host *host, const struct braid_hello *hello)
{
    const struct sim_scenario *scenario = host->run->scenario;
    struct sim_pair *pair = sim_run_pair(host->run, hello->session);
    struct braid_session_config config = {
        .role = BRAID_REMOTE,
        .mode = hello->flags & BRAID_HELLO_REDUNDANT ? BRAID_MODE_REDUNDANT : BRAID_MODE_AGGREGATE,
        .id = hello->session,
        .instance = host->instance,
        .seed = sim_rng_next(&host->world->rng),
        .max_subflows = scenario->max_subflows ? scenario->max_subflows : 64,
        .grace = scenario->grace ? scenario->grace : 60 * SIM_SECOND,
        .window = scenario->window ? scenario->window : 4u << 20,
        .speaks_seed = hello->streams > 0,
        .streams = (unsigned)hello->streams,
    };

    if (!pair) {
        sim_fail(host->world, "a greeting with a session id that nobody has");
        return NULL;
    }
    if (pair->ends[1] && !host->run->restarted) {
        sim_fail(host->world, "the session was opened twice");
        return NULL;
    }
    memcpy(config.token, hello->token, sizeof(config.token));
    return sim_endpoint_new(host, pair, &config);
}

static void join(struct sim_link *link, const struct braid_hello *hello)
{
    struct sim_host *host = link->host;
    struct sim_endpoint *endpoint = find(host, hello->session);
    bool created = false;
    int error = BRAID_OK;

    if (!endpoint) {
        error = whereabouts(host, hello);
        if (error == BRAID_OK && is_intruder(host, hello)) {
            error = BRAID_ERR_TOKEN;
        } else if (error == BRAID_OK) {
            endpoint = create(host, hello);
            created = true;
            error = BRAID_ERR_MEMORY;
        }
        if (!endpoint) {
            refuse(link, hello, error);
            return;
        }
    }
    link->subflow = braid_subflow_join(endpoint->session, hello, link, &error, host->world->now);
    if (link->subflow) {
        braid_subflow_set_path(link->subflow, link->pipe->path->index);
    } else {
        refuse(link, hello, error);
        if (created) { /* as if it had never been */
            sim_endpoint_vanish(endpoint);
            endpoint->pair->ends[1] = NULL;
        } else {
            sim_endpoint_pump(endpoint);
        }
        return;
    }
    sim_note(host->world, SIM_NOTE_JOINED, link->pipe->number, hello->subflow, created);
    sim_timer_clear(&link->timeout);
    sim_endpoint_joined(endpoint, link);
}

void sim_link_greet(struct sim_link *link)
{
    uint8_t bytes[BRAID_GREETING_MAX];

    link->greeting.seed_max = link->host->run->scenario->seed ? 64 : 0;
    while (link->state == SIM_LINK_GREETING) {
        struct braid_hello hello;
        uint64_t id = 0;
        size_t used = 0;
        /* One byte at a time now and then; never more than is still the greeting's at the most. */
        size_t most = link->host->driver->slice_max == 1 ? 1 : 64;
        size_t len = sim_pipe_read(link->pipe, link->side, bytes, most);
        if (len == 0) {
            break;
        }
        int result = braid_greeting_feed(&link->greeting, bytes, len, &used, &id, &hello);
        if (result < 0) {
            sim_link_end(link, true);
        } else if (result == BRAID_GREETING_DONE) {
            struct braid_chunk *rest = NULL;
            if (used < len) {
                rest = braid_chunk_new(link->host->pool, 0);
                if (!rest) {
                    refuse(link, &hello, BRAID_ERR_MEMORY);
                    return;
                }
                memcpy(rest->data, bytes + used, len - used);
                rest->fill = (uint32_t)(len - used);
            }
            sim_link_adopt(link, rest);
            join(link, &hello);
        }
    }
    if (link->state == SIM_LINK_GREETING &&
        (sim_pipe_eof(link->pipe, 1) || link->pipe->ends[1].state == SIM_END_DEAD)) {
        sim_link_end(link, false);
    }
}
