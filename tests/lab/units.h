/* SPDX-License-Identifier: MIT */
/* Numbers with their units, as tc writes them: 100mbit, 2.5ms, 64k, 0.5%. */
#ifndef LAB_UNITS_H
#define LAB_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* Each returns false, and leaves the value alone, when the text is not such a number. */
bool units_rate(const char *text, uint64_t *bits_per_second); /* bit, kbit, mbit, gbit */
bool units_time(const char *text, uint64_t *ns);              /* us, ms, s */
bool units_bytes(const char *text, uint64_t *bytes);          /* none, k, m: of 1024 */
bool units_count(const char *text, uint64_t *count);
bool units_share(const char *text, double *share); /* 0% to 100%, or 0 to 1 */

#endif
