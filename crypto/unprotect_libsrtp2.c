#include "crypto/unprotect_libsrtp2.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>

#include <srtp2/srtp.h>

#include "crypto/secret.h"
#include "lib/rtp.h"
#include "lib/srs_assert.h"

#define STREAMS_MAX   4 /* streams that a view keeps; the least recent one makes room */
#define KEY_SALT_MAX  (SRTP_MASTER_KEY_MAX + SRTP_MASTER_SALT_MAX)
#define KNOWN_TAG_MAX SRTP_TAG_MAX

/* What we know of one of libsrtp2's streams. */
enum stream_state {
	STREAM_ABSENT,	/* the library has none: its first packet is taken at ROC 0 */
	STREAM_FRESH,	/* nothing authenticated yet: takes any ROC */
	STREAM_USED,
};

struct stream {
	uint64_t highest; /* USED: the index that the library stands at */
	uint32_t ssrc;
	uint32_t used;	  /* age: larger is more recent */
	enum stream_state state;
};

struct view {
	srtp_t srtp; /* NULL: not made yet */
	struct stream stream[STREAMS_MAX];
	uint32_t uses;
};

/* Behind unprotect_ctx.key.session. Secret memory. */
struct session {
	struct view live;   /* takes the packets that are new */
	struct view proof;  /* tells whether one that is not new is authentic: made when first needed */
	struct srtp_master master;
};

/* ---- the library ---- */

/* An empty RTP packet, SSRC 1 and index 1, under the keys 00 01 02.. and 80 81 82..: its tag shows the derivation. Made
 * with OpenSSL by tests/unit/srtp_sender.h; the test of this engine makes them again. */
static const struct {
	enum srtp_suite suite;
	uint8_t tag[KNOWN_TAG_MAX];
} known_answers[] = {
	{ SRTP_AES_CM_128_HMAC_SHA1_80, { 0x2e, 0xad, 0x57, 0x38, 0xd0, 0xda, 0x96, 0x29, 0x22, 0x8a } },
	{ SRTP_AES_CM_128_HMAC_SHA1_32, { 0x2e, 0xad, 0x57, 0x38 } },
	{ SRTP_AES_192_CM_HMAC_SHA1_80, { 0x2d, 0x90, 0xa3, 0x14, 0x1d, 0x45, 0xba, 0xf0, 0xb1, 0xfd } },
	{ SRTP_AES_192_CM_HMAC_SHA1_32, { 0x2d, 0x90, 0xa3, 0x14 } },
	{ SRTP_AES_256_CM_HMAC_SHA1_80, { 0xfe, 0xed, 0xbf, 0xd2, 0xee, 0x41, 0x0e, 0xe0, 0xab, 0xb5 } },
	{ SRTP_AES_256_CM_HMAC_SHA1_32, { 0xfe, 0xed, 0xbf, 0xd2 } },
	{ SRTP_AEAD_AES_128_GCM,
	  { 0xf5, 0x77, 0x9b, 0xcc, 0xb1, 0xda, 0x5c, 0xfd, 0xa6, 0x6a, 0x81, 0xf0, 0x4d, 0xc1, 0xda, 0xa0 } },
	{ SRTP_AEAD_AES_256_GCM,
	  { 0xf7, 0x7e, 0x97, 0x72, 0x2e, 0xed, 0x31, 0x17, 0x69, 0x4e, 0xd1, 0x30, 0x03, 0x1c, 0xa3, 0xd5 } },
};

static bool library_has[SRTP_SUITES]; /* written once, by library_start() */
static srtp_t library_anchor; /* never given back: NSS stops with its last session, and to start takes 0.5 ms */

