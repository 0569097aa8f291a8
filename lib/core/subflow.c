/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "session_internal.h"

#define FIRST_FLIGHT 16384u /* on a subflow that has not shown yet that it delivers */
#define SAMPLE_TIME 10000u  /* microseconds */
#define SAMPLE_TIME_NEW 2000u
#define SAMPLE_TIME_NEAR 250u
#define LOWAT_MIN 16384u
#define LOWAT_START 65536u
#define LOWAT_MAX 1048576u
#define SHORTAGES_MAX 16u
#define LOWAT_TIME 8u /* milliseconds of sending that a socket should have in store */

static struct braid_subflow *subflow_new(struct braid_session *session, void *user, uint64_t now)
{
    struct braid_subflow *subflow = braid_pool_alloc(session->pool, sizeof *subflow);
    struct braid_subflow **link = &session->subflows;

    if (subflow == NULL)
        return NULL;
    if (session->config.speaks_seed) {
        subflow->seed = braid_pool_alloc(session->pool, sizeof *subflow->seed);
        if (subflow->seed == NULL) {
            braid_pool_release(session->pool, subflow, sizeof *subflow);
            return NULL;
        }
    }
    subflow->session = session;
    subflow->user = user;
    subflow->state = BRAID_SUBFLOW_HELLO;
    subflow->want_hello = true;
    subflow->room = LOWAT_START;
    subflow->added_at = now;
    subflow->sent_at = now;
    subflow->progress_at = now;
    while (*link != NULL)
        link = &(*link)->next;
    *link = subflow;
    session->subflow_count++;
    braid_timer_clear(&session->deadlines, BRAID_TIMER_GRACE);
    braid_rescue_welcome(session, now);
    return subflow;
}

struct braid_subflow *braid_subflow_add(struct braid_session *session, unsigned path, void *user,
                                        uint64_t now)
{
    struct braid_subflow *subflow;

    if (braid_session_subflows_wanted(session) == 0 || session->next_index > UINT16_MAX)
        return NULL;
    subflow = subflow_new(session, user, now);
    if (subflow == NULL)
        return NULL;
    subflow->path = path;
    subflow->index = session->next_index++;
    if (subflow->seed != NULL)
        braid_seed_added(subflow, now);
    return subflow;
}

/* Compares secrets without telling by the time where they differ. */
static bool same_token(const uint8_t a[16], const uint8_t b[16])
{
    volatile uint8_t difference = 0;

    for (int i = 0; i < 16; i++)
        difference = (uint8_t)(difference | (a[i] ^ b[i]));
    return difference == 0;
}

/* Why this HELLO may not join; BRAID_OK when it may. */
static int check_join(const struct braid_session *session, const struct braid_hello *hello)
{
    struct braid_range unused;

    if ((hello->streams > 0) != session->config.speaks_seed)
        return BRAID_ERR_UNKNOWN_SESSION;
    if (session->config.speaks_seed)
        return braid_seed_check_join(session, hello);
    if (!same_token(hello->token, session->config.token))
        return BRAID_ERR_TOKEN;
    if (session->state == BRAID_SESSION_ABORTING || session->error != BRAID_OK)
        return BRAID_ERR_UNKNOWN_SESSION;
    if (session->state != BRAID_SESSION_OPEN)
        return BRAID_ERR_FINISHED;
    if (!braid_ranges_gap(&session->indices, hello->subflow, (uint64_t)hello->subflow + 1, &unused))
        return BRAID_ERR_PROTOCOL;
    return BRAID_OK;
}

/*
 * Whether there is room for one more. Who joins misses subflows, so of those that there are one may
 * be dead: one that is silent has to go, and the others are asked, for the next one that tries.
 */
static bool make_room(struct braid_session *session, uint64_t now)
{
    if (session->subflow_count < session->config.max_subflows)
        return true;
    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next) {
        if (braid_subflow_is_well(s) && !braid_rescue_is_quiet(s, now))
            continue;
        braid_subflow_fail(s, BRAID_ERR_SILENT, now);
        return session->state == BRAID_SESSION_OPEN;
    }
    for (struct braid_subflow *s = session->subflows; s != NULL; s = s->next)
        s->want_ping = s->ping_at == 0;
    return false;
}

