/* The pool of chunks: how many there are, who may have the last ones, and that each is a page of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dataplane/chunk.h"
#include "lib/config.h"

#define N       64
#define RESERVE 8

static void
an_lcores_share_covers_the_stall_and_a_reserve(void **state)
{
	struct config c = { .limits = { .streams_max = 2000, .recordings_max = 2000, .stall_ms_max = 10000, .stream_kbit_s = 100 },
		            .storage = { .chunk_age_ms = 500 } };
	uint64_t all = config_chunks_need(&c);

	/* 2,000 streams of 12,500 bytes a second for ten seconds, and two chunks a recording */
	assert_true(all * REEL_BODY_MAX >= 2000ull * 12500 * 10);
	assert_true(all >= 2 * 2000);
	for (uint32_t n_lcores = 1; n_lcores <= 16; n_lcores++) {
		uint64_t one = chunk_pool_need(&c, n_lcores);

		assert_true(one * n_lcores > all);
		assert_true(one * n_lcores < all + all / 8 + 80ull * n_lcores);
	}
	c.limits.stall_ms_max = 20000;
	assert_true(chunk_pool_need(&c, 1) > chunk_pool_need(&c, 2));
	assert_true(config_chunks_need(&c) > all);
	c.limits.streams_max = c.limits.recordings_max = UINT32_MAX;	/* more than can be counted is not less */
	assert_int_equal(chunk_pool_need(&c, 1), UINT32_MAX / 2);
}

static void
media_leaves_the_reserve_to_documents_and_ends(void **state)
{
	struct chunk_pool pool;
	struct chunk *c;
	unsigned int n = 0;

	assert_int_equal(chunk_pool_create(&pool, N, RESERVE, false), SRS_OK);
	while ((c = chunk_pool_take(&pool, true)) != NULL)
		n++;
	assert_int_equal(n, N - RESERVE);
	while ((c = chunk_pool_take(&pool, false)) != NULL)
		n++;
	assert_int_equal(n, N);
	assert_null(chunk_pool_take(&pool, false));
	chunk_pool_give(&pool, &pool.chunks[5]);
	assert_null(chunk_pool_take(&pool, true));
	assert_ptr_equal(chunk_pool_take(&pool, false), &pool.chunks[5]);
	chunk_pool_destroy(&pool);
}

static void
each_body_is_a_page_that_no_other_has(void **state)
{
	struct chunk_pool pool;

	assert_int_equal(chunk_pool_create(&pool, N, 0, false), SRS_OK);
	for (unsigned int i = 0; i < N; i++) {
		struct chunk *c = chunk_pool_take(&pool, true);

		if (c == NULL) {
			fail_msg("chunk %u of %u is not there", i, N);
			return;
		}
		assert_int_equal((uintptr_t)c->body % REEL_SLOT_SIZE, 0);
		assert_int_equal(c->body[0], 0);
		assert_int_equal(c->body[REEL_SLOT_SIZE - 1], 0);
		c->body[0] = c->body[REEL_SLOT_SIZE - 1] = 1;	/* seen again if two had it */
	}
	chunk_pool_destroy(&pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_lcores_share_covers_the_stall_and_a_reserve),
		cmocka_unit_test(media_leaves_the_reserve_to_documents_and_ends),
		cmocka_unit_test(each_body_is_a_page_that_no_other_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
