/* The same SRTCP packets through crypto/srtcp, through libsrtp2 itself and past the slow model. What crypto/srtcp sends
 * must be what libsrtp2 sends (network.c compares each packet), so both ways are held to it. A quarter of the slots sends
 * reports that are authenticated and not encrypted.
 *
 * Bytes are compared always: decrypted with OK, as they came with any other result. libsrtp2 looks at its replay window
 * before the tag, so what it calls a replay may be BAD_TAG here when it was changed; that pair alone may differ. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/srtcp.h"
#include "tests/diff/model.h"
#include "tests/diff/run.h"

#define ROUND 10000u	/* packets under one set of keys */
#define GUARD 64

struct round {
	struct network net;
	struct srtcp *srtcp;
	struct srtcp_keys keys[NETWORK_SLOTS];
	struct srtcp_window windows[NETWORK_SLOTS];
	struct reference receivers[NETWORK_SLOTS];
	struct model models[NETWORK_SOURCES];
};

struct tally {
	uint64_t n_packets, results[UNPROTECT_BAD_TAG + 1], changes[CHANGES];
	uint64_t n_clear;	/* accepted, not encrypted */
	uint64_t n_early;	/* replays to libsrtp2, BAD_TAG here */
	uint64_t n_stood_in;	/* not judged by libsrtp2 */
};

static struct round *
round_open(uint64_t seed, const enum srtp_suite suites[NETWORK_SLOTS])
{
	struct round *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	if (!network_create(&r->net, seed, NETWORK_RTCP, suites))
		fail_msg("CAPSTAN_SEED=%llu: %s", (unsigned long long)run_seed(), r->net.error);
	r->srtcp = srtcp_create();
	assert_non_null(r->srtcp);
	for (unsigned int slot = 0; slot < NETWORK_SLOTS; slot++) {
		assert_int_equal(srtcp_keys_derive(&r->keys[slot], &r->net.masters[slot]), SRS_OK);
		if (!r->net.stands_in[slot])
			assert_true(reference_create(&r->receivers[slot], &r->net.masters[slot],
			                             &r->net.ssrcs[slot * NETWORK_SSRCS], NETWORK_SSRCS,
			                             r->net.clear[slot]));
	}
	return r;
}

static void
round_close(struct round *r)
{
	for (unsigned int slot = 0; slot < NETWORK_SLOTS; slot++)
		reference_destroy(&r->receivers[slot]);
	srtcp_destroy(r->srtcp);
	network_destroy(&r->net);
	free(r);
}

static enum unprotect_result
model_wants(struct round *r, const struct wire *w)
{
	uint32_t ssrc;

	if (w->change != CHANGE_NONE)
		return UNPROTECT_BAD_TAG;
	ssrc = (uint32_t)w->bytes[4] << 24 | (uint32_t)w->bytes[5] << 16 | (uint32_t)w->bytes[6] << 8 | w->bytes[7];
	assert_int_equal(network_source_of(&r->net, w->slot, ssrc), w->source);
	return model_receive(&r->models[w->source], w->index, true);
}

static void
own_check(struct round *r, const struct wire *w, enum unprotect_result want)
{
	uint8_t buffer[GUARD + NETWORK_BYTES + GUARD], *bytes = buffer + GUARD;
	uint16_t len = w->len;
	enum unprotect_result got;
	char what[80];

	memset(buffer, 0xa5, sizeof(buffer));
	memcpy(bytes, w->bytes, w->len);
	got = srtcp_unprotect(r->srtcp, &r->keys[w->slot], &r->windows[w->slot], bytes, &len);
	if (got != want) {
		snprintf(what, sizeof(what), "%s, the model %s", run_result_names[got], run_result_names[want]);
		run_finding(&r->net, w, "srtcp_unprotect", what);
	}
	if (want == UNPROTECT_OK && (len != w->plain_len || memcmp(bytes, w->plain, w->plain_len) != 0))
		run_finding(&r->net, w, "srtcp_unprotect", "not the bytes that were sent");
	if (want != UNPROTECT_OK && (len != w->len || memcmp(bytes, w->bytes, w->len) != 0))
		run_finding(&r->net, w, "srtcp_unprotect", "refused, and the bytes are not as they came");
	for (unsigned int g = 0; g < GUARD; g++)
		if (buffer[g] != 0xa5 || bytes[w->len + g] != 0xa5)
			run_finding(&r->net, w, "srtcp_unprotect", "wrote beside the packet");
}

