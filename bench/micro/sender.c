#include "bench/micro/sender.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "crypto/secret.h"
#include "crypto/srtp_kdf.h"

#define RTP_HEADER_SIZE 12

struct sender {
	const struct srtp_suite_shape *shape;
	uint8_t salt[SRTP_MASTER_SALT_MAX];
	uint8_t mki[SRTP_MKI_MAX];
	uint8_t mki_len;
	EVP_CIPHER_CTX *cipher;
	EVP_MAC_CTX *mac;
	EVP_CIPHER *kinds[SRTP_SUITES];	/* fetched once: a fetch costs more than a packet */
};

static const char *const cipher_names[SRTP_SUITES] = {
	[SRTP_AES_CM_128_HMAC_SHA1_80] = "AES-128-CTR", [SRTP_AES_CM_128_HMAC_SHA1_32] = "AES-128-CTR",
	[SRTP_AES_192_CM_HMAC_SHA1_80] = "AES-192-CTR", [SRTP_AES_192_CM_HMAC_SHA1_32] = "AES-192-CTR",
	[SRTP_AES_256_CM_HMAC_SHA1_80] = "AES-256-CTR", [SRTP_AES_256_CM_HMAC_SHA1_32] = "AES-256-CTR",
	[SRTP_AEAD_AES_128_GCM] = "AES-128-GCM", [SRTP_AEAD_AES_256_GCM] = "AES-256-GCM",
};

struct sender *
sender_create(void)
{
	struct sender *s = calloc(1, sizeof(*s));
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	bool ok = s != NULL && hmac != NULL;

	if (ok) {
		s->cipher = EVP_CIPHER_CTX_new();
		s->mac = EVP_MAC_CTX_new(hmac);
		ok = s->cipher != NULL && s->mac != NULL;
	}
	for (unsigned int i = SRTP_SUITE_NONE + 1; ok && i < SRTP_SUITES; i++) {
		s->kinds[i] = EVP_CIPHER_fetch(NULL, cipher_names[i], NULL);
		ok = s->kinds[i] != NULL;
	}
	EVP_MAC_free(hmac);
	if (!ok) {
		sender_destroy(s);
		return NULL;
	}
	return s;
}

void
sender_destroy(struct sender *s)
{
	if (s == NULL)
		return;
	EVP_CIPHER_CTX_free(s->cipher);
	EVP_MAC_CTX_free(s->mac);
	for (unsigned int i = 0; i < SRTP_SUITES; i++)
		EVP_CIPHER_free(s->kinds[i]);
	secret_wipe(s, sizeof(*s));
	free(s);
}

static bool
mac_key_set(struct sender *s, const uint8_t key[SRTP_AUTH_KEY_SIZE])
{
	char digest[] = "SHA1";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_init(s->mac, key, SRTP_AUTH_KEY_SIZE, params) == 1;
}

bool
sender_keys_set(struct sender *s, const struct srtp_master *master)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape((enum srtp_suite)master->suite);
	struct srtp_kdf_master m = { .key_len = shape->key_len, .salt_len = shape->salt_len };
	uint8_t key[SRTP_MASTER_KEY_MAX], auth[SRTP_AUTH_KEY_SIZE];
	bool ok;

	if (shape->key_len == 0 || master->mki_len > SRTP_MKI_MAX)
		return false;
	memcpy(m.key, master->key, shape->key_len);
	memcpy(m.salt, master->salt, shape->salt_len);
	s->shape = shape;
	s->mki_len = master->mki_len;
	memcpy(s->mki, master->mki, SRTP_MKI_MAX);
	ok = srtp_kdf_derive(&m, SRTP_KDF_RTP_CIPHER, key, shape->key_len) == SRS_OK &&
	     srtp_kdf_derive(&m, SRTP_KDF_RTP_SALT, s->salt, shape->salt_len) == SRS_OK &&
	     srtp_kdf_derive(&m, SRTP_KDF_RTP_AUTH, auth, sizeof(auth)) == SRS_OK &&
	     EVP_EncryptInit_ex2(s->cipher, s->kinds[master->suite], key, NULL, NULL) == 1 &&
	     (shape->aead || mac_key_set(s, auth));
	secret_wipe(&m, sizeof(m));
	secret_wipe(key, sizeof(key));
	secret_wipe(auth, sizeof(auth));
	return ok;
}

