/* SPDX-License-Identifier: MIT */
#include "linger.h"

#include <errno.h>
#include <stdbool.h>

#include "clock.h"
#include "context.h"

#define LINGER_TIME (10 * BRAID_SECOND)
#define READS_AT_ONCE 16

struct braid_linger {
    TAILQ_ENTRY(braid_linger) link;
    struct braid_lingers *lingers;
    struct braid_transport transport;
    struct event event;
    uint64_t ends;
    struct braid_guard_pass pass;
    bool drained; /* nothing more arrives */
};

static void linger_free(struct braid_linger *linger)
{
    event_del(&linger->event);
    TAILQ_REMOVE(&linger->lingers->list, linger, link);
    linger->transport.ops->close(&linger->transport);
    braid_guard_leave(braid_group_guard(linger->lingers->context->group), &linger->pass);
    if (TAILQ_EMPTY(&linger->lingers->list))
        event_del(&linger->lingers->timer);
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

static void arm(struct braid_lingers *lingers, uint64_t now)
{
    const struct braid_linger *oldest = TAILQ_FIRST(&lingers->list);
    struct timeval tv;

    if (oldest == NULL)
        return;
    tv = braid_timeval(oldest->ends > now ? oldest->ends - now : 0);
    (void)event_add(&lingers->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct braid_lingers *lingers = arg;
    uint64_t now = braid_clock();
    struct braid_linger *linger;

    (void)fd;
    (void)what;
    while ((linger = TAILQ_FIRST(&lingers->list)) != NULL && linger->ends <= now)
        linger_free(linger);
    arm(lingers, now);
}

void braid_lingers_init(struct braid_lingers *lingers, struct braid_context *context)
{
    lingers->context = context;
    TAILQ_INIT(&lingers->list);
    evtimer_assign(&lingers->timer, context->base, on_timer, lingers);
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
    linger->pass = *pass;
    linger->ends = braid_clock() + LINGER_TIME;
    linger->drained = drained;
    TAILQ_INSERT_TAIL(&lingers->list, linger, link);
    evtimer_assign(&linger->event, context->base, on_event, linger);
    if (!watch(linger)) {
        linger_free(linger);
        return;
    }
    if (!evtimer_pending(&lingers->timer, NULL))
        arm(lingers, braid_clock());
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
    struct braid_guard *guard = braid_group_guard(lingers->context->group);
    struct braid_linger *linger;

    TAILQ_FOREACH(linger, &lingers->list, link) {
        if (peer == NULL || braid_guard_is_from(guard, &linger->pass, peer)) {
            linger_free(linger);
            return true;
        }
    }
    return false;
}

void braid_lingers_clear(struct braid_lingers *lingers)
{
    while (!TAILQ_EMPTY(&lingers->list))
        linger_free(TAILQ_FIRST(&lingers->list));
    event_del(&lingers->timer);
}
