/* SPDX-License-Identifier: MIT */
/* braid keygen: prints a fresh key. */
#ifndef BRAID_CLI_COMMAND_KEYGEN_H
#define BRAID_CLI_COMMAND_KEYGEN_H

#include <stdio.h>

/* Runs the command; returns the exit status. */
int command_keygen(int argc, char **argv);

/* Writes the options, as --help does. */
void command_keygen_help(FILE *out);

#endif
