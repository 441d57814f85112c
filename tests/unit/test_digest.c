/* SHA-256: FIPS 180-4 examples, and lanes against one at a time for every count and for mixed lengths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "crypto/digest.h"

#define N_MAX   257
#define LEN_MAX 40000

static const uint8_t digest_of_abc[DIGEST_SIZE] = {
	0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
	0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
};
static const uint8_t digest_of_nothing[DIGEST_SIZE] = {
	0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
	0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
};

struct fixture {
	struct digest_lanes *lanes;
	uint8_t *bytes;
	struct span messages[N_MAX];
	uint8_t out[N_MAX + 1][DIGEST_SIZE];
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	f->lanes = digest_lanes_create();
	f->bytes = malloc(LEN_MAX + N_MAX);
	if (f->lanes == NULL || f->bytes == NULL)
		return -1;
	for (unsigned int i = 0; i < LEN_MAX + N_MAX; i++)
		f->bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	digest_lanes_destroy(f->lanes);
	free(f->bytes);
	free(f);
	return 0;
}

static void
published_digests_come_out(void **state)
{
	struct fixture *f = *state;
	uint8_t out[DIGEST_SIZE];

	digest_sha256((const uint8_t *)"abc", 3, out);
	assert_memory_equal(out, digest_of_abc, DIGEST_SIZE);
	digest_sha256(NULL, 0, out);
	assert_memory_equal(out, digest_of_nothing, DIGEST_SIZE);
	for (unsigned int i = 0; i < 16; i++)
		f->messages[i] = i % 2 ? span_of_text("abc") : span_of(f->bytes, 0);
	digest_many(f->lanes, f->messages, f->out, 16);
	for (unsigned int i = 0; i < 16; i++)
		assert_memory_equal(f->out[i], i % 2 ? digest_of_abc : digest_of_nothing, DIGEST_SIZE);
}

/* Every message differs, so that a digest in the wrong place shows. */
static void
check_many(struct fixture *f, unsigned int n)
{
	uint8_t one[DIGEST_SIZE];
	uint8_t untouched[DIGEST_SIZE];

	memset(f->out, 0xee, sizeof(f->out));
	memset(untouched, 0xee, sizeof(untouched));
	digest_many(f->lanes, f->messages, f->out, n);
	for (unsigned int i = 0; i < n; i++) {
		digest_sha256(f->messages[i].bytes, (uint32_t)f->messages[i].len, one);
		assert_memory_equal(f->out[i], one, DIGEST_SIZE);
	}
	assert_memory_equal(f->out[n], untouched, DIGEST_SIZE);
}

static void
any_number_of_chunks_hashes_as_one_by_one(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < N_MAX; i++)
		f->messages[i] = span_of(f->bytes + i, 4092);
	for (unsigned int n = 0; n <= 50; n++)
		check_many(f, n);
	check_many(f, N_MAX);
}

static void
mixed_lengths_hash_as_one_by_one(void **state)
{
	static const size_t around_block[] = { 0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129 };
	struct fixture *f = *state;

	for (unsigned int i = 0; i < N_MAX; i++)
		f->messages[i] = span_of(f->bytes + i, i < 12 ? around_block[i] : i * 977u % LEN_MAX);
	check_many(f, 12);
	check_many(f, N_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_digests_come_out),
		cmocka_unit_test(any_number_of_chunks_hashes_as_one_by_one),
		cmocka_unit_test(mixed_lengths_hash_as_one_by_one),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
