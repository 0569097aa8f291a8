/* SPDX-License-Identifier: MIT */
/*
 * Makes up a scenario from a seed: topology, drivers, applications, faults over time, limits. Sizes
 * are bounded so that a run ends within some virtual seconds and costs some milliseconds.
 */
#include <string.h>

#include "core/session.h"

#include "rng.h"
#include "scenario.h"

#define MIB (1u << 20)
#define TRANSFER_MAX 10u /* seconds that the bytes of one direction may take */

struct draw {
    struct sim_scenario *s;
    struct sim_rng rng;
    unsigned paths;
    uint64_t slowest; /* bits a second, faults included */
    uint64_t longest; /* one-way delay, faults included */
    uint64_t extra;   /* virtual time that the oddities drawn may cost */
};

static bool chance(struct draw *d, unsigned percent)
{
    return sim_rng_chance(&d->rng, percent);
}

static uint64_t range(struct draw *d, uint64_t low, uint64_t high)
{
    return sim_rng_range(&d->rng, low, high);
}

static uint64_t scale(struct draw *d, uint64_t low, uint64_t high)
{
    return sim_rng_scale(&d->rng, low, high);
}

static void draw_paths(struct draw *d)
{
    d->paths = chance(d, 40) ? 1 : (unsigned)range(d, 2, SIM_PATHS_MAX);
    d->slowest = UINT64_MAX;
    for (unsigned i = 0; i < d->paths; i++) {
        struct sim_path_spec *path = &d->s->paths[i];
        path->rate = scale(d, 1000000, 1000000000);
        path->delay = scale(d, 50, 150 * SIM_MS);
        path->queue = scale(d, 2 * SIM_MS, 200 * SIM_MS);
        path->loss = chance(d, 10) ? (uint32_t)scale(d, 30, 10000) : 0;
        path->backup = d->paths > 1 && chance(d, 12);
        d->slowest = path->rate < d->slowest ? path->rate : d->slowest;
        d->longest = path->delay > d->longest ? path->delay : d->longest;
    }
}

static void draw_session(struct draw *d)
{
    struct sim_scenario *s = d->s;

    s->mode = chance(d, 12) ? BRAID_MODE_REDUNDANT : BRAID_MODE_AGGREGATE;
    s->subflows = (unsigned)(chance(d, 25) ? 1 : range(d, 2, 8));
    s->first = (unsigned)range(d, 0, s->subflows);
    s->max_subflows = chance(d, 8) ? (unsigned)range(d, 1, 4) : 0;
    s->sessions = chance(d, 85) ? 1 : (unsigned)range(d, 2, SIM_SESSIONS_MAX);
    s->stagger = chance(d, 50) ? 0 : scale(d, SIM_MS, 500 * SIM_MS);
    s->window = (size_t)scale(d, 128 << 10, 8 * MIB);
    s->sndbuf = scale(d, 16 << 10, 4 * MIB);
    s->grace = chance(d, 85) ? 60 * SIM_SECOND : scale(d, 10 * SIM_MS, 4 * SIM_SECOND);
    s->intruder_at = chance(d, 3) ? scale(d, 10 * SIM_MS, SIM_SECOND) : 0;
    d->extra += s->sessions * s->stagger + s->intruder_at;
}

static void draw_driver(struct draw *d, struct sim_driver_spec *driver)
{
    if (chance(d, 30)) {
        driver->slice_max = (uint32_t)scale(d, 1, 16384);
    }
    if (chance(d, 5)) {
        driver->write_max = (uint32_t)scale(d, 1, 16384);
    }
    if (chance(d, 40)) {
        driver->short_writes = (unsigned)range(d, 1, 60);
    }
    if (chance(d, 60)) {
        driver->latency = (uint32_t)scale(d, 1, 3000);
    }
    driver->blind = chance(d, 15);
    driver->small_chunks = chance(d, 20);
}

/* The most that one direction may carry and still be done in time. */
static uint64_t size_limit(const struct draw *d)
{
    uint64_t limit = d->slowest / 8 * TRANSFER_MAX;
    const struct sim_driver_spec *drivers = d->s->drivers;

    for (unsigned side = 0; side < 2; side++) {
        uint64_t most = limit;
        if (drivers[side].slice_max) {
            most = 16384ull * drivers[side].slice_max;
        }
        if (drivers[side].write_max && most > 256ull * drivers[side].write_max) {
            most = 256ull * drivers[side].write_max;
        }
        limit = most < limit ? most : limit;
    }
    return limit / d->s->sessions;
}

