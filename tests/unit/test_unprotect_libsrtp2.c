/* The engine on libsrtp2: what it must accept and refuse, whatever the library remembers, and that it says the same as
 * the engine on ipsec-mb, packet by packet. Senders are libsrtp2 itself and tests/unit/srtp_sender.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "crypto/unprotect.h"
#include "crypto/unprotect_libsrtp2.h"
#include "libsrtp2_peer.h"
#include "memory_search.h"

#define PACKET_MAX 512
#define LEN        172
#define SSRC       0x1badcafeu
#define ROC        0x10000ull

struct fixture {
	enum srtp_suite suite;
	struct srtp_master master;
	struct unprotect_ctx ctx;
	struct packet_index index;
	uint8_t plain[PACKET_MAX], sealed[PACKET_MAX], packet[PACKET_MAX];
	struct unprotect_op op;
};

static int
setup(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	return *state == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	unprotect_libsrtp2_wipe(&f->ctx);
	free(f);
	return 0;
}

/* @return false: the library does not have it */
static bool
begin(struct fixture *f, enum srtp_suite suite, uint8_t mki_len)
{
	unprotect_libsrtp2_wipe(&f->ctx);
	memset(f, 0, sizeof(*f));
	if (!unprotect_libsrtp2_has(suite))
		return false;
	f->suite = suite;
	f->master = sender_master(suite, 1);
	f->master.mki_len = mki_len;
	memset(f->master.mki, 0xa7, mki_len);
	assert_int_equal(unprotect_libsrtp2_init(&f->ctx, &f->master), SRS_OK);
	assert_int_equal(f->ctx.suite, suite);
	assert_int_equal(f->ctx.tag_len, srtp_suite_shape(suite)->tag_len);
	assert_int_equal(f->ctx.mki_len, mki_len);
	return true;
}

static void
fill(uint8_t *p, uint16_t len, uint32_t ssrc, uint16_t seq)
{
	for (unsigned int i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 3 + seq);
	p[0] = 0x80;
	p[1] = 0;
	p[2] = (uint8_t)(seq >> 8);
	p[3] = (uint8_t)seq;
	p[8] = (uint8_t)(ssrc >> 24);
	p[9] = (uint8_t)(ssrc >> 16);
	p[10] = (uint8_t)(ssrc >> 8);
	p[11] = (uint8_t)ssrc;
}

/* A protected packet of this index stands ready in f->op. */
static void
ready_from(struct fixture *f, uint32_t ssrc, uint64_t index, uint16_t len)
{
	fill(f->plain, len, ssrc, (uint16_t)index);
	memcpy(f->packet, f->plain, len);
	f->op = (struct unprotect_op){ .packet = f->packet, .index = &f->index, .keys = &f->ctx };
	f->op.len = sender_protect(&f->master, index, f->packet, len);
	assert_true(f->op.len > len);
	memcpy(f->sealed, f->packet, f->op.len);
}

static void
ready(struct fixture *f, uint64_t index)
{
	ready_from(f, SSRC, index, LEN);
}

static void
run_ok(struct fixture *f, uint64_t index, uint16_t len)
{
	unprotect_libsrtp2_one(&f->op);
	assert_int_equal(f->op.result, UNPROTECT_OK);
	assert_int_equal(f->op.packet_index, index);
	assert_int_equal(f->op.len, len);
	assert_memory_equal(f->packet, f->plain, len);
	assert_true(f->index.started);
}

static void
accepted(struct fixture *f, uint64_t index)
{
	ready(f, index);
	f->op.roc_guess = (uint32_t)(index >> 16);
	run_ok(f, index, LEN);
}

