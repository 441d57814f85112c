/* Writes a folder for testing readers: a keystore (keys/), a finished segment with two recordings (vector.seg: one
 * encrypted in two parts, one in clear) and the first of them as vector.reel. Keys and ids are new each time.
 *
 *     make_reel FOLDER */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/digest.h"
#include "crypto/keystore.h"
#include "crypto/seal.h"
#include "lib/merkle.h"
#include "lib/reel.h"
#include "lib/srs_assert.h"

#define SLOTS_MAX   256
#define N_SLOTS     64
#define N_SEALS     3
#define START_NS    UINT64_C(1700000000000000000)
#define SSRC        0x11223344u
#define FIRST_INDEX UINT64_C(0x10000)	/* plain RTP starts at ROC 1 */

static const uint8_t uuid_segment[REEL_ID_SIZE] = "a segment's uuid";
static const uint8_t uuid_reel[REEL_ID_SIZE] = "one reel's uuid.";

/* One part on its way into the container. */
struct part {
	struct reel_seal seal;
	struct reel_seal_stream stream;
	struct merkle tree;
	struct dek dek;
	struct seal_key key;
	struct reel_chunk chunk;
	uint8_t body[REEL_SLOT_SIZE];
	uint16_t seq;
};

static uint8_t slots[SLOTS_MAX][REEL_SLOT_SIZE];
static struct reel_footer_entry entries[SLOTS_MAX];
static uint64_t n_slots = 1;
static struct seal_engine *engine;
static uint8_t seal_bodies[N_SEALS][REEL_SEAL_BODY_MAX];

static void
must(enum srs_err err, const char *what)
{
	if (err == SRS_OK)
		return;
	fprintf(stderr, "make_reel: %s: %s\n", what, srs_err_name(err));
	exit(1);
}

static uint8_t *
slot_take(const struct part *p, enum reel_slot_kind kind, uint64_t number, uint16_t flags)
{
	struct reel_footer_entry *e = &entries[n_slots];

	srs_assert(n_slots < N_SLOTS - 1);
	memcpy(e->recording, p->seal.recording, REEL_ID_SIZE);
	e->part = p->seal.part;
	e->chunk_no = number;
	e->kind = (uint8_t)kind;
	e->flags = (uint8_t)flags;
	return slots[n_slots++];
}

static void
part_begin(struct part *p, struct keystore *ks, const char *recording, uint32_t number, uint16_t flags)
{
	static struct reel_envelope envelope;

	memset(p, 0, sizeof(*p));
	memcpy(p->seal.recording, recording, REEL_ID_SIZE);
	p->seal.part = number;
	merkle_init(&p->tree);
	must(keystore_dek_create(ks, REEL_SUITE_AES_256_GCM, &p->dek, &envelope), "DEK");
	memcpy(envelope.recording, recording, REEL_ID_SIZE);
	envelope.part = number;
	reel_envelope_write(&envelope, slot_take(p, REEL_SLOT_ENVELOPE, 0, 0));
	must(seal_key_init(engine, &p->key, &p->dek, p->seal.recording, number, REEL_SUITE_AES_256_GCM), "chunk key");

	p->chunk.suite = REEL_SUITE_AES_256_GCM;
	memcpy(p->chunk.recording, recording, REEL_ID_SIZE);
	p->chunk.part = number;
	p->chunk.flags = flags | REEL_CHUNK_COMMITMENT;
	p->chunk.first_wall_ns = START_NS + number * UINT64_C(3600000000000);
	must(seal_commitment(&p->dek, p->seal.recording, number, REEL_SUITE_AES_256_GCM, p->chunk.commitment),
	     "commitment");
	p->seal.first_wall_ns = p->chunk.first_wall_ns;
}

