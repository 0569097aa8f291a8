/* SPDX-License-Identifier: MIT */
#include "credentials.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "vault.h"

#define KEYS_MAX 1024u
#define PEERS_MAX 1024u
#define CHAIN_MAX 16384 /* bytes of a certificate chain, which anybody may send */

/* So that what was meant for braid is of no use against another service of the same name. */
static const unsigned char protocol[] = {7, 'b', 'r', 'a', 'i', 'd', '/', '1'};

struct braid_credentials {
    atomic_uint refs;
    SSL_CTX *tls;
    bool certified; /* certificates, not keys */
    struct braid_vault vault;
    struct braid_key *keys; /* in the vault */
    size_t key_count;
    struct braid_identity *peers; /* names that a certificate may bear */
    size_t peer_count;
};

/* ---- keys in a handshake ---- */

static struct braid_credentials *credentials_of(const SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* The session that a key stands for. It is the handshake's own, which wipes it. */
static SSL_SESSION *session_of(SSL *ssl, const struct braid_key *key)
{
    static const unsigned char aes_128_gcm_sha256[] = {0x13, 0x01}; /* it is the hash that counts */
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, aes_128_gcm_sha256);
    SSL_SESSION *session = SSL_SESSION_new();

    if (session != NULL && cipher != NULL &&
        SSL_SESSION_set1_master_key(session, key->secret, sizeof key->secret) == 1 &&
        SSL_SESSION_set_cipher(session, cipher) == 1 &&
        SSL_SESSION_set1_id_context(session, protocol, sizeof protocol) == 1 &&
        SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
        return session;
    SSL_SESSION_free(session);
    return NULL;
}

/* Connecting: which key to show. hash: what it must be used with, NULL: not known yet. */
static int on_show(SSL *ssl, const EVP_MD *hash, const unsigned char **id, size_t *id_len,
                   SSL_SESSION **session)
{
    const struct braid_key *key = credentials_of(ssl)->keys;

    *session = NULL;
    if (hash != NULL && !EVP_MD_is_a(hash, "SHA256"))
        return 1;
    *session = session_of(ssl, key);
    *id = key->identity.id;
    *id_len = BRAID_ID_SIZE;
    return *session != NULL;
}

/* Accepting: the key that was shown, if it is one of ours; else the handshake comes to nothing. */
static int on_shown(SSL *ssl, const unsigned char *id, size_t id_len, SSL_SESSION **session)
{
    const struct braid_credentials *credentials = credentials_of(ssl);
    struct braid_peer *peer = SSL_get_app_data(ssl);

    *session = NULL;
    peer->stranger = true;
    for (size_t i = 0; i < credentials->key_count && id_len == BRAID_ID_SIZE; i++) {
        const struct braid_key *key = &credentials->keys[i];

        if (!braid_identity_is(&key->identity, id))
            continue;
        peer->stranger = false;
        peer->identity = key->identity;
        *session = session_of(ssl, key);
        return *session != NULL;
    }
    return 1;
}

/* Accepting: the client's protocols must have ours among them. */
static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                        const unsigned char *in, unsigned int in_len, void *arg)
{
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, protocol, sizeof protocol, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- life ---- */

/* Whether the processor has AES, without which ChaCha20 is faster by far. */
static bool has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("aes") != 0;
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
    return false;
#endif
}

static bool configure(SSL_CTX *tls)
{
    const char *ciphers = has_aes() ? "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
                                    : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";

    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    /* A client that puts ChaCha20 first has no AES. */
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_COMPRESSION);
    SSL_CTX_clear_options(tls, SSL_OP_ENABLE_MIDDLEBOX_COMPAT); /* the preamble comes first */
    SSL_CTX_set_max_cert_list(tls, CHAIN_MAX);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(tls, on_protocols, NULL);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(tls, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(tls, ciphers) == 1 &&
           SSL_CTX_set1_groups_list(tls, "X25519:P-256") == 1 &&
           SSL_CTX_set_num_tickets(tls, 0) == 1 && SSL_CTX_set_max_early_data(tls, 0) == 1 &&
           SSL_CTX_set_recv_max_early_data(tls, 0) == 1 &&
           SSL_CTX_set_session_id_context(tls, protocol, sizeof protocol) == 1 &&
           SSL_CTX_set_alpn_protos(tls, protocol, sizeof protocol) == 0;
}

struct braid_credentials *braid_credentials_new(void)
{
    struct braid_credentials *credentials = calloc(1, sizeof *credentials);

