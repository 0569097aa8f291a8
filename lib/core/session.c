/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "session_internal.h"

#define FIRST_FLIGHT 10000u   /* bytes of ten segments, of which HELLO takes one; see grown */
#define JOIN_AGE 1000000u     /* microseconds; so does one that lives longer */
#define OPEN_TIMEOUT 5000000u /* for the first answer of the peer */
#define END_TIMEOUT 2000000u  /* for CLOSE or RESET to be written */
#define CLOSE_LOOK 50000u     /* for it to be found silent */
#define ASKED_MAX 3u          /* doublings of the time between two questions for the limit */
#define POOL_SHARE 5u         /* of the pool's cap, that one direction may hold */
#define HELD_NEAR 1250000u    /* bytes; see held_max */
#define ROOM_MIN 4096u        /* less room than this is none */
#define ROOM_AGAIN 65536u     /* room worth waking the application for */

struct braid_session *braid_session_new(struct braid_pool *pool,
                                        const struct braid_session_config *config, uint64_t now)
{
    struct braid_session *session = braid_pool_alloc(pool, sizeof *session);

    if (session == NULL)
        return NULL;
    session->pool = pool;
    session->config = *config;
    if (session->config.first == 0)
        session->config.first = 1;
    session->scheduler = config->mode == BRAID_MODE_REDUNDANT ? &braid_scheduler_redundant
                                                              : &braid_scheduler_aggregate;
    session->random = config->seed | 1;
    session->allowed = config->subflows;
    session->limit = config->speaks_seed ? BRAID_SEED_SKEW : BRAID_INITIAL_LIMIT;
    session->seed.streams = config->streams;
    if (config->speaks_seed) { /* which has all its subflows, or none */
        session->config.first = config->subflows;
        session->grown = true;
        session->recvbuf.takes_crumbs = true;
    }
    session->final = BRAID_NEVER;
    /* A window is a promise: no session may promise more than its share of what there is. */
    if (session->config.window > braid_pool_cap(pool) / POOL_SHARE)
        session->config.window = braid_pool_cap(pool) / POOL_SHARE;
    if (braid_pool_pressure(pool) >= BRAID_PRESSURE_TIGHT)
        braid_flow_init_small(&session->flow, session->config.window, now);
    else
        braid_flow_init(&session->flow, session->config.window, now);
    braid_timers_clear(&session->deadlines);
    if (config->role == BRAID_LOCAL) {
        braid_session_act(session, BRAID_ACTION_DIAL);
        braid_timer_set(&session->deadlines, BRAID_TIMER_OPEN, now + OPEN_TIMEOUT);
        if (config->subflows > session->config.first)
            braid_timer_set(&session->deadlines, BRAID_TIMER_JOIN, now + JOIN_AGE);
    } else {
        braid_timer_set(&session->deadlines, BRAID_TIMER_GRACE, now + config->grace);
    }
    return session;
}

void braid_session_free(struct braid_session *session)
{
    struct braid_subflow *subflow;

    if (session == NULL)
        return;
    while ((subflow = session->subflows) != NULL) {
        session->subflows = subflow->next;
        braid_subflow_destroy(subflow);
    }
    while ((subflow = session->ending) != NULL) {
        session->ending = subflow->next;
        braid_subflow_destroy(subflow);
    }
    if (session->given != NULL)
        braid_subflow_destroy(session->given);
    braid_sendbuf_clear(&session->sendbuf);
    braid_recvbuf_clear(&session->recvbuf, session->pool);
    braid_ranges_clear(&session->indices, session->pool);
    braid_ranges_clear(&session->again, session->pool);
    braid_ranges_clear(&session->delivered, session->pool);
    braid_pool_release(session->pool, session, sizeof *session);
}

uint64_t braid_session_id(const struct braid_session *session)
{
    return session->config.id;
}

bool braid_session_speaks_seed(const struct braid_session *session)
{
    return session->config.speaks_seed;
}

void braid_session_act(struct braid_session *session, enum braid_action_type type)
{
    session->actions |= 1u << type;
}

