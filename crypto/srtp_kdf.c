#include "crypto/srtp_kdf.h"

#include <string.h>

#include <openssl/evp.h>

#include "crypto/secret.h"

#define LABEL_AT 7     /* key_id = label || r is 7 bytes, right-aligned in the 14 of the salt; r is zero */
#define LEN_MAX	 65536 /* the counter's 16 bits count blocks; no key needs more than this */

static const EVP_CIPHER *
counter_mode(uint8_t key_len)
{
	switch (key_len) {
	case 16:
		return EVP_aes_128_ctr();
	case 24:
		return EVP_aes_192_ctr();
	case 32:
		return EVP_aes_256_ctr();
	default:
		return NULL;
	}
}

enum srs_err
srtp_kdf_derive(const struct srtp_kdf_master *master, enum srtp_kdf_label label, uint8_t *out, uint32_t len)
{
	const EVP_CIPHER *cipher = counter_mode(master->key_len);
	uint8_t iv[16] = { 0 };
	EVP_CIPHER_CTX *ctx;
	enum srs_err err = SRS_OK;
	int n;

	if (cipher == NULL || len > LEN_MAX ||
	    (master->salt_len != SRTP_KDF_SALT_SIZE && master->salt_len != SRTP_KDF_AEAD_SALT_SIZE))
		return SRS_ERR_UNSUPPORTED;
	memset(out, 0, len);
	/* IV = (key_id XOR salt) * 2^16. A salt of 12 bytes is itself multiplied by 2^16 first (RFC 7714 §11). */
	memcpy(iv, master->salt, master->salt_len);
	iv[LABEL_AT] ^= (uint8_t)label;
	ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL)
		return SRS_ERR_NOMEM;
	if (EVP_EncryptInit_ex2(ctx, cipher, master->key, iv, NULL) != 1 ||
	    (len != 0 && EVP_EncryptUpdate(ctx, out, &n, out, (int)len) != 1)) {
		secret_wipe(out, len);
		err = SRS_ERR_NOMEM;
	}
	EVP_CIPHER_CTX_free(ctx);
	secret_wipe(iv, sizeof(iv));
	return err;
}
