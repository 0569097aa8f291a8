/* SPDX-License-Identifier: MIT */
/* What the two directions of a transfer share: transfer.c has what both do. */
#ifndef BRAID_CLI_TRANSFER_INTERNAL_H
#define BRAID_CLI_TRANSFER_INTERNAL_H

#include <stddef.h>
#include <sys/uio.h>
#include <event2/event.h>

#include "cli/channel.h"
#include "cli/file_wire.h"
#include "cli/transfer.h"

#define TRANSFER_PIECES 16 /* that a channel lends or shows at once */

enum transfer_state {
    TRANSFER_RUNNING, /* bytes go, or are waited for */
    TRANSFER_WAITING, /* all went; push: for the other end's word; pull: for the disk */
    TRANSFER_ENDING,  /* the result is known, and the other end is told */
    TRANSFER_OVER,    /* so is whoever started it */
};

/* What the next bytes from the other end are. */
enum transfer_stage { STAGE_HELLO, STAGE_HEADER, STAGE_PAYLOAD, STAGE_BYTES };

struct transfer {
    struct event_base *base;
    struct channel *channel;
    struct source *source;
    struct sink *sink;
    bool raw;
    transfer_cb cb;
    void *arg;
    enum transfer_state state;
    struct transfer_result result;
    uint64_t start;
    uint64_t total;
    struct file_wire_sum sum; /* of what went so far */
    struct event *timer;      /* ENDING: no longer than this; OVER: to say so */
    /* out: messages that wait for room; bytes of the file only go when there are none */
    unsigned char outbox[FILE_WIRE_HELLO + 2 * (FILE_WIRE_HEADER + FILE_WIRE_TEXT)];
    size_t outbox_len;
    bool shut;  /* after them */
    bool waits; /* for the source or the sink */
    /* in */
    enum transfer_stage stage;
    enum file_wire_type type;
    unsigned char message[FILE_WIRE_TEXT];
    size_t have;
    size_t need;
    size_t bytes_left; /* STAGE_BYTES */
};

/* Decides the result as a failure, tells the other end, and ends. */
void transfer_fail(struct transfer *transfer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Decides the result as a success, and ends once what was said has gone. */
void transfer_succeed(struct transfer *transfer);

/* Puts a record into the outbox. */
void transfer_say(struct transfer *transfer, enum file_wire_type type, const void *payload,
                  size_t len);

/* Sends what there is to send, as far as there is room. */
void transfer_send(struct transfer *transfer);

/* Takes what has arrived. */
void transfer_receive(struct transfer *transfer);

/* push: sends the next bytes of the source; false: nothing more for now. */
bool transfer_send_bytes(struct transfer *transfer);

/* pull: writes the next bytes of the file to the sink; false: nothing more for now. */
bool transfer_receive_bytes(struct transfer *transfer);

/* pull: all has come: puts it where it belongs. */
void transfer_finish(struct transfer *transfer);

/* pull: the other end's sum has come. */
void transfer_check(struct transfer *transfer, const struct file_wire_sum *sum);

#endif
