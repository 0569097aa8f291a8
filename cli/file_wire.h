/* SPDX-License-Identifier: MIT */
/*
 * What push and pull say to each other, on any reliable stream. The only place that knows the
 * layout; doc/protocol.md describes it.
 *
 * Each end opens with a hello; then come records, a header and what it says follows: the bytes of
 * the file from the end that pushes, how it ended from both.
 */
#ifndef BRAID_CLI_FILE_WIRE_H
#define BRAID_CLI_FILE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILE_WIRE_HELLO 16u          /* bytes of a hello */
#define FILE_WIRE_HEADER 4u          /* bytes of a record's header */
#define FILE_WIRE_SUM 12u            /* bytes of END's and DONE's payload */
#define FILE_WIRE_TEXT 200u          /* bytes of FAILED's at the most */
#define FILE_WIRE_DATA 0xffffffu     /* of DATA's */
#define FILE_WIRE_UNKNOWN UINT64_MAX /* the length of what is no file */

enum file_wire_role { FILE_WIRE_PUSH = 1, FILE_WIRE_PULL = 2 };

enum file_wire_type {
    FILE_WIRE_BYTES = 1,  /* from push: the file's next bytes */
    FILE_WIRE_END = 2,    /* from push: that was all, and this is its sum */
    FILE_WIRE_DONE = 3,   /* from pull: it is whole and where it belongs */
    FILE_WIRE_FAILED = 4, /* from either: it is not, and this is why */
};

struct file_wire_hello {
    enum file_wire_role role;
    uint64_t length; /* from push: of the file, as far as it is known, for the progress bar */
};

/* What has to be the same at both ends. */
struct file_wire_sum {
    uint64_t length;
    uint32_t crc;
};

/* Each writes as many bytes as its name's constant says. */
void file_wire_put_hello(uint8_t *to, const struct file_wire_hello *hello);
void file_wire_put_header(uint8_t *to, enum file_wire_type type, size_t len);
void file_wire_put_sum(uint8_t *to, const struct file_wire_sum *sum);

/* Reads a hello; NULL, or what is wrong with it. */
const char *file_wire_get_hello(const uint8_t *from, struct file_wire_hello *hello);

/*
 * Reads a header; NULL, or what is wrong with it: a type that role does not send, or a length that
 * the type cannot have.
 */
const char *file_wire_get_header(const uint8_t *from, enum file_wire_role role,
                                 enum file_wire_type *type, size_t *len);

void file_wire_get_sum(const uint8_t *from, struct file_wire_sum *sum);

#endif
