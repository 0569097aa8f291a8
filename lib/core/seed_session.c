/* SPDX-License-Identifier: MIT */
/*
 * How a session of the seed's format begins, and how each of its directions ends.
 */
#include "session_internal.h"

/*
 * For the rest to connect, once one has. The seed's server takes a connection for dead that says
 * nothing for a second.
 */
#define GATHER_TIME 500000u
#define END_TIME 2000000u /* for SHUTDOWN to be written on all */

/* ---- the beginning ---- */

bool braid_seed_is_gathering(const struct braid_session *session)
{
    return session->config.speaks_seed && session->seed.streams == 0;
}

/* The peer is there, as far as can be told. */
static void establish(struct braid_session *session)
{
    if (session->established)
        return;
    session->established = true;
    braid_session_act(session, BRAID_ACTION_ESTABLISHED);
    if (session->config.role != BRAID_LOCAL)
        return;
    session->answered = true; /* the format has no word for it */
    braid_session_act(session, BRAID_ACTION_RESULT);
}

void braid_seed_open(struct braid_session *session, uint64_t now)
{
    if (!braid_seed_is_gathering(session) || session->subflow_count == 0 ||
        session->state != BRAID_SESSION_OPEN)
        return;
    session->seed.streams = session->seed.joined = session->subflow_count;
    braid_timer_clear(&session->deadlines, BRAID_TIMER_JOIN);
    braid_timer_clear(&session->deadlines, BRAID_TIMER_OPEN);
    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next)
        s->want_hello = true;
    braid_session_act(session, BRAID_ACTION_DIAL); /* none any more */
    establish(session);
    braid_seed_check(session, now);
}

void braid_seed_added(struct braid_subflow *subflow, uint64_t now)
{
    struct braid_session *session = subflow->session;

    subflow->state = BRAID_SUBFLOW_ACTIVE;
    subflow->want_hello = false;
    if (session->subflow_count >= session->config.subflows)
        braid_seed_open(session, now);
    else if (!braid_timer_is_set(&session->deadlines, BRAID_TIMER_JOIN))
        braid_timer_set(&session->deadlines, BRAID_TIMER_JOIN, now + GATHER_TIME);
}

int braid_seed_check_join(const struct braid_session *session, const struct braid_hello *hello)
{
    if (session->state == BRAID_SESSION_OVER)
        return session->error == BRAID_OK ? BRAID_ERR_FINISHED : BRAID_ERR_UNKNOWN_SESSION;
    if (hello->streams != session->seed.streams)
        return BRAID_ERR_PROTOCOL;
    return session->seed.joined < session->seed.streams ? BRAID_OK : BRAID_ERR_LIMIT;
}

void braid_seed_joined(struct braid_subflow *subflow, uint64_t now)
{
    struct braid_session *session = subflow->session;

    subflow->state = BRAID_SUBFLOW_ACTIVE;
    subflow->want_hello = false;
    subflow->index = subflow->path = session->seed.joined++;
    establish(session);
    braid_seed_check(session, now);
}

/* ---- the end of what comes in ---- */

/*
 * Whether what has arrived is all. A stream that failed may have taken bytes with it behind the
 * last one that is here, so only the peer's word helps then: that all streams end in order, or a
 * seal, which has set final already.
 */
static bool is_whole(const struct braid_session *session)
{
    const struct braid_seed *seed = &session->seed;

    return seed->failed == 0 && (seed->bare == 0 || session->config.bare_end) &&
           session->recvbuf.next == session->received_max;
}

/*
 * Whether every subflow that has bytes to bring is too far ahead to be read, while the application
 * has taken all there is: what is missing is behind them, or nowhere.
 */
static bool is_stuck(const struct braid_session *session)
{
    bool paused = false;

    if (session->seed.joined < session->seed.streams ||
        session->recvbuf.drained < session->recvbuf.next)
        return false;
    for (const struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        if (s->seed->ended)
            continue;
        if (braid_subflow_may_read(s))
            return false;
        paused = true;
    }
    return paused;
}

/* Those that have not come may have more, or carry more; or they never come. */
static void await_the_rest(struct braid_session *session, uint64_t now)
{
    if (!braid_timer_is_set(&session->deadlines, BRAID_TIMER_GRACE))
        braid_timer_set(&session->deadlines, BRAID_TIMER_GRACE, now + session->config.grace);
}

static void check_incoming(struct braid_session *session, uint64_t now)
{
    const struct braid_seed *seed = &session->seed;
    unsigned over = seed->shut + seed->bare + seed->failed;
    bool ended = over == seed->streams;

    if (session->recvbuf.next == session->final)
        return;
    if (session->final == BRAID_NEVER && ended && is_whole(session)) {
        session->final = session->received_max;
        braid_session_check_eof(session);
    } else if (ended) {
        braid_session_end(session, BRAID_ERR_TRUNCATED);
    } else if (is_stuck(session)) {
        braid_session_end(session, BRAID_ERR_MEMORY);
    } else if (over == seed->joined && session->final == BRAID_NEVER) {
        await_the_rest(session, now);
    }
}

/* ---- the end of what goes out ---- */

/*
 * SHUTDOWN goes when all has arrived: behind it nothing could be sent again of what is lost with
 * another subflow.
 */
static void check_outgoing(struct braid_session *session, uint64_t now)
{
    if (!session->shut || session->sendbuf.una < session->sendbuf.end)
        return;
    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next)
        s->want_close = !s->seed->said;
    if (!session->seed.overdue && !braid_timer_is_set(&session->deadlines, BRAID_TIMER_END))
        braid_timer_set(&session->deadlines, BRAID_TIMER_END, now + END_TIME);
}

/* Whether the peer knows the end by all ways that work. */
static bool has_said_all(const struct braid_session *session)
{
    if (!session->seed.said || session->seed.overdue)
        return session->seed.said;
    if (session->seed.joined < session->seed.streams)
        return false;
    for (const struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        if (!s->seed->said && braid_subflow_is_well(s))
            return false;
    }
    return true;
}

void braid_seed_check(struct braid_session *session, uint64_t now)
{
    if (session->state != BRAID_SESSION_OPEN || braid_seed_is_gathering(session))
        return;
    check_incoming(session, now);
    if (session->state != BRAID_SESSION_OPEN)
        return;
    check_outgoing(session, now);
    if (session->recvbuf.next == session->final && has_said_all(session))
        braid_session_end(session, BRAID_OK);
}

void braid_seed_overdue(struct braid_session *session, uint64_t now)
{
    session->seed.overdue = true;
    braid_seed_check(session, now);
}

/* ---- subflows that go ---- */

void braid_seed_retired(struct braid_subflow *subflow)
{
    struct braid_session *session = subflow->session;

    if (!subflow->seed->ended && !braid_seed_is_gathering(session))
        session->seed.failed++;
    subflow->seed->ended = true;
}

void braid_seed_lost(struct braid_session *session, uint64_t now)
{
    if (session->state != BRAID_SESSION_OPEN)
        return;
    session->lost_count++;
    if (braid_seed_is_gathering(session)) { /* nobody has heard of it */
        if (session->subflow_count == 0)
            braid_timer_clear(&session->deadlines, BRAID_TIMER_JOIN);
        braid_session_act(session, BRAID_ACTION_DIAL);
        return;
    }
    braid_seed_check(session, now);
    if (session->state != BRAID_SESSION_OPEN || session->subflow_count > 0)
        return;
    if (session->seed.joined == session->seed.streams)
        braid_session_end(session, BRAID_ERR_SUBFLOW_LOST);
    else
        await_the_rest(session, now);
}