unsigned braid_session_subflows_wanted(const struct braid_session *session)
{
    if (session->config.role != BRAID_LOCAL)
        return 0;
    if (session->config.speaks_seed && !braid_seed_is_gathering(session))
        return 0;
    if (session->state == BRAID_SESSION_ABORTING)
        return session->established && session->subflow_count == 0 ? 1 : 0;
    if (session->state != BRAID_SESSION_OPEN)
        return 0;
    if (session->grown || session->config.first > session->allowed)
        return session->allowed;
    return session->config.first;
}

void braid_session_grow(struct braid_session *session)
{
    if (session->grown || session->config.role != BRAID_LOCAL ||
        session->state != BRAID_SESSION_OPEN)
        return;
    session->grown = true;
    braid_timer_clear(&session->deadlines, BRAID_TIMER_JOIN);
    braid_session_act(session, BRAID_ACTION_DIAL);
}

void braid_session_check_growth(struct braid_session *session)
{
    if (session->sendbuf.end + session->recvbuf.next > FIRST_FLIGHT)
        braid_session_grow(session);
}

/* ---- the end ---- */

void braid_session_end(struct braid_session *session, int error)
{
    if (session->state == BRAID_SESSION_OVER)
        return;
    session->state = BRAID_SESSION_OVER;
    session->error = error;
    while (session->subflows != NULL)
        braid_subflow_end(session->subflows, session->config.speaks_seed ? error : BRAID_OK);
    if (error == BRAID_OK && session->config.role == BRAID_LOCAL && !session->answered) {
        session->answered = true; /* the news is on a slower subflow than the end that proves it */
        braid_session_act(session, BRAID_ACTION_RESULT);
    }
    braid_timers_clear(&session->deadlines);
    braid_sendbuf_clear(&session->sendbuf);
    braid_ranges_clear(&session->again, session->pool);
    braid_ranges_clear(&session->delivered, session->pool);
    if (error != BRAID_OK)
        braid_recvbuf_clear(&session->recvbuf, session->pool);
    braid_session_act(session, BRAID_ACTION_CLOSED);
}

void braid_session_check_finished(struct braid_session *session, uint64_t now)
{
    if (session->config.speaks_seed) {
        braid_seed_check(session, now);
        return;
    }
    if (session->state != BRAID_SESSION_OPEN || !session->fin_acked || !session->fin_told)
        return;
    session->state = BRAID_SESSION_CLOSING;
    braid_timers_clear(&session->deadlines);
    if (session->subflow_count == 0) {
        braid_session_end(session, BRAID_OK);
        return;
    }
    braid_timer_set(&session->deadlines, BRAID_TIMER_END, now + END_TIMEOUT);
    braid_timer_set(&session->deadlines, BRAID_TIMER_WATCH, now + CLOSE_LOOK);
    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next)
        s->want_close = true;
}

void braid_session_check_closed(struct braid_session *session, uint64_t now)
{
    if (session->state != BRAID_SESSION_CLOSING || !session->close_sent)
        return;
    for (const struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        if (braid_subflow_is_well(s) && !(s->blocked && braid_rescue_is_quiet(s, now)))
            return;
    }
    braid_session_end(session, BRAID_OK);
}

void braid_session_check_eof(struct braid_session *session)
{
    if (session->recvbuf.next > session->recvbuf.drained)
        braid_session_act(session, BRAID_ACTION_READABLE);
    if (session->recvbuf.drained == session->final && !session->eof_told)
        braid_session_act(session, BRAID_ACTION_EOF);
}

