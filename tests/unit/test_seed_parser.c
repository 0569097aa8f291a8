/* SPDX-License-Identifier: MIT */
/*
 * The seed's format, byte for byte as doc/protocol.md has it: written, and read in pieces of every
 * size.
 */
#include <string.h>

#include <braid/error.h>

#include "core/hello.h"
#include "core/seed_parser.h"
#include "suite.h"

/* One subflow's bytes as the other end sends them, message by message. */
static const uint8_t opening[] = {
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, /* session */
    0,    0,    0,    0,    0,    0,    0,    4,    /* of 4 subflows */
};
static const uint8_t messages[] = {
    0, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 4, 0xde, 0xad, 0xbe, 0xef, /* 4 bytes at 42 */
    1,                                                                          /* ping */
    0, 0, 0, 0, 1, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 1, 0x55, /* one byte, 4 GiB behind */
    0, 0, 0, 0, 1, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 1, 0x55, /* and again: that is the last */
    2,                                                        /* shutdown */
};

/* ---- what is written ---- */

START_TEST(test_written)
{
    static const uint8_t empty[] = {
        0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 1, 0, /* nowhere */
        0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2,
    };
    uint8_t bytes[64], head[BRAID_SEED_HEAD];
    struct braid_writer w = {bytes, sizeof bytes, false};

    braid_seed_write_open(&w, 0x0123456789abcdef, 4);
    ck_assert_uint_eq(sizeof bytes - w.left, sizeof opening);
    ck_assert_mem_eq(bytes, opening, sizeof opening);
    braid_seed_write_head(head, 42, 4);
    ck_assert_mem_eq(head, messages, sizeof head);
    w = (struct braid_writer){bytes, sizeof bytes, false};
    braid_seed_write_ping(&w);
    braid_seed_write_end(&w, 0x100000001, 0x55);
    ck_assert_uint_eq(sizeof bytes - w.left, sizeof messages - 21);
    ck_assert_mem_eq(bytes, messages + 21, sizeof messages - 21);
    w = (struct braid_writer){bytes, sizeof bytes, false};
    braid_seed_write_end(&w, 0, 0); /* of an empty stream */
    ck_assert_uint_eq(sizeof bytes - w.left, sizeof empty);
    ck_assert_mem_eq(bytes, empty, sizeof empty);
}
END_TEST

/* ---- how a subflow opens ---- */

static int greet(struct braid_greeting *greeting, const uint8_t *bytes, size_t len, size_t slice,
                 struct braid_hello *hello)
{
    int result = BRAID_GREETING_MORE;

    for (size_t at = 0; at < len && result == BRAID_GREETING_MORE;) {
        size_t n = len - at < slice ? len - at : slice, used;
        uint64_t id;

        result = braid_greeting_feed(greeting, bytes + at, n, &used, &id, hello);
        ck_assert(result < 0 || (used == n) == (at + n <= sizeof opening));
        ck_assert(result != BRAID_GREETING_DONE || id == hello->session);
        at += n;
    }
    return result;
}

START_TEST(test_opening)
{
    for (size_t slice = 1; slice <= sizeof opening; slice++) {
        struct braid_greeting greeting = {.seed_max = 4};
        struct braid_hello hello;

        ck_assert_int_eq(greet(&greeting, opening, sizeof opening, slice, &hello),
                         BRAID_GREETING_DONE);
        ck_assert_uint_eq(hello.session, 0x0123456789abcdef);
        ck_assert_uint_eq(hello.streams, 4);
    }
}
END_TEST

