/* SPDX-License-Identifier: MIT */
/*
 * Streams with buffers, as bufferevents have them: for applications that would rather copy than be
 * lent memory. The output is what was written beyond the session's room; it goes in, in order, as
 * room comes. The input is what the application was shown and has not drained.
 */
#include <stdlib.h>
#include <string.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include "clock.h"
#include "context.h"
#include "loan.h"
#include "session_io.h"

#define PIECES 16

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t length_of(const struct evbuffer *buffer)
{
    return buffer != NULL ? evbuffer_get_length(buffer) : 0;
}

static size_t input_max(const struct braid_stream *stream)
{
    return stream->read_high != 0 ? stream->read_high : BRAID_INPUT_MAX;
}

static size_t output_max(const struct braid_stream *stream)
{
    return stream->write_high != 0 ? stream->write_high : BRAID_OUTPUT_MAX;
}

size_t braid_stream_output(const struct braid_stream *stream)
{
    return length_of(stream->output) + braid_loan_left(stream->loan);
}

void braid_stream_clear(struct braid_stream *stream)
{
    braid_loan_free(stream->loan);
    stream->loan = NULL;
    if (stream->output != NULL)
        evbuffer_free(stream->output);
    if (stream->input != NULL)
        evbuffer_free(stream->input);
    stream->output = stream->input = NULL;
}

int braid_stream_setwatermark(struct braid_stream *stream, short events, size_t low, size_t high)
{
    struct braid_session_io *io = braid_session_io_of(stream);
    uint64_t now = braid_clock();

    if (high != 0 && low > high)
        return -1;
    if ((events & EV_READ) != 0) {
        stream->read_low = low;
        stream->read_high = high;
        if (!io->closed)
            braid_session_want(io->session, low, now);
    }
    if ((events & EV_WRITE) != 0) {
        stream->write_low = low;
        stream->write_high = high;
    }
    braid_session_io_touch(io, now);
    return 0;
}

/* ---- writing ---- */

/* Lends the session what is large; false: it has no room, or nothing is large. */
static bool lend(struct braid_stream *stream, uint64_t now)
{
    struct braid_session_io *io = braid_session_io_of(stream);

    if (stream->loan == NULL)
        stream->loan = braid_loan_new(io->context->pool, stream->output);
    if (stream->loan == NULL || braid_loan_out(stream->loan, io->session, now) == 0)
        return false;
    if (braid_loan_left(stream->loan) == 0) {
        braid_loan_free(stream->loan);
        stream->loan = NULL;
    }
    return true;
}

/* Copies what it has room for; false: it has none. */
static bool copy(struct braid_stream *stream, uint64_t now)
{
    struct braid_session *session = braid_session_io_of(stream)->session;
    struct iovec v[PIECES];
    int count = braid_session_reserve(session, v, PIECES);
    size_t moved = 0;

    for (int i = 0; i < count; i++) {
        int n = evbuffer_remove(stream->output, v[i].iov_base, v[i].iov_len);

        if (n <= 0)
            break;
        moved += (size_t)n;
    }
    if (count > 0)
        braid_session_commit(session, moved, now);
    return count > 0;
}

/* Gives the session what it has room for, and its FIN when that was waited with. */
static void pump(struct braid_stream *stream)
{
    struct braid_session_io *io = braid_session_io_of(stream);
    uint64_t now = braid_clock();

    if (braid_stream_output(stream) == 0)
        return;
    while (braid_stream_output(stream) > 0 &&
           (lend(stream, now) || (stream->loan == NULL && copy(stream, now))))
        continue;
    if (stream->shut && braid_stream_output(stream) == 0)
        braid_session_shutdown(io->session, now);
}

void braid_stream_writable(struct braid_stream *stream)
{
    if (braid_stream_output(stream) > 0)
        stream->room = true;
    else
        stream->writable = true;
}

void braid_stream_use_room(struct braid_stream *stream)
{
    stream->room = false;
    pump(stream);
    if (!stream->shut)
        stream->writable = true; /* told once the output is below its mark */
}

static bool takes(struct braid_stream *stream, size_t len)
{
    size_t waiting = braid_stream_output(stream);

    if (braid_session_io_of(stream)->closed || stream->shut ||
        braid_stream_get_error(stream) != BRAID_OK)
        return false;
    if (stream->output == NULL)
        stream->output = evbuffer_new();
    return stream->output != NULL && len <= output_max(stream) &&
           waiting <= output_max(stream) - len;
}

static void written(struct braid_stream *stream)
{
    stream->writable = true;
    braid_session_io_touch(braid_session_io_of(stream), braid_clock());
}

/* Fills the pieces; returns how many bytes they took. */
static size_t copy_in(const struct iovec *v, int count, const uint8_t *data, size_t len)
{
    size_t copied = 0;

    for (int i = 0; i < count && copied < len; i++) {
        size_t n = smaller(v[i].iov_len, len - copied);

        memcpy(v[i].iov_base, data + copied, n);
        copied += n;
    }
    return copied;
}

