/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses, without blocking, through libevent's resolver (which reads /etc/hosts too).
 *
 * A name's answer is kept for a minute. After that it is asked for again, and the old answer is
 * still used when that fails. All who wait for the same name share one question.
 */
#ifndef BRAID_EVENT_RESOLVE_H
#define BRAID_EVENT_RESOLVE_H

#include <stdint.h>
#include <sys/queue.h>

#include "address.h"

#define BRAID_RESOLVE_MAX 8

struct event_base;
struct evdns_base;
struct braid_context;

/* The addresses of a name, without ports. */
struct braid_answer {
    unsigned count;
    union braid_endpoint at[BRAID_RESOLVE_MAX];
};

/* answer: NULL when the name could not be resolved. */
typedef void (*braid_resolve_cb)(const struct braid_answer *answer, void *arg);

/* One who waits for an answer; embedded, zeroed. */
struct braid_waiter {
    LIST_ENTRY(braid_waiter) link;
    braid_resolve_cb cb;
    void *arg;
    bool waiting;
};

struct braid_name;

struct braid_resolver {
    struct evdns_base *dns; /* made for the first name */
    uint64_t made;          /* when its files were read */
    uint64_t answered;      /* when it last had an answer */
    unsigned asking;        /* questions on their way */
    unsigned count;
    LIST_HEAD(, braid_name) names; /* the latest used first */
};

/* Asks for a name; cb is called once, from here already when the answer is known. */
void braid_resolve(struct braid_context *context, const char *host, struct braid_waiter *waiter,
                   braid_resolve_cb cb, void *arg);

/* Gives up waiting; its callback will not be called. Harmless when it is not waiting. */
void braid_resolve_cancel(struct braid_waiter *waiter);

/* Has every name asked for again when it is next used, as after a change of networks. */
void braid_resolver_forget(struct braid_resolver *resolver);

/* Ends everything. Nobody may be waiting any more. */
void braid_resolver_clear(struct braid_resolver *resolver, struct event_base *base);

#endif
