/* SPDX-License-Identifier: MIT */
#include "linger.h"

#include <errno.h>
#include <stddef.h>

#include "clock.h"
#include "context.h"

#define LINGER_TIME (10 * BRAID_SECOND)
#define READS_AT_ONCE 16

struct braid_linger {
    struct braid_waiting_entry entry; /* with the pass */
    struct braid_lingers *lingers;
    struct braid_transport transport;
    struct event event;
    bool drained; /* nothing more arrives */
};

static void linger_free(struct braid_linger *linger)
{
    event_del(&linger->event);
    braid_waiting_remove(&linger->entry);
    linger->transport.ops->close(&linger->transport);
    braid_guard_leave(braid_group_guard(linger->lingers->context->group), &linger->entry.pass);
    braid_pool_release(linger->lingers->context->pool, linger, sizeof *linger);
}

/* Throws away what arrives; true at its end. */
static bool drain(struct braid_transport *transport)
{
    char waste[16384];
    const struct iovec v = {.iov_base = waste, .iov_len = sizeof waste};
    ssize_t n = 1;

    for (int i = 0; i < READS_AT_ONCE && n > 0; i++)
        n = transport->ops->read(transport, &v, 1);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

static void on_event(evutil_socket_t fd, short what, void *arg);

/* Waits for what may still come, and for room for what still has to go. */
static bool watch(struct braid_linger *linger)
{
    int what =
        EV_PERSIST | (linger->drained ? 0 : EV_READ) | (linger->transport.backlog ? EV_WRITE : 0);

    event_del(&linger->event);
    event_assign(&linger->event, linger->lingers->context->base, linger->transport.fd, (short)what,
                 on_event, linger);
    return event_add(&linger->event, NULL) == 0;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct braid_linger *linger = arg;
    struct braid_transport *transport = &linger->transport;
    bool was_backlog = transport->backlog;

    (void)fd;
    (void)what;
    if (was_backlog && transport->ops->flush(transport) != 0 && errno != EAGAIN) {
        linger_free(linger);
        return;
    }
    if (!linger->drained && drain(transport))
        linger->drained = true;
    if (linger->drained && !transport->backlog)
        linger_free(linger);
    else if ((linger->drained || was_backlog != transport->backlog) && !watch(linger))
        linger_free(linger);
}

static struct braid_linger *linger_of(struct braid_waiting_entry *entry)
{
    return (struct braid_linger *)(void *)((char *)(void *)entry -
                                           offsetof(struct braid_linger, entry));
}

static void on_time_up(struct braid_waiting_entry *entry)
{
    linger_free(linger_of(entry));
}

void braid_lingers_init(struct braid_lingers *lingers, struct braid_context *context)
{
    lingers->context = context;
    braid_waiting_init(&lingers->waiting, context->base, on_time_up);
}

static void start(struct braid_lingers *lingers, struct braid_transport *transport,
                  struct braid_guard_pass *pass)
{
    struct braid_context *context = lingers->context;
    struct braid_guard *guard = braid_group_guard(context->group);
    struct braid_linger *linger;
    bool drained;

    transport->ops->shutdown(transport);
    drained = drain(transport);
    if (drained && !transport->backlog) {
        transport->ops->close(transport);
        braid_guard_leave(guard, pass);
        return;
    }
    linger = braid_pool_alloc(context->pool, sizeof *linger);
    if (linger == NULL) {
        transport->ops->close(transport);
        braid_guard_leave(guard, pass);
        return;
    }
    linger->lingers = lingers;
    linger->transport = *transport;
    linger->entry.pass = *pass;
    linger->drained = drained;
    braid_waiting_add(&lingers->waiting, &linger->entry, braid_clock() + LINGER_TIME);
    evtimer_assign(&linger->event, context->base, on_event, linger);
    if (!watch(linger))
        linger_free(linger);
}

void braid_linger_start(struct braid_context *context, struct braid_transport *transport)
{
    struct braid_guard_pass none = {.held = false};

    start(&context->lingers, transport, &none);
}

void braid_linger_refused(struct braid_context *context, struct braid_transport *transport,
                          struct braid_guard_pass *pass)
{
    start(&context->refused, transport, pass);
}

bool braid_lingers_make_room(struct braid_lingers *lingers, const union braid_endpoint *peer)
{
    const struct braid_guard *guard = braid_group_guard(lingers->context->group);
    struct braid_waiting_entry *entry =
        peer == NULL ? braid_waiting_first(&lingers->waiting)
                     : braid_waiting_first_from(&lingers->waiting, guard, peer);

    if (entry == NULL)
        return false;
    linger_free(linger_of(entry));
    return true;
}

void braid_lingers_clear(struct braid_lingers *lingers)
{
    struct braid_waiting_entry *entry;

    while ((entry = braid_waiting_first(&lingers->waiting)) != NULL)
        linger_free(linger_of(entry));
}
