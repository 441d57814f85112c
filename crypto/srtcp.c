#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/srtcp.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "crypto/secret.h"
#include "crypto/srtp_kdf.h"
#include "lib/srs_assert.h"

#define HEAD_SIZE   8 /* first header and the sender's SSRC: never encrypted */
#define SSRC_AT	    4
#define WORD_SIZE   4 /* E flag and index */
#define WORD_E	    0x80000000u
#define SHA1_SIZE   20
#define SHA1_BLOCK  64
#define AES_BLOCK   16
#define GCM_IV_SIZE 12

enum cipher { CTR_128, CTR_192, CTR_256, GCM_128, GCM_256, CIPHERS };

static const char *const cipher_names[CIPHERS] = {
	[CTR_128] = "AES-128-CTR", [CTR_192] = "AES-192-CTR", [CTR_256] = "AES-256-CTR",
	[GCM_128] = "AES-128-GCM", [GCM_256] = "AES-256-GCM",
};

struct srtcp {
	EVP_CIPHER_CTX *ctx[CIPHERS]; /* each bound to its cipher for good: a new key then allocates nothing */
};

/* Where the parts of one protected packet lie. AES-CM (RFC 3711 §3.4): body, word, MKI, tag.
 * AEAD (RFC 7714 §9.2): body, tag, word, MKI. */
struct layout {
	bool aead;
	uint16_t body_len; /* the RTCP packet */
	uint16_t word_at, mki_at, tag_at;
	uint8_t tag_len;
	uint16_t end;
};

static struct layout
layout_of(const struct srtcp_keys *keys, uint16_t body_len)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape(keys->suite);
	struct layout l = { .aead = shape->aead, .body_len = body_len, .tag_len = shape->rtcp_tag_len };

	l.word_at = (uint16_t)(body_len + (l.aead ? l.tag_len : 0));
	l.mki_at = (uint16_t)(l.word_at + WORD_SIZE);
	l.tag_at = l.aead ? body_len : (uint16_t)(l.mki_at + keys->mki_len);
	l.end = (uint16_t)(body_len + WORD_SIZE + keys->mki_len + l.tag_len);
	return l;
}

static uint32_t
load_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
store_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* ---- ciphers ---- */

static EVP_CIPHER_CTX *
cipher_ctx(const struct srtcp *s, const struct srtcp_keys *keys)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape(keys->suite);

	if (shape->aead)
		return s->ctx[shape->key_len == 16 ? GCM_128 : GCM_256];
	return s->ctx[shape->key_len == 16 ? CTR_128 : shape->key_len == 24 ? CTR_192 : CTR_256];
}

/* The context outlives the keys, which their owner wipes: overwrite the round keys that it expanded. */
static void
cipher_forget(EVP_CIPHER_CTX *ctx)
{
	static const uint8_t zeros[SRTP_MASTER_KEY_MAX];

	(void)EVP_CipherInit_ex2(ctx, NULL, zeros, zeros, 1, NULL);
}

/* IV = (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16). @rfc 3711 §4.1.1 */
static bool
cm_crypt(const struct srtcp *s, const struct srtcp_keys *keys, uint8_t *packet, uint16_t body_len, uint32_t index)
{
	EVP_CIPHER_CTX *ctx = cipher_ctx(s, keys);
	uint8_t iv[AES_BLOCK] = { 0 };
	int n = body_len - HEAD_SIZE;
	bool good;

	memcpy(iv, keys->salt, SRTP_KDF_SALT_SIZE);
	for (unsigned int i = 0; i < 4; i++) {
		iv[4 + i] ^= packet[SSRC_AT + i];
		iv[10 + i] ^= (uint8_t)(index >> (24 - 8 * i));
	}
	good = EVP_CipherInit_ex2(ctx, NULL, keys->cipher, iv, 1, NULL) == 1 &&
	       (n == 0 || EVP_CipherUpdate(ctx, packet + HEAD_SIZE, &n, packet + HEAD_SIZE, n) == 1);
	cipher_forget(ctx);
	return good;
}

