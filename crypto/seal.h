/* AEAD of chunks. A DEK never meets the cipher itself: HKDF-SHA-256 with the recording id as salt makes from it
 * the chunk key and the key commitment, with suite, format version and part in the info text (docs/format.md).
 * The nonce is the chunk number, which counts up once per part: a (key, nonce) pair is used once by construction.
 *
 * Two implementations that read each other's output: `seal_key` on intel-ipsec-mb for writers, and
 * seal_open_portable() on OpenSSL EVP for the tool and for machines without AES-NI. */
#ifndef SEAL_H
#define SEAL_H

#include <stdint.h>

#include "crypto/secret.h"
#include "lib/reel.h"
#include "lib/srs_err.h"

struct dek {
	uint8_t bytes[SECRET_KEY_SIZE];
};

/** The 32 bytes that chunk 0 carries in clear: binds the envelope's DEK to the recording and part. @thread any */
SRS_MUST_CHECK enum srs_err seal_commitment(const struct dek *dek, const uint8_t recording[REEL_ID_SIZE],
                                            uint32_t part, enum reel_suite suite,
                                            uint8_t commitment[REEL_COMMITMENT_SIZE]);

/* An expanded chunk key, in secret memory of its owner's; fixed size so that tables hold it inline. */
#define SEAL_KEY_SIZE 1088
struct seal_key {
	_Alignas(64) uint8_t expanded[SEAL_KEY_SIZE];
};
struct seal_engine;	/* one per writer thread: an ipsec-mb manager */

struct seal_engine *seal_engine_create(void);	/* NULL: no memory */
void seal_engine_destroy(struct seal_engine *e);
/** Derive and expand the chunk key. Wipe with secret_wipe(). @return UNSUPPORTED (suite) */
SRS_MUST_CHECK enum srs_err seal_key_init(struct seal_engine *e, struct seal_key *key, const struct dek *dek,
                                          const uint8_t recording[REEL_ID_SIZE], uint32_t part,
                                          enum reel_suite suite);
/** Write a whole chunk but for its crc: head from `c`, cipher text of `body` (c->body_len bytes), tag, zeros.
 * `slot` may not overlap `body`. @thread writer */
void seal_chunk(struct seal_engine *e, const struct seal_key *key, const struct reel_chunk *c,
                const uint8_t *body, uint8_t slot[REEL_SLOT_SIZE]);

/** Open a chunk read from disk. @param body at least REEL_BODY_MAX @return AUTH when the tag does not verify */
SRS_MUST_CHECK enum srs_err seal_open_portable(const struct dek *dek, const struct reel_chunk *c,
                                               const uint8_t slot[REEL_SLOT_SIZE], uint8_t *body);

#endif
