/* SPDX-License-Identifier: MIT */
#include "connector_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "context.h"
#include "dial.h"
#include "handshake.h"
#include "path.h"
#include "path_use.h"
#include "random.h"
#include "session_io.h"
#include "sockopt.h"
#include "subflow_io.h"

#define BACKOFF_MIN (250 * BRAID_MILLISECOND)
#define BACKOFF_MAX (30 * BRAID_SECOND)
#define LIVED (2 * BRAID_SECOND)              /* long enough to begin with the back-off anew */
#define BACKUP_TIME (300 * BRAID_MILLISECOND) /* for other paths to connect */
#define HANDSHAKE_MIN (1 * BRAID_SECOND)
#define HANDSHAKE_MAX (3 * BRAID_SECOND) /* so that there is time for another way */
#define MEASURE_TIME (250 * BRAID_MILLISECOND)

/* ---- life ---- */

/* How many slots one of n paths makes. */
static unsigned slots_on(const struct braid_path *path, size_t n, unsigned each)
{
    if (path->subflows != 0)
        return path->subflows;
    if (each != 0)
        return each;
    return n == 1 ? 4 : 1;
}

unsigned braid_connector_slots(struct braid_path *const *paths, size_t n, unsigned each)
{
    unsigned slots = 0;

    for (size_t i = 0; i < n; i++)
        slots += slots_on(paths[i], n, each);
    return slots;
}

unsigned braid_connector_first(struct braid_path *const *paths, size_t n)
{
    unsigned first = 0;

    for (size_t i = 0; i < n; i++)
        first += paths[i]->backup ? 0 : 1;
    return first;
}

struct braid_connector *braid_connector_new(struct braid_session_io *io,
                                            struct braid_path *const *paths, size_t n,
                                            unsigned each, uint64_t now)
{
    unsigned slots = braid_connector_slots(paths, n, each);
    size_t size = sizeof(struct braid_connector) + n * sizeof(struct braid_session_path) +
                  slots * sizeof(struct braid_slot);
    struct braid_connector *connector = braid_pool_alloc(io->context->pool, size);
    struct braid_slot *slot;

    if (connector == NULL)
        return NULL;
    connector->io = io;
    connector->size = size;
    connector->slot_count = slots;
    connector->started = now;
    connector->slots = slot = (struct braid_slot *)(void *)&connector->paths[n];
    while (connector->path_count < n) {
        struct braid_path *path = paths[connector->path_count];
        struct braid_session_path *session_path = &connector->paths[connector->path_count];

        session_path->connector = connector;
        session_path->index = connector->path_count;
        session_path->slots = slot;
        session_path->count = slots_on(path, n, each);
        for (unsigned i = 0; i < session_path->count; i++)
            slot++->session_path = session_path;
        connector->has_backup |= path->backup;
        if (!braid_path_use_begin(io->context, path, session_path)) {
            braid_connector_free(connector);
            return NULL;
        }
        connector->path_count++;
    }
    return connector;
}

void braid_slot_let_go(struct braid_slot *slot, bool failed, uint64_t now)
{
    slot->subflow = NULL;
    braid_path_state_gone(braid_session_path_state(slot->session_path), slot->unwell, failed, now);
    slot->unwell = false;
}

void braid_slot_give_up(struct braid_slot *slot, uint64_t now)
{
    if (!braid_slot_is_dialling(slot))
        return;
    braid_dial_cancel(slot->dial);
    slot->dial = NULL;
    braid_handshake_cancel(slot->handshake);
    slot->handshake = NULL;
    braid_path_state_release(braid_session_path_state(slot->session_path), now);
}

static bool is_down(const struct braid_session_path *session_path)
{
    return braid_path_state_view(braid_session_path_state(session_path)).health == BRAID_PATH_DOWN;
}

void braid_connector_free(struct braid_connector *connector)
{
    uint64_t now = braid_clock();

    if (connector == NULL)
        return;
    for (unsigned i = 0; i < connector->path_count; i++) {
        struct braid_session_path *session_path = &connector->paths[i];

        for (unsigned k = 0; k < session_path->count; k++) {
            struct braid_slot *slot = &session_path->slots[k];

            braid_slot_give_up(slot, now);
            if (slot->subflow == NULL)
                continue;
            slot->subflow->slot = NULL;
            braid_slot_let_go(slot, false, now);
        }
        braid_path_use_end(session_path);
    }
    braid_pool_release(connector->io->context->pool, connector, connector->size);
}

const char *braid_connector_path_name(const struct braid_connector *connector, unsigned index)
{
    return connector->paths[index].use->path->name;
}

/* ---- subflows ---- */

