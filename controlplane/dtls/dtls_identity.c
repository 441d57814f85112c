#include "controlplane/dtls/dtls_identity.h"

#include <stdio.h>
#include <stdlib.h>

#include "controlplane/dtls/dtls_profile.h"
#include "crypto/secret.h"
#include "lib/srs_assert.h"

/* after srtp_suite.h: openssl/srtp.h has macros of the same names as two of its suites */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#define CURVE             "P-256"
#define CIPHERS           "ECDHE+AESGCM"	/* dtls_record.h counts on it */
#define VALID_BEFORE_S    (24 * 3600)		/* peers whose clock is behind */
#define VALID_AFTER_S     (10 * 365 * 24 * 3600L)	/* a process lives less */
#define SERIAL_SIZE       16
#define PEER_CHAIN_MAX    16384			/* bytes of certificates that a peer may send */

struct dtls_identity {
	SSL_CTX *context;
	char fingerprint[DTLS_FINGERPRINT_TEXT_MAX];
};

static bool
name_fill(X509 *x)
{
	static const unsigned char common[] = "capstan";
	X509_NAME *name = X509_get_subject_name(x);

	/* the same for every recorder: the certificate is sent in clear */
	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(x, name) == 1;
}

static bool
serial_fill(X509 *x)
{
	uint8_t bytes[SERIAL_SIZE];
	BIGNUM *n;
	bool ok;

	if (secret_random(bytes, sizeof(bytes)))
		return false;
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);	/* positive, and not shortened */
	n = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
	BN_free(n);
	return ok;
}

static X509 *
certificate_make(EVP_PKEY *key)
{
	X509 *x = X509_new();

	if (x == NULL)
		return NULL;
	if (X509_set_version(x, X509_VERSION_3) == 1 && serial_fill(x) && name_fill(x) &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -VALID_BEFORE_S) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(x), VALID_AFTER_S) != NULL && X509_set_pubkey(x, key) == 1 &&
	    X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

bool
dtls_fingerprint_text(const struct x509_st *certificate, char text[DTLS_FINGERPRINT_TEXT_MAX])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	size_t at;

	if (X509_digest(certificate, EVP_sha256(), digest, &len) != 1)
		return false;
	at = (size_t)snprintf(text, DTLS_FINGERPRINT_TEXT_MAX, "sha-256 ");
	for (unsigned int i = 0; i < len; i++)
		at += (size_t)snprintf(text + at, DTLS_FINGERPRINT_TEXT_MAX - at, "%s%02X", i != 0 ? ":" : "", digest[i]);
	return true;
}

static bool
context_rule(SSL_CTX *c, const char *profiles)
{
	char groups[] = "X25519:P-256:P-384";

	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_QUERY_MTU |
	                       SSL_OP_CIPHER_SERVER_PREFERENCE);
	(void)SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(c, PEER_CHAIN_MAX);
	return SSL_CTX_set_min_proto_version(c, DTLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(c, DTLS1_2_VERSION) == 1 && SSL_CTX_set_cipher_list(c, CIPHERS) == 1 &&
	       SSL_CTX_set1_groups_list(c, groups) == 1 &&
	       SSL_CTX_set_tlsext_use_srtp(c, profiles) == 0;	/* zero is success here */
}

static bool
identity_fill(struct dtls_identity *id, const char *profiles)
{
	EVP_PKEY *key = EVP_EC_gen(CURVE);
	X509 *x = key != NULL ? certificate_make(key) : NULL;
	bool ok;

	id->context = SSL_CTX_new(DTLS_method());
	ok = x != NULL && id->context != NULL && dtls_fingerprint_text(x, id->fingerprint) &&
	     SSL_CTX_use_certificate(id->context, x) == 1 && SSL_CTX_use_PrivateKey(id->context, key) == 1 &&
	     context_rule(id->context, profiles);
	X509_free(x);
	EVP_PKEY_free(key);
	return ok;
}

enum srs_err
dtls_identity_create(struct dtls_identity **out, const enum srtp_suite suites[], unsigned int n_suites, char *why,
                     size_t why_len)
{
	char profiles[DTLS_PROFILES_TEXT_MAX];
	struct dtls_identity *id;

	*out = NULL;
	if (dtls_profiles_text(suites, n_suites, profiles) == 0) {
		(void)snprintf(why, why_len, "none of srtp.suites can be used with DTLS: name AEAD_AES_256_GCM, "
		                             "AEAD_AES_128_GCM or AES_CM_128_HMAC_SHA1_80, or set srtp.dtls=false");
		return SRS_ERR_INVALID;
	}
	secret_heap_make();
	id = calloc(1, sizeof(*id));
	if (id != NULL && identity_fill(id, profiles)) {
		*out = id;
		return SRS_OK;
	}
	(void)snprintf(why, why_len, "OpenSSL cannot make the DTLS certificate (%s): check its version and configuration, "
	                             "or set srtp.dtls=false", ERR_reason_error_string(ERR_peek_last_error()) != NULL
	                             ? ERR_reason_error_string(ERR_peek_last_error()) : "no memory");
	ERR_clear_error();
	dtls_identity_destroy(id);
	return SRS_ERR_NOMEM;
}

void
dtls_identity_destroy(struct dtls_identity *id)
{
	if (id == NULL)
		return;
	SSL_CTX_free(id->context);	/* the private key goes with it */
	free(id);
}

const char *
dtls_identity_fingerprint(const struct dtls_identity *id)
{
	return id->fingerprint;
}

struct ssl_ctx_st *
dtls_identity_context(const struct dtls_identity *id)
{
	return id->context;
}

static const EVP_MD *
hash_of(enum dtls_hash hash)
{
	switch (hash) {
	case DTLS_SHA1:
		return EVP_sha1();
	case DTLS_SHA224:
		return EVP_sha224();
	case DTLS_SHA256:
		return EVP_sha256();
	case DTLS_SHA384:
		return EVP_sha384();
	case DTLS_SHA512:
		return EVP_sha512();
	case DTLS_HASHES:
		break;
	}
	return NULL;
}

bool
dtls_fingerprint_matches(const struct dtls_fingerprint prints[], unsigned int n, const struct x509_st *certificate)
{
	enum dtls_hash strongest = DTLS_SHA1;
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	bool matches = false;

	for (unsigned int i = 0; i < n; i++) {
		if (prints[i].hash > strongest)
			strongest = prints[i].hash;
	}
	if (hash_of(strongest) == NULL || X509_digest(certificate, hash_of(strongest), digest, &len) != 1)
		return false;
	srs_assert(len <= DTLS_DIGEST_MAX);
	for (unsigned int i = 0; i < n; i++)
		matches |= prints[i].hash == strongest && secret_equal(prints[i].digest, digest, len);
	return matches;
}
