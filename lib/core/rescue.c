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

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

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

/*
 * How long the peer has not shown that it receives anything on this subflow, while it should. In
 * the seed's format it never does, but through TCP.
 */
static uint64_t peer_silence(const struct braid_subflow *subflow, uint64_t now)
{
    if (subflow->seed != NULL && subflow->estimator.sampled)
        return 0;
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

int braid_rescue_more(struct braid_subflow *subflow, uint64_t bytes)
{
    struct braid_session *session = subflow->session;
    uint64_t want = braid_ranges_size(&session->again) + bytes;
    uint64_t position = 0;

    for (size_t i = 0; i < subflow->inflight.count; i++) {
        struct braid_range range = braid_inflight_at(&subflow->inflight, i).range;
        uint64_t start = position, have = braid_ranges_size(&session->again);

        position += range.end - range.start;
        if (position <= subflow->rescued)
            continue;
        if (have >= want)
            return 0;
        if (start < subflow->rescued)
            range.start += subflow->rescued - start;
        if (range.start < session->sendbuf.una)
            range.start = min64(session->sendbuf.una, range.end);
        if (range.end - range.start > want - have)
            range.end = range.start + want - have;
        if (queue_again(session, range.start, range.end) != 0)
            return -BRAID_ERR_MEMORY;
        subflow->rescued =
            position - (braid_inflight_at(&subflow->inflight, i).range.end - range.end);
    }
    return 0;
}

int braid_rescue_all(struct braid_subflow *subflow)
{
    if (braid_rescue_more(subflow, subflow->inflight.bytes) != 0)
        return -BRAID_ERR_MEMORY;
    if (subflow->session->fin_on == subflow)
        subflow->session->fin_on = NULL;
    return 0;
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

/* The peer, to which it may just seem idle, is to know that it is given up. */
static void tell_gone(struct braid_subflow *subflow)
{
    struct braid_session *session = subflow->session;

    if (session->config.speaks_seed)
        return; /* it has no word for that */
    if (session->gone_count < BRAID_GONE_MAX)
        session->gone[session->gone_count++] = (uint16_t)subflow->index;
}

/* Moves a silent subflow on: PING, SUSPECT, STALE, lost. */
static void judge(struct braid_subflow *subflow, uint64_t now)
{
    enum quiet quiet = quietness(subflow, now);

    if (is_dead(subflow, now)) {
        tell_gone(subflow);
        braid_subflow_fail(subflow, BRAID_ERR_SILENT, now);
        return;
    }
    if (quiet == LIVELY) {
        if (!braid_subflow_outstanding(subflow) && now - subflow->sent_at >= KEEPALIVE)
            subflow->want_ping = true;
        return;
    }
    if (subflow->ping_at == 0)
        subflow->want_ping = true;
    if (!has_lively_other(subflow, now)) {
        if (braid_session_subflows_wanted(subflow->session) < subflow->session->allowed)
            braid_session_grow(subflow->session); /* which may find one */
        return;
    }
    if (subflow->state == BRAID_SUBFLOW_ACTIVE) {
        suspect(subflow, now);
        if (braid_rescue_more(subflow, HEAD_BYTES) != 0)
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

/* One that has not answered HELLO: what it carries does not wait for that long. */
static void judge_unanswered(struct braid_subflow *subflow, uint64_t now)
{
    if (now - subflow->added_at >= HELLO_TIMEOUT)
        braid_subflow_fail(subflow, BRAID_ERR_TIMEOUT, now);
    else if (subflow->inflight.bytes > subflow->rescued && quietness(subflow, now) != LIVELY &&
             has_lively_other(subflow, now))
        (void)braid_rescue_all(subflow); /* without memory, its end will try again */
}

/* When to look at this subflow next. */
static uint64_t next_look(const struct braid_subflow *subflow, uint64_t now)
{
    const struct braid_estimator *e = &subflow->estimator;
    uint64_t at = BRAID_NEVER;
    uint64_t tick = e->waiting ? TICK : BLIND_PATIENCE / 4;

    if (subflow->state == BRAID_SUBFLOW_HELLO) {
        at = subflow->added_at + HELLO_TIMEOUT;
        if (subflow->inflight.bytes <= subflow->rescued)
            return at;
    }
    if (e->waiting)
        at = min64(at, e->moved + path_patience(subflow) / 2);
    if (braid_subflow_outstanding(subflow) && subflow->seed == NULL)
        at = min64(at, subflow->progress_at + peer_patience(subflow));
    if (at == BRAID_NEVER && !braid_subflow_is_shut(subflow))
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
        else
            judge_unanswered(s, now);
        if (session->state == BRAID_SESSION_OVER)
            return;
    }
    braid_session_check_closed(session, now);
    if (session->config.speaks_seed)
        braid_seed_check(session, now); /* one that is silent is not waited for */
    for (const struct braid_subflow *s = session->subflows; s != NULL; s = s->next)
        at = min64(at, next_look(s, now));
    session->deadlines.at[BRAID_TIMER_WATCH] = at;
}
