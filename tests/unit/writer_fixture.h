/* A vault in a temporary folder, a writer on a storage that can fail, a fake lcore that pushes chunks, and a reader
 * that checks everything from the files alone. For test_writer and test_recovery. */
#ifndef WRITER_FIXTURE_H
#define WRITER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "crypto/keystore.h"
#include "crypto/secret.h"
#include "dataplane/storage.h"
#include "dataplane/writer.h"
#include "lib/merkle.h"
#include "lib/srs_log.h"

#define FX_CHUNKS     1024u
#define FX_RECORDINGS 8u
#define FX_PARTS      4u
#define FX_FRAMES     20u
#define FX_EVENTS     4096u
#define FX_T0         1700000000000000000ull

struct fx {
	char dir[64];
	struct config config;
	struct keystore *keystore;
	struct storage *storage; /* faulty, over the real one */
	struct writer *writer;
	bool clear_media;
	enum reel_suite suite;
	uint8_t ids[FX_RECORDINGS][REEL_ID_SIZE];
	struct dek deks[FX_RECORDINGS][FX_PARTS];
	uint64_t next_no[FX_RECORDINGS][FX_PARTS];
	struct chunk *chunks;
	uint8_t *bodies;
	struct dataplane_event events[FX_EVENTS]; /* all that came */
	unsigned int n_events;
	/* the files, as read back */
	uint8_t *files; /* slots of all files, one after the other */
	struct fx_slot {
		enum reel_slot_kind kind;
		const uint8_t *slot;
		unsigned int file_i;
		uint64_t slot_no;
	} *slots;
	size_t n_slots;
	unsigned int n_open, n_seg;
};

static inline void
fx_open(struct fx *fx, enum config_disk_engine engine)
{
	struct keystore_spec ks = { .store = "memory", .rotation_interval_s = 86400, .create = true };
	struct storage *inner;
	char why[256] = "";

	srs_log_level_set(SRS_LOG_ERROR);
	memset(fx, 0, sizeof(*fx));
	fx->suite = REEL_SUITE_AES_256_GCM;
	(void)snprintf(fx->dir, sizeof(fx->dir), "/tmp/capstan-writer-XXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	fx->config.node.name = (char *)(uintptr_t)"test-node";
	fx->config.storage.segment_mib = 2;
	fx->config.storage.commit_interval_ms = 5;
	fx->config.storage.chunk_age_ms = 500;
	fx->config.storage.reserve_mib = 1;
	assert_int_equal(keystore_open(&fx->keystore, &ks, why, sizeof(why)), SRS_OK);
	assert_int_equal(storage_create(&inner, engine, 64), SRS_OK);
	assert_int_equal(storage_faulty_create(&fx->storage, inner), SRS_OK);
	fx->chunks = aligned_alloc(SRS_CACHE_LINE, FX_CHUNKS * sizeof(*fx->chunks));
	fx->bodies = aligned_alloc(4096, FX_CHUNKS * REEL_SLOT_SIZE);
	assert_non_null(fx->chunks);
	assert_non_null(fx->bodies);
}

static inline void
fx_fault(struct fx *fx, enum storage_op op, uint64_t nth, uint64_t n_times, int error)
{
	struct storage_fault fault = { .op = op, .nth = nth, .n_times = n_times, .error = error };

	storage_faulty_arm(fx->storage, &fault);
}

static inline enum srs_err
fx_start(struct fx *fx, char *why, size_t why_len)
{
	struct writer_spec spec = {
		.writer_id = 3,
		.path = fx->dir,
		.config = &fx->config,
		.keystore = fx->keystore,
		.storage = fx->storage,
		.recordings_max = FX_RECORDINGS,
		.n_lcores = 1,
		.ring_len = FX_CHUNKS,
		.n_blocks = 8,
		.cpu = -1,
	};
	enum srs_err err = writer_create(&fx->writer, &spec, why, why_len);

	if (err)
		return err;
	memset(fx->chunks, 0, FX_CHUNKS * sizeof(*fx->chunks));
	for (unsigned int i = 0; i < FX_CHUNKS; i++) {
		fx->chunks[i].body = fx->bodies + (size_t)i * REEL_SLOT_SIZE;
		assert_true(spsc_push(writer_empty_ring(fx->writer, 0), &fx->chunks[i]));
	}
	err = writer_start(fx->writer, why, why_len);
	if (err) {
		writer_destroy(fx->writer);
		fx->writer = NULL;
	}
	return err;
}

static inline void
fx_poll(struct fx *fx)
{
	struct dataplane_event *e;

	while ((e = spsc_pop(writer_events(fx->writer))) != NULL) {
		assert_true(fx->n_events < FX_EVENTS);
		fx->events[fx->n_events++] = *e;
		writer_event_free(fx->writer, e);
	}
}

static inline void
fx_stop(struct fx *fx)
{
	if (fx->writer == NULL)
		return;
	writer_stop(fx->writer);
	fx_poll(fx);
	writer_destroy(fx->writer);
	fx->writer = NULL;
}

static inline void
fx_forget_files(struct fx *fx)
{
	free(fx->files);
	free(fx->slots);
	fx->files = NULL;
	fx->slots = NULL;
	fx->n_slots = 0;
	fx->n_open = fx->n_seg = 0;
}

static inline void
fx_remove_dir(const char *dir)
{
	char path[512];
	DIR *d;
	struct dirent *e;

	(void)snprintf(path, sizeof(path), "%s/segments", dir);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL) {
		char file[800];

		(void)snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		(void)unlink(file);
	}
	if (d != NULL)
		closedir(d);
	(void)rmdir(path);
	(void)snprintf(path, sizeof(path), "%s/lock", dir);
	(void)unlink(path);
	(void)rmdir(dir);
}

