/* SPDX-License-Identifier: MIT */
#include "subflow_io.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "connector.h"
#include "context.h"
#include "past.h"
#include "session_io.h"
#include "sockopt.h"
#include "transport_tls.h"

#define PULL_MAX 128

/* The core cuts no frames for less room than this. */
#define ROOM_NONE 4096u

/* With less room than this left of what is known, the socket is asked anew. */
#define ROOM_SMALL 16384u

/*
 * Microseconds of a round trip from which on pacing is worth its timers, and segments of a window
 * from which on it is of use: HyStart looks at none below (hystart_low_window), and until then it
 * would only make each round trip of slow start half as long again.
 */
#define PACED_FROM 1000u
#define PACED_WINDOW 16u

static void on_read(evutil_socket_t fd, short what, void *arg);
static void on_write(evutil_socket_t fd, short what, void *arg);
static void sample(struct braid_subflow_io *subflow, uint64_t now);

/* ---- life ---- */

const union braid_endpoint *braid_subflow_io_local(struct braid_subflow_io *subflow)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof sa;

    if (subflow->local.family == AF_UNSPEC) {
        (void)getsockname(subflow->transport.fd, (struct sockaddr *)&sa, &len);
        braid_endpoint_set(&subflow->local, (struct sockaddr *)&sa);
    }
    return &subflow->local;
}

/* Sees to all that a socket is not in need of before its first bytes are on their way. */
static void settle(struct braid_subflow_io *subflow)
{
    subflow->settled = true;
    if (subflow->transport.tcp && subflow->slot != NULL)
        braid_sockopt_subflow(subflow->transport.fd); /* an accepted one inherits its listener's */
}

/* What a transport holds outside the pool. */
static size_t foreign_bytes(const struct braid_transport *transport)
{
    return transport->tls != NULL ? BRAID_TLS_BYTES : 0;
}

/* Takes back what subflow_new() did; the transport stays open. */
static void subflow_free(struct braid_subflow_io *subflow)
{
    struct braid_pool *pool = subflow->io->context->pool;

    event_del(&subflow->read);
    event_del(&subflow->write);
    braid_pool_discharge(pool, foreign_bytes(&subflow->transport));
    braid_pool_release(pool, subflow, sizeof *subflow);
}

static struct braid_subflow_io *subflow_new(struct braid_session_io *io,
                                            const struct braid_transport *transport)
{
    struct braid_context *context = io->context;
    struct braid_subflow_io *subflow = braid_pool_alloc(context->pool, sizeof *subflow);

    if (subflow == NULL)
        return NULL;
    if (!braid_pool_charge(context->pool, foreign_bytes(transport))) {
        braid_pool_release(context->pool, subflow, sizeof *subflow);
        return NULL;
    }
    subflow->io = io;
    subflow->transport = *transport;
    event_assign(&subflow->read, context->base, transport->fd, EV_READ | EV_PERSIST, on_read,
                 subflow);
    event_assign(&subflow->write, context->base, transport->fd, EV_WRITE | EV_PERSIST, on_write,
                 subflow);
    if (event_add(&subflow->read, NULL) != 0) {
        subflow_free(subflow);
        return NULL;
    }
    return subflow;
}

/* The socket does not tell of what the transport has read ahead. */
static void read_more(struct braid_subflow_io *subflow)
{
    if (subflow->transport.more)
        event_active(&subflow->read, EV_READ, 0);
}

/* The core has taken it; what its handshake told is a beginning. */
static void start(struct braid_subflow_io *subflow, uint64_t now)
{
    read_more(subflow);
    sample(subflow, now);
    TAILQ_INSERT_TAIL(&subflow->io->subflows, subflow, link);
    subflow->lowat = braid_subflow_lowat(subflow->subflow);
    braid_subflow_set_room(subflow->subflow, subflow->lowat);
}

struct braid_subflow_io *braid_subflow_io_add(struct braid_session_io *io, unsigned path,
                                              const struct braid_transport *transport, uint64_t now)
{
    struct braid_subflow_io *subflow = subflow_new(io, transport);

    if (subflow == NULL)
        return NULL;
    subflow->subflow = braid_subflow_add(io->session, path, subflow, now);
    if (subflow->subflow == NULL) {
        subflow_free(subflow);
        return NULL;
    }
    start(subflow, now);
    return subflow;
}

