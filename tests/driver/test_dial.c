/* SPDX-License-Identifier: MIT */
/*
 * Addresses, dials and names. The names are answered by a resolver of the test's own.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>

#include <braid/dial.h>

#include "event/clock.h"
#include "event/context.h"
#include "world.h"

/* ---- addresses ---- */

static const struct {
    const char *text;
    bool valid, name, loopback;
} addresses[] = {
    {"127.0.0.1:80", true, false, true},
    {"127.9.9.9:1", true, false, true},
    {"192.0.2.1:65535", true, false, false},
    {"0.0.0.0:0", true, false, false},
    {"[::1]:80", true, false, true},
    {"[::ffff:127.0.0.1]:80", true, false, true},
    {"[::ffff:192.0.2.1]:80", true, false, false},
    {"[2001:db8::1]:80", true, false, false},
    {"[fe80::1%lo]:80", true, false, false},
    {"localhost:80", true, true, true},
    {"LocalHost:80", true, true, true},
    {"name.example:80", true, true, false},
    {"name.example.:80", true, true, false},
    {"x_y-1:80", true, true, false},
    {"1a:80", true, true, false},
    {"unix:/run/x.sock", true, false, true},
    {"unix:relative", true, false, true},
    {"", false, false, false},
    {":80", false, false, false},
    {"127.0.0.1", false, false, false},
    {"127.0.0.1:", false, false, false},
    {"127.0.0.1:x", false, false, false},
    {"127.0.0.1:-1", false, false, false},
    {"127.0.0.1:65536", false, false, false},
    {"127.0.0.1:100000000000", false, false, false},
    {"127.0.0.1:80 ", false, false, false},
    {"127.0.0.256:80", false, false, false},
    {"1.2.3:80", false, false, false},
    {"::1:80", false, false, false},
    {"[::1]", false, false, false},
    {"[::1]80", false, false, false},
    {"[::1:80", false, false, false},
    {"[127.0.0.1]:80", false, false, false},
    {"[zz]:80", false, false, false},
    {"a..b:80", false, false, false},
    {".:80", false, false, false},
    {"na me:80", false, false, false},
    {"unix:", false, false, false},
};

START_TEST(address_is_read)
{
    const char *why = NULL;
    struct braid_address *address = braid_address_new(addresses[_i].text, &why);

    ck_assert_msg((address != NULL) == addresses[_i].valid, "%s", addresses[_i].text);
    if (address == NULL) {
        ck_assert_ptr_nonnull(why);
        return;
    }
    ck_assert_str_eq(braid_address_text(address), addresses[_i].text);
    ck_assert_int_eq(braid_address_is_name(address), addresses[_i].name);
    ck_assert_int_eq(braid_address_is_loopback(address), addresses[_i].loopback);
    braid_address_free(address);
}
END_TEST

START_TEST(long_addresses_are_refused)
{
    struct braid_address *longest;
    char text[400];

    snprintf(text, sizeof text, "unix:/%0106d", 0);
    longest = braid_address_new(text, NULL);
    ck_assert_ptr_nonnull(longest);
    braid_address_free(longest);
    snprintf(text, sizeof text, "unix:/%0107d", 0);
    ck_assert_ptr_null(braid_address_new(text, NULL));
    snprintf(text, sizeof text, "%064da:80", 0);
    ck_assert_ptr_null(braid_address_new(text, NULL));
}
END_TEST

static char directory[64];

