/* SPDX-License-Identifier: MIT */
/*
 * Cuts a subflow's bytes into frames, however they are sliced.
 *
 * Payload of DATA is passed on piece by piece as it comes, never gathered; a control frame is
 * gathered only when a slice ends inside it; what is to be ignored is skipped. So a parser holds at
 * most one control frame, whatever the peer sends.
 */
#ifndef BRAID_PARSER_H
#define BRAID_PARSER_H

#include <stddef.h>
#include <stdint.h>

#include "pool.h"
#include "wire.h"

struct braid_parser {
    uint8_t head[12]; /* frame header, for DATA the offset too */
    uint8_t head_fill;
    uint8_t type;
    uint8_t flags;
    uint8_t in_payload;
    uint32_t left; /* payload bytes still to come */
    uint32_t gathered;
    uint64_t offset;  /* DATA: of the next payload byte */
    uint8_t *control; /* BRAID_CONTROL_MAX bytes while gathering, else NULL */
};

enum braid_parsed_kind {
    BRAID_PARSED_MORE,    /* all bytes were used, nothing is whole */
    BRAID_PARSED_DATA,    /* some payload of DATA */
    BRAID_PARSED_CONTROL, /* one whole control frame */
};

struct braid_parsed {
    enum braid_parsed_kind kind;
    uint8_t type;
    uint8_t flags;
    const uint8_t
        *payload; /* inside the input, or CONTROL: inside the parser until the next call */
    size_t len;
    uint64_t offset; /* DATA */
};

/* Releases what a parser holds. A zeroed parser is a new one. */
void braid_parser_clear(struct braid_parser *parser, struct braid_pool *pool);

/*
 * Takes the next thing from bytes.
 *
 * *used: how many bytes to skip before the next call. Returns 0, or -BRAID_ERR_PROTOCOL (an unknown
 * type below 0x80, or a length that its type cannot have) or -BRAID_ERR_MEMORY.
 */
int braid_parser_next(struct braid_parser *parser, struct braid_pool *pool, const uint8_t *bytes,
                      size_t len, size_t *used, struct braid_parsed *parsed);

#endif