struct braid_subflow *braid_subflow_join(struct braid_session *session,
                                         const struct braid_hello *hello, void *user, int *error,
                                         uint64_t now)
{
    struct braid_ack ack = {.ack = hello->ack, .limit = hello->limit};
    struct braid_subflow *subflow;

    *error = check_join(session, hello);
    if (*error == BRAID_OK && session->config.speaks_seed) {
        subflow = subflow_new(session, user, now);
        if (subflow != NULL)
            braid_seed_joined(subflow, now);
        else
            *error = BRAID_ERR_MEMORY;
        return subflow;
    }
    if (*error == BRAID_OK && !make_room(session, now))
        *error = BRAID_ERR_LIMIT;
    if (*error != BRAID_OK)
        return NULL;
    if (braid_session_on_ack(session, &ack, NULL, now) != 0) {
        *error = BRAID_ERR_PROTOCOL;
        return NULL;
    }
    if (session->state != BRAID_SESSION_OPEN) { /* that was all it still waited for */
        *error = BRAID_ERR_FINISHED;
        return NULL;
    }
    *error = BRAID_ERR_MEMORY;
    if (braid_ranges_add(&session->indices, session->pool, hello->subflow,
                         (uint64_t)hello->subflow + 1) != 0)
        return NULL;
    subflow = subflow_new(session, user, now);
    if (subflow == NULL)
        return NULL;
    *error = BRAID_OK;
    subflow->index = hello->subflow;
    subflow->path = hello->subflow; /* its own, unless the driver knows better */
    subflow->backup = (hello->flags & BRAID_HELLO_BACKUP) != 0;
    subflow->state = BRAID_SUBFLOW_ACTIVE;
    if (!session->established) {
        session->established = true;
        braid_session_act(session, BRAID_ACTION_ESTABLISHED);
    }
    return subflow;
}

void *braid_subflow_user(const struct braid_subflow *subflow)
{
    return subflow->user;
}

struct braid_session *braid_subflow_session(const struct braid_subflow *subflow)
{
    return subflow->session;
}

struct braid_subflow *braid_session_subflow_after(const struct braid_session *session,
                                                  const struct braid_subflow *subflow)
{
    return subflow == NULL ? session->subflows : subflow->next;
}

void braid_subflow_drop_rest(struct braid_subflow *subflow)
{
    struct braid_rest *rest = subflow->rest;

    if (rest == NULL)
        return;
    for (unsigned i = rest->slice; i < rest->slices; i++)
        braid_chunk_unref(rest->slice_at[i].chunk);
    braid_pool_release(subflow->session->pool, rest, sizeof *rest);
    subflow->rest = NULL;
}

void braid_subflow_destroy(struct braid_subflow *subflow)
{
    struct braid_pool *pool = subflow->session->pool;

    braid_subflow_drop_rest(subflow);
    braid_parser_clear(&subflow->parser, pool);
    braid_inflight_clear(&subflow->inflight, pool);
    if (subflow->seed != NULL)
        braid_inflight_clear(&subflow->seed->marks, pool);
    braid_pool_release(pool, subflow->seed, sizeof *subflow->seed);
    braid_pool_release(pool, subflow, sizeof *subflow);
}

static void unlink_from(struct braid_subflow **list, struct braid_subflow *subflow)
{
    while (*list != NULL && *list != subflow)
        list = &(*list)->next;
    if (*list != NULL)
        *list = subflow->next;
    subflow->next = NULL;
}

/* What the session sent once on this subflow has to be sent once more. */
static void forget_carried(struct braid_session *session, const struct braid_subflow *subflow)
{
    if (session->fin_on == subflow)
        session->fin_on = NULL;
    if (session->ack_on == subflow)
        session->ack_on = NULL;
    if (session->result_on == subflow) {
        session->result_on = NULL;
        session->want_result = true;
    }
    braid_session_forget_told(session);
}

/* Takes a subflow off the live ones; what it carried is queued again. */
static void retire(struct braid_subflow *subflow)
{
    struct braid_session *session = subflow->session;
    bool live = session->state == BRAID_SESSION_OPEN;

    unlink_from(&session->subflows, subflow);
    session->subflow_count--;
    forget_carried(session, subflow);
    if (subflow->seed != NULL)
        braid_seed_retired(subflow);
    if (live && braid_rescue_all(subflow) != 0)
        braid_session_end(session, BRAID_ERR_MEMORY);
}

/* Subflows that die of a lack of memory one after the other, and nothing moves: it will not end. */
static void give_up_short(struct braid_session *session, int error, uint64_t now)
{
    uint64_t moved = session->sendbuf.una + session->recvbuf.next;

    if (error != BRAID_ERR_MEMORY || session->state != BRAID_SESSION_OPEN)
        return;
    if (moved != session->short_at)
        session->shortages = 0;
    session->short_at = moved;
    if (++session->shortages > SHORTAGES_MAX)
        braid_session_reset(session, BRAID_ERR_MEMORY, now);
}

