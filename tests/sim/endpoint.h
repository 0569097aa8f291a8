/* SPDX-License-Identifier: MIT */
/*
 * An endpoint: one session and its application, driven as session.h says, and watched: that actions
 * come in a legal order, that nothing is forgotten, that memory stays within its cap.
 */
#ifndef SIM_ENDPOINT_H
#define SIM_ENDPOINT_H

#include "application.h"
#include "host.h"

struct sim_pair;

#define SIM_SLOTS 16u

/* A place for one subflow of a local session. */
struct sim_slot {
    struct sim_link *link; /* NULL: free */
};

/* A local session's use of one path. */
struct sim_way {
    uint64_t due;     /* not to be dialled before */
    uint64_t backoff; /* the next wait; 0: none */
    bool tried;       /* was dialled */
    bool failed;      /* and could not be connected, last time */
};

struct sim_endpoint {
    struct sim_endpoint *next;
    struct sim_host *host;
    struct sim_pair *pair;
    struct braid_session *session; /* NULL: it is over */
    struct sim_app app;
    unsigned side;
    size_t window;
    uint64_t grace;
    struct sim_slot slots[SIM_SLOTS];
    struct sim_way ways[SIM_PATHS_MAX];
    struct sim_timer timer; /* the session's deadline */
    struct sim_timer dial;
    unsigned live;        /* links */
    uint64_t alone_since; /* when the last of them went */
    bool pumping;
    bool established;
    bool had_result;
    bool eof;
    bool closed;
    bool vanished; /* the host was restarted */
    int error;     /* closed: why */
    uint64_t began_at;
    uint64_t closed_at;
    bool lost_any; /* subflow, ever */
};

/* A new endpoint for one side of a pair; returns NULL when memory is short. */
struct sim_endpoint *sim_endpoint_new(struct sim_host *host, struct sim_pair *pair,
                                      const struct braid_session_config *config);

/* Frees an endpoint and the session that it may still have. */
void sim_endpoint_free(struct sim_endpoint *endpoint);

/* Lets the session say what it has to say, after something has happened to it. */
void sim_endpoint_pump(struct sim_endpoint *endpoint);

/* A link has become the session's, or is no more. */
void sim_endpoint_joined(struct sim_endpoint *endpoint, struct sim_link *link);
void sim_endpoint_parted(struct sim_endpoint *endpoint, struct sim_link *link, bool failed);

/* Ends the session at once and without a word. */
void sim_endpoint_vanish(struct sim_endpoint *endpoint);

/* ---- dialling (dialler.c) ---- */

/* Dials as many subflows as are wanted and allowed now. */
void sim_dialler_run(struct sim_endpoint *endpoint);

/* A dial has succeeded: the link is a subflow now; or the session did not want it any more. */
void sim_dialler_connected(struct sim_endpoint *endpoint, struct sim_link *link);
void sim_dialler_refused(struct sim_endpoint *endpoint, struct sim_link *link);

/* A dial has failed. */
void sim_dialler_failed(struct sim_endpoint *endpoint, struct sim_link *link, int error);

/* A subflow is gone; failed: not in order. */
void sim_dialler_lost(struct sim_endpoint *endpoint, struct sim_link *link, bool failed);

/* Takes note of what the core thinks of the subflow; it was sampled. */
void sim_dialler_watch(struct sim_endpoint *endpoint, struct sim_link *link);
void sim_dialler_measured(struct sim_endpoint *endpoint, struct sim_link *link);

/* Gives up what is being dialled. */
void sim_dialler_stop(struct sim_endpoint *endpoint);

/* The dial timer. */
void sim_dialler_expired(void *arg);

#endif
