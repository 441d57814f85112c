/* Ends of parts: the seals of one commit share one Merkle tree and one signature. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/recovery.h"
#include "dataplane/writer_state.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define UNNAMED_AT 21 /* a 64-bit number of unnamed chunks fits behind it */

enum srs_err
writer_seals_create(struct writer *w)
{
	w->endings = calloc(WRITER_ENDINGS_MAX, sizeof(*w->endings));
	w->ending_digests = calloc(WRITER_ENDINGS_MAX, sizeof(*w->ending_digests));
	w->ending_nodes = calloc(MERKLE_NODES(WRITER_ENDINGS_MAX), sizeof(*w->ending_nodes));
	w->seal_body = malloc(REEL_SEAL_BODY_MAX);
	w->seal_slots = malloc(REEL_SEAL_SLOTS_MAX * sizeof(*w->seal_slots));
	if (w->endings == NULL || w->ending_digests == NULL || w->ending_nodes == NULL || w->seal_body == NULL ||
	    w->seal_slots == NULL)
		return SRS_ERR_NOMEM;
	return SRS_OK;
}

void
writer_seals_free(struct writer *w)
{
	for (uint32_t i = 0; w->endings != NULL && i < w->n_endings; i++)
		free(w->endings[i].order);
	free(w->endings);
	free(w->ending_digests);
	free(w->ending_nodes);
	free(w->seal_body);
	free(w->seal_slots);
}

bool
writer_can_end(const struct writer *w)
{
	return w->batch == WRITER_BATCH_OPEN && w->n_endings < WRITER_ENDINGS_MAX;
}

/* Upper end of the bucket that holds 99.9 % of the flushes so far, in ms. */
static uint32_t
flush_p999_ms(const struct writer *w)
{
	uint64_t above = 0;

	for (unsigned int i = 31; i > 0; i--) {
		above += w->flush_histogram[i];
		if (above * 1000 > w->n_flushes)
			return (uint32_t)(((1u << i) + 999) / 1000);
	}
	return 0;
}

void
writer_part_end(struct writer *w, struct writer_part *p, bool final, struct seal_order *order)
{
	struct writer_ending *e = &w->endings[w->n_endings++];
	struct reel_seal *s = &e->seal;

	memset(e, 0, sizeof(*e));
	memcpy(s->recording, w->recordings[p->recording].id, REEL_ID_SIZE);
	s->part = p->part;
	s->final = final;
	s->n_chunks = p->n_chunks;
	s->n_frames = p->n_frames;
	s->first_wall_ns = p->first_wall_ns;
	s->last_wall_ns = p->last_wall_ns;
	s->n_missing = p->n_missing;
	s->missing = p->missing;
	if (order != NULL) {
		(void)snprintf(s->reason, sizeof(s->reason), "%.63s", order->reason);
		s->n_streams = order->n_streams <= REEL_SEAL_STREAMS_MAX ? order->n_streams : REEL_SEAL_STREAMS_MAX;
		s->streams = order->streams;
		e->cookie = order->cookie;
	}
	if (p->missing_unnamed != 0) {
		size_t at = strnlen(s->reason, UNNAMED_AT);

		memset(s->reason + at, 0, sizeof(s->reason) - at);
		(void)snprintf(s->reason + at, sizeof(s->reason) - at, "%s%" PRIu64 " more chunks missing",
		               at != 0 ? "; " : "", p->missing_unnamed);
	}
	e->order = order;
	e->part = p;
	e->recording = p->recording;
	e->bytes = p->bytes;
	e->last = final;
	p->state = WRITER_PART_ENDED;
}

/* What only the commit knows, and the digest. Trees are complete: the commit flushed the filling block. */
static enum srs_err
ending_digest(struct writer *w, struct writer_ending *e, uint8_t digest[DIGEST_SIZE])
{
	size_t len;

	e->seal.bound_ms = w->bound_base_ms + flush_p999_ms(w);
	memcpy(e->seal.node, w->node, sizeof(e->seal.node));
	if (e->part != NULL) {
		struct writer_recording *r = &w->recordings[e->recording];

		merkle_root(&e->part->tree, digest_sha256, e->seal.root);
		memcpy(e->seal.previous, r->previous, REEL_DIGEST_SIZE);
	} else if (e->chained) {
		memcpy(e->seal.previous, w->recovered_digest, REEL_DIGEST_SIZE);
	}
	len = reel_seal_body_write(&e->seal, w->seal_body, REEL_SEAL_BODY_MAX);
	if (len == 0)
		return SRS_ERR_LIMIT;
	digest_sha256(w->seal_body, (uint32_t)len, digest);
	memcpy(e->part != NULL ? w->recordings[e->recording].previous : w->recovered_digest, digest, REEL_DIGEST_SIZE);
	return SRS_OK;
}

