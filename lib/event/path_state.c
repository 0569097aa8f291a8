/* SPDX-License-Identifier: MIT */
#include "path_state.h"

#include <braid/error.h>

#include "clock.h"
#include "random.h"

#define PAUSE_MIN (500 * BRAID_MILLISECOND)
#define PAUSE_MAX (5 * BRAID_SECOND)
#define PAUSE_REFUSED_MIN (250 * BRAID_MILLISECOND)
#define PAUSE_REFUSED_MAX (30 * BRAID_SECOND)
#define FRESH_TIME (60 * BRAID_SECOND) /* in which an outage may well be over the next moment */

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

/* As its subflows have it; none_health: without any. */
static void judge(struct braid_path_state *state, enum braid_path_health none_health, uint64_t now)
{
    struct braid_path_view *view = &state->view;

    if (view->alive > view->unwell)
        set_health(state, BRAID_PATH_UP, now);
    else if (view->alive == 0)
        set_health(state, none_health, now);
    else if (view->health != BRAID_PATH_DOWN)
        set_health(state, BRAID_PATH_SUSPECT, now);
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

bool braid_path_state_connected(struct braid_path_state *state, uint64_t rtt, uint64_t now)
{
    bool returned;

    pthread_mutex_lock(&state->lock);
    returned = state->view.health == BRAID_PATH_DOWN || state->view.health == BRAID_PATH_SUSPECT;
    if (returned)
        state->view.returns++;
    state->view.alive++;
    state->view.error = BRAID_OK;
    state->pause = 0;
    state->failures = 0;
    set_health(state, BRAID_PATH_UP, now);
    if (rtt > 0 && (returned || state->view.rtt == 0))
        state->view.rtt = rtt;
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

bool braid_path_state_failed(struct braid_path_state *state, unsigned remote, unsigned remotes,
                             int error, uint64_t now)
{
    struct braid_path_view *view = &state->view;
    bool news;

    pthread_mutex_lock(&state->lock);
    news = view->health != BRAID_PATH_DOWN;
    if (view->remote == remote && remotes > 1)
        view->remote = (remote + 1) % remotes;
    if (view->alive == view->unwell) { /* else a SYN was lost, or there is one subflow too many */
        set_health(state, BRAID_PATH_DOWN, now);
        view->error = error;
        state->next_dial = now;
        if (++state->failures % remotes == 0) { /* each address had its turn */
            state->pause = next_pause(state, error, now);
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
    if (view->alive == 0 && (!failed || view->health == BRAID_PATH_DOWN))
        judge(state, view->health, now);
    else
        judge(state, BRAID_PATH_SUSPECT, now);
    pthread_mutex_unlock(&state->lock);
}

void braid_path_state_silent(struct braid_path_state *state, bool silent, uint64_t now)
{
    pthread_mutex_lock(&state->lock);
    if (silent)
        state->view.unwell++;
    else
        state->view.unwell--;
    judge(state, state->view.health, now);
    pthread_mutex_unlock(&state->lock);
}

void braid_path_state_measured(struct braid_path_state *state, uint64_t rtt, uint64_t rate)
{
    struct braid_path_view *view = &state->view;

    pthread_mutex_lock(&state->lock);
    if (rtt > 0)
        view->rtt = view->rtt == 0 ? rtt : (view->rtt * 7 + rtt) / 8;
    if (rate > 0)
        view->rate = view->rate == 0 ? rate : (view->rate * 7 + rate) / 8;
    pthread_mutex_unlock(&state->lock);
}

void braid_path_state_cut(struct braid_path_state *state, uint64_t now)
{
    pthread_mutex_lock(&state->lock);
    if (state->view.health == BRAID_PATH_UP)
        set_health(state, BRAID_PATH_SUSPECT, now);
    pthread_mutex_unlock(&state->lock);
}

void braid_path_state_hurry(struct braid_path_state *state, uint64_t now)
{
    pthread_mutex_lock(&state->lock);
    state->next_dial = 0;
    state->pause = 0;
    judge(state, state->view.health, now);
    pthread_mutex_unlock(&state->lock);
}
