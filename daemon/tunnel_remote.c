/* SPDX-License-Identifier: MIT */
#include "daemon/tunnel_remote.h"

#include <stdlib.h>

#include <braid/listener.h>

#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/sockopt.h"
#include "daemon/worker.h"

#define ADDRESS_TEXT 128
/* For resolving the target's name and connecting to it. */
#define DIAL_MILLISECONDS 10000

struct tunnel_remote {
    struct worker *worker;
    struct tunnel *tunnel;
    struct log_limit log_limit;
    size_t count;
    struct braid_listener *listeners[];
};

/* While the target is dialled, the only news from the stream is that it is broken. */
static void callback_stream_event(struct braid_stream *stream, unsigned events, void *arg)
{
    if ((events & BRAID_EVENT_ERROR) != 0) {
        session_end(arg, braid_stream_get_error(stream));
    }
}

static void callback_dialled(int fd, int error, void *arg)
{
    struct session *session = arg;

    session->dial = NULL;
    if (error != BRAID_OK) {
        if (error >= BRAID_ERR_RESET) {
            braid_stream_answer(session->stream, error);
        } else {
            braid_stream_reset(session->stream, error);
        }
        session_end(session, error);
        return;
    }
    sockopt_plain(fd);
    session->established = true;
    braid_stream_answer(session->stream, BRAID_OK);
    session_relay(session, fd);
}

static void refuse(struct tunnel_remote *remote, struct braid_stream *stream, const char *client)
{
    log_limited(&remote->log_limit, 1, BRAID_LOG_WARNING,
                "[remote %s] session from %s refused: max-sessions is reached",
                remote->tunnel->config->name, client);
    braid_stream_reset(stream, BRAID_ERR_LIMIT);
    braid_stream_free(stream);
}

/* The address that the session's first subflow comes from. */
static void client_text(const struct braid_stream *stream, char *text, size_t size)
{
    struct braid_subflow_info info = {.peer = {.ss_family = AF_UNSPEC}};

    (void)braid_stream_get_subflows(stream, &info, 1);
    braid_sockaddr_text((const struct sockaddr *)&info.peer, text, size);
}

static void callback_session(struct braid_listener *listener, struct braid_stream *stream,
                             void *arg)
{
    struct tunnel_remote *remote = arg;
    struct worker *worker = remote->worker;
    struct session *session;
    char client[ADDRESS_TEXT];

    (void)listener;
    client_text(stream, client, sizeof(client));
    if (!worker_charge(worker)) {
        refuse(remote, stream, client);
        return;
    }
    session = session_new(worker, remote->tunnel, stream, client);
    if (session == NULL) {
        return;
    }
    session->dial = braid_dial_new(worker_context(worker), remote->tunnel->config->target,
                                   DIAL_MILLISECONDS, callback_dialled, session);
    if (session->dial == NULL) {
        session_abort(session, BRAID_ERR_MEMORY);
        return;
    }
    braid_stream_setcb(stream, NULL, NULL, callback_stream_event, session);
}

struct tunnel_remote *tunnel_remote_new(struct worker *worker, struct tunnel *tunnel)
{
    struct tunnel_remote *remote =
        calloc(1, sizeof(*remote) + tunnel->socket_count * sizeof(remote->listeners[0]));

    if (remote == NULL) {
        return NULL;
    }
    remote->worker = worker;
    remote->tunnel = tunnel;
    for (; remote->count < tunnel->socket_count; remote->count++) {
        struct braid_listener *listener =
            braid_listener_new(worker_context(worker), tunnel->options,
                               tunnel->sockets[remote->count].fd, callback_session, remote);

        if (listener == NULL) {
            tunnel_remote_free(remote);
            return NULL;
        }
        remote->listeners[remote->count] = listener;
    }
    return remote;
}

void tunnel_remote_drain(struct tunnel_remote *remote)
{
    for (size_t i = 0; i < remote->count; i++) {
        braid_listener_disable(remote->listeners[i]);
    }
}

void tunnel_remote_recheck(struct tunnel_remote *remote)
{
    for (size_t i = 0; i < remote->count; i++) {
        braid_listener_recheck(remote->listeners[i]);
    }
}

void tunnel_remote_free(struct tunnel_remote *remote)
{
    if (remote == NULL) {
        return;
    }
    for (size_t i = 0; i < remote->count; i++) {
        braid_listener_free(remote->listeners[i]);
    }
    free(remote);
}
