/* SPDX-License-Identifier: MIT */
#include "endpoint.h"

#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "tcp.h"

#define ROOM_NONE 4096u   /* the core cuts no frames for less */
#define ROOM_SMALL 16384u /* with less, the socket is asked anew */
#define PIECES 64
#define PULLS_MAX 100000u
/*
 * What the buffers of a session may hold beyond the window of each direction: the chunks that the
 * first and the last byte share with others.
 */
#define MEMORY_SLACK (192u * 1024u)
/*
 * What a host may hold beyond that, a session: the chunks that its links read into, and what pieces
 * of the incoming bytes keep of such chunks.
 */
#define POOL_SLACK (2048u * 1024u)

static void deadline_passed(void *arg);

struct sim_endpoint *sim_endpoint_new(struct sim_host *host, struct sim_pair *pair,
                                      const struct braid_session_config *config)
{
    struct sim_endpoint *endpoint = sim_alloc(sizeof(*endpoint));
    struct sim_world *world = host->world;

    endpoint->session = braid_session_new(host->pool, config, world->now);
    if (!endpoint->session) {
        free(endpoint);
        return NULL;
    }
    endpoint->host = host;
    endpoint->pair = pair;
    endpoint->side = host->side;
    endpoint->window = config->window;
    endpoint->grace = config->grace;
    endpoint->alone_since = world->now;
    endpoint->began_at = world->now;
    sim_timer_init(&endpoint->timer, world, deadline_passed, endpoint);
    sim_timer_init(&endpoint->dial, world, sim_dialler_expired, endpoint);
    sim_app_init(&endpoint->app, endpoint, sim_run_app(host->run, pair, host->side));
    endpoint->next = host->endpoints;
    host->endpoints = endpoint;
    pair->ends[host->side] = endpoint;
    return endpoint;
}

/* The session is over, for whatever reason: nothing points to it any more. */
static void let_go(struct sim_endpoint *endpoint)
{
    struct braid_session *session = endpoint->session;
    struct braid_session_stats stats;

    braid_session_get_stats(session, &stats);
    endpoint->session = NULL; /* so that nothing is dialled for it any more */
    endpoint->host->run->counters.resent += stats.bytes_resent;
    sim_timer_clear(&endpoint->timer);
    sim_app_stop(&endpoint->app);
    for (struct sim_link *link = endpoint->host->links; link; link = link->next) {
        if (link->endpoint == endpoint && link->state == SIM_LINK_LIVE) {
            link->subflow = NULL;
            sim_link_end(link, true);
        }
    }
    sim_dialler_stop(endpoint);
    braid_session_free(session);
    endpoint->closed_at = endpoint->host->world->now;
    endpoint->host->run->ended = endpoint->closed_at;
}

void sim_endpoint_free(struct sim_endpoint *endpoint)
{
    if (endpoint->session) {
        let_go(endpoint);
    }
    free(endpoint);
}

void sim_endpoint_vanish(struct sim_endpoint *endpoint)
{
    if (endpoint->session) {
        let_go(endpoint);
        endpoint->vanished = true;
    }
}

static void sample(struct sim_endpoint *endpoint, struct sim_link *link)
{
    struct braid_sample sample;

    sim_tcp_sample(link->pipe, link->side, &sample);
    link->sampled_at = endpoint->host->world->now;
    link->busy = sample.outq > 0;
    braid_subflow_sample(link->subflow, &sample, endpoint->host->world->now);
    if (endpoint->side == 0) {
        sim_dialler_measured(endpoint, link);
    }
    sim_trace_subflow(endpoint, link);
}

void sim_endpoint_joined(struct sim_endpoint *endpoint, struct sim_link *link)
{
    link->state = SIM_LINK_LIVE;
    link->endpoint = endpoint;
    endpoint->live++;
    if (!endpoint->host->driver->blind) {
        sample(endpoint, link);
    }
}

void sim_endpoint_parted(struct sim_endpoint *endpoint, struct sim_link *link, bool failed)
{
    endpoint->lost_any = true;
    if (--endpoint->live == 0) {
        endpoint->alone_since = endpoint->host->world->now;
    }
    if (endpoint->side == 0) {
        sim_dialler_lost(endpoint, link, failed);
    }
}

