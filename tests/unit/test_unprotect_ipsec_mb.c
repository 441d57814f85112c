/* SRTP through the engine on ipsec-mb, every suite: bursts over many streams, and what must move nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/unprotect.h"
#include "srtp_sender.h"

#define STREAMS    8
#define PACKET_MAX 1600
#define LEN        172

struct fixture {
	struct unprotect_engine *engine;
	enum srtp_suite suite;
	struct srtp_master master[STREAMS];
	struct unprotect_ctx ctx[STREAMS];
	struct packet_index index[STREAMS];
	uint8_t plain[UNPROTECT_BURST_MAX][PACKET_MAX];
	uint8_t bytes[UNPROTECT_BURST_MAX][PACKET_MAX];
	struct unprotect_op ops[UNPROTECT_BURST_MAX];
	struct unprotect_op *burst[UNPROTECT_BURST_MAX];
	uint16_t n;
};

static void
begin(struct fixture *f, enum srtp_suite suite, uint8_t mki_len)
{
	f->suite = suite;
	f->n = 0;
	memset(f->index, 0, sizeof(f->index));
	for (unsigned int i = 0; i < STREAMS; i++) {
		f->master[i] = sender_master(suite, i);
		f->master[i].mki_len = mki_len;
		memset(f->master[i].mki, (int)(0xa0 + i), mki_len);
		assert_int_equal(unprotect_ctx_init(&f->ctx[i], f->engine, &f->master[i]), SRS_OK);
	}
}

/* A packet of this stream under this index: `len` of RTP, `first` is its first octet. */
static struct unprotect_op *
add_shaped(struct fixture *f, unsigned int stream, uint64_t index, uint16_t len, uint8_t first)
{
	uint8_t *p = f->bytes[f->n];
	struct unprotect_op *op = &f->ops[f->n];

	for (unsigned int i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 3 + stream + index);
	p[0] = first;
	p[1] = 0;
	p[2] = (uint8_t)(index >> 8);
	p[3] = (uint8_t)index;
	memset(p + 8, (int)(stream + 1), 4);
	if ((first & 0x10) != 0) {	/* an extension of two words behind the CSRC list */
		uint8_t *extension = p + 12 + 4 * (first & 0xf);

		extension[2] = 0;
		extension[3] = 2;
	}
	memcpy(f->plain[f->n], p, len);
	*op = (struct unprotect_op){ .packet = p, .index = &f->index[stream], .keys = &f->ctx[stream],
		                     .len = sender_protect(&f->master[stream], index, p, len) };
	assert_true(op->len > len);
	f->burst[f->n++] = op;
	return op;
}

static struct unprotect_op *
add(struct fixture *f, unsigned int stream, uint64_t index)
{
	return add_shaped(f, stream, index, LEN, 0x80);
}

static void
run(struct fixture *f)
{
	unprotect_burst(f->engine, f->burst, f->n);
}

static void
assert_plain(const struct fixture *f, const struct unprotect_op *op, uint16_t len, uint64_t index)
{
	assert_int_equal(op->result, UNPROTECT_OK);
	assert_int_equal(op->len, len);
	assert_int_equal(op->packet_index, index);
	assert_memory_equal(op->packet, f->plain[op - f->ops], len);
}

static void
burst_over_many_streams_gives_what_was_sent(struct fixture *f)
{
	struct unprotect_op *op[STREAMS * 4];

	for (uint64_t i = 0; i < STREAMS * 4; i++)
		op[i] = add(f, (unsigned int)(i % STREAMS), 100 + i / STREAMS);
	run(f);
	for (uint64_t i = 0; i < STREAMS * 4; i++)
		assert_plain(f, op[i], LEN, 100 + i / STREAMS);
}

static void
every_length_and_header_shape_is_read(struct fixture *f)
{
	static const struct { uint16_t len; uint8_t first; } shapes[] = {
		{ 12, 0x80 }, { 13, 0x80 }, { 27, 0x80 }, { 28, 0x80 }, { 76, 0x80 }, { 140, 0x80 }, { 268, 0x80 },
		{ 1400, 0x80 }, { 72, 0x8f }, { 200, 0x83 }, { 24, 0x90 }, { 300, 0x92 }, { 84, 0x9f }, { 173, 0xa0 },
		{ 59, 0x80 }, { 60, 0x80 }, { 61, 0x80 }, { 75, 0x80 }, { 123, 0x80 }, { 125, 0x80 }, { 252, 0x80 },
		{ 253, 0x80 }, { 267, 0x80 }, { 332, 0x80 }, { 333, 0x80 },
	};
	struct unprotect_op *op[sizeof(shapes) / sizeof(shapes[0])];

	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		op[i] = add_shaped(f, i % STREAMS, 50 + i, shapes[i].len, shapes[i].first);
	run(f);
	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		assert_plain(f, op[i], shapes[i].len, 50 + i);
}

