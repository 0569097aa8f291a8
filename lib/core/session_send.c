/* SPDX-License-Identifier: MIT */
/*
 * What a session sends: planning the next write of one subflow, and making it true as far as it was
 * written. Nothing changes while a plan is made, so what was not written needs no undoing.
 *
 * A write carries, in this order: the rest of a frame cut in two, HELLO, single messages and ACK,
 * PING and PONG, DATA sent again, new DATA, FIN, and at the end RESET or CLOSE.
 */
#include <string.h>

#include "session_internal.h"

#define FRAME_MIN 4096u
#define PROBE 8192u /* bytes, copies, on a subflow that has yet to show that it delivers */
#define FRAME_MAX 65000u
#define FRAME_TLS (16384u - BRAID_DATA_HEAD) /* with its header, what one record of TLS holds */
#define FRAME_TIME 5u                        /* milliseconds that one frame may occupy a path */
#define BURST_MIN FRAME_MIN
#define BURST_MAX 262144u
#define BURST_TIME 10u
#define CRUMBS_MAX 2048u
#define BLOCKED_FIRST                                                                              \
    125000u                 /* microseconds at the peer's limit before it is asked; then longer    \
                             */
#define PACE_TIME 2000u     /* microseconds until a full path is looked at again */
#define LATE_TIME 10000u    /* and until bytes on their way are looked at for being late */
#define MEMORY_RETRY 20000u /* microseconds */
#define PRESSURE_RETRY 200000u

struct builder {
    struct braid_session *session;
    struct braid_subflow *subflow;
    struct braid_plan *plan;
    struct iovec *v;
    int count;
    int max;
    uint64_t now;
};

/* ---- what there is to send ---- */

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
           session->sendbuf.end - session->next < FRAME_MIN;
}

/* Counts a new frame: those before the mark and those behind it, until all before it are in order.
 */
static void count_crumb(struct braid_session *session, uint32_t len)
{
    if (session->sendbuf.una >= session->crumbs_mark) {
        session->old_crumbs = session->crumbs;
        session->crumbs = 0;
        session->crumbs_mark = session->next;
    }
    if (len < FRAME_MIN)
        session->crumbs++;
}

static struct braid_subflow *data_sender(const struct braid_session *session)
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

/*
 * Nothing can or should be sent now; but a subflow that idles may carry again what is late on
 * another. Sees to it that somebody looks again soon.
 */
static struct braid_subflow *late_sender(struct braid_session *session, uint64_t now)
{
    struct braid_subflow *fast;
    bool paced = session->next < session->sendbuf.end && session->next < session->limit;
    uint64_t at = now + (paced ? PACE_TIME : LATE_TIME);

    if (session->state != BRAID_SESSION_OPEN || session->sendbuf.una == session->next ||
        (session->subflow_count < 2 && !paced))
        return NULL;
    if (session->deadlines.at[BRAID_TIMER_PACE] > at)
        braid_timer_set(&session->deadlines, BRAID_TIMER_PACE, at);
    if (session->subflow_count < 2 || braid_session_has_again(session))
        return NULL;
    fast = session->scheduler->pick(session, true);
    return fast != NULL && braid_late_rescue(session, fast, true, now) ? data_sender(session)
                                                                       : NULL;
}

/*
 * A subflow on probation that is to carry a copy of the head of the line. It shows what the path is
 * worth, delays nothing if that is little, and is of use if the other path has just failed.
 */
