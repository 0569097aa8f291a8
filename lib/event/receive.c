/* SPDX-License-Identifier: MIT */
#include "receive.h"

#include <stddef.h>

/* Less free room than this in a chunk is not worth a piece of a read. */
#define WORTH 16384u

/* Keeps the chunks that still have room, in front. */
static void compact(struct braid_receive *receive)
{
    int kept = 0;

    for (int i = 0; i < BRAID_RECEIVE_CHUNKS; i++) {
        struct braid_chunk *chunk = receive->chunks[i];

        receive->chunks[i] = NULL;
        if (chunk == NULL)
            continue;
        if (chunk->refs == 1)
            chunk->fill = 0;
        if (chunk->size - chunk->fill < WORTH)
            braid_chunk_unref(chunk);
        else
            receive->chunks[kept++] = chunk;
    }
}

int braid_receive_prepare(struct braid_receive *receive, struct braid_pool *pool, bool eager,
                          struct iovec *v)
{
    int wanted = eager ? BRAID_RECEIVE_CHUNKS : 1;
    int n;

    compact(receive);
    for (n = 0; n < wanted; n++) {
        struct braid_chunk *chunk = receive->chunks[n];

        if (chunk == NULL)
            chunk = receive->chunks[n] = braid_chunk_new(pool, 1);
        if (chunk == NULL)
            break;
        v[n].iov_base = chunk->data + chunk->fill;
        v[n].iov_len = chunk->size - chunk->fill;
    }
    return n;
}

int braid_receive_done(struct braid_receive *receive, size_t n,
                       struct braid_received pieces[BRAID_RECEIVE_CHUNKS])
{
    int count = 0;

    while (n > 0) {
        struct braid_chunk *chunk = receive->chunks[count];
        uint32_t room = chunk->size - chunk->fill;
        uint32_t len = n < room ? (uint32_t)n : room;

        pieces[count++] = (struct braid_received){chunk, chunk->fill, len};
        chunk->fill += len;
        n -= len;
    }
    return count;
}

void braid_receive_clear(struct braid_receive *receive)
{
    for (int i = 0; i < BRAID_RECEIVE_CHUNKS; i++) {
        braid_chunk_unref(receive->chunks[i]);
        receive->chunks[i] = NULL;
    }
}
