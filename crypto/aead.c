#include "crypto/aead.h"

#include <limits.h>

#include <openssl/evp.h>

#include "crypto/secret.h"

static const EVP_CIPHER *
aead_cipher(enum reel_suite suite)
{
	switch (suite) {
	case REEL_SUITE_AES_256_GCM:
		return EVP_aes_256_gcm();
	case REEL_SUITE_CHACHA20_POLY1305:
		return EVP_chacha20_poly1305();
	}
	return NULL;
}

/* Key, nonce and AAD go in; both suites' default nonce is AEAD_NONCE_SIZE. */
static enum srs_err
aead_begin(EVP_CIPHER_CTX **out, const struct aead *a, size_t len, int encrypt)
{
	const EVP_CIPHER *cipher = aead_cipher(a->suite);
	EVP_CIPHER_CTX *ctx;
	int n;

	if (cipher == NULL)
		return SRS_ERR_UNSUPPORTED;
	if (len > INT_MAX || a->aad.len > INT_MAX)
		return SRS_ERR_LIMIT;
	ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL)
		return SRS_ERR_NOMEM;
	if (EVP_CipherInit_ex2(ctx, cipher, a->key, a->nonce, encrypt, NULL) != 1 ||
	    (a->aad.len != 0 && EVP_CipherUpdate(ctx, NULL, &n, a->aad.bytes, (int)a->aad.len) != 1)) {
		EVP_CIPHER_CTX_free(ctx);
		return SRS_ERR_NOMEM;
	}
	*out = ctx;
	return SRS_OK;
}

enum srs_err
aead_seal(const struct aead *a, struct span plain, uint8_t *cipher, uint8_t tag[AEAD_TAG_SIZE])
{
	EVP_CIPHER_CTX *ctx;
	uint8_t none[EVP_MAX_BLOCK_LENGTH];
	int n;
	enum srs_err err = aead_begin(&ctx, a, plain.len, 1);

	if (err)
		return err;
	if ((plain.len != 0 && EVP_CipherUpdate(ctx, cipher, &n, plain.bytes, (int)plain.len) != 1) ||
	    EVP_CipherFinal_ex(ctx, none, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, tag) != 1)
		err = SRS_ERR_NOMEM;
	EVP_CIPHER_CTX_free(ctx);
	return err;
}

enum srs_err
aead_open(const struct aead *a, struct span cipher, const uint8_t tag[AEAD_TAG_SIZE], uint8_t *plain)
{
	EVP_CIPHER_CTX *ctx;
	uint8_t expected[AEAD_TAG_SIZE];
	uint8_t none[EVP_MAX_BLOCK_LENGTH];
	int n;
	enum srs_err err = aead_begin(&ctx, a, cipher.len, 0);

	if (err)
		return err;
	memcpy(expected, tag, AEAD_TAG_SIZE); /* the control call takes no const pointer */
	if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, expected) != 1 ||
	    (cipher.len != 0 && EVP_CipherUpdate(ctx, plain, &n, cipher.bytes, (int)cipher.len) != 1))
		err = SRS_ERR_NOMEM;
	else if (EVP_CipherFinal_ex(ctx, none, &n) != 1)
		err = SRS_ERR_AUTH;
	if (err)
		secret_wipe(plain, cipher.len); /* unauthenticated bytes go nowhere */
	EVP_CIPHER_CTX_free(ctx);
	return err;
}
