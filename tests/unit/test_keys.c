/* Part keys ahead of demand. The keystore is the test's own: it counts, and fails when told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "controlplane/keys.h"

static _Atomic unsigned int n_made;
static _Atomic bool failing;

enum srs_err
keystore_dek_create(struct keystore *ks, enum reel_suite suite, struct dek *dek, struct reel_envelope *envelope)
{
	unsigned int n;

	if (atomic_load(&failing))
		return SRS_ERR_IO;
	n = atomic_fetch_add(&n_made, 1) + 1;
	memset(dek, 0, sizeof(*dek));
	memcpy(dek->bytes, &n, sizeof(n));
	memset(envelope, 0, sizeof(*envelope));
	envelope->suite = suite;
	memcpy(envelope->wrapped_dek, &n, sizeof(n));
	return SRS_OK;
}

static _Atomic unsigned int n_expired;

void
keystore_expire(struct keystore *ks)
{
	atomic_fetch_add(&n_expired, 1);
}

static struct keys *
keys_make(struct config *c)
{
	struct keys *k = NULL;
	char why[200];

	memset(c, 0, sizeof(*c));
	c->keys.suite = CONFIG_SUITE_AES_256_GCM;
	c->keys.encrypt_recordings = true;
	atomic_store(&n_made, 0);
	atomic_store(&failing, false);
	assert_int_equal(keys_start(&k, NULL, c, why, sizeof(why)), SRS_OK);
	return k;
}

static bool
wait_for_ready(const struct keys *k, uint32_t n)
{
	for (int ms = 0; ms < 5000; ms++) {
		if (keys_ready(k) >= n)
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return false;
}

static void
the_ring_is_full_from_the_start(void **state)
{
	struct config c;
	struct keys *k = keys_make(&c);

	assert_int_equal(keys_ready(k), KEYS_READY_MAX);
	assert_true(keys_ready(k) >= 256);
	keys_stop(k);
}

/* An interval key is not kept because nobody calls. */
static void
without_calls_the_keystore_is_asked_to_expire(void **state)
{
	struct config c;
	struct keys *k = keys_make(&c);
	unsigned int made = atomic_load(&n_made);

	atomic_store(&n_expired, 0);
	for (int ms = 0; ms < 5000 && atomic_load(&n_expired) < 2; ms++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_true(atomic_load(&n_expired) >= 2);
	assert_int_equal(atomic_load(&n_made), made);
	keys_stop(k);
}

static void
a_key_carries_its_recording_part_suite_and_classes(void **state)
{
	static const uint8_t recording[REEL_ID_SIZE] = { 1, 2, 3, 4 };
	struct config c;
	struct keys *k = keys_make(&c);
	struct part_key key;

	assert_int_equal(keys_take(k, recording, 7, &key), SRS_OK);
	assert_memory_equal(key.envelope.recording, recording, sizeof(recording));
	assert_int_equal(key.envelope.part, 7);
	assert_int_equal(key.suite, REEL_SUITE_AES_256_GCM);
	assert_false(key.clear_media);
	assert_true(key.clear_documents);	/* encrypt_metadata is off in this config */
	assert_memory_equal(key.dek.bytes, key.envelope.wrapped_dek, sizeof(unsigned int));
	keys_stop(k);
}

static void
no_key_is_given_twice(void **state)
{
	static const uint8_t recording[REEL_ID_SIZE];
	static uint8_t seen[8 * KEYS_READY_MAX];
	struct config c;
	struct keys *k = keys_make(&c);

	memset(seen, 0, sizeof(seen));
	for (unsigned int i = 0; i < 4 * KEYS_READY_MAX; i++) {
		struct part_key key;
		unsigned int n;

		assert_true(wait_for_ready(k, 1));
		assert_int_equal(keys_take(k, recording, i, &key), SRS_OK);
		memcpy(&n, key.dek.bytes, sizeof(n));
		assert_in_range(n, 1, sizeof(seen) - 1);
		assert_int_equal(seen[n], 0);
		seen[n] = 1;
	}
	keys_stop(k);
}

static void
an_empty_ring_is_a_limit_and_fills_again(void **state)
{
	static const uint8_t recording[REEL_ID_SIZE];
	struct config c;
	struct keys *k = keys_make(&c);
	struct part_key key;

	atomic_store(&failing, true);
	for (unsigned int i = 0; i < KEYS_READY_MAX; i++)
		assert_int_equal(keys_take(k, recording, 0, &key), SRS_OK);
	assert_int_equal(keys_take(k, recording, 0, &key), SRS_ERR_LIMIT);
	atomic_store(&failing, false);
	assert_true(wait_for_ready(k, KEYS_READY_MAX));
	assert_int_equal(keys_take(k, recording, 0, &key), SRS_OK);
	keys_stop(k);
}

static void
a_keystore_that_cannot_wrap_is_a_start_up_error(void **state)
{
	struct config c = { 0 };
	struct keys *k;
	char why[200] = "";

	atomic_store(&failing, true);
	assert_int_equal(keys_start(&k, NULL, &c, why, sizeof(why)), SRS_ERR_IO);
	assert_null(k);
	assert_non_null(strstr(why, "keys.path"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ring_is_full_from_the_start),
		cmocka_unit_test(without_calls_the_keystore_is_asked_to_expire),
		cmocka_unit_test(a_key_carries_its_recording_part_suite_and_classes),
		cmocka_unit_test(no_key_is_given_twice),
		cmocka_unit_test(an_empty_ring_is_a_limit_and_fills_again),
		cmocka_unit_test(a_keystore_that_cannot_wrap_is_a_start_up_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