/* STYLE's own example, for every kind of damage. */
static void
failed_tag_moves_nothing_and_restores_the_packet(struct fixture *f)
{
	struct packet_index before;
	struct unprotect_op *op;
	uint8_t came[PACKET_MAX];
	uint16_t len;

	add(f, 0, 0xfffe);
	run(f);
	before = f->index[0];
	for (unsigned int at = 0; at < LEN + (unsigned int)srtp_suite_shape(f->suite)->tag_len; at += 5) {
		f->n = 0;
		op = add(f, 0, 0xffff);
		len = op->len;
		op->packet[at] ^= 0x20;
		if (at == 0)
			op->packet[0] ^= 0x20 ^ 0x01;	/* not padding, which changes no length: a CSRC */
		memcpy(came, op->packet, len);
		run(f);
		assert_int_equal(op->result, UNPROTECT_BAD_TAG);
		assert_int_equal(op->len, len);
		assert_memory_equal(op->packet, came, len);
		assert_memory_equal(&f->index[0], &before, sizeof(before));
	}
}

static void
short_packet_is_refused(struct fixture *f)
{
	struct unprotect_op *op;

	for (uint16_t len = 12; len < 12 + 16; len++) {
		f->n = 0;
		op = add(f, 1, 9);
		op->len = len;
		run(f);
		assert_int_equal(op->result, UNPROTECT_BAD_TAG);
		assert_false(f->index[1].started);
	}
	f->n = 0;
	op = add(f, 1, 9);
	op->packet[0] |= 0x1f;		/* CSRCs and an extension that reach behind its end */
	op->len = 60;
	run(f);
	assert_int_equal(op->result, UNPROTECT_BAD_TAG);
}

static void
wrap_inside_a_burst_is_seen_by_the_next_packet(struct fixture *f)
{
	struct unprotect_op *op[8];

	add(f, 2, 0x1fff0);
	f->ops[0].roc_guess = 1;
	run(f);
	f->n = 0;
	/* the first is so far ahead that what follows it is estimated anew */
	op[0] = add(f, 2, 0x1fff1);
	op[1] = add(f, 2, 0x27ff0);
	op[2] = add(f, 2, 0x2fff0);
	op[3] = add(f, 2, 0x2fff1);
	op[4] = add(f, 3, 5);
	op[5] = add(f, 2, 0x30000);
	op[6] = add(f, 2, 0x2fff2);
	op[7] = add(f, 2, 0x2fff0);
	run(f);
	assert_plain(f, op[0], LEN, 0x1fff1);
	assert_plain(f, op[1], LEN, 0x27ff0);
	assert_plain(f, op[2], LEN, 0x2fff0);
	assert_plain(f, op[3], LEN, 0x2fff1);
	assert_plain(f, op[4], LEN, 5);
	assert_plain(f, op[5], LEN, 0x30000);
	assert_plain(f, op[6], LEN, 0x2fff2);
	assert_int_equal(op[7]->result, UNPROTECT_REPLAYED);
	assert_int_equal(op[7]->packet_index, 0x2fff0);
}

static void
forged_packet_before_a_true_one_of_the_same_number_does_not_shut_it_out(struct fixture *f)
{
	struct unprotect_op *forged, *good, *again;

	add(f, 0, 0x8000);
	run(f);
	f->n = 0;
	forged = add(f, 0, 0x8001);
	good = add(f, 0, 0x8001);
	again = add(f, 0, 0x8001);
	forged->packet[20] ^= 1;
	run(f);
	assert_int_equal(forged->result, UNPROTECT_BAD_TAG);
	assert_plain(f, good, LEN, 0x8001);
	assert_int_equal(again->result, UNPROTECT_REPLAYED);
}

static void
window_holds_128_packets(struct fixture *f)
{
	struct unprotect_op *late, *too_late;

	add(f, 4, 1000);
	run(f);
	f->n = 0;
	late = add(f, 4, 1000 - 127);
	too_late = add(f, 4, 1000 - 128);
	run(f);
	assert_plain(f, late, LEN, 1000 - 127);
	assert_int_equal(too_late->result, UNPROTECT_TOO_OLD);
	assert_int_equal(f->index[4].highest, 1000);
}

