/* What one row of the ledger holds: a payload that anyone with the run's seed can compute again,
 * and a checksum over everything that was meant to be written. */
#ifndef GAMEDAY_WORKLOAD_LEDGER_ROW_H
#define GAMEDAY_WORKLOAD_LEDGER_ROW_H

#include <stddef.h>
#include <stdint.h>

/* Writes `size` pseudo-random characters from '0' to 'O' (ASCII 48 to 79: nothing that needs to be
 * quoted or escaped anywhere) and a NUL to `ret_text`; the same arguments give the same text. */
void ledger_payload(uint64_t seed, uint32_t identity, uint64_t sequence, size_t size,
                    char *ret_text);
/* CRC-32C over identity (4 bytes), sequence (8 bytes), both little-endian, and the payload. */
uint32_t ledger_checksum(uint32_t identity, uint64_t sequence, const char *payload, size_t length);

#endif
