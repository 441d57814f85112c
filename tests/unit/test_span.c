/* Byte cursors: the first short read makes all later ones zero; a full filler writes nothing more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/span.h"

static void
integers_are_big_endian(void **state)
{
	uint8_t bytes[15];
	struct filler f = filler_of(bytes, sizeof(bytes));
	struct reader r = reader_of(span_of(bytes, sizeof(bytes)));

	write_u8(&f, 0x01);
	write_u16be(&f, 0x0203);
	write_u32be(&f, 0x04050607);
	write_u64be(&f, 0x08090a0b0c0d0e0f);
	assert_false(f.bad);
	assert_int_equal(filler_used(&f), sizeof(bytes));
	for (uint8_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], i + 1);
	assert_int_equal(read_u8(&r), 0x01);
	assert_int_equal(read_u16be(&r), 0x0203);
	assert_int_equal(read_u32be(&r), 0x04050607);
	assert_int_equal(read_u64be(&r), 0x08090a0b0c0d0e0f);
	assert_false(reader_is_bad(&r));
	assert_int_equal(reader_left(&r), 0);
}

static void
a_short_read_spoils_the_reader(void **state)
{
	const uint8_t bytes[] = { 1, 2, 3 };
	struct reader r = reader_of(span_of(bytes, sizeof(bytes)));
	uint8_t out[2] = { 9, 9 };

	assert_int_equal(read_u32be(&r), 0);
	assert_true(reader_is_bad(&r));
	assert_int_equal(read_u8(&r), 0); /* though bytes are left */
	assert_int_equal(reader_left(&r), 0);
	assert_int_equal(reader_rest(&r).len, 0);
	read_bytes(&r, out, sizeof(out));
	assert_int_equal(out[0], 0);
	assert_int_equal(out[1], 0);
}

static void
an_absurd_length_is_a_short_read(void **state)
{
	const uint8_t bytes[] = { 1, 2, 3 };
	struct reader r = reader_of(span_of(bytes, sizeof(bytes)));

	assert_int_equal(read_span(&r, SIZE_MAX).len, 0);
	assert_true(reader_is_bad(&r));
}

static void
nothing_can_be_read_from_nothing(void **state)
{
	struct reader r = reader_of(span_of(NULL, 0));

	assert_int_equal(read_span(&r, 0).len, 0);
	assert_false(reader_is_bad(&r));
	assert_int_equal(read_u8(&r), 0);
	assert_true(reader_is_bad(&r));
}

static void
a_full_filler_writes_nothing_more(void **state)
{
	uint8_t bytes[4] = { 0, 0, 0, 7 };
	struct filler f = filler_of(bytes, 3);

	write_u16be(&f, 0x0102);
	write_u16be(&f, 0x0304);
	assert_true(f.bad);
	write_u8(&f, 5); /* would fit, but the record is broken already */
	assert_int_equal(filler_used(&f), 2);
	assert_int_equal(bytes[2], 0);
	assert_int_equal(bytes[3], 7);
}

static void
spans_compare_by_content(void **state)
{
	const uint8_t zeros[5] = { 0 }, last[5] = { 0, 0, 0, 0, 1 }, first[5] = { 1 };

	assert_true(span_equal(span_of_text("abc"), span_of("abcd", 3)));
	assert_false(span_equal(span_of_text("abc"), span_of_text("abd")));
	assert_false(span_equal(span_of_text("abc"), span_of_text("ab")));
	assert_true(span_equal(span_of(NULL, 0), span_of("x", 0)));
	assert_true(span_is_zero(span_of(zeros, 5)));
	assert_true(span_is_zero(span_of(NULL, 0)));
	assert_false(span_is_zero(span_of(last, 5)));
	assert_false(span_is_zero(span_of(first, 5)));
	assert_false(span_is_zero(span_of(first, 1)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_big_endian),
		cmocka_unit_test(a_short_read_spoils_the_reader),
		cmocka_unit_test(an_absurd_length_is_a_short_read),
		cmocka_unit_test(nothing_can_be_read_from_nothing),
		cmocka_unit_test(a_full_filler_writes_nothing_more),
		cmocka_unit_test(spans_compare_by_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
