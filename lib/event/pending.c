/* SPDX-License-Identifier: MIT */
#include "pending.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire.h"

#include "clock.h"
#include "context.h"
#include "listener.h"
#include "session_io.h"
#include "subflow_io.h"

/* How often room is made for one that comes, while others come in at the same time. */
#define ROOM_TRIES 4

/* What OpenSSL holds for a connection in the middle of its handshake, about. */
#define HANDSHAKE_BYTES ((size_t)48 << 10)

struct braid_pending {
    TAILQ_ENTRY(braid_pending) link;
    struct braid_context *context;
    uint64_t listener;
    struct braid_transport transport;
    union braid_endpoint peer;
    struct event event;
    bool writing; /* the event is for room to write too */
    uint64_t ends;
    struct braid_guard_pass pass;
    struct braid_claim *claim; /* NULL: the greeting is not whole yet */
    struct braid_greeting greeting;
};

static const char *peer_text(const union braid_endpoint *peer, char *buf, size_t size)
{
    if (peer->family == AF_UNIX)
        return "a unix socket";
    return braid_sockaddr_text(&peer->sa, buf, size);
}

static struct braid_guard *guard_of(const struct braid_context *context)
{
    return braid_group_guard(context->group);
}

/* Frees everything but the transport, which was handed on or closed. */
static void pending_free(struct braid_pending *pending)
{
    struct braid_pendings *pendings = &pending->context->pendings;

    event_del(&pending->event);
    braid_guard_leave(guard_of(pending->context), &pending->pass);
    if (pending->claim != NULL)
        braid_group_release(pending->context->group, pending->claim);
    TAILQ_REMOVE(&pendings->list, pending, link);
    if (--pendings->count == 0)
        event_del(&pendings->timer);
    braid_pool_release(pending->context->pool, pending, sizeof *pending);
}

static void close_and_free(struct braid_pending *pending)
{
    struct braid_transport transport = pending->transport;

    pending_free(pending);
    transport.ops->close(&transport);
}

static void drop(struct braid_pending *pending, enum braid_log_kind kind, const char *why)
{
    char buf[128];

    braid_log(pending->context, BRAID_LOG_INFO, kind, "subflow from %s closed: %s",
              peer_text(&pending->peer, buf, sizeof buf), why);
    close_and_free(pending);
}

/* The same, for what no honest peer does. */
static void drop_failed(struct braid_pending *pending, enum braid_log_kind kind, const char *why)
{
    braid_guard_failed(guard_of(pending->context), &pending->peer, braid_clock());
    drop(pending, kind, why);
}

/* The one line a minute about each reason. */
static void tell(struct braid_context *context, enum braid_guard_verdict verdict,
                 const union braid_endpoint *peer)
{
    static const char *const texts[BRAID_GUARD_VERDICTS] = {
        [BRAID_GUARD_FULL] = "too many connections have not greeted (max-half-open)",
        [BRAID_GUARD_FULL_SOURCE] =
            "too many connections from one network have not greeted (max-half-open-per-source)",
        [BRAID_GUARD_FULL_MEMORY] =
            "connections that have not greeted hold too much memory (max-half-open-memory)",
        [BRAID_GUARD_FAILING] = "too many greetings from one source failed (max-join-failures)",
        [BRAID_GUARD_FULL_PEER] = "a key has as many sessions as it may have "
                                  "(max-sessions-per-key)",
    };
    char buf[128];
    uint64_t before;

    if (braid_guard_turned_away(guard_of(context), verdict, braid_clock(), &before))
        braid_log(context, BRAID_LOG_WARNING, BRAID_LOG_LIMIT,
                  "%s: one is turned away for %s, and %llu were since the last such line",
                  texts[verdict], peer_text(peer, buf, sizeof buf), (unsigned long long)before);
}

/* ---- the greeting is whole ---- */

/* Whether who is refused for that has shown no right to be here. */
static bool is_failure(int error)
{
    return error == BRAID_ERR_UNKNOWN_SESSION || error == BRAID_ERR_TOKEN ||
           error == BRAID_ERR_PROTOCOL;
}

