/* SPDX-License-Identifier: MIT */
/*
 * Somebody who connects to a world's listener with a bare socket, to say what a test makes up.
 */
#ifndef BRAID_TEST_STRANGER_H
#define BRAID_TEST_STRANGER_H

#include "world.h"

/* Connects, from this address of the machine (NULL: whichever); the descriptor does not block. */
int stranger_connect(const struct world *w, const char *source);

/* A condition on a descriptor (int *): what comes is thrown away; true at its end. */
bool stranger_is_closed(void *fd);

/* What the remote end's group holds. */
struct braid_group_info stranger_info(const struct world *w);

/* Waits until no stranger is half open any more, and checks that none has left memory held. */
void stranger_wait_none(struct world *w);

#endif
