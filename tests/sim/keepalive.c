/* SPDX-License-Identifier: MIT */
/*
 * Keep-alive, as lib/event sets it: a connection on which nothing comes and nothing is sent finds
 * out that its other end is gone without a word.
 */
#include "tcp.h"

#define IDLE (60 * SIM_SECOND)     /* as TCP_KEEPIDLE sets it */
#define INTERVAL (10 * SIM_SECOND) /* as TCP_KEEPINTVL does; TCP_USER_TIMEOUT allows one probe */

static void expired(struct sim_pipe *pipe, unsigned side)
{
    struct sim_keepalive *keep = &pipe->keepalive[side];
    uint64_t now = pipe->path->world->now;

    if (pipe->ends[side].state != SIM_END_OPEN) {
        return;
    }
    if (pipe->flows[side].board.count > 0) {
        sim_timer_set(&keep->timer, now + IDLE);
    } else if (now - keep->heard < IDLE) {
        sim_timer_set(&keep->timer, keep->heard + IDLE);
    } else if (keep->probed) {
        sim_tcp_die(pipe, side);
    } else {
        keep->probed = true;
        sim_tcp_send_bare(pipe, side, SIM_SEGMENT_ACK | SIM_SEGMENT_PROBE);
        sim_timer_set(&keep->timer, now + INTERVAL);
    }
}

static void expired_0(void *arg)
{
    expired(arg, 0);
}

static void expired_1(void *arg)
{
    expired(arg, 1);
}

void sim_keepalive_init(struct sim_pipe *pipe)
{
    sim_timer_init(&pipe->keepalive[0].timer, pipe->path->world, expired_0, pipe);
    sim_timer_init(&pipe->keepalive[1].timer, pipe->path->world, expired_1, pipe);
}

void sim_keepalive_answer(struct sim_pipe *pipe, unsigned side)
{
    enum sim_end_state state = pipe->ends[side].state;
    bool aborted = state == SIM_END_CLOSED && pipe->flows[side].stopped;

    if (state == SIM_END_DEAD || aborted) {
        sim_tcp_send_reset(pipe, side);
    } else {
        sim_tcp_send_bare(pipe, side, SIM_SEGMENT_ACK);
    }
}

void sim_keepalive_heard(struct sim_pipe *pipe, unsigned side)
{
    struct sim_keepalive *keep = &pipe->keepalive[side];

    keep->heard = pipe->path->world->now;
    keep->probed = false;
    if (keep->timer.slot == 0 && pipe->ends[side].state == SIM_END_OPEN) {
        sim_timer_set(&keep->timer, keep->heard + IDLE);
    }
}
