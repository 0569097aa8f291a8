/* SPDX-License-Identifier: MIT */
#include "certificates.h"

#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY (24L * 3600)

static char directory[64];
static unsigned files_made;

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
};

static struct authority shared, other;

static FILE *create(char *path, size_t size)
{
    int fd;

    if (directory[0] == '\0') {
        strcpy(directory, "/tmp/braid-test-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(directory));
    }
    snprintf(path, size, "%s/%u.pem", directory, files_made++);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    return fdopen(fd, "w");
}

static void extend(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    ck_assert_ptr_nonnull(extension);
    ck_assert_int_eq(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* A certificate for key, signed by an authority (NULL: by itself, it is one). */
static X509 *certify(EVP_PKEY *key, const char *name, const struct authority *by, long ends)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    char text[128];

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), (long)files_made + 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3 * DAY);
    X509_gmtime_adj(X509_getm_notAfter(certificate), ends);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
                               0);
    X509_set_issuer_name(certificate,
                         by != NULL ? X509_get_subject_name(by->certificate) : subject);
    X509_set_pubkey(certificate, key);
    extend(certificate, NID_basic_constraints, by != NULL ? "CA:FALSE" : "critical,CA:TRUE");
    if (by != NULL) {
        snprintf(text, sizeof text, "DNS:%s", name);
        extend(certificate, NID_subject_alt_name, text);
    }
    ck_assert_int_gt(X509_sign(certificate, by != NULL ? by->key : key, EVP_sha256()), 0);
    return certificate;
}

static void make_authority(struct authority *authority, const char *name)
{
    if (authority->key != NULL)
        return;
    authority->key = EVP_EC_gen("P-256");
    authority->certificate = certify(authority->key, name, NULL, 10 * DAY);
}

void certificates_for(const char *name, struct certificate_files *files)
{
    bool stranger = strncmp(name, "stranger!", 9) == 0;
    bool expired = strncmp(name, "expired!", 8) == 0;
    const char *mark = strchr(name, '!');
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate;
    FILE *file;

    make_authority(&shared, "authority");
    make_authority(&other, "authority");
    certificate = certify(key, mark != NULL ? mark + 1 : name, stranger ? &other : &shared,
                          expired ? -DAY : DAY);
    file = create(files->certificate, sizeof files->certificate);
    ck_assert_int_eq(PEM_write_X509(file, certificate), 1);
    fclose(file);
    file = create(files->private_key, sizeof files->private_key);
    ck_assert_int_eq(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    file = create(files->ca, sizeof files->ca);
    ck_assert_int_eq(PEM_write_X509(file, shared.certificate), 1);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void authority_free(struct authority *authority)
{
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
    *authority = (struct authority){NULL, NULL};
}

void certificates_remove(void)
{
    char path[128];

    authority_free(&shared);
    authority_free(&other);
    while (files_made > 0) {
        snprintf(path, sizeof path, "%s/%u.pem", directory, --files_made);
        unlink(path);
    }
    if (directory[0] != '\0')
        rmdir(directory);
    directory[0] = '\0';
}
