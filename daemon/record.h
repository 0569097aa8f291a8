/* SPDX-License-Identifier: MIT */
/*
 * How values are written into the control protocol: " name=VALUE", percent-encoded so that no value
 * holds a space, a comma, "=", "%", or anything that is not printable ASCII.
 */
#ifndef BRAIDD_RECORD_H
#define BRAIDD_RECORD_H

#include <stdio.h>

/* Writes " name=" and the value. */
void record_value(FILE *out, const char *name, const char *value);

/* Writes only the value, encoded: for lists, which are values with commas in between. */
void record_encode(FILE *out, const char *value);

#endif
