/* SPDX-License-Identifier: MIT */
/*
 * What feels like a bufferevent: writes that copy, input and output buffers, watermarks, halves
 * that wait, end and are driven apart; and listeners and streams of several addresses.
 */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/buffer.h>

#include "world.h"

#define MIB ((size_t)1 << 20)
#define ADDRESSES 3

/* One end of a stream, and what its callbacks have seen. */
struct end {
    struct braid_stream *stream;
    unsigned reads, writes;
    bool connected, eof, closed, error;
};

static struct event_base *base;
static struct braid_context *local_context, *remote_context;
static struct braid_listener *listener;
static struct braid_address *addresses[ADDRESSES]; /* as they are bound */
static struct end client, server;
static uint8_t *data; /* 4 MiB that differ from place to place */

static void on_read(struct braid_stream *stream, void *arg)
{
    (void)stream;
    ((struct end *)arg)->reads++;
}

static void on_write(struct braid_stream *stream, void *arg)
{
    (void)stream;
    ((struct end *)arg)->writes++;
}

static void on_event(struct braid_stream *stream, unsigned events, void *arg)
{
    struct end *end = arg;

    (void)stream;
    end->connected |= (events & BRAID_EVENT_CONNECTED) != 0;
    end->eof |= (events & BRAID_EVENT_EOF) != 0;
    end->closed |= (events & BRAID_EVENT_CLOSED) != 0;
    end->error |= (events & BRAID_EVENT_ERROR) != 0;
}

static void on_stream(struct braid_listener *from, struct braid_stream *stream, void *arg)
{
    (void)arg;
    ck_assert_ptr_eq(from, listener);
    ck_assert_ptr_null(server.stream);
    server.stream = stream;
    braid_stream_setcb(stream, on_read, on_write, on_event, &server);
    braid_stream_answer(stream, BRAID_OK);
}

static void setup(void)
{
    struct sockaddr_storage bound[ADDRESSES];
    struct braid_address *any[ADDRESSES];
    char text[128];

    memset(&client, 0, sizeof client);
    memset(&server, 0, sizeof server);
    data = malloc(4 * MIB);
    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < 4 * MIB; i++)
        data[i] = (uint8_t)((i * 2654435761u) >> 13);
    base = event_base_new();
    local_context = braid_context_new(base, NULL);
    remote_context = braid_context_new(base, NULL);
    for (size_t i = 0; i < ADDRESSES; i++)
        any[i] = braid_address_new("127.0.0.1:0", NULL);
    listener = braid_listener_new_bind(remote_context, NULL, any, ADDRESSES, on_stream, NULL);
    ck_assert_ptr_nonnull(listener);
    ck_assert_uint_eq(braid_listener_get_addresses(listener, bound, ADDRESSES), ADDRESSES);
    for (size_t i = 0; i < ADDRESSES; i++) {
        braid_address_free(any[i]);
        addresses[i] = braid_address_new(
            braid_sockaddr_text((struct sockaddr *)&bound[i], text, sizeof text), NULL);
        ck_assert_ptr_nonnull(addresses[i]);
    }
}

static void teardown(void)
{
    braid_stream_free(client.stream);
    braid_stream_free(server.stream);
    braid_context_free(local_context);
    braid_context_free(remote_context);
    event_base_free(base);
    for (size_t i = 0; i < ADDRESSES; i++)
        braid_address_free(addresses[i]);
    free(data);
}

static bool is_set(void *flag)
{
    return *(bool *)flag;
}

static bool both_closed(void *arg)
{
    (void)arg;
    return client.closed && server.closed;
}

static void open_via(size_t n)
{
    client.stream = braid_stream_connect_addresses(local_context, NULL, addresses, n);
    ck_assert_ptr_nonnull(client.stream);
    braid_stream_setcb(client.stream, on_read, on_write, on_event, &client);
    ck_assert(run_until(base, is_set, &client.connected, PATIENCE));
    ck_assert_ptr_nonnull(server.stream);
}

struct amount {
    struct braid_stream *stream;
    uint64_t unread;
};

static bool has_unread(void *arg)
{
    const struct amount *amount = arg;
    struct braid_stream_info info;

    braid_stream_get_info(amount->stream, &info);
    return info.unread >= amount->unread;
}

