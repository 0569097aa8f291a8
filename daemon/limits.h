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

/* How many descriptors max-sessions sessions of this configuration need at worst. */
unsigned long limits_descriptors(const struct config *config);

/*
 * Raises the limit of open files to what the configuration needs, as far as the hard limit allows;
 * logs a warning with the numbers when that is not far enough.
 */
void limits_raise_descriptors(const struct config *config);

#endif
