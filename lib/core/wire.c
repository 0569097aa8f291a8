/* SPDX-License-Identifier: MIT */
#include "wire.h"

static const uint8_t magic[3] = {'B', 'R', 'D'};

/* TLVs of a HELLO; those not named here are skipped. */
enum tlv {
    TLV_STATUS = 2,
    TLV_GREASE = 0x8000, /* and above: for nobody */
};

void braid_wire_write_preamble(struct braid_writer *w, const struct braid_preamble *preamble)
{
    braid_write_uint(w, preamble->session, 8);
    braid_write_bytes(w, magic, sizeof magic);
    braid_write_uint(w, preamble->version, 1);
    braid_write_uint(w, preamble->security, 1);
    braid_write_uint(w, preamble->flags, 1);
    braid_write_uint(w, preamble->random, 2);
}

int braid_wire_read_preamble(const uint8_t bytes[BRAID_PREAMBLE_SIZE],
                             struct braid_preamble *preamble)
{
    struct braid_reader r = {bytes, BRAID_PREAMBLE_SIZE, false};
    const uint8_t *mark;

    preamble->session = braid_read_u64(&r);
    mark = braid_read_bytes(&r, sizeof magic);
    preamble->version = braid_read_u8(&r);
    preamble->security = braid_read_u8(&r);
    preamble->flags = braid_read_u8(&r);
    preamble->random = braid_read_u16(&r);
    if (mark == NULL || memcmp(mark, magic, sizeof magic) != 0 || preamble->session == 0)
        return -BRAID_ERR_PROTOCOL;
    if (preamble->version != BRAID_VERSION)
        return -BRAID_ERR_VERSION;
    return 0;
}

void braid_wire_write_head(struct braid_writer *w, uint8_t type, uint8_t flags, size_t length)
{
    braid_write_uint(w, type, 1);
    braid_write_uint(w, flags, 1);
    braid_write_uint(w, length, 2);
}

static void write_tlv_head(struct braid_writer *w, uint16_t type, size_t length)
{
    braid_write_uint(w, type, 2);
    braid_write_uint(w, length, 2);
}

void braid_wire_write_hello(struct braid_writer *w, const struct braid_hello *hello,
                            uint64_t grease)
{
    size_t grease_len = (size_t)(grease >> 16) & 0x0f;
    bool has_status = (hello->flags & BRAID_HELLO_REPLY) != 0;
    static const uint8_t zeros[16];

    braid_wire_write_head(w, BRAID_FRAME_HELLO, 0, 53 + (has_status ? 6u : 0u) + 4 + grease_len);
    braid_write_uint(w, hello->max_version, 1);
    braid_write_uint(w, hello->subflow, 2);
    braid_write_uint(w, hello->flags, 2);
    braid_write_uint(w, hello->session, 8);
    braid_write_bytes(w, hello->token, sizeof hello->token);
    braid_write_uint(w, hello->ack, 8);
    braid_write_uint(w, hello->limit, 8);
    braid_write_uint(w, hello->instance, 8);
    if (has_status) {
        write_tlv_head(w, TLV_STATUS, 2);
        braid_write_uint(w, hello->status, 2);
    }
    write_tlv_head(w, (uint16_t)(TLV_GREASE | (grease & 0x7fff)), grease_len);
    braid_write_bytes(w, zeros, grease_len);
}

/* Reads the TLVs to the end of the payload. */
static int read_tlvs(struct braid_reader *r, struct braid_hello *hello)
{
    while (r->left > 0 && !r->failed) {
        uint16_t type = braid_read_u16(r);
        uint16_t length = braid_read_u16(r);
        struct braid_reader value = {braid_read_bytes(r, length), length, false};

        if (r->failed)
            break;
        if (type == TLV_STATUS) {
            if (length != 2)
                return -BRAID_ERR_PROTOCOL;
            hello->status = braid_read_u16(&value);
        }
    }
    return r->failed ? -BRAID_ERR_PROTOCOL : 0;
}

int braid_wire_read_hello(const uint8_t *payload, size_t len, struct braid_hello *hello)
{
    struct braid_reader r = {payload, len, false};
    const uint8_t *token;

    memset(hello, 0, sizeof *hello);
    hello->max_version = braid_read_u8(&r);
    hello->subflow = braid_read_u16(&r);
    hello->flags = braid_read_u16(&r);
    hello->session = braid_read_u64(&r);
    token = braid_read_bytes(&r, sizeof hello->token);
    if (token != NULL)
        memcpy(hello->token, token, sizeof hello->token);
    hello->ack = braid_read_u64(&r);
    hello->limit = braid_read_u64(&r);
    hello->instance = braid_read_u64(&r);
    if (r.failed)
        return -BRAID_ERR_PROTOCOL;
    if (hello->max_version < BRAID_VERSION)
        return -BRAID_ERR_VERSION;
    return read_tlvs(&r, hello);
}

