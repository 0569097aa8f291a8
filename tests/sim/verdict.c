/* SPDX-License-Identifier: MIT */
/*
 * Judges a run that has ended: every end closed, for a reason that something in the run explains,
 * and within what the scenario allows.
 *
 * Two ends cannot always agree on how it ended (the last message may be lost with its subflow), but
 * an end that says all was in order has received and delivered everything.
 */
#include "endpoint.h"
#include "run.h"

/* From the end of an outage to a new subflow: back-off, a lost SYN, a connection given up. */
#define REDIAL_MAX (20 * SIM_SECOND)

static const char *side_name(unsigned side)
{
    return side ? "remote" : "local";
}

static bool complete(const struct sim_endpoint *e)
{
    return e->app.shut && e->app.eof;
}

/*
 * Whether an end had no subflow for all of its grace time. The local one dials: what was in its way
 * must have lasted for about as long.
 */
static bool was_alone(const struct sim_run *run, const struct sim_endpoint *e)
{
    uint64_t hindered = REDIAL_MAX;

    for (unsigned i = 0; i < SIM_FAULTS_MAX; i++) {
        hindered += run->scenario->faults[i].lasts;
    }
    return e->live == 0 && e->closed_at - e->alone_since >= e->grace &&
           (e->side == 1 || e->grace <= hindered);
}

/* Whether the local end had no answer for as long as it waits for one. */
static bool was_unanswered(const struct sim_endpoint *e)
{
    return e->side == 0 && !e->established && e->closed_at >= e->began_at + 5 * SIM_SECOND;
}

/* Whether the other end could have ended the session on its own, so that this one was told so. */
static bool ended_elsewhere(const struct sim_endpoint *other)
{
    return other && (other->vanished || (other->closed && other->error != BRAID_OK));
}

/*
 * The same in the seed's format, which has no word for anything but the end: subflows that are lost
 * are not dialled again, and what they had not delivered goes over the others, if there are any.
 */
static bool explained_in_seed(const struct sim_run *run, const struct sim_pair *pair,
                              const struct sim_endpoint *e)
{
    const struct sim_endpoint *other = pair->ends[1 - e->side];
    bool told = pair->aborted[0] || pair->aborted[1] || pair->refused || ended_elsewhere(other);

    switch (e->error) {
    case BRAID_ERR_RESET:
    case BRAID_ERR_SUBFLOW_LOST:
    case BRAID_ERR_TRUNCATED:
        return told || e->lost_any || (other && other->lost_any);
    case BRAID_ERR_GRACE: /* from when all that came had ended, while others were still announced */
        return e->closed_at - e->began_at >= e->grace;
    case BRAID_ERR_TIMEOUT:
        return was_unanswered(e);
    case BRAID_ERR_MEMORY:
        return run->starved;
    default:
        return false;
    }
}

/* Whether a session end of this error is explained by what has happened. */
static bool explained(const struct sim_run *run, const struct sim_pair *pair,
                      const struct sim_endpoint *e)
{
    const struct sim_endpoint *other = pair->ends[1 - e->side];
    bool aborted = pair->aborted[0] || pair->aborted[1];

    if (run->scenario->seed) {
        return explained_in_seed(run, pair, e);
    }
    switch (e->error) {
    case BRAID_ERR_RESET:
        return aborted || pair->refused || (run->starved && ended_elsewhere(other));
    case BRAID_ERR_UNREACHABLE:
    case BRAID_ERR_REFUSED:
    case BRAID_ERR_TIMED_OUT:
    case BRAID_ERR_NAME:
    case BRAID_ERR_POLICY:
        return e->side == 0 && pair->refused && e->error == run->scenario->apps[1].answer;
    case BRAID_ERR_GRACE:
        return was_alone(run, e);
    case BRAID_ERR_TIMEOUT:
        return was_unanswered(e);
    case BRAID_ERR_UNKNOWN_SESSION:
    case BRAID_ERR_INSTANCE:
        return e->side == 0 && (run->restarted || run->starved || ended_elsewhere(other));
    case BRAID_ERR_LIMIT: /* the remote end still counts one that is dead already */
        return e->side == 0 && !e->established && run->scenario->max_subflows && e->lost_any;
    case BRAID_ERR_MEMORY:
        return run->starved;
    default:
        return false;
    }
}

static void judge_end(struct sim_run *run, const struct sim_pair *pair, unsigned side)
{
    const struct sim_endpoint *e = pair->ends[side];
    const struct sim_endpoint *other = pair->ends[1 - side];
    int expected = run->scenario->ends[side];
    struct sim_world *world = &run->world;

    if (e->vanished) {
        return;
    }
    if (!e->closed) {
        sim_fail(world, "the %s end has not closed: sent %llu, received %llu%s%s%s",
                 side_name(side), (unsigned long long)e->app.sent,
                 (unsigned long long)e->app.received, e->app.shut ? ", shut" : "",
                 e->app.eof ? ", eof" : "", e->live ? ", subflows alive" : "");
        return;
    }
    if (e->error == BRAID_OK && !complete(e) && !pair->aborted[side]) {
        sim_fail(world, "the %s end closed in order before it was complete", side_name(side));
    }
    if (e->error == BRAID_OK && (!e->established || (side == 0 && !e->had_result))) {
        sim_fail(world, "the %s end closed in order and never heard of the %s", side_name(side),
                 e->established ? "target" : "peer");
    }
    run->counters.ends[e->error < SIM_ENDS ? e->error : 0]++;
    bool told_late = e->error == BRAID_ERR_GRACE && was_alone(run, e) && complete(e) && other &&
                     other->closed && other->error == BRAID_OK && run->last_lost > 0;
    if (expected != SIM_ANY_END && e->error != expected && !told_late) {
        sim_fail(world, "the %s end closed with %d (%s) instead of %d", side_name(side), e->error,
                 braid_strerror(e->error), expected);
    }
    if (expected == SIM_ANY_END && e->error != BRAID_OK && !explained(run, pair, e)) {
        sim_fail(world, "the %s end closed with %d (%s), which nothing explains", side_name(side),
                 e->error, braid_strerror(e->error));
    }
}

