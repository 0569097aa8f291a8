/* SPDX-License-Identifier: MIT */
/*
 * The links of an emulator: each joins an interface in namespace a to one in namespace b by two
 * lanes, ab and ba.
 */
#ifndef LAB_LINK_H
#define LAB_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "lane.h"

enum { LINK_MAX = 64, LINK_NAME_SIZE = 32 };

/* One end: what is read here goes into out, and what comes out of in is written here. */
struct link_end {
    int fd;
    struct lane *out;
    struct lane *in;
    uint64_t refused; /* frames that the interface did not take, being down, say */
};

struct link {
    char name[LINK_NAME_SIZE];
    struct lane lanes[2]; /* ab, ba */
    struct link_end ends[2];
};

struct emulator {
    int epoll;
    int namespaces[2]; /* descriptors of a's and b's */
    uint64_t seed;     /* of the next lane */
    unsigned n_links;
    struct link *links[LINK_MAX];
};

/* The link of a name; NULL when there is none. */
struct link *link_find(const struct emulator *emulator, const char *name);

/* Makes a link and its two interfaces; NULL with errno. */
struct link *link_add(struct emulator *emulator, const char *name, const char *interface_a,
                      const char *interface_b);
void link_free_all(struct emulator *emulator);

/* Delivers what is due, and what that brings forth, on all links. */
void link_run_all(struct emulator *emulator, uint64_t now);

/* Reads what has come to an end, up to a number of frames. */
void link_read(struct link_end *end, uint64_t now);

/* When link_run_all() has something to do again. */
uint64_t link_next(const struct emulator *emulator);

#endif
