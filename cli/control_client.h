/* SPDX-License-Identifier: MIT */
/* Asks braidd something over its control socket, whose protocol daemon/control.h describes. */
#ifndef BRAID_CLI_CONTROL_CLIENT_H
#define BRAID_CLI_CONTROL_CLIENT_H

#include <stddef.h>

/* Where braidd's shipped configuration puts the socket. */
#define CONTROL_CLIENT_PATH "/run/braid/control.sock"

/* Takes one record's line, without its newline, and may change it. NULL, or what is wrong with it.
 */
typedef const char *(*control_client_line_cb)(char *line, void *arg);

/*
 * Sends a command and hands over the lines of its answer.
 *
 * Returns 0, or -1 with one line about what went wrong in error.
 */
int control_client_ask(const char *path, const char *command, control_client_line_cb cb, void *arg,
                       char *error, size_t size);

#endif