/* Up to 20 % less, so that many sessions do not come back all at once. */
static uint64_t jittered(uint64_t wait)
{
    uint32_t random = 0;

    if (wait == 0)
        return 0;
    (void)braid_random(&random, sizeof random);
    return wait - (wait / 5) * (random & 0xffff) / 0xffff;
}

/* Sets when the session may dial the path again, and doubles the wait after that. */
static void back_off(struct braid_session_path *session_path, uint64_t now)
{
    session_path->due = now + jittered(session_path->backoff);
    session_path->backoff = session_path->backoff == 0 ? BACKOFF_MIN : session_path->backoff * 2;
    if (session_path->backoff > BACKOFF_MAX)
        session_path->backoff = BACKOFF_MAX;
}

void braid_connector_lost(struct braid_slot *slot, bool failed)
{
    struct braid_session_path *session_path = slot->session_path;
    uint64_t now = braid_clock();

    if (now - slot->since >= LIVED)
        session_path->backoff = 0;
    braid_slot_let_go(slot, failed, now);
    back_off(session_path, now); /* nothing the first time */
}

/* The path works again: those who wait for it are told. */
static void tell_returned(struct braid_path_use *use)
{
    braid_log(use->context, BRAID_LOG_NOTICE, BRAID_LOG_PATH, "path %s is up again",
              use->path->name);
    braid_path_use_returned(use);
}

void braid_connector_watch(struct braid_slot *slot)
{
    bool unwell = !braid_subflow_is_well(slot->subflow->subflow);

    if (unwell == slot->unwell)
        return;
    slot->unwell = unwell;
    if (braid_path_state_silent(braid_session_path_state(slot->session_path), unwell,
                                braid_clock()))
        tell_returned(slot->session_path->use);
}

void braid_connector_measured(struct braid_slot *slot, uint64_t now)
{
    struct braid_subflow_stats stats;
    uint64_t since = slot->measured;

    if (now - since < MEASURE_TIME)
        return;
    slot->measured = now;
    braid_subflow_get_stats(slot->subflow->subflow, &stats);
    if (stats.moved == slot->moved)
        since = 0;
    slot->moved = stats.moved;
    if (braid_path_state_measured(braid_session_path_state(slot->session_path), stats.rtt,
                                  stats.rate, since, now))
        tell_returned(slot->session_path->use);
}

/* ---- dialling ---- */

/* why: in words; static */
static void on_failure(struct braid_slot *slot, int error, const char *why, uint64_t now)
{
    struct braid_session_path *session_path = slot->session_path;
    struct braid_session_io *io = session_path->connector->io;
    struct braid_path *path = session_path->use->path;
    const struct braid_path_failure failure = {
        .remote = slot->remote,
        .remotes = path->remote_count,
        .error = error,
        .why = why,
        .began = slot->since,
    };

    session_path->failed = true;
    if (braid_path_state_failed(&path->state, &failure, now))
        braid_log(io->context, BRAID_LOG_NOTICE, BRAID_LOG_DIAL,
                  "session %016llx: path %s: cannot connect to %s: %s",
                  (unsigned long long)braid_session_id(io->session), path->name,
                  braid_address_text(path->remotes[slot->remote]), why);
    if (is_down(session_path)) {
        session_path->due = now; /* when that is, the path knows */
        return;
    }
    if (session_path->backoff == 0)
        session_path->backoff = BACKOFF_MIN;
    back_off(session_path, now);
}

/* The path has proven to work, and others may want to know. */
static void note_connected(struct braid_slot *slot, int fd, uint64_t now)
{
    struct braid_session_path *session_path = slot->session_path;
    struct braid_path_use *use = session_path->use;
    struct braid_path_view view = braid_path_state_view(&use->path->state);
    struct braid_sample sample = {.rtt = 0};

    slot->since = slot->measured = now;
    slot->moved = 0;
    slot->doubtful = false;
    session_path->failed = false;
    use->far = slot->reached;
    if (view.rtt == 0 || view.health != BRAID_PATH_UP)
        (void)braid_sockopt_sample(fd, &sample);
    if (braid_path_state_connected(&use->path->state, sample.rtt, now))
        tell_returned(use);
}

/* What goes another way than the path's latest subflow is not needed any more. */
static void drop_outdated(struct braid_session_path *session_path)
{
    struct braid_subflow_io *subflow;

    TAILQ_FOREACH(subflow, &session_path->connector->io->subflows, link) {
        if (subflow->outdated == session_path)
            braid_subflow_io_condemn(subflow, "there is another way now");
    }
}

