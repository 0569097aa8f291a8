/* SPDX-License-Identifier: MIT */
#include "estimator.h"

#include "session.h"

#define RATE_UNKNOWN 1250000u /* 10 Mbit/s: what a fresh subflow is taken for */
#define MEASURE_MIN 20000u    /* microseconds of one rate measurement, or a round trip */
#define MEASURE_MAX 60000000u /* a longer one says nothing */
#define PLATEAU 3u            /* measurements without growth: slow start is over (as BBR has it) */
#define QUEUE_TIME 15000u     /* microseconds that a path may have in its queue because of us */
#define PAUSE_EPOCH 2000000u
#define PATIENCE_MIN 60000u
#define PATIENCE_MAX 500000u
#define PATIENCE_SPARE 40000u

static void note_growth(struct braid_estimator *e, uint64_t measured)
{
    if (measured > e->best + e->best / 4) {
        e->best = measured;
        e->plateau = 0;
    } else if (e->plateau < PLATEAU) {
        e->plateau++;
    }
}

/* Follows rises at once and falls slowly: one lost packet or late sample is no slower path. */
static void note_rate(struct braid_estimator *e, uint64_t measured, bool busy)
{
    if (measured >= e->rate)
        e->rate = e->rate == 0 ? measured : (e->rate + measured) / 2;
    else if (busy)
        e->rate = (7 * e->rate + measured) / 8;
}

static void measure_rate(struct braid_estimator *e, uint64_t delivered, bool busy, uint64_t now)
{
    uint64_t elapsed = now - e->rate_start;
    uint64_t measured;

    if (e->rate_start != 0 && elapsed < MEASURE_MAX && (elapsed < MEASURE_MIN || elapsed < e->rtt))
        return;
    if (e->rate_start != 0 && elapsed < MEASURE_MAX && delivered > e->rate_delivered) {
        measured = (delivered - e->rate_delivered) * 1000000 / elapsed;
        if (busy)
            note_growth(e, measured);
        if (busy || measured > e->rate)
            note_rate(e, measured, busy);
    }
    e->rate_start = now;
    e->rate_delivered = delivered;
}

static void note_pause(struct braid_estimator *e, uint64_t pause, uint64_t now)
{
    if (now - e->pause_start >= PAUSE_EPOCH) {
        e->pause[0] = now - e->pause_start < 2 * PAUSE_EPOCH ? e->pause[1] : 0;
        e->pause[1] = 0;
        e->pause_start = now;
    }
    if (pause > e->pause[1])
        e->pause[1] = pause;
}

/* TCP counts segments that arrived, SACKed ones too; where it does not, acknowledged bytes do. */
static uint64_t delivered_bytes(const struct braid_sample *sample)
{
    return sample->delivered > 0 ? sample->delivered * sample->mss : sample->bytes_acked;
}

bool braid_estimator_sample(struct braid_estimator *e, const struct braid_sample *sample, bool busy,
                            uint64_t now)
{
    uint64_t delivered = delivered_bytes(sample);
    bool moved = delivered > e->delivered;

    e->sampled = true;
    e->rtt = sample->rtt;
    e->rttvar = sample->rttvar;
    if (sample->min_rtt > 0)
        e->min_rtt = sample->min_rtt;
    if (sample->rtt > 0)
        e->window_rate = (uint64_t)sample->cwnd * sample->mss * 1000000 / sample->rtt;
    e->outq = sample->outq;
    e->backoff = sample->backoff;
    if (moved && e->waiting)
        note_pause(e, now - e->moved, now);
    if (moved || !e->waiting)
        e->moved = now;
    e->waiting = sample->unacked > 0;
    e->delivered = delivered;
    measure_rate(e, delivered, busy, now);
    return moved;
}

void braid_estimator_round_trip(struct braid_estimator *e, uint64_t rtt)
{
    e->rtt = e->rtt == 0 ? rtt : (7 * e->rtt + rtt) / 8;
    if (e->min_rtt == 0 || rtt < e->min_rtt)
        e->min_rtt = rtt;
}

void braid_estimator_written(struct braid_estimator *e, uint64_t n, uint64_t now)
{
    e->outq += n;
    if (e->sampled && !e->waiting) {
        e->waiting = true;
        e->moved = now;
    }
}

void braid_estimator_arrived(struct braid_estimator *e, uint64_t now)
{
    e->moved = now;
}

uint64_t braid_estimator_rate(const struct braid_estimator *e)
{
    uint64_t rate = e->rate;

    /* While slow start goes on, what was measured is half of what is to come. */
    if (e->plateau < PLATEAU && e->window_rate > rate)
        rate = e->window_rate;
    return rate != 0 ? rate : RATE_UNKNOWN;
}

uint64_t braid_estimator_arrival(const struct braid_estimator *e, uint64_t queued, uint64_t n)
{
    return (queued + n) * 1000000 / braid_estimator_rate(e) + e->min_rtt / 2;
}

uint64_t braid_estimator_cap(const struct braid_estimator *e)
{
    if (e->rate == 0 || e->plateau < PLATEAU)
        return UINT64_MAX;
    return e->rate * (e->min_rtt + e->min_rtt / 8 + QUEUE_TIME) / 1000000;
}

uint64_t braid_estimator_patience(const struct braid_estimator *e)
{
    uint64_t usual = e->rtt + 4 * e->rttvar + PATIENCE_SPARE;
    uint64_t pause = 3 * (e->pause[0] > e->pause[1] ? e->pause[0] : e->pause[1]);
    uint64_t patience = 2 * e->rtt < usual ? 2 * e->rtt : usual;

    if (patience < pause)
        patience = pause;
    if (patience < PATIENCE_MIN)
        return PATIENCE_MIN;
    return patience > PATIENCE_MAX ? PATIENCE_MAX : patience;
}

uint64_t braid_estimator_silence(const struct braid_estimator *e, uint64_t now)
{
    return e->waiting && now > e->moved ? now - e->moved : 0;
}
