/* SPDX-License-Identifier: MIT */
#include "recvbuf.h"

#include <string.h>

#include <braid/error.h>

/* Below this a copy is cheaper than holding on to the chunk that the bytes came in. */
#define COPY_BELOW 4096u

/* Below this a piece is joined to the one before it; any chunk has room for one. */
#define JOIN_BELOW 1024u

/* Once this much waits, everything is copied: a slow reader must not pin half-empty chunks. */
#define REFERENCE_BACKLOG (1024u * 1024u)

/*
 * More pieces than this, when they are small on average, are an attack on our memory. Only those
 * out of order count for long, since small ones are joined when they get in order.
 */
#define PIECES_FREE 4096u
#define PIECE_CHARGE 256u

struct braid_piece {
    struct braid_piece *next;
    struct braid_piece *prev;
    struct braid_chunk *chunk;
    uint64_t offset;
    uint32_t start;
    uint32_t len;
};

static uint64_t piece_end(const struct braid_piece *piece)
{
    return piece->offset + piece->len;
}

static void remove_piece(struct braid_recvbuf *buf, struct braid_pool *pool,
                         struct braid_piece *piece)
{
    if (piece->prev != NULL)
        piece->prev->next = piece->next;
    else
        buf->head = piece->next;
    if (piece->next != NULL)
        piece->next->prev = piece->prev;
    else
        buf->tail = piece->prev;
    buf->pieces--;
    buf->bytes -= piece->len;
    braid_chunk_unref(piece->chunk);
    braid_pool_release(pool, piece, sizeof *piece);
}

static void drop_fill(struct braid_recvbuf *buf)
{
    braid_chunk_unref(buf->fill);
    braid_chunk_unref(buf->loose);
    buf->fill = NULL;
    buf->loose = NULL;
}

void braid_recvbuf_clear(struct braid_recvbuf *buf, struct braid_pool *pool)
{
    while (buf->head != NULL)
        remove_piece(buf, pool, buf->head);
    drop_fill(buf);
}

bool braid_recvbuf_is_crumbled(const struct braid_recvbuf *buf)
{
    return buf->pieces >= PIECES_FREE && buf->pieces * PIECE_CHARGE > buf->bytes;
}

/* Links a new piece behind prev (NULL: first). */
static int add_piece(struct braid_recvbuf *buf, struct braid_pool *pool, struct braid_piece *prev,
                     const struct braid_piece *like)
{
    struct braid_piece *piece;

    if (!buf->takes_crumbs && braid_recvbuf_is_crumbled(buf))
        return -BRAID_ERR_PROTOCOL;
    piece = braid_pool_alloc(pool, sizeof *piece);
    if (piece == NULL)
        return -BRAID_ERR_MEMORY;
    *piece = *like;
    braid_chunk_ref(piece->chunk);
    piece->prev = prev;
    piece->next = prev != NULL ? prev->next : buf->head;
    if (piece->next != NULL)
        piece->next->prev = piece;
    else
        buf->tail = piece;
    if (prev != NULL)
        prev->next = piece;
    else
        buf->head = piece;
    buf->pieces++;
    buf->bytes += piece->len;
    return 0;
}

/* The chunk that small pieces are copied to, with room for some bytes; NULL: no memory. */
static struct braid_chunk *get_fill(struct braid_recvbuf *buf, struct braid_pool *pool,
                                    struct braid_chunk **fill, uint32_t len)
{
    struct braid_chunk *fresh;

    if (*fill != NULL && (*fill)->fill < (*fill)->size)
        return *fill;
    fresh = braid_chunk_new(pool, buf->bytes + len > BRAID_CHUNK_SMALL);
    if (fresh == NULL)
        return NULL;
    braid_chunk_unref(*fill);
    return *fill = fresh;
}

/* Copies the start of a piece into the fill chunk; returns how many bytes, or an error. */
static int copy_some(struct braid_recvbuf *buf, struct braid_pool *pool, struct braid_piece *prev,
                     const struct braid_piece *from, bool in_order)
{
    struct braid_chunk *fill = get_fill(buf, pool, in_order ? &buf->fill : &buf->loose, from->len);
    struct braid_piece copy = *from;
    int error;

    if (fill == NULL)
        return -BRAID_ERR_MEMORY;
    copy.chunk = fill;
    copy.start = fill->fill;
    if (copy.len > fill->size - fill->fill)
        copy.len = fill->size - fill->fill;
    memcpy(fill->data + copy.start, from->chunk->data + from->start, copy.len);
    if (prev != NULL && prev->chunk == fill && prev->start + prev->len == copy.start &&
        piece_end(prev) == copy.offset) {
        prev->len += copy.len;
        buf->bytes += copy.len;
    } else {
        error = add_piece(buf, pool, prev, &copy);
        if (error != 0)
            return error;
    }
    fill->fill += copy.len;
    return (int)copy.len;
}

/* Stores a piece that overlaps nothing, behind prev; returns the last piece of it through *last. */
static int store(struct braid_recvbuf *buf, struct braid_pool *pool, struct braid_piece *prev,
                 struct braid_piece piece, struct braid_piece **last)
{
    bool in_order = piece.offset == buf->next;