/* A path leads from one host address to one: subflows that share both share it. */
static void find_path(struct braid_subflow_io *subflow)
{
    struct braid_subflow_io *other;

    subflow->path = 0; /* and not asked for its address, when it is the first */
    TAILQ_FOREACH(other, &subflow->io->subflows, link) {
        if (braid_endpoint_same_host(&subflow->peer, &other->peer) &&
            braid_endpoint_same_host(braid_subflow_io_local(subflow),
                                     braid_subflow_io_local(other))) {
            subflow->path = other->path;
            break;
        }
        if (subflow->path <= other->path)
            subflow->path = other->path + 1;
    }
    braid_subflow_set_path(subflow->subflow, subflow->path);
}

struct braid_subflow_io *braid_subflow_io_join(struct braid_session_io *io,
                                               const struct braid_transport *transport,
                                               const union braid_endpoint *peer,
                                               const struct braid_hello *hello, int *error,
                                               uint64_t now)
{
    struct braid_subflow_io *subflow = subflow_new(io, transport);

    *error = BRAID_ERR_MEMORY;
    if (subflow == NULL)
        return NULL;
    subflow->subflow = braid_subflow_join(io->session, hello, subflow, error, now);
    if (subflow->subflow == NULL) {
        subflow_free(subflow);
        return NULL;
    }
    subflow->peer = *peer;
    find_path(subflow);
    start(subflow, now);
    return subflow;
}

/*
 * Takes it off the session's list; the transport is somebody else's from here on. failed: it does
 * not end in order.
 */
static void detach(struct braid_subflow_io *subflow, bool failed)
{
    TAILQ_REMOVE(&subflow->io->subflows, subflow, link);
    if (subflow->slot != NULL)
        braid_connector_lost(subflow->slot, failed);
    subflow_free(subflow);
}

void braid_subflow_io_drop(struct braid_subflow_io *subflow)
{
    struct braid_transport transport = subflow->transport;

    detach(subflow, false);
    transport.ops->shutdown(&transport);
    transport.ops->close(&transport);
}

/* Closes it before its end. In the seed's format an end in order would be the end of the stream. */
static void break_off(const struct braid_session *session, struct braid_transport *transport)
{
    if (braid_session_speaks_seed(session))
        braid_sockopt_abort(transport->fd);
    transport->ops->close(transport);
}

void braid_subflow_io_close(struct braid_subflow_io *subflow, const struct braid_subflow *last,
                            int error)
{
    struct braid_context *context = subflow->io->context;
    const struct braid_session *session = subflow->io->session;
    struct braid_transport transport = subflow->transport;

    if (last != NULL)
        braid_past_add(subflow->io, subflow, last, error == BRAID_OK ? "closed" : "lost");
    /* What the peer has refused says nothing against the path. */
    detach(subflow, error == BRAID_ERR_SILENT || error == BRAID_ERR_TIMEOUT);
    if (error == BRAID_OK) {
        braid_linger_start(context, &transport);
        return;
    }
    break_off(session, &transport);
}

/* The transport is of no use any more; why: in words, for the log. */
static void lose(struct braid_subflow_io *subflow, int error, enum braid_log_kind kind,
                 const char *why, uint64_t now)
{
    struct braid_session_io *io = subflow->io;
    struct braid_subflow *core = subflow->subflow;
    struct braid_transport transport = subflow->transport;
    struct braid_subflow_stats stats;
    char buf[128];

    braid_subflow_get_stats(core, &stats);
    braid_log(io->context, BRAID_LOG_INFO, kind, "session %016llx: subflow %u %s %s lost: %s",
              (unsigned long long)braid_session_id(io->session), stats.index,
              io->claim != NULL ? "from" : "to",
              braid_sockaddr_text(&subflow->peer.sa, buf, sizeof buf), why);
    braid_past_add(io, subflow, core, "lost");
    detach(subflow, true);
    break_off(io->session, &transport);
    braid_subflow_lost(core, error, now);
}

/* ---- reading ---- */

/* The peer says nothing more; false: the subflow has to go. */
static bool end_reading(struct braid_subflow_io *subflow, uint64_t now)
{
    if (!braid_subflow_ended(subflow->subflow, now))
        return false;
    subflow->ended = true;
    return true;
}

