/* SPDX-License-Identifier: MIT */
#include "congestion.h"

#include <string.h>

#include "world.h"

#define WINDOW_MIN 2u
#define BETA 717u /* of 1024: what is left of the window after a loss */
#define SCALE 1024u
#define RENO_GAIN                                                                                  \
    15u /* eighths of a window: acknowledged bytes that Reno, with that beta, wants                \
         */

#define HYSTART_WINDOW 16u
#define HYSTART_SAMPLES 8u
#define HYSTART_TRAIN (2 * SIM_MS) /* acknowledgements closer than that are one train */
#define HYSTART_MIN (4 * SIM_MS)
#define HYSTART_MAX (16 * SIM_MS)

static uint32_t max32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void sim_congestion_init(struct sim_congestion *c)
{
    memset(c, 0, sizeof(*c));
    c->cwnd = SIM_WINDOW_START;
    c->ssthresh = UINT32_MAX;
}

/* ---- what was sent ---- */

static bool is_limited(const struct sim_congestion *c)
{
    return c->limited || (c->cwnd < c->ssthresh && c->cwnd < 2 * c->out);
}

/* Less was wanted than allowed for a whole time-out: half of the rest fades. */
static void fade(struct sim_congestion *c)
{
    uint32_t used = max32(c->used, SIM_WINDOW_START);

    if (used < c->cwnd) {
        c->ssthresh = max32(c->ssthresh, c->cwnd / 2 + c->cwnd / 4);
        c->cwnd = (c->cwnd + used) / 2;
    }
    c->used = 0;
}

void sim_congestion_sent(struct sim_congestion *c, const struct sim_usage *usage, uint64_t now)
{
    if (usage->una >= c->round_until || usage->limited || (!c->limited && usage->out > c->out)) {
        c->limited = usage->limited;
        c->out = usage->out;
        c->round_until = usage->nxt;
    }
    if (is_limited(c)) {
        c->used = 0;
        c->used_at = now;
        return;
    }
    c->used = max32(c->used, usage->out);
    if (now - c->used_at >= usage->rto) {
        if (!usage->waits) {
            fade(c);
        }
        c->used_at = now;
    }
}

void sim_congestion_restart(struct sim_congestion *c, uint64_t idle, uint64_t rto)
{
    if (c->epoch) {
        c->epoch += idle / SIM_MS;
    }
    c->ssthresh = max32(c->ssthresh, c->cwnd / 2 + c->cwnd / 4);
    for (; idle > rto && c->cwnd > SIM_WINDOW_START; idle -= rto) {
        c->cwnd = max32(c->cwnd / 2, SIM_WINDOW_START);
    }
    c->used = 0;
}

/* ---- HyStart: the end of slow start before the queue is full ---- */

static uint64_t hystart_spare(uint64_t shortest)
{
    uint64_t spare = shortest / 8;

    return spare < HYSTART_MIN ? HYSTART_MIN : spare > HYSTART_MAX ? HYSTART_MAX : spare;
}

static void watch_slow_start(struct sim_congestion *c, uint64_t rtt, uint64_t now)
{
    struct sim_hystart *h = &c->hystart;
    bool found = false;

    if (now - h->ack_at <= HYSTART_TRAIN) {
        h->ack_at = now;
        found = now - h->round_at > (c->shortest + SIM_MS) / 2;
    }
    if (rtt < h->shortest) {
        h->shortest = rtt;
    }
    if (h->samples < HYSTART_SAMPLES) {
        h->samples++;
    } else if (h->shortest > c->shortest + hystart_spare(c->shortest)) {
        found = true;
    }
    if (found) {
        c->ssthresh = c->cwnd;
    }
}

void sim_congestion_rtt(struct sim_congestion *c, uint64_t rtt, uint64_t una, uint64_t nxt,
                        uint64_t now)
{
    struct sim_hystart *h = &c->hystart;

    if (c->epoch && now / SIM_MS - c->epoch < 1000) {
        return; /* right after a recovery */
    }
    if (c->shortest == 0 || rtt < c->shortest) {
        c->shortest = rtt;
    }
    if (una > h->round_end) {
        *h = (struct sim_hystart){nxt, now, now, UINT64_MAX, 0};
    }
    if (c->cwnd < c->ssthresh && c->cwnd >= HYSTART_WINDOW) {
        watch_slow_start(c, rtt, now);
    }
}

/* ---- CUBIC ---- */

