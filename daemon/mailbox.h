/* SPDX-License-Identifier: MIT */
/*
 * A queue of messages into one event loop: the only way threads of the daemon talk to each other.
 *
 * Any thread may post; mail is delivered, in order, on the thread that runs the mailbox's loop.
 */
#ifndef BRAIDD_MAILBOX_H
#define BRAIDD_MAILBOX_H

#include <event2/event.h>

struct mailbox;

/* Embedded as the first member of whatever is sent. */
struct mail {
    struct mail *next;
    /*
     * Takes the mail, which is now the callee's. `owner` is the mailbox's, or NULL when the
     * mailbox went away first: then only free what the mail holds.
     */
    void (*deliver)(struct mail *mail, void *owner);
};

/* Called after each wake-up, when all mail has been delivered. */
typedef void (*mailbox_woken_cb)(void *owner);

/* A mailbox on a loop; `woken` may be NULL. NULL: out of memory or descriptors. */
struct mailbox *mailbox_new(struct event_base *base, mailbox_woken_cb woken, void *owner);

/* Frees a mailbox, and with it what was not delivered; nobody may post any more. NULL is fine. */
void mailbox_free(struct mailbox *mailbox);

/* Sends mail; never fails, since the mail brings its own memory. */
void mailbox_post(struct mailbox *mailbox, struct mail *mail);

/* Wakes the loop up without mail. */
void mailbox_poke(struct mailbox *mailbox);

#endif
