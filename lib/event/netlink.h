/* SPDX-License-Identifier: MIT */
/*
 * News of the machine's addresses, routes and links, and of its having been asleep.
 *
 * News come in batches: the first of a burst at once, what follows within 50 ms together.
 */
#ifndef BRAID_EVENT_NETLINK_H
#define BRAID_EVENT_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "address.h"

#define BRAID_NEWS_ADDRESSES 16

struct braid_context;

/* What has happened. */
struct braid_news {
    bool better; /* something came that may be a way */
    bool worse;  /* something went that may have been one */
    bool slept;  /* the machine was asleep, so both may be */
    unsigned gone_count;
    union braid_endpoint gone[BRAID_NEWS_ADDRESSES]; /* addresses that went, as far as known */
};

typedef void (*braid_news_cb)(const struct braid_news *news, void *arg);

struct braid_netlink {
    bool open;
    bool running;
    int fd;         /* -1: the kernel gives no news, for now */
    int clock_fd;   /* -1: nor of sleep */
    int64_t asleep; /* microseconds that the machine has been asleep since it was started */
    struct event readable;
    struct event pause;
    struct event clock;
    braid_news_cb cb;
    void *arg;
};

/*
 * Starts to bring news; harmless when it does. Without netlink, or a descriptor for it, there are
 * none until the next call.
 */
void braid_netlink_start(struct braid_netlink *netlink, struct event_base *base, braid_news_cb cb,
                         void *arg);

/* Brings no news any more, and does not keep the loop from ending; harmless when it did not. */
void braid_netlink_stop(struct braid_netlink *netlink);

/* Ends it. */
void braid_netlink_close(struct braid_netlink *netlink);

/* Adds what the messages say to the news. */
void braid_netlink_read(struct braid_news *news, const void *messages, size_t size);

/* Adds a sleep of more than 5 s since the last call, by two clocks' microseconds. */
void braid_netlink_compare(struct braid_netlink *netlink, struct braid_news *news,
                           uint64_t boottime, uint64_t monotonic);

#endif
