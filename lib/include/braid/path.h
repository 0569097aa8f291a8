/* SPDX-License-Identifier: MIT */
/**
 * @file braid/path.h
 * @brief A way to the remote endpoint: from where, to where, and with how many subflows.
 *
 * A path is described first and used by any number of streams then, of any number of contexts and
 * threads; from the first use on its description must not change. What its streams find out about
 * it (whether it works, how far away the other end is) is kept with it, so that a new stream does
 * not begin with a path that is known to be dead.
 */
#ifndef BRAID_PATH_H
#define BRAID_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include <braid/address.h>

#ifdef __cplusplus
extern "C" {
#endif

struct braid_path;

/** Remote addresses that one path may have. */
#define BRAID_PATH_REMOTES 8

/**
 * Makes a path that leaves as the routes say and leads nowhere yet.
 *
 * @param name for log lines and statistics; copied
 * @return a path for braid_path_free(), or NULL: out of memory
 */
BRAID_EXPORT struct braid_path *braid_path_new(const char *name) BRAID_MUST_CHECK;

/** Frees a path; streams that use it still keep what they need. NULL is allowed. */
BRAID_EXPORT void braid_path_free(struct braid_path *path);

/** Its name; valid as long as the path is. */
BRAID_EXPORT const char *braid_path_get_name(const struct braid_path *path);

/**
 * Lets the path's subflows leave by one interface: SO_BINDTODEVICE where the kernel grants it (to
 * everybody since Linux 5.7), else from an address that the interface has then.
 *
 * @param interface at most 15 bytes; it need not exist now. NULL: any
 * @return 0, or -1 when that can be no interface's name
 */
BRAID_EXPORT int braid_path_set_interface(struct braid_path *path, const char *interface);

/**
 * Lets the path's subflows leave from one source address.
 *
 * @param address "192.0.2.7" or "2001:db8::7"; the machine need not have it now. NULL: any
 * @return 0, or -1 when it is no such address
 */
BRAID_EXPORT int braid_path_set_source(struct braid_path *path, const char *address);

/**
 * Adds an address of the remote endpoint. The first that answers is used, until it does not.
 *
 * @param remote copied
 * @return 0, or -1: out of memory, or there are BRAID_PATH_REMOTES already
 */
BRAID_EXPORT int braid_path_add_remote(struct braid_path *path, const struct braid_address *remote);

/**
 * Sets how many subflows a stream has on this path.
 *
 * @param n 0 to 16; 0, the default: as many as braid_options_set_subflows() says
 * @return 0, or -1 when out of range
 */
BRAID_EXPORT int braid_path_set_subflows(struct braid_path *path, unsigned n);

/** Keeps the path for when no other works, at both ends; default: false. */
BRAID_EXPORT void braid_path_set_backup(struct braid_path *path, bool backup);

/**
 * Limits what a stream sends on this path, all its subflows there together.
 *
 * @param bytes a second; 0, the default: no limit
 */
BRAID_EXPORT void braid_path_set_max_rate(struct braid_path *path, uint64_t bytes);

/**
 * Sets the congestion control of the path's subflows, as sent from here. Where the kernel refuses
 * it, the system's default is used, with one line in the log.
 *
 * @param name as in net.ipv4.tcp_available_congestion_control, at most 15 bytes; NULL: the default
 * @return 0, or -1 when that can be no such name
 */
BRAID_EXPORT int braid_path_set_congestion_control(struct braid_path *path, const char *name);

/** What is known about a path; a snapshot. */
struct braid_path_info {
    const char *state;  /**< "unknown", "up", "suspect", "down"; static */
    uint64_t age;       /**< microseconds that it has been so */
    uint32_t rtt;       /**< smoothed round trip, microseconds; 0: not known yet */
    uint64_t rate;      /**< bytes a second that a busy subflow gets on it; 0: not known yet */
    unsigned subflows;  /**< alive on it now, of all streams */
    int error;          /**< while it is down: why; else BRAID_OK */
    const char *reason; /**< the same in words, as "connection refused"; else ""; static */
};

/** Fills in info; from any thread. */
BRAID_EXPORT void braid_path_get_info(struct braid_path *path, struct braid_path_info *info);

/** How the kernel would send what goes over a path. */
struct braid_route {
    char interface[16]; /**< by which it would leave; "": by none */
    char source[46];    /**< its source address; "": not known */
    char gateway[46];   /**< through which; "": directly */
};

/**
 * Asks the kernel which way a path's subflows would take now.
 *
 * @param remote  a numeric one of the path's
 * @param bound   true: as dialled, bound to the interface where that is granted; false: by the
 *                source address alone, the interface's where the path has none
 * @return 0 with route filled in, or an errno: ENETUNREACH and the like: there is no way;
 *         ENODEV: no such interface; EADDRNOTAVAIL: the source address is none of this machine's;
 *         EAFNOSUPPORT: source and remote are of different families, or remote has none
 */
BRAID_EXPORT int braid_path_get_route(const struct braid_path *path,
                                      const struct braid_address *remote, bool bound,
                                      struct braid_route *route);

#ifdef __cplusplus
}
#endif
#endif
