/* SPDX-License-Identifier: MIT */
#include "pipe.h"

#include <stdlib.h>
#include <string.h>

#include "tcp.h"

/* ---- the ring of bytes ---- */

static void ring_reserve(struct sim_flow *flow, size_t more)
{
    size_t used = (size_t)(flow->written - flow->base);
    size_t capacity = flow->capacity ? flow->capacity : 4096;

    if (used + more <= flow->capacity) {
        return;
    }
    while (capacity < used + more) {
        capacity *= 2;
    }
    uint8_t *data = sim_alloc(capacity);
    for (uint64_t at = flow->base; at < flow->written;) {
        size_t from = (size_t)at & (flow->capacity - 1);
        size_t n = flow->capacity - from;
        if (n > flow->written - at) {
            n = (size_t)(flow->written - at);
        }
        /* Both are powers of two: what does not wrap in the old one does not in the new one. */
        memcpy(data + ((size_t)at & (capacity - 1)), flow->data + from, n);
        at += n;
    }
    free(flow->data);
    flow->data = data;
    flow->capacity = capacity;
}

static void ring_copy_in(struct sim_flow *flow, const uint8_t *bytes, size_t len)
{
    ring_reserve(flow, len);
    size_t at = (size_t)flow->written & (flow->capacity - 1);
    size_t n = len < flow->capacity - at ? len : flow->capacity - at;
    memcpy(flow->data + at, bytes, n);
    memcpy(flow->data, bytes + n, len - n);
    flow->written += len;
}

static void ring_copy_out(struct sim_flow *flow, uint8_t *bytes, size_t len)
{
    size_t at = (size_t)flow->read & (flow->capacity - 1);
    size_t n = len < flow->capacity - at ? len : flow->capacity - at;
    memcpy(bytes, flow->data + at, n);
    memcpy(bytes + n, flow->data, len - n);
    flow->read += len;
}

/* ---- life ---- */

/* A middlebox has ended the connection, and both ends hear that there is none. */
static void torn(void *arg)
{
    sim_tcp_die(arg, 0);
    sim_tcp_die(arg, 1);
}

struct sim_pipe *sim_pipe_dial(struct sim_path *path, unsigned number, uint64_t sndbuf,
                               sim_notify_cb notify, void *arg)
{
    struct sim_pipe *pipe = sim_alloc(sizeof(*pipe));

    pipe->path = path;
    pipe->number = number;
    pipe->sndbuf = sndbuf;
    pipe->ends[0].state = SIM_END_CONNECTING;
    sim_pipe_set_owner(pipe, 0, notify, arg);
    sim_timer_init(&pipe->torn, path->world, torn, pipe);
    sim_tcp_init(pipe);
    sim_tcp_connect(pipe);
    return pipe;
}

static void flow_clear(struct sim_flow *flow)
{
    free(flow->data);
    sim_board_clear(&flow->board);
    sim_arrivals_clear(&flow->arrivals);
}

void sim_pipe_free(struct sim_pipe *pipe)
{
    if (pipe) {
        flow_clear(&pipe->flows[0]);
        flow_clear(&pipe->flows[1]);
        free(pipe);
    }
}

void sim_pipe_set_owner(struct sim_pipe *pipe, unsigned side, sim_notify_cb notify, void *arg)
{
    pipe->ends[side].notify = notify;
    pipe->ends[side].arg = arg;
}

bool sim_pipe_alive(const struct sim_pipe *pipe)
{
    return pipe->ends[0].state == SIM_END_OPEN && pipe->ends[1].state == SIM_END_OPEN &&
           !pipe->flows[0].cut;
}

/* ---- the owner's calls ---- */

uint64_t sim_pipe_space(const struct sim_pipe *pipe, unsigned side)
{
    const struct sim_flow *flow = &pipe->flows[side];
    uint64_t grown = 2ull * flow->congestion.cwnd * SIM_MSS; /* as Linux tunes it */
    uint64_t size = grown > pipe->sndbuf ? grown : pipe->sndbuf;
    uint64_t used = flow->written > flow->una ? flow->written - flow->una : 0;

    return size > used ? size - used : 0;
}

