/* SPDX-License-Identifier: MIT */
/*
 * Two honest sessions: whatever happens in whatever order, no end ever finds fault with the other,
 * every byte is the right one, and when nobody gave up both finish in order.
 *
 * Input: 4 bytes of set-up, then one event after the other (enum event).
 */
#include "session_modes.h"
#include "tests/unit/pair.h"

#define EVENTS_MAX 600u
#define BYTES_MAX 600000u /* of each direction */

enum event {
    EVENT_WRITE,
    EVENT_READ,
    EVENT_SEND,
    EVENT_SEND_ALL,
    EVENT_DELIVER,
    EVENT_DELIVER_ALL,
    EVENT_MOVE,
    EVENT_SLEEP,
    EVENT_DIAL,
    EVENT_ROOM,
    EVENT_SAMPLE,
    EVENT_LOSE,
    EVENT_BREAK,
    EVENT_SHUTDOWN,
    EVENT_ANSWER,
    EVENT_MEMORY,
    EVENT_RESET,
    EVENTS,
};

struct world {
    struct pair pair;
    bool answered;
    bool gave_up; /* an end was reset or its target refused */
};

static struct pair_wire *choose_wire(struct world *world, unsigned choice)
{
    struct pair *pair = &world->pair;
    unsigned used = 0;

    for (unsigned i = 0; i < PAIR_WIRES; i++)
        used += pair->wire[i].used;
    if (used == 0)
        return NULL;
    choice %= used;
    for (unsigned i = 0; i < PAIR_WIRES; i++) {
        if (pair->wire[i].used && choice-- == 0)
            return &pair->wire[i];
    }
    return NULL;
}

static void on_wire(struct world *world, enum event event, enum pair_end end,
                    struct fuzz_input *input)
{
    struct pair *pair = &world->pair;
    struct pair_wire *wire = choose_wire(world, fuzz_u8(input));
    struct braid_subflow *subflow = wire != NULL ? wire->end[end] : NULL;
    size_t n;

    if (wire == NULL)
        return;
    switch (event) {
    case EVENT_DELIVER:
        n = fuzz_size(input);
        pair_deliver(pair, wire, end, n, (size_t)fuzz_u8(input) + 1);
        break;
    case EVENT_DELIVER_ALL:
        pair_deliver(pair, wire, end, PAIR_ALL, PAIR_ALL);
        break;
    case EVENT_ROOM:
        n = fuzz_size(input);
        if (subflow != NULL) {
            braid_subflow_set_blocked(subflow, n == 0);
            braid_subflow_set_room(subflow, n);
        }
        break;
    case EVENT_SAMPLE:
        wire->rtt[end] = (uint32_t)fuzz_size(input) + 1;
        if (subflow != NULL)
            pair_sample(pair, wire, end);
        break;
    case EVENT_LOSE:
        pair_lose(pair, wire);
        break;
    default:
        pair_break(pair, wire, end);
        break;
    }
}

static void on_end(struct world *world, enum event event, enum pair_end end,
                   struct fuzz_input *input)
{
    struct pair *pair = &world->pair;
    struct pair_side *side = &pair->side[end];
    size_t n = fuzz_size(input);

    switch (event) {
    case EVENT_WRITE:
        if (!side->shut && side->committed + n <= BYTES_MAX)
            pair_write(pair, end, n);
        break;
    case EVENT_READ:
        pair_read(pair, end, n);
        break;
    case EVENT_SEND:
        pair_send(pair, end, 4 + (fuzz_u8(input) & 15), n);
        break;
    case EVENT_SEND_ALL:
        pair_send(pair, end, 64, PAIR_ALL);
        break;
    case EVENT_MOVE:
        pair_move(pair, (n & 1) != 0);
        break;
    case EVENT_SLEEP:
        pair_sleep(pair, pair->now + n * 8);
        break;
    case EVENT_DIAL:
        pair_dial(pair);
        break;
    case EVENT_SHUTDOWN:
        pair_shutdown(pair, end);
        break;
    case EVENT_ANSWER:
        if (pair->side[PAIR_REMOTE].session == NULL || pair->side[PAIR_REMOTE].closed)
            break;
        world->gave_up = world->gave_up || (n > 200 && !world->answered);
        world->answered = true;
        braid_session_answer(pair->side[PAIR_REMOTE].session,
                             n > 200 ? BRAID_ERR_REFUSED : BRAID_OK, pair->now);
        break;
    case EVENT_MEMORY:
        pair->lenient = true;
        braid_pool_fail_after(pair->pool, n);
        break;
    default:
        if (side->session == NULL || side->closed)
            break;
        world->gave_up = true;
        braid_session_reset(side->session, BRAID_ERR_RESET, pair->now);
        break;
    }
}

static void step(struct world *world, struct fuzz_input *input)
{
    uint8_t code = fuzz_u8(input);
    enum event event = (enum event)(code >> 1) % EVENTS;
    enum pair_end end = (enum pair_end)(code & 1);

    switch (event) {
    case EVENT_DELIVER:
    case EVENT_DELIVER_ALL:
    case EVENT_ROOM:
    case EVENT_SAMPLE:
    case EVENT_LOSE:
    case EVENT_BREAK:
        on_wire(world, event, end, input);
        break;
    default:
        on_end(world, event, end, input);
        break;
    }
    pair_act(&world->pair, PAIR_LOCAL);
    pair_act(&world->pair, PAIR_REMOTE);
}

static bool all_closed(const struct pair *pair)
{
    const struct pair_side *remote = &pair->side[PAIR_REMOTE];

    return pair->side[PAIR_LOCAL].closed && (remote->session == NULL || remote->closed);
}

/* Whatever happened, this is how it has to end. */
static void finish(struct world *world)
{
    struct pair *pair = &world->pair;
    bool closed = false;

    braid_pool_fail_after(pair->pool, 0);
    for (unsigned i = 0; i < PAIR_WIRES; i++) {
        if (pair->wire[i].used && (pair->wire[i].to[0].ended || pair->wire[i].to[1].ended))
            pair_settle(pair, 0); /* what was said last arrives */
        if (pair->wire[i].used && (pair->wire[i].to[0].ended || pair->wire[i].to[1].ended))
            pair_lose(pair, &pair->wire[i]);
    }
    for (int end = 0; end < 2; end++) {
        pair_act(pair, (enum pair_end)end);
        closed = closed || pair->side[end].closed;
    }
    if (!closed && !world->gave_up) {
        pair_finish(pair);
        return;
    }
    for (int turns = 0; turns < 300 && !all_closed(pair); turns++)
        pair_settle(pair, 1000000);
    MUST(all_closed(pair));
}

void fuzz_honest(struct fuzz_input *input)
{
    static struct world world;
    unsigned events = 0;

    world.gave_up = world.answered = false;
    pair_init(&world.pair, 1 + (fuzz_u8(input) & 7));
    world.pair.side[PAIR_LOCAL].config.first = fuzz_u8(input) & 3;
    world.pair.side[PAIR_REMOTE].config.max_subflows = 1 + (fuzz_u8(input) & 15);
    world.pair.side[PAIR_LOCAL].config.window = world.pair.side[PAIR_REMOTE].config.window =
        (size_t)65536 << (fuzz_u8(input) & 7);
    MUST(pair_open(&world.pair));
    while (input->left > 0 && events++ < EVENTS_MAX)
        step(&world, input);
    finish(&world);
    pair_free(&world.pair);
}
