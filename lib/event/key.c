/* SPDX-License-Identifier: MIT */
#include "key.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "random.h"

#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

bool braid_identity_is(const struct braid_identity *identity, const uint8_t id[BRAID_ID_SIZE])
{
    return CRYPTO_memcmp(identity->id, id, BRAID_ID_SIZE) == 0;
}

static bool is_name(const char *text, size_t len)
{
    if (len < 1 || len > BRAID_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\0' || strchr(NAME_BYTES, text[i]) == NULL)
            return false;
    return true;
}

bool braid_name_is_valid(const char *text)
{
    return is_name(text, strlen(text));
}

/* Hashes len bytes; purpose tells one use of it from another. */
static bool make_id(struct braid_identity *identity, const char *purpose, const void *bytes,
                    size_t len)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t hash[EVP_MAX_MD_SIZE];
    bool done;

    done = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
           EVP_DigestUpdate(md, purpose, strlen(purpose) + 1) == 1 &&
           EVP_DigestUpdate(md, bytes, len) == 1 && EVP_DigestFinal_ex(md, hash, NULL) == 1;
    EVP_MD_CTX_free(md);
    if (done)
        memcpy(identity->id, hash, BRAID_ID_SIZE);
    return done;
}

bool braid_identity_of_name(struct braid_identity *identity, const char *name)
{
    size_t len = strlen(name);

    memset(identity, 0, sizeof *identity);
    if (!is_name(name, len))
        return false;
    for (size_t i = 0; i < len; i++)
        identity->name[i] = (char)tolower((unsigned char)name[i]);
    return make_id(identity, "braid name 1", identity->name, len);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Takes white space off both ends. */
static const char *trim(const char *text, size_t *len)
{
    while (*len > 0 && is_space(text[*len - 1]))
        --*len;
    while (*len > 0 && is_space(*text)) {
        text++;
        --*len;
    }
    return text;
}

bool braid_key_is_blank(const char *line, size_t len)
{
    line = trim(line, &len);
    return len == 0 || *line == '#';
}

/* The value of a hexadecimal digit; -1: it is none. */
static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *braid_key_parse(struct braid_key *key, const char *line, size_t len)
{
    const char *text = trim(line, &len);
    size_t name = 0;

    memset(key, 0, sizeof *key);
    while (name < len && !is_space(text[name]))
        name++;
    if (!is_name(text, name))
        return "its name is empty, too long or has other bytes than A-Z a-z 0-9 _ . -";
    memcpy(key->identity.name, text, name);
    len -= name;
    text = trim(text + name, &len);
    if (len != 2 * (size_t)BRAID_SECRET_SIZE)
        return "it has not 64 hexadecimal digits behind its name";
    for (size_t i = 0; i < BRAID_SECRET_SIZE; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return "it has other bytes than hexadecimal digits behind its name";
        key->secret[i] = (uint8_t)(high << 4 | low);
    }
    return make_id(&key->identity, "braid key 1", key->secret, sizeof key->secret)
               ? NULL
               : "it could not be hashed";
}

int braid_key_generate(const char *name, char *text, size_t size)
{
    uint8_t secret[BRAID_SECRET_SIZE];
    char *at;

    if (size < BRAID_KEY_TEXT_MAX || !braid_name_is_valid(name) ||
        !braid_random(secret, sizeof secret))
        return -1;
    at = text +
         snprintf(
             text, size,
             "# A key of braid, for both ends: whoever has it can use the tunnel. Keep the file "
             "to its\n# owner (mode 600) and give each client a key of its own.\n%s ",
             name);
    for (size_t i = 0; i < sizeof secret; i++) {
        *at++ = "0123456789abcdef"[secret[i] >> 4];
        *at++ = "0123456789abcdef"[secret[i] & 0x0f];
    }
    *at++ = '\n';
    *at = '\0';
    OPENSSL_cleanse(secret, sizeof secret);
    return 0;
}
