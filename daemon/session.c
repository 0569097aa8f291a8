/* SPDX-License-Identifier: MIT */
#include "daemon/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/record.h"
#include "daemon/worker.h"

/* max-subflows is at most 64, and the latest 16 that died are told too. */
#define SUBFLOWS_MAX (64 + 16)
#define ADDRESS_TEXT 128

struct session *session_new(struct worker *worker, struct tunnel *tunnel,
                            struct braid_stream *stream, const char *client)
{
    struct session *session = calloc(1, sizeof(*session));

    if (session == NULL) {
        goto no_memory;
    }
    session->client = strdup(client);
    if (session->client == NULL) {
        goto no_memory;
    }
    session->worker = worker;
    session->tunnel = tunnel;
    session->stream = stream;
    session->started = clock_now();
    worker_add_session(worker, session);
    atomic_fetch_add_explicit(&tunnel->sessions, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&tunnel->total, 1, memory_order_relaxed);
    return session;

no_memory:
    free(session);
    braid_stream_free(stream);
    worker_discharge(worker);
    return NULL;
}

static const char *target_text(const struct session *session)
{
    const struct config_tunnel *config = session->tunnel->config;

    return braid_address_text(config->role == CONFIG_LOCAL ? config->paths[0].remotes[0]
                                                           : config->target);
}

static int by_index(const void *a, const void *b)
{
    const struct braid_subflow_info *one = a;
    const struct braid_subflow_info *other = b;

    return (one->index > other->index) - (one->index < other->index);
}

/* All subflows, dead ones too, in the order in which they were made. */
static size_t get_subflows(const struct session *session,
                           struct braid_subflow_info infos[SUBFLOWS_MAX])
{
    size_t count = braid_stream_get_subflows(session->stream, infos, SUBFLOWS_MAX);

    qsort(infos, count, sizeof(infos[0]), by_index);
    return count;
}

/* "0:1234(60%),2:823(40%)" */
static void write_shares(const struct session *session, FILE *out)
{
    struct braid_subflow_info infos[SUBFLOWS_MAX];
    size_t count = get_subflows(session, infos);
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += infos[i].bytes_sent + infos[i].bytes_received;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t bytes = infos[i].bytes_sent + infos[i].bytes_received;
        double percent = sum == 0 ? 0 : 100.0 * (double)bytes / (double)sum;

        fprintf(out, "%s%u:%" PRIu64 "(%.0f%%)", i == 0 ? "" : ",", infos[i].index, bytes, percent);
    }
}

static void log_end(const struct session *session, int error)
{
    struct braid_stream_info info;
    char *shares = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&shares, &length);
    char quoted[ADDRESS_TEXT] = "closed";

    braid_stream_get_info(session->stream, &info);
    if (out != NULL) {
        write_shares(session, out);
        fclose(out);
    }
    if (error != BRAID_OK) {
        snprintf(quoted, sizeof(quoted), "\"%s\"", braid_strerror(error));
    }
    log_line(BRAID_LOG_INFO,
             "session %016" PRIx64 " tunnel=%s client=%s target=%s key=%s sent=%" PRIu64
             " received=%" PRIu64 " duration=%.3f subflows=%s resent=%" PRIu64 " end=%s",
             info.id, session->tunnel->config->name, session->client, target_text(session),
             info.identity, info.bytes_sent, info.bytes_received,
             (double)(clock_now() - session->started) / 1e6, shares == NULL ? "" : shares,
             info.bytes_resent, quoted);
    free(shares);
}

void session_end(struct session *session, int error)
{
    struct worker *worker = session->worker;

    log_end(session, error);
    braid_dial_cancel(session->dial);
    relay_free(session->relay);
    braid_stream_free(session->stream);
    atomic_fetch_sub_explicit(&session->tunnel->sessions, 1, memory_order_relaxed);
    worker_remove_session(worker, session);
    free(session->client);
    free(session);
    worker_discharge(worker);
}

void session_abort(struct session *session, int error)
{
    braid_stream_reset(session->stream, error);
    session_end(session, error);
}

static void callback_connected(void *arg)
{
    struct session *session = arg;

    session->established = true;
}

static void callback_relay_end(int error, void *arg)
{
    session_end(arg, error);
}

void session_relay(struct session *session, int fd)
{
    session->relay = relay_new(worker_base(session->worker), fd, session->stream,
                               callback_connected, callback_relay_end, session);
    if (session->relay == NULL) {
        session_abort(session, BRAID_ERR_MEMORY);
    }
}

static const char *state_text(const struct session *session)
{
    if (session->relay == NULL) {
        return "dialling";
    }
    return session->established ? relay_state(session->relay) : "connecting";
}

static void write_subflow(const struct braid_subflow_info *info, uint64_t id, FILE *out)
{
    char text[ADDRESS_TEXT];

    fprintf(out, "subflow session=%016" PRIx64 " index=%u path=%u", id, info->index, info->path);
    if (info->path_name != NULL) {
        record_value(out, "path-name", info->path_name);
    }
    braid_sockaddr_text((const struct sockaddr *)&info->local, text, sizeof(text));
    record_value(out, "local", text);
    braid_sockaddr_text((const struct sockaddr *)&info->peer, text, sizeof(text));
    record_value(out, "peer", text);
    record_value(out, "state", info->state);
    fprintf(out,
            " sent=%" PRIu64 " received=%" PRIu64 " resent=%" PRIu64 " rtt=%" PRIu32
            " rate=%" PRIu64 "\n",
            info->bytes_sent, info->bytes_received, info->bytes_resent, info->rtt, info->rate);
}

void session_write_status(const struct session *session, FILE *out)
{
    struct braid_subflow_info infos[SUBFLOWS_MAX];
    struct braid_stream_info info;
    size_t count;

    braid_stream_get_info(session->stream, &info);
    fprintf(out, "session id=%016" PRIx64, info.id);
    record_value(out, "tunnel", session->tunnel->config->name);
    record_value(out, "role", tunnel_role(session->tunnel));
    record_value(out, "client", session->client);
    record_value(out, "target", target_text(session));
    record_value(out, "state", state_text(session));
    record_value(out, "protocol", info.protocol == BRAID_PROTOCOL_SEED ? "seed" : "braid");
    if (*info.identity != '\0') {
        record_value(out, "key", info.identity);
    }
    fprintf(out,
            " sent=%" PRIu64 " received=%" PRIu64 " resent=%" PRIu64 " backlog=%" PRIu64
            " unread=%" PRIu64 " subflows=%u lost=%u age=%" PRIu64 "\n",
            info.bytes_sent, info.bytes_received, info.bytes_resent, info.backlog, info.unread,
            info.subflows, info.subflows_lost, clock_now() - session->started);
    count = get_subflows(session, infos);
    for (size_t i = 0; i < count; i++) {
        write_subflow(&infos[i], info.id, out);
    }
}
