/* HKDF-SHA-256 by OpenSSL, in its two steps: several keys may be expanded from one pseudorandom key.
 * @rfc 5869 @thread any */
#ifndef HKDF_H
#define HKDF_H

#include <stdint.h>

#include "lib/span.h"
#include "lib/srs_err.h"

#define HKDF_SIZE 32

/** @param prk  pseudorandom key; the caller wipes it @return NOMEM */
SRS_MUST_CHECK enum srs_err hkdf_extract(struct span salt, struct span ikm, uint8_t prk[HKDF_SIZE]);
/** @param key  32 bytes; the caller wipes them @return NOMEM */
SRS_MUST_CHECK enum srs_err hkdf_expand(const uint8_t prk[HKDF_SIZE], struct span info, uint8_t key[HKDF_SIZE]);

#endif
