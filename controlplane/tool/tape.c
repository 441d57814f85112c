#include "controlplane/tool/tape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX     100000
#define ENVELOPES_MAX 64

struct loading {
	struct tape *tape;
	unsigned int parts_room, damaged_room;
	enum srs_err err;
};

/* ---- collecting ---- */

static struct tape_part *
part_of(struct loading *l, uint32_t number)
{
	struct tape *t = l->tape;
	unsigned int i = t->n_parts;

	while (i > 0 && t->parts[i - 1].part >= number) {
		if (t->parts[i - 1].part == number)
			return &t->parts[i - 1];
		i--;
	}
	if (t->n_parts == l->parts_room) {
		unsigned int room = l->parts_room ? l->parts_room * 2 : 4;
		void *parts = t->n_parts < PARTS_MAX ? realloc(t->parts, room * sizeof(*t->parts)) : NULL;

		if (parts == NULL) {
			l->err = SRS_ERR_NOMEM;
			return NULL;
		}
		t->parts = parts;
		l->parts_room = room;
	}
	memmove(&t->parts[i + 1], &t->parts[i], (t->n_parts - i) * sizeof(*t->parts));
	memset(&t->parts[i], 0, sizeof(t->parts[i]));
	t->parts[i].part = number;
	t->n_parts++;
	return &t->parts[i];
}

static void
add_chunk(struct loading *l, struct tape_part *p, const struct tape_chunk *c)
{
	if (p->n_chunks == p->chunks_room) {
		unsigned int room = p->chunks_room ? p->chunks_room * 2 : 64;
		void *chunks = realloc(p->chunks, room * sizeof(*p->chunks));

		if (chunks == NULL) {
			l->err = SRS_ERR_NOMEM;
			return;
		}
		p->chunks = chunks;
		p->chunks_room = room;
	}
	p->chunks[p->n_chunks++] = *c;
}

static void
add_envelope(struct loading *l, struct tape_part *p, const uint8_t *slot)
{
	const uint8_t **envelopes;

	if (p->n_envelopes == ENVELOPES_MAX)
		return; /* one that opens is enough */
	envelopes = realloc(p->envelopes, (p->n_envelopes + 1) * sizeof(*envelopes));
	if (envelopes == NULL) {
		l->err = SRS_ERR_NOMEM;
		return;
	}
	p->envelopes = envelopes;
	envelopes[p->n_envelopes++] = slot;
}

static void
add_piece(struct tape_part *p, const uint8_t *slot)
{
	struct reel_seal_piece piece;

	if (reel_seal_piece_read(&piece, slot) != SRS_OK || piece.n_pieces > REEL_SEAL_SLOTS_MAX ||
	    piece.piece >= piece.n_pieces || (p->n_pieces != 0 && p->n_pieces != piece.n_pieces)) {
		p->seal_damaged = true;
		return;
	}
	p->n_pieces = piece.n_pieces;
	if (p->pieces[piece.piece] == NULL)
		p->n_pieces_seen++;
	p->pieces[piece.piece] = slot;
}

static void
add_damaged(struct loading *l, const struct vault_row *row)
{
	struct tape *t = l->tape;
	struct vault_row *rows = (struct vault_row *)(uintptr_t)t->damaged;

	if (t->n_damaged == l->damaged_room) {
		unsigned int room = l->damaged_room ? l->damaged_room * 2 : 16;

		rows = realloc(rows, room * sizeof(*rows));
		if (rows == NULL) {
			l->err = SRS_ERR_NOMEM;
			return;
		}
		t->damaged = rows;
		l->damaged_room = room;
	}
	rows[t->n_damaged++] = *row;
}

static bool
take_row(void *ctx, const struct vault_row *row)
{
	struct loading *l = ctx;
	struct tape_chunk c = { .file = row->file, .slot_no = row->slot_no, .slot = row->slot };
	enum reel_slot_kind kind;
	struct tape_part *p;

	if (row->entry.kind == REEL_SLOT_DAMAGED) {
		if (row->file->head.kind == REEL_CONTAINER_REEL) /* all of a reel is one recording's */
			add_damaged(l, row);
		return l->err == SRS_OK;
	}
	if (memcmp(row->entry.recording, l->tape->id, REEL_ID_SIZE) != 0)
		return true;
	p = part_of(l, row->entry.part);
	if (p == NULL)
		return false;
	kind = vault_row_kind(row);
	if (kind == REEL_SLOT_CHUNK && reel_chunk_head_read(&c.head, row->slot) == SRS_OK &&
	    memcmp(c.head.recording, l->tape->id, REEL_ID_SIZE) == 0 && c.head.part == row->entry.part) {
		add_chunk(l, p, &c);
	} else if (kind == REEL_SLOT_ENVELOPE && row->entry.kind == REEL_SLOT_ENVELOPE) {
		add_envelope(l, p, row->slot);
	} else if (kind == REEL_SLOT_SEAL && row->entry.kind == REEL_SLOT_SEAL) {
		add_piece(p, row->slot);
	} else {
		add_damaged(l, row);
		p->n_damaged++;
		if (row->entry.kind == REEL_SLOT_SEAL)
			p->seal_damaged = true;
		if (row->entry.kind == REEL_SLOT_CHUNK) {
			c.damaged = true;
			c.head.part = row->entry.part;
			c.head.chunk_no = row->entry.chunk_no;
			add_chunk(l, p, &c);
		}
	}
	return l->err == SRS_OK;
}