void braid_session_reset(struct braid_session *session, int error, uint64_t now)
{
    if (session->state == BRAID_SESSION_ABORTING || session->state == BRAID_SESSION_OVER) {
        if (session->state == BRAID_SESSION_OVER && session->error == BRAID_OK)
            session->eof_told = true; /* what was not drained is not wanted any more */
        return;
    }
    if (session->state == BRAID_SESSION_CLOSING || session->config.speaks_seed) {
        braid_session_end(session, BRAID_ERR_RESET);
        return;
    }
    session->state = BRAID_SESSION_ABORTING;
    session->reset_code = error;
    session->resets_left = 2;
    braid_timers_clear(&session->deadlines);
    braid_timer_set(&session->deadlines, BRAID_TIMER_END, now + END_TIMEOUT);
    braid_recvbuf_clear(&session->recvbuf, session->pool);
    if (session->subflow_count > 0)
        return;
    if (braid_session_subflows_wanted(session) > 0)
        braid_session_act(session, BRAID_ACTION_DIAL);
    else
        braid_session_end(session, BRAID_ERR_RESET);
}

void braid_session_answer(struct braid_session *session, int error, uint64_t now)
{
    if (session->answered || session->config.role != BRAID_REMOTE)
        return;
    session->answered = true;
    session->result = error;
    session->want_result = !session->config.speaks_seed; /* which has no word for it */
    if (error != BRAID_OK)
        braid_session_reset(session, error, now);
}

/* ---- the application ---- */

/*
 * How many bytes may wait for the peer's acknowledgement. Nearby, less than the window is enough
 * for what we copy: 10 Gbit/s for a millisecond, and over loopback 100. More would be nothing but
 * memory that has left the processor's cache by the time it is written to again.
 */
static uint64_t held_max(const struct braid_session *session)
{
    uint64_t window = session->config.window;
    uint64_t round_trip;

    if (session->lends || session->config.speaks_seed || window <= HELD_NEAR)
        return window;
    round_trip = braid_session_longest_round_trip(session);
    return round_trip > 0 && round_trip < BRAID_NEAR ? HELD_NEAR : window;
}

/* How many bytes the application may add now, in the way that it last asked for. */
static size_t app_room(const struct braid_session *session)
{
    uint64_t unsent = session->sendbuf.end - session->next;
    uint64_t unsent_most = session->lends ? BRAID_BACKLOG_LENT : BRAID_BACKLOG_MAX;
    uint64_t held = session->sendbuf.end - session->sendbuf.una;
    uint64_t held_most = held_max(session);
    uint64_t room;

    if (session->shut || session->state != BRAID_SESSION_OPEN || unsent >= unsent_most ||
        held >= held_most || braid_pool_pressure(session->pool) >= BRAID_PRESSURE_SHORT)
        return 0;
    room = unsent_most - unsent;
    if (room > held_most - held)
        room = held_most - held;
    return (size_t)room;
}

/* The same, and that is how it asks now. */
static size_t ask_for_room(struct braid_session *session, bool lends)
{
    session->lends = lends;
    return app_room(session);
}

int braid_session_reserve(struct braid_session *session, struct iovec *v, int max)
{
    size_t room = ask_for_room(session, false);
    int count = 0;

    if (room >= ROOM_MIN)
        count = braid_sendbuf_reserve(&session->sendbuf, session->pool, v, max, room);
    session->want_writable = count == 0;
    return count;
}

/* There are more bytes to be sent. */
static void note_committed(struct braid_session *session)
{
    if (session->config.speaks_seed)
        session->seed.last = braid_sendbuf_last(&session->sendbuf);
    braid_session_check_growth(session);
}

void braid_session_commit(struct braid_session *session, size_t n, uint64_t now)
{
    (void)now;
    braid_sendbuf_commit(&session->sendbuf, n);
    if (n > 0)
        note_committed(session);
}

size_t braid_session_lend(struct braid_session *session, const void *data, size_t len,
                          braid_release_cb release, void *arg, uint64_t now)
{
    size_t room = ask_for_room(session, true);
    uint32_t n = (uint32_t)(len < room ? len : room);
    struct braid_chunk *chunk = NULL;

    (void)now;
    if (len > 0 && room >= ROOM_MIN)
        chunk = braid_chunk_lend(session->pool, data, n, release, arg);
    session->want_writable = chunk == NULL;
    if (chunk == NULL)
        return 0;
    braid_sendbuf_append(&session->sendbuf, chunk);
    note_committed(session);
    return n;
}

