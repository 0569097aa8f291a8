/* SPDX-License-Identifier: MIT */
/*
 * TLS on a transport, whatever the network in between does with its bytes: delivers them one by
 * one, takes them slowly, cuts them off, changes them.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certificates.h"
#include "event/security.h"
#include "event/transport_tls.h"
#include "world.h"

/* For the library to find it here. */
#define REPLACES __attribute__((visibility("default")))

#define PREAMBLE "0123456789abcdef"
#define KEY_A "web 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
#define KEY_B "mail ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100\n"

/* One direction of the network. */
struct wire {
    int from, to;
    size_t slice;   /* bytes at a time */
    size_t passed;  /* so far */
    size_t cut_at;  /* passes no more than that, and ends then */
    size_t flip_at; /* changes that byte */
    bool cut;
};

struct end {
    struct braid_security *security;
    struct braid_credentials *credentials;
    struct braid_tls_scratch *scratch;
    struct braid_transport transport;
    int net; /* the network's end of its socket */
    bool secure;
    int error; /* errno of the first failure */
    const char *why;
    size_t sent, received;
    bool ended, wrong;
};

static struct end client, server;
static struct wire up, down;

/* The socket that is reset before so many more writes to it; -1: none. */
static int reset_fd = -1;
static int reset_after;

REPLACES ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    if (fd == reset_fd && reset_after-- <= 0) {
        errno = ECONNRESET;
        return -1;
    }
    return sendto(fd, bytes, len, flags, NULL, 0);
}

static void end_open(struct end *end, const char *keys)
{
    char why[512];
    int fds[2];

    memset(end, 0, sizeof *end);
    end->security = braid_security_new();
    if (keys != NULL)
        ck_assert_int_ge(
            braid_security_read_keys(end->security, keys, strlen(keys), "test", why, sizeof why),
            1);
    end->scratch = calloc(1, sizeof *end->scratch);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    end->net = fds[1];
    braid_transport_plain(&end->transport, fds[0], false);
}

static void open_both(const char *client_keys, const char *server_keys)
{
    end_open(&client, client_keys);
    end_open(&server, server_keys);
    up = (struct wire){.from = client.net, .to = server.net, .slice = SIZE_MAX};
    down = (struct wire){.from = server.net, .to = client.net, .slice = SIZE_MAX};
    up.cut_at = down.cut_at = up.flip_at = down.flip_at = SIZE_MAX;
}

static void end_close(struct end *end)
{
    end->transport.ops->close(&end->transport);
    if (end->net >= 0)
        close(end->net);
    braid_credentials_unref(end->credentials);
    braid_security_free(end->security);
    free(end->scratch);
}

static void close_both(void)
{
    end_close(&client);
    end_close(&server);
}

/* Passes what is there on, once; whether there was anything. */
static bool pass(struct wire *wire)
{
    uint8_t bytes[65536];
    size_t want = wire->slice < sizeof bytes ? wire->slice : sizeof bytes;
    ssize_t n;

    if (wire->cut)
        return false;
    if (want > wire->cut_at - wire->passed)
        want = wire->cut_at - wire->passed;
    n = want > 0 ? recv(wire->from, bytes, want, 0) : 0;
    if (n < 0)
        return false;
    if (n == 0) {
        wire->cut = true;
        shutdown(wire->to, SHUT_WR);
        return true;
    }
    if (wire->flip_at >= wire->passed && wire->flip_at < wire->passed + (size_t)n)
        bytes[wire->flip_at - wire->passed] ^= 1;
    wire->passed += (size_t)n;
    for (ssize_t done = 0; done < n;) {
        ssize_t written = send(wire->to, bytes + done, (size_t)(n - done), MSG_NOSIGNAL);

        if (written < 0 && errno != EAGAIN)
            return false; /* its reader is gone */
        if (written > 0)
            done += written;
        else
            return false;
    }
    return true;
}

static bool pass_both(void)
{
    bool moved = pass(&up);

    return pass(&down) || moved;
}

/* The first failure is the one that counts. */
static void note(struct end *end)
{
    if (errno == EAGAIN || end->error != 0)
        return;
    end->error = errno;
    end->why = braid_transport_why(&end->transport, errno);
}

