/* SPDX-License-Identifier: MIT */
#include "past.h"

#include "context.h"
#include "session_io.h"
#include "subflow_io.h"

static void forget_first(struct braid_session_io *io)
{
    struct braid_past *past = STAILQ_FIRST(&io->past);

    STAILQ_REMOVE_HEAD(&io->past, link);
    io->past_count--;
    braid_pool_release(io->context->pool, past, sizeof *past);
}

void braid_past_add(struct braid_session_io *io, struct braid_subflow_io *from,
                    const struct braid_subflow *subflow, const char *state)
{
    struct braid_past *past;

    if (io->past_count >= BRAID_PAST_MAX)
        forget_first(io);
    past = braid_pool_alloc(io->context->pool, sizeof *past);
    if (past == NULL)
        return; /* it is only for show */
    braid_subflow_get_stats(subflow, &past->stats);
    past->stats.state = state;
    past->local = *braid_subflow_io_local(from);
    past->peer = from->peer;
    STAILQ_INSERT_TAIL(&io->past, past, link);
    io->past_count++;
}

void braid_past_clear(struct braid_session_io *io)
{
    while (!STAILQ_EMPTY(&io->past))
        forget_first(io);
}
