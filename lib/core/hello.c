/* SPDX-License-Identifier: MIT */
#include "hello.h"

#include "seed_wire.h"
#include "wire.h"

/* Copies input until the greeting holds `want` bytes; true when it does. */
static bool gather(struct braid_greeting *greeting, size_t want, const uint8_t *bytes, size_t len,
                   size_t *used)
{
    size_t missing = want > greeting->fill ? want - greeting->fill : 0;
    size_t n = len - *used < missing ? len - *used : missing;

    if (n > 0)
        memcpy(greeting->bytes + greeting->fill, bytes + *used, n);
    greeting->fill = (uint16_t)(greeting->fill + n);
    *used += n;
    return n == missing;
}

static uint16_t payload_size(const uint8_t *head)
{
    return (uint16_t)(head[2] << 8 | head[3]);
}

/* Gathers the header of the first frame that is not to be ignored; true when it is whole. */
static bool gather_head(struct braid_greeting *greeting, const uint8_t *bytes, size_t len,
                        size_t *used)
{
    const uint8_t *head = greeting->bytes + BRAID_PREAMBLE_SIZE;

    for (;;) {
        size_t n = len - *used < greeting->skip ? len - *used : greeting->skip;

        greeting->skip = (uint16_t)(greeting->skip - n);
        *used += n;
        if (greeting->skip > 0 ||
            !gather(greeting, BRAID_PREAMBLE_SIZE + BRAID_FRAME_HEAD, bytes, len, used))
            return false;
        if (head[0] != BRAID_FRAME_PAD && head[0] < BRAID_FRAME_IGNORE)
            return true;
        greeting->skip = payload_size(head);
        greeting->fill = BRAID_PREAMBLE_SIZE;
    }
}

/* The 16 bytes that open a subflow of the seed's format are all of its greeting. */
static int take_seed(const struct braid_greeting *greeting, uint64_t *id, struct braid_hello *hello)
{
    memset(hello, 0, sizeof *hello);
    braid_seed_read_open(greeting->bytes, &hello->session, &hello->streams);
    *id = hello->session;
    if (hello->streams > greeting->seed_max)
        return -BRAID_ERR_LIMIT;
    hello->flags = BRAID_HELLO_CREATE;
    return BRAID_GREETING_DONE;
}

int braid_greeting_feed(struct braid_greeting *greeting, const uint8_t *bytes, size_t len,
                        size_t *used, uint64_t *id, struct braid_hello *hello)
{
    const size_t heads = BRAID_PREAMBLE_SIZE + BRAID_FRAME_HEAD;
    struct braid_preamble preamble;
    const uint8_t *head = greeting->bytes + BRAID_PREAMBLE_SIZE;
    size_t payload;
    int error;

    *used = 0;
    *id = 0;
    if (!gather(greeting, BRAID_PREAMBLE_SIZE, bytes, len, used))
        return BRAID_GREETING_MORE;
    if (greeting->seed_max > 0 && braid_seed_is_open(greeting->bytes))
        return take_seed(greeting, id, hello);
    if (greeting->seed_only)
        return -BRAID_ERR_PROTOCOL;
    error = braid_wire_read_preamble(greeting->bytes, &preamble);
    if (error != 0)
        return error;
    if (preamble.security != greeting->security)
        return -BRAID_ERR_SECURITY;
    *id = preamble.session;
    if (!gather_head(greeting, bytes, len, used))
        return BRAID_GREETING_MORE;
    payload = payload_size(head);
    if (head[0] != BRAID_FRAME_HELLO || payload > BRAID_HELLO_MAX)
        return -BRAID_ERR_PROTOCOL;
    if (!gather(greeting, heads + payload, bytes, len, used))
        return BRAID_GREETING_MORE;
    hello->streams = 0;
    error = braid_wire_read_hello(greeting->bytes + heads, payload, hello);
    if (error != 0)
        return error;
    if (hello->session != preamble.session || (hello->flags & BRAID_HELLO_REPLY) != 0)
        return -BRAID_ERR_PROTOCOL;
    return BRAID_GREETING_DONE;
}

size_t braid_greeting_refuse(uint8_t *buf, const struct braid_hello *hello, uint64_t instance,
                             int error)
{
    struct braid_writer w = {buf, BRAID_GREETING_MAX, false};
    struct braid_hello reply = {
        .max_version = BRAID_VERSION,
        .subflow = hello->subflow,
        .flags = BRAID_HELLO_REPLY,
        .session = hello->session,
        .instance = instance,
        .status = (uint16_t)error,
    };

    braid_wire_write_hello(&w, &reply, hello->session);
    return BRAID_GREETING_MAX - w.left;
}