/* Stops to read what is too far ahead, and begins again. */
static void watch_reading(struct braid_subflow_io *subflow)
{
    bool paused = subflow->ended || !braid_subflow_may_read(subflow->subflow);

    if (paused == subflow->paused)
        return;
    if (!paused && event_add(&subflow->read, NULL) != 0)
        return; /* the next event of the session tries again */
    if (paused)
        event_del(&subflow->read);
    subflow->paused = paused;
}

void braid_subflow_io_feed(struct braid_subflow_io *subflow, const struct braid_received *pieces,
                           int count, uint64_t now)
{
    for (int i = 0; i < count; i++) {
        int error = braid_subflow_feed(subflow->subflow, pieces[i].chunk, pieces[i].start,
                                       pieces[i].len, now);

        if (error != 0) {
            lose(subflow, -error, BRAID_LOG_PEER, braid_strerror(-error), now);
            return;
        }
    }
    subflow->busy = true;
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    struct braid_subflow_io *subflow = arg;
    struct braid_session_io *io = subflow->io;
    struct braid_context *context = io->context;
    struct braid_received pieces[BRAID_RECEIVE_CHUNKS];
    struct iovec v[BRAID_RECEIVE_CHUNKS];
    size_t room = 0;
    uint64_t now;
    bool ahead = subflow->transport.more;
    int count;
    ssize_t n;

    (void)fd;
    (void)what;
    if (subflow->condemned != NULL) {
        now = braid_clock();
        braid_session_io_enter(io);
        lose(subflow, BRAID_ERR_SUBFLOW_LOST, BRAID_LOG_SUBFLOW, subflow->condemned, now);
        braid_session_io_leave(io, now);
        return;
    }
    count = braid_receive_prepare(&context->receive, context->pool, subflow->eager, v);
    for (int i = 0; i < count; i++)
        room += v[i].iov_len;
    errno = ENOMEM;
    n = count == 0 ? -1 : subflow->transport.ops->read(&subflow->transport, v, count);
    if (n < 0 && errno == EAGAIN)
        return;
    read_more(subflow);
    now = braid_clock();
    braid_session_io_enter(io);
    if (n > 0) {
        if (!ahead)
            subflow->eager = (size_t)n == room;
        count = braid_receive_done(&context->receive, (size_t)n, pieces);
        braid_subflow_io_feed(subflow, pieces, count, now);
    } else if (n < 0 || !end_reading(subflow, now)) {
        lose(subflow, n < 0 && errno == ENOMEM ? BRAID_ERR_MEMORY : BRAID_ERR_SUBFLOW_LOST,
             BRAID_LOG_SUBFLOW,
             n == 0 ? "the peer closed it" : braid_transport_why(&subflow->transport, errno), now);
    }
    braid_session_io_leave(io, now);
}

void braid_subflow_io_condemn(struct braid_subflow_io *subflow, const char *why)
{
    subflow->condemned = why;
    event_active(&subflow->read, EV_READ, 0);
}

/* ---- writing ---- */

/* Has the core know what the socket says. */
static void sample(struct braid_subflow_io *subflow, uint64_t now)
{
    struct braid_sample taken;
    size_t lowat;

    subflow->sampled = now;
    subflow->busy = false;
    if (!subflow->transport.tcp || !braid_sockopt_sample(subflow->transport.fd, &taken))
        return;
    subflow->busy = taken.outq > 0;
    /* Behind the peer's FIN there is no event that would tell. */
    if (taken.closed && subflow->ended && !subflow->shut && subflow->condemned == NULL)
        braid_subflow_io_condemn(subflow, "the connection broke off");
    if (!subflow->paced && taken.rtt >= PACED_FROM && taken.cwnd >= PACED_WINDOW) {
        subflow->paced = true;
        braid_sockopt_pace(subflow->transport.fd);
    }
    braid_subflow_sample(subflow->subflow, &taken, now);
    if (subflow->slot != NULL)
        braid_connector_measured(subflow->slot, now);
    lowat = braid_subflow_lowat(subflow->subflow);
    if (lowat >= subflow->lowat * 2 || lowat <= subflow->lowat / 2) {
        subflow->lowat = lowat;
        subflow->lowat_set = true;
        braid_sockopt_lowat(subflow->transport.fd, lowat);
    }
}