static struct braid_subflow *probe_sender(const struct braid_session *session)
{
    if (session->state != BRAID_SESSION_OPEN || session->subflow_count < 2 ||
        session->sendbuf.una == session->next || !braid_session_has_new(session))
        return NULL;
    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        if (!s->blocked && s->rest == NULL && s->inflight.bytes == 0 && s->room >= PROBE &&
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

static bool wants_reset(const struct braid_session *session)
{
    return session->state == BRAID_SESSION_ABORTING && session->resets_left > 0;
}

/* Whether something is to be sent that any subflow may carry. */
static bool wants_control(const struct braid_session *session)
{
    return session->ack_due || session->want_result || session->gone_count > 0 ||
           wants_fin(session) || wants_reset(session);
}

/* Whether something is to be sent that only this subflow can carry. */
static bool wants_own(const struct braid_subflow *subflow)
{
    return subflow->rest != NULL || subflow->want_hello || subflow->want_ping ||
           subflow->want_pong || subflow->want_close;
}

/* The subflow for what any may carry: in good health, then the one with the shortest way. */
static struct braid_subflow *shortest(const struct braid_session *session)
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
    return shortest(session);
}

static void watch_limit(struct braid_session *session, uint64_t now)
{
    if (session->next < session->sendbuf.end && session->next >= session->limit &&
        !braid_timer_is_set(&session->deadlines, BRAID_TIMER_BLOCKED))
        braid_timer_set(&session->deadlines, BRAID_TIMER_BLOCKED,
                        now + (BLOCKED_FIRST << session->asked));
}

/* The application waits for room and there is no memory for it: nothing else may tell when there
 * is. */
static void watch_memory(struct braid_session *session, uint64_t now)
{
    uint64_t wait = MEMORY_RETRY;

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

    if (session->state == BRAID_SESSION_OVER)
        return NULL;
    for (subflow = session->subflows; subflow != NULL; subflow = subflow->next) {
        if (!subflow->blocked && wants_own(subflow))
            return subflow;
    }
    subflow = data_sender(session);
    if (subflow != NULL && session->subflow_count > 1 && !braid_session_has_again(session) &&
        braid_late_rescue(session, subflow, false, now))
        subflow = data_sender(session);
    if (subflow == NULL)
        subflow = probe_sender(session);
    if (subflow == NULL)
        subflow = late_sender(session, now);
    if (subflow != NULL)
        return subflow;
    if (session->state == BRAID_SESSION_OPEN)
        watch_limit(session, now);
    watch_memory(session, now);
    return wants_control(session) ? control_sender(session) : NULL;
}

bool braid_subflow_wants_room(const struct braid_subflow *subflow)
{
    const struct braid_session *session = subflow->session;

    if (subflow->state == BRAID_SUBFLOW_ENDING)
        return false;
    if (wants_own(subflow) || (subflow->blocked && wants_control(session)))
        return true;
    return session->state == BRAID_SESSION_OPEN && !braid_subflow_is_full(subflow) &&
           (braid_session_has_again(session) || braid_session_has_new(session));
}

/* ---- planning ---- */

static bool is_full(const struct builder *b, int pieces)
{
    return b->plan->count >= BRAID_PLAN_ITEMS || b->count + pieces > b->max;
}

static void add_piece(struct builder *b, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    b->v[b->count].iov_base = (void *)(uintptr_t)bytes;
    b->v[b->count].iov_len = len;
    b->count++;
}

/* Plans as much of a rest as there are pieces for; false: nothing else may follow it. */
static bool plan_rest(struct builder *b)
{
    const struct braid_rest *rest = b->subflow->rest;
    struct braid_plan_item *item;

    if (rest == NULL)
        return true;
    item = &b->plan->items[b->plan->count++];
    *item = (struct braid_plan_item){.kind = BRAID_PLAN_REST, .size = rest->len - rest->at};
    add_piece(b, rest->bytes + rest->at, rest->len - rest->at);
    for (unsigned i = rest->slice; i < rest->slices; i++) {
        const struct braid_slice *slice = &rest->slice_at[i];

        if (b->count == b->max)
            return false;
        add_piece(b, slice->chunk->data + slice->start, slice->len);
        item->size += slice->len;
    }
    return true;
}

/* Where the next control frame is written to. */
static struct braid_writer control_writer(const struct builder *b)
{
    struct braid_plan *plan = b->plan;

