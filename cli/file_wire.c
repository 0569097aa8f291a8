/* SPDX-License-Identifier: MIT */
#include "cli/file_wire.h"

#include <string.h>

#define MAGIC "BRDF"
#define MAGIC_LEN 4u
#define VERSION 1u

static void put(uint8_t *to, uint64_t value, size_t len)
{
    while (len-- > 0) {
        to[len] = (uint8_t)value;
        value >>= 8;
    }
}

static uint64_t get(const uint8_t *from, size_t len)
{
    uint64_t value = 0;

    while (len-- > 0) {
        value = value << 8 | *from++;
    }
    return value;
}

void file_wire_put_hello(uint8_t *to, const struct file_wire_hello *hello)
{
    memcpy(to, MAGIC, MAGIC_LEN);
    put(to + 4, VERSION, 1);
    put(to + 5, hello->role, 1);
    put(to + 6, 0, 2);
    put(to + 8, hello->length, 8);
}

const char *file_wire_get_hello(const uint8_t *from, struct file_wire_hello *hello)
{
    uint64_t role = get(from + 5, 1);

    if (memcmp(from, MAGIC, MAGIC_LEN) != 0) {
        return "the other end is no braid server or client";
    }
    if (get(from + 4, 1) != VERSION) {
        return "the other end has another version of braid";
    }
    if (role != FILE_WIRE_PUSH && role != FILE_WIRE_PULL) {
        return "the other end neither pushes nor pulls";
    }
    hello->role = role == FILE_WIRE_PUSH ? FILE_WIRE_PUSH : FILE_WIRE_PULL;
    hello->length = get(from + 8, 8);
    return NULL;
}

void file_wire_put_header(uint8_t *to, enum file_wire_type type, size_t len)
{
    put(to, type, 1);
    put(to + 1, len, 3);
}

const char *file_wire_get_header(const uint8_t *from, enum file_wire_role role,
                                 enum file_wire_type *type, size_t *len)
{
    static const char *const wrong = "the other end sent what makes no sense";
    bool push = role == FILE_WIRE_PUSH;
    bool fits = false;

    *len = (size_t)get(from + 1, 3);
    switch (get(from, 1)) {
    case FILE_WIRE_BYTES:
        *type = FILE_WIRE_BYTES;
        fits = push && *len > 0;
        break;
    case FILE_WIRE_END:
        *type = FILE_WIRE_END;
        fits = push && *len == FILE_WIRE_SUM;
        break;
    case FILE_WIRE_DONE:
        *type = FILE_WIRE_DONE;
        fits = !push && *len == FILE_WIRE_SUM;
        break;
    case FILE_WIRE_FAILED:
        *type = FILE_WIRE_FAILED;
        fits = *len <= FILE_WIRE_TEXT;
        break;
    }
    return fits ? NULL : wrong;
}

void file_wire_put_sum(uint8_t *to, const struct file_wire_sum *sum)
{
    put(to, sum->length, 8);
    put(to + 8, sum->crc, 4);
}

void file_wire_get_sum(const uint8_t *from, struct file_wire_sum *sum)
{
    sum->length = get(from, 8);
    sum->crc = (uint32_t)get(from + 8, 4);
}
