/* SPDX-License-Identifier: MIT */
#include "scoreboard.h"

#include <stdlib.h>
#include <string.h>

/* ---- the sender ---- */

static struct sim_sent *at(const struct sim_board *board, size_t i)
{
    return &board->ring[(board->first + i) & (board->room - 1)];
}

void sim_board_clear(struct sim_board *board)
{
    free(board->ring);
    memset(board, 0, sizeof(*board));
}

static void make_room(struct sim_board *board)
{
    size_t room = board->room ? board->room * 2 : 64;
    struct sim_sent *ring;

    if (board->count < board->room) {
        return;
    }
    ring = sim_alloc(room * sizeof(*ring));
    for (size_t i = 0; i < board->count; i++) {
        ring[i] = *at(board, i);
    }
    free(board->ring);
    board->ring = ring;
    board->room = room;
    board->first = 0;
}

void sim_board_send(struct sim_board *board, uint64_t start, uint64_t end, uint64_t now)
{
    make_room(board);
    *at(board, board->count++) =
        (struct sim_sent){.start = start, .end = end, .at = now, .order = board->sent++};
    board->flying++;
}

struct sim_sent *sim_board_first_lost(const struct sim_board *board)
{
    for (size_t i = 0; board->lost > 0 && i < board->count; i++) {
        if (at(board, i)->lost) {
            return at(board, i);
        }
    }
    return NULL;
}

struct sim_sent *sim_board_first(const struct sim_board *board)
{
    return board->count > 0 ? at(board, 0) : NULL;
}

struct sim_sent *sim_board_last(const struct sim_board *board)
{
    return board->count > 0 ? at(board, board->count - 1) : NULL;
}

void sim_board_resend(struct sim_board *board, struct sim_sent *sent, uint64_t now)
{
    if (sent->lost) {
        sent->lost = false;
        board->lost--;
        board->flying++;
    }
    sent->at = now;
    sent->order = board->sent++;
    sent->again = true;
}

/* One has arrived of which that was not known. */
static void arrive(struct sim_board *board, const struct sim_sent *sent, struct sim_news *news)
{
    if (sent->lost) {
        board->lost--;
    } else {
        board->flying--;
    }
    if (board->newest <= sent->order) {
        board->newest = sent->order + 1;
    }
    news->delivered++;
    if (sent->again) {
        return;
    }
    if (news->first_sent == 0 || sent->at < news->first_sent) {
        news->first_sent = sent->at;
    }
    if (sent->at > news->last_sent) {
        news->last_sent = sent->at;
    }
}

void sim_board_ack(struct sim_board *board, uint64_t una, struct sim_news *news)
{
    while (board->count > 0 && at(board, 0)->end <= una) {
        const struct sim_sent *sent = at(board, 0);
        if (sent->sacked) {
            board->sacked--;
        } else {
            arrive(board, sent, news);
        }
        board->first = (board->first + 1) & (board->room - 1);
        board->count--;
    }
}

