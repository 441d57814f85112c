/* Blocks, and how they become durable. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/writer_state.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define BIND_AHEAD 8

enum srs_err
writer_blocks_create(struct writer *w)
{
	w->blocks = calloc(w->n_blocks, sizeof(*w->blocks));
	w->leaves = calloc(BLOCK_SLOTS, sizeof(*w->leaves));
	w->messages = calloc(BLOCK_SLOTS, sizeof(*w->messages));
	if (w->blocks == NULL || w->leaves == NULL || w->messages == NULL ||
	    !memory_take(&w->block_memory, (size_t)w->n_blocks * BLOCK_SLOTS * REEL_SLOT_SIZE, false))
		return SRS_ERR_NOMEM;
	for (uint32_t i = 0; i < w->n_blocks; i++) {
		w->blocks[i].slots = (uint8_t *)w->block_memory.at + (size_t)i * BLOCK_SLOTS * REEL_SLOT_SIZE;
		w->blocks[i].next = w->free_blocks;
		w->free_blocks = &w->blocks[i];
	}
	w->n_blocks_free = w->n_blocks;
	w->pending_end = &w->pending;
	return SRS_OK;
}

void
writer_blocks_free(struct writer *w)
{
	free(w->blocks);
	memory_give(&w->block_memory);
	free(w->leaves);
	free(w->messages);
}

/* Slots of closed blocks that have no place yet: only after a fault. */
static uint64_t
blocks_unbound(const struct writer *w)
{
	uint64_t n = 0;

	for (const struct block *b = w->pending; b != NULL; b = b->next)
		if (b->first_slot == 0)
			n += b->n;
	return n;
}

struct block *
writer_block_for(struct writer *w, uint32_t n)
{
	struct block *b = w->fill;
	uint64_t room;

	if (b != NULL && b->n_max - b->n >= n)
		return b;
	if (b != NULL)
		writer_block_flush(w);
	b = w->free_blocks;
	if (b == NULL)
		return NULL;
	w->free_blocks = b->next;
	w->n_blocks_free--;
	/* A block that ends with the segment wastes nothing of it. */
	room = segment_room(&w->segment);
	if (room < n || blocks_unbound(w) != 0)
		room = BLOCK_SLOTS;
	b->next = NULL;
	b->state = BLOCK_FILLING;
	b->n = b->n_hashed = b->n_unhashed = 0;
	b->n_max = room < BLOCK_SLOTS ? (uint32_t)room : BLOCK_SLOTS;
	b->first_slot = 0;
	b->n_chunks = 0;
	b->n_frames = 0;
	b->events = NULL;
	b->events_end = &b->events;
	w->fill = b;
	return b;
}

uint8_t *
writer_block_slot(struct writer *w, struct block *b, struct block_slot **meta)
{
	srs_assert(b->n < b->n_max);
	if (w->dirty_mono_ns == 0)
		w->dirty_mono_ns = writer_mono_ns();
	*meta = &b->meta[b->n];
	memset(*meta, 0, sizeof(**meta));
	return b->slots + (size_t)b->n++ * REEL_SLOT_SIZE;
}

void
writer_block_event(struct block *b, struct writer_event *ev)
{
	ev->next = NULL;
	*b->events_end = ev;
	b->events_end = &ev->next;
}

/* Leaf digests of a block's new chunks, many lanes at a time, each into the tree of its part. */
static void
block_hash(struct writer *w, struct block *b)
{
	unsigned int n = 0;

	for (uint32_t i = b->n_hashed; i < b->n; i++)
		if (b->meta[i].part != NULL)
			w->messages[n++] = span_of(b->slots + (size_t)i * REEL_SLOT_SIZE, b->meta[i].signed_len);
	digest_many(w->lanes, w->messages, w->leaves, n);
	n = 0;
	for (uint32_t i = b->n_hashed; i < b->n; i++)
		if (b->meta[i].part != NULL)
			merkle_add_chunk(&b->meta[i].part->tree, digest_sha256, b->meta[i].entry.chunk_no, w->leaves[n++]);
	b->n_hashed = b->n;
	b->n_unhashed = 0;
}

/* Hashed while the cache still has them: a whole block is as large as a core's own. */
void
writer_block_chunk(struct writer *w, struct block *b, uint32_t n_frames)
{
	b->n_chunks++;
	b->n_frames += n_frames;
	if (++b->n_unhashed == DIGEST_LANES)
		block_hash(w, b);
}

static void
block_release(struct writer *w, struct block *b)
{
	b->state = BLOCK_FREE;
	b->next = w->free_blocks;
	w->free_blocks = b;
	w->n_blocks_free++;
}

