/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C (Castagnoli, as iSCSI and SCTP have it): the checksum of a file that is pushed or pulled.
 * The processor's own instruction is used where there is one.
 */
#ifndef BRAID_CLI_CRC32C_H
#define BRAID_CLI_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what crc is of, followed by len bytes; 0 is the checksum of nothing. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The same without help from the processor, for it to be tested against. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
