/* SPDX-License-Identifier: MIT */
/*
 * What becomes of bytes on a subflow that is dead, silent or late: they are sent again elsewhere.
 *
 * A subflow is silent when something is on its way and TCP delivers nothing: a path fails like
 * that long before TCP's own timers say so (transport.md 2). A proxy in between may acknowledge
 * what then gets lost, so the peer's own acknowledgements are watched as well, with more patience.
 * Silence counts against a subflow only while another one is lively; when all are silent it is the
 * peer or the whole network, and only PING goes out.
 */
#include "session_internal.h"

#define HELLO_TIMEOUT 5000000u /* microseconds, for an answer to our HELLO */
#define TICK 10000u            /* between two looks at a subflow that may have gone silent */
#define PATH_DEAD 3000000u     /* of TCP's silence: a fresh connection is faster than its timers */
#define CONTROL_PATIENCE 150000u /* at least, with nothing but control frames on their way */
#define PEER_PATIENCE 600000u    /* and round trips: without the peer's own acknowledgement */
#define BLIND_PATIENCE 250000u   /* the same at the least, where TCP cannot be asked */
#define PEER_DEAD 15000000u
#define KEEPALIVE 25000000u /* below the idle timeouts of NATs (transport.md 7) */
#define DOUBTS_MAX 3u
#define DOUBT_TIME 10000000u   /* without a wrong suspicion, and there is one doubt less */
#define DOUBT_SILENCE 1000000u /* a subflow that was suspected for longer had failed indeed */
#define HEAD_BYTES 32768u      /* what is sent again at first of a suspect's bytes */
#define LATE_BYTES 16384u      /* what is sent again at once of those that are merely late */
#define LATE_SPARE 20000u      /* how much sooner another subflow must be */
#define LATE_MIN 30000u        /* how late is late */
#define EXTRA_FREE 262144u     /* bytes sent again for lateness: so many, and 3 % */

/* ---- silence ---- */

enum quiet { LIVELY, QUIET, SILENT };

static enum quiet judge_silence(uint64_t silence, uint64_t patience)
{
    if (silence <= patience)
        return LIVELY;
    return silence <= 2 * patience ? QUIET : SILENT;
}

/*
 * How long TCP may be silent on this subflow: longer after each suspicion in the session that
 * proved wrong, or resending would take the little that a crowded path can carry.
 */
static uint64_t path_patience(const struct braid_subflow *subflow)
{
    uint64_t patience = braid_estimator_patience(&subflow->estimator);

    /* A few bytes of control alone are acknowledged by TCP when it likes, some 40 ms later. */
    if (subflow->inflight.bytes == 0 && patience < CONTROL_PATIENCE)
        patience = CONTROL_PATIENCE;
    return patience << subflow->session->doubts;
}

/*
 * Where TCP cannot be asked, the peer's word is all there is, and is waited for less long at first.
 * Where it can, doubts are about TCP: a proxy that acknowledges what it loses is told by this
 * alone.
 */
static uint64_t peer_patience(const struct braid_subflow *subflow)
{
    const struct braid_estimator *e = &subflow->estimator;
    uint64_t patience = 2 * e->rtt + 4 * e->rttvar;

    if (e->sampled)
        return PEER_PATIENCE + patience;
    if (patience < BLIND_PATIENCE)
        patience = BLIND_PATIENCE;
    return patience << subflow->session->doubts;
}

void braid_rescue_doubt(struct braid_subflow *subflow, uint64_t now)
{
    struct braid_session *session = subflow->session;

    if (now - subflow->suspected_at > DOUBT_SILENCE)
        return; /* it was right: the path had failed */
    if (session->doubts < DOUBTS_MAX)
        session->doubts++;
    session->doubted_at = now;
}

/* How long the peer has not shown that it receives anything on this subflow, while it should. */
static uint64_t peer_silence(const struct braid_subflow *subflow, uint64_t now)
{
    return braid_subflow_outstanding(subflow) ? now - subflow->progress_at : 0;
}

static enum quiet quiet_by_peer(const struct braid_subflow *subflow, uint64_t now)
{
    return judge_silence(peer_silence(subflow, now), peer_patience(subflow));
}

static enum quiet quiet_by_tcp(const struct braid_subflow *subflow, uint64_t now)
{
    const struct braid_estimator *e = &subflow->estimator;
    enum quiet quiet = judge_silence(braid_estimator_silence(e, now), path_patience(subflow));

    return quiet == QUIET && e->backoff > 0 ? SILENT : quiet;
}

static enum quiet quietness(const struct braid_subflow *subflow, uint64_t now)
{
    enum quiet by_tcp = quiet_by_tcp(subflow, now), by_peer = quiet_by_peer(subflow, now);

