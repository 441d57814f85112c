/* CRC-32C: known values, and the fast way against the plain one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/crc32c.h"

/* Bit by bit from the polynomial's definition: shares no table with the code under test. */
static uint32_t
crc32c_by_bits(const uint8_t *bytes, size_t len)
{
	uint32_t state = UINT32_MAX;

	for (size_t i = 0; i < len; i++)
		for (int bit = 0; bit < 8; bit++) {
			uint32_t carry = (state ^ (uint32_t)bytes[i] >> bit) & 1;

			state = state >> 1 ^ (carry ? 0x82f63b78u : 0);
		}
	return ~state;
}

static void
known_values_come_out(void **state)
{
	uint8_t bytes[32];

	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c_portable(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
	/* RFC 3720 B.4 */
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = i;
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = 31 - i;
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x113fdb5c);
}

static void
joined_crcs_are_the_crc_of_both(void **state)
{
	static uint8_t bytes[9000];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 11);
	for (size_t first = 0; first < 9000; first = first * 2 + 1)
		for (size_t second = 0; first + second <= sizeof(bytes); second += second < 40 ? 1 : 337)
			assert_int_equal(crc32c_join(crc32c(0, bytes, first), crc32c(0, bytes + first, second), second),
			                 crc32c(0, bytes, first + second));
}

static void
both_ways_agree_at_every_length_and_alignment(void **state)
{
	static uint8_t bytes[9000];
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(x >> 24);
	}
	for (size_t len = 0; len < 300; len++)
		for (size_t at = 0; at < 8; at++) {
			uint32_t expected = crc32c_by_bits(bytes + at, len);

			assert_int_equal(crc32c(0, bytes + at, len), expected);
			assert_int_equal(crc32c_portable(0, bytes + at, len), expected);
		}
	for (size_t len = 4070; len < 4110; len++) /* around one turn of the three lanes */
		assert_int_equal(crc32c(0, bytes + 3, len), crc32c_by_bits(bytes + 3, len));
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), crc32c_by_bits(bytes, sizeof(bytes)));
}

static void
a_crc_goes_on_where_it_stopped(void **state)
{
	const char *text = "123456789";

	for (size_t cut = 0; cut <= 9; cut++) {
		assert_int_equal(crc32c(crc32c(0, text, cut), text + cut, 9 - cut), 0xe3069283);
		assert_int_equal(crc32c_portable(crc32c_portable(0, text, cut), text + cut, 9 - cut), 0xe3069283);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_values_come_out),
		cmocka_unit_test(joined_crcs_are_the_crc_of_both),
		cmocka_unit_test(both_ways_agree_at_every_length_and_alignment),
		cmocka_unit_test(a_crc_goes_on_where_it_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
