/* The format's encoders and decoders: what is written comes back, at the offsets of docs/format.md, and what no
 * writer makes is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/merkle.h"
#include "lib/reel.h"
#include "lib/sha256.h"

#define CRC_AT (REEL_SLOT_SIZE - REEL_CRC_SIZE)

static const uint8_t uuid[REEL_ID_SIZE] = "sixteen bytes id";
static uint8_t slot[REEL_SLOT_SIZE];

static uint64_t
be_at(const uint8_t *bytes, size_t at, size_t width)
{
	struct reader r = reader_of(span_of(bytes + at, width));

	return read_be(&r, width);
}

/* ---- slots ---- */

static void
a_slot_knows_its_place_and_its_container(void **state)
{
	uint8_t other[REEL_ID_SIZE];

	memset(slot, 0xee, sizeof(slot)); /* what the block buffer held before */
	memcpy(slot, "CHNK", 4);
	reel_slot_finish(uuid, 7, slot, 100);
	assert_int_equal(slot[99], 0xee);
	assert_true(span_is_zero(span_of(slot + 100, CRC_AT - 100)));
	assert_int_equal(reel_slot_kind(uuid, 7, slot), REEL_SLOT_CHUNK);
	assert_int_equal(reel_slot_kind(uuid, 8, slot), REEL_SLOT_DAMAGED);
	memcpy(other, uuid, sizeof(other));
	other[0] ^= 1;
	assert_int_equal(reel_slot_kind(other, 7, slot), REEL_SLOT_DAMAGED);
}

