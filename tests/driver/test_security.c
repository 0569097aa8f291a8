/* SPDX-License-Identifier: MIT */
/*
 * Sessions with keys: who gets in, who does not, what is never said in clear, and what becomes of
 * sessions whose key is withdrawn.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/wire.h"
#include "event/clock.h"
#include "event/context.h"
#include "event/listener.h"
#include "event/security.h"
#include "event/session_io.h"
#include "event/transport_tls.h"
#include "forwarder.h"
#include "stranger.h"
#include "world.h"

#define WEB "web 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
#define MAIL "mail ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100\n"
#define TOKEN "the session's to"

static struct world w;
static struct app app, other;
static struct braid_security *accepted;

static struct braid_security *keys(const char *text)
{
    struct braid_security *security = braid_security_new();
    char why[512];

    ck_assert_ptr_nonnull(security);
    ck_assert_int_ge(
        braid_security_read_keys(security, text, strlen(text), "test", why, sizeof why), 1);
    return security;
}

/* What streams show from now on; NULL: nothing. */
static void show(const char *text)
{
    struct braid_security *security = text != NULL ? keys(text) : NULL;

    braid_options_set_security(w.options, security);
    braid_security_free(security);
}

/* Gives the listener other options: what it accepts; NULL: anybody. */
static void listen_with(const char *text)
{
    braid_security_free(accepted);
    accepted = text != NULL ? keys(text) : NULL;
    braid_options_set_security(w.options, accepted);
    braid_listener_free(w.listener);
    w.listener = world_listen(&w);
}

static void setup(void)
{
    world_open(&w);
    listen_with(WEB MAIL);
    show(WEB);
    app = (struct app){.key = 1, .peer_key = 2, .to_send = 3000000, .shut = true};
    w.script = (struct app){.key = 2, .peer_key = 1, .to_send = 2000000, .shut = true};
    other = app;
}

static void teardown(void)
{
    app_free(&app);
    app_free(&other);
    world_close(&w);
    braid_security_free(accepted);
    accepted = NULL;
}

static bool app_over(void *arg)
{
    const struct app *a = arg;

    return a->closed || a->error;
}

static const char *identity_of(const struct app *a)
{
    struct braid_stream_info info;

    braid_stream_get_info(a->stream, &info);
    return info.identity;
}

static void check_whole(struct app *a)
{
    ck_assert(run_until(w.base, app_over, a, PATIENCE));
    ck_assert(a->closed && !a->wrong && a->connected);
    ck_assert_uint_eq(a->received, w.script.to_send);
}

/* ---- who gets in ---- */

START_TEST(one_key_of_several)
{
    uint64_t start = braid_clock();

    show(_i == 0 ? WEB : MAIL);
    app_connect(&w, &app);
    check_whole(&app);
    ck_assert_uint_eq(w.accepted, 1);
    ck_assert_uint_eq(w.apps[0].received, app.to_send);
    ck_assert(!w.apps[0].wrong);
    ck_assert_str_eq(identity_of(&app), _i == 0 ? "web" : "mail");
    ck_assert_str_eq(identity_of(&w.apps[0]), _i == 0 ? "web" : "mail");
    if (braid_clock() - start < BRAID_SECOND) /* or else a handshake may have taken too long */
        ck_assert_uint_eq(w.lines, 0);
}
END_TEST

static bool app_connected(void *arg)
{
    return ((const struct app *)arg)->connected;
}

/* What OpenSSL holds for a subflow counts, at both ends: a session that is idle has no other. */
START_TEST(tls_is_charged)
{
    size_t before[2], one;

    app.to_send = other.to_send = w.script.to_send = 0;
    app.shut = other.shut = w.script.shut = false;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, app_connected, &app, PATIENCE));
    before[0] = memory_in_use(w.local);
    before[1] = memory_in_use(w.remote);
    app_connect(&w, &other);
    ck_assert(run_until(w.base, app_connected, &other, PATIENCE));
    for (int i = 0; i < 2; i++) {
        one = memory_in_use(i == 0 ? w.local : w.remote) - before[i];
        ck_assert_uint_ge(one, BRAID_TLS_BYTES);
        ck_assert_uint_lt(one, 2 * BRAID_TLS_BYTES);
    }
}
END_TEST

