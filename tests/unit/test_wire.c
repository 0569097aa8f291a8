/* SPDX-License-Identifier: MIT */
/*
 * The bytes on the wire: golden strings, as doc/protocol.md has them, both ways; every truncation
 * of what can be truncated is refused.
 */
#include <string.h>

#include "core/wire.h"
#include "suite.h"

#define ID 0x1122334455667788u

static uint8_t buf[2048];
static struct braid_writer w;

static void begin(void)
{
    memset(buf, 0xee, sizeof buf);
    w = (struct braid_writer){buf, sizeof buf, false};
}

/* What was written must be exactly this, given in hexadecimal with spaces. */
static void expect(const char *hex)
{
    size_t n = 0;

    ck_assert(!w.failed);
    for (; *hex != '\0'; hex++) {
        char two[3] = {hex[0], hex[1], 0};

        if (*hex == ' ')
            continue;
        ck_assert_msg(buf[n] == strtoul(two, NULL, 16), "byte %zu is %02x, not %s", n, buf[n], two);
        n++;
        hex++;
    }
    ck_assert_uint_eq(sizeof buf - w.left, n);
}

/* The payload of the one frame that was written. */
static size_t payload(void)
{
    size_t n = sizeof buf - w.left - BRAID_FRAME_HEAD;

    ck_assert_uint_eq((size_t)buf[2] << 8 | buf[3], n);
    return n;
}

START_TEST(test_preamble)
{
    struct braid_preamble out = {.session = ID, .version = 1, .flags = 2, .random = 0xabcd}, in;

    begin();
    braid_wire_write_preamble(&w, &out);
    expect("11 22 33 44 55 66 77 88 42 52 44 01 00 02 ab cd");
    ck_assert_int_eq(braid_wire_read_preamble(buf, &in), 0);
    ck_assert_uint_eq(in.session, ID);
    ck_assert_uint_eq(in.version, 1);
    ck_assert_uint_eq(in.security, 0);
    ck_assert_uint_eq(in.flags, 2);
    ck_assert_uint_eq(in.random, 0xabcd);
}
END_TEST

START_TEST(test_preamble_of_others)
{
    struct braid_preamble out = {.session = ID, .version = 1}, in;

    begin();
    braid_wire_write_preamble(&w, &out);
    for (size_t i = 8; i < 11; i++) {
        buf[i] ^= 1;
        ck_assert_int_eq(braid_wire_read_preamble(buf, &in), -BRAID_ERR_PROTOCOL);
        buf[i] ^= 1;
    }
    buf[11] = 2;
    ck_assert_int_eq(braid_wire_read_preamble(buf, &in), -BRAID_ERR_VERSION);
    buf[11] = 1;
    memset(buf, 0, 8);
    ck_assert_int_eq(braid_wire_read_preamble(buf, &in), -BRAID_ERR_PROTOCOL);
    memcpy(buf, "GET / HTTP/1.1\r\n", 16);
    ck_assert_int_eq(braid_wire_read_preamble(buf, &in), -BRAID_ERR_PROTOCOL);
}
END_TEST

static const struct braid_hello hello = {
    .max_version = 1,
    .subflow = 0x0203,
    .flags = BRAID_HELLO_CREATE,
    .session = ID,
    .token = "ABCDEFGHIJKLMNO",
    .ack = 5,
    .limit = 0x40000,
    .instance = 0x0102030405060708,
};

START_TEST(test_hello)
{
    struct braid_hello in;

    begin();
    braid_wire_write_hello(&w, &hello, 0x2ffff);
    expect("01 00 00 3b 01 02 03 00 01 11 22 33 44 55 66 77 88"
           "41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f 00"
           "00 00 00 00 00 00 00 05 00 00 00 00 00 04 00 00 01 02 03 04 05 06 07 08"
           "ff ff 00 02 00 00");
    ck_assert_int_eq(braid_wire_read_hello(buf + 4, payload(), &in), 0);
    ck_assert_uint_eq(in.max_version, 1);
    ck_assert_uint_eq(in.subflow, hello.subflow);
    ck_assert_uint_eq(in.flags, hello.flags);
    ck_assert_uint_eq(in.session, ID);
    ck_assert_mem_eq(in.token, hello.token, 16);
    ck_assert_uint_eq(in.ack, 5);
    ck_assert_uint_eq(in.limit, 0x40000);
    ck_assert_uint_eq(in.instance, hello.instance);
    ck_assert_uint_eq(in.status, 0);
}
END_TEST

