#include "controlplane/tool/vault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VAULT_FILES_MAX 65536

struct vault {
	struct vault_file *files;
	unsigned int n_files, files_room;
};

/* ---- opening ---- */

static const uint8_t *
slot_at(const struct vault_file *f, uint64_t slot_no)
{
	return f->bytes + slot_no * REEL_SLOT_SIZE;
}

/* Does the footer area hold entries, and are all of its slots good? */
static void
footer_look(struct vault_file *f)
{
	struct reel_footer_entry entries[REEL_FOOTER_ENTRIES_PER_SLOT];
	unsigned int n_good = 0, n_bad = 0;

	for (uint64_t s = f->n_data; s < f->head.n_slots && s < f->n_slots; s++) {
		uint64_t first;
		unsigned int n;

		if (reel_slot_kind(f->head.uuid, s, slot_at(f, s)) == REEL_SLOT_FOOTER &&
		    reel_footer_read(&first, entries, &n, slot_at(f, s)) == SRS_OK)
			n_good++;
		else
			n_bad++;
	}
	f->footer = n_good > 0;
	f->footer_damaged = n_good > 0 && n_bad > 0;
}

static bool
has_ending(const char *path, const char *ending)
{
	size_t n = strlen(path), m = strlen(ending);

	return n >= m && strcmp(path + n - m, ending) == 0;
}

static void
file_look(struct vault_file *f)
{
	if (f->n_slots == 0) {
		f->bad = "shorter than one slot";
		return;
	}
	if (reel_container_read(&f->head, f->bytes) != SRS_OK) {
		f->bad = "its container header (slot 0) is damaged, so nothing in it can be checked";
		return;
	}
	f->n_data = f->head.footer_slot < f->n_slots ? f->head.footer_slot : f->n_slots;
	footer_look(f);
	if (f->n_slots < f->head.n_slots)
		f->incomplete = "shorter than its header says: its end was cut off";
	else if (!f->footer && f->head.kind == REEL_CONTAINER_SEGMENT && has_ending(f->path, ".seg"))
		f->incomplete = "a finished segment without its footer";
}

static enum srs_err
file_map(struct vault *v, const char *path, char *why, size_t why_len)
{
	struct vault_file *f;
	struct stat st;
	int fd;

	if (v->n_files == v->files_room) {
		unsigned int room = v->files_room ? v->files_room * 2 : 16;

		f = realloc(v->files, room * sizeof(*f));
		if (f == NULL || room > VAULT_FILES_MAX) {
			snprintf(why, why_len, "no memory for more than %u files", v->n_files);
			return SRS_ERR_NOMEM;
		}
		v->files = f;
		v->files_room = room;
	}
	f = &v->files[v->n_files];
	memset(f, 0, sizeof(*f));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		snprintf(why, why_len, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return SRS_ERR_IO;
	}
	f->n_slots = (uint64_t)st.st_size / REEL_SLOT_SIZE;
	if (f->n_slots > 0) {
		void *bytes = mmap(NULL, f->n_slots * REEL_SLOT_SIZE, PROT_READ, MAP_PRIVATE, fd, 0);

		if (bytes == MAP_FAILED) {
			snprintf(why, why_len, "%s: %s", path, strerror(errno));
			close(fd);
			return SRS_ERR_IO;
		}
		f->bytes = bytes;
	}
	close(fd);
	f->path = strdup(path);
	v->n_files++;
	if (f->path == NULL)
		return SRS_ERR_NOMEM;
	file_look(f);
	return SRS_OK;
}

static int
is_container(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot != NULL && (strcmp(dot, ".seg") == 0 || strcmp(dot, ".open") == 0 || strcmp(dot, ".reel") == 0);
}

static enum srs_err
folder_map(struct vault *v, const char *path, char *why, size_t why_len)
{
	char folder[4096], name[4608];
	struct dirent **entries;
	struct stat st;
	enum srs_err err = SRS_OK;
	int n;

	snprintf(folder, sizeof(folder), "%s/segments", path);
	if (stat(folder, &st) != 0)
		snprintf(folder, sizeof(folder), "%s", path);
	n = scandir(folder, &entries, is_container, alphasort);
	if (n < 0) {
		snprintf(why, why_len, "%s: %s", folder, strerror(errno));
		return SRS_ERR_IO;
	}
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%s", folder, entries[i]->d_name);
		if (err == SRS_OK)
			err = file_map(v, name, why, why_len);
		free(entries[i]);
	}
	free(entries);
	return err;
}

enum srs_err
vault_open(struct vault **out, const char *const *paths, unsigned int n_paths, char *why, size_t why_len)
{
	struct vault *v = calloc(1, sizeof(*v));
	enum srs_err err = v != NULL ? SRS_OK : SRS_ERR_NOMEM;

	for (unsigned int i = 0; i < n_paths && err == SRS_OK; i++) {
		struct stat st;

		if (stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode))
			err = folder_map(v, paths[i], why, why_len);
		else
			err = file_map(v, paths[i], why, why_len);
	}
	if (err == SRS_OK && v->n_files == 0) {
		snprintf(why, why_len, "%s holds no segment or reel; is it the vault folder (storage.devices)?",
		         n_paths > 0 ? paths[0] : "the vault");
		err = SRS_ERR_INVALID;
	}
	if (err != SRS_OK)
		vault_close(v);
	else
		*out = v;
	return err;
}

