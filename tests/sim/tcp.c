/* SPDX-License-Identifier: MIT */
#include "tcp.h"

#include <stdlib.h>
#include <string.h>

#define RTO_MIN (50 * SIM_MS)          /* as TCP_RTO_MIN_US sets it */
#define RTO_MAX (1 * SIM_SECOND)       /* as TCP_RTO_MAX_MS sets it */
#define USER_TIMEOUT (20 * SIM_SECOND) /* as TCP_USER_TIMEOUT sets it */
#define PROBE_SPARE (2 * SIM_MS)
#define ACK_DELAY (40 * SIM_MS)
#define ACKS_AT_ONCE 16u
#define DUPLICATES 3u   /* segments above a gap that prove it */
#define SYNS_AT_PACE 4u /* go out a second apart, later ones are twice as far apart each time */

static void timer_expired(struct sim_pipe *pipe, unsigned side);
static void ack_expired(struct sim_pipe *pipe, unsigned side);

static void timer_expired_0(void *arg)
{
    timer_expired(arg, 0);
}

static void timer_expired_1(void *arg)
{
    timer_expired(arg, 1);
}

static void ack_expired_0(void *arg)
{
    ack_expired(arg, 0);
}

static void ack_expired_1(void *arg)
{
    ack_expired(arg, 1);
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
    sim_keepalive_init(pipe);
    for (unsigned side = 0; side < 2; side++) {
        struct sim_flow *flow = &pipe->flows[side];
        sim_congestion_init(&flow->congestion);
        flow->at_once = ACKS_AT_ONCE;
        sim_timer_init(&flow->timer, world, side ? timer_expired_1 : timer_expired_0, pipe);
        sim_timer_init(&flow->ack, world, side ? ack_expired_0 : ack_expired_1, pipe);
    }
}

/* ---- segments ---- */

/* A segment of one side; it acknowledges what has come from the other. */
static void send_segment(struct sim_pipe *pipe, unsigned side, uint8_t flags, uint64_t offset,
                         uint32_t len)
{
    struct sim_segment *segment = sim_alloc(sizeof(*segment));
    struct sim_flow *other = &pipe->flows[1 - side];

    segment->pipe = pipe;
    segment->side = (uint8_t)side;
    segment->flags = flags;
    segment->offset = offset;
    segment->len = len;
    segment->ack = other->received;
    segment->sack_count = sim_arrivals_tell(&other->arrivals, segment->sacks);
    segment->stamp = world_of(pipe)->now;
    segment->echo = other->stamp;
    if (other->at_once > 0) {
        /* Who answers data with data has its acknowledgements ride on that from now on. */
        other->at_once = len > 0 && other->ack.slot ? 0 : other->at_once - 1;
    }
    other->told = other->received;
    sim_timer_clear(&other->ack);
    sim_path_send(pipe->path, segment);
}

/* At this side the time is over in which data could have taken the acknowledgement along. */
static void ack_expired(struct sim_pipe *pipe, unsigned side)
{
    if (pipe->ends[side].state != SIM_END_DEAD) {
        send_segment(pipe, side, SIM_SEGMENT_ACK, 0, 0);
    }
}

void sim_tcp_connect(struct sim_pipe *pipe)
{
    unsigned n = pipe->syns++;
    uint64_t wait = SIM_SECOND << (n > SYNS_AT_PACE ? n - SYNS_AT_PACE : 0);

    pipe->flows[0].dialled = world_of(pipe)->now;
    send_segment(pipe, 0, SIM_SEGMENT_SYN, 0, 0);
    sim_timer_set(&pipe->syn, world_of(pipe)->now + wait);
}

void sim_tcp_send_bare(struct sim_pipe *pipe, unsigned side, uint8_t flags)
{
    send_segment(pipe, side, flags, 0, 0);
}

void sim_tcp_send_reset(struct sim_pipe *pipe, unsigned side)
{
    sim_tcp_send_bare(pipe, side, SIM_SEGMENT_RST);
}

/* ---- the timer of a sender ---- */

static uint64_t rto_of(const struct sim_flow *flow)
{
    uint64_t spare = 4 * flow->rttvar > RTO_MIN ? 4 * flow->rttvar : RTO_MIN;
    uint64_t rto = flow->srtt ? flow->srtt + spare : SIM_SECOND;

    for (unsigned i = 0; i < flow->backoff && rto < RTO_MAX; i++) {
        rto *= 2;
    }
    return rto < RTO_MAX ? rto : RTO_MAX;
}

/* Whether a tail loss probe comes before the time-out. */
static bool may_probe(const struct sim_flow *flow)
{
    return flow->state == SIM_FLOW_OPEN && !flow->probed && flow->backoff == 0 && flow->srtt > 0 &&
           flow->board.sacked == 0;
}

