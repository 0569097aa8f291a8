/* SPDX-License-Identifier: MIT */
/*
 * A host: what the endpoints of one process share. Its pool, its instance number, its listener with
 * the memory of sessions that have ended, and its links, the ends of pipes that it owns.
 */
#ifndef SIM_HOST_H
#define SIM_HOST_H

#include "core/hello.h"
#include "core/session.h"

#include "pipe.h"

struct sim_run;
struct sim_endpoint;
struct sim_driver_spec;

#define SIM_TOMBSTONES 32u

enum sim_link_state {
    SIM_LINK_DIALLING,
    SIM_LINK_GREETING, /* accepted; not known yet whose it is */
    SIM_LINK_LIVE,     /* a subflow of a session */
    SIM_LINK_LINGER,   /* shut down; read to its end */
    SIM_LINK_GONE,
};

/* One end of a pipe, as a driver holds it. */
struct sim_link {
    struct sim_link *next;
    struct sim_host *host;
    struct sim_endpoint *endpoint; /* DIALLING, LIVE */
    struct sim_pipe *pipe;
    struct braid_subflow *subflow; /* LIVE */
    struct braid_chunk *input;     /* what is read goes there ... */
    uint32_t fed;                  /* ... and this much of it is the session's already */
    struct braid_greeting greeting;
    struct sim_timer wake;
    struct sim_timer timeout;
    enum sim_link_state state;
    unsigned side;
    unsigned path;
    unsigned slot;  /* local: of the dialler */
    bool counted;   /* local: the path's state knows of it ... */
    bool unwell;    /* ... and that it is silent */
    bool outdated;  /* local: another one is to take its place */
    uint64_t since; /* local: of the dial or the subflow */
    uint64_t measured_at;
    uint64_t moved; /* bytes that had come or got through then */
    uint64_t sampled_at;
    bool busy;    /* something was written since a sample showed an empty socket */
    bool blocked; /* by a short write */
    bool paused;  /* it is too far ahead to be read */
    bool ended;   /* the peer's half */
    bool shut;    /* ours */
    struct sim_timer unblock;
};

struct sim_tombstone {
    uint64_t id;
    uint64_t until;
    int error;
};

struct sim_host {
    struct sim_run *run;
    struct sim_world *world;
    const struct sim_driver_spec *driver;
    struct braid_pool *pool;
    struct braid_budget budget;
    uint64_t instance;
    unsigned side;
    struct sim_link *links;
    struct sim_endpoint *endpoints; /* all there ever were; the latest first */
    struct sim_tombstone tombstones[SIM_TOMBSTONES];
    unsigned buried;
    uint64_t frozen_until;
};

void sim_host_init(struct sim_host *host, struct sim_run *run, unsigned side);
void sim_host_clear(struct sim_host *host);

/* For struct sim_path: a connection has come in. */
bool sim_host_accept(struct sim_pipe *pipe, void *arg);

/* Remembers for 60 s that a session has ended, and why. */
void sim_host_bury(struct sim_host *host, uint64_t id, int error);

/* Forgets everything, as a process that was killed and started again. */
void sim_host_restart(struct sim_host *host);

/* Whether the host does nothing now; the timer is then set to when it does again. */
bool sim_host_frozen(struct sim_host *host, struct sim_timer *timer);

/* ---- links (link.c) ---- */

struct sim_link *sim_link_new(struct sim_host *host, unsigned side);

/* The pipe's notification: wakes the link soon. */
void sim_link_notify(void *arg);

/* The session lets go of a link: error BRAID_OK: lingers, else closed at once. */
void sim_link_release(struct sim_link *link, int error);

/* The transport of a live link is of no use any more: tells the session. */
void sim_link_lose(struct sim_link *link, int error);

/* Ends a link in any state, without a word to the session. */
void sim_link_end(struct sim_link *link, bool abort);

/* Reads what there is into the session; false: the link is no longer live. */
bool sim_link_feed(struct sim_link *link);

/* Takes over the chunk that is to be fed next; NULL: none. */
void sim_link_adopt(struct sim_link *link, struct braid_chunk *input);

/* Finds out whose an accepted link is (listen.c). */
void sim_link_greet(struct sim_link *link);

/* How long something takes to be noticed. */
uint64_t sim_host_latency(struct sim_host *host);

#endif
