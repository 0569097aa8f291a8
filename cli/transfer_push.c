/* SPDX-License-Identifier: MIT */
/* The pushing end: from the source straight into memory that the channel lends. */
#include <errno.h>
#include <string.h>

#include "cli/crc32c.h"
#include "cli/source.h"
#include "cli/transfer_internal.h"

static size_t total_of(const struct iovec *v, int count)
{
    size_t total = 0;

    for (int i = 0; i < count; i++) {
        total += v[i].iov_len;
    }
    return total;
}

/* Takes len bytes off the front of the pieces; returns how many are left. */
static int skip(struct iovec *v, int count, size_t len)
{
    int from = 0;

    while (from < count && len >= v[from].iov_len) {
        len -= v[from++].iov_len;
    }
    if (from < count) {
        v[from].iov_base = (char *)v[from].iov_base + len;
        v[from].iov_len -= len;
    }
    memmove(v, v + from, (size_t)(count - from) * sizeof(*v));
    return count - from;
}

/* Writes len bytes to the front of the pieces. */
static void place(const struct iovec *v, const unsigned char *bytes, size_t len)
{
    for (; len > 0; v++) {
        size_t n = len < v->iov_len ? len : v->iov_len;

        memcpy(v->iov_base, bytes, n);
        bytes += n;
        len -= n;
    }
}

static void add_to_sum(struct file_wire_sum *sum, const struct iovec *v, size_t len)
{
    sum->length += len;
    for (; len > 0; v++) {
        size_t n = len < v->iov_len ? len : v->iov_len;

        sum->crc = crc32c(sum->crc, v->iov_base, n);
        len -= n;
    }
}

static void callback_source(void *arg)
{
    struct transfer *transfer = arg;

    transfer->waits = false;
    transfer_send(transfer);
}

/* Nothing was read: it was the end, or will be told, or cannot be. */
static void nothing_read(struct transfer *transfer, ssize_t n, int error)
{
    unsigned char sum[FILE_WIRE_SUM];

    if (n == 0 && transfer->raw) {
        transfer->state = TRANSFER_WAITING;
        transfer->shut = true;
    } else if (n == 0) {
        file_wire_put_sum(sum, &transfer->sum);
        transfer->state = TRANSFER_WAITING;
        transfer_say(transfer, FILE_WIRE_END, sum, sizeof(sum));
    } else if (error != EAGAIN) {
        transfer_fail(transfer, "reading: %s", strerrordesc_np(error));
    } else if (source_wait(transfer->source, transfer->base, callback_source, transfer) != 0) {
        transfer_fail(transfer, "out of memory");
    } else {
        transfer->waits = true;
    }
}

bool transfer_send_bytes(struct transfer *transfer)
{
    struct iovec lent[TRANSFER_PIECES];
    struct iovec v[TRANSFER_PIECES];
    unsigned char header[FILE_WIRE_HEADER];
    size_t head = transfer->raw ? 0 : sizeof(header);
    int lent_count;
    int count;
    int error;
    ssize_t n;

    if (transfer->waits) {
        return false;
    }
    lent_count = channel_reserve(transfer->channel, lent, TRANSFER_PIECES);
    if (lent_count == 0) {
        return false;
    }
    if (total_of(lent, lent_count) <= head) {
        channel_commit(transfer->channel, 0);
        return false;
    }
    memcpy(v, lent, sizeof(v));
    count = skip(v, lent_count, head);
    n = source_readv(transfer->source, v, count);
    error = errno;
    if (n <= 0) {
        channel_commit(transfer->channel, 0);
        nothing_read(transfer, n, error);
        return false;
    }
    file_wire_put_header(header, FILE_WIRE_BYTES, (size_t)n);
    place(lent, header, head);
    add_to_sum(&transfer->sum, v, (size_t)n);
    channel_commit(transfer->channel, head + (size_t)n);
    return true;
}