/* The packet that stands ready gets this result, and moves neither a byte nor the index. */
static void
run_refused(struct fixture *f, enum unprotect_result expected)
{
	struct packet_index before = f->index;
	uint8_t bytes[PACKET_MAX];
	uint16_t len = f->op.len;

	memcpy(bytes, f->packet, sizeof(bytes));
	unprotect_libsrtp2_one(&f->op);
	assert_int_equal(f->op.result, expected);
	assert_int_equal(f->op.len, len);
	assert_memory_equal(f->packet, bytes, sizeof(bytes));
	assert_memory_equal(&f->index, &before, sizeof(before));
}

static void
refused(struct fixture *f, uint64_t index, enum unprotect_result expected)
{
	ready(f, index);
	run_refused(f, expected);
	assert_int_equal(f->op.packet_index, index);
}

static void
forged(struct fixture *f, uint64_t index)
{
	ready(f, index);
	f->packet[LEN - 1] ^= 1;
	run_refused(f, UNPROTECT_BAD_TAG);
}

#define EACH_SUITE(f) \
	for (unsigned int suite_i = 1; suite_i < SRTP_SUITES; suite_i++) \
		if (begin(f, suite_i, 0))

/* ---- suites ---- */

static void
suites_are_those_in_which_the_library_agrees_with_the_rfcs(void **state)
{
	struct fixture *f = *state;
	struct srtp_master m;

	for (unsigned int suite = 0; suite <= SRTP_SUITES; suite++) {
		bool expected = suite != SRTP_SUITE_NONE && suite != SRTP_SUITES && peer_has(suite);

		print_message("%s: %s\n", srtp_suite_shape(suite)->name, expected ? "yes" : "no");
		assert_int_equal(unprotect_libsrtp2_has(suite), expected);
		m = sender_master(suite, 1);
		m.suite = (uint8_t)suite;
		assert_int_equal(unprotect_libsrtp2_init(&f->ctx, &m), expected ? SRS_OK : SRS_ERR_UNSUPPORTED);
		unprotect_libsrtp2_wipe(&f->ctx);
	}
	assert_true(unprotect_libsrtp2_has(SRTP_AES_CM_128_HMAC_SHA1_80));
	m = sender_master(SRTP_AES_CM_128_HMAC_SHA1_80, 1);
	m.mki_len = SRTP_MKI_MAX + 1;
	assert_int_equal(unprotect_libsrtp2_init(&f->ctx, &m), SRS_ERR_UNSUPPORTED);
}

static void
stream_of_libsrtp2_comes_out_across_a_wrap(void **state)
{
	struct fixture *f = *state;
	static const uint8_t mki_lens[] = { 0, 1, 4 };

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++)
		for (unsigned int k = 0; k < sizeof(mki_lens); k++) {
			srtp_t sender;

			if (!begin(f, suite, mki_lens[k]))
				continue;
			sender = peer_create(&f->master, ssrc_any_outbound);
			assert_non_null(sender);
			for (uint64_t index = 65400; index < 65400 + 300; index++) {
				int len = LEN;

				fill(f->plain, LEN, SSRC, (uint16_t)index);
				memcpy(f->packet, f->plain, LEN);
				assert_int_equal(srtp_protect_mki(sender, f->packet, &len, k != 0, 0), srtp_err_status_ok);
				f->op = (struct unprotect_op){ .packet = f->packet, .index = &f->index, .keys = &f->ctx,
				                               .len = (uint16_t)len };
				run_ok(f, index, LEN);
			}
			srtp_dealloc(sender);
		}
}

static void
any_header_and_any_payload_comes_out(void **state)
{
	struct fixture *f = *state;

	EACH_SUITE(f)
		for (uint64_t roc = 0; roc < 2; roc++) {
			memset(&f->index, 0, sizeof(f->index));
			for (uint16_t len = 12; len < 60; len++) {	/* from an empty payload on */
				ready_from(f, SSRC, roc * ROC + len, len);
				f->op.roc_guess = (uint32_t)roc;
				run_ok(f, roc * ROC + len, len);
			}
			fill(f->packet, LEN, SSRC, 200);
			f->packet[0] = 0x93;			/* three CSRCs, and an extension of two words */
			f->packet[26] = 0;
			f->packet[27] = 2;
			memcpy(f->plain, f->packet, LEN);
			f->op = (struct unprotect_op){ .packet = f->packet, .index = &f->index, .keys = &f->ctx };
			f->op.len = sender_protect(&f->master, roc * ROC + 200, f->packet, LEN);
			run_ok(f, roc * ROC + 200, LEN);
		}
}

