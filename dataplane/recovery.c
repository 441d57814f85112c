#include "dataplane/recovery.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "dataplane/segment_file.h"
#include "dataplane/storage.h"
#include "lib/merkle.h"
#include "lib/srs_log.h"

#define RECOVERY_FILES_MAX    ((size_t)1 << 20)
#define RECOVERY_RECORDS_MAX  ((size_t)1 << 26)
#define RECOVERY_MISSING_MAX  1020u
#define SEAL_FLAG_INTERRUPTED 0x0100u

struct found_file {
	char *path;
	uint64_t sequence;
	bool open;
	bool blank;	/* its header never reached the disk: nothing in it was ever committed */
	bool skip;	/* damaged header, reported and left alone */
	uint64_t n_used, footer_slot;
	bool needed;	/* holds slots of an unsealed recording */
	uint32_t n_recordings, recordings_max;
	uint8_t (*recordings)[REEL_ID_SIZE]; /* of an open file */
};

struct found_recording {
	uint8_t id[REEL_ID_SIZE];
	bool sealed;	/* FINAL or INTERRUPTED */
	uint32_t first_file, last_file;
};

struct found_slot {
	uint32_t recording, part, file;
	uint8_t kind;
	uint64_t chunk_no, slot_no;
};

struct recovery {
	const char *folder;
	char *why;
	size_t why_len;
	struct found_file *files;
	size_t n_files, files_max;
	uint32_t *open_files;	/* indexes: what recovery_finish_file() counts by */
	unsigned int n_open_files;
	uint64_t next_sequence;
	struct found_recording *recordings;
	size_t n_recordings, recordings_max;
	uint32_t *table;	/* index + 1 by hash of the id; 0: free */
	size_t table_len;
	struct found_slot *slots;	/* of unsealed recordings */
	size_t n_slots, slots_max;
	struct recovery_part *parts;
	size_t n_parts, parts_max;
	struct reel_footer_entry *entries;	/* of one file */
	uint32_t n_placed;
};

/* Room for one more element. */
static enum srs_err
grow(void **array, size_t n, size_t *max, size_t size, size_t limit)
{
	size_t more = *max != 0 ? *max * 2 : 64;
	void *bigger;

	if (n < *max)
		return SRS_OK;
	if (more > limit)
		return SRS_ERR_LIMIT;
	bigger = realloc(*array, more * size);
	if (bigger == NULL)
		return SRS_ERR_NOMEM;
	*array = bigger;
	*max = more;
	return SRS_OK;
}

/* ---- files ---- */

/* "<writer>-<sequence>.open" or ".seg". */
static bool
name_parse(const char *name, uint64_t *sequence, bool *open)
{
	unsigned int writer;
	int end = 0;

	if (sscanf(name, "%9u-%19" SCNu64 "%n", &writer, sequence, &end) != 2 || end == 0)
		return false;
	*open = strcmp(name + end, ".open") == 0;
	return *open || strcmp(name + end, ".seg") == 0;
}

static int
file_order(const void *a, const void *b)
{
	const struct found_file *x = a, *y = b;

	if (x->sequence != y->sequence)
		return x->sequence < y->sequence ? -1 : 1;
	return strcmp(x->path, y->path);
}

static enum srs_err
files_list(struct recovery *r)
{
	DIR *dir = opendir(r->folder);
	struct dirent *d;
	enum srs_err err = SRS_OK;

	if (dir == NULL) {
		(void)snprintf(r->why, r->why_len, "cannot read %s: %s", r->folder, strerror(errno));
		return SRS_ERR_IO;
	}
	r->next_sequence = 1;
	while (!err && (d = readdir(dir)) != NULL) {
		struct found_file f = { 0 };

		if (!name_parse(d->d_name, &f.sequence, &f.open))
			continue;
		err = grow((void **)&r->files, r->n_files, &r->files_max, sizeof(f), RECOVERY_FILES_MAX);
		if (err)
			break;
		if (asprintf(&f.path, "%s/%s", r->folder, d->d_name) < 0) {
			err = SRS_ERR_NOMEM;
			break;
		}
		r->files[r->n_files++] = f;
		if (f.sequence >= r->next_sequence)
			r->next_sequence = f.sequence + 1;
	}
	closedir(dir);
	if (!err && r->n_files != 0)
		qsort(r->files, r->n_files, sizeof(*r->files), file_order);
	return err;
}

