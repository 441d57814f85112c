#include "dataplane/segment_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/srs_log.h"

#define READ_SLOTS 256u

static enum srs_err
read_at(int fd, uint8_t *out, size_t len, uint64_t offset, size_t *n_read)
{
	*n_read = 0;
	while (*n_read < len) {
		ssize_t n = pread(fd, out + *n_read, len - *n_read, (off_t)(offset + *n_read));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return SRS_ERR_IO;
		if (n == 0)
			break;
		*n_read += (size_t)n;
	}
	memset(out + *n_read, 0, len - *n_read); /* behind the end of a file nothing was written */
	return SRS_OK;
}

static bool
header_is_sane(const struct reel_container *h)
{
	return h->kind == REEL_CONTAINER_SEGMENT && h->n_slots <= SEGMENT_FILE_SLOTS_MAX &&
	       h->n_slots > h->footer_slot && h->n_slots - h->footer_slot == reel_footer_slots(h->n_slots);
}

enum srs_err
segment_file_open(struct segment_file *f, const char *path)
{
	static const uint8_t zeros[REEL_SLOT_SIZE];
	uint8_t slot[REEL_SLOT_SIZE];
	size_t path_len = strlen(path), n_read;
	enum srs_err err;

	memset(f, 0, sizeof(*f));
	f->fd = -1;
	if (path_len >= sizeof(f->path))
		return SRS_ERR_INVALID;
	memcpy(f->path, path, path_len + 1);
	f->open = path_len > 5 && strcmp(path + path_len - 5, ".open") == 0;
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (f->fd < 0)
		return SRS_ERR_IO;
	err = read_at(f->fd, slot, sizeof(slot), 0, &n_read);
	if (!err && memcmp(slot, zeros, sizeof(slot)) == 0)
		err = SRS_ERR_STATE;
	if (!err && (reel_container_read(&f->header, slot) != SRS_OK || !header_is_sane(&f->header)))
		err = SRS_ERR_INVALID;
	if (err)
		segment_file_close(f);
	return err;
}

void
segment_file_close(struct segment_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

enum reel_slot_kind
segment_file_slot(const struct segment_file *f, uint64_t slot_no, uint8_t slot[REEL_SLOT_SIZE])
{
	size_t n_read;

	if (read_at(f->fd, slot, REEL_SLOT_SIZE, slot_no * REEL_SLOT_SIZE, &n_read) != SRS_OK)
		return REEL_SLOT_DAMAGED;
	return reel_slot_kind(f->header.uuid, slot_no, slot);
}

/* The footer entry of a slot that was read; unused when its contents make no sense. */
static void
entry_of_slot(const struct segment_file *f, uint64_t slot_no, const uint8_t *slot, struct reel_footer_entry *e)
{
	struct reel_chunk chunk;
	struct reel_seal_piece piece;
	struct reel_envelope envelope;

	switch (reel_slot_kind(f->header.uuid, slot_no, slot)) {
	case REEL_SLOT_CHUNK:
		if (reel_chunk_head_read(&chunk, slot) != SRS_OK)
			return;
		memcpy(e->recording, chunk.recording, REEL_ID_SIZE);
		e->part = chunk.part;
		e->chunk_no = chunk.chunk_no;
		e->flags = (uint8_t)chunk.flags;
		e->kind = REEL_SLOT_CHUNK;
		return;
	case REEL_SLOT_ENVELOPE:
		if (reel_envelope_read(&envelope, slot) != SRS_OK)
			return;
		memcpy(e->recording, envelope.recording, REEL_ID_SIZE);
		e->part = envelope.part;
		e->kind = REEL_SLOT_ENVELOPE;
		return;
	case REEL_SLOT_SEAL:
		if (reel_seal_piece_read(&piece, slot) != SRS_OK)
			return;
		memcpy(e->recording, piece.recording, REEL_ID_SIZE);
		e->part = piece.part;
		e->chunk_no = piece.piece;
		e->flags = (uint8_t)piece.flags;
		e->kind = REEL_SLOT_SEAL;
		return;
	default:
		return;
	}
}

/* Holes (preallocated, never written) are skipped where the file system knows them. */
static uint64_t
next_data_slot(const struct segment_file *f, uint64_t slot_no)
{
	off_t at = lseek(f->fd, (off_t)(slot_no * REEL_SLOT_SIZE), SEEK_DATA);

	if (at >= 0)
		return (uint64_t)at / REEL_SLOT_SIZE;
	return errno == ENXIO ? f->header.footer_slot : slot_no;
}

static enum srs_err
entries_walk(struct segment_file *f, struct reel_footer_entry *entries)
{
	uint8_t *slots = malloc((size_t)READ_SLOTS * REEL_SLOT_SIZE);
	enum srs_err err = SRS_OK;
	uint64_t at = 1;

	if (slots == NULL)
		return SRS_ERR_NOMEM;
	memset(entries, 0, f->header.footer_slot * sizeof(*entries));
	entries[0].kind = REEL_SLOT_CONTAINER;
	f->n_used = 1;
	while (!err) {
		size_t n_read, n;

		at = next_data_slot(f, at);
		if (at >= f->header.footer_slot)
			break;
		n = f->header.footer_slot - at < READ_SLOTS ? (size_t)(f->header.footer_slot - at) : READ_SLOTS;
		err = read_at(f->fd, slots, n * REEL_SLOT_SIZE, at * REEL_SLOT_SIZE, &n_read);
		for (size_t i = 0; !err && i < n; i++, at++) {
			entry_of_slot(f, at, slots + i * REEL_SLOT_SIZE, &entries[at]);
			if (entries[at].kind != REEL_SLOT_EMPTY)
				f->n_used = at + 1;
		}
	}
	free(slots);
	return err;
}

/* @return INVALID when a footer slot is not what it must be */
static enum srs_err
entries_from_footer(struct segment_file *f, struct reel_footer_entry *entries)
{
	f->n_used = 1;
	for (uint64_t i = 0; i * REEL_FOOTER_ENTRIES_PER_SLOT < f->header.footer_slot; i++) {
		uint8_t slot[REEL_SLOT_SIZE];
		struct reel_footer_entry row[REEL_FOOTER_ENTRIES_PER_SLOT];
		uint64_t first, want = i * REEL_FOOTER_ENTRIES_PER_SLOT;
		unsigned int n;

		if (segment_file_slot(f, f->header.footer_slot + i, slot) != REEL_SLOT_FOOTER ||
		    reel_footer_read(&first, row, &n, slot) != SRS_OK || first != want ||
		    n > f->header.footer_slot - want)
			return SRS_ERR_INVALID;
		memset(entries + want, 0, sizeof(row[0]) * (f->header.footer_slot - want < REEL_FOOTER_ENTRIES_PER_SLOT
		                                                    ? f->header.footer_slot - want
		                                                    : REEL_FOOTER_ENTRIES_PER_SLOT));
		for (unsigned int k = 0; k < n; k++) {
			entries[want + k] = row[k];
			if (row[k].kind != REEL_SLOT_EMPTY)
				f->n_used = want + k + 1;
		}
	}
	return SRS_OK;
}

enum srs_err
segment_file_entries(struct segment_file *f, struct reel_footer_entry *entries)
{
	if (!f->open) {
		if (entries_from_footer(f, entries) == SRS_OK)
			return SRS_OK;
		log_error("segment", "footer_damaged", "path=%s doing=walk", f->path);
	}
	return entries_walk(f, entries);
}