/* Bytes 8 to 10 tell; what is not understood is refused. */
START_TEST(test_two_formats_on_one_port)
{
    static const uint8_t ours[] = {0, 0, 0, 0, 0, 0, 0, 7, 'B', 'R', 'D', 1, 0, 0, 0, 0};
    struct braid_hello hello;
    struct braid_greeting greeting = {.seed_max = 3};
    uint8_t bytes[16];

    ck_assert_int_eq(greet(&greeting, opening, 16, 16, &hello), -BRAID_ERR_LIMIT);
    greeting = (struct braid_greeting){.seed_max = 0};
    ck_assert_int_eq(greet(&greeting, opening, 16, 16, &hello), -BRAID_ERR_PROTOCOL);
    greeting = (struct braid_greeting){.seed_max = 16};
    ck_assert_int_eq(greet(&greeting, ours, 16, 16, &hello), BRAID_GREETING_MORE);
    greeting = (struct braid_greeting){.seed_max = 16, .seed_only = true};
    ck_assert_int_eq(greet(&greeting, ours, 16, 16, &hello), -BRAID_ERR_PROTOCOL);
    memcpy(bytes, opening, sizeof bytes);
    bytes[15] = 0; /* a session without subflows */
    greeting = (struct braid_greeting){.seed_max = 16, .seed_only = true};
    ck_assert_int_eq(greet(&greeting, bytes, 16, 16, &hello), -BRAID_ERR_PROTOCOL);
    bytes[9] = 1; /* and one with 2^48 */
    greeting = (struct braid_greeting){.seed_max = 16};
    ck_assert_int_eq(greet(&greeting, bytes, 16, 16, &hello), -BRAID_ERR_PROTOCOL);
}
END_TEST

/* ---- what is read ---- */

struct outcome {
    uint8_t type[8]; /* of DATA: once, however it was cut */
    unsigned count;
    uint64_t end; /* of the last DATA */
    uint8_t payload[16];
    size_t len;
    int error;
};

static void parse(struct braid_seed_parser *parser, const uint8_t *bytes, size_t n,
                  struct outcome *out)
{
    while (n > 0 && out->error == 0) {
        struct braid_parsed parsed;
        size_t used;

        out->error = braid_seed_parser_next(parser, bytes, n, &used, &parsed);
        if (out->error != 0)
            return;
        bytes += used;
        n -= used;
        if (parsed.kind == BRAID_PARSED_MORE)
            continue;
        if (parsed.kind == BRAID_PARSED_CONTROL || parsed.offset != out->end || out->count == 0 ||
            out->type[out->count - 1] != BRAID_SEED_DATA)
            out->type[out->count++] = parsed.type;
        if (parsed.kind == BRAID_PARSED_CONTROL)
            continue;
        memcpy(out->payload + out->len, parsed.payload, parsed.len);
        out->len += parsed.len;
        out->end = parsed.offset + parsed.len;
    }
}

static void assert_all(const struct braid_seed_parser *parser, const struct outcome *out)
{
    static const uint8_t types[] = {0, 1, 0, 0, 2};
    static const uint8_t payload[] = {0xde, 0xad, 0xbe, 0xef, 0x55, 0x55};
    uint64_t end;

    suite_assert(out->error == 0 && out->count == sizeof types);
    suite_assert(memcmp(out->type, types, sizeof types) == 0);
    suite_assert(out->len == sizeof payload && memcmp(out->payload, payload, out->len) == 0);
    suite_assert(out->end == 0x100000001);
    suite_assert(braid_seed_parser_is_between(parser));
    suite_assert(braid_seed_parser_is_sealed(parser, &end) && end == 0x100000001);
}

START_TEST(test_slices)
{
    for (size_t slice = 1; slice <= sizeof messages; slice++) {
        struct braid_seed_parser parser = {.fill = 0};
        struct outcome out = {.count = 0};

        for (size_t at = 0; at < sizeof messages; at += slice)
            parse(&parser, messages + at,
                  sizeof messages - at < slice ? sizeof messages - at : slice, &out);
        assert_all(&parser, &out);
    }
}
END_TEST

START_TEST(test_every_two_cuts)
{
    for (size_t a = 0; a <= sizeof messages; a++) {
        for (size_t b = a; b <= sizeof messages; b++) {
            struct braid_seed_parser parser = {.fill = 0};
            struct outcome out = {.count = 0};

            parse(&parser, messages, a, &out);
            suite_assert(braid_seed_parser_is_between(&parser) ==
                         (a == 0 || a == 21 || a == 22 || a == 40 || a == 58 || a == 59));
            parse(&parser, messages + a, b - a, &out);
            parse(&parser, messages + b, sizeof messages - b, &out);
            assert_all(&parser, &out);
        }
    }
}
END_TEST