static inline void
fx_close(struct fx *fx)
{
	fx_stop(fx);
	fx_forget_files(fx);
	storage_destroy(fx->storage);
	keystore_close(fx->keystore);
	secret_wipe(fx->deks, sizeof(fx->deks));
	free(fx->chunks);
	free(fx->bodies);
	fx_remove_dir(fx->dir);
}

static inline void
fx_rest(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
}

/* Wait until `n` events of a kind have come in all; fail after five seconds. @return the last of them */
static inline const struct dataplane_event *
fx_wait(struct fx *fx, enum dataplane_event_kind kind, unsigned int n)
{
	for (unsigned int tries = 0; tries < 10000; tries++) {
		unsigned int seen = 0;

		fx_poll(fx);
		for (unsigned int i = 0; i < fx->n_events; i++)
			if (fx->events[i].kind == kind && ++seen == n)
				return &fx->events[i];
		fx_rest();
	}
	fail_msg("event %d did not come %u times", (int)kind, n);
	abort();
}

static inline unsigned int
fx_count(const struct fx *fx, enum dataplane_event_kind kind)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < fx->n_events; i++)
		n += fx->events[i].kind == kind;
	return n;
}

static inline void
fx_part_open(struct fx *fx, uint32_t recording, uint32_t part)
{
	struct part_key key = { .suite = fx->suite, .clear_media = fx->clear_media };
	enum dataplane_event_kind kind = part == 0 ? EVENT_RECORDING_OPENED : EVENT_PART_STARTED;
	unsigned int before = fx_count(fx, kind);
	const struct dataplane_event *e;

	if (part == 0)
		assert_int_equal(secret_random(fx->ids[recording], REEL_ID_SIZE), SRS_OK);
	assert_int_equal(keystore_dek_create(fx->keystore, fx->suite, &key.dek, &key.envelope), SRS_OK);
	memcpy(key.envelope.recording, fx->ids[recording], REEL_ID_SIZE);
	key.envelope.part = part;
	fx->deks[recording][part] = key.dek;
	fx->next_no[recording][part] = 0;
	assert_int_equal(writer_part_open(fx->writer, recording, part, &key, 7000 + recording), SRS_OK);
	e = fx_wait(fx, kind, before + 1);
	assert_non_null(e);
	assert_int_equal(e->err, SRS_OK);
	assert_int_equal(e->cookie, 7000 + recording);
	assert_int_equal(e->recording, recording);
}

/* The body of a chunk follows from its name, so that a reader can tell what must be in it. */
static inline uint16_t
fx_body(uint8_t *body, uint32_t recording, uint32_t part, uint64_t no, uint32_t n_frames)
{
	struct filler f = filler_of(body, REEL_BODY_MAX);

	for (uint32_t i = 0; i < n_frames; i++) {
		uint8_t bytes[172];

		memset(bytes, (int)(recording * 31 + part * 7 + no + i), sizeof(bytes));
		write_u16be(&f, sizeof(bytes));
		write_u8(&f, REEL_FRAME_RTP);
		write_u8(&f, (uint8_t)(i & 1));
		write_u32be(&f, i * 10000);
		write_u32be(&f, (uint32_t)(no * n_frames + i));
		write_bytes(&f, bytes, sizeof(bytes));
	}
	assert_false(f.bad);
	return (uint16_t)filler_used(&f);
}

