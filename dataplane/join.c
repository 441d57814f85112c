#include "dataplane/join.h"

#include <string.h>

#include "dataplane/bucket.h"

struct trial {
	struct unprotect_engine *engine;
	struct rx_packet *p;
	struct join_found *found;
	const struct join_time *time;
	uint32_t ssrc;
	uint16_t seq;
	unsigned int n_tries;
};

static bool
may_try(struct trial *t)
{
	return t->n_tries++ < JOIN_TRIES_MAX;
}

/* Beyond the likely places every tag but a packet's first is paid for. */
static bool
may_search(struct trial *t)
{
	if (t->n_tries >= JOIN_TRIES_MAX)
		return false;
	if (t->n_tries != 0 && !bucket_take(&t->p->stream->join.paid_tsc, t->time->now_tsc,
	                                    t->time->tsc_hz / JOIN_EXTRA_HZ, JOIN_EXTRA_HZ))
		return false;
	t->n_tries++;
	return true;
}

/* Keys with an MKI are named by the packet. @rfc 3711 §3.1, 3.4; 7714 §8.2, 9.2 (there the MKI ends the packet) */
static bool
mki_fits(const struct keyset *ks, const struct rx_packet *p)
{
	const struct unprotect_ctx *ctx = &ks->ctx;
	const struct srtp_suite_shape *shape = srtp_suite_shape(ctx->suite);
	uint32_t behind = shape->aead ? 0 : p->kind == PACKET_RTP ? shape->tag_len : shape->rtcp_tag_len;

	if (ctx->mki_len == 0)
		return true;
	return p->len >= ctx->mki_len + behind &&
	       memcmp(p->bytes + p->len - behind - ctx->mki_len, ctx->mki, ctx->mki_len) == 0;
}

static bool
authenticates(struct trial *t, struct keyset *ks, struct packet_index *index, uint32_t roc_guess)
{
	struct unprotect_op *op = &t->p->op;

	*op = (struct unprotect_op){ .packet = t->p->bytes, .len = t->p->len, .index = index, .keys = &ks->ctx,
		                     .roc_guess = roc_guess };
	unprotect_burst(t->engine, &op, 1);
	op->index = NULL;
	if (op->result == UNPROTECT_BAD_TAG)
		return false;
	t->found->keys = ks;
	t->p->stream->join.turn = t->time->turn;
	t->p->stream->join.generation = ks->generation;
	return true;
}

/* At this ROC; without a context (x), or with one that is elsewhere. */
static bool
verifies_at(struct trial *t, struct keyset *ks, struct ssrc *x, uint32_t roc)
{
	struct packet_index index = { .started = false };

	if (!authenticates(t, ks, &index, roc))
		return false;
	if (x != NULL)
		x->index = index;
	t->found->context = x;
	t->found->index = index;
	t->p->stream->join.cursor = 0;
	return true;
}

static uint32_t
roc_after(const struct ssrc *x, uint16_t seq)
{
	return (uint32_t)(packet_index_estimate(&x->index, seq) >> 16);
}

/* The ROC of the same SSRC under other keys: a sender that changes keys goes on counting, or begins at zero. */
static uint32_t
roc_guess(struct trial *t)
{
	struct stream *s = t->p->stream;
	struct ssrc *x = stream_ssrc_find(s, t->ssrc);

	return x != NULL ? roc_after(x, t->seq) : 0;
}

/* Its one SSRC was heard just now: what does not verify is not at another ROC. */
static bool
is_lively(const struct trial *t)
{
	const struct stream *s = t->p->stream;

	if (t->p->ssrc != &s->first || t->time->now_tsc - s->last_tsc > JOIN_SILENCE_S * t->time->tsc_hz)
		return false;
	for (unsigned int i = 0; i < STREAM_SSRC_MAX - 1; i++)
		if (s->more[i] != NULL && s->more[i]->used)
			return false;
	return true;
}

/* Where a packet under these keys should be: its context, or the ROC before the change of keys, or the first one. */
static bool
likely_place(struct trial *t, struct keyset *ks, const struct ssrc *tried, uint32_t guess)
{
	struct ssrc *x = stream_ssrc_under(t->p->stream, t->ssrc, ks->generation);

	if (x != NULL) {
		t->found->context = x;
		return x != tried && may_try(t) && authenticates(t, ks, &x->index, 0);
	}
	return (may_try(t) && verifies_at(t, ks, NULL, guess)) ||
	       (guess != 0 && may_try(t) && verifies_at(t, ks, NULL, 0));
}