/* The first segment that does not end before this byte. */
static size_t find(const struct sim_board *board, uint64_t start)
{
    size_t low = 0, high = board->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (at(board, middle)->end <= start) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void sim_board_sack(struct sim_board *board, struct sim_span span, struct sim_news *news)
{
    for (size_t i = find(board, span.start); i < board->count; i++) {
        struct sim_sent *sent = at(board, i);
        if (sent->end > span.end) {
            return;
        }
        if (sent->sacked || sent->start < span.start) {
            continue;
        }
        arrive(board, sent, news);
        sent->lost = false;
        sent->sacked = true;
        board->sacked++;
    }
}

static void lose(struct sim_board *board, struct sim_sent *sent)
{
    sent->lost = true;
    board->flying--;
    board->lost++;
}

void sim_board_find_lost(struct sim_board *board)
{
    for (size_t i = 0; i < board->count; i++) {
        struct sim_sent *sent = at(board, i);
        if (!sent->sacked && !sent->lost && sent->order + 1 < board->newest) {
            lose(board, sent);
        }
    }
}

void sim_board_lose_all(struct sim_board *board)
{
    for (size_t i = 0; i < board->count; i++) {
        struct sim_sent *sent = at(board, i);
        if (!sent->sacked && !sent->lost) {
            lose(board, sent);
        }
    }
}

void sim_board_lose_none(struct sim_board *board)
{
    for (size_t i = 0; i < board->count; i++) {
        struct sim_sent *sent = at(board, i);
        if (sent->lost) {
            sent->lost = false;
            board->lost--;
            board->flying++;
        }
    }
}

/* ---- the receiver ---- */

void sim_arrivals_clear(struct sim_arrivals *arrivals)
{
    free(arrivals->spans);
    memset(arrivals, 0, sizeof(*arrivals));
}

static void cut_out(struct sim_arrivals *arrivals, size_t from, size_t to)
{
    if (from == to) {
        return; /* there may be none at all */
    }
    memmove(&arrivals->spans[from], &arrivals->spans[to],
            (arrivals->count - to) * sizeof(*arrivals->spans));
    arrivals->count -= to - from;
}

static void put_in(struct sim_arrivals *arrivals, size_t i, struct sim_span span)
{
    if (arrivals->count == arrivals->room) {
        arrivals->room = arrivals->room ? arrivals->room * 2 : 8;
        arrivals->spans = sim_grow(arrivals->spans, arrivals->room * sizeof(*arrivals->spans));
    }
    memmove(&arrivals->spans[i + 1], &arrivals->spans[i],
            (arrivals->count - i) * sizeof(*arrivals->spans));
    arrivals->spans[i] = span;
    arrivals->count++;
}

/* The span that holds a byte; NULL: none does. */
static const struct sim_span *holder(const struct sim_arrivals *arrivals, uint64_t byte)
{
    for (size_t i = 0; i < arrivals->count; i++) {
        if (arrivals->spans[i].start <= byte && byte < arrivals->spans[i].end) {
            return &arrivals->spans[i];
        }
    }
    return NULL;
}

static void note_recent(struct sim_arrivals *arrivals, struct sim_span span)
{
    uint64_t kept[SIM_RECENT] = {span.start};
    size_t n = 1;

    for (size_t i = 0; i < SIM_RECENT && n < SIM_RECENT; i++) {
        uint64_t byte = arrivals->recent[i];
        if (byte < span.start || byte >= span.end) {
            kept[n++] = byte;
        }
    }
    memcpy(arrivals->recent, kept, sizeof(kept));
}

void sim_arrivals_add(struct sim_arrivals *arrivals, struct sim_span span, uint64_t *next)
{
    size_t from = 0, to;

    if (span.start < *next) {
        span.start = *next;
    }
    if (span.end <= span.start) {
        return;
    }
    while (from < arrivals->count && arrivals->spans[from].end < span.start) {
        from++;
    }
    for (to = from; to < arrivals->count && arrivals->spans[to].start <= span.end; to++) {
        if (arrivals->spans[to].start < span.start) {
            span.start = arrivals->spans[to].start;
        }
        if (arrivals->spans[to].end > span.end) {
            span.end = arrivals->spans[to].end;
        }
    }
    cut_out(arrivals, from, to);
    if (span.start <= *next) {
        *next = span.end;
        return;
    }
    put_in(arrivals, from, span);
    note_recent(arrivals, span);
}

uint8_t sim_arrivals_tell(const struct sim_arrivals *arrivals, struct sim_span *sacks)
{
    uint8_t n = 0;

    for (size_t i = 0; i < SIM_RECENT && n < SIM_SACKS && arrivals->count > 0; i++) {
        const struct sim_span *span = holder(arrivals, arrivals->recent[i]);
        bool told = span == NULL;
        for (uint8_t k = 0; k < n && !told; k++) {
            told = sacks[k].start == span->start;
        }
        if (!told) {
            sacks[n++] = *span;
        }
    }
    return n;
}