/* Another key, or none: no session comes of it, and somebody says why. */
START_TEST(nobody_else)
{
    show(_i == 0 ? "guess 0000000000000000000000000000000000000000000000000000000000000000\n"
                 : NULL);
    app_connect(&w, &app);
    ck_assert(run_until_logged(&w, _i == 0 ? "a key that is not accepted here"
                                           : "it asks for no security"));
    ck_assert(!app.connected);
    ck_assert_uint_eq(w.accepted, 0);
}
END_TEST

/* It tries for a while, since the key may be about to come, and then gives up. */
START_TEST(local_says_why)
{
    show("guess 0000000000000000000000000000000000000000000000000000000000000000\n");
    braid_context_set_log_cb(w.remote, NULL, NULL);
    app_connect(&w, &app);
    ck_assert(run_until_logged(&w, "does not accept this key"));
    ck_assert(!app.error);
    ck_assert(run_until(w.base, app_over, &app, PATIENCE));
    ck_assert(app.error && !app.connected);
}
END_TEST

struct progress {
    struct forwarder f;
    unsigned connection;
    unsigned long bytes;
};

static bool has_come_so_far(void *arg)
{
    const struct progress *p = arg;

    return p->f.bytes >= p->bytes && forwarder_is_open(&p->f, p->connection);
}

/* Subflows that die under TLS are replaced, and nothing is lost. */
START_TEST(cut_and_joined_again)
{
    static struct progress p;
    struct sockaddr_in in;
    socklen_t len = sizeof in;
    const struct braid_address *via;

    ck_assert_int_eq(getsockname(w.listen_fd, (struct sockaddr *)&in, &len), 0);
    forwarder_open(&p.f, w.base, ntohs(in.sin_port));
    via = p.f.address;
    app.to_send = 20000000;
    app_connect_via(&w, &app, &via, 1);
    for (p.connection = 0; p.connection < 3; p.connection++) {
        p.bytes = p.f.bytes + 1000000;
        ck_assert(run_until(w.base, has_come_so_far, &p, PATIENCE));
        forwarder_cut(&p.f, p.connection);
    }
    check_whole(&app);
    ck_assert_uint_eq(w.apps[0].received, app.to_send);
    ck_assert(!w.apps[0].wrong);
    ck_assert_uint_eq(w.accepted, 1);
    app_free(&app);
    world_close_begin(&w);
    forwarder_close(&p.f);
}
END_TEST

/* ---- what is said in clear ---- */

static size_t received;
static uint8_t first[4096];

static bool first_flight(void *arg)
{
    ssize_t n = recv(*(int *)arg, first + received, sizeof first - received, MSG_DONTWAIT);

    received += n > 0 ? (size_t)n : 0;
    return received > BRAID_PREAMBLE_SIZE + 5;
}

