/* SPDX-License-Identifier: MIT */
/*
 * Every byte on two subflows, for the shortest delay: the two with the shortest round trips, on two
 * paths if there are. Each goes through the stream at its own pace; one that falls behind what the
 * peer has acknowledged skips ahead.
 */
#include "session_internal.h"

static bool is_better(const struct braid_subflow *a, const struct braid_subflow *b)
{
    return b == NULL || a->estimator.rtt < b->estimator.rtt;
}

/* The best one, or with `than` the best that differs from it, on another path if possible. */
static struct braid_subflow *best(const struct braid_session *session,
                                  const struct braid_subflow *than)
{
    struct braid_subflow *same = NULL, *other = NULL;

    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        if (s == than || !braid_scheduler_eligible(session, s))
            continue;
        if (than != NULL && s->path == than->path)
            same = is_better(s, same) ? s : same;
        else
            other = is_better(s, other) ? s : other;
    }
    return other != NULL ? other : same;
}

static uint64_t next(const struct braid_session *session, const struct braid_subflow *subflow)
{
    return subflow->cursor > session->sendbuf.una ? subflow->cursor : session->sendbuf.una;
}

static bool can_go_on(const struct braid_session *session, const struct braid_subflow *subflow,
                      bool again)
{
    uint64_t end = session->sendbuf.end < session->limit ? session->sendbuf.end : session->limit;
    uint64_t at = next(session, subflow);

    if (again)
        return braid_scheduler_can_repeat(session, subflow);
    return at < end && braid_scheduler_can_take(subflow, end - at);
}

static struct braid_subflow *pick(const struct braid_session *session, bool again)
{
    struct braid_subflow *first = best(session, NULL);
    struct braid_subflow *second;

    if (first == NULL || can_go_on(session, first, again))
        return first;
    second = best(session, first);
    return second != NULL && can_go_on(session, second, again) ? second : NULL;
}

const struct braid_scheduler braid_scheduler_redundant = {
    .name = "redundant",
    .pick = pick,
    .next = next,
};
