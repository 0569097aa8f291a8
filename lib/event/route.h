/* SPDX-License-Identifier: MIT */
/*
 * Questions to the kernel about routes and links, answered at once.
 */
#ifndef BRAID_EVENT_ROUTE_H
#define BRAID_EVENT_ROUTE_H

#include <stdbool.h>

#include "address.h"

struct braid_path;

/* What is asked. */
struct braid_route_question {
    const struct sockaddr *target;
    union braid_endpoint source; /* of the family AF_UNSPEC: not said */
    unsigned interface;          /* index; 0: not said */
};

/* What is answered; families are AF_UNSPEC where there is nothing. */
struct braid_route_answer {
    unsigned interface;
    union braid_endpoint source;
    union braid_endpoint gateway;
};

/* Asks for the way of a connection. Returns 0 or an errno. */
int braid_route_ask(const struct braid_route_question *question, struct braid_route_answer *answer);

/* Whether a link is up and has a carrier. */
bool braid_route_link_runs(unsigned interface);

/*
 * Asks for the way of a path's connections to a target. bound: as they are dialled; else by the
 * source address alone. Returns 0 or an errno, see braid_path_get_route().
 */
int braid_route_of_path(const struct braid_path *path, const struct sockaddr *target, bool bound,
                        struct braid_route_answer *answer);

#endif
