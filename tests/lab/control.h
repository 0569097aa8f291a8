/* SPDX-License-Identifier: MIT */
/*
 * The emulator's commands, a line each; linkemu --help lists them. Every line is answered by one
 * line: "ok", "error: ..." or, for stats, a JSON object.
 */
#ifndef LAB_CONTROL_H
#define LAB_CONTROL_H

#include <stdint.h>
#include <stdio.h>

#include "link.h"

/* Runs one line, which is changed, and writes the answer. */
void control_line(struct emulator *emulator, char *line, uint64_t now, FILE *out);

/* The commands, for --help. */
void control_help(FILE *out);

#endif