/* The session after it has lost a subflow. */
static void after_loss(struct braid_session *session, int error, uint64_t now)
{
    bool last = session->subflow_count == 0;

    give_up_short(session, error, now);
    if (session->config.speaks_seed) {
        braid_seed_lost(session, now);
        return;
    }
    if (session->state == BRAID_SESSION_OPEN) {
        session->lost_count++;
        braid_session_owe_ack(session, true, now);
        if (session->config.role == BRAID_LOCAL)
            braid_session_act(session, BRAID_ACTION_DIAL);
        if (last && (session->established || session->config.role == BRAID_REMOTE))
            braid_timer_set(&session->deadlines, BRAID_TIMER_GRACE, now + session->config.grace);
    } else if (last && session->state == BRAID_SESSION_CLOSING) {
        braid_session_end(session, BRAID_OK);
    } else if (last && session->state == BRAID_SESSION_ABORTING) {
        if (session->resets_left > 0 && braid_session_subflows_wanted(session) > 0)
            braid_session_act(session, BRAID_ACTION_DIAL);
        else
            braid_session_end(session, BRAID_ERR_RESET);
    }
}

void braid_subflow_end(struct braid_subflow *subflow, int error)
{
    struct braid_session *session = subflow->session;

    if (subflow->state == BRAID_SUBFLOW_ENDING)
        return;
    retire(subflow);
    subflow->state = BRAID_SUBFLOW_ENDING;
    subflow->error = error;
    subflow->next = session->ending;
    session->ending = subflow;
}

void braid_subflow_lost(struct braid_subflow *subflow, int error, uint64_t now)
{
    struct braid_session *session = subflow->session;
    bool gap = error == BRAID_ERR_MEMORY && subflow->seed != NULL && !subflow->seed->ended &&
               session->recvbuf.next != session->final;

    if (subflow->state == BRAID_SUBFLOW_ENDING) {
        unlink_from(&session->ending, subflow);
        braid_subflow_destroy(subflow);
        return;
    }
    retire(subflow);
    braid_subflow_destroy(subflow);
    if (gap) /* what there was no memory for has been acknowledged, by TCP, and never comes again */
        braid_session_end(session, error);
    after_loss(session, error, now);
}

void braid_subflow_fail(struct braid_subflow *subflow, int error, uint64_t now)
{
    struct braid_session *session = subflow->session;

    braid_subflow_end(subflow, error);
    after_loss(session, error, now);
}

bool braid_subflow_is_well(const struct braid_subflow *subflow)
{
    return subflow->state != BRAID_SUBFLOW_SUSPECT && subflow->state != BRAID_SUBFLOW_STALE;
}

bool braid_subflow_usable(const struct braid_subflow *subflow)
{
    return subflow->state != BRAID_SUBFLOW_ENDING;
}

bool braid_subflow_outstanding(const struct braid_subflow *subflow)
{
    return subflow->inflight.bytes > 0 || subflow->ping_at != 0 ||
           subflow->session->fin_on == subflow;
}

void braid_subflow_expect(struct braid_subflow *subflow, uint64_t now)
{
    if (!braid_subflow_outstanding(subflow))
        subflow->progress_at = now;
}

/* Used again, carefully at first. */
static void recover(struct braid_subflow *subflow, uint64_t now)
{
    if (subflow->state != BRAID_SUBFLOW_SUSPECT && subflow->state != BRAID_SUBFLOW_STALE)
        return;
    if (subflow->state == BRAID_SUBFLOW_STALE)
        subflow->proven = false;
    subflow->state = BRAID_SUBFLOW_ACTIVE;
    braid_rescue_doubt(subflow, now);
}

void braid_subflow_progress(struct braid_subflow *subflow, uint64_t now)
{
    subflow->progress_at = now;
    recover(subflow, now);
    braid_estimator_arrived(&subflow->estimator, now);
}

uint64_t braid_subflow_sample_time(const struct braid_subflow *subflow)
{
    if (subflow->seed != NULL)
        return braid_seed_is_near_limit(subflow->session) ? SAMPLE_TIME_NEAR : SAMPLE_TIME_NEW;
    return braid_estimator_in_slow_start(&subflow->estimator) ? SAMPLE_TIME_NEW : SAMPLE_TIME;
}

void braid_subflow_sample(struct braid_subflow *subflow, const struct braid_sample *sample,
                          uint64_t now)
{
    if (braid_estimator_sample(&subflow->estimator, sample, now))
        recover(subflow, now);
    if (subflow->seed != NULL)
        braid_seed_sampled(subflow, sample, now);
    if (subflow->estimator.waiting)
        braid_rescue_expect(subflow->session, subflow, now);
}

uint64_t braid_subflow_queued(const struct braid_subflow *subflow)
{
    return subflow->estimator.sampled ? subflow->estimator.outq : subflow->inflight.bytes;
}

uint64_t braid_subflow_arrival(const struct braid_subflow *subflow, uint64_t n)
{
    return braid_estimator_arrival(&subflow->estimator, braid_subflow_queued(subflow), n);
}

void braid_subflow_set_path(struct braid_subflow *subflow, unsigned path)
{
    subflow->path = path;
}