/* Key, IV and AAD. IV = (00 00 || SSRC || 00 00 || index) XOR salt; the AAD is what stays in clear and, last, the
 * word with E flag and index. @rfc 7714 §9.1, 9.2, 9.3 */
static bool
gcm_begin(EVP_CIPHER_CTX *ctx, const struct srtcp_keys *keys, const uint8_t *packet, const struct layout *l, bool seal)
{
	uint32_t word = load_be32(packet + l->word_at), index = word & SRTCP_INDEX_MAX;
	int clear_len = (word & WORD_E) != 0 ? HEAD_SIZE : l->body_len;
	uint8_t iv[GCM_IV_SIZE];
	int n;

	memcpy(iv, keys->salt, GCM_IV_SIZE);
	for (unsigned int i = 0; i < 4; i++) {
		iv[2 + i] ^= packet[SSRC_AT + i];
		iv[8 + i] ^= (uint8_t)(index >> (24 - 8 * i));
	}
	return EVP_CipherInit_ex2(ctx, NULL, keys->cipher, iv, seal, NULL) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &n, packet, clear_len) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &n, packet + l->word_at, WORD_SIZE) == 1;
}

/* The encrypted part, in place. */
static bool
gcm_body(EVP_CIPHER_CTX *ctx, uint8_t *packet, const struct layout *l)
{
	int n = l->body_len - HEAD_SIZE;

	if ((packet[l->word_at] & 0x80) == 0 || n == 0)
		return true;
	return EVP_CipherUpdate(ctx, packet + HEAD_SIZE, &n, packet + HEAD_SIZE, n) == 1;
}

/* Encrypt; `tag` may stand in the packet. */
static bool
gcm_seal(const struct srtcp *s, const struct srtcp_keys *keys, uint8_t *packet, const struct layout *l, uint8_t *tag)
{
	EVP_CIPHER_CTX *ctx = cipher_ctx(s, keys);
	uint8_t none[AES_BLOCK];
	int n;
	bool good = gcm_begin(ctx, keys, packet, l, true) && gcm_body(ctx, packet, l) &&
		    EVP_CipherFinal_ex(ctx, none, &n) == 1 &&
		    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, l->tag_len, tag) == 1;

	cipher_forget(ctx);
	return good;
}

/* Decrypt in place. @return false: the tag does not verify, and the body is as it came */
static bool
gcm_open(const struct srtcp *s, const struct srtcp_keys *keys, uint8_t *packet, const struct layout *l)
{
	EVP_CIPHER_CTX *ctx = cipher_ctx(s, keys);
	uint8_t none[SRTP_TAG_MAX];
	int n;
	bool begun = gcm_begin(ctx, keys, packet, l, false) &&
		     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, l->tag_len, packet + l->tag_at) == 1 &&
		     gcm_body(ctx, packet, l);
	bool good = begun && EVP_CipherFinal_ex(ctx, none, &n) == 1;

	cipher_forget(ctx);
	if (begun && !good)
		(void)gcm_seal(s, keys, packet, l, none); /* the same key stream once more */
	return good;
}

/* ---- HMAC-SHA1 ---- */

/* The low-level calls, as in crypto/digest: they take no memory and cannot fail. @rfc 2104 */
static void
hmac_half(SHA_CTX *sha, const uint8_t key[SRTP_AUTH_KEY_SIZE], uint8_t pad)
{
	uint8_t block[SHA1_BLOCK];

	memset(block, pad, sizeof(block));
	for (unsigned int i = 0; i < SRTP_AUTH_KEY_SIZE; i++)
		block[i] ^= key[i];
	(void)SHA1_Init(sha);
	(void)SHA1_Update(sha, block, sizeof(block));
	secret_wipe(block, sizeof(block));
}