/* Open one and read its entries into r->entries. A file that cannot be used is marked and reported once. */
static enum srs_err
file_load(struct recovery *r, struct found_file *f, struct segment_file *file)
{
	enum srs_err err = segment_file_open(file, f->path);
	struct reel_footer_entry *entries;

	if (err == SRS_ERR_STATE && f->open) {
		f->blank = true;
		return err;
	}
	if (err == SRS_ERR_STATE || err == SRS_ERR_INVALID) {
		f->skip = true;
		log_error("recovery", "segment_header_damaged", "path=%s", f->path);
		return SRS_ERR_STATE;
	}
	if (!err) {
		entries = realloc(r->entries, file->header.footer_slot * sizeof(*entries));
		if (entries == NULL) {
			segment_file_close(file);
			return SRS_ERR_NOMEM;
		}
		r->entries = entries;
		err = segment_file_entries(file, entries);
	}
	if (err) {
		(void)snprintf(r->why, r->why_len, "cannot read the segment %s: %s", f->path, strerror(errno));
		segment_file_close(file);
	}
	return err;
}

/* ---- recordings ---- */

static size_t
id_hash(const uint8_t id[REEL_ID_SIZE])
{
	uint64_t h = 0;

	for (unsigned int i = 0; i < REEL_ID_SIZE; i++)
		h = (h ^ id[i]) * 0x100000001b3u;
	return (size_t)(h ^ h >> 29);
}

static enum srs_err
table_grow(struct recovery *r)
{
	size_t len = r->table_len != 0 ? r->table_len * 2 : 1024;
	uint32_t *table = calloc(len, sizeof(*table));

	if (table == NULL)
		return SRS_ERR_NOMEM;
	for (size_t i = 0; i < r->n_recordings; i++) {
		size_t at = id_hash(r->recordings[i].id) & (len - 1);

		while (table[at] != 0)
			at = (at + 1) & (len - 1);
		table[at] = (uint32_t)i + 1;
	}
	free(r->table);
	r->table = table;
	r->table_len = len;
	return SRS_OK;
}

/* @param make false: only find @return LIMIT when it is not there */
static enum srs_err
recording_find(struct recovery *r, const uint8_t id[REEL_ID_SIZE], bool make, uint32_t *index)
{
	enum srs_err err = SRS_OK;
	size_t at;

	if (make && r->n_recordings * 2 >= r->table_len)
		err = table_grow(r);
	if (err)
		return err;
	at = id_hash(id) & (r->table_len - 1);
	for (; r->table[at] != 0; at = (at + 1) & (r->table_len - 1)) {
		*index = r->table[at] - 1;
		if (memcmp(r->recordings[*index].id, id, REEL_ID_SIZE) == 0)
			return SRS_OK;
	}
	if (!make)
		return SRS_ERR_LIMIT;
	err = grow((void **)&r->recordings, r->n_recordings, &r->recordings_max, sizeof(*r->recordings),
	           RECOVERY_RECORDS_MAX);
	if (err)
		return err;
	*index = (uint32_t)r->n_recordings++;
	r->table[at] = *index + 1;
	r->recordings[*index] = (struct found_recording){ .first_file = UINT32_MAX };
	memcpy(r->recordings[*index].id, id, REEL_ID_SIZE);
	return SRS_OK;
}

static enum srs_err
file_note_recording(struct recovery *r, struct found_file *f, const uint8_t id[REEL_ID_SIZE])
{
	size_t max = f->recordings_max;
	enum srs_err err = grow((void **)&f->recordings, f->n_recordings, &max, REEL_ID_SIZE, RECOVERY_RECORDS_MAX);

	if (err)
		return err;
	f->recordings_max = (uint32_t)max;
	memcpy(f->recordings[f->n_recordings++], id, REEL_ID_SIZE);
	r->n_placed++;
	return SRS_OK;
}

/* Join the pieces of the seal that starts at `slot_no`. A writer puts them side by side.
 * @return bytes, 0 when one is not there */
static size_t
seal_join(const struct segment_file *file, uint64_t slot_no, uint16_t *flags, uint8_t *joined)
{
	struct reel_seal_piece p, first;
	uint8_t slot[REEL_SLOT_SIZE];
	size_t len = 0;

	for (unsigned int i = 0;; i++) {
		if (slot_no + i >= file->header.footer_slot ||
		    segment_file_slot(file, slot_no + i, slot) != REEL_SLOT_SEAL || reel_seal_piece_read(&p, slot) != SRS_OK)
			return 0;
		if (i == 0)
			first = p;
		if (p.piece != i || p.n_pieces != first.n_pieces || p.part != first.part || p.n_pieces > REEL_SEAL_SLOTS_MAX ||
		    memcmp(p.recording, first.recording, REEL_ID_SIZE) != 0)
			return 0;
		memcpy(joined + len, p.bytes.bytes, p.bytes.len);
		len += p.bytes.len;
		*flags = p.flags;
		if (i + 1u >= first.n_pieces)
			return len;
	}
}

