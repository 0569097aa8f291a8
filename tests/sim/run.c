/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "tcp.h"

#define SNDBUF 87040u
#define SETTLE (2 * SIM_SECOND)

struct sim_pipe *sim_run_dial(struct sim_run *run, unsigned path, sim_notify_cb notify, void *arg)
{
    uint64_t sndbuf = run->scenario->sndbuf ? run->scenario->sndbuf : SNDBUF;
    struct sim_pipe *pipe =
        sim_pipe_dial(&run->paths[path], run->pipe_count++, sndbuf, notify, arg);

    pipe->next = run->pipes;
    run->pipes = pipe;
    run->counters.dials++;
    return pipe;
}

struct sim_pair *sim_run_pair(struct sim_run *run, uint64_t id)
{
    for (unsigned i = 0; i < run->pair_count; i++) {
        if (run->pairs[i].id == id && !run->pairs[i].intruder) {
            return &run->pairs[i];
        }
    }
    return NULL;
}

const struct sim_app_spec *sim_run_app(const struct sim_run *run, const struct sim_pair *pair,
                                       unsigned side)
{
    const struct sim_scenario *scenario = run->scenario;

    return scenario->beside && pair != &run->pairs[0] ? &scenario->beside[side]
                                                      : &scenario->apps[side];
}

static void start_session(void *arg)
{
    struct sim_pair *pair = arg;
    struct sim_run *run = pair->run;
    const struct sim_scenario *scenario = run->scenario;
    struct sim_host *host = &run->hosts[0];
    struct braid_session_config config = {
        .role = BRAID_LOCAL,
        .mode = scenario->mode,
        .id = pair->id,
        .instance = host->instance,
        .seed = sim_rng_next(&run->world.rng),
        .subflows = scenario->subflows,
        .first = scenario->first,
        .grace = scenario->grace ? scenario->grace : 60 * SIM_SECOND,
        .window = scenario->window ? scenario->window : 4u << 20,
        .speaks_seed = scenario->seed,
    };

    memcpy(config.token, pair->token, sizeof(config.token));
    struct sim_endpoint *endpoint = sim_endpoint_new(host, pair, &config);
    pair->started = true;
    if (endpoint) {
        sim_endpoint_pump(endpoint);
    }
}

static void add_pair(struct sim_run *run, uint64_t at)
{
    struct sim_pair *pair = &run->pairs[run->pair_count++];

    pair->run = run;
    pair->id = sim_rng_next(&run->world.rng) | 1;
    for (size_t i = 0; i < sizeof(pair->token); i++) {
        pair->token[i] = (uint8_t)sim_rng_next(&run->world.rng);
    }
    pair->key[0] = sim_rng_next(&run->world.rng);
    pair->key[1] = sim_rng_next(&run->world.rng);
    sim_timer_init(&pair->start, &run->world, start_session, pair);
    sim_timer_set(&pair->start, at);
}

static void set_up(struct sim_run *run)
{
    const struct sim_scenario *scenario = run->scenario;
    unsigned sessions = scenario->sessions ? scenario->sessions : 1;

    while (run->path_count < SIM_PATHS_MAX && scenario->paths[run->path_count].rate) {
        struct sim_path *path = &run->paths[run->path_count];
        sim_path_init(path, &run->world, run->path_count, &scenario->paths[run->path_count],
                      sim_pipe_deliver);
        path->accept = sim_host_accept;
        path->accept_arg = &run->hosts[1];
        run->counters.backups |= scenario->paths[run->path_count].backup;
        if (!braid_path_state_init(&run->states[run->path_count++])) {
            abort();
        }
    }
    run->counters.redundant = scenario->mode == BRAID_MODE_REDUNDANT;
    run->counters.seeds = scenario->seed;
    run->starved = scenario->drivers[0].memory || scenario->drivers[1].memory;
    sim_host_init(&run->hosts[0], run, 0);
    sim_host_init(&run->hosts[1], run, 1);
    for (unsigned i = 0; i < sessions; i++) {
        add_pair(run, i * scenario->stagger);
    }
    if (scenario->intruder_at) {
        add_pair(run, scenario->intruder_at);
        run->pairs[sessions].id = run->pairs[0].id;
        run->pairs[sessions].intruder = true;
    }
    sim_faults_start(run);
}

/* ---- what is measured ---- */

void sim_run_note_use(struct sim_run *run, unsigned path, uint64_t bytes)
{
    for (unsigned i = 0; i < SIM_USES_MAX; i++) {
        const struct sim_use *use = &run->scenario->uses[i];
        if (use->path == path && use->from <= run->world.now && run->world.now < use->until) {
            run->used[i] += bytes;
        }
    }
}

