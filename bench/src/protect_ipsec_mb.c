/* intel-ipsec-mb as an engine: RTP by its direct GCM calls and its chained jobs, key derivation and the few RTCP
 * packets by libcrypto. */
#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "protect_engine.h"

#define AUTH_KEY_LEN   20
#define SHA1_LEN       20
#define RTCP_INDEX_MAX 0x7fffffffu
#define RTCP_E_FLAG    0x80000000u

/* Labels of RFC 3711 §4.3.2. */
enum label { RTP_CIPHER, RTP_AUTH, RTP_SALT, RTCP_CIPHER, RTCP_AUTH, RTCP_SALT };

struct source {
	uint32_t ssrc;
	uint64_t highest;	/* index of the newest packet */
	uint32_t roc;		/* of the first packet */
	bool begun;
};

struct state {
	union {
		struct gcm_key_data gcm;
		uint8_t aes[15 * 16] __attribute__((aligned(16)));
	} rtp_key;
	uint8_t ipad[SHA1_LEN] __attribute__((aligned(16)));
	uint8_t opad[SHA1_LEN] __attribute__((aligned(16)));
	uint8_t rtp_salt[14];
	const struct protect_shape *shape;
	uint8_t rtcp_key[PROTECT_KEY_MAX], rtcp_salt[14], rtcp_auth[AUTH_KEY_LEN];
	uint8_t mki[PROTECT_MKI_MAX];
	uint8_t mki_len;
	struct source sources[PROTECT_SOURCES_MAX];
	unsigned int n_sources;
	uint32_t rtcp_index;		/* of our last packet; the first is 1 */
	uint32_t opened_highest;	/* of the peer's, with a window of 64 below */
	uint64_t opened;
};

/* One program, one thread that sends. */
static IMB_MGR *mgr;

/* ---- keys ---- */

/* RFC 3711 §4.3.1 with key derivation rate 0, by AES-CM of the master key's own size (RFC 6188 §3); a 12-byte salt has
 * two zeros behind it (RFC 7714 §11). */