static void
hmac_sha1(const uint8_t key[SRTP_AUTH_KEY_SIZE], const uint8_t *bytes, size_t len, uint8_t out[SHA1_SIZE])
{
	SHA_CTX sha;

	hmac_half(&sha, key, 0x36);
	(void)SHA1_Update(&sha, bytes, len);
	(void)SHA1_Final(out, &sha);
	hmac_half(&sha, key, 0x5c);
	(void)SHA1_Update(&sha, out, SHA1_SIZE);
	(void)SHA1_Final(out, &sha);
	secret_wipe(&sha, sizeof(sha));
}

/* ---- replay ---- */

static unsigned int
window_find(const struct srtcp_window *w, uint32_t ssrc)
{
	unsigned int i;

	for (i = 0; i < SRTCP_SENDERS_MAX; i++)
		if (w->sender[i].used != 0 && w->sender[i].ssrc == ssrc)
			break;
	return i;
}

static enum packet_index_check
window_check(const struct srtcp_window *w, uint32_t ssrc, uint32_t index)
{
	unsigned int i = window_find(w, ssrc);

	return i == SRTCP_SENDERS_MAX ? PACKET_INDEX_NEW : packet_index_check(&w->sender[i].index, index);
}

/* Only authentic packets come here: a forged SSRC drives out nobody. */
static void
window_commit(struct srtcp_window *w, uint32_t ssrc, uint32_t index)
{
	unsigned int i = window_find(w, ssrc);

	if (i == SRTCP_SENDERS_MAX) {
		i = 0;
		for (unsigned int k = 1; k < SRTCP_SENDERS_MAX; k++)
			if (w->sender[k].used < w->sender[i].used)
				i = k;
		w->sender[i].ssrc = ssrc;
		packet_index_start(&w->sender[i].index, index >> 16, (uint16_t)index);
	}
	packet_index_commit(&w->sender[i].index, index);
	if (++w->uses == 0)
		w->uses = 1; /* 0 would say that the place is free; after 2^32 reports the order starts anew */
	w->sender[i].used = w->uses;
}

/* ---- packets ---- */

static bool
authenticate(const struct srtcp *s, const struct srtcp_keys *keys, uint8_t *packet, const struct layout *l)
{
	uint8_t tag[SHA1_SIZE];

	if (l->aead)
		return gcm_open(s, keys, packet, l); /* decrypted too */
	hmac_sha1(keys->auth, packet, (size_t)l->body_len + WORD_SIZE, tag);
	return secret_equal(tag, packet + l->tag_at, l->tag_len);
}

/* An authentic packet that is not new is given back as it came. */
static enum unprotect_result
refuse(const struct srtcp *s, const struct srtcp_keys *keys, uint8_t *packet, const struct layout *l,
       enum packet_index_check check)
{
	uint8_t tag[SRTP_TAG_MAX];

	if (l->aead)
		(void)gcm_seal(s, keys, packet, l, tag);
	return check == PACKET_INDEX_REPLAYED ? UNPROTECT_REPLAYED : UNPROTECT_TOO_OLD;
}

enum unprotect_result
srtcp_unprotect(struct srtcp *s, const struct srtcp_keys *keys, struct srtcp_window *window, uint8_t *packet,
		uint16_t *len)
{
	uint32_t ssrc, word, index, trailer = layout_of(keys, 0).end;
	enum packet_index_check check;
	struct layout l;

	if (keys->suite == SRTP_SUITE_NONE || *len < HEAD_SIZE + trailer)
		return UNPROTECT_BAD_TAG;
	l = layout_of(keys, (uint16_t)(*len - trailer));
	if (keys->mki_len != 0 && memcmp(packet + l.mki_at, keys->mki, keys->mki_len) != 0)
		return UNPROTECT_BAD_TAG; /* an MKI is public */
	ssrc = load_be32(packet + SSRC_AT);
	word = load_be32(packet + l.word_at);
	index = word & SRTCP_INDEX_MAX;
	if (!authenticate(s, keys, packet, &l))
		return UNPROTECT_BAD_TAG;
	check = window_check(window, ssrc, index);
	if (check != PACKET_INDEX_NEW)
		return refuse(s, keys, packet, &l, check);
	if (!l.aead && (word & WORD_E) != 0 && !cm_crypt(s, keys, packet, l.body_len, index))
		return UNPROTECT_BAD_TAG; /* libcrypto fails only at start of the cipher, before the first byte */
	window_commit(window, ssrc, index);
	*len = l.body_len;
	return UNPROTECT_OK;
}

