/* AEAD of one message by OpenSSL EVP: what wraps keys, and what opens chunks where intel-ipsec-mb is not at hand.
 * Writers seal by crypto/seal's engine instead. @thread any */
#ifndef AEAD_H
#define AEAD_H

#include <stdint.h>

#include "lib/reel.h"
#include "lib/span.h"
#include "lib/srs_err.h"

#define AEAD_KEY_SIZE   32
#define AEAD_NONCE_SIZE 12
#define AEAD_TAG_SIZE   16

struct aead {
	enum reel_suite suite;
	const uint8_t *key;	/* AEAD_KEY_SIZE */
	const uint8_t *nonce;	/* AEAD_NONCE_SIZE, never twice with one key */
	struct span aad;
};

/** @param cipher  as long as `plain` @return UNSUPPORTED (suite), NOMEM */
SRS_MUST_CHECK enum srs_err aead_seal(const struct aead *a, struct span plain, uint8_t *cipher,
                                      uint8_t tag[AEAD_TAG_SIZE]);
/** @param plain  as long as `cipher`, wiped unless the tag verifies @return AUTH, UNSUPPORTED (suite), NOMEM */
SRS_MUST_CHECK enum srs_err aead_open(const struct aead *a, struct span cipher, const uint8_t tag[AEAD_TAG_SIZE],
                                      uint8_t *plain);

#endif