/* Take the first pending block off the list. */
static void
pending_pop(struct writer *w)
{
	struct block *b = w->pending;

	w->pending = b->next;
	if (w->pending == NULL)
		w->pending_end = &w->pending;
}

static void
block_durable(struct writer *w, struct block *b)
{
	writer_count(&w->counters.chunks_durable, b->n_chunks);
	writer_count(&w->counters.frames_durable, b->n_frames);
	writer_count(&w->counters.bytes_durable, (uint64_t)b->n * REEL_SLOT_SIZE);
	while (b->events != NULL) {
		struct writer_event *ev = b->events;

		b->events = ev->next;
		writer_event_send(w, ev);
	}
}

static void
block_settle(struct block *b)
{
	if (b->state == BLOCK_BUSY && !b->io.busy)
		b->state = b->io.err ? BLOCK_READY : BLOCK_WRITTEN;
}

void
writer_blocks_poll(struct writer *w)
{
	storage_poll(w->storage, false);
	for (struct block *b = w->pending; b != NULL; b = b->next)
		block_settle(b);
}

/* Wait for the writes under way. @return the first error among the bound blocks */
static enum srs_err
blocks_wait(struct writer *w)
{
	enum srs_err err = SRS_OK;

	while (storage_poll(w->storage, true) != 0)
		;
	for (struct block *b = w->pending; b != NULL; b = b->next) {
		block_settle(b);
		if (b->state == BLOCK_READY && b->first_slot != 0 && !err)
			err = b->io.err;
	}
	return err;
}

/* The open file cannot be trusted with more. What it holds durably stays; the rest goes to another one. */
static void
segment_distrust(struct writer *w, const char *why)
{
	log_error("writer", "segment_retired", "dev=%u path=%s why=%s", w->spec.writer_id, w->segment.path, why);
	segment_retire(&w->segment);
	w->segment_failures = 0;
	for (struct block *b = w->pending; b != NULL; b = b->next) {
		struct writer_event **at = &b->events;

		b->first_slot = 0;
		b->state = BLOCK_READY;
		while (*at != NULL) {
			struct writer_event *ev = *at;

			if (ev->e.kind == EVENT_RECORDING_PLACED) {
				*at = ev->next;
				writer_event_drop(w, ev);
			} else {
				at = &ev->next;
			}
		}
		b->events_end = at;
	}
}

static void
flush_note(struct writer *w, uint64_t ns)
{
	uint64_t us = ns / 1000;
	unsigned int i = 0;

	while (i < 31 && us >> i != 0)
		i++;
	w->flush_histogram[i]++;
	w->n_flushes++;
	if (ns > w->counters.commit_ns_max)
		__atomic_store_n(&w->counters.commit_ns_max, ns, __ATOMIC_RELAXED);
}

/* Every bound block becomes durable and says so. */
static enum srs_err
blocks_sync(struct writer *w)
{
	uint64_t start = writer_mono_ns();
	enum srs_err err = blocks_wait(w);

	if (err)
		return err;
	if (!segment_is_open(&w->segment))
		return SRS_OK;
	err = storage_sync(w->storage, w->segment.fd);
	if (err) {
		segment_distrust(w, "fdatasync");
		return err;
	}
	flush_note(w, writer_mono_ns() - start);
	while (w->pending != NULL && w->pending->state == BLOCK_WRITTEN) {
		struct block *b = w->pending;

		pending_pop(w);
		block_durable(w, b);
		block_release(w, b);
	}
	return SRS_OK;
}

static void
segment_event(struct writer *w, enum dataplane_event_kind kind, const uint8_t *digest)
{
	struct writer_event *ev = writer_event_take(w, kind);

	srs_assert(ev != NULL); /* WRITER_EVENTS_SPARE */
	ev->e.recording = DATAPLANE_NONE;
	memcpy(ev->e.u.segment.uuid, w->segment.header.uuid, REEL_ID_SIZE);
	ev->e.u.segment.sequence = w->segment.header.sequence;
	ev->e.u.segment.device_i = w->spec.writer_id;
	ev->e.u.segment.n_slots_used = w->segment.next_slot;
	if (digest != NULL)
		memcpy(ev->e.u.segment.digest, digest, REEL_DIGEST_SIZE);
	writer_event_send(w, ev);
}

