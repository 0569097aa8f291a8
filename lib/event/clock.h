/* SPDX-License-Identifier: MIT */
/*
 * The driver's clock: what the core is told as now.
 */
#ifndef BRAID_EVENT_CLOCK_H
#define BRAID_EVENT_CLOCK_H

#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#define BRAID_SECOND ((uint64_t)1000000)
#define BRAID_MILLISECOND ((uint64_t)1000)

/* Monotonic microseconds. */
static inline uint64_t braid_clock(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * BRAID_SECOND + (uint64_t)ts.tv_nsec / 1000;
}

/* A span of time in libevent's form. */
static inline struct timeval braid_timeval(uint64_t microseconds)
{
    return (struct timeval){.tv_sec = (time_t)(microseconds / BRAID_SECOND),
                            .tv_usec = (suseconds_t)(microseconds % BRAID_SECOND)};
}

#endif
