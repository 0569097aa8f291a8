/* SPDX-License-Identifier: MIT */
/*
 * The two ways in which fuzz_session drives sessions.
 */
#ifndef BRAID_TESTS_SESSION_MODES_H
#define BRAID_TESTS_SESSION_MODES_H

#include "fuzz.h"

/* Two honest sessions; the input chooses what happens in which order. */
void fuzz_honest(struct fuzz_input *input);

/* One honest session; its peer sends what the input says. */
void fuzz_hostile(struct fuzz_input *input);

#endif
