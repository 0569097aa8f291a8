/* SPDX-License-Identifier: MIT */
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECES 64
#define PATTERN 65521u

static const struct pair *current; /* what to show when something goes wrong */

static void show(const struct pair *pair)
{
    static const char *const names[] = {"local", "remote"};

    fprintf(stderr, "at %llu us\n", (unsigned long long)pair->now);
    for (int end = 0; end < 2; end++) {
        const struct pair_side *side = &pair->side[end];

        fprintf(stderr, "%s: committed %llu, drained %llu%s%s, closed %d (%s)\n  %s\n", names[end],
                (unsigned long long)side->committed, (unsigned long long)side->drained,
                side->shut ? ", shut" : "", side->eof ? ", eof" : "", side->closed,
                braid_strerror(side->error), side->log);
    }
}

void pair_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: must be: %s\n", file, line, condition);
    if (current != NULL)
        show(current);
    abort();
}

/* ---- the applications' bytes ---- */

/* They come from a table of a prime length, so that no power of two repeats. */
static const uint8_t *pattern(enum pair_end from, uint64_t offset, size_t *n)
{
    static uint8_t table[2][PATTERN];
    static bool made;

    for (uint64_t i = 0; !made && i < PATTERN; i++) {
        uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u;

        table[PAIR_LOCAL][i] = (uint8_t)(x >> 33);
        table[PAIR_REMOTE][i] = (uint8_t)(x >> 43);
    }
    made = true;
    offset %= PATTERN;
    if (*n > PATTERN - offset)
        *n = PATTERN - offset;
    return table[from] + offset;
}

uint8_t pair_byte(enum pair_end from, uint64_t offset)
{
    size_t one = 1;

    return *pattern(from, offset, &one);
}

void pair_fill(enum pair_end from, uint64_t offset, uint8_t *bytes, size_t n)
{
    while (n > 0) {
        size_t part = n;
        const uint8_t *source = pattern(from, offset, &part);

        memcpy(bytes, source, part);
        bytes += part;
        offset += part;
        n -= part;
    }
}

bool pair_same(enum pair_end from, uint64_t offset, const uint8_t *bytes, size_t n)
{
    while (n > 0) {
        size_t part = n;
        const uint8_t *source = pattern(from, offset, &part);

        if (memcmp(bytes, source, part) != 0)
            return false;
        bytes += part;
        offset += part;
        n -= part;
    }
    return true;
}

/* ---- pipes ---- */

static void pipe_put(struct pair_pipe *pipe, const void *bytes, size_t n)
{
    if (pipe->start == pipe->end)
        pipe->start = pipe->end = 0;
    if (pipe->end + n > pipe->room) {
        pipe->room = 2 * (pipe->end + n);
        pipe->bytes = realloc(pipe->bytes, pipe->room);
        MUST(pipe->bytes != NULL);
    }
    memcpy(pipe->bytes + pipe->end, bytes, n);
    pipe->end += n;
}

static void pipe_cut(struct pair_pipe *pipe)
{
    pipe->start = pipe->end = 0;
    pipe->ended = pipe->broken = true;
}

static void wire_free(struct pair_wire *wire)
{
    free(wire->to[0].bytes);
    free(wire->to[1].bytes);
    memset(wire, 0, sizeof *wire);
}

/* Forgets a wire that neither end has any more. */
static void wire_check(struct pair_wire *wire)
{
    if (wire->end[0] == NULL && wire->end[1] == NULL &&
        (wire->greeted || wire->to[PAIR_REMOTE].start == wire->to[PAIR_REMOTE].end))
        wire_free(wire);
}

/* ---- life ---- */

void pair_init(struct pair *pair, unsigned subflows)
{
    struct braid_session_config config = {
        .role = BRAID_LOCAL,
        .id = PAIR_ID,
        .token = "0123456789abcde",
        .instance = 0x4c4c4c4c,
        .seed = 0x5eed,
        .subflows = subflows,
        .max_subflows = 16,
        .grace = 60000000,
        .window = 8u << 20,
    };

    memset(pair, 0, sizeof *pair);
    current = pair;
    pair->pool = braid_pool_new(0);
    MUST(pair->pool != NULL);
    pair->now = 1000000;
    pair->side[PAIR_LOCAL].config = config;
    config.role = BRAID_REMOTE;
    config.instance = 0x52525252;
    pair->side[PAIR_REMOTE].config = config;
}

void pair_init_seed(struct pair *pair, unsigned subflows)
{
    pair_init(pair, subflows);
    for (int i = 0; i < 2; i++)
        pair->side[i].config.speaks_seed = true;
}

static bool open_side(struct pair *pair, enum pair_end end)
{
    struct pair_side *side = &pair->side[end];

    side->session = braid_session_new(pair->pool, &side->config, pair->now);
    return side->session != NULL;
}