int braid_session_peek(const struct braid_session *session, struct iovec *v, int max)
{
    return braid_recvbuf_peek(&session->recvbuf, v, max);
}

uint64_t braid_session_longest_round_trip(const struct braid_session *session)
{
    uint64_t longest = 0;

    for (const struct braid_subflow *s = session->subflows; s != NULL; s = s->next)
        longest = s->estimator.rtt > longest ? s->estimator.rtt : longest;
    return longest;
}

void braid_session_drain(struct braid_session *session, size_t n, uint64_t now)
{
    struct braid_recvbuf *buf = &session->recvbuf;

    braid_recvbuf_drain(buf, session->pool, n);
    if (braid_pool_pressure(session->pool) < BRAID_PRESSURE_TIGHT)
        braid_flow_drained(&session->flow, buf->drained, braid_session_longest_round_trip(session),
                           now);
    if (session->final == BRAID_NEVER &&
        braid_flow_worth_telling(&session->flow, buf->drained, session->received_max))
        braid_session_owe_ack(session, true, now);
    if (buf->drained == session->final && !session->eof_told)
        braid_session_act(session, BRAID_ACTION_EOF);
    if (session->config.speaks_seed)
        braid_seed_check(session, now);
}

void braid_session_want(struct braid_session *session, size_t n, uint64_t now)
{
    const struct braid_recvbuf *buf = &session->recvbuf;

    if (session->config.speaks_seed || session->final != BRAID_NEVER ||
        braid_pool_pressure(session->pool) >= BRAID_PRESSURE_TIGHT)
        return;
    braid_flow_want(&session->flow, n);
    if (braid_flow_worth_telling(&session->flow, buf->drained, session->received_max))
        braid_session_owe_ack(session, true, now);
}

void braid_session_shutdown(struct braid_session *session, uint64_t now)
{
    session->shut = true;
    session->want_writable = false;
    braid_session_check_finished(session, now);
}

/* ---- time ---- */

uint64_t braid_session_deadline(const struct braid_session *session)
{
    return braid_timers_next(&session->deadlines);
}

/* At the peer's limit for long: the ACK that moved it may have died with its subflow. */
static void ask_for_limit(struct braid_session *session)
{
    if (session->next >= session->sendbuf.end || session->next < session->limit)
        return;
    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        if (s->ping_at == 0)
            s->want_ping = true;
    }
    if (session->asked < ASKED_MAX)
        session->asked++; /* the next time, which the pump sets, comes later */
}

void braid_session_on_time(struct braid_session *session, uint64_t now)
{
    struct braid_deadlines *d = &session->deadlines;

    if (braid_timer_due(d, BRAID_TIMER_ACK, now))
        session->ack_due = true;
    if (braid_timer_due(d, BRAID_TIMER_WATCH, now))
        braid_rescue_watch(session, now);
    (void)braid_timer_due(d, BRAID_TIMER_PACE, now); /* whoever called will ask for a sender */
    if (braid_timer_due(d, BRAID_TIMER_JOIN, now)) {
        braid_session_grow(session);
        braid_seed_open(session, now);
    }
    if (braid_timer_due(d, BRAID_TIMER_LIMIT, now)) {
        session->allowed = session->config.subflows;
        braid_session_act(session, BRAID_ACTION_DIAL);
    }
    if (braid_timer_due(d, BRAID_TIMER_MEMORY, now)) { /* and whoever called looks for actions */
        for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next)
            s->starved = false;
    }
    if (braid_timer_due(d, BRAID_TIMER_BLOCKED, now))
        ask_for_limit(session);
    if (braid_timer_due(d, BRAID_TIMER_OPEN, now) && !session->established)
        braid_session_end(session, BRAID_ERR_TIMEOUT);
    if (braid_timer_due(d, BRAID_TIMER_GRACE, now))
        braid_session_end(session, BRAID_ERR_GRACE);
    if (session->config.speaks_seed && braid_timer_due(d, BRAID_TIMER_END, now))
        braid_seed_overdue(session, now);
    else if (braid_timer_due(d, BRAID_TIMER_END, now))
        braid_session_end(session,
                          session->state == BRAID_SESSION_CLOSING ? BRAID_OK : BRAID_ERR_RESET);
}

