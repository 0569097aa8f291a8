/* SPDX-License-Identifier: MIT */
/*
 * What the daemon may use: so many sessions at once, counted over all threads, and descriptors.
 */
#ifndef BRAIDD_LIMITS_H
#define BRAIDD_LIMITS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "daemon/config.h"

/* A slot is taken before there is anything to put into it. Any thread may take and release. */
struct limits {
    const char *name; /* "max-sessions", for the log */
    atomic_uint sessions;
    unsigned max_sessions;
    unsigned half_open;        /* the most connections that have not greeted */
    struct braid_group *group; /* whose memory is limited too; NULL: it is not */
};

/* Takes a slot; false: all are taken. */
bool limits_take(struct limits *limits);

/* Whether memory is too short to take anybody, whatever the slots. */
bool limits_are_short(const struct limits *limits);

/* Gives a slot back; returns how many are still taken. */
unsigned limits_release(struct limits *limits);

/* How many are taken now. */
unsigned limits_sessions(struct limits *limits);

/*
 * How many descriptors so many sessions of this configuration need. all: with as many subflows as
 * peers may have, else as they usually do.
 */
unsigned long limits_descriptors(const struct config *config, unsigned sessions, bool all);

/*
 * Raises the limit of open files to what the configuration may need, as far as the system allows,
 * and sets name, max_sessions and half_open: fewer than by default where that is not far enough.
 *
 * Returns 0, or -1 with one line logged that says the number: there are no open files for the
 * sessions that the configuration asks for.
 */
int limits_open(struct limits *limits, const struct config *config);

#endif