bool pair_open(struct pair *pair)
{
    return open_side(pair, PAIR_LOCAL);
}

void pair_free(struct pair *pair)
{
    for (int i = 0; i < 2; i++)
        braid_session_free(pair->side[i].session);
    for (unsigned i = 0; i < PAIR_WIRES; i++)
        wire_free(&pair->wire[i]);
    MUST(braid_pool_used(pair->pool) == 0);
    braid_pool_free(pair->pool);
    current = NULL;
}

/* ---- the application ---- */

size_t pair_write(struct pair *pair, enum pair_end end, size_t n)
{
    struct pair_side *side = &pair->side[end];
    struct iovec v[8];
    size_t done = 0;
    int count;

    if (side->session == NULL || side->closed)
        return 0;
    count = braid_session_reserve(side->session, v, 8);
    for (int i = 0; i < count && done < n; i++) {
        size_t part = v[i].iov_len < n - done ? v[i].iov_len : n - done;

        pair_fill(end, side->committed + done, v[i].iov_base, part);
        done += part;
    }
    side->writable = false;
    if (count > 0)
        braid_session_commit(side->session, done, pair->now);
    side->committed += done;
    return done;
}

size_t pair_read(struct pair *pair, enum pair_end end, size_t n)
{
    struct pair_side *side = &pair->side[end];
    struct iovec v[8];
    size_t done = 0;
    int count;

    if (side->session == NULL || side->closed)
        return 0;
    count = braid_session_peek(side->session, v, 8);
    for (int i = 0; i < count && done < n; i++) {
        size_t part = v[i].iov_len < n - done ? v[i].iov_len : n - done;

        MUST(v[i].iov_len > 0);
        MUST(pair_same(1 - end, side->drained + done, v[i].iov_base, part));
        done += part;
    }
    MUST(side->drained + done <= pair->side[1 - end].committed);
    braid_session_drain(side->session, done, pair->now);
    side->drained += done;
    return done;
}

void pair_shutdown(struct pair *pair, enum pair_end end)
{
    struct pair_side *side = &pair->side[end];

    if (side->session == NULL || side->closed)
        return;
    side->shut = true;
    braid_session_shutdown(side->session, pair->now);
}

/* ---- wires ---- */

/* The driver looks at a socket as it is added. */
static void first_look(struct pair *pair, struct pair_wire *wire, enum pair_end end)
{
    if (!pair->side[end].config.speaks_seed)
        return;
    wire->rtt[end] = 1000;
    pair_sample(pair, wire, end);
}

struct pair_wire *pair_wire_at(struct pair *pair, enum pair_end end, unsigned i)
{
    struct braid_subflow *subflow = NULL;

    do {
        subflow = braid_session_subflow_after(pair->side[end].session, subflow);
    } while (subflow != NULL && i-- > 0);
    return subflow != NULL ? braid_subflow_user(subflow) : NULL;
}

struct pair_wire *pair_dial(struct pair *pair)
{
    struct pair_side *side = &pair->side[PAIR_LOCAL];
    struct pair_wire *wire = NULL;
    unsigned live = 0;

    for (unsigned i = 0; i < PAIR_WIRES; i++) {
        live += pair->wire[i].used && pair->wire[i].end[PAIR_LOCAL] != NULL;
        if (!pair->wire[i].used)
            wire = &pair->wire[i];
    }
    if (wire == NULL || side->closed || live >= braid_session_subflows_wanted(side->session))
        return NULL;
    wire->used = true;
    wire->end[PAIR_LOCAL] = braid_subflow_add(side->session, 0, wire, pair->now);
    if (side->config.speaks_seed)
        wire->greeting.seed_max = PAIR_WIRES;
    if (wire->end[PAIR_LOCAL] != NULL) {
        first_look(pair, wire, PAIR_LOCAL);
        return wire;
    }
    MUST(pair->lenient);
    wire_free(wire);
    return NULL;
}

/* One end has no subflow here any more. */
static void leave(struct pair_wire *wire, enum pair_end end)
{
    wire->end[end] = NULL;
    wire_check(wire);
}

void pair_break(struct pair *pair, struct pair_wire *wire, enum pair_end notices)
{
    struct braid_subflow *subflow = wire->end[notices];

    pair->lossy = true;
    pipe_cut(&wire->to[PAIR_LOCAL]);
    pipe_cut(&wire->to[PAIR_REMOTE]);
    if (subflow != NULL)
        braid_subflow_lost(subflow, BRAID_ERR_SUBFLOW_LOST, pair->now);
    leave(wire, notices);
}

