/* SPDX-License-Identifier: MIT */
/* The command lines of braid server and braid client. */
#ifndef BRAID_CLI_FILE_OPTIONS_H
#define BRAID_CLI_FILE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/address.h"

#define FILE_PATHS_MAX 16u

struct file_options {
    const char *program; /* "braid server", for messages */
    bool server;
    bool push;
    bool serve;     /* go on after the first client */
    bool insecure;  /* in clear, though others than this machine are concerned */
    bool seed;      /* in the seed's format: the bytes of the file and nothing else */
    bool bare_end;  /* pull, seed: the end of all connections is the end of the file */
    unsigned grace; /* milliseconds */
    const char *file;
    const char *key; /* file with the key that both ends have; NULL: none */
    struct address address;
    const char *paths[FILE_PATHS_MAX]; /* interfaces or source addresses */
    size_t path_count;
};

/*
 * Reads a command line; what is wrong is said on standard error. Returns -1 to go on, to be freed
 * with file_options_clear(), or the exit status: of --help, or of a mistake.
 */
int file_options_parse(struct file_options *options, int argc, char **argv);

void file_options_clear(struct file_options *options);

#endif
