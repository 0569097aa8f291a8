/* SPDX-License-Identifier: MIT */
/* "braid status": what the daemon does now, as a table or as JSON. */
#ifndef BRAID_CLI_COMMAND_STATUS_H
#define BRAID_CLI_COMMAND_STATUS_H

#include <stdio.h>

/* Runs the command; argv[0] is "status". Returns the program's exit status. */
int command_status(int argc, char **argv);

/* Writes what "braid status --help" says. */
void command_status_help(FILE *out);

#endif