/* ---- sending ---- */

static uint64_t room_of(const struct sim_link *link)
{
    uint64_t lowat = braid_subflow_lowat(link->subflow);
    uint64_t unsent = sim_pipe_unsent(link->pipe, link->side);

    return lowat > unsent ? lowat - unsent : 0;
}

/* As lib/event/subflow_io.c does: a sample now and then while it is busy, what is queued, room. */
static void look_at_links(struct sim_endpoint *endpoint)
{
    struct sim_world *world = endpoint->host->world;
    bool blind = endpoint->host->driver->blind;
    struct braid_subflow *subflow = NULL;

    while ((subflow = braid_session_subflow_after(endpoint->session, subflow))) {
        struct sim_link *link = braid_subflow_user(subflow);
        if (!blind && link->busy &&
            world->now - link->sampled_at >= braid_subflow_sample_time(subflow)) {
            sample(endpoint, link);
        }
        if (!blind && braid_subflow_is_capped(subflow)) {
            const struct sim_flow *flow = &link->pipe->flows[link->side];
            braid_subflow_set_queued(subflow, flow->written - flow->una);
        }
        if (braid_subflow_room(subflow) < ROOM_SMALL && braid_subflow_wants_room(subflow)) {
            braid_subflow_set_room(subflow, room_of(link));
        }
        braid_subflow_set_blocked(subflow,
                                  link->blocked || sim_pipe_space(link->pipe, link->side) == 0);
    }
}

/* How many of the planned bytes the socket takes; at times fewer than it could. */
static size_t write_plan(struct sim_link *link, const struct iovec *v, int count)
{
    const struct sim_driver_spec *driver = link->host->driver;
    struct sim_rng *rng = &link->host->world->rng;
    size_t most = SIZE_MAX;
    size_t written = 0;

    if (driver->write_max) {
        most = (size_t)sim_rng_range(rng, 1, driver->write_max);
    } else if (driver->short_writes && sim_rng_chance(rng, driver->short_writes)) {
        most = (size_t)sim_rng_scale(rng, 1, 65536) - 1;
    }
    for (int i = 0; i < count && written < most; i++) {
        size_t len = v[i].iov_len < most - written ? v[i].iov_len : most - written;
        size_t n = sim_pipe_write(link->pipe, link->side, v[i].iov_base, len);
        written += n;
        if (n < v[i].iov_len) {
            break;
        }
    }
    return written;
}

/* One pull, one write; false: something is wrong. */
static bool send_once(struct sim_endpoint *endpoint, struct braid_subflow *subflow)
{
    struct sim_world *world = endpoint->host->world;
    struct sim_link *link = braid_subflow_user(subflow);
    int max = sim_rng_chance(&world->rng, 10) ? 4 : PIECES;
    struct iovec v[PIECES];
    size_t planned = 0;

    if (link->state != SIM_LINK_LIVE || link->subflow != subflow) {
        sim_fail(world, "side %u: a subflow that is gone should send", endpoint->side);
        return false;
    }
    int count = braid_subflow_pull(subflow, v, max, world->now);
    for (int i = 0; i < count && i < max; i++) {
        planned += v[i].iov_len;
    }
    if (count > max || count < 0) {
        sim_fail(world, "side %u: pull fills in %d pieces", endpoint->side, count);
        return false;
    }
    size_t written = write_plan(link, v, count);
    if (written < planned || planned == 0) {
        link->blocked = true;
        braid_subflow_set_blocked(subflow, true);
        sim_timer_set(&link->unblock, world->now + sim_rng_below(&world->rng, 2 * SIM_MS));
    }
    link->busy = true;
    sim_note(world, SIM_NOTE_WRITE, link->pipe->number, link->side, written);
    braid_subflow_pulled(subflow, written, world->now);
    if (!link->shut && braid_subflow_is_shut(subflow)) {
        link->shut = true;
        sim_pipe_shutdown(link->pipe, link->side);
    }
    return planned > 0 || endpoint->host->run->starved;
}

