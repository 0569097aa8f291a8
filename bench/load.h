/* SPDX-License-Identifier: MIT */
/*
 * The load generator of the benchmarks: a server that is the target of what is measured, and
 * clients that drive it and print one JSON object each.
 *
 * The first byte of a connection selects what the server does with it. All of it is plain TCP on
 * 127.0.0.1, so that the same client measures a direct connection and any pair of relays.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_mode {
    LOAD_ECHO = 'e',   /* every byte comes back */
    LOAD_SINK = 'u',   /* bytes are counted until end of file; the answer is the count */
    LOAD_SOURCE = 'd', /* u32 milliseconds; bytes for that long, then their count, then the end */
    LOAD_BYTE = 'f',   /* one byte comes back at once */
    LOAD_SHORT = 's',  /* a request of fixed size, a response of fixed size, and close */
};

/* All integers on the wire are big-endian. */
enum {
    LOAD_BUFFER = 256 * 1024,
    LOAD_COUNT_SIZE = 8,      /* what ends a SOURCE's bytes and answers a SINK's */
    LOAD_SOURCE_REQUEST = 5,  /* mode and milliseconds */
    LOAD_SHORT_REQUEST = 128, /* mode included */
    LOAD_SHORT_RESPONSE = 512,
};

/* What a command was asked to do; unused members keep their defaults. */
struct load_options {
    unsigned port;        /* to connect to, or for serve: to listen on */
    unsigned listen;      /* slow: where its own receiving or sending end listens */
    unsigned connections; /* at a time */
    double seconds;
    uint64_t rate;   /* slow: bytes a second that are read; flood: connections a second */
    bool upload;     /* bulk, slow: from the connecting side to the accepting one */
    const char *say; /* flood: hexadecimal digits */
    bool hold;       /* flood: do not close them at once */
};

/* The commands; each returns the exit status. */
int load_serve(const struct load_options *options);
int load_bulk(const struct load_options *options);
int load_echo(const struct load_options *options);
int load_first_byte(const struct load_options *options);
int load_short(const struct load_options *options);
int load_idle(const struct load_options *options);
int load_slow(const struct load_options *options);
int load_flood(const struct load_options *options);

#endif