static void arm(struct sim_pipe *pipe, struct sim_flow *flow)
{
    uint64_t now = world_of(pipe)->now;
    const struct sim_board *board = &flow->board;
    uint64_t due = flow->timed + rto_of(flow);

    flow->probing = false;
    if (board->count == 0) {
        sim_timer_clear(&flow->timer);
        return;
    }
    if (may_probe(flow)) {
        uint64_t wait = 2 * flow->srtt + (board->count == 1 ? RTO_MIN : PROBE_SPARE);
        flow->probing = true;
        due = sim_board_first(board)->at + rto_of(flow);
        due = now + wait < due ? now + wait : due;
    } else if (flow->state == SIM_FLOW_OPEN && board->sacked > 0) {
        due = now + flow->min_rtt / 4; /* then it was no reordering */
    }
    sim_timer_set(&flow->timer, due);
}

/* ---- sending ---- */

static void resend(struct sim_pipe *pipe, unsigned side, struct sim_sent *sent)
{
    struct sim_flow *flow = &pipe->flows[side];
    uint64_t end = sent->end < flow->written ? sent->end : flow->written;
    uint8_t flags = SIM_SEGMENT_ACK | (sent->end > flow->written ? SIM_SEGMENT_FIN : 0);

    if (flow->resent == 0) {
        flow->resent = world_of(pipe)->now;
    }
    sim_board_resend(&flow->board, sent, world_of(pipe)->now);
    send_segment(pipe, side, flags, sent->start, (uint32_t)(end - sent->start));
}

/* false: there is nothing that was not sent yet. */
static bool send_new(struct sim_pipe *pipe, unsigned side)
{
    struct sim_flow *flow = &pipe->flows[side];
    uint64_t len = flow->written > flow->nxt ? flow->written - flow->nxt : 0;
    uint64_t start = flow->nxt;
    uint8_t flags = SIM_SEGMENT_ACK;

    if (start >= flow->written + (flow->fin ? 1 : 0)) {
        return false;
    }
    if (len > SIM_MSS) {
        len = SIM_MSS;
    }
    if (start + len == flow->written && flow->fin) {
        flags |= SIM_SEGMENT_FIN;
    }
    flow->nxt = start + len + (flags & SIM_SEGMENT_FIN ? 1 : 0);
    flow->sent_at = world_of(pipe)->now;
    sim_board_send(&flow->board, start, flow->nxt, flow->sent_at);
    send_segment(pipe, side, flags, start, (uint32_t)len);
    return true;
}

/* What was lost, then what is new; false: there is neither. */
static bool send_next(struct sim_pipe *pipe, unsigned side)
{
    struct sim_flow *flow = &pipe->flows[side];
    struct sim_sent *lost = sim_board_first_lost(&flow->board);

    if (lost) {
        resend(pipe, side, lost);
    } else if (!send_new(pipe, side)) {
        return false;
    }
    flow->congestion.prr_out++;
    return true;
}

/* Sending begins after nothing was in flight. */
static void begin_sending(struct sim_pipe *pipe, unsigned side)
{
    struct sim_flow *flow = &pipe->flows[side];
    uint64_t now = world_of(pipe)->now;

    flow->progress = now;
    flow->timed = now;
    if (flow->sent_at && now - flow->sent_at > rto_of(flow)) {
        sim_congestion_restart(&flow->congestion, now - flow->sent_at, rto_of(flow));
    }
}

void sim_tcp_transmit(struct sim_pipe *pipe, unsigned side)
{
    struct sim_flow *flow = &pipe->flows[side];
    struct sim_board *board = &flow->board;
    bool sent = false;

    if (flow->stopped || pipe->stalled || pipe->ends[side].state < SIM_END_OPEN) {
        return;
    }
    if (board->count == 0 && flow->nxt < flow->written + (flow->fin ? 1 : 0)) {
        begin_sending(pipe, side);
    }
    while (board->flying < flow->congestion.cwnd && send_next(pipe, side)) {
        sent = true;
    }
    if (sent || board->flying >= flow->congestion.cwnd) {
        struct sim_usage usage = {
            .out = (uint32_t)board->count,
            .limited = board->flying >= flow->congestion.cwnd,
            .waits = pipe->ends[side].want_write,
            .una = flow->una,
            .nxt = flow->nxt,
            .rto = rto_of(flow),
        };
        sim_congestion_sent(&flow->congestion, &usage, world_of(pipe)->now);
    }
    if (sent) {
        arm(pipe, flow);
    }
    sim_tcp_check_write(pipe, side);
}

/* ---- when nothing comes back ---- */