START_TEST(test_hello_reply)
{
    struct braid_hello out = hello, in;

    out.flags = BRAID_HELLO_REPLY;
    out.status = BRAID_ERR_LIMIT;
    memset(out.token, 0, sizeof out.token);
    begin();
    braid_wire_write_hello(&w, &out, 0);
    expect("01 00 00 3f 01 02 03 00 04 11 22 33 44 55 66 77 88"
           "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
           "00 00 00 00 00 00 00 05 00 00 00 00 00 04 00 00 01 02 03 04 05 06 07 08"
           "00 02 00 02 00 05 80 00 00 00");
    ck_assert_int_eq(braid_wire_read_hello(buf + 4, payload(), &in), 0);
    ck_assert_uint_eq(in.flags, BRAID_HELLO_REPLY);
    ck_assert_uint_eq(in.status, BRAID_ERR_LIMIT);
}
END_TEST

/* Whatever the random bits, a HELLO fits where it has to and is read back. */
START_TEST(test_hello_grease)
{
    uint64_t seed = (uint64_t)_i + 1;
    struct braid_hello out = hello, in;

    out.flags = BRAID_HELLO_REPLY;
    begin();
    braid_wire_write_hello(&w, &out, suite_random(&seed));
    ck_assert(!w.failed);
    ck_assert_uint_le(payload(), BRAID_HELLO_MAX);
    ck_assert_int_eq(braid_wire_read_hello(buf + 4, payload(), &in), 0);
    ck_assert_uint_eq(in.limit, hello.limit);
}
END_TEST

START_TEST(test_hello_truncated)
{
    struct braid_hello in;
    size_t whole;

    begin();
    braid_wire_write_hello(&w, &hello, 0x30000);
    whole = payload();
    for (size_t n = 0; n < whole; n++) {
        uint8_t *part = malloc(n + 1); /* so that a sanitizer sees reads behind the end */
        int error;

        memcpy(part + 1, buf + 4, n);
        error = braid_wire_read_hello(part + 1, n, &in);
        if (n != 53) /* without TLVs it is whole */
            ck_assert_int_eq(error, -BRAID_ERR_PROTOCOL);
        else
            ck_assert_int_eq(error, 0);
        free(part);
    }
}
END_TEST

START_TEST(test_hello_tlvs)
{
    struct braid_hello in;
    static const struct {
        uint8_t bytes[12];
        size_t len;
        int error;
        uint16_t status;
    } cases[] = {
        {{0x00, 0x02, 0x00, 0x02, 0x00, 0x07}, 6, 0, 7},
        {{0x00, 0x02, 0x00, 0x01, 0x07}, 5, -BRAID_ERR_PROTOCOL, 0},
        {{0x00, 0x02, 0x00, 0x03, 0x00, 0x07, 0x00}, 7, -BRAID_ERR_PROTOCOL, 0},
        {{0x00, 0x02, 0x00, 0x02, 0x00}, 5, -BRAID_ERR_PROTOCOL, 0},
        {{0x7f, 0xff, 0x00, 0x00, 0x00, 0x02, 0x00, 0x02, 0x00, 0x07}, 10, 0, 7},
        {{0x00, 0x63, 0x00, 0x03, 'a', 'b', 'c'}, 7, 0, 0},
        {{0x00, 0x63, 0xff, 0xff, 'a', 'b', 'c'}, 7, -BRAID_ERR_PROTOCOL, 0},
        {{0x00, 0x63, 0x00}, 3, -BRAID_ERR_PROTOCOL, 0},
    };

    begin();
    braid_wire_write_hello(&w, &hello, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(buf + 4 + 53, cases[i].bytes, cases[i].len);
        ck_assert_int_eq(braid_wire_read_hello(buf + 4, 53 + cases[i].len, &in), cases[i].error);
        if (cases[i].error == 0)
            ck_assert_uint_eq(in.status, cases[i].status);
    }
}
END_TEST

START_TEST(test_hello_version)
{
    struct braid_hello out = hello, in;

    out.max_version = 0;
    begin();
    braid_wire_write_hello(&w, &out, 0);
    ck_assert_int_eq(braid_wire_read_hello(buf + 4, payload(), &in), -BRAID_ERR_VERSION);
    out.max_version = 9; /* it knows more than we do, and ours too */
    begin();
    braid_wire_write_hello(&w, &out, 0);
    ck_assert_int_eq(braid_wire_read_hello(buf + 4, payload(), &in), 0);
}
END_TEST

