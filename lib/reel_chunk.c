#include <string.h>

#include "lib/reel.h"
#include "lib/srs_assert.h"

#define CRC_AT (REEL_SLOT_SIZE - REEL_CRC_SIZE)
#define CHUNK_FLAGS                                                                                        \
	(REEL_CHUNK_END | REEL_CHUNK_FINAL | REEL_CHUNK_DOCUMENTS | REEL_CHUNK_CLEAR | REEL_CHUNK_COMMITMENT \
	 | REEL_CHUNK_SALVAGE)
#define CHUNK_ZEROS   10
#define ENVELOPE_HEAD 112
#define STANZA_SIZE   100

static_assert(ENVELOPE_HEAD + REEL_STANZAS_MAX * STANZA_SIZE <= CRC_AT, "an envelope fits a slot");

/* ---- chunk ---- */

static size_t
extension_len(uint16_t flags)
{
	return (flags & REEL_CHUNK_COMMITMENT ? REEL_COMMITMENT_SIZE : 0)
	       + (flags & REEL_CHUNK_SALVAGE ? REEL_ORIGIN_SIZE : 0);
}

size_t
reel_chunk_head_len(uint16_t flags)
{
	return REEL_CHUNK_HEADER_SIZE + extension_len(flags);
}

size_t
reel_chunk_body_max(uint16_t flags)
{
	return REEL_BODY_MAX - extension_len(flags);
}

size_t
reel_chunk_head_write(const struct reel_chunk *c, uint8_t slot[REEL_SLOT_SIZE])
{
	static const uint8_t zeros[CHUNK_ZEROS];
	struct filler f = filler_of(slot, reel_chunk_head_len(c->flags));

	srs_assert(c->body_len <= reel_chunk_body_max(c->flags));
	write_bytes(&f, "CHNK", 4);
	write_u8(&f, REEL_VERSION);
	write_u8(&f, (uint8_t)c->suite);
	write_u16be(&f, c->flags);
	write_u64be(&f, c->chunk_no);
	write_bytes(&f, c->recording, REEL_ID_SIZE);
	write_u32be(&f, c->part);
	write_u32be(&f, c->body_len);
	write_u64be(&f, c->first_wall_ns);
	write_u32be(&f, c->n_frames);
	write_u16be(&f, (uint16_t)extension_len(c->flags));
	write_bytes(&f, zeros, sizeof(zeros));
	if (c->flags & REEL_CHUNK_COMMITMENT)
		write_bytes(&f, c->commitment, REEL_COMMITMENT_SIZE);
	if (c->flags & REEL_CHUNK_SALVAGE) {
		write_u32be(&f, c->origin_part);
		write_u64be(&f, c->origin_chunk_no);
	}
	return filler_used(&f);
}

static bool
suite_is_known(uint8_t suite)
{
	return suite == REEL_SUITE_AES_256_GCM || suite == REEL_SUITE_CHACHA20_POLY1305;
}

static bool
chunk_is_sane(const struct reel_chunk *c)
{
	if (c->flags & ~CHUNK_FLAGS)
		return false;
	if ((c->flags & REEL_CHUNK_FINAL) && !(c->flags & REEL_CHUNK_END))
		return false;
	if (((c->flags & REEL_CHUNK_COMMITMENT) != 0) != (c->chunk_no == 0))
		return false;
	if (c->body_len > reel_chunk_body_max(c->flags))
		return false;
	if ((c->n_frames == 0) != (c->body_len == 0))
		return false;
	return c->n_frames <= c->body_len / REEL_FRAME_HEADER_SIZE;
}

enum srs_err
reel_chunk_head_read(struct reel_chunk *c, const uint8_t slot[REEL_SLOT_SIZE])
{
	struct reader r = reader_of(span_of(slot, CRC_AT));
	struct span magic = read_span(&r, 4);
	uint8_t version = read_u8(&r), suite = read_u8(&r);
	uint16_t ext_len;

	if (!span_equal(magic, span_of("CHNK", 4)))
		return SRS_ERR_INVALID;
	if (version != REEL_VERSION || !suite_is_known(suite))
		return SRS_ERR_UNSUPPORTED;
	memset(c, 0, sizeof(*c));
	c->suite = (enum reel_suite)suite;
	c->flags = read_u16be(&r);
	c->chunk_no = read_u64be(&r);
	read_bytes(&r, c->recording, REEL_ID_SIZE);
	c->part = read_u32be(&r);
	c->body_len = read_u32be(&r);
	c->first_wall_ns = read_u64be(&r);
	c->n_frames = read_u32be(&r);
	ext_len = read_u16be(&r);
	if (!span_is_zero(read_span(&r, CHUNK_ZEROS)) || ext_len != extension_len(c->flags) || !chunk_is_sane(c))
		return SRS_ERR_INVALID;

	if (c->flags & REEL_CHUNK_COMMITMENT)
		read_bytes(&r, c->commitment, REEL_COMMITMENT_SIZE);
	if (c->flags & REEL_CHUNK_SALVAGE) {
		c->origin_part = read_u32be(&r);
		c->origin_chunk_no = read_u64be(&r);
	}
	(void)read_span(&r, c->body_len + REEL_TAG_SIZE);
	if (reader_is_bad(&r) || !span_is_zero(reader_rest(&r)))
		return SRS_ERR_INVALID;
	return SRS_OK;
}

