/* SPDX-License-Identifier: MIT */
#include "gate.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>

/* RFC 8446, 5.1 and 4. */
#define RECORD_HEADER 5
#define MESSAGE_HEADER 4
#define TYPE_HANDSHAKE 22
#define TYPE_CLIENT_HELLO 1

static uint32_t record_length(const struct braid_gate *gate)
{
    return (uint32_t)gate->header[3] << 8 | gate->header[4];
}

/* Whether the first record is a ClientHello, and no less and no more. */
static bool is_hello(const struct braid_gate *gate)
{
    const uint8_t *message = gate->header + RECORD_HEADER;
    uint32_t length = (uint32_t)message[1] << 16 | (uint32_t)message[2] << 8 | message[3];

    return message[0] == TYPE_CLIENT_HELLO && length + MESSAGE_HEADER == record_length(gate);
}

/* A header is whole; false: its record is not allowed. */
static bool judge(struct braid_gate *gate)
{
    uint32_t length = record_length(gate);
    bool handshake = gate->header[0] == TYPE_HANDSHAKE;

    if (handshake && gate->greeted)
        return false;
    if (handshake && gate->fill == RECORD_HEADER)
        return length >= MESSAGE_HEADER && length <= BRAID_GATE_HELLO_MAX;
    if (handshake && !is_hello(gate))
        return false;
    gate->greeted |= handshake;
    gate->left = length - (handshake ? MESSAGE_HEADER : 0);
    gate->fill = 0;
    return true;
}

bool braid_gate_pass(struct braid_gate *gate, const uint8_t *bytes, size_t n)
{
    while (n > 0 && !gate->shut) {
        size_t taken = 1;

        if (gate->left > 0) {
            taken = n < gate->left ? n : gate->left;
            gate->left -= (uint32_t)taken;
        } else {
            gate->header[gate->fill++] = *bytes;
            if (gate->fill == RECORD_HEADER || gate->fill == sizeof gate->header)
                gate->shut = !judge(gate);
        }
        bytes += taken;
        n -= taken;
    }
    return !gate->shut;
}

/* How many bytes have to be there, as far as the first n tell; 0: there is nothing to wait for. */
static uint32_t wanted(const uint8_t *bytes, size_t n)
{
    struct braid_gate gate = {.fill = 0};

    if (n > 0 && bytes[0] != TYPE_HANDSHAKE)
        return 0;
    if (!braid_gate_pass(&gate, bytes, n))
        return 0;
    return BRAID_GATE_HEADER + gate.left;
}

/* Has a socket be readable from so many bytes on. */
static bool set_lowat(int fd, uint32_t bytes)
{
    int lowat = (int)bytes;

    return setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof lowat) == 0;
}

static bool has_ended(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLRDHUP};

    return poll(&poller, 1, 0) > 0;
}

enum braid_gate_state braid_gate_look(int fd, uint32_t *awaited)
{
    uint8_t bytes[BRAID_GATE_HEADER];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_PEEK);
    uint32_t want = wanted(bytes, n < 0 ? 0 : (size_t)n);
    int have = 0;

    if (n == 0 || (n < 0 && errno != EAGAIN))
        return BRAID_GATE_ENDED;
    if (ioctl(fd, SIOCINQ, &have) == 0 && (uint32_t)have < want) {
        if ((uint32_t)have >= *awaited && set_lowat(fd, want)) {
            *awaited = want;
            return BRAID_GATE_WAITING;
        }
        if (has_ended(fd))
            return BRAID_GATE_ENDED;
        /* It is readable all the same: a unix socket, or the kernel is short of memory. */
    }
    if (*awaited > 0)
        (void)set_lowat(fd, 1);
    *awaited = 0;
    return BRAID_GATE_READY;
}
