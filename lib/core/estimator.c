/* SPDX-License-Identifier: MIT */
#include "estimator.h"

#include "session.h"

#define RATE_UNKNOWN 1250000u /* 10 Mbit/s: what a fresh subflow is taken for */
#define MEASURE_MIN 50000u    /* microseconds of one rate measurement, or a round trip */
#define MEASURE_MAX 60000000u /* nobody looked for so long: begin anew */

static void measure_rate(struct braid_estimator *e, uint64_t bytes_acked, int busy, uint64_t now)
{
    uint64_t elapsed = now - e->rate_start;
    uint64_t measured;

    if (!busy || e->rate_start == 0 || elapsed > MEASURE_MAX) {
        e->rate_start = now;
        e->rate_acked = bytes_acked;
        return;
    }
    if (elapsed < MEASURE_MIN || elapsed < e->rtt)
        return;
    measured = (bytes_acked - e->rate_acked) * 1000000 / elapsed;
    e->rate = e->rate == 0 ? measured : (3 * e->rate + measured) / 4;
    e->rate_start = now;
    e->rate_acked = bytes_acked;
}

int braid_estimator_sample(struct braid_estimator *e, const struct braid_sample *sample, int busy,
                           uint64_t now)
{
    int moved = sample->delivered > e->delivered || sample->bytes_acked > e->bytes_acked;

    e->rtt = sample->rtt;
    e->rttvar = sample->rttvar;
    if (sample->min_rtt > 0)
        e->min_rtt = sample->min_rtt;
    if (sample->rtt > 0)
        e->window_rate = (uint64_t)sample->cwnd * sample->mss * 1000000 / sample->rtt;
    e->outq = sample->outq;
    measure_rate(e, sample->bytes_acked, busy, now);
    e->delivered = sample->delivered;
    e->bytes_acked = sample->bytes_acked;
    return moved;
}

void braid_estimator_round_trip(struct braid_estimator *e, uint64_t rtt)
{
    e->rtt = e->rtt == 0 ? rtt : (7 * e->rtt + rtt) / 8;
    if (e->min_rtt == 0 || rtt < e->min_rtt)
        e->min_rtt = rtt;
}

uint64_t braid_estimator_rate(const struct braid_estimator *e)
{
    uint64_t rate = e->rate != 0 ? e->rate : e->window_rate;

    return rate != 0 ? rate : RATE_UNKNOWN;
}

uint64_t braid_estimator_arrival(const struct braid_estimator *e, uint64_t queued, uint64_t n)
{
    return (queued + n) * 1000000 / braid_estimator_rate(e) + e->min_rtt / 2;
}
