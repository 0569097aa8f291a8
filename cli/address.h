/* SPDX-License-Identifier: MIT */
/* The ADDRESS of braid server and client: tcp://HOST:PORT, or mptcp.N://HOST:PORT[,HOST:PORT]... */
#ifndef BRAID_CLI_ADDRESS_H
#define BRAID_CLI_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include <braid/address.h>

#define ADDRESS_MAX 8u   /* hosts and ports in one */
#define SUBFLOWS_MAX 16u /* N */

struct address {
    bool multipath;    /* mptcp: a session of subflows; else one plain TCP connection */
    unsigned subflows; /* N; 0: none was written */
    size_t count;
    struct braid_address *list[ADDRESS_MAX];
};

/*
 * Reads an address. Returns 0, to be freed with address_clear(), or -1 with a line of what is
 * wrong in why.
 */
int address_parse(struct address *address, const char *text, char *why, size_t size);

void address_clear(struct address *address);

/* The first of its hosts that others than this machine may be behind; NULL: there is none. */
const char *address_abroad(const struct address *address);

#endif
