#include "dataplane/recording.h"

#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_memcpy.h>

#include "lib/srs_assert.h"

/* A body that fits any chunk, also the first of a part, which carries the key commitment. */
#define BODY_SURE  (REEL_BODY_MAX - REEL_COMMITMENT_SIZE)
#define REFILL_MAX 256	/* chunks taken back at once */

void
recording_init(struct recording *rec, uint32_t handle, uint8_t writer_i)
{
	memset(rec, 0, sizeof(*rec));
	rec->handle = handle;
	rec->writer_i = writer_i;
	rec->flags = RECORDING_F_OPEN;
}

void
recorder_refill(struct recorder *r)
{
	for (uint16_t w = 0; w < r->n_writers; w++) {
		for (unsigned int i = 0; i < REFILL_MAX; i++) {
			struct chunk *chunk = spsc_pop(r->empty[w]);

			if (chunk == NULL)
				break;
			chunk_pool_give(r->chunks, chunk);
		}
	}
	atomic_store_explicit(&r->chunks->free_percent, (uint32_t)((uint64_t)r->chunks->n_empty * 100 / r->chunks->n),
	                      memory_order_relaxed);
}

/* ---- the open chunk ---- */

static void
age_leave(struct recorder *r, struct recording *rec)
{
	if (rec->older != NULL)
		rec->older->younger = rec->younger;
	else
		r->oldest = rec->younger;
	if (rec->younger != NULL)
		rec->younger->older = rec->older;
	else
		r->youngest = rec->older;
}

static void
age_enter(struct recorder *r, struct recording *rec)
{
	rec->older = r->youngest;
	rec->younger = NULL;
	if (r->youngest != NULL)
		r->youngest->younger = rec;
	else
		r->oldest = rec;
	r->youngest = rec;
}

static void
close_with(struct recorder *r, struct recording *rec, uint16_t flags, struct seal_order *seal)
{
	struct chunk *chunk = rec->chunk;
	bool taken;

	chunk->n_frames = rec->n_frames;
	chunk->used = rec->used;
	chunk->flags = (uint16_t)(flags | (rec->class == REEL_CLASS_DOCUMENTS ? REEL_CHUNK_DOCUMENTS : 0));
	chunk->seal = seal;
	taken = spsc_push(r->full[rec->writer_i], chunk);
	srs_assert(taken);	/* the ring holds the whole pool */
	rec->chunk = NULL;
	rec->body = NULL;
	rec->used = rec->limit = 0;
	age_leave(r, rec);
	counter_add(&r->counters->chunks_closed, 1);
}

void
recording_close(struct recorder *r, struct recording *rec)
{
	if (rec->chunk != NULL)
		close_with(r, rec, 0, NULL);
}

static bool
open_chunk(struct recorder *r, struct recording *rec, enum reel_class class, bool media, uint64_t wall_ns)
{
	struct chunk *chunk = chunk_pool_take(r->chunks, media);

	if (chunk == NULL) {
		recorder_refill(r);
		chunk = chunk_pool_take(r->chunks, media);
		if (chunk == NULL)
			return false;
	}
	chunk->recording = rec->handle;
	chunk->part = rec->part;
	chunk->chunk_no = rec->next_chunk_no++;
	chunk->first_wall_ns = wall_ns;
	chunk->opened_mono_ns = clock_mono_ns(&r->clock, r->now_tsc);
	rec->chunk = chunk;
	rec->body = chunk->body;
	rec->used = 0;
	rec->limit = (uint16_t)reel_chunk_body_max(chunk->chunk_no == 0 ? REEL_CHUNK_COMMITMENT : 0);
	srs_assert(rec->limit >= BODY_SURE);
	rec->n_frames = 0;
	rec->first_wall_ns = rec->last_wall_ns = wall_ns;
	rec->class = (uint8_t)class;
	rec->opened_tsc = r->now_tsc;
	age_enter(r, rec);
	return true;
}

static enum reel_class
class_of(uint8_t kind)
{
	return (kind & REEL_FRAME_KIND_MASK) >= REEL_FRAME_DESCRIPTION ? REEL_CLASS_DOCUMENTS : REEL_CLASS_MEDIA;
}

/* ---- frames ---- */

