/* The packet index of RFC 3711 §3.3.1 and its window of §3.3.2, against a slow model of both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "crypto/packet_index.h"

static uint64_t
index_of(uint32_t roc, uint16_t seq)
{
	return (uint64_t)roc << 16 | seq;
}

static struct packet_index
started_at(uint32_t roc, uint16_t seq)
{
	struct packet_index index;

	packet_index_start(&index, roc, seq);
	packet_index_commit(&index, index_of(roc, seq));
	return index;
}

static void
first_packet_is_new_until_it_is_committed(void **state)
{
	struct packet_index index;

	packet_index_start(&index, 0, 0);	/* index zero is legal */
	assert_true(index.started);
	assert_int_equal(packet_index_estimate(&index, 0), 0);
	assert_int_equal(packet_index_check(&index, 0), PACKET_INDEX_NEW);
	packet_index_commit(&index, 0);
	assert_int_equal(packet_index_check(&index, 0), PACKET_INDEX_REPLAYED);
}

static void
estimate_is_pure(void **state)
{
	struct packet_index index = started_at(3, 100), before = index;

	for (unsigned int seq = 0; seq <= UINT16_MAX; seq++)
		(void)packet_index_estimate(&index, (uint16_t)seq);
	assert_memory_equal(&index, &before, sizeof(before));
}

static void
sequence_wrap_raises_the_roc(void **state)
{
	struct packet_index index = started_at(0, 65534);

	for (unsigned int i = 65535; i < 65545; i++) {
		assert_int_equal(packet_index_estimate(&index, (uint16_t)i), i);
		packet_index_commit(&index, i);
	}
	assert_int_equal(index.highest, 65544);
}

static void
late_packet_from_before_the_wrap_keeps_the_old_roc(void **state)
{
	struct packet_index index = started_at(2, 3);

	assert_int_equal(packet_index_estimate(&index, 65533), index_of(1, 65533));
	assert_int_equal(packet_index_check(&index, index_of(1, 65533)), PACKET_INDEX_NEW);
	packet_index_commit(&index, index_of(1, 65533));
	assert_int_equal(index.highest, index_of(2, 3));
	assert_int_equal(packet_index_check(&index, index_of(1, 65533)), PACKET_INDEX_REPLAYED);
}

static void
estimate_never_goes_below_zero(void **state)
{
	struct packet_index index = started_at(0, 5);

	assert_int_equal(packet_index_estimate(&index, 65530), 65530);
	index = started_at(PACKET_INDEX_PLAIN_ROC, 5);	/* why plain RTP begins at ROC 1 */
	assert_int_equal(packet_index_estimate(&index, 65530), 65530);
	assert_int_equal(packet_index_check(&index, 65530), PACKET_INDEX_NEW);
}

static void
index_past_2_48_is_refused_as_too_old(void **state)
{
	struct packet_index index = started_at(UINT32_MAX, 65535);

	assert_int_equal(packet_index_estimate(&index, 0), 0);
	assert_int_equal(packet_index_check(&index, 0), PACKET_INDEX_TOO_OLD);
}

/* RFC 3711 Appendix A, transcribed over signed 64-bit numbers; where it would go below zero, ROC stays 0. */
static uint64_t
estimate_of_appendix_a(uint64_t highest, uint16_t seq)
{
	int64_t roc = (int64_t)(highest >> 16), s_l = (int64_t)(highest & 0xffff), v;

	if (s_l < 32768)
		v = seq - s_l > 32768 ? roc - 1 : roc;
	else
		v = s_l - 32768 > seq ? roc + 1 : roc;
	if (v < 0)
		v = 0;
	return (uint64_t)(v & 0xffffffff) << 16 | seq;
}

static void
estimate_agrees_with_appendix_a_at_every_distance(void **state)
{
	static const uint16_t last[] = { 0, 1, 32766, 32767, 32768, 32769, 65534, 65535 };
	static const uint32_t rocs[] = { 0, 1, 77, UINT32_MAX };

	for (unsigned int r = 0; r < 4; r++) {
		for (unsigned int l = 0; l < 8; l++) {
			struct packet_index index = started_at(rocs[r], last[l]);

			for (unsigned int seq = 0; seq <= UINT16_MAX; seq++)
				assert_int_equal(packet_index_estimate(&index, (uint16_t)seq),
				                 estimate_of_appendix_a(index.highest, (uint16_t)seq));
		}
	}
}