size_t sim_pipe_write(struct sim_pipe *pipe, unsigned side, const uint8_t *bytes, size_t len)
{
    struct sim_flow *flow = &pipe->flows[side];
    uint64_t space = sim_pipe_space(pipe, side);

    if (pipe->ends[side].state == SIM_END_OPEN && flow->cut && len > 0 && pipe->torn.slot == 0) {
        sim_timer_set(&pipe->torn, pipe->path->world->now + sim_path_latency(pipe->path));
    }
    if (pipe->ends[side].state != SIM_END_OPEN || flow->stopped || flow->cut) {
        return len; /* the owner finds out by reading, or by the answer */
    }
    if (len > space) {
        len = (size_t)space;
    }
    if (len > 0) {
        ring_copy_in(flow, bytes, len);
        sim_tcp_transmit(pipe, side);
    }
    return len;
}

uint64_t sim_pipe_readable(const struct sim_pipe *pipe, unsigned side)
{
    const struct sim_flow *flow = &pipe->flows[1 - side];
    uint64_t end = flow->received < flow->written ? flow->received : flow->written;

    if (pipe->ends[side].state == SIM_END_DEAD && pipe->reads_nothing) {
        return 0;
    }
    return end - flow->read;
}

size_t sim_pipe_read(struct sim_pipe *pipe, unsigned side, uint8_t *bytes, size_t len)
{
    struct sim_flow *flow = &pipe->flows[1 - side];
    uint64_t readable = sim_pipe_readable(pipe, side);

    if (len > readable) {
        len = (size_t)readable;
    }
    if (len > 0) {
        ring_copy_out(flow, bytes, len);
        sim_tcp_release(flow);
    }
    return len;
}

bool sim_pipe_eof(const struct sim_pipe *pipe, unsigned side)
{
    const struct sim_flow *flow = &pipe->flows[1 - side];

    return flow->fin && flow->received == flow->written + 1 && flow->read == flow->written;
}

uint64_t sim_pipe_unsent(const struct sim_pipe *pipe, unsigned side)
{
    const struct sim_flow *flow = &pipe->flows[side];

    return flow->written > flow->nxt ? flow->written - flow->nxt : 0;
}

void sim_pipe_want_write(struct sim_pipe *pipe, unsigned side, uint64_t mark)
{
    pipe->ends[side].want_write = true;
    pipe->ends[side].write_mark = mark;
    sim_tcp_check_write(pipe, side);
}

void sim_pipe_shutdown(struct sim_pipe *pipe, unsigned side)
{
    struct sim_flow *flow = &pipe->flows[side];

    if (!flow->fin) {
        flow->fin = true;
        sim_tcp_transmit(pipe, side);
    }
}

void sim_pipe_close(struct sim_pipe *pipe, unsigned side)
{
    enum sim_end_state state = pipe->ends[side].state;

    pipe->ends[side].notify = NULL;
    if (state == SIM_END_OPEN && sim_pipe_readable(pipe, side) > 0) {
        sim_pipe_abort(pipe, side);
        return;
    }
    pipe->ends[side].state = SIM_END_CLOSED;
    if (state == SIM_END_CONNECTING) {
        sim_timer_clear(&pipe->syn);
    } else if (state == SIM_END_OPEN) {
        sim_pipe_shutdown(pipe, side);
    }
}

void sim_pipe_abort(struct sim_pipe *pipe, unsigned side)
{
    enum sim_end_state state = pipe->ends[side].state;

    pipe->ends[side].notify = NULL;
    pipe->ends[side].state = SIM_END_CLOSED;
    sim_timer_clear(&pipe->syn);
    sim_tcp_stop(pipe, side);
    if (state == SIM_END_OPEN) {
        sim_tcp_send_reset(pipe, side);
    }
}

/* ---- what befalls it ---- */

void sim_pipe_reset(struct sim_pipe *pipe)
{
    pipe->reads_nothing = true;
    sim_timer_clear(&pipe->syn);
    for (unsigned side = 0; side < 2; side++) {
        sim_tcp_die(pipe, side);
    }
}

void sim_pipe_cut(struct sim_pipe *pipe)
{
    for (unsigned side = 0; side < 2; side++) {
        pipe->flows[side].cut = true;
        if (pipe->ends[side].state == SIM_END_OPEN) {
            sim_pipe_shutdown(pipe, side);
        }
    }
}

void sim_pipe_stall(struct sim_pipe *pipe, bool on)
{
    pipe->stalled += on ? 1u : -1u;
    if (pipe->stalled == 0) {
        sim_tcp_transmit(pipe, 0);
        sim_tcp_transmit(pipe, 1);
    }
}