static bool wait_unread(struct braid_stream *stream, uint64_t bytes)
{
    struct amount amount = {stream, bytes};

    return run_until(base, has_unread, &amount, PATIENCE);
}

static bool all_acknowledged(void *arg)
{
    struct braid_stream_info info;

    braid_stream_get_info(arg, &info);
    return info.backlog == 0;
}

/* Reads to the end of what the client writes and compares. */
static void expect(size_t length)
{
    static uint8_t got[65536];
    size_t seen = 0;

    while (seen < length) {
        size_t n;

        ck_assert(wait_unread(server.stream, 1));
        n = braid_stream_read(server.stream, got, 1 + seen % sizeof got);
        ck_assert_uint_gt(n, 0);
        ck_assert_uint_le(seen + n, length);
        ck_assert_mem_eq(got, data + seen % (4 * MIB), n > 4 * MIB - seen % (4 * MIB) ? 1 : n);
        seen += n;
    }
}

/* ---- writing ---- */

/* More than the session has room for, in pieces of odd sizes, and the end behind all of it. */
START_TEST(writes_arrive_in_order)
{
    struct braid_stream_info info;
    struct evbuffer *buffer = evbuffer_new();

    open_via(1);
    ck_assert_int_eq(braid_stream_write(client.stream, data, 1), 0);
    ck_assert_int_eq(braid_stream_write(client.stream, data + 1, 3 * MIB), 0);
    evbuffer_add(buffer, data + 1 + 3 * MIB, 12345);
    ck_assert_int_eq(braid_stream_write_buffer(client.stream, buffer), 0);
    ck_assert_uint_eq(evbuffer_get_length(buffer), 0);
    evbuffer_free(buffer);
    braid_stream_get_info(client.stream, &info);
    ck_assert_uint_eq(info.bytes_sent, 1 + 3 * MIB + 12345);
    ck_assert_uint_eq(info.backlog, info.bytes_sent);
    braid_stream_shutdown(client.stream, EV_WRITE);
    ck_assert_int_eq(braid_stream_write(client.stream, data, 1), -1);
    expect(1 + 3 * MIB + 12345);
    ck_assert(run_until(base, is_set, &server.eof, PATIENCE));
    braid_stream_shutdown(server.stream, EV_WRITE);
    ck_assert(run_until(base, both_closed, NULL, PATIENCE));
    ck_assert_int_eq(braid_stream_write(client.stream, data, 1), -1);
}
END_TEST

static void on_cleanup(const void *bytes, size_t len, void *arg)
{
    (void)bytes;
    *(size_t *)arg += len;
}

/* References are sent as they are, and given back when the peer has them; small pieces between. */
START_TEST(references_are_not_copied)
{
    struct evbuffer *buffer = evbuffer_new();
    size_t at = 0, given_back = 0;

    open_via(1);
    for (size_t n = MIB; n > 1000; n /= 2) {
        ck_assert_int_eq(evbuffer_add_reference(buffer, data + at, n, on_cleanup, &given_back), 0);
        at += n;
        ck_assert_int_eq(evbuffer_add(buffer, data + at, 100), 0);
        at += 100;
        if (n % 3 == 2) /* more at a time, too */
            continue;
        ck_assert_int_eq(braid_stream_write_buffer(client.stream, buffer), 0);
        ck_assert_uint_eq(evbuffer_get_length(buffer), 0);
    }
    evbuffer_free(buffer);
    ck_assert_uint_lt(given_back, MIB);
    expect(at);
    ck_assert(run_until(base, all_acknowledged, client.stream, PATIENCE));
    ck_assert_uint_eq(given_back, at - 100 * 11);
}
END_TEST

/* A stream that is freed gives back what it was lent, sent or not. */
START_TEST(references_are_given_back_with_the_stream)
{
    struct evbuffer *buffer = evbuffer_new();
    size_t given_back = 0;

    open_via(1);
    ck_assert_int_eq(evbuffer_add_reference(buffer, data, 4 * MIB, on_cleanup, &given_back), 0);
    ck_assert_int_eq(evbuffer_add_reference(buffer, data, 4 * MIB, on_cleanup, &given_back), 0);
    ck_assert_int_eq(braid_stream_write_buffer(client.stream, buffer), 0);
    evbuffer_free(buffer);
    if (_i == 1)
        ck_assert(wait_unread(server.stream, 100000));
    ck_assert_uint_eq(given_back, 0);
    braid_stream_reset(client.stream, BRAID_ERR_RESET);
    braid_stream_free(client.stream);
    client.stream = NULL;
    ck_assert(run_until(base, is_set, &server.error, PATIENCE));
    braid_context_free(local_context);
    local_context = NULL;
    ck_assert_uint_eq(given_back, 8 * MIB);
}
END_TEST

