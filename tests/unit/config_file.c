/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "daemon/config.h"
#include "tests/unit/config_file.h"

static char directory[] = "/tmp/braid-config-XXXXXX";

void config_file_setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
}

void config_file_teardown(void)
{
    (void)unlink("t.ini");
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(rmdir(directory), 0);
}

void config_file_write(const void *text, size_t length)
{
    FILE *file;

    (void)unlink("t.ini"); /* the last test may have left one without permissions */
    file = fopen("t.ini", "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
}

char *config_file_read(const char *file, struct config **config)
{
    char *text = NULL;
    size_t length = 0;
    FILE *errors = open_memstream(&text, &length);
    struct config *got;

    ck_assert_ptr_nonnull(errors);
    got = config_read(file, errors);
    ck_assert_int_eq(fclose(errors), 0);
    /* One or the other: a configuration, or lines that say why not. */
    ck_assert_msg((got == NULL) == (length > 0), "config %p, errors: %s", (void *)got, text);
    if (config != NULL)
        *config = got;
    else
        config_free(got);
    return text;
}

struct config *config_file_accept(const char *text)
{
    struct config *config;
    char *errors;

    config_file_write(text, strlen(text));
    errors = config_file_read("t.ini", &config);
    ck_assert_str_eq(errors, "");
    free(errors);
    return config;
}

void config_file_refuse(const char *text, const char *expected)
{
    char *errors;

    config_file_write(text, strlen(text));
    errors = config_file_read("t.ini", NULL);
    ck_assert_str_eq(errors, expected);
    free(errors);
}
