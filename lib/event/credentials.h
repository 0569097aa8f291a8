/* SPDX-License-Identifier: MIT */
/*
 * Credentials: the keys or certificates of an endpoint, ready for TLS 1.3. Counted references; from
 * the first use on they do not change, so any number of threads may use one.
 *
 * With keys, TLS is resumption of a session that both ends know beforehand (an external PSK),
 * always with a fresh Diffie-Hellman exchange, and nothing else: a peer without a key finds no
 * certificate to fall back to. Neither way are there tickets or early data, so each subflow proves
 * itself anew.
 */
#ifndef BRAID_EVENT_CREDENTIALS_H
#define BRAID_EVENT_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <openssl/ssl.h>

#include "key.h"

struct braid_credentials;

struct braid_certificate_files {
    const char *certificate;
    const char *private_key;
    const char *ca;
    uid_t owner; /* who may have the private key's, besides root and us */
};

/* What a handshake has found out about the peer. */
struct braid_peer {
    struct braid_identity identity; /* once verified */
    bool stranger;                  /* it has shown a key that is none of ours */
};

/* With one reference; NULL: out of memory. */
struct braid_credentials *braid_credentials_new(void);

struct braid_credentials *braid_credentials_ref(struct braid_credentials *credentials);
void braid_credentials_unref(struct braid_credentials *credentials); /* NULL is allowed */

/* As the functions of braid/security.h. */
int braid_credentials_read_keys(struct braid_credentials *credentials, const char *text, size_t len,
                                const char *source, char *why, size_t size);
int braid_credentials_load_certificate(struct braid_credentials *credentials,
                                       const struct braid_certificate_files *files, char *why,
                                       size_t size);
int braid_credentials_add_peer(struct braid_credentials *credentials, const char *name);
bool braid_credentials_is_locked(const struct braid_credentials *credentials);

/* Who the other end is from a connecting side's point of view: the key's name, or the peer's. */
const struct braid_identity *braid_credentials_first(const struct braid_credentials *credentials);

/* Whether whoever has that identity is welcome. */
bool braid_credentials_admit(const struct braid_credentials *credentials,
                             const struct braid_identity *identity);

/*
 * A TLS connection to be, for one side of it. peer: must outlive the handshake, which fills it in.
 * NULL: out of memory, or there is nothing to show.
 */
SSL *braid_credentials_start(struct braid_credentials *credentials, bool accepting,
                             struct braid_peer *peer);

/*
 * The handshake is over: whether it has proven what it has to; sets peer's identity, and wipes the
 * key that the handshake has used. why: set where not, static.
 */
bool braid_credentials_verify(const struct braid_credentials *credentials, SSL *ssl,
                              struct braid_peer *peer, const char **why);

#endif
