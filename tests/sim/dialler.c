/* SPDX-License-Identifier: MIT */
/*
 * Keeps as many subflows of a local session dialled as it wants, as lib/event/connector.c does:
 * slot i goes over path i mod n; a path on which the session has no subflow is probed with one
 * dial, and the others follow once that has connected; backup paths come last. What is known of a
 * path is kept for all sessions by lib/event/path_state.c itself.
 */
#include "endpoint.h"
#include "run.h"

#define BACKOFF_MIN (250 * SIM_MS)
#define BACKOFF_MAX (30 * SIM_SECOND)
#define LIVED (2 * SIM_SECOND)
#define BACKUP_TIME (300 * SIM_MS)
#define STUCK_MIN (100 * SIM_MS)
#define SYN_AGAIN (1 * SIM_SECOND)
#define MEASURE_TIME (250 * SIM_MS)

static struct sim_run *run_of(const struct sim_endpoint *endpoint)
{
    return endpoint->host->run;
}

static uint64_t now_of(const struct sim_endpoint *endpoint)
{
    return endpoint->host->world->now;
}

static struct braid_path_state *state_of(const struct sim_endpoint *endpoint, unsigned path)
{
    return &run_of(endpoint)->states[path];
}

static bool is_down(const struct sim_endpoint *endpoint, unsigned path)
{
    return braid_path_state_view(state_of(endpoint, path)).health == BRAID_PATH_DOWN;
}

static bool is_backup(const struct sim_endpoint *endpoint, unsigned path)
{
    return run_of(endpoint)->scenario->paths[path].backup;
}

/* ---- slots ---- */

static unsigned slot_count(const struct sim_endpoint *endpoint)
{
    unsigned n = run_of(endpoint)->scenario->subflows;

    return n < SIM_SLOTS ? n : SIM_SLOTS;
}

/* The slots of a path: all, those with a subflow, those with a dial. */
struct census {
    unsigned slots, live, dials;
};

static struct census count(const struct sim_endpoint *endpoint, unsigned path)
{
    struct census census = {0};

    for (unsigned i = path; i < slot_count(endpoint); i += run_of(endpoint)->path_count) {
        const struct sim_link *link = endpoint->slots[i].link;
        census.slots++;
        census.live += link && link->state != SIM_LINK_DIALLING;
        census.dials += link && link->state == SIM_LINK_DIALLING;
    }
    return census;
}

static uint64_t jittered(struct sim_endpoint *endpoint, uint64_t wait)
{
    return wait ? wait - sim_rng_below(&endpoint->host->world->rng, wait / 5) : 0;
}

static void back_off(struct sim_endpoint *endpoint, struct sim_way *way)
{
    way->due = now_of(endpoint) + jittered(endpoint, way->backoff);
    way->backoff = way->backoff ? way->backoff * 2 : BACKOFF_MIN;
    if (way->backoff > BACKOFF_MAX) {
        way->backoff = BACKOFF_MAX;
    }
}

static void dial(struct sim_endpoint *endpoint, unsigned slot)
{
    struct sim_host *host = endpoint->host;
    struct sim_run *run = host->run;
    struct sim_link *link = sim_link_new(host, 0);

    link->state = SIM_LINK_DIALLING;
    link->endpoint = endpoint;
    link->slot = slot;
    link->path = slot % run->path_count;
    link->since = host->world->now;
    link->pipe = sim_run_dial(run, link->path, sim_link_notify, link);
    endpoint->slots[slot].link = link;
    endpoint->ways[link->path].tried = true;
    sim_timer_set(&link->timeout,
                  link->since + braid_path_state_patience(&run->states[link->path], 1));
    sim_note(host->world, SIM_NOTE_DIAL, link->pipe->number, link->path, slot);
}

static void give_up(struct sim_endpoint *endpoint, unsigned slot)
{
    struct sim_link *link = endpoint->slots[slot].link;

    endpoint->slots[slot].link = NULL;
    sim_link_end(link, false);
    braid_path_state_release(state_of(endpoint, link->path), now_of(endpoint));
}

/* ---- what is wanted ---- */

/* Whether any subflow of a path can be counted on. */
static bool works(const struct sim_endpoint *endpoint, unsigned path)
{
    for (unsigned i = path; i < slot_count(endpoint); i += run_of(endpoint)->path_count) {
        const struct sim_link *link = endpoint->slots[i].link;
        if (link && link->state != SIM_LINK_DIALLING && !link->unwell) {
            return !is_down(endpoint, path);
        }
    }
    return false;
}

static bool backups_are_due(const struct sim_endpoint *endpoint)
{
    bool hopeless = true;

    for (unsigned i = 0; i < run_of(endpoint)->path_count; i++) {
        if (is_backup(endpoint, i)) {
            continue;
        }
        if (works(endpoint, i)) {
            return false;
        }
        hopeless = hopeless && (endpoint->ways[i].failed || is_down(endpoint, i) ||
                                count(endpoint, i).live > 0);
    }
    return hopeless || now_of(endpoint) - endpoint->began_at >= BACKUP_TIME;
}

