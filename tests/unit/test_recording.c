/* Recordings on the lcore's side, with rings and a pool of their own and no writer behind: what is appended comes
 * out of chunks in order, and what finds no chunk becomes a gap. */
#include "plane_fixture.h"

#include "dataplane/recording.h"

#define N_CHUNKS 40

struct fx {
	struct chunk_pool chunks;
	struct stream_pool pool;
	struct counters counters;
	struct recorder r;
	struct recording rec;
	struct stream stream;
	struct chunk *out[256];
	unsigned int n_out;
};

static int
set_up(void **state)
{
	struct fx *fx = aligned_alloc(64, (sizeof(*fx) + 63) & ~63ul);
	struct stream_spec spec = { .number = 3, .udp_port = 20000 };

	if (fx == NULL)
		return -1;
	memset(fx, 0, sizeof(*fx));
	if (chunk_pool_create(&fx->chunks, N_CHUNKS, 4, false) != SRS_OK ||
	    stream_pool_create(&fx->pool, 8, 8) != SRS_OK || spsc_create(&fx->r.full[0], N_CHUNKS) != SRS_OK ||
	    spsc_create(&fx->r.empty[0], N_CHUNKS) != SRS_OK)
		return -1;
	fx->r.chunks = &fx->chunks;
	fx->r.streams = &fx->pool;
	fx->r.counters = &fx->counters;
	fx->r.n_writers = 1;
	fx->r.wall_ns = 1000000000000;
	fx->r.age_ns = 500000000;
	fx->r.age_tsc = 500;
	recording_init(&fx->rec, 5, 0);
	stream_init(&fx->stream, 1, 0, &spec);
	recording_stream_add(&fx->rec, &fx->stream);
	*state = fx;
	return 0;
}

static int
tear_down(void **state)
{
	struct fx *fx = *state;

	spsc_destroy(fx->r.full[0]);
	spsc_destroy(fx->r.empty[0]);
	chunk_pool_destroy(&fx->chunks);
	stream_pool_destroy(&fx->pool);
	free(fx);
	return 0;
}

/* What the writer would get. */
static void
take(struct fx *fx)
{
	struct chunk *c;

	while ((c = spsc_pop(fx->r.full[0])) != NULL)
		fx->out[fx->n_out++] = c;
}

static enum reel_reason
put(struct fx *fx, uint8_t kind, uint32_t seq, const void *bytes, uint16_t len)
{
	const struct recording_frame f = { .kind = kind, .stream = 3, .len = len, .seq_ext = seq,
		                           .wall_ns = fx->r.wall_ns, .bytes = bytes };

	return recording_append(&fx->r, &fx->rec, &f);
}

static void
frames_fill_chunks_in_order_and_never_split_when_small(void **state)
{
	struct fx *fx = *state;
	uint8_t bytes[172] = { 0x80 };
	uint32_t seq = 0;

	for (uint32_t i = 0; i < 100; i++) {
		bytes[3] = (uint8_t)i;
		fx->r.wall_ns += 1000000;
		assert_int_equal(put(fx, REEL_FRAME_RTP, i, bytes, sizeof(bytes)), REEL_REASON_NONE);
	}
	recording_close(&fx->r, &fx->rec);
	take(fx);
	for (unsigned int i = 0; i < fx->n_out; i++) {
		const struct chunk *c = fx->out[i];
		struct reel_frame f;
		size_t at = 0;

		assert_int_equal(c->chunk_no, i);
		assert_int_equal(c->recording, 5);
		assert_int_equal(c->flags, 0);
		assert_in_range(c->used, 1, reel_chunk_body_max(i == 0 ? REEL_CHUNK_COMMITMENT : 0));
		while (reel_frame_next(&f, span_of(c->body, c->used), c->first_wall_ns, &at) == SRS_OK) {
			assert_int_equal(f.seq_ext, seq);
			assert_int_equal(f.stream, 3);
			assert_int_equal(f.bytes.len, 172);
			assert_int_equal(f.bytes.bytes[3], seq);
			assert_int_equal(f.wall_ns, 1000000000000 + (seq + 1) * 1000000ull);
			seq++;
		}
	}
	assert_int_equal(seq, 100);
	assert_int_equal(fx->n_out, 5);	/* 21 frames of 184 bytes a chunk */
}

