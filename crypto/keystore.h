/* Keys that outlive a call, and the one part of crypto that may touch files.
 *
 * root X25519 pair -> period KEK pair (private half sealed to the root's public half) -> interval key (symmetric,
 * new each 60 s, wrapped once per KEK) -> DEK of a part (wrapped under the interval key in an envelope). Beside
 * them the node's Ed25519 identity, which signs commits. docs/threat-model.md says who can read what. */
#ifndef KEYSTORE_H
#define KEYSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/seal.h"
#include "lib/reel.h"
#include "lib/srs_err.h"

#define KEYSTORE_INTERVAL_S 60
#define KEYSTORE_KEKS_MAX   16384	/* 44 years of daily rotation; then the last one stays */

struct keystore;

struct keystore_spec {
	const char *store;	/* "file" | "memory" */
	const char *path;	/* folder, 0700; files in it 0600; made on first use */
	uint32_t rotation_interval_s;
	bool create;		/* false: fail with STATE when there is no keystore yet (the tool); nothing is written */
	int64_t (*now_s)(void *ctx);	/* unix seconds; NULL: the system's clock. Tests move time */
	void *now_ctx;
};

/** Open, checking permissions, or create. @param why one sentence with the remedy @return IO, AUTH, STATE, INVALID */
SRS_MUST_CHECK enum srs_err keystore_open(struct keystore **out, const struct keystore_spec *spec, char *why,
                                          size_t why_len);
void keystore_close(struct keystore *ks);	/* wipes; accepts NULL */
/** Wipe interval keys whose time is over. Once a second or so, beside keystore_dek_create(), which rolls over by
 * itself: without calls no key outlives its interval in memory. @thread keys */
void keystore_expire(struct keystore *ks);

/** A new DEK and its envelope. Interval and period keys roll over by themselves; the period key with the first
 * interval that begins after its time. When a new period key cannot be written, the old one serves on (logged). The envelope's recording and part
 * are the caller's to fill (they are not covered by the wrapping; the key commitment binds them).
 * @thread keys (one at a time) */
SRS_MUST_CHECK enum srs_err keystore_dek_create(struct keystore *ks, enum reel_suite suite, struct dek *dek,
                                                struct reel_envelope *envelope);
/** Unwrap. @return AUTH: damaged or another store's; STATE: no private half here ("key_not_here") @thread any, one at a time */
SRS_MUST_CHECK enum srs_err keystore_dek_unwrap(struct keystore *ks, const struct reel_envelope *envelope,
                                                struct dek *dek);

/* The node's identity. */
struct keystore_signer;	/* a copy for one thread */
SRS_MUST_CHECK enum srs_err keystore_signer_create(struct keystore_signer **out, const struct keystore *ks);
void keystore_signer_destroy(struct keystore_signer *s);
void keystore_signer_id(const struct keystore_signer *s, uint8_t id[REEL_ID_SIZE]);
SRS_MUST_CHECK enum srs_err keystore_sign(struct keystore_signer *s, struct span message, uint8_t signature[64]);
/** The public half, for verifiers: also kept as `node.pub` (PEM) beside the store. */
void keystore_node_public(const struct keystore *ks, uint8_t id[REEL_ID_SIZE], uint8_t key[32]);
/** Key id = first 16 bytes of SHA-256 of the raw public key. */
void keystore_key_id(const uint8_t public_key[32], uint8_t id[REEL_ID_SIZE]);
SRS_MUST_CHECK enum srs_err keystore_verify(const uint8_t public_key[32], struct span message,
                                            const uint8_t signature[64]);	/* AUTH */
/** Read a PEM public key (node.pub). */
SRS_MUST_CHECK enum srs_err keystore_public_read(const char *pem_path, uint8_t public_key[32]);

/** List KEKs: id, version, created, retired; for `capstan keys ls`. */
struct keystore_kek {
	uint8_t id[REEL_ID_SIZE];
	uint32_t version;
	int64_t created_s;
	bool current;
	bool has_private;
};
unsigned int keystore_keks(const struct keystore *ks, struct keystore_kek *out, unsigned int max);

#endif
