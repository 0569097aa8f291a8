/* SPDX-License-Identifier: MIT */
#include "parser.h"

#include <stdbool.h>

static bool is_skipped(uint8_t type)
{
    return type == BRAID_FRAME_PAD || type >= BRAID_FRAME_IGNORE;
}

/* Whether a frame of this type may have a payload of this length. */
static bool is_acceptable(uint8_t type, uint32_t length)
{
    if (is_skipped(type))
        return true;
    if (type == BRAID_FRAME_DATA)
        return length > 8;
    return type <= BRAID_FRAME_CONNECT_RESULT && length <= BRAID_CONTROL_MAX;
}

/* Bytes that have to be there before the payload can be passed on. */
static uint8_t head_size(const struct braid_parser *parser)
{
    if (parser->head_fill >= BRAID_FRAME_HEAD && parser->head[0] == BRAID_FRAME_DATA)
        return 12;
    return BRAID_FRAME_HEAD;
}

/* Gathers the header; true when it is whole. */
static bool take_head(struct braid_parser *parser, const uint8_t *bytes, size_t len, size_t *used)
{
    while (parser->head_fill < head_size(parser)) {
        size_t want = (size_t)head_size(parser) - parser->head_fill;
        size_t n = len - *used < want ? len - *used : want;

        if (n == 0)
            return false;
        memcpy(parser->head + parser->head_fill, bytes + *used, n);
        parser->head_fill = (uint8_t)(parser->head_fill + n);
        *used += n;
    }
    return true;
}

static void begin_payload(struct braid_parser *parser)
{
    struct braid_reader r = {parser->head, parser->head_fill, false};
    uint32_t length;

    parser->type = braid_read_u8(&r);
    parser->flags = braid_read_u8(&r);
    length = braid_read_u16(&r);
    parser->offset = 0;
    if (parser->type == BRAID_FRAME_DATA) {
        parser->offset = braid_read_u64(&r);
        length -= 8;
    }
    parser->left = length;
    parser->gathered = 0;
    parser->in_payload = 1;
}

static void end_payload(struct braid_parser *parser)
{
    parser->in_payload = 0;
    parser->head_fill = 0;
}

static void take_data(struct braid_parser *parser, const uint8_t *bytes, size_t n,
                      struct braid_parsed *parsed)
{
    parsed->kind = BRAID_PARSED_DATA;
    parsed->payload = bytes;
    parsed->len = n;
    parsed->offset = parser->offset;
    parser->offset += n;
    parser->left -= (uint32_t)n;
    if (parser->left == 0)
        end_payload(parser);
}

/* Takes n bytes of a control frame: passes it on when whole, in place if nothing was gathered. */
static int take_control(struct braid_parser *parser, struct braid_pool *pool, const uint8_t *bytes,
                        size_t n, struct braid_parsed *parsed)
{
    bool whole = n == parser->left;

    if (!whole || parser->gathered > 0) {
        if (parser->control == NULL)
            parser->control = braid_pool_alloc(pool, BRAID_CONTROL_MAX);
        if (parser->control == NULL)
            return -BRAID_ERR_MEMORY;
        if (n > 0)
            memcpy(parser->control + parser->gathered, bytes, n);
    }
    parsed->payload = parser->gathered > 0 ? parser->control : bytes;
    parser->gathered += (uint32_t)n;
    parser->left -= (uint32_t)n;
    if (!whole)
        return 0;
    parsed->kind = BRAID_PARSED_CONTROL;
    parsed->len = parser->gathered;
    end_payload(parser);
    return 0;
}

void braid_parser_clear(struct braid_parser *parser, struct braid_pool *pool)
{
    braid_pool_release(pool, parser->control, BRAID_CONTROL_MAX);
    parser->control = NULL;
}

/* Frees the gathering buffer once the frame in it was passed on. */
static void drop_gathered(struct braid_parser *parser, struct braid_pool *pool)
{
    if (!parser->in_payload && parser->control != NULL)
        braid_parser_clear(parser, pool);
}

int braid_parser_next(struct braid_parser *parser, struct braid_pool *pool, const uint8_t *bytes,
                      size_t len, size_t *used, struct braid_parsed *parsed)
{
    *used = 0;
    drop_gathered(parser, pool);
    parsed->kind = BRAID_PARSED_MORE;
    while (parsed->kind == BRAID_PARSED_MORE) {
        size_t n;
        int error = 0;

        if (!parser->in_payload) {
            if (!take_head(parser, bytes, len, used)) {
                /* A header that cannot be right is refused before its payload is waited for. */
                if (parser->head_fill >= BRAID_FRAME_HEAD &&
                    !is_acceptable(parser->head[0],
                                   (uint32_t)parser->head[2] << 8 | parser->head[3]))
                    return -BRAID_ERR_PROTOCOL;
                return 0;
            }
            if (!is_acceptable(parser->head[0], (uint32_t)parser->head[2] << 8 | parser->head[3]))
                return -BRAID_ERR_PROTOCOL;
            begin_payload(parser);
        }
        parsed->type = parser->type;
        parsed->flags = parser->flags;
        n = len - *used < parser->left ? len - *used : parser->left;
        if (is_skipped(parser->type)) {
            parser->left -= (uint32_t)n;
            if (parser->left == 0)
                end_payload(parser);
            else if (*used + n == len) {
                *used += n;
                return 0;
            }
        } else if (n == 0 && parser->left > 0) {
            return 0;
        } else if (parser->type == BRAID_FRAME_DATA) {
            take_data(parser, bytes + *used, n, parsed);
        } else {
            error = take_control(parser, pool, bytes + *used, n, parsed);
        }
        *used += n;
        if (error != 0)
            return error;
    }
    return 0;
}
