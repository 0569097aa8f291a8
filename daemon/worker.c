/* SPDX-License-Identifier: MIT */
#include "daemon/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/tunnel_local.h"
#include "daemon/tunnel_remote.h"

struct worker {
    struct crew *crew;
    struct event_base *base;
    struct braid_context *context;
    struct mailbox *mailbox;
    struct tunnel_local **locals;   /* by tunnel; NULL: of the other role, or drained */
    struct tunnel_remote **remotes; /* by tunnel; NULL: of the other role */
    struct session_list sessions;
    uint64_t last_serial;
    atomic_uint load; /* sessions, those on their way here included; any thread */
    pthread_t thread;
    bool started;
    struct mail drain; /* sent once each, by main */
    struct mail stop;
};

struct mailbox *worker_mailbox(const struct worker *worker)
{
    return worker->mailbox;
}

struct event_base *worker_base(const struct worker *worker)
{
    return worker->base;
}

struct braid_context *worker_context(const struct worker *worker)
{
    return worker->context;
}

struct limits *worker_limits(const struct worker *worker)
{
    return &worker->crew->limits;
}

/* ---- sessions and their slots ---------------------------------------------------------------- */

bool worker_charge(struct worker *worker)
{
    if (!limits_take(&worker->crew->limits)) {
        return false;
    }
    atomic_fetch_add_explicit(&worker->load, 1, memory_order_relaxed);
    return true;
}

struct worker *worker_charge_least(struct worker *own)
{
    const struct crew *crew = own->crew;
    struct worker *chosen = own;
    unsigned least = atomic_load_explicit(&own->load, memory_order_relaxed);
    unsigned mine = least;

    for (unsigned i = 0; i < crew->count; i++) {
        unsigned load = atomic_load_explicit(&crew->workers[i]->load, memory_order_relaxed);

        if (load < least) {
            least = load;
            chosen = crew->workers[i];
        }
    }
    /* With few sessions each one counts; with many, an eighth more is even enough. */
    if (mine <= least + least / 8) {
        chosen = own;
    }
    atomic_fetch_add_explicit(&chosen->load, 1, memory_order_relaxed);
    return chosen;
}

static void resume_accepting(struct worker *worker)
{
    for (size_t i = 0; i < worker->crew->config->tunnel_count; i++) {
        if (worker->locals[i] != NULL) {
            tunnel_local_resume(worker->locals[i]);
        }
    }
}

void worker_discharge(struct worker *worker)
{
    struct crew *crew = worker->crew;
    unsigned left;

    atomic_fetch_sub_explicit(&worker->load, 1, memory_order_relaxed);
    left = limits_release(&crew->limits);
    if (left == 0 && atomic_load_explicit(&crew->draining, memory_order_relaxed)) {
        mailbox_poke(crew->main);
    }
    if (left + 1 == crew->limits.max_sessions) {
        /* Whoever waits for a slot tries again. */
        for (unsigned i = 0; i < crew->count; i++) {
            mailbox_poke(crew->workers[i]->mailbox);
        }
    }
}

void worker_add_session(struct worker *worker, struct session *session)
{
    session->serial = ++worker->last_serial;
    TAILQ_INSERT_TAIL(&worker->sessions, session, entry);
}

void worker_remove_session(struct worker *worker, struct session *session)
{
    TAILQ_REMOVE(&worker->sessions, session, entry);
}

bool worker_write_sessions(const struct worker *worker, uint64_t *after, unsigned max, FILE *out)
{
    const struct session *session;
    unsigned written = 0;

    TAILQ_FOREACH(session, &worker->sessions, entry) {
        if (session->serial <= *after) {
            continue;
        }
        if (written++ == max) {
            return true;
        }
        session_write_status(session, out);
        *after = session->serial;
    }
    return false;
}

/* ---- orders from main ------------------------------------------------------------------------ */

static void callback_woken(void *owner)
{
    resume_accepting(owner);
}

static void deliver_drain(struct mail *mail, void *owner)
{
    struct worker *worker = owner;

    (void)mail; /* a part of the worker */
    if (worker == NULL) {
        return;
    }
    for (size_t i = 0; i < worker->crew->config->tunnel_count; i++) {
        tunnel_local_free(worker->locals[i]);
        worker->locals[i] = NULL;
        if (worker->remotes[i] != NULL) {
            tunnel_remote_drain(worker->remotes[i]);
        }
    }
    atomic_fetch_add_explicit(&worker->crew->drained, 1, memory_order_acq_rel);
    mailbox_poke(worker->crew->main);
}

/* On the worker's thread. */
static void deliver_recheck(struct mail *mail, void *owner)
{
    struct worker *worker = owner;

    free(mail);
    if (worker == NULL) {
        return;
    }
    for (size_t i = 0; i < worker->crew->config->tunnel_count; i++) {
        if (worker->remotes[i] != NULL) {
            tunnel_remote_recheck(worker->remotes[i]);
        }
    }
}

static void deliver_stop(struct mail *mail, void *owner)
{
    (void)mail; /* a part of the worker */
    if (owner != NULL) {
        event_base_loopbreak(worker_base(owner));
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static struct event_base *make_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config != NULL) {
        /* One thread a loop, and mailboxes between them. */
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        /* The relay counts on edges, and on being told of an end of file. */
        event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE);
        base = event_base_new_with_config(config);
        event_config_free(config);
    }
    return base;
}

