/* SPDX-License-Identifier: MIT */
/*
 * Those that are waited for, each for a time: the first to be given up is the first, and the first
 * of one network is found at once, however many there are of others, since a stranger must not
 * cost more than the work he makes himself. One timer of the loop serves all.
 *
 * What waits is part of something larger, whose owner takes it out before it goes.
 */
#ifndef BRAID_EVENT_WAITING_H
#define BRAID_EVENT_WAITING_H

#include <stdint.h>
#include <sys/queue.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "guard.h"

#define BRAID_WAITING_BITS 7
#define BRAID_WAITING_SLOTS (1u << BRAID_WAITING_BITS)

struct braid_waiting;

struct braid_waiting_entry {
    TAILQ_ENTRY(braid_waiting_entry) by_end;
    TAILQ_ENTRY(braid_waiting_entry) by_network;
    struct braid_waiting *waiting;
    uint64_t ends;
    unsigned slot; /* of its network */
    struct braid_guard_pass pass;
};

TAILQ_HEAD(braid_waiting_list, braid_waiting_entry);

/* An entry's time is up: the owner takes it out. */
typedef void (*braid_waiting_cb)(struct braid_waiting_entry *entry);

struct braid_waiting {
    struct braid_waiting_list by_end; /* the first to be given up first */
    struct braid_waiting_list by_network[BRAID_WAITING_SLOTS];
    struct event timer; /* for the first */
    unsigned count;
    braid_waiting_cb cb;
};

void braid_waiting_init(struct braid_waiting *waiting, struct event_base *base,
                        braid_waiting_cb cb);

/* entry: its pass says where it is from. ends: of braid_clock(). */
void braid_waiting_add(struct braid_waiting *waiting, struct braid_waiting_entry *entry,
                       uint64_t ends);
void braid_waiting_remove(struct braid_waiting_entry *entry);

/* The first to be given up; NULL: there is none. */
struct braid_waiting_entry *braid_waiting_first(const struct braid_waiting *waiting);

/* The one that is here longest of those that count with peer. */
struct braid_waiting_entry *braid_waiting_first_from(const struct braid_waiting *waiting,
                                                     const struct braid_guard *guard,
                                                     const union braid_endpoint *peer);

#endif