static bool can_accept(void *arg)
{
    int *fd = arg;
    int got = accept4(fd[0], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    fd[1] = got;
    return got >= 0;
}

/* Takes a connecting stream's first flight; returns the connection. */
static int take_first_flight(void)
{
    struct braid_address *any = braid_address_new("127.0.0.1:0", NULL), *at;
    int fds[2];
    const struct braid_address *via;

    fds[0] = braid_address_listen(any, 10);
    at = address_of(fds[0]);
    via = at;
    app_connect_via(&w, &app, &via, 1);
    ck_assert(run_until(w.base, can_accept, fds, PATIENCE));
    received = 0;
    ck_assert(run_until(w.base, first_flight, &fds[1], PATIENCE));
    close(fds[0]);
    braid_address_free(any);
    braid_address_free(at);
    return fds[1];
}

/* The preamble and a handshake are all that anybody hears, even one who answers in clear. */
START_TEST(local_never_speaks_clear)
{
    struct braid_greeting greeting = {.security = BRAID_SECURITY_TLS};
    struct braid_hello hello = {.session = 0};
    uint8_t reply[BRAID_GREETING_MAX];
    size_t used, len;
    uint64_t id;
    int fd = take_first_flight();

    ck_assert_int_eq(braid_greeting_feed(&greeting, first, BRAID_PREAMBLE_SIZE, &used, &id, &hello),
                     BRAID_GREETING_MORE);
    ck_assert_uint_ne(id, 0);
    ck_assert_uint_eq(first[BRAID_PREAMBLE_SIZE], 0x16); /* TLS: handshake */
    ck_assert_uint_eq(first[BRAID_PREAMBLE_SIZE + 1], 0x03);
    len = (size_t)first[BRAID_PREAMBLE_SIZE + 3] << 8 | first[BRAID_PREAMBLE_SIZE + 4];
    ck_assert_uint_eq(received, BRAID_PREAMBLE_SIZE + 5 + len);
    ck_assert_ptr_null(memmem(first, received, "web", 3)); /* not even the key's name */
    hello.session = id;
    len = braid_greeting_refuse(reply, &hello, 7, BRAID_OK);
    ck_assert_int_eq(send(fd, reply, len, MSG_NOSIGNAL), (ssize_t)len);
    ck_assert(run_until_logged(&w, "cannot connect"));
    ck_assert(!app.connected && !app.closed);
    ck_assert_int_le(recv(fd, first, sizeof first, MSG_DONTWAIT), 7); /* an alert at most */
    close(fd);
}
END_TEST

static size_t clear_greeting(uint8_t *buf, uint8_t security)
{
    struct braid_writer out = {buf, BRAID_GREETING_MAX, false};
    struct braid_preamble preamble = {
        .session = 42, .version = BRAID_VERSION, .security = security};
    struct braid_hello hello = {.max_version = BRAID_VERSION,
                                .flags = BRAID_HELLO_CREATE,
                                .session = 42,
                                .limit = 65536,
                                .instance = 7};

    braid_wire_write_preamble(&out, &preamble);
    braid_wire_write_hello(&out, &hello, 12345);
    return BRAID_GREETING_MAX - out.left;
}

/* A greeting in clear: with a preamble that says so, and with one that does not. */
START_TEST(remote_takes_nothing_clear)
{
    uint8_t buf[BRAID_GREETING_MAX];
    size_t len = clear_greeting(buf, (uint8_t)_i);
    int fd = stranger_connect(&w, NULL);

    ck_assert_int_eq(send(fd, buf, len, 0), (ssize_t)len);
    ck_assert(run_until(w.base, stranger_is_closed, &fd, PATIENCE));
    ck_assert_uint_eq(w.accepted, 0);
    ck_assert_uint_eq(w.lines, 1);
    ck_assert(strstr(w.last_line, "127.0.0.1:") != NULL);
    if (_i == 0)
        ck_assert(was_logged(&w, "it asks for no security, which is refused here"));
    close(fd);
}
END_TEST

/* Where there is no security, TLS is not guessed either. */
START_TEST(none_takes_no_tls)
{
    listen_with(NULL);
    show(WEB);
    app_connect(&w, &app);
    ck_assert(run_until_logged(&w, "it asks for other security than none"));
    ck_assert(run_until_logged(&w, "is the same security set at both ends?"));
    ck_assert(!app.connected);
    ck_assert_uint_eq(w.accepted, 0);
}
END_TEST

static bool has_bytes(void *arg)
{
    int n = 0;

    return ioctl(*(int *)arg, FIONREAD, &n) == 0 && n > 100;
}

/* The first flight of somebody else, sent again: an answer that the sender can do nothing with. */
START_TEST(replay_does_nothing)
{
    int fd = take_first_flight(), again = stranger_connect(&w, NULL);
    uint8_t buf[BRAID_GREETING_MAX];
    size_t len = clear_greeting(buf, 0);

    close(fd);
    app_free(&app);
    app.stream = NULL;
    ck_assert_int_eq(send(again, first, received, 0), (ssize_t)received);
    ck_assert(run_until(w.base, has_bytes, &again, PATIENCE));
    ck_assert_int_gt(recv(again, first, sizeof first, 0), 100);
    ck_assert(LIST_EMPTY(&w.remote->sessions));
    ck_assert_int_eq(send(again, buf + 16, len - 16, 0), (ssize_t)len - 16);
    ck_assert(run_until(w.base, stranger_is_closed, &again, PATIENCE));
    ck_assert_uint_eq(w.accepted, 0);
    close(again);
}
END_TEST

/* ---- who takes his time ---- */

/* Silent behind the preamble, and in the middle of the handshake. */
START_TEST(stalled_at_the_remote)
{
    uint64_t start = braid_clock();
    uint8_t buf[BRAID_GREETING_MAX];
    int fd = take_first_flight(), half = stranger_connect(&w, NULL),
        none = stranger_connect(&w, NULL);

    ck_assert_int_eq(braid_group_set_hello_time(w.remote->group, 300), 0);
    clear_greeting(buf, BRAID_SECURITY_TLS);
    ck_assert_int_eq(send(half, first, received - 10, 0), (ssize_t)received - 10);
    ck_assert_int_eq(send(none, buf, BRAID_PREAMBLE_SIZE, 0), BRAID_PREAMBLE_SIZE);
    app_free(&app);
    app.stream = NULL;
    ck_assert(run_until(w.base, stranger_is_closed, &half, PATIENCE));
    ck_assert(run_until(w.base, stranger_is_closed, &none, PATIENCE));
    ck_assert_uint_ge(braid_clock() - start, 290 * BRAID_MILLISECOND);
    close(fd);
    close(half);
    close(none);
}
END_TEST

START_TEST(stalled_at_the_local)
{
    int fd = take_first_flight();

    ck_assert(run_until_logged(&w, "the TLS handshake takes too long"));
    ck_assert(!app.error); /* it goes on dialling */
    close(fd);
}
END_TEST

/* ---- whose session it is ---- */

/* A subflow whose HELLO is the test's own. */
struct guest {
    struct braid_tls_scratch scratch;
    struct braid_transport transport;
    bool secure;
    uint8_t in[65536];
    size_t fill;
    int status; /* -1: no answer yet */
    uint16_t subflow;
};

static bool guest_moves(void *arg)
{
    struct guest *g = arg;
    struct iovec v = {g->in + g->fill, sizeof g->in - g->fill};
    struct braid_hello reply;
    ssize_t n;

    g->secure |= g->transport.ops->handshake(&g->transport) == 0;
    if (!g->secure)
        return false;
    n = g->transport.ops->read(&g->transport, &v, 1);
    g->fill += n > 0 ? (size_t)n : 0;
    if (g->fill < 4 || g->in[0] != BRAID_FRAME_HELLO)
        return n == 0;
    ck_assert_int_eq(braid_wire_read_hello(g->in + 4, (size_t)(g->in[2] << 8 | g->in[3]), &reply),
                     0);
    g->status = reply.status;
    return true;
}

static bool guest_is_secure(void *arg)
{
    struct guest *g = arg;

    g->secure |= g->transport.ops->handshake(&g->transport) == 0;
    return g->secure;
}

/* Greets with a key; returns the status in the answer. */
static int greet(struct guest *g, const char *key, struct braid_hello *hello)
{
    struct braid_security *security = keys(key);
    struct braid_credentials *credentials = braid_security_credentials(security);
    uint8_t bytes[BRAID_GREETING_MAX];
    struct braid_writer out = {bytes, sizeof bytes, false};
    struct braid_preamble preamble = {
        .session = hello->session, .version = BRAID_VERSION, .security = BRAID_SECURITY_TLS};
    struct iovec v = {.iov_base = bytes};

    g->status = -1;
    g->fill = 0;
    g->secure = false;
    braid_transport_plain(&g->transport, stranger_connect(&w, NULL), true);
    braid_wire_write_preamble(&out, &preamble);
    ck_assert(braid_transport_tls_connect(&g->transport, &g->scratch, credentials, bytes,
                                          BRAID_PREAMBLE_SIZE));
    ck_assert(run_until(w.base, guest_is_secure, g, PATIENCE));
    out = (struct braid_writer){bytes, sizeof bytes, false};
    braid_wire_write_hello(&out, hello, 5);
    v.iov_len = sizeof bytes - out.left;
    ck_assert_int_eq(g->transport.ops->write(&g->transport, &v, 1), (ssize_t)v.iov_len);
    ck_assert(run_until(w.base, guest_moves, g, PATIENCE));
    braid_credentials_unref(credentials);
    braid_security_free(security);
    return g->status;
}

static void leave(struct guest *g)
{
    g->transport.ops->close(&g->transport);
}

static struct braid_hello hello_for(uint64_t session, uint16_t subflow, uint16_t flags)
{
    struct braid_hello hello = {.max_version = BRAID_VERSION,
                                .subflow = subflow,
                                .flags = flags,
                                .session = session,
                                .limit = 65536,
                                .instance = 7};

    memcpy(hello.token, TOKEN, sizeof hello.token);
    return hello;
}

/* Who knows id and token of a session, but not its key, learns what he learns of one there is not.
 */
START_TEST(session_of_another_key)
{
    static struct guest owner, thief, friend;
    struct braid_hello create = hello_for(99, 0, BRAID_HELLO_CREATE), join = hello_for(99, 1, 0);
    struct braid_hello unknown = hello_for(98, 1, 0);
    size_t len;

    ck_assert_int_eq(greet(&owner, WEB, &create), BRAID_OK);
    ck_assert_uint_eq(w.accepted, 1);
    ck_assert_int_eq(greet(&thief, MAIL, &unknown), BRAID_ERR_UNKNOWN_SESSION);
    len = thief.fill;
    leave(&thief);
    ck_assert_int_eq(greet(&thief, MAIL, &join), BRAID_ERR_UNKNOWN_SESSION);
    ck_assert_uint_eq(thief.fill, len);
    leave(&thief);

    /* He may have one of his own of the same id; it has nothing to do with the other. */
    join.flags = BRAID_HELLO_CREATE;
    ck_assert_int_eq(greet(&thief, MAIL, &join), BRAID_OK);
    ck_assert_uint_eq(w.accepted, 2);
    ck_assert_str_eq(identity_of(&w.apps[0]), "web");
    ck_assert_str_eq(identity_of(&w.apps[1]), "mail");
    app_free(&w.apps[1]);
    leave(&thief);

    join.flags = 0;
    ck_assert_int_eq(greet(&friend, WEB, &join), BRAID_OK);
    ck_assert_uint_eq(w.accepted, 2);
    leave(&friend);
    join.subflow = 2;
    join.token[0] ^= 1;
    ck_assert_int_eq(greet(&friend, WEB, &join), BRAID_ERR_TOKEN);
    leave(&friend);
    ck_assert(!w.apps[0].error);
    leave(&owner);
}
END_TEST

static bool remote_has_none(void *arg)
{
    (void)arg;
    return LIST_EMPTY(&w.remote->sessions);
}

/* That a session has ended is remembered for its own peer only. */
START_TEST(ended_session_of_another_key)
{
    static struct guest g;
    struct braid_hello create = hello_for(99, 0, BRAID_HELLO_CREATE), join = hello_for(99, 1, 0);

    ck_assert_int_eq(greet(&g, WEB, &create), BRAID_OK);
    braid_stream_reset(w.apps[0].stream, BRAID_ERR_RESET);
    app_free(&w.apps[0]);
    leave(&g);
    ck_assert(run_until(w.base, remote_has_none, NULL, PATIENCE));
    join.flags = BRAID_HELLO_CREATE;
    ck_assert_int_eq(greet(&g, WEB, &join), BRAID_ERR_UNKNOWN_SESSION); /* nothing opens twice */
    leave(&g);
    ck_assert_int_eq(greet(&g, MAIL, &join), BRAID_OK);
    leave(&g);
}
END_TEST

/* ---- keys that come and go ---- */

static bool app_runs(void *arg)
{
    const struct app *a = arg;

    return a->received > 100000;
}

static bool both_run(void *arg)
{
    (void)arg;
    return app_runs(&app) && app_runs(&other);
}

static void replace(const char *text)
{
    struct braid_security *fresh = keys(text);

    braid_security_replace(accepted, fresh);
    braid_security_free(fresh);
    braid_listener_recheck(w.listener);
}

START_TEST(withdrawn_key)
{
    struct app *web, *mail;

    app.to_send = other.to_send = 1 << 20;
    app.shut = other.shut = false;
    w.script.shut = false;
    app_connect(&w, &app);
    show(MAIL);
    app_connect(&w, &other);
    ck_assert(run_until(w.base, both_run, NULL, PATIENCE));
    web = &w.apps[strcmp(identity_of(&w.apps[0]), "web") == 0 ? 0 : 1];
    mail = &w.apps[web == &w.apps[0] ? 1 : 0];

    replace(MAIL);
    ck_assert(!web->error); /* that is told from the loop */
    ck_assert(run_until(w.base, app_over, web, PATIENCE));
    ck_assert_int_eq(web->reason, BRAID_ERR_SECURITY);
    ck_assert(run_until(w.base, app_over, &app, PATIENCE));
    ck_assert(app.error);
    ck_assert(!mail->error && !other.error);
    app_free(&app);

    /* It opens nothing any more, while the other one goes on. */
    show(WEB);
    log_forget(&w);
    app = (struct app){.key = 1, .peer_key = 2, .to_send = 10};
    app_connect(&w, &app);
    ck_assert(run_until_logged(&w, "does not accept this key"));
    ck_assert(!app.connected);
    ck_assert_uint_eq(w.accepted, 2);
    other.shut = mail->shut = true;
    app_send(mail);
    app_send(&other);
    check_whole(&other);
}
END_TEST

/* ---- on the way from one thread to another ---- */

static void on_worker_stream(struct braid_listener *listener, struct braid_stream *stream,
                             void *arg)
{
    (void)listener;
    (*(unsigned *)arg)++;
    braid_stream_free(stream);
}

static bool has_mail(void *context)
{
    return !STAILQ_EMPTY(&((struct braid_context *)context)->mailbox);
}

static bool has_no_mail(void *context)
{
    return !has_mail(context);
}

/*
 * A subflow whose key one thread has seen waits for the thread that its session is to live in,
 * while that key is withdrawn.
 */
START_TEST(key_withdrawn_on_the_way)
{
    struct braid_group *group = braid_group_new();
    struct braid_context *contexts[2];
    struct braid_listener *listeners[2];
    unsigned streams[2] = {0, 0};
    struct braid_security *fresh = keys(MAIL);

    braid_options_set_security(w.options, accepted);
    for (int i = 0; i < 2; i++) {
        contexts[i] = braid_context_new(w.base, group);
        listeners[i] =
            braid_listener_new(contexts[i], w.options, w.listen_fd, on_worker_stream, &streams[i]);
        ck_assert(listeners[i] != NULL);
    }
    braid_listener_free(w.listener);
    w.listener = NULL;
    event_del(&listeners[1]->event); /* the first one accepts, and is the busier one */
    atomic_fetch_add(&contexts[0]->session_count, 100);
    event_del(&contexts[1]->mailbox_event); /* the other one does not look */
    show(WEB);
    app_connect(&w, &app);
    ck_assert(run_until(w.base, has_mail, contexts[1], PATIENCE));
    braid_security_replace(accepted, fresh);
    braid_listener_recheck(listeners[0]);
    braid_listener_recheck(listeners[1]);
    event_add(&contexts[1]->mailbox_event, NULL);
    ck_assert(run_until(w.base, has_no_mail, contexts[1], PATIENCE));
    ck_assert(run_until(w.base, app_over, &app, PATIENCE));
    ck_assert(app.error && !app.connected);
    ck_assert_uint_eq(streams[0] + streams[1], 0);
    atomic_fetch_sub(&contexts[0]->session_count, 100);
    for (int i = 0; i < 2; i++) {
        braid_listener_free(listeners[i]);
        braid_context_free(contexts[i]);
    }
    braid_group_free(group);
    braid_security_free(fresh);
}
END_TEST

/* A new key is accepted from then on, and a session's own goes on for it, whatever is shown now. */
START_TEST(added_key)
{
    listen_with(WEB);
    show(WEB);
    app.to_send = 1 << 20;
    app.shut = false;
    app_connect(&w, &app);
    ck_assert(run_until(w.base, app_runs, &app, PATIENCE));
    replace(MAIL WEB);
    show(MAIL);
    app_connect(&w, &other);
    check_whole(&other);
    app.shut = true;
    app_send(&app);
    check_whole(&app);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("security");
    TCase *t = tcase_create("security");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, TEST_TIMEOUT);
    tcase_add_loop_test(t, one_key_of_several, 0, 2);
    tcase_add_test(t, tls_is_charged);
    tcase_add_loop_test(t, nobody_else, 0, 2);
    tcase_add_test(t, local_says_why);
    tcase_add_test(t, cut_and_joined_again);
    tcase_add_test(t, local_never_speaks_clear);
    tcase_add_loop_test(t, remote_takes_nothing_clear, 0, 2);
    tcase_add_test(t, none_takes_no_tls);
    tcase_add_test(t, replay_does_nothing);
    tcase_add_test(t, stalled_at_the_remote);
    tcase_add_test(t, stalled_at_the_local);
    tcase_add_test(t, session_of_another_key);
    tcase_add_test(t, ended_session_of_another_key);
    tcase_add_test(t, withdrawn_key);
    tcase_add_test(t, key_withdrawn_on_the_way);
    tcase_add_test(t, added_key);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
