/* SPDX-License-Identifier: MIT */
/*
 * What a session has to send, and which subflow is to be written to next. The write is planned in
 * session_plan.c and made true in session_pulled.c.
 */
#include "session_internal.h"

#define CRUMBS_MAX 2048u
#define BLOCKED_FIRST 125000u  /* microseconds at the limit, then longer: the peer is asked */
#define PACE_TIME 2000u        /* microseconds until a full path is looked at again */
#define LATE_TIME 10000u       /* and until bytes on their way are looked at for being late */
#define PRESSURE_RETRY 200000u /* microseconds */

bool braid_session_has_again(const struct braid_session *session)
{
    return session->again.count > 0;
}

bool braid_session_has_again_for(const struct braid_session *session,
                                 const struct braid_subflow *subflow)
{
    for (size_t i = 0; i < session->again.count; i++) {
        if (!braid_inflight_has(&subflow->inflight, session->again.at[i].start))
            return true;
    }
    return false;
}

bool braid_session_has_new(const struct braid_session *session)
{
    /* When bytes go twice, the slower one of two subflows may still want what was sent once. */
    uint64_t at =
        session->config.mode == BRAID_MODE_REDUNDANT ? session->sendbuf.una : session->next;

    return at < session->sendbuf.end && at < session->limit;
}

/*
 * So many tiny frames are beyond what the receiver has in order that it could take them for an
 * attack on its memory (recvbuf.c): the next bytes wait until it has, or there is a whole frame of
 * them.
 */
static bool is_crumbled(const struct braid_session *session)
{
    return session->crumbs + session->old_crumbs >= CRUMBS_MAX &&
           session->sendbuf.una < session->crumbs_mark &&
           session->sendbuf.end - session->next < BRAID_FRAME_MIN;
}

/* Counts a new frame: those before the mark and those behind it, until all before it are in order.
 */
void braid_session_count_crumb(struct braid_session *session, uint32_t len)
{
    if (session->sendbuf.una >= session->crumbs_mark) {
        session->old_crumbs = session->crumbs;
        session->crumbs = 0;
        session->crumbs_mark = session->next;
    }
    if (len < BRAID_FRAME_MIN)
        session->crumbs++;
}

struct braid_subflow *braid_session_data_sender(const struct braid_session *session)
{
    if (session->state != BRAID_SESSION_OPEN)
        return NULL;
    if (braid_session_has_again(session)) {
        struct braid_subflow *subflow = session->scheduler->pick(session, true);

        if (subflow != NULL)
            return subflow;
    }
    if (!braid_session_has_new(session) || is_crumbled(session))
        return NULL;
    return session->scheduler->pick(session, false);
}

/* Whether any path delivers: in an outage of all of them there is nothing to keep pace with. */
static bool has_lively(const struct braid_session *session, uint64_t now)
{
    for (const struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        if (!braid_rescue_is_quiet(s, now))
            return true;
    }
    return false;
}

/*
 * Nothing can or should be sent now; but a subflow that idles may carry again what is late on
 * another. Sees to it that somebody looks again soon.
 */
static struct braid_subflow *late_sender(struct braid_session *session, uint64_t now)
{
    struct braid_subflow *fast;
    bool paced = session->next < session->sendbuf.end && session->next < session->limit;
    uint64_t at = now + (paced && has_lively(session, now) ? PACE_TIME : LATE_TIME);

    if (session->state != BRAID_SESSION_OPEN || session->sendbuf.una == session->next ||
        (session->subflow_count < 2 && !paced))
        return NULL;
    if (session->deadlines.at[BRAID_TIMER_PACE] > at)
        braid_timer_set(&session->deadlines, BRAID_TIMER_PACE, at);
    if (session->subflow_count < 2 || braid_session_has_again(session))
        return NULL;
    fast = session->scheduler->pick(session, true);
    return fast != NULL && braid_late_rescue(session, fast, true, now)
               ? braid_session_data_sender(session)
               : NULL;
}

/*
 * A subflow on probation that is to carry a copy of the head of the line. It shows what the path is
 * worth, delays nothing if that is little, and is of use if the other path has just failed.
 */
struct braid_subflow *braid_session_probe_sender(const struct braid_session *session)
{
    if (session->state != BRAID_SESSION_OPEN || session->subflow_count < 2 ||
        session->sendbuf.una == session->next || !braid_session_has_new(session))
        return NULL;
    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        if (!s->blocked && s->rest == NULL && s->inflight.bytes == 0 && s->room >= BRAID_PROBE &&
            braid_subflow_on_probation(s) &&
            ((s->state == BRAID_SUBFLOW_HELLO && !s->backup) ||
             braid_scheduler_eligible(session, s)))
            return s;
    }
    return NULL;
}

