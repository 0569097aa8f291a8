/* SPDX-License-Identifier: MIT */
/* For the tests of configurations: texts as files named "t.ini", in a directory of their own. */
#ifndef BRAID_TESTS_CONFIG_FILE_H
#define BRAID_TESTS_CONFIG_FILE_H

#include <stddef.h>

struct config;

/* Unchecked fixtures, run also when a test fails: make a directory and go there; remove it. */
void config_file_setup(void);
void config_file_teardown(void);

/* Writes t.ini. */
void config_file_write(const void *text, size_t length);

/*
 * Reads a file. Returns what was reported, to be freed; "" when there was nothing. The
 * configuration is kept in *config where that is not NULL; else it is freed.
 */
char *config_file_read(const char *file, struct config **config);

/* Reads a text as t.ini; the test fails when there is anything to report. */
struct config *config_file_accept(const char *text);

/* Reads a text as t.ini; the test fails unless exactly this is reported. */
void config_file_refuse(const char *text, const char *errors);

#endif
