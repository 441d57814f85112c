/* A sealed recording in a folder, made with the library's own writers: what the tool's tests read. */
#ifndef TAPE_FIXTURE_H
#define TAPE_FIXTURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "crypto/keystore.h"
#include "crypto/seal.h"
#include "lib/merkle.h"
#include "lib/reel.h"

#define FIXTURE_CHUNKS    5
#define FIXTURE_PER_CHUNK 10	/* RTP frames */
#define FIXTURE_START_NS  1700000000000000000ull

struct tape_fixture {
	char folder[64], path[128], keys[128];
	struct keystore *ks;
	uint8_t id[REEL_ID_SIZE], uuid[REEL_ID_SIZE];
	uint8_t slots[32][REEL_SLOT_SIZE];
	unsigned int n_slots;
	unsigned int n_frames;
};

static inline void
fixture_require(int holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "fixture: %s\n", what);
		abort();
	}
}

/* One RTP frame of stream 0 or 1: PCMU, 160 bytes of `fill`. */
static inline size_t
fixture_frame(uint8_t *at, unsigned int stream, uint32_t seq, uint32_t delta_us, uint8_t fill)
{
	struct filler f = filler_of(at, REEL_FRAME_HEADER_SIZE + 172);
	uint8_t payload[160];

	memset(payload, fill, sizeof(payload));
	write_u16be(&f, 172);
	write_u8(&f, REEL_FRAME_RTP);
	write_u8(&f, (uint8_t)stream);
	write_u32be(&f, delta_us);
	write_u32be(&f, 0x10000 + seq);
	write_u8(&f, 0x80);
	write_u8(&f, 0);
	write_u16be(&f, (uint16_t)seq);
	write_u32be(&f, 1000 + seq * 160);
	write_u32be(&f, 0xabc0 + stream);
	write_bytes(&f, payload, sizeof(payload));
	return filler_used(&f);
}

/* With it, stream 0 changes its key in the middle: the new one's index begins again at ROC 0, and the old one's last
 * packet comes behind the new one's first. */
#define FIXTURE_REKEY_AT 25
static bool fixture_rekeyed;

static inline size_t
fixture_mark(uint8_t *at, uint32_t seq, uint32_t delta_us)
{
	const struct reel_mark mark = { .kind = REEL_MARK_SSRC, .ssrc = 0xabc0, .generation = seq != 0,
		                        .index = seq != 0 ? seq : 0x10000 };
	struct filler f = filler_of(at, REEL_FRAME_HEADER_SIZE);

	write_u16be(&f, REEL_MARK_SIZE);
	write_u8(&f, REEL_FRAME_MARK);
	write_u8(&f, 0);
	write_u32be(&f, delta_us);
	write_u32be(&f, 0);
	reel_mark_write(&mark, at + REEL_FRAME_HEADER_SIZE);
	return REEL_FRAME_HEADER_SIZE + REEL_MARK_SIZE;
}

/* A frame of stream 0 that stands at place `seq`. */
static inline size_t
fixture_first(uint8_t *at, uint32_t seq, uint32_t delta_us, struct reel_chunk *head)
{
	size_t len = 0;

	head->n_frames++;
	if (!fixture_rekeyed)
		return fixture_frame(at, 0, seq, delta_us, 0x10);
	if (seq == 0 || seq == FIXTURE_REKEY_AT - 1) {
		len = fixture_mark(at, seq == 0 ? 0 : FIXTURE_REKEY_AT, delta_us);
		head->n_frames++;
	}
	if (seq == FIXTURE_REKEY_AT - 1)
		seq = FIXTURE_REKEY_AT;
	else if (seq == FIXTURE_REKEY_AT)
		seq = FIXTURE_REKEY_AT - 1;
	len += fixture_frame(at + len, 0, seq, delta_us, 0x10);
	if (seq >= FIXTURE_REKEY_AT)
		memset(at + len - 172 - 4, 0, 2);	/* the upper half of seq_ext */
	return len;
}

