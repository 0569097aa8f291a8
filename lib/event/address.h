/* SPDX-License-Identifier: MIT */
/*
 * What is inside of a braid_address, and of a socket address kept in little room.
 */
#ifndef BRAID_EVENT_ADDRESS_H
#define BRAID_EVENT_ADDRESS_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include <braid/address.h>

enum braid_address_kind { BRAID_ADDRESS_NUMERIC, BRAID_ADDRESS_NAME, BRAID_ADDRESS_UNIX };

struct braid_address {
    enum braid_address_kind kind;
    struct sockaddr_storage sa; /* NUMERIC, UNIX */
    socklen_t sa_len;
    uint16_t port; /* NAME */
    char *host;    /* NAME; points into text's allocation */
    char text[];
};

/* An internet address and port; of a unix socket, nothing but that it is one. */
union braid_endpoint {
    sa_family_t family;
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/* A copy for braid_address_free(); NULL: out of memory. */
struct braid_address *braid_address_copy(const struct braid_address *address);

/* Keeps a socket address. */
void braid_endpoint_set(union braid_endpoint *endpoint, const struct sockaddr *sa);

/* The size of a kept one, as connect(2) and others want it. */
socklen_t braid_endpoint_len(const union braid_endpoint *endpoint);

/* Whether two are the same internet address, whatever the ports. */
bool braid_endpoint_same_host(const union braid_endpoint *a, const union braid_endpoint *b);

#endif