static void
a_long_frame_goes_in_pieces_all_or_nothing(void **state)
{
	struct fx *fx = *state;
	static uint8_t bytes[30000];
	size_t done = 0;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 13);
	assert_int_equal(put(fx, REEL_FRAME_RTP, 9, bytes, sizeof(bytes)), REEL_REASON_NONE);
	recording_close(&fx->r, &fx->rec);
	take(fx);
	assert_int_equal(fx->n_out, 8);
	for (unsigned int i = 0; i < fx->n_out; i++) {
		struct reel_frame f;
		size_t at = 0;

		assert_int_equal(reel_frame_next(&f, span_of(fx->out[i]->body, fx->out[i]->used), 0, &at), SRS_OK);
		assert_memory_equal(f.bytes.bytes, bytes + done, f.bytes.len);
		done += f.bytes.len;
		assert_int_equal(f.flags & REEL_FRAME_MORE, done < sizeof(bytes) ? REEL_FRAME_MORE : 0);
	}
	assert_int_equal(done, sizeof(bytes));
	while (fx->chunks.n_empty > 10)
		(void)chunk_pool_take(&fx->chunks, false);
	assert_int_equal(put(fx, REEL_FRAME_RTP, 9, bytes, sizeof(bytes)), REEL_REASON_NO_CHUNK);
	assert_int_equal(fx->chunks.n_empty, 10);
}

static void
class_age_and_a_backward_step_close_the_chunk(void **state)
{
	struct fx *fx = *state;

	put(fx, REEL_FRAME_RTP, 1, "rtp", 3);
	put(fx, REEL_FRAME_METADATA, 0, "xml", 3);
	put(fx, REEL_FRAME_RTP, 2, "rtp", 3);
	fx->r.wall_ns += 499999999;
	put(fx, REEL_FRAME_RTP, 3, "rtp", 3);	/* same chunk */
	fx->r.wall_ns += 1;
	put(fx, REEL_FRAME_RTP, 4, "rtp", 3);	/* old */
	fx->r.wall_ns -= 1000;
	put(fx, REEL_FRAME_RTP, 5, "rtp", 3);	/* back in time */
	take(fx);
	assert_int_equal(fx->n_out, 4);
	assert_int_equal(fx->out[0]->flags, 0);
	assert_int_equal(fx->out[1]->flags, REEL_CHUNK_DOCUMENTS);
	assert_int_equal(fx->out[2]->n_frames, 2);
	assert_int_equal(fx->out[3]->n_frames, 1);
	/* and housekeeping closes what nobody writes to */
	fx->r.now_tsc = 499;
	assert_int_equal(recorder_age(&fx->r, 10), 0);
	fx->r.now_tsc = 500;
	assert_int_equal(recorder_age(&fx->r, 10), 1);
	assert_null(fx->rec.chunk);
	assert_null(fx->r.oldest);
}

static void
without_chunks_frames_become_one_gap_that_is_written_later(void **state)
{
	struct fx *fx = *state;
	struct reel_frame f;
	struct reel_gap gap;
	size_t at = 0;
	uint8_t bytes[1800] = { 0 };
	unsigned int lost = 0;

	for (uint32_t i = 0; i < 200; i++) {
		enum reel_reason reason;

		fx->r.wall_ns += 1000;
		reason = put(fx, REEL_FRAME_RTP, i, bytes, sizeof(bytes));
		if (reason == REEL_REASON_NONE)
			continue;
		assert_int_equal(reason, REEL_REASON_NO_CHUNK);
		recording_gap(&fx->rec, &fx->stream, reason, fx->r.wall_ns);
		lost++;
	}
	take(fx);
	assert_int_equal(fx->chunks.n_empty, 4);	/* the reserve is not media's */
	assert_int_equal(lost, 200 - 2 * (N_CHUNKS - 4));
	assert_int_equal(put(fx, REEL_FRAME_METADATA, 0, "xml", 3), REEL_REASON_NONE);	/* but it is documents' */
	take(fx);
	for (unsigned int i = 0; i < fx->n_out; i++)
		assert_true(spsc_push(fx->r.empty[0], fx->out[i]));
	assert_int_equal(put(fx, REEL_FRAME_RTP, 200, bytes, sizeof(bytes)), REEL_REASON_NONE);
	recording_close(&fx->r, &fx->rec);
	fx->n_out = 0;
	take(fx);
	assert_int_equal(fx->n_out, 2);		/* the document; the gap and the frame */
	assert_int_equal(reel_frame_next(&f, span_of(fx->out[1]->body, fx->out[1]->used), 0, &at), SRS_OK);
	assert_int_equal(f.kind, REEL_FRAME_GAP);
	assert_int_equal(f.stream, 3);
	assert_int_equal(reel_gap_read(&gap, f.bytes), SRS_OK);
	assert_int_equal(gap.reason, REEL_REASON_NO_CHUNK);
	assert_int_equal(gap.n_frames, lost);
	assert_int_equal(reel_frame_next(&f, span_of(fx->out[1]->body, fx->out[1]->used), 0, &at), SRS_OK);
	assert_int_equal(f.kind, REEL_FRAME_RTP);
	assert_int_equal(fx->stream.gaps[REEL_REASON_NO_CHUNK].n_frames, 0);
}

