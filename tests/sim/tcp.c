/* SPDX-License-Identifier: MIT */
#include "tcp.h"

#include <stdlib.h>
#include <string.h>

#define RTO_MIN (200 * SIM_MS)
#define RTO_MAX (2 * SIM_SECOND)       /* as TCP_RTO_MAX_MS sets it */
#define USER_TIMEOUT (20 * SIM_SECOND) /* as TCP_USER_TIMEOUT sets it */
#define INITIAL_WINDOW (10u * SIM_MSS)

static void rto_expired(struct sim_pipe *pipe, unsigned side);

static void rto_expired_0(void *arg)
{
    rto_expired(arg, 0);
}

static void rto_expired_1(void *arg)
{
    rto_expired(arg, 1);
}

static void syn_expired(void *arg)
{
    sim_tcp_connect(arg);
}

static struct sim_world *world_of(const struct sim_pipe *pipe)
{
    return pipe->path->world;
}

void sim_tcp_init(struct sim_pipe *pipe)
{
    struct sim_world *world = world_of(pipe);

    sim_timer_init(&pipe->syn, world, syn_expired, pipe);
    for (unsigned side = 0; side < 2; side++) {
        struct sim_flow *flow = &pipe->flows[side];
        flow->cwnd = INITIAL_WINDOW;
        flow->ssthresh = UINT64_MAX;
        sim_timer_init(&flow->rto, world, side ? rto_expired_1 : rto_expired_0, pipe);
    }
}

/* ---- sending ---- */

static bool send_segment(struct sim_pipe *pipe, unsigned side, uint16_t flags, uint64_t offset,
                         uint32_t len)
{
    struct sim_segment *segment = sim_alloc(sizeof(*segment));

    segment->pipe = pipe;
    segment->side = (uint16_t)side;
    segment->flags = flags;
    segment->offset = offset;
    segment->len = len;
    segment->ack = pipe->flows[1 - side].received;
    return sim_path_send(pipe->path, segment);
}

void sim_tcp_connect(struct sim_pipe *pipe)
{
    uint64_t wait = SIM_SECOND << pipe->syns++;

    pipe->flows[0].timed_at = world_of(pipe)->now;
    send_segment(pipe, 0, SIM_SEGMENT_SYN, 0, 0);
    sim_timer_set(&pipe->syn, world_of(pipe)->now + wait);
}

void sim_tcp_send_reset(struct sim_pipe *pipe, unsigned side)
{
    send_segment(pipe, side, SIM_SEGMENT_RST, 0, 0);
}

static uint64_t rto_of(const struct sim_flow *flow)
{
    uint64_t rto = flow->srtt + 4 * flow->rttvar;

    if (flow->srtt == 0) {
        rto = SIM_SECOND; /* nothing was measured yet (RFC 6298) */
    } else if (rto < RTO_MIN) {
        rto = RTO_MIN;
    }
    for (unsigned i = 0; i < flow->backoff && rto < RTO_MAX; i++) {
        rto *= 2;
    }
    return rto < RTO_MAX ? rto : RTO_MAX;
}

static void arm_rto(struct sim_pipe *pipe, struct sim_flow *flow)
{
    if (flow->nxt > flow->una) {
        sim_timer_set(&flow->rto, world_of(pipe)->now + rto_of(flow));
    } else {
        sim_timer_clear(&flow->rto);
    }
}

/* A queue over its limit: the window shrinks, once in a round trip. */
static void slow_down(struct sim_flow *flow)
{
    if (flow->una < flow->recover) {
        return;
    }
    flow->cwnd = flow->cwnd * 7 / 10;
    if (flow->cwnd < 2 * SIM_MSS) {
        flow->cwnd = 2 * SIM_MSS;
    }
    flow->ssthresh = flow->cwnd;
    flow->recover = flow->nxt;
}

void sim_tcp_transmit(struct sim_pipe *pipe, unsigned side)
{
    struct sim_flow *flow = &pipe->flows[side];
    uint64_t end = flow->written + (flow->fin ? 1 : 0);
    bool idle = flow->nxt == flow->una;
    bool marked = false;

    if (flow->stopped || pipe->stalled || pipe->ends[side].state < SIM_END_OPEN) {
        return;
    }
    while (flow->nxt < end && flow->nxt - flow->una < flow->cwnd) {
        uint64_t len = flow->nxt < flow->written ? flow->written - flow->nxt : 0;
        uint16_t flags = SIM_SEGMENT_ACK;
        if (len > pipe->burst) {
            len = pipe->burst;
        }
        if (flow->nxt + len == flow->written && flow->fin) {
            flags |= SIM_SEGMENT_FIN;
        }
        marked |= send_segment(pipe, side, flags, flow->nxt, (uint32_t)len);
        if (!flow->timing && flow->nxt >= flow->sent) {
            flow->timing = true;
            flow->timed_offset = flow->nxt + len;
            flow->timed_at = world_of(pipe)->now;
        }
        flow->nxt += len + (flags & SIM_SEGMENT_FIN ? 1 : 0);
        if (flow->sent < flow->nxt) {
            flow->sent = flow->nxt;
        }
    }
    if (marked) {
        slow_down(flow);
    }
    if (idle && flow->nxt > flow->una) {
        flow->progress = world_of(pipe)->now;
    }
    if (flow->rto.slot == 0) {
        arm_rto(pipe, flow);
    }
    sim_tcp_check_write(pipe, side);
}

