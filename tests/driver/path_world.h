/* SPDX-License-Identifier: MIT */
/*
 * A world with a few paths, each through a forwarder of its own, for the tests of paths.
 */
#ifndef BRAID_TEST_PATH_WORLD_H
#define BRAID_TEST_PATH_WORLD_H

#include <stdbool.h>

#include "event/path.h"

#include "forwarder.h"
#include "world.h"

#define MIB ((uint64_t)1 << 20)
#define PATHS 3

extern struct world w;
extern struct app app, second;
extern struct forwarder forwarders[PATHS];
extern struct braid_path *paths[PATHS]; /* each through its forwarder */

/* As a checked fixture. */
void path_world_open(void);
void path_world_close(void);

/* The port that a socket is bound to. */
int port_of(int fd);

/* An address where nobody listens; freed with the world. */
const struct braid_address *refusing(void);

/* Where a SYN is never answered: the backlog is full. */
struct silence {
    int fd;
    int fillers[8];
    const struct braid_address *address;
};

void silence_begin(struct silence *silence);
void silence_end(struct silence *silence);

/* Conditions: the application `arg` has an answer, the path `arg` is down, the first accepted
 * application has all that `app` sends. */
bool connected(void *arg);
bool is_down(void *arg);
bool received_all(void *arg);

/* Waits until an application's stream has so many subflows. */
bool wait_subflows(struct app *one, unsigned n, double seconds);

/* How long it takes until a condition holds; fails when that is longer than the limit. */
double seconds_until(condition holds, void *arg, double limit);

const char *state_of(struct braid_path *path);

/* How many dials there are on the path now. */
unsigned count_dials(const struct braid_path *path);

#endif