static void
packet_at_an_odd_address_comes_out(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[PACKET_MAX + 1];

	EACH_SUITE(f) {
		ready(f, 5);
		memcpy(bytes + 1, f->packet, f->op.len);
		f->op.packet = bytes + 1;
		unprotect_libsrtp2_one(&f->op);
		assert_int_equal(f->op.result, UNPROTECT_OK);
		assert_memory_equal(bytes + 1, f->plain, LEN);
	}
}

/* ---- what is refused ---- */

static void
changed_bit_anywhere_is_refused_and_moves_nothing(void **state)
{
	struct fixture *f = *state;
	static const uint64_t indexes[] = { 7, 3 * ROC + 7 };	/* a stream of the template, and one of ours */

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++)
		for (unsigned int k = 0; k < 4; k++) {
			if (!begin(f, suite, k < 2 ? 0 : 4))
				continue;
			accepted(f, indexes[k % 2]);
			ready(f, indexes[k % 2] + 1);
			for (unsigned int bit = 0; bit < 8u * f->op.len; bit += bit < 200 ? 1 : 5) {
				if (bit >= 16 && bit < 32)
					continue;		/* another SEQ is another packet, below */
				f->packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
				run_refused(f, UNPROTECT_BAD_TAG);
				f->packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
			}
			run_ok(f, indexes[k % 2] + 1, LEN);
		}
}

static void
forged_sequence_number_moves_nothing(void **state)
{
	struct fixture *f = *state;

	EACH_SUITE(f) {
		accepted(f, 2 * ROC + 1000);
		for (unsigned int seq = 0; seq < 65536; seq += 251) {
			ready(f, 2 * ROC + 1001);
			f->packet[2] = (uint8_t)(seq >> 8);
			f->packet[3] = (uint8_t)seq;
			run_refused(f, UNPROTECT_BAD_TAG);
		}
		accepted(f, 2 * ROC + 1001);
	}
}

static void
short_packets_are_refused(void **state)
{
	struct fixture *f = *state;

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++) {
		uint16_t whole;

		if (!begin(f, suite, 4))
			continue;
		ready(f, 9);
		whole = f->op.len;
		for (uint16_t len = 12; len < whole; len++) {
			f->op.len = len;
			run_refused(f, UNPROTECT_BAD_TAG);
		}
		f->op.len = whole;
		run_ok(f, 9, LEN);
		ready(f, 10);
		f->packet[0] |= 0x1f;	/* more CSRCs and extension than there is packet in front of the tag */
		f->op.len = 12 + 4 * 15 + 4;
		run_refused(f, UNPROTECT_BAD_TAG);
	}
}

static void
other_mki_is_refused(void **state)
{
	struct fixture *f = *state;

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++) {
		if (!begin(f, suite, 4))
			continue;
		f->master.mki[2] ^= 1;
		ready(f, 9);
		run_refused(f, UNPROTECT_BAD_TAG);
		f->master.mki[2] ^= 1;
		ready(f, 9);
		run_ok(f, 9, LEN);
	}
}

/* ---- replay ---- */

