/* SPDX-License-Identifier: MIT */
/*
 * What a session does about a path that changes: it comes back, has no way any more, leads another
 * way, or lost an address. All of that may come at any time, but never from inside of the session's
 * own calls.
 */
#include "clock.h"
#include "connector_internal.h"
#include "session_io.h"
#include "subflow_io.h"

#define CUT_TIME (500 * BRAID_MILLISECOND)
#define STUCK_MIN (100 * BRAID_MILLISECOND)
#define SYN_AGAIN (1 * BRAID_SECOND) /* after so long the kernel sends its first SYN again */

/* The subflow goes on until another one has taken its place. */
static void set_aside(struct braid_slot *slot, uint64_t now)
{
    slot->subflow->slot = NULL;
    slot->subflow->outdated = slot->session_path;
    braid_slot_let_go(slot, false, now);
}

/* A dial's age from when on a fresh one is expected to connect sooner. */
static uint64_t stuck_time(const struct braid_session_path *session_path)
{
    uint64_t rtt = braid_path_state_view(braid_session_path_state(session_path)).rtt;

    if (rtt == 0 || 2 * rtt > SYN_AGAIN)
        return SYN_AGAIN;
    return 2 * rtt > STUCK_MIN ? 2 * rtt : STUCK_MIN;
}

bool braid_session_path_hurry(struct braid_session_path *session_path, uint64_t now, uint64_t due)
{
    uint64_t stuck = stuck_time(session_path);

    session_path->backoff = 0;
    session_path->due = due;
    for (unsigned i = 0; i < session_path->count; i++) {
        struct braid_slot *slot = &session_path->slots[i];

        if (braid_slot_is_dialling(slot) && now - slot->since >= stuck)
            braid_slot_give_up(slot, now);
        if (slot->subflow != NULL && (slot->unwell || slot->doubtful))
            set_aside(slot, now);
    }
    if (!braid_session_path_misses(session_path))
        return false;
    braid_session_io_arm(session_path->connector->io, now);
    return true;
}

void braid_session_path_cut(struct braid_session_path *session_path, uint64_t now)
{
    for (unsigned i = 0; i < session_path->count; i++) {
        struct braid_slot *slot = &session_path->slots[i];

        braid_slot_give_up(slot, now);
        if (slot->subflow == NULL)
            continue;
        slot->doubtful = true;
        braid_subflow_io_cut(slot->subflow, now);
    }
    session_path->failed = true;
    if (session_path->due < now + CUT_TIME)
        session_path->due = now + CUT_TIME;
    braid_session_io_wake(session_path->connector->io);
}

void braid_session_path_doubt(struct braid_session_path *session_path)
{
    for (unsigned i = 0; i < session_path->count; i++)
        session_path->slots[i].doubtful = session_path->slots[i].subflow != NULL;
}

void braid_session_path_renew(struct braid_session_path *session_path,
                              const union braid_endpoint *source, uint64_t now)
{
    for (unsigned i = 0; i < session_path->count; i++) {
        struct braid_slot *slot = &session_path->slots[i];
        struct braid_subflow_io *subflow = slot->subflow;

        if (subflow == NULL || subflow->peer.family == AF_UNIX ||
            braid_endpoint_same_host(braid_subflow_io_local(subflow), source))
            continue;
        set_aside(slot, now);
        session_path->due = now;
    }
    braid_session_io_arm(session_path->connector->io, now);
}

void braid_session_path_lose(struct braid_session_path *session_path,
                             const union braid_endpoint *address)
{
    for (unsigned i = 0; i < session_path->count; i++) {
        struct braid_subflow_io *subflow = session_path->slots[i].subflow;

        if (subflow != NULL && braid_endpoint_same_host(braid_subflow_io_local(subflow), address))
            braid_subflow_io_condemn(subflow, "its source address is gone");
    }
}
