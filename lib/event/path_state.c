/* SPDX-License-Identifier: MIT */
#include "path_state.h"

#include <braid/error.h>

#include "clock.h"
#include "random.h"

#define PAUSE_MIN (500 * BRAID_MILLISECOND)
#define PAUSE_MAX (5 * BRAID_SECOND)
#define PAUSE_REFUSED_MIN (250 * BRAID_MILLISECOND)
#define PAUSE_REFUSED_MAX (30 * BRAID_SECOND)
#define RETURN_PAUSE (500 * BRAID_MILLISECOND) /* between two returns that are told */
#define CUT_PAUSE (500 * BRAID_MILLISECOND)
#define FRESH_TIME (60 * BRAID_SECOND) /* in which an outage may well be over the next moment */

/* So old may the proof be that the path works, when a dial fails at once. */
#define HEARD_TIME (1 * BRAID_SECOND)

#define PATIENCE_MIN (400 * BRAID_MILLISECOND)
#define PATIENCE_MAX (5 * BRAID_SECOND)
#define PATIENCE_SPARE (200 * BRAID_MILLISECOND)
#define PATIENCE_SEVERAL (1 * BRAID_SECOND) /* where another address may be the right one */

bool braid_path_state_init(struct braid_path_state *state)
{
    *state = (struct braid_path_state){.pause = 0};
    return pthread_mutex_init(&state->lock, NULL) == 0;
}

void braid_path_state_clear(struct braid_path_state *state)
{
    pthread_mutex_destroy(&state->lock);
}

static void set_health(struct braid_path_state *state, enum braid_path_health health, uint64_t now)
{
    if (state->view.health == health)
        return;
    state->view.health = health;
    state->view.since = now;
}

/* As its subflows have it; none_health: without any. What is down is not up by their silence. */
static void judge(struct braid_path_state *state, enum braid_path_health none_health, uint64_t now)
{
    struct braid_path_view *view = &state->view;

    if (view->health == BRAID_PATH_DOWN)
        return;
    if (view->alive > view->unwell)
        set_health(state, BRAID_PATH_UP, now);
    else
        set_health(state, view->alive == 0 ? none_health : BRAID_PATH_SUSPECT, now);
}

/*
 * Whether those who wait for the path are to be told. Where connections are taken and closed at
 * once there is a return with each: nobody dials any faster for that.
 */
static bool note_return(struct braid_path_state *state, uint64_t now)
{
    if (state->view.returns > 0 && now - state->returned < RETURN_PAUSE)
        return false;
    state->returned = now;
    state->view.returns++;
    return true;
}

/* It is shown to work. Returns whether that ends an outage that others wait for the end of. */
static bool prove(struct braid_path_state *state, uint64_t now)
{
    bool returned = state->view.health == BRAID_PATH_DOWN;

    state->heard = now;
    state->pause = 0;
    state->failures = 0;
    state->view.error = BRAID_OK;
    set_health(state, BRAID_PATH_UP, now);
    return returned && note_return(state, now);
}

/* Up to 20 % less, so that many do not come back all at once. */
static uint64_t jittered(uint64_t wait)
{
    uint32_t random = 0;

    (void)braid_random(&random, sizeof random);
    return wait - (wait / 5) * (random & 0xffff) / 0xffff;
}

struct braid_path_view braid_path_state_view(struct braid_path_state *state)
{
    struct braid_path_view view;

    pthread_mutex_lock(&state->lock);
    view = state->view;
    pthread_mutex_unlock(&state->lock);
    return view;
}

static uint64_t patience(const struct braid_path_state *state, unsigned remotes)
{
    uint64_t time = 8 * state->view.rtt + PATIENCE_SPARE;

    if (state->view.rtt == 0)
        return remotes > 1 ? PATIENCE_SEVERAL : PATIENCE_MAX;
    if (time < PATIENCE_MIN)
        return PATIENCE_MIN;
    return time < PATIENCE_MAX ? time : PATIENCE_MAX;
}

uint64_t braid_path_state_patience(struct braid_path_state *state, unsigned remotes)
{
    uint64_t time;

    pthread_mutex_lock(&state->lock);
    time = patience(state, remotes);
    pthread_mutex_unlock(&state->lock);
    return time;
}

bool braid_path_state_ask(struct braid_path_state *state, unsigned remotes, bool force,
                          uint64_t now, uint64_t *when)
{
    bool granted;

    pthread_mutex_lock(&state->lock);
    granted = force || state->view.health != BRAID_PATH_DOWN || now >= state->next_dial;
    if (granted)
        state->next_dial = now + patience(state, remotes) + PAUSE_MIN;
    *when = state->next_dial;
    pthread_mutex_unlock(&state->lock);
    return granted;
}

void braid_path_state_release(struct braid_path_state *state, uint64_t now)
{
    pthread_mutex_lock(&state->lock);
    /* Not all who come and go at once: the next one dials as after a failure. */
    if (state->next_dial > now + PAUSE_MIN)
        state->next_dial = now + PAUSE_MIN;
    pthread_mutex_unlock(&state->lock);
}