    return (struct braid_writer){plan->control + plan->control_fill,
                                 BRAID_PLAN_CONTROL - plan->control_fill, false};
}

/* Adds the control frame that was written, if there is room for it. */
static void plan_control(struct builder *b, const struct braid_writer *w, uint8_t type)
{
    struct braid_plan *plan = b->plan;
    uint32_t start = plan->control_fill;
    uint32_t end = BRAID_PLAN_CONTROL - (uint32_t)w->left;

    if (w->failed || is_full(b, 1))
        return;
    plan->items[plan->count++] = (struct braid_plan_item){
        .kind = BRAID_PLAN_CONTROL_FRAME, .type = type, .size = end - start, .offset = start};
    add_piece(b, plan->control + start, end - start);
    plan->control_fill = end;
}

/* A step of the session's random numbers (xorshift64); for grease, not for secrets. */
static uint64_t next_random(struct braid_session *session)
{
    uint64_t x = session->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return session->random = x;
}

/* All in order received, and FIN too: acknowledged by one more than the final offset. */
static uint64_t ack_value(const struct braid_session *session)
{
    return session->recvbuf.next + (session->recvbuf.next == session->final ? 1 : 0);
}

static void plan_hello(struct builder *b)
{
    struct braid_session *session = b->session;
    struct braid_writer w = control_writer(b);
    bool local = session->config.role == BRAID_LOCAL;
    uint64_t grease = next_random(session);
    struct braid_hello hello = {
        .max_version = BRAID_VERSION,
        .subflow = (uint16_t)b->subflow->index,
        .flags = local ? (session->established ? 0 : BRAID_HELLO_CREATE) : BRAID_HELLO_REPLY,
        .session = session->config.id,
        .ack = ack_value(session),
        .limit = braid_flow_next_limit(&session->flow, session->recvbuf.drained),
        .instance = session->config.instance,
    };

    if (!b->subflow->want_hello)
        return;
    if (local && b->subflow->backup)
        hello.flags |= BRAID_HELLO_BACKUP;
    if (local && session->config.mode == BRAID_MODE_REDUNDANT)
        hello.flags |= BRAID_HELLO_REDUNDANT;
    memcpy(hello.token, session->config.token, sizeof hello.token);
    if (local && !session->config.tls) {
        struct braid_preamble preamble = {
            .session = session->config.id,
            .version = BRAID_VERSION,
            .security = BRAID_SECURITY_NONE,
            .random = (uint16_t)(grease >> 32),
        };

        braid_wire_write_preamble(&w, &preamble);
    }
    if (!local)
        memset(hello.token, 0, sizeof hello.token); /* the peer knows it; nobody else needs to */
    braid_wire_write_hello(&w, &hello, grease);
    plan_control(b, &w, BRAID_FRAME_HELLO);
}

static void plan_result(struct builder *b)
{
    struct braid_writer w = control_writer(b);

    if (!b->session->want_result)
        return;
    braid_wire_write_code(&w, BRAID_FRAME_CONNECT_RESULT, (uint16_t)b->session->result, "");
    plan_control(b, &w, BRAID_FRAME_CONNECT_RESULT);
}

static void plan_ack(struct builder *b)
{
    struct braid_session *session = b->session;
    struct braid_writer w = control_writer(b);
    struct braid_ack ack = {
        .ack = ack_value(session),
        .limit = braid_flow_next_limit(&session->flow, session->recvbuf.drained),
    };

    if (!session->ack_owed || session->state == BRAID_SESSION_ABORTING ||
        (b->subflow->state > BRAID_SUBFLOW_ACTIVE &&
         shortest(session)->state == BRAID_SUBFLOW_ACTIVE))
        return; /* it would be lost on a subflow that is silent */
    for (const struct braid_subflow *s = session->subflows;
         s != NULL && ack.count < BRAID_SUBFLOWS_MAX; s = s->next) {
        if (s->received == s->told)
            continue;
        ack.counts[ack.count].subflow = (uint16_t)s->index;
        ack.counts[ack.count++].bytes = s->received;
    }
    braid_wire_write_ack(&w, &ack);
    plan_control(b, &w, BRAID_FRAME_ACK);
}

static void plan_gone(struct builder *b)
{
    for (unsigned i = 0; i < b->session->gone_count; i++) {
        struct braid_writer w = control_writer(b);

        braid_wire_write_subflow_close(&w, b->session->gone[i], BRAID_ERR_SILENT);
        plan_control(b, &w, BRAID_FRAME_SUBFLOW_CLOSE);
    }
}

static void plan_pings(struct builder *b)
{
    struct braid_subflow *subflow = b->subflow;

    if (subflow->want_ping) {
        struct braid_writer w = control_writer(b);

        braid_wire_write_ping(&w, b->plan->now);
        plan_control(b, &w, BRAID_FRAME_PING);
    }
    if (subflow->want_pong) {
        struct braid_writer w = control_writer(b);

        braid_wire_write_pong(&w, subflow->pong_time, (uint32_t)(b->now - subflow->pong_since));
        plan_control(b, &w, BRAID_FRAME_PONG);
    }
}

/* What a subflow of this rate carries in `milliseconds`, within bounds. */
static uint64_t carries(const struct braid_subflow *subflow, uint64_t milliseconds, uint64_t min,
                        uint64_t max)
{
    uint64_t bytes = braid_estimator_rate(&subflow->estimator) * milliseconds / 1000;

    if (bytes < min)
        return min;
    return bytes > max ? max : bytes;
}

uint64_t braid_subflow_frame(const struct braid_subflow *subflow)
{
    return carries(subflow, FRAME_TIME, FRAME_MIN,
                   subflow->session->config.tls ? FRAME_TLS : FRAME_MAX);
}

/* Plans one DATA frame of at most len bytes; returns its payload's length, 0: no room. */
static uint32_t plan_frame(struct builder *b, enum braid_plan_kind kind, uint64_t offset,
                           uint32_t len)
{
    struct braid_slice slices[BRAID_SLICES_MAX];
    struct braid_plan_item *item = &b->plan->items[b->plan->count];
    int max = b->max - b->count - 1;
    uint32_t total = 0;
    int n;

    if (is_full(b, 2))
        return 0;
    if (max > (int)BRAID_SLICES_MAX)
        max = BRAID_SLICES_MAX;
    n = braid_sendbuf_slice(&b->session->sendbuf, offset, len, slices, max);
    add_piece(b, item->head, BRAID_DATA_HEAD);
    for (int i = 0; i < n; i++) {
        add_piece(b, slices[i].chunk->data + slices[i].start, slices[i].len);
        total += slices[i].len;
    }
    item->kind = kind;
    item->size = BRAID_DATA_HEAD + total;
    item->len = total;
    item->offset = offset;
    braid_wire_write_data_head(item->head, offset, total,
                               kind == BRAID_PLAN_AGAIN ? BRAID_DATA_AGAIN : 0);
    b->plan->count++;
    return total;
}

/* Plans [start, end) as frames within the budget; returns what is left of the budget. */
static uint64_t plan_range(struct builder *b, enum braid_plan_kind kind, uint64_t start,
                           uint64_t end, uint64_t budget)
{
    uint64_t frame = braid_subflow_frame(b->subflow);

    while (start < end && budget > 0) {
        uint64_t len = end - start < frame ? end - start : frame;
        uint32_t planned;

        if (len > budget)
            len = budget;
        planned = plan_frame(b, kind, start, (uint32_t)len);
        if (planned == 0)
            return 0;
        start += planned;
        budget -= planned;
    }
    return budget;
}

static void plan_data(struct builder *b)
{
    struct braid_session *session = b->session;
    uint64_t budget = carries(b->subflow, BURST_TIME, BURST_MIN, BURST_MAX);
    uint64_t end = session->sendbuf.end < session->limit ? session->sendbuf.end : session->limit;
    uint64_t start = session->sendbuf.una;
    uint64_t allowance = braid_subflow_allowance(b->subflow);
    struct braid_subflow *sender = data_sender(session);
    bool probe = sender == NULL && probe_sender(session) == b->subflow;

    if ((sender != b->subflow && !probe) ||
        braid_inflight_reserve(&b->subflow->inflight, session->pool, BRAID_PLAN_ITEMS) != 0)
        return;
    if (probe) {
        end = session->next - start < PROBE ? session->next : start + PROBE;
        plan_range(b, BRAID_PLAN_AGAIN, start, end, PROBE);
        return;
    }
    if (budget > allowance)
        budget = allowance > FRAME_MIN ? allowance : FRAME_MIN;
    if (budget > b->subflow->room)
        budget = b->subflow->room;
    for (size_t i = 0; i < session->again.count && budget > 0; i++) {
        const struct braid_range *range = &session->again.at[i];

        if (!braid_inflight_has(&b->subflow->inflight, range->start))
            budget = plan_range(b, BRAID_PLAN_AGAIN, range->start, range->end, budget);
    }
    start = session->scheduler->next(session, b->subflow);
    if (start < session->next)
        budget = plan_range(b, BRAID_PLAN_AGAIN, start, session->next, budget);
    plan_range(b, BRAID_PLAN_NEW, session->next, end, budget);
}

/* FIN goes when the plan holds the last byte that was committed. */
static void plan_fin(struct builder *b)
{
    struct braid_session *session = b->session;
    uint64_t planned = session->next;
    struct braid_writer w = control_writer(b);

    if (!session->shut || session->fin_acked || session->fin_on != NULL)
        return;
    for (unsigned i = 0; i < b->plan->count; i++) {
        if (b->plan->items[i].kind == BRAID_PLAN_NEW)
            planned += b->plan->items[i].len;
    }
    if (planned < session->sendbuf.end)
        return;
    braid_wire_write_fin(&w, session->sendbuf.end);
    plan_control(b, &w, BRAID_FRAME_FIN);
}

static void plan_end(struct builder *b)
{
    struct braid_session *session = b->session;
    struct braid_writer w = control_writer(b);

    if (b->subflow->rest != NULL && b->subflow->rest->then != 0)
        return; /* it is what is being finished */
    if (wants_reset(session)) {
        braid_wire_write_code(&w, BRAID_FRAME_RESET, (uint16_t)session->reset_code,
                              braid_strerror(session->reset_code));
        plan_control(b, &w, BRAID_FRAME_RESET);
    } else if (b->subflow->want_close) {
        braid_wire_write_code(&w, BRAID_FRAME_CLOSE, BRAID_OK, "");
        plan_control(b, &w, BRAID_FRAME_CLOSE);
    }
}

int braid_subflow_pull(struct braid_subflow *subflow, struct iovec *v, int max, uint64_t now)
{
    struct braid_session *session = subflow->session;
    struct builder b = {session, subflow, braid_pool_plan(session->pool), v, 0, max, now};

    b.plan->count = 0;
    b.plan->control_fill = 0;
    b.plan->now = now > 0 ? now : 1;
    if (subflow->state != BRAID_SUBFLOW_ENDING && plan_rest(&b)) {
        plan_hello(&b);
        plan_result(&b);
        plan_ack(&b);
        plan_gone(&b);
        plan_pings(&b);
        if (session->state == BRAID_SESSION_OPEN) {
            plan_data(&b);
            plan_fin(&b);
        }
        plan_end(&b);
    }
    if (b.count == 0)
        subflow->room = 0; /* so that it is not named again at once */
    b.plan->subflow = b.count > 0 ? subflow : NULL;
    return b.count;
}

/* ---- making it true ---- */

static void written_ack(struct braid_session *session, uint64_t now)
{
    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next)
        s->told = s->received;
    session->flow.limit = braid_flow_next_limit(&session->flow, session->recvbuf.drained);
    session->unacked = 0;
    session->ack_owed = false;
    session->ack_due = false;
    braid_timer_clear(&session->deadlines, BRAID_TIMER_ACK);
    if (session->recvbuf.next == session->final) {
        session->fin_told = true;
        braid_session_check_finished(session, now);
    }
}