/* A fresh directory for sockets. */
static void make_directory(void)
{
    strcpy(directory, "/tmp/braid-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

/* A unix socket, whose file is left over from one who is gone; then one who is there. */
START_TEST(stale_unix_socket_is_replaced)
{
    char text[200], path[128];
    struct braid_address *address;
    int first, second;

    make_directory();
    snprintf(path, sizeof path, "%s/socket", directory);
    snprintf(text, sizeof text, "unix:%s", path);
    address = braid_address_new(text, NULL);
    first = braid_address_listen(address, 5);
    ck_assert_int_ge(first, 0);
    ck_assert_int_eq(braid_address_listen(address, 5), -1);
    ck_assert_int_eq(errno, EADDRINUSE);
    close(first);
    second = braid_address_listen(address, 5);
    ck_assert_int_ge(second, 0);
    close(second);
    unlink(path);
    rmdir(directory);
    braid_address_free(address);
}
END_TEST

/* ---- dials ---- */

static struct event_base *base;
static struct braid_context *context;
static struct braid_dial *dial;

struct result {
    unsigned calls;
    int fd;
    int error;
};
static struct result result;
static bool calling;

static void setup(void)
{
    base = event_base_new();
    context = braid_context_new(base, NULL);
    ck_assert_ptr_nonnull(context);
    memset(&result, 0, sizeof result);
    result.fd = -1;
}

static void teardown(void)
{
    if (result.fd >= 0)
        close(result.fd);
    ck_assert_uint_eq(memory_in_use(context), 0);
    braid_context_free(context);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
}

static void on_dialled(int fd, int error, void *arg)
{
    struct result *r = arg;

    ck_assert(!calling);
    r->calls++;
    r->fd = fd;
    r->error = error;
}

static bool dialled(void *arg)
{
    return ((struct result *)arg)->calls > 0;
}

/* Dials and waits for the result. */
static void dial_text(const char *text, unsigned milliseconds)
{
    struct braid_address *address = braid_address_new(text, NULL);

    ck_assert_ptr_nonnull(address);
    result.calls = 0;
    calling = true;
    dial = braid_dial_new(context, address, milliseconds, on_dialled, &result);
    calling = false;
    ck_assert_ptr_nonnull(dial);
    ck_assert(run_until(base, dialled, &result, PATIENCE));
    ck_assert_uint_eq(result.calls, 1);
    ck_assert_int_eq(result.fd >= 0, result.error == BRAID_OK);
    braid_address_free(address);
}

static int listen_on(const char *text)
{
    struct braid_address *address = braid_address_new(text, NULL);
    int fd = braid_address_listen(address, 128);

    braid_address_free(address);
    return fd;
}

static int port_of(int fd)
{
    struct sockaddr_in6 in6;
    socklen_t len = sizeof in6;

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in6, &len), 0);
    return ntohs(in6.sin6_port);
}

START_TEST(dial_connects)
{
    static const char *const hosts[] = {"127.0.0.1", "[::1]"};
    char text[128];
    int on = 0, fd;
    socklen_t len = sizeof on;

    snprintf(text, sizeof text, "%s:0", hosts[_i]);
    fd = listen_on(text);
    ck_assert_int_ge(fd, 0);
    snprintf(text, sizeof text, "%s:%d", hosts[_i], port_of(fd));
    dial_text(text, 1000);
    ck_assert_int_eq(result.error, BRAID_OK);
    ck_assert_int_eq(getsockopt(result.fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, &len), 0);
    ck_assert_int_ne(on, 0);
    close(fd);
}
END_TEST

START_TEST(dial_connects_to_unix)
{
    char text[128];
    int fd;

    make_directory();
    snprintf(text, sizeof text, "unix:%s/socket", directory);
    fd = listen_on(text);
    ck_assert_int_ge(fd, 0);
    dial_text(text, 1000);
    ck_assert_int_eq(result.error, BRAID_OK);
    close(fd);
    close(result.fd);
    dial_text(text, 1000);
    ck_assert_int_eq(result.error, BRAID_ERR_REFUSED);
    unlink(text + 5);
    dial_text(text, 1000);
    ck_assert_int_eq(result.error, BRAID_ERR_UNREACHABLE);
    rmdir(directory);
}
END_TEST

START_TEST(dial_is_refused)
{
    char text[128];
    int fd = listen_on("127.0.0.1:0");

    snprintf(text, sizeof text, "127.0.0.1:%d", port_of(fd));
    close(fd);
    dial_text(text, 1000);
    ck_assert_int_eq(result.error, BRAID_ERR_REFUSED);
    ck_assert_int_eq(result.fd, -1);
}
END_TEST

