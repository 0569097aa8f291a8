/* SPDX-License-Identifier: MIT */
/*
 * The parser, with a stream of all kinds of frames cut at every point, and at every two points.
 */
#include <string.h>

#include <braid/error.h>

#include "core/parser.h"
#include "suite.h"

/* What came out of the parser; DATA that goes on is one entry. */
struct entry {
    uint8_t type;
    uint8_t flags;
    uint64_t offset;
    size_t len;
    uint8_t bytes[700];
};

struct outcome {
    struct entry entry[40];
    unsigned count;
    int error;
    bool in_data;
};

static struct braid_pool *pool;
static uint8_t stream[4096];
static size_t stream_len;
static struct outcome whole;

static void note(struct outcome *out, const struct braid_parsed *parsed)
{
    struct entry *entry = out->count > 0 ? &out->entry[out->count - 1] : NULL;
    bool data = parsed->kind == BRAID_PARSED_DATA;

    if (!data || !out->in_data || entry->offset + entry->len != parsed->offset) {
        suite_assert(out->count < 40);
        entry = &out->entry[out->count++];
        entry->type = parsed->type;
        entry->flags = parsed->flags;
        entry->offset = data ? parsed->offset : 0;
    }
    suite_assert(entry->len + parsed->len <= sizeof entry->bytes);
    if (parsed->len > 0)
        memcpy(entry->bytes + entry->len, parsed->payload, parsed->len);
    entry->len += parsed->len;
    out->in_data = data;
}

static void parse(struct braid_parser *parser, struct outcome *out, const uint8_t *bytes, size_t n)
{
    uint8_t *slice = malloc(n + 1); /* moved, so that nothing can lean on what came before */
    const uint8_t *at = slice + 1;

    memcpy(slice + 1, bytes, n);
    while (n > 0 && out->error == 0) {
        struct braid_parsed parsed;
        size_t used;

        out->error = braid_parser_next(parser, pool, at, n, &used, &parsed);
        suite_assert(used <= n);
        at += used;
        n -= used;
        if (out->error == 0 && parsed.kind != BRAID_PARSED_MORE)
            note(out, &parsed);
        else
            suite_assert(out->error != 0 || n == 0);
    }
    free(slice);
}

/* Parses the stream cut at a and b. */
static void run(struct outcome *out, size_t a, size_t b)
{
    struct braid_parser parser = {0};

    memset(out, 0, sizeof *out);
    parse(&parser, out, stream, a);
    parse(&parser, out, stream + a, b - a);
    parse(&parser, out, stream + b, stream_len - b);
    braid_parser_clear(&parser, pool);
    suite_assert(braid_pool_used(pool) == 0);
}

static void same(const struct outcome *out)
{
    suite_assert(out->error == whole.error);
    suite_assert(out->count == whole.count);
    for (unsigned i = 0; i < out->count; i++) {
        const struct entry *a = &out->entry[i], *b = &whole.entry[i];

        suite_assert(a->type == b->type);
        suite_assert(a->flags == b->flags);
        suite_assert(a->offset == b->offset);
        suite_assert(a->len == b->len);
        suite_assert(memcmp(a->bytes, b->bytes, a->len) == 0);
    }
}

static void put(const void *bytes, size_t n)
{
    memcpy(stream + stream_len, bytes, n);
    stream_len += n;
}

static void put_frame(uint8_t type, uint8_t flags, size_t len)
{
    const uint8_t head[4] = {type, flags, (uint8_t)(len >> 8), (uint8_t)len};

    put(head, sizeof head);
    for (size_t i = 0; i < len; i++)
        stream[stream_len++] = (uint8_t)(type + i);
}

static void put_data(uint64_t offset, uint32_t len, uint8_t flags)
{
    uint8_t head[12];

    braid_wire_write_data_head(head, offset, len, flags);
    put(head, sizeof head);
    for (uint32_t i = 0; i < len; i++)
        stream[stream_len++] = (uint8_t)(offset + i);
}

static void make_stream(void)
{
    stream_len = 0;
    put_frame(BRAID_FRAME_HELLO, 0, 60);
    put_data(0, 1, 0);
    put_data(100, 37, BRAID_DATA_AGAIN);
    put_frame(BRAID_FRAME_PAD, 0, 0);
    put_frame(BRAID_FRAME_PAD, 9, 21);
    put_frame(BRAID_FRAME_ACK, 0, 36);
    put_frame(BRAID_FRAME_PING, 0, 8);
    put_frame(BRAID_FRAME_PONG, 0, 12);
    put_frame(0x80, 0, 3);
    put_frame(0xff, 0xff, 0);
    put_frame(BRAID_FRAME_PATH_ADD, 0, 0);
    put_frame(BRAID_FRAME_SUBFLOW_PRIORITY, 0, 3);
    put_frame(BRAID_FRAME_SUBFLOW_CLOSE, 0, 4);
    put_frame(BRAID_FRAME_PATH_REMOVE, 0, 5);
    put_frame(BRAID_FRAME_CONNECT_RESULT, 0, 2);
    put_data(UINT64_MAX - 3, 3, 0);
    put_frame(BRAID_FRAME_FIN, 0, 8);
    put_frame(BRAID_FRAME_RESET, 0, 9);
    put_frame(BRAID_FRAME_CLOSE, 0, 2);
}

