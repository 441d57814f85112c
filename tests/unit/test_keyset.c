/* Key sets: what fills them, what tells two apart, and that nothing of a key is left behind. */
#include "lcore_fixture.h"
#include "libsrtp2_sender.h"

static bool
holds(const void *memory, size_t len, const void *pattern, size_t pattern_len)
{
	return memmem(memory, len, pattern, pattern_len) != NULL;
}

static void
the_id_depends_on_suite_key_salt_and_mki_and_on_nothing_behind_them(void **state)
{
	struct srtp_master a = { .suite = SRTP_AES_CM_128_HMAC_SHA1_80, .mki_len = 1, .key = { 1 }, .salt = { 2 }, .mki = { 3 } };
	uint8_t first[KEYSET_ID_SIZE], other[KEYSET_ID_SIZE];
	struct srtp_master b;

	keyset_id(&a, first);
#define DIFFERS(change) \
	b = a; \
	change; \
	keyset_id(&b, other); \
	assert_memory_not_equal(first, other, KEYSET_ID_SIZE)
	DIFFERS(b.suite = SRTP_AES_CM_128_HMAC_SHA1_32);
	DIFFERS(b.key[15] = 1);
	DIFFERS(b.salt[13] = 1);
	DIFFERS(b.mki[0] = 4);
	DIFFERS(b.mki_len = 0);
#undef DIFFERS
	b = a;
	b.key[16] = 9;	/* beyond the suite's key */
	b.mki[1] = 9;
	keyset_id(&b, other);
	assert_memory_equal(first, other, KEYSET_ID_SIZE);
}

static void
the_pool_gives_what_it_has_and_takes_back_wiped(void **state)
{
	struct fx *fx = *state;
	struct keyset *taken[N_KEYSETS];
	struct sender snd;

	sender_make(&snd, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	for (unsigned int i = 0; i < N_KEYSETS; i++)
		taken[i] = keyset_of(fx, &snd.master);
	assert_null(keyset_take(&fx->keysets));
	for (unsigned int i = 0; i < N_KEYSETS; i++)
		keyset_give(&fx->keysets, taken[i]);
	assert_int_equal(fx->keysets.n_free, N_KEYSETS);
	for (unsigned int i = 0; i < N_KEYSETS; i++) {
		const uint8_t *at = (const uint8_t *)&fx->keysets.all[i].ctx;

		for (size_t k = 0; k < sizeof(struct unprotect_ctx); k++)
			assert_int_equal(at[k], 0);
	}
	sender_free(&snd);
}

static void
nothing_of_a_key_is_left_in_the_pool_or_the_slot_when_its_stream_is_gone(void **state)
{
	struct fx *fx = *state;
	struct memory *pool = &fx->keysets.memory;
	uint8_t expanded[64], ipad[16];
	struct command *c;
	struct sender snd;

	sender_make(&snd, SRTP_AES_CM_128_HMAC_SHA1_80, 1, "");
	stream_secure(fx, &snd.master);
	memcpy(expanded, fx->streams.slots[1].keys->ctx.key.cm.aes, sizeof(expanded));
	memcpy(ipad, fx->streams.slots[1].keys->ctx.key.cm.ipad, sizeof(ipad));
	assert_true(holds(pool->at, pool->len, expanded, sizeof(expanded)));
	c = post(fx, COMMAND_STREAM_REMOVE);
	c->stream = &fx->streams.slots[1];
	lcore_begin(fx->lc);
	lcore_housekeep(fx->lc);
	assert_ptr_equal(spsc_pop(fx->lc->events), c);
	assert_non_null(c->u.totals.keys);
	keyset_give(&fx->keysets, c->u.totals.keys);
	command_give(&fx->commands, c);
	assert_false(holds(pool->at, pool->len, expanded, sizeof(expanded)));
	assert_false(holds(pool->at, pool->len, ipad, sizeof(ipad)));
	assert_false(holds(fx->streams.slot_memory.at, fx->streams.slot_memory.len, snd.master.key, 16));
	sender_free(&snd);
}

static void
a_suite_that_no_engine_knows_is_refused_and_leaves_nothing(void **state)
{
	struct fx *fx = *state;
	const struct srtp_master master = { .suite = SRTP_SUITES, .key = { 1, 2, 3 } };
	struct keyset *ks = keyset_take(&fx->keysets);

	assert_int_equal(keyset_fill(ks, fx->engine, &master), SRS_ERR_UNSUPPORTED);
	for (size_t i = 0; i < sizeof(*ks); i++)
		assert_int_equal(((const uint8_t *)ks)[i], 0);
	keyset_give(&fx->keysets, ks);
}

int
main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_id_depends_on_suite_key_salt_and_mki_and_on_nothing_behind_them),
		ROW(the_pool_gives_what_it_has_and_takes_back_wiped),
		ROW(nothing_of_a_key_is_left_in_the_pool_or_the_slot_when_its_stream_is_gone),
		ROW(a_suite_that_no_engine_knows_is_refused_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
