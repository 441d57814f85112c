/* The same packets through the engines, through libsrtp2 itself and through a slow model, packet by packet.
 *
 * Engines must give what the model says in result, packet index and bytes, and so agree with each other. Bytes are
 * compared where unprotect.h promises them: decrypted with OK, as they came with BAD_TAG. libsrtp2 must accept and
 * refuse the same packets; it looks at its replay window before the tag, so what it calls a replay may be BAD_TAG here
 * when it was changed or taken for another ROC, and that pair alone may differ.
 *
 * CAPSTAN_SEED=N makes a run again; CAPSTAN_DIFF_PACKETS=1000000 is the full run (packets a suite). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "crypto/unprotect.h"
#include "tests/diff/model.h"
#include "tests/diff/run.h"

#define ROUND		10000u	/* packets under one set of keys */
#define SIDES		3
#define GUARD		64

static const struct {
	const char *name;
	enum unprotect_engine_kind kind;
	bool portable;	/* as on a processor without 512-bit registers */
} sides[SIDES] = {
	{ "ipsec-mb", UNPROTECT_IPSEC_MB, false },
	{ "ipsec-mb without 512-bit registers", UNPROTECT_IPSEC_MB, true },
	{ "libsrtp2", UNPROTECT_LIBSRTP2, false },
};

/* One engine's side of a round. */
struct side {
	struct unprotect_engine *engine;	/* NULL: does not take part */
	struct unprotect_ctx *keys;		/* by slot */
	struct packet_index index[NETWORK_SOURCES];
	struct unprotect_op ops[UNPROTECT_BURST_MAX];
	struct packet_index stranger[UNPROTECT_BURST_MAX];	/* of SSRCs that nobody has */
	uint8_t buffer[UNPROTECT_BURST_MAX][GUARD + NETWORK_BYTES + GUARD];
};

struct round {
	struct network net;
	struct side side[SIDES];
	struct reference receivers[NETWORK_SLOTS];
	struct model models[NETWORK_SOURCES];
	struct wire *burst[UNPROTECT_BURST_MAX];
	uint16_t n;
};

/* What came up, so that a run which tests nothing does not pass. */
struct tally {
	uint64_t n_packets, results[UNPROTECT_BAD_TAG + 1], changes[CHANGES];
	uint64_t n_unfit;	/* no RTP header: never reaches an engine */
	uint64_t n_pairs;	/* packets of a source that another one preceded in the burst */
	uint64_t n_wraps;	/* ... accepted at another ROC than that one */
	uint64_t n_early;	/* replays to libsrtp2, BAD_TAG here */
	uint64_t n_stood_in;	/* not judged by libsrtp2 */
};

static uint32_t
ssrc_of(const uint8_t *p)
{
	return (uint32_t)p[8] << 24 | (uint32_t)p[9] << 16 | (uint32_t)p[10] << 8 | p[11];
}

static uint16_t
seq_of(const uint8_t *p)
{
	return (uint16_t)(p[2] << 8 | p[3]);
}

/* What the caller of unprotect_burst() has checked: version, CSRC list and extension fit. */
static bool
header_fits(const uint8_t *p, uint16_t len)
{
	uint32_t n = 12;

	if (len < n || p[0] >> 6 != 2)
		return false;
	n += 4u * (p[0] & 0x0f);
	if ((p[0] & 0x10) != 0)
		n += n + 4 <= len ? 4 + 4u * (uint32_t)(p[n + 2] << 8 | p[n + 3]) : UINT16_MAX;
	return n <= len;
}

/* ---- a round ---- */

static void
side_open(struct round *r, unsigned int k)
{
	struct side *s = &r->side[k];

	if (!unprotect_engine_runs(sides[k].kind)) {
		assert_int_not_equal(sides[k].kind, UNPROTECT_LIBSRTP2);	/* it runs anywhere */
		return;
	}
	s->engine = unprotect_engine_create(sides[k].kind);
	if (s->engine != NULL && sides[k].portable)
		unprotect_engine_portable(s->engine);
	s->keys = secret_alloc(NETWORK_SLOTS * sizeof(*s->keys));
	assert_non_null(s->engine);
	assert_non_null(s->keys);
	for (unsigned int slot = 0; slot < NETWORK_SLOTS; slot++) {
		enum srs_err err = unprotect_ctx_init(&s->keys[slot], s->engine, &r->net.masters[slot]);

		if (sides[k].kind == UNPROTECT_LIBSRTP2 && r->net.stands_in[slot])
			assert_int_equal(err, SRS_ERR_UNSUPPORTED);	/* it cannot have what the library has not */
		else
			assert_int_equal(err, SRS_OK);
	}
}

