/* SPDX-License-Identifier: MIT */
/*
 * The parser: whatever the bytes, however they are sliced, the same frames or the same error come
 * out. Input: one byte n, n slice sizes, the stream.
 */
#include <stdlib.h>
#include <string.h>

#include "core/parser.h"
#include "fuzz.h"
#include "tests/unit/pair.h"

const char fuzz_corpus[] = "parser";

/* What came out, as text of its own: kind, type, flags, offset and payload. */
struct outcome {
    uint8_t *bytes;
    size_t fill;
    size_t room;
    bool in_data; /* the last entry is DATA, and may go on */
    uint64_t data_end;
    uint8_t data_flags;
    int error;
};

static void put(struct outcome *out, const void *bytes, size_t n)
{
    if (out->fill + n > out->room) {
        out->room = 2 * (out->fill + n);
        out->bytes = realloc(out->bytes, out->room);
        MUST(out->bytes != NULL);
    }
    if (n > 0)
        memcpy(out->bytes + out->fill, bytes, n);
    out->fill += n;
}

static void note(struct outcome *out, const struct braid_parsed *parsed)
{
    bool data = parsed->kind == BRAID_PARSED_DATA;

    if (data && out->in_data && parsed->offset == out->data_end &&
        parsed->flags == out->data_flags) {
        put(out, parsed->payload, parsed->len);
        out->data_end += parsed->len;
        return;
    }
    put(out, &parsed->type, 1);
    put(out, &parsed->flags, 1);
    if (data)
        put(out, &parsed->offset, sizeof parsed->offset);
    else
        put(out, &parsed->len, sizeof parsed->len);
    put(out, parsed->payload, parsed->len);
    out->in_data = data;
    out->data_end = parsed->offset + parsed->len;
    out->data_flags = parsed->flags;
}

/* Parses one slice; false at an error. */
static bool parse(struct braid_parser *parser, struct braid_pool *pool, struct outcome *out,
                  const uint8_t *bytes, size_t len)
{
    struct braid_parsed parsed;

    do {
        size_t used;

        out->error = braid_parser_next(parser, pool, bytes, len, &used, &parsed);
        MUST(used <= len);
        if (out->error != 0)
            return false;
        bytes += used;
        len -= used;
        MUST(parsed.kind != BRAID_PARSED_MORE || len == 0);
        MUST(parsed.kind != BRAID_PARSED_CONTROL || parsed.len <= BRAID_CONTROL_MAX);
        if (parsed.kind != BRAID_PARSED_MORE)
            note(out, &parsed);
    } while (len > 0);
    return true;
}

static void run(struct braid_pool *pool, struct outcome *out, const uint8_t *sizes, size_t count,
                const uint8_t *bytes, size_t len)
{
    struct braid_parser parser = {0};
    size_t i = 0;

    while (len > 0) {
        size_t n = count == 0 ? len : sizes[i++ % count];
        uint8_t *slice;
        bool ok;

        n = n < len ? n : len;
        slice = malloc(n + 1); /* moved, so that nothing can lean on earlier bytes */
        MUST(slice != NULL);
        memcpy(slice + 1, bytes, n);
        ok = parse(&parser, pool, out, slice + 1, n);
        free(slice);
        if (!ok)
            break;
        bytes += n;
        len -= n;
    }
    braid_parser_clear(&parser, pool);
    MUST(braid_pool_used(pool) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    size_t count = fuzz_u8(&input) & 15;
    const uint8_t *sizes = fuzz_bytes(&input, &count);
    struct braid_pool *pool = braid_pool_new(0);
    struct outcome whole = {0}, sliced = {0};
    bool all_empty = true;

    MUST(pool != NULL);
    for (size_t i = 0; i < count; i++)
        all_empty = all_empty && sizes[i] == 0;
    run(pool, &whole, sizes, 0, input.at, input.left);
    if (!all_empty) {
        run(pool, &sliced, sizes, count, input.at, input.left);
        MUST(whole.error == sliced.error);
        MUST(whole.fill == sliced.fill);
        MUST(whole.fill == 0 || memcmp(whole.bytes, sliced.bytes, whole.fill) == 0);
    }
    free(whole.bytes);
    free(sliced.bytes);
    braid_pool_free(pool);
    return 0;
}
