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
	static uint8_t bytes[REEL_DOCUMENT_MAX + 1];
	struct command_pool pool;
	struct command *c;

	assert_int_equal(command_pool_create(&pool, 2, 69), SRS_OK);
	c = command_take(&pool, COMMAND_NOTE);
	assert_non_null(c);
	assert_int_equal(command_note_fill(&pool, c, REEL_FRAME_BODY, span_of(bytes, sizeof(bytes))), SRS_ERR_LIMIT);
	assert_int_equal(pool.n_notes_free, 69);
	assert_int_equal(command_note_fill(&pool, c, REEL_FRAME_BODY, span_of(bytes, REEL_DOCUMENT_MAX)), SRS_OK);
	command_give(&pool, c);
	c = command_take(&pool, COMMAND_NOTE);
	assert_non_null(c);
	pool.n_notes_free = 2;
	assert_int_equal(command_note_fill(&pool, c, REEL_FRAME_BODY, span_of(bytes, 2 * NOTE_PIECE_SIZE + 1)), SRS_ERR_LIMIT);
	assert_int_equal(command_note_fill(&pool, c, REEL_FRAME_BODY, span_of(NULL, 0)), SRS_OK);	/* empty is a frame too */
	command_give(&pool, c);
	command_pool_destroy(&pool);
}

/* A lcore's side with 40 chunks and no writer. */
struct side {
	struct chunk_pool chunks;
	struct stream_pool pool;
	struct counters counters;
	struct recorder r;
	struct recording rec;
};

static struct side *
side_make(void)
{
	struct side *s = aligned_alloc(64, (sizeof(*s) + 63) & ~63ul);

	assert_non_null(s);
	memset(s, 0, sizeof(*s));
	assert_int_equal(chunk_pool_create(&s->chunks, 40, 4, false), SRS_OK);
	assert_int_equal(stream_pool_create(&s->pool, 8, 8), SRS_OK);
	assert_int_equal(spsc_create(&s->r.full[0], 40), SRS_OK);
	assert_int_equal(spsc_create(&s->r.empty[0], 40), SRS_OK);
	s->r.chunks = &s->chunks;
	s->r.streams = &s->pool;
	s->r.counters = &s->counters;
	s->r.n_writers = 1;
	s->r.wall_ns = 1000000000000;
	s->r.age_ns = 500000000;
	s->r.age_tsc = 500;
	recording_init(&s->rec, 0, 0);
	return s;
}

static void
side_free(struct side *s)
{
	spsc_destroy(s->r.full[0]);
	spsc_destroy(s->r.empty[0]);
	chunk_pool_destroy(&s->chunks);
	stream_pool_destroy(&s->pool);
	free(s);
}

/* A reader joins pieces until one without MORE: a document that began must end, whatever happens between. */
static void
a_document_that_began_ends(void **state)
{
	static uint8_t bytes[8 * NOTE_PIECE_SIZE];
	struct side *s = side_make();
	struct command_pool pool;
	struct command *c;
	struct chunk *kept[64], *chunk;
	unsigned int n_kept = 0, n_pieces = 0;
	bool more = false;

	assert_int_equal(command_pool_create(&pool, 2, 32), SRS_OK);
	for (unsigned int i = 0; i < 2; i++) {
		c = command_take(&pool, COMMAND_NOTE);
		assert_non_null(c);
		c->recording = &s->rec;
		assert_int_equal(command_note_fill(&pool, c, REEL_FRAME_METADATA, span_of(bytes, sizeof(bytes))), SRS_OK);
		assert_false(command_run(c, &s->r, NULL, NULL));
		if (i == 0) {
			s->r.refused[0] = REEL_REASON_DISK_FULL;	/* in the middle of it */
			assert_false(command_run(c, &s->r, NULL, NULL));
			s->r.refused[0] = REEL_REASON_NONE;
		} else {
			while ((chunk = chunk_pool_take(&s->chunks, false)) != NULL)
				kept[n_kept++] = chunk;
			assert_false(command_run(c, &s->r, NULL, NULL));	/* waits */
			assert_false(command_run(c, &s->r, NULL, NULL));
			while (n_kept > 0)
				chunk_pool_give(&s->chunks, kept[--n_kept]);
		}
		for (unsigned int turns = 0; !command_run(c, &s->r, NULL, NULL); turns++)
			assert_true(turns < 10);
		assert_int_equal(c->err, SRS_OK);
		command_give(&pool, c);
	}
	/* one that cannot even begin is dropped whole */
	s->r.refused[0] = REEL_REASON_DISK_FULL;
	c = command_take(&pool, COMMAND_NOTE);
	assert_non_null(c);
	c->recording = &s->rec;
	assert_int_equal(command_note_fill(&pool, c, REEL_FRAME_METADATA, span_of(bytes, sizeof(bytes))), SRS_OK);
	assert_true(command_run(c, &s->r, NULL, NULL));
	assert_int_equal(c->err, SRS_ERR_LIMIT);
	command_give(&pool, c);
	recording_close(&s->r, &s->rec);
	while ((chunk = spsc_pop(s->r.full[0])) != NULL) {
		struct reel_frame f;
		size_t at = 0;

		while (reel_frame_next(&f, span_of(chunk->body, chunk->used), chunk->first_wall_ns, &at) == SRS_OK) {
			if (f.kind != REEL_FRAME_METADATA)
				continue;
			more = (f.flags & REEL_FRAME_MORE) != 0;
			n_pieces++;
			assert_int_equal(more, n_pieces % 8 != 0);
		}
	}
	assert_int_equal(n_pieces, 16);
	assert_false(more);
	command_pool_destroy(&pool);
	side_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_gives_what_it_has_and_no_more),
		cmocka_unit_test(a_document_is_cut_into_pieces_and_comes_back_whole),
		cmocka_unit_test(a_document_that_began_ends),
		cmocka_unit_test(too_long_or_too_many_documents_are_refused_and_cost_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
