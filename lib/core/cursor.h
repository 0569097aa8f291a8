/* SPDX-License-Identifier: MIT */
/*
 * Bounds-checked reading and writing of big-endian integers. A cursor that would run past its end
 * fails once and for all: reads give 0, writes do nothing, and `failed` tells at the end.
 */
#ifndef BRAID_CURSOR_H
#define BRAID_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct braid_reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

struct braid_writer {
    uint8_t *at;
    size_t left;
    bool failed;
};

/* Takes n bytes; NULL when there are fewer. */
static inline const uint8_t *braid_read_bytes(struct braid_reader *r, size_t n)
{
    const uint8_t *at = r->at;

    if (r->left < n) {
        r->failed = true;
        r->left = 0;
        return NULL;
    }
    r->at += n;
    r->left -= n;
    return at;
}

static inline uint64_t braid_read_uint(struct braid_reader *r, size_t n)
{
    const uint8_t *at = braid_read_bytes(r, n);
    uint64_t value = 0;

    for (size_t i = 0; at != NULL && i < n; i++)
        value = value << 8 | at[i];
    return value;
}

static inline uint8_t braid_read_u8(struct braid_reader *r)
{
    return (uint8_t)braid_read_uint(r, 1);
}

static inline uint16_t braid_read_u16(struct braid_reader *r)
{
    return (uint16_t)braid_read_uint(r, 2);
}

static inline uint64_t braid_read_u64(struct braid_reader *r)
{
    return braid_read_uint(r, 8);
}

static inline void braid_write_bytes(struct braid_writer *w, const void *bytes, size_t n)
{
    if (w->left < n) {
        w->failed = true;
        w->left = 0;
        return;
    }
    memcpy(w->at, bytes, n);
    w->at += n;
    w->left -= n;
}

static inline void braid_write_uint(struct braid_writer *w, uint64_t value, size_t n)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
    braid_write_bytes(w, bytes, n);
}

#endif
