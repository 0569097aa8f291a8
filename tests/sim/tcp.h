/* SPDX-License-Identifier: MIT */
/*
 * The TCP inside a pipe, as a session meets Linux' with the options that lib/event sets: handshake,
 * CUBIC, SACK with loss detection by time (RACK), tail loss probes, retransmission time-outs that
 * back off and are undone when they were a mistake, delayed acknowledgements, a send buffer that
 * grows with the window, keep-alive, an end by TCP_USER_TIMEOUT.
 *
 * Not here: a receiver's window, since sessions always read; pacing; Nagle's algorithm.
 */
#ifndef SIM_TCP_H
#define SIM_TCP_H

#include "pipe.h"

#include "core/session.h"

void sim_tcp_init(struct sim_pipe *pipe);

/* Sends SYN, again and again. */
void sim_tcp_connect(struct sim_pipe *pipe);

/* Sends what the windows allow. */
void sim_tcp_transmit(struct sim_pipe *pipe, unsigned side);

/* Notifies the owner who waits to write, if it can now. */
void sim_tcp_check_write(struct sim_pipe *pipe, unsigned side);

/* Forgets bytes that were both read and acknowledged. */
void sim_tcp_release(struct sim_flow *flow);

void sim_tcp_send_reset(struct sim_pipe *pipe, unsigned side);
/* A segment with these flags and no data. */
void sim_tcp_send_bare(struct sim_pipe *pipe, unsigned side, uint8_t flags);

/* Sends nothing more from this side. */
void sim_tcp_stop(struct sim_pipe *pipe, unsigned side);

/* An error at this side: its owner is told, unless it is gone. */
void sim_tcp_die(struct sim_pipe *pipe, unsigned side);

/* ---- keepalive.c ---- */

void sim_keepalive_init(struct sim_pipe *pipe);

/* This side was asked whether it is still there. */
void sim_keepalive_answer(struct sim_pipe *pipe, unsigned side);

/* A segment has come to this side. */
void sim_keepalive_heard(struct sim_pipe *pipe, unsigned side);

/* What TCP_INFO and SIOCOUTQ would say. */
void sim_tcp_sample(const struct sim_pipe *pipe, unsigned side, struct braid_sample *sample);

#endif