static void
reference_check(struct round *r, const struct wire *w, enum unprotect_result want, struct tally *t)
{
	uint8_t bytes[NETWORK_BYTES];
	uint16_t len = w->len;
	srtp_err_status_t status;
	char what[80];
	bool agrees;

	memcpy(bytes, w->bytes, w->len);
	status = reference_unprotect_rtcp(&r->receivers[w->slot], bytes, &len);
	agrees = (status == srtp_err_status_ok) == (want == UNPROTECT_OK);
	if (want == UNPROTECT_REPLAYED)
		agrees = status == srtp_err_status_replay_fail;
	if (want == UNPROTECT_TOO_OLD)
		agrees = status == srtp_err_status_replay_old;
	if (want == UNPROTECT_BAD_TAG && (status == srtp_err_status_replay_fail || status == srtp_err_status_replay_old)) {
		agrees = w->change != CHANGE_NONE;
		t->n_early++;
	}
	if (!agrees) {
		snprintf(what, sizeof(what), "status %d, the model %s", (int)status, run_result_names[want]);
		run_finding(&r->net, w, "srtp_unprotect_rtcp", what);
	}
	if (want == UNPROTECT_OK && (len != w->plain_len || memcmp(bytes, w->plain, len) != 0))
		run_finding(&r->net, w, "srtp_unprotect_rtcp", "not the bytes that were sent");
}

static void
packet_check(struct round *r, const struct wire *w, struct tally *t)
{
	enum unprotect_result want = model_wants(r, w);

	own_check(r, w, want);
	if (r->net.stands_in[w->slot])
		t->n_stood_in++;
	else
		reference_check(r, w, want, t);
	t->results[want]++;
	t->changes[w->change]++;
	t->n_clear += want == UNPROTECT_OK && r->net.clear[w->slot];
	t->n_packets++;
}

static void
round_run(uint64_t seed, const enum srtp_suite suites[NETWORK_SLOTS], uint64_t n_packets, struct tally *t)
{
	struct round *r = round_open(seed, suites);
	uint64_t end = t->n_packets + n_packets;

	for (uint32_t late = 0; late < NETWORK_DELAY;) {
		struct wire *w, *next;

		if (t->n_packets >= end)
			late++;		/* nothing more is sent; what is on its way arrives */
		else if (!network_send(&r->net))
			fail_msg("CAPSTAN_SEED=%llu: %s", (unsigned long long)run_seed(), r->net.error);
		for (w = network_arrivals(&r->net); w != NULL; w = next) {
			next = w->next;
			packet_check(r, w, t);
			free(w);
		}
	}
	round_close(r);
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
	print_message("%llu packets: %llu accepted (%llu not encrypted), %llu replayed, %llu too old, %llu bad; "
	              "%llu replays to libsrtp2 that are BAD_TAG here; %llu made by crypto/srtcp and not shown to libsrtp2\n",
	              (unsigned long long)t.n_packets, (unsigned long long)t.results[UNPROTECT_OK],
	              (unsigned long long)t.n_clear, (unsigned long long)t.results[UNPROTECT_REPLAYED],
	              (unsigned long long)t.results[UNPROTECT_TOO_OLD], (unsigned long long)t.results[UNPROTECT_BAD_TAG],
	              (unsigned long long)t.n_early, (unsigned long long)t.n_stood_in);
	if (n < 2 * ROUND)
		return;
	for (unsigned int i = UNPROTECT_OK; i <= UNPROTECT_BAD_TAG; i++)
		assert_true(t.results[i] > 0);
	assert_true(t.results[UNPROTECT_OK] > n / 2);
	assert_true(t.n_clear > 0 || t.n_stood_in == t.n_packets);
}

int
main(void)
{
	(void)srtp_init();	/* false alarm when it was done already */
	return run_suites(suites_agree);
}
