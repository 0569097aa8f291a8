/* SPDX-License-Identifier: MIT */
/*
 * The greeting, in whatever slices it comes.
 */
#include <string.h>

#include "core/wire.h"
#include "suite.h"

static uint8_t bytes[BRAID_GREETING_MAX + 64];
static size_t len; /* of the greeting in bytes */

static void make(uint8_t version, uint8_t security, const struct braid_hello *hello)
{
    struct braid_preamble preamble = {
        .session = hello->session, .version = version, .security = security};
    struct braid_writer w = {bytes, sizeof bytes, false};

    braid_wire_write_preamble(&w, &preamble);
    braid_wire_write_hello(&w, hello, 0x7ffff);
    len = sizeof bytes - w.left;
}

static const struct braid_hello hello = {
    .max_version = 1, .subflow = 3, .flags = BRAID_HELLO_CREATE, .session = 0x99, .limit = 70000};

/* Feeds all bytes cut at a and b; the result of the last call. */
static int feed(size_t a, size_t b, uint64_t *id, struct braid_hello *in, size_t *used)
{
    struct braid_greeting greeting = {0};
    size_t from[3] = {0, a, b}, to[3] = {a, b, len};
    int result = BRAID_GREETING_MORE;

    *used = 0;
    for (int i = 0; i < 3 && result == BRAID_GREETING_MORE; i++) {
        size_t taken;

        result = braid_greeting_feed(&greeting, bytes + from[i], to[i] - from[i], &taken, id, in);
        ck_assert(result != BRAID_GREETING_MORE || taken == to[i] - from[i]);
        *used += taken;
    }
    return result;
}

START_TEST(test_cut_in_three)
{
    size_t greeting, used;
    struct braid_hello in;
    uint64_t id;

    make(1, 0, &hello);
    greeting = len;
    memcpy(bytes + len, "what follows", 12);
    len += 12;
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len; b++) {
            ck_assert_int_eq(feed(a, b, &id, &in, &used), BRAID_GREETING_DONE);
            ck_assert_uint_eq(used, greeting);
            ck_assert_uint_eq(id, 0x99);
            ck_assert_uint_eq(in.subflow, 3);
            ck_assert_uint_eq(in.flags, BRAID_HELLO_CREATE);
            ck_assert_uint_eq(in.limit, 70000);
        }
    }
}
END_TEST

/* The id is known as soon as the preamble is whole: it says where the subflow belongs. */
START_TEST(test_truncated)
{
    size_t used, whole;
    struct braid_hello in;
    uint64_t id;

    make(1, 0, &hello);
    whole = len;
    for (len = 0; len < whole; len++) {
        ck_assert_int_eq(feed(0, 0, &id, &in, &used), BRAID_GREETING_MORE);
        ck_assert_uint_eq(used, len);
        ck_assert_uint_eq(id, len < BRAID_PREAMBLE_SIZE ? 0 : 0x99);
    }
}
END_TEST

START_TEST(test_refused)
{
    struct braid_hello in, other = hello;
    size_t used;
    uint64_t id;

    make(2, 0, &hello);
    ck_assert_int_eq(feed(0, 0, &id, &in, &used), -BRAID_ERR_VERSION);
    make(1, BRAID_SECURITY_TLS, &hello);
    ck_assert_int_eq(feed(0, 0, &id, &in, &used), -BRAID_ERR_SECURITY);
    make(1, 7, &hello);
    ck_assert_int_eq(feed(0, 0, &id, &in, &used), -BRAID_ERR_SECURITY);
    other.flags = BRAID_HELLO_REPLY;
    make(1, 0, &other);
    ck_assert_int_eq(feed(0, 0, &id, &in, &used), -BRAID_ERR_PROTOCOL);
    other = hello;
    other.max_version = 0;
    make(1, 0, &other);
    ck_assert_int_eq(feed(0, 0, &id, &in, &used), -BRAID_ERR_VERSION);
    make(1, 0, &hello);
    bytes[7]++; /* the preamble names another session than HELLO */
    ck_assert_int_eq(feed(0, 0, &id, &in, &used), -BRAID_ERR_PROTOCOL);
    make(1, 0, &hello);
    bytes[8] = 'b';
    ck_assert_int_eq(feed(0, 0, &id, &in, &used), -BRAID_ERR_PROTOCOL);
    ck_assert_uint_eq(id, 0);
}
END_TEST

