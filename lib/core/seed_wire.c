/* SPDX-License-Identifier: MIT */
#include "seed_wire.h"

#include <braid/error.h>

/* Version 1's mark is in the upper half of the count, which is 0 in any that makes sense. */
#define STREAMS_MAX UINT32_MAX

void braid_seed_write_open(struct braid_writer *w, uint64_t session, uint64_t streams)
{
    braid_write_uint(w, session, 8);
    braid_write_uint(w, streams, 8);
}

void braid_seed_read_open(const uint8_t bytes[BRAID_SEED_OPEN_SIZE], uint64_t *session,
                          uint64_t *streams)
{
    struct braid_reader r = {bytes, BRAID_SEED_OPEN_SIZE, false};

    *session = braid_read_u64(&r);
    *streams = braid_read_u64(&r);
}

bool braid_seed_is_open(const uint8_t bytes[BRAID_SEED_OPEN_SIZE])
{
    uint64_t session, streams;

    braid_seed_read_open(bytes, &session, &streams);
    return streams > 0 && streams <= STREAMS_MAX;
}

void braid_seed_write_head(uint8_t head[BRAID_SEED_HEAD], uint64_t offset, uint64_t len)
{
    struct braid_writer w = {head, BRAID_SEED_HEAD, false};

    braid_write_uint(&w, BRAID_SEED_DATA, 1);
    braid_write_uint(&w, offset, 8);
    braid_write_uint(&w, len, 8);
}

int braid_seed_read_head(const uint8_t head[BRAID_SEED_HEAD], uint64_t *offset, uint64_t *len)
{
    struct braid_reader r = {head + 1, BRAID_SEED_HEAD - 1, false};

    *offset = braid_read_u64(&r);
    *len = braid_read_u64(&r);
    if (*len == 0 || *offset > BRAID_SEED_OFFSET_MAX || *len > BRAID_SEED_OFFSET_MAX - *offset)
        return -BRAID_ERR_PROTOCOL;
    return 0;
}

void braid_seed_write_ping(struct braid_writer *w)
{
    braid_write_uint(w, BRAID_SEED_PING, 1);
}

void braid_seed_write_end(struct braid_writer *w, uint64_t end, uint8_t last)
{
    uint8_t head[BRAID_SEED_HEAD];

    braid_seed_write_head(head, end > 0 ? end - 1 : BRAID_SEED_NOWHERE, 1);
    for (int i = 0; i < 2; i++) {
        braid_write_bytes(w, head, sizeof head);
        braid_write_uint(w, last, 1);
    }
    braid_write_uint(w, BRAID_SEED_SHUTDOWN, 1);
}