static unsigned wanted_on(const struct sim_endpoint *endpoint, unsigned path, unsigned wanted)
{
    unsigned slots = count(endpoint, path).slots;

    if (wanted >= slot_count(endpoint)) {
        return slots;
    }
    if (wanted == 0 || (is_backup(endpoint, path) && !backups_are_due(endpoint))) {
        return 0;
    }
    return slots > 0;
}

static bool may_probe(struct sim_endpoint *endpoint, unsigned path)
{
    bool force = !endpoint->ways[path].tried;
    uint64_t when;

    for (unsigned i = 0; i < run_of(endpoint)->path_count && force; i++) {
        force = is_down(endpoint, i); /* then a new session tries them all */
    }
    if (braid_path_state_ask(state_of(endpoint, path), 1, force, now_of(endpoint), &when)) {
        return true;
    }
    endpoint->ways[path].due = when;
    return false;
}

/* Brings a path to n subflows: by one dial while there are none, else by all at once. */
static void settle(struct sim_endpoint *endpoint, unsigned path, unsigned n)
{
    struct census has = count(endpoint, path);
    unsigned step = run_of(endpoint)->path_count;

    for (unsigned i = path; i < slot_count(endpoint); i += step) {
        struct sim_link *link = endpoint->slots[i].link;
        if (link && link->state == SIM_LINK_DIALLING && has.live + has.dials > n) {
            give_up(endpoint, i);
            has.dials--;
        }
    }
    if (has.live + has.dials >= n || (has.live == 0 && has.dials > 0) ||
        now_of(endpoint) < endpoint->ways[path].due ||
        (has.live == 0 && !may_probe(endpoint, path))) {
        return;
    }
    for (unsigned i = path; i < slot_count(endpoint) && has.live + has.dials < n; i += step) {
        if (!endpoint->slots[i].link) {
            dial(endpoint, i);
            has.dials++;
            if (has.live == 0) {
                return;
            }
        }
    }
}

/* When the dialler has something to do again. */
static uint64_t deadline(const struct sim_endpoint *endpoint, unsigned wanted)
{
    uint64_t at = BRAID_NEVER;
    bool has_backup = false;

    for (unsigned i = 0; i < run_of(endpoint)->path_count; i++) {
        struct census has = count(endpoint, i);
        bool waits = has.live + has.dials < wanted_on(endpoint, i, wanted) &&
                     (has.live > 0 || has.dials == 0);
        has_backup |= is_backup(endpoint, i);
        if (waits && endpoint->ways[i].due < at) {
            at = endpoint->ways[i].due;
        }
    }
    if (has_backup && endpoint->began_at + BACKUP_TIME > now_of(endpoint) &&
        endpoint->began_at + BACKUP_TIME < at) {
        at = endpoint->began_at + BACKUP_TIME;
    }
    return at;
}

void sim_dialler_run(struct sim_endpoint *endpoint)
{
    unsigned wanted = endpoint->session ? braid_session_subflows_wanted(endpoint->session) : 0;
    uint64_t next;

    for (unsigned i = 0; i < run_of(endpoint)->path_count; i++) {
        settle(endpoint, i, wanted_on(endpoint, i, wanted));
    }
    next = deadline(endpoint, wanted);
    if (next != BRAID_NEVER) {
        sim_timer_set(&endpoint->dial, next);
    } else {
        sim_timer_clear(&endpoint->dial);
    }
}

void sim_dialler_expired(void *arg)
{
    struct sim_endpoint *endpoint = arg;

    if (!sim_host_frozen(endpoint->host, &endpoint->dial)) {
        sim_dialler_run(endpoint);
    }
}

/* ---- what has become of it ---- */

/* The subflow goes on until another one has taken its place. */
static void set_aside(struct sim_endpoint *endpoint, unsigned slot)
{
    struct sim_link *link = endpoint->slots[slot].link;

    endpoint->slots[slot].link = NULL;
    link->outdated = true;
    link->counted = false;
    braid_path_state_gone(state_of(endpoint, link->path), true, false, now_of(endpoint));
}

/* A dial's age from when on a fresh one is expected to connect sooner. */
static uint64_t stuck_time(const struct sim_endpoint *endpoint, unsigned path)
{
    uint64_t rtt = braid_path_state_view(state_of(endpoint, path)).rtt;

    if (rtt == 0 || 2 * rtt > SYN_AGAIN) {
        return SYN_AGAIN;
    }
    return 2 * rtt > STUCK_MIN ? 2 * rtt : STUCK_MIN;
}