static void
part_frame(struct part *p, uint8_t kind, uint8_t stream, uint32_t seq_ext, const void *bytes, size_t len)
{
	struct filler f = filler_of(p->body + p->chunk.body_len,
	                            reel_chunk_body_max(p->chunk.flags) - p->chunk.body_len);

	write_u16be(&f, (uint16_t)len);
	write_u8(&f, kind);
	write_u8(&f, stream);
	write_u32be(&f, 20000 * p->chunk.n_frames);
	write_u32be(&f, seq_ext);
	write_bytes(&f, bytes, len);
	srs_assert(!f.bad);
	p->seal.last_wall_ns = p->chunk.first_wall_ns + UINT64_C(20000000) * p->chunk.n_frames;
	p->chunk.body_len += (uint32_t)filler_used(&f);
	p->chunk.n_frames++;
}

/* Seal the open chunk into the next slot; the one after it has `next_flags`. */
static void
part_chunk(struct part *p, uint16_t last, uint16_t next_flags)
{
	uint8_t leaf[DIGEST_SIZE], *slot;
	struct span covered;

	p->chunk.flags |= last;
	slot = slot_take(p, REEL_SLOT_CHUNK, p->chunk.chunk_no, p->chunk.flags);
	seal_chunk(engine, &p->key, &p->chunk, p->body, slot);
	covered = reel_chunk_signed(&p->chunk, slot);
	digest_sha256(covered.bytes, (uint32_t)covered.len, leaf);
	merkle_add_chunk(&p->tree, digest_sha256, p->chunk.chunk_no, leaf);
	p->seal.n_chunks++;
	p->seal.n_frames += p->chunk.n_frames;
	p->chunk.chunk_no++;
	p->chunk.flags = next_flags;
	p->chunk.first_wall_ns += UINT64_C(500000000);
	p->chunk.body_len = 0;
	p->chunk.n_frames = 0;
}

static void
part_rtp(struct part *p, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint64_t index = FIRST_INDEX + p->seq;
		uint8_t packet[172] = { 0x80, 0 };
		struct filler f = filler_of(packet + 2, sizeof(packet) - 2);

		write_u16be(&f, p->seq);
		write_u32be(&f, 160u * p->seq);
		write_u32be(&f, SSRC);
		memset(f.at, 0xd5, sizeof(packet) - 12);
		part_frame(p, REEL_FRAME_RTP, 0, (uint32_t)index, packet, sizeof(packet));
		if (p->stream.recorded++ == 0)
			p->stream.first_index = index;
		p->stream.highest_index = index;
		p->seq++;
	}
}

static void
part_media(struct part *p, unsigned int n_chunks, uint16_t class_flags, uint16_t last)
{
	struct reel_mark mark = { .kind = REEL_MARK_SSRC, .ssrc = SSRC, .index = FIRST_INDEX, .ip_version = 4,
		                  .ip = { 192, 0, 2, 10 }, .udp_port = 20000 };
	struct reel_gap gap = { .reason = REEL_REASON_PAUSED, .n_frames = 3, .first_wall_ns = START_NS,
		                .last_wall_ns = START_NS + 60000000 };
	uint8_t bytes[REEL_MARK_SIZE];

	reel_mark_write(&mark, bytes);
	part_frame(p, REEL_FRAME_MARK, 0, 0, bytes, REEL_MARK_SIZE);
	for (unsigned int i = 0; i < n_chunks; i++) {
		part_rtp(p, 20);
		if (i + 1 == n_chunks) {
			reel_gap_write(&gap, bytes);
			part_frame(p, REEL_FRAME_GAP, 0, 0, bytes, REEL_GAP_SIZE);
			p->stream.missing[REEL_REASON_PAUSED] = gap.n_frames;
		}
		part_chunk(p, i + 1 == n_chunks ? last : 0, class_flags);
	}
}

