/* SPDX-License-Identifier: MIT */
/*
 * One session, whose peer is the test: it feeds frames, and reads what the session says as text.
 *
 * Frames as text: "HELLO 0 create 0/262144" (subflow, flags, ack/limit, status), "DATA 0+100",
 * "AGAIN 0+100", "ACK 100/262144 0:100" (ack/limit, subflow:bytes), "PING", "PONG 7", "FIN 100",
 * "RESULT 0", "RESET 96", "CLOSE 0". Actions as text: "DIAL", "CLOSE_SUBFLOW 0:13" (the subflow's
 * number here, error), "CLOSED 0". One space between two.
 */
#ifndef BRAID_TESTS_SINGLE_H
#define BRAID_TESTS_SINGLE_H

#include "core/session.h"
#include "core/wire.h"

#define SINGLE_FLOWS 8
#define SINGLE_START 1000000u
#define SINGLE_INSTANCE 0x77u /* of the peer */

struct single_flow {
    struct braid_subflow *subflow; /* NULL: none, or no more */
    uint16_t index;
    bool greeted; /* LOCAL: its preamble was heard */
    uint8_t *out; /* what was said and not yet told as text */
    size_t out_len;
    uint64_t ping; /* the time in the last PING */
};

struct single {
    struct braid_pool *pool;
    struct braid_session *session;
    struct braid_session_config config;
    uint64_t now;
    uint64_t committed;
    uint64_t drained;
    bool closed;
    int error;
    int feed_error; /* of the last frame */
    uint16_t next_index;
    char acted[1024];
    char said[4096];
    struct single_flow flow[SINGLE_FLOWS];
};

/* Sets up a configuration to be changed before single_open(). */
void single_init(struct single *s, enum braid_role role);
void single_open(struct single *s);
/* Frees all; everything allocated must be gone. */
void single_free(struct single *s);

/* A LOCAL session with n subflows, all of them greeted, its target reached; all is quiet. */
void single_local(struct single *s, unsigned n);
/* A REMOTE session with n subflows joined, its target reached; all is quiet. */
void single_remote(struct single *s, unsigned n);

/* Adds subflow number i (LOCAL: it is dialled, REMOTE: it joins); returns the error, 0: none. */
int single_add(struct single *s, unsigned i);
int single_join(struct single *s, unsigned i, const struct braid_hello *hello);

/* The application: returns how many bytes. */
size_t single_write(struct single *s, size_t n);
size_t single_read(struct single *s, size_t n);

/* Lets the session send all it wants; or once, at most n bytes of the plan. */
void single_send(struct single *s);
bool single_send_some(struct single *s, size_t n, int pieces);

/* The whole frames said on a subflow, and the actions told, since last asked. */
const char *single_said(struct single *s, unsigned i);
const char *single_acted(struct single *s);

/* Moves time to now + microseconds in one step. */
void single_sleep(struct single *s, uint64_t microseconds);

/* The peer says: each sets and returns feed_error; an error does not end the subflow by itself. */
int single_feed(struct single *s, unsigned i, const void *bytes, size_t len);
int feed_hello(struct single *s, unsigned i, int status, uint64_t ack, uint64_t limit,
               uint64_t instance);
int feed_data(struct single *s, unsigned i, uint64_t offset, uint32_t len, uint8_t flags);
/* pairs: count pairs of a subflow's index and its bytes. */
int feed_ack(struct single *s, unsigned i, uint64_t ack, uint64_t limit, unsigned count,
             const uint64_t *pairs);
int feed_fin(struct single *s, unsigned i, uint64_t final);
int feed_code(struct single *s, unsigned i, enum braid_frame_type type, int code);
int feed_subflow_close(struct single *s, unsigned i, unsigned subflow, int code);
int feed_ping(struct single *s, unsigned i, uint64_t time);
int feed_pong(struct single *s, unsigned i, uint64_t time, uint32_t held);

/* The transport breaks. */
void single_lose(struct single *s, unsigned i);

#endif