/* Takes the client's preamble off, and begins TLS behind it. Without memory nothing comes of it. */
static void accept_tls(void)
{
    char preamble[16];

    if (recv(server.transport.fd, preamble, 16, MSG_PEEK) < 16)
        return;
    ck_assert_int_eq(recv(server.transport.fd, preamble, 16, 0), 16);
    ck_assert(memcmp(preamble, PREAMBLE, 16) == 0);
    server.credentials = braid_security_credentials(server.security);
    if (!braid_transport_tls_accept(&server.transport, server.scratch, server.credentials))
        server.error = ENOMEM;
}

static void connect_tls(void)
{
    client.credentials = braid_security_credentials(client.security);
    if (!braid_transport_tls_connect(&client.transport, client.scratch, client.credentials,
                                     (const uint8_t *)PREAMBLE, 16))
        client.error = ENOMEM;
}

static void shake(struct end *end)
{
    if (end->transport.tls == NULL || end->secure || end->error != 0)
        return;
    end->secure = end->transport.ops->handshake(&end->transport) == 0;
    if (!end->secure)
        note(end);
}

/* Goes on until both ends are secure or have failed, or nothing moves any more. */
static void shake_hands(void)
{
    int idle = 0;

    connect_tls();
    while (idle < 3) {
        bool moved = pass_both();

        if (server.transport.tls == NULL && server.error == 0)
            accept_tls();
        shake(&client);
        shake(&server);
        idle = moved ? 0 : idle + 1;
    }
}

static uint8_t byte_at(size_t offset)
{
    return (uint8_t)((offset * 2654435761u) >> 11);
}

/* Writes the next n bytes, in pieces of odd sizes. */
static void write_some(struct end *end, size_t n)
{
    static uint8_t bytes[200000];
    struct iovec v[5];
    size_t at = 0;
    ssize_t written;

    n = n < sizeof bytes ? n : sizeof bytes;
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(end->sent + i);
    for (int i = 0; i < 5; i++) {
        size_t len = i == 4 ? n - at : (n - at) * (size_t)(i + 1) / 7;

        v[i] = (struct iovec){bytes + at, len};
        at += len;
    }
    written = end->transport.ops->write(&end->transport, v, 5);
    if (written < 0)
        note(end);
    else
        end->sent += (size_t)written;
}

static void read_some(struct end *end)
{
    static uint8_t bytes[3][30000];
    struct iovec v[3] = {{bytes[0], 11}, {bytes[1], 30000}, {bytes[2], 7777}};
    ssize_t n = end->transport.ops->read(&end->transport, v, 3);
    size_t left = n > 0 ? (size_t)n : 0;

    if (n < 0)
        note(end);
    end->ended |= n == 0;
    for (int i = 0; i < 3; i++) {
        for (size_t k = 0; k < v[i].iov_len && left > 0; k++, left--)
            end->wrong |= ((uint8_t *)v[i].iov_base)[k] != byte_at(end->received++);
    }
}

/* Moves total bytes from one end to the other. */
static void transfer(struct end *from, struct end *to, size_t total)
{
    size_t stop = from->sent + total;
    int idle = 0;

    while (idle < 10) {
        size_t before = from->sent + to->received + up.passed + down.passed;

        if (from->transport.backlog && from->error == 0) {
            if (from->transport.ops->flush(&from->transport) != 0)
                note(from);
        } else if (from->sent < stop && from->error == 0) {
            write_some(from, stop - from->sent);
        }
        (void)pass_both();
        if (to->error == 0)
            read_some(to);
        idle = from->sent + to->received + up.passed + down.passed == before ? idle + 1 : 0;
    }
}

/* ---- when all is well ---- */

/* In slices of 1 byte and more, both directions, to the orderly end. */
START_TEST(any_slices)
{
    static const size_t slices[] = {1, 2, 3, 7, 16, 100, 1448, 16384, 65536};

    open_both(KEY_A, KEY_B KEY_A);
    up.slice = down.slice = slices[_i];
    shake_hands();
    ck_assert(client.secure && server.secure);
    ck_assert_str_eq(braid_transport_identity(&server.transport)->name, "web");
    ck_assert_str_eq(braid_transport_identity(&client.transport)->name, "web");
    transfer(&client, &server, 100000);
    transfer(&server, &client, 70001);
    ck_assert_uint_eq(server.received, 100000);
    ck_assert_uint_eq(client.received, 70001);
    ck_assert(!server.wrong && !client.wrong && !server.ended && !client.ended);
    client.transport.ops->shutdown(&client.transport);
    transfer(&client, &server, 0);
    ck_assert(server.ended);
    ck_assert_int_eq(server.error, 0);
    close_both();
}
END_TEST

