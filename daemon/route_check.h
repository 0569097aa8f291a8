/* SPDX-License-Identifier: MIT */
/*
 * Whether the machine's routes let each path leave by the interface that it is meant for, and what
 * is to be done where they do not. The network may be another one later, so this is advice only.
 */
#ifndef BRAIDD_ROUTE_CHECK_H
#define BRAIDD_ROUTE_CHECK_H

#include <stdbool.h>

#include "daemon/config.h"

/* Takes a line: what is wrong, "FILE:LINE: [path NAME] ...", or then a command that mends it. */
typedef void (*route_check_cb)(const char *line, bool command);

/* Looks at all paths of all tunnels that have an interface or a source. */
void route_check(const struct config *config, route_check_cb cb);

#endif