static uint64_t draw_size(struct draw *d)
{
    uint64_t limit = size_limit(d);
    uint64_t size;

    if (chance(d, 4)) {
        return 0;
    }
    if (chance(d, 4)) {
        return 1;
    }
    size = chance(d, 4) ? scale(d, MIB, 12 * MIB) : scale(d, 16, MIB);
    return size < limit ? size : limit;
}

static void draw_habits(struct draw *d, struct sim_app_spec *app)
{
    if (chance(d, 40)) {
        app->write_max = (uint32_t)scale(d, 1 + app->total / 8192, 256 << 10);
    }
    if (chance(d, 40)) {
        app->read_max = (uint32_t)scale(d, 1 + app->total / 8192, 256 << 10);
    }
    if (chance(d, 15) && app->write_max) {
        uint64_t most = 4 * SIM_SECOND * app->write_max / (app->total + 1);
        app->think = scale(d, 10, 20 + (most < 300 * SIM_MS ? most : 300 * SIM_MS));
        d->extra += app->think * (3 * app->total / app->write_max + 60);
    }
    if (chance(d, 6) && app->total > 0) { /* long enough for a keepalive at times */
        app->rest_at = range(d, 1, app->total);
        app->rest = scale(d, 10 * SIM_MS, 60 * SIM_SECOND);
        d->extra += app->rest;
    }
    app->fin_after_eof = chance(d, 15);
    app->answer_delay = chance(d, 50) ? 0 : scale(d, 10, 200 * SIM_MS);
    d->extra += app->answer_delay;
}

static void draw_reader(struct draw *d, struct sim_app_spec *app, uint64_t incoming)
{
    if (chance(d, 10)) {
        app->read_rate = scale(d, 16 << 10, 8 * MIB);
        if (app->read_rate < incoming / TRANSFER_MAX) {
            app->read_rate = incoming / TRANSFER_MAX;
        }
        d->extra += incoming * SIM_SECOND / app->read_rate;
    }
    if (chance(d, 10) && incoming > 0) {
        app->pause_at = range(d, 1, incoming);
        app->pause = scale(d, SIM_MS, 5 * SIM_SECOND);
        d->extra += app->pause;
    }
}

static void draw_exchange(struct draw *d, struct sim_app_spec *ask, struct sim_app_spec *reply)
{
    uint64_t rounds = range(d, 1, 20);

    ask->kind = SIM_APP_REQUEST;
    reply->kind = SIM_APP_RESPOND;
    ask->request = scale(d, 1, 4096);
    ask->response = scale(d, 1, 32768);
    if (ask->request * rounds > size_limit(d) || ask->response * rounds > size_limit(d)) {
        rounds = 1;
        ask->request = 1;
        ask->response = 16;
    }
    reply->request = ask->request;
    reply->response = ask->response;
    ask->total = rounds * ask->request;
    reply->total = rounds * ask->response;
    d->extra += rounds * 4 * d->longest;
}

static void draw_applications(struct draw *d)
{
    struct sim_app_spec *apps = d->s->apps;
    unsigned kind = (unsigned)range(d, 0, 9);

    if (kind <= 3) { /* one way, either */
        apps[kind & 1].total = draw_size(d);
    } else if (kind <= 6) {
        apps[0].total = draw_size(d);
        apps[1].total = draw_size(d);
    } else if (kind == 7) {
        apps[0].total = draw_size(d);
        apps[1].total = apps[0].total;
        apps[1].kind = SIM_APP_ECHO;
    } else {
        draw_exchange(d, &apps[0], &apps[1]);
    }
    for (unsigned side = 0; side < 2; side++) {
        draw_habits(d, &apps[side]);
        draw_reader(d, &apps[side], apps[1 - side].total);
    }
    if (apps[0].fin_after_eof && apps[1].fin_after_eof) {
        apps[1].fin_after_eof = false; /* or both wait for ever */
    }
    if (chance(d, 4)) {
        apps[1].answer = (int)range(d, BRAID_ERR_UNREACHABLE, BRAID_ERR_POLICY);
    }
}

static void draw_aborts(struct draw *d, uint64_t duration)
{
    for (unsigned side = 0; side < 2; side++) {
        struct sim_app_spec *app = &d->s->apps[side];
        if (!chance(d, 5)) {
            continue;
        }
        app->abort = (enum sim_abort)range(d, SIM_ABORT_AT, SIM_ABORT_RECEIVED);
        app->abort_value = app->abort == SIM_ABORT_AT     ? range(d, 0, duration)
                           : app->abort == SIM_ABORT_SENT ? range(d, 0, app->total)
                                                          : range(d, 0, d->s->apps[1 - side].total);
    }
}

