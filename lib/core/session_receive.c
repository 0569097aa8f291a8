/* SPDX-License-Identifier: MIT */
/*
 * What a session makes of the bytes that subflows bring.
 */
#include "session_internal.h"

#define ACK_DELAY 10000u /* microseconds */
#define ACK_LEAST 65536u /* at least this much before an ACK of its own */
#define ACK_MOST 262144u /* and not more: the peer holds all that is not acknowledged */

/* Until more subflows are tried again than the peer would take: 2 s, and 256 s at the most. */
#define LIMIT_FIRST 2000000u
#define LIMIT_DOUBLINGS 7u

/* ---- acknowledgements of what we sent ---- */

static struct braid_subflow *find_subflow(const struct braid_session *session, uint16_t index)
{
    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        if (s->index == index)
            return s;
    }
    return NULL;
}

/* Notes that a range has arrived: it need not be sent again. */
static int note_delivered(struct braid_session *session, struct braid_range range)
{
    if (range.end <= session->sendbuf.una)
        return 0;
    /* Without memory for either, bytes are sent once too often; the receiver trims them. */
    if (braid_ranges_add(&session->delivered, session->pool, range.start, range.end) != 0)
        return -BRAID_ERR_MEMORY;
    if (session->again.count > 0)
        (void)braid_ranges_remove(&session->again, session->pool, range.start, range.end);
    return 0;
}

int braid_subflow_confirm(struct braid_subflow *subflow, uint64_t count,
                          const struct braid_subflow *from, uint64_t now)
{
    struct braid_session *session = subflow->session;
    uint64_t newly;
    int error = 0;

    if (count > subflow->sent)
        return -BRAID_ERR_PROTOCOL;
    if (count <= subflow->confirmed)
        return 0; /* an older ACK that came on a slower way */
    newly = count - subflow->confirmed;
    if (subflow->confirmed < BRAID_BURST_LEAST)
        braid_estimator_burst(&subflow->estimator, count, now - subflow->first_at);
    subflow->confirmed = count;
    subflow->rescued -= newly < subflow->rescued ? newly : subflow->rescued;
    while (newly > 0) {
        struct braid_range range = braid_inflight_pop(&subflow->inflight, session->pool, newly);

        newly -= range.end - range.start;
        if (note_delivered(session, range) != 0 && session->config.speaks_seed)
            error = -BRAID_ERR_MEMORY;
    }
    if (subflow->confirmed >= BRAID_BURST_LEAST || subflow->confirmed == subflow->sent)
        subflow->proven = true;
    if (from == subflow || subflow->state == BRAID_SUBFLOW_ACTIVE ||
        subflow->state == BRAID_SUBFLOW_HELLO)
        braid_subflow_progress(subflow, now);
    return error;
}

void braid_session_advance(struct braid_session *session, uint64_t una, uint64_t now)
{
    if (una <= session->sendbuf.una)
        return;
    session->advanced_at = now;
    braid_sendbuf_ack(&session->sendbuf, una);
    braid_ranges_remove_below(&session->again, una);
    braid_ranges_remove_below(&session->delivered, una);
}

int braid_session_on_ack(struct braid_session *session, const struct braid_ack *ack,
                         const struct braid_subflow *from, uint64_t now)
{
    uint64_t una = ack->ack;

    if (session->state == BRAID_SESSION_OVER || session->state == BRAID_SESSION_ABORTING)
        return 0;
    if (session->shut && ack->ack == session->sendbuf.end + 1) {
        una = session->sendbuf.end;
        if (session->next < una)
            return -BRAID_ERR_PROTOCOL;
        session->fin_acked = true;
        session->fin_on = NULL;
    }
    if (una > session->next)
        return -BRAID_ERR_PROTOCOL;
    braid_session_advance(session, una, now);
    if (ack->limit > session->limit) {
        session->limit = ack->limit;
        session->asked = 0;
        braid_timer_clear(&session->deadlines, BRAID_TIMER_BLOCKED);
    }
    for (unsigned i = 0; i < ack->count; i++) {
        struct braid_subflow *subflow = find_subflow(session, ack->counts[i].subflow);
        int error =
            subflow != NULL ? braid_subflow_confirm(subflow, ack->counts[i].bytes, from, now) : 0;

        if (error != 0)
            return error;
    }
    braid_session_check_finished(session, now);
    return 0;
}

/* ---- acknowledging what we receive ---- */

