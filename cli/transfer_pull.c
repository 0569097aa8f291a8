/* SPDX-License-Identifier: MIT */
/* The pulling end: from memory that the channel shows straight to the sink. */
#include <errno.h>
#include <string.h>

#include "cli/crc32c.h"
#include "cli/sink.h"
#include "cli/transfer_internal.h"

static void callback_sink(void *arg)
{
    struct transfer *transfer = arg;

    transfer->waits = false;
    transfer_receive(transfer);
}

/* Shortens the pieces to len bytes; returns how many are left. */
static int shorten(struct iovec *v, int count, size_t len)
{
    for (int i = 0; i < count; i++) {
        if (v[i].iov_len >= len) {
            v[i].iov_len = len;
            return i + 1;
        }
        len -= v[i].iov_len;
    }
    return count;
}

static void nothing_written(struct transfer *transfer, int error)
{
    if (error != EAGAIN) {
        transfer_fail(transfer, "writing: %s", strerrordesc_np(error));
    } else if (sink_wait(transfer->sink, transfer->base, callback_sink, transfer) != 0) {
        transfer_fail(transfer, "out of memory");
    } else {
        transfer->waits = true;
    }
}

bool transfer_receive_bytes(struct transfer *transfer)
{
    struct iovec v[TRANSFER_PIECES];
    int count;
    ssize_t n;
    size_t left;

    if (transfer->waits) {
        return false;
    }
    count = channel_peek(transfer->channel, v, TRANSFER_PIECES);
    if (count == 0) {
        return false;
    }
    count = shorten(v, count, transfer->bytes_left);
    n = sink_writev(transfer->sink, v, count);
    if (n <= 0) {
        nothing_written(transfer, n == 0 ? ENOSPC : errno);
        return false;
    }
    left = (size_t)n;
    for (int i = 0; left > 0; i++) {
        size_t len = left < v[i].iov_len ? left : v[i].iov_len;

        transfer->sum.crc = crc32c(transfer->sum.crc, v[i].iov_base, len);
        left -= len;
    }
    transfer->sum.length += (uint64_t)n;
    transfer->bytes_left -= transfer->raw ? 0 : (size_t)n;
    channel_drain(transfer->channel, (size_t)n);
    return true;
}

static void callback_finished(int error, void *arg)
{
    struct transfer *transfer = arg;
    unsigned char sum[FILE_WIRE_SUM];

    if (transfer->state != TRANSFER_WAITING) {
        return; /* it was given up meanwhile, and the file is there all the same */
    }
    if (error != 0) {
        transfer_fail(transfer, "writing: %s", strerrordesc_np(error));
        return;
    }
    file_wire_put_sum(sum, &transfer->sum);
    if (!transfer->raw) {
        transfer_say(transfer, FILE_WIRE_DONE, sum, sizeof(sum));
    }
    transfer_succeed(transfer);
}

void transfer_finish(struct transfer *transfer)
{
    int error;

    transfer->state = TRANSFER_WAITING;
    error = sink_finish(transfer->sink, transfer->base, callback_finished, transfer);
    if (error != 0) {
        transfer_fail(transfer, "writing: %s", strerrordesc_np(error));
    }
}

void transfer_check(struct transfer *transfer, const struct file_wire_sum *sum)
{
    if (sum->length != transfer->sum.length || sum->crc != transfer->sum.crc) {
        transfer_fail(transfer, "what arrived is not what was sent: the checksums differ");
        return;
    }
    transfer_finish(transfer);
}