/* false: nothing was sent. */
static bool send_round(struct sim_endpoint *endpoint)
{
    struct sim_world *world = endpoint->host->world;
    struct braid_subflow *subflow;
    unsigned pulls = 0;
    unsigned empty = 0;

    while (!world->failed && (subflow = braid_session_next_sender(endpoint->session, world->now))) {
        if (!send_once(endpoint, subflow)) {
            empty++;
        }
        if (empty > 3 || ++pulls > PULLS_MAX) {
            sim_fail(world, "side %u: a subflow is named to send and sends nothing",
                     endpoint->side);
        }
    }
    return pulls > 0;
}

/* One that has taken its fill is asked again: what it was given may be on its way already. */
static void send_all(struct sim_endpoint *endpoint)
{
    do {
        look_at_links(endpoint);
    } while (send_round(endpoint) && !endpoint->host->world->failed);
}

/* Asks for a write event where bytes wait for a socket. */
static void ask_for_events(struct sim_endpoint *endpoint)
{
    struct braid_subflow *subflow = NULL;

    while ((subflow = braid_session_subflow_after(endpoint->session, subflow))) {
        struct sim_link *link = braid_subflow_user(subflow);
        if (endpoint->side == 0) {
            sim_dialler_watch(endpoint, link);
        }
        if (link->paused && braid_subflow_may_read(subflow)) {
            link->paused = false;
            sim_link_notify(link);
        }
        if (sim_pipe_space(link->pipe, link->side) == 0) {
            sim_pipe_want_write(link->pipe, link->side, UINT64_MAX);
        } else if (braid_subflow_room(subflow) < ROOM_NONE && braid_subflow_wants_room(subflow)) {
            /* half of it, as Linux does */
            sim_pipe_want_write(link->pipe, link->side, braid_subflow_lowat(subflow) / 2);
        }
    }
}

/* ---- actions ---- */

static void close_subflow(struct sim_endpoint *endpoint, const struct braid_action *action)
{
    struct sim_link *link = action->user;

    if (link->state != SIM_LINK_LIVE || link->endpoint != endpoint) {
        sim_fail(endpoint->host->world, "side %u: CLOSE_SUBFLOW for one that is gone",
                 endpoint->side);
        return;
    }
    sim_note(endpoint->host->world, SIM_NOTE_CLOSE, link->pipe->number, endpoint->side,
             (uint64_t)action->error);
    if (action->error != BRAID_OK) {
        endpoint->host->run->last_lost = endpoint->host->world->now;
    }
    sim_link_release(link, action->error);
}

static void closed(struct sim_endpoint *endpoint, int error)
{
    struct sim_world *world = endpoint->host->world;

    if (endpoint->live > 0) {
        sim_fail(world, "side %u: CLOSED with %u subflows not given back", endpoint->side,
                 endpoint->live);
    }
    struct iovec v[1];
    if (error == BRAID_OK && !endpoint->pair->aborted[endpoint->side] &&
        braid_session_peek(endpoint->session, v, 1) > 0) {
        sim_fail(world, "side %u: CLOSED in order with bytes unread", endpoint->side);
    }
    sim_note(world, SIM_NOTE_CLOSED, endpoint->side, (uint64_t)error, endpoint->app.received);
    endpoint->closed = true;
    endpoint->error = error;
    sim_host_bury(endpoint->host, endpoint->pair->id, error);
}

/* What the local end hears of the target; in the seed's format nothing but that it has connected.
 */
static int result_of(const struct sim_scenario *scenario)
{
    return scenario->seed ? BRAID_OK : scenario->apps[1].answer;
}

/* What may come when; a session says each thing once and in order. */
static const char *illegal(const struct sim_endpoint *endpoint, const struct braid_action *action)
{
    switch (action->type) {
    case BRAID_ACTION_NONE:
        return "an action NONE";
    case BRAID_ACTION_ESTABLISHED:
        return endpoint->established ? "ESTABLISHED twice" : NULL;
    case BRAID_ACTION_RESULT:
        if (endpoint->side == 1) {
            return "RESULT at the remote end";
        }
        if (action->error != result_of(endpoint->host->run->scenario)) {
            return "a RESULT that nobody gave";
        }
        return endpoint->had_result ? "RESULT twice" : NULL;
    case BRAID_ACTION_READABLE:
        return endpoint->eof ? "READABLE after EOF" : NULL;
    case BRAID_ACTION_WRITABLE:
        return endpoint->app.shut ? "WRITABLE after shutdown" : NULL;
    case BRAID_ACTION_EOF:
        return endpoint->eof ? "EOF twice" : NULL;
    case BRAID_ACTION_DIAL:
        return endpoint->side == 1 ? "DIAL at the remote end" : NULL;
    case BRAID_ACTION_CLOSE_SUBFLOW:
    case BRAID_ACTION_CLOSED:
        return NULL;
    }
    return "an action that does not exist";
}