/* Does this seal end its recording? The footer of a finished file is trusted for FINAL: what a torn one would have
 * been was sealed as INTERRUPTED before its file was finished. */
static bool
seal_is_last(const struct found_file *f, const struct segment_file *file, uint64_t slot_no,
             const struct reel_footer_entry *e, uint8_t *joined)
{
	uint16_t flags = 0;

	if (e->chunk_no != 0)
		return false;
	if (!f->open && (e->flags & REEL_CHUNK_FINAL) != 0)
		return true;
	if (seal_join(file, slot_no, &flags, joined) == 0)
		return false;
	return (flags & (REEL_CHUNK_FINAL | SEAL_FLAG_INTERRUPTED)) != 0;
}

static bool
entry_is_used(const struct reel_footer_entry *e)
{
	return e->kind == REEL_SLOT_CHUNK || e->kind == REEL_SLOT_ENVELOPE || e->kind == REEL_SLOT_SEAL;
}

/* First pass: which recordings are there, and which of them have their last seal. */
static enum srs_err
file_first_pass(struct recovery *r, uint32_t file_i, uint8_t *joined)
{
	struct found_file *f = &r->files[file_i];
	struct segment_file file;
	enum srs_err err = file_load(r, f, &file);

	if (err)
		return err == SRS_ERR_STATE ? SRS_OK : err;
	f->n_used = file.n_used;
	f->footer_slot = file.header.footer_slot;
	for (uint64_t i = 1; !err && i < file.header.footer_slot; i++) {
		const struct reel_footer_entry *e = &r->entries[i];
		struct found_recording *rec;
		uint32_t index;

		if (!entry_is_used(e))
			continue;
		err = recording_find(r, e->recording, true, &index);
		if (err)
			break;
		rec = &r->recordings[index];
		if (f->open && (rec->first_file == UINT32_MAX || rec->last_file != file_i))
			err = file_note_recording(r, f, e->recording);
		if (rec->first_file == UINT32_MAX)
			rec->first_file = file_i;
		rec->last_file = file_i;
		if (e->kind == REEL_SLOT_SEAL && seal_is_last(f, &file, i, e, joined))
			rec->sealed = true;
	}
	segment_file_close(&file);
	return err;
}

/* Second pass: every slot of the unsealed ones. */
static enum srs_err
file_second_pass(struct recovery *r, uint32_t file_i)
{
	struct segment_file file;
	enum srs_err err = file_load(r, &r->files[file_i], &file);

	if (err)
		return err == SRS_ERR_STATE ? SRS_OK : err;
	for (uint64_t i = 1; !err && i < file.header.footer_slot; i++) {
		const struct reel_footer_entry *e = &r->entries[i];
		uint32_t index;

		if (!entry_is_used(e) || recording_find(r, e->recording, false, &index) != SRS_OK ||
		    r->recordings[index].sealed)
			continue;
		err = grow((void **)&r->slots, r->n_slots, &r->slots_max, sizeof(*r->slots), RECOVERY_RECORDS_MAX);
		if (!err)
			r->slots[r->n_slots++] = (struct found_slot){
				.recording = index,
				.part = e->part,
				.file = file_i,
				.kind = e->kind,
				.chunk_no = e->chunk_no,
				.slot_no = i,
			};
	}
	segment_file_close(&file);
	return err;
}