/* A socket that has no room: what was taken is held, a little of it, and nothing is lost. */
START_TEST(no_room)
{
    int small = 4096;
    size_t before;

    open_both(KEY_A, KEY_A);
    ck_assert_int_eq(setsockopt(client.transport.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small),
                     0);
    shake_hands();
    ck_assert(client.secure && server.secure);
    for (int i = 0; i < 100 && !client.transport.backlog; i++)
        write_some(&client, 200000);
    ck_assert(client.transport.backlog);
    ck_assert_uint_le(client.transport.tls->held_len, BRAID_TLS_RECORD + 256);
    before = client.sent;
    write_some(&client, 1000);
    ck_assert_uint_eq(client.sent, before); /* no room for more */
    ck_assert_int_eq(client.error, 0);
    transfer(&client, &server, 3000000);
    ck_assert_uint_eq(server.received, client.sent);
    ck_assert(!server.wrong);
    ck_assert_ptr_null(client.transport.tls->held);

    /* The orderly end goes behind what is held. */
    while (!client.transport.backlog)
        write_some(&client, 200000);
    client.transport.ops->shutdown(&client.transport);
    ck_assert(client.transport.backlog);
    for (int i = 0; i < 1000 && !server.ended; i++)
        transfer(&client, &server, 0);
    ck_assert(server.ended && !server.wrong);
    ck_assert_uint_eq(server.received, client.sent);
    close_both();
}
END_TEST

/* Keys for the cipher do not last for ever. */
START_TEST(new_keys_on_the_way)
{
    open_both(KEY_A, KEY_A);
    shake_hands();
    client.transport.tls->records_max = 3;
    server.transport.tls->records_max = 2;
    for (int i = 0; i < 20; i++) {
        transfer(&client, &server, 100000);
        transfer(&server, &client, 100000);
    }
    ck_assert_uint_eq(server.received, 2000000);
    ck_assert_uint_eq(client.received, 2000000);
    ck_assert(!server.wrong && !client.wrong);
    close_both();
}
END_TEST

/* More than one read takes: the rest needs no news from the socket. */
START_TEST(more_than_is_read)
{
    uint8_t bytes[100];
    const struct iovec v = {bytes, sizeof bytes};
    size_t got = 0;

    open_both(KEY_A, KEY_A);
    shake_hands();
    write_some(&client, 50000);
    while (pass(&up))
        continue;
    while (got < 50000) {
        ck_assert(got == 0 || server.transport.more ||
                  poll(&(struct pollfd){server.transport.fd, POLLIN, 0}, 1, 0) == 1);
        ck_assert_int_gt(server.transport.ops->read(&server.transport, &v, 1), 0);
        got += 100;
    }
    ck_assert_int_eq(server.transport.ops->read(&server.transport, &v, 1), -1);
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert(!server.transport.more);
    close_both();
}
END_TEST

/* ---- when it is not ---- */

static void expect_failure(const char *client_why, const char *server_why)
{
    shake_hands();
    ck_assert(!client.secure && !server.secure);
    ck_assert_int_eq(client.error, EPROTO);
    ck_assert_int_eq(server.error, EPROTO);
    ck_assert_msg(strstr(client.why, client_why) != NULL, "client: %s", client.why);
    ck_assert_msg(strstr(server.why, server_why) != NULL, "server: %s", server.why);
    close_both();
}

START_TEST(other_key)
{
    open_both(KEY_A, KEY_B);
    expect_failure("does not accept this key", "a key that is not accepted here");
}
END_TEST

/* The id of a key is seen by everybody; it does not help without the secret. */
START_TEST(id_without_secret)
{
    struct braid_key *key;

    open_both(KEY_A, KEY_A);
    client.credentials = braid_security_credentials(client.security);
    key = (struct braid_key *)(uintptr_t)braid_credentials_first(client.credentials);
    braid_credentials_unref(client.credentials);
    key->secret[31] ^= 1;
    expect_failure("", "");
}
END_TEST

