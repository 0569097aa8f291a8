/* SPDX-License-Identifier: MIT */
/*
 * What the daemon may do to the system, once everything is open that needs to be: nothing.
 *
 * There is no way back: from privileges_drop() on the process is the user it was told to be, for
 * good, without any capability, and so is whatever it would start.
 */
#ifndef BRAIDD_PRIVILEGES_H
#define BRAIDD_PRIVILEGES_H

#include <stdbool.h>

#include "daemon/config.h"

/*
 * First thing of all: nothing gains privileges by execve(2) from here on, and no core is dumped.
 * secrets: nor may others of the same user look into this process.
 */
void privileges_begin(bool secrets);

/* Gives a file that was made before, a socket's, to the user. Failures are logged. */
void privileges_give(const struct config *config, const char *path);

/*
 * Becomes the configuration's user, where there is one, with the groups of that user and no
 * others; drops every capability in any case. Before there are threads.
 *
 * Returns 0, or -1 with one line logged.
 */
int privileges_drop(const struct config *config);

#endif