static void
replayed_and_old_packets_are_told_from_forged_ones(void **state)
{
	struct fixture *f = *state;

	EACH_SUITE(f)
		for (uint64_t roc = 0; roc < 3; roc++) {
			uint64_t at = roc * ROC + 500;

			memset(&f->index, 0, sizeof(f->index));
			accepted(f, at);
			refused(f, at, UNPROTECT_REPLAYED);
			forged(f, at);
			refused(f, at, UNPROTECT_REPLAYED);	/* again: what the last one left behind does not matter */
			refused(f, at - PACKET_INDEX_WINDOW, UNPROTECT_TOO_OLD);
			forged(f, at - PACKET_INDEX_WINDOW);
			refused(f, at - PACKET_INDEX_WINDOW, UNPROTECT_TOO_OLD);
			refused(f, at - 400, UNPROTECT_TOO_OLD);
			accepted(f, at - PACKET_INDEX_WINDOW + 1);
			refused(f, at - PACKET_INDEX_WINDOW + 1, UNPROTECT_REPLAYED);
			accepted(f, at + 20000);
			refused(f, at, UNPROTECT_TOO_OLD);
			accepted(f, at + 19990);
			refused(f, at + 20000, UNPROTECT_REPLAYED);
		}
}

static void
packets_from_before_a_wrap_are_taken_once(void **state)
{
	struct fixture *f = *state;

	EACH_SUITE(f)
		for (uint64_t roc = 1; roc < 3; roc++) {
			memset(&f->index, 0, sizeof(f->index));
			accepted(f, roc * ROC - 3);
			accepted(f, roc * ROC + 2);
			accepted(f, roc * ROC - 1);
			refused(f, roc * ROC - 3, UNPROTECT_REPLAYED);
			accepted(f, roc * ROC - 2);
			refused(f, roc * ROC + 2, UNPROTECT_REPLAYED);
			refused(f, roc * ROC - 1, UNPROTECT_REPLAYED);
			accepted(f, roc * ROC);
		}
}

static void
index_ends_at_2_48(void **state)
{
	struct fixture *f = *state;
	const uint64_t last = 0xffffffffffffull;

	EACH_SUITE(f) {
		accepted(f, last - 1);
		accepted(f, last);
		refused(f, last, UNPROTECT_REPLAYED);
		ready(f, 3);				/* one with index 3 is authentic, and 2^48 packets old */
		run_refused(f, UNPROTECT_TOO_OLD);
		forged(f, 3);
		refused(f, last - 1, UNPROTECT_REPLAYED);
		accepted(f, last - 2);
	}
}

/* ---- the caller's index is the truth ---- */

static void
wrong_guess_of_the_roc_moves_nothing_and_the_right_one_is_taken(void **state)
{
	struct fixture *f = *state;

	EACH_SUITE(f)
		for (uint32_t roc = 0; roc < 4; roc++) {
			memset(&f->index, 0, sizeof(f->index));
			ready(f, roc * ROC + 40);
			for (uint32_t guess = 0; guess < 4; guess++) {
				f->op.roc_guess = guess;
				if (guess != roc)
					run_refused(f, UNPROTECT_BAD_TAG);
			}
			f->op.roc_guess = roc;
			run_ok(f, roc * ROC + 40, LEN);
			accepted(f, roc * ROC + 41);
		}
}

static void
index_that_the_caller_reset_starts_anew(void **state)
{
	struct fixture *f = *state;
	static const uint64_t starts[] = { 5 * ROC + 9, 9, 70, 5 * ROC + 9, 1, 2 * ROC };

	EACH_SUITE(f)
		for (unsigned int i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
			memset(&f->index, 0, sizeof(f->index));
			accepted(f, starts[i]);
			refused(f, starts[i], UNPROTECT_REPLAYED);
			accepted(f, starts[i] + 1);
		}
}