static inline void
write_frame(struct recorder *r, struct recording *rec, const struct recording_frame *f, uint8_t kind,
            const uint8_t *bytes, uint16_t len)
{
	uint8_t *at = rec->body + rec->used;
	uint32_t delta_us = (uint32_t)((f->wall_ns - rec->first_wall_ns) / 1000);
	const uint32_t head[3] = {
		__builtin_bswap32((uint32_t)len << 16 | (uint32_t)kind << 8 | f->stream),
		__builtin_bswap32(delta_us),
		__builtin_bswap32(f->seq_ext),
	};

	srs_assert_hot(rec->used + REEL_FRAME_HEADER_SIZE + len <= rec->limit);
	memcpy(at, head, sizeof(head));
	rte_memcpy(at + REEL_FRAME_HEADER_SIZE, bytes, len);
	rec->used = (uint16_t)(rec->used + REEL_FRAME_HEADER_SIZE + len);
	rec->n_frames++;
	rec->last_wall_ns = f->wall_ns;
	counter_add(&r->counters->frames_appended, 1);
	counter_add(&r->counters->bytes_appended, REEL_FRAME_HEADER_SIZE + (uint64_t)len);
}

/* Longer than an empty chunk: pieces, all or nothing. */
static enum reel_reason
append_pieces(struct recorder *r, struct recording *rec, const struct recording_frame *f)
{
	enum reel_class class = class_of(f->kind);
	bool media = class == REEL_CLASS_MEDIA;
	uint32_t piece_min = BODY_SURE - REEL_FRAME_HEADER_SIZE;
	uint32_t need = f->len / piece_min + 1, done = 0;

	if (r->chunks->n_empty < need + (media ? r->chunks->reserve : 0)) {
		recorder_refill(r);
		if (r->chunks->n_empty < need + (media ? r->chunks->reserve : 0))
			return REEL_REASON_NO_CHUNK;
	}
	while (done < f->len) {
		uint32_t room = rec->chunk != NULL ? (uint32_t)(rec->limit - rec->used) : 0;
		uint32_t piece = f->len - done;
		bool last;

		if (room <= REEL_FRAME_HEADER_SIZE) {
			bool opened;

			recording_close(r, rec);
			opened = open_chunk(r, rec, class, media, f->wall_ns);
			srs_assert(opened);	/* counted above */
			continue;
		}
		if (piece > room - REEL_FRAME_HEADER_SIZE)
			piece = room - REEL_FRAME_HEADER_SIZE;
		last = done + piece == f->len;
		write_frame(r, rec, f, (uint8_t)(f->kind | (last ? 0 : REEL_FRAME_MORE)), f->bytes + done,
		            (uint16_t)piece);
		done += piece;
	}
	return REEL_REASON_NONE;
}

/* Append without a look at gaps and clock steps. */
static inline enum reel_reason
append(struct recorder *r, struct recording *rec, const struct recording_frame *f)
{
	enum reel_class class = class_of(f->kind);
	uint32_t need = REEL_FRAME_HEADER_SIZE + (uint32_t)f->len;

	if (unlikely(r->refused[rec->writer_i] != REEL_REASON_NONE))
		return (enum reel_reason)r->refused[rec->writer_i];
	if (rec->chunk != NULL && (rec->class != class || f->wall_ns < rec->last_wall_ns ||
	                           f->wall_ns - rec->first_wall_ns >= r->age_ns))
		recording_close(r, rec);
	if (unlikely(need > BODY_SURE))
		return append_pieces(r, rec, f);
	if (rec->chunk != NULL && need > (uint32_t)(rec->limit - rec->used))
		recording_close(r, rec);	/* a small frame stays in one piece */
	if (rec->chunk == NULL && !open_chunk(r, rec, class, class == REEL_CLASS_MEDIA, f->wall_ns))
		return REEL_REASON_NO_CHUNK;
	write_frame(r, rec, f, f->kind, f->bytes, f->len);
	return REEL_REASON_NONE;
}

/* What must stand in the chunks of this recording goes there also when the writer takes no new frames: chunks wait
 * for it. @return what refused() must be given back */
