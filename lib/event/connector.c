/* SPDX-License-Identifier: MIT */
#include "connector.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "clock.h"
#include "context.h"
#include "dial.h"
#include "random.h"
#include "session_io.h"
#include "subflow_io.h"

#define PATHS_MAX 16
#define DIAL_MILLISECONDS 5000u
#define BACKOFF_MIN (250 * BRAID_MILLISECOND)
#define BACKOFF_MAX (30 * BRAID_SECOND)
#define LIVED (5 * BRAID_SECOND) /* long enough to begin with the back-off anew */

struct braid_slot {
    struct braid_connector *connector;
    struct braid_dial *dial;
    struct braid_subflow_io *subflow;
    union braid_endpoint reached; /* by the latest dial */
    uint64_t connected;           /* when the subflow came up */
    uint64_t due;                 /* not to be dialled before */
    uint64_t backoff;             /* the next wait; 0: none */
};

struct braid_connector {
    struct braid_session_io *io;
    unsigned paths;
    unsigned slot_count;
    const struct braid_address *addresses[PATHS_MAX];
    struct braid_address *own[PATHS_MAX]; /* copies; NULL: they are the application's */
    bool stopped;
    struct braid_slot slots[];
};

static size_t size_of(unsigned slots)
{
    return sizeof(struct braid_connector) + slots * sizeof(struct braid_slot);
}

struct braid_connector *braid_connector_new(struct braid_session_io *io,
                                            const struct braid_address *const *addresses, size_t n,
                                            unsigned subflows)
{
    struct braid_connector *connector = braid_pool_alloc(io->context->pool, size_of(subflows));

    if (connector == NULL)
        return NULL;
    connector->io = io;
    connector->paths = (unsigned)n;
    connector->slot_count = subflows;
    for (size_t i = 0; i < n; i++)
        connector->addresses[i] = addresses[i];
    for (unsigned i = 0; i < subflows; i++)
        connector->slots[i].connector = connector;
    return connector;
}

/* Gives up all dials. */
static void stop(struct braid_connector *connector)
{
    for (unsigned i = 0; i < connector->slot_count; i++) {
        braid_dial_cancel(connector->slots[i].dial);
        connector->slots[i].dial = NULL;
    }
}

void braid_connector_free(struct braid_connector *connector)
{
    if (connector == NULL)
        return;
    stop(connector);
    for (unsigned i = 0; i < connector->slot_count; i++)
        if (connector->slots[i].subflow != NULL)
            connector->slots[i].subflow->slot = NULL;
    for (unsigned i = 0; i < connector->paths; i++)
        braid_address_free(connector->own[i]);
    braid_pool_release(connector->io->context->pool, connector, size_of(connector->slot_count));
}

void braid_connector_keep_addresses(struct braid_connector *connector)
{
    for (unsigned i = 0; i < connector->paths; i++) {
        connector->own[i] = braid_address_copy(connector->addresses[i]);
        if (connector->own[i] == NULL) {
            stop(connector);
            connector->stopped = true;
            return;
        }
        connector->addresses[i] = connector->own[i];
    }
    for (unsigned i = 0; i < connector->slot_count; i++)
        if (connector->slots[i].dial != NULL)
            connector->slots[i].dial->address = connector->addresses[i % connector->paths];
}

static unsigned path_of(const struct braid_slot *slot)
{
    const struct braid_connector *connector = slot->connector;

    return (unsigned)(slot - connector->slots) % connector->paths;
}

/* A wait, give or take 20 %, so that many sessions do not come back all at once. */
static uint64_t jittered(uint64_t wait)
{
    uint32_t random = 0;

    if (wait == 0)
        return 0;
    (void)braid_random(&random, sizeof random);
    return wait - wait / 5 + (wait * 2 / 5) * (random & 0xffff) / 0xffff;
}

