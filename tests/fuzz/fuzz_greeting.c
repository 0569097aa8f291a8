/* SPDX-License-Identifier: MIT */
/*
 * The greeting: however it is sliced it is read the same, what is read can be written again and
 * says the same, and a refusal of it can be read. Input: one slice size, the bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "core/wire.h"
#include "fuzz.h"
#include "tests/unit/pair.h"

const char fuzz_corpus[] = "greeting";

struct outcome {
    int result;
    size_t used;
    uint64_t id;
    struct braid_hello hello;
};

static void run(struct outcome *out, const uint8_t *bytes, size_t len, size_t slice)
{
    struct braid_greeting greeting = {0};

    memset(out, 0, sizeof *out);
    while (out->used < len && out->result == BRAID_GREETING_MORE) {
        size_t n = len - out->used < slice ? len - out->used : slice;
        size_t used;

        out->result =
            braid_greeting_feed(&greeting, bytes + out->used, n, &used, &out->id, &out->hello);
        MUST(used <= n && (used == n || out->result != BRAID_GREETING_MORE));
        MUST(greeting.fill <= sizeof greeting.bytes);
        out->used += used;
    }
}

static void same_hello(const struct braid_hello *a, const struct braid_hello *b)
{
    MUST(a->subflow == b->subflow && a->flags == b->flags && a->session == b->session);
    MUST(a->ack == b->ack && a->limit == b->limit && a->instance == b->instance);
    MUST(memcmp(a->token, b->token, sizeof a->token) == 0);
}

static void check_round_trip(const struct outcome *out)
{
    uint8_t buf[BRAID_GREETING_MAX];
    struct braid_writer w = {buf, sizeof buf, false};
    struct braid_hello again;
    size_t n;

    MUST(out->id != 0 && out->hello.session == out->id);
    MUST((out->hello.flags & BRAID_HELLO_REPLY) == 0);
    braid_wire_write_hello(&w, &out->hello, out->hello.ack);
    n = sizeof buf - w.left;
    MUST(!w.failed && (size_t)(buf[2] << 8 | buf[3]) == n - BRAID_FRAME_HEAD);
    MUST(braid_wire_read_hello(buf + BRAID_FRAME_HEAD, n - BRAID_FRAME_HEAD, &again) == 0);
    same_hello(&out->hello, &again);
    n = braid_greeting_refuse(buf, &out->hello, 7, BRAID_ERR_LIMIT);
    MUST(n <= sizeof buf);
    MUST(braid_wire_read_hello(buf + BRAID_FRAME_HEAD, n - BRAID_FRAME_HEAD, &again) == 0);
    MUST(again.status == BRAID_ERR_LIMIT && again.flags == BRAID_HELLO_REPLY);
    MUST(again.session == out->id && again.subflow == out->hello.subflow && again.instance == 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    size_t slice = (size_t)fuzz_u8(&input) + 1;
    struct outcome whole, sliced;

    run(&whole, input.at, input.left, SIZE_MAX);
    run(&sliced, input.at, input.left, slice);
    MUST(whole.result == sliced.result);
    if (whole.result == BRAID_GREETING_DONE) {
        MUST(whole.used == sliced.used && whole.id == sliced.id);
        MUST(memcmp(&whole.hello, &sliced.hello, sizeof whole.hello) == 0);
        check_round_trip(&whole);
    }
    return 0;
}