static inline uint64_t
fx_time(uint64_t no)
{
	return FX_T0 + no * 200000000ull;
}

static inline struct chunk *
fx_chunk(struct fx *fx)
{
	struct chunk *c;

	for (unsigned int tries = 0; tries < 20000; tries++) {
		c = spsc_pop(writer_empty_ring(fx->writer, 0));
		if (c != NULL)
			return c;
		fx_poll(fx);
		fx_rest();
	}
	fail_msg("no empty chunk comes back");
	abort();
}

static inline void
fx_push(struct fx *fx, uint32_t recording, uint32_t part, uint16_t flags, struct seal_order *order)
{
	struct chunk *c = fx_chunk(fx);
	uint8_t *body = c->body;
	uint64_t no = fx->next_no[recording][part]++;

	memset(c, 0, sizeof(*c));
	c->body = body;
	c->recording = recording;
	c->part = part;
	c->chunk_no = no;
	c->first_wall_ns = fx_time(no);
	c->n_frames = FX_FRAMES;
	c->used = fx_body(body, recording, part, no, FX_FRAMES);
	c->flags = flags;
	c->seal = order;
	assert_true(spsc_push(writer_full_ring(fx->writer, 0), c));
}

static inline void
fx_end(struct fx *fx, uint32_t recording, uint32_t part, bool final)
{
	struct seal_order *order = calloc(1, sizeof(*order) + 2 * sizeof(order->streams[0]));

	assert_non_null(order);
	order->cookie = 9000 + recording;
	order->final = final;
	(void)snprintf(order->reason, sizeof(order->reason), "bye");
	order->n_streams = 2;
	for (unsigned int i = 0; i < 2; i++) {
		order->streams[i].stream = (uint8_t)i;
		order->streams[i].ssrc = 100 + i;
		order->streams[i].first_index = 1000;
		order->streams[i].highest_index = 1099; /* 100 expected */
		order->streams[i].recorded = 90;
		order->streams[i].missing[REEL_REASON_NO_CHUNK] = 3;
		order->streams[i].missing[REEL_REASON_PAUSED] = 2;
	}
	fx_push(fx, recording, part, final ? REEL_CHUNK_END | REEL_CHUNK_FINAL : REEL_CHUNK_END, order);
}

/* ---- reading back ---- */

static inline void
fx_read_file(struct fx *fx, const char *path, uint8_t *bytes, size_t len)
{
	struct reel_container h;
	uint64_t n = len / REEL_SLOT_SIZE;

	assert_int_equal(reel_container_read(&h, bytes), SRS_OK);
	assert_int_equal(h.writer_id, 3);
	assert_int_equal(h.n_slots, n);
	for (uint64_t i = 1; i < n; i++) {
		enum reel_slot_kind kind = reel_slot_kind(h.uuid, i, bytes + i * REEL_SLOT_SIZE);

		if (kind == REEL_SLOT_EMPTY)
			continue;
		fx->slots[fx->n_slots++] = (struct fx_slot){
			.kind = kind,
			.slot = bytes + i * REEL_SLOT_SIZE,
			.file_i = fx->n_open + fx->n_seg,
			.slot_no = i,
		};
	}
	if (strstr(path, ".open") != NULL) {
		fx->n_open++;
		return;
	}
	fx->n_seg++;
	/* The footer names exactly what is there. */
	for (uint64_t i = 0; i * REEL_FOOTER_ENTRIES_PER_SLOT < h.footer_slot; i++) {
		struct reel_footer_entry e[REEL_FOOTER_ENTRIES_PER_SLOT];
		uint64_t first;
		unsigned int n_entries;

		assert_int_equal(reel_footer_read(&first, e, &n_entries, bytes + (h.footer_slot + i) * REEL_SLOT_SIZE), SRS_OK);
		for (unsigned int k = 0; k < n_entries; k++) {
			const uint8_t *slot = bytes + (first + k) * REEL_SLOT_SIZE;
			enum reel_slot_kind kind = reel_slot_kind(h.uuid, first + k, slot);

			if (kind == REEL_SLOT_DAMAGED)
				kind = REEL_SLOT_EMPTY;
			assert_int_equal(e[k].kind, kind);
		}
	}
}