static void
a_writer_that_refuses_gives_its_reason(void **state)
{
	struct fx *fx = *state;

	put(fx, REEL_FRAME_RTP, 1, "rtp", 3);
	fx->r.refused[0] = REEL_REASON_DISK_FULL;
	assert_int_equal(put(fx, REEL_FRAME_RTP, 2, "rtp", 3), REEL_REASON_DISK_FULL);
	fx->r.refused[0] = REEL_REASON_NONE;
	assert_int_equal(put(fx, REEL_FRAME_RTP, 3, "rtp", 3), REEL_REASON_NONE);
}

static void
a_clock_step_is_marked_between_two_chunks(void **state)
{
	struct fx *fx = *state;
	struct reel_frame f;
	struct reel_mark mark;
	size_t at = 0;

	put(fx, REEL_FRAME_RTP, 1, "rtp", 3);
	fx->r.clock.steps_ns = -3600000000000;
	fx->r.wall_ns -= 3600000000000 / 4;
	put(fx, REEL_FRAME_RTP, 2, "rtp", 3);
	recording_close(&fx->r, &fx->rec);
	take(fx);
	assert_int_equal(fx->n_out, 2);
	assert_int_equal(reel_frame_next(&f, span_of(fx->out[1]->body, fx->out[1]->used), 0, &at), SRS_OK);
	assert_int_equal(f.kind, REEL_FRAME_MARK);
	assert_int_equal(reel_mark_read(&mark, f.bytes), SRS_OK);
	assert_int_equal(mark.kind, REEL_MARK_CLOCK_STEP);
	assert_true(mark.value == -3600000000000);
}

static void
the_end_of_a_part_waits_for_a_chunk(void **state)
{
	struct fx *fx = *state;
	struct seal_order *order = calloc(1, sizeof(*order) + 4 * sizeof(order->streams[0]));
	struct chunk *kept = NULL, *c;

	assert_non_null(order);
	while ((c = chunk_pool_take(&fx->chunks, false)) != NULL)
		kept = c;
	order->final = true;
	assert_false(recording_part_end(&fx->r, &fx->rec, order, 4));
	assert_int_equal(fx->rec.part, 0);
	chunk_pool_give(&fx->chunks, kept);
	packet_index_start(&fx->stream.first.index, 1, 7);
	ssrc_expect(&fx->stream.first, 0x10007, 1);
	fx->stream.first.recorded = 1;
	assert_true(recording_part_end(&fx->r, &fx->rec, order, 4));
	take(fx);
	assert_int_equal(fx->n_out, 1);
	assert_int_equal(fx->out[0]->flags, REEL_CHUNK_END | REEL_CHUNK_FINAL);
	assert_ptr_equal(fx->out[0]->seal, order);
	assert_int_equal(order->n_streams, 1);
	assert_int_equal(order->streams[0].recorded, 1);
	assert_int_equal(order->streams[0].highest_index, 0x10007);
	assert_int_equal(fx->rec.part, 1);
	assert_int_equal(fx->rec.next_chunk_no, 0);
	free(order);
}

static void
free_order(struct fx *fx)
{
	for (unsigned int i = 0; i < fx->n_out; i++)
		free(fx->out[i]->seal);
}

/* Sum of the gaps of a reason and stream in what came out. */
static uint64_t
gap_sum(const struct fx *fx, uint8_t stream, enum reel_reason reason)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < fx->n_out; i++) {
		struct reel_frame f;
		struct reel_gap gap;
		size_t at = 0;

		while (reel_frame_next(&f, span_of(fx->out[i]->body, fx->out[i]->used), fx->out[i]->first_wall_ns, &at) == SRS_OK)
			if (f.kind == REEL_FRAME_GAP && f.stream == stream && reel_gap_read(&gap, f.bytes) == SRS_OK &&
			    gap.reason == reason)
				n += gap.n_frames;
	}
	return n;
}

static struct seal_order *
order_of_rows(unsigned int n, bool final)
{
	struct seal_order *order = calloc(1, sizeof(*order) + n * sizeof(order->streams[0]));

	assert_non_null(order);
	order->final = final;
	return order;
}

/* The totals of the pause stand in this part's seal: so does its gap. */
static void
a_pause_that_outlives_its_part_is_a_gap_in_each(void **state)
{
	struct fx *fx = *state;

	put(fx, REEL_FRAME_RTP, 1, "rtp", 3);
	recording_pause(&fx->r, &fx->rec, true);
	for (unsigned int i = 0; i < 5; i++)
		recording_gap(&fx->rec, &fx->stream, REEL_REASON_PAUSED, fx->r.wall_ns);
	assert_true(recording_part_end(&fx->r, &fx->rec, order_of_rows(4, false), 4));
	take(fx);
	assert_int_equal(gap_sum(fx, 3, REEL_REASON_PAUSED), 5);
	recording_gap(&fx->rec, &fx->stream, REEL_REASON_PAUSED, fx->r.wall_ns);
	assert_true(recording_part_end(&fx->r, &fx->rec, order_of_rows(4, true), 4));
	take(fx);
	assert_int_equal(gap_sum(fx, 3, REEL_REASON_PAUSED), 6);
	free_order(fx);
}

