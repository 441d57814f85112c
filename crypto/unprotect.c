#include "crypto/unprotect.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "crypto/unprotect_ipsec_mb.h"
#include "crypto/unprotect_libsrtp2.h"
#include "lib/rtp.h"
#include "lib/srs_assert.h"

struct unprotect_engine {
	enum unprotect_engine_kind kind;
	struct unprotect_ipsec_mb *ipsec_mb;	/* NULL with libsrtp2, whose contexts hold all that it has */
};

bool
unprotect_engine_runs(enum unprotect_engine_kind kind)
{
	if (kind == UNPROTECT_IPSEC_MB)
		return unprotect_ipsec_mb_runs();
	return unprotect_libsrtp2_has(SRTP_AES_CM_128_HMAC_SHA1_80);	/* what RFC 3711 makes mandatory */
}

struct unprotect_engine *
unprotect_engine_create(enum unprotect_engine_kind kind)
{
	struct unprotect_engine *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->kind = kind;
	if (kind == UNPROTECT_IPSEC_MB)
		e->ipsec_mb = unprotect_ipsec_mb_create();
	if (e->ipsec_mb != NULL || (kind == UNPROTECT_LIBSRTP2 && unprotect_engine_runs(kind)))
		return e;
	free(e);
	return NULL;
}

void
unprotect_engine_destroy(struct unprotect_engine *e)
{
	if (e == NULL)
		return;
	unprotect_ipsec_mb_destroy(e->ipsec_mb);
	free(e);
}

void
unprotect_engine_portable(struct unprotect_engine *e)
{
	if (e->ipsec_mb != NULL)
		unprotect_ipsec_mb_portable(e->ipsec_mb);
}

enum srs_err
unprotect_ctx_init(struct unprotect_ctx *ctx, struct unprotect_engine *e, const struct srtp_master *master)
{
	enum srs_err err;

	if (e->kind == UNPROTECT_LIBSRTP2)
		return unprotect_libsrtp2_init(ctx, master);
	err = unprotect_ipsec_mb_init(ctx, e->ipsec_mb, master);
	if (err)
		unprotect_ctx_wipe(ctx);
	return err;
}

void
unprotect_ctx_wipe(struct unprotect_ctx *ctx)
{
	if (ctx->engine == UNPROTECT_LIBSRTP2)
		unprotect_libsrtp2_wipe(ctx);
	else
		secret_wipe(ctx, sizeof(*ctx));
}

/* Nothing to authenticate: the caller's source check stands in its place. The other three steps are SRTP's. */
static void
plain_unprotect(struct unprotect_op *op)
{
	uint16_t seq = (uint16_t)(op->packet[2] << 8 | op->packet[3]);

	if (!op->index->started)
		packet_index_start(op->index, PACKET_INDEX_PLAIN_ROC, seq);
	op->packet_index = packet_index_estimate(op->index, seq);
	switch (packet_index_check(op->index, op->packet_index)) {
	case PACKET_INDEX_NEW:
		break;
	case PACKET_INDEX_REPLAYED:
		op->result = UNPROTECT_REPLAYED;
		return;
	case PACKET_INDEX_TOO_OLD:
		if (!packet_index_restarted(op->index, seq)) {
			op->result = UNPROTECT_TOO_OLD;
			return;
		}
		op->packet_index = packet_index_estimate(op->index, seq);
		break;
	}
	packet_index_commit(op->index, op->packet_index);
	op->result = UNPROTECT_OK;
}

void
unprotect_burst(struct unprotect_engine *e, struct unprotect_op *op[], uint16_t n)
{
	struct unprotect_op *secure[UNPROTECT_BURST_MAX];
	uint16_t n_secure = 0;

	srs_assert_hot(n <= UNPROTECT_BURST_MAX);
	for (uint16_t i = 0; i < n; i++) {
		srs_assert_hot(op[i]->len >= RTP_HEADER_SIZE);
		if (op[i]->keys == NULL)
			plain_unprotect(op[i]);
		else
			secure[n_secure++] = op[i];
	}
	if (n_secure == 0)
		return;
	if (e->kind == UNPROTECT_IPSEC_MB) {
		unprotect_ipsec_mb_burst(e->ipsec_mb, secure, n_secure);
		return;
	}
	for (uint16_t i = 0; i < n_secure; i++)
		unprotect_libsrtp2_one(secure[i]);
}
