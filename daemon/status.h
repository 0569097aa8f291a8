/* SPDX-License-Identifier: MIT */
/*
 * What "braid status" is told: the records of the daemon, its tunnels, sessions and subflows.
 *
 * Each worker writes the records of its own sessions on its own thread, a bounded number at a time
 * between which it serves them, so that nobody waits for a lock and nobody's memory is filled.
 */
#ifndef BRAIDD_STATUS_H
#define BRAIDD_STATUS_H

#include <stdint.h>

#include "daemon/control.h"
#include "daemon/worker.h"

struct status {
    struct crew *crew;
    uint64_t started; /* clock_now() */
};

/* Makes `status`, which must stay, the source of a control socket. */
struct control_source status_source(struct status *status);

#endif