/* ---- putting in order ---- */

static int
by_chunk_no(const void *a, const void *b)
{
	const struct tape_chunk *x = a, *y = b;

	if (x->head.chunk_no != y->head.chunk_no)
		return x->head.chunk_no < y->head.chunk_no ? -1 : 1;
	return (int)x->damaged - (int)y->damaged; /* the good copy first */
}

/* Is `copy` the same chunk as `c`? Its crc belongs to another slot, so the signed bytes count. */
static bool
same_chunk(const struct tape_chunk *c, const struct tape_chunk *copy)
{
	return copy->damaged || span_equal(reel_chunk_signed(&c->head, c->slot), reel_chunk_signed(&copy->head, copy->slot));
}

static void
order_chunks(struct tape_part *p)
{
	unsigned int kept = 0;

	if (p->n_chunks == 0)
		return;
	qsort(p->chunks, p->n_chunks, sizeof(*p->chunks), by_chunk_no);
	for (unsigned int i = 1; i < p->n_chunks; i++) {
		if (p->chunks[i].head.chunk_no == p->chunks[kept].head.chunk_no) {
			if (!same_chunk(&p->chunks[kept], &p->chunks[i]))
				p->conflicting = true;
		} else {
			p->chunks[++kept] = p->chunks[i];
		}
	}
	p->n_chunks = kept + 1;
}

/* The head of a piece is not signed: it must say what the signed body says. */
static bool
pieces_agree(const struct tape_part *p)
{
	for (unsigned int i = 0; i < p->n_pieces; i++) {
		struct reel_seal_piece piece;

		if (reel_seal_piece_read(&piece, p->pieces[i]) != SRS_OK || !reel_seal_piece_agrees(&piece, &p->seal))
			return false;
	}
	return true;
}

static enum srs_err
join_seal(struct tape_part *p)
{
	size_t len = 0;

	if (p->n_pieces == 0 || p->n_pieces_seen != p->n_pieces) {
		p->seal_damaged |= p->n_pieces != 0;
		return SRS_OK;
	}
	p->seal_bytes = malloc((size_t)p->n_pieces * REEL_SLOT_SIZE);
	p->streams = calloc(REEL_SEAL_STREAMS_MAX, sizeof(*p->streams));
	p->missing = calloc(UINT16_MAX, sizeof(*p->missing));
	if (p->seal_bytes == NULL || p->streams == NULL || p->missing == NULL)
		return SRS_ERR_NOMEM;
	for (unsigned int i = 0; i < p->n_pieces; i++) {
		struct reel_seal_piece piece;

		if (reel_seal_piece_read(&piece, p->pieces[i]) != SRS_OK) {
			p->seal_damaged = true;
			return SRS_OK;
		}
		memcpy(p->seal_bytes + len, piece.bytes.bytes, piece.bytes.len);
		len += piece.bytes.len;
	}
	if (reel_seal_read(&p->seal, &p->proof, &p->seal_body, span_of(p->seal_bytes, len), p->streams,
	                   REEL_SEAL_STREAMS_MAX, p->missing, UINT16_MAX) != SRS_OK ||
	    !pieces_agree(p))
		p->seal_damaged = true;
	else
		p->sealed = true;
	return SRS_OK;
}

enum srs_err
tape_load(struct tape **out, const struct vault *v, const uint8_t id[REEL_ID_SIZE])
{
	struct loading l = { .tape = calloc(1, sizeof(*l.tape)) };

	if (l.tape == NULL)
		return SRS_ERR_NOMEM;
	memcpy(l.tape->id, id, REEL_ID_SIZE);
	vault_walk(v, take_row, &l);
	for (unsigned int i = 0; i < l.tape->n_parts && l.err == SRS_OK; i++) {
		order_chunks(&l.tape->parts[i]);
		l.err = join_seal(&l.tape->parts[i]);
	}
	if (l.err == SRS_OK && l.tape->n_parts == 0)
		l.err = SRS_ERR_INVALID;
	if (l.err != SRS_OK)
		tape_free(l.tape);
	else
		*out = l.tape;
	return l.err;
}

