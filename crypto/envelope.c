#include "crypto/envelope.h"

#include <assert.h>
#include <string.h>

#include <openssl/evp.h>

#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "lib/srs_assert.h"

static_assert(sizeof(((struct reel_stanza *)0)->wrapped) == ENVELOPE_WRAPPED_SIZE,
	      "a stanza holds one secret");
static_assert(sizeof(((struct reel_envelope *)0)->wrapped_dek) == ENVELOPE_WRAPPED_SIZE,
	      "and so does a DEK's");

#define INFO_MAX 64
/* A wrap key is used once, so its nonce need not vary. */
static const uint8_t wrap_nonce[AEAD_NONCE_SIZE];

enum srs_err
envelope_pair_complete(struct envelope_pair *pair)
{
	size_t len = sizeof(pair->public_key);
	EVP_PKEY *key =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, pair->private_key, sizeof(pair->private_key));
	int ok;

	if (key == NULL)
		return SRS_ERR_NOMEM;
	ok = EVP_PKEY_get_raw_public_key(key, pair->public_key, &len);
	EVP_PKEY_free(key);
	return ok == 1 ? SRS_OK : SRS_ERR_NOMEM;
}

enum srs_err
envelope_pair_create(struct envelope_pair *pair)
{
	enum srs_err err = secret_random(pair->private_key, sizeof(pair->private_key));

	if (!err)
		err = envelope_pair_complete(pair);
	if (err)
		secret_wipe(pair, sizeof(*pair));
	return err;
}

/* @return INVALID when the peer's key has small order: RFC 7748 §6.1's all-zero check is OpenSSL's */
static enum srs_err
x25519(const uint8_t private_key[SECRET_KEY_SIZE], const uint8_t public_key[SECRET_KEY_SIZE],
       uint8_t shared[SECRET_KEY_SIZE])
{
	EVP_PKEY *ours = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, SECRET_KEY_SIZE);
	EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key, SECRET_KEY_SIZE);
	EVP_PKEY_CTX *ctx = ours != NULL ? EVP_PKEY_CTX_new(ours, NULL) : NULL;
	size_t len = SECRET_KEY_SIZE;
	enum srs_err err = SRS_ERR_NOMEM;

	if (theirs == NULL || ctx == NULL || EVP_PKEY_derive_init(ctx) != 1)
		goto out;
	if (EVP_PKEY_derive_set_peer(ctx, theirs) == 1 && EVP_PKEY_derive(ctx, shared, &len) == 1 &&
	    len == SECRET_KEY_SIZE)
		err = SRS_OK;
	else
		err = SRS_ERR_INVALID;
out:
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	EVP_PKEY_free(ours);
	return err;
}

/* HKDF(salt = ephemeral || recipient, IKM = shared, info = text || 0x00 || KEK id || KEK version) */
static enum srs_err
wrap_key_derive(const struct envelope_label *label, const uint8_t ephemeral[SECRET_KEY_SIZE],
		const uint8_t recipient[SECRET_KEY_SIZE], const uint8_t shared[SECRET_KEY_SIZE],
		uint8_t key[AEAD_KEY_SIZE])
{
	uint8_t salt[2 * SECRET_KEY_SIZE], info[INFO_MAX], prk[HKDF_SIZE];
	struct filler f = filler_of(info, sizeof(info));
	enum srs_err err;

	memcpy(salt, ephemeral, SECRET_KEY_SIZE);
	memcpy(salt + SECRET_KEY_SIZE, recipient, SECRET_KEY_SIZE);
	write_bytes(&f, label->text, strlen(label->text) + 1); /* its NUL is the stated 0x00 */
	write_bytes(&f, label->kek_id, REEL_ID_SIZE);
	write_u32be(&f, label->kek_version);
	srs_assert(!f.bad);
	err = hkdf_extract(span_of(salt, sizeof(salt)), span_of(shared, SECRET_KEY_SIZE), prk);
	if (!err)
		err = hkdf_expand(prk, span_of(info, filler_used(&f)), key);
	secret_wipe(prk, sizeof(prk));
	return err;
}

static struct aead
wrap_aead(const struct envelope_label *label, const uint8_t key[AEAD_KEY_SIZE])
{
	return (struct aead){
		.suite = REEL_SUITE_AES_256_GCM,
		.key = key,
		.nonce = wrap_nonce,
		.aad = span_of(label->aad, REEL_ID_SIZE),
	};
}

