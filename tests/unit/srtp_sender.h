/* A sender that is not ours: SRTP made with OpenSSL's ciphers, straight from the RFCs. For tests. */
#ifndef SRTP_SENDER_H
#define SRTP_SENDER_H

#define OPENSSL_SUPPRESS_DEPRECATED
#include <stdint.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "crypto/srtp_kdf.h"
#include "crypto/srtp_suite.h"

/** Key `n` of a test: not random, all different. */
static inline struct srtp_master
sender_master(enum srtp_suite suite, unsigned int n)
{
	struct srtp_master m = { .suite = (uint8_t)suite };

	for (unsigned int i = 0; i < srtp_suite_shape(suite)->key_len; i++)
		m.key[i] = (uint8_t)(i * 7 + n * 13 + 1);
	for (unsigned int i = 0; i < srtp_suite_shape(suite)->salt_len; i++)
		m.salt[i] = (uint8_t)(i * 5 + n * 11 + 3);
	return m;
}

static inline uint16_t
sender_header_len(const uint8_t *packet)
{
	uint16_t n = (uint16_t)(12 + 4 * (packet[0] & 0xf));

	return (uint16_t)((packet[0] & 0x10) != 0 ? n + 4 + 4 * (packet[n + 2] << 8 | packet[n + 3]) : n);
}

/** Protect an RTP packet in place under its 48-bit index. @return its new length; 0: OpenSSL refused */
static inline uint16_t
sender_protect(const struct srtp_master *m, uint64_t index, uint8_t *packet, uint16_t len)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape(m->suite);
	struct srtp_kdf_master kdf = { .key_len = shape->key_len, .salt_len = shape->salt_len };
	uint8_t key[32], auth[20], salt[14] = { 0 }, iv[16] = { 0 };
	uint16_t header = sender_header_len(packet), at = len;
	const EVP_CIPHER *cipher = shape->aead ? (shape->key_len == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm())
	                           : shape->key_len == 16 ? EVP_aes_128_ctr()
	                           : shape->key_len == 24 ? EVP_aes_192_ctr()
	                                                  : EVP_aes_256_ctr();
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n, good;

	memcpy(kdf.key, m->key, shape->key_len);
	memcpy(kdf.salt, m->salt, shape->salt_len);
	good = srtp_kdf_derive(&kdf, SRTP_KDF_RTP_CIPHER, key, shape->key_len) == SRS_OK &&
	       srtp_kdf_derive(&kdf, SRTP_KDF_RTP_SALT, salt, shape->salt_len) == SRS_OK &&
	       srtp_kdf_derive(&kdf, SRTP_KDF_RTP_AUTH, auth, sizeof(auth)) == SRS_OK;
	memcpy(iv + (shape->aead ? 2 : 4), packet + 8, 4);
	for (unsigned int i = 0; i < 6; i++)
		iv[(shape->aead ? 6 : 8) + i] = (uint8_t)(index >> (40 - 8 * i));
	for (unsigned int i = 0; i < shape->salt_len; i++)
		iv[i] ^= salt[i];
	good = good && EVP_EncryptInit_ex(ctx, cipher, NULL, key, iv) == 1;
	if (shape->aead) {
		good = good && EVP_EncryptUpdate(ctx, NULL, &n, packet, header) == 1 &&
		       EVP_EncryptUpdate(ctx, packet + header, &n, packet + header, len - header) == 1 &&
		       EVP_EncryptFinal_ex(ctx, packet + len, &n) == 1 &&
		       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, packet + len) == 1;
		at = (uint16_t)(at + 16);
		memcpy(packet + at, m->mki, m->mki_len);
		at = (uint16_t)(at + m->mki_len);
	} else {
		uint8_t tag[EVP_MAX_MD_SIZE], saved[SRTP_MKI_MAX];
		unsigned int tag_len;

		good = good && EVP_EncryptUpdate(ctx, packet + header, &n, packet + header, len - header) == 1;
		for (unsigned int i = 0; i < 4; i++)
			packet[len + i] = (uint8_t)(index >> (40 - 8 * i));
		good = good && HMAC(EVP_sha1(), auth, sizeof(auth), packet, (size_t)len + 4, tag, &tag_len) != NULL;
		memcpy(saved, m->mki, sizeof(saved));
		memcpy(packet + at, saved, m->mki_len);
		memcpy(packet + at + m->mki_len, tag, shape->tag_len);
		at = (uint16_t)(at + m->mki_len + shape->tag_len);
	}
	EVP_CIPHER_CTX_free(ctx);
	return good ? at : 0;
}

#endif
