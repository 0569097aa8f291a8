/* SPDX-License-Identifier: MIT */
/*
 * Key files: what is read, what is refused and in which words, and that what is generated is read.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <braid/braid.h>

#include "event/key.h"
#include "event/vault.h"
#include "suite.h"

/* AddressSanitizer turns mlock() off. */
#if defined(__SANITIZE_ADDRESS__)
#define LOCKS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOCKS false
#endif
#endif
#ifndef LOCKS
#define LOCKS true
#endif

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHERS "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char path[64];
static char why[512];

/* Reads text; the result. */
static int read_keys(const char *text)
{
    struct braid_security *security = braid_security_new();
    int count;

    strcpy(why, "nothing");
    count = braid_security_read_keys(security, text, strlen(text), "web.key", why, sizeof why);
    braid_security_free(security);
    return count;
}

START_TEST(test_accepted)
{
    ck_assert_int_eq(read_keys("web " DIGITS "\n"), 1);
    ck_assert_int_eq(read_keys("web " DIGITS), 1);
    ck_assert_int_eq(read_keys("\t web \t" DIGITS " \r\n\r\n"), 1);
    ck_assert_int_eq(read_keys("# one\nA.b-c_9 " DIGITS "\n\n  # two\nmail " OTHERS "\n"), 2);
    ck_assert_int_eq(
        read_keys("web 00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff"), 1);
}
END_TEST

START_TEST(test_refused)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "web.key: there is no key in it"},
        {"# nothing\n\n", "web.key: there is no key in it"},
        {"web\n", "web.key:1: this is no key: it has not 64 hexadecimal digits"},
        {DIGITS "\n", "web.key:1: this is no key: it has not 64"},
        {"#\nweb " DIGITS "0\n", "web.key:2: this is no key: it has not 64"},
        {"web 0" OTHERS "\n", "web.key:1: this is no key: it has not 64"},
        {"web g0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
         "web.key:1: this is no key: it has other bytes than hexadecimal digits"},
        {"web " DIGITS " # mine\n", "web.key:1: this is no key: it has not 64"},
        {"w/b " DIGITS "\n", "web.key:1: this is no key: its name is empty, too long or has"},
        {"a2345678901234567890123456789012345678901234567890123456789012345 " DIGITS "\n",
         "web.key:1: this is no key: its name is empty, too long"},
        {"web " DIGITS "\nweb " OTHERS "\n",
         "web.key:2: this is no key: there is a key of this name"},
        {"web " DIGITS "\nmail " DIGITS "\n",
         "web.key:2: this is no key: this key is there already"},
        {"-----BEGIN PRIVATE KEY-----\n", "web.key:1: this is no key"},
    };

    ck_assert_int_eq(read_keys(cases[_i].text), -1);
    ck_assert_msg(strstr(why, cases[_i].why) == why, "%s", why);
    ck_assert(strstr(why, "accepted: what braid keygen prints") != NULL);
    ck_assert_ptr_null(strstr(why, "00112233")); /* secrets do not go into logs */
}
END_TEST

/* A file in which one line is wrong adds nothing; more keys than fit into a page are no matter. */
START_TEST(test_all_or_nothing)
{
    struct braid_security *security = braid_security_new();
    char text[200 * 80], *at = text;

    for (int i = 0; i < 200; i++)
        at += sprintf(at, "k%d %064x\n", i, i + 1);
    ck_assert_int_eq(
        braid_security_read_keys(security, text, strlen(text), "many", why, sizeof why), 200);
    ck_assert(braid_security_is_locked(security));
    strcpy(text, "new " DIGITS "\nbad\n");
    ck_assert_int_eq(braid_security_read_keys(security, text, strlen(text), "bad", why, sizeof why),
                     -1);
    strcpy(text, "new " DIGITS "\n");
    ck_assert_int_eq(braid_security_read_keys(security, text, strlen(text), "new", why, sizeof why),
                     1);
    braid_security_free(security);
}
END_TEST

START_TEST(test_generated)
{
    char one[BRAID_KEY_TEXT_MAX], another[BRAID_KEY_TEXT_MAX];

    ck_assert_int_eq(braid_key_generate("web", one, sizeof one), 0);
    ck_assert_int_eq(braid_key_generate("web", another, sizeof another), 0);
    ck_assert_str_ne(one, another);
    ck_assert_int_eq(read_keys(one), 1);
    ck_assert_int_eq(
        braid_key_generate("1234567890123456789012345678901234567890123456789012345678901234", one,
                           sizeof one),
        0);
    ck_assert_int_eq(read_keys(one), 1);
    ck_assert_int_eq(braid_key_generate("", one, sizeof one), -1);
    ck_assert_int_eq(braid_key_generate("a b", one, sizeof one), -1);
    ck_assert_int_eq(braid_key_generate("web", one, BRAID_KEY_TEXT_MAX - 1), -1);
}
END_TEST

