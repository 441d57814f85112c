#include "crypto/unprotect_ipsec_mb.h"

#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>

#include "crypto/hmac_lanes.h"
#include "crypto/secret.h"
#include "crypto/srtp_kdf.h"
#include "lib/rtp.h"
#include "lib/srs_assert.h"

#define LINE		64
#define SHA1_BLOCK	64
#define ROC_SIZE	4
#define AES_BLOCK	16
#define GCM_IV_SIZE	12
#define KEY_SIZES	3 /* AES-128, 192, 256 */
#define PREFETCH_AHEAD	4

static_assert(sizeof(struct gcm_key_data) <= UNPROTECT_GCM_SCHEDULE, "the library's keys fit");
static_assert(UNPROTECT_BURST_MAX <= IMB_MAX_BURST_SIZE, "one burst of ours is one of the library's");

/* One AES-CM packet on its way. */
struct cm_packet {
	struct unprotect_op *op;
	uint64_t index;		/* that its tag was computed for */
	uint16_t auth_len;	/* RTP packet without MKI and tag */
	uint16_t header_len;
};

struct unprotect_ipsec_mb {
	IMB_MGR *mgr;
	bool wide;	/* AEAD by gcm_wide */
	struct cm_packet cm[UNPROTECT_BURST_MAX];
	uint32_t over[HMAC_LANES_WIDE];	/* what the ROC stands over */
	struct hmac_lanes *hmac;
	struct hmac_lane lane[HMAC_LANES_WIDE];
	struct hmac_tags tags;
	uint8_t iv[HMAC_LANES_WIDE][AES_BLOCK];
	IMB_JOB cipher[HMAC_LANES_WIDE];
};

/* ---- the packet ---- */

static inline uint32_t
load_be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint16_t
seq_of(const uint8_t *packet)
{
	return (uint16_t)(packet[2] << 8 | packet[3]);
}

/* RTP header with CSRC list and extension. @rfc 3550 §5.1, §5.3.1 */
static inline uint16_t
header_len_of(const uint8_t *packet, uint16_t len)
{
	uint32_t n = RTP_HEADER_SIZE + 4u * (packet[0] & 0x0f);

	if (__builtin_expect((packet[0] & 0x10) != 0, 0))
		n += n + 4 <= len ? 4 + 4u * (uint32_t)(packet[n + 2] << 8 | packet[n + 3]) : len;
	return n <= len ? (uint16_t)n : 0; /* 0: does not fit, and cannot be */
}

static inline uint64_t
estimate(const struct unprotect_op *op)
{
	uint16_t seq = seq_of(op->packet);

	if (__builtin_expect(!op->index->started, 0))
		return (uint64_t)op->roc_guess << 16 | seq;
	return packet_index_estimate(op->index, seq);
}

/* The second half of the four steps, for a packet that authenticated under `index`. */
static inline bool
accept(struct unprotect_op *op, uint64_t index)
{
	enum packet_index_check check = PACKET_INDEX_NEW;

	op->packet_index = index;
	if (__builtin_expect(!op->index->started, 0))
		packet_index_start(op->index, (uint32_t)(index >> 16), (uint16_t)index);
	else
		check = packet_index_check(op->index, index);
	if (__builtin_expect(check != PACKET_INDEX_NEW, 0)) {
		op->result = check == PACKET_INDEX_REPLAYED ? UNPROTECT_REPLAYED : UNPROTECT_TOO_OLD;
		return false;
	}
	packet_index_commit(op->index, index);
	op->result = UNPROTECT_OK;
	return true;
}

/* ---- AES-CM with HMAC-SHA1 ---- */

static inline void
lane_fill(struct unprotect_ipsec_mb *e, unsigned int i, const struct cm_packet *p)
{
	uint32_t roc = __builtin_bswap32((uint32_t)(p->index >> 16));
	uint8_t *end = p->op->packet + p->auth_len;

	memcpy(&e->over[i], end, ROC_SIZE);
	memcpy(end, &roc, ROC_SIZE); /* RFC 3711 §4.2: the tag covers packet || ROC */
	e->lane[i] = (struct hmac_lane){ p->op->keys, p->op->packet, (uint32_t)p->auth_len + ROC_SIZE };
}