static void
side_close(struct side *s)
{
	for (unsigned int slot = 0; s->keys != NULL && slot < NETWORK_SLOTS; slot++)
		unprotect_ctx_wipe(&s->keys[slot]);
	secret_free(s->keys, NETWORK_SLOTS * sizeof(*s->keys));
	unprotect_engine_destroy(s->engine);
}

static struct round *
round_open(uint64_t seed, const enum srtp_suite suites[NETWORK_SLOTS])
{
	struct round *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	if (!network_create(&r->net, seed, NETWORK_RTP, suites))
		fail_msg("CAPSTAN_SEED=%llu: %s", (unsigned long long)run_seed(), r->net.error);
	for (unsigned int slot = 0; slot < NETWORK_SLOTS; slot++)
		if (!r->net.stands_in[slot])
			assert_true(reference_create(&r->receivers[slot], &r->net.masters[slot],
			                             &r->net.ssrcs[slot * NETWORK_SSRCS], NETWORK_SSRCS, false));
	for (unsigned int i = 0; i < NETWORK_SOURCES; i++)
		r->models[i].roc_first = r->net.ssrcs[i].roc;
	for (unsigned int k = 0; k < SIDES; k++)
		side_open(r, k);
	return r;
}

static void
round_close(struct round *r)
{
	for (unsigned int k = 0; k < SIDES; k++)
		side_close(&r->side[k]);
	for (unsigned int slot = 0; slot < NETWORK_SLOTS; slot++)
		reference_destroy(&r->receivers[slot]);
	network_destroy(&r->net);
	free(r);
}

/* ---- a burst ---- */

static bool
takes_part(const struct round *r, unsigned int k, const struct wire *w)
{
	return r->side[k].engine != NULL && (sides[k].kind != UNPROTECT_LIBSRTP2 || !r->net.stands_in[w->slot]);
}

static void
side_run(struct round *r, unsigned int k)
{
	struct side *s = &r->side[k];
	struct unprotect_op *op[UNPROTECT_BURST_MAX];
	uint16_t n = 0;

	for (uint16_t i = 0; i < r->n; i++) {
		const struct wire *w = r->burst[i];
		int source = header_fits(w->bytes, w->len) ? network_source_of(&r->net, w->slot, ssrc_of(w->bytes)) : -1;

		memset(s->buffer[i], 0xa5, sizeof(s->buffer[i]));
		memcpy(s->buffer[i] + GUARD, w->bytes, w->len);
		s->stranger[i] = (struct packet_index){ 0 };
		s->ops[i] = (struct unprotect_op){
			.packet = s->buffer[i] + GUARD, .len = w->len, .keys = &s->keys[w->slot],
			.index = source < 0 ? &s->stranger[i] : &s->index[source],
			.roc_guess = source < 0 ? 0 : r->net.ssrcs[source].roc,
		};
		if (header_fits(w->bytes, w->len) && takes_part(r, k, w))
			op[n++] = &s->ops[i];
	}
	if (n != 0)
		unprotect_burst(s->engine, op, n);
}

static void
side_check(const struct round *r, unsigned int k, uint16_t i, enum unprotect_result want, uint64_t index)
{
	const struct side *s = &r->side[k];
	const struct wire *w = r->burst[i];
	const struct unprotect_op *op = &s->ops[i];
	char what[120];

	if (op->result != want) {
		snprintf(what, sizeof(what), "%s, the model %s", run_result_names[op->result], run_result_names[want]);
		run_finding(&r->net, w, sides[k].name, what);
	}
	if (want != UNPROTECT_BAD_TAG && op->packet_index != index) {
		snprintf(what, sizeof(what), "index %llx, the model %llx", (unsigned long long)op->packet_index,
		         (unsigned long long)index);
		run_finding(&r->net, w, sides[k].name, what);
	}
	if (want == UNPROTECT_OK && (op->len != w->plain_len || memcmp(op->packet, w->plain, w->plain_len) != 0))
		run_finding(&r->net, w, sides[k].name, "not the bytes that were sent");
	if (want == UNPROTECT_BAD_TAG && (op->len != w->len || memcmp(op->packet, w->bytes, w->len) != 0))
		run_finding(&r->net, w, sides[k].name, "refused, and the bytes are not as they came");
	if (s->stranger[i].started)
		run_finding(&r->net, w, sides[k].name, "an SSRC that nobody has was started");
	for (unsigned int g = 0; g < GUARD; g++)
		if (s->buffer[i][g] != 0xa5 || s->buffer[i][GUARD + w->len + g] != 0xa5)
			run_finding(&r->net, w, sides[k].name, "wrote beside the packet");
}