static inline void
fx_read(struct fx *fx)
{
	char folder[128];
	struct dirent **names;
	int n;
	size_t at = 0, room;

	fx_forget_files(fx);
	(void)snprintf(folder, sizeof(folder), "%s/segments", fx->dir);
	n = scandir(folder, &names, NULL, alphasort);
	assert_true(n >= 0);
	room = (size_t)n * (2u << 20);
	fx->files = malloc(room);
	fx->slots = calloc(room / REEL_SLOT_SIZE, sizeof(*fx->slots));
	for (int i = 0; i < n; i++) {
		char path[512];
		struct stat st;
		int fd;

		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		free(names[i]);
		assert_int_equal(stat(path, &st), 0);
		if (!S_ISREG(st.st_mode))
			continue;
		assert_true(at + (size_t)st.st_size <= room);
		fd = open(path, O_RDONLY);
		assert_true(fd >= 0);
		assert_int_equal(read(fd, fx->files + at, (size_t)st.st_size), st.st_size);
		close(fd);
		fx_read_file(fx, path, fx->files + at, (size_t)st.st_size);
		at += (size_t)st.st_size;
	}
	free(names);
}

/* What was found of one part. */
struct fx_part {
	uint64_t n_chunks, n_frames, last_no;
	bool has_end, has_final, has_envelope;
	unsigned int n_seals;
	struct reel_seal seal;
	struct reel_seal_stream streams[4];
	struct reel_seal_missing missing[64];
	uint8_t digest[DIGEST_SIZE];
};

static inline void
fx_check_chunk(struct fx *fx, uint32_t recording, uint32_t part, const struct reel_chunk *c, const uint8_t *slot)
{
	uint8_t body[REEL_SLOT_SIZE], expected[REEL_SLOT_SIZE], commitment[REEL_COMMITMENT_SIZE];
	uint16_t len = fx_body(expected, recording, part, c->chunk_no, c->n_frames);

	assert_int_equal(c->body_len, len);
	assert_int_equal(c->n_frames, FX_FRAMES);
	assert_int_equal(c->first_wall_ns, fx_time(c->chunk_no));
	assert_int_equal(c->suite, fx->suite);
	assert_int_equal((c->flags & REEL_CHUNK_CLEAR) != 0, fx->clear_media);
	assert_int_equal((c->flags & REEL_CHUNK_COMMITMENT) != 0, c->chunk_no == 0);
	assert_int_equal(seal_open_portable(&fx->deks[recording][part], c, slot, body), SRS_OK);
	assert_memory_equal(body, expected, len);
	if (c->chunk_no != 0)
		return;
	assert_int_equal(seal_commitment(&fx->deks[recording][part], fx->ids[recording], part, fx->suite, commitment), SRS_OK);
	assert_memory_equal(c->commitment, commitment, sizeof(commitment));
}

/* The slot of a chunk; equal copies in several files count once. NULL: it is not there. */
static inline const uint8_t *
fx_find_chunk(struct fx *fx, uint32_t recording, uint32_t part, uint64_t no, struct reel_chunk *c)
{
	const uint8_t *found = NULL;

	for (size_t i = 0; i < fx->n_slots; i++) {
		struct reel_chunk other;

		if (fx->slots[i].kind != REEL_SLOT_CHUNK)
			continue;
		assert_int_equal(reel_chunk_head_read(&other, fx->slots[i].slot), SRS_OK);
		if (other.part != part || other.chunk_no != no ||
		    memcmp(other.recording, fx->ids[recording], REEL_ID_SIZE) != 0)
			continue;
		if (found != NULL)
			assert_memory_equal(found, fx->slots[i].slot, REEL_SLOT_SIZE - REEL_CRC_SIZE);
		found = fx->slots[i].slot;
		*c = other;
	}
	return found;
}

static inline void
fx_check_proof(struct fx *fx, const struct fx_part *p, const struct reel_proof *proof)
{
	uint8_t root[DIGEST_SIZE], message[17 + 4 + DIGEST_SIZE], id[REEL_ID_SIZE], key[32];
	struct filler f = filler_of(message, sizeof(message));

	assert_int_equal(merkle_path_root(p->digest, proof->index, proof->n_leaves, proof->path, proof->n_path,
	                                  digest_sha256, root), SRS_OK);
	assert_memory_equal(root, proof->commit_root, DIGEST_SIZE);
	keystore_node_public(fx->keystore, id, key);
	assert_memory_equal(id, proof->node_key_id, REEL_ID_SIZE);
	write_bytes(&f, "capstan commit v1", 17);
	write_u32be(&f, proof->n_leaves);
	write_bytes(&f, proof->commit_root, DIGEST_SIZE);
	assert_false(f.bad);
	assert_int_equal(keystore_verify(key, span_of(message, sizeof(message)), proof->signature), SRS_OK);
}

