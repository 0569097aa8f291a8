/* SPDX-License-Identifier: MIT */
#include "gate.h"

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
