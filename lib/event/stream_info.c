/* SPDX-License-Identifier: MIT */
/*
 * A stream and its subflows as they stand, for those who watch.
 */
#include <string.h>

#include "clock.h"
#include "connector.h"
#include "past.h"
#include "session_io.h"
#include "subflow_io.h"

void braid_stream_get_info(const struct braid_stream *stream, struct braid_stream_info *info)
{
    const struct braid_session_io *io = braid_session_io_of(stream);
    size_t waiting = braid_stream_output(stream);
    struct braid_session_stats stats;

    braid_session_get_stats(io->session, &stats);
    *info = (struct braid_stream_info){
        .id = braid_session_id(io->session),
        .bytes_sent = stats.committed + waiting,
        .bytes_received = stats.drained,
        .bytes_resent = stats.bytes_resent,
        .backlog = stats.committed - stats.acked + waiting,
        .unread = stats.unread,
        .subflows = stats.subflows,
        .subflows_lost = stats.subflows_lost,
        .established = stats.established,
        .protocol = braid_session_speaks_seed(io->session) ? BRAID_PROTOCOL_SEED : BRAID_PROTOCOL_1,
        .identity = io->identity.name,
    };
}

static void fill(const struct braid_session_io *io, struct braid_subflow_info *info,
                 const struct braid_subflow_stats *stats, const union braid_endpoint *local,
                 const union braid_endpoint *peer)
{
    memset(info, 0, sizeof *info);
    info->index = stats->index;
    info->path = stats->path;
    if (io->connector != NULL)
        info->path_name = braid_connector_path_name(io->connector, stats->path);
    info->state = stats->state;
    info->bytes_sent = stats->bytes_sent;
    info->bytes_received = stats->bytes_received;
    info->bytes_resent = stats->bytes_resent;
    info->rtt = stats->rtt < UINT32_MAX ? (uint32_t)stats->rtt : UINT32_MAX;
    info->rate = stats->rate;
    memcpy(&info->local, local, sizeof *local);
    memcpy(&info->peer, peer, sizeof *peer);
}

size_t braid_stream_get_subflows(const struct braid_stream *stream,
                                 struct braid_subflow_info *infos, size_t max)
{
    struct braid_session_io *io = braid_session_io_of(stream);
    struct braid_subflow_stats stats;
    struct braid_subflow_io *subflow;
    const struct braid_past *past;
    uint64_t now = braid_clock();
    size_t n = 0;

    TAILQ_FOREACH(subflow, &io->subflows, link) {
        if (n == max)
            return n;
        braid_subflow_io_look(subflow, now); /* an idle one may have none yet */
        braid_subflow_get_stats(subflow->subflow, &stats);
        fill(io, &infos[n++], &stats, braid_subflow_io_local(subflow), &subflow->peer);
    }
    STAILQ_FOREACH(past, &io->past, link) {
        if (n == max)
            return n;
        fill(io, &infos[n++], &past->stats, &past->local, &past->peer);
    }
    return n;
}
