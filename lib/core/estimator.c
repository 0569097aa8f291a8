/* SPDX-License-Identifier: MIT */
#include "estimator.h"

#include "session.h"

#define RATE_UNKNOWN 1250000u /* 10 Mbit/s: what a fresh subflow is taken for */
#define MEASURE_MIN 20000u    /* microseconds of one rate measurement, or a round trip */
#define MEASURE_MIN_NEW 5000u /* the same while slow start goes on */
#define MEASURE_MAX 60000000u /* a longer one says nothing */
#define PLATEAU 3u            /* measurements without growth: slow start is over (as BBR has it) */
#define QUEUE_TIME 15000u     /* microseconds that a path may have in its queue because of us */
#define QUEUE_SEEN 2000u      /* microseconds and half a round trip more: a queue, not chance */
#define SEGMENTS_MIN 8u       /* on their way: fewer are no queue of ours to speak of */
#define DELAYED_ACK 30000u    /* microseconds: sooner than that, it was no delayed one */
#define PAUSE_EPOCH 2000000u
#define PATIENCE_MIN 60000u
#define PATIENCE_MAX 500000u
#define PATIENCE_SPARE 40000u

static bool sees_queue(const struct braid_estimator *e)
{
    return e->rtt > e->min_rtt + e->min_rtt / 2 + QUEUE_SEEN;
}

/*
 * Whether it is our own bytes that queue, though they are few: at this rate they take as long as
 * the round trip shows. Another's queue makes only the round trip long, a burst only the time.
 */
static bool queues_itself(const struct braid_estimator *e, uint64_t rate)
{
    return sees_queue(e) && e->unacked >= SEGMENTS_MIN && 2 * e->outq * 1000000 >= e->rtt * rate;
}

/* Slow start is over when the rate has stopped growing, or the queue does so in its place. */
static void note_growth(struct braid_estimator *e, uint64_t measured)
{
    if (measured > e->best + e->best / 4) {
        e->best = measured;
        e->plateau = 0;
    } else if (e->plateau < PLATEAU) {
        e->plateau++;
    }
    if (sees_queue(e))
        e->plateau = PLATEAU;
}

/*
 * The mean of what is measured: a lost packet or a clump of acknowledgements is no other path. But
 * what has changed altogether is followed at once, and falls are when the next one confirms them.
 */
static void note_rate(struct braid_estimator *e, uint64_t measured, bool full)
{
    if (measured >= e->rate) {
        bool jump = e->plateau < PLATEAU || measured > e->rate + e->rate / 4;

        e->low = 0;
        if (e->rate == 0)
            e->rate = measured;
        else
            e->rate = jump ? (e->rate + measured) / 2 : (7 * e->rate + measured) / 8;
    } else if (full) {
        bool drop = ++e->low > 1 && measured < e->rate - e->rate / 4;

        e->rate = drop ? (3 * e->rate + measured) / 4 : (7 * e->rate + measured) / 8;
    }
}

/*
 * One measurement lasts a round trip or so. full: whether the path has had as much as it should
 * have all the time; if not, what was slower was the application, or the scheduler.
 */
static void measure_rate(struct braid_estimator *e, uint64_t arrived, bool full, uint64_t now)
{
    uint64_t elapsed = now - e->rate_start;
    uint64_t least = e->plateau < PLATEAU ? MEASURE_MIN_NEW : MEASURE_MIN;
    uint64_t round = e->plateau < PLATEAU ? e->rtt : e->min_rtt;
    uint64_t measured;

    e->full = e->full && full;
    if (e->rate_start != 0 && elapsed < MEASURE_MAX) {
        if (elapsed < least || elapsed < round)
            return;
        if (arrived > e->rate_arrived) {
            measured = (arrived - e->rate_arrived) * 1000000 / elapsed;
            if (e->full)
                note_growth(e, measured);
            else if (queues_itself(e, measured > e->rate ? measured : e->rate))
                e->plateau = PLATEAU; /* it will never be full */
            if (e->full || measured > e->rate)
                note_rate(e, measured, e->full);
        }
    }
    e->full = full;
    e->rate_start = now;
    e->rate_arrived = arrived;
}

/* One round trip in eight the path may have more, if it delivers what it has. */
static void note_reach(struct braid_estimator *e, uint64_t now)
{
    uint64_t span = e->rtt > MEASURE_MIN ? e->rtt : MEASURE_MIN;

    if (now < e->reach_at || (!e->reaching && braid_estimator_silence(e, now) > span))
        return;
    e->reaching = !e->reaching;
    e->reach_at = now + (e->reaching ? span : 7 * span);
}

static void note_pause(struct braid_estimator *e, uint64_t pause, uint64_t now)
{
    if (now - e->pause_start >= PAUSE_EPOCH) {
        e->pause[0] = now - e->pause_start < 2 * PAUSE_EPOCH ? e->pause[1] : 0;
        e->pause[1] = 0;
        e->pause_start = now;
    }
    if (pause > e->pause[1] && pause <= 2 * braid_estimator_patience(e))
        e->pause[1] = pause; /* what was longer was no pause, but an outage */
}