/* Where TLS begins behind the preamble it has to say so, and nothing else. */
START_TEST(test_security)
{
    struct braid_greeting greeting;
    struct braid_hello in;
    size_t used;
    uint64_t id;

    for (unsigned security = 0; security < 256; security++) {
        int expected = security == BRAID_SECURITY_TLS ? BRAID_GREETING_DONE : -BRAID_ERR_SECURITY;

        make(1, (uint8_t)security, &hello);
        greeting = (struct braid_greeting){.security = BRAID_SECURITY_TLS};
        ck_assert_int_eq(braid_greeting_feed(&greeting, bytes, len, &used, &id, &in), expected);
    }
}
END_TEST

/* Another frame, or one that is too long, is refused by its header: nobody waits for the rest. */
START_TEST(test_refused_by_its_header)
{
    struct braid_hello in;
    size_t used;
    uint64_t id;

    make(1, 0, &hello);
    len = BRAID_PREAMBLE_SIZE + BRAID_FRAME_HEAD;
    bytes[BRAID_PREAMBLE_SIZE] = BRAID_FRAME_DATA;
    ck_assert_int_eq(feed(5, 18, &id, &in, &used), -BRAID_ERR_PROTOCOL);
    make(1, 0, &hello);
    len = BRAID_PREAMBLE_SIZE + BRAID_FRAME_HEAD;
    bytes[BRAID_PREAMBLE_SIZE + 2] = 0x02;
    bytes[BRAID_PREAMBLE_SIZE + 3] = 0x01;
    ck_assert_int_eq(feed(5, 18, &id, &in, &used), -BRAID_ERR_PROTOCOL);
}
END_TEST

/* The longest that is allowed. */
START_TEST(test_longest)
{
    struct braid_hello in;
    size_t used, extra;
    uint64_t id;
    uint8_t *tlv;

    make(1, 0, &hello);
    tlv = bytes + len;
    extra = BRAID_GREETING_MAX - len;
    memset(tlv, 0, extra);
    tlv[0] = 0x90; /* a TLV that nobody knows */
    tlv[2] = (uint8_t)((extra - 4) >> 8);
    tlv[3] = (uint8_t)(extra - 4);
    bytes[BRAID_PREAMBLE_SIZE + 2] = BRAID_HELLO_MAX >> 8;
    bytes[BRAID_PREAMBLE_SIZE + 3] = (uint8_t)BRAID_HELLO_MAX;
    len = BRAID_GREETING_MAX;
    ck_assert_int_eq(feed(100, 101, &id, &in, &used), BRAID_GREETING_DONE);
    ck_assert_uint_eq(used, BRAID_GREETING_MAX);
}
END_TEST

START_TEST(test_refusal_can_be_read)
{
    uint8_t buf[BRAID_GREETING_MAX];
    struct braid_hello in;
    size_t n = braid_greeting_refuse(buf, &hello, 0x77, BRAID_ERR_UNKNOWN_SESSION);

    ck_assert_uint_eq(buf[0], BRAID_FRAME_HELLO);
    ck_assert_uint_eq((size_t)buf[2] << 8 | buf[3], n - 4);
    ck_assert_int_eq(braid_wire_read_hello(buf + 4, n - 4, &in), 0);
    ck_assert_uint_eq(in.flags, BRAID_HELLO_REPLY);
    ck_assert_uint_eq(in.session, 0x99);
    ck_assert_uint_eq(in.subflow, 3);
    ck_assert_uint_eq(in.instance, 0x77);
    ck_assert_uint_eq(in.status, BRAID_ERR_UNKNOWN_SESSION);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_cut_in_three, 0},
        {test_truncated, 0},
        {test_refused, 0},
        {test_security, 0},
        {test_refused_by_its_header, 0},
        {test_longest, 0},
        {test_refusal_can_be_read, 0},
    };

    return SUITE_RUN("hello", tests);
}