/* ---- actions ---- */

static bool take(struct braid_session *session, enum braid_action_type type)
{
    unsigned bit = 1u << type;
    bool set = (session->actions & bit) != 0;

    session->actions &= ~bit;
    return set;
}

/* Adds WRITABLE when the application waits for room and there is enough. */
static void check_writable(struct braid_session *session)
{
    size_t again = session->config.window / 2;

    if (again > ROOM_AGAIN)
        again = ROOM_AGAIN;
    if (session->want_writable && app_room(session) >= again &&
        braid_pool_has(session->pool, BRAID_CHUNK_SMALL))
        session->actions |= 1u << BRAID_ACTION_WRITABLE;
}

/* Frees the subflow that the last CLOSE_SUBFLOW was about. */
static void forget_given(struct braid_session *session)
{
    if (session->given == NULL)
        return;
    braid_subflow_destroy(session->given);
    session->given = NULL;
}

static bool give_back(struct braid_session *session, struct braid_action *action)
{
    struct braid_subflow *subflow = session->ending;

    if (subflow == NULL)
        return false;
    session->ending = subflow->next;
    action->type = BRAID_ACTION_CLOSE_SUBFLOW;
    action->error = subflow->error;
    action->user = subflow->user;
    action->subflow = subflow;
    session->given = subflow;
    return true;
}

/* CLOSED is told when nobody can see anything more: at once after an error, else after EOF. */
static bool tell_closed(struct braid_session *session, struct braid_action *action)
{
    if (session->state != BRAID_SESSION_OVER || session->closed_told ||
        (session->error == BRAID_OK && !session->eof_told))
        return false;
    session->closed_told = true;
    action->type = BRAID_ACTION_CLOSED;
    action->error = session->error;
    return true;
}

bool braid_session_next_action(struct braid_session *session, struct braid_action *action)
{
    static const enum braid_action_type order[] = {
        BRAID_ACTION_ESTABLISHED, BRAID_ACTION_RESULT, BRAID_ACTION_READABLE,
        BRAID_ACTION_WRITABLE,    BRAID_ACTION_EOF,    BRAID_ACTION_DIAL,
    };
    const unsigned dead_letters =
        1u << BRAID_ACTION_READABLE | 1u << BRAID_ACTION_WRITABLE | 1u << BRAID_ACTION_EOF;
    bool aborted = session->state == BRAID_SESSION_ABORTING ||
                   (session->state == BRAID_SESSION_OVER && session->error != BRAID_OK);

    *action = (struct braid_action){.type = BRAID_ACTION_NONE};
    forget_given(session);
    if (aborted)
        session->actions &= ~dead_letters;
    else
        check_writable(session);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (!take(session, order[i]))
            continue;
        action->type = order[i];
        if (order[i] == BRAID_ACTION_RESULT)
            action->error = session->result;
        if (order[i] == BRAID_ACTION_WRITABLE)
            session->want_writable = false;
        if (order[i] == BRAID_ACTION_EOF)
            session->eof_told = true;
        return true;
    }
    return give_back(session, action) || tell_closed(session, action);
}

void braid_session_get_stats(const struct braid_session *session, struct braid_session_stats *stats)
{
    stats->committed = session->sendbuf.end;
    stats->acked = session->sendbuf.una;
    stats->drained = session->recvbuf.drained;
    stats->unread = session->recvbuf.next - session->recvbuf.drained;
    stats->bytes_resent = session->bytes_resent;
    stats->subflows = session->subflow_count;
    stats->subflows_lost = session->lost_count;
    stats->established = session->established;
    stats->complete = session->recvbuf.next == session->final;
    stats->full = session->config.speaks_seed ? stats->unread >= session->config.window
                                              : session->recvbuf.next >= session->flow.limit;
    stats->memory = session->sendbuf.memory + session->recvbuf.bytes;
}