static void written_reset(struct braid_session *session, struct braid_subflow *subflow)
{
    session->resets_left--;
    braid_subflow_end(subflow, BRAID_OK);
    if (session->resets_left == 0 || session->subflow_count == 0)
        braid_session_end(session, BRAID_ERR_RESET);
}

static void written_close(struct braid_session *session, struct braid_subflow *subflow,
                          uint64_t now)
{
    subflow->want_close = false;
    session->close_sent = true;
    braid_subflow_end(subflow, BRAID_OK);
    braid_session_check_closed(session, now);
}

static void written_control(struct braid_subflow *subflow, uint8_t type, uint64_t now)
{
    struct braid_session *session = subflow->session;

    switch ((enum braid_frame_type)type) {
    case BRAID_FRAME_HELLO:
        subflow->want_hello = false;
        session->flow.limit = braid_flow_next_limit(&session->flow, session->recvbuf.drained);
        break;
    case BRAID_FRAME_CONNECT_RESULT:
        session->want_result = false;
        session->result_on = subflow;
        break;
    case BRAID_FRAME_ACK:
        written_ack(session, now);
        break;
    case BRAID_FRAME_PING:
        braid_subflow_expect(subflow, now);
        subflow->want_ping = false;
        subflow->ping_at = braid_pool_plan(session->pool)->now;
        braid_rescue_expect(session, subflow, now);
        break;
    case BRAID_FRAME_PONG:
        subflow->want_pong = false;
        break;
    case BRAID_FRAME_FIN:
        braid_subflow_expect(subflow, now);
        session->fin_on = subflow;
        braid_rescue_expect(session, subflow, now);
        break;
    case BRAID_FRAME_RESET:
        written_reset(session, subflow);
        break;
    case BRAID_FRAME_CLOSE:
        written_close(session, subflow, now);
        break;
    case BRAID_FRAME_SUBFLOW_CLOSE: /* the first of them */
        session->gone_count--;
        memmove(session->gone, session->gone + 1, session->gone_count * sizeof *session->gone);
        break;
    case BRAID_FRAME_PAD:
    case BRAID_FRAME_DATA:
    case BRAID_FRAME_SUBFLOW_PRIORITY:
    case BRAID_FRAME_PATH_ADD:
    case BRAID_FRAME_PATH_REMOVE:
    case BRAID_FRAME_IGNORE:
        break;
    }
}

