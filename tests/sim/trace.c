/* SPDX-License-Identifier: MIT */
/*
 * The line of a timeline that shows how a subflow is: of the session's side of it, of its socket,
 * and of the path's queue before it. It is not part of the timeline's hash.
 */
#include <inttypes.h>

#include "endpoint.h"
#include "run.h"

void sim_trace_subflow(const struct sim_endpoint *endpoint, const struct sim_link *link)
{
    const struct sim_flow *flow = &link->pipe->flows[link->side];
    const struct sim_world *world = endpoint->host->world;
    struct braid_subflow_stats subflow;
    struct braid_session_stats session;

    if (!world->trace) {
        return;
    }
    braid_subflow_get_stats(link->subflow, &subflow);
    braid_session_get_stats(endpoint->session, &session);
    fprintf(world->trace,
            "%12.6f subflow       pipe=%u side=%u path=%u %s socket=%" PRIu64 " unsent=%" PRIu64
            " cwnd=%u rtt=%.1f rate=%.1f sent=%" PRIu64 " again=%" PRIu64 " wire=%" PRIu64
            " session: waits=%" PRIu64 " again=%" PRIu64 "\n",
            (double)world->now / 1e6, link->pipe->number, endpoint->side, link->path, subflow.state,
            flow->written - flow->una, sim_pipe_unsent(link->pipe, link->side),
            flow->congestion.cwnd, (double)subflow.rtt / 1e3, (double)subflow.rate * 8 / 1e6,
            subflow.bytes_sent, subflow.bytes_resent, link->pipe->path->wires[link->side].queued,
            session.committed - session.acked, session.bytes_resent);
}
