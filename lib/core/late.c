/* SPDX-License-Identifier: MIT */
/*
 * Bytes that are not lost, but late: on a subflow that turned out to be slower than it seemed, with
 * the rest of the session waiting for them. What another subflow would deliver sooner is sent there
 * again, when that one has nothing better to do, or when the session would come to a stop. The
 * extra bytes have a budget of 3 %.
 */
#include "session_internal.h"

#define LATE_BYTES 16384u  /* what is sent again at once */
#define LATE_SPARE 10000u  /* microseconds that it has to be sooner there */
#define LATE_MIN 30000u    /* and how late is late, whatever the rates say */
#define EXTRA_FREE 262144u /* bytes sent again for lateness: so many, and 3 % */

/* Whether the budget for bytes that are only late allows n more. */
static bool may_repeat(const struct braid_session *session, uint64_t n)
{
    return session->late_bytes + n <= EXTRA_FREE + session->next * 3 / 100;
}

/*
 * The first range on this subflow that was not sent again and not delivered either, with when it
 * was due; false: none.
 */
static bool first_alone(const struct braid_subflow *subflow, struct braid_flight *flight)
{
    const struct braid_session *session = subflow->session;
    uint64_t position = 0;

    for (size_t i = 0; i < subflow->inflight.count; i++) {
        struct braid_range gap;

        *flight = braid_inflight_at(&subflow->inflight, i);
        position += flight->range.end - flight->range.start;
        if (position > subflow->rescued && flight->range.end > session->sendbuf.una &&
            braid_ranges_gap(&session->delivered, flight->range.start, flight->range.end, &gap))
            return true;
    }
    return false;
}

/*
 * When the next bytes from there on will have arrived, by what is known now: once they and what is
 * before them in the socket have gone, and not before the path's delay. They are gone when TCP has
 * heard of it, half a round trip later than they arrive.
 */
static uint64_t arrives_at(const struct braid_subflow *subflow, const struct braid_flight *flight,
                           uint64_t now)
{
    const struct braid_estimator *e = &subflow->estimator;
    uint64_t behind = subflow->inflight.bytes - subflow->rescued;
    uint64_t upto = behind > LATE_BYTES ? behind - LATE_BYTES : 0;
    uint64_t queued = braid_subflow_queued(subflow);
    uint64_t before = queued > upto ? queued - upto : 0;
    uint64_t acked = now + before * 1000000 / braid_estimator_rate(e);
    uint64_t at = acked > e->min_rtt / 2 ? acked - e->min_rtt / 2 : 0;
    uint64_t soonest = flight->since + e->min_rtt / 2;

    return at > soonest ? at : soonest;
}

/* Of all bytes on other subflows that were not sent again, the subflow with the foremost. */
static struct braid_subflow *foremost(const struct braid_session *session,
                                      const struct braid_subflow *other, struct braid_flight *first)
{
    struct braid_subflow *best = NULL;

    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        struct braid_flight flight;

        if (s == other || !first_alone(s, &flight))
            continue;
        if (best == NULL || flight.range.start < first->range.start) {
            best = s;
            *first = flight;
        }
    }
    return best;
}

/*
 * When bytes are overdue: nobody has heard of them on a subflow that is `back` away, a quarter of
 * their expected way later (transport.md 2).
 */
static uint64_t overdue_at(const struct braid_flight *flight, uint64_t back)
{
    uint64_t spare = (flight->due - flight->since) / 4;

    return flight->due + back + (spare > LATE_MIN ? spare : LATE_MIN);
}

/* Whether a subflow may be trusted with bytes that are late elsewhere: none on it are. */
static bool is_punctual(const struct braid_subflow *subflow, uint64_t now)
{
    struct braid_flight first;

    if (subflow->state != BRAID_SUBFLOW_ACTIVE || !subflow->proven)
        return false;
    if (subflow->inflight.count == 0)
        return true;
    first = braid_inflight_at(&subflow->inflight, 0);
    return now < overdue_at(&first, subflow->estimator.rtt);
}

/* When the session would have sent all that the peer allows, at this subflow's pace alone. */
static uint64_t stops_at(const struct braid_session *session, const struct braid_subflow *fast,
                         uint64_t now)
{
    uint64_t room = session->limit > session->next ? session->limit - session->next : 0;

    if (room > session->config.window) /* it may be told any number */
        room = session->config.window;
    return now + room * 1000000 / braid_estimator_rate(&fast->estimator);
}

/*
 * Whether the session stands at the peer's limit and has not got on for two of this subflow's round
 * trips: whatever these bytes wait for, TCP does not see to it quickly.
 */
static bool is_stuck(const struct braid_session *session, const struct braid_flight *first,
                     const struct braid_subflow *fast, uint64_t now)
{
    uint64_t since = first->since > session->advanced_at ? first->since : session->advanced_at;

    return session->next >= session->limit && now - since >= 2 * fast->estimator.rtt + LATE_MIN / 3;
}

/* Queues the head of the line of `slow` again. */
static bool repeat(struct braid_session *session, struct braid_subflow *slow)
{
    if (braid_rescue_more(slow, LATE_BYTES) != 0)
        return false;
    session->late_bytes += LATE_BYTES;
    return session->again.count > 0;
}

bool braid_late_rescue(struct braid_session *session, const struct braid_subflow *fast, bool idle,
                       uint64_t now)
{
    struct braid_flight first = {{0, 0}, 0, 0};
    struct braid_subflow *slow = foremost(session, fast, &first);
    uint64_t sooner, at;
    bool overdue;

    if (slow == NULL || !is_punctual(fast, now) || !may_repeat(session, LATE_BYTES) ||
        braid_subflow_arrival(slow, 0) < braid_subflow_arrival(fast, 0))
        return false;
    at = arrives_at(slow, &first, now);
    sooner = now + braid_subflow_arrival(fast, LATE_BYTES) * 3 / 2 + LATE_SPARE;
    overdue = now >= overdue_at(&first, fast->estimator.rtt) &&
              (idle || braid_estimator_silence(&slow->estimator, now) >= LATE_MIN);
    overdue = overdue || (idle && is_stuck(session, &first, fast, now));
    if (!overdue &&
        (at < sooner || (!idle && at + fast->estimator.rtt <= stops_at(session, fast, now))))
        return false;
    return repeat(session, slow);
}