/* Which ROC beyond the likely ones the search tries at a step, counted from 0: always two new ones and then one again, the
 * lower the more often (ruler function: 0 1 0 2 0 1 0 3). For a broken packet takes its steps as well, and a true one
 * must not wait for the next round to have its ROC tried. */
static uint32_t
roc_at(uint32_t step)
{
	uint32_t round;

	if (step < 3)
		return step; /* one packet's */
	round = (step - 3) / 3;
	return (step - 3) % 3 == 2 ? (uint32_t)__builtin_ctz(round + 1) : 3 + 2 * round + (step - 3) % 3;
}

/* The search goes on where the last packet's ended. */
static bool
search(struct trial *t, struct keyset *const keys[], unsigned int n, uint32_t guess)
{
	struct join *j = &t->p->stream->join;

	for (unsigned int i = 0; i < 2 * JOIN_TRIES_MAX; i++) {
		struct keyset *ks;
		struct ssrc *x;
		uint64_t roc;

		if (roc_at(j->cursor / n) >= JOIN_ROC_MAX)
			j->cursor = 0;
		ks = keys[j->cursor % n];
		x = stream_ssrc_under(t->p->stream, t->ssrc, ks->generation);
		roc = (x != NULL ? roc_after(x, t->seq) : 0) + 1ull + roc_at(j->cursor / n);
		if (roc > UINT32_MAX || (x == NULL && roc == guess)) {	/* there is none; that was tried */
			j->cursor++;
			continue;
		}
		if (!may_search(t))
			return false;	/* it goes on from here */
		j->cursor++;
		if (verifies_at(t, ks, x, (uint32_t)roc))
			return true;
	}
	return false;
}

/* In which order keys are tried: those that the burst was just found under, those that wait for their first packet, those
 * that know the SSRC (one of its packets may come late), the others. */
static unsigned int
rank(const struct trial *t, const struct keyset *ks, bool in_turn)
{
	struct stream *s = t->p->stream;

	if (in_turn && ks->generation == s->join.generation)
		return 0;
	if (ks->pending)
		return 1;
	return stream_ssrc_under(s, t->ssrc, ks->generation) != NULL ? 2 : 3;
}

/* The keys that the packet may be under, best first. @return how many */
static unsigned int
order(const struct trial *t, struct keyset *keys[STREAM_KEYSETS_MAX], bool in_turn)
{
	unsigned int n = 0;

	for (unsigned int r = 0; r <= 3; r++)
		for (struct keyset *ks = t->p->stream->keys; ks != NULL && n < STREAM_KEYSETS_MAX; ks = ks->next)
			if (rank(t, ks, in_turn) == r && mki_fits(ks, t->p))
				keys[n++] = ks;
	return n;
}

bool
join_packet(struct unprotect_engine *e, struct rx_packet *p, const struct join_time *time, struct join_found *found)
{
	struct trial t = { .engine = e, .p = p, .found = found, .time = time, .ssrc = packet_u32(p->bytes + 8),
		           .seq = packet_u16(p->bytes + 2) };
	struct keyset *keys[STREAM_KEYSETS_MAX];
	bool in_turn = p->stream->join.turn == time->turn;
	const struct ssrc *tried = in_turn ? NULL : p->ssrc;	/* an index that has moved since is another try */
	uint32_t guess = roc_guess(&t);
	unsigned int n = order(&t, keys, in_turn);

	if (tried != NULL && mki_fits(p->stream->keys, p))
		t.n_tries = 1;		/* the batch's */
	for (unsigned int i = 0; i < n; i++)
		if (likely_place(&t, keys[i], tried, guess))
			return true;
	return n != 0 && !(n == 1 && is_lively(&t)) && search(&t, keys, n, guess);
}

enum unprotect_result
join_rtcp(struct srtcp *c, struct rx_packet *p, const struct join_time *time)
{
	struct trial t = { .p = p, .time = time, .ssrc = packet_u32(p->bytes + 4) };
	struct keyset *keys[STREAM_KEYSETS_MAX];
	unsigned int n = order(&t, keys, false);

	for (unsigned int i = 0; i < n && may_try(&t); i++) {
		enum unprotect_result result = srtcp_unprotect(c, &keys[i]->rtcp, &keys[i]->window, p->bytes, &p->len);

		if (result != UNPROTECT_BAD_TAG)
			return result;
	}
	return UNPROTECT_BAD_TAG;
}
