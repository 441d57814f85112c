/* Who we are in DTLS: a key and a certificate made at start and never stored, and what every handshake of this process
 * keeps to: DTLS 1.2, AES-GCM with an ephemeral exchange, the peer's certificate asked for, no resumption, no
 * renegotiation. The certificate is signed by itself: the peer knows it by the fingerprint in our answer, as we know
 * the peer's by that in its offer. @rfc 5763 §5, 5764 §4, 8122, 8827 §6.5 */
#ifndef DTLS_IDENTITY_H
#define DTLS_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/srtp_suite.h"
#include "lib/srs_err.h"

struct ssl_ctx_st;
struct x509_st;
struct dtls_identity;

enum dtls_hash { DTLS_SHA1, DTLS_SHA224, DTLS_SHA256, DTLS_SHA384, DTLS_SHA512, DTLS_HASHES };	/* weakest first */
#define DTLS_DIGEST_MAX 64

/* One a=fingerprint line. */
struct dtls_fingerprint {
	enum dtls_hash hash;
	uint8_t digest[DTLS_DIGEST_MAX];	/* as many bytes as the hash has */
};
#define DTLS_FINGERPRINTS_MAX 4		/* of one m-line */

#define DTLS_FINGERPRINT_TEXT_MAX 112	/* "sha-256 AB:CD..." */

/** Make key, certificate and context.
 * @param suites  srtp.suites, preferred first
 * @param why     on failure one sentence that names the remedy
 * @return INVALID: no suite has a DTLS profile; NOMEM: OpenSSL refused @thread any, before handshakes */
SRS_MUST_CHECK enum srs_err dtls_identity_create(struct dtls_identity **out, const enum srtp_suite suites[],
                                                 unsigned int n_suites, char *why, size_t why_len);
void dtls_identity_destroy(struct dtls_identity *id);	/* accepts NULL */

/** The value of our a=fingerprint: SHA-256. @thread any */
const char *dtls_identity_fingerprint(const struct dtls_identity *id);
/** The context that handshakes are made from; borrowed. @thread dtls */
struct ssl_ctx_st *dtls_identity_context(const struct dtls_identity *id);

/** "sha-256 AB:CD:..." of any certificate. @return false: OpenSSL refused @thread any */
bool dtls_fingerprint_text(const struct x509_st *certificate, char text[DTLS_FINGERPRINT_TEXT_MAX]);
/** Is it the certificate that the offer named? Of several fingerprints those with the strongest hash count, and one of
 * them must match; the compare takes the same time wherever they differ. @rfc 8122 §5 @thread any */
bool dtls_fingerprint_matches(const struct dtls_fingerprint prints[], unsigned int n, const struct x509_st *certificate);

#endif
