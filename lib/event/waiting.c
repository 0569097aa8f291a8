/* SPDX-License-Identifier: MIT */
#include "waiting.h"

#include "clock.h"

static void arm(struct braid_waiting *waiting, uint64_t now)
{
    const struct braid_waiting_entry *first = TAILQ_FIRST(&waiting->by_end);
    struct timeval tv;

    if (first == NULL)
        return;
    tv = braid_timeval(first->ends > now ? first->ends - now : 0);
    (void)event_add(&waiting->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct braid_waiting *waiting = arg;
    uint64_t now = braid_clock();
    struct braid_waiting_entry *entry;

    (void)fd;
    (void)what;
    while ((entry = TAILQ_FIRST(&waiting->by_end)) != NULL && entry->ends <= now)
        waiting->cb(entry);
    arm(waiting, now);
}

void braid_waiting_init(struct braid_waiting *waiting, struct event_base *base, braid_waiting_cb cb)
{
    TAILQ_INIT(&waiting->by_end);
    for (unsigned i = 0; i < BRAID_WAITING_SLOTS; i++)
        TAILQ_INIT(&waiting->by_network[i]);
    evtimer_assign(&waiting->timer, base, on_timer, waiting);
    waiting->count = 0;
    waiting->cb = cb;
}

static unsigned slot_of(uint32_t network)
{
    return network >> (32 - BRAID_WAITING_BITS);
}

/* Nearly always the last one; what comes from elsewhere may have less time left. */
static void insert(struct braid_waiting_list *list, struct braid_waiting_entry *entry)
{
    struct braid_waiting_entry *before = TAILQ_LAST(list, braid_waiting_list);

    while (before != NULL && before->ends > entry->ends)
        before = TAILQ_PREV(before, braid_waiting_list, by_end);
    if (before != NULL)
        TAILQ_INSERT_AFTER(list, before, entry, by_end);
    else
        TAILQ_INSERT_HEAD(list, entry, by_end);
}

void braid_waiting_add(struct braid_waiting *waiting, struct braid_waiting_entry *entry,
                       uint64_t ends)
{
    entry->waiting = waiting;
    entry->ends = ends;
    insert(&waiting->by_end, entry);
    entry->slot = slot_of(entry->pass.network);
    TAILQ_INSERT_TAIL(&waiting->by_network[entry->slot], entry, by_network);
    waiting->count++;
    if (!evtimer_pending(&waiting->timer, NULL))
        arm(waiting, braid_clock());
}

void braid_waiting_remove(struct braid_waiting_entry *entry)
{
    struct braid_waiting *waiting = entry->waiting;

    TAILQ_REMOVE(&waiting->by_end, entry, by_end);
    TAILQ_REMOVE(&waiting->by_network[entry->slot], entry, by_network);
    if (--waiting->count == 0)
        event_del(&waiting->timer);
}

struct braid_waiting_entry *braid_waiting_first(const struct braid_waiting *waiting)
{
    return TAILQ_FIRST(&waiting->by_end);
}

struct braid_waiting_entry *braid_waiting_first_from(const struct braid_waiting *waiting,
                                                     const struct braid_guard *guard,
                                                     const union braid_endpoint *peer)
{
    unsigned slot = slot_of(braid_guard_network(guard, peer));
    struct braid_waiting_entry *entry;

    TAILQ_FOREACH(entry, &waiting->by_network[slot], by_network)
        if (braid_guard_is_from(guard, &entry->pass, peer))
            return entry;
    return NULL;
}
