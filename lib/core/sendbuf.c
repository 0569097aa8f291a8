/* SPDX-License-Identifier: MIT */
#include "sendbuf.h"

#include <string.h>

#define BULK_COMMIT 16384u /* a commit of at least this size asks for large chunks next time */

static void drop_spare(struct braid_sendbuf *buf)
{
    struct braid_chunk *chunk;

    while ((chunk = buf->spare) != NULL) {
        buf->spare = chunk->next;
        braid_chunk_unref(chunk);
    }
}

static uint32_t space(const struct braid_chunk *chunk)
{
    return chunk->size - chunk->fill;
}

static size_t footprint(const struct braid_chunk *chunk)
{
    if (chunk->release != NULL)
        return sizeof *chunk;
    return chunk->large ? BRAID_CHUNK_LARGE : BRAID_CHUNK_SMALL;
}

void braid_sendbuf_clear(struct braid_sendbuf *buf)
{
    struct braid_chunk *chunk;

    drop_spare(buf);
    while ((chunk = buf->head) != NULL) {
        buf->head = chunk->next;
        braid_chunk_unref(chunk);
    }
    buf->tail = NULL;
    buf->cursor = NULL;
    buf->memory = 0;
}

/* Adds a piece; returns how many bytes of it count. */
static size_t lend(struct iovec *v, struct braid_chunk *chunk, size_t bytes)
{
    size_t n = space(chunk) < bytes ? space(chunk) : bytes;

    v->iov_base = chunk->data + chunk->fill;
    v->iov_len = n;
    return n;
}

int braid_sendbuf_reserve(struct braid_sendbuf *buf, struct braid_pool *pool, struct iovec *v,
                          int max, size_t bytes)
{
    struct braid_chunk **link = &buf->spare;
    int large = buf->last_commit >= BULK_COMMIT;
    int count = 0;

    drop_spare(buf);
    if (buf->tail != NULL && space(buf->tail) > 0 && bytes > 0 && max > 0)
        bytes -= lend(&v[count++], buf->tail, bytes);
    while (count < max && bytes > 0) {
        struct braid_chunk *chunk = braid_chunk_new(pool, large);

        if (chunk == NULL && large && count == 0)
            chunk = braid_chunk_new(pool, 0); /* memory is short: better a little than nothing */
        if (chunk == NULL)
            break;
        *link = chunk;
        link = &chunk->next;
        bytes -= lend(&v[count++], chunk, bytes);
        if (large && buf->last_commit < BULK_COMMIT)
            break; /* one small and one large are enough until reads prove large */
        large = 1;
    }
    return count;
}

void braid_sendbuf_append(struct braid_sendbuf *buf, struct braid_chunk *chunk)
{
    chunk->next = NULL;
    chunk->offset = buf->end;
    buf->memory += footprint(chunk);
    buf->end += chunk->fill;
    if (buf->tail != NULL)
        buf->tail->next = chunk;
    else
        buf->head = chunk;
    buf->tail = chunk;
}

void braid_sendbuf_commit(struct braid_sendbuf *buf, size_t n)
{
    if (n > 0)
        buf->last_commit = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    while (n > 0) {
        struct braid_chunk *chunk = buf->tail;
        uint32_t take;

        if (chunk == NULL || space(chunk) == 0) {
            chunk = buf->spare;
            buf->spare = chunk->next;
            braid_sendbuf_append(buf, chunk); /* empty as yet */
        }
        take = space(chunk) < n ? space(chunk) : (uint32_t)n;
        chunk->fill += take;
        buf->end += take;
        n -= take;
    }
    drop_spare(buf);
}

uint8_t braid_sendbuf_last(const struct braid_sendbuf *buf)
{
    return buf->tail->data[buf->tail->fill - 1];
}

int braid_sendbuf_slice(struct braid_sendbuf *buf, uint64_t offset, uint32_t len,
                        struct braid_slice *slices, int max)
{
    struct braid_chunk *chunk = buf->cursor;
    int count = 0;

    if (chunk == NULL || chunk->offset > offset)
        chunk = buf->head;
    while (chunk != NULL && chunk->offset + chunk->fill <= offset)
        chunk = chunk->next;
    while (len > 0 && count < max && chunk != NULL) {
        uint32_t start = (uint32_t)(offset - chunk->offset);
        uint32_t n = chunk->fill - start < len ? chunk->fill - start : len;

        slices[count++] = (struct braid_slice){chunk, start, n};
        buf->cursor = chunk;
        offset += n;
        len -= n;
        chunk = chunk->next;
    }
    return count;
}

void braid_sendbuf_ack(struct braid_sendbuf *buf, uint64_t offset)
{
    struct braid_chunk *chunk;

    if (offset <= buf->una)
        return;
    buf->una = offset;
    while ((chunk = buf->head) != NULL && chunk->offset + chunk->fill <= offset) {
        buf->head = chunk->next;
        if (buf->tail == chunk)
            buf->tail = NULL;
        if (buf->cursor == chunk)
            buf->cursor = NULL;
        buf->memory -= footprint(chunk);
        braid_chunk_unref(chunk);
    }
}