static inline uint8_t *
fixture_slot(struct tape_fixture *f)
{
	return f->slots[f->n_slots++];
}

static inline void
fixture_finish_slot(struct tape_fixture *f, size_t used)
{
	reel_slot_finish(f->uuid, f->n_slots - 1, f->slots[f->n_slots - 1], used);
}

static inline void
fixture_chunks(struct tape_fixture *f, const struct dek *dek, struct merkle *tree)
{
	struct seal_engine *engine = seal_engine_create();
	struct seal_key *key = aligned_alloc(64, sizeof(*key));
	uint32_t seq = 0;

	fixture_require(engine != NULL && key != NULL, "engine");
	fixture_require(seal_key_init(engine, key, dek, f->id, 0, REEL_SUITE_AES_256_GCM) == SRS_OK, "key");
	for (unsigned int c = 0; c < FIXTURE_CHUNKS; c++) {
		struct reel_chunk head = { .suite = REEL_SUITE_AES_256_GCM, .chunk_no = c };
		uint8_t body[REEL_BODY_MAX], leaf[DIGEST_SIZE], *slot = fixture_slot(f);
		struct span covered;

		memcpy(head.recording, f->id, REEL_ID_SIZE);
		head.first_wall_ns = FIXTURE_START_NS + (uint64_t)seq * 20000000;
		if (c == 0) {
			head.flags = REEL_CHUNK_COMMITMENT;
			fixture_require(seal_commitment(dek, f->id, 0, head.suite, head.commitment) == SRS_OK, "commitment");
		}
		if (c == FIXTURE_CHUNKS - 1)
			head.flags |= REEL_CHUNK_END | REEL_CHUNK_FINAL;
		for (unsigned int i = 0; i < FIXTURE_PER_CHUNK; i++, seq++) {
			head.body_len += (uint32_t)fixture_first(body + head.body_len, seq, i * 20000, &head);
			head.body_len += (uint32_t)fixture_frame(body + head.body_len, 1, seq, i * 20000, 0x90);
			head.n_frames++;
		}
		f->n_frames += head.n_frames;
		seal_chunk(engine, key, &head, body, slot);
		fixture_finish_slot(f, reel_chunk_head_len(head.flags) + head.body_len + REEL_TAG_SIZE);
		covered = reel_chunk_signed(&head, slot);
		digest_sha256(covered.bytes, (uint32_t)covered.len, leaf);
		merkle_add_chunk(tree, digest_sha256, c, leaf);
	}
	secret_wipe(key, sizeof(*key));
	free(key);
	seal_engine_destroy(engine);
}