/* Lent memory comes behind what was written before. */
START_TEST(reserving_waits_for_what_was_written)
{
    struct iovec v[8];

    open_via(1);
    ck_assert_int_eq(braid_stream_write(client.stream, data, 2 * MIB), 0);
    ck_assert_int_eq(braid_stream_reserve(client.stream, v, 8), 0);
    expect(2 * MIB);
    ck_assert_int_gt(braid_stream_reserve(client.stream, v, 8), 0);
    braid_stream_commit(client.stream, 0);
}
END_TEST

static bool has_written(void *arg)
{
    return client.writes >= *(unsigned *)arg;
}

START_TEST(the_high_mark_refuses_and_the_low_one_tells)
{
    struct evbuffer *buffer = evbuffer_new();
    unsigned once = 1;

    open_via(1);
    ck_assert_int_eq(braid_stream_setwatermark(client.stream, EV_WRITE, 2, 1), -1);
    ck_assert_int_eq(braid_stream_setwatermark(client.stream, EV_WRITE, MIB / 2, 2 * MIB), 0);
    evbuffer_add(buffer, data, 2 * MIB + 1);
    ck_assert_int_eq(braid_stream_write_buffer(client.stream, buffer), -1);
    ck_assert_uint_eq(evbuffer_get_length(buffer), 2 * MIB + 1);
    ck_assert_int_eq(braid_stream_write(client.stream, data, 2 * MIB + 1), -1);
    evbuffer_free(buffer);
    run_for(base, 0.05);
    ck_assert_uint_eq(server.reads, 0); /* nothing of what was refused */
    ck_assert_int_eq(braid_stream_write(client.stream, data, 2 * MIB), 0);
    run_for(base, 0.05);
    ck_assert_uint_eq(client.writes, 0); /* nobody reads, and much waits */
    expect(2 * MIB);
    ck_assert(run_until(base, has_written, &once, PATIENCE));
}
END_TEST

/* ---- reading ---- */

static bool has_read(void *arg)
{
    return server.reads >= *(unsigned *)arg;
}

START_TEST(the_low_mark_waits_for_enough_or_the_end)
{
    unsigned once = 1, twice = 2;
    uint8_t got[200];

    open_via(1);
    ck_assert_int_eq(braid_stream_setwatermark(server.stream, EV_READ, 100, 0), 0);
    ck_assert_int_eq(braid_stream_write(client.stream, data, 99), 0);
    ck_assert(wait_unread(server.stream, 99));
    run_for(base, 0.05);
    ck_assert_uint_eq(server.reads, 0);
    ck_assert_int_eq(braid_stream_write(client.stream, data + 99, 1), 0);
    ck_assert(run_until(base, has_read, &once, PATIENCE));
    ck_assert_uint_eq(braid_stream_read(server.stream, got, sizeof got), 100);
    ck_assert_int_eq(braid_stream_write(client.stream, data + 100, 5), 0);
    braid_stream_shutdown(client.stream, EV_WRITE);
    ck_assert(run_until(base, has_read, &twice, PATIENCE));
    ck_assert_uint_eq(braid_stream_read(server.stream, got + 100, 100), 5);
    ck_assert_mem_eq(got, data, 105);
    ck_assert(run_until(base, is_set, &server.eof, PATIENCE));
}
END_TEST

/* A low mark beyond the window of the moment widens it; one beyond all windows works as they do. */
START_TEST(the_low_mark_has_room)
{
    static const size_t low[] = {1 << 20, 64 << 20}, enough[] = {1 << 20, 8 << 20};
    static uint8_t got[1 << 16];
    unsigned once = 1;
    size_t n, sum = 0;

    open_via(1);
    ck_assert_int_eq(braid_stream_setwatermark(server.stream, EV_READ, low[_i], 0), 0);
    while (sum < 10 << 20 && braid_stream_write(client.stream, got, sizeof got) == 0)
        sum += sizeof got;
    ck_assert(run_until(base, has_read, &once, PATIENCE));
    sum = 0;
    while ((n = braid_stream_read(server.stream, got, sizeof got)) > 0)
        sum += n;
    ck_assert_uint_ge(sum, enough[_i]);
}
END_TEST

