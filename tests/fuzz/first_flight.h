/* SPDX-License-Identifier: MIT */
/* What a local endpoint with a key begins a subflow with, as anybody on its way may record it. */
#ifndef BRAID_TESTS_FUZZ_FIRST_FLIGHT_H
#define BRAID_TESTS_FUZZ_FIRST_FLIGHT_H

#include <stddef.h>
#include <stdint.h>

struct braid_options;

struct first_flight {
    struct braid_options *options; /* with the same key, for the endpoint it is meant for */
    uint8_t bytes[4096];
    size_t len;
};

/* The same one at every call: made at the first, with a fresh key. */
const struct first_flight *first_flight(void);

#endif
