/* SPDX-License-Identifier: MIT */
/*
 * Earliest expected arrival. Bytes go where they would arrive first, as far as can be told from
 * what each socket holds; a slower subflow helps only where that neither delays the whole nor
 * blocks it:
 *
 * - ECF (CoNEXT'17): it stays idle when the fastest one would have carried everything that waits by
 *   the time a first frame arrived on it;
 * - BLEST (Networking'16): and when, until that frame arrives, the fastest one would run into the
 *   peer's limit, since the window could not move past it.
 */
#include "session_internal.h"

#define BLEST_PERCENT 120u /* margin for rates that are guesses */
#define KNOWN_WELL 65536u  /* bytes delivered: what a subflow is worth is no guess any more */

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

/* Bytes of the next frame on this subflow. */
static uint64_t next_frame(const struct braid_subflow *subflow, uint64_t waiting)
{
    uint64_t frame = braid_subflow_frame(subflow);

    return waiting < frame ? waiting : frame;
}

/* Which subflows are compared. */
enum of { ANY, THAT_CAN_TAKE, THAT_CAN_REPEAT };

static bool is_of(const struct braid_session *session, const struct braid_subflow *subflow,
                  enum of of, uint64_t waiting)
{
    if (of == ANY && braid_subflow_on_probation(subflow))
        return false; /* it may never be free: who would wait for it? */
    if (of == THAT_CAN_TAKE && !braid_scheduler_can_take(subflow, waiting))
        return false;
    if (of == THAT_CAN_REPEAT && !braid_scheduler_can_repeat(session, subflow))
        return false;
    return braid_scheduler_eligible(session, subflow);
}

/* The one with the earliest arrival. */
static struct braid_subflow *earliest(const struct braid_session *session, enum of of,
                                      uint64_t waiting)
{
    struct braid_subflow *best = NULL;
    uint64_t best_at = UINT64_MAX;

    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        uint64_t at;

        if (!is_of(session, s, of, waiting))
            continue;
        at = braid_subflow_arrival(s, next_frame(s, waiting));
        if (at < best_at) {
            best_at = at;
            best = s;
        }
    }
    return best;
}

/* Beside a subflow that is known well, one that is not may be half as fast as it seems. */
static bool is_doubtful(const struct braid_subflow *subflow, const struct braid_subflow *beside)
{
    return beside->confirmed >= KNOWN_WELL && braid_subflow_on_probation(subflow);
}

/* Whether sending on `slow` now would help, though `fast` is full. */
static bool helps(const struct braid_session *session, const struct braid_subflow *slow,
                  const struct braid_subflow *fast, uint64_t waiting)
{
    uint64_t n = next_frame(slow, waiting);
    uint64_t slow_at = braid_subflow_arrival(slow, n);
    uint64_t fast_at = braid_subflow_arrival(fast, n);
    uint64_t alone = braid_estimator_alone(&fast->estimator, braid_subflow_queued(fast), waiting);
    uint64_t room = session->limit > session->next + n ? session->limit - session->next - n : 0;
    uint64_t meanwhile = slow_at > fast_at ? slow_at - fast_at : 0;

    if (slow_at > (is_doubtful(slow, fast) ? alone / 2 : alone + alone / 4))
        return false;
    meanwhile = braid_estimator_rate(&fast->estimator) * meanwhile / 1000000;
    return meanwhile * BLEST_PERCENT / 100 <= room;
}

static struct braid_subflow *pick(const struct braid_session *session, bool again)
{
    uint64_t waiting;
    struct braid_subflow *best, *fast;

    if (again)
        return earliest(session, THAT_CAN_REPEAT, braid_ranges_size(&session->again));
    waiting = backlog(session);
    best = earliest(session, THAT_CAN_TAKE, waiting);
    if (best == NULL || session->subflow_count == 1)
        return best;
    fast = earliest(session, ANY, waiting);
    if (fast == NULL || fast == best || helps(session, best, fast, waiting))
        return best;
    /* Nobody waits for one that is free: only one on probation seems faster. */
    return braid_scheduler_can_take(fast, waiting) ? fast : NULL;
}

static uint64_t next(const struct braid_session *session, const struct braid_subflow *subflow)
{
    (void)subflow;
    return session->next;
}

const struct braid_scheduler braid_scheduler_aggregate = {
    .name = "aggregate",
    .pick = pick,
    .next = next,
};
