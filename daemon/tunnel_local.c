/* SPDX-License-Identifier: MIT */
#include "daemon/tunnel_local.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/acceptor.h"
#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/sockopt.h"
#include "daemon/worker.h"

#define ADDRESS_TEXT 128

struct tunnel_local {
    struct worker *worker;
    struct tunnel *tunnel;
    size_t count;
    struct acceptor *acceptors[];
};

/* A client on its way to the worker that has the fewest sessions. */
struct handover {
    struct mail mail;
    struct tunnel *tunnel;
    int fd;
    char client[ADDRESS_TEXT];
};

void tunnel_local_serve(struct worker *worker, struct tunnel *tunnel, int fd, const char *client)
{
    struct session *session;
    struct braid_stream *stream = braid_stream_connect(worker_context(worker), tunnel->options,
                                                       tunnel->paths, tunnel->config->path_count);

    if (stream == NULL) {
        static _Thread_local struct log_limit limit;

        log_limited(&limit, 1, BRAID_LOG_ERR, "[local %s] client %s reset: no memory for a session",
                    tunnel->config->name, client);
        sockopt_close_reset(fd);
        worker_discharge(worker);
        return;
    }
    session = session_new(worker, tunnel, stream, client);
    if (session == NULL) {
        sockopt_close_reset(fd);
        return;
    }
    session_relay(session, fd);
}

static void deliver_handover(struct mail *mail, void *owner)
{
    struct handover *handover = (struct handover *)mail;

    if (owner != NULL) {
        tunnel_local_serve(owner, handover->tunnel, handover->fd, handover->client);
    } else {
        sockopt_close_reset(handover->fd);
    }
    free(handover);
}

static void callback_client(int fd, const struct sockaddr *peer, void *arg)
{
    struct tunnel_local *local = arg;
    struct worker *chosen = worker_charge_least(local->worker);
    struct handover *handover;
    char client[ADDRESS_TEXT];

    braid_sockaddr_text(peer, client, sizeof(client));
    if (chosen == local->worker) {
        tunnel_local_serve(chosen, local->tunnel, fd, client);
        return;
    }
    handover = calloc(1, sizeof(*handover));
    if (handover == NULL) {
        sockopt_close_reset(fd);
        worker_discharge(chosen);
        return;
    }
    handover->mail.deliver = deliver_handover;
    handover->tunnel = local->tunnel;
    handover->fd = fd;
    memcpy(handover->client, client, sizeof(client));
    mailbox_post(worker_mailbox(chosen), &handover->mail);
}

struct tunnel_local *tunnel_local_new(struct worker *worker, struct tunnel *tunnel)
{
    struct tunnel_local *local =
        calloc(1, sizeof(*local) + tunnel->socket_count * sizeof(local->acceptors[0]));

    if (local == NULL) {
        return NULL;
    }
    local->worker = worker;
    local->tunnel = tunnel;
    for (; local->count < tunnel->socket_count; local->count++) {
        struct tunnel_socket *on = &tunnel->sockets[local->count];
        struct acceptor *acceptor = acceptor_new(worker_base(worker), worker_limits(worker), on->fd,
                                                 on->text, callback_client, local);

        if (acceptor == NULL) {
            tunnel_local_free(local);
            return NULL;
        }
        local->acceptors[local->count] = acceptor;
    }
    return local;
}

void tunnel_local_free(struct tunnel_local *local)
{
    if (local == NULL) {
        return;
    }
    for (size_t i = 0; i < local->count; i++) {
        acceptor_free(local->acceptors[i]);
    }
    free(local);
}

void tunnel_local_resume(struct tunnel_local *local)
{
    for (size_t i = 0; i < local->count; i++) {
        acceptor_resume(local->acceptors[i]);
    }
}
