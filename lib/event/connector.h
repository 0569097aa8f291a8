/* SPDX-License-Identifier: MIT */
/*
 * Keeps a connecting session's subflows alive: dials what is missing, and dials again what died.
 *
 * There is a slot for each subflow that the session may want on each of its paths. All paths are
 * dialled at once, backups only when no other has connected. A path on which the session has no
 * subflow is probed with one dial; once that has connected, its other slots follow.
 */
#ifndef BRAID_EVENT_CONNECTOR_H
#define BRAID_EVENT_CONNECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "address.h"

#define BRAID_SLOTS_MAX 16u /* of a session */

struct braid_connector;
struct braid_path;
struct braid_path_use;
struct braid_session_io;
struct braid_slot;

/* A session's use of one path. */
struct braid_session_path {
    LIST_ENTRY(braid_session_path) link; /* those of other sessions */
    struct braid_path_use *use;
    struct braid_connector *connector;
    struct braid_slot *slots;
    unsigned count;   /* slots */
    unsigned index;   /* among the session's paths */
    uint64_t due;     /* not to be dialled before */
    uint64_t backoff; /* the next wait; 0: none */
    bool tried;       /* was dialled */
    bool failed;      /* and could not be connected, last time */
};

/*
 * How many slots such paths make, `each` on those that do not say (0: 4 on one path, 1 on each of
 * several); and how many come first, one a path that is no backup.
 */
unsigned braid_connector_slots(struct braid_path *const *paths, size_t n, unsigned each);
unsigned braid_connector_first(struct braid_path *const *paths, size_t n);

/* each: as above. NULL: out of memory. */
struct braid_connector *braid_connector_new(struct braid_session_io *io,
                                            struct braid_path *const *paths, size_t n,
                                            unsigned each, uint64_t now);

/* Gives up its dials; the subflows that it made stay. NULL is allowed. */
void braid_connector_free(struct braid_connector *connector);

/* Dials what the session wants now and is due. */
void braid_connector_update(struct braid_connector *connector, uint64_t now);

/* When update has something to do again, or BRAID_NEVER. */
uint64_t braid_connector_deadline(const struct braid_connector *connector, uint64_t now);

/* The name of a path by its index. */
const char *braid_connector_path_name(const struct braid_connector *connector, unsigned index);

/* The slot's subflow is gone. failed: not in order. */
void braid_connector_lost(struct braid_slot *slot, bool failed);

/* Takes note of what the core thinks of the slot's subflow. */
void braid_connector_watch(struct braid_slot *slot);

/* The slot's subflow was sampled. */
void braid_connector_measured(struct braid_slot *slot, uint64_t now);

/* ---- for all that use a path ---- */

/*
 * Lets it dial what it misses at that time, whatever was before; subflows that are silent or
 * doubtful are replaced too. Returns whether it misses any.
 */
bool braid_session_path_hurry(struct braid_session_path *session_path, uint64_t now, uint64_t due);

/* Its subflows may not have outlived what has happened: the next hurry replaces them. */
void braid_session_path_doubt(struct braid_session_path *session_path);

/* There is no way: gives its dials up and tries again later; its subflows carry nothing new. */
void braid_session_path_cut(struct braid_session_path *session_path, uint64_t now);

/* The way leaves from another address now: subflows that do not are replaced, one at a time. */
void braid_session_path_renew(struct braid_session_path *session_path,
                              const union braid_endpoint *source, uint64_t now);

/* An address is gone: so are the subflows from it. */
void braid_session_path_lose(struct braid_session_path *session_path,
                             const union braid_endpoint *address);

#endif
