/* SPDX-License-Identifier: MIT */
#include "application.h"

#include <string.h>

#include "endpoint.h"
#include "run.h"

#define PIECES 8
#define AT_ONCE (512u << 10) /* bytes handled before others get their turn */

/* ---- the pattern ---- */

static uint64_t word_at(uint64_t key, uint64_t index)
{
    return sim_mix(key + index);
}

static void fill(uint64_t key, uint64_t offset, uint8_t *bytes, size_t len)
{
    while (len > 0) {
        uint64_t word = word_at(key, offset / 8);
        size_t from = offset % 8;
        size_t n = len < 8 - from ? len : 8 - from;
        memcpy(bytes, (const uint8_t *)&word + from, n);
        bytes += n;
        offset += n;
        len -= n;
    }
}

/* The offset of the first byte that is wrong; offset + len: none. */
static uint64_t compare(uint64_t key, uint64_t offset, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        uint64_t word = word_at(key, offset / 8);
        size_t from = offset % 8;
        size_t n = len < 8 - from ? len : 8 - from;
        for (size_t i = 0; i < n; i++) {
            if (bytes[i] != ((const uint8_t *)&word)[from + i]) {
                return offset + i;
            }
        }
        bytes += n;
        offset += n;
        len -= n;
    }
    return offset;
}

/* ---- what it may do ---- */

static struct sim_world *world_of(const struct sim_app *app)
{
    return app->endpoint->host->world;
}

static struct sim_pair *pair_of(const struct sim_app *app)
{
    return app->endpoint->pair;
}

/* How many bytes it may have sent by now. */
static uint64_t allowance(const struct sim_app *app)
{
    const struct sim_app_spec *spec = app->spec;
    uint64_t allowed = spec->total;

    if (!app->open) {
        return 0;
    }
    switch (spec->kind) {
    case SIM_APP_SEND:
        break;
    case SIM_APP_REQUEST:
        allowed = (app->received / spec->response + 1) * spec->request;
        break;
    case SIM_APP_RESPOND:
        allowed = app->received / spec->request * spec->response;
        break;
    case SIM_APP_ECHO:
        allowed = app->received;
        break;
    }
    return allowed < spec->total ? allowed : spec->total;
}

static bool aborts_now(const struct sim_app *app)
{
    switch (app->spec->abort) {
    case SIM_ABORT_NEVER:
        return false;
    case SIM_ABORT_AT:
        return world_of(app)->now >= app->endpoint->began_at + app->spec->abort_value;
    case SIM_ABORT_SENT:
        return app->sent >= app->spec->abort_value;
    case SIM_ABORT_RECEIVED:
        return app->received >= app->spec->abort_value;
    }
    return false;
}

static void abort_session(struct sim_app *app)
{
    struct sim_world *world = world_of(app);

    sim_note(world, SIM_NOTE_ABORT, app->endpoint->side, app->sent, app->received);
    pair_of(app)->aborted[app->endpoint->side] = true;
    app->endpoint->host->run->counters.aborted++;
    app->over = true;
    sim_timer_clear(&app->timer);
    sim_timer_clear(&app->answer);
    braid_session_reset(app->endpoint->session, BRAID_ERR_RESET, world->now);
}

/* ---- reading ---- */

static void note_received(struct sim_app *app, size_t n)
{
    struct sim_world *world = world_of(app);
    struct sim_run *run = app->endpoint->host->run;

    sim_note(world, SIM_NOTE_RECEIVED, app->endpoint->side, app->received, n);
    if (app->received > 0 && world->now - app->received_at > app->longest_gap) {
        app->longest_gap = world->now - app->received_at;
    }
    if (app->endpoint->side == 1 && run->first_byte == 0) {
        run->first_byte = world->now;
    }
    app->received += n;
    app->received_at = world->now;
    run->counters.bytes += n;
    run->last_byte = world->now;
    if (app->spec->kind == SIM_APP_REQUEST && app->received / app->spec->response > app->answered) {
        app->answered = app->received / app->spec->response;
        sim_run_note_round_trip(run, world->now - app->asked_at);
    }
}