/* Answers a greeting with the reason why there is nothing for it here. */
static void refuse(struct braid_pending *pending, const struct braid_hello *hello, int error)
{
    struct braid_context *context = pending->context;
    uint8_t bytes[BRAID_GREETING_MAX];
    struct iovec v = {.iov_base = bytes};
    struct braid_transport transport;
    struct braid_guard_pass pass;
    bool late = error == BRAID_ERR_FINISHED; /* what a slow path may well bring */
    char buf[128];

    braid_log(context, late ? BRAID_LOG_DEBUG : BRAID_LOG_INFO,
              late ? BRAID_LOG_LATE : BRAID_LOG_REFUSED,
              "subflow from %s for session %016llx refused: %s",
              peer_text(&pending->peer, buf, sizeof buf), (unsigned long long)hello->session,
              braid_strerror(error));
    v.iov_len = braid_greeting_refuse(bytes, hello, braid_group_instance(context->group), error);
    /* A socket that nothing was written to yet takes this much. */
    (void)pending->transport.ops->write(&pending->transport, &v, 1);
    if (is_failure(error))
        braid_guard_failed(guard_of(context), &pending->peer, braid_clock());
    transport = pending->transport;
    pass = pending->pass;
    pending->pass.held = false;
    pending_free(pending);
    braid_linger_refused(context, &transport, &pass);
}

/* A number for who has been proven to be at the other end: without TLS 0, nobody. */
static uint64_t peer_of(const struct braid_pending *pending)
{
    uint64_t number;

    memcpy(&number, braid_transport_identity(&pending->transport)->id, sizeof number);
    return number;
}

/* The session that a greeting is for, made where that is asked; NULL with *error set. */
static struct braid_session_io *session_for(struct braid_pending *pending,
                                            const struct braid_hello *hello, uint64_t now,
                                            int *error)
{
    struct braid_claim *claim = pending->claim;
    uint64_t peer = peer_of(pending);
    struct braid_listener *listener;
    struct braid_session_io *io;

    if (claim->ended) {
        *error = claim->error == BRAID_OK ? BRAID_ERR_FINISHED : BRAID_ERR_UNKNOWN_SESSION;
        return NULL;
    }
    if (claim->session != NULL)
        return claim->session;
    *error = BRAID_ERR_UNKNOWN_SESSION;
    if ((hello->flags & BRAID_HELLO_CREATE) == 0)
        return NULL;
    *error = BRAID_ERR_SHUTDOWN;
    listener = braid_listener_find(pending->context, pending->listener);
    if (listener == NULL || listener->disabled)
        return NULL;
    *error = BRAID_ERR_MEMORY;
    if (braid_pool_pressure(pending->context->pool) >= BRAID_PRESSURE_SHORT)
        return NULL;
    *error = BRAID_ERR_LIMIT;
    if (!braid_guard_take_session(guard_of(pending->context), peer)) {
        tell(pending->context, BRAID_GUARD_FULL_PEER, &pending->peer);
        return NULL;
    }
    *error = BRAID_ERR_MEMORY;
    io = braid_session_io_accept(pending->context, &listener->options,
                                 braid_transport_identity(&pending->transport), hello, now);
    if (io == NULL) {
        braid_guard_end_session(guard_of(pending->context), peer);
        return NULL;
    }
    io->counted = peer;
    pending->claim = NULL; /* it is the session's now */
    io->claim = claim;
    io->listener = pending->listener;
    claim->session = io;
    return io;
}

/* Joins the subflow to its session and gives it what was read behind the greeting. */
static void greeted(struct braid_pending *pending, const struct braid_hello *hello,
                    const struct braid_received *rest)
{
    struct braid_context *context = pending->context;
    struct braid_listener *listener = braid_listener_find(context, pending->listener);
    bool known = pending->claim->session != NULL;
    uint64_t now = braid_clock();
    struct braid_session_io *io;
    struct braid_subflow_io *subflow;
    int error = BRAID_OK;

    io = session_for(pending, hello, now, &error);
    if (io == NULL) {
        refuse(pending, hello, error);
        return;
    }
    braid_session_io_enter(io);
    subflow = braid_subflow_io_join(io, &pending->transport, &pending->peer, hello, &error, now);
    if (subflow == NULL) {
        if (!known)
            braid_session_io_discard(io, error, now);
        refuse(pending, hello, error);
    } else {
        pending_free(pending);
        if (!known)
            listener->cb(listener->first, &io->stream, listener->arg);
        if (rest->len > 0)
            braid_subflow_io_feed(subflow, rest, 1, braid_clock());
        if (!known) {
            /* A target on this machine is connected by now: one write says so and greets. */
            braid_session_io_postpone(io);
            return;
        }
    }
    braid_session_io_leave(io, now);
}

/* ---- reading it ---- */

static void on_event(evutil_socket_t fd, short what, void *arg);