/* Put back what the ROC stood over, then compare with the tag that came. Time depends on the tag's length alone. */
static inline bool
tag_matches(const struct cm_packet *p, uint32_t over, const struct hmac_tags *tags, unsigned int i)
{
	const struct unprotect_ctx *keys = p->op->keys;
	uint8_t *end = p->op->packet + p->auth_len;
	const uint8_t *came = end + keys->mki_len;
	uint32_t word[2], differ;
	uint16_t rest;

	memcpy(end, &over, ROC_SIZE);
	memcpy(&word[0], came, sizeof(word[0]));
	differ = word[0] ^ tags->words[0][i];
	if (keys->tag_len == ROC_SIZE)
		return differ == 0;
	memcpy(&word[1], came + 4, sizeof(word[1]));
	memcpy(&rest, came + 8, sizeof(rest));
	differ |= word[1] ^ tags->words[1][i];
	differ |= (uint32_t)(rest ^ (uint16_t)tags->words[2][i]);
	return differ == 0;
}

/* One more tag, after a packet before it in the burst moved the index. */
static bool
authenticate_again(struct unprotect_ipsec_mb *e, unsigned int i, struct cm_packet *p, uint64_t index)
{
	struct hmac_tags one;

	p->index = index;
	lane_fill(e, i, p);
	hmac_lanes_run(e->hmac, &e->lane[i], 1, &one);
	return tag_matches(p, e->over[i], &one, 0);
}

/* IV = (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16). @rfc 3711 §4.1.1 */
static inline void
cm_iv(uint8_t iv[AES_BLOCK], const struct unprotect_ctx *keys, const uint8_t *packet, uint64_t index)
{
	uint64_t high, low;
	uint32_t ssrc;

	memcpy(&high, keys->salt, 8);
	memcpy(&low, keys->salt + 8, 8); /* and the two bytes behind */
	memcpy(&ssrc, packet + 8, 4); /* as on the wire, which is its place in the IV */
	high ^= (uint64_t)ssrc << 32;
	low ^= __builtin_bswap64(index << 16);
	memcpy(iv, &high, 8);
	memcpy(iv + 8, &low, 8);
}

/* @return false: too short, or another MKI; it has its result */
static inline bool
cm_prepare(struct unprotect_op *op, struct cm_packet *p)
{
	const struct unprotect_ctx *keys = op->keys;
	uint32_t trailer = (uint32_t)keys->tag_len + keys->mki_len;

	op->result = UNPROTECT_BAD_TAG;
	if (op->len < RTP_HEADER_SIZE + trailer)
		return false;
	p->op = op;
	p->auth_len = (uint16_t)(op->len - trailer);
	p->header_len = header_len_of(op->packet, p->auth_len);
	if (p->header_len == 0)
		return false;
	if (__builtin_expect(keys->mki_len != 0, 0) && memcmp(op->packet + p->auth_len, keys->mki, keys->mki_len) != 0)
		return false; /* an MKI is public */
	p->index = estimate(op);
	return true;
}

static void
cm_decrypt(struct unprotect_ipsec_mb *e, const struct cm_packet some[], unsigned int n,
           const unsigned int by_size[KEY_SIZES])
{
	for (unsigned int size = 0; size < KEY_SIZES; size++) {
		unsigned int n_jobs = 0;

		if (by_size[size] == 0)
			continue;
		for (unsigned int i = 0; i < n; i++) {
			const struct cm_packet *p = &some[i];
			const struct unprotect_ctx *keys = p->op->keys;
			IMB_JOB *job = &e->cipher[n_jobs];
			uint64_t key_len = keys->key.cm.key_len;

			if (p->op->result != UNPROTECT_OK || key_len != 16 + 8 * size || p->auth_len == p->header_len)
				continue;
			cm_iv(e->iv[n_jobs], keys, p->op->packet, p->index);
			job->enc_keys = keys->key.cm.aes;
			job->key_len_in_bytes = key_len;
			job->src = p->op->packet;
			job->dst = p->op->packet + p->header_len;
			job->cipher_start_src_offset_in_bytes = p->header_len;
			job->msg_len_to_cipher_in_bytes = (uint64_t)p->auth_len - p->header_len;
			job->iv = e->iv[n_jobs];
			n_jobs++;
		}
		if (n_jobs != 0)
			IMB_SUBMIT_CIPHER_BURST_NOCHECK(e->mgr, e->cipher, n_jobs, IMB_CIPHER_CNTR,
			                                IMB_DIR_DECRYPT, (IMB_KEY_SIZE_BYTES)(16 + 8 * size));
	}
}