/* Reads once, some of what there is; false: nothing more for now. */
static bool read_once(struct sim_app *app)
{
    const struct sim_app_spec *spec = app->spec;
    struct sim_world *world = world_of(app);
    struct iovec v[PIECES];
    size_t most = spec->read_max ? (size_t)sim_rng_range(&world->rng, 1, spec->read_max) : SIZE_MAX;
    int count = braid_session_peek(app->endpoint->session, v, PIECES);
    size_t taken = 0;

    app->readable = count > 0;
    for (int i = 0; i < count && taken < most; i++) {
        size_t n = v[i].iov_len < most - taken ? v[i].iov_len : most - taken;
        uint64_t offset = app->received + taken;
        uint64_t good = compare(app->key_in, offset, v[i].iov_base, n);
        if (good != offset + n) {
            sim_fail(world, "side %u: byte %llu is wrong", app->endpoint->side,
                     (unsigned long long)good);
            return false;
        }
        taken += n;
    }
    if (count > 0 && taken == 0) {
        sim_fail(world, "side %u: peek shows pieces without bytes", app->endpoint->side);
    }
    if (taken == 0) {
        return false;
    }
    braid_session_drain(app->endpoint->session, taken, world->now);
    note_received(app, taken);
    if (spec->read_rate) {
        app->read_at = world->now + taken * SIM_SECOND / spec->read_rate;
        return false;
    }
    if (spec->pause_at && !app->paused && app->received >= spec->pause_at) {
        app->paused = true;
        app->read_at = world->now + spec->pause;
        return false;
    }
    return true;
}

static void read_some(struct sim_app *app)
{
    uint64_t before = app->received;

    while (app->readable && app->read_at <= world_of(app)->now && read_once(app) &&
           app->received - before < AT_ONCE) {
    }
}

/* ---- writing ---- */

static bool write_once(struct sim_app *app, uint64_t allowed)
{
    const struct sim_app_spec *spec = app->spec;
    struct sim_world *world = world_of(app);
    struct iovec v[PIECES];
    uint64_t most = allowed - app->sent;
    size_t written = 0;
    int count = braid_session_reserve(app->endpoint->session, v, PIECES);

    app->full = count == 0;
    if (count == 0) {
        return false;
    }
    if (spec->write_max) {
        uint64_t some = sim_rng_range(&world->rng, 1, spec->write_max);
        most = some < most ? some : most;
        if (sim_rng_chance(&world->rng, 3)) {
            most = 0; /* the client had nothing after all: all of it goes back */
        }
    }
    for (int i = 0; i < count && written < most; i++) {
        size_t n = v[i].iov_len < most - written ? v[i].iov_len : (size_t)most - written;
        fill(app->key_out, app->sent + written, v[i].iov_base, n);
        written += n;
    }
    sim_note(world, SIM_NOTE_SENT, app->endpoint->side, app->sent, written);
    braid_session_commit(app->endpoint->session, written, world->now);
    app->sent += written;
    app->asked_at = world->now;
    if (spec->rest_at && !app->rested && app->sent >= spec->rest_at) {
        app->rested = true;
        app->write_at = world->now + spec->rest;
    } else if (spec->think) {
        app->write_at = world->now + sim_rng_below(&world->rng, spec->think + 1);
    }
    return true;
}

static void write_some(struct sim_app *app)
{
    uint64_t allowed = allowance(app);
    uint64_t before = app->sent;

    while (!app->full && app->sent < allowed && app->write_at <= world_of(app)->now &&
           app->sent - before < AT_ONCE && !aborts_now(app) && write_once(app, allowed)) {
    }
    if (app->open && app->sent == app->spec->total && !app->shut &&
        (!app->spec->fin_after_eof || app->eof)) {
        struct sim_pair *pair = pair_of(app);
        app->shut = true;
        pair->shut[app->endpoint->side] = true;
        pair->final[app->endpoint->side] = app->sent;
        sim_note(world_of(app), SIM_NOTE_SHUTDOWN, app->endpoint->side, app->sent, 0);
        braid_session_shutdown(app->endpoint->session, world_of(app)->now);
    }
}

/* ---- its turn ---- */

static void schedule(struct sim_app *app, uint64_t at)
{
    sim_timer_hasten(&app->timer, at);
}

/* Sees to it that it gets its turn again when it could do something. */
static void plan_turn(struct sim_app *app)
{
    uint64_t now = world_of(app)->now;

    if (app->readable) {
        schedule(app, app->read_at > now ? app->read_at : now);
    }
    if (!app->full && app->sent < allowance(app)) {
        schedule(app, app->write_at > now ? app->write_at : now);
    }
}

