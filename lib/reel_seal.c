#include <assert.h>
#include <string.h>

#include "lib/reel.h"
#include "lib/srs_assert.h"

#define CRC_AT (REEL_SLOT_SIZE - REEL_CRC_SIZE)
#define PIECE_HEAD      32
#define PIECE_SIZE      (CRC_AT - PIECE_HEAD)
#define PROOF_HEAD      128
#define BODY_HEAD       256
#define STREAM_SIZE     112
#define MISSING_SIZE    16
#define SEAL_INTERRUPTED 0x0100
#define SEAL_FLAGS      (REEL_CHUNK_FINAL | SEAL_INTERRUPTED)
#define COMMIT_LABEL    "capstan commit v1"

static_assert(PROOF_HEAD + REEL_PATH_MAX * REEL_DIGEST_SIZE + REEL_SEAL_BODY_MAX <= REEL_SEAL_SLOTS_MAX * PIECE_SIZE,
              "the largest seal fits its slots");
static_assert(sizeof(COMMIT_LABEL) - 1 + 4 + REEL_DIGEST_SIZE == REEL_COMMIT_MESSAGE_SIZE, "label, n_leaves, root");

void
reel_commit_message(const struct reel_proof *proof, uint8_t message[REEL_COMMIT_MESSAGE_SIZE])
{
	struct filler f = filler_of(message, REEL_COMMIT_MESSAGE_SIZE);

	write_bytes(&f, COMMIT_LABEL, sizeof(COMMIT_LABEL) - 1);
	write_u32be(&f, proof->n_leaves);
	write_bytes(&f, proof->commit_root, REEL_DIGEST_SIZE);
	srs_assert(!f.bad);
}

static uint16_t
seal_flags(const struct reel_seal *s)
{
	return (uint16_t)((s->final ? REEL_CHUNK_FINAL : 0) | (s->interrupted ? SEAL_INTERRUPTED : 0));
}

/* ---- signed body ---- */

static void
text_write(struct filler *f, const char text[64])
{
	uint8_t padded[64] = { 0 };

	memcpy(padded, text, strnlen(text, sizeof(padded) - 1));
	write_bytes(f, padded, sizeof(padded));
}

static void
stream_write(struct filler *f, const struct reel_seal_stream *st)
{
	write_u8(f, st->stream);
	write_u8(f, st->payload_type);
	write_u16be(f, st->generation);
	write_u32be(f, st->ssrc);
	write_u64be(f, st->first_index);
	write_u64be(f, st->highest_index);
	write_u64be(f, st->recorded);
	write_u64be(f, st->duplicates);
	write_u64be(f, st->rtcp);
	for (int i = 0; i < REEL_REASONS_MAX; i++)
		write_u64be(f, st->missing[i]);
}

size_t
reel_seal_body_write(const struct reel_seal *s, uint8_t *out, size_t out_len)
{
	struct filler f = filler_of(out, out_len < REEL_SEAL_BODY_MAX ? out_len : REEL_SEAL_BODY_MAX);

	srs_assert(!(s->final && s->interrupted));
	if (s->n_streams > REEL_SEAL_STREAMS_MAX)
		return 0;
	write_u8(&f, REEL_VERSION);
	write_u8(&f, 0);
	write_u16be(&f, seal_flags(s));
	write_u32be(&f, s->part);
	write_bytes(&f, s->recording, REEL_ID_SIZE);
	write_u64be(&f, s->n_chunks);
	write_u64be(&f, s->n_frames);
	write_u64be(&f, s->first_wall_ns);
	write_u64be(&f, s->last_wall_ns);
	write_bytes(&f, s->root, REEL_DIGEST_SIZE);
	write_bytes(&f, s->previous, REEL_DIGEST_SIZE);
	write_u32be(&f, s->bound_ms);
	write_u16be(&f, s->n_streams);
	write_u16be(&f, s->n_missing);
	text_write(&f, s->reason);
	text_write(&f, s->node);
	for (unsigned int i = 0; i < s->n_streams; i++)
		stream_write(&f, &s->streams[i]);
	for (unsigned int i = 0; i < s->n_missing; i++) {
		write_u64be(&f, s->missing[i].first);
		write_u64be(&f, s->missing[i].last);
	}
	return f.bad ? 0 : filler_used(&f);
}

/* ---- slots ---- */