static void
late_join_authenticates_under_its_own_roc_alone(struct fixture *f)
{
	struct unprotect_op *op;

	for (uint32_t roc = 0; roc < 4; roc++) {
		f->n = 0;
		op = add(f, 5, 0x30000 + 77);
		op->roc_guess = roc;
		run(f);
		assert_int_equal(op->result, roc == 3 ? UNPROTECT_OK : UNPROTECT_BAD_TAG);
		assert_int_equal(f->index[5].started, roc == 3);
	}
	assert_plain(f, op, LEN, 0x30000 + 77);
}

static void
last_index_of_a_key_is_the_last(struct fixture *f)
{
	struct unprotect_op *last, *beyond;

	last = add(f, 6, PACKET_INDEX_MAX);
	last->roc_guess = UINT32_MAX;
	beyond = add(f, 6, 0);
	run(f);
	assert_plain(f, last, LEN, PACKET_INDEX_MAX);
	assert_int_equal(beyond->result, UNPROTECT_TOO_OLD);	/* RFC 3711 §9.2: a new key is due */
}

static void
packet_with_another_mki_is_refused(struct fixture *f)
{
	struct unprotect_op *op, *other;
	uint8_t mki_at = f->suite >= SRTP_AEAD_AES_128_GCM ? SRTP_TAG_MAX : 0;

	begin(f, f->suite, 4);
	op = add(f, 0, 5);
	other = add(f, 1, 5);
	other->packet[LEN + mki_at] ^= 1;
	run(f);
	assert_plain(f, op, LEN, 5);
	assert_int_equal(other->result, UNPROTECT_BAD_TAG);
}

static void
wiped_context_holds_nothing(struct fixture *f)
{
	static const struct unprotect_ctx nothing;

	unprotect_ctx_wipe(&f->ctx[7]);
	assert_memory_equal(&f->ctx[7], &nothing, sizeof(nothing));
}

/* ---- each of them with each suite ---- */

typedef void case_run(struct fixture *f);
static const struct { const char *name; case_run *run; } cases[] = {
#define CASE(name) { #name, name }
	CASE(burst_over_many_streams_gives_what_was_sent),
	CASE(every_length_and_header_shape_is_read),
	CASE(failed_tag_moves_nothing_and_restores_the_packet),
	CASE(short_packet_is_refused),
	CASE(wrap_inside_a_burst_is_seen_by_the_next_packet),
	CASE(forged_packet_before_a_true_one_of_the_same_number_does_not_shut_it_out),
	CASE(window_holds_128_packets),
	CASE(late_join_authenticates_under_its_own_roc_alone),
	CASE(last_index_of_a_key_is_the_last),
	CASE(packet_with_another_mki_is_refused),
	CASE(wiped_context_holds_nothing),
};
#define CASES (sizeof(cases) / sizeof(cases[0]))
#define RUNS  (2 * (SRTP_SUITES - 1) * CASES)	/* in wide registers, and by the library alone */

static void
run_case(void **state)
{
	unsigned int i = *(unsigned int *)*state;
	struct fixture *f = aligned_alloc(64, (sizeof(*f) + 63) & ~(size_t)63);

	assert_non_null(f);
	memset(f, 0, sizeof(*f));
	f->engine = unprotect_engine_create(UNPROTECT_IPSEC_MB);
	if (f->engine == NULL) {
		free(f);
		print_message("this processor has no AES-NI\n");
		skip();
	}
	if (i >= RUNS / 2)
		unprotect_engine_portable(f->engine);
	begin(f, (enum srtp_suite)(i % (RUNS / 2) / CASES + 1), 0);
	cases[i % CASES].run(f);
	unprotect_engine_destroy(f->engine);
	free(f);
}

int
main(void)
{
	static struct CMUnitTest tests[RUNS];
	static unsigned int numbers[RUNS];
	static char names[RUNS][120];

	for (unsigned int i = 0; i < RUNS; i++) {
		enum srtp_suite suite = (enum srtp_suite)(i % (RUNS / 2) / CASES + 1);

		numbers[i] = i;
		snprintf(names[i], sizeof(names[i]), "%s%s %s", srtp_suite_shape(suite)->name,
		         i < RUNS / 2 ? "" : " (portable)", cases[i % CASES].name);
		tests[i] = (struct CMUnitTest){ .name = names[i], .test_func = run_case,
			                        .initial_state = &numbers[i] };
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