static void turn(void *arg)
{
    struct sim_app *app = arg;

    if (sim_host_frozen(app->endpoint->host, &app->timer) || !app->endpoint->session) {
        return;
    }
    if (!app->over) {
        read_some(app);
        write_some(app);
        if (aborts_now(app)) {
            abort_session(app);
        } else {
            plan_turn(app);
        }
    }
    sim_endpoint_pump(app->endpoint);
}

static void answer(void *arg)
{
    struct sim_app *app = arg;

    if (sim_host_frozen(app->endpoint->host, &app->answer) || !app->endpoint->session) {
        return;
    }
    braid_session_answer(app->endpoint->session, app->spec->answer, world_of(app)->now);
    if (app->spec->answer == BRAID_OK) {
        app->open = true;
        schedule(app, world_of(app)->now);
    } else {
        pair_of(app)->refused = true;
        app->over = true;
    }
    sim_endpoint_pump(app->endpoint);
}

void sim_app_init(struct sim_app *app, struct sim_endpoint *endpoint,
                  const struct sim_app_spec *spec)
{
    struct sim_world *world = endpoint->host->world;

    app->endpoint = endpoint;
    app->spec = spec;
    app->key_out = endpoint->pair->key[endpoint->side];
    app->key_in = endpoint->pair->key[1 - endpoint->side];
    app->received_at = world->now;
    app->open = endpoint->side == 0;
    sim_timer_init(&app->timer, world, turn, app);
    sim_timer_init(&app->answer, world, answer, app);
    sim_timer_init(&app->abort, world, turn, app);
    if (endpoint->side == 1) {
        sim_timer_set(&app->answer, world->now + spec->answer_delay);
    } else {
        sim_timer_set(&app->timer, world->now);
    }
    if (spec->abort == SIM_ABORT_AT) {
        sim_timer_set(&app->abort, world->now + spec->abort_value);
    }
}

void sim_app_stop(struct sim_app *app)
{
    app->over = true;
    sim_timer_clear(&app->timer);
    sim_timer_clear(&app->answer);
    sim_timer_clear(&app->abort);
}

/* ---- what it is told ---- */

static void notice_eof(struct sim_app *app)
{
    struct sim_pair *pair = pair_of(app);
    unsigned peer = 1 - app->endpoint->side;
    struct iovec v[1];

    app->eof = true;
    if (braid_session_peek(app->endpoint->session, v, 1) != 0) {
        sim_fail(world_of(app), "side %u: EOF while bytes wait", app->endpoint->side);
    } else if (!pair->shut[peer] || app->received != pair->final[peer]) {
        sim_fail(world_of(app), "side %u: EOF after %llu bytes, the peer %s %llu",
                 app->endpoint->side, (unsigned long long)app->received,
                 pair->shut[peer] ? "finished at" : "has not finished at",
                 (unsigned long long)pair->final[peer]);
    }
}

void sim_app_notice(struct sim_app *app, const struct braid_action *action)
{
    struct sim_world *world = world_of(app);
    struct iovec v[1];

    if (app->over && action->type != BRAID_ACTION_CLOSED) {
        return;
    }
    switch (action->type) {
    case BRAID_ACTION_READABLE:
        if (braid_session_peek(app->endpoint->session, v, 1) == 0) {
            sim_fail(world, "side %u: READABLE and nothing to peek", app->endpoint->side);
        }
        app->readable = true;
        break;
    case BRAID_ACTION_WRITABLE:
        if (!app->full) {
            sim_fail(world, "side %u: WRITABLE for one who does not wait", app->endpoint->side);
        }
        app->full = false;
        break;
    case BRAID_ACTION_EOF:
        notice_eof(app);
        break;
    default:
        return;
    }
    /* The client's socket is handled in a turn of its own. */
    if (app->read_at <= world->now || action->type != BRAID_ACTION_READABLE) {
        schedule(app, world->now + sim_host_latency(app->endpoint->host));
    } else {
        schedule(app, app->read_at);
    }
}

void sim_app_check(struct sim_app *app)
{
    struct iovec v[1];

    if (app->over) {
        return;
    }
    if (!app->readable && braid_session_peek(app->endpoint->session, v, 1) > 0) {
        sim_fail(world_of(app), "side %u: bytes can be peeked and READABLE did not come",
                 app->endpoint->side);
    }
}
