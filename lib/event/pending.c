/* SPDX-License-Identifier: MIT */
#include "pending.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire.h"

#include "clock.h"
#include "context.h"
#include "credentials.h"
#include "gate.h"
#include "handoff.h"
#include "listener.h"
#include "session_io.h"
#include "sockopt.h"
#include "subflow_io.h"

/* How often room is made for one that comes, while others come in at the same time. */
#define ROOM_TRIES 4

/*
 * What OpenSSL holds for a connection in the middle of its handshake, at most: 44 KiB were measured
 * behind a ClientHello; half of a record of certificates is 17 KiB more.
 */
#define HANDSHAKE_BYTES ((size_t)64 << 10)

struct braid_pending {
    struct braid_waiting_entry entry; /* with the pass */
    struct braid_context *context;
    uint64_t listener;
    struct braid_transport transport;
    union braid_endpoint peer;
    struct event event;
    short watched;             /* what the event is for; 0: it is not in the loop yet */
    uint32_t awaited;          /* of a ClientHello: see gate.h */
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

static struct braid_pending *pending_of(struct braid_waiting_entry *entry)
{
    return (struct braid_pending *)(void *)((char *)(void *)entry -
                                            offsetof(struct braid_pending, entry));
}

/* Frees everything but the transport, which was handed on or closed. */
static void pending_free(struct braid_pending *pending)
{
    event_del(&pending->event);
    braid_waiting_remove(&pending->entry);
    braid_guard_leave(guard_of(pending->context), &pending->entry.pass);
    if (pending->claim != NULL)
        braid_group_release(pending->context->group, pending->claim);
    braid_pool_release(pending->context->pool, pending, sizeof *pending);
}

static void close_and_free(struct braid_pending *pending)
{
    struct braid_transport transport = pending->transport;

    pending_free(pending);
    transport.ops->close(&transport);
}

/* The same for one who is waiting for an answer that there is none to: TCP forgets it at once. */
static void abort_and_free(struct braid_pending *pending)
{
    braid_sockopt_abort(pending->transport.fd);
    close_and_free(pending);
}

/*
 * What it said is thrown away, and TCP says so: in the seed's format an orderly end means that all
 * has arrived. With TLS there is an alert.
 */
static void drop(struct braid_pending *pending, enum braid_log_kind kind, const char *why)
{
    char buf[128];

    braid_log(pending->context, BRAID_LOG_INFO, kind, "subflow from %s closed: %s",
              peer_text(&pending->peer, buf, sizeof buf), why);
    if (pending->transport.tls == NULL)
        braid_sockopt_abort(pending->transport.fd);
    close_and_free(pending);
}

/* The same, for one who has said nothing, or not enough. */
static void give_up(struct braid_pending *pending, const char *why)
{
    braid_sockopt_abort(pending->transport.fd);
    drop(pending, BRAID_LOG_SILENT, why);
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

/*
 * Answers a greeting with the reason why there is nothing for it here. The seed's format has no
 * word for that.
 */
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
    if (is_failure(error))
        braid_guard_failed(guard_of(context), &pending->peer, braid_clock());
    if (hello->streams > 0) {
        abort_and_free(pending);
        return;
    }
    v.iov_len = braid_greeting_refuse(bytes, hello, braid_group_instance(context->group), error);
    /* A socket that nothing was written to yet takes this much. */
    (void)pending->transport.ops->write(&pending->transport, &v, 1);
    transport = pending->transport;
    pass = pending->entry.pass;
    pending->entry.pass.held = false;
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

/* ---- room for one more ---- */

static struct braid_waiting_entry *earlier(struct braid_waiting_entry *one,
                                           struct braid_waiting_entry *other)
{
    if (one == NULL || other == NULL)
        return one != NULL ? one : other;
    return one->ends <= other->ends ? one : other;
}

/* Who goes: the first, of the same network where that has too many, of those that hold most where
 * that is too much. NULL: what there is is other contexts'. */
static struct braid_waiting_entry *first_to_go(const struct braid_context *context,
                                               enum braid_guard_verdict verdict,
                                               const union braid_endpoint *peer)
{
    const struct braid_pendings *pendings = &context->pendings;
    const struct braid_guard *guard = guard_of(context);

    if (verdict == BRAID_GUARD_FULL_SOURCE)
        return earlier(braid_waiting_first_from(&pendings->greeting, guard, peer),
                       braid_waiting_first_from(&pendings->handshaking, guard, peer));
    if (verdict == BRAID_GUARD_FULL_MEMORY && pendings->handshaking.count > 0)
        return braid_waiting_first(&pendings->handshaking);
    return earlier(braid_waiting_first(&pendings->greeting),
                   braid_waiting_first(&pendings->handshaking));
}

/* Closes one to have room for another. */
static bool make_room(struct braid_context *context, enum braid_guard_verdict verdict,
                      const union braid_endpoint *peer)
{
    struct braid_waiting_entry *entry;

    if (verdict == BRAID_GUARD_FAILING)
        return false;
    if (braid_lingers_make_room(&context->refused,
                                verdict == BRAID_GUARD_FULL_SOURCE ? peer : NULL))
        return true;
    entry = first_to_go(context, verdict, peer);
    if (entry == NULL)
        return false;
    abort_and_free(pending_of(entry));
    return true;
}

/* ---- reading it ---- */

static void on_event(evutil_socket_t fd, short what, void *arg);

/* Waits for more; the pending is gone afterwards where that cannot be. */
static void watch(struct braid_pending *pending)
{
    short what = EV_READ | EV_PERSIST;

    if (pending->transport.backlog)
        what |= EV_WRITE;
    if (what == pending->watched)
        return;
    pending->watched = what;
    event_del(&pending->event);
    event_assign(&pending->event, pending->context->base, pending->transport.fd, what, on_event,
                 pending);
    if (event_add(&pending->event, NULL) != 0)
        drop(pending, BRAID_LOG_SILENT, "out of memory");
}

/* Hands the subflow to its session's owner; false: it stays here, and is to be answered now. */
static bool hand_over(struct braid_pending *pending, const struct braid_hello *hello,
                      const struct braid_received *rest)
{
    struct braid_handoff *handoff = braid_handoff_new(rest);

    if (handoff == NULL) {
        drop(pending, BRAID_LOG_SILENT, "out of memory");
        return true;
    }
    handoff->claim = pending->claim;
    handoff->transport = pending->transport;
    handoff->peer = pending->peer;
    handoff->listener = pending->listener;
    handoff->pass = pending->entry.pass;
    handoff->hello = *hello;
    event_del(&pending->event); /* the descriptor may be closed over there at any time from now */
    if (!braid_group_post(pending->context, handoff)) {
        free(handoff);
        return false;
    }
    pending->claim = NULL;
    pending->entry.pass.held = false;
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

/* Whether more is to come; if not, the pending is gone. */
static bool feed(struct braid_pending *pending, const struct braid_received *piece)
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
        return false;
    }
    if (result != BRAID_GREETING_DONE)
        return true;
    rest.start += (uint32_t)used;
    rest.len -= (uint32_t)used;
    if (!claim(pending, &hello, &rest))
        greeted(pending, &hello, &rest);
    return false;
}

/* Whether TLS comes next: the preamble is all that may be read without it. */
static bool is_behind_preamble(const struct braid_pending *pending)
{
    return pending->greeting.security == BRAID_SECURITY_TLS && pending->transport.tls == NULL &&
           pending->greeting.fill == BRAID_PREAMBLE_SIZE;
}

/* Has what OpenSSL will take counted. It is the one that began first which has to go. */
static bool charge_handshake(struct braid_pending *pending)
{
    struct braid_context *context = pending->context;
    struct braid_waiting_entry *entry = &pending->entry;
    bool fits;

    braid_waiting_remove(entry); /* it is not its own room */
    while (!(fits = braid_guard_grow(guard_of(context), &entry->pass, HANDSHAKE_BYTES))) {
        tell(context, BRAID_GUARD_FULL_MEMORY, &pending->peer);
        if (!make_room(context, BRAID_GUARD_FULL_MEMORY, &pending->peer))
            break;
    }
    braid_waiting_add(&context->pendings.handshaking, entry, entry->ends);
    return fits;
}

/* Has OpenSSL look at the ClientHello; false: it is not whole yet, or the pending is gone. */
static bool begin_tls(struct braid_pending *pending)
{
    struct braid_context *context = pending->context;
    struct braid_listener *listener = braid_listener_find(context, pending->listener);
    enum braid_gate_state state = braid_gate_look(pending->transport.fd, &pending->awaited);
    struct braid_credentials *credentials;
    bool begun;

    if (state == BRAID_GATE_ENDED)
        drop(pending, BRAID_LOG_GREETING, "it ended before its ClientHello was whole");
    if (state != BRAID_GATE_READY)
        return false;
    credentials = braid_security_credentials(listener->options.security);
    begun = charge_handshake(pending) &&
            braid_transport_tls_accept(&pending->transport, &context->scratch, credentials);
    braid_credentials_unref(credentials);
    if (!begun)
        drop(pending, BRAID_LOG_SILENT, "no memory for a handshake");
    return begun;
}

/* Reads what is there. Whether more is to come; if not, the pending is gone. */
static bool read_greeting(struct braid_pending *pending)
{
    struct braid_context *context = pending->context;
    struct braid_received pieces[BRAID_RECEIVE_CHUNKS];
    struct iovec v[BRAID_RECEIVE_CHUNKS];
    int count = braid_receive_prepare(&context->receive, context->pool, false, v);
    ssize_t n;

    if (count == 0) {
        drop(pending, BRAID_LOG_SILENT, "out of memory");
        return false;
    }
    if (pending->greeting.security != BRAID_SECURITY_NONE && pending->transport.tls == NULL)
        v[0].iov_len = BRAID_PREAMBLE_SIZE - pending->greeting.fill;
    n = pending->transport.ops->read(&pending->transport, v, count);
    if (n > 0) {
        braid_receive_done(&context->receive, (size_t)n, pieces);
        return feed(pending, &pieces[0]);
    }
    if (n < 0 && errno == EAGAIN)
        return true;
    drop(pending, BRAID_LOG_GREETING,
         n == 0 ? "it ended before its greeting was whole"
                : braid_transport_why(&pending->transport, errno));
    return false;
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

/* There is something to read, or room to write again, or it has just come. */
static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct braid_pending *pending = arg;
    struct braid_transport *transport = &pending->transport;
    bool more = true;

    (void)fd;
    (void)what;
    if (is_behind_preamble(pending) && !begin_tls(pending))
        return;
    if (transport->backlog)
        (void)transport->ops->flush(transport); /* what is wrong shows with the handshake */
    if (transport->ops->handshake(transport) == 0) {
        more = read_greeting(pending);
    } else if (errno != EAGAIN) {
        drop_handshake(pending, errno);
        more = false;
    }
    if (more)
        watch(pending);
}

/* ---- how long, and how many ---- */

static void on_time_up(struct braid_waiting_entry *entry)
{
    struct braid_pending *pending = pending_of(entry);
    const struct braid_guard_limits *limits = braid_guard_limits(guard_of(pending->context));
    char why[64];

    snprintf(why, sizeof why, "no whole greeting within %g s", (double)limits->hello_time / 1e6);
    give_up(pending, why);
}

void braid_pendings_init(struct braid_pendings *pendings, struct braid_context *context)
{
    braid_waiting_init(&pendings->greeting, context->base, on_time_up);
    braid_waiting_init(&pendings->handshaking, context->base, on_time_up);
}

unsigned braid_pendings_count(const struct braid_pendings *pendings)
{
    return pendings->greeting.count + pendings->handshaking.count;
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
    struct braid_pending *pending = braid_pool_alloc(context->pool, sizeof *pending);

    if (pending == NULL) {
        braid_guard_leave(guard_of(context), pass);
        return NULL;
    }
    pending->context = context;
    pending->listener = listener;
    pending->transport = *transport;
    pending->peer = *peer;
    pending->entry.pass = *pass;
    pass->held = false;
    event_assign(&pending->event, context->base, transport->fd, EV_READ | EV_PERSIST, on_event,
                 pending);
    braid_waiting_add(&context->pendings.greeting, &pending->entry, ends);
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
        braid_sockopt_abort(transport->fd);
        transport->ops->close(transport);
        return;
    }
    if (from->options.security != NULL)
        pending->greeting.security = BRAID_SECURITY_TLS;
    if (from->options.protocol != BRAID_PROTOCOL_1 && transport->tcp)
        pending->greeting.seed_max = from->options.max_subflows;
    pending->greeting.seed_only = from->options.protocol == BRAID_PROTOCOL_SEED;
    event_active(&pending->event, EV_READ, 0); /* often, what it says is there already */
}