int braid_stream_write(struct braid_stream *stream, const void *data, size_t len)
{
    struct braid_session *session = braid_session_io_of(stream)->session;
    const uint8_t *bytes = data;
    struct iovec v[PIECES];
    size_t copied = 0;
    int count = 0;

    if (!takes(stream, len))
        return -1;
    if (len == 0)
        return 0;
    if (braid_stream_output(stream) == 0)
        count = braid_session_reserve(session, v, PIECES);
    if (count > 0)
        copied = copy_in(v, count, bytes, len);
    if (copied < len && evbuffer_add(stream->output, bytes + copied, len - copied) != 0) {
        if (count > 0)
            braid_session_commit(session, 0, braid_clock());
        return -1;
    }
    if (count > 0)
        braid_session_commit(session, copied, braid_clock());
    pump(stream); /* has the session say when there is room for the rest */
    written(stream);
    return 0;
}

int braid_stream_write_buffer(struct braid_stream *stream, struct evbuffer *buffer)
{
    if (!takes(stream, evbuffer_get_length(buffer)))
        return -1;
    if (evbuffer_get_length(buffer) == 0)
        return 0;
    if (evbuffer_add_buffer(stream->output, buffer) != 0)
        return -1;
    pump(stream);
    written(stream);
    return 0;
}

/* ---- reading ---- */

bool braid_stream_has_enough(const struct braid_stream *stream)
{
    struct braid_session_stats stats;

    if (stream->read_low <= 1)
        return true;
    braid_session_get_stats(braid_session_io_of(stream)->session, &stats);
    return stats.complete || stats.full ||
           stats.unread + length_of(stream->input) >= stream->read_low;
}

static void drain(struct braid_stream *stream, size_t n)
{
    struct braid_session_io *io = braid_session_io_of(stream);

    if (n > 0 && !io->closed)
        braid_session_drain(io->session, n, braid_clock());
}

static void drain_all(struct braid_stream *stream)
{
    struct braid_session_io *io = braid_session_io_of(stream);
    struct braid_session_stats stats;

    braid_session_get_stats(io->session, &stats);
    drain(stream, (size_t)stats.unread);
}

void braid_stream_readable(struct braid_stream *stream)
{
    if (stream->discarding)
        drain_all(stream);
    else
        stream->readable = true;
}

void braid_stream_discard(struct braid_stream *stream)
{
    stream->discarding = true;
    stream->readable = false;
    drain_all(stream);
}

/* Moves at most max bytes from the session to the end of a buffer; -1: out of memory. */
static int move(struct braid_stream *stream, struct evbuffer *to, size_t max)
{
    struct braid_session_io *io = braid_session_io_of(stream);
    struct iovec v[PIECES];
    int count;

    while (max > 0 && !io->closed && (count = braid_session_peek(io->session, v, PIECES)) > 0) {
        size_t moved = 0;

        for (int i = 0; i < count && moved < max; i++) {
            size_t n = smaller(v[i].iov_len, max - moved);

            if (evbuffer_add(to, v[i].iov_base, n) != 0) {
                drain(stream, moved);
                return -1;
            }
            moved += n;
        }
        drain(stream, moved);
        max -= moved;
    }
    return 0;
}

size_t braid_stream_read(struct braid_stream *stream, void *data, size_t len)
{
    struct braid_session_io *io = braid_session_io_of(stream);
    uint8_t *to = data;
    struct iovec v[PIECES];
    size_t done = 0;
    int count;

    if (length_of(stream->input) > 0) {
        int n = evbuffer_remove(stream->input, data, len);

        done = n > 0 ? (size_t)n : 0;
    }
    while (done < len && !io->closed && (count = braid_session_peek(io->session, v, PIECES)) > 0) {
        size_t before = done;

        for (int i = 0; i < count && done < len; i++) {
            size_t n = smaller(v[i].iov_len, len - done);

            memcpy(to + done, v[i].iov_base, n);
            done += n;
        }
        drain(stream, done - before);
    }
    if (done > 0)
        braid_session_io_touch(io, braid_clock());
    return done;
}

int braid_stream_read_buffer(struct braid_stream *stream, struct evbuffer *buffer)
{
    int result;

    if (length_of(stream->input) > 0 && evbuffer_add_buffer(buffer, stream->input) != 0)
        return -1;
    result = move(stream, buffer, SIZE_MAX);
    braid_session_io_touch(braid_session_io_of(stream), braid_clock());
    return result;
}

void braid_stream_fill_input(struct braid_stream *stream)
{
    size_t max = input_max(stream);
    size_t held = length_of(stream->input);

    if (stream->input != NULL && held < max)
        (void)move(stream, stream->input, max - held); /* the rest waits until some was drained */
}

/* The application has drained some of the input: there may be more for it. */
static void on_drained(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
    struct braid_stream *stream = arg;
    struct braid_session_io *io = braid_session_io_of(stream);
    struct iovec v;

    (void)buffer;
    if (info->n_deleted == 0 || io->closed || braid_session_peek(io->session, &v, 1) == 0)
        return;
    stream->readable = true;
    braid_session_io_touch(io, braid_clock());
}

struct evbuffer *braid_stream_get_input(struct braid_stream *stream)
{
    if (stream->input == NULL) {
        stream->input = evbuffer_new();
        if (stream->input == NULL)
            return NULL;
        if (evbuffer_add_cb(stream->input, on_drained, stream) == NULL) {
            evbuffer_free(stream->input);
            stream->input = NULL;
            return NULL;
        }
    }
    if ((stream->disabled & EV_READ) == 0)
        braid_stream_fill_input(stream);
    braid_session_io_touch(braid_session_io_of(stream), braid_clock());
    return stream->input;
}
