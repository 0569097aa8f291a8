/* SPDX-License-Identifier: MIT */
/*
 * A pair on its own: everything that can move moves, and time goes on from deadline to deadline.
 */
#include "pair.h"

#define PIECES 64
#define TURNS_MAX 2000000u

static uint64_t deadline(const struct pair *pair)
{
    uint64_t at = BRAID_NEVER;

    for (int i = 0; i < 2; i++) {
        const struct pair_side *side = &pair->side[i];

        if (side->session != NULL && !side->closed && braid_session_deadline(side->session) < at)
            at = braid_session_deadline(side->session);
    }
    return at;
}

bool pair_sleep(struct pair *pair, uint64_t until)
{
    uint64_t at = deadline(pair);
    bool early = at < until;

    if (!early)
        at = until;
    if (at > pair->now)
        pair->now = at;
    for (int i = 0; i < 2; i++) {
        struct pair_side *side = &pair->side[i];

        if (side->session == NULL || side->closed)
            continue;
        braid_session_on_time(side->session, pair->now);
        MUST(braid_session_deadline(side->session) > pair->now);
        pair_act(pair, (enum pair_end)i);
    }
    return early;
}

static void make_room(struct pair *pair, enum pair_end end)
{
    struct braid_subflow *subflow = NULL;

    if (pair->side[end].session == NULL)
        return;
    while ((subflow = braid_session_subflow_after(pair->side[end].session, subflow)) != NULL) {
        struct pair_wire *wire = braid_subflow_user(subflow);

        if (wire->rtt[end] != 0)
            pair_sample(pair, wire, end);
        braid_subflow_set_blocked(subflow, false);
        braid_subflow_set_room(subflow, braid_subflow_lowat(subflow));
    }
}

bool pair_move(struct pair *pair, bool read)
{
    bool moved = false;

    while (pair_dial(pair) != NULL)
        moved = true;
    for (int end = 0; end < 2; end++) {
        unsigned turns = 0;

        make_room(pair, (enum pair_end)end);
        while (pair_send(pair, (enum pair_end)end, PIECES, PAIR_ALL)) {
            moved = true;
            MUST(turns++ < 100000);
        }
        pair_act(pair, (enum pair_end)end);
    }
    for (unsigned i = 0; i < PAIR_WIRES; i++) {
        for (int to = 0; to < 2; to++) {
            bool ends = pair->wire[i].used && pair->wire[i].to[to].ended &&
                        !pair->wire[i].to[to].told &&
                        (pair->wire[i].end[to] != NULL || !pair->wire[i].greeted);

            if (pair->wire[i].used &&
                pair_deliver(pair, &pair->wire[i], (enum pair_end)to, PAIR_ALL, PAIR_ALL) > 0)
                moved = true;
            moved = moved || ends;
            pair_act(pair, (enum pair_end)to);
        }
    }
    for (int end = 0; read && end < 2; end++) {
        while (pair_read(pair, (enum pair_end)end, PAIR_ALL) > 0)
            moved = true;
        pair_act(pair, (enum pair_end)end);
    }
    return moved;
}

void pair_run(struct pair *pair, bool read)
{
    unsigned turns = 0;

    pair_act(pair, PAIR_LOCAL);
    pair_act(pair, PAIR_REMOTE);
    while (pair_move(pair, read))
        MUST(turns++ < TURNS_MAX);
}

void pair_settle(struct pair *pair, uint64_t time)
{
    uint64_t until = pair->now + time;
    unsigned turns = 0;

    do {
        pair_run(pair, true);
        MUST(turns++ < TURNS_MAX);
    } while (pair_sleep(pair, until));
    pair_run(pair, true);
}

void pair_finish(struct pair *pair)
{
    unsigned turns = 0;

    pair_shutdown(pair, PAIR_LOCAL);
    while (pair->side[PAIR_REMOTE].session == NULL) {
        MUST(turns++ < 10);
        pair_settle(pair, 10000);
    }
    pair_shutdown(pair, PAIR_REMOTE);
    for (turns = 0; !pair->side[0].closed || !pair->side[1].closed; turns++) {
        MUST(turns < 100);
        pair_settle(pair, 1000000);
    }
    for (int end = 0; end < 2; end++) {
        const struct pair_side *side = &pair->side[end];

        MUST(side->error == BRAID_OK ||
             (pair->lossy && end == PAIR_REMOTE && side->error == BRAID_ERR_GRACE));
        MUST(side->eof && side->drained == pair->side[1 - end].committed);
    }
}
