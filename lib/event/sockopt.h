/* SPDX-License-Identifier: MIT */
/*
 * Socket options, ioctls and tcp_info: everything that is asked of a socket besides moving bytes.
 *
 * Options that an old kernel or another family lacks are left out without a word: none is needed
 * for being right, only for being fast. SO_SNDBUF and SO_RCVBUF are never set, since that turns the
 * kernel's own sizing off.
 */
#ifndef BRAID_EVENT_SOCKOPT_H
#define BRAID_EVENT_SOCKOPT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/session.h"

/* TCP_NODELAY; nothing on other families. */
void braid_sockopt_nodelay(int fd);

/* All that a subflow wants: no delay, keepalive 60/10/6, user timeout 20 s, RTO 50 ms to 1 s. */
void braid_sockopt_subflow(int fd);

/* SO_LINGER 0: closing it is a reset, after which the kernel keeps nothing of it. */
void braid_sockopt_abort(int fd);

/* IP_BIND_ADDRESS_NO_PORT: a bind() to port 0 leaves the choice to connect(). */
void braid_sockopt_late_port(int fd);

/* SO_BINDTODEVICE; 0 or an errno: EPERM where the kernel wants a privilege for it. */
int braid_sockopt_device(int fd, const char *interface);

/* SO_MAX_PACING_RATE, bytes a second. */
void braid_sockopt_max_rate(int fd, uint64_t bytes);

/*
 * Has TCP pace what it sends, at its own rate, where nothing does yet. Trains of segments that are
 * not paced tell CUBIC to leave slow start at half of what the path holds (HyStart, as Linux has
 * it).
 */
void braid_sockopt_pace(int fd);

/* TCP_CONGESTION; 0 or an errno. */
int braid_sockopt_congestion(int fd, const char *name);

/* TCP_NOTSENT_LOWAT. */
void braid_sockopt_lowat(int fd, size_t bytes);

/* Bytes in the socket that TCP has not sent yet; 0 when it cannot say. */
size_t braid_sockopt_unsent(int fd);

/* Bytes in the socket that TCP has not sent, or sent and got no acknowledgement for. */
size_t braid_sockopt_queued(int fd);

/* Takes a sample; false: not a TCP socket, or it cannot be asked any more. */
bool braid_sockopt_sample(int fd, struct braid_sample *sample);

#endif