static void send_probe(struct sim_pipe *pipe, unsigned side)
{
    struct sim_flow *flow = &pipe->flows[side];

    sim_note(world_of(pipe), SIM_NOTE_PROBE, pipe->number, side, flow->board.count);
    flow->probed = true;
    flow->timed = world_of(pipe)->now;
    if (!pipe->stalled && !send_new(pipe, side)) {
        resend(pipe, side, sim_board_last(&flow->board));
        flow->resent = 0; /* nothing was given up for it */
    }
    arm(pipe, flow);
}

static void recover(struct sim_pipe *pipe, unsigned side)
{
    struct sim_flow *flow = &pipe->flows[side];

    sim_note(world_of(pipe), SIM_NOTE_RECOVERY, pipe->number, side, flow->congestion.cwnd);
    flow->state = SIM_FLOW_RECOVERY;
    flow->recover = flow->nxt;
    flow->resent = 0;
    sim_congestion_recover(&flow->congestion);
}

static void time_out(struct sim_pipe *pipe, unsigned side)
{
    struct sim_flow *flow = &pipe->flows[side];
    bool first =
        flow->state == SIM_FLOW_OPEN || (flow->state == SIM_FLOW_LOSS && flow->backoff == 0);

    if (first) {
        flow->resent = 0;
    }
    flow->backoff++;
    sim_note(world_of(pipe), SIM_NOTE_RTO, pipe->number, side, flow->backoff);
    sim_congestion_timeout(&flow->congestion, first);
    sim_board_lose_all(&flow->board);
    flow->state = SIM_FLOW_LOSS;
    flow->recover = flow->nxt;
    flow->timed = world_of(pipe)->now;
    sim_tcp_transmit(pipe, side);
    arm(pipe, flow);
}

static void timer_expired(struct sim_pipe *pipe, unsigned side)
{
    struct sim_flow *flow = &pipe->flows[side];

    if (flow->stopped) {
        return;
    }
    if (flow->probing) {
        send_probe(pipe, side);
    } else if (flow->state == SIM_FLOW_OPEN && flow->board.sacked > 0) {
        sim_board_find_lost(&flow->board);
        recover(pipe, side);
        sim_congestion_reduce(&flow->congestion, 0, (uint32_t)flow->board.flying);
        flow->timed = world_of(pipe)->now;
        sim_tcp_transmit(pipe, side);
        arm(pipe, flow);
    } else if (world_of(pipe)->now - flow->progress >= USER_TIMEOUT) {
        sim_tcp_die(pipe, side);
    } else {
        time_out(pipe, side);
    }
}

/* ---- ends of life ---- */