static size_t
proof_write(const struct reel_proof *p, size_t body_len, uint8_t *out, size_t out_len)
{
	struct filler f = filler_of(out, out_len);

	srs_assert(p->n_path <= REEL_PATH_MAX);
	write_u32be(&f, p->index);
	write_u32be(&f, p->n_leaves);
	write_u8(&f, p->n_path);
	write_be(&f, 0, 3);
	write_u32be(&f, (uint32_t)body_len);
	write_bytes(&f, p->commit_root, REEL_DIGEST_SIZE);
	write_bytes(&f, p->node_key_id, REEL_ID_SIZE);
	write_bytes(&f, p->signature, sizeof(p->signature));
	srs_assert(filler_used(&f) == PROOF_HEAD);
	for (unsigned int i = 0; i < p->n_path; i++)
		write_bytes(&f, p->path[i], REEL_DIGEST_SIZE);
	srs_assert(!f.bad);
	return filler_used(&f);
}

static void
piece_head_write(const struct reel_seal *s, unsigned int piece, unsigned int n_pieces, size_t len,
                 uint8_t slot[REEL_SLOT_SIZE])
{
	struct filler f = filler_of(slot, PIECE_HEAD);

	write_bytes(&f, "SEAL", 4);
	write_u8(&f, REEL_VERSION);
	write_u8(&f, (uint8_t)piece);
	write_u8(&f, (uint8_t)n_pieces);
	write_u8(&f, 0);
	write_bytes(&f, s->recording, REEL_ID_SIZE);
	write_u32be(&f, s->part);
	write_u16be(&f, seal_flags(s));
	write_u16be(&f, (uint16_t)len);
	srs_assert(!f.bad);
}

/* As much of `from` as fits behind `used` bytes of a piece; `from` moves on. */
static size_t
piece_fill(uint8_t slot[REEL_SLOT_SIZE], size_t used, struct span *from)
{
	size_t n = from->len < PIECE_SIZE - used ? from->len : PIECE_SIZE - used;

	if (n != 0)
		memcpy(slot + PIECE_HEAD + used, from->bytes, n);
	*from = span_of(from->bytes + n, from->len - n);
	return used + n;
}

unsigned int
reel_seal_slots_write(const struct reel_seal *s, struct span body, const struct reel_proof *proof,
                      uint8_t (*slots)[REEL_SLOT_SIZE], unsigned int slots_max)
{
	uint8_t head[PROOF_HEAD + REEL_PATH_MAX * REEL_DIGEST_SIZE];
	struct span rest = span_of(head, proof_write(proof, body.len, head, sizeof(head)));
	size_t n_pieces = (rest.len + body.len + PIECE_SIZE - 1) / PIECE_SIZE;

	if (n_pieces > slots_max || n_pieces > REEL_SEAL_SLOTS_MAX)
		return 0;
	for (unsigned int i = 0; i < n_pieces; i++) {
		size_t len = piece_fill(slots[i], 0, &rest);

		len = piece_fill(slots[i], len, &body);
		piece_head_write(s, i, (unsigned int)n_pieces, len, slots[i]);
		memset(slots[i] + PIECE_HEAD + len, 0, REEL_SLOT_SIZE - PIECE_HEAD - len);
	}
	return (unsigned int)n_pieces;
}

enum srs_err
reel_seal_piece_read(struct reel_seal_piece *p, const uint8_t slot[REEL_SLOT_SIZE])
{
	struct reader r = reader_of(span_of(slot, CRC_AT));
	struct span magic = read_span(&r, 4);
	uint8_t version = read_u8(&r), zero;
	uint16_t len;

	if (!span_equal(magic, span_of("SEAL", 4)))
		return SRS_ERR_INVALID;
	if (version != REEL_VERSION)
		return SRS_ERR_UNSUPPORTED;
	p->piece = read_u8(&r);
	p->n_pieces = read_u8(&r);
	zero = read_u8(&r);
	read_bytes(&r, p->recording, REEL_ID_SIZE);
	p->part = read_u32be(&r);
	p->flags = read_u16be(&r);
	len = read_u16be(&r);
	p->bytes = read_span(&r, len);
	if (reader_is_bad(&r) || zero != 0 || (p->flags & ~SEAL_FLAGS) || p->flags == SEAL_FLAGS)
		return SRS_ERR_INVALID;
	if (p->n_pieces == 0 || p->n_pieces > REEL_SEAL_SLOTS_MAX || p->piece >= p->n_pieces)
		return SRS_ERR_INVALID;
	if (len == 0 || (p->piece + 1 < p->n_pieces && len != PIECE_SIZE))
		return SRS_ERR_INVALID;
	return span_is_zero(reader_rest(&r)) ? SRS_OK : SRS_ERR_INVALID;
}

bool
reel_seal_piece_agrees(const struct reel_seal_piece *p, const struct reel_seal *s)
{
	return memcmp(p->recording, s->recording, REEL_ID_SIZE) == 0 && p->part == s->part
	       && p->flags == seal_flags(s);
}

