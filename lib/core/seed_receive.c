/* SPDX-License-Identifier: MIT */
/*
 * What a session of the seed's format makes of the bytes that subflows bring.
 */
#include "session_internal.h"

static int on_data(struct braid_subflow *subflow, const struct braid_parsed *parsed,
                   struct braid_chunk *chunk)
{
    uint64_t end = parsed->offset + parsed->len;

    if (end > BRAID_SEED_NOWHERE)
        return 0; /* of an empty stream's seal */
    if (end > subflow->session->final)
        return -BRAID_ERR_PROTOCOL;
    return braid_session_take_data(subflow, parsed, chunk);
}

/* The peer says nothing more on this subflow; with a seal, nothing more at all. */
static int on_shutdown(struct braid_subflow *subflow)
{
    struct braid_session *session = subflow->session;
    uint64_t final;

    subflow->seed->ended = true;
    session->seed.shut++;
    if (!braid_seed_parser_is_sealed(&subflow->seed->parser, &final))
        return 0;
    if (session->final != BRAID_NEVER ? session->final != final : final < session->received_max)
        return -BRAID_ERR_PROTOCOL;
    session->final = final;
    braid_session_check_eof(session);
    return 0;
}

int braid_seed_feed(struct braid_subflow *subflow, struct braid_chunk *chunk, uint32_t start,
                    uint32_t len, uint64_t now)
{
    struct braid_session *session = subflow->session;

    while (len > 0 && session->state == BRAID_SESSION_OPEN && !subflow->seed->ended) {
        struct braid_parsed parsed;
        size_t used;
        int error = braid_seed_parser_next(&subflow->seed->parser, chunk->data + start, len, &used,
                                           &parsed);

        start += (uint32_t)used;
        len -= (uint32_t)used;
        if (error == 0 && parsed.kind == BRAID_PARSED_DATA)
            error = on_data(subflow, &parsed, chunk);
        else if (error == 0 && parsed.kind == BRAID_PARSED_CONTROL &&
                 parsed.type == BRAID_SEED_SHUTDOWN)
            error = on_shutdown(subflow);
        if (error != 0)
            return error;
    }
    braid_seed_check(session, now);
    return 0;
}

bool braid_subflow_may_read(const struct braid_subflow *subflow)
{
    const struct braid_session *session = subflow->session;
    const struct braid_recvbuf *buf = &session->recvbuf;
    uint64_t offset;

    if (subflow->seed == NULL || subflow->seed->ended || session->state != BRAID_SESSION_OPEN)
        return true;
    offset = subflow->seed->parser.offset;
    if (offset >= BRAID_SEED_NOWHERE)
        return true;
    return offset < buf->drained + session->config.window &&
           (offset <= buf->next || !braid_recvbuf_is_crumbled(buf));
}

bool braid_subflow_ended(struct braid_subflow *subflow, uint64_t now)
{
    struct braid_session *session = subflow->session;

    if (subflow->seed == NULL || braid_seed_is_gathering(session))
        return false;
    if (subflow->seed->ended)
        return true;
    if (!braid_seed_parser_is_between(&subflow->seed->parser))
        return false;
    subflow->seed->ended = true;
    session->seed.bare++;
    braid_seed_check(session, now);
    return true;
}
