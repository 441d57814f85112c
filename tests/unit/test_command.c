/* The pool of commands and documents: bounded, and whole again when all came back. */
#include "plane_fixture.h"

#include "dataplane/command.h"

static void
a_pool_gives_what_it_has_and_no_more(void **state)
{
	struct command_pool pool;
	struct command *c[4];

	assert_int_equal(command_pool_create(&pool, 3, 4), SRS_OK);
	for (int i = 0; i < 3; i++) {
		c[i] = command_take(&pool, COMMAND_STREAM_ADD);
		assert_non_null(c[i]);
	}
	assert_null(command_take(&pool, COMMAND_STREAM_ADD));
	for (int i = 0; i < 3; i++)
		command_give(&pool, c[i]);
	assert_int_equal(pool.n_free, 3);
	command_pool_destroy(&pool);
}

static void
a_document_is_cut_into_pieces_and_comes_back_whole(void **state)
{
	static uint8_t bytes[3 * NOTE_PIECE_SIZE + 5];
	struct command_pool pool;
	struct command *c;
	size_t at = 0;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	assert_int_equal(command_pool_create(&pool, 2, 4), SRS_OK);
	c = command_take(&pool, COMMAND_NOTE);
	assert_non_null(c);
	assert_int_equal(command_note_fill(&pool, c, REEL_FRAME_OFFER, span_of(bytes, sizeof(bytes))), SRS_OK);
	for (const struct note *n = c->u.note.first; n != NULL; n = n->next) {
		assert_memory_equal(n->bytes, bytes + at, n->len);
		at += n->len;
	}
	assert_int_equal(at, sizeof(bytes));
	assert_int_equal(pool.n_notes_free, 0);
	command_give(&pool, c);
	assert_int_equal(pool.n_notes_free, 4);
	command_pool_destroy(&pool);
}

static void
too_long_or_too_many_documents_are_refused_and_cost_nothing(void **state)
{
	static uint8_t bytes[REEL_JOINED_MAX + 1];
	struct command_pool pool;
	struct command *c;

	assert_int_equal(command_pool_create(&pool, 2, 18), SRS_OK);
	c = command_take(&pool, COMMAND_NOTE);
	assert_non_null(c);
	assert_int_equal(command_note_fill(&pool, c, REEL_FRAME_BODY, span_of(bytes, sizeof(bytes))), SRS_ERR_LIMIT);
	assert_int_equal(pool.n_notes_free, 18);
	assert_int_equal(command_note_fill(&pool, c, REEL_FRAME_BODY, span_of(bytes, REEL_JOINED_MAX)), SRS_OK);
	command_give(&pool, c);
	c = command_take(&pool, COMMAND_NOTE);
	assert_non_null(c);
	pool.n_notes_free = 2;
	assert_int_equal(command_note_fill(&pool, c, REEL_FRAME_BODY, span_of(bytes, 2 * NOTE_PIECE_SIZE + 1)), SRS_ERR_LIMIT);
	assert_int_equal(command_note_fill(&pool, c, REEL_FRAME_BODY, span_of(NULL, 0)), SRS_OK);	/* empty is a frame too */
	command_give(&pool, c);
	command_pool_destroy(&pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_gives_what_it_has_and_no_more),
		cmocka_unit_test(a_document_is_cut_into_pieces_and_comes_back_whole),
		cmocka_unit_test(too_long_or_too_many_documents_are_refused_and_cost_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
