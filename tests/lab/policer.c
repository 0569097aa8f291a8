/* SPDX-License-Identifier: MIT */
#include <netinet/in.h>
#include <string.h>

#include "policer.h"

enum { ETHERNET = 14, ETHERTYPE_AT = 12, IPV6_HEADER = 40 };

/* FNV-1a */
static uint64_t hash(uint64_t sum, const unsigned char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ data[i]) * 1099511628211U;
    return sum;
}

/* A hash of addresses and ports; 0 for what is not TCP. Fragments do not occur in the laboratory.
 */
static uint64_t flow_key(const unsigned char *frame, size_t size)
{
    const unsigned char *ip = frame + ETHERNET;
    size_t addresses_at, addresses_size, header;
    uint64_t sum = 14695981039346656037U;

    if (size < ETHERNET + IPV6_HEADER)
        return 0;
    if (frame[ETHERTYPE_AT] == 0x08 && frame[ETHERTYPE_AT + 1] == 0x00 && ip[9] == IPPROTO_TCP) {
        addresses_at = 12;
        addresses_size = 8;
        header = (size_t)(ip[0] & 15) * 4;
    } else if (frame[ETHERTYPE_AT] == 0x86 && frame[ETHERTYPE_AT + 1] == 0xdd &&
               ip[6] == IPPROTO_TCP) {
        addresses_at = 8;
        addresses_size = 32;
        header = IPV6_HEADER;
    } else {
        return 0;
    }
    if (size < ETHERNET + header + 4)
        return 0;
    sum = hash(sum, ip + addresses_at, addresses_size);
    sum = hash(sum, ip + header, 4);
    return sum == 0 ? 1 : sum;
}

/* A flow's bucket; for a new flow that of whichever of the candidates has been full the longest. */
static struct policer_flow *find(struct policer *policer, uint64_t key)
{
    struct policer_flow *oldest = NULL;

    for (size_t i = 0; i < POLICER_PROBES; i++) {
        struct policer_flow *flow = &policer->flows[(key + i) % POLICER_FLOWS];

        if (flow->key == key)
            return flow;
        if (oldest == NULL || flow->full < oldest->full)
            oldest = flow;
    }
    *oldest = (struct policer_flow){.key = key};
    return oldest;
}

bool policer_pass(struct policer *policer, const unsigned char *frame, size_t size, uint64_t now)
{
    struct policer_flow *flow;
    uint64_t key, start, room;

    if (policer->rate == 0)
        return true;
    key = flow_key(frame, size);
    if (key == 0)
        return true;
    flow = find(policer, key);
    start = flow->full > now ? flow->full : now;
    room = policer->burst * 8 * 1000000000U / policer->rate;
    start += (uint64_t)size * 8 * 1000000000U / policer->rate;
    if (start > now + room)
        return false;
    flow->full = start;
    return true;
}