/* Whether who it has proven to be may still come in: that may have changed on the way here. */
static bool is_admitted(const struct braid_pending *pending)
{
    const struct braid_listener *listener =
        braid_listener_find(pending->context, pending->listener);
    struct braid_credentials *credentials;
    bool admitted;

    if (listener == NULL || listener->options.security == NULL)
        return true;
    credentials = braid_security_credentials(listener->options.security);
    admitted = braid_credentials_admit(credentials, braid_transport_identity(&pending->transport));
    braid_credentials_unref(credentials);
    return admitted;
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
    if (!is_admitted(pending))
        drop(pending, BRAID_LOG_HANDSHAKE, "its key is not accepted any more");
    else if (braid_handoff_restore(handoff, context, &rest))
        greeted(pending, &handoff->hello, &rest);
    else
        drop(pending, BRAID_LOG_SILENT, "out of memory");
    free(handoff);
}

static void close_those_of(struct braid_waiting *waiting, const uint64_t *listener)
{
    struct braid_waiting_entry *entry = TAILQ_FIRST(&waiting->by_end), *next;

    for (; entry != NULL; entry = next) {
        next = TAILQ_NEXT(entry, by_end);
        if (listener == NULL || pending_of(entry)->listener == *listener)
            close_and_free(pending_of(entry));
    }
}

void braid_pendings_drop(struct braid_pendings *pendings, uint64_t listener)
{
    close_those_of(&pendings->greeting, &listener);
    close_those_of(&pendings->handshaking, &listener);
}

void braid_pendings_clear(struct braid_pendings *pendings)
{
    close_those_of(&pendings->greeting, NULL);
    close_those_of(&pendings->handshaking, NULL);
}