static uint8_t
refusal_lift(struct recorder *r, const struct recording *rec)
{
	uint8_t refused = r->refused[rec->writer_i];

	r->refused[rec->writer_i] = REEL_REASON_NONE;
	return refused;
}

/* ---- gaps ---- */

static bool
gaps_write(struct recorder *r, struct recording *rec, struct gap gaps[REEL_REASONS_MAX], uint8_t stream, bool paused)
{
	for (unsigned int reason = 1; reason < REEL_REASONS_MAX; reason++) {
		struct gap *g = &gaps[reason];
		uint8_t bytes[REEL_GAP_SIZE];
		const struct reel_gap gap = { .reason = (enum reel_reason)reason, .n_frames = g->n_frames,
			                      .first_wall_ns = g->first_wall_ns, .last_wall_ns = g->last_wall_ns };
		const struct recording_frame f = { .kind = REEL_FRAME_GAP, .stream = stream, .len = REEL_GAP_SIZE,
			                           .wall_ns = r->wall_ns, .bytes = bytes };

		if (g->n_frames == 0 || (reason == REEL_REASON_PAUSED && paused))
			continue;
		reel_gap_write(&gap, bytes);
		if (append(r, rec, &f) != REEL_REASON_NONE)
			return false;
		memset(g, 0, sizeof(*g));
	}
	return true;
}

static void
gaps_flush(struct recorder *r, struct recording *rec)
{
	bool paused = (rec->flags & RECORDING_F_PAUSED) != 0;

	if (!gaps_write(r, rec, rec->gaps, REEL_STREAM_NONE, paused))
		return;
	for (struct stream *s = rec->streams; s != NULL; s = s->next)
		if (!gaps_write(r, rec, s->gaps, s->number, paused || (s->flags & STREAM_F_INACTIVE)))
			return;
	rec->flags &= (uint8_t)~RECORDING_F_GAPS_DUE;
}

/* All that is missing so far, also of a pause that goes on. @return false: no chunk for the rest */
static bool
gaps_write_all(struct recorder *r, struct recording *rec)
{
	bool done = gaps_write(r, rec, rec->gaps, REEL_STREAM_NONE, false);

	for (struct stream *s = rec->streams; s != NULL && done; s = s->next)
		done = gaps_write(r, rec, s->gaps, s->number, false);
	if (done)
		rec->flags &= (uint8_t)~RECORDING_F_GAPS_DUE;
	return done;
}

/* Gaps of a stream that leaves, and that found no chunk: the recording's own then. */
static void
gaps_inherit(struct recording *rec, struct gap gaps[REEL_REASONS_MAX])
{
	for (unsigned int reason = 1; reason < REEL_REASONS_MAX; reason++) {
		struct gap *to = &rec->gaps[reason];

		if (gaps[reason].n_frames == 0)
			continue;
		if (to->n_frames == 0 || gaps[reason].first_wall_ns < to->first_wall_ns)
			to->first_wall_ns = gaps[reason].first_wall_ns;
		if (to->n_frames == 0 || gaps[reason].last_wall_ns > to->last_wall_ns)
			to->last_wall_ns = gaps[reason].last_wall_ns;
		to->n_frames += gaps[reason].n_frames;
		rec->flags |= RECORDING_F_GAPS_DUE;
	}
	memset(gaps, 0, REEL_REASONS_MAX * sizeof(*gaps));
}

void
recording_gap(struct recording *rec, struct stream *s, enum reel_reason reason, uint64_t wall_ns)
{
	struct gap *g = s != NULL ? &s->gaps[reason] : &rec->gaps[reason];

	if (g->n_frames++ == 0)
		g->first_wall_ns = wall_ns;
	g->last_wall_ns = wall_ns;
	if (reason != REEL_REASON_PAUSED)
		rec->flags |= RECORDING_F_GAPS_DUE;
}

/* ---- marks ---- */

bool
recording_mark(struct recorder *r, struct recording *rec, uint8_t stream, const struct reel_mark *mark)
{
	uint8_t bytes[REEL_MARK_SIZE];
	const struct recording_frame f = { .kind = REEL_FRAME_MARK, .stream = stream, .len = REEL_MARK_SIZE,
		                           .wall_ns = r->wall_ns, .bytes = bytes };

	reel_mark_write(mark, bytes);
	if (append(r, rec, &f) == REEL_REASON_NONE)
		return true;
	counter_add(&r->counters->marks_dropped, 1);
	return false;
}

