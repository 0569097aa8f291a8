/* SPDX-License-Identifier: MIT */
#include "context.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <braid/dial.h>
#include <braid/listener.h>

#include "dial.h"
#include "handoff.h"
#include "listener.h"
#include "session_io.h"

static void on_mailbox(evutil_socket_t fd, short what, void *arg)
{
    struct braid_context *context = arg;
    struct braid_handoff *handoff;
    uint64_t count;

    (void)what;
    (void)!read(fd, &count, sizeof count);
    while ((handoff = braid_group_collect(context)) != NULL)
        braid_pending_adopt(context, handoff);
    braid_path_uses_check(context);
    braid_relief_check(context);
}

/* Alone, a context has no mailbox, and nothing that keeps its loop from ending. */
static int open_mailbox(struct braid_context *context)
{
    STAILQ_INIT(&context->mailbox);
    if (context->owns_group)
        return 0;
    context->mailbox_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (context->mailbox_fd < 0)
        return -1;
    event_assign(&context->mailbox_event, context->base, context->mailbox_fd, EV_READ | EV_PERSIST,
                 on_mailbox, context);
    return event_add(&context->mailbox_event, NULL);
}

struct braid_context *braid_context_new(struct event_base *base, struct braid_group *group)
{
    struct braid_context *context = calloc(1, sizeof *context);

    if (context == NULL)
        return NULL;
    context->base = base;
    context->mailbox_fd = -1;
    context->owns_group = group == NULL;
    context->group = group != NULL ? group : braid_group_new();
    context->pool = braid_pool_new(0);
    if (context->group == NULL || context->pool == NULL || open_mailbox(context) != 0)
        goto failed;
    braid_pendings_init(&context->pendings, context);
    braid_lingers_init(&context->lingers, context);
    braid_lingers_init(&context->refused, context);
    braid_path_uses_init(&context->paths, context);
    braid_relief_init(&context->relief, context);
    braid_pool_set_budget(context->pool, braid_group_budget(context->group));
    braid_group_join(context->group, context);
    return context;
failed:
    if (context->mailbox_fd >= 0)
        close(context->mailbox_fd);
    braid_pool_free(context->pool);
    if (context->owns_group)
        braid_group_free(context->group);
    free(context);
    return NULL;
}

void braid_context_free(struct braid_context *context)
{
    struct braid_handoff *handoff;

    if (context == NULL)
        return;
    while (!LIST_EMPTY(&context->listeners))
        braid_listener_free(LIST_FIRST(&context->listeners)->first);
    while (!LIST_EMPTY(&context->sessions))
        braid_session_io_abort(LIST_FIRST(&context->sessions));
    braid_group_leave(context);
    while ((handoff = braid_group_collect(context)) != NULL)
        braid_handoff_free(context->group, handoff);
    while (!LIST_EMPTY(&context->dials))
        braid_dial_cancel(LIST_FIRST(&context->dials));
    braid_pendings_clear(&context->pendings);
    braid_lingers_clear(&context->lingers);
    braid_lingers_clear(&context->refused);
    braid_resolver_clear(&context->resolver, context->base);
    braid_path_uses_clear(&context->paths);
    braid_relief_clear(&context->relief);
    braid_receive_clear(&context->receive);
    if (context->mailbox_fd >= 0) {
        event_del(&context->mailbox_event);
        close(context->mailbox_fd);
    }
    braid_pool_free(context->pool);
    if (context->owns_group)
        braid_group_free(context->group);
    free(context);
}

void braid_context_set_log_cb(struct braid_context *context, braid_log_cb cb, void *arg)
{
    context->log_cb = cb;
    context->log_arg = arg;
}

size_t braid_context_get_memory(const struct braid_context *context)
{
    return braid_pool_bytes(context->pool);
}