void braid_session_owe_ack(struct braid_session *session, bool at_once, uint64_t now)
{
    if (session->config.speaks_seed)
        return;
    session->ack_owed = true;
    if (at_once)
        session->ack_due = true;
    else if (!session->ack_due && !braid_timer_is_set(&session->deadlines, BRAID_TIMER_ACK))
        braid_timer_set(&session->deadlines, BRAID_TIMER_ACK, now + ACK_DELAY);
}

void braid_session_forget_told(struct braid_session *session)
{
    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next)
        s->told = 0;
    session->fin_told = false;
}

/* So many unacknowledged bytes are worth an ACK of their own. */
static uint64_t ack_threshold(const struct braid_session *session)
{
    uint64_t part = session->flow.window / 8;

    if (part > ACK_MOST)
        return ACK_MOST;
    return part > ACK_LEAST ? part : ACK_LEAST;
}

/* ---- frames ---- */

/*
 * Whether the peer should hear at once of a higher limit, as it is about to stop at the present one
 * for the sake of a byte that is missing.
 */
static bool is_held_up(struct braid_session *session, uint64_t now)
{
    const struct braid_recvbuf *buf = &session->recvbuf;

    if (buf->drained < buf->next || session->received_max == buf->next ||
        session->final != BRAID_NEVER || braid_pool_pressure(session->pool) >= BRAID_PRESSURE_TIGHT)
        return false;
    braid_flow_gap(&session->flow, session->received_max, braid_session_longest_round_trip(session),
                   now);
    return braid_flow_worth_telling(&session->flow, buf->drained, session->received_max);
}

int braid_session_take_data(struct braid_subflow *subflow, const struct braid_parsed *parsed,
                            struct braid_chunk *chunk)
{
    struct braid_session *session = subflow->session;
    struct braid_recvbuf *buf = &session->recvbuf;
    uint64_t end = parsed->offset + parsed->len, before = buf->next;
    int error = 0;

    if (session->state == BRAID_SESSION_OPEN)
        error =
            braid_recvbuf_insert(buf, session->pool, parsed->offset, chunk,
                                 (uint32_t)(parsed->payload - chunk->data), (uint32_t)parsed->len);
    if (buf->next > before) /* without memory for all of it, too */
        braid_session_act(session, BRAID_ACTION_READABLE);
    if (error != 0)
        return error;
    subflow->received += parsed->len;
    if (end > session->received_max)
        session->received_max = end;
    return 0;
}

/*
 * Whether these are the first bytes of a subflow, or the first so many that tell the peer a rate.
 * It gives the subflow next to nothing until it knows of both.
 */
static bool tells_news(const struct braid_subflow *subflow, uint64_t len)
{
    uint64_t before = subflow->received - len;

    return subflow->session->subflow_count > 1 &&
           (before == 0 || (before < BRAID_BURST_LEAST && subflow->received >= BRAID_BURST_LEAST));
}

static int on_data(struct braid_subflow *subflow, const struct braid_parsed *parsed,
                   struct braid_chunk *chunk, uint64_t now)
{
    struct braid_session *session = subflow->session;
    struct braid_recvbuf *buf = &session->recvbuf;
    uint64_t end = parsed->offset + parsed->len, before = buf->next;
    int error;
    bool at_once;

    if (session->state == BRAID_SESSION_ABORTING)
        return 0;
    if (end < parsed->offset || end > session->flow.limit || end > session->final)
        return -BRAID_ERR_PROTOCOL;
    error = braid_session_take_data(subflow, parsed, chunk);
    if (error != 0)
        return error;
    session->unacked += parsed->len;
    at_once = session->unacked >= ack_threshold(session) || is_held_up(session, now) ||
              (parsed->flags & BRAID_DATA_AGAIN) != 0 || buf->next == session->final ||
              tells_news(subflow, parsed->len);
    session->ack_on = subflow;
    braid_session_owe_ack(session, at_once, now);
    if (buf->next > before)
        braid_session_check_growth(session);
    return 0;
}

static int on_fin(struct braid_session *session, const struct braid_parsed *parsed, uint64_t now)
{
    uint64_t final;
    int error = braid_wire_read_fin(parsed->payload, parsed->len, &final);

    if (error != 0)
        return error;
    if (session->final != BRAID_NEVER
            ? final != session->final
            : final < session->received_max || final > session->flow.limit)
        return -BRAID_ERR_PROTOCOL;
    if (session->state == BRAID_SESSION_ABORTING)
        return 0;
    session->final = final;
    braid_session_owe_ack(session, true, now);
    braid_session_check_eof(session);
    return 0;
}