static void
every_flipped_bit_of_a_slot_is_seen(void **state)
{
	memset(slot, 0x5a, sizeof(slot));
	memcpy(slot, "SEAL", 4);
	reel_slot_finish(uuid, 3, slot, 2000);
	for (size_t bit = 0; bit < 8 * REEL_SLOT_SIZE; bit++) {
		slot[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(reel_slot_kind(uuid, 3, slot), REEL_SLOT_DAMAGED);
		slot[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(reel_slot_kind(uuid, 3, slot), REEL_SLOT_SEAL);
}

static void
a_slot_of_zeros_is_empty_and_of_one_bit_is_not(void **state)
{
	memset(slot, 0, sizeof(slot));
	assert_int_equal(reel_slot_kind(uuid, 1, slot), REEL_SLOT_EMPTY);
	slot[REEL_SLOT_SIZE - 1] = 1;
	assert_int_equal(reel_slot_kind(uuid, 1, slot), REEL_SLOT_DAMAGED);
}

/* ---- container ---- */

static const struct reel_container container = {
	.kind = REEL_CONTAINER_SEGMENT, .writer_id = 3, .uuid = "sixteen bytes id", .sequence = 9,
	.created_wall_ns = 1700000000000000001, .n_slots = 1000, .footer_slot = 992,
};

static void
container_header_comes_back(void **state)
{
	struct reel_container c;

	reel_container_write(&container, slot);
	assert_memory_equal(slot, "CAPS\1\1\0\0\0\0\0\3\0\0\0\0sixteen bytes id", 32);
	assert_int_equal(reel_slot_kind(uuid, 0, slot), REEL_SLOT_CONTAINER);
	assert_int_equal(reel_container_read(&c, slot), SRS_OK);
	assert_memory_equal(c.uuid, container.uuid, REEL_ID_SIZE);
	assert_int_equal(c.kind, container.kind);
	assert_int_equal(c.writer_id, 3);
	assert_int_equal(c.sequence, 9);
	assert_int_equal(c.created_wall_ns, container.created_wall_ns);
	assert_int_equal(c.n_slots, 1000);
	assert_int_equal(c.footer_slot, 992);
}

static void
every_flipped_bit_of_a_container_header_is_refused(void **state)
{
	struct reel_container c;

	reel_container_write(&container, slot);
	for (size_t bit = 0; bit < 8 * REEL_SLOT_SIZE; bit++) {
		slot[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(reel_container_read(&c, slot), SRS_OK);
		if (bit / 8 >= 64 && bit / 8 < CRC_AT) { /* and with a repaired crc, by digest or padding */
			struct filler f = filler_of(slot + CRC_AT, 4);
			uint32_t crc = (uint32_t)be_at(slot, CRC_AT, 4);

			write_u32be(&f, reel_slot_crc(container.uuid, 0, slot));
			assert_int_not_equal(reel_container_read(&c, slot), SRS_OK);
			f = filler_of(slot + CRC_AT, 4);
			write_u32be(&f, crc);
		}
		slot[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(reel_container_read(&c, slot), SRS_OK);
}

static void
absurd_geometry_is_refused(void **state)
{
	static const struct { uint64_t n_slots, footer_slot; enum reel_container_kind kind; enum srs_err err; } rows[] = {
		{ 1, 1, REEL_CONTAINER_REEL, SRS_OK },
		{ 0, 0, REEL_CONTAINER_REEL, SRS_ERR_INVALID },
		{ 10, 9, REEL_CONTAINER_REEL, SRS_ERR_INVALID },
		{ 10, 9, REEL_CONTAINER_SEGMENT, SRS_OK },
		{ 10, 11, REEL_CONTAINER_SEGMENT, SRS_ERR_INVALID },
		{ 10, 0, REEL_CONTAINER_SEGMENT, SRS_ERR_INVALID },
		{ 1000, 993, REEL_CONTAINER_SEGMENT, SRS_ERR_INVALID },
		{ UINT64_MAX, 1, REEL_CONTAINER_SEGMENT, SRS_OK },
		{ UINT64_MAX, UINT64_MAX - 1, REEL_CONTAINER_SEGMENT, SRS_ERR_INVALID },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reel_container c = container, out;

		c.n_slots = rows[i].n_slots;
		c.footer_slot = rows[i].footer_slot;
		c.kind = rows[i].kind;
		reel_container_write(&c, slot);
		assert_int_equal(reel_container_read(&out, slot), rows[i].err);
	}
}

static void
a_later_version_is_unsupported(void **state)
{
	struct reel_container c;
	struct reel_chunk chunk;

	reel_container_write(&container, slot);
	slot[4] = 2;
	assert_int_equal(reel_container_read(&c, slot), SRS_ERR_UNSUPPORTED);
	memset(slot, 0, sizeof(slot));
	memcpy(slot, "CHNK\2\1", 6);
	assert_int_equal(reel_chunk_head_read(&chunk, slot), SRS_ERR_UNSUPPORTED);
}

/* ---- chunk ---- */

static const struct reel_chunk chunk_0 = {
	.suite = REEL_SUITE_AES_256_GCM, .flags = REEL_CHUNK_COMMITMENT | REEL_CHUNK_SALVAGE | REEL_CHUNK_DOCUMENTS,
	.recording = "the recording id", .part = 0x01020304, .first_wall_ns = 0x1122334455667788,
	.body_len = 100, .n_frames = 5, .commitment = "the thirty-two bytes of the keys",
	.origin_part = 77, .origin_chunk_no = 0x8877665544332211,
};

static void
chunk_write(const struct reel_chunk *c)
{
	memset(slot, 0, sizeof(slot));
	(void)reel_chunk_head_write(c, slot);
}

static void
chunk_head_comes_back_from_the_documented_offsets(void **state)
{
	struct reel_chunk c;
	uint8_t nonce[12];

	chunk_write(&chunk_0);
	assert_int_equal(reel_chunk_head_len(chunk_0.flags), 108);
	assert_int_equal(reel_chunk_body_max(chunk_0.flags), 4012 - 44);
	assert_memory_equal(slot, "CHNK\1\1\0\x34", 8);
	assert_int_equal(be_at(slot, 8, 8), 0);
	assert_memory_equal(slot + 16, "the recording id", 16);
	assert_int_equal(be_at(slot, 32, 4), 0x01020304);
	assert_int_equal(be_at(slot, 36, 4), 100);
	assert_int_equal(be_at(slot, 40, 8), 0x1122334455667788);
	assert_int_equal(be_at(slot, 48, 4), 5);
	assert_int_equal(be_at(slot, 52, 2), 44);
	assert_memory_equal(slot + 64, chunk_0.commitment, 32);
	assert_int_equal(be_at(slot, 96, 4), 77);
	assert_int_equal(reel_chunk_head_read(&c, slot), SRS_OK);
	assert_memory_equal(&c, &chunk_0, sizeof(c));
	assert_int_equal(reel_chunk_signed(&c, slot).len, 64 + 44 + 100 + 16);

	c.chunk_no = 0x0102030405060708;
	reel_chunk_nonce(&c, nonce);
	assert_memory_equal(nonce, "\0\0\0\0\1\2\3\4\5\6\7\x8", 12);
}

static void
chunk_heads_that_no_writer_makes_are_refused(void **state)
{
	struct reel_chunk c = chunk_0, out;

	chunk_write(&chunk_0);
	for (size_t at = 54; at < 64; at++) { /* zeros of the header */
		slot[at] = 1;
		assert_int_equal(reel_chunk_head_read(&out, slot), SRS_ERR_INVALID);
		slot[at] = 0;
	}
	for (size_t at = 64 + 44 + 100 + 16; at < CRC_AT; at++) { /* padding */
		slot[at] = 0x80;
		assert_int_equal(reel_chunk_head_read(&out, slot), SRS_ERR_INVALID);
		slot[at] = 0;
	}
	slot[39] = 0xff; /* a body longer than the slot */
	slot[38] = 0x0f;
	assert_int_equal(reel_chunk_head_read(&out, slot), SRS_ERR_INVALID);
	slot[36] = 0xff;
	assert_int_equal(reel_chunk_head_read(&out, slot), SRS_ERR_INVALID);
	chunk_write(&chunk_0);
	slot[53] = 32; /* extension length against the flags */
	assert_int_equal(reel_chunk_head_read(&out, slot), SRS_ERR_INVALID);
	chunk_write(&chunk_0);
	slot[5] = 3;
	assert_int_equal(reel_chunk_head_read(&out, slot), SRS_ERR_UNSUPPORTED);

	c.flags = REEL_CHUNK_FINAL | REEL_CHUNK_COMMITMENT; /* without END */
	chunk_write(&c);
	assert_int_equal(reel_chunk_head_read(&out, slot), SRS_ERR_INVALID);
	c.flags = 0; /* chunk 0 without a commitment */
	chunk_write(&c);
	assert_int_equal(reel_chunk_head_read(&out, slot), SRS_ERR_INVALID);
	c.chunk_no = 1;
	chunk_write(&c);
	assert_int_equal(reel_chunk_head_read(&out, slot), SRS_OK);
	c.n_frames = 9; /* 100 bytes hold eight frame headers */
	chunk_write(&c);
	assert_int_equal(reel_chunk_head_read(&out, slot), SRS_ERR_INVALID);
	c.n_frames = 0;
	chunk_write(&c);
	assert_int_equal(reel_chunk_head_read(&out, slot), SRS_ERR_INVALID);
}

/* ---- frames ---- */

static void
frames_are_walked_to_the_end(void **state)
{
	uint8_t body[12 + 3 + 12] = { 0, 3, REEL_FRAME_RTCP | REEL_FRAME_MORE, 4, 0, 0, 0, 10, 0, 1, 0, 2, 'a', 'b', 'c',
		                      0, 0, REEL_FRAME_BODY | REEL_FRAME_REDACTED, REEL_STREAM_NONE };
	struct reel_frame f;
	size_t at = 0;

	assert_int_equal(reel_frame_next(&f, span_of(body, sizeof(body)), 5000, &at), SRS_OK);
	assert_int_equal(f.kind, REEL_FRAME_RTCP);
	assert_int_equal(f.flags, REEL_FRAME_MORE);
	assert_int_equal(f.stream, 4);
	assert_int_equal(f.wall_ns, 15000);
	assert_int_equal(f.seq_ext, 0x10002);
	assert_true(span_equal(f.bytes, span_of_text("abc")));
	assert_int_equal(reel_frame_next(&f, span_of(body, sizeof(body)), 5000, &at), SRS_OK);
	assert_int_equal(f.kind, REEL_FRAME_BODY);
	assert_int_equal(f.flags, REEL_FRAME_REDACTED);
	assert_int_equal(f.bytes.len, 0);
	assert_int_equal(reel_frame_next(&f, span_of(body, sizeof(body)), 5000, &at), SRS_ERR_LIMIT);
	at++;
	assert_int_equal(reel_frame_next(&f, span_of(body, sizeof(body)), 5000, &at), SRS_ERR_INVALID);
}

static void
cut_off_frames_are_refused(void **state)
{
	const uint8_t body[15] = { 0, 3, REEL_FRAME_RTP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3 };
	const uint8_t kind_0[12] = { 0 };
	struct reel_frame f;
	size_t at;

	for (size_t len = 1; len < sizeof(body); len++) {
		at = 0;
		assert_int_equal(reel_frame_next(&f, span_of(body, len), 0, &at), SRS_ERR_INVALID);
		assert_int_equal(at, 0);
	}
	at = 0;
	assert_int_equal(reel_frame_next(&f, span_of(kind_0, sizeof(kind_0)), 0, &at), SRS_ERR_INVALID);
}

static void
gaps_and_marks_come_back(void **state)
{
	struct reel_gap gap = { REEL_REASON_DISK_FULL, 5, 6, 7 }, gap_out;
	struct reel_mark mark = { .kind = REEL_MARK_CLOCK_STEP, .ssrc = 1, .index = UINT64_C(0xfffffffffff),
		                  .generation = 3, .payload_type = 8, .ip_version = 6, .ip = "an IPv6 address.",
		                  .udp_port = 4000, .value = -12345678901 };
	struct reel_mark mark_out;
	uint8_t bytes[REEL_MARK_SIZE];

	reel_gap_write(&gap, bytes);
	assert_int_equal(reel_gap_read(&gap_out, span_of(bytes, REEL_GAP_SIZE)), SRS_OK);
	assert_int_equal(gap_out.reason, gap.reason);
	assert_int_equal(gap_out.n_frames, 5);
	assert_int_equal(gap_out.first_wall_ns, 6);
	assert_int_equal(gap_out.last_wall_ns, 7);
	assert_int_equal(reel_gap_read(&gap_out, span_of(bytes, REEL_GAP_SIZE - 1)), SRS_ERR_INVALID);
	bytes[2] = 1;
	assert_int_equal(reel_gap_read(&gap_out, span_of(bytes, REEL_GAP_SIZE)), SRS_ERR_INVALID);
	bytes[2] = 0;
	bytes[0] = REEL_REASONS_MAX;
	assert_int_equal(reel_gap_read(&gap_out, span_of(bytes, REEL_GAP_SIZE)), SRS_ERR_INVALID);

	reel_mark_write(&mark, bytes);
	assert_int_equal(reel_mark_read(&mark_out, span_of(bytes, REEL_MARK_SIZE)), SRS_OK);
	assert_int_equal(mark_out.kind, mark.kind);
	assert_int_equal(mark_out.index, mark.index);
	assert_int_equal(mark_out.value, mark.value);
	assert_memory_equal(mark_out.ip, mark.ip, 16);
	assert_int_equal(mark_out.udp_port, 4000);
	mark.ip_version = 4; /* only four bytes of it are written */
	reel_mark_write(&mark, bytes);
	assert_int_equal(reel_mark_read(&mark_out, span_of(bytes, REEL_MARK_SIZE)), SRS_OK);
	assert_memory_equal(mark_out.ip, "an I\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	bytes[30] = 1;
	assert_int_equal(reel_mark_read(&mark_out, span_of(bytes, REEL_MARK_SIZE)), SRS_ERR_INVALID);
	bytes[30] = 0;
	bytes[0] = 8;
	assert_int_equal(reel_mark_read(&mark_out, span_of(bytes, REEL_MARK_SIZE)), SRS_ERR_INVALID);
}

static void
every_reason_has_a_name(void **state)
{
	assert_string_equal(reel_reason_name(REEL_REASON_PAUSED), "paused");
	for (int i = 0; i <= REEL_REASON_TOO_LONG; i++)
		assert_string_not_equal(reel_reason_name((enum reel_reason)i), "unknown");
	assert_string_equal(reel_reason_name((enum reel_reason)200), "unknown");
}

/* ---- envelope ---- */

static void
envelope_comes_back_with_all_its_stanzas(void **state)
{
	static struct reel_envelope e = { .suite = REEL_SUITE_CHACHA20_POLY1305, .recording = "the recording id",
		                          .part = 5, .interval_id = "the interval id.", .nonce = "twelve bytes",
		                          .n_stanzas = REEL_STANZAS_MAX };
	static struct reel_envelope out;
	size_t used;

	memset(e.wrapped_dek, 0xab, sizeof(e.wrapped_dek));
	for (uint8_t i = 0; i < REEL_STANZAS_MAX; i++) {
		memset(&e.stanzas[i], i + 1, sizeof(e.stanzas[i]));
		e.stanzas[i].kek_version = i;
	}
	used = reel_envelope_write(&e, slot);
	assert_int_equal(used, 112 + 36 * 100);
	reel_slot_finish(uuid, 1, slot, used);
	assert_int_equal(reel_slot_kind(uuid, 1, slot), REEL_SLOT_ENVELOPE);
	assert_int_equal(reel_envelope_read(&out, slot), SRS_OK);
	assert_memory_equal(&out, &e, sizeof(e));

	slot[used] = 1; /* padding */
	assert_int_equal(reel_envelope_read(&out, slot), SRS_ERR_INVALID);
	slot[used] = 0;
	slot[29] = REEL_STANZAS_MAX + 1;
	assert_int_equal(reel_envelope_read(&out, slot), SRS_ERR_INVALID);
	slot[29] = REEL_STANZAS_MAX - 1; /* a stanza cut away becomes padding that is not zero */
	assert_int_equal(reel_envelope_read(&out, slot), SRS_ERR_INVALID);
}

static void
an_erased_envelope_is_erased_whole(void **state)
{
	static struct reel_envelope e = { .suite = REEL_SUITE_AES_256_GCM, .recording = "the recording id" }, out;

	reel_slot_finish(uuid, 1, slot, reel_envelope_write(&e, slot));
	assert_int_equal(reel_envelope_read(&out, slot), SRS_OK);
	assert_int_equal(out.n_stanzas, 0);
	slot[70] = 1; /* something of the wrapped key is left */
	assert_int_equal(reel_envelope_read(&out, slot), SRS_ERR_INVALID);
	slot[70] = 0;
	slot[29] = 1; /* padding passed off as a stanza */
	assert_int_equal(reel_envelope_read(&out, slot), SRS_ERR_INVALID);
}

/* ---- seal ---- */

#define N_STREAMS 100
#define N_MISSING 3

static struct reel_seal_stream streams[N_STREAMS], streams_out[REEL_SEAL_STREAMS_MAX];
static const struct reel_seal_missing missing[N_MISSING] = { { 2, 2 }, { 5, 9 }, { 10, 12 } };
static struct reel_seal_missing missing_out[N_MISSING];
static struct reel_seal seal = { .recording = "the recording id", .part = 1, .final = true, .n_chunks = 40,
	                         .n_frames = 4000, .first_wall_ns = 1, .last_wall_ns = 2, .bound_ms = 650,
	                         .root = "r", .previous = "p", .reason = "bye", .node = "box",
	                         .n_streams = N_STREAMS, .streams = streams, .n_missing = N_MISSING,
	                         .missing = missing };
static const struct reel_proof proof = { .index = 5, .n_leaves = 9, .n_path = 4, .path = { "a", "b", "c", "d" },
	                                 .commit_root = "c", .node_key_id = "k", .signature = "s" };
static uint8_t seal_body[REEL_SEAL_BODY_MAX], joined[REEL_SEAL_SLOTS_MAX * REEL_SLOT_SIZE];
static uint8_t seal_slots[REEL_SEAL_SLOTS_MAX][REEL_SLOT_SIZE];

/* @return joined length */
static size_t
seal_round(struct reel_seal_piece *piece, size_t *body_len, unsigned int *n)
{
	size_t len = 0;

	for (unsigned int i = 0; i < N_STREAMS; i++)
		streams[i] = (struct reel_seal_stream){ .stream = (uint8_t)i, .ssrc = i, .recorded = 1000 + i,
			                                .missing = { 0, 1, 2, 3, 4, 5, 6, i } };
	*body_len = reel_seal_body_write(&seal, seal_body, sizeof(seal_body));
	assert_int_equal(*body_len, 256 + N_STREAMS * 112 + N_MISSING * 16);
	*n = reel_seal_slots_write(&seal, span_of(seal_body, *body_len), &proof, seal_slots, REEL_SEAL_SLOTS_MAX);
	for (unsigned int i = 0; i < *n; i++) {
		assert_int_equal(reel_seal_piece_read(piece, seal_slots[i]), SRS_OK);
		assert_int_equal(piece->piece, i);
		assert_int_equal(piece->n_pieces, *n);
		memcpy(joined + len, piece->bytes.bytes, piece->bytes.len);
		len += piece->bytes.len;
	}
	return len;
}

static enum srs_err
seal_read(struct reel_seal *s, size_t len)
{
	struct reel_proof p;
	struct span body;

	return reel_seal_read(s, &p, &body, span_of(joined, len), streams_out, REEL_SEAL_STREAMS_MAX, missing_out,
	                      N_MISSING);
}

static void
a_seal_over_several_slots_comes_back(void **state)
{
	struct reel_seal_piece piece;
	struct reel_proof proof_out;
	struct reel_seal out;
	struct span body;
	size_t body_len, len;
	unsigned int n;

	len = seal_round(&piece, &body_len, &n);
	assert_int_equal(n, 3);
	assert_int_equal(len, 128 + 4 * 32 + body_len);
	assert_int_equal(reel_seal_read(&out, &proof_out, &body, span_of(joined, len), streams_out,
	                                REEL_SEAL_STREAMS_MAX, missing_out, N_MISSING), SRS_OK);
	assert_true(span_equal(body, span_of(seal_body, body_len)));
	assert_memory_equal(&proof_out, &proof, sizeof(proof));
	assert_memory_equal(streams_out, streams, sizeof(streams));
	assert_memory_equal(missing_out, missing, sizeof(missing));
	assert_memory_equal(out.root, seal.root, REEL_DIGEST_SIZE);
	assert_string_equal(out.reason, "bye");
	assert_int_equal(out.n_frames, 4000);
	assert_true(out.final);
	assert_false(out.interrupted);
	assert_true(reel_seal_piece_agrees(&piece, &out));
	piece.part++;
	assert_false(reel_seal_piece_agrees(&piece, &out));
}

static void
seals_that_no_writer_makes_are_refused(void **state)
{
	struct reel_seal_piece piece;
	struct reel_proof proof_out;
	struct reel_seal out;
	struct span body;
	size_t body_len, len, head = 128 + 4 * 32;
	unsigned int n;

	len = seal_round(&piece, &body_len, &n);
	for (size_t cut = 0; cut < len; cut += 13)
		assert_int_equal(seal_read(&out, cut), SRS_ERR_INVALID);
	assert_int_equal(reel_seal_read(&out, &proof_out, &body, span_of(joined, len), streams_out, N_STREAMS - 1,
	                                missing_out, N_MISSING), SRS_ERR_LIMIT);
	assert_int_equal(reel_seal_read(&out, &proof_out, &body, span_of(joined, len), streams_out, N_STREAMS,
	                                missing_out, N_MISSING - 1), SRS_ERR_LIMIT);
	static const struct { size_t at; uint8_t value; } rows[] = {
		{ 3, 9 },	/* index = n_leaves */
		{ 8, 17 },	/* path too long */
		{ 9, 1 },	/* zero bytes of the proof */
		{ 15, 1 },	/* body length */
		{ 256, 2 },	/* version of the body, and its zero byte */
		{ 257, 1 },
		{ 258, 1 },	/* FINAL and INTERRUPTED */
		{ 259, 3 },	/* unknown flag */
		{ 256 + 125, 99 },	/* n_streams against the length */
		{ 256 + 128 + 4, 'x' },	/* behind the reason's NUL */
		{ 256 + 192 + 63, 'x' },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t before = joined[rows[i].at];

		joined[rows[i].at] = rows[i].value;
		assert_int_equal(seal_read(&out, len), SRS_ERR_INVALID);
		joined[rows[i].at] = before;
	}
	joined[head + body_len - 16 + 7] = 9; /* ranges that overlap */
	assert_int_equal(seal_read(&out, len), SRS_ERR_INVALID);
}

static void
seal_pieces_that_no_writer_makes_are_refused(void **state)
{
	struct reel_seal_piece piece;
	size_t body_len;
	unsigned int n;
	static const struct { unsigned int slot; size_t at; uint8_t value; } rows[] = {
		{ 0, 5, 3 }, { 0, 6, 0 }, { 0, 6, 65 }, { 0, 7, 1 }, { 0, 28, 0x80 }, { 0, 29, 3 }, { 0, 31, 0 },
		{ 0, 30, 0xff }, { 2, 30, 0xff }, { 2, CRC_AT - 1, 1 }, { 2, 0, 'X' },
	};

	(void)seal_round(&piece, &body_len, &n);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t *at = &seal_slots[rows[i].slot][rows[i].at], before = *at;

		*at = rows[i].value;
		assert_int_not_equal(reel_seal_piece_read(&piece, seal_slots[rows[i].slot]), SRS_OK);
		*at = before;
	}
}

static void
a_seal_that_does_not_fit_is_not_written(void **state)
{
	struct reel_seal large = seal;
	struct reel_seal_missing *many = calloc(UINT16_MAX, sizeof(*many));

	assert_int_equal(reel_seal_body_write(&seal, seal_body, 255), 0);
	large.n_streams = REEL_SEAL_STREAMS_MAX + 1;
	assert_int_equal(reel_seal_body_write(&large, seal_body, sizeof(seal_body)), 0);
	large.n_streams = 0;
	large.missing = many;
	large.n_missing = UINT16_MAX;
	assert_int_equal(reel_seal_body_write(&large, seal_body, sizeof(seal_body)), 0);
	free(many);
	assert_int_equal(reel_seal_slots_write(&seal, span_of(seal_body, 9000), &proof, seal_slots, 2), 0);
	assert_int_equal(reel_seal_slots_write(&seal, span_of(seal_body, sizeof(seal_body)), &proof, seal_slots,
	                                       REEL_SEAL_SLOTS_MAX), REEL_SEAL_SLOTS_MAX);
}

static void
the_signed_message_is_label_count_and_root(void **state)
{
	uint8_t message[REEL_COMMIT_MESSAGE_SIZE];

	reel_commit_message(&proof, message);
	assert_memory_equal(message, "capstan commit v1\0\0\0\x9" "c\0\0", 24);
}

/* ---- footer ---- */

static void
footer_entries_come_back(void **state)
{
	static struct reel_footer_entry e[REEL_FOOTER_ENTRIES_PER_SLOT], out[REEL_FOOTER_ENTRIES_PER_SLOT];
	uint64_t first;
	unsigned int n;

	for (unsigned int i = 0; i < REEL_FOOTER_ENTRIES_PER_SLOT; i++) {
		e[i] = (struct reel_footer_entry){ .part = i, .chunk_no = 10 * i, .kind = REEL_SLOT_CHUNK, .flags = 3 };
		memset(e[i].recording, (int)i, REEL_ID_SIZE);
	}
	reel_slot_finish(uuid, 9, slot, reel_footer_write(250, e, REEL_FOOTER_ENTRIES_PER_SLOT, slot));
	assert_int_equal(reel_slot_kind(uuid, 9, slot), REEL_SLOT_FOOTER);
	assert_int_equal(reel_footer_read(&first, out, &n, slot), SRS_OK);
	assert_int_equal(first, 250);
	assert_int_equal(n, REEL_FOOTER_ENTRIES_PER_SLOT);
	assert_memory_equal(out, e, sizeof(e));

	slot[7] = REEL_FOOTER_ENTRIES_PER_SLOT + 1;
	assert_int_equal(reel_footer_read(&first, out, &n, slot), SRS_ERR_INVALID);
	slot[7] = REEL_FOOTER_ENTRIES_PER_SLOT;
	slot[15] = 251; /* not a multiple of 125 */
	assert_int_equal(reel_footer_read(&first, out, &n, slot), SRS_ERR_INVALID);
	slot[15] = 250;
	slot[40] = 1;
	assert_int_equal(reel_footer_read(&first, out, &n, slot), SRS_ERR_INVALID);
	slot[40] = 0;
	slot[64 + 28] = REEL_SLOT_DAMAGED;
	assert_int_equal(reel_footer_read(&first, out, &n, slot), SRS_ERR_INVALID);
	slot[64 + 28] = REEL_SLOT_EMPTY; /* an unused slot with a number */
	slot[64 + 27] = 1;
	assert_int_equal(reel_footer_read(&first, out, &n, slot), SRS_ERR_INVALID);
}

static void
the_footer_area_is_large_enough_and_no_larger(void **state)
{
	for (uint64_t n_slots = 2; n_slots < 3000; n_slots++) {
		uint64_t n = reel_footer_slots(n_slots);

		assert_true(n * REEL_FOOTER_ENTRIES_PER_SLOT >= n_slots - n);
		assert_true((n - 1) * REEL_FOOTER_ENTRIES_PER_SLOT < n_slots - (n - 1));
	}
	assert_int_equal(reel_footer_slots(UINT64_MAX), UINT64_MAX / 126 + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_knows_its_place_and_its_container),
		cmocka_unit_test(every_flipped_bit_of_a_slot_is_seen),
		cmocka_unit_test(a_slot_of_zeros_is_empty_and_of_one_bit_is_not),
		cmocka_unit_test(container_header_comes_back),
		cmocka_unit_test(every_flipped_bit_of_a_container_header_is_refused),
		cmocka_unit_test(absurd_geometry_is_refused),
		cmocka_unit_test(a_later_version_is_unsupported),
		cmocka_unit_test(chunk_head_comes_back_from_the_documented_offsets),
		cmocka_unit_test(chunk_heads_that_no_writer_makes_are_refused),
		cmocka_unit_test(frames_are_walked_to_the_end),
		cmocka_unit_test(cut_off_frames_are_refused),
		cmocka_unit_test(gaps_and_marks_come_back),
		cmocka_unit_test(every_reason_has_a_name),
		cmocka_unit_test(envelope_comes_back_with_all_its_stanzas),
		cmocka_unit_test(an_erased_envelope_is_erased_whole),
		cmocka_unit_test(a_seal_over_several_slots_comes_back),
		cmocka_unit_test(seals_that_no_writer_makes_are_refused),
		cmocka_unit_test(seal_pieces_that_no_writer_makes_are_refused),
		cmocka_unit_test(a_seal_that_does_not_fit_is_not_written),
		cmocka_unit_test(the_signed_message_is_label_count_and_root),
		cmocka_unit_test(footer_entries_come_back),
		cmocka_unit_test(the_footer_area_is_large_enough_and_no_larger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
