/* SPDX-License-Identifier: MIT */
/**
 * @file braid/options.h
 * @brief How streams behave. Copied at use, so options may be changed or freed right after.
 */
#ifndef BRAID_OPTIONS_H
#define BRAID_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include <braid/security.h>

#ifdef __cplusplus
extern "C" {
#endif

struct braid_options;

/** What is spoken on subflows (doc/protocol.md). */
enum braid_protocol {
    BRAID_PROTOCOL_1,     /**< braid's own, version 1 */
    BRAID_PROTOCOL_SEED,  /**< the format of the Rust library Banyc/mptcp */
    BRAID_PROTOCOL_EITHER /**< a listener: whichever of the two a session's subflows begin with */
};

/** New options with the defaults named below; NULL: no memory. */
BRAID_EXPORT struct braid_options *braid_options_new(void) BRAID_MUST_CHECK;

/** Frees options; NULL is allowed. */
BRAID_EXPORT void braid_options_free(struct braid_options *options);

/**
 * Sets how many subflows a connecting stream keeps on each of its paths, but for those that say it
 * themselves.
 *
 * @param n 1 to 16; default: 4 where there is one path, 1 where there are several
 * @return 0, or -1 when out of range
 */
BRAID_EXPORT int braid_options_set_subflows(struct braid_options *options, unsigned n);

/**
 * Sets whether every byte is sent on the two best paths, rather than on one; default: false. A
 * connecting stream asks the other end for the same; of a listener's, it says only what is sent
 * from here.
 */
BRAID_EXPORT void braid_options_set_redundant(struct braid_options *options, bool redundant);

/**
 * Sets what protects subflows. A connecting stream shows its first key, or its certificate; a
 * listener accepts what proves any of its keys, or a certificate of one of its peers, and nothing
 * in clear.
 *
 * @param security shared, not copied; may be freed right after. NULL, the default: nothing protects
 *                 them
 */
BRAID_EXPORT void braid_options_set_security(struct braid_options *options,
                                             struct braid_security *security);

/**
 * Sets how many subflows a listener accepts for one session.
 *
 * @param n 1 to 64; default 16
 * @return 0, or -1 when out of range
 */
BRAID_EXPORT int braid_options_set_max_subflows(struct braid_options *options, unsigned n);

/**
 * Sets how long a session without any subflow is kept.
 *
 * @param milliseconds 0 to 3,600,000; default 60,000
 * @return 0, or -1 when out of range
 */
BRAID_EXPORT int braid_options_set_grace(struct braid_options *options, unsigned milliseconds);

/**
 * Sets the most that one direction of a stream may hold in memory at either end: the cap of the
 * flow-control window. In the seed's format it is how far a subflow may be ahead of the others
 * before it is not read any more; when the next bytes are behind what is not read, which takes a
 * peer that has lost a subflow within a write larger than this, the stream fails with
 * BRAID_ERR_MEMORY.
 *
 * @param bytes 65,536 to 1 GiB; default 8 MiB
 * @return 0, or -1 when out of range
 */
BRAID_EXPORT int braid_options_set_window(struct braid_options *options, size_t bytes);

/**
 * Sets what is spoken on subflows; default: BRAID_PROTOCOL_1. A connecting stream takes
 * BRAID_PROTOCOL_EITHER for that too.
 *
 * The seed's format is for moving from there one side at a time. It has no security, no window, no
 * acknowledgements and no word for a refused target: BRAID_EVENT_CONNECTED only says that subflows
 * have connected. All of them connect before the first byte goes, or those that did within 500 ms
 * of the first; none is dialled again, and without any the stream has failed. What TCP has
 * acknowledged counts as delivered. A listener or stream with a security, or one that is to send
 * redundantly, is not made with it.
 *
 * @return 0, or -1: no such protocol
 */
BRAID_EXPORT int braid_options_set_protocol(struct braid_options *options,
                                            enum braid_protocol protocol);

/**
 * Sets whether a stream in the seed's format has ended when all of its connections have, each
 * between two messages, though the peer did not say that it was the end; default: false, and such a
 * stream fails with BRAID_ERR_TRUNCATED. The seed's own programs end like that when they have sent
 * a file; a program that is killed at the right moment does too.
 */
BRAID_EXPORT void braid_options_set_bare_end(struct braid_options *options, bool bare_end);

#ifdef __cplusplus
}
#endif
#endif
