/* SPDX-License-Identifier: MIT */
/**
 * @file braid/listener.h
 * @brief Accepts subflows and pairs them with sessions; each new session is a new stream.
 */
#ifndef BRAID_LISTENER_H
#define BRAID_LISTENER_H

#include <braid/context.h>
#include <braid/options.h>
#include <braid/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

struct braid_listener;
struct sockaddr_storage;

/**
 * Takes a new stream, which is now the callee's (braid_stream_free()).
 *
 * The callee sets callbacks, and answers the peer with braid_stream_answer() once it knows whether
 * what the stream is for can be had. Bytes may be readable already.
 */
typedef void (*braid_listener_cb)(struct braid_listener *listener, struct braid_stream *stream,
                                  void *arg);

/**
 * Listens for subflows on a socket.
 *
 * A first flight that is not a valid preamble, handshake and HELLO in time is closed, and so is the
 * oldest one waiting when too many are (see braid_group_set_hello_time() and
 * braid_group_set_max_half_open()); each with a log line (rate-limited) that names the peer. With a
 * security set in the options, so is one that asks for none. Running out of descriptors pauses
 * accepting for 100 ms at a time; nobody in the backlog is lost.
 *
 * @param options copied; NULL: the defaults
 * @param fd      a listening socket, non-blocking; the listener keeps a duplicate of it, so several
 *                contexts may be given the same one
 * @return a listener, or NULL (out of memory or descriptors)
 */
BRAID_EXPORT struct braid_listener *braid_listener_new(struct braid_context *context,
                                                       const struct braid_options *options, int fd,
                                                       braid_listener_cb cb,
                                                       void *arg) BRAID_MUST_CHECK;

/**
 * Opens listening sockets on several addresses and listens on all of them as one: a session's
 * subflows may come in through any. A log line names an address that cannot be bound.
 *
 * @param addresses n of them, no host names; not kept
 * @return a listener, or NULL with errno set; then none of them is listened on
 */
BRAID_EXPORT struct braid_listener *braid_listener_new_bind(struct braid_context *context,
                                                            const struct braid_options *options,
                                                            struct braid_address *const *addresses,
                                                            size_t n, braid_listener_cb cb,
                                                            void *arg) BRAID_MUST_CHECK;

/**
 * Fills in the addresses that it is bound to, in the order in which they were given: which port the
 * kernel chose where 0 was asked for.
 *
 * @return how many were filled in, at most max
 */
BRAID_EXPORT size_t braid_listener_get_addresses(const struct braid_listener *listener,
                                                 struct sockaddr_storage *addresses, size_t max);

/** Stops listening; its streams live on, but subflows can no longer join them here. */
BRAID_EXPORT void braid_listener_free(struct braid_listener *listener);

/**
 * Refuses new sessions from now on (BRAID_ERR_SHUTDOWN) while subflows may still join those that
 * exist: for draining.
 */
BRAID_EXPORT void braid_listener_disable(struct braid_listener *listener);

/**
 * Ends the listener's sessions of keys or peers that its security no longer has, with
 * BRAID_ERR_SECURITY, and closes subflows that have not greeted yet: after
 * braid_security_replace().
 */
BRAID_EXPORT void braid_listener_recheck(struct braid_listener *listener);

#ifdef __cplusplus
}
#endif
#endif