/* A path has come back: all sessions that miss something on it dial at once. */
static void hurry(struct sim_host *host, unsigned path)
{
    for (struct sim_endpoint *e = host->endpoints; e; e = e->next) {
        uint64_t stuck = stuck_time(e, path);
        if (!e->session) {
            continue;
        }
        e->ways[path].backoff = 0;
        e->ways[path].due = host->world->now;
        for (unsigned i = path; i < slot_count(e); i += host->run->path_count) {
            const struct sim_link *link = e->slots[i].link;
            if (link && link->state == SIM_LINK_DIALLING) {
                if (host->world->now - link->since >= stuck) {
                    give_up(e, i);
                }
            } else if (link && link->unwell) {
                set_aside(e, i);
            }
        }
        sim_timer_hasten(&e->dial, host->world->now);
    }
}

/* What was set aside for the path's latest subflow is not needed any more. */
static void drop_outdated(struct sim_endpoint *endpoint, unsigned path)
{
    for (struct sim_link *link = endpoint->host->links; link; link = link->next) {
        if (link->endpoint == endpoint && link->path == path && link->outdated &&
            link->state == SIM_LINK_LIVE) {
            sim_link_lose(link, BRAID_ERR_SUBFLOW_LOST);
        }
    }
}

void sim_dialler_connected(struct sim_endpoint *endpoint, struct sim_link *link)
{
    struct braid_path_state *state = state_of(endpoint, link->path);
    struct braid_path_view view = braid_path_state_view(state);
    bool measure = view.rtt == 0 || view.health != BRAID_PATH_UP;

    link->since = link->measured_at = now_of(endpoint);
    link->counted = true;
    endpoint->ways[link->path].failed = false;
    if (braid_path_state_connected(state, measure ? link->pipe->flows[0].srtt : 0, link->since)) {
        hurry(endpoint->host, link->path);
    }
    drop_outdated(endpoint, link->path);
    sim_timer_hasten(&endpoint->dial, link->since);
}

void sim_dialler_failed(struct sim_endpoint *endpoint, struct sim_link *link, int error)
{
    struct sim_way *way = &endpoint->ways[link->path];
    uint64_t now = now_of(endpoint);
    const struct braid_path_failure failure = {.remotes = 1, .error = error, .began = link->since};

    if (endpoint->slots[link->slot].link != link) {
        return;
    }
    endpoint->slots[link->slot].link = NULL;
    way->failed = true;
    (void)braid_path_state_failed(state_of(endpoint, link->path), &failure, now);
    if (is_down(endpoint, link->path)) {
        way->due = now; /* when that is, the path knows */
    } else {
        way->backoff = way->backoff ? way->backoff : BACKOFF_MIN;
        back_off(endpoint, way);
    }
    sim_timer_hasten(&endpoint->dial, now);
}

void sim_dialler_refused(struct sim_endpoint *endpoint, struct sim_link *link)
{
    endpoint->slots[link->slot].link = NULL;
    back_off(endpoint, &endpoint->ways[link->path]);
    sim_timer_hasten(&endpoint->dial, now_of(endpoint));
}

void sim_dialler_lost(struct sim_endpoint *endpoint, struct sim_link *link, bool failed)
{
    struct sim_way *way = &endpoint->ways[link->path];
    uint64_t now = now_of(endpoint);

    if (endpoint->slots[link->slot].link == link) {
        endpoint->slots[link->slot].link = NULL;
    }
    if (!link->counted) {
        return;
    }
    link->counted = false;
    braid_path_state_gone(state_of(endpoint, link->path), link->unwell, failed, now);
    if (!endpoint->session) {
        return;
    }
    if (now - link->since >= LIVED) {
        way->backoff = 0;
    }
    back_off(endpoint, way); /* nothing the first time */
    sim_timer_hasten(&endpoint->dial, now);
}

void sim_dialler_watch(struct sim_endpoint *endpoint, struct sim_link *link)
{
    bool unwell = !braid_subflow_is_well(link->subflow);

    if (!link->counted || unwell == link->unwell) {
        return;
    }
    link->unwell = unwell;
    if (braid_path_state_silent(state_of(endpoint, link->path), unwell, now_of(endpoint))) {
        hurry(endpoint->host, link->path);
    }
}

void sim_dialler_measured(struct sim_endpoint *endpoint, struct sim_link *link)
{
    struct braid_subflow_stats stats;
    uint64_t now = now_of(endpoint);
    uint64_t since = link->measured_at;

    if (!link->counted || now - since < MEASURE_TIME) {
        return;
    }
    link->measured_at = now;
    braid_subflow_get_stats(link->subflow, &stats);
    if (stats.moved == link->moved) {
        since = 0;
    }
    link->moved = stats.moved;
    if (braid_path_state_measured(state_of(endpoint, link->path), stats.rtt, stats.rate, since,
                                  now)) {
        hurry(endpoint->host, link->path);
    }
}

void sim_dialler_stop(struct sim_endpoint *endpoint)
{
    sim_timer_clear(&endpoint->dial);
    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        const struct sim_link *link = endpoint->slots[i].link;
        if (link && link->state == SIM_LINK_DIALLING) {
            give_up(endpoint, i);
        }
    }
}
