/* SPDX-License-Identifier: MIT */
/**
 * @file braid/dial.h
 * @brief One plain outgoing connection: resolve, connect, hand over the descriptor.
 */
#ifndef BRAID_DIAL_H
#define BRAID_DIAL_H

#include <braid/address.h>
#include <braid/context.h>

#ifdef __cplusplus
extern "C" {
#endif

struct braid_dial;

/**
 * Told once how a dial ended; the dial is gone when this is called.
 *
 * @param fd    the connected descriptor (non-blocking, close-on-exec, TCP_NODELAY), now the
 *              callee's; -1 on failure
 * @param error BRAID_OK, or why not: BRAID_ERR_REFUSED, _UNREACHABLE, _TIMED_OUT, _NAME, _SYSTEM
 * @param arg   as given
 */
typedef void (*braid_dial_cb)(int fd, int error, void *arg);

/**
 * Starts to connect. A name is resolved through the context's asynchronous resolver; its answers
 * are kept for a minute and asked for again after that. All its addresses are tried in turn.
 *
 * @param address      must stay until the callback or braid_dial_cancel()
 * @param milliseconds for the whole of it
 * @param cb           always called from the loop, never from inside this function
 * @return a dial, to cancel it with until cb is called; NULL: out of memory
 */
BRAID_EXPORT struct braid_dial *braid_dial_new(struct braid_context *context,
                                               const struct braid_address *address,
                                               unsigned milliseconds, braid_dial_cb cb,
                                               void *arg) BRAID_MUST_CHECK;

/** Gives a dial up; its callback will not be called. NULL is allowed. */
BRAID_EXPORT void braid_dial_cancel(struct braid_dial *dial);

#ifdef __cplusplus
}
#endif
#endif
