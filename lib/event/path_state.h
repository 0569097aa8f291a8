/* SPDX-License-Identifier: MIT */
/*
 * What is known about a path, by all sessions that use it together: whether it works, since when,
 * and when it may be dialled again while it does not.
 *
 * It is up while a subflow on it is well, suspect while all of them are silent or the last one has
 * just failed, and down once nothing connects either, or the machine has no way to it. A subflow
 * that says nothing is no proof against that: only one that carries something is. While the path is
 * down, all sessions together probe it at the pace of one. Any thread may call; the lock is held
 * for a few instructions.
 */
#ifndef BRAID_EVENT_PATH_STATE_H
#define BRAID_EVENT_PATH_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum braid_path_health {
    BRAID_PATH_UNKNOWN, /* never tried */
    BRAID_PATH_UP,
    BRAID_PATH_SUSPECT,
    BRAID_PATH_DOWN,
};

/* What of it can be seen. */
struct braid_path_view {
    enum braid_path_health health;
    uint64_t since;   /* that it is so */
    unsigned alive;   /* subflows that are connected */
    unsigned unwell;  /* of these, that are silent */
    uint64_t rtt;     /* microseconds, smoothed; 0: unknown */
    uint64_t rate;    /* bytes a second of a busy subflow; 0: unknown */
    int error;        /* of the latest dial that failed */
    const char *why;  /* the same in words; static; NULL: there are no better ones */
    unsigned remote;  /* which of its addresses to dial */
    unsigned returns; /* how often it has come back: whoever waits for it need not any more */
};

struct braid_path_state {
    pthread_mutex_t lock;
    struct braid_path_view view;
    uint64_t heard;     /* when something was last known to have come or got through */
    uint64_t next_dial; /* while it is down: not before */
    uint64_t pause;     /* between two rounds of dials */
    unsigned failures;  /* of dials in a row */
    uint64_t returned;  /* when it last came back, and that was told */
};

/* false: no memory. */
bool braid_path_state_init(struct braid_path_state *state);
void braid_path_state_clear(struct braid_path_state *state);

struct braid_path_view braid_path_state_view(struct braid_path_state *state);

/*
 * Whether a session that has no subflow on the path may dial it now; then that is noted, and others
 * wait. Else *when is the time to ask again. force: whatever is known.
 */
bool braid_path_state_ask(struct braid_path_state *state, unsigned remotes, bool force,
                          uint64_t now, uint64_t *when);

/* How long a dial may take, microseconds, where there are so many remote addresses. */
uint64_t braid_path_state_patience(struct braid_path_state *state, unsigned remotes);

/* The dial that was granted last was given up: somebody else may dial. */
void braid_path_state_release(struct braid_path_state *state, uint64_t now);

/*
 * What is found out about the path. Each returns whether others may be waiting for that: it has
 * come back, and not only just.
 *
 * connected: a dial has succeeded, and there is one more subflow alive. rtt: 0: unknown.
 * silent: a subflow has become silent, or is well again.
 * measured: a subflow was looked at. rtt, rate: 0: nothing known; moved_since: something has come
 * or got through since that time, 0: nothing.
 */
bool braid_path_state_connected(struct braid_path_state *state, uint64_t rtt, uint64_t now);
bool braid_path_state_silent(struct braid_path_state *state, bool silent, uint64_t now);
bool braid_path_state_measured(struct braid_path_state *state, uint64_t rtt, uint64_t rate,
                               uint64_t moved_since, uint64_t now);

/* A dial that has failed. */
struct braid_path_failure {
    unsigned remote;  /* to which address, of how many */
    unsigned remotes; /* not 0 */
    int error;        /* enum braid_error */
    const char *why;  /* in words; static */
    uint64_t began;
};

/*
 * A dial has failed. Returns whether that is news: false when the path was down already, and
 * braid_path_state_ask() says when to dial again.
 */
bool braid_path_state_failed(struct braid_path_state *state,
                             const struct braid_path_failure *failure, uint64_t now);

/* A subflow is gone. unwell: it was silent; failed: it did not end in order. */
void braid_path_state_gone(struct braid_path_state *state, bool unwell, bool failed, uint64_t now);

/*
 * The machine has no way to send on it any more: an address, a route or the link is gone. Returns
 * whether that is news.
 */
bool braid_path_state_cut(struct braid_path_state *state, uint64_t now);

/* Something has changed for the better: it may be dialled at once. */
void braid_path_state_hurry(struct braid_path_state *state);

#endif