/* Lengths are never believed before the bytes are there: there is nothing to allocate. */
START_TEST(test_length_of_2_to_62)
{
    uint8_t head[BRAID_SEED_HEAD];
    struct braid_seed_parser parser = {.fill = 0};
    struct outcome out = {.count = 0};

    braid_seed_write_head(head, 0, (uint64_t)1 << 62);
    parse(&parser, head, sizeof head, &out);
    parse(&parser, (const uint8_t *)"abc", 3, &out);
    ck_assert_int_eq(out.error, 0);
    ck_assert_uint_eq(out.len, 3);
    ck_assert(!braid_seed_parser_is_between(&parser));
    ck_assert_uint_eq(parser.left, ((uint64_t)1 << 62) - 3);
}
END_TEST

START_TEST(test_refused)
{
    static const struct {
        uint64_t offset, len;
    } heads[] = {
        {0, 0},         {0, (uint64_t)1 << 63}, {(uint64_t)1 << 63, 1},   {UINT64_MAX, 1},
        {1, INT64_MAX}, {0, UINT64_MAX},        {UINT64_MAX, UINT64_MAX},
    };

    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct braid_seed_parser parser = {.fill = 0};
        struct outcome out = {.count = 0};
        uint8_t head[BRAID_SEED_HEAD];

        braid_seed_write_head(head, heads[i].offset, heads[i].len);
        parse(&parser, head, sizeof head, &out);
        ck_assert_int_eq(out.error, -BRAID_ERR_PROTOCOL);
    }
    for (unsigned type = 3; type < 256; type++) {
        struct braid_seed_parser parser = {.fill = 0};
        struct outcome out = {.count = 0};
        uint8_t byte = (uint8_t)type;

        parse(&parser, &byte, 1, &out);
        ck_assert_int_eq(out.error, -BRAID_ERR_PROTOCOL);
    }
}
END_TEST

/* Anything between the two, or that they are not the same byte of one, is no seal. */
START_TEST(test_no_seal)
{
    static const struct {
        uint64_t offset[3];
        uint64_t len;
        bool ping;
        bool sealed;
    } cases[] = {
        {{9, 9, UINT64_MAX}, 1, false, true},  {{9, UINT64_MAX, 0}, 1, false, false},
        {{8, 9, UINT64_MAX}, 1, false, false}, {{9, 8, UINT64_MAX}, 1, false, false},
        {{9, 9, UINT64_MAX}, 2, false, false}, {{9, 9, UINT64_MAX}, 1, true, false},
        {{9, 9, 9}, 1, false, true},           {{9, 9, 10}, 1, false, false},
        {{UINT64_MAX, 0, 0}, 1, false, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct braid_seed_parser parser = {.fill = 0};
        struct outcome out = {.count = 0};
        uint64_t end;

        for (int k = 0; k < 3 && cases[i].offset[k] != UINT64_MAX; k++) {
            uint8_t bytes[BRAID_SEED_HEAD + 2] = {0};

            braid_seed_write_head(bytes, cases[i].offset[k], cases[i].len);
            if (k == 1 && cases[i].ping)
                parse(&parser, (const uint8_t *)"\x01", 1, &out);
            parse(&parser, bytes, BRAID_SEED_HEAD + cases[i].len, &out);
        }
        parse(&parser, (const uint8_t *)"\x02", 1, &out);
        ck_assert_int_eq(out.error, 0);
        ck_assert(parser.shut);
        ck_assert_msg(braid_seed_parser_is_sealed(&parser, &end) == cases[i].sealed, "case %zu", i);
    }
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_written, 0}, {test_opening, 0},        {test_two_formats_on_one_port, 0},
        {test_slices, 0},  {test_every_two_cuts, 0}, {test_length_of_2_to_62, 0},
        {test_refused, 0}, {test_no_seal, 0},
    };

    return SUITE_RUN("seed_parser", tests);
}