struct span
reel_chunk_signed(const struct reel_chunk *c, const uint8_t slot[REEL_SLOT_SIZE])
{
	return span_of(slot, reel_chunk_head_len(c->flags) + c->body_len + REEL_TAG_SIZE);
}

void
reel_chunk_nonce(const struct reel_chunk *c, uint8_t nonce[12])
{
	struct filler f = filler_of(nonce, 12);

	write_u32be(&f, 0);
	write_u64be(&f, c->chunk_no);
}

/* ---- frame ---- */

enum srs_err
reel_frame_next(struct reel_frame *f, struct span body, uint64_t first_wall_ns, size_t *at)
{
	struct reader r;
	uint16_t len;
	uint8_t kind;

	if (*at > body.len)
		return SRS_ERR_INVALID;
	if (*at == body.len)
		return SRS_ERR_LIMIT;
	r = reader_of(span_of(body.bytes + *at, body.len - *at));
	len = read_u16be(&r);
	kind = read_u8(&r);
	f->kind = kind & REEL_FRAME_KIND_MASK;
	f->flags = kind & (REEL_FRAME_MORE | REEL_FRAME_REDACTED);
	f->stream = read_u8(&r);
	f->wall_ns = first_wall_ns + (uint64_t)read_u32be(&r) * 1000;
	f->seq_ext = read_u32be(&r);
	f->bytes = read_span(&r, len);
	if (reader_is_bad(&r) || f->kind == 0)
		return SRS_ERR_INVALID;
	*at += REEL_FRAME_HEADER_SIZE + (size_t)len;
	return SRS_OK;
}

void
reel_gap_write(const struct reel_gap *g, uint8_t bytes[REEL_GAP_SIZE])
{
	struct filler f = filler_of(bytes, REEL_GAP_SIZE);

	write_u8(&f, (uint8_t)g->reason);
	write_be(&f, 0, 3);
	write_u64be(&f, g->n_frames);
	write_u64be(&f, g->first_wall_ns);
	write_u64be(&f, g->last_wall_ns);
	srs_assert_hot(!f.bad);
}

enum srs_err
reel_gap_read(struct reel_gap *g, struct span bytes)
{
	struct reader r = reader_of(bytes);
	uint8_t reason = read_u8(&r);
	uint64_t zero = read_be(&r, 3);

	g->n_frames = read_u64be(&r);
	g->first_wall_ns = read_u64be(&r);
	g->last_wall_ns = read_u64be(&r);
	if (reader_is_bad(&r) || reader_left(&r) != 0 || zero != 0)
		return SRS_ERR_INVALID;
	if (reason == REEL_REASON_NONE || reason >= REEL_REASONS_MAX)
		return SRS_ERR_INVALID;
	g->reason = (enum reel_reason)reason;
	return SRS_OK;
}

static size_t
ip_len(uint8_t ip_version)
{
	return ip_version == 6 ? 16 : ip_version == 4 ? 4 : 0;
}

void
reel_mark_write(const struct reel_mark *m, uint8_t bytes[REEL_MARK_SIZE])
{
	static const uint8_t zeros[16];
	struct filler f = filler_of(bytes, REEL_MARK_SIZE);

	write_u8(&f, (uint8_t)m->kind);
	write_u8(&f, m->payload_type);
	write_u16be(&f, m->generation);
	write_u32be(&f, m->ssrc);
	write_u64be(&f, m->index);
	write_u8(&f, m->ip_version);
	write_u8(&f, 0);
	write_u16be(&f, m->udp_port);
	write_u32be(&f, 0);
	write_bytes(&f, m->ip, ip_len(m->ip_version));
	write_bytes(&f, zeros, sizeof(zeros) - ip_len(m->ip_version));
	write_u64be(&f, (uint64_t)m->value);
	srs_assert_hot(!f.bad);
}