void sim_run_note_round_trip(struct sim_run *run, uint64_t took)
{
    if (run->round_trip_count < SIM_ROUNDS_MAX) {
        run->round_trips[run->round_trip_count++] = took;
    }
}

uint64_t sim_run_goodput(const struct sim_run *run)
{
    return run->last_byte ? run->counters.bytes * 8 * SIM_SECOND / run->last_byte : 0;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t median_round_trip(struct sim_run *run)
{
    unsigned n = run->round_trip_count;

    qsort(run->round_trips, n, sizeof(*run->round_trips), compare_times);
    return n > 0 ? run->round_trips[n / 2] : 0;
}

static void take_results(struct sim_run *run, struct sim_result *result)
{
    result->failed = run->world.failed;
    result->longest_gap = run->longest_gap;
    result->first_byte = run->first_byte;
    result->last_byte = run->last_byte;
    result->goodput = sim_run_goodput(run);
    result->round_trip = run->round_trip;
    result->hash = run->world.hash;
    memcpy(result->used, run->used, sizeof(result->used));
    memcpy(result->failure, run->world.failure, sizeof(result->failure));
}

/* ---- from the start to the end ---- */

/* Whether every session that has begun anywhere is over. */
static bool all_over(const struct sim_run *run)
{
    for (unsigned i = 0; i < run->pair_count; i++) {
        if (!run->pairs[i].started) {
            return false;
        }
    }
    for (unsigned side = 0; side < 2; side++) {
        for (const struct sim_endpoint *e = run->hosts[side].endpoints; e; e = e->next) {
            if (e->session) {
                return false;
            }
        }
    }
    return true;
}

static bool run_until_over(struct sim_run *run, uint64_t limit)
{
    while (!all_over(run)) {
        if (!sim_world_step(&run->world, limit)) {
            return false;
        }
    }
    return true;
}

/*
 * After the end: what is still on its way arrives. A late greeting may open a session for one that
 * its maker has given up; that has to end too.
 */
static void settle(struct sim_run *run)
{
    uint64_t grace = run->scenario->grace ? run->scenario->grace : 60 * SIM_SECOND;
    uint64_t limit = run->world.now + SETTLE;

    while (sim_world_step(&run->world, limit)) {
    }
    if (!run->world.failed && !run_until_over(run, run->world.now + grace + 10 * SIM_SECOND)) {
        sim_fail(&run->world, "a session opened late did not end");
    }
}

static void clean_up(struct sim_run *run)
{
    sim_host_clear(&run->hosts[0]);
    sim_host_clear(&run->hosts[1]);
    for (unsigned i = 0; i < run->path_count; i++) {
        run->counters.swallowed += run->paths[i].swallowed;
        run->counters.dropped += run->paths[i].dropped;
        braid_path_state_clear(&run->states[i]);
        sim_path_clear(&run->paths[i]);
    }
    while (run->pipes) {
        struct sim_pipe *next = run->pipes->next;
        sim_pipe_free(run->pipes);
        run->pipes = next;
    }
}

void sim_counters_add(struct sim_counters *sum, const struct sim_counters *one)
{
    sum->runs += one->runs;
    sum->failed += one->failed;
    sum->virtual_time += one->virtual_time;
    sum->bytes += one->bytes;
    sum->resent += one->resent;
    sum->dials += one->dials;
    sum->lost += one->lost;
    sum->refused += one->refused;
    sum->swallowed += one->swallowed;
    sum->dropped += one->dropped;
    sum->redundant += one->redundant;
    sum->backups += one->backups;
    sum->seeds += one->seeds;
    sum->aborted += one->aborted;
    for (unsigned i = 0; i < SIM_ENDS; i++) {
        sum->ends[i] += one->ends[i];
    }
    for (unsigned i = 0; i < SIM_FAULTS; i++) {
        sum->faults[i] += one->faults[i];
    }
}

void sim_run(const struct sim_scenario *scenario, uint64_t seed, FILE *trace,
             struct sim_result *result, struct sim_counters *counters)
{
    struct sim_run *run = sim_alloc(sizeof(*run));

    run->scenario = scenario;
    sim_world_init(&run->world, seed, trace);
    set_up(run);
    if (run_until_over(run, scenario->budget)) {
        settle(run);
    }
    run->round_trip = median_round_trip(run);
    if (!run->world.failed) {
        sim_verdict(run);
    }
    clean_up(run);
    run->counters.runs = 1;
    run->counters.failed = run->world.failed;
    run->counters.virtual_time = run->ended;
    sim_counters_add(counters, &run->counters);
    take_results(run, result);
    sim_world_clear(&run->world);
    free(run);
}
