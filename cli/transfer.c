/* SPDX-License-Identifier: MIT */
#include "cli/transfer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/sink.h"
#include "cli/source.h"
#include "cli/transfer_internal.h"

/* Seconds for the other end to read how it ended, and for its answer to come back. */
#define ENDING_TIME 5

static uint64_t now_microseconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static bool pushes(const struct transfer *transfer)
{
    return transfer->source != NULL;
}

/* ---- the end ---- */

static void set_timer(struct transfer *transfer, time_t seconds)
{
    struct timeval tv = {.tv_sec = seconds};

    event_add(transfer->timer, &tv);
}

/* The rest is to say so, from the loop. */
static void over(struct transfer *transfer)
{
    if (transfer->state != TRANSFER_OVER) {
        transfer->state = TRANSFER_OVER;
        set_timer(transfer, 0);
    }
}

static void callback_timer(evutil_socket_t fd, short what, void *arg)
{
    struct transfer *transfer = arg;

    (void)fd;
    (void)what;
    transfer->state = TRANSFER_OVER;
    transfer->cb(transfer, &transfer->result, transfer->arg);
}

static void end(struct transfer *transfer)
{
    transfer->result.bytes = transfer->sum.length;
    transfer->result.microseconds = now_microseconds() - transfer->start;
    transfer->state = TRANSFER_ENDING;
    transfer->shut = true;
    set_timer(transfer, ENDING_TIME);
    transfer_send(transfer);
    transfer_receive(transfer);
}

void transfer_succeed(struct transfer *transfer)
{
    transfer->result.ok = true;
    end(transfer);
}