static void
index_that_the_caller_put_back_or_ahead_is_followed(void **state)
{
	struct fixture *f = *state;
	struct packet_index kept;

	EACH_SUITE(f) {
		accepted(f, 100);
		kept = f->index;
		for (uint64_t i = 101; i < 110; i++)
			accepted(f, i);
		f->index = kept;		/* the copy of another generation of keys, say */
		for (uint64_t i = 101; i < 110; i++)
			accepted(f, i);
		packet_index_start(&f->index, 6, 0xfff0);
		accepted(f, 6 * ROC + 0xfff0);
		accepted(f, 7 * ROC + 3);
		packet_index_start(&f->index, 0, 0x9000);
		accepted(f, 0x9001);
		refused(f, 0x1800, UNPROTECT_TOO_OLD);	/* ROC 0 by ours: the library, left at 7, would say 8 */
		f->index = kept;
		refused(f, 100, UNPROTECT_REPLAYED);
		accepted(f, 0xfff0);
		f->index = kept;
		accepted(f, 0x2000);		/* the library stands at 0xfff0, from where 0x2000 is in ROC 1 */
	}
}

static void
senders_beyond_what_the_library_keeps_lose_nothing(void **state)
{
	struct fixture *f = *state;
	enum { SENDERS = 11 };
	struct packet_index index[SENDERS];

	EACH_SUITE(f) {
		memset(index, 0, sizeof(index));
		for (unsigned int round = 0; round < 6; round++)
			for (unsigned int k = 0; k < SENDERS; k++) {
				uint64_t at = k % 3 * ROC + 65533 + round / 2;	/* each twice, across a wrap */

				ready_from(f, k * 77, at, LEN);	/* SSRC 0 is one as any other */
				f->op.index = &index[k];
				f->op.roc_guess = (uint32_t)(at >> 16);
				unprotect_libsrtp2_one(&f->op);
				assert_int_equal(f->op.result, round % 2 == 0 ? UNPROTECT_OK : UNPROTECT_REPLAYED);
				assert_int_equal(f->op.packet_index, at);
			}
	}
}

static void
ssrcs_by_the_thousand_do_not_grow_the_library(void **state)
{
	struct fixture *f = *state;
	size_t before = 0, after;

	assert_true(begin(f, SRTP_AES_CM_128_HMAC_SHA1_80, 0));
	for (uint32_t ssrc = 1; ssrc <= 4000; ssrc++) {
		memset(&f->index, 0, sizeof(f->index));
		ready_from(f, ssrc, ssrc % 2 * ROC + 8, LEN);
		f->op.roc_guess = ssrc % 2;
		run_ok(f, ssrc % 2 * ROC + 8, LEN);
		if (ssrc == 2000)
			before = mallinfo2().uordblks;
	}
	after = mallinfo2().uordblks;
	assert_true(after < before + 16384);	/* 2,000 streams would be a megabyte */
}

/* ---- beside the engine on ipsec-mb ---- */

#define PAIR_SSRCS   3
#define PAIR_PACKETS 6000

struct pair {
	struct srtp_master master;
	struct unprotect_ctx a, b;		/* libsrtp2, ipsec-mb */
	struct unprotect_engine *engine;	/* b's */
	struct packet_index index_a[PAIR_SSRCS], index_b[PAIR_SSRCS];
	uint64_t sent[PAIR_SSRCS];		/* highest index of each */
	uint64_t random;
	unsigned int n[UNPROTECT_BAD_TAG + 1];	/* results */
};

static uint32_t
random_below(struct pair *p, uint32_t n)
{
	p->random = p->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((p->random >> 33) % n);
}

static uint64_t
pair_next_index(struct pair *p, unsigned int k)
{
	uint32_t what = random_below(p, 100);
	uint64_t back = random_below(p, what < 90 ? 140 : 60000);

	if (what < 65) {
		p->sent[k] += 1 + (what < 5 ? random_below(p, 30) : 0);
		return p->sent[k];
	}
	if (what < 70) {
		p->sent[k] += random_below(p, 32000);
		return p->sent[k];
	}
	return p->sent[k] > back ? p->sent[k] - back : p->sent[k];
}

/* Caller's moves that a stream may see: forgotten, or put to another index. */
static void
pair_move_index(struct pair *p, unsigned int k)
{
	if (random_below(p, 2) == 0)
		memset(&p->index_a[k], 0, sizeof(p->index_a[k]));
	else
		packet_index_start(&p->index_a[k], (uint32_t)(p->sent[k] >> 16), (uint16_t)random_below(p, 65536));
	p->index_b[k] = p->index_a[k];
}