/* The transport can carry frames. */
static void on_ready(struct braid_slot *slot, const struct braid_transport *transport, uint64_t now)
{
    struct braid_session_path *session_path = slot->session_path;
    struct braid_session_io *io = session_path->connector->io;

    slot->subflow = braid_subflow_io_add(io, session_path->index, transport, now);
    if (slot->subflow == NULL) {
        struct braid_transport unwanted = *transport;

        unwanted.ops->close(&unwanted); /* not wanted any more, or no memory */
        back_off(session_path, now);
        return;
    }
    slot->subflow->slot = slot;
    slot->subflow->peer = slot->reached;
    if (session_path->use->path->backup)
        braid_subflow_set_backup(slot->subflow->subflow, true);
    note_connected(slot, transport->fd, now);
    drop_outdated(session_path);
}

static void on_handshake(const struct braid_transport *transport, const char *why, void *arg)
{
    struct braid_slot *slot = arg;
    struct braid_connector *connector = slot->session_path->connector;
    struct braid_session_io *io = connector->io;
    uint64_t now = braid_clock();

    slot->handshake = NULL;
    braid_session_io_enter(io);
    if (transport == NULL)
        on_failure(slot, BRAID_ERR_SECURITY, why, now);
    else
        on_ready(slot, transport, now);
    braid_connector_update(connector, now);
    braid_session_io_leave(io, now);
}

/* As long as two dials may take, within bounds: the other end has to think about it too. */
static uint64_t handshake_time(const struct braid_session_path *session_path)
{
    uint64_t time = 2 * braid_path_state_patience(braid_session_path_state(session_path),
                                                  session_path->use->path->remote_count);

    if (time < HANDSHAKE_MIN)
        return HANDSHAKE_MIN;
    return time < HANDSHAKE_MAX ? time : HANDSHAKE_MAX;
}

static void on_connected(struct braid_slot *slot, int fd, uint64_t now)
{
    struct braid_session_io *io = slot->session_path->connector->io;
    struct braid_transport transport;

    braid_transport_plain(&transport, fd, slot->reached.family != AF_UNIX);
    if (!transport.tcp && braid_session_speaks_seed(io->session)) {
        close(fd);
        on_failure(slot, BRAID_ERR_INVALID, "the seed's format needs TCP", now);
        return;
    }
    if (io->credentials == NULL) {
        on_ready(slot, &transport, now);
        return;
    }
    slot->handshake =
        braid_handshake_new(io->context, &transport, io->credentials, braid_session_id(io->session),
                            handshake_time(slot->session_path), on_handshake, slot);
    if (slot->handshake == NULL)
        on_failure(slot, BRAID_ERR_MEMORY, braid_strerror(BRAID_ERR_MEMORY), now);
}

static void on_dialled(int fd, int error, void *arg)
{
    int number = errno;
    struct braid_slot *slot = arg;
    struct braid_connector *connector = slot->session_path->connector;
    struct braid_session_io *io = connector->io;
    uint64_t now = braid_clock();

    slot->dial = NULL;
    braid_session_io_enter(io);
    if (error != BRAID_OK)
        on_failure(slot, error, number != 0 ? strerrordesc_np(number) : braid_strerror(error), now);
    else
        on_connected(slot, fd, now);
    braid_connector_update(connector, now);
    braid_session_io_leave(io, now);
}

static void dial(struct braid_slot *slot, uint64_t now)
{
    struct braid_session_path *session_path = slot->session_path;
    struct braid_path *path = session_path->use->path;
    struct braid_context *context = session_path->connector->io->context;
    uint64_t patience = braid_path_state_patience(&path->state, path->remote_count);

    session_path->tried = true;
    slot->since = now;
    slot->remote = braid_path_state_view(&path->state).remote;
    slot->dial = braid_dial_subflow(context, path, session_path->count, path->remotes[slot->remote],
                                    (unsigned)(patience / BRAID_MILLISECOND), &slot->reached,
                                    on_dialled, slot);
    if (slot->dial == NULL)
        on_failure(slot, BRAID_ERR_MEMORY, braid_strerror(BRAID_ERR_MEMORY), now);
}

/* ---- what is wanted ---- */

static unsigned count_subflows(const struct braid_session_path *session_path)
{
    unsigned n = 0;

    for (unsigned i = 0; i < session_path->count; i++)
        n += session_path->slots[i].subflow != NULL ? 1 : 0;
    return n;
}

/* Whether any of its subflows can be counted on. */
static bool works(const struct braid_session_path *session_path)
{
    for (unsigned i = 0; i < session_path->count; i++) {
        if (session_path->slots[i].subflow != NULL && !session_path->slots[i].unwell)
            return !is_down(session_path);
    }
    return false;
}