static void watch(struct braid_pending *pending)
{
    short what = EV_READ | EV_PERSIST;

    pending->writing = pending->transport.backlog;
    if (pending->writing)
        what |= EV_WRITE;
    event_del(&pending->event);
    event_assign(&pending->event, pending->context->base, pending->transport.fd, what, on_event,
                 pending);
    if (event_add(&pending->event, NULL) != 0)
        drop(pending, BRAID_LOG_SILENT, "out of memory");
}

static struct braid_handoff *handoff_new(const struct braid_pending *pending,
                                         const struct braid_hello *hello,
                                         const struct braid_received *rest)
{
    struct braid_handoff *handoff = calloc(1, sizeof *handoff + rest->len);

    if (handoff == NULL)
        return NULL;
    handoff->claim = pending->claim;
    handoff->transport = pending->transport;
    handoff->peer = pending->peer;
    handoff->listener = pending->listener;
    handoff->pass = pending->pass;
    handoff->hello = *hello;
    handoff->len = rest->len;
    memcpy(handoff->data, rest->chunk->data + rest->start, rest->len);
    return handoff;
}

/* Hands the subflow to its session's owner; false: it stays here. */
static bool hand_over(struct braid_pending *pending, const struct braid_hello *hello,
                      const struct braid_received *rest)
{
    struct braid_handoff *handoff = handoff_new(pending, hello, rest);

    if (handoff == NULL) {
        drop(pending, BRAID_LOG_SILENT, "out of memory");
        return true;
    }
    event_del(&pending->event); /* the descriptor may be closed over there at any time from now */
    if (!braid_group_post(pending->context, handoff)) {
        (void)event_add(&pending->event, NULL);
        free(handoff);
        return false;
    }
    pending->claim = NULL;
    pending->pass.held = false;
    pending_free(pending);
    return true;
}

/* Whose is the session? True: the subflow was handed over, or is gone. */
static bool claim(struct braid_pending *pending, const struct braid_hello *hello,
                  const struct braid_received *rest)
{
    enum braid_claim_place place;

    pending->claim = braid_group_claim(pending->context, hello->session,
                                       braid_transport_identity(&pending->transport),
                                       pending->listener, braid_clock(), &place);
    if (pending->claim == NULL) {
        drop(pending, BRAID_LOG_SILENT, "out of memory");
        return true;
    }
    return place == BRAID_CLAIM_ELSEWHERE && hand_over(pending, hello, rest);
}

static const char *security_text(const struct braid_pending *pending)
{
    return pending->greeting.security == BRAID_SECURITY_TLS
               ? "it asks for no security, which is refused here: its configuration wants a key"
               : "it asks for other security than none";
}

static void feed(struct braid_pending *pending, const struct braid_received *piece)
{
    struct braid_received rest = *piece;
    struct braid_hello hello;
    uint64_t id = 0;
    size_t used = 0;
    int result;

    result = braid_greeting_feed(&pending->greeting, piece->chunk->data + piece->start, piece->len,
                                 &used, &id, &hello);
    if (result < 0) {
        drop_failed(pending, BRAID_LOG_GREETING,
                    result == -BRAID_ERR_SECURITY ? security_text(pending)
                                                  : braid_strerror(-result));
        return;
    }
    rest.start += (uint32_t)used;
    rest.len -= (uint32_t)used;
    if (result == BRAID_GREETING_DONE && !claim(pending, &hello, &rest))
        greeted(pending, &hello, &rest);
}

/* Whether TLS has to begin here: the preamble is all that may be read without it. */
static bool is_behind_preamble(const struct braid_pending *pending)
{
    return pending->greeting.security == BRAID_SECURITY_TLS && pending->transport.tls == NULL &&
           pending->greeting.fill == BRAID_PREAMBLE_SIZE;
}

static bool begin_tls(struct braid_pending *pending)
{
    struct braid_context *context = pending->context;
    struct braid_listener *listener = braid_listener_find(context, pending->listener);
    struct braid_credentials *credentials;
    bool begun;

    if (!braid_guard_grow(guard_of(context), &pending->pass, HANDSHAKE_BYTES)) {
        tell(context, BRAID_GUARD_FULL_MEMORY, &pending->peer);
        return false;
    }
    credentials = braid_security_credentials(listener->options.security);
    begun = braid_transport_tls_accept(&pending->transport, &context->scratch, credentials);
    braid_credentials_unref(credentials);
    return begun;
}