static void
pair_step(struct pair *p)
{
	unsigned int k = random_below(p, PAIR_SSRCS);
	uint64_t index = pair_next_index(p, k);
	uint16_t plain_len = (uint16_t)(12 + random_below(p, 200)), len;
	uint8_t bytes_a[PACKET_MAX], bytes_b[PACKET_MAX], sealed[PACKET_MAX];
	struct unprotect_op a, b, *burst[1] = { &b };

	if (random_below(p, 200) == 0)
		pair_move_index(p, k);
	fill(sealed, plain_len, 1000 + k, (uint16_t)index);
	len = sender_protect(&p->master, index, sealed, plain_len);
	if (random_below(p, 10) == 0)
		sealed[random_below(p, len)] ^= (uint8_t)(1 + random_below(p, 255));
	sealed[0] = (uint8_t)((sealed[0] & 0x3f) | 0x80);
	memcpy(bytes_a, sealed, len);
	memcpy(bytes_b, sealed, len);
	a = (struct unprotect_op){ .packet = bytes_a, .len = len, .index = &p->index_a[k], .keys = &p->a,
	                           .roc_guess = (uint32_t)(index >> 16) + (random_below(p, 10) == 0) };
	b = a;
	b.packet = bytes_b;
	b.index = &p->index_b[k];
	b.keys = &p->b;
	unprotect_libsrtp2_one(&a);
	unprotect_burst(p->engine, burst, 1);
	assert_int_equal(a.result, b.result);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(&p->index_a[k], &p->index_b[k], sizeof(p->index_a[k]));
	if (a.result != UNPROTECT_BAD_TAG)
		assert_int_equal(a.packet_index, b.packet_index);
	if (a.result == UNPROTECT_OK || a.result == UNPROTECT_BAD_TAG)
		assert_memory_equal(bytes_a, bytes_b, len);
	p->n[a.result]++;
}

static void
both_engines_say_the_same_of_every_packet(void **state)
{
	uint64_t seed = 20261125;

	if (getenv("CAPSTAN_SEED") != NULL)
		seed = strtoull(getenv("CAPSTAN_SEED"), NULL, 0);
	if (!unprotect_engine_runs(UNPROTECT_IPSEC_MB))
		skip();
	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++) {
		struct pair p = { .master = sender_master(suite, 4), .random = seed + suite };

		if (!unprotect_libsrtp2_has(suite))
			continue;
		p.master.mki_len = suite % 2 == 0 ? 4 : 0;
		p.engine = unprotect_engine_create(UNPROTECT_IPSEC_MB);
		assert_non_null(p.engine);
		assert_int_equal(unprotect_ctx_init(&p.b, p.engine, &p.master), SRS_OK);
		assert_int_equal(unprotect_libsrtp2_init(&p.a, &p.master), SRS_OK);
		for (unsigned int k = 0; k < PAIR_SSRCS; k++)
			p.sent[k] = random_below(&p, 200000);
		for (unsigned int i = 0; i < PAIR_PACKETS; i++)
			pair_step(&p);
		print_message("%s: ok %u, replayed %u, too old %u, bad tag %u; CAPSTAN_SEED=%llu\n",
		              srtp_suite_shape(suite)->name, p.n[UNPROTECT_OK], p.n[UNPROTECT_REPLAYED],
		              p.n[UNPROTECT_TOO_OLD], p.n[UNPROTECT_BAD_TAG], (unsigned long long)seed);
		for (unsigned int r = UNPROTECT_OK; r <= UNPROTECT_BAD_TAG; r++)
			assert_true(p.n[r] > PAIR_PACKETS / 100);	/* each is really met */
		unprotect_ctx_wipe(&p.b);
		unprotect_libsrtp2_wipe(&p.a);
		unprotect_engine_destroy(p.engine);
	}
}