START_TEST(test_data_head)
{
    begin();
    braid_wire_write_data_head(buf, 0x0102030405060708, 1000, 0);
    w.left -= 12;
    expect("02 00 03 f0 01 02 03 04 05 06 07 08");
    begin();
    braid_wire_write_data_head(buf, 0, 65000, BRAID_DATA_AGAIN);
    w.left -= 12;
    expect("02 01 fd f0 00 00 00 00 00 00 00 00");
}
END_TEST

START_TEST(test_ack)
{
    struct braid_ack out = {.ack = 7, .limit = 0x10000, .count = 2}, in;

    out.counts[0] = (struct braid_ack_count){1, 100};
    out.counts[1] = (struct braid_ack_count){0x0203, 0x0405060708090a0b};
    begin();
    braid_wire_write_ack(&w, &out);
    expect("03 00 00 24 00 00 00 00 00 00 00 07 00 00 00 00 00 01 00 00"
           "00 01 00 00 00 00 00 00 00 64 02 03 04 05 06 07 08 09 0a 0b");
    ck_assert_int_eq(braid_wire_read_ack(buf + 4, payload(), &in), 0);
    ck_assert_uint_eq(in.ack, 7);
    ck_assert_uint_eq(in.limit, 0x10000);
    ck_assert_uint_eq(in.count, 2);
    ck_assert_uint_eq(in.counts[0].subflow, 1);
    ck_assert_uint_eq(in.counts[0].bytes, 100);
    ck_assert_uint_eq(in.counts[1].subflow, 0x0203);
    ck_assert_uint_eq(in.counts[1].bytes, 0x0405060708090a0b);
}
END_TEST

START_TEST(test_ack_lengths)
{
    static uint8_t bytes[1024];
    struct braid_ack in;

    for (size_t n = 0; n <= sizeof bytes; n++) {
        bool right = n >= 16 && (n - 16) % 10 == 0 && (n - 16) / 10 <= BRAID_SUBFLOWS_MAX;

        ck_assert_int_eq(braid_wire_read_ack(bytes, n, &in), right ? 0 : -BRAID_ERR_PROTOCOL);
    }
}
END_TEST

START_TEST(test_largest_ack_is_a_control_frame)
{
    struct braid_ack out = {.count = BRAID_SUBFLOWS_MAX}, in;

    for (unsigned i = 0; i < out.count; i++)
        out.counts[i] = (struct braid_ack_count){(uint16_t)i, UINT64_MAX - i};
    begin();
    braid_wire_write_ack(&w, &out);
    ck_assert(!w.failed);
    ck_assert_uint_le(payload(), BRAID_CONTROL_MAX);
    ck_assert_int_eq(braid_wire_read_ack(buf + 4, payload(), &in), 0);
    ck_assert_uint_eq(in.counts[63].bytes, UINT64_MAX - 63);
}
END_TEST

START_TEST(test_ping_pong_fin)
{
    uint64_t value;
    uint32_t held;

    begin();
    braid_wire_write_ping(&w, 0x0102030405060708);
    expect("04 00 00 08 01 02 03 04 05 06 07 08");
    for (size_t n = 0; n < 10; n++)
        ck_assert_int_eq(braid_wire_read_ping(buf + 4, n, &value),
                         n == 8 ? 0 : -BRAID_ERR_PROTOCOL);
    ck_assert_int_eq(braid_wire_read_ping(buf + 4, 8, &value), 0);
    ck_assert_uint_eq(value, 0x0102030405060708);
    begin();
    braid_wire_write_pong(&w, 0x0102030405060708, 0x090a0b0c);
    expect("05 00 00 0c 01 02 03 04 05 06 07 08 09 0a 0b 0c");
    for (size_t n = 0; n < 14; n++)
        ck_assert_int_eq(braid_wire_read_pong(buf + 4, n, &value, &held),
                         n == 12 ? 0 : -BRAID_ERR_PROTOCOL);
    ck_assert_int_eq(braid_wire_read_pong(buf + 4, 12, &value, &held), 0);
    ck_assert_uint_eq(value, 0x0102030405060708);
    ck_assert_uint_eq(held, 0x090a0b0c);
    begin();
    braid_wire_write_fin(&w, 0x0102030405060708);
    expect("06 00 00 08 01 02 03 04 05 06 07 08");
    for (size_t n = 0; n < 10; n++)
        ck_assert_int_eq(braid_wire_read_fin(buf + 4, n, &value), n == 8 ? 0 : -BRAID_ERR_PROTOCOL);
    ck_assert_int_eq(braid_wire_read_fin(buf + 4, 8, &value), 0);
    ck_assert_uint_eq(value, 0x0102030405060708);
}
END_TEST