static uint64_t cube_root(uint64_t x)
{
    uint64_t low = 0, high = 2000000;

    while (low < high) {
        uint64_t middle = (low + high + 1) / 2;
        if (middle * middle * middle <= x) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

static void begin_epoch(struct sim_congestion *c, uint32_t acked, uint64_t ms)
{
    c->epoch = ms;
    c->reno = c->cwnd;
    c->reno_acked = acked;
    c->origin = max32(c->last_max, c->cwnd);
    /* 0.4 segments a second cubed, in ms */
    c->inflection = cube_root((uint64_t)(c->origin - c->cwnd) * 2500000000u);
}

/* Where the curve is a round trip from now. */
static uint32_t curve(const struct sim_congestion *c, uint64_t ms)
{
    uint64_t t = ms + c->shortest / SIM_MS - c->epoch;
    uint64_t off = t > c->inflection ? t - c->inflection : c->inflection - t;
    uint32_t far;

    if (off > 500000) {
        off = 500000;
    }
    far = (uint32_t)(off * off * off / 2500000000u);
    if (t > c->inflection) {
        return c->origin + far;
    }
    return far < c->origin ? c->origin - far : 0;
}

/* How many acknowledged segments make the window one larger, not to be slower than Reno. */
static uint32_t reno_pace(struct sim_congestion *c, uint32_t pace)
{
    uint32_t gain = c->cwnd * RENO_GAIN / 8;

    for (; c->reno_acked > gain; c->reno_acked -= gain) {
        c->reno++;
    }
    return c->reno > c->cwnd ? min32(pace, c->cwnd / (c->reno - c->cwnd)) : pace;
}

static uint32_t pace_of(struct sim_congestion *c, uint32_t acked, uint64_t ms)
{
    uint32_t target, pace;

    if (c->epoch == 0) {
        begin_epoch(c, acked, ms);
    } else {
        c->reno_acked += acked;
    }
    target = curve(c, ms);
    pace = target > c->cwnd ? c->cwnd / (target - c->cwnd) : 100 * c->cwnd;
    if (c->last_max == 0) {
        pace = min32(pace, 20);
    }
    return max32(reno_pace(c, pace), 2);
}

void sim_congestion_acked(struct sim_congestion *c, uint32_t segments, uint64_t now)
{
    uint32_t pace;

    if (!is_limited(c)) {
        return;
    }
    if (c->cwnd < c->ssthresh) {
        uint32_t some = min32(segments, c->ssthresh - c->cwnd);
        c->cwnd += some;
        segments -= some;
    }
    if (segments == 0) {
        return;
    }
    pace = pace_of(c, segments, now / SIM_MS);
    if (c->grown >= pace) { /* saved while it grew more slowly */
        c->grown = 0;
        c->cwnd++;
    }
    c->grown += segments;
    c->cwnd += c->grown / pace;
    c->grown %= pace;
}

/* ---- what was lost ---- */

static void cut(struct sim_congestion *c)
{
    c->prior_cwnd = c->cwnd;
    c->prior_ssthresh = c->ssthresh;
    c->epoch = 0;
    c->last_max = c->cwnd < c->last_max ? c->cwnd * (SCALE + BETA) / (2 * SCALE) : c->cwnd;
    c->ssthresh = max32(c->cwnd * BETA / SCALE, WINDOW_MIN);
}

void sim_congestion_recover(struct sim_congestion *c)
{
    cut(c);
    c->prr_delivered = 0;
    c->prr_out = 0;
}

void sim_congestion_reduce(struct sim_congestion *c, uint32_t delivered, uint32_t flying)
{
    uint32_t allowed;

    c->prr_delivered += delivered;
    if (flying > c->ssthresh) {
        uint64_t share = ((uint64_t)c->prr_delivered * c->ssthresh + c->prior_cwnd - 1) /
                         (c->prior_cwnd ? c->prior_cwnd : 1);
        allowed = share > c->prr_out ? (uint32_t)share - c->prr_out : 0;
    } else {
        allowed = c->prr_delivered > c->prr_out ? c->prr_delivered - c->prr_out : 0;
        allowed = min32(c->ssthresh - flying, max32(allowed, delivered) + 1);
    }
    if (c->prr_out == 0) {
        allowed = max32(allowed, 1); /* the first retransmission is not to wait */
    }
    c->cwnd = flying + allowed;
}

void sim_congestion_recovered(struct sim_congestion *c)
{
    c->cwnd = c->ssthresh;
}

void sim_congestion_timeout(struct sim_congestion *c, bool first)
{
    if (first) {
        cut(c);
    }
    c->cwnd = 1;
    c->last_max = 0;
    c->epoch = 0;
    c->shortest = 0;
}

void sim_congestion_undo(struct sim_congestion *c)
{
    c->cwnd = max32(c->cwnd, c->prior_cwnd);
    c->ssthresh = max32(c->ssthresh, c->prior_ssthresh);
}
