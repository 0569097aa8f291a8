/* SPDX-License-Identifier: MIT */
#include "seed_parser.h"

#include <string.h>

#include <braid/error.h>

#define SEALED 2u

/* Begins with the payload that a whole header announces. */
static int begin_payload(struct braid_seed_parser *parser)
{
    uint64_t offset, len;

    if (braid_seed_read_head(parser->head, &offset, &len) != 0)
        return -BRAID_ERR_PROTOCOL;
    if (len > 1)
        parser->repeats = 0;
    else if (parser->repeats > 0 && offset + 1 == parser->offset)
        parser->repeats = SEALED;
    else
        parser->repeats = 1;
    parser->offset = offset;
    parser->left = len;
    parser->fill = 0;
    return 0;
}

/* Takes a message without payload. */
static void take_single(struct braid_seed_parser *parser, struct braid_parsed *parsed)
{
    parsed->kind = BRAID_PARSED_CONTROL;
    parsed->type = parser->head[0];
    parser->fill = 0;
    if (parsed->type == BRAID_SEED_SHUTDOWN)
        parser->shut = true;
    else
        parser->repeats = 0;
}

/* Gathers a header; true: it is whole. */
static bool take_head(struct braid_seed_parser *parser, const uint8_t *bytes, size_t len,
                      size_t *used)
{
    size_t want, n;

    if (parser->fill == 0) {
        if (*used == len)
            return false;
        parser->head[parser->fill++] = bytes[(*used)++];
    }
    if (parser->head[0] != BRAID_SEED_DATA)
        return true;
    want = sizeof parser->head - parser->fill;
    n = len - *used < want ? len - *used : want;
    if (n > 0)
        memcpy(parser->head + parser->fill, bytes + *used, n);
    parser->fill = (uint8_t)(parser->fill + n);
    *used += n;
    return n == want;
}

int braid_seed_parser_next(struct braid_seed_parser *parser, const uint8_t *bytes, size_t len,
                           size_t *used, struct braid_parsed *parsed)
{
    size_t n;

    *used = 0;
    parsed->kind = BRAID_PARSED_MORE;
    if (parser->left == 0) {
        if (!take_head(parser, bytes, len, used))
            return 0;
        if (parser->head[0] == BRAID_SEED_PING || parser->head[0] == BRAID_SEED_SHUTDOWN) {
            take_single(parser, parsed);
            return 0;
        }
        if (parser->head[0] != BRAID_SEED_DATA || begin_payload(parser) != 0)
            return -BRAID_ERR_PROTOCOL;
    }
    n = len - *used < parser->left ? len - *used : (size_t)parser->left;
    if (n == 0)
        return 0;
    parsed->kind = BRAID_PARSED_DATA;
    parsed->type = BRAID_SEED_DATA;
    parsed->payload = bytes + *used;
    parsed->len = n;
    parsed->offset = parser->offset;
    parser->offset += n;
    parser->left -= n;
    *used += n;
    return 0;
}

bool braid_seed_parser_is_between(const struct braid_seed_parser *parser)
{
    return parser->fill == 0 && parser->left == 0;
}

bool braid_seed_parser_is_sealed(const struct braid_seed_parser *parser, uint64_t *end)
{
    *end = parser->offset > BRAID_SEED_NOWHERE ? 0 : parser->offset;
    return parser->shut && parser->repeats == SEALED;
}