/* ---- reading ---- */

/* @return the body's length */
static size_t
proof_read(struct reel_proof *p, struct reader *r)
{
	uint64_t zero;
	size_t body_len;

	memset(p, 0, sizeof(*p));
	p->index = read_u32be(r);
	p->n_leaves = read_u32be(r);
	p->n_path = read_u8(r);
	zero = read_be(r, 3);
	body_len = read_u32be(r);
	read_bytes(r, p->commit_root, REEL_DIGEST_SIZE);
	read_bytes(r, p->node_key_id, REEL_ID_SIZE);
	read_bytes(r, p->signature, sizeof(p->signature));
	if (zero != 0 || p->n_path > REEL_PATH_MAX || p->index >= p->n_leaves)
		r->bad = true;
	for (unsigned int i = 0; i < p->n_path && !r->bad; i++)
		read_bytes(r, p->path[i], REEL_DIGEST_SIZE);
	return body_len;
}

static void
text_read(struct reader *r, char text[64])
{
	size_t len;

	read_bytes(r, text, 64);
	len = strnlen(text, 64);
	if (len == 64 || !span_is_zero(span_of(text + len, 64 - len)))
		r->bad = true;
}

static void
stream_read(struct reader *r, struct reel_seal_stream *st)
{
	st->stream = read_u8(r);
	st->payload_type = read_u8(r);
	st->generation = read_u16be(r);
	st->ssrc = read_u32be(r);
	st->first_index = read_u64be(r);
	st->highest_index = read_u64be(r);
	st->recorded = read_u64be(r);
	st->duplicates = read_u64be(r);
	st->rtcp = read_u64be(r);
	for (int i = 0; i < REEL_REASONS_MAX; i++)
		st->missing[i] = read_u64be(r);
}

static void
body_head_read(struct reader *r, struct reel_seal *s)
{
	uint8_t version = read_u8(r), zero = read_u8(r);
	uint16_t flags = read_u16be(r);

	memset(s, 0, sizeof(*s));
	s->final = flags & REEL_CHUNK_FINAL;
	s->interrupted = flags & SEAL_INTERRUPTED;
	s->part = read_u32be(r);
	read_bytes(r, s->recording, REEL_ID_SIZE);
	s->n_chunks = read_u64be(r);
	s->n_frames = read_u64be(r);
	s->first_wall_ns = read_u64be(r);
	s->last_wall_ns = read_u64be(r);
	read_bytes(r, s->root, REEL_DIGEST_SIZE);
	read_bytes(r, s->previous, REEL_DIGEST_SIZE);
	s->bound_ms = read_u32be(r);
	s->n_streams = read_u16be(r);
	s->n_missing = read_u16be(r);
	text_read(r, s->reason);
	text_read(r, s->node);
	if (version != REEL_VERSION || zero != 0 || (flags & ~SEAL_FLAGS) || flags == SEAL_FLAGS)
		r->bad = true;
}

static void
missing_read(struct reader *r, struct reel_seal_missing *missing, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		missing[i].first = read_u64be(r);
		missing[i].last = read_u64be(r);
		if (missing[i].first > missing[i].last || (i > 0 && missing[i].first <= missing[i - 1].last))
			r->bad = true;
	}
}

enum srs_err
reel_seal_read(struct reel_seal *s, struct reel_proof *proof, struct span *body, struct span joined,
               struct reel_seal_stream *streams, uint16_t streams_max, struct reel_seal_missing *missing,
               uint16_t missing_max)
{
	struct reader r = reader_of(joined);
	size_t body_len = proof_read(proof, &r);

	if (reader_is_bad(&r) || body_len != reader_left(&r) || body_len > REEL_SEAL_BODY_MAX)
		return SRS_ERR_INVALID;
	*body = reader_rest(&r);
	body_head_read(&r, s);
	if (reader_is_bad(&r) || s->n_streams > REEL_SEAL_STREAMS_MAX
	    || reader_left(&r) != (size_t)s->n_streams * STREAM_SIZE + (size_t)s->n_missing * MISSING_SIZE)
		return SRS_ERR_INVALID;
	if (s->n_streams > streams_max || s->n_missing > missing_max)
		return SRS_ERR_LIMIT;
	for (unsigned int i = 0; i < s->n_streams; i++)
		stream_read(&r, &streams[i]);
	missing_read(&r, missing, s->n_missing);
	s->streams = streams;
	s->missing = missing;
	return reader_is_bad(&r) ? SRS_ERR_INVALID : SRS_OK;
}