/* As many as there are lanes: their bytes are still near when they are decrypted. */
static void
cm_some(struct unprotect_ipsec_mb *e, struct cm_packet some[], unsigned int n)
{
	unsigned int by_size[KEY_SIZES] = { 0 };

	for (unsigned int i = 0; i < n; i++)
		lane_fill(e, i, &some[i]);
	hmac_lanes_run(e->hmac, e->lane, n, &e->tags);
	for (unsigned int i = 0; i < n; i++) {
		struct cm_packet *p = &some[i];
		bool good = tag_matches(p, e->over[i], &e->tags, i);
		uint64_t now = estimate(p->op);

		if (__builtin_expect(now != p->index, 0))
			good = authenticate_again(e, i, p, now);
		if (__builtin_expect(!good, 0) || !accept(p->op, p->index))
			continue;
		p->op->len = p->auth_len;
		by_size[(p->op->keys->key.cm.key_len - 16) / 8]++;
	}
	cm_decrypt(e, some, n, by_size);
}

/* ---- AEAD ---- */

struct gcm_packet {
	struct unprotect_op *op;
	uint8_t *text;
	uint32_t header_len, text_len;
	unsigned int rounds;
	struct gcm_wide_iv iv;
};

/* IV = (00 00 || SSRC || ROC || SEQ) XOR salt. @rfc 7714 §8.1 */
static inline struct gcm_wide_iv
gcm_iv(const struct unprotect_ctx *keys, const uint8_t *packet, uint64_t index)
{
	uint64_t first, ssrc = load_be32(packet + 8);
	uint32_t last;

	memcpy(&first, keys->salt, 8);
	memcpy(&last, keys->salt + 8, 4);
	return (struct gcm_wide_iv){ .first = first ^ __builtin_bswap64(ssrc << 16 | index >> 32),
		                     .last = last ^ __builtin_bswap32((uint32_t)index) };
}

/* @return false: too short, or another MKI */
static inline bool
gcm_prepare(struct unprotect_op *op, struct gcm_packet *p)
{
	const struct unprotect_ctx *keys = op->keys;
	uint32_t trailer = (uint32_t)SRTP_TAG_MAX + keys->mki_len;

	if (op->len < RTP_HEADER_SIZE + trailer)
		return false;
	p->op = op;
	p->header_len = header_len_of(op->packet, (uint16_t)(op->len - trailer));
	p->text = op->packet + p->header_len;
	p->text_len = op->len - trailer - p->header_len;
	p->rounds = keys->suite == SRTP_AEAD_AES_128_GCM ? 10 : 14;
	/* RFC 7714 §8.2: the tag ends the cipher text, the MKI follows it */
	return p->header_len != 0 &&
	       (keys->mki_len == 0 || memcmp(op->packet + op->len - keys->mki_len, keys->mki, keys->mki_len) == 0);
}

static void
gcm_run_library(const struct gcm_packet *p, aes_gcm_enc_dec_t run, uint8_t tag[SRTP_TAG_MAX])
{
	struct gcm_context_data ctx;
	uint8_t iv[GCM_IV_SIZE];

	memcpy(iv, &p->iv.first, 8);
	memcpy(iv + 8, &p->iv.last, 4);
	run((const struct gcm_key_data *)p->op->keys->key.library.gcm, &ctx, p->text, p->text, p->text_len, iv,
	    p->op->packet, p->header_len, tag, SRTP_TAG_MAX);
}

/* In place, which destroys a packet whose tag is bad: the same key stream once more brings it back. */
static bool
gcm_open_library(const struct unprotect_ipsec_mb *e, const struct gcm_packet *p)
{
	uint8_t tag[SRTP_TAG_MAX];

	gcm_run_library(p, p->rounds == 10 ? e->mgr->gcm128_dec : e->mgr->gcm256_dec, tag);
	if (secret_equal(p->text + p->text_len, tag, SRTP_TAG_MAX))
		return true;
	gcm_run_library(p, p->rounds == 10 ? e->mgr->gcm128_enc : e->mgr->gcm256_enc, tag);
	return false;
}

static void
gcm_one(const struct unprotect_ipsec_mb *e, struct unprotect_op *op)
{
	struct gcm_packet p;
	uint64_t index;
	bool good;

	op->result = UNPROTECT_BAD_TAG;
	if (!gcm_prepare(op, &p))
		return;
	index = estimate(op);
	p.iv = gcm_iv(op->keys, op->packet, index);
	if (__builtin_expect(e->wide, 1))
		good = gcm_wide_open(&op->keys->key.gcm, p.rounds, p.iv, op->packet, p.header_len, p.text, p.text_len);
	else
		good = gcm_open_library(e, &p);
	if (good && accept(op, index))
		op->len = (uint16_t)(p.header_len + p.text_len);
}

