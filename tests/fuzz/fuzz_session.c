/* SPDX-License-Identifier: MIT */
/*
 * Whole sessions. Input: one byte chooses the mode, the rest is the mode's.
 */
#include "session_modes.h"

const char fuzz_corpus[] = "session";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};

    if ((fuzz_u8(&input) & 1) == 0)
        fuzz_honest(&input);
    else
        fuzz_hostile(&input);
    return 0;
}