/* ---- keys ---- */

/* A context's whole life, in a frame that is over when it returns. Two packets under the key: one opens a stream of its
 * own, the other one in the proof. */
__attribute__((noinline)) static void
live_with_key(enum srtp_suite suite, uint8_t master[16], uint8_t session[16])
{
	const struct srtp_suite_shape *shape = srtp_suite_shape(suite);
	struct srtp_kdf_master kdf = { .key_len = shape->key_len, .salt_len = shape->salt_len };
	struct srtp_master m = { .suite = (uint8_t)suite };
	struct unprotect_ctx ctx;
	struct packet_index index = { 0 };
	uint8_t packet[PACKET_MAX];
	struct unprotect_op op = { .packet = packet, .index = &index, .keys = &ctx, .roc_guess = 3 };

	for (unsigned int i = 0; i < SRTP_MASTER_KEY_MAX; i++)
		kdf.key[i] = m.key[i] = (uint8_t)(i * 29 + suite); /* no other test's */
	memory_invert(master, m.key, 16);
	assert_int_equal(srtp_kdf_derive(&kdf, SRTP_KDF_RTP_CIPHER, session, 16), SRS_OK);
	memory_invert(session, session, 16);
	assert_int_equal(unprotect_libsrtp2_init(&ctx, &m), SRS_OK);
	for (unsigned int i = 0; i < 2; i++) {
		fill(packet, LEN, SSRC, 5);
		op.len = sender_protect(&m, 3 * ROC + 5, packet, LEN);
		unprotect_libsrtp2_one(&op);
		assert_int_equal(op.result, i == 0 ? UNPROTECT_OK : UNPROTECT_REPLAYED);
	}
	secret_wipe(&m, sizeof(m));
	secret_wipe(&kdf, sizeof(kdf));
	assert_true(memory_count(master, 16) > 0); /* the search finds what is there */
	assert_true(memory_count(session, 16) > 0);
	unprotect_libsrtp2_wipe(&ctx);
	assert_null(ctx.key.session);
	unprotect_libsrtp2_wipe(&ctx); /* a zeroed one is accepted */
}

static void
no_key_is_left_after_the_wipe(void **state)
{
	uint8_t master[16], session[16];

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++) {
		if (!unprotect_libsrtp2_has(suite))
			continue;
		live_with_key(suite, master, session);
		assert_int_equal(memory_count(master, sizeof(master)), 0);
		assert_int_equal(memory_count(session, sizeof(session)), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(suites_are_those_in_which_the_library_agrees_with_the_rfcs, setup, teardown),
		cmocka_unit_test_setup_teardown(stream_of_libsrtp2_comes_out_across_a_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(any_header_and_any_payload_comes_out, setup, teardown),
		cmocka_unit_test_setup_teardown(packet_at_an_odd_address_comes_out, setup, teardown),
		cmocka_unit_test_setup_teardown(changed_bit_anywhere_is_refused_and_moves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(forged_sequence_number_moves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(short_packets_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(other_mki_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(replayed_and_old_packets_are_told_from_forged_ones, setup, teardown),
		cmocka_unit_test_setup_teardown(packets_from_before_a_wrap_are_taken_once, setup, teardown),
		cmocka_unit_test_setup_teardown(index_ends_at_2_48, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_guess_of_the_roc_moves_nothing_and_the_right_one_is_taken, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(index_that_the_caller_reset_starts_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(index_that_the_caller_put_back_or_ahead_is_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(senders_beyond_what_the_library_keeps_lose_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(ssrcs_by_the_thousand_do_not_grow_the_library, setup, teardown),
		cmocka_unit_test_setup_teardown(both_engines_say_the_same_of_every_packet, setup, teardown),
		cmocka_unit_test_setup_teardown(no_key_is_left_after_the_wipe, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