bool braid_path_state_connected(struct braid_path_state *state, uint64_t rtt, uint64_t now)
{
    struct braid_path_view *view = &state->view;
    bool suspect, down, returned;

    pthread_mutex_lock(&state->lock);
    suspect = view->health == BRAID_PATH_SUSPECT;
    down = view->health == BRAID_PATH_DOWN;
    view->alive++;
    returned = prove(state, now) || (suspect && note_return(state, now));
    if (rtt > 0 && (down || suspect || view->rtt == 0))
        view->rtt = rtt;
    pthread_mutex_unlock(&state->lock);
    return returned;
}

/* The wait after one more dial that failed. */
static uint64_t next_pause(const struct braid_path_state *state, int error, uint64_t now)
{
    uint64_t doubled = state->pause * 2;

    if (error == BRAID_ERR_REFUSED) {
        if (doubled < PAUSE_REFUSED_MIN)
            return PAUSE_REFUSED_MIN;
        return doubled < PAUSE_REFUSED_MAX ? doubled : PAUSE_REFUSED_MAX;
    }
    if (now - state->view.since < FRESH_TIME || doubled < PAUSE_MIN)
        return PAUSE_MIN;
    return doubled < PAUSE_MAX ? doubled : PAUSE_MAX;
}

/* Whether a subflow has shown that the path works, though this dial did not connect. */
static bool works_anyway(const struct braid_path_state *state, uint64_t began, uint64_t now)
{
    uint64_t span = now - began > HEARD_TIME ? now - began : HEARD_TIME;

    return state->view.alive > state->view.unwell && now - state->heard <= span;
}

bool braid_path_state_failed(struct braid_path_state *state,
                             const struct braid_path_failure *failure, uint64_t now)
{
    struct braid_path_view *view = &state->view;
    unsigned remotes = failure->remotes;
    bool news;

    pthread_mutex_lock(&state->lock);
    news = view->health != BRAID_PATH_DOWN;
    if (view->remote == failure->remote && remotes > 1)
        view->remote = (failure->remote + 1) % remotes;
    if (!works_anyway(state, failure->began, now)) {
        set_health(state, BRAID_PATH_DOWN, now);
        view->error = failure->error;
        view->why = failure->why;
        state->next_dial = now;
        if (++state->failures % remotes == 0) { /* each address had its turn */
            state->pause = next_pause(state, failure->error, now);
            state->next_dial = now + jittered(state->pause);
        }
    }
    pthread_mutex_unlock(&state->lock);
    return news;
}

void braid_path_state_gone(struct braid_path_state *state, bool unwell, bool failed, uint64_t now)
{
    struct braid_path_view *view = &state->view;

    pthread_mutex_lock(&state->lock);
    view->alive--;
    if (unwell)
        view->unwell--;
    judge(state, failed ? BRAID_PATH_SUSPECT : view->health, now);
    pthread_mutex_unlock(&state->lock);
}

bool braid_path_state_silent(struct braid_path_state *state, bool silent, uint64_t now)
{
    bool returned = false;

    pthread_mutex_lock(&state->lock);
    if (silent) {
        state->view.unwell++;
        judge(state, state->view.health, now);
    } else {
        state->view.unwell--;
        returned = prove(state, now);
    }
    pthread_mutex_unlock(&state->lock);
    return returned;
}

static uint64_t smoothed(uint64_t old, uint64_t measured)
{
    if (measured == 0)
        return old;
    return old == 0 ? measured : (old * 7 + measured) / 8;
}

bool braid_path_state_measured(struct braid_path_state *state, uint64_t rtt, uint64_t rate,
                               uint64_t moved_since, uint64_t now)
{
    struct braid_path_view *view = &state->view;
    bool returned = false;

    pthread_mutex_lock(&state->lock);
    view->rtt = smoothed(view->rtt, rtt);
    view->rate = smoothed(view->rate, rate);
    if (view->health != BRAID_PATH_DOWN && moved_since > 0)
        state->heard = now;
    else if (view->health == BRAID_PATH_DOWN && moved_since >= view->since && moved_since > 0)
        returned = prove(state, now); /* not what came before it went down */
    pthread_mutex_unlock(&state->lock);
    return returned;
}

bool braid_path_state_cut(struct braid_path_state *state, uint64_t now)
{
    bool news;

    pthread_mutex_lock(&state->lock);
    news = state->view.health != BRAID_PATH_DOWN;
    set_health(state, BRAID_PATH_DOWN, now);
    state->view.error = BRAID_ERR_UNREACHABLE;
    state->view.why = NULL;
    state->next_dial = now + CUT_PAUSE;
    pthread_mutex_unlock(&state->lock);
    return news;
}

void braid_path_state_hurry(struct braid_path_state *state)
{
    pthread_mutex_lock(&state->lock);
    state->next_dial = 0;
    state->pause = 0;
    pthread_mutex_unlock(&state->lock);
}
