/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share: the entry point that libFuzzer and replay.c call, and an input that
 * is taken apart from the front; an empty one gives zeros.
 */
#ifndef BRAID_TESTS_FUZZ_H
#define BRAID_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* What holds for any input, in targets that know nothing of pairs of sessions. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The target's directory below tests/fuzz/corpus. */
extern const char fuzz_corpus[];

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t fuzz_u8(struct fuzz_input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

/* A size: mostly small, the second byte's low bits shift it up. */
static inline size_t fuzz_size(struct fuzz_input *input)
{
    size_t base = fuzz_u8(input);

    return base << (fuzz_u8(input) & 15);
}

/* Takes n bytes, or what is left of them. */
static inline const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t *n)
{
    const uint8_t *at = input->at;

    if (*n > input->left)
        *n = input->left;
    input->at += *n;
    input->left -= *n;
    return at;
}

#endif
