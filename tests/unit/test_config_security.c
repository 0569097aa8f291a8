/* SPDX-License-Identifier: MIT */
/*
 * What protects a tunnel: keys, certificates, nothing; what goes together, and what the files have
 * to be like.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "daemon/config.h"
#include "tests/driver/certificates.h"
#include "tests/unit/config_file.h"

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899aabbccddee"
#define LOCAL "[local a]\nlisten = 127.0.0.1:1\nremote = 192.0.2.1:2\n"
#define REMOTE "[remote a]\nlisten = 0.0.0.0:2\ntarget = 127.0.0.1:3\n"
#define NOT_BOTH "; accepted: one of key, certificate and security = none\n"
#define TOGETHER "; accepted: certificate, private-key, ca and peer-name together\n"

static const char *const files[] = {"one.key", "other.key", "two.key", "loose.key", "bad.key"};
static struct certificate_files laptop, vpn;

static void write_file(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(name, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(name, mode), 0);
}

static void setup(void)
{
    config_file_setup();
    write_file("one.key", "web " DIGITS "01\n", 0600);
    write_file("other.key", "mail " DIGITS "02\n", 0600);
    write_file("two.key", "x " DIGITS "03\ny " DIGITS "04\n", 0600);
    write_file("loose.key", "z " DIGITS "05\n", 0640);
    write_file("bad.key", "# nothing yet\nz\n", 0600);
    certificates_for("laptop", &laptop);
    certificates_for("vpn.example.net", &vpn);
}

static void teardown(void)
{
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        (void)unlink(files[i]);
    certificates_remove();
    config_file_teardown();
}

/* The text with "@" replaced by the directory, which is new every time. */
static char *localized(const char *text)
{
    char directory[PATH_MAX];
    char *result = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&result, &length);

    ck_assert_ptr_nonnull(getcwd(directory, sizeof(directory)));
    for (; *text != '\0'; text++)
        if (*text == '@')
            fputs(directory, out);
        else
            putc(*text, out);
    fclose(out);
    return result;
}

static const struct {
    const char *text;
    const char *errors; /* "": none */
} cases[] = {
    {LOCAL "key = @/one.key\n", ""},
    {REMOTE "key = @/one.key\n", ""},
    {REMOTE "key = @/one.key\nkey = @/two.key\nkey = @/other.key\n", ""},
    /* No end of a tunnel is without protection by accident. */
    {LOCAL, "t.ini:1: [local a] key: missing; accepted: key = FILE, made by braid keygen > FILE "
            "and copied to the other end; or certificate = FILE; or security = none\n"},
    {"\n" REMOTE, "t.ini:2: [remote a] key: missing; accepted: key = FILE, made by braid keygen > "
                  "FILE and copied to the other end; or certificate = FILE; or security = none\n"},
    {LOCAL "kye = @/one.key\n",
     "t.ini:4: [local a] kye: unknown key, did you mean key?; accepted: listen, remote, paths, "
     "key, certificate, private-key, ca, peer-name, security, insecure, subflows, mode, grace, "
     "protocol, bare-end\n"},
    {LOCAL "key = one.key\n",
     "t.ini:4: [local a] key: \"one.key\": not an absolute path; accepted: an absolute path\n"},
    {LOCAL "key = @/one.key\nkey = @/other.key\n",
     "t.ini:5: [local a] key: set a second time, after line 4; accepted: once in a section\n"},
    {LOCAL "key = @/two.key\n", "t.ini:4: [local a] key: @/two.key: there are 2 keys in it; "
                                "accepted: a file with the one key of this client\n"},
    {REMOTE "key = @/one.key\nkey = @/one.key\n",
     "t.ini:5: [remote a] key: @/one.key:1: this is no key: there is a key of this name already; "
     "accepted: what braid keygen prints\n"},
    {REMOTE "key = @/bad.key\n",
     "t.ini:4: [remote a] key: @/bad.key:2: this is no key: it has not 64 hexadecimal digits "
     "behind its name; accepted: what braid keygen prints\n"},
    {REMOTE "key = @/none.key\nkey = @/loose.key\n",
     "t.ini:4: [remote a] key: @/none.key: cannot be opened: No such file or directory\n"
     "t.ini:5: [remote a] key: @/loose.key: is open to group or others (mode 0640); a secret wants "
     "chmod 600, and perhaps to be replaced\n"},
    /* One way or another, not two. */
    {LOCAL "security = none\nkey = @/one.key\ninsecure = yes\n",
     "t.ini:4: [local a] security: does not go with key, line 5" NOT_BOTH},
    {LOCAL "key = @/one.key\ncertificate = /x\nprivate-key = /x\nca = /x\npeer-name = x\n",
     "t.ini:5: [local a] certificate: does not go with key, line 4" NOT_BOTH},
    {LOCAL "certificate = /x\n",
     "t.ini:4: [local a] private-key: missing" TOGETHER "t.ini:4: [local a] ca: missing" TOGETHER
     "t.ini:4: [local a] peer-name: missing" TOGETHER},
    {LOCAL "key = @/one.key\nca = /x\n",
     "t.ini:5: [local a] ca: is of no use without certificate" TOGETHER},
    {LOCAL "certificate = /x\nprivate-key = x\nca = /x\npeer-name = a b\n",
     "t.ini:5: [local a] private-key: \"x\": not an absolute path; accepted: an absolute path\n"
     "t.ini:7: [local a] peer-name: \"a b\": no name that a certificate could bear; accepted: 1 to "
     "64 of A-Z a-z 0-9 _ . -\n"},
    {LOCAL "certificate = @/t.ini\nprivate-key = /x\nca = /x\npeer-name = x\n",
     "t.ini:4: [local a] certificate: @/t.ini: no certificate in PEM: no start line\n"},
};

