/* SPDX-License-Identifier: MIT */
/*
 * The insides of a connector, for connector.c (dials what is missing) and session_path.c (changes
 * of a path).
 */
#ifndef BRAID_EVENT_CONNECTOR_INTERNAL_H
#define BRAID_EVENT_CONNECTOR_INTERNAL_H

#include "connector.h"
#include "path.h"
#include "path_use.h"

struct braid_dial;
struct braid_handshake;
struct braid_subflow_io;

struct braid_slot {
    struct braid_session_path *session_path;
    struct braid_dial *dial;
    struct braid_handshake *handshake; /* with TLS, once the dial has connected */
    unsigned remote;                   /* which of the path's is dialled */
    struct braid_subflow_io *subflow;
    union braid_endpoint reached; /* by the latest dial */
    uint64_t since;               /* of the dial or the subflow */
    uint64_t measured;
    uint64_t moved; /* bytes that had come or got through then */
    bool unwell;    /* the path knows that the subflow is silent */
    bool doubtful;  /* the way was gone meanwhile, or the machine asleep */
};

struct braid_connector {
    struct braid_session_io *io;
    size_t size; /* of this memory */
    uint64_t started;
    unsigned slot_count;
    unsigned path_count;
    bool has_backup;
    struct braid_slot *slots; /* behind the paths */
    struct braid_session_path paths[];
};

/* The subflow of a slot is no longer looked after. failed: it did not end in order. */
void braid_slot_let_go(struct braid_slot *slot, bool failed, uint64_t now);

/* Gives up a dial, if there is one. */
void braid_slot_give_up(struct braid_slot *slot, uint64_t now);

/* Whether the session misses subflows on a path, and may dial them when they are due. */
bool braid_session_path_misses(const struct braid_session_path *session_path);

/* Whether a slot is on its way to a subflow. */
static inline bool braid_slot_is_dialling(const struct braid_slot *slot)
{
    return slot->dial != NULL || slot->handshake != NULL;
}

static inline struct braid_path_state *
braid_session_path_state(const struct braid_session_path *session_path)
{
    return &session_path->use->path->state;
}

#endif