void sim_tcp_stop(struct sim_pipe *pipe, unsigned side)
{
    pipe->flows[side].stopped = true;
    sim_timer_clear(&pipe->flows[side].timer);
    sim_timer_clear(&pipe->flows[1 - side].ack);
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

/* ---- acknowledgements ---- */

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

/* What the acknowledgement says of the segments that were out. */
static void take_news(struct sim_pipe *pipe, unsigned side, const struct sim_segment *segment,
                      struct sim_news *news)
{
    struct sim_flow *flow = &pipe->flows[side];
    uint64_t now = world_of(pipe)->now;

    if (segment->ack > flow->una) {
        sim_board_ack(&flow->board, segment->ack, news);
        flow->una = segment->ack;
        flow->progress = now;
        flow->timed = now;
        flow->backoff = 0;
        flow->probed = false;
        sim_tcp_release(flow);
    }
    for (uint8_t i = 0; i < segment->sack_count; i++) {
        sim_board_sack(&flow->board, segment->sacks[i], news);
    }
    flow->delivered += news->delivered;
    if (news->first_sent > 0) {
        measure_rtt(flow, now - news->first_sent);
        sim_congestion_rtt(&flow->congestion, now - news->last_sent, flow->una, flow->nxt, now);
    }
    if (flow->state != SIM_FLOW_OPEN || flow->board.sacked >= DUPLICATES) {
        sim_board_find_lost(&flow->board);
    }
}

/* Recovery ends, as a mistake when what has arrived is what was sent at first; or it begins. */
static void change_state(struct sim_pipe *pipe, unsigned side, bool mistaken)
{
    struct sim_flow *flow = &pipe->flows[side];

    if (flow->state != SIM_FLOW_OPEN && mistaken) {
        sim_congestion_undo(&flow->congestion);
        sim_board_lose_none(&flow->board);
        flow->state = SIM_FLOW_OPEN;
        flow->resent = 0;
    } else if (flow->state != SIM_FLOW_OPEN && flow->una >= flow->recover) {
        if (flow->state == SIM_FLOW_RECOVERY) {
            sim_congestion_recovered(&flow->congestion);
        }
        flow->state = SIM_FLOW_OPEN;
        flow->resent = 0;
    }
    if (flow->state == SIM_FLOW_OPEN && flow->board.lost > 0) {
        recover(pipe, side);
    }
}

static void take_ack(struct sim_pipe *pipe, unsigned side, const struct sim_segment *segment)
{
    struct sim_flow *flow = &pipe->flows[side];
    bool advanced = segment->ack > flow->una;
    struct sim_news news = {0};

    if (segment->ack > flow->nxt) {
        return;
    }
    take_news(pipe, side, segment, &news);
    if (!advanced && news.delivered == 0) {
        return;
    }
    change_state(pipe, side, advanced && flow->resent > segment->echo);
    if (flow->state == SIM_FLOW_RECOVERY) {
        sim_congestion_reduce(&flow->congestion, news.delivered, (uint32_t)flow->board.flying);
    } else if (advanced) {
        sim_congestion_acked(&flow->congestion, news.delivered, world_of(pipe)->now);
    }
    arm(pipe, flow);
    sim_tcp_transmit(pipe, side);
}

/* ---- data ---- */

static void take_data(struct sim_pipe *pipe, unsigned side, const struct sim_segment *segment)
{
    struct sim_flow *flow = &pipe->flows[segment->side];
    struct sim_span span = {segment->offset, segment->offset + segment->len};
    uint64_t before = flow->received;
    bool gap = flow->arrivals.count > 0;

    if (segment->flags & SIM_SEGMENT_FIN) {
        span.end++;
    }
    if (span.end == span.start) {
        return;
    }
    if (pipe->ends[side].state == SIM_END_CLOSED && segment->len > 0) {
        sim_tcp_stop(pipe, side);
        sim_tcp_send_reset(pipe, side);
        return;
    }
    if (span.start <= flow->told) {
        flow->stamp = segment->stamp;
    }
    sim_arrivals_add(&flow->arrivals, span, &flow->received);
    gap |= flow->arrivals.count > 0 || flow->received == before;
    if (gap) {
        flow->at_once = ACKS_AT_ONCE;
    }
    if (flow->received > before) {
        if (pipe->ends[side].state == SIM_END_CLOSED) {
            flow->read = flow->written;
        }
        notify(pipe, side);
    }
    if (flow->at_once > 0 || segment->flags & SIM_SEGMENT_FIN ||
        flow->received - flow->told > SIM_MSS) {
        send_segment(pipe, side, SIM_SEGMENT_ACK, 0, 0);
    } else if (flow->ack.slot == 0) {
        sim_timer_set(&flow->ack, world_of(pipe)->now + ACK_DELAY);
    }
}

/* ---- segments that arrive ---- */

static void take_syn(struct sim_pipe *pipe, unsigned side, const struct sim_segment *segment)
{
    struct sim_end *end = &pipe->ends[side];

    if (side == 0) {
        if (end->state == SIM_END_CONNECTING) {
            end->state = SIM_END_OPEN;
            sim_timer_clear(&pipe->syn);
            if (pipe->syns == 1) {
                measure_rtt(&pipe->flows[0], world_of(pipe)->now - pipe->flows[0].dialled);
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
        pipe->flows[1].dialled = world_of(pipe)->now;
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
    } else if (segment->flags & SIM_SEGMENT_PROBE) {
        sim_keepalive_answer(pipe, side);
    } else if (end->state == SIM_END_DEAD) {
        if (segment->len > 0) {
            sim_tcp_send_reset(pipe, side);
        }
    } else {
        if (side == 1 && pipe->flows[1].srtt == 0 && pipe->flows[1].nxt == 0) {
            measure_rtt(&pipe->flows[1], world_of(pipe)->now - pipe->flows[1].dialled);
        }
        if (!pipe->flows[side].stopped) {
            take_ack(pipe, side, segment);
        }
        take_data(pipe, side, segment);
    }
    sim_keepalive_heard(pipe, side);
    free(segment);
}

void sim_tcp_sample(const struct sim_pipe *pipe, unsigned side, struct braid_sample *sample)
{
    const struct sim_flow *flow = &pipe->flows[side];

    memset(sample, 0, sizeof(*sample));
    sample->rtt = (uint32_t)flow->srtt;
    sample->rttvar = (uint32_t)flow->rttvar;
    sample->min_rtt = (uint32_t)flow->min_rtt;
    sample->cwnd = flow->congestion.cwnd;
    sample->mss = SIM_MSS;
    sample->outq = flow->written > flow->una ? (uint32_t)(flow->written - flow->una) : 0;
    sample->unacked = (uint32_t)flow->board.count;
    sample->bytes_acked = flow->una;
    sample->delivered = flow->delivered;
    sample->sacked = (uint32_t)flow->board.sacked;
    sample->backoff = flow->backoff;
}