static bool
derive(const struct protect_keys *keys, enum label label, uint8_t *out, int out_len)
{
	const struct protect_shape *shape = protect_shape(keys->suite);
	const EVP_CIPHER *cipher = shape->key_len == 16 ? EVP_aes_128_ctr()
	                         : shape->key_len == 24 ? EVP_aes_192_ctr() : EVP_aes_256_ctr();
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t iv[16] = { 0 }, zeros[PROTECT_KEY_MAX] = { 0 };
	int n = 0;
	bool ok;

	memcpy(iv, keys->salt, shape->salt_len);
	iv[7] ^= (uint8_t)label;
	ok = ctx != NULL && EVP_EncryptInit_ex(ctx, cipher, NULL, keys->key, iv) == 1 &&
	     EVP_EncryptUpdate(ctx, out, &n, zeros, out_len) == 1 && n == out_len;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static void
expand(struct state *s, const uint8_t *key, const uint8_t *auth)
{
	uint8_t unused[15 * 16] __attribute__((aligned(16)));
	uint8_t block[64];

	if (s->shape->aead) {
		if (s->shape->key_len == 16)
			IMB_AES128_GCM_PRE(mgr, key, &s->rtp_key.gcm);
		else
			IMB_AES256_GCM_PRE(mgr, key, &s->rtp_key.gcm);
		return;
	}
	if (s->shape->key_len == 16)
		IMB_AES_KEYEXP_128(mgr, key, s->rtp_key.aes, unused);
	else if (s->shape->key_len == 24)
		IMB_AES_KEYEXP_192(mgr, key, s->rtp_key.aes, unused);
	else
		IMB_AES_KEYEXP_256(mgr, key, s->rtp_key.aes, unused);
	for (int i = 0; i < 64; i++)
		block[i] = (uint8_t)((i < AUTH_KEY_LEN ? auth[i] : 0) ^ 0x36);
	IMB_SHA1_ONE_BLOCK(mgr, block, s->ipad);
	for (int i = 0; i < 64; i++)
		block[i] ^= 0x36 ^ 0x5c;
	IMB_SHA1_ONE_BLOCK(mgr, block, s->opad);
	OPENSSL_cleanse(unused, sizeof(unused));
	OPENSSL_cleanse(block, sizeof(block));
}

static void
destroy(void *state)
{
	OPENSSL_cleanse(state, sizeof(struct state));
	free(state);
}

static void *
create(const struct protect_keys *keys)
{
	struct state *s = aligned_alloc(64, (sizeof(*s) + 63) & ~(size_t)63);
	uint8_t key[PROTECT_KEY_MAX], auth[AUTH_KEY_LEN];
	bool ok;

	if (mgr == NULL && (mgr = alloc_mb_mgr(0)) != NULL)
		init_mb_mgr_auto(mgr, NULL);
	if (s == NULL || mgr == NULL) {
		free(s);
		return NULL;
	}
	memset(s, 0, sizeof(*s));
	s->shape = protect_shape(keys->suite);
	memcpy(s->mki, keys->mki, sizeof(s->mki));
	s->mki_len = keys->mki_len;
	ok = derive(keys, RTP_CIPHER, key, s->shape->key_len) && derive(keys, RTP_AUTH, auth, AUTH_KEY_LEN) &&
	     derive(keys, RTP_SALT, s->rtp_salt, s->shape->salt_len) &&
	     derive(keys, RTCP_CIPHER, s->rtcp_key, s->shape->key_len) &&
	     derive(keys, RTCP_AUTH, s->rtcp_auth, AUTH_KEY_LEN) &&
	     derive(keys, RTCP_SALT, s->rtcp_salt, s->shape->salt_len);
	if (ok)
		expand(s, key, auth);
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(auth, sizeof(auth));
	if (!ok) {
		destroy(s);
		return NULL;
	}
	return s;
}

/* ---- index ---- */

static struct source *
source_of(struct state *s, uint32_t ssrc)
{
	for (unsigned int i = 0; i < s->n_sources; i++)
		if (s->sources[i].ssrc == ssrc)
			return &s->sources[i];
	if (s->n_sources == PROTECT_SOURCES_MAX)
		return NULL;
	s->sources[s->n_sources].ssrc = ssrc;
	return &s->sources[s->n_sources++];
}

static bool
start(void *state, uint32_t ssrc, uint32_t roc)
{
	struct source *source = source_of(state, ssrc);

	if (source == NULL)
		return false;
	source->roc = roc;
	source->begun = false;
	return true;
}

/* ROC || SEQ, nearest to the newest packet (RFC 3711 §3.3.1), and that one moved on. */
static uint64_t
next_index(struct source *source, uint16_t seq)
{
	uint64_t roc = source->begun ? source->highest >> 16 : source->roc;
	int gap = (int)seq - (int)(source->highest & 0xffff);

	if (source->begun && gap < -0x8000)
		roc++;
	else if (source->begun && gap > 0x8000 && roc > 0)
		roc--;
	if (!source->begun || (roc << 16 | seq) > source->highest)
		source->highest = roc << 16 | seq;
	source->begun = true;
	return roc << 16 | seq;
}

/* ---- RTP ---- */

static void
put32(uint8_t *b, uint32_t v)
{
	b[0] = (uint8_t)(v >> 24);
	b[1] = (uint8_t)(v >> 16);
	b[2] = (uint8_t)(v >> 8);
	b[3] = (uint8_t)v;
}

/* AES-CM: salt * 2^16 xor SSRC * 2^64 xor index * 2^16 (RFC 3711 §4.1.1). */
static void
counter_iv(uint8_t iv[16], const uint8_t salt[14], const uint8_t ssrc[4], uint64_t index)
{
	memcpy(iv, salt, 14);
	iv[14] = iv[15] = 0;
	for (int i = 0; i < 4; i++)
		iv[4 + i] ^= ssrc[i];
	for (int i = 0; i < 6; i++)
		iv[8 + i] ^= (uint8_t)(index >> (40 - 8 * i));
}

/* AEAD: 00 00 || SSRC || ROC || SEQ, or || 00 00 || SRTCP index, xor salt (RFC 7714 §8.1, §9.1): 48 bits either way. */
static void
aead_iv(uint8_t iv[12], const uint8_t salt[12], const uint8_t ssrc[4], uint64_t index)
{
	memcpy(iv, salt, 12);
	for (int i = 0; i < 4; i++)
		iv[2 + i] ^= ssrc[i];
	for (int i = 0; i < 6; i++)
		iv[6 + i] ^= (uint8_t)(index >> (40 - 8 * i));
}

/* Encrypt and authenticate in one job of one lane: the price of a packet at a time. The tag covers the ROC, which
 * stands behind the packet for the while (RFC 3711 §4.2). */
static bool
counter_mode_rtp(struct state *s, uint8_t *packet, uint16_t len, size_t header_len, uint64_t index)
{
	uint8_t iv[16] __attribute__((aligned(16)));
	uint8_t tag[SHA1_LEN];
	IMB_JOB *job;

	counter_iv(iv, s->rtp_salt, packet + 8, index);
	put32(packet + len, (uint32_t)(index >> 16));
	job = IMB_GET_NEXT_JOB(mgr);
	job->enc_keys = job->dec_keys = s->rtp_key.aes;
	job->key_len_in_bytes = s->shape->key_len;
	job->cipher_mode = IMB_CIPHER_CNTR;
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->src = packet;
	job->dst = packet + header_len;
	job->cipher_start_src_offset_in_bytes = header_len;
	job->msg_len_to_cipher_in_bytes = len - header_len;
	job->iv = iv;
	job->iv_len_in_bytes = 16;
	job->hash_alg = IMB_AUTH_HMAC_SHA_1;
	job->chain_order = IMB_ORDER_CIPHER_HASH;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = (uint64_t)len + 4;
	job->u.HMAC._hashed_auth_key_xor_ipad = s->ipad;
	job->u.HMAC._hashed_auth_key_xor_opad = s->opad;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = SHA1_LEN;
	if (len == header_len) { /* nothing to encrypt: a job of no bytes would be refused */
		job->cipher_mode = IMB_CIPHER_NULL;
		job->chain_order = IMB_ORDER_HASH_CIPHER;
	}
	job = IMB_SUBMIT_JOB(mgr);
	if (job == NULL)
		job = IMB_FLUSH_JOB(mgr);
	if (job == NULL || job->status != IMB_STATUS_COMPLETED)
		return false;
	memcpy(packet + len, s->mki, s->mki_len);
	memcpy(packet + len + s->mki_len, tag, s->shape->tag_len);
	return true;
}

static bool
rtp(void *state, uint8_t *packet, uint16_t *len)
{
	struct state *s = state;
	struct source *source = source_of(s, protect_ssrc(packet + 8));
	size_t header_len = protect_header_len(packet, *len);
	uint64_t index;

	if (source == NULL)
		return false;
	index = next_index(source, (uint16_t)(packet[2] << 8 | packet[3]));
	if (s->shape->aead) {
		struct gcm_context_data ctx;
		uint8_t iv[12], tag[16];
		uint8_t *body = packet + header_len;
		uint64_t body_len = *len - header_len;

		aead_iv(iv, s->rtp_salt, packet + 8, index);
		if (s->shape->key_len == 16)
			IMB_AES128_GCM_ENC(mgr, &s->rtp_key.gcm, &ctx, body, body, body_len, iv, packet, header_len, tag, 16);
		else
			IMB_AES256_GCM_ENC(mgr, &s->rtp_key.gcm, &ctx, body, body, body_len, iv, packet, header_len, tag, 16);
		memcpy(packet + *len, tag, 16);
		memcpy(packet + *len + 16, s->mki, s->mki_len);
	} else if (!counter_mode_rtp(s, packet, *len, header_len, index)) {
		return false;
	}
	*len = (uint16_t)(*len + s->shape->tag_len + s->mki_len);
	return true;
}

/* ---- RTCP, by libcrypto ---- */

/* AES-CM of everything behind the first header and SSRC; the same both ways (RFC 3711 §3.4). */
static bool
counter_mode_rtcp(const struct state *s, uint8_t *packet, int len, uint32_t index)
{
	const EVP_CIPHER *cipher = s->shape->key_len == 16 ? EVP_aes_128_ctr()
	                         : s->shape->key_len == 24 ? EVP_aes_192_ctr() : EVP_aes_256_ctr();
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t iv[16];
	int n;
	bool ok;

	counter_iv(iv, s->rtcp_salt, packet + 4, index);
	ok = ctx != NULL && EVP_EncryptInit_ex(ctx, cipher, NULL, s->rtcp_key, iv) == 1 &&
	     EVP_EncryptUpdate(ctx, packet + 8, &n, packet + 8, len - 8) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static bool
rtcp_tag(const struct state *s, const uint8_t *packet, size_t len, uint8_t tag[SHA1_LEN])
{
	return HMAC(EVP_sha1(), s->rtcp_auth, AUTH_KEY_LEN, packet, len, tag, NULL) != NULL;
}

/* `word`: E flag and index in network order; with the first eight bytes the associated data (RFC 7714 §9.2). A packet
 * whose E flag is 0 has everything there and no cipher text; we send and take none of those. */
static bool
aead_rtcp(const struct state *s, bool seal, uint8_t *packet, int body_len, const uint8_t word[4], uint8_t tag[16])
{
	const EVP_CIPHER *cipher = s->shape->key_len == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t iv[12];
	int n;
	bool ok;

	aead_iv(iv, s->rtcp_salt, packet + 4, protect_ssrc(word) & RTCP_INDEX_MAX);
	ok = ctx != NULL && EVP_CipherInit_ex(ctx, cipher, NULL, s->rtcp_key, iv, seal) == 1 &&
	     EVP_CipherUpdate(ctx, NULL, &n, packet, 8) == 1 && EVP_CipherUpdate(ctx, NULL, &n, word, 4) == 1 &&
	     EVP_CipherUpdate(ctx, packet + 8, &n, packet + 8, body_len) == 1 &&
	     (seal || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1) &&
	     EVP_CipherFinal_ex(ctx, packet + 8 + body_len, &n) == 1 &&
	     (!seal || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1);
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static bool
rtcp(void *state, uint8_t *packet, uint16_t *len)
{
	struct state *s = state;
	uint8_t word[4], tag[SHA1_LEN];
	uint16_t n = *len;

	if (s->rtcp_index == RTCP_INDEX_MAX)
		return false;
	s->rtcp_index++;
	put32(word, s->rtcp_index | RTCP_E_FLAG);
	if (s->shape->aead) {	/* tag, index, MKI (RFC 7714 §9.3) */
		if (!aead_rtcp(s, true, packet, n - 8, word, tag))
			return false;
		memcpy(packet + n, tag, 16);
		memcpy(packet + n + 16, word, 4);
		memcpy(packet + n + 20, s->mki, s->mki_len);
		*len = (uint16_t)(n + 20 + s->mki_len);
		return true;
	}
	if (!counter_mode_rtcp(s, packet, n, s->rtcp_index))
		return false;
	memcpy(packet + n, word, 4);
	if (!rtcp_tag(s, packet, n + 4u, tag))
		return false;
	memcpy(packet + n + 4, s->mki, s->mki_len); /* index, MKI, tag (RFC 3711 §3.4) */
	memcpy(packet + n + 4 + s->mki_len, tag, s->shape->rtcp_tag_len);
	*len = (uint16_t)(n + 4 + s->mki_len + s->shape->rtcp_tag_len);
	return true;
}

/* Was this index there already? Looks only: an index counts once its packet authenticated. */
static bool
opened_before(const struct state *s, uint32_t index)
{
	uint32_t back = s->opened_highest - index;

	return index <= s->opened_highest && (back >= 64 || (s->opened >> back & 1) != 0);
}

static void
mark_opened(struct state *s, uint32_t index)
{
	if (index > s->opened_highest) {
		uint32_t ahead = index - s->opened_highest;

		s->opened = ahead >= 64 ? 0 : s->opened << ahead;
		s->opened_highest = index;
	}
	s->opened |= (uint64_t)1 << (s->opened_highest - index);
}

static bool
open_rtcp(void *state, uint8_t *packet, uint16_t *len)
{
	struct state *s = state;
	size_t trailer = 4u + s->mki_len + s->shape->rtcp_tag_len;
	uint8_t word[4], tag[SHA1_LEN];
	uint32_t index;
	size_t n;

	if (*len < 8 + trailer)
		return false;
	n = *len - trailer;
	memcpy(word, packet + n + (s->shape->aead ? 16 : 0), 4);
	index = protect_ssrc(word) & RTCP_INDEX_MAX;
	if ((protect_ssrc(word) & RTCP_E_FLAG) == 0 || opened_before(s, index) ||
	    memcmp(packet + n + (s->shape->aead ? 20 : 4), s->mki, s->mki_len) != 0)
		return false;
	if (s->shape->aead) {
		memcpy(tag, packet + n, 16);
		if (!aead_rtcp(s, false, packet, (int)n - 8, word, tag))
			return false;
	} else if (!rtcp_tag(s, packet, n + 4, tag) ||
	           CRYPTO_memcmp(tag, packet + n + 4 + s->mki_len, s->shape->rtcp_tag_len) != 0 ||
	           !counter_mode_rtcp(s, packet, (int)n, index)) {
		return false;
	}
	mark_opened(s, index);
	*len = (uint16_t)n;
	return true;
}

const struct protect_engine_ops protect_ipsec_mb = { create, destroy, start, rtp, rtcp, open_rtcp };