static void written_data(struct braid_subflow *subflow, const struct braid_plan_item *item,
                         uint64_t now)
{
    struct braid_session *session = subflow->session;
    uint64_t end = item->offset + item->len;

    braid_subflow_expect(subflow, now);
    braid_inflight_push(&subflow->inflight, item->offset, item->len,
                        now + braid_subflow_arrival(subflow, item->len), now);
    subflow->cursor = end;
    if (subflow->sent == 0)
        subflow->first_at = now;
    subflow->sent += item->len;
    braid_rescue_expect(session, subflow, now);
    if (item->kind == BRAID_PLAN_NEW) {
        session->next = end;
        count_crumb(session, item->len);
        return;
    }
    subflow->resent += item->len;
    session->bytes_resent += item->len;
    /* From the front of a range this needs no memory; else it stays and is sent once too often. */
    (void)braid_ranges_remove(&session->again, session->pool, item->offset, end);
}

/* Takes n written bytes off a rest. */
static void consume_rest(struct braid_subflow *subflow, size_t n, uint64_t now)
{
    struct braid_rest *rest = subflow->rest;
    uint8_t then = rest->then;
    uint32_t bytes = rest->len - rest->at < n ? rest->len - rest->at : (uint32_t)n;

    rest->at += bytes;
    n -= bytes;
    while (n > 0) {
        struct braid_slice *slice = &rest->slice_at[rest->slice];
        uint32_t take = slice->len < n ? slice->len : (uint32_t)n;

        slice->start += take;
        slice->len -= take;
        n -= take;
        if (slice->len == 0) {
            braid_chunk_unref(slice->chunk);
            rest->slice++;
        }
    }
    if (rest->at < rest->len || rest->slice < rest->slices)
        return;
    braid_subflow_drop_rest(subflow);
    if (then != 0)
        written_control(subflow, then, now);
}

