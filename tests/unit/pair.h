/* SPDX-License-Identifier: MIT */
/*
 * Two sessions, LOCAL and REMOTE, joined back to back in memory, for unit tests and the fuzzer.
 *
 * Each subflow is a wire of two byte pipes. Nothing moves by itself: a test says what is written,
 * how much of a plan a socket takes, what is delivered in which slices, what is lost and what time
 * it is; or it lets pair_settle() do all that until nothing is left to do. Every byte read is held
 * against what was written, every deadline must lie ahead, and pair_free() fails on a leak. What
 * must not happen aborts the program, so that the fuzzer sees it too.
 */
#ifndef BRAID_TESTS_PAIR_H
#define BRAID_TESTS_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/session.h"

#define PAIR_WIRES 32u
#define PAIR_ALL SIZE_MAX
#define PAIR_ID 0x1122334455667788u

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            pair_fail(__FILE__, __LINE__, #condition);                                             \
    } while (0)

_Noreturn void pair_fail(const char *file, int line, const char *condition);

enum pair_end {
    PAIR_LOCAL = 0,
    PAIR_REMOTE = 1,
};

struct pair_pipe {
    uint8_t *bytes;
    size_t start;
    size_t end;
    size_t room;
    uint64_t taken; /* bytes delivered so far */
    bool ended;     /* nothing comes behind what is in it */
    bool broken;    /* nor was that an end in order */
    bool told;      /* whoever reads it knows, and goes on to write */
};

struct pair_wire {
    bool used;
    bool greeted;                 /* the remote end has answered its HELLO */
    struct braid_subflow *end[2]; /* NULL: none, or no more */
    uint32_t rtt[2];              /* what this end's socket reports; 0: nothing */
    struct pair_pipe to[2];       /* on the way to that end */
    struct braid_greeting greeting;
};

struct pair_side {
    struct braid_session_config config;
    struct braid_session *session; /* REMOTE: NULL until the first HELLO */
    uint64_t committed;
    uint64_t drained;
    bool shut;
    bool established;
    bool writable; /* told since the last write */
    bool result;   /* LOCAL: told */
    int result_error;
    bool eof;
    bool closed;
    int error;      /* closed: why */
    char log[1024]; /* the actions since the test last emptied it, e.g. "DIAL READABLE " */
};

struct pair {
    struct braid_pool *pool;
    uint64_t now;
    bool lenient; /* memory may run out: losing a subflow over it is no mistake */
    bool lossy;   /* a wire broke with something on it */
    struct pair_side side[2];
    struct pair_wire wire[PAIR_WIRES];
};

/* The byte that the application at this end sends at this offset. */
uint8_t pair_byte(enum pair_end from, uint64_t offset);

/* Writes n of them, or tells whether n bytes are they. */
void pair_fill(enum pair_end from, uint64_t offset, uint8_t *bytes, size_t n);
bool pair_same(enum pair_end from, uint64_t offset, const uint8_t *bytes, size_t n);

/* Sets up with a fresh pool, no sessions yet; config may be changed before pair_open(). */
void pair_init(struct pair *pair, unsigned subflows);

/* The same for the seed's format; TCP acknowledges what was delivered. */
void pair_init_seed(struct pair *pair, unsigned subflows);

/* Makes the local session; false: no memory. */
bool pair_open(struct pair *pair);

void pair_free(struct pair *pair);

/* Commits up to n bytes as room allows; returns how many. */
size_t pair_write(struct pair *pair, enum pair_end end, size_t n);

/* Drains up to n bytes, which must be the right ones; returns how many. */
size_t pair_read(struct pair *pair, enum pair_end end, size_t n);

void pair_shutdown(struct pair *pair, enum pair_end end);

/* Adds a subflow when one is wanted; NULL: none, or no memory. */
struct pair_wire *pair_dial(struct pair *pair);

/*
 * Lets the session send once: pulls at most max_pieces, lets the socket take at most n bytes.
 *
 * Returns false when nothing wants to be sent.
 */
bool pair_send(struct pair *pair, enum pair_end end, int max_pieces, size_t n);

/* Delivers up to n bytes of a wire in slices of at most `slice`; returns how many. */
size_t pair_deliver(struct pair *pair, struct pair_wire *wire, enum pair_end to, size_t n,
                    size_t slice);

/* The transport breaks: what is on the way is lost. One end notices. */
void pair_break(struct pair *pair, struct pair_wire *wire, enum pair_end notices);

/* The transport breaks, and both ends notice. */
void pair_lose(struct pair *pair, struct pair_wire *wire);

/* Lets a subflow have a look at its socket: wire->rtt, and what is on the way. */
void pair_sample(struct pair *pair, struct pair_wire *wire, enum pair_end end);

/* Takes all actions of one end and does what they say. */
void pair_act(struct pair *pair, enum pair_end end);

/* Moves time on, at most to `until`; stops at the first deadline. Returns false at `until`. */
bool pair_sleep(struct pair *pair, uint64_t until);

/* Everything that can move moves once: dial, send, deliver, and with `read` drain. */
bool pair_move(struct pair *pair, bool read);

/* Until nothing moves. */
void pair_run(struct pair *pair, bool read);

/* Until nothing moves and no deadline lies before now + time. */
void pair_settle(struct pair *pair, uint64_t time);

/*
 * Both ends finish in order: all bytes arrive, and both are CLOSED with BRAID_OK. But when a wire
 * broke, the remote end's last words may have been answered by a local one that then was gone; it
 * waits for the grace time.
 */
void pair_finish(struct pair *pair);

/* The wire of the session's i-th live subflow at this end. */
struct pair_wire *pair_wire_at(struct pair *pair, enum pair_end end, unsigned i);

#endif