static unsigned count_dials(const struct braid_session_path *session_path)
{
    unsigned n = 0;

    for (unsigned i = 0; i < session_path->count; i++)
        n += braid_slot_is_dialling(&session_path->slots[i]) ? 1 : 0;
    return n;
}

/* Whether the time has come to connect on backup paths too. */
static bool backups_are_due(const struct braid_connector *connector, uint64_t now)
{
    bool hopeless = true;

    for (unsigned i = 0; i < connector->path_count; i++) {
        const struct braid_session_path *session_path = &connector->paths[i];

        if (session_path->use->path->backup)
            continue;
        if (works(session_path))
            return false;
        hopeless = hopeless && (session_path->failed || is_down(session_path) ||
                                count_subflows(session_path) > 0); /* which are silent */
    }
    return hopeless || now - connector->started >= BACKUP_TIME;
}

/* How many subflows a path should have now. */
static unsigned wanted_on(const struct braid_session_path *session_path, unsigned wanted,
                          bool backups)
{
    if (wanted >= session_path->connector->slot_count)
        return session_path->count;
    if (wanted == 0 || (session_path->use->path->backup && !backups))
        return 0;
    return 1;
}

/* How many subflows the session wants, and whether on backup paths too. */
static unsigned what_is_wanted(const struct braid_connector *connector, bool *backups, uint64_t now)
{
    unsigned wanted = braid_session_subflows_wanted(connector->io->session);

    *backups = connector->has_backup && wanted > 0 && wanted < connector->slot_count &&
               backups_are_due(connector, now);
    return wanted;
}

static bool may_probe(struct braid_session_path *session_path, uint64_t now)
{
    const struct braid_connector *connector = session_path->connector;
    bool force = !session_path->tried;
    uint64_t when;

    /* A new session that finds all paths down tries them all. */
    for (unsigned i = 0; i < connector->path_count && force; i++)
        force = is_down(&connector->paths[i]);
    if (braid_path_state_ask(braid_session_path_state(session_path),
                             session_path->use->path->remote_count, force, now, &when))
        return true;
    session_path->due = when;
    return false;
}

/* Brings a path to n subflows: by one dial while there are none, else by all at once. */
static void settle(struct braid_session_path *session_path, unsigned n, uint64_t now)
{
    unsigned live = count_subflows(session_path);
    unsigned dials = count_dials(session_path);

    for (unsigned i = session_path->count; i-- > 0 && dials > 0 && live + dials > n;) {
        if (braid_slot_is_dialling(&session_path->slots[i])) {
            braid_slot_give_up(&session_path->slots[i], now);
            dials--;
        }
    }
    if (live + dials >= n || (live == 0 && dials > 0) || now < session_path->due)
        return;
    if (live == 0 && !may_probe(session_path, now))
        return;
    for (unsigned i = 0; i < session_path->count && live + dials < n; i++) {
        struct braid_slot *slot = &session_path->slots[i];

        if (slot->subflow != NULL || braid_slot_is_dialling(slot))
            continue;
        dial(slot, now);
        dials++;
        if (live == 0)
            return;
    }
}

void braid_connector_update(struct braid_connector *connector, uint64_t now)
{
    bool backups;
    unsigned wanted = what_is_wanted(connector, &backups, now);

    for (unsigned i = 0; i < connector->path_count; i++)
        settle(&connector->paths[i], wanted_on(&connector->paths[i], wanted, backups), now);
}

/* Whether a path waits for its time to be dialled. */
static bool is_waiting(const struct braid_session_path *session_path, unsigned n)
{
    unsigned live = count_subflows(session_path);
    unsigned dials = count_dials(session_path);

    return live + dials < n && (live > 0 || dials == 0);
}

bool braid_session_path_misses(const struct braid_session_path *session_path)
{
    unsigned wanted = braid_session_subflows_wanted(session_path->connector->io->session);

    return is_waiting(session_path, wanted_on(session_path, wanted, true));
}

uint64_t braid_connector_deadline(const struct braid_connector *connector, uint64_t now)
{
    uint64_t deadline = BRAID_NEVER;
    bool backups;
    unsigned wanted = what_is_wanted(connector, &backups, now);

    for (unsigned i = 0; i < connector->path_count; i++) {
        const struct braid_session_path *session_path = &connector->paths[i];

        if (is_waiting(session_path, wanted_on(session_path, wanted, backups)) &&
            session_path->due < deadline)
            deadline = session_path->due;
    }
    if (connector->has_backup && now - connector->started < BACKUP_TIME &&
        connector->started + BACKUP_TIME < deadline)
        deadline = connector->started + BACKUP_TIME;
    return deadline;
}