/* What nothing may follow on a subflow, so that it has to be written to its end. */
static bool is_last(const struct braid_plan_item *item)
{
    return item->kind == BRAID_PLAN_CONTROL_FRAME &&
           (item->type == BRAID_FRAME_RESET || item->type == BRAID_FRAME_CLOSE);
}

/* Keeps what is left of a frame of which only n bytes were written. */
static int keep_rest(struct braid_subflow *subflow, const struct braid_plan_item *item, size_t n)
{
    struct braid_session *session = subflow->session;
    const struct braid_plan *plan = braid_pool_plan(session->pool);
    bool data = item->kind != BRAID_PLAN_CONTROL_FRAME;
    const uint8_t *bytes = data ? item->head : plan->control + item->offset;
    uint32_t len = data ? BRAID_DATA_HEAD : item->size;
    struct braid_rest *rest = braid_pool_alloc(session->pool, sizeof *rest);
    uint32_t cut = n < len ? (uint32_t)n : len;

    if (rest == NULL)
        return -BRAID_ERR_MEMORY;
    subflow->rest = rest;
    rest->then = is_last(item) ? item->type : 0;
    rest->len = len - cut;
    memcpy(rest->bytes, bytes + cut, rest->len);
    if (data) {
        uint32_t sent = (uint32_t)n - cut;

        rest->slices =
            (unsigned)braid_sendbuf_slice(&session->sendbuf, item->offset + sent, item->len - sent,
                                          rest->slice_at, BRAID_SLICES_MAX);
        for (unsigned i = 0; i < rest->slices; i++)
            braid_chunk_ref(rest->slice_at[i].chunk);
    }
    return 0;
}