/* Bytes in front of the payload; 0: they do not fit. @rfc 3711 §3.1 */
static uint32_t
header_len(const uint8_t *packet, uint16_t len)
{
	uint32_t n = RTP_HEADER_SIZE;

	if (len < n)
		return 0;
	n += 4u * (packet[0] & 0x0f);
	if ((packet[0] & 0x10) != 0) {
		if (len < n + 4)
			return 0;
		n += 4 + 4u * (uint32_t)(packet[n + 2] << 8 | packet[n + 3]);
	}
	return n <= len ? n : 0;
}

static void
put_be(uint8_t *p, uint64_t v, unsigned int n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

static void
xor_into(uint8_t *to, const uint8_t *from, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		to[i] ^= from[i];
}

/* IV = salt * 2^16 XOR SSRC * 2^64 XOR index * 2^16; the tag covers packet || ROC; the MKI stands before the tag and is
 * not covered. @rfc 3711 §4.1.1, §4.2, §3.1 */
static bool
protect_cm(struct sender *s, uint64_t packet_index, uint8_t *packet, uint16_t *len, uint32_t head)
{
	uint8_t iv[16] = { 0 }, roc[4], tag[EVP_MAX_MD_SIZE];
	size_t tag_len;
	int n;

	memcpy(iv + 4, packet + 8, 4);
	put_be(iv + 8, packet_index, 6);
	xor_into(iv, s->salt, 14);
	put_be(roc, packet_index >> 16, 4);
	if (EVP_EncryptInit_ex2(s->cipher, NULL, NULL, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(s->cipher, packet + head, &n, packet + head, (int)(*len - head)) != 1 ||
	    EVP_MAC_init(s->mac, NULL, 0, NULL) != 1 || EVP_MAC_update(s->mac, packet, *len) != 1 ||
	    EVP_MAC_update(s->mac, roc, sizeof(roc)) != 1 ||
	    EVP_MAC_final(s->mac, tag, &tag_len, sizeof(tag)) != 1 || tag_len < s->shape->tag_len)
		return false;
	memcpy(packet + *len, s->mki, s->mki_len);
	memcpy(packet + *len + s->mki_len, tag, s->shape->tag_len);
	return true;
}

/* IV = (0 || SSRC || ROC || SEQ) XOR salt; the header is the associated data; the MKI stands behind the tag.
 * @rfc 7714 §8.1, §8.2 */
static bool
protect_gcm(struct sender *s, uint64_t packet_index, uint8_t *packet, uint16_t *len, uint32_t head)
{
	uint8_t iv[12] = { 0 };
	int n;

	memcpy(iv + 2, packet + 8, 4);
	put_be(iv + 6, packet_index, 6);
	xor_into(iv, s->salt, 12);
	if (EVP_EncryptInit_ex2(s->cipher, NULL, NULL, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(s->cipher, NULL, &n, packet, (int)head) != 1 ||
	    EVP_EncryptUpdate(s->cipher, packet + head, &n, packet + head, (int)(*len - head)) != 1 ||
	    EVP_EncryptFinal_ex(s->cipher, packet + *len, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_GET_TAG, s->shape->tag_len, packet + *len) != 1)
		return false;
	memcpy(packet + *len + s->shape->tag_len, s->mki, s->mki_len);
	return true;
}

bool
sender_protect(struct sender *s, uint64_t packet_index, uint8_t *packet, uint16_t *len)
{
	uint32_t head = header_len(packet, *len);

	if (head == 0 || *len > UINT16_MAX - SENDER_TRAILER_MAX)
		return false;
	if (!(s->shape->aead ? protect_gcm : protect_cm)(s, packet_index, packet, len, head))
		return false;
	*len = (uint16_t)(*len + s->mki_len + s->shape->tag_len);
	return true;
}