    return by_tcp > by_peer ? by_tcp : by_peer;
}

bool braid_rescue_is_quiet(const struct braid_subflow *subflow, uint64_t now)
{
    return quietness(subflow, now) != LIVELY;
}

static bool has_lively_other(const struct braid_subflow *subflow, uint64_t now)
{
    for (const struct braid_subflow *s = subflow->session->subflows; s != NULL; s = s->next) {
        if (s != subflow && s->state == BRAID_SUBFLOW_ACTIVE && quietness(s, now) == LIVELY)
            return true;
    }
    return false;
}

static bool is_dead(const struct braid_subflow *subflow, uint64_t now)
{
    const struct braid_estimator *e = &subflow->estimator;
    uint64_t patience = 6 * path_patience(subflow);

    return braid_estimator_silence(e, now) > (patience > PATH_DEAD ? patience : PATH_DEAD) ||
           peer_silence(subflow, now) > PEER_DEAD;
}

/* ---- sending again ---- */

/* Queues what of [start, end) is not known to have arrived. */
static int queue_again(struct braid_session *session, uint64_t start, uint64_t end)
{
    struct braid_range gap;

    if (start < session->sendbuf.una)
        start = session->sendbuf.una;
    while (start < end && braid_ranges_gap(&session->delivered, start, end, &gap)) {
        if (braid_ranges_add(&session->again, session->pool, gap.start, gap.end) != 0)
            return -BRAID_ERR_MEMORY;
        start = gap.end;
    }
    return 0;
}

/* Queues the first `bytes` of what is in flight, less what was queued before. */
static int rescue_front(struct braid_subflow *subflow, uint64_t bytes)
{
    uint64_t position = 0;

    for (size_t i = 0; i < subflow->inflight.count && position < bytes; i++) {
        struct braid_range range = braid_inflight_at(&subflow->inflight, i).range;
        uint64_t len = range.end - range.start;
        uint64_t skip = subflow->rescued > position ? subflow->rescued - position : 0;

        if (skip < len) {
            uint64_t end = position + len > bytes ? range.start + bytes - position : range.end;

            if (queue_again(subflow->session, range.start + skip, end) != 0)
                return -BRAID_ERR_MEMORY;
        }
        position += len;
    }
    position = position < bytes ? position : bytes;
    if (position > subflow->rescued)
        subflow->rescued = position;
    return 0;
}

int braid_rescue_all(struct braid_subflow *subflow)
{
    if (rescue_front(subflow, subflow->inflight.bytes) != 0)
        return -BRAID_ERR_MEMORY;
    if (subflow->session->fin_on == subflow)
        subflow->session->fin_on = NULL;
    return 0;
}

/* ---- late bytes ---- */

/* Whether the budget for bytes that are only late allows n more. */
static bool may_repeat(const struct braid_session *session, uint64_t n)
{
    return session->late_bytes + n <= EXTRA_FREE + session->next * 3 / 100;
}

/* The subflow that the head of the line is on, with when it was expected there; NULL: none. */
static struct braid_subflow *head_carrier(const struct braid_session *session, uint64_t *due)
{
    uint64_t una = session->sendbuf.una;

    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        struct braid_flight front;

        if (s->inflight.count == 0 || s->rescued > 0)
            continue;
        front = braid_inflight_at(&s->inflight, 0);
        if (front.range.start <= una && una < front.range.end) {
            *due = front.due;
            return s;
        }
    }
    return NULL;
}

bool braid_rescue_late(struct braid_session *session, const struct braid_subflow *fast,
                       uint64_t now)
{
    uint64_t due, late, sooner;
    struct braid_subflow *slow = head_carrier(session, &due);

    if (slow == NULL || slow == fast || fast->state != BRAID_SUBFLOW_ACTIVE || !fast->proven ||
        !may_repeat(session, LATE_BYTES))
        return false;
    sooner = now + 2 * braid_subflow_arrival(fast, LATE_BYTES) + LATE_SPARE;
    /* Overdue, the way back included, or not due for long while the other one idles. */
    late = due + slow->estimator.rtt + braid_subflow_arrival(slow, 0) / 2 + LATE_MIN;
    if (now < late && due < sooner)
        return false;
    if (rescue_front(slow, LATE_BYTES) != 0)
        return false;
    session->late_bytes += LATE_BYTES;
    return session->again.count > 0;
}

/* ---- the watch ---- */

/* It gets no new data; what was acknowledged on it may be lost, and is said again. */
static void suspect(struct braid_subflow *subflow, uint64_t now)
{
    struct braid_session *session = subflow->session;

    subflow->state = BRAID_SUBFLOW_SUSPECT;
    subflow->suspected_at = now;
    braid_session_forget_told(session);
    if (session->received_max > 0 || session->final != BRAID_NEVER)
        braid_session_owe_ack(session, true, now);
}