/* Makes one item true, of which n bytes were written; false: the subflow is no longer live. */
static bool written(struct braid_subflow *subflow, const struct braid_plan_item *item, size_t n,
                    uint64_t now)
{
    if (item->kind == BRAID_PLAN_REST) {
        consume_rest(subflow, n, now);
        return subflow->state != BRAID_SUBFLOW_ENDING;
    }
    if (n < item->size && keep_rest(subflow, item, n) != 0) {
        /* The stream of frames is broken here: nothing more can go on this subflow. */
        if (item->kind != BRAID_PLAN_CONTROL_FRAME)
            written_data(subflow, item, now);
        braid_subflow_fail(subflow, BRAID_ERR_MEMORY, now);
        return false;
    }
    if (n < item->size && is_last(item))
        return true; /* once it is */
    if (item->kind == BRAID_PLAN_CONTROL_FRAME)
        written_control(subflow, item->type, now);
    else
        written_data(subflow, item, now);
    return subflow->state != BRAID_SUBFLOW_ENDING;
}

void braid_subflow_pulled(struct braid_subflow *subflow, size_t n, uint64_t now)
{
    struct braid_plan *plan = braid_pool_plan(subflow->session->pool);
    size_t left = n;

    if (plan->subflow != subflow)
        return;
    plan->subflow = NULL;
    if (n > 0) {
        subflow->sent_at = now;
        braid_rescue_expect(subflow->session, subflow, now);
    }
    subflow->room -= n < subflow->room ? n : subflow->room;
    for (unsigned i = 0; i < plan->count && left > 0; i++) {
        const struct braid_plan_item *item = &plan->items[i];
        size_t part = item->size < left ? item->size : left;

        left -= part;
        braid_estimator_written(&subflow->estimator, part, now);
        if (!written(subflow, item, part, now))
            return;
    }
}
