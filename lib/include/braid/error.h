/* SPDX-License-Identifier: MIT */
/**
 * @file braid/error.h
 * @brief Why something ended or was refused.
 *
 * One number space for every reason: what a function reports, what ends a stream, and what
 * travels in HELLO's status, RESET, CLOSE and CONNECT_RESULT (doc/protocol.md). The ranges follow
 * RFC 8803: below 64 the two endpoints' own affairs, from 96 on what happened at the target.
 */
#ifndef BRAID_ERROR_H
#define BRAID_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BRAID_EXPORT __attribute__((visibility("default")))
#define BRAID_MUST_CHECK __attribute__((warn_unused_result))
#else
#define BRAID_EXPORT
#define BRAID_MUST_CHECK
#endif

enum braid_error {
    BRAID_OK = 0,                  /**< an orderly end, or no error */
    BRAID_ERR_PROTOCOL = 1,        /**< the peer sent what the protocol forbids */
    BRAID_ERR_VERSION = 2,         /**< no protocol version in common */
    BRAID_ERR_UNKNOWN_SESSION = 3, /**< a join to a session this endpoint does not have */
    BRAID_ERR_TOKEN = 4,           /**< a join whose token is not the session's */
    BRAID_ERR_LIMIT = 5,           /**< too many sessions or subflows */
    BRAID_ERR_FINISHED = 6,        /**< the session had already ended in order */
    BRAID_ERR_MEMORY = 7,          /**< out of memory, or over its cap */
    BRAID_ERR_TIMEOUT = 8,         /**< no (whole) HELLO, or no answer to one, in time */
    BRAID_ERR_GRACE = 9,           /**< no subflow for longer than the grace time */
    BRAID_ERR_SHUTDOWN = 10,       /**< the endpoint is stopping */
    BRAID_ERR_INSTANCE = 11,       /**< the peer was restarted and lost the session */
    BRAID_ERR_SILENT = 12,         /**< a subflow delivered nothing for too long */
    BRAID_ERR_SUBFLOW_LOST = 13,   /**< a subflow's connection failed or was closed */
    BRAID_ERR_INVALID = 14,        /**< an argument or address that makes no sense */
    BRAID_ERR_SYSTEM = 15,         /**< a system call failed; errno says why */
    BRAID_ERR_SECURITY = 16,       /**< the peer asked for other security than is configured */
    BRAID_ERR_TRUNCATED = 17,      /**< seed's format: bytes are missing at the end, or may be */

    BRAID_ERR_RESET = 96,       /**< the connection to the client or target was reset */
    BRAID_ERR_UNREACHABLE = 97, /**< no route to the target */
    BRAID_ERR_REFUSED = 98,     /**< the target refused the connection */
    BRAID_ERR_TIMED_OUT = 99,   /**< the target did not answer */
    BRAID_ERR_NAME = 100,       /**< the target's name could not be resolved */
    BRAID_ERR_POLICY = 101      /**< the target is not allowed */
};

/**
 * Says a reason in words.
 *
 * @param error one of enum braid_error; any other value gives "unknown error"
 * @return a static string without a full stop, e.g. "connection refused by the target"
 */
BRAID_EXPORT const char *braid_strerror(int error);

#ifdef __cplusplus
}
#endif
#endif
