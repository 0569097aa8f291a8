/* SPDX-License-Identifier: MIT */
/*
 * Planning the next write of one subflow. Nothing changes while a plan is made, so what was not
 * written needs no undoing.
 *
 * A write carries, in this order: the rest of a frame cut in two, HELLO, single messages and ACK,
 * PING and PONG, DATA sent again, new DATA, FIN, and at the end RESET or CLOSE. In the seed's
 * format there are what opens the subflow, PING, DATA and SHUTDOWN.
 */
#include <string.h>

#include "session_internal.h"

#define WRITE_TIME 10u     /* milliseconds that one write, or a frame of it, may occupy a path */
#define PROBE_HELLO 14000u /* a first flight */
#define BURST_MAX BRAID_BACKLOG_LENT

struct builder {
    struct braid_session *session;
    struct braid_subflow *subflow;
    struct braid_plan *plan;
    struct iovec *v;
    int count;
    int max;
    uint64_t now;
};

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
         braid_session_shortest(session)->state == BRAID_SUBFLOW_ACTIVE))
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

/* What a subflow of this rate carries in WRITE_TIME, at most max. */
static uint64_t carries(const struct braid_subflow *subflow, uint64_t max)
{
    uint64_t bytes = braid_estimator_rate(&subflow->estimator) * WRITE_TIME / 1000;

    if (bytes < BRAID_FRAME_MIN)
        return BRAID_FRAME_MIN;
    return bytes > max ? max : bytes;
}

uint64_t braid_subflow_frame(const struct braid_subflow *subflow)
{
    return carries(subflow, BRAID_FRAME_MAX);
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
    item->head_len = b->subflow->seed != NULL ? BRAID_SEED_HEAD : BRAID_DATA_HEAD;
    add_piece(b, item->head, item->head_len);
    for (int i = 0; i < n; i++) {
        add_piece(b, slices[i].chunk->data + slices[i].start, slices[i].len);
        total += slices[i].len;
    }
    item->kind = kind;
    item->size = item->head_len + total;
    item->len = total;
    item->offset = offset;
    if (b->subflow->seed != NULL)
        braid_seed_write_head(item->head, offset, total);
    else
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

/*
 * How much of the head of the line a subflow on probation is to carry, too. Before its HELLO is
 * answered there is nothing else for it, and a path that no other subflow has may be the best one.
 */
static uint64_t probe_size(const struct braid_subflow *subflow)
{
    if (subflow->state != BRAID_SUBFLOW_HELLO)
        return BRAID_PROBE;
    for (const struct braid_subflow *s = subflow->session->subflows; s != NULL; s = s->next) {
        if (s != subflow && s->path == subflow->path)
            return BRAID_PROBE;
    }
    return PROBE_HELLO;
}

/* Sees to it that what a data frame is noted in is there; else the subflow gets no data for now. */
static bool reserve(struct builder *b)
{
    struct braid_session *session = b->session;
    uint64_t at = b->now + BRAID_MEMORY_RETRY;
    struct braid_seed_flow *seed = b->subflow->seed;

    if (braid_inflight_reserve(&b->subflow->inflight, session->pool, BRAID_PLAN_ITEMS) == 0 &&
        (seed == NULL ||
         braid_inflight_reserve(&seed->marks, session->pool, BRAID_PLAN_ITEMS) == 0))
        return true;
    b->subflow->starved = true;
    if (session->deadlines.at[BRAID_TIMER_MEMORY] > at)
        braid_timer_set(&session->deadlines, BRAID_TIMER_MEMORY, at);
    return false;
}

static void plan_data(struct builder *b)
{
    struct braid_session *session = b->session;
    uint64_t budget = carries(b->subflow, BURST_MAX);
    uint64_t end = session->sendbuf.end < session->limit ? session->sendbuf.end : session->limit;
    uint64_t start = session->sendbuf.una;
    uint64_t allowance = braid_subflow_allowance(b->subflow);
    struct braid_subflow *sender = braid_session_data_sender(session);
    bool probe = sender == NULL && braid_session_probe_sender(session) == b->subflow;

    if ((sender != b->subflow && !probe) || !reserve(b))
        return;
    if (probe) {
        uint64_t copy = probe_size(b->subflow);

        end = session->next - start < copy ? session->next : start + copy;
        plan_range(b, BRAID_PLAN_AGAIN, start, end, copy);
        return;
    }
    if (budget > allowance)
        budget = allowance > BRAID_FRAME_MIN ? allowance : BRAID_FRAME_MIN;
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
    if (braid_session_wants_reset(session)) {
        braid_wire_write_code(&w, BRAID_FRAME_RESET, (uint16_t)session->reset_code,
                              braid_strerror(session->reset_code));
        plan_control(b, &w, BRAID_FRAME_RESET);
    } else if (b->subflow->want_close) {
        braid_wire_write_code(&w, BRAID_FRAME_CLOSE, BRAID_OK, "");
        plan_control(b, &w, BRAID_FRAME_CLOSE);
    }
}

static void plan_frames(struct builder *b)
{
    plan_hello(b);
    plan_result(b);
    plan_ack(b);
    plan_gone(b);
    plan_pings(b);
    if (b->session->state == BRAID_SESSION_OPEN) {
        plan_data(b);
        plan_fin(b);
    }
    plan_end(b);
}

/* The same in the seed's format. */
static void plan_messages(struct builder *b)
{
    const struct braid_subflow *subflow = b->subflow;
    struct braid_session *session = b->session;

    if (subflow->seed->said)
        return;
    if (subflow->want_hello) {
        struct braid_writer w = control_writer(b);

        braid_seed_write_open(&w, session->config.id, session->seed.streams);
        plan_control(b, &w, BRAID_SEED_OPEN);
    }
    if (subflow->want_ping) {
        struct braid_writer w = control_writer(b);

        braid_seed_write_ping(&w);
        plan_control(b, &w, BRAID_SEED_PING);
    }
    if (session->state == BRAID_SESSION_OPEN)
        plan_data(b);
    if (subflow->want_close && (subflow->rest == NULL || subflow->rest->then == 0)) {
        struct braid_writer w = control_writer(b);

        braid_seed_write_end(&w, session->sendbuf.end, session->seed.last);
        plan_control(b, &w, BRAID_SEED_SHUTDOWN);
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
        if (subflow->seed != NULL)
            plan_messages(&b);
        else
            plan_frames(&b);
    }
    if (b.count == 0)
        subflow->room = 0; /* so that it is not named again at once */
    b.plan->subflow = b.count > 0 ? subflow : NULL;
    return b.count;
}
