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
 * flow-control window.
 *
 * @param bytes 65,536 to 1 GiB; default 8 MiB
 * @return 0, or -1 when out of range
 */
BRAID_EXPORT int braid_options_set_window(struct braid_options *options, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