void pair_lose(struct pair *pair, struct pair_wire *wire)
{
    pair_break(pair, wire, PAIR_LOCAL);
    if (wire->used)
        pair_break(pair, wire, PAIR_REMOTE);
}

/* The remote end answers a HELLO with no. */
static void refuse(struct pair *pair, struct pair_wire *wire, const struct braid_hello *hello,
                   int error)
{
    uint8_t buf[BRAID_GREETING_MAX];
    size_t n = braid_greeting_refuse(buf, hello, pair->side[PAIR_REMOTE].config.instance, error);

    MUST(n <= sizeof buf);
    pipe_put(&wire->to[PAIR_LOCAL], buf, n);
    wire->to[PAIR_LOCAL].ended = true;
}

static void greet(struct pair *pair, struct pair_wire *wire, const struct braid_hello *hello)
{
    struct pair_side *side = &pair->side[PAIR_REMOTE];
    int error = BRAID_OK;

    wire->greeted = true;
    if (side->closed) {
        refuse(pair, wire, hello,
               side->error == BRAID_OK ? BRAID_ERR_FINISHED : BRAID_ERR_UNKNOWN_SESSION);
        return;
    }
    if (side->session == NULL && (hello->flags & BRAID_HELLO_CREATE) == 0) {
        refuse(pair, wire, hello, BRAID_ERR_UNKNOWN_SESSION);
        return;
    }
    if (side->session == NULL)
        side->config.streams = (unsigned)hello->streams;
    if (side->session == NULL && !open_side(pair, PAIR_REMOTE)) {
        refuse(pair, wire, hello, BRAID_ERR_MEMORY);
        return;
    }
    wire->end[PAIR_REMOTE] = braid_subflow_join(side->session, hello, wire, &error, pair->now);
    if (wire->end[PAIR_REMOTE] != NULL) {
        first_look(pair, wire, PAIR_REMOTE);
        return;
    }
    MUST(error != BRAID_OK && error != BRAID_ERR_PROTOCOL && error != BRAID_ERR_TOKEN);
    MUST(error != BRAID_ERR_MEMORY || pair->lenient);
    refuse(pair, wire, hello, error);
}

/* Feeds what has been taken off the pipe: to the greeting first, then to the subflow. */
static void take(struct pair *pair, struct pair_wire *wire, enum pair_end to,
                 struct braid_chunk *chunk, uint32_t len)
{
    size_t used = 0;
    int error;

    if (to == PAIR_REMOTE && !wire->greeted) {
        struct braid_hello hello;
        uint64_t id;

        error = braid_greeting_feed(&wire->greeting, chunk->data, len, &used, &id, &hello);
        MUST(error >= 0);
        if (error == BRAID_GREETING_DONE)
            greet(pair, wire, &hello);
    }
    if (wire->end[to] == NULL || used == len)
        return;
    error =
        braid_subflow_feed(wire->end[to], chunk, (uint32_t)used, len - (uint32_t)used, pair->now);
    if (error == 0)
        return;
    MUST(error == -BRAID_ERR_MEMORY && pair->lenient);
    pair_break(pair, wire, to);
}

size_t pair_deliver(struct pair *pair, struct pair_wire *wire, enum pair_end to, size_t n,
                    size_t slice)
{
    size_t done = 0;

    while (wire->used && done < n && wire->to[to].start < wire->to[to].end &&
           (wire->end[to] == NULL || braid_subflow_may_read(wire->end[to]))) {
        struct pair_pipe *pipe = &wire->to[to];
        struct braid_chunk *chunk = braid_chunk_new(pair->pool, n - done > 4000);
        size_t len = pipe->end - pipe->start;

        if (chunk == NULL) {
            MUST(pair->lenient);
            return done;
        }
        len = len < n - done ? len : n - done;
        len = len < slice ? len : slice;
        len = len < chunk->size ? len : chunk->size;
        memcpy(chunk->data, pipe->bytes + pipe->start, len);
        chunk->fill = (uint32_t)len;
        pipe->start += len;
        pipe->taken += len;
        done += len;
        take(pair, wire, to, chunk, (uint32_t)len);
        braid_chunk_unref(chunk);
    }
    if (wire->used && wire->to[to].ended && !wire->to[to].told &&
        wire->to[to].start == wire->to[to].end) {
        if (wire->end[to] != NULL && !wire->to[to].broken &&
            braid_subflow_ended(wire->end[to], pair->now)) {
            wire->to[to].told = true;
            return done;
        }
        if (wire->end[to] != NULL)
            braid_subflow_lost(wire->end[to], BRAID_ERR_SUBFLOW_LOST, pair->now);
        else if (to == PAIR_REMOTE)
            wire->greeted = true;
        pipe_cut(&wire->to[1 - to]);
        leave(wire, to);
    }
    return done;
}