enum srs_err
envelope_seal(const struct envelope_label *label, const uint8_t public_key[SECRET_KEY_SIZE],
	      const uint8_t secret[SECRET_KEY_SIZE], uint8_t ephemeral[SECRET_KEY_SIZE],
	      uint8_t wrapped[ENVELOPE_WRAPPED_SIZE])
{
	struct envelope_pair once;
	uint8_t shared[SECRET_KEY_SIZE], key[AEAD_KEY_SIZE];
	struct aead a = wrap_aead(label, key);
	enum srs_err err = envelope_pair_create(&once);

	if (err)
		return err;
	err = x25519(once.private_key, public_key, shared);
	if (!err)
		err = wrap_key_derive(label, once.public_key, public_key, shared, key);
	if (!err)
		err = aead_seal(&a, span_of(secret, SECRET_KEY_SIZE), wrapped, wrapped + SECRET_KEY_SIZE);
	if (!err)
		memcpy(ephemeral, once.public_key, SECRET_KEY_SIZE);
	secret_wipe(&once, sizeof(once));
	secret_wipe(shared, sizeof(shared));
	secret_wipe(key, sizeof(key));
	return err;
}

enum srs_err
envelope_open(const struct envelope_label *label, const struct envelope_pair *pair,
	      const uint8_t ephemeral[SECRET_KEY_SIZE], const uint8_t wrapped[ENVELOPE_WRAPPED_SIZE],
	      uint8_t secret[SECRET_KEY_SIZE])
{
	uint8_t shared[SECRET_KEY_SIZE], key[AEAD_KEY_SIZE];
	struct aead a = wrap_aead(label, key);
	enum srs_err err = x25519(pair->private_key, ephemeral, shared);

	if (err == SRS_ERR_INVALID)
		err = SRS_ERR_AUTH; /* nobody of ours makes such an ephemeral key */
	if (!err)
		err = wrap_key_derive(label, ephemeral, pair->public_key, shared, key);
	if (!err)
		err = aead_open(&a, span_of(wrapped, SECRET_KEY_SIZE), wrapped + SECRET_KEY_SIZE, secret);
	if (err)
		secret_wipe(secret, SECRET_KEY_SIZE);
	secret_wipe(shared, sizeof(shared));
	secret_wipe(key, sizeof(key));
	return err;
}

/* "capstan dek v1" || 0x00 || suite || interval id */
static size_t
dek_aad_write(uint8_t aad[INFO_MAX], const struct reel_envelope *e)
{
	static const char text[] = "capstan dek v1";
	struct filler f = filler_of(aad, INFO_MAX);

	write_bytes(&f, text, sizeof(text));
	write_u8(&f, (uint8_t)e->suite);
	write_bytes(&f, e->interval_id, sizeof(e->interval_id));
	srs_assert(!f.bad);
	return filler_used(&f);
}

enum srs_err
envelope_dek_wrap(struct reel_envelope *e, const uint8_t interval_key[SECRET_KEY_SIZE], const struct dek *dek)
{
	uint8_t aad[INFO_MAX];
	struct aead a = { .suite = REEL_SUITE_AES_256_GCM, .key = interval_key, .nonce = e->nonce };
	enum srs_err err = secret_random(e->nonce, sizeof(e->nonce));

	if (err)
		return err;
	a.aad = span_of(aad, dek_aad_write(aad, e));
	return aead_seal(&a, span_of(dek->bytes, sizeof(dek->bytes)), e->wrapped_dek,
			 e->wrapped_dek + sizeof(dek->bytes));
}

enum srs_err
envelope_dek_unwrap(const struct reel_envelope *e, const uint8_t interval_key[SECRET_KEY_SIZE],
		    struct dek *dek)
{
	uint8_t aad[INFO_MAX];
	struct aead a = { .suite = REEL_SUITE_AES_256_GCM, .key = interval_key, .nonce = e->nonce };

	a.aad = span_of(aad, dek_aad_write(aad, e));
	return aead_open(&a, span_of(e->wrapped_dek, sizeof(dek->bytes)), e->wrapped_dek + sizeof(dek->bytes),
			 dek->bytes);
}
