/* SPDX-License-Identifier: MIT */
/*
 * What becomes of bytes on a subflow that is dead or silent: they are sent again elsewhere.
 *
 * Silence means that something of ours is outstanding and nothing shows that it arrives: no data
 * acknowledgement, nothing newly delivered by TCP. It counts against a subflow only while another
 * one is healthy; when all are silent it is the peer or the network, and only PING goes out.
 */
#include "session_internal.h"

#define HELLO_TIMEOUT 5000000u /* microseconds, for an answer to our HELLO */
#define SILENCE_MIN 250000u    /* before a subflow is suspected */
#define SILENCE_MAX 1000000u
#define SILENCE_DEAD 15000000u /* before it is given up, whatever the others do */
#define KEEPALIVE 25000000u    /* below the idle timeouts of NATs (transport.md 7) */
#define DOUBTS_MAX 3u
#define DOUBT_TIME 10000000u /* without another wrong suspicion, and there is one doubt less */
#define HEAD_BYTES 65536u    /* what is sent again of a suspect's bytes */

/*
 * How long this subflow may be silent before it is suspected: longer after each suspicion in the
 * session that proved wrong, or resending would take the little that a crowded path can carry.
 */
static uint64_t patience(const struct braid_subflow *subflow)
{
    const struct braid_estimator *e = &subflow->estimator;
    uint64_t limit = 2 * e->rtt + 4 * e->rttvar;

    if (limit < SILENCE_MIN)
        limit = SILENCE_MIN;
    if (limit > SILENCE_MAX)
        limit = SILENCE_MAX;
    return limit << subflow->session->doubts;
}

void braid_rescue_doubt(struct braid_session *session, uint64_t now)
{
    if (session->doubts < DOUBTS_MAX)
        session->doubts++;
    session->doubted_at = now;
}

static uint64_t silence(const struct braid_subflow *subflow, uint64_t now)
{
    return braid_subflow_outstanding(subflow) ? now - subflow->progress_at : 0;
}

static bool has_healthy_other(const struct braid_subflow *subflow, uint64_t now)
{
    for (const struct braid_subflow *s = subflow->session->subflows; s != NULL; s = s->next) {
        if (s != subflow && s->state == BRAID_SUBFLOW_ACTIVE && silence(s, now) <= patience(s))
            return true;
    }
    return false;
}

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

int braid_rescue_all(struct braid_subflow *subflow)
{
    uint64_t skip = subflow->rescued;

    for (size_t i = 0; i < subflow->inflight.count; i++) {
        struct braid_range range = braid_inflight_at(&subflow->inflight, i);
        uint64_t len = range.end - range.start;

        if (len <= skip) {
            skip -= len;
            continue;
        }
        if (queue_again(subflow->session, range.start + skip, range.end) != 0)
            return -BRAID_ERR_MEMORY;
        skip = 0;
    }
    subflow->rescued = subflow->inflight.bytes;
    if (subflow->session->fin_on == subflow)
        subflow->session->fin_on = NULL;
    return 0;
}

/* Queues the head of the line, as far as it is on this subflow. */
static void rescue_head(struct braid_subflow *subflow)
{
    uint64_t stop = subflow->session->sendbuf.una + HEAD_BYTES;

    for (size_t i = 0; i < subflow->inflight.count; i++) {
        struct braid_range range = braid_inflight_at(&subflow->inflight, i);

        if (range.start < stop &&
            queue_again(subflow->session, range.start, range.end < stop ? range.end : stop) != 0)
            return; /* only an early start is lost: STALE or the end will try again */
    }
}

/* Moves a silent subflow on: PING, SUSPECT, STALE, lost. */
static void judge(struct braid_subflow *subflow, uint64_t now)
{
    uint64_t silent = silence(subflow, now), limit = patience(subflow);

    if (silent > SILENCE_DEAD) {
        braid_subflow_fail(subflow, BRAID_ERR_SILENT, now);
        return;
    }
    if (silent <= limit) {
        if (!braid_subflow_outstanding(subflow) && now - subflow->sent_at >= KEEPALIVE)
            subflow->want_ping = true;
        return;
    }
    if (subflow->ping_at == 0)
        subflow->want_ping = true;
    if (!has_healthy_other(subflow, now))
        return;
    if (subflow->state == BRAID_SUBFLOW_ACTIVE) {
        subflow->state = BRAID_SUBFLOW_SUSPECT;
        rescue_head(subflow);
    }
    if (silent > 2 * limit && subflow->state == BRAID_SUBFLOW_SUSPECT &&
        braid_rescue_all(subflow) == 0)
        subflow->state = BRAID_SUBFLOW_STALE;
}

/* When to look at this subflow next. */
static uint64_t next_look(const struct braid_subflow *subflow, uint64_t now)
{
    uint64_t at;

    if (subflow->state == BRAID_SUBFLOW_HELLO)
        return subflow->added_at + HELLO_TIMEOUT;
    if (!braid_subflow_outstanding(subflow))
        return subflow->sent_at + KEEPALIVE;
    at = subflow->progress_at + patience(subflow);
    return at > now ? at : now + patience(subflow) / 4;
}

void braid_rescue_expect(struct braid_session *session, uint64_t now)
{
    if (session->deadlines.at[BRAID_TIMER_WATCH] > now + SILENCE_MIN)
        session->deadlines.at[BRAID_TIMER_WATCH] = now + SILENCE_MIN;
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
    for (const struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        uint64_t look = next_look(s, now);

        at = look < at ? look : at;
    }
    if (at <= now)
        at = now + SILENCE_MIN / 4; /* due, but the socket takes nothing: no need to spin */
    session->deadlines.at[BRAID_TIMER_WATCH] = at;
}
