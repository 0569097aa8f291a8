/* SPDX-License-Identifier: MIT */
/*
 * Making true what session_plan.c has planned, as far as it was written.
 */
#include <string.h>

#include "session_internal.h"

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

    if (subflow->seed != NULL) {
        braid_seed_written(subflow, type, now);
        return;
    }
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
    if (subflow->seed != NULL)
        braid_seed_mark(subflow, item->head_len, item->len, now);
    subflow->cursor = end;
    if (subflow->sent == 0)
        subflow->first_at = now;
    subflow->sent += item->len;
    braid_rescue_expect(session, subflow, now);
    if (item->kind == BRAID_PLAN_NEW) {
        session->next = end;
        braid_session_count_crumb(session, item->len);
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
static bool is_last(const struct braid_subflow *subflow, const struct braid_plan_item *item)
{
    if (item->kind != BRAID_PLAN_CONTROL_FRAME)
        return false;
    if (subflow->seed != NULL)
        return item->type == BRAID_SEED_SHUTDOWN;
    return item->type == BRAID_FRAME_RESET || item->type == BRAID_FRAME_CLOSE;
}

/* Keeps what is left of a frame of which only n bytes were written. */
static int keep_rest(struct braid_subflow *subflow, const struct braid_plan_item *item, size_t n)
{
    struct braid_session *session = subflow->session;
    const struct braid_plan *plan = braid_pool_plan(session->pool);
    bool data = item->kind != BRAID_PLAN_CONTROL_FRAME;
    const uint8_t *bytes = data ? item->head : plan->control + item->offset;
    uint32_t len = data ? item->head_len : item->size;
    struct braid_rest *rest = braid_pool_alloc(session->pool, sizeof *rest);
    uint32_t cut = n < len ? (uint32_t)n : len;

    if (rest == NULL)
        return -BRAID_ERR_MEMORY;
    subflow->rest = rest;
    rest->then = is_last(subflow, item) ? item->type : 0;
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
    if (n < item->size && is_last(subflow, item))
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
        if (subflow->seed != NULL)
            subflow->seed->written += part;
    }
}