/* Index and window of a source, bit by bit. */
static void
index_check(const struct round *r, unsigned int k, unsigned int source, const struct wire *last)
{
	const struct packet_index *have = &r->side[k].index[source];
	const struct model *m = &r->models[source];

	if (have->started != m->started || (m->started && have->highest != m->highest))
		run_finding(&r->net, last, sides[k].name, "the highest index is not the model's");
	for (uint64_t i = 0; m->started && i < MODEL_WINDOW && i <= m->highest; i++)
		if ((have->window[i / 64] >> (i % 64) & 1) != model_accepted(m, m->highest - i))
			run_finding(&r->net, last, sides[k].name, "the replay window is not the model's");
}

static void
reference_check(struct round *r, const struct wire *w, enum unprotect_result want, bool foreign, struct tally *t)
{
	uint8_t bytes[NETWORK_BYTES];
	uint16_t len = w->len;
	srtp_err_status_t status;
	char what[80];
	bool agrees;

	memcpy(bytes, w->bytes, w->len);
	status = reference_unprotect(&r->receivers[w->slot], bytes, &len);
	agrees = (status == srtp_err_status_ok) == (want == UNPROTECT_OK);
	if (want == UNPROTECT_REPLAYED)
		agrees = status == srtp_err_status_replay_fail;
	if (want == UNPROTECT_TOO_OLD)
		agrees = status == srtp_err_status_replay_old;
	if (want == UNPROTECT_BAD_TAG && (status == srtp_err_status_replay_fail || status == srtp_err_status_replay_old)) {
		agrees = foreign;
		t->n_early++;
	}
	if (!agrees) {
		snprintf(what, sizeof(what), "status %d, the model %s", (int)status, run_result_names[want]);
		run_finding(&r->net, w, "srtp_unprotect", what);
	}
	if (want == UNPROTECT_OK && (len != w->plain_len || memcmp(bytes, w->plain, len) != 0))
		run_finding(&r->net, w, "srtp_unprotect", "not the bytes that were sent");
}

/* The model's answer to one packet, everybody else's held against it. */
static enum unprotect_result
packet_check(struct round *r, uint16_t i, struct tally *t)
{
	const struct wire *w = r->burst[i];
	enum unprotect_result want = UNPROTECT_BAD_TAG;
	uint64_t index = 0;
	int source = -1;
	bool fits = header_fits(w->bytes, w->len);

	if (fits)
		source = network_source_of(&r->net, w->slot, ssrc_of(w->bytes));
	if (source >= 0) {
		index = model_estimate(&r->models[source], seq_of(w->bytes));
		want = model_receive(&r->models[source], index, w->change == CHANGE_NONE && index == w->index);
	}
	for (unsigned int k = 0; fits && k < SIDES; k++)
		if (takes_part(r, k, w))
			side_check(r, k, i, want, index);
	if (r->net.stands_in[w->slot])
		t->n_stood_in++;
	else
		reference_check(r, w, want, w->change != CHANGE_NONE || index != w->index, t);
	t->n_unfit += !fits;
	t->results[want] += fits;
	t->changes[w->change]++;
	return want;
}