static void rto_expired(struct sim_pipe *pipe, unsigned side)
{
    struct sim_flow *flow = &pipe->flows[side];
    struct sim_world *world = world_of(pipe);

    if (flow->stopped) {
        return;
    }
    if (world->now - flow->progress >= USER_TIMEOUT) {
        sim_tcp_die(pipe, side);
        return;
    }
    flow->backoff++;
    flow->ssthresh = flow->cwnd / 2 > 2 * SIM_MSS ? flow->cwnd / 2 : 2 * SIM_MSS;
    flow->cwnd = SIM_MSS;
    flow->recover = flow->sent;
    flow->nxt = flow->una;
    flow->timing = false;
    flow->dupacks = 0;
    sim_note(world, SIM_NOTE_RTO, pipe->number, side, flow->backoff);
    sim_tcp_transmit(pipe, side);
    if (flow->rto.slot == 0) { /* stalled: nothing was sent */
        sim_timer_set(&flow->rto, world->now + rto_of(flow));
    }
}

/* ---- ends of life ---- */

void sim_tcp_stop(struct sim_pipe *pipe, unsigned side)
{
    pipe->flows[side].stopped = true;
    sim_timer_clear(&pipe->flows[side].rto);
}

static void notify(struct sim_pipe *pipe, unsigned side)
{
    if (pipe->ends[side].notify) {
        pipe->ends[side].notify(pipe->ends[side].arg);
    }
}

void sim_tcp_die(struct sim_pipe *pipe, unsigned side)
{
    struct sim_end *end = &pipe->ends[side];

    sim_tcp_stop(pipe, side);
    if (side == 0) {
        sim_timer_clear(&pipe->syn);
    }
    if (end->state != SIM_END_CLOSED) {
        end->state = SIM_END_DEAD;
        notify(pipe, side);
    }
}

/* ---- receiving ---- */

void sim_tcp_release(struct sim_flow *flow)
{
    uint64_t keep = flow->una < flow->read ? flow->una : flow->read;

    if (flow->base < keep) {
        flow->base = keep < flow->written ? keep : flow->written;
    }
}

void sim_tcp_check_write(struct sim_pipe *pipe, unsigned side)
{
    struct sim_end *end = &pipe->ends[side];

    if (end->want_write && sim_pipe_unsent(pipe, side) < end->write_mark &&
        sim_pipe_space(pipe, side) > 0) {
        end->want_write = false;
        notify(pipe, side);
    }
}

static void measure_rtt(struct sim_flow *flow, uint64_t rtt)
{
    if (flow->srtt == 0) {
        flow->srtt = rtt;
        flow->rttvar = rtt / 2;
        flow->min_rtt = rtt;
        return;
    }
    uint64_t off = rtt > flow->srtt ? rtt - flow->srtt : flow->srtt - rtt;
    flow->rttvar = (3 * flow->rttvar + off) / 4;
    flow->srtt = (7 * flow->srtt + rtt) / 8;
    if (rtt < flow->min_rtt) {
        flow->min_rtt = rtt;
    }
}

static void grow_window(struct sim_flow *flow, uint64_t acked, uint64_t in_flight)
{
    if (in_flight * 2 < flow->cwnd) {
        return; /* not what limits */
    }
    if (flow->cwnd < flow->ssthresh) {
        flow->cwnd += acked;
    } else {
        flow->cwnd += 1 + SIM_MSS * acked / flow->cwnd;
    }
}

static void duplicate_ack(struct sim_pipe *pipe, unsigned side)
{
    struct sim_flow *flow = &pipe->flows[side];

    if (flow->nxt == flow->una || ++flow->dupacks != 3 || flow->una < flow->recover) {
        return;
    }
    flow->recover = flow->sent;
    flow->ssthresh = flow->cwnd / 2 > 2 * SIM_MSS ? flow->cwnd / 2 : 2 * SIM_MSS;
    flow->cwnd = flow->ssthresh;
    flow->nxt = flow->una;
    flow->timing = false;
    sim_tcp_transmit(pipe, side);
}