/* A backlog that is full drops what comes after it. */
START_TEST(dial_times_out)
{
    struct sockaddr_in in;
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM, 0), fill[8];
    uint64_t start;
    char text[128];

    memset(&in, 0, sizeof in);
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    for (int i = 0; i < 8; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], (struct sockaddr *)&in, sizeof in);
    }
    snprintf(text, sizeof text, "127.0.0.1:%d", ntohs(in.sin_port));
    start = braid_clock();
    dial_text(text, 200);
    ck_assert_int_eq(result.error, BRAID_ERR_TIMED_OUT);
    ck_assert_uint_ge(braid_clock() - start, 190000);
    for (int i = 0; i < 8; i++)
        close(fill[i]);
    close(fd);
}
END_TEST

START_TEST(dial_is_cancelled)
{
    static const char *const texts[] = {"127.0.0.1:1", "192.0.2.1:1", "localhost:1",
                                        "name.invalid:1"};
    struct braid_address *address = braid_address_new(texts[_i], NULL);

    dial = braid_dial_new(context, address, 300, on_dialled, &result);
    ck_assert_ptr_nonnull(dial);
    braid_dial_cancel(dial);
    run_for(base, 0.4);
    ck_assert_uint_eq(result.calls, 0);
    braid_address_free(address);
}
END_TEST

/* A loop without anything to do ends, resolver and all. */
START_TEST(loop_ends)
{
    struct braid_address *address = braid_address_new("localhost:1", NULL);

    dial = braid_dial_new(context, address, 300, on_dialled, &result);
    ck_assert_ptr_nonnull(dial);
    event_base_dispatch(base);
    ck_assert_uint_eq(result.calls, 1);
    ck_assert_int_eq(result.error, BRAID_ERR_REFUSED);
    braid_address_free(address);
}
END_TEST

/* ---- names ---- */

static struct evdns_server_port *server;
static unsigned questions;
static bool failing, silent, half_silent;
static const char *answer_text;

static void on_question(struct evdns_server_request *request, void *arg)
{
    (void)arg;
    questions++;
    if (silent) {
        evdns_server_request_drop(request);
        return;
    }
    for (int i = 0; i < request->nquestions; i++) {
        const struct evdns_server_question *q = request->questions[i];
        struct in_addr in;

        ck_assert_int_eq(inet_pton(AF_INET, answer_text, &in), 1);
        if (half_silent && q->type != EVDNS_TYPE_A) {
            evdns_server_request_drop(request);
            return;
        }
        if (!failing && q->type == EVDNS_TYPE_A)
            evdns_server_request_add_a_reply(request, q->name, 1, &in, 60);
    }
    evdns_server_request_respond(request, failing ? DNS_ERR_NOTEXIST : 0);
}

/* Makes the context ask the test's own server. */
static void names_setup(void)
{
    struct sockaddr_in in;
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    char text[64];

    setup();
    memset(&in, 0, sizeof in);
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    server = evdns_add_server_port_with_base(base, fd, 0, on_question, NULL);
    ck_assert_ptr_nonnull(server);
    context->resolver.dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    context->resolver.made = braid_clock(); /* so that it is not made anew */
    snprintf(text, sizeof text, "127.0.0.1:%d", ntohs(in.sin_port));
    ck_assert_int_eq(evdns_base_nameserver_ip_add(context->resolver.dns, text), 0);
    questions = 0;
    failing = silent = half_silent = false;
    answer_text = "127.0.0.1";
}

static void names_teardown(void)
{
    evdns_close_server_port(server);
    teardown();
}

START_TEST(name_is_asked_once_a_minute)
{
    char text[128];
    int fd = listen_on("127.0.0.1:0");
    unsigned first;

    snprintf(text, sizeof text, "tunnel.example:%d", port_of(fd));
    dial_text(text, 3000);
    ck_assert_int_eq(result.error, BRAID_OK);
    close(result.fd);
    first = questions;
    ck_assert_uint_ge(first, 1);
    dial_text(text, 3000);
    ck_assert_int_eq(result.error, BRAID_OK);
    close(result.fd);
    ck_assert_uint_eq(questions, first);
    braid_resolver_forget(&context->resolver);
    answer_text = "127.0.0.2"; /* where the listener is not */
    dial_text(text, 3000);
    ck_assert_int_eq(result.error, BRAID_ERR_REFUSED);
    ck_assert_uint_gt(questions, first);
    braid_resolver_forget(&context->resolver);
    failing = true; /* the old answer is better than none */
    dial_text(text, 3000);
    ck_assert_int_eq(result.error, BRAID_ERR_REFUSED);
    close(fd);
}
END_TEST