void
vault_close(struct vault *v)
{
	if (v == NULL)
		return;
	for (unsigned int i = 0; i < v->n_files; i++) {
		if (v->files[i].bytes != NULL)
			munmap((void *)(uintptr_t)v->files[i].bytes, v->files[i].n_slots * REEL_SLOT_SIZE);
		free(v->files[i].path);
	}
	free(v->files);
	free(v);
}

unsigned int
vault_n_files(const struct vault *v)
{
	return v->n_files;
}

const struct vault_file *
vault_file(const struct vault *v, unsigned int i)
{
	return &v->files[i];
}

/* ---- walking ---- */

enum reel_slot_kind
vault_row_kind(const struct vault_row *row)
{
	return reel_slot_kind(row->file->head.uuid, row->slot_no, row->slot);
}

/* The claim of a slot's own header. */
static struct reel_footer_entry
claim_of_slot(const struct vault_file *f, uint64_t slot_no)
{
	const uint8_t *slot = slot_at(f, slot_no);
	struct reel_footer_entry e = { .kind = (uint8_t)reel_slot_kind(f->head.uuid, slot_no, slot) };
	struct reel_chunk c;
	struct reel_envelope envelope;
	struct reel_seal_piece p;
	enum srs_err err = SRS_OK;

	switch (e.kind) {
	case REEL_SLOT_CHUNK:
		err = reel_chunk_head_read(&c, slot);
		memcpy(e.recording, c.recording, REEL_ID_SIZE);
		e.part = c.part;
		e.chunk_no = c.chunk_no;
		e.flags = (uint8_t)c.flags;
		break;
	case REEL_SLOT_ENVELOPE:
		err = reel_envelope_read(&envelope, slot);
		memcpy(e.recording, envelope.recording, REEL_ID_SIZE);
		e.part = envelope.part;
		break;
	case REEL_SLOT_SEAL:
		err = reel_seal_piece_read(&p, slot);
		memcpy(e.recording, p.recording, REEL_ID_SIZE);
		e.part = p.part;
		e.chunk_no = p.piece;
		e.flags = (uint8_t)p.flags;
		break;
	default:
		break;
	}
	if (err != SRS_OK)
		e = (struct reel_footer_entry){ .kind = REEL_SLOT_DAMAGED };
	return e;
}

/* An open file's tail: slots in flight, or of the file's earlier life, are no damage behind the last good slot. */
static uint64_t
last_good_slot(const struct vault_file *f)
{
	for (uint64_t s = f->n_data; s > 1; s--) {
		enum reel_slot_kind kind = reel_slot_kind(f->head.uuid, s - 1, slot_at(f, s - 1));

		if (kind != REEL_SLOT_EMPTY && kind != REEL_SLOT_DAMAGED)
			return s - 1;
	}
	return 0;
}

static bool
walk_headers(const struct vault_file *f, bool (*on_row)(void *ctx, const struct vault_row *row), void *ctx)
{
	bool reel = f->head.kind == REEL_CONTAINER_REEL;
	uint64_t end = reel ? f->n_data : last_good_slot(f) + 1;

	for (uint64_t s = 1; s < end; s++) {
		struct vault_row row = { .file = f, .slot_no = s, .slot = slot_at(f, s) };

		row.entry = claim_of_slot(f, s);
		if (reel && row.entry.kind == REEL_SLOT_EMPTY)
			row.entry.kind = REEL_SLOT_DAMAGED;
		if (row.entry.kind != REEL_SLOT_EMPTY && !on_row(ctx, &row))
			return false;
	}
	return true;
}

static bool
walk_footer(const struct vault_file *f, bool (*on_row)(void *ctx, const struct vault_row *row), void *ctx)
{
	struct reel_footer_entry entries[REEL_FOOTER_ENTRIES_PER_SLOT];

	for (uint64_t s = f->n_data; s < f->head.n_slots && s < f->n_slots; s++) {
		uint64_t first = (s - f->n_data) * REEL_FOOTER_ENTRIES_PER_SLOT;
		unsigned int n = REEL_FOOTER_ENTRIES_PER_SLOT;
		bool good = reel_slot_kind(f->head.uuid, s, slot_at(f, s)) == REEL_SLOT_FOOTER &&
		            reel_footer_read(&first, entries, &n, slot_at(f, s)) == SRS_OK;

		for (unsigned int i = 0; i < n; i++) {
			struct vault_row row = { .file = f, .slot_no = first + i };

			if (row.slot_no == 0 || row.slot_no >= f->n_data)
				continue;
			row.slot = slot_at(f, row.slot_no);
			row.entry = good ? entries[i] : claim_of_slot(f, row.slot_no);
			if (row.entry.kind != REEL_SLOT_EMPTY && !on_row(ctx, &row))
				return false;
		}
	}
	return true;
}