/* The input never holds more than its mark, and draining it brings the rest. */
START_TEST(the_input_is_bounded_and_refilled)
{
    const size_t length = MIB + 17;
    size_t seen = 0;
    struct evbuffer *input;

    open_via(1);
    ck_assert_int_eq(braid_stream_setwatermark(server.stream, EV_READ, 0, 10000), 0);
    ck_assert_int_eq(braid_stream_write(client.stream, data, length), 0);
    braid_stream_shutdown(client.stream, EV_WRITE);
    ck_assert(wait_unread(server.stream, 65536));
    input = braid_stream_get_input(server.stream);
    while (seen < length) {
        unsigned more = server.reads + 1;
        size_t held = evbuffer_get_length(input);

        ck_assert_uint_le(held, 10000);
        ck_assert_int_eq(memcmp(evbuffer_pullup(input, -1), data + seen, held), 0);
        evbuffer_drain(input, held);
        seen += held;
        ck_assert(seen == length || run_until(base, has_read, &more, PATIENCE));
    }
    ck_assert(run_until(base, is_set, &server.eof, PATIENCE));
}
END_TEST

START_TEST(a_buffer_takes_all_that_arrived)
{
    struct evbuffer *buffer = evbuffer_new();

    open_via(1);
    ck_assert_int_eq(braid_stream_write(client.stream, data, 50000), 0);
    ck_assert(wait_unread(server.stream, 50000));
    ck_assert_int_eq(braid_stream_setwatermark(server.stream, EV_READ, 0, 1000), 0);
    ck_assert_uint_eq(evbuffer_get_length(braid_stream_get_input(server.stream)), 1000);
    ck_assert_int_eq(braid_stream_read_buffer(server.stream, buffer), 0);
    ck_assert_uint_eq(evbuffer_get_length(buffer), 50000);
    ck_assert_mem_eq(evbuffer_pullup(buffer, -1), data, 50000);
    evbuffer_free(buffer);
}
END_TEST

/* ---- halves ---- */

START_TEST(a_disabled_half_waits)
{
    unsigned once = 1;

    open_via(1);
    braid_stream_disable(server.stream, EV_READ);
    ck_assert_int_eq(braid_stream_write(client.stream, data, 1000), 0);
    ck_assert(wait_unread(server.stream, 1000));
    run_for(base, 0.05);
    ck_assert_uint_eq(server.reads, 0);
    braid_stream_enable(server.stream, EV_READ);
    ck_assert(run_until(base, has_read, &once, PATIENCE));
    braid_stream_disable(client.stream, EV_WRITE);
    client.writes = 0;
    ck_assert_int_eq(braid_stream_write(client.stream, data, 1), 0);
    ck_assert(wait_unread(server.stream, 1001));
    ck_assert_uint_eq(client.writes, 0);
    braid_stream_enable(client.stream, EV_WRITE);
    ck_assert(run_until(base, has_written, &once, PATIENCE));
}
END_TEST

/* Each half tells its own owner. */
START_TEST(halves_are_driven_apart)
{
    struct end reader = {0}, writer = {0};
    struct braid_stream_info info;

    open_via(1);
    braid_stream_set_read_cb(client.stream, on_read, &reader);
    braid_stream_set_write_cb(client.stream, on_write, &writer);
    client.reads = client.writes = 0;
    ck_assert_int_eq(braid_stream_write(client.stream, data, 10), 0);
    ck_assert_int_eq(braid_stream_write(server.stream, data, 10), 0);
    ck_assert(wait_unread(client.stream, 10));
    run_for(base, 0.02);
    ck_assert_uint_gt(reader.reads, 0);
    ck_assert_uint_eq(reader.writes, 0);
    ck_assert_uint_gt(writer.writes, 0);
    ck_assert_uint_eq(writer.reads, 0);
    ck_assert_uint_eq(client.reads + client.writes, 0);
    braid_stream_get_info(client.stream, &info);
    ck_assert_uint_eq(info.unread, 10);
}
END_TEST

