#include "tests/diff/run.h"

#include <assert.h>
#include <stdlib.h>

#include "crypto/secret.h"

#define PACKETS_DEFAULT 100000u

const char *const run_result_names[] = { "PENDING", "OK", "REPLAYED", "TOO_OLD", "BAD_TAG" };

static void (*suites_agree)(const enum srtp_suite suites[NETWORK_SLOTS], uint64_t seed);

static uint64_t
number_of_environment(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? strtoull(value, NULL, 0) : otherwise;
}

uint64_t
run_seed(void)
{
	static uint64_t seed;

	if (seed == 0) {
		if (secret_random(&seed, sizeof(seed)) != SRS_OK)
			abort();
		seed = number_of_environment("CAPSTAN_SEED", 1 + seed % 1000000000);
	}
	return seed;
}

uint64_t
run_packets(void)
{
	return number_of_environment("CAPSTAN_DIFF_PACKETS", PACKETS_DEFAULT);
}

void
run_finding(const struct network *n, const struct wire *w, const char *who, const char *what)
{
	fail_msg("CAPSTAN_SEED=%llu: %s, slot %u, SSRC %08x, index %llx, %u bytes, changed: %s: %s: %s",
	         (unsigned long long)run_seed(), srtp_suite_shape((enum srtp_suite)n->masters[w->slot].suite)->name,
	         w->slot, n->ssrcs[w->source].ssrc, (unsigned long long)w->index, w->len,
	         network_change_names[w->change], who, what);
}

static void
one_suite_agrees(void **state)
{
	const enum srtp_suite *suite = *state;
	enum srtp_suite suites[NETWORK_SLOTS];

	for (unsigned int i = 0; i < NETWORK_SLOTS; i++)
		suites[i] = *suite;
	suites_agree(suites, run_seed() + *suite);
}

static void
suites_mixed_in_a_burst_agree(void **state)
{
	enum srtp_suite suites[NETWORK_SLOTS];

	static_assert(NETWORK_SLOTS == SRTP_SUITES - 1, "each suite has a slot");
	for (unsigned int i = 0; i < NETWORK_SLOTS; i++)
		suites[i] = (enum srtp_suite)(SRTP_SUITE_NONE + 1 + i);
	suites_agree(suites, run_seed() + SRTP_SUITES);
}

int
run_suites(void (*agree)(const enum srtp_suite suites[NETWORK_SLOTS], uint64_t seed))
{
	static enum srtp_suite suites[SRTP_SUITES];
	struct CMUnitTest tests[SRTP_SUITES];

	suites_agree = agree;
	print_message("CAPSTAN_SEED=%llu\n", (unsigned long long)run_seed());
	for (unsigned int i = 0; i < SRTP_SUITES - 1; i++) {
		suites[i] = (enum srtp_suite)(SRTP_SUITE_NONE + 1 + i);
		tests[i] = (struct CMUnitTest){ .name = srtp_suite_shape(suites[i])->name, .test_func = one_suite_agrees,
			.initial_state = &suites[i] };
	}
	tests[SRTP_SUITES - 1] = (struct CMUnitTest)cmocka_unit_test(suites_mixed_in_a_burst_agree);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