/* The end waits in the writer for room on the disk; what is missing from the part waits with it. */
static void
the_last_part_tells_what_is_missing_also_while_the_disk_is_full(void **state)
{
	struct fx *fx = *state;

	put(fx, REEL_FRAME_RTP, 1, "rtp", 3);
	fx->r.refused[0] = REEL_REASON_DISK_FULL;
	recording_gap(&fx->rec, NULL, REEL_REASON_DISK_FULL, fx->r.wall_ns);	/* a document */
	recording_gap(&fx->rec, &fx->stream, REEL_REASON_DISK_FULL, fx->r.wall_ns);
	recording_gap(&fx->rec, &fx->stream, REEL_REASON_DISK_FULL, fx->r.wall_ns);
	recording_stream_remove(&fx->r, &fx->rec, &fx->stream);
	assert_true(recording_part_end(&fx->r, &fx->rec, order_of_rows(4, true), 4));
	assert_int_equal(fx->r.refused[0], REEL_REASON_DISK_FULL);
	take(fx);
	assert_int_equal(gap_sum(fx, 3, REEL_REASON_DISK_FULL), 2);
	assert_int_equal(gap_sum(fx, REEL_STREAM_NONE, REEL_REASON_DISK_FULL), 1);
	free_order(fx);
}

/* Without a chunk even for the gap, a stream that leaves leaves it to its recording, whose end waits. */
static void
a_gap_of_a_stream_that_left_is_not_forgotten(void **state)
{
	struct fx *fx = *state;
	struct chunk *kept[N_CHUNKS], *c;
	unsigned int n = 0;

	while ((c = chunk_pool_take(&fx->chunks, false)) != NULL)
		kept[n++] = c;
	recording_gap(&fx->rec, &fx->stream, REEL_REASON_NO_CHUNK, fx->r.wall_ns);
	recording_stream_remove(&fx->r, &fx->rec, &fx->stream);
	{
		struct seal_order *order = order_of_rows(4, true);

		assert_false(recording_part_end(&fx->r, &fx->rec, order, 4));
		while (n > 0)
			chunk_pool_give(&fx->chunks, kept[--n]);
		assert_true(recording_part_end(&fx->r, &fx->rec, order, 4));
	}
	take(fx);
	assert_int_equal(gap_sum(fx, REEL_STREAM_NONE, REEL_REASON_NO_CHUNK), 1);
	free_order(fx);
}

/* A step while no mark can be written is told later, not never. */
static void
a_clock_step_on_a_full_disk_is_marked_afterwards(void **state)
{
	struct fx *fx = *state;
	struct reel_frame f;
	struct reel_mark mark;
	size_t at = 0;

	fx->r.refused[0] = REEL_REASON_DISK_FULL;
	fx->r.clock.steps_ns = 70000000;
	fx->r.wall_ns += 70000000;
	assert_int_equal(put(fx, REEL_FRAME_RTP, 1, "rtp", 3), REEL_REASON_DISK_FULL);
	fx->r.clock.steps_ns = 50000000;
	fx->r.refused[0] = REEL_REASON_NONE;
	assert_int_equal(put(fx, REEL_FRAME_RTP, 2, "rtp", 3), REEL_REASON_NONE);
	recording_close(&fx->r, &fx->rec);
	take(fx);
	assert_int_equal(fx->n_out, 1);
	assert_int_equal(reel_frame_next(&f, span_of(fx->out[0]->body, fx->out[0]->used), 0, &at), SRS_OK);
	assert_int_equal(f.kind, REEL_FRAME_MARK);
	assert_int_equal(reel_mark_read(&mark, f.bytes), SRS_OK);
	assert_int_equal(mark.value, 50000000);
}

int
main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ROW(frames_fill_chunks_in_order_and_never_split_when_small),
		ROW(a_long_frame_goes_in_pieces_all_or_nothing),
		ROW(class_age_and_a_backward_step_close_the_chunk),
		ROW(without_chunks_frames_become_one_gap_that_is_written_later),
		ROW(a_writer_that_refuses_gives_its_reason),
		ROW(a_clock_step_is_marked_between_two_chunks),
		ROW(the_end_of_a_part_waits_for_a_chunk),
		ROW(a_pause_that_outlives_its_part_is_a_gap_in_each),
		ROW(the_last_part_tells_what_is_missing_also_while_the_disk_is_full),
		ROW(a_gap_of_a_stream_that_left_is_not_forgotten),
		ROW(a_clock_step_on_a_full_disk_is_marked_afterwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