bool braid_subflow_on_probation(const struct braid_subflow *subflow)
{
    bool before = true, probation = false;

    if (subflow->proven)
        return false;
    for (const struct braid_subflow *s = subflow->session->subflows; s != NULL; s = s->next) {
        if (s == subflow)
            before = false;
        else if (s->state != BRAID_SUBFLOW_ACTIVE)
            continue;
        else if (s->proven && s->path == subflow->path)
            return false; /* the path has shown it */
        else if (s->backup && !subflow->backup)
            continue; /* it steps back, so nobody else would carry the session */
        else if (s->proven || (before && s->sent > 0))
            probation = true;
    }
    return probation;
}

bool braid_subflow_must_answer(const struct braid_subflow *subflow)
{
    bool answered = false;

    for (const struct braid_subflow *s = subflow->session->subflows; s != NULL; s = s->next) {
        if (s->state != BRAID_SUBFLOW_ACTIVE)
            continue;
        if (s->proven && s->path == subflow->path)
            return false;
        answered = true;
    }
    return answered;
}

/* The most that should be in the socket. */
static uint64_t most_queued(const struct braid_subflow *subflow)
{
    const struct braid_estimator *e = &subflow->estimator;

    if (e->window == 0 || e->min_rtt < BRAID_NEAR || !braid_estimator_in_slow_start(e))
        return braid_estimator_cap(e);
    /* More would wait for an answer in this socket, while another may be there by then. */
    if (!subflow->proven)
        return e->window > FIRST_FLIGHT ? e->window : FIRST_FLIGHT;
    return subflow->session->subflow_count > 1 ? e->window + e->window / 2 : UINT64_MAX;
}

uint64_t braid_subflow_allowance(const struct braid_subflow *subflow)
{
    uint64_t most = most_queued(subflow), queued = braid_subflow_queued(subflow);

    return most > queued ? most - queued : 0;
}

bool braid_subflow_is_full(const struct braid_subflow *subflow)
{
    /* What a first flight holds beyond the copy may be new. */
    if (braid_subflow_on_probation(subflow) &&
        (subflow->sent == 0 || subflow->inflight.bytes >= FIRST_FLIGHT))
        return true;
    return braid_subflow_allowance(subflow) == 0;
}

bool braid_subflow_is_capped(const struct braid_subflow *subflow)
{
    const struct braid_session *session = subflow->session;

    return session->state == BRAID_SESSION_OPEN && subflow->estimator.sampled &&
           (braid_session_has_again(session) || braid_session_has_new(session)) &&
           braid_subflow_is_full(subflow);
}

void braid_subflow_set_queued(struct braid_subflow *subflow, uint64_t bytes)
{
    subflow->estimator.outq = bytes;
}

void braid_subflow_set_backup(struct braid_subflow *subflow, bool backup)
{
    subflow->backup = backup;
}

void braid_subflow_set_room(struct braid_subflow *subflow, size_t bytes)
{
    subflow->room = bytes;
}

size_t braid_subflow_room(const struct braid_subflow *subflow)
{
    return subflow->room;
}

void braid_subflow_set_blocked(struct braid_subflow *subflow, bool blocked)
{
    subflow->blocked = blocked;
}

size_t braid_subflow_lowat(const struct braid_subflow *subflow)
{
    const struct braid_estimator *e = &subflow->estimator;
    uint64_t lowat;

    if (e->rate == 0 && e->window_rate == 0)
        return LOWAT_START;
    lowat = braid_estimator_rate(e) * LOWAT_TIME / 1000;
    if (lowat < LOWAT_MIN)
        return LOWAT_MIN;
    return lowat > LOWAT_MAX ? LOWAT_MAX : (size_t)lowat;
}

static const char *state_name(enum braid_subflow_state state)
{
    switch (state) {
    case BRAID_SUBFLOW_HELLO:
        return "hello";
    case BRAID_SUBFLOW_ACTIVE:
        return "active";
    case BRAID_SUBFLOW_SUSPECT:
        return "suspect";
    case BRAID_SUBFLOW_STALE:
        return "stale";
    case BRAID_SUBFLOW_ENDING:
        return "ending";
    }
    return "";
}

void braid_subflow_get_stats(const struct braid_subflow *subflow, struct braid_subflow_stats *stats)
{
    stats->index = subflow->index;
    stats->path = subflow->path;
    stats->state = state_name(subflow->state);
    stats->bytes_sent = subflow->sent;
    stats->bytes_received = subflow->received;
    stats->bytes_resent = subflow->resent;
    stats->rtt = subflow->estimator.rtt;
    stats->moved = subflow->received + subflow->confirmed + subflow->estimator.delivered;
    stats->rate =
        subflow->estimator.rate != 0 ? subflow->estimator.rate : subflow->estimator.window_rate;
}
