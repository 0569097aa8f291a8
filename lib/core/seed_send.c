/* SPDX-License-Identifier: MIT */
/*
 * What of a session of the seed's format has been delivered: what TCP has acknowledged.
 */
#include "session_internal.h"

/* Until it is asked again: an eighth of the time that nothing has moved for, within these. */
#define ASK_MIN 2000u
#define ASK_MAX 100000u

void braid_seed_mark(struct braid_subflow *subflow, uint32_t before, uint32_t len, uint64_t now)
{
    braid_inflight_push(&subflow->seed->marks, subflow->seed->written + before, len, now, now);
}

/* Payload bytes among the first n bytes that were written. */
static uint64_t payload_within(struct braid_subflow *subflow, uint64_t n)
{
    struct braid_inflight *marks = &subflow->seed->marks;
    uint64_t count = subflow->confirmed;

    while (marks->count > 0 && braid_inflight_at(marks, 0).range.start < n) {
        uint64_t start = braid_inflight_at(marks, 0).range.start;
        struct braid_range range = braid_inflight_pop(marks, subflow->session->pool, n - start);

        count += range.end - range.start;
    }
    return count;
}

/* Lets go of what is delivered from the front on. */
static void advance(struct braid_session *session, uint64_t now)
{
    const struct braid_ranges *delivered = &session->delivered;

    while (delivered->count > 0 && delivered->at[0].start <= session->sendbuf.una)
        braid_session_advance(session, delivered->at[0].end, now);
    session->limit = session->sendbuf.una + BRAID_SEED_SKEW;
}

bool braid_seed_is_near_limit(const struct braid_session *session)
{
    return session->next + BRAID_SEED_SKEW / 2 > session->limit;
}

void braid_seed_sampled(struct braid_subflow *subflow, const struct braid_sample *sample,
                        uint64_t now)
{
    struct braid_session *session = subflow->session;
    struct braid_seed_flow *flow = subflow->seed;
    uint64_t acked, count;
    int error = 0;

    if (!flow->based) {
        flow->based = true;
        flow->base = sample->bytes_acked; /* of the handshake */
    }
    if (session->state != BRAID_SESSION_OPEN || subflow->state == BRAID_SUBFLOW_ENDING)
        return;
    acked = sample->bytes_acked - flow->base;
    if (subflow->ping_at != 0 && acked >= flow->ping_end) {
        subflow->ping_at = 0;
        braid_subflow_progress(subflow, now);
    }
    count = payload_within(subflow, acked);
    if (count == subflow->confirmed)
        return;
    error = braid_subflow_confirm(subflow, count, subflow, now);
    if (error != 0) {
        braid_session_end(session, -error); /* without memory nobody would know what has arrived */
        return;
    }
    advance(session, now);
    braid_seed_check(session, now);
}

void braid_seed_written(struct braid_subflow *subflow, uint8_t type, uint64_t now)
{
    struct braid_session *session = subflow->session;

    switch (type) {
    case BRAID_SEED_OPEN:
        subflow->want_hello = false;
        break;
    case BRAID_SEED_PING:
        braid_subflow_expect(subflow, now);
        subflow->want_ping = false;
        subflow->ping_at = now > 0 ? now : 1;
        subflow->seed->ping_end = subflow->seed->written + 1;
        braid_rescue_expect(session, subflow, now);
        break;
    case BRAID_SEED_SHUTDOWN:
        subflow->want_close = false;
        subflow->seed->said = true;
        session->seed.said = true;
        braid_seed_check(session, now);
        break;
    default:
        break;
    }
}

void braid_seed_watch(struct braid_session *session, uint64_t now)
{
    uint64_t since = session->advanced_at, wait;

    if (session->state != BRAID_SESSION_OPEN || session->sendbuf.una == session->next)
        return;
    for (const struct braid_subflow *s = session->subflows; s != NULL; s = s->next)
        since = s->sent_at > since ? s->sent_at : since;
    wait = (now - since) / 8;
    if (wait < ASK_MIN)
        wait = ASK_MIN;
    if (wait > ASK_MAX)
        wait = ASK_MAX;
    if (session->deadlines.at[BRAID_TIMER_PACE] > now + wait)
        braid_timer_set(&session->deadlines, BRAID_TIMER_PACE, now + wait);
}

bool braid_subflow_is_shut(const struct braid_subflow *subflow)
{
    return subflow->seed != NULL && subflow->seed->said;
}