static void judge_intruder(struct sim_run *run, const struct sim_pair *pair)
{
    const struct sim_endpoint *e = pair->ends[0];

    if (!e->closed || e->error == BRAID_OK || e->established || e->app.received > 0) {
        sim_fail(&run->world, "the intruder was let in");
    }
}

static void judge_pair(struct sim_run *run, const struct sim_pair *pair)
{
    const struct sim_endpoint *local = pair->ends[0];
    const struct sim_endpoint *remote = pair->ends[1];

    if (!local) { /* memory was short before it began */
        if (!run->starved) {
            sim_fail(&run->world, "a session was not made");
        }
        return;
    }
    if (pair->intruder) {
        judge_intruder(run, pair);
        return;
    }
    judge_end(run, pair, 0);
    if (remote) {
        judge_end(run, pair, 1);
    } else if (local->error == BRAID_OK) {
        sim_fail(&run->world, "the local end closed in order and there was no remote one");
    }
}

/* ---- the scenario's own bounds ---- */

static void judge_gap(struct sim_run *run, const struct sim_endpoint *e)
{
    uint64_t most = run->scenario->max_gap;

    if (run->longest_gap < e->app.longest_gap) {
        run->longest_gap = e->app.longest_gap;
    }

    if (most && e->app.longest_gap > most) {
        sim_fail(&run->world, "the %s application waited %llu us for the next byte, not %llu",
                 side_name(e->side), (unsigned long long)e->app.longest_gap,
                 (unsigned long long)most);
    }
}

static void judge_goodput(struct sim_run *run)
{
    const struct sim_scenario *scenario = run->scenario;
    uint64_t goodput = sim_run_goodput(run);
    uint64_t sum = 0;

    for (unsigned i = 0; i < run->path_count; i++) {
        sum += scenario->paths[i].rate;
    }
    if (goodput * 1000 < sum * scenario->goodput) {
        sim_fail(&run->world, "goodput was %llu bit/s, %llu thousandths of the sum of the paths",
                 (unsigned long long)goodput, (unsigned long long)(goodput * 1000 / sum));
    }
    if (scenario->versus.percent > 0) {
        uint64_t bytes = run->counters.bytes;
        uint64_t plain =
            sim_plain_transfer(&scenario->paths[scenario->versus.path], bytes, run->world.seed);
        if (run->last_byte * scenario->versus.percent > plain * 100) {
            sim_fail(&run->world, "%llu bytes took %llu us, plain TCP over path %u alone %llu us",
                     (unsigned long long)bytes, (unsigned long long)run->last_byte,
                     scenario->versus.path, (unsigned long long)plain);
        }
    }
}

static void judge_uses(struct sim_run *run)
{
    for (unsigned i = 0; i < SIM_USES_MAX; i++) {
        const struct sim_use *use = &run->scenario->uses[i];
        if (run->used[i] < use->least || (use->most && run->used[i] > use->most)) {
            sim_fail(&run->world, "%llu bytes went over path %u from %.3f to %.3f s",
                     (unsigned long long)run->used[i], use->path, (double)use->from / 1e6,
                     (double)use->until / 1e6);
        }
    }
}

static void judge_bounds(struct sim_run *run)
{
    const struct sim_scenario *scenario = run->scenario;
    const struct sim_counters *c = &run->counters;
    struct sim_world *world = &run->world;

    for (unsigned side = 0; side < 2; side++) {
        if (run->pairs[0].ends[side]) {
            judge_gap(run, run->pairs[0].ends[side]);
        }
    }
    if (scenario->max_first_byte && run->first_byte > scenario->max_first_byte) {
        sim_fail(world, "the first byte came after %llu us", (unsigned long long)run->first_byte);
    }
    if (scenario->max_dials && c->dials > scenario->max_dials) {
        sim_fail(world, "%llu subflows were dialled", (unsigned long long)c->dials);
    }
    if (c->dials < scenario->min_dials) {
        sim_fail(world, "only %llu subflows were dialled", (unsigned long long)c->dials);
    }
    if (c->refused < scenario->min_refused) {
        sim_fail(world, "only %llu subflows were refused", (unsigned long long)c->refused);
    }
    judge_goodput(run);
    judge_uses(run);
    if (scenario->max_round_trip && run->round_trip > scenario->max_round_trip) {
        sim_fail(world, "a response took %llu us, half of them less",
                 (unsigned long long)run->round_trip);
    }
    if (scenario->max_resent && c->resent * 1000 > c->bytes * scenario->max_resent) {
        sim_fail(world, "%llu bytes were sent again", (unsigned long long)c->resent);
    }
}

void sim_verdict(struct sim_run *run)
{
    for (unsigned i = 0; i < run->pair_count && !run->world.failed; i++) {
        judge_pair(run, &run->pairs[i]);
    }
    if (!run->world.failed) {
        judge_bounds(run);
    }
}