enum srs_err
srtcp_protect(struct srtcp *s, const struct srtcp_keys *keys, uint32_t index, uint8_t *packet, uint16_t *len)
{
	struct layout l = layout_of(keys, *len);
	uint8_t tag[SHA1_SIZE];

	srs_assert(keys->suite != SRTP_SUITE_NONE);
	srs_assert(*len >= HEAD_SIZE);
	srs_assert(*len <= UINT16_MAX - SRTCP_TRAILER_MAX);
	if (index == 0 || index > SRTCP_INDEX_MAX)
		return SRS_ERR_LIMIT;
	store_be32(packet + l.word_at, WORD_E | index);
	if (keys->mki_len != 0)
		memcpy(packet + l.mki_at, keys->mki, keys->mki_len);
	if (l.aead) {
		if (!gcm_seal(s, keys, packet, &l, packet + l.tag_at))
			return SRS_ERR_NOMEM;
	} else {
		if (!cm_crypt(s, keys, packet, l.body_len, index))
			return SRS_ERR_NOMEM;
		hmac_sha1(keys->auth, packet, (size_t)l.body_len + WORD_SIZE, tag);
		memcpy(packet + l.tag_at, tag, l.tag_len);
	}
	*len = l.end;
	return SRS_OK;
}

/* ---- keys and life ---- */

enum srs_err
srtcp_keys_derive(struct srtcp_keys *keys, const struct srtp_master *master)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape(master->suite);
	struct srtp_kdf_master kdf = { .key_len = shape->key_len, .salt_len = shape->salt_len };
	enum srs_err err;

	memset(keys, 0, sizeof(*keys));
	if (shape->key_len == 0 || master->mki_len > SRTP_MKI_MAX)
		return SRS_ERR_UNSUPPORTED;
	memcpy(kdf.key, master->key, shape->key_len);
	memcpy(kdf.salt, master->salt, shape->salt_len);
	err = srtp_kdf_derive(&kdf, SRTP_KDF_RTCP_CIPHER, keys->cipher, shape->key_len);
	if (!err)
		err = srtp_kdf_derive(&kdf, SRTP_KDF_RTCP_SALT, keys->salt, shape->salt_len);
	if (!err && !shape->aead)
		err = srtp_kdf_derive(&kdf, SRTP_KDF_RTCP_AUTH, keys->auth, sizeof(keys->auth));
	secret_wipe(&kdf, sizeof(kdf));
	if (err) {
		secret_wipe(keys, sizeof(*keys));
		return err;
	}
	keys->suite = master->suite;
	keys->mki_len = master->mki_len;
	memcpy(keys->mki, master->mki, master->mki_len);
	return SRS_OK;
}

static EVP_CIPHER_CTX *
ctx_create(const char *name)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (cipher == NULL || ctx == NULL || EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, 1, NULL) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_CIPHER_free(cipher); /* the context holds it */
	return ctx;
}

struct srtcp *
srtcp_create(void)
{
	struct srtcp *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	for (unsigned int i = 0; i < CIPHERS; i++) {
		s->ctx[i] = ctx_create(cipher_names[i]);
		if (s->ctx[i] == NULL) {
			srtcp_destroy(s);
			return NULL;
		}
	}
	return s;
}

void
srtcp_destroy(struct srtcp *s)
{
	if (s == NULL)
		return;
	for (unsigned int i = 0; i < CIPHERS; i++)
		EVP_CIPHER_CTX_free(s->ctx[i]);
	free(s);
}
