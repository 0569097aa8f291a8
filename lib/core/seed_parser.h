/* SPDX-License-Identifier: MIT */
/*
 * Cuts a subflow's bytes into messages of the seed's format, however they are sliced.
 *
 * A message may be of any length: its payload is passed on piece by piece, so a parser holds no
 * more than one header, whatever the peer sends.
 */
#ifndef BRAID_SEED_PARSER_H
#define BRAID_SEED_PARSER_H

#include "parser.h"
#include "seed_wire.h"

/* Zeroed: a new one. */
struct braid_seed_parser {
    uint8_t head[BRAID_SEED_HEAD];
    uint8_t fill;    /* of head */
    uint8_t repeats; /* messages in a row that were one byte, the same one: 2 seal the end */
    bool shut;       /* SHUTDOWN was read: nothing more counts */
    uint64_t offset; /* of the next payload byte; between messages: the end of the last one */
    uint64_t left;   /* payload bytes still to come */
};

/*
 * Takes the next thing from bytes: DATA as it comes, or CONTROL, with the enum braid_seed_message
 * as its type.
 *
 * *used: how many bytes to skip before the next call. Returns 0, or -BRAID_ERR_PROTOCOL: an unknown
 * type, or a message without bytes or with too many.
 */
int braid_seed_parser_next(struct braid_seed_parser *parser, const uint8_t *bytes, size_t len,
                           size_t *used, struct braid_parsed *parsed);

/* Whether a connection may end here: no message has begun. */
bool braid_seed_parser_is_between(const struct braid_seed_parser *parser);

/* With shut: whether the sender has said where the stream ends; sets *end to it. */
bool braid_seed_parser_is_sealed(const struct braid_seed_parser *parser, uint64_t *end);

#endif
