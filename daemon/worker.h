/* SPDX-License-Identifier: MIT */
/*
 * A thread with a loop of its own: its part of every tunnel, and the sessions that it owns whole.
 *
 * Everything of a worker belongs to its thread while that runs, but for what is marked "any thread"
 * here. The threads share the tunnels' listening sockets, counters, and mailboxes; nothing else.
 */
#ifndef BRAIDD_WORKER_H
#define BRAIDD_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <event2/event.h>

#include <braid/context.h>

#include "daemon/limits.h"
#include "daemon/mailbox.h"
#include "daemon/tunnel.h"

struct session;
struct worker;

/* All workers of the process, and what they share. */
struct crew {
    const struct config *config;
    struct tunnel *tunnels; /* config->tunnel_count of them */
    struct limits limits;
    struct braid_group *group;
    struct mailbox *main; /* poked when a worker drained, or the last session ended */
    struct worker **workers;
    unsigned count;
    atomic_bool draining;
    atomic_uint drained; /* workers that take no more sessions */
};

/*
 * Makes the workers, one event loop each, and starts their threads. The crew's other fields are
 * set.
 *
 * Returns 0, or -1 when out of memory, descriptors or threads; crew_free() is due in any case.
 */
int crew_start(struct crew *crew);

/* Takes no new sessions any more; crew->main is poked once that is so in all workers. */
void crew_drain(struct crew *crew);

/* Ends sessions whose key or certificate is not accepted any more, soon; false: out of memory. */
bool crew_recheck(struct crew *crew);

/* Stops all threads and waits for them; sessions that are left are reset. Frees the workers. */
void crew_free(struct crew *crew);

/* Any thread: where to post to a worker; the mail's owner is the worker. */
struct mailbox *worker_mailbox(const struct worker *worker);

struct event_base *worker_base(const struct worker *worker);
struct braid_context *worker_context(const struct worker *worker);
struct limits *worker_limits(const struct worker *worker);

/* Takes a slot of max-sessions for a session of this worker; false: there is none. */
bool worker_charge(struct worker *worker);

/*
 * Any worker's thread, which has a slot of max-sessions: charges it to a worker with few sessions,
 * and says to which one. `own` is preferred, since handing over costs a wake-up.
 */
struct worker *worker_charge_least(struct worker *own);

/* Any thread: gives the slot of a session of this worker back. */
void worker_discharge(struct worker *worker);

/* For session.c alone. */
void worker_add_session(struct worker *worker, struct session *session);
void worker_remove_session(struct worker *worker, struct session *session);

/*
 * Writes the records of up to `max` sessions whose serial is greater than *after, and sets *after
 * to the last one's. Returns whether there are more.
 */
bool worker_write_sessions(const struct worker *worker, uint64_t *after, unsigned max, FILE *out);

#endif
