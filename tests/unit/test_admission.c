/* Admission: each bound alone closes the door, with 503, a sentence and a Retry-After. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "controlplane/session/admission.h"

#define RETRY_MAX 10

static const struct admission_view roomy = {
	.sessions = 5,
	.sessions_max = 10,
	.pairs_free = 4,
	.keys_ready = 256,
	.catalog_has_room = true,
	.room = { .sessions_free = 5, .streams_free = 4, .chunks_free_percent = 60, .storage_ok = true },
};

static void
with_room_everywhere_a_call_is_taken(void **state)
{
	struct sip_refusal why = { 0 };

	assert_true(admission_allows(&roomy, 4, RETRY_MAX, &why));
	assert_int_equal(why.status, 0);
}

static void
refused_for(const struct admission_view *v, unsigned int n_streams, const char *word)
{
	struct sip_refusal why = { 0 };

	assert_false(admission_allows(v, n_streams, RETRY_MAX, &why));
	assert_int_equal(why.status, 503);
	assert_non_null(strstr(why.warning, word));
	assert_in_range(why.retry_after_s, 1, RETRY_MAX);
}

static void
each_bound_alone_closes_the_door(void **state)
{
	struct admission_view v;

	v = roomy, v.stopping = true, refused_for(&v, 1, "shutting down");
	v = roomy, v.draining = true, refused_for(&v, 0, "draining");
	v = roomy, v.lag_ms = ADMISSION_LAG_MS_MAX + 1, refused_for(&v, 1, "late");
	v = roomy, v.src_sessions = v.src_sessions_max = 3, refused_for(&v, 1, "of this client");
	v = roomy, v.sessions = 10, refused_for(&v, 1, "sessions_max");
	v = roomy, v.room.storage_ok = false, refused_for(&v, 1, "Storage is full");
	v = roomy, v.catalog_has_room = false, refused_for(&v, 1, "catalog");
	v = roomy, v.keys_ready = 0, refused_for(&v, 1, "key");
	v = roomy, v.room.sessions_free = 0, refused_for(&v, 1, "recordings_max");
	v = roomy, v.room.streams_free = 0, refused_for(&v, 0, "streams_max");
	v = roomy, v.handshakes_need = 2, v.handshakes_free = 1, refused_for(&v, 2, "dtls_handshakes_max");
	v = roomy, v.pairs_free = 0, refused_for(&v, 0, "port");
	v = roomy, v.room.chunks_free_percent = ADMISSION_CHUNKS_PERCENT_MIN - 1, refused_for(&v, 1, "chunk");
}

static void
a_call_with_more_streams_than_there_is_room_for_is_refused(void **state)
{
	struct admission_view v = roomy;

	refused_for(&v, 5, "streams_max");
	v.room.streams_free = 100;
	refused_for(&v, 5, "port");
}

static void
retry_after_is_spread_over_its_range(void **state)
{
	unsigned int seen[RETRY_MAX + 1] = { 0 }, n_seen = 0;

	for (unsigned int i = 0; i < 1000; i++) {
		unsigned int s = admission_retry_after(RETRY_MAX);

		assert_in_range(s, 1, RETRY_MAX);
		seen[s]++;
	}
	for (unsigned int s = 1; s <= RETRY_MAX; s++)
		n_seen += seen[s] != 0;
	assert_int_equal(n_seen, RETRY_MAX);	/* missing one has a chance below 1e-44 */
	assert_int_equal(admission_retry_after(0), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_room_everywhere_a_call_is_taken),
		cmocka_unit_test(each_bound_alone_closes_the_door),
		cmocka_unit_test(a_call_with_more_streams_than_there_is_room_for_is_refused),
		cmocka_unit_test(retry_after_is_spread_over_its_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