static void
policy_set_suite(srtp_policy_t *p, enum srtp_suite suite)
{
	switch (suite) {
	case SRTP_AES_CM_128_HMAC_SHA1_80:
	case SRTP_AES_CM_128_HMAC_SHA1_32:
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p->rtp);
		break;
	case SRTP_AES_192_CM_HMAC_SHA1_80:
	case SRTP_AES_192_CM_HMAC_SHA1_32:
		srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80(&p->rtp);
		break;
	case SRTP_AES_256_CM_HMAC_SHA1_80:
	case SRTP_AES_256_CM_HMAC_SHA1_32:
		srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&p->rtp);
		break;
	case SRTP_AEAD_AES_128_GCM:
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&p->rtp);
		break;
	default:
		srtp_crypto_policy_set_aes_gcm_256_16_auth(&p->rtp);
		break;
	}
	p->rtp.auth_tag_len = srtp_suite_shape(suite)->tag_len;
	p->rtcp = p->rtp; /* of no use here: SRTCP is crypto/srtcp's */
}

/* What the library copies a master key from. It points into itself: stays where it was made, and is wiped. */
struct recipe {
	srtp_policy_t policy;
	srtp_master_key_t master;
	srtp_master_key_t *masters[1];
	uint8_t key_salt[KEY_SALT_MAX];
	uint8_t mki[SRTP_MKI_MAX];
};

static void
recipe_make(struct recipe *r, const struct srtp_master *m, srtp_ssrc_type_t type, uint32_t ssrc)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape(m->suite);

	memset(r, 0, sizeof(*r));
	memcpy(r->key_salt, m->key, shape->key_len);
	memcpy(r->key_salt + shape->key_len, m->salt, shape->salt_len);
	memcpy(r->mki, m->mki, m->mki_len);
	policy_set_suite(&r->policy, m->suite);
	r->policy.ssrc.type = type;
	r->policy.ssrc.value = ssrc; /* host order, as in srtp_set_stream_roc() and unlike srtp_remove_stream() */
	r->policy.window_size = PACKET_INDEX_WINDOW;
	r->master = (srtp_master_key_t){ .key = r->key_salt, .mki_id = r->mki, .mki_size = m->mki_len };
	r->masters[0] = &r->master;
	if (m->mki_len == 0) {
		r->policy.key = r->key_salt;
	} else {
		r->policy.keys = r->masters;
		r->policy.num_master_keys = 1;
	}
}

static srtp_err_status_t
session_create(srtp_t *out, const struct srtp_master *m)
{
	struct recipe r;
	srtp_err_status_t status;

	recipe_make(&r, m, ssrc_any_inbound, 0);
	status = srtp_create(out, &r.policy);
	secret_wipe(&r, sizeof(r));
	if (status != srtp_err_status_ok)
		*out = NULL;
	return status;
}

static bool
answers_as_known(enum srtp_suite suite, const uint8_t *tag)
{
	_Alignas(16) uint8_t packet[RTP_HEADER_SIZE + KNOWN_TAG_MAX] = { 0x80, [3] = 1, [11] = 1 };
	struct srtp_master m = { .suite = (uint8_t)suite };
	int len = RTP_HEADER_SIZE + srtp_suite_shape(suite)->tag_len;
	srtp_t srtp;
	bool good;

	for (unsigned int i = 0; i < SRTP_MASTER_KEY_MAX; i++)
		m.key[i] = (uint8_t)i;
	for (unsigned int i = 0; i < SRTP_MASTER_SALT_MAX; i++)
		m.salt[i] = (uint8_t)(0x80 + i);
	memcpy(packet + RTP_HEADER_SIZE, tag, srtp_suite_shape(suite)->tag_len);
	if (session_create(&srtp, &m) != srtp_err_status_ok)
		return false;
	good = srtp_unprotect(srtp, packet, &len) == srtp_err_status_ok && len == RTP_HEADER_SIZE;
	(void)srtp_dealloc(srtp);
	return good;
}

static void
library_start(void)
{
	static const struct srtp_master anchor = { .suite = SRTP_AES_CM_128_HMAC_SHA1_80 };

	if (srtp_init() != srtp_err_status_ok || session_create(&library_anchor, &anchor) != srtp_err_status_ok)
		return;
	for (unsigned int i = 0; i < sizeof(known_answers) / sizeof(known_answers[0]); i++)
		library_has[known_answers[i].suite] =
			answers_as_known(known_answers[i].suite, known_answers[i].tag);
}