/* The tree over the batch. Once: the next part's seal names the digest. */
static void
endings_digest(struct writer *w)
{
	for (uint32_t i = 0; i < w->n_endings; i++) {
		enum srs_err err = ending_digest(w, &w->endings[i], w->ending_digests[i]);

		srs_assert(err == SRS_OK); /* REEL_SEAL_BODY_MAX holds REEL_SEAL_STREAMS_MAX and WRITER_MISSING_MAX */
	}
	memset(&w->proof, 0, sizeof(w->proof));
	w->proof.n_leaves = w->n_endings;
	memcpy(w->proof.node_key_id, w->node_key_id, REEL_ID_SIZE);
	memcpy(w->proof.commit_root,
	       merkle_nodes((const uint8_t(*)[MERKLE_HASH_SIZE])w->ending_digests, w->n_endings, digest_sha256, w->ending_nodes),
	       MERKLE_HASH_SIZE);
	w->batch = WRITER_BATCH_DIGESTED;
	w->next_ending = 0;
}

static enum srs_err
endings_sign(struct writer *w)
{
	uint8_t message[REEL_COMMIT_MESSAGE_SIZE];
	enum srs_err err;

	reel_commit_message(&w->proof, message);
	err = keystore_sign(w->signer, span_of(message, sizeof(message)), w->proof.signature);
	if (!err)
		w->batch = WRITER_BATCH_SIGNED;
	return err;
}

/* Sum up the parts; the last event carries the sums. */
static void
recording_totals(struct writer_recording *r, bool final, struct dataplane_event *e)
{
	r->n_chunks += e->u.sealed.n_chunks;
	r->n_frames += e->u.sealed.n_frames;
	r->bytes += e->u.sealed.bytes;
	r->missing += e->u.sealed.missing;
	r->lost_upstream += e->u.sealed.lost_upstream;
	if (r->first_wall_ns == 0)
		r->first_wall_ns = e->u.sealed.first_wall_ns;
	if (!final)
		return;
	e->u.sealed.n_chunks = r->n_chunks;
	e->u.sealed.n_frames = r->n_frames;
	e->u.sealed.bytes = r->bytes;
	e->u.sealed.missing = r->missing;
	e->u.sealed.lost_upstream = r->lost_upstream;
	e->u.sealed.first_wall_ns = r->first_wall_ns;
}

/* A part's event tells of the part, the recording's last one of the whole recording. */
static void
ending_event(struct writer *w, const struct writer_ending *e, const uint8_t *digest, struct dataplane_event *out)
{
	const struct reel_seal *s = &e->seal;

	out->kind = e->last ? EVENT_RECORDING_SEALED : EVENT_PART_SEALED;
	out->cookie = e->cookie;
	out->recording = e->recording;
	out->part = s->part;
	memcpy(out->recording_id, s->recording, REEL_ID_SIZE);
	memcpy(out->u.sealed.digest, digest, DIGEST_SIZE);
	out->u.sealed.n_chunks = s->n_chunks;
	out->u.sealed.n_frames = s->n_frames;
	out->u.sealed.bytes = e->bytes;
	out->u.sealed.first_wall_ns = s->first_wall_ns;
	out->u.sealed.last_wall_ns = s->last_wall_ns;
	out->u.sealed.n_streams = s->n_streams;
	out->u.sealed.interrupted = s->interrupted;
	for (uint16_t i = 0; i < s->n_streams; i++) {
		const struct reel_seal_stream *t = &s->streams[i];
		uint64_t expected = t->highest_index + 1 - t->first_index;	/* reports only: first 1, highest 0 */
		uint64_t accounted = t->recorded + t->missing[REEL_REASON_PAUSED];

		for (unsigned int reason = 1; reason < REEL_REASONS_MAX; reason++) {
			if (reason == REEL_REASON_PAUSED)
				continue;
			out->u.sealed.missing += t->missing[reason];
			accounted += t->missing[reason];
		}
		out->u.sealed.lost_upstream += expected > accounted ? expected - accounted : 0;
	}
	if (e->part != NULL)
		recording_totals(&w->recordings[e->recording], s->final, out);
	if (e->last && e->recovered != NULL) {
		out->u.sealed.n_chunks = e->recovered->total_chunks;
		out->u.sealed.n_frames = e->recovered->total_frames;
		out->u.sealed.bytes = e->recovered->total_bytes;
		out->u.sealed.first_wall_ns = e->recovered->total_first_wall_ns;
	}
}

