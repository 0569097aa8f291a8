/* SPDX-License-Identifier: MIT */
/*
 * The bytes of protocol version 1 (doc/protocol.md). The only place that knows their layout.
 *
 * Encoders append one whole frame to a writer, decoders read one whole payload; both are exact:
 * what one writes the other reads back.
 */
#ifndef BRAID_WIRE_H
#define BRAID_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cursor.h"
#include "hello.h"

#define BRAID_FRAME_HEAD 4u
#define BRAID_FRAME_PAYLOAD_MAX 65535u
#define BRAID_CONTROL_MAX 1024u    /* payload of a control frame that is not ignored */
#define BRAID_INITIAL_LIMIT 65536u /* before the first ACK or HELLO, each way */
#define BRAID_SUBFLOWS_MAX 64u     /* of one session, at either end */
#define BRAID_REASON_MAX 64u       /* bytes of text in RESET and CLOSE */

enum braid_frame_type {
    BRAID_FRAME_PAD = 0x00,
    BRAID_FRAME_HELLO = 0x01,
    BRAID_FRAME_DATA = 0x02,
    BRAID_FRAME_ACK = 0x03,
    BRAID_FRAME_PING = 0x04,
    BRAID_FRAME_PONG = 0x05,
    BRAID_FRAME_FIN = 0x06,
    BRAID_FRAME_RESET = 0x07,
    BRAID_FRAME_CLOSE = 0x08,
    BRAID_FRAME_SUBFLOW_PRIORITY = 0x09,
    BRAID_FRAME_SUBFLOW_CLOSE = 0x0A,
    BRAID_FRAME_PATH_ADD = 0x0B,
    BRAID_FRAME_PATH_REMOVE = 0x0C,
    BRAID_FRAME_CONNECT_RESULT = 0x0D,
    BRAID_FRAME_IGNORE = 0x80, /* from here on: ignored when unknown */
};

#define BRAID_DATA_AGAIN 0x01u /* flag of DATA: had been sent before */

enum braid_preamble_security {
    BRAID_SECURITY_NONE = 0,
    BRAID_SECURITY_TLS = 1,
};

struct braid_preamble {
    uint64_t session;
    uint8_t version;
    uint8_t security;
    uint8_t flags;
    uint16_t random;
};

struct braid_ack_count {
    uint16_t subflow;
    uint64_t bytes;
};

struct braid_ack {
    uint64_t ack;
    uint64_t limit;
    unsigned count;
    struct braid_ack_count counts[BRAID_SUBFLOWS_MAX];
};

void braid_wire_write_preamble(struct braid_writer *w, const struct braid_preamble *preamble);

/* Returns 0, or a negative enum braid_error: _PROTOCOL (not ours), _VERSION. */
int braid_wire_read_preamble(const uint8_t bytes[BRAID_PREAMBLE_SIZE],
                             struct braid_preamble *preamble);

/* Writes the 4 bytes before a payload. */
void braid_wire_write_head(struct braid_writer *w, uint8_t type, uint8_t flags, size_t length);

/* grease: random bits for the one TLV that nobody knows; it keeps receivers honest. */
void braid_wire_write_hello(struct braid_writer *w, const struct braid_hello *hello,
                            uint64_t grease);
int braid_wire_read_hello(const uint8_t *payload, size_t len, struct braid_hello *hello);

/* The header of a DATA frame of len payload bytes. */
void braid_wire_write_data_head(uint8_t head[12], uint64_t offset, uint32_t len, uint8_t flags);

void braid_wire_write_ack(struct braid_writer *w, const struct braid_ack *ack);
int braid_wire_read_ack(const uint8_t *payload, size_t len, struct braid_ack *ack);

/* PING, PONG (held: microseconds between the two), FIN. */
void braid_wire_write_ping(struct braid_writer *w, uint64_t time);
int braid_wire_read_ping(const uint8_t *payload, size_t len, uint64_t *time);
void braid_wire_write_pong(struct braid_writer *w, uint64_t time, uint32_t held);
int braid_wire_read_pong(const uint8_t *payload, size_t len, uint64_t *time, uint32_t *held);
void braid_wire_write_fin(struct braid_writer *w, uint64_t final);
int braid_wire_read_fin(const uint8_t *payload, size_t len, uint64_t *final);

/* RESET, CLOSE (with a text) and CONNECT_RESULT (without): type says which. */
void braid_wire_write_code(struct braid_writer *w, uint8_t type, uint16_t code, const char *text);
int braid_wire_read_code(const uint8_t *payload, size_t len, uint16_t *code);

/* SUBFLOW_CLOSE: which subflow the sender has given up, and why. */
void braid_wire_write_subflow_close(struct braid_writer *w, uint16_t subflow, uint16_t code);
int braid_wire_read_subflow_close(const uint8_t *payload, size_t len, uint16_t *subflow);

#endif
