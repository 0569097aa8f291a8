/* SPDX-License-Identifier: MIT */
/*
 * A group: which context of which thread has the session of an id, and how sessions ended. Sessions
 * of another peer are others, whatever their id: nobody can tell that they are there.
 *
 * The lock is taken when a subflow is set up and when a session ends, never for data. A claim keeps
 * an id for one context while a greeting is being read there or a session lives; after that it
 * stays for a minute as the memory of how the session ended, so that a late subflow opens nothing
 * a second time.
 */
#ifndef BRAID_EVENT_GROUP_H
#define BRAID_EVENT_GROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <braid/context.h>

#include "key.h"

struct braid_budget;
struct braid_guard;
struct braid_session_io;
struct braid_handoff;

struct braid_claim {
    uint64_t id;
    uint8_t peer[BRAID_ID_SIZE];      /* identity of whoever has the session */
    struct braid_context *owner;      /* under the lock; NULL: its context is gone */
    struct braid_session_io *session; /* the owner's thread alone may look */
    unsigned refs;                    /* under the lock; greetings and the session */
    bool ended;                       /* written by the owner under the lock, final */
    bool listed;                      /* in the table */
    int error;                        /* of the session that ended */
    uint64_t ended_at;
    LIST_ENTRY(braid_claim) bucket;
    TAILQ_ENTRY(braid_claim) ended_link;
};

enum braid_claim_place {
    BRAID_CLAIM_HERE,      /* this context is the id's owner */
    BRAID_CLAIM_ELSEWHERE, /* another context is: hand the subflow over */
    BRAID_CLAIM_ENDED,     /* the session is over */
};

/*
 * Takes a reference on a peer's claim of an id, which is made when there is none: for this context,
 * or for a less busy one that listens on the same socket.
 *
 * listener: names the listening socket in all contexts. Returns NULL when out of memory.
 */
struct braid_claim *braid_group_claim(struct braid_context *context, uint64_t id,
                                      const struct braid_identity *peer, uint64_t listener,
                                      uint64_t now, enum braid_claim_place *place);

/* Gives a reference back. The last one of a claim that never had a session forgets the id. */
void braid_group_release(struct braid_group *group, struct braid_claim *claim);

/* Says how the claim's session ended, and gives its reference back. */
void braid_group_end(struct braid_group *group, struct braid_claim *claim, int error, uint64_t now);

/* Puts a subflow into the mailbox of its claim's owner; false: that context is gone or this one. */
bool braid_group_post(struct braid_context *context, struct braid_handoff *handoff);

/* Takes the next subflow out of a context's mailbox; NULL: it is empty. */
struct braid_handoff *braid_group_collect(struct braid_context *context);

/* Wakes the other contexts, which look at their mailboxes and their paths then. */
void braid_group_poke(struct braid_context *context);

/* The memory that all contexts may have together. */
struct braid_budget *braid_group_budget(struct braid_group *group);

/* What bounds the cost of strangers, for all contexts. */
struct braid_guard *braid_group_guard(struct braid_group *group);

/* Whether no other context holds more memory than this one. */
bool braid_group_holds_most(struct braid_context *context);

/* Takes a context in; lets it go. Its claims lose their owner. */
void braid_group_join(struct braid_group *group, struct braid_context *context);
void braid_group_leave(struct braid_context *context);

/* The random number that names this endpoint for as long as it lives. */
uint64_t braid_group_instance(const struct braid_group *group);

/* The one lock, for a context's list of listeners, which others look at. */
void braid_group_lock(struct braid_group *group);
void braid_group_unlock(struct braid_group *group);

#endif
