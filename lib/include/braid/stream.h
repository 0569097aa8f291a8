/* SPDX-License-Identifier: MIT */
/**
 * @file braid/stream.h
 * @brief One session, seen by the application: a reliable byte stream in each direction.
 *
 * EV_READ and EV_WRITE, libevent's, name its halves. Callbacks run from the event loop only, never
 * from inside a call of the caller's, and inside one any call but braid_context_free() is allowed,
 * braid_stream_free() of the same stream included.
 */
#ifndef BRAID_STREAM_H
#define BRAID_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <braid/context.h>
#include <braid/options.h>
#include <braid/path.h>

#ifdef __cplusplus
extern "C" {
#endif

struct braid_stream;
struct evbuffer;

/** What an event callback is told; several may come in one call. */
enum braid_stream_event {
    BRAID_EVENT_CONNECTED = 0x01, /**< connecting side: the remote endpoint reached the target */
    BRAID_EVENT_EOF = 0x02,    /**< the peer's half is finished and everything of it was drained */
    BRAID_EVENT_CLOSED = 0x04, /**< both halves are finished and acknowledged */
    BRAID_EVENT_ERROR = 0x08   /**< the stream is broken; braid_stream_get_error() says why */
};

/** Bytes can be peeked (readcb), or reserved again after there was no room (writecb). */
typedef void (*braid_stream_data_cb)(struct braid_stream *stream, void *arg);

/** @param events a set of enum braid_stream_event. After CLOSED or ERROR only free is useful. */
typedef void (*braid_stream_event_cb)(struct braid_stream *stream, unsigned events, void *arg);

/**
 * Connects a new stream to a remote endpoint.
 *
 * The stream accepts bytes at once. All paths are dialled at once, backups when no other connects,
 * and the first to answer carries what there is; the others join. Subflows that die are dialled
 * again for as long as the stream lives.
 *
 * @param options copied; NULL: the defaults
 * @param paths   n of them, each with a remote address; they may be freed right after, and be
 * shared by streams of any thread
 * @param n       1 to 16, with at most 16 subflows in all
 * @return a stream, or NULL (out of memory, or too many or too few paths, subflows or addresses)
 */
BRAID_EXPORT struct braid_stream *braid_stream_connect(struct braid_context *context,
                                                       const struct braid_options *options,
                                                       struct braid_path *const *paths,
                                                       size_t n) BRAID_MUST_CHECK;

/**
 * The same, with a plain path to each of n addresses: one subflow to each of several, or as many to
 * a single one as the options say.
 *
 * @param addresses copied
 */
BRAID_EXPORT struct braid_stream *
braid_stream_connect_addresses(struct braid_context *context, const struct braid_options *options,
                               struct braid_address *const *addresses, size_t n) BRAID_MUST_CHECK;

/**
 * Frees a stream. Before BRAID_EVENT_CLOSED this aborts it: the peer sees a reset. Its callbacks
 * are never called again. NULL is allowed.
 */
BRAID_EXPORT void braid_stream_free(struct braid_stream *stream);

/**
 * Sets the callbacks, any of which may be NULL, and one argument for all of them. What is due
 * already is told from the loop.
 */
BRAID_EXPORT void braid_stream_setcb(struct braid_stream *stream, braid_stream_data_cb readcb,
                                     braid_stream_data_cb writecb, braid_stream_event_cb eventcb,
                                     void *arg);

/**
 * Sets one half's callback with an argument of its own, for who drives the halves apart. The other
 * half and the event callback stay as they are.
 */
BRAID_EXPORT void braid_stream_set_read_cb(struct braid_stream *stream, braid_stream_data_cb cb,
                                           void *arg);
BRAID_EXPORT void braid_stream_set_write_cb(struct braid_stream *stream, braid_stream_data_cb cb,
                                            void *arg);

/**
 * Lets callbacks run (both do at first), or has them wait; bytes travel all the same, as far as
 * there is room for them. Events are always told.
 *
 * @param events EV_READ for readcb, EV_WRITE for writecb, or both
 */
BRAID_EXPORT void braid_stream_enable(struct braid_stream *stream, short events);
BRAID_EXPORT void braid_stream_disable(struct braid_stream *stream, short events);

/** Bytes that braid_stream_write() and braid_stream_write_buffer() let wait at the most. */
#define BRAID_OUTPUT_MAX ((size_t)64 << 20)
/** Bytes that braid_stream_get_input() takes out of the stream at the most. */
#define BRAID_INPUT_MAX ((size_t)256 << 10)

/**
 * Sets the marks between which a half works.
 *
 * For EV_READ: readcb is called when at least `low` bytes can be read, or all that will ever come,
 * or all that fit (see braid_options_set_window(), and less where memory is short); what
 * braid_stream_get_input() holds is at most `high`, the rest waits in the stream, whose window is
 * what bounds it. For EV_WRITE: writecb is called when of what was written no more than `low` bytes
 * wait for room in the stream; a write that is longer than `high`, together with what waits
 * already, is refused.
 *
 * @param events EV_READ, EV_WRITE, or both
 * @param low    default 0
 * @param high   0: the default, BRAID_INPUT_MAX and BRAID_OUTPUT_MAX; otherwise not less than low
 * @return 0, or -1: low is above high
 */
BRAID_EXPORT int braid_stream_setwatermark(struct braid_stream *stream, short events, size_t low,
                                           size_t high);

/**
 * Answers the peer of an accepted stream whether the target could be reached; once.
 *
 * @param error BRAID_OK, or one from BRAID_ERR_RESET on: the stream is then reset with that reason
 */
BRAID_EXPORT void braid_stream_answer(struct braid_stream *stream, int error);

/**
 * Lends memory to read new outgoing bytes into; nothing is sent before braid_stream_commit().
 *
 * @param v   receives the pieces, in order; valid until the next call for this context's streams
 * @param max of v; 8 is plenty
 * @return how many pieces; 0 when the stream has no room now (writecb tells when it has again),
 *         or no more bytes are accepted (shut down, broken)
 */
BRAID_EXPORT int braid_stream_reserve(struct braid_stream *stream, struct iovec *v,
                                      int max) BRAID_MUST_CHECK;

/** Sends the first n bytes of what was reserved; 0 gives all of it back. */
BRAID_EXPORT void braid_stream_commit(struct braid_stream *stream, size_t n);

/**
 * Shows the bytes that arrived in order and were not drained yet.
 *
 * @param v   receives the pieces, in order; valid until braid_stream_drain() or the callback ends
 * @param max of v
 * @return how many pieces; 0: nothing now
 */
BRAID_EXPORT int braid_stream_peek(struct braid_stream *stream, struct iovec *v,
                                   int max) BRAID_MUST_CHECK;

/** Takes n bytes of what was peeked off the stream, which opens the window for as many. */
BRAID_EXPORT void braid_stream_drain(struct braid_stream *stream, size_t n);

/**
 * Sends a copy of bytes. What the stream has no room for yet waits in memory of the caller's
 * process, beside the stream's window; writecb is called, from the loop, once it has gone in.
 *
 * @return 0, or -1, and nothing was taken: more would wait than the high-water mark allows, the
 *         half is finished, the stream is over, or there is no memory
 */
BRAID_EXPORT int braid_stream_write(struct braid_stream *stream, const void *data,
                                    size_t len) BRAID_MUST_CHECK;

/**
 * Sends all that is in a buffer and leaves it empty. Pieces of 16 KiB and more are not copied: the
 * stream keeps them until the peer has acknowledged their bytes. So does it with references
 * (evbuffer_add_reference()), whose cleanup is then run from the loop, or from where the stream is
 * reset or freed or its context is, for smaller ones from this very call; it must not use libbraid,
 * nor wait for a lock that its caller holds.
 *
 * @return as braid_stream_write(); after -1 the buffer is as it was
 */
BRAID_EXPORT int braid_stream_write_buffer(struct braid_stream *stream,
                                           struct evbuffer *buffer) BRAID_MUST_CHECK;

/**
 * Copies bytes that have arrived and takes them off the stream.
 *
 * @return how many, at most len; 0: none now
 */
BRAID_EXPORT size_t braid_stream_read(struct braid_stream *stream, void *data, size_t len);

/**
 * Moves all that has arrived to the end of a buffer.
 *
 * @return 0, or -1: out of memory; what is in the buffer by then was taken off the stream
 */
BRAID_EXPORT int braid_stream_read_buffer(struct braid_stream *stream,
                                          struct evbuffer *buffer) BRAID_MUST_CHECK;

/**
 * The bytes that have arrived, as a buffer of the stream's to drain, and nothing else. It is filled
 * by this call and before each readcb, up to the high-water mark; once some was drained and there
 * is more, readcb is called. What is in it counts as drained: BRAID_EVENT_EOF may come before it is
 * empty. Do not mix this with braid_stream_peek().
 *
 * @return a buffer that goes with the stream, or NULL: out of memory
 */
BRAID_EXPORT struct evbuffer *braid_stream_get_input(struct braid_stream *stream);

/**
 * Finishes one half, or both, which ends the stream once the peer has finished too.
 *
 * EV_WRITE: the peer sees end of file after the last byte that was written or committed; no more is
 * taken. EV_READ: what has arrived and still arrives is thrown away, so that it cannot hold up the
 * peer, which is not told. Again: no effect.
 *
 * @param how EV_READ, EV_WRITE, or both
 */
BRAID_EXPORT void braid_stream_shutdown(struct braid_stream *stream, short how);

/** Breaks the stream off; the peer sees a reset with this reason. Free it afterwards. */
BRAID_EXPORT void braid_stream_reset(struct braid_stream *stream, int error);

/** Why the stream ended: BRAID_OK while it lives or after an orderly end. */
BRAID_EXPORT int braid_stream_get_error(const struct braid_stream *stream);

/** One subflow as it stands; a snapshot. */
struct braid_subflow_info {
    unsigned index;          /**< unique in the stream, never used again */
    unsigned path;           /**< connecting side: index of its path; else a number for it */
    const char *path_name;   /**< connecting side, while the stream lives: that one's name */
    const char *state;       /**< "dialling", "hello", "active", "suspect", "stale"; static */
    uint64_t bytes_sent;     /**< stream bytes handed to it, repeats included */
    uint64_t bytes_received; /**< stream bytes that arrived on it, repeats included */
    uint64_t bytes_resent;   /**< of bytes_sent: what had been sent elsewhere before */
    uint32_t rtt;            /**< smoothed round trip, microseconds; 0: not known yet */
    uint64_t rate;           /**< bytes a second while busy; 0: not known yet */
    struct sockaddr_storage local;
    struct sockaddr_storage peer;
};

/** A stream as it stands; a snapshot. */
struct braid_stream_info {
    uint64_t id;                  /**< the session's */
    uint64_t bytes_sent;          /**< accepted from the application */
    uint64_t bytes_received;      /**< drained by the application */
    uint64_t bytes_resent;        /**< sent again on another subflow, dead subflows' included */
    uint64_t backlog;             /**< accepted and not acknowledged by the peer */
    uint64_t unread;              /**< arrived and not drained */
    unsigned subflows;            /**< alive now */
    unsigned subflows_lost;       /**< died so far */
    bool established;             /**< the peer has answered */
    enum braid_protocol protocol; /**< what is spoken: BRAID_PROTOCOL_1 or BRAID_PROTOCOL_SEED */
    /** Name of the key, or of the certificate, that the peer has proven or has to prove; valid as
     * long as the stream is. "": it has not to prove any. */
    const char *identity;
};

/** Fills in info. */
BRAID_EXPORT void braid_stream_get_info(const struct braid_stream *stream,
                                        struct braid_stream_info *info);

/**
 * Fills in one entry for each subflow, live ones first, then those that died (the latest 16).
 *
 * A dead one has the state "lost".
 *
 * @return how many were filled in, at most max
 */
BRAID_EXPORT size_t braid_stream_get_subflows(const struct braid_stream *stream,
                                              struct braid_subflow_info *infos, size_t max);

#ifdef __cplusplus
}
#endif
#endif