static void
part_documents(struct part *p, uint16_t next_flags)
{
	static const char description[] = "{\"version\":1,\"streams\":[{\"number\":0,\"label\":\"1\"}]}";
	static char long_body[6000];

	memset(long_body, 'x', sizeof(long_body));
	part_frame(p, REEL_FRAME_DESCRIPTION, REEL_STREAM_NONE, 0, description, sizeof(description) - 1);
	part_frame(p, REEL_FRAME_BODY | REEL_FRAME_MORE, REEL_STREAM_NONE, 0, long_body, 3000);
	part_chunk(p, 0, REEL_CHUNK_DOCUMENTS | (p->chunk.flags & REEL_CHUNK_CLEAR));
	part_frame(p, REEL_FRAME_BODY | REEL_FRAME_REDACTED, REEL_STREAM_NONE, 0, long_body + 3000, 3000);
	part_chunk(p, 0, next_flags);
}

static void
part_end(struct part *p, const struct part *previous, bool final, uint8_t digest[DIGEST_SIZE], size_t *body_len,
         uint8_t body[REEL_SEAL_BODY_MAX])
{
	p->stream.ssrc = SSRC;
	p->seal.final = final;
	p->seal.bound_ms = 700;
	p->seal.streams = &p->stream;
	p->seal.n_streams = 1;
	strcpy(p->seal.reason, final ? "bye" : "age");
	strcpy(p->seal.node, "vector");
	merkle_root(&p->tree, digest_sha256, p->seal.root);
	if (previous != NULL) { /* its body was made just before */
		static uint8_t again[REEL_SEAL_BODY_MAX];
		size_t len = reel_seal_body_write(&previous->seal, again, sizeof(again));

		digest_sha256(again, (uint32_t)len, p->seal.previous);
	}
	*body_len = reel_seal_body_write(&p->seal, body, REEL_SEAL_BODY_MAX);
	srs_assert(*body_len != 0);
	digest_sha256(body, (uint32_t)*body_len, digest);
}

static void
commit(const struct keystore *ks, struct part *parts, uint8_t (*digests)[DIGEST_SIZE], const size_t *body_lens)
{
	uint8_t message[REEL_COMMIT_MESSAGE_SIZE];
	struct reel_proof proof = { .n_leaves = N_SEALS };
	struct keystore_signer *signer;
	uint8_t nodes[MERKLE_NODES(N_SEALS)][MERKLE_HASH_SIZE];

	memcpy(proof.commit_root, merkle_nodes((const uint8_t(*)[DIGEST_SIZE])digests, N_SEALS, digest_sha256, nodes),
	       MERKLE_HASH_SIZE);
	must(keystore_signer_create(&signer, ks), "signer");
	keystore_signer_id(signer, proof.node_key_id);
	reel_commit_message(&proof, message);
	must(keystore_sign(signer, span_of(message, sizeof(message)), proof.signature), "signature");
	keystore_signer_destroy(signer);
	for (uint32_t i = 0; i < N_SEALS; i++) {
		uint8_t piece[1][REEL_SLOT_SIZE];

		proof.index = i;
		must(merkle_path((const uint8_t(*)[DIGEST_SIZE])nodes, N_SEALS, i, proof.path, REEL_PATH_MAX, &proof.n_path), "path");
		srs_assert(reel_seal_slots_write(&parts[i].seal, span_of(seal_bodies[i], body_lens[i]), &proof,
		                                 piece, 1) == 1);
		memcpy(slot_take(&parts[i], REEL_SLOT_SEAL, 0, parts[i].seal.final ? REEL_CHUNK_FINAL : 0),
		       piece[0], REEL_SLOT_SIZE);
	}
}

static void
file_write(const char *folder, const char *name, const void *bytes, size_t len)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(bytes, 1, len, file) != len || fclose(file) != 0) {
		fprintf(stderr, "make_reel: cannot write %s\n", path);
		exit(1);
	}
}