bool
unprotect_libsrtp2_has(enum srtp_suite suite)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, library_start);
	return (unsigned int)suite < SRTP_SUITES && library_has[suite];
}

/* ---- streams of a view ---- */

static struct stream *
stream_find(struct view *v, uint32_t ssrc)
{
	for (unsigned int i = 0; i < STREAMS_MAX; i++)
		if (v->stream[i].state != STREAM_ABSENT && v->stream[i].ssrc == ssrc)
			return &v->stream[i];
	return NULL;
}

static void
stream_drop(struct view *v, struct stream *st)
{
	if (st->state != STREAM_ABSENT)
		(void)srtp_remove_stream(v->srtp, htonl(st->ssrc));
	*st = (struct stream){ .state = STREAM_ABSENT };
}

/* A place for this SSRC. The library's list has no bound of its own: whom we forget, it must forget too. */
static struct stream *
stream_place(struct view *v, uint32_t ssrc)
{
	struct stream *oldest = &v->stream[0];

	for (unsigned int i = 1; i < STREAMS_MAX; i++)
		if (v->stream[i].used < oldest->used)
			oldest = &v->stream[i];
	stream_drop(v, oldest);
	oldest->ssrc = ssrc;
	return oldest;
}

/* A stream that takes any ROC. The library's template, from which it makes one at an SSRC's first packet, knows only 0;
 * one of our own costs a key derivation. @return NULL: no memory */
static struct stream *
stream_open(struct view *v, const struct srtp_master *m, uint32_t ssrc)
{
	struct stream *st;
	struct recipe r;
	srtp_err_status_t status;

	recipe_make(&r, m, ssrc_specific, ssrc);
	status = srtp_add_stream(v->srtp, &r.policy);
	secret_wipe(&r, sizeof(r));
	if (status != srtp_err_status_ok)
		return NULL;
	st = stream_place(v, ssrc);
	st->state = STREAM_FRESH;
	return st;
}

/* Will the library take a packet of this index for what it is, and not refuse it unread? A ROC that is set decides. 0
 * means that none is set: then the library estimates from where it stands, which is right ahead and in the window. */
static bool
stream_reaches(const struct stream *st, uint64_t index)
{
	return st->state == STREAM_FRESH || index > st->highest || st->highest - index < PACKET_INDEX_WINDOW;
}

/* ---- packets ---- */

static uint32_t
ssrc_of(const uint8_t *packet)
{
	return (uint32_t)packet[8] << 24 | (uint32_t)packet[9] << 16 | (uint32_t)packet[10] << 8 | packet[11];
}

/* The library's stream led to where it authenticates for `index`. @return false: no memory */
static bool
view_lead(struct view *v, const struct srtp_master *m, struct stream **st, uint32_t ssrc, uint64_t index)
{
	uint32_t roc = (uint32_t)(index >> 16);

	if (*st != NULL && !stream_reaches(*st, index)) {
		stream_drop(v, *st);
		*st = NULL;
	}
	if (*st == NULL && roc != 0) {
		*st = stream_open(v, m, ssrc);
		if (*st == NULL)
			return false;
	}
	/* Each time: a ROC that was set stays set when the packet did not move past it. */
	return *st == NULL || srtp_set_stream_roc(v->srtp, ssrc, roc) == srtp_err_status_ok;
}

static bool
view_try(struct view *v, const struct srtp_master *m, struct stream **st, uint8_t *packet, int *len, uint64_t index,
	 srtp_err_status_t *status)
{
	if (!view_lead(v, m, st, ssrc_of(packet), index))
		return false;
	*status = srtp_unprotect_mki(v->srtp, packet, len, m->mki_len != 0);
	return *status == srtp_err_status_ok;
}