enum srs_err
writer_segment_open(struct writer *w)
{
	struct segment_spec spec = {
		.writer_id = w->spec.writer_id,
		.sequence = w->next_sequence,
		.n_slots = w->segment_slots,
	};
	enum srs_err err = segment_open(&w->segment, &spec);

	if (err == SRS_ERR_STATE) { /* the name is taken: never written over */
		w->next_sequence++;
		err = SRS_ERR_IO;
	}
	if (err)
		return err;
	w->next_sequence++;
	w->segment_failures = 0;
	segment_event(w, EVENT_SEGMENT_OPENED, NULL);
	return SRS_OK;
}

enum srs_err
writer_segment_finish(struct writer *w)
{
	uint8_t digest[REEL_DIGEST_SIZE];
	enum srs_err err = blocks_sync(w);

	if (err || !segment_is_open(&w->segment))
		return err;
	/* Its data is durable. Without footer and name it waits for the next start's recovery, and nothing is lost. */
	if (segment_finish(&w->segment, digest) == SRS_OK) {
		segment_event(w, EVENT_SEGMENT_FINISHED, digest);
		writer_count(&w->counters.segments_finished, 1);
	}
	return SRS_OK;
}

/* The first slot of a recording in this segment, for the catalog. */
static void
slot_placed(struct writer *w, struct block *b, const struct block_slot *meta)
{
	struct writer_event *ev;

	if (meta->recording != DATAPLANE_NONE) {
		struct writer_recording *r = &w->recordings[meta->recording];

		if (r->placed_sequence == w->segment.header.sequence)
			return;
		r->placed_sequence = w->segment.header.sequence;
	} else if (meta->entry.chunk_no != 0) {
		return; /* recovery's seals: with their first piece */
	}
	ev = writer_event_take(w, EVENT_RECORDING_PLACED);
	srs_assert(ev != NULL); /* block_bind() asked before */
	ev->e.recording = meta->recording;
	ev->e.part = meta->entry.part;
	memcpy(ev->e.recording_id, meta->entry.recording, REEL_ID_SIZE);
	memcpy(ev->e.u.segment.uuid, w->segment.header.uuid, REEL_ID_SIZE);
	ev->e.u.segment.sequence = w->segment.header.sequence;
	ev->e.u.segment.device_i = w->spec.writer_id;
	writer_block_event(b, ev);
}

/* A slot's last line, written long ago, and its recording. */
static void
bind_prefetch(const struct writer *w, const struct block *b, uint32_t i)
{
	if (i >= b->n)
		return;
	__builtin_prefetch(b->slots + (size_t)(i + 1) * REEL_SLOT_SIZE - REEL_CRC_SIZE, 1);
	if (b->meta[i].recording != DATAPLANE_NONE)
		__builtin_prefetch(&w->recordings[b->meta[i].recording].placed_sequence);
}

/* Give a block its place, rotating or opening the segment. @return STATE: no free events, try again soon */
static enum srs_err
block_bind(struct writer *w, struct block *b)
{
	enum srs_err err = SRS_OK;

	if (b->first_slot != 0)
		return SRS_OK;
	if (w->n_events_free < b->n + WRITER_EVENTS_SPARE)
		return SRS_ERR_STATE;
	if (segment_is_open(&w->segment) && segment_room(&w->segment) < b->n)
		err = writer_segment_finish(w);
	if (!err && !segment_is_open(&w->segment))
		err = writer_segment_open(w);
	if (err)
		return err;
	b->first_slot = segment_take(&w->segment, b->n);
	for (uint32_t i = 0; i < b->n; i++) {
		bind_prefetch(w, b, i + BIND_AHEAD);
		reel_slot_place(w->segment.header.uuid, b->first_slot + i, b->slots + (size_t)i * REEL_SLOT_SIZE,
		                b->meta[i].crc);
		segment_note(&w->segment, b->first_slot + i, &b->meta[i].entry);
		slot_placed(w, b, &b->meta[i]);
	}
	return SRS_OK;
}

static struct block *
first_ready(struct writer *w)
{
	struct block *b = w->pending;

	while (b != NULL && b->state != BLOCK_READY)
		b = b->next;
	return b;
}

/* Start every write that waits. Binding may rotate, which frees blocks: hence from the front each time. */
static enum srs_err
blocks_submit(struct writer *w)
{
	struct block *b;

	while ((b = first_ready(w)) != NULL) {
		enum srs_err err = block_bind(w, b);

		if (err)
			return err;
		b->state = BLOCK_BUSY;
		b->io = (struct storage_io){
			.fd = w->segment.fd,
			.bytes = b->slots,
			.len = (size_t)b->n * REEL_SLOT_SIZE,
			.offset = b->first_slot * REEL_SLOT_SIZE,
		};
		storage_write(w->storage, &b->io);
	}
	return SRS_OK;
}

