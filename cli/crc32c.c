/* SPDX-License-Identifier: MIT */
#include "cli/crc32c.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u
/*
 * The instruction takes three cycles and one can be started in each: three parts of a block are
 * summed side by side, and put together by shifting one sum over the length of the next.
 */
#define PART 4096u

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint32_t table[8][256]; /* a byte, followed by so many zero bytes */
static uint32_t shift[4][256]; /* a byte of a sum, followed by PART zero bytes */

static uint32_t over_zeros(uint32_t crc, size_t len)
{
    while (len-- > 0) {
        crc = crc >> 8 ^ table[0][crc & 0xff];
    }
    return crc;
}

static void make_tables(void)
{
    uint32_t bits[32];

    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
        }
        table[0][i] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (int i = 0; i < 256; i++) {
            table[k][i] = over_zeros(table[k - 1][i], 1);
        }
    }
    /* Shifting is linear: what it does to each bit says what it does to all. */
    for (int i = 0; i < 32; i++) {
        bits[i] = over_zeros((uint32_t)1 << i, PART);
    }
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < 256; i++) {
            for (int bit = 0; bit < 8; bit++) {
                if ((i >> bit & 1) != 0) {
                    shift[k][i] ^= bits[8 * k + bit];
                }
            }
        }
    }
}

static uint64_t load(const uint8_t *data)
{
    uint64_t word;

    memcpy(&word, data, sizeof(word));
    return word;
}

static uint32_t sum_bytes(uint32_t crc, const uint8_t *data, size_t len)
{
    while (len-- > 0) {
        crc = crc >> 8 ^ table[0][(crc ^ *data++) & 0xff];
    }
    return crc;
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;

    pthread_once(&once, make_tables);
    crc = ~crc;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t word = load(p) ^ crc;

        crc = table[7][word & 0xff] ^ table[6][word >> 8 & 0xff] ^ table[5][word >> 16 & 0xff] ^
              table[4][word >> 24 & 0xff] ^ table[3][word >> 32 & 0xff] ^
              table[2][word >> 40 & 0xff] ^ table[1][word >> 48 & 0xff] ^ table[0][word >> 56];
    }
#endif
    return ~sum_bytes(crc, p, len);
}

#if defined(__x86_64__)
static uint32_t shifted(uint64_t crc)
{
    return shift[0][crc & 0xff] ^ shift[1][crc >> 8 & 0xff] ^ shift[2][crc >> 16 & 0xff] ^
           shift[3][crc >> 24 & 0xff];
}

__attribute__((target("sse4.2"))) static uint32_t with_sse42(uint32_t crc, const uint8_t *p,
                                                             size_t len)
{
    uint64_t a = ~crc;

    for (; len >= 3 * PART; len -= 3 * PART, p += 3 * PART) {
        uint64_t b = 0;
        uint64_t c = 0;

        for (size_t i = 0; i < PART; i += 8) {
            a = __builtin_ia32_crc32di(a, load(p + i));
            b = __builtin_ia32_crc32di(b, load(p + PART + i));
            c = __builtin_ia32_crc32di(c, load(p + 2 * PART + i));
        }
        a = shifted(shifted(a) ^ b) ^ c;
    }
    for (; len >= 8; len -= 8, p += 8) {
        a = __builtin_ia32_crc32di(a, load(p));
    }
    return ~sum_bytes((uint32_t)a, p, len);
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) {
        pthread_once(&once, make_tables);
        return with_sse42(crc, data, len);
    }
#endif
    return crc32c_portable(crc, data, len);
}