/* The peer has everything of ours and knows that we have everything of its. */
static int on_close(struct braid_session *session, const struct braid_parsed *parsed)
{
    uint16_t code;
    int error = braid_wire_read_code(parsed->payload, parsed->len, &code);

    if (error != 0)
        return error;
    if (code != BRAID_OK) {
        braid_session_end(session, code);
        return 0;
    }
    if (session->state == BRAID_SESSION_ABORTING) {
        braid_session_end(session, BRAID_ERR_RESET);
        return 0;
    }
    if (!session->shut || session->next < session->sendbuf.end ||
        session->recvbuf.next != session->final)
        return -BRAID_ERR_PROTOCOL;
    braid_session_end(session, BRAID_OK);
    return 0;
}

static int on_reset(struct braid_session *session, const struct braid_parsed *parsed)
{
    uint16_t code;
    int error = braid_wire_read_code(parsed->payload, parsed->len, &code);

    if (error == 0)
        braid_session_end(session, code != BRAID_OK ? code : BRAID_ERR_RESET);
    return error;
}

static int on_result(struct braid_session *session, const struct braid_parsed *parsed)
{
    uint16_t code;
    int error = braid_wire_read_code(parsed->payload, parsed->len, &code);

    if (error != 0 || session->config.role != BRAID_LOCAL)
        return -BRAID_ERR_PROTOCOL;
    if (session->answered)
        return 0;
    session->answered = true;
    session->result = code;
    braid_session_act(session, BRAID_ACTION_RESULT);
    if (code != BRAID_OK)
        braid_session_end(session, code);
    return 0;
}

static int on_ping(struct braid_subflow *subflow, const struct braid_parsed *parsed, uint64_t now)
{
    int error = braid_wire_read_ping(parsed->payload, parsed->len, &subflow->pong_time);

    if (error != 0)
        return error;
    subflow->want_pong = true;
    subflow->session->ack_on = subflow;
    subflow->pong_since = now;
    braid_session_owe_ack(subflow->session, true, now);
    return 0;
}

static int on_pong(struct braid_subflow *subflow, const struct braid_parsed *parsed, uint64_t now)
{
    uint64_t time;
    uint32_t held;
    int error = braid_wire_read_pong(parsed->payload, parsed->len, &time, &held);

    if (error != 0 || time != subflow->ping_at || time == 0)
        return error; /* an answer to nothing we asked is of no use, and no harm */
    if (now - time > held && subflow->estimator.window_rate == 0)
        braid_estimator_round_trip(&subflow->estimator, now - time - held);
    subflow->ping_at = 0;
    braid_subflow_progress(subflow, now);
    return 0;
}

/* ---- HELLO from the remote endpoint ---- */

/*
 * The remote endpoint has as many as it takes. It may count some that are dead, so more are tried
 * again, at growing intervals.
 */
static void do_with_fewer(struct braid_session *session, uint64_t now)
{
    session->allowed = session->subflow_count - 1;
    braid_timer_set(&session->deadlines, BRAID_TIMER_LIMIT,
                    now + ((uint64_t)LIMIT_FIRST << session->refusals));
    if (session->refusals < LIMIT_DOUBLINGS)
        session->refusals++;
}

/* The remote endpoint does not take this subflow. */
static void refused(struct braid_subflow *subflow, const struct braid_hello *hello, uint64_t now)
{
    struct braid_session *session = subflow->session;
    int status = hello->status;

    if (status == BRAID_ERR_FINISHED && session->shut && session->next == session->sendbuf.end &&
        session->recvbuf.next == session->final) {
        braid_session_end(session, BRAID_OK);
        return;
    }
    if (session->state == BRAID_SESSION_ABORTING) {
        braid_session_end(session, BRAID_ERR_RESET);
        return;
    }
    if (status == BRAID_ERR_UNKNOWN_SESSION && session->established &&
        hello->instance != session->peer_instance)
        status = BRAID_ERR_INSTANCE;
    /* Before the first answer another subflow may still be let in. */
    if ((!session->established && session->subflow_count == 1) ||
        status == BRAID_ERR_UNKNOWN_SESSION || status == BRAID_ERR_INSTANCE ||
        status == BRAID_ERR_FINISHED) {
        braid_session_end(session, status);
        return;
    }
    if (status == BRAID_ERR_LIMIT && session->subflow_count > 1)
        do_with_fewer(session, now);
    braid_subflow_fail(subflow, status, now);
}