static inline void
gcm_prefetch(const struct unprotect_ipsec_mb *e, const struct unprotect_ctx *keys)
{
	const uint8_t *at = (const uint8_t *)keys;

	for (unsigned int i = LINE; i < LINE + UNPROTECT_AES_SCHEDULE; i += LINE)
		__builtin_prefetch(at + i);
	if (!e->wide)	/* the powers of the hash key that a packet of up to 16 blocks needs, as VAES code has them */
		for (unsigned int i = LINE + UNPROTECT_GCM_SCHEDULE - 256; i < LINE + UNPROTECT_GCM_SCHEDULE; i += LINE)
			__builtin_prefetch(at + i);
}

/* ---- bursts ---- */

static inline bool
is_aead(const struct unprotect_op *op)
{
	return op->keys->suite >= SRTP_AEAD_AES_128_GCM;
}
static_assert(SRTP_AEAD_AES_128_GCM == SRTP_SUITES - 2 && SRTP_AEAD_AES_256_GCM == SRTP_SUITES - 1,
              "AEAD suites are the last two");

void
unprotect_ipsec_mb_burst(struct unprotect_ipsec_mb *e, struct unprotect_op *op[], uint16_t n)
{
	struct unprotect_op *aead[UNPROTECT_BURST_MAX];
	unsigned int n_cm = 0, n_aead = 0;

	srs_assert_hot(n <= UNPROTECT_BURST_MAX);
	for (uint16_t i = 0; i < n; i++) {
		if (is_aead(op[i])) {
			aead[n_aead++] = op[i];
		} else if (cm_prepare(op[i], &e->cm[n_cm])) {
			const uint8_t *at = op[i]->keys->key.cm.aes;

			/* for cm_decrypt(): (rounds + 1) round keys, three lines or four */
			__builtin_prefetch(at);
			__builtin_prefetch(at + LINE);
			__builtin_prefetch(at + 2 * LINE);
			if (op[i]->keys->key.cm.key_len > 16)
				__builtin_prefetch(at + 3 * LINE);
			n_cm++;
		}
	}
	for (unsigned int at = 0; at < n_cm; at += HMAC_LANES_WIDE)
		cm_some(e, &e->cm[at], n_cm - at < HMAC_LANES_WIDE ? n_cm - at : HMAC_LANES_WIDE);
	for (unsigned int i = 0; i < n_aead && i < PREFETCH_AHEAD; i++)
		gcm_prefetch(e, aead[i]->keys);
	for (unsigned int i = 0; i < n_aead; i++) {
		if (i + PREFETCH_AHEAD < n_aead)
			gcm_prefetch(e, aead[i + PREFETCH_AHEAD]->keys);
		gcm_one(e, aead[i]);
	}
}

/* ---- keys ---- */

/* SHA-1 states behind the padded key. @rfc 2104 */
static void
hmac_states(struct unprotect_ctx *ctx, IMB_MGR *mgr, const uint8_t key[SRTP_AUTH_KEY_SIZE])
{
	uint8_t block[SHA1_BLOCK];

	memset(block, 0x36, sizeof(block));
	for (unsigned int i = 0; i < SRTP_AUTH_KEY_SIZE; i++)
		block[i] ^= key[i];
	IMB_SHA1_ONE_BLOCK(mgr, block, ctx->key.cm.ipad);
	memset(block, 0x5c, sizeof(block));
	for (unsigned int i = 0; i < SRTP_AUTH_KEY_SIZE; i++)
		block[i] ^= key[i];
	IMB_SHA1_ONE_BLOCK(mgr, block, ctx->key.cm.opad);
	secret_wipe(block, sizeof(block));
}

static void
aes_expand(IMB_MGR *mgr, const uint8_t *key, uint8_t key_len, uint8_t *out)
{
	alignas(AES_BLOCK) uint8_t unused[UNPROTECT_AES_SCHEDULE]; /* decryption schedule: CTR has no use for it */

	if (key_len == 16)
		IMB_AES_KEYEXP_128(mgr, key, out, unused);
	else if (key_len == 24)
		IMB_AES_KEYEXP_192(mgr, key, out, unused);
	else
		IMB_AES_KEYEXP_256(mgr, key, out, unused);
	secret_wipe(unused, sizeof(unused));
}

static void
cipher_expand(struct unprotect_ctx *ctx, const struct unprotect_ipsec_mb *e, const struct srtp_suite_shape *shape,
              const uint8_t *key)
{
	struct gcm_key_data *library = (struct gcm_key_data *)ctx->key.library.gcm;

	if (!shape->aead) {
		ctx->key.cm.key_len = shape->key_len;
		aes_expand(e->mgr, key, shape->key_len, ctx->key.cm.aes);
	} else if (e->wide) {
		aes_expand(e->mgr, key, shape->key_len, ctx->key.gcm.round[0]);
		gcm_wide_powers(&ctx->key.gcm, shape->key_len == 16 ? 10 : 14);
	} else if (shape->key_len == 16) {
		IMB_AES128_GCM_PRE(e->mgr, key, library);
	} else {
		IMB_AES256_GCM_PRE(e->mgr, key, library);
	}
}

