/* SPDX-License-Identifier: MIT */
/*
 * Memory for secrets: locked, so that it is never swapped out, in no core dump, and wiped before it
 * is given back. And files that are read straight into it.
 */
#ifndef BRAID_EVENT_VAULT_H
#define BRAID_EVENT_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct braid_vault {
    void *memory; /* zeroed; NULL: none */
    size_t size;
    bool locked; /* false: the system allows no more of it */
};

/* Allocates at least size bytes; false: out of memory. */
bool braid_vault_open(struct braid_vault *vault, size_t size);

/* Wipes and frees; one that is not open is allowed. */
void braid_vault_close(struct braid_vault *vault);

/*
 * Reads a whole file that holds a secret: a regular one, closed to group and others, of root, of
 * the user who runs this or of owner, of at most 64 KiB. Access lists may let these in, and nobody
 * else.
 *
 * *len: bytes read; a zero follows them. Returns false with why set, "FILE: what is wrong".
 */
bool braid_vault_read(struct braid_vault *vault, const char *file, uid_t owner, size_t *len,
                      char *why, size_t size);

#endif