static int on_hello(struct braid_subflow *subflow, const struct braid_parsed *parsed, uint64_t now)
{
    struct braid_session *session = subflow->session;
    struct braid_hello hello;
    struct braid_ack ack = {0};
    int error = braid_wire_read_hello(parsed->payload, parsed->len, &hello);

    if (error != 0)
        return error;
    if (subflow->state != BRAID_SUBFLOW_HELLO || hello.session != session->config.id ||
        hello.subflow != subflow->index || (hello.flags & BRAID_HELLO_REPLY) == 0)
        return -BRAID_ERR_PROTOCOL;
    if (hello.status != BRAID_OK) {
        refused(subflow, &hello, now);
        return 0;
    }
    if (session->established && hello.instance != session->peer_instance) {
        braid_session_end(session, BRAID_ERR_INSTANCE);
        return 0;
    }
    session->refusals = 0;
    subflow->state = BRAID_SUBFLOW_ACTIVE;
    braid_subflow_progress(subflow, now);
    if (!session->established) {
        session->established = true;
        session->peer_instance = hello.instance;
        braid_timer_clear(&session->deadlines, BRAID_TIMER_OPEN);
        braid_session_act(session, BRAID_ACTION_ESTABLISHED);
    }
    ack.ack = hello.ack;
    ack.limit = hello.limit;
    return braid_session_on_ack(session, &ack, subflow, now);
}

static int on_ack(struct braid_subflow *subflow, const struct braid_parsed *parsed, uint64_t now)
{
    struct braid_ack ack;
    int error = braid_wire_read_ack(parsed->payload, parsed->len, &ack);

    return error != 0 ? error : braid_session_on_ack(subflow->session, &ack, subflow, now);
}

/* The peer has given up another subflow, which may be silent in one direction only. */
static int on_subflow_close(struct braid_subflow *subflow, const struct braid_parsed *parsed,
                            uint64_t now)
{
    struct braid_subflow *gone;
    uint16_t index;
    int error = braid_wire_read_subflow_close(parsed->payload, parsed->len, &index);

    if (error != 0)
        return error;
    gone = find_subflow(subflow->session, index);
    if (gone != NULL && gone != subflow)
        braid_subflow_fail(gone, BRAID_ERR_SILENT, now);
    return 0;
}

static int on_control(struct braid_subflow *subflow, const struct braid_parsed *parsed,
                      uint64_t now)
{
    struct braid_session *session = subflow->session;

    switch ((enum braid_frame_type)parsed->type) {
    case BRAID_FRAME_HELLO:
        return on_hello(subflow, parsed, now);
    case BRAID_FRAME_ACK:
        return on_ack(subflow, parsed, now);
    case BRAID_FRAME_PING:
        return on_ping(subflow, parsed, now);
    case BRAID_FRAME_PONG:
        return on_pong(subflow, parsed, now);
    case BRAID_FRAME_FIN:
        return on_fin(session, parsed, now);
    case BRAID_FRAME_RESET:
        return on_reset(session, parsed);
    case BRAID_FRAME_CLOSE:
        return on_close(session, parsed);
    case BRAID_FRAME_CONNECT_RESULT:
        return on_result(session, parsed);
    case BRAID_FRAME_SUBFLOW_CLOSE:
        return on_subflow_close(subflow, parsed, now);
    case BRAID_FRAME_SUBFLOW_PRIORITY:
    case BRAID_FRAME_PATH_ADD:
    case BRAID_FRAME_PATH_REMOVE:
        return 0; /* advice, which a receiver is free not to follow (doc/protocol.md) */
    case BRAID_FRAME_PAD:
    case BRAID_FRAME_DATA:
    case BRAID_FRAME_IGNORE:
        break;
    }
    return -BRAID_ERR_PROTOCOL;
}

int braid_subflow_feed(struct braid_subflow *subflow, struct braid_chunk *chunk, uint32_t start,
                       uint32_t len, uint64_t now)
{
    struct braid_session *session = subflow->session;

    if (subflow->seed != NULL)
        return braid_seed_feed(subflow, chunk, start, len, now);
    while (len > 0 && subflow->state != BRAID_SUBFLOW_ENDING) {
        struct braid_parsed parsed;
        size_t used;
        int error = braid_parser_next(&subflow->parser, session->pool, chunk->data + start, len,
                                      &used, &parsed);

        start += (uint32_t)used;
        len -= (uint32_t)used;
        if (error == 0 && parsed.kind != BRAID_PARSED_MORE &&
            subflow->state == BRAID_SUBFLOW_HELLO && parsed.type != BRAID_FRAME_HELLO)
            error = -BRAID_ERR_PROTOCOL;
        if (error == 0 && parsed.kind == BRAID_PARSED_DATA)
            error = on_data(subflow, &parsed, chunk, now);
        else if (error == 0 && parsed.kind == BRAID_PARSED_CONTROL)
            error = on_control(subflow, &parsed, now);
        if (error != 0)
            return error;
    }
    return 0;
}
