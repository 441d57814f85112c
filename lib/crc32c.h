/* CRC-32C (Castagnoli), the check sum of slots: SSE4.2 where the CPU has it, tables elsewhere, the same results.
 * @thread any; nothing here allocates. */
#ifndef CRC32C_H
#define CRC32C_H

#include <stddef.h>
#include <stdint.h>

/** Go on from `crc` (0 to begin): crc32c(crc32c(0, a), b) is the crc of a || b. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t len);

/** The crc of a || b from those of a and of b. */
uint32_t crc32c_join(uint32_t first, uint32_t second, size_t second_len);

/** The same by tables, whatever the CPU: what crc32c() is tested against. */
uint32_t crc32c_portable(uint32_t crc, const void *bytes, size_t len);

#endif