/* A mark that finds no chunk stays due: the next one tells of both steps. */
static void
mark_step(struct recorder *r, struct recording *rec)
{
	const struct reel_mark mark = { .kind = REEL_MARK_CLOCK_STEP,
		                        .value = r->clock.steps_ns - rec->steps_seen_ns };
	uint8_t bytes[REEL_MARK_SIZE];
	const struct recording_frame f = { .kind = REEL_FRAME_MARK, .stream = REEL_STREAM_NONE, .len = REEL_MARK_SIZE,
		                           .wall_ns = r->wall_ns, .bytes = bytes };

	recording_close(r, rec);	/* no chunk holds times of two clocks */
	reel_mark_write(&mark, bytes);
	if (append(r, rec, &f) == REEL_REASON_NONE)
		rec->steps_seen_ns = r->clock.steps_ns;
}

static void
step_check(struct recorder *r, struct recording *rec)
{
	if (unlikely(rec->steps_seen_ns != r->clock.steps_ns))
		mark_step(r, rec);
}

enum reel_reason
recording_append(struct recorder *r, struct recording *rec, const struct recording_frame *f)
{
	step_check(r, rec);
	if (unlikely(rec->flags & RECORDING_F_GAPS_DUE))
		gaps_flush(r, rec);
	return append(r, rec, f);
}

enum reel_reason
recording_append_rest(struct recorder *r, struct recording *rec, const struct recording_frame *f)
{
	uint8_t refused = refusal_lift(r, rec);
	enum reel_reason reason = recording_append(r, rec, f);

	r->refused[rec->writer_i] = refused;
	return reason;
}

/* A first packet of a source that has not proved itself came while nothing was to be recorded: its second one, which comes
 * behind that, shall not bring it in. */
static void
holds_drop(struct recorder *r, struct recording *rec)
{
	for (struct stream *s = rec->streams; s != NULL; s = s->next) {
		if (s->hold == NULL)
			continue;
		counter_add(&r->counters->held_dropped, 1);
		stream_hold_drop(s, r->streams);
	}
}

void
recording_pause(struct recorder *r, struct recording *rec, bool paused)
{
	const struct reel_mark mark = { .kind = paused ? REEL_MARK_PAUSED : REEL_MARK_RESUMED };

	if (((rec->flags & RECORDING_F_PAUSED) != 0) == paused)
		return;
	step_check(r, rec);
	rec->flags ^= RECORDING_F_PAUSED;
	if (!paused) {
		holds_drop(r, rec);
		gaps_flush(r, rec);
	}
	recording_mark(r, rec, REEL_STREAM_NONE, &mark);
	if (!paused)
		rec->flags |= RECORDING_F_GAPS_DUE;	/* what found no room just now */
}

/* ---- streams and parts ---- */

void
recording_stream_add(struct recording *rec, struct stream *s)
{
	s->recording = rec;
	s->next = rec->streams;
	rec->streams = s;
}

static void
totals_keep(struct recorder *r, struct recording *rec, const struct reel_seal_stream *row)
{
	struct totals *t = r->streams->totals;

	if (t == NULL || rec->n_totals >= REEL_SEAL_STREAMS_MAX) {
		counter_add(&r->counters->totals_dropped, 1);
		return;
	}
	r->streams->totals = t->next;
	t->row = *row;
	t->next = rec->totals;
	rec->totals = t;
	__atomic_store_n(&rec->n_totals, rec->n_totals + 1, __ATOMIC_RELAXED);
}

void
recording_ssrc_end(struct recorder *r, struct recording *rec, struct stream *s, const struct ssrc *x)
{
	struct reel_seal_stream row;

	if (ssrc_totals(x, s->number, &row))
		totals_keep(r, rec, &row);
	counter_add(&s->lost_before, ssrc_lost(x));
}

/* Reports whose sender sent no RTP count with the first source. A stream that had reports only has a row that says
 * so: nothing expected. */
