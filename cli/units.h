/* SPDX-License-Identifier: MIT */
/* Numbers for people: "1.5 MiB", "12.3 ms", "940 Mbit/s", "1h 02m". */
#ifndef BRAID_CLI_UNITS_H
#define BRAID_CLI_UNITS_H

#include <stdint.h>

/* Long enough for all of them. */
#define UNITS_TEXT 32

/* Each writes into text, UNITS_TEXT bytes, and returns it. */
const char *units_bytes(uint64_t bytes, char *text);
const char *units_rate(uint64_t bytes_per_second, char *text);
const char *units_latency(uint64_t microseconds, char *text);
const char *units_age(uint64_t microseconds, char *text);

#endif