/* What is not wanted any more does not hold up the peer: far more than the window passes. */
START_TEST(a_half_that_is_shut_for_reading_discards)
{
    open_via(1);
    ck_assert_int_eq(braid_stream_write(client.stream, data, 1000), 0);
    ck_assert(wait_unread(server.stream, 1000));
    braid_stream_shutdown(server.stream, EV_READ | EV_WRITE);
    server.reads = 0;
    for (int i = 0; i < 12; i++)
        ck_assert_int_eq(braid_stream_write(client.stream, data, 4 * MIB), 0);
    braid_stream_shutdown(client.stream, EV_WRITE);
    ck_assert(run_until(base, both_closed, NULL, PATIENCE));
    ck_assert(server.eof);
    ck_assert_uint_eq(server.reads, 0);
}
END_TEST

/* ---- several addresses ---- */

static bool has_subflows(void *arg)
{
    struct braid_stream_info info;

    braid_stream_get_info(client.stream, &info);
    return info.subflows == *(unsigned *)arg;
}

START_TEST(a_stream_uses_all_addresses)
{
    struct braid_subflow_info infos[8];
    unsigned wanted = ADDRESSES;
    size_t n, found = 0;
    char text[128];

    open_via(ADDRESSES);
    ck_assert(run_until(base, has_subflows, &wanted, PATIENCE));
    n = braid_stream_get_subflows(client.stream, infos, 8);
    ck_assert_uint_eq(n, ADDRESSES);
    for (size_t i = 0; i < ADDRESSES; i++) {
        const char *want = braid_address_text(addresses[i]);

        for (size_t k = 0; k < n; k++) {
            const struct sockaddr *peer = (const struct sockaddr *)&infos[k].peer;

            if (strcmp(braid_sockaddr_text(peer, text, sizeof text), want) == 0) {
                ck_assert_str_eq(infos[k].path_name, want);
                ck_assert_int_eq(infos[k].local.ss_family, AF_INET);
                found++;
            }
        }
    }
    ck_assert_uint_eq(found, ADDRESSES);
}
END_TEST

START_TEST(no_address_is_no_stream)
{
    ck_assert_ptr_null(braid_stream_connect_addresses(local_context, NULL, addresses, 0));
    ck_assert_ptr_null(braid_stream_connect_addresses(local_context, NULL, addresses, 17));
}
END_TEST

static void on_log(enum braid_severity severity, const char *message, void *arg)
{
    (void)severity;
    snprintf(arg, 256, "%s", message);
}

/* One of several that is taken: nothing is bound, and the log says which. */
START_TEST(an_address_that_is_taken_is_named)
{
    struct braid_address *both[2] = {braid_address_new("127.0.0.1:0", NULL), addresses[1]};
    char line[256] = "";

    braid_context_set_log_cb(local_context, on_log, line);
    ck_assert_ptr_null(braid_listener_new_bind(local_context, NULL, both, 2, on_stream, NULL));
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(line, braid_address_text(addresses[1])));
    ck_assert_ptr_null(braid_listener_new_bind(local_context, NULL, both, 0, on_stream, NULL));
    ck_assert_int_eq(errno, EINVAL);
    braid_address_free(both[0]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buffers");
    TCase *tcase = tcase_create("buffers");

    tcase_set_timeout(tcase, TEST_TIMEOUT);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, writes_arrive_in_order);
    tcase_add_test(tcase, references_are_not_copied);
    tcase_add_loop_test(tcase, references_are_given_back_with_the_stream, 0, 2);
    tcase_add_test(tcase, reserving_waits_for_what_was_written);
    tcase_add_test(tcase, the_high_mark_refuses_and_the_low_one_tells);
    tcase_add_test(tcase, the_low_mark_waits_for_enough_or_the_end);
    tcase_add_loop_test(tcase, the_low_mark_has_room, 0, 2);
    tcase_add_test(tcase, the_input_is_bounded_and_refilled);
    tcase_add_test(tcase, a_buffer_takes_all_that_arrived);
    tcase_add_test(tcase, a_disabled_half_waits);
    tcase_add_test(tcase, halves_are_driven_apart);
    tcase_add_test(tcase, a_half_that_is_shut_for_reading_discards);
    tcase_add_test(tcase, a_stream_uses_all_addresses);
    tcase_add_test(tcase, no_address_is_no_stream);
    tcase_add_test(tcase, an_address_that_is_taken_is_named);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
