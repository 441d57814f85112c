/* Memory for keys: zeroed, outside core dumps, wiped; comparison in constant time; random bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "crypto/secret.h"

#define LEN 5000	/* two pages where pages are 4 KiB */

/* The VmFlags line of the mapping that holds `at`, from the kernel's own account. */
static void
mapping_flags(const void *at, char *flags, size_t flags_len)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long from, to;
	bool inside = false;
	char line[512];

	flags[0] = '\0';
	if (smaps == NULL)
		return;
	while (fgets(line, sizeof(line), smaps) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (uintptr_t)at >= from && (uintptr_t)at < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(flags, flags_len, "%s", line);
	}
	fclose(smaps);
}

static void
secret_memory_is_zeroed_and_left_out_of_core_dumps(void **state)
{
	static const uint8_t zeros[LEN];
	uint8_t *secret = secret_alloc(LEN);
	char flags[512];

	assert_non_null(secret);
	assert_memory_equal(secret, zeros, LEN);
	mapping_flags(secret, flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd"));	/* VM_DONTDUMP */
	memset(secret, 0xa5, LEN);
	secret_free(secret, LEN);
	secret_free(NULL, LEN);
}

static void
impossible_lengths_are_refused(void **state)
{
	assert_null(secret_alloc(0));
	assert_null(secret_alloc(SIZE_MAX));
	assert_null(secret_alloc(SIZE_MAX / 2));
}

static void
wipe_overwrites_what_it_is_given_and_no_more(void **state)
{
	static const uint8_t zeros[30];
	uint8_t bytes[32];

	memset(bytes, 0x5a, sizeof(bytes));
	secret_wipe(bytes + 1, 30);
	assert_int_equal(bytes[0], 0x5a);
	assert_memory_equal(bytes + 1, zeros, 30);
	assert_int_equal(bytes[31], 0x5a);
}

static void
comparison_sees_every_bit(void **state)
{
	uint8_t a[32], b[32];

	assert_int_equal(secret_random(a, sizeof(a)), SRS_OK);
	memcpy(b, a, sizeof(a));
	assert_true(secret_equal(a, b, sizeof(a)));
	for (unsigned int bit = 0; bit < 256; bit++) {
		b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(secret_equal(a, b, sizeof(a)));
		b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	a[31] ^= 1;
	assert_true(secret_equal(a, b, 31));
	assert_true(secret_equal(a, b, 0));
}

static void
random_bytes_fill_the_whole_buffer(void **state)
{
	uint8_t all_or[600] = { 0 }, bytes[600];

	for (unsigned int round = 0; round < 32; round++) {
		assert_int_equal(secret_random(bytes, sizeof(bytes)), SRS_OK);
		for (unsigned int i = 0; i < sizeof(bytes); i++)
			all_or[i] |= bytes[i];
	}
	for (unsigned int i = 0; i < sizeof(all_or); i++)
		assert_int_not_equal(all_or[i], 0);	/* fails by chance once in 2^247 */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secret_memory_is_zeroed_and_left_out_of_core_dumps),
		cmocka_unit_test(impossible_lengths_are_refused),
		cmocka_unit_test(wipe_overwrites_what_it_is_given_and_no_more),
		cmocka_unit_test(comparison_sees_every_bit),
		cmocka_unit_test(random_bytes_fill_the_whole_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