static int
order_of(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
slot_order(const void *a, const void *b)
{
	const struct found_slot *x = a, *y = b;
	int order = order_of(x->recording, y->recording);

	if (order == 0)
		order = order_of(x->part, y->part);
	if (order == 0)
		order = order_of(x->kind, y->kind);
	if (order == 0)
		order = order_of(x->chunk_no, y->chunk_no);
	if (order == 0)
		order = order_of(x->file, y->file);
	return order != 0 ? order : order_of(x->slot_no, y->slot_no);
}

/* ---- parts ---- */

/* One file at a time stays open while slots are read in (part, number) order; they seldom change file. */
struct slot_reader {
	struct recovery *r;
	struct segment_file file;
	uint32_t file_i;	/* UINT32_MAX: none */
};

static bool
slot_read(struct slot_reader *sr, const struct found_slot *s, uint8_t slot[REEL_SLOT_SIZE])
{
	if (sr->file_i != s->file) {
		if (sr->file_i != UINT32_MAX)
			segment_file_close(&sr->file);
		sr->file_i = UINT32_MAX;
		if (segment_file_open(&sr->file, sr->r->files[s->file].path) != SRS_OK)
			return false;
		sr->file_i = s->file;
	}
	return segment_file_slot(&sr->file, s->slot_no, slot) == (enum reel_slot_kind)s->kind;
}

static enum srs_err
missing_add(struct reel_seal *s, uint64_t first, uint64_t last)
{
	struct reel_seal_missing *list;

	list = realloc((void *)(uintptr_t)s->missing, (s->n_missing + 1u) * sizeof(*list));
	if (list == NULL)
		return SRS_ERR_NOMEM;
	s->missing = list;
	if (s->n_missing == RECOVERY_MISSING_MAX) {
		list[s->n_missing - 1].last = last; /* a disk in this state has worse to tell; the seal must fit */
		return SRS_OK;
	}
	list[s->n_missing++] = (struct reel_seal_missing){ .first = first, .last = last };
	return SRS_OK;
}

/* The part as its chunks tell it: tree, counts, times and what is not there. */
static enum srs_err
part_from_chunks(struct slot_reader *sr, const struct found_slot *slots, size_t n, struct recovery_part *p)
{
	struct reel_seal *s = &p->seal;
	struct merkle tree;
	uint64_t expected = 0;
	enum srs_err err = SRS_OK;

	merkle_init(&tree);
	for (size_t i = 0; i < n && !err; i++) {
		uint8_t slot[REEL_SLOT_SIZE], leaf[DIGEST_SIZE];
		struct reel_chunk c;
		struct span signed_bytes;

		if (slots[i].kind != REEL_SLOT_CHUNK || slots[i].chunk_no < expected || !slot_read(sr, &slots[i], slot))
			continue; /* the second of equal copies, or gone since the first look */
		if (reel_chunk_head_read(&c, slot) != SRS_OK || c.part != s->part || c.chunk_no != slots[i].chunk_no ||
		    memcmp(c.recording, s->recording, REEL_ID_SIZE) != 0)
			continue;
		if (c.chunk_no > expected)
			err = missing_add(s, expected, c.chunk_no - 1);
		expected = c.chunk_no + 1;
		signed_bytes = reel_chunk_signed(&c, slot);
		digest_sha256(signed_bytes.bytes, (uint32_t)signed_bytes.len, leaf);
		merkle_add_chunk(&tree, digest_sha256, c.chunk_no, leaf);
		if (s->n_chunks++ == 0)
			s->first_wall_ns = c.first_wall_ns;
		s->last_wall_ns = c.first_wall_ns;
		s->n_frames += c.n_frames;
		p->bytes += c.body_len;
	}
	merkle_root(&tree, digest_sha256, s->root);
	return err;
}

/* A complete seal of this part among its slots? */
static bool
part_sealed(struct slot_reader *sr, const struct found_slot *slots, size_t n, uint8_t *joined,
            struct reel_seal *seal, uint8_t digest[DIGEST_SIZE])
{
	static struct reel_seal_stream streams[REEL_SEAL_STREAMS_MAX]; /* only the starter's thread comes here */
	static struct reel_seal_missing missing[UINT16_MAX];

	for (size_t i = 0; i < n; i++) {
		uint8_t slot[REEL_SLOT_SIZE];
		struct reel_proof proof;
		struct span body;
		uint16_t flags;
		size_t len;

		if (slots[i].kind != REEL_SLOT_SEAL || slots[i].chunk_no != 0 || !slot_read(sr, &slots[i], slot))
			continue;
		len = seal_join(&sr->file, slots[i].slot_no, &flags, joined);
		if (len == 0 || reel_seal_read(seal, &proof, &body, span_of(joined, len), streams, REEL_SEAL_STREAMS_MAX,
		                               missing, UINT16_MAX) != SRS_OK)
			continue;
		digest_sha256(body.bytes, (uint32_t)body.len, digest);
		return true;
	}
	return false;
}

static enum srs_err
part_add(struct recovery *r, const uint8_t id[REEL_ID_SIZE], uint32_t part, struct recovery_part **out)
{
	struct recovery_part *p;
	enum srs_err err = grow((void **)&r->parts, r->n_parts, &r->parts_max, sizeof(*r->parts), RECOVERY_RECORDS_MAX);

	if (err)
		return err;
	p = &r->parts[r->n_parts++];
	memset(p, 0, sizeof(*p));
	memcpy(p->seal.recording, id, REEL_ID_SIZE);
	p->seal.part = part;
	p->seal.interrupted = true;
	(void)snprintf(p->seal.reason, sizeof(p->seal.reason), "interrupted");
	*out = p;
	return SRS_OK;
}

static void
totals_add(struct recovery_part *total, const struct reel_seal *s, uint64_t bytes)
{
	if (total->total_chunks == 0)
		total->total_first_wall_ns = s->first_wall_ns;
	total->total_chunks += s->n_chunks;
	total->total_frames += s->n_frames;
	total->total_bytes += bytes;
}

/* All slots of one unsealed recording, by part. Sealed parts stay; each other one, and at least one at the end, gets
 * an INTERRUPTED seal. */
static enum srs_err
recording_parts(struct slot_reader *sr, const struct found_slot *slots, size_t n, uint8_t *joined)
{
	struct recovery *r = sr->r;
	const uint8_t *id = r->recordings[slots[0].recording].id;
	uint8_t previous[DIGEST_SIZE] = { 0 };
	struct recovery_part sum = { 0 }, *p = NULL;
	bool chained = false;
	enum srs_err err;

	for (size_t i = 0, end; i < n; i = end) {
		struct reel_seal seal;

		for (end = i + 1; end < n && slots[end].part == slots[i].part; end++)
			;
		if (part_sealed(sr, slots + i, end - i, joined, &seal, previous)) {
			totals_add(&sum, &seal, 0);
			p = NULL;
			chained = false;
			continue;
		}
		err = part_add(r, id, slots[i].part, &p);
		if (!err)
			err = part_from_chunks(sr, slots + i, end - i, p);
		if (err)
			return err;
		p->chained = chained;
		if (!chained)
			memcpy(p->seal.previous, previous, DIGEST_SIZE);
		totals_add(&sum, &p->seal, p->bytes);
		chained = true;
	}
	if (p == NULL) { /* its next part never reached the disk */
		err = part_add(r, id, slots[n - 1].part + 1, &p);
		if (!err)
			err = part_from_chunks(sr, NULL, 0, p);
		if (err)
			return err;
		memcpy(p->seal.previous, previous, DIGEST_SIZE);
	}
	p->last = true;
	p->total_chunks = sum.total_chunks;
	p->total_frames = sum.total_frames;
	p->total_bytes = sum.total_bytes;
	p->total_first_wall_ns = sum.total_first_wall_ns;
	return SRS_OK;
}

static enum srs_err
parts_find(struct recovery *r, uint8_t *joined)
{
	struct slot_reader sr = { .r = r, .file_i = UINT32_MAX };
	enum srs_err err = SRS_OK;

	if (r->n_slots == 0)
		return SRS_OK;
	qsort(r->slots, r->n_slots, sizeof(*r->slots), slot_order);
	for (size_t i = 0, end; i < r->n_slots && !err; i = end) {
		for (end = i + 1; end < r->n_slots && r->slots[end].recording == r->slots[i].recording; end++)
			;
		err = recording_parts(&sr, r->slots + i, end - i, joined);
	}
	if (sr.file_i != UINT32_MAX)
		segment_file_close(&sr.file);
	return err;
}

static enum srs_err
scan_passes(struct recovery *r, uint8_t *joined)
{
	enum srs_err err = SRS_OK;

	for (uint32_t i = 0; i < r->n_files && !err; i++)
		err = file_first_pass(r, i, joined);
	for (size_t i = 0; i < r->n_recordings; i++)
		for (uint32_t k = r->recordings[i].first_file; !r->recordings[i].sealed && k <= r->recordings[i].last_file; k++)
			r->files[k].needed = true;
	for (uint32_t i = 0; i < r->n_files && !err; i++)
		if (r->files[i].needed && !r->files[i].skip && !r->files[i].blank)
			err = file_second_pass(r, i);
	if (!err)
		err = parts_find(r, joined);
	if (err)
		return err;
	r->open_files = calloc(r->n_files + 1, sizeof(*r->open_files));
	if (r->open_files == NULL)
		return SRS_ERR_NOMEM;
	for (uint32_t i = 0; i < r->n_files; i++)
		if (r->files[i].open && !r->files[i].skip)
			r->open_files[r->n_open_files++] = i;
	return SRS_OK;
}

enum srs_err
recovery_scan(struct recovery **out, const char *folder, char *why, size_t why_len)
{
	struct recovery *r = calloc(1, sizeof(*r));
	uint8_t *joined = malloc((size_t)REEL_SEAL_SLOTS_MAX * REEL_SLOT_SIZE);
	enum srs_err err = SRS_ERR_NOMEM;

	(void)snprintf(why, why_len, "no memory to look through %s", folder);
	if (r != NULL && joined != NULL) {
		r->folder = folder;
		r->why = why;
		r->why_len = why_len;
		err = files_list(r);
		if (!err)
			err = scan_passes(r, joined);
		r->why = NULL;
	}
	free(joined);
	if (err) {
		recovery_free(r);
		return err;
	}
	if (r->n_open_files != 0 || r->n_parts != 0)
		log_info("recovery", "recovery_found", "folder=%s open_files=%u interrupted_parts=%zu", folder,
		         r->n_open_files, r->n_parts);
	*out = r;
	return SRS_OK;
}

void
recovery_free(struct recovery *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n_files; i++) {
		free(r->files[i].path);
		free(r->files[i].recordings);
	}
	for (size_t i = 0; i < r->n_parts; i++)
		free((void *)(uintptr_t)r->parts[i].seal.missing);
	free(r->files);
	free(r->open_files);
	free(r->recordings);
	free(r->table);
	free(r->slots);
	free(r->parts);
	free(r->entries);
	free(r);
}