void
tape_free(struct tape *t)
{
	if (t == NULL)
		return;
	for (unsigned int i = 0; i < t->n_parts; i++) {
		free(t->parts[i].envelopes);
		free(t->parts[i].chunks);
		free(t->parts[i].seal_bytes);
		free(t->parts[i].streams);
		free(t->parts[i].missing);
	}
	free(t->parts);
	free((void *)(uintptr_t)t->damaged);
	free(t);
}

void
tape_times(const struct tape *t, uint64_t *first_wall_ns, uint64_t *last_wall_ns)
{
	*first_wall_ns = *last_wall_ns = 0;
	for (unsigned int i = 0; i < t->n_parts; i++) {
		const struct tape_part *p = &t->parts[i];

		for (unsigned int k = 0; k < p->n_chunks; k++) {
			uint64_t at = p->chunks[k].head.first_wall_ns;

			if (p->chunks[k].damaged || at == 0)
				continue;
			if (*first_wall_ns == 0 || at < *first_wall_ns)
				*first_wall_ns = at;
			if (at > *last_wall_ns)
				*last_wall_ns = at;
		}
		if (p->sealed && p->seal.last_wall_ns > *last_wall_ns)
			*last_wall_ns = p->seal.last_wall_ns;
	}
}

/* ---- opening ---- */

/* Walk [from, to) along the seal's list of missing ranges, which ascends: `*at` is the first range that may matter, so
 * that the whole walk is linear whatever a seal claims. @return how many of these numbers the list does not name */
static uint64_t
unlisted(const struct tape_part *p, uint64_t from, uint64_t to, unsigned int *at)
{
	uint64_t n = 0;

	while (from < to) {
		const struct reel_seal_missing *m;

		while (p->sealed && *at < p->seal.n_missing && p->seal.missing[*at].last < from)
			++*at;
		m = p->sealed && *at < p->seal.n_missing ? &p->seal.missing[*at] : NULL;
		if (m == NULL || m->first >= to)
			return n + (to - from);
		if (m->first > from)
			n += m->first - from;
		if (m->last >= to - 1)
			return n;
		from = m->last + 1;
	}
	return n;
}

unsigned int
tape_holes(const struct tape_part *p, void (*on_damage)(void *ctx, const char *sentence), void *ctx)
{
	uint64_t next = 0, n_absent = 0;
	unsigned int n = 0, at = 0;
	char sentence[160];

	for (unsigned int i = 0; i < p->n_chunks; next = p->chunks[i++].head.chunk_no + 1) {
		uint64_t absent = unlisted(p, next, p->chunks[i].head.chunk_no, &at);

		if (absent == 0)
			continue;
		(void)snprintf(sentence, sizeof(sentence),
		               "part %u: of the chunks from %llu to %llu some are missing, and no seal says so", p->part,
		               (unsigned long long)next, (unsigned long long)(p->chunks[i].head.chunk_no - 1));
		on_damage(ctx, sentence);
		n++;
		n_absent += absent;
	}
	if (p->sealed && p->n_chunks + n_absent < p->seal.n_chunks) {
		(void)snprintf(sentence, sizeof(sentence), "part %u: %llu chunks at its end are missing", p->part,
		               (unsigned long long)(p->seal.n_chunks - p->n_chunks - n_absent));
		on_damage(ctx, sentence);
		n++;
	}
	return n;
}

enum srs_err
tape_dek(const struct tape_part *p, struct keystore *ks, struct dek *dek)
{
	enum srs_err err = SRS_ERR_STATE;
	struct reel_envelope *e = malloc(sizeof(*e));

	if (e == NULL)
		return SRS_ERR_NOMEM;
	for (unsigned int i = 0; i < p->n_envelopes; i++) {
		if (reel_envelope_read(e, p->envelopes[i]) != SRS_OK)
			continue;
		err = keystore_dek_unwrap(ks, e, dek);
		if (err == SRS_OK)
			break;
	}
	free(e);
	return err;
}

/* Pieces of a frame, per class and stream: MORE frames of two streams may interleave. */
struct joining {
	uint8_t *bytes;
	size_t len;
	uint64_t wall_ns;
	uint32_t seq_ext;
	uint8_t flags;
};

