/* SPDX-License-Identifier: MIT */
#include "security.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "vault.h"

struct braid_security {
    atomic_uint refs;
    pthread_mutex_t lock;
    struct braid_credentials *credentials; /* under the lock */
    uid_t owner;                           /* of files; 0: root's, and our own */
};

struct braid_security *braid_security_new(void)
{
    struct braid_security *security = calloc(1, sizeof *security);

    if (security == NULL)
        return NULL;
    atomic_init(&security->refs, 1);
    security->credentials = braid_credentials_new();
    if (security->credentials == NULL || pthread_mutex_init(&security->lock, NULL) != 0) {
        braid_credentials_unref(security->credentials);
        free(security);
        return NULL;
    }
    return security;
}

struct braid_security *braid_security_ref(struct braid_security *security)
{
    if (security != NULL)
        atomic_fetch_add_explicit(&security->refs, 1, memory_order_relaxed);
    return security;
}

void braid_security_free(struct braid_security *security)
{
    if (security == NULL || atomic_fetch_sub_explicit(&security->refs, 1, memory_order_acq_rel) > 1)
        return;
    braid_credentials_unref(security->credentials);
    pthread_mutex_destroy(&security->lock);
    free(security);
}

void braid_security_set_owner(struct braid_security *security, uid_t user)
{
    security->owner = user;
}

int braid_security_load_keys(struct braid_security *security, const char *file, char *why,
                             size_t size)
{
    struct braid_vault vault;
    size_t len;
    int count;

    if (!braid_vault_read(&vault, file, security->owner, &len, why, size))
        return -1;
    count = braid_security_read_keys(security, vault.memory, len, file, why, size);
    braid_vault_close(&vault);
    return count;
}

int braid_security_read_keys(struct braid_security *security, const char *text, size_t len,
                             const char *source, char *why, size_t size)
{
    return braid_credentials_read_keys(security->credentials, text, len, source, why, size);
}

int braid_security_load_certificate(struct braid_security *security, const char *certificate,
                                    const char *private_key, const char *ca, char *why, size_t size)
{
    const struct braid_certificate_files files = {
        .certificate = certificate,
        .private_key = private_key,
        .ca = ca,
        .owner = security->owner,
    };

    return braid_credentials_load_certificate(security->credentials, &files, why, size);
}

int braid_security_add_peer(struct braid_security *security, const char *name)
{
    return braid_credentials_add_peer(security->credentials, name);
}

bool braid_security_is_locked(const struct braid_security *security)
{
    return braid_credentials_is_locked(security->credentials);
}

struct braid_credentials *braid_security_credentials(struct braid_security *security)
{
    struct braid_credentials *credentials;

    pthread_mutex_lock(&security->lock);
    credentials = braid_credentials_ref(security->credentials);
    pthread_mutex_unlock(&security->lock);
    return credentials;
}

void braid_security_replace(struct braid_security *security, struct braid_security *with)
{
    struct braid_credentials *fresh = with->credentials;

    pthread_mutex_lock(&security->lock);
    with->credentials = security->credentials;
    security->credentials = fresh;
    pthread_mutex_unlock(&security->lock);
}