/* Sets when the slot may be dialled again, and doubles the wait after that. */
static void back_off(struct braid_slot *slot, uint64_t now)
{
    slot->due = now + jittered(slot->backoff);
    slot->backoff = slot->backoff == 0 ? BACKOFF_MIN : slot->backoff * 2;
    if (slot->backoff > BACKOFF_MAX)
        slot->backoff = BACKOFF_MAX;
}

void braid_connector_lost(struct braid_slot *slot)
{
    uint64_t now = braid_clock();

    slot->subflow = NULL;
    if (now - slot->connected >= LIVED)
        slot->backoff = 0;
    back_off(slot, now); /* nothing the first time */
}

static void on_failure(struct braid_slot *slot, int error, int number, uint64_t now)
{
    struct braid_session_io *io = slot->connector->io;

    braid_log(io->context, BRAID_LOG_NOTICE, BRAID_LOG_DIAL,
              "session %016llx: path %u, cannot connect to %s: %s",
              (unsigned long long)braid_session_id(io->session), path_of(slot),
              braid_address_text(slot->connector->addresses[path_of(slot)]),
              number != 0 ? strerrordesc_np(number) : braid_strerror(error));
    if (slot->backoff == 0)
        slot->backoff = BACKOFF_MIN;
    back_off(slot, now);
}

static void on_connected(struct braid_slot *slot, int fd, uint64_t now)
{
    struct braid_connector *connector = slot->connector;
    struct braid_transport transport;

    braid_transport_plain(&transport, fd,
                          connector->addresses[path_of(slot)]->kind != BRAID_ADDRESS_UNIX);
    slot->subflow = braid_subflow_io_add(connector->io, path_of(slot), &transport, now);
    if (slot->subflow == NULL) {
        close(fd); /* not wanted any more, or no memory */
        back_off(slot, now);
        return;
    }
    slot->subflow->slot = slot;
    slot->subflow->peer = slot->reached;
    slot->connected = now;
}

static void on_dialled(int fd, int error, void *arg)
{
    int number = errno;
    struct braid_slot *slot = arg;
    struct braid_session_io *io = slot->connector->io;
    uint64_t now = braid_clock();

    slot->dial = NULL;
    braid_session_io_enter(io);
    if (error != BRAID_OK)
        on_failure(slot, error, number, now);
    else
        on_connected(slot, fd, now);
    braid_session_io_leave(io, now);
}

static void dial(struct braid_slot *slot, uint64_t now)
{
    struct braid_connector *connector = slot->connector;

    slot->dial = braid_dial_subflow(connector->io->context, connector->addresses[path_of(slot)],
                                    DIAL_MILLISECONDS, &slot->reached, on_dialled, slot);
    if (slot->dial == NULL)
        on_failure(slot, BRAID_ERR_MEMORY, 0, now);
}

/* How many slots are to be in use. */
static unsigned wanted_slots(const struct braid_connector *connector)
{
    unsigned wanted = braid_session_subflows_wanted(connector->io->session);

    if (connector->stopped)
        return 0;
    return wanted < connector->slot_count ? wanted : connector->slot_count;
}

void braid_connector_update(struct braid_connector *connector, uint64_t now)
{
    unsigned wanted = wanted_slots(connector);

    for (unsigned i = wanted; i < connector->slot_count; i++) {
        braid_dial_cancel(connector->slots[i].dial);
        connector->slots[i].dial = NULL;
    }
    for (unsigned i = 0; i < wanted; i++) {
        struct braid_slot *slot = &connector->slots[i];

        if (slot->dial == NULL && slot->subflow == NULL && slot->due <= now)
            dial(slot, now);
    }
}

uint64_t braid_connector_deadline(const struct braid_connector *connector)
{
    unsigned wanted = wanted_slots(connector);
    uint64_t deadline = BRAID_NEVER;

    for (unsigned i = 0; i < wanted; i++) {
        const struct braid_slot *slot = &connector->slots[i];

        if (slot->dial == NULL && slot->subflow == NULL && slot->due < deadline)
            deadline = slot->due;
    }
    return deadline;
}
