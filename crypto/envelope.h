/* How keys are wrapped (docs/format.md, "Keys"): a 32-byte secret sealed to an X25519 public half, and a DEK under
 * an interval key. Knows no store and no rotation; crypto/keystore decides which keys these are. @thread any */
#ifndef ENVELOPE_H
#define ENVELOPE_H

#include <stdint.h>

#include "crypto/seal.h"
#include "lib/reel.h"
#include "lib/srs_err.h"

#define ENVELOPE_WRAPPED_SIZE (SECRET_KEY_SIZE + REEL_TAG_SIZE)

/* An X25519 or Ed25519 pair, raw. The private half belongs in secret memory. */
struct envelope_pair {
	uint8_t private_key[SECRET_KEY_SIZE];
	uint8_t public_key[SECRET_KEY_SIZE];
};
/** New X25519 pair. @return IO (no randomness), NOMEM */
SRS_MUST_CHECK enum srs_err envelope_pair_create(struct envelope_pair *pair);
/** The public half of a private one. @return NOMEM */
SRS_MUST_CHECK enum srs_err envelope_pair_complete(struct envelope_pair *pair);

/* What a sealed secret is, and under which KEK name; both go into the derivation and the AAD. */
struct envelope_label {
	const char *text;			/* "capstan interval v1" or "capstan kek v1" */
	const uint8_t *kek_id;			/* REEL_ID_SIZE */
	uint32_t kek_version;
	const uint8_t *aad;			/* REEL_ID_SIZE: interval id, or the KEK id again */
};
/** Seal to `public_key` with an ephemeral pair of its own. @return INVALID (no usable key), IO, NOMEM */
SRS_MUST_CHECK enum srs_err envelope_seal(const struct envelope_label *label,
                                          const uint8_t public_key[SECRET_KEY_SIZE],
                                          const uint8_t secret[SECRET_KEY_SIZE],
                                          uint8_t ephemeral[SECRET_KEY_SIZE],
                                          uint8_t wrapped[ENVELOPE_WRAPPED_SIZE]);
/** @param secret  wiped unless the tag verifies @return AUTH, NOMEM */
SRS_MUST_CHECK enum srs_err envelope_open(const struct envelope_label *label, const struct envelope_pair *pair,
                                          const uint8_t ephemeral[SECRET_KEY_SIZE],
                                          const uint8_t wrapped[ENVELOPE_WRAPPED_SIZE],
                                          uint8_t secret[SECRET_KEY_SIZE]);

/** Wrap under the interval key that `e` names: reads suite and interval_id, fills nonce and wrapped_dek.
 * @return IO (no randomness), NOMEM */
SRS_MUST_CHECK enum srs_err envelope_dek_wrap(struct reel_envelope *e, const uint8_t interval_key[SECRET_KEY_SIZE],
                                              const struct dek *dek);
/** @param dek  wiped unless the tag verifies @return AUTH, NOMEM */
SRS_MUST_CHECK enum srs_err envelope_dek_unwrap(const struct reel_envelope *e,
                                                const uint8_t interval_key[SECRET_KEY_SIZE], struct dek *dek);

#endif