START_TEST(unknown_name_is_an_error)
{
    failing = true;
    dial_text("nobody.example:80", 3000);
    ck_assert_int_eq(result.error, BRAID_ERR_NAME);
}
END_TEST

START_TEST(silent_resolver_is_an_error_in_time)
{
    uint64_t start = braid_clock();

    silent = true;
    dial_text("slow.example:80", 300);
    ck_assert_int_eq(result.error, BRAID_ERR_NAME);
    ck_assert_uint_lt(braid_clock() - start, 3000000);
}
END_TEST

/* No answer to AAAA: the one to A is used after a while. */
START_TEST(half_an_answer_will_do)
{
    char text[128];
    int fd = listen_on("127.0.0.1:0");

    half_silent = true;
    snprintf(text, sizeof text, "half.example:%d", port_of(fd));
    dial_text(text, 8000);
    ck_assert_int_eq(result.error, BRAID_OK);
    close(fd);
}
END_TEST

static struct result many[50];

static bool all_dialled(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++)
        if (many[i].calls == 0)
            return false;
    return true;
}

START_TEST(those_who_wait_share_a_question)
{
    struct braid_address *address;
    char text[128];
    int fd = listen_on("127.0.0.1:0");

    snprintf(text, sizeof text, "tunnel.example:%d", port_of(fd));
    address = braid_address_new(text, NULL);
    memset(many, 0, sizeof many);
    for (int i = 0; i < 50; i++)
        ck_assert_ptr_nonnull(braid_dial_new(context, address, 3000, on_dialled, &many[i]));
    ck_assert(run_until(base, all_dialled, NULL, PATIENCE));
    ck_assert_uint_le(questions, 2); /* A and AAAA */
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(many[i].error, BRAID_OK);
        close(many[i].fd);
    }
    braid_address_free(address);
    close(fd);
}
END_TEST

/* A context may go while its question is on its way, or half of it. */
START_TEST(context_goes_while_asking)
{
    struct braid_address *address = braid_address_new("slow.example:80", NULL);

    silent = _i == 0;
    half_silent = _i == 1;
    dial = braid_dial_new(context, address, 3000, on_dialled, &result);
    ck_assert_ptr_nonnull(dial);
    run_for(base, 0.1);
    braid_context_free(context);
    run_for(base, 0.1);
    ck_assert_uint_eq(result.calls, 0);
    context = braid_context_new(base, NULL);
    braid_address_free(address);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("dial");
    TCase *t = tcase_create("address");

    tcase_add_loop_test(t, address_is_read, 0, sizeof addresses / sizeof *addresses);
    tcase_add_test(t, long_addresses_are_refused);
    tcase_add_test(t, stale_unix_socket_is_replaced);
    suite_add_tcase(s, t);

    t = tcase_create("dial");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, TEST_TIMEOUT);
    tcase_add_loop_test(t, dial_connects, 0, 2);
    tcase_add_test(t, dial_connects_to_unix);
    tcase_add_test(t, dial_is_refused);
    tcase_add_test(t, dial_times_out);
    tcase_add_loop_test(t, dial_is_cancelled, 0, 4);
    tcase_add_test(t, loop_ends);
    suite_add_tcase(s, t);

    t = tcase_create("names");
    tcase_add_checked_fixture(t, names_setup, names_teardown);
    tcase_set_timeout(t, TEST_TIMEOUT);
    tcase_add_test(t, name_is_asked_once_a_minute);
    tcase_add_test(t, unknown_name_is_an_error);
    tcase_add_test(t, silent_resolver_is_an_error_in_time);
    tcase_add_test(t, those_who_wait_share_a_question);
    tcase_add_test(t, half_an_answer_will_do);
    tcase_add_loop_test(t, context_goes_while_asking, 0, 2);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
