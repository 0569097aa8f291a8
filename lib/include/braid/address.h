/* SPDX-License-Identifier: MIT */
/**
 * @file braid/address.h
 * @brief A place to listen on or connect to: IPv4, IPv6, a host name, or a unix socket.
 */
#ifndef BRAID_ADDRESS_H
#define BRAID_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include <braid/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sockaddr;

/** An address as it was written; immutable, so any number of threads may share one. */
struct braid_address;

/**
 * Reads an address.
 *
 * Accepted: "192.0.2.1:80", "[2001:db8::1]:80", "name.example:80", "unix:/path". The port is
 * decimal, 1 to 65535 (0 is accepted too: the kernel chooses, for listeners in tests). A unix
 * path is at most 107 bytes.
 *
 * @param text the address; not kept
 * @param why  when not NULL and the result is NULL: set to a static string that says what is wrong
 * @return a new address for braid_address_free(), or NULL (malformed, or out of memory)
 */
BRAID_EXPORT struct braid_address *braid_address_new(const char *text,
                                                     const char **why) BRAID_MUST_CHECK;

/** Frees an address; NULL is allowed. */
BRAID_EXPORT void braid_address_free(struct braid_address *address);

/** The address as it was written; valid as long as the address is. */
BRAID_EXPORT const char *braid_address_text(const struct braid_address *address);

/** Whether it is a host name, which has to be resolved before use. */
BRAID_EXPORT bool braid_address_is_name(const struct braid_address *address);

/** Whether only this machine can be behind it: 127.0.0.0/8, ::1, "localhost", or a unix socket. */
BRAID_EXPORT bool braid_address_is_loopback(const struct braid_address *address);

/**
 * Opens a listening socket: non-blocking, close-on-exec, SO_REUSEADDR; IPv6 only where the
 * address is IPv6. A stale unix socket file, one that nobody listens on, is replaced.
 *
 * @param address not a host name
 * @param backlog as for listen(2)
 * @return a descriptor that the caller owns, or -1 with errno set
 */
BRAID_EXPORT int braid_address_listen(const struct braid_address *address,
                                      int backlog) BRAID_MUST_CHECK;

/**
 * Writes a socket address as "192.0.2.1:80", "[::1]:80" or "unix:/path" ("unix:" when unnamed).
 *
 * @param sa   any of AF_INET, AF_INET6, AF_UNIX; else "?" is written
 * @param buf  receives the text, always terminated
 * @param size of buf; 128 is always enough
 * @return buf
 */
BRAID_EXPORT const char *braid_sockaddr_text(const struct sockaddr *sa, char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
