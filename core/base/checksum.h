/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): rows and records carry it. */
#ifndef GAMEDAY_BASE_CHECKSUM_H
#define GAMEDAY_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to begin) over the bytes. */
uint32_t checksum_crc32c(uint32_t crc, const void *bytes, size_t length);

/* The same without the processor's instruction; for machines that lack it, and for tests. */
uint32_t checksum_crc32c_table(uint32_t crc, const void *bytes, size_t length);

#endif