void braid_wire_write_data_head(uint8_t head[12], uint64_t offset, uint32_t len, uint8_t flags)
{
    struct braid_writer w = {head, 12, false};

    braid_wire_write_head(&w, BRAID_FRAME_DATA, flags, 8u + len);
    braid_write_uint(&w, offset, 8);
}

void braid_wire_write_ack(struct braid_writer *w, const struct braid_ack *ack)
{
    braid_wire_write_head(w, BRAID_FRAME_ACK, 0, 16 + 10 * (size_t)ack->count);
    braid_write_uint(w, ack->ack, 8);
    braid_write_uint(w, ack->limit, 8);
    for (unsigned i = 0; i < ack->count; i++) {
        braid_write_uint(w, ack->counts[i].subflow, 2);
        braid_write_uint(w, ack->counts[i].bytes, 8);
    }
}

int braid_wire_read_ack(const uint8_t *payload, size_t len, struct braid_ack *ack)
{
    struct braid_reader r = {payload, len, false};

    if (len < 16 || (len - 16) % 10 != 0 || (len - 16) / 10 > BRAID_SUBFLOWS_MAX)
        return -BRAID_ERR_PROTOCOL;
    ack->ack = braid_read_u64(&r);
    ack->limit = braid_read_u64(&r);
    ack->count = (unsigned)((len - 16) / 10);
    for (unsigned i = 0; i < ack->count; i++) {
        ack->counts[i].subflow = braid_read_u16(&r);
        ack->counts[i].bytes = braid_read_u64(&r);
    }
    return 0;
}

void braid_wire_write_ping(struct braid_writer *w, uint64_t time)
{
    braid_wire_write_head(w, BRAID_FRAME_PING, 0, 8);
    braid_write_uint(w, time, 8);
}

/* Reads a payload that is one u64. */
static int read_u64_payload(const uint8_t *payload, size_t len, uint64_t *value)
{
    struct braid_reader r = {payload, len, false};

    *value = braid_read_u64(&r);
    return len == 8 ? 0 : -BRAID_ERR_PROTOCOL;
}

int braid_wire_read_ping(const uint8_t *payload, size_t len, uint64_t *time)
{
    return read_u64_payload(payload, len, time);
}

void braid_wire_write_pong(struct braid_writer *w, uint64_t time, uint32_t held)
{
    braid_wire_write_head(w, BRAID_FRAME_PONG, 0, 12);
    braid_write_uint(w, time, 8);
    braid_write_uint(w, held, 4);
}

int braid_wire_read_pong(const uint8_t *payload, size_t len, uint64_t *time, uint32_t *held)
{
    struct braid_reader r = {payload, len, false};

    *time = braid_read_u64(&r);
    *held = (uint32_t)braid_read_uint(&r, 4);
    return len == 12 ? 0 : -BRAID_ERR_PROTOCOL;
}

void braid_wire_write_fin(struct braid_writer *w, uint64_t final)
{
    braid_wire_write_head(w, BRAID_FRAME_FIN, 0, 8);
    braid_write_uint(w, final, 8);
}

int braid_wire_read_fin(const uint8_t *payload, size_t len, uint64_t *final)
{
    return read_u64_payload(payload, len, final);
}

void braid_wire_write_code(struct braid_writer *w, uint8_t type, uint16_t code, const char *text)
{
    size_t len = strlen(text);

    if (len > BRAID_REASON_MAX)
        len = BRAID_REASON_MAX;
    braid_wire_write_head(w, type, 0, 2 + len);
    braid_write_uint(w, code, 2);
    braid_write_bytes(w, text, len);
}

int braid_wire_read_code(const uint8_t *payload, size_t len, uint16_t *code)
{
    struct braid_reader r = {payload, len, false};

    *code = braid_read_u16(&r);
    return r.failed ? -BRAID_ERR_PROTOCOL : 0;
}

void braid_wire_write_subflow_close(struct braid_writer *w, uint16_t subflow, uint16_t code)
{
    braid_wire_write_head(w, BRAID_FRAME_SUBFLOW_CLOSE, 0, 4);
    braid_write_uint(w, subflow, 2);
    braid_write_uint(w, code, 2);
}

int braid_wire_read_subflow_close(const uint8_t *payload, size_t len, uint16_t *subflow)
{
    struct braid_reader r = {payload, len, false};

    *subflow = braid_read_u16(&r);
    (void)braid_read_u16(&r); /* the reason */
    return r.failed ? -BRAID_ERR_PROTOCOL : 0;
}
