#include "controlplane/tool/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "crypto/digest.h"
#include "lib/merkle.h"

struct verifying {
	const struct tape *tape;
	struct verify_report *report;
	void (*on_finding)(void *ctx, const char *sentence);
	void *ctx;
};

const char *
verify_verdict_name(enum verify_verdict v)
{
	switch (v) {
	case VERIFY_INTACT:
		return "intact";
	case VERIFY_INTERRUPTED:
		return "intact, interrupted";
	case VERIFY_OPEN:
		return "open";
	case VERIFY_DAMAGED:
		return "damaged";
	}
	return "unknown";
}

static void __attribute__((format(printf, 2, 3)))
finding(struct verifying *v, const char *format, ...)
{
	char sentence[4608];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	v->report->n_findings++;
	v->on_finding(v->ctx, sentence);
}

static void
chunk_finding(struct verifying *v, const struct tape_chunk *c, const char *what)
{
	finding(v, "%s slot %llu (part %u, chunk %llu): %s", c->file->path, (unsigned long long)c->slot_no,
	        c->head.part, (unsigned long long)c->head.chunk_no, what);
}

/* ---- without any key ---- */

static void
on_hole(void *ctx, const char *sentence)
{
	finding(ctx, "%s", sentence);
}

static void
check_flags(struct verifying *v, const struct tape_part *p, bool last_part)
{
	for (unsigned int i = 0; i < p->n_chunks; i++) {
		const struct tape_chunk *c = &p->chunks[i];
		bool last = i + 1 == p->n_chunks;
		bool commitment = (c->head.flags & REEL_CHUNK_COMMITMENT) != 0;

		if (c->damaged)
			continue;
		if (commitment != (c->head.chunk_no == 0))
			chunk_finding(v, c, "key commitment where none belongs, or none in chunk 0");
		if ((c->head.flags & REEL_CHUNK_END) != 0 && !last)
			chunk_finding(v, c, "marked as the last of its part, but others follow");
		if ((c->head.flags & REEL_CHUNK_FINAL) != 0 && !(last && last_part))
			chunk_finding(v, c, "marked as the last of the recording, but others follow");
	}
}

static void
check_root(struct verifying *v, const struct tape_part *p)
{
	struct merkle tree;
	uint8_t leaf[DIGEST_SIZE], root[DIGEST_SIZE];
	uint64_t n_frames = 0, n_chunks = 0, first_wall_ns = 0;

	merkle_init(&tree);
	for (unsigned int i = 0; i < p->n_chunks; i++) {
		const struct tape_chunk *c = &p->chunks[i];
		struct span covered;

		if (c->damaged)
			continue;
		covered = reel_chunk_signed(&c->head, c->slot);
		digest_sha256(covered.bytes, (uint32_t)covered.len, leaf);
		merkle_add_chunk(&tree, digest_sha256, c->head.chunk_no, leaf);
		n_chunks++;
		n_frames += c->head.n_frames;
		if (n_chunks == 1)
			first_wall_ns = c->head.first_wall_ns;
	}
	merkle_root(&tree, digest_sha256, root);
	if (memcmp(root, p->seal.root, sizeof(root)) != 0)
		finding(v, "part %u: the chunks here are not those that were sealed (Merkle root differs)", p->part);
	if (n_chunks != p->seal.n_chunks)
		finding(v, "part %u: %llu chunks of the %llu sealed ones can be read", p->part,
		        (unsigned long long)n_chunks, (unsigned long long)p->seal.n_chunks);
	else if (n_frames != p->seal.n_frames)
		finding(v, "part %u: %llu frames, but %llu were sealed", p->part, (unsigned long long)n_frames,
		        (unsigned long long)p->seal.n_frames);
	else if (n_chunks > 0 && first_wall_ns != p->seal.first_wall_ns)
		finding(v, "part %u: begins at another time than was sealed", p->part);
	for (unsigned int i = 0; i < p->seal.n_missing; i++)
		v->report->missing_chunks += p->seal.missing[i].last - p->seal.missing[i].first + 1;
}

static void
check_proof(struct verifying *v, const struct tape_part *p, const uint8_t *node_public)
{
	uint8_t digest[DIGEST_SIZE], root[DIGEST_SIZE], id[REEL_ID_SIZE];
	uint8_t message[REEL_COMMIT_MESSAGE_SIZE];

	digest_sha256(p->seal_body.bytes, (uint32_t)p->seal_body.len, digest);
	if (merkle_path_root(digest, p->proof.index, p->proof.n_leaves, p->proof.path, p->proof.n_path, digest_sha256,
	                     root) != SRS_OK ||
	    memcmp(root, p->proof.commit_root, sizeof(root)) != 0) {
		finding(v, "part %u: the seal does not belong to the commit that was signed", p->part);
		return;
	}
	if (node_public == NULL)
		return;
	keystore_key_id(node_public, id);
	reel_commit_message(&p->proof, message);
	if (memcmp(id, p->proof.node_key_id, sizeof(id)) != 0)
		finding(v, "part %u: sealed by another node's key; give that node's node.pub by --node-pub", p->part);
	else if (keystore_verify(node_public, span_of(message, sizeof(message)), p->proof.signature) != SRS_OK)
		finding(v, "part %u: the seal's signature does not verify", p->part);
}