static bool
walk_file(const struct vault_file *f, bool (*on_row)(void *ctx, const struct vault_row *row), void *ctx)
{
	if (f->bad != NULL)
		return true;
	return f->footer ? walk_footer(f, on_row, ctx) : walk_headers(f, on_row, ctx);
}

void
vault_walk_file(const struct vault_file *f, bool (*on_row)(void *ctx, const struct vault_row *row), void *ctx)
{
	walk_file(f, on_row, ctx);
}

void
vault_walk(const struct vault *v, bool (*on_row)(void *ctx, const struct vault_row *row), void *ctx)
{
	for (unsigned int i = 0; i < v->n_files; i++)
		if (!walk_file(&v->files[i], on_row, ctx))
			return;
}

/* ---- recordings ---- */

struct id_set {
	uint8_t (*ids)[REEL_ID_SIZE];	/* in order of appearance */
	uint32_t *places;		/* open addressing: index + 1 */
	unsigned int n, room;
	bool failed;
};

static uint32_t *
id_place(struct id_set *set, const uint8_t id[REEL_ID_SIZE])
{
	uint32_t h;

	memcpy(&h, id, sizeof(h)); /* ids are random already */
	for (h &= set->room * 2 - 1;; h = (h + 1) & (set->room * 2 - 1))
		if (set->places[h] == 0 || memcmp(set->ids[set->places[h] - 1], id, REEL_ID_SIZE) == 0)
			return &set->places[h];
}

static bool
id_grow(struct id_set *set)
{
	unsigned int room = set->room ? set->room * 2 : 1024;
	void *ids = realloc(set->ids, (size_t)room * REEL_ID_SIZE);
	uint32_t *places = calloc((size_t)room * 2, sizeof(*places));

	if (ids != NULL)
		set->ids = ids;
	if (ids == NULL || places == NULL) {
		free(places);
		return false;
	}
	free(set->places);
	set->places = places;
	set->room = room;
	for (unsigned int i = 0; i < set->n; i++)
		*id_place(set, set->ids[i]) = i + 1;
	return true;
}

static bool
id_add(void *ctx, const struct vault_row *row)
{
	struct id_set *set = ctx;
	uint32_t *place;

	if (row->entry.kind == REEL_SLOT_DAMAGED)
		return true;
	if (set->n == set->room && !id_grow(set)) {
		set->failed = true;
		return false;
	}
	place = id_place(set, row->entry.recording);
	if (*place == 0) {
		memcpy(set->ids[set->n], row->entry.recording, REEL_ID_SIZE);
		*place = ++set->n;
	}
	return true;
}

enum srs_err
vault_recordings(const struct vault *v, uint8_t (**ids)[REEL_ID_SIZE], unsigned int *n)
{
	struct id_set set = { 0 };

	vault_walk(v, id_add, &set);
	free(set.places);
	if (set.failed) {
		free(set.ids);
		return SRS_ERR_NOMEM;
	}
	*ids = set.ids;
	*n = set.n;
	return SRS_OK;
}

/* ---- footer against slots ---- */

struct footer_check {
	void (*on_finding)(void *ctx, const char *sentence);
	void *ctx;
	unsigned int n;
};

static bool
compare_row(void *ctx, const struct vault_row *row)
{
	struct footer_check *c = ctx;
	struct reel_footer_entry slot = claim_of_slot(row->file, row->slot_no);
	char sentence[4608];

	if (slot.kind == row->entry.kind && slot.part == row->entry.part && slot.chunk_no == row->entry.chunk_no &&
	    slot.flags == row->entry.flags && memcmp(slot.recording, row->entry.recording, REEL_ID_SIZE) == 0)
		return true;
	snprintf(sentence, sizeof(sentence), "%s slot %llu: %s", row->file->path, (unsigned long long)row->slot_no,
	         slot.kind == REEL_SLOT_DAMAGED || slot.kind == REEL_SLOT_EMPTY
	                 ? "damaged: the footer lists it, but its bytes do not check"
	                 : "differs from its footer entry");
	c->n++;
	c->on_finding(c->ctx, sentence);
	return true;
}

unsigned int
vault_check_footer(const struct vault_file *f, void (*on_finding)(void *ctx, const char *sentence), void *ctx)
{
	struct footer_check c = { .on_finding = on_finding, .ctx = ctx };
	char sentence[4608];

	if (f->bad != NULL)
		return 0;
	if (f->incomplete != NULL) {
		snprintf(sentence, sizeof(sentence), "%s: %s", f->path, f->incomplete);
		on_finding(ctx, sentence);
		c.n++;
	}
	if (!f->footer)
		return c.n;
	if (f->footer_damaged) {
		snprintf(sentence, sizeof(sentence), "%s: part of the footer is damaged; recordings are found by their own slots", f->path);
		on_finding(ctx, sentence);
		c.n++;
	}
	walk_footer(f, compare_row, &c);
	return c.n;
}
