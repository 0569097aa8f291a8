/* SPDX-License-Identifier: MIT */
#include "relief.h"

#include "clock.h"
#include "context.h"
#include "session_io.h"

#define AGAIN_TIME (10 * BRAID_MILLISECOND) /* for what was reset to be freed */

static bool is_over(const struct braid_context *context)
{
    return braid_pool_pressure(context->pool) == BRAID_PRESSURE_OVER;
}

/* The live session that holds the most, and how much; NULL: none holds anything. */
static struct braid_session_io *largest(struct braid_context *context, size_t *memory)
{
    struct braid_session_io *io, *found = NULL;
    struct braid_session_stats stats;

    *memory = 0;
    LIST_FOREACH(io, &context->sessions, link) {
        if (io->closed)
            continue;
        braid_session_get_stats(io->session, &stats);
        if (stats.memory <= *memory)
            continue;
        *memory = stats.memory;
        found = io;
    }
    return found;
}

static void reset_largest(struct braid_context *context, uint64_t now)
{
    size_t memory;
    struct braid_session_io *io = largest(context, &memory);

    if (io == NULL)
        return;
    braid_log(context, BRAID_LOG_WARNING, BRAID_LOG_MEMORY,
              "session %016llx is reset: all sessions together hold too much memory, and it holds "
              "%zu bytes of it",
              (unsigned long long)braid_session_id(io->session), memory);
    braid_session_io_enter(io);
    braid_session_reset(io->session, BRAID_ERR_MEMORY, now);
    braid_session_io_leave(io, now);
}

static void on_relief(evutil_socket_t fd, short what, void *arg)
{
    struct braid_context *context = arg;
    struct timeval again = braid_timeval(AGAIN_TIME);

    (void)fd;
    (void)what;
    if (!is_over(context))
        return;
    if (braid_group_holds_most(context))
        reset_largest(context, braid_clock());
    event_add(&context->relief.event, &again);
}

void braid_relief_init(struct braid_relief *relief, struct braid_context *context)
{
    evtimer_assign(&relief->event, context->base, on_relief, context);
}

void braid_relief_clear(struct braid_relief *relief)
{
    event_del(&relief->event);
}

/* Memory in reserve is of no use to others; what other contexts have may be all that is missing. */
static void spare(struct braid_context *context)
{
    bool is_short = braid_pool_pressure(context->pool) >= BRAID_PRESSURE_SHORT;

    if (is_short)
        braid_pool_trim(context->pool);
    if (is_short && !context->relief.short_told)
        braid_group_poke(context);
    context->relief.short_told = is_short;
}

void braid_relief_check(struct braid_context *context)
{
    static const struct timeval soon = {.tv_sec = 0};

    spare(context);
    if (!is_over(context) || event_pending(&context->relief.event, EV_TIMEOUT, NULL))
        return;
    event_add(&context->relief.event, &soon);
    if (!braid_group_holds_most(context))
        braid_group_poke(context); /* who holds the most may have nothing to do */
}
