/* SPDX-License-Identifier: MIT */
/*
 * The greeting: what opens a subflow, the preamble and the first HELLO, before its session is
 * known.
 */
#ifndef BRAID_HELLO_H
#define BRAID_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <braid/error.h>

#define BRAID_PREAMBLE_SIZE 16u
#define BRAID_HELLO_MAX 512u /* of a HELLO's payload, TLVs included */
#define BRAID_GREETING_MAX (BRAID_PREAMBLE_SIZE + 4u + BRAID_HELLO_MAX)
#define BRAID_VERSION 1u

enum braid_hello_flags {
    BRAID_HELLO_CREATE = 1, /* make the session when it does not exist */
    BRAID_HELLO_BACKUP = 2,
    BRAID_HELLO_REPLY = 4,
    BRAID_HELLO_REDUNDANT = 8, /* with CREATE: send every byte on two subflows */
};

struct braid_hello {
    uint8_t max_version;
    uint16_t subflow; /* index, unique in the session, never used again */
    uint16_t flags;
    uint64_t session;
    uint8_t token[16];
    uint64_t ack;
    uint64_t limit;
    uint64_t instance;
    uint16_t status;  /* of a REPLY: enum braid_error */
    uint64_t streams; /* of the seed's format, which has no more than this and session; 0: it is
                         one of version 1 */
};

/* What has been read of a greeting; zeroed at the start. */
struct braid_greeting {
    uint16_t fill;
    uint16_t skip;     /* bytes left of a frame to be ignored */
    uint8_t security;  /* enum braid_preamble_security that the preamble has to ask for; 0: none */
    bool seed_only;    /* it has to be of the seed's format */
    unsigned seed_max; /* subflows that one of that format may have; 0: it is not understood */
    uint8_t bytes[BRAID_GREETING_MAX];
};

enum braid_greeting_result {
    BRAID_GREETING_MORE, /* not whole yet: everything was used */
    BRAID_GREETING_DONE, /* *used bytes belonged to it, the rest is the session's */
};

/*
 * Reads a greeting from bytes as they arrive. Where TLS is asked for it begins behind the preamble:
 * what follows is to be given here deciphered.
 *
 * id: set as soon as the preamble is whole (0 before). hello: set when the result is DONE.
 * Returns an enum braid_greeting_result, or a negative enum braid_error: BRAID_ERR_PROTOCOL,
 * BRAID_ERR_VERSION, BRAID_ERR_SECURITY, BRAID_ERR_LIMIT.
 */
int braid_greeting_feed(struct braid_greeting *greeting, const uint8_t *bytes, size_t len,
                        size_t *used, uint64_t *id, struct braid_hello *hello);

/*
 * Writes the refusal of a subflow: a HELLO REPLY whose status is error.
 *
 * buf: at least BRAID_GREETING_MAX bytes. Returns how many were written.
 */
size_t braid_greeting_refuse(uint8_t *buf, const struct braid_hello *hello, uint64_t instance,
                             int error);

#endif
