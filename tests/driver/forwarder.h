/* SPDX-License-Identifier: MIT */
/*
 * A TCP forwarder on the test's own loop, which can cut, stall and resume each connection that
 * goes through it.
 */
#ifndef BRAID_TEST_FORWARDER_H
#define BRAID_TEST_FORWARDER_H

#include <event2/event.h>

#include <braid/address.h>

#define FORWARDER_MAX 256

struct forwarder;

struct lane { /* one direction of one connection */
    struct forwarder *forwarder;
    int from, to;
    struct event *readable, *writable;
    char *buffer;
    size_t fill;
    int ended;
    struct lane *back;
};

struct forwarder {
    struct event_base *base;
    int fd;
    struct event *acceptable;
    struct braid_address *address; /* where to connect to */
    int port;                      /* of the target, on 127.0.0.1 */
    struct lane lanes[FORWARDER_MAX][2];
    unsigned count; /* connections so far */
    unsigned long bytes;
};

/* Forwards to a port of 127.0.0.1. */
void forwarder_open(struct forwarder *f, struct event_base *base, int port);
void forwarder_open_at(struct forwarder *f, struct event_base *base, const char *at, int port);
void forwarder_close(struct forwarder *f);

/* Takes no connections any more. */
void forwarder_refuse(struct forwarder *f);

/* Whether connection i is still there. */
int forwarder_is_open(const struct forwarder *f, unsigned i);

/* Connections that are. */
unsigned forwarder_open_count(const struct forwarder *f);

/* Breaks connection i with a reset on both sides. */
void forwarder_cut(struct forwarder *f, unsigned i);

/* Leaves what arrives on connection i where it is; goes on again. */
void forwarder_stall(struct forwarder *f, unsigned i);
void forwarder_resume(struct forwarder *f, unsigned i);

#endif