/* Authenticate and decrypt a packet under this index and no other. */
static bool
view_unprotect(struct view *v, const struct srtp_master *m, uint8_t *packet, int *len, uint64_t index)
{
	uint32_t ssrc = ssrc_of(packet);
	struct stream *st = stream_find(v, ssrc);
	srtp_err_status_t status = srtp_err_status_fail;

	if (v->srtp == NULL && session_create(&v->srtp, m) != srtp_err_status_ok)
		return false;
	if (!view_try(v, m, &st, packet, len, index, &status)) {
		/* Seen before by the library's account, which is not ours: it has not looked at the tag. */
		if (status != srtp_err_status_replay_fail || st == NULL)
			return false;
		stream_drop(v, st);
		st = NULL;
		if (!view_try(v, m, &st, packet, len, index, &status))
			return false;
	}
	if (st == NULL)
		st = stream_place(v, ssrc); /* made by the library from its template */
	if (st->state != STREAM_USED || index > st->highest)
		st->highest = index;
	st->state = STREAM_USED;
	st->used = ++v->uses;
	return true;
}

void
unprotect_libsrtp2_one(struct unprotect_op *op)
{
	const struct unprotect_ctx *keys = op->keys;
	struct session *s = keys->key.session;
	_Alignas(16) uint8_t packet[UINT16_MAX + 1]; /* libsrtp2 wants it aligned, and GCM may spoil it */
	uint16_t seq = (uint16_t)(op->packet[2] << 8 | op->packet[3]);
	enum packet_index_check check = PACKET_INDEX_NEW;
	int len = op->len;
	uint64_t index;

	srs_assert_hot(keys->engine == UNPROTECT_LIBSRTP2);
	op->result = UNPROTECT_BAD_TAG;
	if (op->len < RTP_HEADER_SIZE + keys->tag_len + keys->mki_len)
		return;
	if (op->index->started) {
		index = packet_index_estimate(op->index, seq);
		check = packet_index_check(op->index, index);
	} else {
		index = (uint64_t)op->roc_guess << 16 | seq;
	}
	memcpy(packet, op->packet, op->len);
	if (!view_unprotect(check == PACKET_INDEX_NEW ? &s->live : &s->proof, &s->master, packet, &len, index))
		return;
	op->packet_index = index;
	if (check != PACKET_INDEX_NEW) {
		op->result = check == PACKET_INDEX_REPLAYED ? UNPROTECT_REPLAYED : UNPROTECT_TOO_OLD;
		return;
	}
	if (!op->index->started)
		packet_index_start(op->index, (uint32_t)(index >> 16), seq);
	packet_index_commit(op->index, index);
	memcpy(op->packet, packet, (size_t)len);
	op->len = (uint16_t)len;
	op->result = UNPROTECT_OK;
}

/* ---- keys ---- */

enum srs_err
unprotect_libsrtp2_init(struct unprotect_ctx *ctx, const struct srtp_master *master)
{
	struct session *s;

	memset(ctx, 0, sizeof(*ctx));
	if (!unprotect_libsrtp2_has(master->suite) || master->mki_len > SRTP_MKI_MAX)
		return SRS_ERR_UNSUPPORTED;
	s = secret_alloc(sizeof(*s));
	if (s == NULL)
		return SRS_ERR_NOMEM;
	s->master = *master;
	if (session_create(&s->live.srtp, master) != srtp_err_status_ok) {
		secret_free(s, sizeof(*s));
		return SRS_ERR_NOMEM; /* it made one of this suite before */
	}
	ctx->suite = master->suite;
	ctx->tag_len = srtp_suite_shape(master->suite)->tag_len;
	ctx->mki_len = master->mki_len;
	ctx->engine = UNPROTECT_LIBSRTP2;
	memcpy(ctx->mki, master->mki, master->mki_len);
	ctx->key.session = s;
	return SRS_OK;
}

void
unprotect_libsrtp2_wipe(struct unprotect_ctx *ctx)
{
	struct session *s = ctx->key.session;

	if (s != NULL) {
		(void)srtp_dealloc(s->live.srtp); /* fails only on what is not a session */
		if (s->proof.srtp != NULL)
			(void)srtp_dealloc(s->proof.srtp);
		secret_free(s, sizeof(*s));
	}
	secret_wipe(ctx, sizeof(*ctx));
}