static void
fault_set(struct writer *w, enum srs_err err)
{
	enum reel_reason reason = err == SRS_ERR_LIMIT ? REEL_REASON_DISK_FULL : REEL_REASON_WRITE_ERROR;

	w->retry_mono_ns = writer_mono_ns() + WRITER_RETRY_MS * 1000000u;
	if (atomic_load_explicit(&w->refuses, memory_order_relaxed) == (int)reason)
		return;
	log_error("writer", "device_refuses", "dev=%u reason=%s", w->spec.writer_id, reel_reason_name(reason));
	atomic_store_explicit(&w->refuses, (int)reason, memory_order_relaxed);
	w->device_event = reason == REEL_REASON_DISK_FULL ? EVENT_DEVICE_FULL : EVENT_DEVICE_FAILED;
	w->device_event_due = true;
}

static void
fault_clear(struct writer *w)
{
	if (atomic_load_explicit(&w->refuses, memory_order_relaxed) == REEL_REASON_NONE)
		return;
	log_info("writer", "device_room", "dev=%u", w->spec.writer_id);
	atomic_store_explicit(&w->refuses, REEL_REASON_NONE, memory_order_relaxed);
	w->device_event = EVENT_DEVICE_ROOM;
	w->device_event_due = true;
}

void
writer_block_flush(struct writer *w)
{
	struct block *b = w->fill;
	enum srs_err err;

	if (b == NULL)
		return;
	if (b->n == 0) {
		w->fill = NULL;
		block_release(w, b);
		return;
	}
	block_hash(w, b);
	b->state = BLOCK_READY;
	*w->pending_end = b;
	w->pending_end = &b->next;
	w->fill = NULL;
	if (atomic_load_explicit(&w->refuses, memory_order_relaxed) != REEL_REASON_NONE)
		return;
	err = blocks_submit(w);
	if (err && err != SRS_ERR_STATE)
		w->commit_now = true; /* which tries another file before it calls this a fault */
}

/* Chunks first, then the seals that speak of them: a seal on the disk never runs ahead of its chunks, even when the
 * machine stops between. */
static enum srs_err
commit_try(struct writer *w)
{
	enum srs_err err;

	for (;;) {
		err = blocks_submit(w);
		if (!err)
			err = blocks_sync(w);
		if (err || (w->n_endings == 0 && w->pending == NULL))
			return err;
		err = writer_seals_write(w);
		if (err)
			return err;
	}
}

void
writer_commit(struct writer *w)
{
	enum srs_err err;

	writer_block_flush(w);
	w->commit_now = false;
	err = commit_try(w);
	if (err == SRS_ERR_IO && segment_is_open(&w->segment) && ++w->segment_failures >= WRITER_FAILURES_MAX)
		segment_distrust(w, "write");
	if (err == SRS_ERR_IO && !segment_is_open(&w->segment))
		err = commit_try(w); /* once more, in a new file */
	if (err == SRS_ERR_STATE)
		return; /* control is slow to give events back: soon again */
	if (err) {
		fault_set(w, err);
		return;
	}
	w->segment_failures = 0;
	w->dirty_mono_ns = 0;
	writer_count(&w->counters.commits, 1);
	fault_clear(w);
}

void
writer_give_up(struct writer *w)
{
	bool full = atomic_load_explicit(&w->refuses, memory_order_relaxed) == REEL_REASON_DISK_FULL;
	uint64_t n_frames = 0, n_chunks = 0;

	(void)blocks_wait(w);
	while (w->pending != NULL) {
		struct block *b = w->pending;

		pending_pop(w);
		n_chunks += b->n_chunks;
		n_frames += b->n_frames;
		while (b->events != NULL) {
			struct writer_event *ev = b->events;

			b->events = ev->next;
			writer_event_drop(w, ev);
		}
		block_release(w, b);
	}
	writer_count(full ? &w->counters.chunks_lost_full : &w->counters.chunks_lost_error, n_chunks);
	writer_count(&w->counters.frames_lost, n_frames);
	if (n_chunks != 0)
		log_error("writer", "given_up", "dev=%u chunks=%llu frames=%llu", w->spec.writer_id,
		          (unsigned long long)n_chunks, (unsigned long long)n_frames);
}

void
writer_space_check(struct writer *w)
{
	uint64_t bytes = 0;
	enum srs_err err = storage_free_space(w->storage, w->folder, &bytes);
	bool ok = !err && bytes >= (uint64_t)w->spec.config->storage.reserve_mib << 20;

	atomic_store_explicit(&w->space_ok, ok, memory_order_relaxed);
}
