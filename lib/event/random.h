/* SPDX-License-Identifier: MIT */
/*
 * Random numbers from the kernel.
 */
#ifndef BRAID_EVENT_RANDOM_H
#define BRAID_EVENT_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/random.h>

/* Fills memory (at most 256 bytes) with random bytes; false: the kernel has none. */
static inline bool braid_random(void *memory, size_t size)
{
    return getrandom(memory, size, 0) == (ssize_t)size;
}

#endif