/* The id of a key says nothing of its secret, nor is it the secret's of something else. */
START_TEST(test_identity)
{
    struct braid_key key, same;
    struct braid_identity name, upper;

    ck_assert_ptr_null(braid_key_parse(&key, "web " DIGITS, 4 + 64));
    ck_assert_ptr_null(braid_key_parse(&same, "mail " DIGITS, 5 + 64));
    ck_assert(braid_identity_is(&key.identity, same.identity.id));
    ck_assert_ptr_null(memmem(key.identity.id, 4, key.secret, 4));
    ck_assert(braid_identity_of_name(&name, "vpn.example.net"));
    ck_assert(braid_identity_of_name(&upper, "VPN.Example.NET"));
    ck_assert(braid_identity_is(&name, upper.id));
    ck_assert_str_eq(upper.name, "vpn.example.net");
    ck_assert(!braid_identity_of_name(&name, "*.example.net"));
    ck_assert(!braid_identity_of_name(&name, ""));
}
END_TEST

/* ---- files ---- */

static int load(void)
{
    struct braid_security *security = braid_security_new();
    int count = braid_security_load_keys(security, path, why, sizeof why);

    braid_security_free(security);
    return count;
}

static void write_file(const char *text, mode_t mode)
{
    int fd;

    strcpy(path, "/tmp/braid-key-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

START_TEST(test_file_modes)
{
    static const mode_t loose[] = {0640, 0604, 0660, 0666, 0610, 0601, 0644, 0700 | 0070};

    write_file("web " DIGITS "\n", 0600);
    ck_assert_int_eq(load(), 1);
    chmod(path, 0400);
    ck_assert_int_eq(load(), 1);
    for (size_t i = 0; i < sizeof loose / sizeof *loose; i++) {
        char mode[16];

        chmod(path, loose[i]);
        snprintf(mode, sizeof mode, "(mode %04o)", (unsigned)loose[i]);
        ck_assert_int_eq(load(), -1);
        ck_assert_msg(strstr(why, path) == why && strstr(why, mode) != NULL &&
                          strstr(why, "chmod 600") != NULL,
                      "%s", why);
    }
    unlink(path);
    ck_assert_int_eq(load(), -1);
    ck_assert_msg(strstr(why, "No such file") != NULL, "%s", why);
}
END_TEST

START_TEST(test_file_owner)
{
    write_file("web " DIGITS "\n", 0600);
    if (geteuid() == 0) { /* another's file, read by root */
        ck_assert_int_eq(chown(path, 12345, 0), 0);
        ck_assert_int_eq(load(), -1);
        ck_assert_msg(strstr(why, "belongs to user 12345") != NULL, "%s", why);
    }
    unlink(path);
}
END_TEST

START_TEST(test_what_is_no_file)
{
    char *big = malloc(70000);

    strcpy(path, "/tmp");
    ck_assert_int_eq(load(), -1);
    ck_assert_msg(strstr(why, "not a regular file") != NULL, "%s", why);
    strcpy(path, "/tmp/braid-key-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
    rmdir(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* nobody writes into it, and nobody waits for that */
    ck_assert_int_eq(load(), -1);
    ck_assert_msg(strstr(why, "not a regular file") != NULL, "%s", why);
    unlink(path);
    memset(big, '#', 69999);
    big[69999] = '\0';
    write_file(big, 0600);
    free(big);
    ck_assert_int_eq(load(), -1);
    ck_assert_msg(strstr(why, "too large") != NULL, "%s", why);
    unlink(path);
}
END_TEST

static bool under_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");

    return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

/* Secrets are in memory that is locked and in no core dump. */
START_TEST(test_vault)
{
    struct braid_vault vault;
    char line[512], wanted[32];
    bool mapped = false, locked = false, left_out = false;
    FILE *maps;

    ck_assert(braid_vault_open(&vault, 100));
    ck_assert_uint_ge(vault.size, 100);
    ck_assert(vault.locked);
    snprintf(wanted, sizeof wanted, "%lx-", (unsigned long)(uintptr_t)vault.memory);
    maps = fopen("/proc/self/smaps", "re");
    while (fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, wanted) == line)
            mapped = true;
        if (mapped && strstr(line, "VmFlags:") == line) {
            locked = strstr(line, " lo") != NULL;
            left_out = strstr(line, " dd") != NULL;
            break;
        }
    }
    fclose(maps);
    /* Valgrind keeps maps of its own. */
    ck_assert((mapped && left_out) || under_valgrind());
    ck_assert(locked || !LOCKS || under_valgrind());
    braid_vault_close(&vault);
    braid_vault_close(&vault);
}
END_TEST

int main(void)
{
    const struct suite_test tests[] = {
        {test_accepted, 0},   {test_refused, 13},        {test_all_or_nothing, 0},
        {test_generated, 0},  {test_identity, 0},        {test_file_modes, 0},
        {test_file_owner, 0}, {test_what_is_no_file, 0}, {test_vault, 0},
    };

    return SUITE_RUN("keys", tests);
}
