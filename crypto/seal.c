#include "crypto/seal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>

#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "lib/srs_assert.h"

/* What seal_key.expanded holds. The layout is this file's alone. */
struct chunk_key {
	union {
		struct gcm_key_data gcm; /* schedule and hash key powers */
		uint8_t chacha[SECRET_KEY_SIZE];
	};
	enum reel_suite suite;
};
static_assert(sizeof(struct chunk_key) <= SEAL_KEY_SIZE, "seal_key holds an expanded key");
static_assert(_Alignof(struct chunk_key) <= _Alignof(struct seal_key), "seal_key is aligned for it");
static_assert(HKDF_SIZE == SECRET_KEY_SIZE && HKDF_SIZE == REEL_COMMITMENT_SIZE, "one derivation, one size");

struct seal_engine {
	IMB_MGR *mgr;
};

#define INFO_MAX 64

/* text || 0x00 || version || suite || part (docs/format.md, "Keys of a part") */
static size_t
info_write(uint8_t info[INFO_MAX], const char *text, uint32_t part, enum reel_suite suite)
{
	struct filler f = filler_of(info, INFO_MAX);

	write_bytes(&f, text, strlen(text) + 1); /* its NUL is the stated 0x00 */
	write_u8(&f, REEL_VERSION);
	write_u8(&f, (uint8_t)suite);
	write_u32be(&f, part);
	srs_assert(!f.bad);
	return filler_used(&f);
}

static enum srs_err
part_derive(const struct dek *dek, const uint8_t recording[REEL_ID_SIZE], const char *text, uint32_t part,
	    enum reel_suite suite, uint8_t out[HKDF_SIZE])
{
	uint8_t info[INFO_MAX];
	uint8_t prk[HKDF_SIZE];
	enum srs_err err;

	err = hkdf_extract(span_of(recording, REEL_ID_SIZE), span_of(dek->bytes, sizeof(dek->bytes)), prk);
	if (!err)
		err = hkdf_expand(prk, span_of(info, info_write(info, text, part, suite)), out);
	secret_wipe(prk, sizeof(prk));
	return err;
}

static bool
suite_known(enum reel_suite suite)
{
	return suite == REEL_SUITE_AES_256_GCM || suite == REEL_SUITE_CHACHA20_POLY1305;
}

enum srs_err
seal_commitment(const struct dek *dek, const uint8_t recording[REEL_ID_SIZE], uint32_t part,
		enum reel_suite suite, uint8_t commitment[REEL_COMMITMENT_SIZE])
{
	if (!suite_known(suite))
		return SRS_ERR_UNSUPPORTED;
	return part_derive(dek, recording, "capstan commitment v1", part, suite, commitment);
}

static enum srs_err
chunk_key_derive(const struct dek *dek, const uint8_t recording[REEL_ID_SIZE], uint32_t part,
		 enum reel_suite suite, uint8_t key[SECRET_KEY_SIZE])
{
	return part_derive(dek, recording, "capstan chunk v1", part, suite, key);
}

struct seal_engine *
seal_engine_create(void)
{
	struct seal_engine *e = calloc(1, sizeof(*e));
	IMB_ARCH arch;

	if (e == NULL)
		return NULL;
	e->mgr = alloc_mb_mgr(0);
	if (e->mgr == NULL)
		goto fail;
	init_mb_mgr_auto(e->mgr, &arch);
	if (imb_get_errno(e->mgr) != 0) /* no AES-NI here */
		goto fail;
	return e;
fail:
	seal_engine_destroy(e);
	return NULL;
}

void
seal_engine_destroy(struct seal_engine *e)
{
	if (e == NULL)
		return;
	if (e->mgr != NULL)
		free_mb_mgr(e->mgr);
	free(e);
}

enum srs_err
seal_key_init(struct seal_engine *e, struct seal_key *key, const struct dek *dek,
	      const uint8_t recording[REEL_ID_SIZE], uint32_t part, enum reel_suite suite)
{
	struct chunk_key *k = (struct chunk_key *)(void *)key->expanded;
	uint8_t raw[SECRET_KEY_SIZE];
	enum srs_err err;

	if (!suite_known(suite))
		return SRS_ERR_UNSUPPORTED;
	err = chunk_key_derive(dek, recording, part, suite, raw);
	if (err)
		return err;
	memset(key, 0, sizeof(*key));
	k->suite = suite;
	if (suite == REEL_SUITE_AES_256_GCM)
		IMB_AES256_GCM_PRE(e->mgr, raw, &k->gcm);
	else
		memcpy(k->chacha, raw, sizeof(raw));
	secret_wipe(raw, sizeof(raw));
	return SRS_OK;
}