static inline void
fixture_seal(struct tape_fixture *f, const struct merkle *tree)
{
	static uint8_t body[REEL_SEAL_BODY_MAX];
	static uint8_t slots[REEL_SEAL_SLOTS_MAX][REEL_SLOT_SIZE];
	struct reel_seal_stream streams[2];
	struct reel_seal seal = { .final = true, .n_chunks = FIXTURE_CHUNKS, .reason = "bye", .node = "test" };
	struct reel_proof proof = { .n_leaves = 1 };
	struct keystore_signer *signer;
	uint8_t digest[DIGEST_SIZE], message[17 + 4 + DIGEST_SIZE], node[32];
	struct filler m = filler_of(message, sizeof(message));
	struct merkle commit;
	unsigned int n;
	size_t len;

	memset(streams, 0, sizeof(streams));
	for (unsigned int s = 0; s < 2; s++) {
		streams[s].stream = (uint8_t)s;
		streams[s].ssrc = 0xabc0 + s;
		streams[s].first_index = 0x10000;
		streams[s].highest_index = 0x10000 + FIXTURE_CHUNKS * FIXTURE_PER_CHUNK - 1;
		streams[s].recorded = FIXTURE_CHUNKS * FIXTURE_PER_CHUNK;
	}
	memcpy(seal.recording, f->id, REEL_ID_SIZE);
	seal.n_frames = f->n_frames;
	seal.first_wall_ns = FIXTURE_START_NS;
	seal.last_wall_ns = FIXTURE_START_NS + 1000000000;
	seal.n_streams = 2;
	seal.streams = streams;
	merkle_root(tree, digest_sha256, seal.root);
	len = reel_seal_body_write(&seal, body, sizeof(body));
	fixture_require(len > 0, "seal body");
	digest_sha256(body, (uint32_t)len, digest);
	merkle_init(&commit);
	merkle_add(&commit, digest_sha256, digest);
	merkle_root(&commit, digest_sha256, proof.commit_root);
	write_bytes(&m, "capstan commit v1", 17);
	write_u32be(&m, 1);
	write_bytes(&m, proof.commit_root, DIGEST_SIZE);
	fixture_require(keystore_signer_create(&signer, f->ks) == SRS_OK, "signer");
	fixture_require(keystore_sign(signer, span_of(message, sizeof(message)), proof.signature) == SRS_OK, "sign");
	keystore_signer_destroy(signer);
	keystore_node_public(f->ks, proof.node_key_id, node);
	n = reel_seal_slots_write(&seal, span_of(body, len), &proof, slots, REEL_SEAL_SLOTS_MAX);
	fixture_require(n == 1, "one seal slot");
	memcpy(fixture_slot(f), slots[0], REEL_SLOT_SIZE);
	fixture_finish_slot(f, REEL_SLOT_SIZE - REEL_CRC_SIZE);
}

static inline void
fixture_write(const struct tape_fixture *f)
{
	FILE *file = fopen(f->path, "wb");

	fixture_require(file != NULL, "file");
	fixture_require(fwrite(f->slots, REEL_SLOT_SIZE, f->n_slots, file) == f->n_slots, "write");
	fclose(file);
}

static inline void
fixture_create(struct tape_fixture *f)
{
	struct reel_container head = { .kind = REEL_CONTAINER_REEL };
	struct keystore_spec spec = { .store = "file", .path = f->keys, .rotation_interval_s = 86400, .create = true };
	struct reel_envelope *envelope = calloc(1, sizeof(*envelope));
	struct merkle tree;
	struct dek dek;
	char why[512];

	memset(f, 0, sizeof(*f));
	strcpy(f->folder, "/tmp/capstan-tape-XXXXXX");
	fixture_require(mkdtemp(f->folder) != NULL, "folder");
	snprintf(f->path, sizeof(f->path), "%s/one.reel", f->folder);
	snprintf(f->keys, sizeof(f->keys), "%s/keys", f->folder);
	fixture_require(keystore_open(&f->ks, &spec, why, sizeof(why)) == SRS_OK, "keystore");
	memset(f->id, 0x1d, sizeof(f->id));
	memset(f->uuid, 0x77, sizeof(f->uuid));
	memcpy(head.uuid, f->uuid, sizeof(head.uuid));
	head.created_wall_ns = FIXTURE_START_NS;
	head.n_slots = head.footer_slot = 1 + 1 + FIXTURE_CHUNKS + 1;
	reel_container_write(&head, fixture_slot(f));
	fixture_require(envelope != NULL && keystore_dek_create(f->ks, REEL_SUITE_AES_256_GCM, &dek, envelope) == SRS_OK, "dek");
	memcpy(envelope->recording, f->id, REEL_ID_SIZE);
	envelope->part = 0;
	{
		size_t used = reel_envelope_write(envelope, fixture_slot(f));

		fixture_finish_slot(f, used);
	}
	merkle_init(&tree);
	fixture_chunks(f, &dek, &tree);
	secret_wipe(&dek, sizeof(dek));
	fixture_seal(f, &tree);
	fixture_write(f);
	free(envelope);
}

static inline void
fixture_destroy(struct tape_fixture *f)
{
	char command[256];

	keystore_close(f->ks);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->folder);
	fixture_require(system(command) == 0, "clean up");
}

#endif