static void take_action(struct sim_endpoint *endpoint, const struct braid_action *action)
{
    struct sim_world *world = endpoint->host->world;
    const char *wrong = endpoint->closed ? "an action after CLOSED" : illegal(endpoint, action);

    if (wrong) {
        sim_fail(world, "side %u: %s", endpoint->side, wrong);
        return;
    }
    sim_note(world, SIM_NOTE_ACTION, endpoint->side, action->type, (uint64_t)action->error);
    endpoint->established |= action->type == BRAID_ACTION_ESTABLISHED;
    endpoint->had_result |= action->type == BRAID_ACTION_RESULT;
    endpoint->eof |= action->type == BRAID_ACTION_EOF;
    if (action->type == BRAID_ACTION_DIAL) {
        sim_dialler_run(endpoint);
    } else if (action->type == BRAID_ACTION_CLOSE_SUBFLOW) {
        close_subflow(endpoint, action);
    } else if (action->type == BRAID_ACTION_CLOSED) {
        closed(endpoint, action->error);
    }
    sim_app_notice(&endpoint->app, action);
}

/* ---- the round that session.h describes ---- */

static void check_memory(struct sim_endpoint *endpoint)
{
    struct braid_session_stats stats;
    size_t used = braid_pool_used(endpoint->host->pool);
    size_t sessions = endpoint->host->run->pair_count;

    braid_session_get_stats(endpoint->session, &stats);
    if (stats.memory > 2 * endpoint->window + MEMORY_SLACK) {
        sim_fail(endpoint->host->world, "side %u: %zu bytes held, windows of %zu", endpoint->side,
                 stats.memory, endpoint->window);
    }
    if (used > sessions * (2 * endpoint->window + POOL_SLACK)) {
        sim_fail(endpoint->host->world, "side %u: the pool holds %zu bytes", endpoint->side, used);
    }
    if (endpoint->host->budget.max &&
        braid_pool_bytes(endpoint->host->pool) > endpoint->host->budget.max) {
        sim_fail(endpoint->host->world, "side %u: the host holds %zu bytes", endpoint->side,
                 braid_pool_bytes(endpoint->host->pool));
    }
    if (stats.drained != endpoint->app.received || stats.committed != endpoint->app.sent) {
        sim_fail(endpoint->host->world, "side %u: the statistics miscount", endpoint->side);
    }
}

static void arm(struct sim_endpoint *endpoint)
{
    uint64_t when = braid_session_deadline(endpoint->session);

    if (when == BRAID_NEVER) {
        sim_timer_clear(&endpoint->timer);
    } else {
        sim_timer_set(&endpoint->timer, when);
    }
}

void sim_endpoint_pump(struct sim_endpoint *endpoint)
{
    struct braid_action action;

    if (!endpoint->session || endpoint->pumping) {
        return;
    }
    endpoint->pumping = true;
    send_all(endpoint);
    while (!endpoint->host->world->failed &&
           braid_session_next_action(endpoint->session, &action)) {
        take_action(endpoint, &action);
    }
    endpoint->pumping = false;
    if (endpoint->closed) {
        let_go(endpoint);
        return;
    }
    sim_app_check(&endpoint->app);
    check_memory(endpoint);
    ask_for_events(endpoint);
    arm(endpoint);
}

static void deadline_passed(void *arg)
{
    struct sim_endpoint *endpoint = arg;

    if (sim_host_frozen(endpoint->host, &endpoint->timer)) {
        return;
    }
    look_at_links(endpoint);
    braid_session_on_time(endpoint->session, endpoint->host->world->now);
    sim_endpoint_pump(endpoint);
}