static void
burst_run(struct round *r, struct tally *t)
{
	enum unprotect_result result[UNPROTECT_BURST_MAX];

	for (unsigned int k = 0; k < SIDES; k++)
		if (r->side[k].engine != NULL)
			side_run(r, k);
	for (uint16_t i = 0; i < r->n; i++) {
		result[i] = packet_check(r, i, t);
		for (uint16_t b = i; b-- > 0;)
			if (r->burst[b]->source == r->burst[i]->source) {
				t->n_pairs++;
				t->n_wraps += result[b] == UNPROTECT_OK && result[i] == UNPROTECT_OK &&
					      r->burst[b]->index >> 16 != r->burst[i]->index >> 16;
				break;
			}
	}
	for (uint16_t i = 0; i < r->n; i++) {
		for (unsigned int k = 0; k < SIDES; k++)
			if (takes_part(r, k, r->burst[i]))
				index_check(r, k, r->burst[i]->source, r->burst[i]);
		free(r->burst[i]);
	}
	t->n_packets += r->n;
	r->n = 0;
}

static uint16_t
burst_size_draw(struct dice *d)
{
	switch (dice_below(d, 4)) {
	case 0:
		return (uint16_t)dice_between(d, 1, 4);
	case 1:
		return (uint16_t)dice_between(d, 1, UNPROTECT_BURST_MAX);
	default:
		return 32;
	}
}

static void
round_run(uint64_t seed, const enum srtp_suite suites[NETWORK_SLOTS], uint64_t n_packets, struct tally *t)
{
	struct round *r = round_open(seed, suites);
	uint64_t end = t->n_packets + n_packets;
	uint16_t size = burst_size_draw(&r->net.dice);

	for (uint32_t late = 0; late < NETWORK_DELAY;) {
		struct wire *w, *next;

		if (t->n_packets >= end)
			late++;		/* nothing more is sent; what is on its way arrives */
		else if (!network_send(&r->net))
			fail_msg("CAPSTAN_SEED=%llu: %s", (unsigned long long)run_seed(), r->net.error);
		for (w = network_arrivals(&r->net); w != NULL; w = next) {
			next = w->next;
			r->burst[r->n++] = w;
			if (r->n < size)
				continue;
			burst_run(r, t);
			size = burst_size_draw(&r->net.dice);
		}
	}
	burst_run(r, t);
	round_close(r);
}

static void
tally_print(const struct tally *t)
{
	print_message("%llu packets: %llu accepted, %llu replayed, %llu too old, %llu bad, %llu without a header; "
	              "%llu behind another of their source in a burst, %llu of them over a wrap; "
	              "%llu replays to libsrtp2 that are BAD_TAG here\n",
	              (unsigned long long)t->n_packets, (unsigned long long)t->results[UNPROTECT_OK],
	              (unsigned long long)t->results[UNPROTECT_REPLAYED], (unsigned long long)t->results[UNPROTECT_TOO_OLD],
	              (unsigned long long)t->results[UNPROTECT_BAD_TAG], (unsigned long long)t->n_unfit,
	              (unsigned long long)t->n_pairs, (unsigned long long)t->n_wraps, (unsigned long long)t->n_early);
	if (t->n_stood_in != 0)
		print_message("%llu of them made on libcrypto and not shown to libsrtp2, which has no AES-192 here or derives "
		              "its keys by another cipher\n",
		              (unsigned long long)t->n_stood_in);
}

static void
suites_agree(const enum srtp_suite suites[NETWORK_SLOTS], uint64_t seed)
{
	uint64_t n = run_packets();
	struct dice rounds = { seed };
	struct tally t = { 0 };

	while (t.n_packets < n) {
		uint64_t left = n - t.n_packets;

		round_run(dice_roll(&rounds), suites, left < ROUND ? left : ROUND, &t);
	}
	tally_print(&t);
	if (n < 2 * ROUND)
		return;
	for (unsigned int i = UNPROTECT_OK; i <= UNPROTECT_BAD_TAG; i++)
		assert_true(t.results[i] > 0);
	for (unsigned int i = 0; i < CHANGES; i++)
		assert_true(t.changes[i] > 0);
	assert_true(t.results[UNPROTECT_OK] > n / 2);
	assert_true(t.n_pairs > 0);
	assert_true(t.n_wraps > 0);
	assert_true(t.n_unfit > 0);
}

int
main(void)
{
	for (unsigned int k = 0; k < SIDES; k++)
		if (!unprotect_engine_runs(sides[k].kind))
			print_message("the engine %s does not run here and is not tested\n", sides[k].name);
	/* Once a process, and the engine may have done it: then libsrtp2 says no, and is ready all the same. */
	(void)srtp_init();
	return run_suites(suites_agree);
}