/* Reset in the midst of a write: what the peer has read of it was written, and the rest fails. */
START_TEST(reset_within_a_write)
{
    open_both(KEY_A, KEY_A);
    shake_hands();
    reset_after = _i;
    reset_fd = client.transport.fd;
    write_some(&client, 150000);
    reset_fd = -1;
    ck_assert_uint_lt(client.sent, 150000);
    ck_assert_int_eq(client.error, _i == 0 ? ECONNRESET : 0);
    ck_assert(_i == 0 || client.transport.backlog); /* whoever waits for room is told */
    while (pass(&up))
        read_some(&server);
    ck_assert_uint_le(server.received, client.sent);
    ck_assert_uint_ge(server.received, (size_t)_i * 8192);
    ck_assert(!server.wrong && !server.ended);
    ck_assert_int_eq(client.transport.ops->flush(&client.transport), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    write_some(&client, 1);
    ck_assert_int_eq(client.error, ECONNRESET);
    close_both();
}
END_TEST

/* With the secret known, a stream that is cut off anywhere is never at its orderly end. */
START_TEST(cut_anywhere)
{
    size_t handshake, all;

    open_both(KEY_A, KEY_A);
    shake_hands();
    handshake = up.passed;
    transfer(&client, &server, 40000);
    client.transport.ops->shutdown(&client.transport);
    transfer(&client, &server, 0);
    all = up.passed;
    ck_assert(server.ended);
    close_both();

    for (size_t at = 16; at < all; at += at < handshake + 64 || at + 64 > all ? 1 : 997) {
        open_both(KEY_A, KEY_A);
        up.cut_at = at;
        shake_hands();
        if (server.secure) {
            transfer(&client, &server, 40000);
            client.transport.ops->shutdown(&client.transport);
            transfer(&client, &server, 0);
        }
        ck_assert_msg(server.transport.tls != NULL && !server.ended && server.error == EPROTO,
                      "cut at %zu of %zu: %s", at, all, server.why);
        ck_assert(!server.wrong);
        close_both();
    }
}
END_TEST

/* A byte that was changed on the way is found out, wherever it is; bytes before it are right. */
START_TEST(changed_anywhere)
{
    for (size_t at = 16; at < 60000; at += at < 700 ? 1 : 1009) {
        bool refused;

        open_both(KEY_A, KEY_A);
        up.flip_at = at;
        shake_hands();
        if (client.secure && server.secure)
            transfer(&client, &server, 60000);
        ck_assert(!server.wrong && !server.ended);
        refused = server.error == EPROTO || client.error == EPROTO;
        /* A length that was changed has it wait for what will not come: the time limit's matter. Of
         * all bytes only the first record's version is of no meaning (RFC 8446, 5.1). */
        ck_assert_msg(refused || server.received < 60000 || at == 18, "byte %zu", at);
        close_both();
    }
}
END_TEST

/* What is behind the preamble is no TLS at all. */
START_TEST(garbage)
{
    uint8_t bytes[2000];

    open_both(KEY_A, KEY_A);
    memset(bytes, 0x47 + _i, sizeof bytes);
    memcpy(bytes, PREAMBLE, 16);
    ck_assert_int_eq(send(client.transport.fd, bytes, sizeof bytes, 0), sizeof bytes);
    while (pass(&up))
        continue;
    accept_tls();
    for (int i = 0; i < 5; i++)
        shake(&server);
    ck_assert_int_eq(server.error, EPROTO);
    close_both();
}
END_TEST

/* ---- out of memory ---- */

static unsigned long allocations, failing; /* the one that fails; 0: none */

static void *take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return ++allocations == failing ? NULL : malloc(size);
}

static void *take_again(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return ++allocations == failing ? NULL : realloc(memory, size);
}