/* Which faults are drawn how often. */
static const struct {
    enum sim_fault_kind kind;
    unsigned weight;
} weights[] = {
    {SIM_FAULT_RESET, 20}, {SIM_FAULT_CUT, 8},      {SIM_FAULT_STALL, 8},  {SIM_FAULT_PAUSE, 12},
    {SIM_FAULT_HOLE, 10},  {SIM_FAULT_HOLE_OUT, 7}, {SIM_FAULT_RATE, 8},   {SIM_FAULT_HOLE_BACK, 7},
    {SIM_FAULT_DELAY, 6},  {SIM_FAULT_REFUSE, 4},   {SIM_FAULT_FREEZE, 4}, {SIM_FAULT_GARBAGE, 2},
    {SIM_FAULT_MEMORY, 3}, {SIM_FAULT_RESTART, 1},
};

static enum sim_fault_kind draw_kind(struct draw *d)
{
    uint64_t x = sim_rng_below(&d->rng, 100);

    for (size_t i = 0; i < sizeof(weights) / sizeof(*weights); i++) {
        if (x < weights[i].weight) {
            return weights[i].kind;
        }
        x -= weights[i].weight;
    }
    return SIM_FAULT_RESET;
}

static void draw_fault(struct draw *d, struct sim_fault *fault, uint64_t duration)
{
    fault->kind = draw_kind(d);
    fault->target = chance(d, 20) ? SIM_ALL : (uint32_t)range(d, 0, 7);
    fault->at = range(d, 0, duration);
    fault->lasts = scale(d, SIM_MS, 4 * SIM_SECOND);
    switch (fault->kind) {
    case SIM_FAULT_RATE:
        fault->value = scale(d, 500000, 1000000000);
        d->slowest = fault->value < d->slowest ? fault->value : d->slowest;
        break;
    case SIM_FAULT_DELAY:
        fault->value = scale(d, 50, 300 * SIM_MS);
        d->longest = fault->value > d->longest ? fault->value : d->longest;
        break;
    case SIM_FAULT_MEMORY:
        fault->value = scale(d, 1, 256);
        break;
    case SIM_FAULT_GARBAGE:
        fault->value = range(d, 0, 255);
        break;
    case SIM_FAULT_STALL:
        fault->target = (uint32_t)range(d, 0, 7);
        break;
    default:
        break;
    }
    /* After an outage TCP waits for up to 2 s more, a dialler for up to 8 and 5. */
    d->extra += fault->lasts + 15 * SIM_SECOND;
}

static void draw_faults(struct draw *d, uint64_t duration)
{
    unsigned n = chance(d, 25) ? 0 : (unsigned)range(d, 1, chance(d, 15) ? SIM_FAULTS_MAX : 4);

    for (unsigned i = 0; i < n; i++) {
        draw_fault(d, &d->s->faults[i], duration);
    }
}

void sim_scenario_draw(struct sim_scenario *scenario, uint64_t seed)
{
    struct draw d = {.s = scenario};
    uint64_t bytes, duration;

    memset(scenario, 0, sizeof(*scenario));
    sim_rng_init(&d.rng, sim_mix(seed));
    scenario->name = "random";
    draw_paths(&d);
    draw_session(&d);
    draw_driver(&d, &scenario->drivers[0]);
    draw_driver(&d, &scenario->drivers[1]);
    draw_applications(&d);
    bytes = (scenario->apps[0].total + scenario->apps[1].total) * scenario->sessions;
    duration = bytes * 8 * SIM_SECOND / d.slowest / 4 + 8 * d.longest + 50 * SIM_MS;
    draw_faults(&d, duration);
    draw_aborts(&d, duration);
    /* The seed's format knows neither another mode nor a token that keeps others out. */
    scenario->seed =
        scenario->mode == BRAID_MODE_AGGREGATE && scenario->intruder_at == 0 && chance(&d, 8);
    if (scenario->seed) { /* and it goes by what TCP has acknowledged */
        scenario->drivers[0].blind = scenario->drivers[1].blind = false;
    }
    scenario->ends[0] = SIM_ANY_END;
    scenario->ends[1] = SIM_ANY_END;
    scenario->budget = 20 * SIM_SECOND + d.extra + 60 * d.longest +
                       bytes * 8 * SIM_SECOND / d.slowest * 6 + 2 * scenario->grace;
    if (scenario->seed) { /* there, only keep-alive may find out that the other end is gone */
        scenario->budget += 80 * SIM_SECOND;
    }
}