START_TEST(test_codes)
{
    char text[200];
    uint16_t code;

    begin();
    braid_wire_write_code(&w, BRAID_FRAME_RESET, 96, "gone");
    expect("07 00 00 06 00 60 67 6f 6e 65");
    ck_assert_int_eq(braid_wire_read_code(buf + 4, payload(), &code), 0);
    ck_assert_uint_eq(code, 96);
    ck_assert_int_eq(braid_wire_read_code(buf + 4, 2, &code), 0);
    ck_assert_int_eq(braid_wire_read_code(buf + 4, 1, &code), -BRAID_ERR_PROTOCOL);
    ck_assert_int_eq(braid_wire_read_code(buf + 4, 0, &code), -BRAID_ERR_PROTOCOL);
    begin();
    braid_wire_write_code(&w, BRAID_FRAME_CLOSE, 0, "");
    expect("08 00 00 02 00 00");
    begin();
    braid_wire_write_code(&w, BRAID_FRAME_CONNECT_RESULT, 98, "");
    expect("0d 00 00 02 00 62");
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    begin();
    braid_wire_write_code(&w, BRAID_FRAME_RESET, 1, text);
    ck_assert_uint_eq(payload(), 2 + BRAID_REASON_MAX);
}
END_TEST

START_TEST(test_subflow_close)
{
    uint16_t subflow;

    begin();
    braid_wire_write_subflow_close(&w, 258, 12);
    expect("0a 00 00 04 01 02 00 0c");
    ck_assert_int_eq(braid_wire_read_subflow_close(buf + 4, payload(), &subflow), 0);
    ck_assert_uint_eq(subflow, 258);
    ck_assert_int_eq(braid_wire_read_subflow_close(buf + 4, 3, &subflow), -BRAID_ERR_PROTOCOL);
}
END_TEST

/* A writer that is too short writes nothing past its end, and says so. */
START_TEST(test_no_room)
{
    struct braid_ack ack = {.count = 3};
    struct braid_writer whole;
    size_t need;

    begin();
    braid_wire_write_ack(&w, &ack);
    braid_wire_write_hello(&w, &hello, 0);
    need = sizeof buf - w.left;
    for (size_t n = 0; n <= need; n++) {
        uint8_t *small = malloc(n + 1);

        whole = (struct braid_writer){small, n, false};
        braid_wire_write_ack(&whole, &ack);
        braid_wire_write_hello(&whole, &hello, 0);
        ck_assert_int_eq(whole.failed, n < need);
        free(small);
    }
}
END_TEST

START_TEST(test_reader_fails_for_good)
{
    static const uint8_t bytes[] = {1, 2, 3, 4, 5};
    struct braid_reader r = {bytes, sizeof bytes, false};

    ck_assert_uint_eq(braid_read_u16(&r), 0x0102);
    ck_assert_uint_eq(braid_read_u64(&r), 0);
    ck_assert(r.failed);
    ck_assert_uint_eq(braid_read_u8(&r), 0); /* although there were bytes left */
    ck_assert_ptr_null(braid_read_bytes(&r, 1));
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_preamble, 0},
        {test_preamble_of_others, 0},
        {test_hello, 0},
        {test_hello_reply, 0},
        {test_hello_grease, 50},
        {test_hello_truncated, 0},
        {test_hello_tlvs, 0},
        {test_hello_version, 0},
        {test_data_head, 0},
        {test_ack, 0},
        {test_ack_lengths, 0},
        {test_largest_ack_is_a_control_frame, 0},
        {test_ping_pong_fin, 0},
        {test_codes, 0},
        {test_subflow_close, 0},
        {test_no_room, 0},
        {test_reader_fails_for_good, 0},
    };

    return SUITE_RUN("wire", tests);
}