static void give_back(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

/* OpenSSL's allocations fail one after the other: an error at one end, or none that matters. */
START_TEST(every_allocation_fails_once)
{
    unsigned long from, to;

    open_both(KEY_A, KEY_A);
    allocations = 0;
    shake_hands();
    transfer(&client, &server, 20000);
    to = allocations;
    close_both();
    ck_assert_uint_gt(to, 100);
    for (from = 1; from <= to; from++) {
        open_both(KEY_A, KEY_A);
        allocations = 0;
        failing = from;
        shake_hands();
        if (client.secure && server.secure)
            transfer(&client, &server, 20000);
        failing = 0;
        ck_assert(!server.wrong && !server.ended);
        ck_assert_msg(server.received == 20000 || client.error != 0 || server.error != 0,
                      "allocation %lu of %lu", from, to);
        close_both();
    }
}
END_TEST

/* ---- certificates ---- */

static void use_certificate(struct end *end, const char *name, const char *peer)
{
    struct certificate_files files;
    char why[512];

    certificates_for(name, &files);
    ck_assert_msg(braid_security_load_certificate(end->security, files.certificate,
                                                  files.private_key, files.ca, why,
                                                  sizeof why) == 0,
                  "%s", why);
    if (peer != NULL)
        ck_assert_int_eq(braid_security_add_peer(end->security, peer), 0);
}

START_TEST(certificates)
{
    open_both(NULL, NULL);
    use_certificate(&client, "laptop", "vpn.example.net");
    use_certificate(&server, "vpn.example.net", "phone");
    ck_assert_int_eq(braid_security_add_peer(server.security, "Laptop"), 0);
    up.slice = down.slice = 100;
    shake_hands();
    ck_assert(client.secure && server.secure);
    ck_assert_str_eq(braid_transport_identity(&client.transport)->name, "vpn.example.net");
    ck_assert_str_eq(braid_transport_identity(&server.transport)->name, "laptop");
    transfer(&client, &server, 100000);
    ck_assert_uint_eq(server.received, 100000);
    ck_assert(!server.wrong);
    close_both();
}
END_TEST

START_TEST(certificates_of_others)
{
    static const struct {
        const char *client, *client_wants, *server, *server_wants;
    } cases[] = {
        {"laptop", "vpn.example.net", "vpn.example.net", "phone"},
        {"laptop", "other.example.net", "vpn.example.net", "laptop"},
        {"laptop", "vpn.example.net", "*.example.net", "laptop"},
        {"stranger!laptop", "vpn.example.net", "vpn.example.net", "laptop"},
        {"expired!laptop", "vpn.example.net", "vpn.example.net", "laptop"},
        {"laptop", "vpn.example.net", "stranger!vpn.example.net", "laptop"},
    };

    open_both(NULL, NULL);
    use_certificate(&client, cases[_i].client, cases[_i].client_wants);
    use_certificate(&server, cases[_i].server, cases[_i].server_wants);
    shake_hands();
    ck_assert(!server.secure);
    transfer(&server, &client, 0);
    ck_assert(client.error != 0 && server.error != 0);
    close_both();
}
END_TEST

/* Nobody comes in with a key where certificates are wanted, nor the other way round. */
START_TEST(key_against_certificate)
{
    open_both(_i == 0 ? KEY_A : NULL, _i == 0 ? NULL : KEY_A);
    use_certificate(_i == 0 ? &server : &client, "laptop", "laptop");
    shake_hands();
    ck_assert(!server.secure && !client.secure);
    ck_assert(client.error != 0 && server.error != 0);
    close_both();
}
END_TEST

static void remove_certificates(void)
{
    certificates_remove();
}

static Suite *suite(void)
{
    Suite *s = suite_create("tls");
    TCase *t = tcase_create("tls"), *c = tcase_create("certificates");

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, any_slices, 0, 9);
    tcase_add_test(t, no_room);
    tcase_add_test(t, new_keys_on_the_way);
    tcase_add_test(t, more_than_is_read);
    tcase_add_test(t, other_key);
    tcase_add_test(t, id_without_secret);
    tcase_add_loop_test(t, reset_within_a_write, 0, 5);
    tcase_add_test(t, cut_anywhere);
    tcase_add_test(t, changed_anywhere);
    tcase_add_loop_test(t, garbage, 0, 2);
    tcase_add_test(t, every_allocation_fails_once);
    suite_add_tcase(s, t);
    tcase_set_timeout(c, 60);
    tcase_add_unchecked_fixture(c, NULL, remove_certificates);
    tcase_add_test(c, certificates);
    tcase_add_loop_test(c, certificates_of_others, 0, 6);
    tcase_add_loop_test(c, key_against_certificate, 0, 2);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    if (CRYPTO_set_mem_functions(take, take_again, give_back) != 1)
        return EXIT_FAILURE;
    return run_suite(suite());
}