/* One chunk's AEAD. `cipher` gets `len` bytes, the tag follows them. */
static void
chunk_aead(struct seal_engine *e, const struct chunk_key *k, const uint8_t nonce[12], struct span aad,
	   struct span plain, uint8_t *cipher)
{
	uint8_t *tag = cipher + plain.len;

	if (k->suite == REEL_SUITE_AES_256_GCM) {
		struct gcm_context_data ctx;

		IMB_AES256_GCM_ENC(e->mgr, &k->gcm, &ctx, cipher, plain.bytes, plain.len, nonce, aad.bytes,
				   aad.len, tag, REEL_TAG_SIZE);
		secret_wipe(&ctx, sizeof(ctx)); /* holds a block of key stream */
	} else {
		struct chacha20_poly1305_context_data ctx;

		IMB_CHACHA20_POLY1305_INIT(e->mgr, k->chacha, &ctx, nonce, aad.bytes, aad.len);
		IMB_CHACHA20_POLY1305_ENC_UPDATE(e->mgr, k->chacha, &ctx, cipher, plain.bytes, plain.len);
		IMB_CHACHA20_POLY1305_ENC_FINALIZE(e->mgr, &ctx, tag, REEL_TAG_SIZE);
		secret_wipe(&ctx, sizeof(ctx)); /* holds the one-time Poly1305 key */
	}
}

void
seal_chunk(struct seal_engine *e, const struct seal_key *key, const struct reel_chunk *c, const uint8_t *body,
	   uint8_t slot[REEL_SLOT_SIZE])
{
	const struct chunk_key *k = (const struct chunk_key *)(const void *)key->expanded;
	size_t head_len, used;
	uint8_t nonce[12];

	srs_assert(c->suite == k->suite);
	srs_assert(c->body_len <= reel_chunk_body_max(c->flags));
	head_len = reel_chunk_head_write(c, slot);
	reel_chunk_nonce(c, nonce);
	used = head_len + c->body_len;
	if (c->flags & REEL_CHUNK_CLEAR) {
		memcpy(slot + head_len, body, c->body_len);
		chunk_aead(e, k, nonce, span_of(slot, used), span_of(slot, 0), slot + used);
	} else {
		chunk_aead(e, k, nonce, span_of(slot, head_len), span_of(body, c->body_len), slot + head_len);
	}
	used += REEL_TAG_SIZE;
	memset(slot + used, 0, REEL_SLOT_SIZE - used);
}

enum srs_err
seal_open_portable(const struct dek *dek, const struct reel_chunk *c, const uint8_t slot[REEL_SLOT_SIZE],
		   uint8_t *body)
{
	uint8_t key[SECRET_KEY_SIZE];
	uint8_t nonce[12];
	struct aead a = { .suite = c->suite, .key = key, .nonce = nonce };
	size_t head_len = reel_chunk_head_len(c->flags);
	const uint8_t *at = slot + head_len;
	enum srs_err err;

	if (!suite_known(c->suite))
		return SRS_ERR_UNSUPPORTED;
	if (c->body_len > reel_chunk_body_max(c->flags))
		return SRS_ERR_INVALID;
	err = chunk_key_derive(dek, c->recording, c->part, c->suite, key);
	if (err)
		return err;
	reel_chunk_nonce(c, nonce);
	if (c->flags & REEL_CHUNK_CLEAR) {
		a.aad = span_of(slot, head_len + c->body_len);
		err = aead_open(&a, span_of(at + c->body_len, 0), at + c->body_len, body);
		if (!err)
			memcpy(body, at, c->body_len);
	} else {
		a.aad = span_of(slot, head_len);
		err = aead_open(&a, span_of(at, c->body_len), at + c->body_len, body);
	}
	secret_wipe(key, sizeof(key));
	return err;
}