uint64_t
recovery_next_sequence(const struct recovery *r)
{
	return r->next_sequence;
}

uint32_t
recovery_events_max(const struct recovery *r)
{
	/* Per part a seal and a place in the new segment; per open file its end and the places in it; new segments. */
	return (uint32_t)r->n_parts * 3 + r->n_open_files + r->n_placed + 64;
}

void
recovery_release_unused(struct recovery *r, struct storage *storage)
{
	for (unsigned int i = 0; i < r->n_open_files; i++) {
		const struct found_file *f = &r->files[r->open_files[i]];
		int fd;

		if (f->blank || storage_file_open(storage, f->path, &fd) != SRS_OK)
			continue;
		storage_release(storage, fd, f->n_used * REEL_SLOT_SIZE, (f->footer_slot - f->n_used) * REEL_SLOT_SIZE);
		storage_file_close(storage, fd);
	}
}

unsigned int
recovery_n_parts(const struct recovery *r)
{
	return (unsigned int)r->n_parts;
}

const struct recovery_part *
recovery_part(const struct recovery *r, unsigned int i)
{
	return &r->parts[i];
}

unsigned int
recovery_n_files(const struct recovery *r)
{
	return r->n_open_files;
}

static enum srs_err
blank_remove(struct recovery *r, const struct found_file *f, struct storage *storage)
{
	log_info("recovery", "blank_segment_removed", "path=%s", f->path);
	if (unlink(f->path) != 0)
		return SRS_ERR_IO;
	return storage_sync_folder(storage, r->folder);
}