static void take_ack(struct sim_pipe *pipe, unsigned side, const struct sim_segment *segment)
{
    struct sim_flow *flow = &pipe->flows[side];
    uint64_t now = world_of(pipe)->now;
    uint64_t acked = segment->ack - flow->una, segments;

    if (segment->ack <= flow->una) {
        if (segment->ack == flow->una && segment->len == 0) {
            flow->sacked++; /* SACK would say so */
            flow->delivered++;
            duplicate_ack(pipe, side);
        }
        return;
    }
    grow_window(flow, acked, flow->nxt - flow->una);
    flow->una = segment->ack;
    if (flow->nxt < flow->una) {
        flow->nxt = flow->una;
    }
    segments = (acked + SIM_MSS - 1) / SIM_MSS;
    flow->delivered += segments > flow->sacked ? segments - flow->sacked : 0;
    flow->sacked -= flow->sacked < segments ? flow->sacked : segments;
    flow->progress = now;
    flow->backoff = 0;
    flow->dupacks = 0;
    if (flow->timing && flow->una >= flow->timed_offset) {
        flow->timing = false;
        measure_rtt(flow, now - flow->timed_at);
    }
    sim_tcp_release(flow);
    arm_rto(pipe, flow);
    sim_tcp_transmit(pipe, side);
}

static void take_data(struct sim_pipe *pipe, unsigned side, const struct sim_segment *segment)
{
    struct sim_flow *flow = &pipe->flows[segment->side];
    uint64_t end = segment->offset + segment->len + (segment->flags & SIM_SEGMENT_FIN ? 1 : 0);

    if (end == segment->offset) {
        return;
    }
    if (pipe->ends[side].state == SIM_END_CLOSED && segment->len > 0) {
        sim_tcp_stop(pipe, side);
        sim_tcp_send_reset(pipe, side);
        return;
    }
    if (segment->offset <= flow->received && end > flow->received) {
        flow->received = end;
        if (pipe->ends[side].state == SIM_END_CLOSED) {
            flow->read = flow->written;
        }
        notify(pipe, side);
    }
    send_segment(pipe, side, SIM_SEGMENT_ACK, 0, 0);
}

static void take_syn(struct sim_pipe *pipe, unsigned side, const struct sim_segment *segment)
{
    struct sim_end *end = &pipe->ends[side];

    if (side == 0) {
        if (end->state == SIM_END_CONNECTING) {
            end->state = SIM_END_OPEN;
            sim_timer_clear(&pipe->syn);
            if (pipe->syns == 1) {
                measure_rtt(&pipe->flows[0], world_of(pipe)->now - pipe->flows[0].timed_at);
            }
            send_segment(pipe, 0, SIM_SEGMENT_ACK, 0, 0);
            notify(pipe, 0);
        } else if (end->state == SIM_END_CLOSED && segment->flags & SIM_SEGMENT_ACK) {
            sim_tcp_send_reset(pipe, 0);
        }
        return;
    }
    if (end->state == SIM_END_FRESH) {
        end->state = SIM_END_OPEN;
        if (pipe->path->refusing || !pipe->path->accept(pipe, pipe->path->accept_arg)) {
            end->state = SIM_END_DEAD;
        }
    }
    if (end->state == SIM_END_OPEN) {
        pipe->flows[1].timed_at = world_of(pipe)->now;
        send_segment(pipe, 1, SIM_SEGMENT_SYN | SIM_SEGMENT_ACK, 0, 0);
    } else {
        sim_tcp_send_reset(pipe, 1);
    }
}

void sim_pipe_deliver(struct sim_segment *segment)
{
    struct sim_pipe *pipe = segment->pipe;
    unsigned side = 1u - segment->side;
    struct sim_end *end = &pipe->ends[side];

    if (segment->flags & SIM_SEGMENT_RST) {
        sim_tcp_die(pipe, side);
    } else if (segment->flags & SIM_SEGMENT_SYN) {
        take_syn(pipe, side, segment);
    } else if (end->state == SIM_END_DEAD) {
        if (segment->len > 0) {
            sim_tcp_send_reset(pipe, side);
        }
    } else {
        if (side == 1 && pipe->flows[1].srtt == 0 && pipe->flows[1].sent == 0) {
            measure_rtt(&pipe->flows[1], world_of(pipe)->now - pipe->flows[1].timed_at);
        }
        if (!pipe->flows[side].stopped) {
            take_ack(pipe, side, segment);
        }
        take_data(pipe, side, segment);
    }
    free(segment);
}

void sim_tcp_sample(const struct sim_pipe *pipe, unsigned side, struct braid_sample *sample)
{
    const struct sim_flow *flow = &pipe->flows[side];

    memset(sample, 0, sizeof(*sample));
    sample->rtt = (uint32_t)flow->srtt;
    sample->rttvar = (uint32_t)flow->rttvar;
    sample->min_rtt = (uint32_t)flow->min_rtt;
    sample->cwnd = (uint32_t)(flow->cwnd / SIM_MSS);
    sample->mss = SIM_MSS;
    sample->outq = flow->written > flow->una ? (uint32_t)(flow->written - flow->una) : 0;
    sample->unacked = flow->nxt > flow->una ? (uint32_t)((flow->nxt - flow->una) / SIM_MSS + 1) : 0;
    sample->bytes_acked = flow->una;
    sample->delivered = flow->delivered;
    sample->backoff = flow->backoff;
}