START_TEST(keys_and_what_goes_with_them)
{
    char *text = localized(cases[_i].text);
    char *errors = localized(cases[_i].errors);

    if (*errors == '\0') {
        struct config *config = config_file_accept(text);

        ck_assert_ptr_nonnull(config->tunnels[0].protection);
        config_free(config);
    } else {
        config_file_refuse(text, errors);
    }
    free(text);
    free(errors);
}
END_TEST

static char *with_certificate(const char *section, const struct certificate_files *own,
                              const char *private_key, const char *peers)
{
    static char text[2048];

    snprintf(text, sizeof(text), "%scertificate = %s\nprivate-key = %s\nca = %s\n%s", section,
             own->certificate, private_key != NULL ? private_key : own->private_key, own->ca,
             peers);
    return text;
}

START_TEST(certificates)
{
    struct config *config =
        config_file_accept(with_certificate(LOCAL, &laptop, NULL, "peer-name = vpn.example.net\n"));

    ck_assert_ptr_nonnull(config->tunnels[0].protection);
    config_free(config);
    config_free(config_file_accept(
        with_certificate(REMOTE, &vpn, NULL, "peer-name = laptop\npeer-name = phone\n")));
}
END_TEST

START_TEST(certificates_refused)
{
    char errors[1024];

    config_file_refuse(
        with_certificate(REMOTE, &vpn, NULL, "peer-name = laptop\npeer-name = Laptop\n"),
        "t.ini:8: [remote a] peer-name: \"Laptop\" is there already; accepted: a name once\n");
    /* Another certificate's key. */
    snprintf(errors, sizeof(errors),
             "t.ini:4: [local a] certificate: %s: no private key in PEM for that certificate, "
             "unencrypted: key values mismatch\n",
             vpn.private_key);
    config_file_refuse(with_certificate(LOCAL, &laptop, vpn.private_key, "peer-name = x\n"),
                       errors);
    /* A secret, as a key is. */
    ck_assert_int_eq(chmod(laptop.private_key, 0644), 0);
    snprintf(errors, sizeof(errors),
             "t.ini:4: [local a] certificate: %s: is open to group or others (mode 0644); a secret "
             "wants chmod 600, and perhaps to be replaced\n",
             laptop.private_key);
    config_file_refuse(with_certificate(LOCAL, &laptop, NULL, "peer-name = x\n"), errors);
    ck_assert_int_eq(chmod(laptop.private_key, 0600), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_security");
    TCase *tc = tcase_create("config_security");
    SRunner *runner;
    int failed;

    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, keys_and_what_goes_with_them, 0, sizeof(cases) / sizeof(*cases));
    tcase_add_test(tc, certificates);
    tcase_add_test(tc, certificates_refused);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