/* The slots of one seal, together in one block. @return false: no block or no event free now */
static bool
ending_write(struct writer *w, uint32_t i)
{
	struct writer_ending *e = &w->endings[i];
	struct writer_event *ev;
	struct block *b;
	unsigned int n;
	size_t len;
	enum srs_err err;

	if (w->n_events_free <= WRITER_EVENTS_SPARE)
		return false;
	len = reel_seal_body_write(&e->seal, w->seal_body, REEL_SEAL_BODY_MAX);
	w->proof.index = i;
	err = merkle_path((const uint8_t(*)[MERKLE_HASH_SIZE])w->ending_nodes, w->n_endings, i, w->proof.path, REEL_PATH_MAX,
	                  &w->proof.n_path);
	srs_assert(err == SRS_OK); /* 2^16 leaves fit, WRITER_ENDINGS_MAX is less */
	n = reel_seal_slots_write(&e->seal, span_of(w->seal_body, len), &w->proof, w->seal_slots, REEL_SEAL_SLOTS_MAX);
	srs_assert(n != 0);
	b = writer_block_for(w, n);
	if (b == NULL)
		return false;
	for (unsigned int piece = 0; piece < n; piece++) {
		struct block_slot *meta;
		uint8_t *slot = writer_block_slot(w, b, &meta);

		memcpy(slot, w->seal_slots[piece], REEL_SLOT_SIZE);
		meta->crc = reel_slot_bytes_crc(slot);
		meta->recording = e->recording;
		meta->entry.kind = REEL_SLOT_SEAL;
		meta->entry.part = e->seal.part;
		meta->entry.chunk_no = piece;
		meta->entry.flags = e->seal.final ? REEL_CHUNK_FINAL : 0;
		memcpy(meta->entry.recording, e->seal.recording, REEL_ID_SIZE);
	}
	ev = writer_event_take(w, EVENT_PART_SEALED);
	srs_assert(ev != NULL);
	ending_event(w, e, w->ending_digests[i], &ev->e);
	writer_block_event(b, ev);
	writer_count(&w->counters.seals, 1);
	if (e->part != NULL)
		e->part->state = WRITER_PART_FREE; /* control keeps the handle until the event */
	free(e->order);
	e->order = NULL;
	return true;
}

enum srs_err
writer_seals_write(struct writer *w)
{
	if (w->n_endings == 0)
		return SRS_OK;
	if (w->batch == WRITER_BATCH_OPEN)
		endings_digest(w);
	if (w->batch == WRITER_BATCH_DIGESTED) {
		enum srs_err err = endings_sign(w);

		if (err)
			return err;
	}
	while (w->next_ending < w->n_endings && ending_write(w, w->next_ending))
		w->next_ending++;
	writer_block_flush(w);
	if (w->next_ending == w->n_endings) {
		w->n_endings = 0;
		w->batch = WRITER_BATCH_OPEN;
	} else if (w->n_events_free <= WRITER_EVENTS_SPARE) {
		return SRS_ERR_STATE;
	}
	return SRS_OK;
}

/* ---- recovery ---- */

static void
recovered_add(struct writer *w, const struct recovery_part *p)
{
	struct writer_ending *e = &w->endings[w->n_endings++];

	memset(e, 0, sizeof(*e));
	e->seal = p->seal;
	e->recovered = p;
	e->recording = DATAPLANE_NONE;
	e->bytes = p->bytes;
	e->last = p->last;
	e->chained = p->chained;
	writer_count(&w->counters.recovered, p->last ? 1 : 0);
}

/* A finished file and who is in it: the catalog may have missed it. */
static void
recovered_file_events(struct writer *w, const struct recovery_file *f)
{
	for (unsigned int i = 0; i <= f->n_recordings; i++) {
		bool finished = i == f->n_recordings;
		struct writer_event *ev =
			writer_event_take(w, finished ? EVENT_SEGMENT_FINISHED : EVENT_RECORDING_PLACED);

		srs_assert(ev != NULL); /* recovery_events_max() */
		ev->e.recording = DATAPLANE_NONE;
		memcpy(ev->e.u.segment.uuid, f->header.uuid, REEL_ID_SIZE);
		ev->e.u.segment.sequence = f->header.sequence;
		ev->e.u.segment.device_i = w->spec.writer_id;
		if (finished) {
			memcpy(ev->e.u.segment.digest, f->digest, REEL_DIGEST_SIZE);
			ev->e.u.segment.n_slots_used = f->n_slots_used;
		} else {
			memcpy(ev->e.recording_id, f->recordings[i], REEL_ID_SIZE);
		}
		writer_event_send(w, ev);
	}
}

enum srs_err
writer_recover(struct writer *w)
{
	unsigned int n = recovery_n_parts(w->recovery);
	struct recovery_file file;
	enum srs_err err = SRS_OK;

	for (unsigned int i = 0; i < n; i++) {
		recovered_add(w, recovery_part(w->recovery, i));
		if (w->n_endings < WRITER_ENDINGS_MAX && i + 1 < n)
			continue;
		writer_commit(w);
		if (w->n_endings != 0 || w->pending != NULL)
			return writer_refuses(w) == REEL_REASON_DISK_FULL ? SRS_ERR_LIMIT : SRS_ERR_IO;
	}
	for (unsigned int i = 0; i < recovery_n_files(w->recovery) && !err; i++) {
		err = recovery_finish_file(w->recovery, i, w->storage, &file);
		if (!err && file.header.n_slots != 0)
			recovered_file_events(w, &file);
	}
	recovery_free(w->recovery);
	w->recovery = NULL;
	return err;
}
