/* SPDX-License-Identifier: MIT */
/* Two ways to write a status: for people, and for programs. */
#ifndef BRAID_CLI_STATUS_PRINT_H
#define BRAID_CLI_STATUS_PRINT_H

#include <stdio.h>

#include "cli/status.h"

/* Tunnels, below each its sessions, below each its subflows. Returns 0, or -1: out of memory. */
int status_print_table(const struct status *status, FILE *out);

/*
 * One object: {"version":1,"daemon":{...},"tunnels":[{...,"sessions":[{...,"subflows":[...]}]}]}.
 * Sizes are bytes, times microseconds, rates bytes a second. What was not told is left out.
 */
void status_print_json(const struct status *status, FILE *out);

#endif