bool pair_send(struct pair *pair, enum pair_end end, int max_pieces, size_t n)
{
    struct pair_side *side = &pair->side[end];
    struct braid_subflow *subflow;
    struct pair_wire *wire;
    struct iovec v[PIECES];
    size_t total = 0, left = n;
    int count;

    if (side->session == NULL || side->closed)
        return false;
    subflow = braid_session_next_sender(side->session, pair->now);
    if (subflow == NULL)
        return false;
    wire = braid_subflow_user(subflow);
    MUST(wire->end[end] == subflow);
    count = braid_subflow_pull(subflow, v, max_pieces < PIECES ? max_pieces : PIECES, pair->now);
    MUST(count <= max_pieces);
    for (int i = 0; i < count; i++) {
        size_t part = v[i].iov_len < left ? v[i].iov_len : left;

        MUST(v[i].iov_len > 0);
        total += v[i].iov_len;
        if (part > 0 && !wire->to[1 - end].ended)
            pipe_put(&wire->to[1 - end], v[i].iov_base, part);
        left -= part;
    }
    if (total > n)
        braid_subflow_set_blocked(subflow, true);
    braid_subflow_pulled(subflow, n < total ? n : total, pair->now);
    if (braid_subflow_is_shut(subflow))
        wire->to[1 - end].ended = true;
    MUST(count > 0 || pair->lenient);
    return true;
}

void pair_sample(struct pair *pair, struct pair_wire *wire, enum pair_end end)
{
    const struct pair_pipe *pipe = &wire->to[1 - end];
    struct braid_sample sample = {
        .rtt = wire->rtt[end],
        .rttvar = wire->rtt[end] / 4,
        .min_rtt = wire->rtt[end],
        .cwnd = 10,
        .mss = 1448,
        .outq = (uint32_t)(pipe->end - pipe->start),
        .bytes_acked = pipe->taken,
        .delivered = pipe->taken / 1448,
    };

    braid_subflow_sample(wire->end[end], &sample, pair->now);
}

/* ---- actions ---- */

static const char *const action_names[] = {
    "NONE", "ESTABLISHED", "RESULT",        "READABLE", "WRITABLE",
    "EOF",  "DIAL",        "CLOSE_SUBFLOW", "CLOSED",
};

static void write_down(struct pair_side *side, const struct braid_action *action)
{
    size_t fill = strlen(side->log);
    bool has_error = action->type == BRAID_ACTION_RESULT ||
                     action->type == BRAID_ACTION_CLOSE_SUBFLOW ||
                     action->type == BRAID_ACTION_CLOSED;

    if (fill + 32 > sizeof side->log)
        return;
    if (has_error)
        snprintf(side->log + fill, sizeof side->log - fill, "%s:%d ", action_names[action->type],
                 action->error);
    else
        snprintf(side->log + fill, sizeof side->log - fill, "%s ", action_names[action->type]);
}

static void close_subflow(struct pair_wire *wire, enum pair_end end,
                          const struct braid_action *action)
{
    struct braid_subflow_stats stats;

    MUST(wire->used && wire->end[end] == action->subflow);
    braid_subflow_get_stats(action->subflow, &stats);
    if (action->error == BRAID_OK)
        wire->to[1 - end].ended = true;
    else
        pipe_cut(&wire->to[1 - end]);
    leave(wire, end);
}

void pair_act(struct pair *pair, enum pair_end end)
{
    struct pair_side *side = &pair->side[end];
    struct braid_action action;

    while (side->session != NULL && !side->closed &&
           braid_session_next_action(side->session, &action)) {
        write_down(side, &action);
        switch (action.type) {
        case BRAID_ACTION_ESTABLISHED:
            MUST(!side->established);
            side->established = true;
            break;
        case BRAID_ACTION_RESULT:
            MUST(end == PAIR_LOCAL && !side->result);
            side->result = true;
            side->result_error = action.error;
            break;
        case BRAID_ACTION_READABLE:
            break;
        case BRAID_ACTION_WRITABLE:
            side->writable = true;
            break;
        case BRAID_ACTION_EOF:
            MUST(!side->eof && pair->side[1 - end].shut);
            MUST(side->drained == pair->side[1 - end].committed);
            side->eof = true;
            break;
        case BRAID_ACTION_DIAL:
            MUST(end == PAIR_LOCAL);
            break;
        case BRAID_ACTION_CLOSE_SUBFLOW:
            close_subflow(action.user, end, &action);
            break;
        case BRAID_ACTION_CLOSED:
            side->closed = true;
            side->error = action.error;
            break;
        case BRAID_ACTION_NONE:
            MUST(action.type != BRAID_ACTION_NONE);
            break;
        }
    }
    MUST(!side->closed || braid_session_subflow_after(side->session, NULL) == NULL);
}
