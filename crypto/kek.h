/* A period's KEK: an X25519 pair whose private half is sealed to the root's public half, and its file. Nothing in
 * here is secret while it is sealed. docs/format.md, "Keystore files". @thread any */
#ifndef KEK_H
#define KEK_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/digest.h"
#include "crypto/envelope.h"
#include "lib/span.h"
#include "lib/srs_err.h"

#define KEK_SIGNED_LEN 168	/* of the file, before its digest */
#define KEK_FILE_LEN   (KEK_SIGNED_LEN + DIGEST_SIZE)
#define KEK_NAME_MAX   64

struct kek {
	uint8_t id[REEL_ID_SIZE];	/* keystore_key_id() of the public half */
	uint32_t version;		/* counts up in a store, from 1 */
	int64_t created_s;		/* unix time */
	uint8_t root_id[REEL_ID_SIZE];	/* keystore_key_id() of the root that it is sealed to */
	uint8_t public_key[SECRET_KEY_SIZE];
	uint8_t ephemeral[SECRET_KEY_SIZE];
	uint8_t wrapped[ENVELOPE_WRAPPED_SIZE];
};

/** A new pair with version and created_s as set in `k`, sealed to `root`. @return IO (no randomness), NOMEM */
SRS_MUST_CHECK enum srs_err kek_create(struct kek *k, const uint8_t root_public[SECRET_KEY_SIZE]);
/** The pair, to secret memory. @return AUTH (damaged, or another root's), NOMEM */
SRS_MUST_CHECK enum srs_err kek_open(const struct kek *k, const struct envelope_pair *root,
                                     struct envelope_pair *pair);

void kek_encode(const struct kek *k, uint8_t bytes[KEK_FILE_LEN]);
/** @return INVALID (damaged), UNSUPPORTED (a later format) */
SRS_MUST_CHECK enum srs_err kek_decode(struct kek *k, struct span bytes);
/** The file's name, kek-<version>-<id>.key. */
void kek_name(const struct kek *k, char name[KEK_NAME_MAX]);
/** Is this such a name? Its version counts even when the file turns out damaged. */
bool kek_name_read(const char *name, uint32_t *version);

#endif