    if (credentials == NULL)
        return NULL;
    atomic_init(&credentials->refs, 1);
    credentials->tls = SSL_CTX_new(TLS_method());
    if (credentials->tls == NULL || !configure(credentials->tls) ||
        SSL_CTX_set_app_data(credentials->tls, credentials) != 1) {
        braid_credentials_unref(credentials);
        return NULL;
    }
    return credentials;
}

struct braid_credentials *braid_credentials_ref(struct braid_credentials *credentials)
{
    atomic_fetch_add_explicit(&credentials->refs, 1, memory_order_relaxed);
    return credentials;
}

void braid_credentials_unref(struct braid_credentials *credentials)
{
    if (credentials == NULL ||
        atomic_fetch_sub_explicit(&credentials->refs, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(credentials->tls);
    braid_vault_close(&credentials->vault);
    free(credentials->peers);
    free(credentials);
}

/* ---- adding keys ---- */

/* Makes room for one more key; what held the others is wiped. */
static bool make_room(struct braid_credentials *credentials)
{
    struct braid_vault larger;
    size_t used = credentials->key_count * sizeof(struct braid_key);

    if (used + sizeof(struct braid_key) <= credentials->vault.size)
        return true;
    if (!braid_vault_open(&larger, 2 * used + sizeof(struct braid_key)))
        return false;
    if (used > 0)
        memcpy(larger.memory, credentials->keys, used);
    braid_vault_close(&credentials->vault);
    credentials->vault = larger;
    credentials->keys = larger.memory;
    return true;
}

/* Reads one line's key behind those there are; returns what is wrong, static, or NULL. */
static const char *add_key(struct braid_credentials *credentials, const char *line, size_t len)
{
    struct braid_key *key;
    const char *wrong;

    if (credentials->key_count == KEYS_MAX)
        return "it is one too many; accepted: 1024 keys";
    if (!make_room(credentials))
        return "out of memory";
    key = &credentials->keys[credentials->key_count];
    wrong = braid_key_parse(key, line, len);
    for (size_t i = 0; i < credentials->key_count && wrong == NULL; i++) {
        if (strcmp(credentials->keys[i].identity.name, key->identity.name) == 0)
            wrong = "there is a key of this name already";
        else if (braid_identity_is(&credentials->keys[i].identity, key->identity.id))
            wrong = "this key is there already, under another name";
    }
    if (wrong == NULL)
        credentials->key_count++;
    else
        OPENSSL_cleanse(key, sizeof *key);
    return wrong;
}

static void drop_keys(struct braid_credentials *credentials, size_t count)
{
    while (credentials->key_count > count)
        OPENSSL_cleanse(&credentials->keys[--credentials->key_count], sizeof(struct braid_key));
}

int braid_credentials_read_keys(struct braid_credentials *credentials, const char *text, size_t len,
                                const char *source, char *why, size_t size)
{
    size_t before = credentials->key_count;
    unsigned line = 1;

    if (credentials->certified) {
        snprintf(why, size, "%s: keys and certificates cannot be had together", source);
        return -1;
    }
    for (const char *at = text, *end = text + len; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((newline != NULL ? newline : end) - at);
        const char *wrong = NULL;

        if (!braid_key_is_blank(at, n))
            wrong = add_key(credentials, at, n);
        if (wrong != NULL) {
            snprintf(why, size, "%s:%u: this is no key: %s; accepted: what braid keygen prints",
                     source, line, wrong);
            drop_keys(credentials, before);
            return -1;
        }
        at = newline != NULL ? newline + 1 : end;
    }
    if (credentials->key_count == before) {
        snprintf(why, size, "%s: there is no key in it; accepted: what braid keygen prints",
                 source);
        return -1;
    }
    SSL_CTX_set_psk_use_session_callback(credentials->tls, on_show);
    SSL_CTX_set_psk_find_session_callback(credentials->tls, on_shown);
    return (int)(credentials->key_count - before);
}

/* ---- adding certificates ---- */

/* Says what OpenSSL has against a file. */
static void complain(char *why, size_t size, const char *file, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    snprintf(why, size, "%s: %s: %s", file, what, reason != NULL ? reason : "not understood");
    ERR_clear_error();
}

/* Who has the key behind a passphrase is not here to say it. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static bool use_private_key(SSL_CTX *tls, const struct braid_certificate_files *files, char *why,
                            size_t size)
{
    const char *file = files->private_key;
    struct braid_vault vault;
    EVP_PKEY *key = NULL;
    BIO *bio;
    size_t len;
    bool used;

    if (!braid_vault_read(&vault, file, files->owner, &len, why, size))
        return false;
    bio = BIO_new_mem_buf(vault.memory, (int)len);
    if (bio != NULL)
        key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    braid_vault_close(&vault);
    used = key != NULL && SSL_CTX_use_PrivateKey(tls, key) == 1;
    EVP_PKEY_free(key);
    if (!used)
        complain(why, size, file, "no private key in PEM for that certificate, unencrypted");
    return used;
}

int braid_credentials_load_certificate(struct braid_credentials *credentials,
                                       const struct braid_certificate_files *files, char *why,
                                       size_t size)
{
    SSL_CTX *tls = credentials->tls;

    if (credentials->certified || credentials->key_count > 0) {
        snprintf(why, size, "%s: there are keys or a certificate already", files->certificate);
        return -1;
    }
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(tls, files->certificate) != 1) {
        complain(why, size, files->certificate, "no certificate in PEM");
        return -1;
    }
    if (!use_private_key(tls, files, why, size))
        return -1;
    if (SSL_CTX_load_verify_locations(tls, files->ca, NULL) != 1) {
        complain(why, size, files->ca, "no authorities' certificates in PEM");
        return -1;
    }
    credentials->certified = true;
    return 0;
}

int braid_credentials_add_peer(struct braid_credentials *credentials, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(credentials->tls);
    struct braid_identity identity, *grown;

    if (credentials->peer_count == PEERS_MAX || !braid_identity_of_name(&identity, name))
        return -1;
    for (size_t i = 0; i < credentials->peer_count; i++)
        if (braid_identity_is(&credentials->peers[i], identity.id))
            return -1;
    grown = reallocarray(credentials->peers, credentials->peer_count + 1, sizeof *grown);
    if (grown == NULL)
        return -1;
    credentials->peers = grown;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_WILDCARDS);
    if (X509_VERIFY_PARAM_add1_host(param, identity.name, 0) != 1)
        return -1;
    grown[credentials->peer_count++] = identity;
    return 0;
}

bool braid_credentials_is_locked(const struct braid_credentials *credentials)
{
    return credentials->key_count == 0 || credentials->vault.locked;
}

/* ---- use ---- */

const struct braid_identity *braid_credentials_first(const struct braid_credentials *credentials)
{
    if (credentials->certified)
        return credentials->peer_count > 0 ? credentials->peers : NULL;
    return credentials->key_count > 0 ? &credentials->keys->identity : NULL;
}

bool braid_credentials_admit(const struct braid_credentials *credentials,
                             const struct braid_identity *identity)
{
    bool admitted = false;

    for (size_t i = 0; i < credentials->key_count; i++)
        admitted |= braid_identity_is(&credentials->keys[i].identity, identity->id);
    for (size_t i = 0; i < credentials->peer_count && credentials->certified; i++)
        admitted |= braid_identity_is(&credentials->peers[i], identity->id);
    return admitted;
}

SSL *braid_credentials_start(struct braid_credentials *credentials, bool accepting,
                             struct braid_peer *peer)
{
    SSL *ssl;

    if (braid_credentials_first(credentials) == NULL)
        return NULL;
    ssl = SSL_new(credentials->tls);
    if (ssl == NULL || SSL_set_app_data(ssl, peer) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    if (accepting)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return ssl;
}

/* The peer's name, as its certificate has proven it. */
static const struct braid_identity *proven(const struct braid_credentials *credentials, SSL *ssl)
{
    const char *name = SSL_get0_peername(ssl);

    if (name == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
        return NULL;
    for (size_t i = 0; i < credentials->peer_count; i++)
        if (strcasecmp(credentials->peers[i].name, name) == 0)
            return &credentials->peers[i];
    return NULL;
}

bool braid_credentials_verify(const struct braid_credentials *credentials, SSL *ssl,
                              struct braid_peer *peer, const char **why)
{
    static const unsigned char zeros[BRAID_SECRET_SIZE];
    const struct braid_identity *identity;
    const unsigned char *chosen;
    unsigned len;

    SSL_get0_alpn_selected(ssl, &chosen, &len);
    if (len != sizeof protocol - 1 || memcmp(chosen, protocol + 1, len) != 0) {
        *why = "the peer speaks TLS, but not braid's protocol in it";
        return false;
    }
    if (credentials->certified) {
        identity = proven(credentials, ssl);
        *why = "the peer's certificate bears none of the names that are accepted";
    } else {
        identity = SSL_is_server(ssl) ? &peer->identity : braid_credentials_first(credentials);
        *why = "the peer has not proven a key";
        if (SSL_session_reused(ssl) != 1 ||
            SSL_SESSION_set1_master_key(SSL_get_session(ssl), zeros, sizeof zeros) != 1)
            return false;
    }
    if (identity == NULL)
        return false;
    if (identity != &peer->identity)
        peer->identity = *identity;
    return true;
}
