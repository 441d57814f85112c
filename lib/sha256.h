/* SHA-256 (FIPS 180-4) for the 64 bytes of a container header, which this folder writes and reads without a crypto
 * library. Everything with a rate is hashed by crypto/digest. @thread any; nothing here allocates. */
#ifndef SHA256_H
#define SHA256_H

#include <stdint.h>

#define SHA256_SIZE 32

/** Fits merkle_hash. */
void sha256(const uint8_t *bytes, uint32_t len, uint8_t out[SHA256_SIZE]);

#endif
