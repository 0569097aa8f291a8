/* SPDX-License-Identifier: MIT */
/*
 * What a TCP sender remembers of the segments it has sent and the receiver of those that came out
 * of order: RFC 2018's two ends.
 *
 * The sender's list covers [una, nxt) without a gap, in the order of the bytes. Each segment is
 * flying, or known to have arrived (sacked), or taken for lost and about to be sent again.
 */
#ifndef SIM_SCOREBOARD_H
#define SIM_SCOREBOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "path.h"

struct sim_sent {
    uint64_t start, end;
    uint64_t at;    /* when it was sent, the last time */
    uint64_t order; /* among all that was sent */
    bool sacked;
    bool lost;
    bool again; /* sent more than once */
};

struct sim_board {
    struct sim_sent *ring;
    size_t first, count, room;
    size_t flying, sacked, lost;
    uint64_t sent;   /* how many, ever; the next one's order */
    uint64_t newest; /* the highest order among those that have arrived, and one more */
};

/* What an acknowledgement was news of. */
struct sim_news {
    unsigned delivered;  /* segments */
    uint64_t first_sent; /* of those sent once: when the first was, and the last; 0: none */
    uint64_t last_sent;
};

void sim_board_clear(struct sim_board *board);

/* A new segment, which begins where the last one has ended. */
void sim_board_send(struct sim_board *board, uint64_t start, uint64_t end, uint64_t now);

/* The first one that is taken for lost; NULL: none is. */
struct sim_sent *sim_board_first_lost(const struct sim_board *board);

/* The first and the last one of all; NULL: there is none. */
struct sim_sent *sim_board_first(const struct sim_board *board);
struct sim_sent *sim_board_last(const struct sim_board *board);

/* It is sent again. */
void sim_board_resend(struct sim_board *board, struct sim_sent *sent, uint64_t now);

/* Everything below una has arrived; what is in a span has. */
void sim_board_ack(struct sim_board *board, uint64_t una, struct sim_news *news);
void sim_board_sack(struct sim_board *board, struct sim_span span, struct sim_news *news);

/* Takes for lost what was sent before one that has arrived: on a path that keeps the order. */
void sim_board_find_lost(struct sim_board *board);

/* Takes all for lost that has not arrived; takes nothing for lost any more. */
void sim_board_lose_all(struct sim_board *board);
void sim_board_lose_none(struct sim_board *board);

/* ---- the receiver ---- */

#define SIM_RECENT (SIM_SACKS + 1u)

struct sim_arrivals {
    struct sim_span *spans; /* above what is in order; sorted, none touches another */
    size_t count, room;
    uint64_t recent[SIM_RECENT]; /* a byte of each span that grew of late, the latest first */
};

void sim_arrivals_clear(struct sim_arrivals *arrivals);

/* A segment has arrived; *next, the end of what is in order, moves with it. */
void sim_arrivals_add(struct sim_arrivals *arrivals, struct sim_span span, uint64_t *next);

/* Says of at most SIM_SACKS spans, those that grew last; returns of how many. */
uint8_t sim_arrivals_tell(const struct sim_arrivals *arrivals, struct sim_span *sacks);

#endif