void braid_subflow_io_cut(struct braid_subflow_io *subflow, uint64_t now)
{
    sample(subflow, now); /* what had arrived until now is no sign of life later */
    braid_subflow_cut(subflow->subflow, now);
}

void braid_subflow_io_look(struct braid_subflow_io *subflow, uint64_t now)
{
    if (now - subflow->sampled >= braid_subflow_sample_time(subflow->subflow))
        sample(subflow, now);
}

void braid_subflow_io_refresh(struct braid_subflow_io *subflow, uint64_t now)
{
    size_t unsent = 0;

    if (subflow->busy)
        braid_subflow_io_look(subflow, now);
    if (subflow->transport.tcp && braid_subflow_is_capped(subflow->subflow))
        braid_subflow_set_queued(subflow->subflow, braid_sockopt_queued(subflow->transport.fd));
    if (braid_subflow_room(subflow->subflow) >= ROOM_SMALL ||
        !braid_subflow_wants_room(subflow->subflow))
        return;
    if (subflow->transport.tcp)
        unsent = braid_sockopt_unsent(subflow->transport.fd);
    braid_subflow_set_room(subflow->subflow, unsent < subflow->lowat ? subflow->lowat - unsent : 0);
}

void braid_subflow_io_write(struct braid_subflow_io *subflow, uint64_t now)
{
    struct iovec v[PULL_MAX];
    int count = braid_subflow_pull(subflow->subflow, v, PULL_MAX, now);
    size_t total = 0;
    int number;
    ssize_t n;

    for (int i = 0; i < count; i++)
        total += v[i].iov_len;
    n = count == 0 ? 0 : subflow->transport.ops->write(&subflow->transport, v, count);
    number = errno;
    braid_subflow_pulled(subflow->subflow, n > 0 ? (size_t)n : 0, now);
    subflow->busy = true;
    if (n < 0 && number != EAGAIN) {
        lose(subflow, BRAID_ERR_SUBFLOW_LOST, BRAID_LOG_SUBFLOW,
             braid_transport_why(&subflow->transport, number), now);
        return;
    }
    if (!subflow->shut && braid_subflow_is_shut(subflow->subflow)) {
        subflow->shut = true;
        subflow->transport.ops->shutdown(&subflow->transport);
    }
    if (n <= 0 || (size_t)n < total || subflow->transport.backlog) {
        subflow->blocked = true;
        braid_subflow_set_blocked(subflow->subflow, true);
    }
}

void braid_subflow_io_watch(struct braid_subflow_io *subflow)
{
    bool wanted = subflow->blocked || subflow->transport.backlog ||
                  (braid_subflow_room(subflow->subflow) < ROOM_NONE &&
                   braid_subflow_wants_room(subflow->subflow));

    if (subflow->slot != NULL)
        braid_connector_watch(subflow->slot);
    if (!subflow->settled && subflow->busy)
        settle(subflow);
    watch_reading(subflow);
    if (wanted == subflow->writing)
        return;
    if (!subflow->lowat_set && subflow->transport.tcp) {
        /* Without it the event would come at once, whatever is unsent. */
        subflow->lowat_set = true;
        braid_sockopt_lowat(subflow->transport.fd, subflow->lowat);
    }
    if (wanted && event_add(&subflow->write, NULL) != 0)
        return; /* the next event of the session tries again */
    if (!wanted)
        event_del(&subflow->write);
    subflow->writing = wanted;
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
    struct braid_subflow_io *subflow = arg;
    struct braid_session_io *io = subflow->io;
    uint64_t now = braid_clock();

    (void)fd;
    (void)what;
    braid_session_io_enter(io);
    if (subflow->transport.ops->flush(&subflow->transport) == 0) {
        subflow->blocked = false;
        braid_subflow_set_blocked(subflow->subflow, false);
    } else if (errno != EAGAIN) {
        lose(subflow, BRAID_ERR_SUBFLOW_LOST, BRAID_LOG_SUBFLOW,
             braid_transport_why(&subflow->transport, errno), now);
    }
    braid_session_io_leave(io, now);
}