/* Reads what is there; the pending may be gone afterwards. */
static void read_greeting(struct braid_pending *pending)
{
    struct braid_context *context = pending->context;
    struct braid_received pieces[BRAID_RECEIVE_CHUNKS];
    struct iovec v[BRAID_RECEIVE_CHUNKS];
    int count = braid_receive_prepare(&context->receive, context->pool, false, v);
    ssize_t n;

    if (count == 0) {
        drop(pending, BRAID_LOG_SILENT, "out of memory");
        return;
    }
    if (pending->greeting.security != BRAID_SECURITY_NONE && pending->transport.tls == NULL)
        v[0].iov_len = BRAID_PREAMBLE_SIZE - pending->greeting.fill;
    n = pending->transport.ops->read(&pending->transport, v, count);
    if (n > 0) {
        braid_receive_done(&context->receive, (size_t)n, pieces);
        feed(pending, &pieces[0]);
    } else if (n == 0) {
        drop(pending, BRAID_LOG_GREETING, "it ended before its greeting was whole");
    } else if (errno != EAGAIN) {
        drop(pending, BRAID_LOG_GREETING, braid_transport_why(&pending->transport, errno));
    }
}

/* An end on the way is what networks do; anything else is not. */
static void drop_handshake(struct braid_pending *pending, int number)
{
    const char *why = braid_transport_why(&pending->transport, number);

    if (number == EPROTO && !pending->transport.tls->eof)
        drop_failed(pending, BRAID_LOG_HANDSHAKE, why);
    else
        drop(pending, BRAID_LOG_HANDSHAKE, why);
}

/* There is something to read, or room to write again. */
static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct braid_pending *pending = arg;
    struct braid_transport *transport = &pending->transport;

    (void)fd;
    (void)what;
    if (is_behind_preamble(pending) && !begin_tls(pending)) {
        drop(pending, BRAID_LOG_SILENT, "no memory for a handshake");
        return;
    }
    if (transport->backlog)
        (void)transport->ops->flush(transport); /* what is wrong shows with the handshake */
    if (transport->ops->handshake(transport) == 0)
        read_greeting(pending);
    else if (errno != EAGAIN)
        drop_handshake(pending, errno);
    else if (transport->backlog != pending->writing)
        watch(pending);
}

/* ---- the list ---- */