enum srs_err
reel_mark_read(struct reel_mark *m, struct span bytes)
{
	struct reader r = reader_of(bytes);
	uint8_t kind = read_u8(&r);
	uint64_t zero;

	m->payload_type = read_u8(&r);
	m->generation = read_u16be(&r);
	m->ssrc = read_u32be(&r);
	m->index = read_u64be(&r);
	m->ip_version = read_u8(&r);
	zero = read_u8(&r);
	m->udp_port = read_u16be(&r);
	zero |= read_u32be(&r);
	read_bytes(&r, m->ip, sizeof(m->ip));
	m->value = (int64_t)read_u64be(&r);
	if (reader_is_bad(&r) || reader_left(&r) != 0 || zero != 0)
		return SRS_ERR_INVALID;
	if (m->ip_version != 0 && m->ip_version != 4 && m->ip_version != 6)
		return SRS_ERR_INVALID;
	if (!span_is_zero(span_of(m->ip + ip_len(m->ip_version), sizeof(m->ip) - ip_len(m->ip_version))))
		return SRS_ERR_INVALID;
	if (kind < REEL_MARK_SSRC || kind > REEL_MARK_SEAM)
		return SRS_ERR_INVALID;
	m->kind = (enum reel_mark_kind)kind;
	return SRS_OK;
}

/* ---- envelope ---- */

size_t
reel_envelope_write(const struct reel_envelope *e, uint8_t slot[REEL_SLOT_SIZE])
{
	struct filler f = filler_of(slot, CRC_AT);

	srs_assert(e->n_stanzas <= REEL_STANZAS_MAX);
	write_bytes(&f, "ENVL", 4);
	write_u8(&f, REEL_VERSION);
	write_u8(&f, (uint8_t)e->suite);
	write_u16be(&f, 0);
	write_bytes(&f, e->recording, REEL_ID_SIZE);
	write_u32be(&f, e->part);
	write_u16be(&f, e->n_stanzas);
	write_u16be(&f, 0);
	write_bytes(&f, e->interval_id, REEL_ID_SIZE);
	write_bytes(&f, e->nonce, sizeof(e->nonce));
	write_bytes(&f, e->wrapped_dek, sizeof(e->wrapped_dek));
	write_u32be(&f, 0);
	srs_assert(filler_used(&f) == ENVELOPE_HEAD);
	for (unsigned int i = 0; i < e->n_stanzas; i++) {
		const struct reel_stanza *s = &e->stanzas[i];

		write_bytes(&f, s->kek_id, REEL_ID_SIZE);
		write_u32be(&f, s->kek_version);
		write_bytes(&f, s->ephemeral, sizeof(s->ephemeral));
		write_bytes(&f, s->wrapped, sizeof(s->wrapped));
	}
	srs_assert(!f.bad);
	return filler_used(&f);
}

static bool
envelope_is_blank(const struct reel_envelope *e)
{
	return span_is_zero(span_of(e->interval_id, sizeof(e->interval_id)))
	       && span_is_zero(span_of(e->nonce, sizeof(e->nonce)))
	       && span_is_zero(span_of(e->wrapped_dek, sizeof(e->wrapped_dek)));
}

enum srs_err
reel_envelope_read(struct reel_envelope *e, const uint8_t slot[REEL_SLOT_SIZE])
{
	struct reader r = reader_of(span_of(slot, CRC_AT));
	struct span magic = read_span(&r, 4);
	uint8_t version = read_u8(&r), suite = read_u8(&r);
	uint32_t zero = read_u16be(&r);

	if (!span_equal(magic, span_of("ENVL", 4)))
		return SRS_ERR_INVALID;
	if (version != REEL_VERSION || !suite_is_known(suite))
		return SRS_ERR_UNSUPPORTED;
	memset(e, 0, sizeof(*e));
	e->suite = (enum reel_suite)suite;
	read_bytes(&r, e->recording, REEL_ID_SIZE);
	e->part = read_u32be(&r);
	e->n_stanzas = read_u16be(&r);
	zero |= read_u16be(&r);
	read_bytes(&r, e->interval_id, REEL_ID_SIZE);
	read_bytes(&r, e->nonce, sizeof(e->nonce));
	read_bytes(&r, e->wrapped_dek, sizeof(e->wrapped_dek));
	zero |= read_u32be(&r);
	if (zero != 0 || e->n_stanzas > REEL_STANZAS_MAX)
		return SRS_ERR_INVALID;
	if (e->n_stanzas == 0 && !envelope_is_blank(e))
		return SRS_ERR_INVALID; /* erased, but not all of it */
	for (unsigned int i = 0; i < e->n_stanzas; i++) {
		struct reel_stanza *s = &e->stanzas[i];

		read_bytes(&r, s->kek_id, REEL_ID_SIZE);
		s->kek_version = read_u32be(&r);
		read_bytes(&r, s->ephemeral, sizeof(s->ephemeral));
		read_bytes(&r, s->wrapped, sizeof(s->wrapped));
		if (span_is_zero(span_of(s->ephemeral, sizeof(s->ephemeral))))
			return SRS_ERR_INVALID; /* padding passed off as a stanza */
	}
	if (reader_is_bad(&r) || !span_is_zero(reader_rest(&r)))
		return SRS_ERR_INVALID;
	return SRS_OK;
}
