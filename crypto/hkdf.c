#include "crypto/hkdf.h"

#include <pthread.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "crypto/secret.h"

/* Fetched once: a fetch costs more than the derivation. Never freed; OpenSSL cleans up at exit. */
static EVP_KDF *hkdf;
static pthread_once_t hkdf_once = PTHREAD_ONCE_INIT;

static void
hkdf_fetch(void)
{
	hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
}

static enum srs_err
hkdf_derive(OSSL_PARAM *params, uint8_t out[HKDF_SIZE])
{
	EVP_KDF_CTX *ctx;
	int ok;

	pthread_once(&hkdf_once, hkdf_fetch);
	if (hkdf == NULL)
		return SRS_ERR_NOMEM;
	ctx = EVP_KDF_CTX_new(hkdf);
	if (ctx == NULL)
		return SRS_ERR_NOMEM;
	ok = EVP_KDF_derive(ctx, out, HKDF_SIZE, params);
	EVP_KDF_CTX_free(ctx); /* cleanses its copies of key and info */
	if (ok <= 0) {
		secret_wipe(out, HKDF_SIZE);
		return SRS_ERR_NOMEM; /* lengths are ours and legal: what is left is memory */
	}
	return SRS_OK;
}

/* OSSL_PARAM is not const-correct; the derivation only reads. */
static OSSL_PARAM
param_octets(const char *name, struct span bytes)
{
	union {
		const uint8_t *read_only;
		void *as_openssl_wants;
	} pointer = { .read_only = bytes.bytes };

	return OSSL_PARAM_construct_octet_string(name, pointer.as_openssl_wants, bytes.len);
}

enum srs_err
hkdf_extract(struct span salt, struct span ikm, uint8_t prk[HKDF_SIZE])
{
	int mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		param_octets(OSSL_KDF_PARAM_SALT, salt),
		param_octets(OSSL_KDF_PARAM_KEY, ikm),
		OSSL_PARAM_construct_end(),
	};

	return hkdf_derive(params, prk);
}

enum srs_err
hkdf_expand(const uint8_t prk[HKDF_SIZE], struct span info, uint8_t key[HKDF_SIZE])
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		param_octets(OSSL_KDF_PARAM_KEY, span_of(prk, HKDF_SIZE)),
		param_octets(OSSL_KDF_PARAM_INFO, info),
		OSSL_PARAM_construct_end(),
	};

	return hkdf_derive(params, key);
}