static void arm(struct braid_pendings *pendings, uint64_t now)
{
    const struct braid_pending *oldest = TAILQ_FIRST(&pendings->list);
    struct timeval tv;

    if (oldest == NULL)
        return;
    tv = braid_timeval(oldest->ends > now ? oldest->ends - now : 0);
    (void)event_add(&pendings->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct braid_pendings *pendings = arg;
    const struct braid_guard_limits *limits = braid_guard_limits(guard_of(pendings->context));
    uint64_t now = braid_clock();
    struct braid_pending *pending;
    char why[64];

    (void)fd;
    (void)what;
    snprintf(why, sizeof why, "no whole greeting within %g s", (double)limits->hello_time / 1e6);
    while ((pending = TAILQ_FIRST(&pendings->list)) != NULL && pending->ends <= now)
        drop(pending, BRAID_LOG_SILENT, why);
    arm(pendings, now);
}

void braid_pendings_init(struct braid_pendings *pendings, struct braid_context *context)
{
    pendings->context = context;
    TAILQ_INIT(&pendings->list);
    evtimer_assign(&pendings->timer, context->base, on_timer, pendings);
}

/* Keeps the list ordered by age: one that was handed over has no time left. */
static void insert(struct braid_pendings *pendings, struct braid_pending *pending)
{
    struct braid_pending *before = TAILQ_LAST(&pendings->list, braid_pending_list);

    while (before != NULL && before->ends > pending->ends)
        before = TAILQ_PREV(before, braid_pending_list, link);
    if (before != NULL)
        TAILQ_INSERT_AFTER(&pendings->list, before, pending, link);
    else
        TAILQ_INSERT_HEAD(&pendings->list, pending, link);
    pendings->count++;
}

/* ---- who is let in ---- */

/* Closes one to have room for another, of the same network where that has too many. */
static bool make_room(struct braid_context *context, enum braid_guard_verdict verdict,
                      const union braid_endpoint *peer)
{
    const union braid_endpoint *like = verdict == BRAID_GUARD_FULL_SOURCE ? peer : NULL;
    struct braid_pending *pending;

    if (verdict == BRAID_GUARD_FAILING)
        return false;
    if (braid_lingers_make_room(&context->refused, like))
        return true;
    TAILQ_FOREACH(pending, &context->pendings.list, link) {
        if (like == NULL || braid_guard_is_from(guard_of(context), &pending->pass, like)) {
            close_and_free(pending);
            return true;
        }
    }
    return false; /* they are other contexts' */
}

static bool let_in(struct braid_context *context, const union braid_endpoint *peer,
                   struct braid_guard_pass *pass)
{
    enum braid_guard_verdict verdict;
    bool room = true;

    for (int i = 0; i < ROOM_TRIES && room; i++) {
        verdict = braid_guard_enter(guard_of(context), peer, sizeof(struct braid_pending),
                                    braid_clock(), pass);
        if (verdict == BRAID_GUARD_WELCOME)
            return true;
        tell(context, verdict, peer);
        room = make_room(context, verdict, peer);
    }
    return false;
}

static struct braid_pending *add(struct braid_context *context, uint64_t listener,
                                 struct braid_transport *transport,
                                 const union braid_endpoint *peer, uint64_t ends,
                                 struct braid_guard_pass *pass)
{
    struct braid_pendings *pendings = &context->pendings;
    struct braid_pending *pending = braid_pool_alloc(context->pool, sizeof *pending);

    if (pending == NULL) {
        braid_guard_leave(guard_of(context), pass);
        return NULL;
    }
    pending->context = context;
    pending->listener = listener;
    pending->transport = *transport;
    pending->peer = *peer;
    pending->ends = ends;
    pending->pass = *pass;
    pass->held = false;
    event_assign(&pending->event, context->base, transport->fd, EV_READ | EV_PERSIST, on_event,
                 pending);
    insert(pendings, pending);
    if (!evtimer_pending(&pendings->timer, NULL))
        arm(pendings, braid_clock());
    return pending;
}

void braid_pending_new(struct braid_context *context, uint64_t listener,
                       struct braid_transport *transport, const union braid_endpoint *peer)
{
    const struct braid_listener *from = braid_listener_find(context, listener);
    uint64_t hello_time = braid_guard_limits(guard_of(context))->hello_time;
    struct braid_guard_pass pass;
    struct braid_pending *pending = NULL;

    if (let_in(context, peer, &pass))
        pending = add(context, listener, transport, peer, braid_clock() + hello_time, &pass);
    if (pending == NULL) {
        transport->ops->close(transport);
        return;
    }
    if (from->options.security != NULL)
        pending->greeting.security = BRAID_SECURITY_TLS;
    watch(pending);
}

void braid_handoff_free(struct braid_group *group, struct braid_handoff *handoff)
{
    handoff->transport.ops->close(&handoff->transport);
    braid_guard_leave(braid_group_guard(group), &handoff->pass);
    braid_group_release(group, handoff->claim);
    free(handoff);
}

/* Puts the bytes that came with a handed over subflow where those that are read go. */
static bool restore(struct braid_context *context, const struct braid_handoff *handoff,
                    struct braid_received *rest)
{
    struct braid_received pieces[BRAID_RECEIVE_CHUNKS];
    struct iovec v[BRAID_RECEIVE_CHUNKS];

    memset(rest, 0, sizeof *rest);
    if (handoff->len == 0)
        return true;
    braid_receive_clear(&context->receive); /* a fresh chunk holds it all in one piece */
    if (braid_receive_prepare(&context->receive, context->pool, false, v) == 0 ||
        v[0].iov_len < handoff->len)
        return false;
    memcpy(v[0].iov_base, handoff->data, handoff->len);
    braid_receive_done(&context->receive, handoff->len, pieces);
    *rest = pieces[0];
    return true;
}

void braid_pending_adopt(struct braid_context *context, struct braid_handoff *handoff)
{
    struct braid_pending *pending = add(context, handoff->listener, &handoff->transport,
                                        &handoff->peer, braid_clock(), &handoff->pass);
    struct braid_received rest;

    if (pending == NULL) {
        braid_handoff_free(context->group, handoff);
        return;
    }
    braid_transport_move(&pending->transport, &context->scratch);
    pending->claim = handoff->claim;
    if (restore(context, handoff, &rest))
        greeted(pending, &handoff->hello, &rest);
    else
        drop(pending, BRAID_LOG_SILENT, "out of memory");
    free(handoff);
}

void braid_pendings_drop(struct braid_pendings *pendings, uint64_t listener)
{
    struct braid_pending *pending = TAILQ_FIRST(&pendings->list), *next;

    for (; pending != NULL; pending = next) {
        next = TAILQ_NEXT(pending, link);
        if (pending->listener != listener)
            continue;
        close_and_free(pending);
    }
}

void braid_pendings_clear(struct braid_pendings *pendings)
{
    struct braid_pending *pending;

    while ((pending = TAILQ_FIRST(&pendings->list)) != NULL) {
        close_and_free(pending);
    }
    event_del(&pendings->timer);
}
