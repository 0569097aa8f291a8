/* SPDX-License-Identifier: MIT */
#include "flow.h"

#include "wire.h"

#define WINDOW_START (512u * 1024u)
#define WINDOW_SPARE (256u * 1024u) /* for acknowledgements that come in batches */
#define EPOCH_MIN 5000u             /* microseconds; shorter ones measure the scheduler's mood */
#define DELAY_SPARE 1000u           /* what an endpoint itself adds to a round trip */

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void braid_flow_init(struct braid_flow *flow, uint64_t window_max, uint64_t now)
{
    flow->limit = BRAID_INITIAL_LIMIT;
    flow->window_max = window_max;
    flow->window = min64(WINDOW_START, window_max);
    flow->epoch_start = now;
    flow->epoch_drained = 0;
    flow->widened_at = now;
}

void braid_flow_init_small(struct braid_flow *flow, uint64_t window_max, uint64_t now)
{
    braid_flow_init(flow, window_max, now);
    flow->window = min64(BRAID_INITIAL_LIMIT, window_max);
}

void braid_flow_drained(struct braid_flow *flow, uint64_t drained, uint64_t round_trip,
                        uint64_t now)
{
    uint64_t elapsed = now - flow->epoch_start;
    uint64_t taken = drained - flow->epoch_drained;
    uint64_t wanted;

    if (elapsed < EPOCH_MIN || elapsed < round_trip)
        return;
    /* Epochs longer than a minute say nothing about rate, and must not overflow below. */
    wanted = elapsed > 60000000 ? 0 : 3 * taken * (round_trip + DELAY_SPARE) / elapsed;
    wanted = min64(wanted + WINDOW_SPARE, flow->window_max);
    if (wanted > flow->window)
        flow->window = wanted;
    flow->epoch_start = now;
    flow->epoch_drained = drained;
}

void braid_flow_gap(struct braid_flow *flow, uint64_t received, uint64_t round_trip, uint64_t now)
{
    if (flow->limit - received >= flow->window / 4 ||
        now - flow->widened_at < round_trip + DELAY_SPARE)
        return;
    flow->window = flow->window > flow->window_max / 2 ? flow->window_max : 2 * flow->window;
    flow->widened_at = now;
}

void braid_flow_want(struct braid_flow *flow, uint64_t bytes)
{
    uint64_t wanted = min64(bytes, flow->window_max);

    if (wanted > flow->window)
        flow->window = wanted;
}

uint64_t braid_flow_next_limit(const struct braid_flow *flow, uint64_t drained)
{
    uint64_t limit = drained + flow->window;

    return limit > flow->limit ? limit : flow->limit;
}

bool braid_flow_worth_telling(const struct braid_flow *flow, uint64_t drained, uint64_t received)
{
    uint64_t gain = braid_flow_next_limit(flow, drained) - flow->limit;

    if (gain >= flow->window / 4)
        return true;
    /* The peer is about to run dry: every frame's worth counts. */
    return flow->limit - received < flow->window / 4 && gain >= flow->window / 8;
}