struct playing {
	struct joining streams[2][256];
	void (*on_frame)(void *ctx, const struct tape_frame *f);
	void (*on_damage)(void *ctx, const char *sentence);
	void *ctx;
};

static void
damage(struct playing *p, const struct tape_chunk *c, const char *what)
{
	char sentence[4608];

	snprintf(sentence, sizeof(sentence), "%s slot %llu (part %u, chunk %llu): %s", c->file->path,
	         (unsigned long long)c->slot_no, c->head.part, (unsigned long long)c->head.chunk_no, what);
	p->on_damage(p->ctx, sentence);
}

/* @return false: the joined frame would be longer than a writer may make it */
static bool
deliver(struct playing *p, const struct tape_chunk *c, const struct reel_frame *f)
{
	bool documents = (c->head.flags & REEL_CHUNK_DOCUMENTS) != 0;
	struct joining *j = &p->streams[documents][f->stream];
	size_t max = documents ? REEL_DOCUMENT_MAX : REEL_JOINED_MAX;
	struct tape_frame out = { .part = c->head.part, .chunk_no = c->head.chunk_no, .frame = *f, .documents = documents };

	if (j->len == 0 && !(f->flags & REEL_FRAME_MORE)) {
		p->on_frame(p->ctx, &out);
		return true;
	}
	if (j->bytes == NULL)
		j->bytes = malloc(max);
	if (j->bytes == NULL || j->len + f->bytes.len > max) {
		j->len = 0;
		return false;
	}
	if (j->len == 0) {
		j->wall_ns = f->wall_ns;
		j->seq_ext = f->seq_ext;
	}
	memcpy(j->bytes + j->len, f->bytes.bytes, f->bytes.len);
	j->len += f->bytes.len;
	j->flags |= f->flags;
	if (!(f->flags & REEL_FRAME_MORE)) {
		out.frame.bytes = span_of(j->bytes, j->len);
		out.frame.wall_ns = j->wall_ns;
		out.frame.seq_ext = j->seq_ext;
		out.frame.flags = j->flags & (uint8_t)~REEL_FRAME_MORE;
		p->on_frame(p->ctx, &out);
		j->len = 0;
		j->flags = 0;
	}
	return true;
}

static void
play_chunk(struct playing *p, const struct tape_chunk *c, const struct dek *dek)
{
	uint8_t body[REEL_BODY_MAX];
	struct reel_frame f;
	uint32_t n_frames = 0;
	size_t at = 0;
	enum srs_err err;

	if (c->damaged) {
		damage(p, c, "damaged: checksum or header does not hold; its frames are lost");
		return;
	}
	if (seal_open_portable(dek, &c->head, c->slot, body) != SRS_OK) {
		damage(p, c, "does not open: changed, or of another key; its frames are lost");
		return;
	}
	while ((err = reel_frame_next(&f, span_of(body, c->head.body_len), c->head.first_wall_ns, &at)) == SRS_OK) {
		n_frames++;
		if (!deliver(p, c, &f))
			damage(p, c, "a frame is longer than a writer may make it");
	}
	if (err != SRS_ERR_LIMIT || n_frames != c->head.n_frames)
		damage(p, c, "its frames do not fill its body as its header says");
}

enum srs_err
tape_play(const struct tape *t, struct keystore *ks, void (*on_frame)(void *ctx, const struct tape_frame *f),
          void (*on_damage)(void *ctx, const char *sentence), void *ctx)
{
	struct playing *p = calloc(1, sizeof(*p));
	enum srs_err err = SRS_ERR_STATE, last = SRS_ERR_STATE;

	if (p == NULL)
		return SRS_ERR_NOMEM;
	p->on_frame = on_frame;
	p->on_damage = on_damage;
	p->ctx = ctx;
	for (unsigned int i = 0; i < t->n_parts; i++) {
		struct dek dek;

		last = tape_dek(&t->parts[i], ks, &dek);
		if (last != SRS_OK) {
			char sentence[128];

			snprintf(sentence, sizeof(sentence), "part %u: no envelope of it opens with the keys here",
			         t->parts[i].part);
			on_damage(ctx, sentence);
			continue;
		}
		err = SRS_OK;
		for (unsigned int k = 0; k < t->parts[i].n_chunks; k++)
			play_chunk(p, &t->parts[i].chunks[k], &dek);
		secret_wipe(&dek, sizeof(dek));
	}
	for (unsigned int d = 0; d < 2; d++)
		for (unsigned int s = 0; s < 256; s++)
			free(p->streams[d][s].bytes);
	free(p);
	return err == SRS_OK ? SRS_OK : last;
}