static void
check_part(struct verifying *v, const struct tape_part *p, bool last_part, const uint8_t *node_public)
{
	(void)tape_holes(p, on_hole, v);
	if (p->conflicting)
		finding(v, "part %u: two different chunks have the same number", p->part);
	check_flags(v, p, last_part);
	if (p->n_envelopes == 0 && p->n_chunks > 0)
		finding(v, "part %u: its envelope is missing, so nobody can open it", p->part);
	if (p->seal_damaged)
		finding(v, "part %u: its seal is damaged", p->part);
	if (!p->sealed)
		return;
	check_root(v, p);
	check_proof(v, p, node_public);
	if (memcmp(p->seal.recording, v->tape->id, REEL_ID_SIZE) != 0 || p->seal.part != p->part)
		finding(v, "part %u: its seal is another recording's or part's", p->part);
	if (p->seal.final && !last_part)
		finding(v, "part %u: sealed as the last part, but another follows", p->part);
}

/* Each seal names the one before it, so that no part can be taken out. */
static void
check_chain(struct verifying *v)
{
	uint8_t previous[DIGEST_SIZE] = { 0 };
	uint32_t next = 0;

	for (unsigned int i = 0; i < v->tape->n_parts; i++) {
		const struct tape_part *p = &v->tape->parts[i];

		if (p->part != next)
			finding(v, "part %u is missing", next);
		next = p->part + 1;
		if (!p->sealed)
			continue;
		if (memcmp(p->seal.previous, previous, sizeof(previous)) != 0)
			finding(v, "part %u: its seal does not follow the seal of the part before it", p->part);
		digest_sha256(p->seal_body.bytes, (uint32_t)p->seal_body.len, previous);
	}
}

/* A file of it that was cut off may have held more of it. */
static void
check_files(struct verifying *v)
{
	const struct vault_file *last = NULL;

	for (unsigned int i = 0; i < v->tape->n_parts; i++) {
		for (unsigned int k = 0; k < v->tape->parts[i].n_chunks; k++) {
			const struct vault_file *f = v->tape->parts[i].chunks[k].file;

			if (f != last && f->incomplete != NULL)
				finding(v, "%s: %s", f->path, f->incomplete);
			last = f;
		}
	}
}

/* ---- with the keystore ---- */

struct opening {
	struct verifying *v;
	bool documents_in_media;
};

static void
on_frame(void *ctx, const struct tape_frame *f)
{
	struct opening *o = ctx;
	bool document = f->frame.kind >= REEL_FRAME_DESCRIPTION;

	if (document != f->documents)
		o->documents_in_media = true;
}

static void
on_damage(void *ctx, const char *sentence)
{
	struct opening *o = ctx;

	finding(o->v, "%s", sentence);
}

static void
check_commitments(struct verifying *v, struct keystore *ks)
{
	for (unsigned int i = 0; i < v->tape->n_parts; i++) {
		const struct tape_part *p = &v->tape->parts[i];
		uint8_t commitment[REEL_COMMITMENT_SIZE];
		struct dek dek;

		if (p->n_chunks == 0 || p->chunks[0].damaged || p->chunks[0].head.chunk_no != 0 ||
		    tape_dek(p, ks, &dek) != SRS_OK)
			continue; /* tape_play() says so */
		if (seal_commitment(&dek, v->tape->id, p->part, p->chunks[0].head.suite, commitment) != SRS_OK ||
		    memcmp(commitment, p->chunks[0].head.commitment, sizeof(commitment)) != 0)
			finding(v, "part %u: its envelope holds another key than the one it was recorded with", p->part);
		secret_wipe(&dek, sizeof(dek));
	}
}

static enum srs_err
check_opened(struct verifying *v, struct keystore *ks)
{
	struct opening o = { .v = v };
	unsigned int before = v->report->n_findings;
	enum srs_err err;

	check_commitments(v, ks);
	err = tape_play(v->tape, ks, on_frame, on_damage, &o);
	if (o.documents_in_media)
		finding(v, "a chunk holds frames of the other class");
	if (v->report->n_findings == before)
		v->report->n_opened = v->report->n_chunks;
	return err == SRS_ERR_NOMEM ? err : SRS_OK;
}

enum srs_err
verify_tape(const struct tape *t, const uint8_t *node_public, struct keystore *ks,
            void (*on_finding)(void *ctx, const char *sentence), void *ctx, struct verify_report *out)
{
	struct verifying v = { .tape = t, .report = out, .on_finding = on_finding, .ctx = ctx };
	bool all_sealed = t->n_parts > 0, interrupted = false, final;
	enum srs_err err = SRS_OK;

	memset(out, 0, sizeof(*out));
	out->n_parts = t->n_parts;
	out->signature_checked = node_public != NULL;
	out->keys_used = ks != NULL;
	for (unsigned int i = 0; i < t->n_damaged; i++)
		finding(&v, "%s slot %llu: damaged: its checksum does not hold", t->damaged[i].file->path,
		        (unsigned long long)t->damaged[i].slot_no);
	for (unsigned int i = 0; i < t->n_parts; i++) {
		out->n_chunks += t->parts[i].n_chunks;
		all_sealed = all_sealed && t->parts[i].sealed;
		interrupted = interrupted || (t->parts[i].sealed && t->parts[i].seal.interrupted);
		check_part(&v, &t->parts[i], i + 1 == t->n_parts, node_public);
	}
	check_chain(&v);
	check_files(&v);
	if (ks != NULL)
		err = check_opened(&v, ks);
	final = all_sealed && t->parts[t->n_parts - 1].seal.final;
	if (out->n_findings > 0)
		out->verdict = VERIFY_DAMAGED;
	else if (interrupted)
		out->verdict = VERIFY_INTERRUPTED;
	else
		out->verdict = final ? VERIFY_INTACT : VERIFY_OPEN;
	return err;
}