static void
segment_write(const char *folder)
{
	struct reel_container c = { .kind = REEL_CONTAINER_SEGMENT, .writer_id = 2, .sequence = 5,
		                    .created_wall_ns = START_NS, .n_slots = N_SLOTS };

	memcpy(c.uuid, uuid_segment, REEL_ID_SIZE);
	c.footer_slot = N_SLOTS - reel_footer_slots(N_SLOTS);
	entries[0].kind = REEL_SLOT_CONTAINER;
	reel_container_write(&c, slots[0]);
	for (uint64_t i = 1; i < n_slots; i++)
		reel_slot_finish(c.uuid, i, slots[i], REEL_SLOT_SIZE - REEL_CRC_SIZE);
	reel_slot_finish(c.uuid, c.footer_slot, slots[c.footer_slot],
	                 reel_footer_write(0, entries, (unsigned int)c.footer_slot, slots[c.footer_slot]));
	file_write(folder, "vector.seg", slots, (size_t)N_SLOTS * REEL_SLOT_SIZE);
}

static void
reel_write(const char *folder, const uint8_t recording[REEL_ID_SIZE])
{
	struct reel_container c = { .kind = REEL_CONTAINER_REEL, .created_wall_ns = START_NS };
	static uint8_t out[SLOTS_MAX][REEL_SLOT_SIZE];
	uint64_t n = 1;

	memcpy(c.uuid, uuid_reel, REEL_ID_SIZE);
	for (uint32_t part = 0; part < 2; part++)
		for (uint64_t i = 1; i < n_slots; i++)
			if (entries[i].part == part && memcmp(entries[i].recording, recording, REEL_ID_SIZE) == 0) {
				memcpy(out[n], slots[i], REEL_SLOT_SIZE);
				reel_slot_finish(c.uuid, n, out[n], REEL_SLOT_SIZE - REEL_CRC_SIZE);
				n++;
			}
	c.n_slots = c.footer_slot = n;
	reel_container_write(&c, out[0]);
	file_write(folder, "vector.reel", out, n * REEL_SLOT_SIZE);
}

int
main(int argc, char **argv)
{
	static struct part parts[N_SEALS];
	static uint8_t digests[N_SEALS][DIGEST_SIZE];
	char why[256] = "", keys[512];
	size_t body_lens[N_SEALS];
	struct keystore *ks;

	if (argc != 2) {
		fprintf(stderr, "usage: make_reel FOLDER\n");
		return 2;
	}
	snprintf(keys, sizeof(keys), "%s/keys", argv[1]);
	must(keystore_open(&ks, &(struct keystore_spec){ .store = "file", .path = keys, .create = true,
	                                                 .rotation_interval_s = 86400 }, why, sizeof(why)), "keystore");
	engine = seal_engine_create();
	srs_assert(engine != NULL);

	part_begin(&parts[0], ks, "recording one id", 0, REEL_CHUNK_DOCUMENTS);
	part_begin(&parts[2], ks, "in clear, its id", 0, REEL_CHUNK_DOCUMENTS | REEL_CHUNK_CLEAR);
	part_documents(&parts[0], 0);
	part_documents(&parts[2], REEL_CHUNK_CLEAR);
	part_media(&parts[0], 3, 0, REEL_CHUNK_END);
	part_media(&parts[2], 2, REEL_CHUNK_CLEAR, REEL_CHUNK_END | REEL_CHUNK_FINAL);
	part_begin(&parts[1], ks, "recording one id", 1, 0);
	part_media(&parts[1], 1, 0, REEL_CHUNK_END | REEL_CHUNK_FINAL);
	part_end(&parts[0], NULL, false, digests[0], &body_lens[0], seal_bodies[0]);
	part_end(&parts[1], &parts[0], true, digests[1], &body_lens[1], seal_bodies[1]);
	part_end(&parts[2], NULL, true, digests[2], &body_lens[2], seal_bodies[2]);
	commit(ks, parts, digests, body_lens);
	segment_write(argv[1]);
	reel_write(argv[1], parts[0].seal.recording);
	seal_engine_destroy(engine);
	keystore_close(ks);
	return 0;
}