static void
window_ends_after_128_packets(void **state)
{
	struct packet_index index = started_at(1, 1000);

	assert_int_equal(packet_index_check(&index, index_of(1, 1000 - 127)), PACKET_INDEX_NEW);
	assert_int_equal(packet_index_check(&index, index_of(1, 1000 - 128)), PACKET_INDEX_TOO_OLD);
	assert_int_equal(packet_index_check(&index, index_of(1, 1001)), PACKET_INDEX_NEW);
}

#define STEPS 200000u
#define SPAN  (STEPS * 8)

/* Random steps, small and large, forward and back, against one flag per index. */
static void
window_agrees_with_a_model_that_forgets_nothing(void **state)
{
	uint8_t *seen = calloc(SPAN, 1);
	uint64_t base = index_of(1, 0), highest = 1000;
	struct packet_index index = started_at(1, 1000);
	uint32_t random = 2463534242u;

	assert_non_null(seen);
	seen[1000] = 1;
	for (unsigned int step = 0; step < STEPS; step++) {
		enum packet_index_check expected;
		uint64_t i;

		random ^= random << 13;
		random ^= random >> 17;
		random ^= random << 5;
		i = highest + (random >> 8) % ((random & 0x70) == 0 ? 150 : 4);
		i -= (random & 0x80) ? 0 : (random >> 20) % 160;
		assert_true(i < SPAN);
		if (i > highest)
			expected = PACKET_INDEX_NEW;
		else if (highest - i >= PACKET_INDEX_WINDOW)
			expected = PACKET_INDEX_TOO_OLD;
		else
			expected = seen[i] ? PACKET_INDEX_REPLAYED : PACKET_INDEX_NEW;
		assert_int_equal(packet_index_estimate(&index, (uint16_t)i), base + i);
		assert_int_equal(packet_index_check(&index, base + i), expected);
		if (expected != PACKET_INDEX_NEW)
			continue;
		packet_index_commit(&index, base + i);
		seen[i] = 1;
		if (i > highest)
			highest = i;
		assert_int_equal(index.highest, base + highest);
	}
	free(seen);
}

static void
every_shift_keeps_the_window(void **state)
{
	for (unsigned int by = 1; by <= 200; by++) {
		struct packet_index index = started_at(1, 5000);

		packet_index_commit(&index, index_of(1, 5000 - 63));
		packet_index_commit(&index, index_of(1, 5000 - 64));
		packet_index_commit(&index, index_of(1, (uint16_t)(5000 + by)));
		for (unsigned int back = 0; back < 128; back++) {
			int at = 5000 + (int)by - (int)back;
			bool was = back == 0 || at == 5000 || at == 5000 - 63 || at == 5000 - 64;

			assert_int_equal(packet_index_check(&index, index_of(1, (uint16_t)at)),
			                 was ? PACKET_INDEX_REPLAYED : PACKET_INDEX_NEW);
		}
	}
}

static void
two_old_packets_in_a_row_are_a_restart(void **state)
{
	struct packet_index index = started_at(1, 40000);

	assert_false(packet_index_restarted(&index, 10000));
	assert_int_equal(index.highest, index_of(1, 40000));
	assert_false(packet_index_restarted(&index, 10002));	/* not the next one */
	assert_true(packet_index_restarted(&index, 10003));
	assert_int_equal(packet_index_estimate(&index, 10003), index_of(2, 10003));
	assert_int_equal(packet_index_check(&index, index_of(2, 10003)), PACKET_INDEX_NEW);
}

static void
good_packet_between_two_old_ones_is_no_restart(void **state)
{
	struct packet_index index = started_at(1, 40000);

	assert_false(packet_index_restarted(&index, 10000));
	packet_index_commit(&index, index_of(1, 40001));
	assert_false(packet_index_restarted(&index, 10001));
	assert_int_equal(index.highest, index_of(1, 40001));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_packet_is_new_until_it_is_committed),
		cmocka_unit_test(estimate_is_pure),
		cmocka_unit_test(sequence_wrap_raises_the_roc),
		cmocka_unit_test(late_packet_from_before_the_wrap_keeps_the_old_roc),
		cmocka_unit_test(estimate_never_goes_below_zero),
		cmocka_unit_test(index_past_2_48_is_refused_as_too_old),
		cmocka_unit_test(estimate_agrees_with_appendix_a_at_every_distance),
		cmocka_unit_test(window_ends_after_128_packets),
		cmocka_unit_test(window_agrees_with_a_model_that_forgets_nothing),
		cmocka_unit_test(every_shift_keeps_the_window),
		cmocka_unit_test(two_old_packets_in_a_row_are_a_restart),
		cmocka_unit_test(good_packet_between_two_old_ones_is_no_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