enum srs_err
recovery_finish_file(struct recovery *r, unsigned int i, struct storage *storage, struct recovery_file *out)
{
	struct found_file *f = &r->files[r->open_files[i]];
	struct segment_file file;
	char path[SEGMENT_PATH_MAX];
	uint8_t *scratch;
	enum srs_err err;
	int fd = -1;

	memset(out, 0, sizeof(*out));
	if (f->blank)
		return blank_remove(r, f, storage);
	err = file_load(r, f, &file);
	if (err)
		return err;
	scratch = aligned_alloc(STORAGE_ALIGN, (file.header.n_slots - file.header.footer_slot) * REEL_SLOT_SIZE);
	err = scratch != NULL ? storage_file_open(storage, f->path, &fd) : SRS_ERR_NOMEM;
	if (!err)
		err = segment_footer_write(storage, fd, &file.header, r->entries, scratch, out->digest);
	storage_file_close(storage, fd);
	free(scratch);
	segment_file_close(&file);
	memcpy(path, file.path, sizeof(path));
	if (!err)
		err = segment_rename(storage, r->folder, path);
	if (err)
		return err;
	out->header = file.header;
	out->n_slots_used = file.n_used;
	out->n_recordings = f->n_recordings;
	out->recordings = (const uint8_t(*)[REEL_ID_SIZE])f->recordings;
	return SRS_OK;
}