/* Whether the socket holds what the path should have on its way, or nearly: see QUEUE_TIME. */
static bool is_full(const struct braid_estimator *e)
{
    uint64_t most = braid_estimator_cap(e);

    if (most > e->window)
        most = e->window;
    return e->outq > 0 && e->outq >= most / 4 * 3;
}

/*
 * The last segment or two before a path went silent are acknowledged late, by the delayed-ACK timer
 * of the peer's kernel (RFC 9293, 3.8.6.3): no life, with more than these on their way.
 */
static bool is_straggler(const struct braid_estimator *e, const struct braid_sample *sample,
                         uint64_t now)
{
    return sample->delivered > 0 && sample->delivered <= e->delivered + 2 && e->waiting &&
           !e->straggled && e->unacked > 4 && now - e->moved > DELAYED_ACK;
}

bool braid_estimator_sample(struct braid_estimator *e, const struct braid_sample *sample,
                            uint64_t now)
{
    /* Where TCP does not count the segments that arrived, acknowledged bytes do. */
    uint64_t delivered = sample->delivered > 0 ? sample->delivered : sample->bytes_acked;
    uint64_t arrived = sample->bytes_acked + (uint64_t)sample->sacked * sample->mss;
    bool moved = delivered > e->delivered && !is_straggler(e, sample, now);

    e->sampled = true;
    e->rtt = sample->rtt;
    e->rttvar = sample->rttvar;
    if (sample->min_rtt > 0)
        e->min_rtt = sample->min_rtt;
    e->window = (uint64_t)sample->cwnd * sample->mss;
    if (sample->rtt > 0)
        e->window_rate = e->window * 1000000 / sample->rtt;
    e->outq = sample->outq;
    e->backoff = sample->backoff;
    if (moved && e->waiting)
        note_pause(e, now - e->moved, now);
    if (moved || !e->waiting)
        e->moved = now;
    e->straggled = !moved && delivered > e->delivered;
    e->waiting = sample->unacked > 0;
    e->unacked = sample->unacked;
    e->delivered = delivered;
    measure_rate(e, arrived, is_full(e), now);
    note_reach(e, now);
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
    if (!e->sampled || e->waiting)
        return;
    e->waiting = true;
    e->moved = now;
    if (now - e->pause_start >= 2 * PAUSE_EPOCH)
        e->pause[0] = e->pause[1] = 0; /* of a time long gone */
}

void braid_estimator_arrived(struct braid_estimator *e, uint64_t now)
{
    e->moved = now;
}

void braid_estimator_burst(struct braid_estimator *e, uint64_t n, uint64_t elapsed)
{
    if (e->sampled && n >= BRAID_BURST_LEAST && elapsed > e->min_rtt)
        e->burst = n * 1000000 / (elapsed - e->min_rtt);
}

uint64_t braid_estimator_rate(const struct braid_estimator *e)
{
    uint64_t rate = e->rate, guess = e->window_rate;

    /*
     * While slow start goes on, what was measured is half of what is to come, unless it is filling
     * a queue already. The window alone promises too much on a short and narrow path.
     */
    if (e->best == 0 && e->burst != 0 && guess > e->burst)
        guess = e->burst;
    if (e->best != 0 && guess > 2 * e->best)
        guess = 2 * e->best;
    if (e->best != 0 && sees_queue(e))
        guess = e->best;
    if (e->plateau < PLATEAU && guess > rate)
        rate = guess;
    return rate != 0 ? rate : RATE_UNKNOWN;
}

uint64_t braid_estimator_arrival(const struct braid_estimator *e, uint64_t queued, uint64_t n)
{
    uint64_t rate = braid_estimator_rate(e);
    uint64_t acked = (queued + n) * 1000000 / rate, empty = n * 1000000 / rate + e->min_rtt;

    return (acked > empty ? acked : empty) - e->min_rtt / 2;
}

uint64_t braid_estimator_alone(const struct braid_estimator *e, uint64_t queued, uint64_t n)
{
    uint64_t linear = braid_estimator_arrival(e, queued, n);
    uint64_t at = e->min_rtt / 2, flight = e->window;

    if (e->plateau >= PLATEAU || flight == 0 || e->rtt == 0)
        return linear;
    for (n += queued; n > flight && at < linear; flight *= 2) {
        n -= flight;
        at += e->rtt;
    }
    at += n * e->rtt / flight;
    return at < linear ? at : linear;
}

uint64_t braid_estimator_cap(const struct braid_estimator *e)
{
    uint64_t cap;

    if (e->rate == 0 || e->plateau < PLATEAU)
        return UINT64_MAX;
    cap = e->rate * (e->min_rtt + e->min_rtt / 8 + QUEUE_TIME) / 1000000;
    if (cap == 0)
        return 1; /* nothing would ever measure it again */
    return e->reaching ? cap + cap / 2 : cap;
}

bool braid_estimator_in_slow_start(const struct braid_estimator *e)
{
    return e->plateau < PLATEAU;
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