enum srs_err
unprotect_ipsec_mb_init(struct unprotect_ctx *ctx, struct unprotect_ipsec_mb *e, const struct srtp_master *master)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape(master->suite);
	struct srtp_kdf_master kdf = { .key_len = shape->key_len, .salt_len = shape->salt_len };
	uint8_t cipher[SRTP_MASTER_KEY_MAX], auth[SRTP_AUTH_KEY_SIZE], salt[SRTP_MASTER_SALT_MAX] = { 0 };
	enum srs_err err;

	memset(ctx, 0, sizeof(*ctx));
	if (shape->key_len == 0 || master->mki_len > SRTP_MKI_MAX)
		return SRS_ERR_UNSUPPORTED;
	memcpy(kdf.key, master->key, shape->key_len);
	memcpy(kdf.salt, master->salt, shape->salt_len);
	err = srtp_kdf_derive(&kdf, SRTP_KDF_RTP_CIPHER, cipher, shape->key_len);
	if (!err)
		err = srtp_kdf_derive(&kdf, SRTP_KDF_RTP_SALT, salt, shape->salt_len);
	if (!err && !shape->aead)
		err = srtp_kdf_derive(&kdf, SRTP_KDF_RTP_AUTH, auth, sizeof(auth));
	if (!err) {
		ctx->suite = master->suite;
		ctx->tag_len = shape->tag_len;
		ctx->mki_len = master->mki_len;
		memcpy(ctx->mki, master->mki, master->mki_len);
		memcpy(ctx->salt, salt, sizeof(ctx->salt));
		if (!shape->aead)
			memcpy(ctx->key.cm.salt_end, salt + sizeof(ctx->salt), sizeof(salt) - sizeof(ctx->salt));
		cipher_expand(ctx, e, shape, cipher);
		if (!shape->aead)
			hmac_states(ctx, e->mgr, auth);
	}
	secret_wipe(&kdf, sizeof(kdf));
	secret_wipe(cipher, sizeof(cipher));
	secret_wipe(auth, sizeof(auth));
	secret_wipe(salt, sizeof(salt));
	return err;
}

/* ---- life ---- */

static IMB_MGR *
manager_create(void)
{
	IMB_MGR *mgr = alloc_mb_mgr(0);
	IMB_ARCH arch;

	if (mgr == NULL)
		return NULL;
	init_mb_mgr_auto(mgr, &arch);
	if (imb_get_errno(mgr) == 0)
		return mgr;
	free_mb_mgr(mgr); /* no AES-NI here */
	return NULL;
}

bool
unprotect_ipsec_mb_runs(void)
{
	IMB_MGR *mgr = manager_create();

	if (mgr != NULL)
		free_mb_mgr(mgr);
	return mgr != NULL;
}

struct unprotect_ipsec_mb *
unprotect_ipsec_mb_create(void)
{
	size_t len = (sizeof(struct unprotect_ipsec_mb) + LINE - 1) & ~(size_t)(LINE - 1);
	struct unprotect_ipsec_mb *e = aligned_alloc(LINE, len);

	if (e == NULL)
		return NULL;
	memset(e, 0, len);
	e->mgr = manager_create();
	e->hmac = hmac_lanes_create();
	e->wide = gcm_wide_runs();
	if (e->mgr == NULL || e->hmac == NULL) {
		unprotect_ipsec_mb_destroy(e);
		return NULL;
	}
	for (unsigned int i = 0; i < HMAC_LANES_WIDE; i++) {
		/* what is the same in every burst */
		e->cipher[i].iv_len_in_bytes = AES_BLOCK;
		e->cipher[i].cipher_mode = IMB_CIPHER_CNTR;
		e->cipher[i].cipher_direction = IMB_DIR_DECRYPT;
	}
	return e;
}

void
unprotect_ipsec_mb_portable(struct unprotect_ipsec_mb *e)
{
	e->wide = false;
	hmac_lanes_portable(e->hmac);
}

void
unprotect_ipsec_mb_destroy(struct unprotect_ipsec_mb *e)
{
	if (e == NULL)
		return;
	if (e->mgr != NULL) {
		secret_wipe(e->mgr, imb_get_mb_mgr_size());
		free_mb_mgr(e->mgr);
	}
	hmac_lanes_destroy(e->hmac);
	secret_wipe(e, sizeof(*e));
	free(e);
}
