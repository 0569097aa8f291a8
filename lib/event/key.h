/* SPDX-License-Identifier: MIT */
/*
 * A key: a secret of 256 bits that both ends share, and its name. And the identity that whoever
 * proves it has: sessions belong to it.
 *
 * On the wire a key goes by its id, a hash of the secret, which tells nothing about either.
 */
#ifndef BRAID_EVENT_KEY_H
#define BRAID_EVENT_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <braid/security.h>

#define BRAID_SECRET_SIZE 32u
#define BRAID_ID_SIZE 16u

/* Who is at the other end; all zero: anybody. */
struct braid_identity {
    uint8_t id[BRAID_ID_SIZE];
    char name[BRAID_NAME_MAX + 1];
};

struct braid_key {
    struct braid_identity identity;
    uint8_t secret[BRAID_SECRET_SIZE];
};

/* Whether two are the same. */
bool braid_identity_is(const struct braid_identity *identity, const uint8_t id[BRAID_ID_SIZE]);

/* The identity of a name that certificates bear: small and capital letters are the same. */
bool braid_identity_of_name(struct braid_identity *identity, const char *name);

/* Whether a line of a key file says nothing. */
bool braid_key_is_blank(const char *line, size_t len);

/* Reads a line with a key; returns NULL, or what is wrong with it, static. */
const char *braid_key_parse(struct braid_key *key, const char *line, size_t len);

#endif