static inline void
fx_read_seal(struct fx *fx, size_t slot_i, struct fx_part *p)
{
	uint8_t joined[8 * REEL_SLOT_SIZE], digest[DIGEST_SIZE];
	struct reel_seal_piece piece;
	struct reel_proof proof;
	struct span body;
	size_t len = 0;
	uint8_t n_pieces = 1;

	for (uint8_t i = 0; i < n_pieces; i++) {
		assert_true(slot_i + i < fx->n_slots);
		assert_int_equal(reel_seal_piece_read(&piece, fx->slots[slot_i + i].slot), SRS_OK);
		assert_int_equal(piece.piece, i);
		n_pieces = piece.n_pieces;
		assert_true(len + piece.bytes.len <= sizeof(joined));
		memcpy(joined + len, piece.bytes.bytes, piece.bytes.len);
		len += piece.bytes.len;
	}
	assert_int_equal(reel_seal_read(&p->seal, &proof, &body, span_of(joined, len), p->streams, 4, p->missing, 64), SRS_OK);
	digest_sha256(body.bytes, (uint32_t)body.len, digest);
	if (p->n_seals != 0 && memcmp(digest, p->digest, DIGEST_SIZE) == 0)
		return; /* an equal copy: its block had moved to another file */
	memcpy(p->digest, digest, DIGEST_SIZE);
	fx_check_proof(fx, p, &proof);
	p->n_seals++;
}

/* Every chunk below `n_max` that is there, opened and compared; the seal against them. */
static inline void
fx_check_part(struct fx *fx, uint32_t recording, uint32_t part, uint64_t n_max, struct fx_part *p)
{
	struct merkle tree;
	uint8_t root[DIGEST_SIZE];

	memset(p, 0, sizeof(*p));
	merkle_init(&tree);
	for (uint64_t no = 0; no < n_max; no++) {
		struct reel_chunk c;
		const uint8_t *slot = fx_find_chunk(fx, recording, part, no, &c);
		struct span bytes;
		uint8_t leaf[DIGEST_SIZE];

		if (slot == NULL)
			continue;
		fx_check_chunk(fx, recording, part, &c, slot);
		bytes = reel_chunk_signed(&c, slot);
		digest_sha256(bytes.bytes, (uint32_t)bytes.len, leaf);
		merkle_add_chunk(&tree, digest_sha256, no, leaf);
		p->n_chunks++;
		p->n_frames += c.n_frames;
		p->last_no = no;
		p->has_end |= (c.flags & REEL_CHUNK_END) != 0;
		p->has_final |= (c.flags & REEL_CHUNK_FINAL) != 0;
	}
	for (size_t i = 0; i < fx->n_slots; i++) {
		struct reel_seal_piece piece;
		struct reel_envelope envelope;

		if (fx->slots[i].kind == REEL_SLOT_ENVELOPE) {
			assert_int_equal(reel_envelope_read(&envelope, fx->slots[i].slot), SRS_OK);
			p->has_envelope |= envelope.part == part &&
			                   memcmp(envelope.recording, fx->ids[recording], REEL_ID_SIZE) == 0;
		}
		if (fx->slots[i].kind != REEL_SLOT_SEAL)
			continue;
		assert_int_equal(reel_seal_piece_read(&piece, fx->slots[i].slot), SRS_OK);
		if (piece.part == part && piece.piece == 0 && memcmp(piece.recording, fx->ids[recording], REEL_ID_SIZE) == 0)
			fx_read_seal(fx, i, p);
	}
	assert_true(p->has_envelope);
	if (p->n_seals == 0)
		return;
	merkle_root(&tree, digest_sha256, root);
	assert_memory_equal(root, p->seal.root, DIGEST_SIZE);
	assert_int_equal(p->seal.n_chunks, p->n_chunks);
	assert_int_equal(p->seal.n_frames, p->n_frames);
	assert_string_equal(p->seal.node, "test-node");
	assert_true(p->seal.bound_ms >= 505);
}

#endif