/* Frees a worker whose thread does not run and which has no sessions. */
static void worker_free(struct worker *worker)
{
    size_t tunnel_count = worker->crew->config->tunnel_count;

    for (size_t i = 0; i < tunnel_count; i++) {
        if (worker->locals != NULL) {
            tunnel_local_free(worker->locals[i]);
        }
        if (worker->remotes != NULL) {
            tunnel_remote_free(worker->remotes[i]);
        }
    }
    free(worker->locals);
    free(worker->remotes);
    mailbox_free(worker->mailbox);
    braid_context_free(worker->context);
    if (worker->base != NULL) {
        (void)event_base_loop(worker->base, EVLOOP_NONBLOCK); /* the resolver ends in the loop */
        event_base_free(worker->base);
    }
    free(worker);
}

static int open_tunnels(struct worker *worker)
{
    const struct crew *crew = worker->crew;

    for (size_t i = 0; i < crew->config->tunnel_count; i++) {
        struct tunnel *tunnel = &crew->tunnels[i];

        if (tunnel->config->role == CONFIG_LOCAL) {
            worker->locals[i] = tunnel_local_new(worker, tunnel);
        } else {
            worker->remotes[i] = tunnel_remote_new(worker, tunnel);
        }
        if (worker->locals[i] == NULL && worker->remotes[i] == NULL) {
            return -1;
        }
    }
    return 0;
}

static struct worker *worker_new(struct crew *crew)
{
    size_t tunnel_count = crew->config->tunnel_count;
    struct worker *worker = calloc(1, sizeof(*worker));

    if (worker == NULL) {
        return NULL;
    }
    worker->crew = crew;
    TAILQ_INIT(&worker->sessions);
    worker->drain.deliver = deliver_drain;
    worker->stop.deliver = deliver_stop;
    worker->locals = calloc(tunnel_count, sizeof(struct tunnel_local *));
    worker->remotes = calloc(tunnel_count, sizeof(struct tunnel_remote *));
    worker->base = make_base();
    if (worker->locals == NULL || worker->remotes == NULL || worker->base == NULL) {
        goto fail;
    }
    worker->mailbox = mailbox_new(worker->base, callback_woken, worker);
    worker->context = braid_context_new(worker->base, crew->group);
    if (worker->mailbox == NULL || worker->context == NULL) {
        goto fail;
    }
    braid_context_set_log_cb(worker->context, log_from_library, NULL);
    if (open_tunnels(worker) != 0) {
        goto fail;
    }
    return worker;

fail:
    worker_free(worker);
    return NULL;
}

static void *run(void *arg)
{
    struct worker *worker = arg;

    event_base_dispatch(worker->base);
    return NULL;
}

/* Signals are main's; a thread inherits what is blocked. */
static int start_threads(struct crew *crew)
{
    sigset_t all;
    sigset_t before;
    int result = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < crew->count && result == 0; i++) {
        struct worker *worker = crew->workers[i];

        result = pthread_create(&worker->thread, NULL, run, worker);
        worker->started = result == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result == 0 ? 0 : -1;
}

int crew_start(struct crew *crew)
{
    crew->workers = calloc(crew->config->workers, sizeof(struct worker *));
    if (crew->workers == NULL) {
        return -1;
    }
    for (; crew->count < crew->config->workers; crew->count++) {
        crew->workers[crew->count] = worker_new(crew);
        if (crew->workers[crew->count] == NULL) {
            return -1;
        }
    }
    return start_threads(crew);
}

void crew_drain(struct crew *crew)
{
    atomic_store_explicit(&crew->draining, true, memory_order_relaxed);
    for (unsigned i = 0; i < crew->count; i++) {
        mailbox_post(crew->workers[i]->mailbox, &crew->workers[i]->drain);
    }
}

bool crew_recheck(struct crew *crew)
{
    bool all = true;

    for (unsigned i = 0; i < crew->count; i++) {
        struct mail *mail = calloc(1, sizeof(*mail));

        if (mail == NULL) {
            all = false;
            continue;
        }
        mail->deliver = deliver_recheck;
        mailbox_post(crew->workers[i]->mailbox, mail);
    }
    return all;
}

static void abort_sessions(struct worker *worker)
{
    while (!TAILQ_EMPTY(&worker->sessions)) {
        session_abort(TAILQ_FIRST(&worker->sessions), BRAID_ERR_SHUTDOWN);
    }
}

void crew_free(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++) {
        mailbox_post(crew->workers[i]->mailbox, &crew->workers[i]->stop);
    }
    for (unsigned i = 0; i < crew->count; i++) {
        if (crew->workers[i]->started) {
            pthread_join(crew->workers[i]->thread, NULL);
        }
    }
    /* All sessions before the first worker, for their slots are everybody's news. */
    for (unsigned i = 0; i < crew->count; i++) {
        abort_sessions(crew->workers[i]);
    }
    for (unsigned i = 0; i < crew->count; i++) {
        worker_free(crew->workers[i]);
    }
    free(crew->workers);
    crew->workers = NULL;
    crew->count = 0;
}
