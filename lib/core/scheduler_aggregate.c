/* SPDX-License-Identifier: MIT */
#include "session_internal.h"

#define QUANTUM 4096u /* less room than this is not worth a frame */

/*
 * Bytes that wait to be sent for the first time. When the application waits for room there are more
 * behind them than we hold: then as many as the peer would take.
 */
static uint64_t backlog(const struct braid_session *session)
{
    uint64_t here = session->sendbuf.end - session->next;
    uint64_t allowed = session->limit > session->next ? session->limit - session->next : 0;

    if (allowed > session->config.window) /* it may be told any number */
        allowed = session->config.window;

    return session->want_writable && allowed > here ? allowed : here;
}

static bool can_take(const struct braid_subflow *subflow, uint64_t waiting)
{
    if (subflow->blocked || subflow->rest != NULL)
        return false;
    return subflow->room >= QUANTUM || (subflow->room > 0 && subflow->room >= waiting);
}

/* Whether any subflow is in good health; without one, the silent ones have to do. */
static bool has_healthy(const struct braid_session *session)
{
    for (const struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        if (s->state == BRAID_SUBFLOW_ACTIVE || s->state == BRAID_SUBFLOW_HELLO)
            return true;
    }
    return false;
}

static bool is_candidate(const struct braid_subflow *subflow, bool healthy_only)
{
    if (healthy_only)
        return subflow->state == BRAID_SUBFLOW_ACTIVE || subflow->state == BRAID_SUBFLOW_HELLO;
    return braid_subflow_usable(subflow);
}

static uint64_t arrival(const struct braid_subflow *subflow, uint64_t n)
{
    return braid_estimator_arrival(&subflow->estimator, subflow->inflight.bytes, n);
}

/*
 * The best of those that can take bytes; but when another, full one would deliver the whole backlog
 * sooner than this one a single frame, nothing: the wait is shorter (ECF, CoNEXT'17).
 */
static struct braid_subflow *pick(const struct braid_session *session, bool again)
{
    bool healthy = has_healthy(session);
    uint64_t waiting = again ? braid_ranges_size(&session->again) : backlog(session);
    uint64_t best_at = UINT64_MAX, wait = UINT64_MAX;
    struct braid_subflow *best = NULL;

    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        uint64_t at;

        if (!is_candidate(s, healthy))
            continue;
        if (!can_take(s, waiting)) {
            at = arrival(s, waiting);
            wait = at < wait ? at : wait;
            continue;
        }
        at = arrival(s, waiting < QUANTUM ? waiting : QUANTUM);
        if (at < best_at) {
            best_at = at;
            best = s;
        }
    }
    if (best != NULL && !again && best_at > wait + wait / 4)
        return NULL;
    return best;
}

const struct braid_scheduler braid_scheduler_aggregate = {
    .name = "aggregate",
    .pick = pick,
};