static bool wants_fin(const struct braid_session *session)
{
    return session->shut && !session->fin_acked && session->fin_on == NULL &&
           session->state == BRAID_SESSION_OPEN && session->next == session->sendbuf.end;
}

bool braid_session_wants_reset(const struct braid_session *session)
{
    return session->state == BRAID_SESSION_ABORTING && session->resets_left > 0;
}

/* Whether something is to be sent that any subflow may carry. */
static bool wants_control(const struct braid_session *session)
{
    if (session->config.speaks_seed)
        return false; /* there is none */
    return session->ack_due || session->want_result || session->gone_count > 0 ||
           wants_fin(session) || braid_session_wants_reset(session);
}

/* Whether something is to be sent that only this subflow can carry. */
static bool wants_own(const struct braid_subflow *subflow)
{
    if (braid_subflow_is_shut(subflow))
        return false; /* nothing may follow */
    return subflow->rest != NULL || subflow->want_hello || subflow->want_ping ||
           subflow->want_pong || subflow->want_close;
}

/* The subflow for what any may carry: in good health, then the one with the shortest way. */
struct braid_subflow *braid_session_shortest(const struct braid_session *session)
{
    struct braid_subflow *best = NULL;

    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        if (s->blocked)
            continue;
        if (best == NULL || s->state < best->state ||
            (s->state == best->state && s->estimator.rtt < best->estimator.rtt))
            best = s;
    }
    return best;
}

/*
 * An ACK goes back on the subflow that last brought data, or a question: that one works, at least
 * in one direction, while another may have died without anybody knowing yet.
 */
static struct braid_subflow *control_sender(const struct braid_session *session)
{
    struct braid_subflow *last = session->ack_on;

    if (session->ack_due && last != NULL && !last->blocked && last->state == BRAID_SUBFLOW_ACTIVE)
        return last;
    return braid_session_shortest(session);
}

static void watch_limit(struct braid_session *session, uint64_t now)
{
    if (!session->config.speaks_seed && session->next < session->sendbuf.end &&
        session->next >= session->limit &&
        !braid_timer_is_set(&session->deadlines, BRAID_TIMER_BLOCKED))
        braid_timer_set(&session->deadlines, BRAID_TIMER_BLOCKED,
                        now + (BLOCKED_FIRST << session->asked));
}

/* The application waits for room and there is no memory for it: nothing else may tell when there
 * is. */
static void watch_memory(struct braid_session *session, uint64_t now)
{
    uint64_t wait = BRAID_MEMORY_RETRY;

    if (!session->want_writable || braid_timer_is_set(&session->deadlines, BRAID_TIMER_MEMORY))
        return;
    if (braid_pool_pressure(session->pool) >= BRAID_PRESSURE_SHORT)
        wait = PRESSURE_RETRY; /* very many may wait for the same */
    else if (braid_pool_has(session->pool, BRAID_CHUNK_SMALL))
        return;
    braid_timer_set(&session->deadlines, BRAID_TIMER_MEMORY, now + wait);
}

struct braid_subflow *braid_session_next_sender(struct braid_session *session, uint64_t now)
{
    struct braid_subflow *subflow;

    if (session->state == BRAID_SESSION_OVER || braid_seed_is_gathering(session))
        return NULL;
    for (subflow = session->subflows; subflow != NULL; subflow = subflow->next) {
        if (!subflow->blocked && wants_own(subflow))
            return subflow;
    }
    subflow = braid_session_data_sender(session);
    if (subflow != NULL && session->subflow_count > 1 && !braid_session_has_again(session) &&
        braid_late_rescue(session, subflow, false, now))
        subflow = braid_session_data_sender(session);
    if (subflow == NULL)
        subflow = braid_session_probe_sender(session);
    if (subflow == NULL)
        subflow = late_sender(session, now);
    if (subflow != NULL)
        return subflow;
    if (session->state == BRAID_SESSION_OPEN)
        watch_limit(session, now);
    watch_memory(session, now);
    if (session->config.speaks_seed)
        braid_seed_watch(session, now);
    return wants_control(session) ? control_sender(session) : NULL;
}

bool braid_subflow_wants_room(const struct braid_subflow *subflow)
{
    const struct braid_session *session = subflow->session;

    if (subflow->state == BRAID_SUBFLOW_ENDING || braid_seed_is_gathering(session))
        return false;
    if (wants_own(subflow) || (subflow->blocked && wants_control(session)))
        return true;
    return session->state == BRAID_SESSION_OPEN && !subflow->starved &&
           !braid_subflow_is_full(subflow) &&
           (braid_session_has_again(session) || braid_session_has_new(session) ||
            (session->subflow_count > 1 && session->sendbuf.una < session->next));
}