/* Moves a silent subflow on: PING, SUSPECT, STALE, lost. */
static void judge(struct braid_subflow *subflow, uint64_t now)
{
    enum quiet quiet = quietness(subflow, now);

    if (is_dead(subflow, now)) {
        braid_subflow_fail(subflow, BRAID_ERR_SILENT, now);
        return;
    }
    if (quiet == LIVELY) {
        if (!braid_subflow_outstanding(subflow) && now - subflow->sent_at >= KEEPALIVE)
            subflow->want_ping = true;
        return;
    }
    if (subflow->ping_at == 0 && !subflow->want_ping) {
        subflow->want_ping = true;
    }
    if (!has_lively_other(subflow, now)) {
        if (braid_session_subflows_wanted(subflow->session) < subflow->session->allowed)
            braid_session_grow(subflow->session); /* which may find one */
        return;
    }
    if (subflow->state == BRAID_SUBFLOW_ACTIVE) {
        suspect(subflow, now);
        if (rescue_front(subflow, HEAD_BYTES) != 0)
            return; /* only an early start is lost: STALE or the end will try again */
    }
    if (quiet == SILENT && subflow->state == BRAID_SUBFLOW_SUSPECT &&
        braid_rescue_all(subflow) == 0)
        subflow->state = BRAID_SUBFLOW_STALE;
}

void braid_subflow_cut(struct braid_subflow *subflow, uint64_t now)
{
    if (subflow->session->state != BRAID_SESSION_OPEN || subflow->state == BRAID_SUBFLOW_HELLO ||
        subflow->state == BRAID_SUBFLOW_ENDING)
        return;
    if (subflow->state == BRAID_SUBFLOW_ACTIVE && has_lively_other(subflow, now)) {
        suspect(subflow, now);
        subflow->suspected_at = 0; /* whenever it recovers: there was no doubt */
    }
    if (subflow->state == BRAID_SUBFLOW_SUSPECT && braid_rescue_all(subflow) == 0)
        subflow->state = BRAID_SUBFLOW_STALE;
    if (subflow->ping_at == 0)
        subflow->want_ping = true; /* which tells when it is back, as nothing else is sent on it */
}

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When to look at this subflow next. */
static uint64_t next_look(const struct braid_subflow *subflow, uint64_t now)
{
    const struct braid_estimator *e = &subflow->estimator;
    uint64_t at = BRAID_NEVER;
    uint64_t tick = e->waiting ? TICK : BLIND_PATIENCE / 4;

    if (subflow->state == BRAID_SUBFLOW_HELLO)
        return subflow->added_at + HELLO_TIMEOUT;
    if (e->waiting)
        at = e->moved + path_patience(subflow) / 2;
    if (braid_subflow_outstanding(subflow))
        at = min64(at, subflow->progress_at + peer_patience(subflow));
    if (at == BRAID_NEVER)
        at = subflow->sent_at + KEEPALIVE;
    return at > now ? at : now + tick;
}

void braid_rescue_expect(struct braid_session *session, const struct braid_subflow *subflow,
                         uint64_t now)
{
    uint64_t at =
        now + (subflow->estimator.sampled ? braid_estimator_patience(&subflow->estimator) / 2
                                          : BLIND_PATIENCE);

    if (session->deadlines.at[BRAID_TIMER_WATCH] > at)
        session->deadlines.at[BRAID_TIMER_WATCH] = at;
}

void braid_rescue_welcome(struct braid_session *session, uint64_t now)
{
    if (session->deadlines.at[BRAID_TIMER_WATCH] > now + HELLO_TIMEOUT)
        session->deadlines.at[BRAID_TIMER_WATCH] = now + HELLO_TIMEOUT;
}

void braid_rescue_watch(struct braid_session *session, uint64_t now)
{
    uint64_t at = BRAID_NEVER;
    struct braid_subflow *next;

    if (session->doubts > 0 && now - session->doubted_at > DOUBT_TIME) {
        session->doubts--;
        session->doubted_at = now;
    }
    for (struct braid_subflow *s = session->subflows; s != NULL; s = next) {
        next = s->next;
        if (s->state != BRAID_SUBFLOW_HELLO)
            judge(s, now);
        else if (now - s->added_at >= HELLO_TIMEOUT)
            braid_subflow_fail(s, BRAID_ERR_TIMEOUT, now);
        if (session->state == BRAID_SESSION_OVER)
            return;
    }
    braid_session_check_closed(session, now);
    for (const struct braid_subflow *s = session->subflows; s != NULL; s = s->next)
        at = min64(at, next_look(s, now));
    session->deadlines.at[BRAID_TIMER_WATCH] = at;
}
