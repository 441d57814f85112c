#include "crypto/unprotect.h"

#include <stdlib.h>

#include "lib/rtp.h"
#include "lib/srs_assert.h"

struct unprotect_engine {
	uint32_t plain_roc; /* at which a plain stream's index begins */
};

struct unprotect_engine *
unprotect_engine_create(enum unprotect_engine_kind kind)
{
	struct unprotect_engine *e = calloc(1, sizeof(*e));

	(void)kind;
	if (e != NULL)
		e->plain_roc = PACKET_INDEX_PLAIN_ROC;
	return e;
}

void
unprotect_engine_destroy(struct unprotect_engine *e)
{
	free(e);
}

/* Nothing to authenticate: the caller's source check stands in its place. The other three steps are SRTP's. */
static void
plain_unprotect(const struct unprotect_engine *e, struct unprotect_op *op)
{
	uint16_t seq = (uint16_t)(op->packet[2] << 8 | op->packet[3]);

	if (!op->index->started)
		packet_index_start(op->index, e->plain_roc, seq);
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
	for (uint16_t i = 0; i < n; i++) {
		srs_assert_hot(op[i]->len >= RTP_HEADER_SIZE);
		if (op[i]->keys == NULL)
			plain_unprotect(e, op[i]);
		else
			op[i]->result = UNPROTECT_BAD_TAG; /* no SRTP engine was chosen at start */
	}
}