    if (piece.len >= COPY_BELOW && buf->bytes < REFERENCE_BACKLOG) {
        int error = add_piece(buf, pool, prev, &piece);

        *last = prev != NULL ? prev->next : buf->head;
        return error;
    }
    while (piece.len > 0) {
        int n = copy_some(buf, pool, prev, &piece, in_order);

        if (n < 0)
            return n;
        if (prev == NULL)
            prev = buf->head;
        else if (prev->next != NULL && prev->next->offset == piece.offset)
            prev = prev->next;
        piece.offset += (uint32_t)n;
        piece.start += (uint32_t)n;
        piece.len -= (uint32_t)n;
    }
    *last = prev;
    return 0;
}

/*
 * Moves a small piece that is now in order behind what is in order already, and into the same piece
 * where it can: many tiny frames that came in any order must not stay as many pieces.
 */
static void join(struct braid_recvbuf *buf, struct braid_pool *pool, struct braid_piece *piece)
{
    struct braid_piece *prev = piece->prev;
    struct braid_chunk *fill = buf->fill;

    if (piece->len >= JOIN_BELOW || piece->chunk == fill)
        return;
    if (fill == NULL || fill->size - fill->fill < piece->len) {
        fill = braid_chunk_new(pool, buf->bytes > BRAID_CHUNK_SMALL);
        if (fill == NULL)
            return; /* it may as well stay where it is */
        braid_chunk_unref(buf->fill);
        buf->fill = fill;
    }
    memcpy(fill->data + fill->fill, piece->chunk->data + piece->start, piece->len);
    if (prev != NULL && prev->chunk == fill && prev->start + prev->len == fill->fill) {
        prev->len += piece->len;
        buf->bytes += piece->len;
        fill->fill += piece->len;
        remove_piece(buf, pool, piece);
        return;
    }
    braid_chunk_unref(piece->chunk);
    piece->chunk = braid_chunk_ref(fill);
    piece->start = fill->fill;
    fill->fill += piece->len;
}

/* Moves next over all pieces that now join it, from piece (NULL: the first) on. */
static void advance(struct braid_recvbuf *buf, struct braid_pool *pool, struct braid_piece *piece)
{
    struct braid_piece *next;

    if (piece == NULL)
        piece = buf->head;
    for (; piece != NULL && piece->offset <= buf->next; piece = next) {
        next = piece->next;
        if (piece_end(piece) <= buf->next)
            continue;
        buf->next = piece_end(piece);
        join(buf, pool, piece);
    }
}

/* Stores what of a range is not there yet, from prev on, the last piece that begins before it. */
static int fill_gaps(struct braid_recvbuf *buf, struct braid_pool *pool, struct braid_piece *prev,
                     uint64_t offset, struct braid_chunk *chunk, uint32_t start, uint32_t len)
{
    uint64_t end = offset + len;

    while (offset < end) {
        struct braid_piece *follows = prev != NULL ? prev->next : buf->head;
        uint64_t stop = follows != NULL && follows->offset < end ? follows->offset : end;

        if (prev != NULL && piece_end(prev) > offset) {
            start += (uint32_t)(piece_end(prev) - offset);
            offset = piece_end(prev);
        }
        if (offset < stop) {
            struct braid_piece piece = {NULL,   NULL,  chunk,
                                        offset, start, (uint32_t)(stop - offset)};
            int error = store(buf, pool, prev, piece, &prev);

            if (error != 0)
                return error;
            start += piece.len;
            offset = stop;
        }
        if (offset < end)
            prev = follows;
    }
    return 0;
}

int braid_recvbuf_insert(struct braid_recvbuf *buf, struct braid_pool *pool, uint64_t offset,
                         struct braid_chunk *chunk, uint32_t start, uint32_t len)
{
    struct braid_piece *prev = buf->tail;
    int error;

    if (offset + len <= buf->next)
        return 0;
    if (offset < buf->next) {
        start += (uint32_t)(buf->next - offset);
        len -= (uint32_t)(buf->next - offset);
        offset = buf->next;
    }
    while (prev != NULL && prev->offset > offset)
        prev = prev->prev;
    error = fill_gaps(buf, pool, prev, offset, chunk, start, len);
    if (offset == buf->next)
        advance(buf, pool, prev);
    return error;
}

int braid_recvbuf_peek(const struct braid_recvbuf *buf, struct iovec *v, int max)
{
    int count = 0;

    for (const struct braid_piece *piece = buf->head;
         piece != NULL && count < max && piece->offset < buf->next; piece = piece->next) {
        v[count].iov_base = piece->chunk->data + piece->start;
        v[count].iov_len = piece->len;
        count++;
    }
    return count;
}

void braid_recvbuf_drain(struct braid_recvbuf *buf, struct braid_pool *pool, size_t n)
{
    buf->drained += n;
    while (n > 0) {
        struct braid_piece *piece = buf->head;

        if (piece->len > n) {
            piece->offset += n;
            piece->start += (uint32_t)n;
            piece->len -= (uint32_t)n;
            buf->bytes -= n;
            return;
        }
        n -= piece->len;
        remove_piece(buf, pool, piece);
    }
    if (buf->head == NULL)
        drop_fill(buf);
}