static void setup(void)
{
    pool = braid_pool_new(0);
    make_stream();
    run(&whole, stream_len, stream_len);
}

START_TEST(test_whole)
{
    static const uint8_t types[] = {1, 2, 2, 3, 4, 5, 0x0b, 9, 0x0a, 0x0c, 0x0d, 2, 6, 7, 8};

    setup();
    ck_assert_int_eq(whole.error, 0);
    ck_assert_uint_eq(whole.count, sizeof types);
    for (unsigned i = 0; i < whole.count; i++)
        ck_assert_uint_eq(whole.entry[i].type, types[i]);
    ck_assert_uint_eq(whole.entry[2].offset, 100);
    ck_assert_uint_eq(whole.entry[2].len, 37);
    ck_assert_uint_eq(whole.entry[2].flags, BRAID_DATA_AGAIN);
    ck_assert_uint_eq(whole.entry[3].len, 36);
    ck_assert_uint_eq(whole.entry[11].offset, UINT64_MAX - 3);
    braid_pool_free(pool);
}
END_TEST

START_TEST(test_cut_in_two_and_three)
{
    static struct outcome out;

    setup();
    for (size_t a = 0; a <= stream_len; a++) {
        for (size_t b = a; b <= stream_len; b++) {
            run(&out, a, b);
            same(&out);
        }
    }
    braid_pool_free(pool);
}
END_TEST

START_TEST(test_byte_by_byte)
{
    static struct outcome out;
    struct braid_parser parser = {0};

    setup();
    memset(&out, 0, sizeof out);
    for (size_t i = 0; i < stream_len; i++)
        parse(&parser, &out, stream + i, 1);
    same(&out);
    braid_parser_clear(&parser, pool);
    ck_assert_uint_eq(braid_pool_used(pool), 0);
    braid_pool_free(pool);
}
END_TEST

/* Headers that cannot be right, and the fewest bytes that show it. */
START_TEST(test_refused)
{
    static const struct {
        uint8_t head[4];
        bool ok;
    } cases[] = {
        {{0x0e, 0, 0, 0}, false},       {{0x7f, 0, 0, 0}, false},
        {{0x80, 0, 0xff, 0xff}, true},  {{0x00, 0, 0xff, 0xff}, true},
        {{0x02, 0, 0, 0}, false},       {{0x02, 0, 0, 8}, false},
        {{0x02, 0, 0, 9}, true},        {{0x02, 0, 0xff, 0xff}, true},
        {{0x03, 0, 4, 0}, true},        {{0x03, 0, 4, 1}, false},
        {{0x0d, 0, 4, 0}, true},        {{0x0d, 0, 4, 1}, false},
        {{0x01, 0, 0xff, 0xff}, false},
    };

    pool = braid_pool_new(0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int expected = cases[i].ok ? 0 : -BRAID_ERR_PROTOCOL;

        memcpy(stream, cases[i].head, 4);
        stream_len = 4;
        for (size_t cut = 0; cut <= 4; cut++) {
            run(&whole, cut, 4);
            ck_assert_int_eq(whole.error, expected);
            ck_assert_uint_eq(whole.count, 0);
        }
    }
    braid_pool_free(pool);
}
END_TEST

/* At most one control frame is held, and nothing of DATA or of what is skipped. */
START_TEST(test_holds_one_control_frame)
{
    static uint8_t zeros[60000];
    struct braid_parser parser = {0};
    struct outcome out = {0};

    pool = braid_pool_new(0);
    stream_len = 0;
    put_frame(BRAID_FRAME_RESET, 0, 600);
    parse(&parser, &out, stream, 300);
    ck_assert_uint_eq(braid_pool_used(pool), BRAID_CONTROL_MAX);
    parse(&parser, &out, stream + 300, stream_len - 300);
    ck_assert_uint_eq(out.count, 1);
    stream_len = 0;
    put_frame(0x90, 0, 0);
    stream[2] = 0xe0;
    parse(&parser, &out, stream, 4);
    parse(&parser, &out, zeros, 50000);
    ck_assert_uint_eq(out.count, 1);
    ck_assert_uint_eq(braid_pool_used(pool), 0);
    braid_parser_clear(&parser, pool);
    braid_pool_free(pool);
}
END_TEST

START_TEST(test_no_memory)
{
    struct braid_parser parser = {0};
    struct outcome out = {0};

    pool = braid_pool_new(0);
    make_stream();
    braid_pool_fail_after(pool, 1);
    run(&out, stream_len, stream_len); /* whole frames need none */
    ck_assert_int_eq(out.error, 0);
    memset(&out, 0, sizeof out);
    parse(&parser, &out, stream, 10);
    ck_assert_int_eq(out.error, -BRAID_ERR_MEMORY);
    braid_parser_clear(&parser, pool);
    braid_pool_free(pool);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_whole, 0},   {test_cut_in_two_and_three, 0},    {test_byte_by_byte, 0},
        {test_refused, 0}, {test_holds_one_control_frame, 0}, {test_no_memory, 0},
    };

    return SUITE_RUN("parser", tests);
}