static bool
rtcp_row(struct stream *s, struct reel_seal_stream *row)
{
	uint64_t n = s->rtcp_early;

	s->rtcp_early = 0;
	if (s->first.used)
		s->first.rtcp += (uint32_t)n;
	if (n == 0 || s->first.used)
		return false;
	*row = (struct reel_seal_stream){ .stream = s->number, .payload_type = 0xff, .first_index = 1,
		                          .rtcp = n };
	return true;
}

void
recording_stream_remove(struct recorder *r, struct recording *rec, struct stream *s)
{
	struct stream **link = &rec->streams;
	struct reel_seal_stream row;
	uint8_t refused = refusal_lift(r, rec);

	step_check(r, rec);
	if (!gaps_write(r, rec, s->gaps, s->number, false))
		gaps_inherit(rec, s->gaps);
	r->refused[rec->writer_i] = refused;
	if (rtcp_row(s, &row))
		totals_keep(r, rec, &row);
	for (unsigned int i = 0; i < STREAM_SSRC_MAX; i++) {
		struct ssrc *x = i == 0 ? &s->first : s->more[i - 1];

		if (x != NULL && x->used) {
			recording_ssrc_end(r, rec, s, x);
			ssrc_next_part(x);	/* bound to another recording, it goes on there */
		}
	}
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	s->next = NULL;
	s->recording = NULL;
}

/* Streams go on in the next part. */
static void
totals_of_live(struct recorder *r, struct recording *rec)
{
	for (struct stream *s = rec->streams; s != NULL; s = s->next) {
		struct reel_seal_stream row;

		if (rtcp_row(s, &row))
			totals_keep(r, rec, &row);
		for (unsigned int i = 0; i < STREAM_SSRC_MAX; i++) {
			struct ssrc *x = i == 0 ? &s->first : s->more[i - 1];

			if (x == NULL || !x->used)
				continue;
			recording_ssrc_end(r, rec, s, x);
			ssrc_next_part(x);
		}
	}
}

/* All that is missing from a part stands in it, as its totals say, before it ends. */
static bool
part_complete(struct recorder *r, struct recording *rec)
{
	uint8_t refused = refusal_lift(r, rec);
	bool done;

	step_check(r, rec);
	done = gaps_write_all(r, rec);
	r->refused[rec->writer_i] = refused;
	return done && (rec->chunk != NULL || open_chunk(r, rec, REEL_CLASS_MEDIA, false, r->wall_ns));
}

/* Rows of the last seal that its order has no room for: a wrong sum by dataplane code, to be seen. */
static void
totals_drop(struct recorder *r, struct recording *rec)
{
	while (rec->totals != NULL) {
		struct totals *t = rec->totals;

		rec->totals = t->next;
		t->next = r->streams->totals;
		r->streams->totals = t;
		__atomic_store_n(&rec->n_totals, rec->n_totals - 1, __ATOMIC_RELAXED);
		counter_add(&r->counters->totals_dropped, 1);
	}
}

bool
recording_part_end(struct recorder *r, struct recording *rec, struct seal_order *order, uint16_t rows_max)
{
	if (!part_complete(r, rec))
		return false;
	totals_of_live(r, rec);
	order->n_streams = 0;
	while (rec->totals != NULL && order->n_streams < rows_max) {
		struct totals *t = rec->totals;

		order->streams[order->n_streams++] = t->row;
		rec->totals = t->next;
		t->next = r->streams->totals;
		r->streams->totals = t;
		__atomic_store_n(&rec->n_totals, rec->n_totals - 1, __ATOMIC_RELAXED);
	}
	if (order->final)
		totals_drop(r, rec);
	close_with(r, rec, (uint16_t)(REEL_CHUNK_END | (order->final ? REEL_CHUNK_FINAL : 0)), order);
	rec->part++;
	rec->next_chunk_no = 0;
	return true;
}

/* ---- turns ---- */

unsigned int
recorder_age(struct recorder *r, unsigned int max)
{
	unsigned int n = 0;

	while (r->oldest != NULL && n < max && r->now_tsc - r->oldest->opened_tsc >= r->age_tsc) {
		recording_close(r, r->oldest);
		n++;
	}
	return n;
}

void
recorder_turn(struct recorder *r, uint64_t tsc)
{
	r->now_tsc = tsc;
	r->wall_ns = clock_wall_ns(&r->clock, tsc);
}