static void decide_failure(struct transfer *transfer, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void decide_failure(struct transfer *transfer, const char *format, va_list args)
{
    vsnprintf(transfer->result.why, sizeof(transfer->result.why), format, args);
    transfer->result.bytes = transfer->sum.length;
}

void transfer_fail(struct transfer *transfer, const char *format, ...)
{
    va_list args;
    size_t len;

    if (transfer->state >= TRANSFER_ENDING) {
        return;
    }
    va_start(args, format);
    decide_failure(transfer, format, args);
    va_end(args);
    if (transfer->raw) {
        over(transfer); /* the channel will break */
        return;
    }
    len = strlen(transfer->result.why);
    transfer_say(transfer, FILE_WIRE_FAILED, transfer->result.why,
                 len < FILE_WIRE_TEXT ? len : FILE_WIRE_TEXT);
    end(transfer);
}

/* There is nobody to be told. */
static void fail_alone(struct transfer *transfer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void fail_alone(struct transfer *transfer, const char *format, ...)
{
    va_list args;

    if (transfer->state < TRANSFER_ENDING) {
        va_start(args, format);
        decide_failure(transfer, format, args);
        va_end(args);
    }
    over(transfer);
}

/* Only the channel knows why. What was to be sent and reached nobody does not count. */
static void fail_broken(struct transfer *transfer)
{
    bool reached = channel_reached(transfer->channel);

    if (!reached) {
        transfer->sum.length = 0;
    }
    fail_alone(transfer, "%s: %s", reached ? "the connection broke off" : "no connection",
               channel_error(transfer->channel));
}

/* ---- sending ---- */

void transfer_say(struct transfer *transfer, enum file_wire_type type, const void *payload,
                  size_t len)
{
    unsigned char *to = transfer->outbox + transfer->outbox_len;

    if (transfer->outbox_len + FILE_WIRE_HEADER + len > sizeof(transfer->outbox)) {
        return;
    }
    file_wire_put_header(to, type, len);
    memcpy(to + FILE_WIRE_HEADER, payload, len);
    transfer->outbox_len += FILE_WIRE_HEADER + len;
}

/* A raw transfer begins with the bytes at once, and they have no end but the channel's. */
static void say_hello(struct transfer *transfer)
{
    struct file_wire_hello hello = {
        .role = pushes(transfer) ? FILE_WIRE_PUSH : FILE_WIRE_PULL,
        .length = pushes(transfer) ? source_length(transfer->source) : 0,
    };

    transfer->total = pushes(transfer) ? hello.length : FILE_WIRE_UNKNOWN;
    if (transfer->raw) {
        transfer->stage = STAGE_BYTES;
        transfer->bytes_left = SIZE_MAX;
        return;
    }
    file_wire_put_hello(transfer->outbox, &hello);
    transfer->outbox_len = FILE_WIRE_HELLO;
}

/* Whether all messages have gone. */
static bool send_outbox(struct transfer *transfer)
{
    struct iovec v[TRANSFER_PIECES];

    while (transfer->outbox_len > 0) {
        int count = channel_reserve(transfer->channel, v, TRANSFER_PIECES);
        size_t sent = 0;

        if (count == 0) {
            return false;
        }
        for (int i = 0; i < count && sent < transfer->outbox_len; i++) {
            size_t left = transfer->outbox_len - sent;
            size_t n = left < v[i].iov_len ? left : v[i].iov_len;

            memcpy(v[i].iov_base, transfer->outbox + sent, n);
            sent += n;
        }
        channel_commit(transfer->channel, sent);
        transfer->outbox_len -= sent;
        memmove(transfer->outbox, transfer->outbox + sent, transfer->outbox_len);
    }
    return true;
}

void transfer_send(struct transfer *transfer)
{
    bool more = true;

    while (more && transfer->state != TRANSFER_OVER && send_outbox(transfer)) {
        if (transfer->shut) {
            channel_shutdown(transfer->channel);
            return;
        }
        more = pushes(transfer) && transfer->state == TRANSFER_RUNNING &&
               (transfer_send_bytes(transfer) || transfer->outbox_len > 0 || transfer->shut);
    }
}

/* ---- receiving ---- */

/* Collects the message that is due; whether it is whole. */
static bool collect(struct transfer *transfer)
{
    struct iovec v[TRANSFER_PIECES];

    while (transfer->have < transfer->need) {
        size_t before = transfer->have;
        int count = channel_peek(transfer->channel, v, TRANSFER_PIECES);

        if (count == 0) {
            return false;
        }
        for (int i = 0; i < count && transfer->have < transfer->need; i++) {
            size_t left = transfer->need - transfer->have;
            size_t n = left < v[i].iov_len ? left : v[i].iov_len;

            memcpy(transfer->message + transfer->have, v[i].iov_base, n);
            transfer->have += n;
        }
        channel_drain(transfer->channel, transfer->have - before);
    }
    return true;
}

static void expect(struct transfer *transfer, enum transfer_stage stage, size_t need)
{
    transfer->stage = stage;
    transfer->have = 0;
    transfer->need = need;
}

static void take_hello(struct transfer *transfer)
{
    struct file_wire_hello hello;
    const char *wrong = file_wire_get_hello(transfer->message, &hello);

    if (wrong != NULL) {
        transfer_fail(transfer, "%s", wrong);
    } else if (pushes(transfer) == (hello.role == FILE_WIRE_PUSH)) {
        transfer_fail(transfer, "both ends %s: one has to push, the other one to pull",
                      pushes(transfer) ? "push" : "pull");
    } else {
        if (!pushes(transfer)) {
            transfer->total = hello.length;
        }
        expect(transfer, STAGE_HEADER, FILE_WIRE_HEADER);
    }
}

static void take_header(struct transfer *transfer)
{
    enum file_wire_role peer = pushes(transfer) ? FILE_WIRE_PULL : FILE_WIRE_PUSH;
    size_t len;
    const char *wrong = file_wire_get_header(transfer->message, peer, &transfer->type, &len);

    if (wrong == NULL && !pushes(transfer) && transfer->state == TRANSFER_WAITING &&
        transfer->type != FILE_WIRE_FAILED) {
        wrong = "the other end sent too much";
    }
    if (wrong != NULL) {
        transfer_fail(transfer, "%s", wrong);
    } else if (transfer->type == FILE_WIRE_BYTES) {
        expect(transfer, STAGE_BYTES, 0);
        transfer->bytes_left = len;
    } else {
        expect(transfer, STAGE_PAYLOAD, len);
    }
}

/* The other end's words, without what a terminal should not be told. */
static void take_failure(struct transfer *transfer)
{
    for (size_t i = 0; i < transfer->need; i++) {
        if (transfer->message[i] < ' ' || transfer->message[i] == 0x7f) {
            transfer->message[i] = '?';
        }
    }
    fail_alone(transfer, "the other end: %.*s", (int)transfer->need,
               (const char *)transfer->message);
}

static void take_payload(struct transfer *transfer)
{
    struct file_wire_sum sum;

    expect(transfer, STAGE_HEADER, transfer->need);
    if (transfer->type == FILE_WIRE_FAILED) {
        take_failure(transfer);
        return;
    }
    transfer->need = FILE_WIRE_HEADER;
    file_wire_get_sum(transfer->message, &sum);
    if (transfer->type == FILE_WIRE_END) {
        transfer_check(transfer, &sum);
    } else if (transfer->state != TRANSFER_WAITING || sum.length != transfer->sum.length ||
               sum.crc != transfer->sum.crc) {
        transfer_fail(transfer, "the other end has another file: the checksums differ");
    } else {
        transfer_succeed(transfer);
    }
}

static void discard(struct transfer *transfer)
{
    struct iovec v[TRANSFER_PIECES];
    int count;

    while ((count = channel_peek(transfer->channel, v, TRANSFER_PIECES)) > 0) {
        size_t total = 0;

        for (int i = 0; i < count; i++) {
            total += v[i].iov_len;
        }
        channel_drain(transfer->channel, total);
    }
}

/* Takes one thing; false: nothing more for now. */
static bool receive_one(struct transfer *transfer)
{
    if (transfer->stage == STAGE_BYTES) {
        if (!transfer_receive_bytes(transfer)) {
            return false;
        }
        if (transfer->bytes_left == 0) {
            expect(transfer, STAGE_HEADER, FILE_WIRE_HEADER);
        }
        return true;
    }
    if (!collect(transfer)) {
        return false;
    }
    if (transfer->stage == STAGE_HELLO) {
        take_hello(transfer);
    } else if (transfer->stage == STAGE_HEADER) {
        take_header(transfer);
    } else {
        take_payload(transfer);
    }
    return true;
}

void transfer_receive(struct transfer *transfer)
{
    bool wants = !transfer->raw || !pushes(transfer);

    while (wants && transfer->state < TRANSFER_ENDING && receive_one(transfer)) {
    }
    if (transfer->state == TRANSFER_ENDING || !wants) {
        discard(transfer);
    }
}

/* ---- events ---- */

/* A raw transfer: what an end means. */
static void take_end(struct transfer *transfer, unsigned events)
{
    if ((events & CHANNEL_EOF) != 0 && !pushes(transfer) && transfer->state == TRANSFER_RUNNING) {
        transfer_finish(transfer);
    }
    if ((events & CHANNEL_CLOSED) != 0 && transfer->state == TRANSFER_WAITING) {
        transfer_succeed(transfer);
    }
}

static void callback_channel(struct channel *channel, unsigned events, void *arg)
{
    struct transfer *transfer = arg;

    (void)channel;
    if ((events & CHANNEL_READABLE) != 0) {
        transfer_receive(transfer);
    }
    if ((events & CHANNEL_WRITABLE) != 0) {
        transfer_send(transfer);
    }
    if ((events & CHANNEL_BROKEN) != 0) {
        fail_broken(transfer);
    }
    if (transfer->raw) {
        take_end(transfer, events);
    } else if ((events & CHANNEL_EOF) != 0 && transfer->state < TRANSFER_WAITING) {
        transfer_fail(transfer, "the other end ended early");
    } else if ((events & CHANNEL_EOF) != 0 && pushes(transfer)) {
        transfer_fail(transfer, "the other end did not say that the file is whole");
    }
    if ((events & CHANNEL_CLOSED) != 0) {
        over(transfer);
    }
}

/* ---- life ---- */

struct transfer *transfer_new(struct event_base *base, struct channel *channel,
                              struct source *source, struct sink *sink, bool raw, transfer_cb cb,
                              void *arg)
{
    struct transfer *transfer = calloc(1, sizeof(*transfer));

    if (transfer == NULL) {
        channel_free(channel);
        source_free(source);
        sink_free(sink);
        return NULL;
    }
    transfer->base = base;
    transfer->channel = channel;
    transfer->source = source;
    transfer->sink = sink;
    transfer->raw = raw;
    transfer->cb = cb;
    transfer->arg = arg;
    transfer->start = now_microseconds();
    transfer->timer = evtimer_new(base, callback_timer, transfer);
    if (transfer->timer == NULL) {
        transfer_free(transfer);
        return NULL;
    }
    expect(transfer, STAGE_HELLO, FILE_WIRE_HELLO);
    channel_set_cb(channel, callback_channel, transfer);
    say_hello(transfer);
    transfer_send(transfer);
    return transfer;
}

void transfer_abort(struct transfer *transfer, const char *why)
{
    transfer_fail(transfer, "%s", why);
}

void transfer_free(struct transfer *transfer)
{
    if (transfer == NULL) {
        return;
    }
    channel_free(transfer->channel);
    source_free(transfer->source);
    sink_free(transfer->sink);
    if (transfer->timer != NULL) {
        event_free(transfer->timer);
    }
    free(transfer);
}

const uint64_t *transfer_done(const struct transfer *transfer)
{
    return &transfer->sum.length;
}

const uint64_t *transfer_total(const struct transfer *transfer)
{
    return &transfer->total;
}
