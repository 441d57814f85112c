#include "dataplane/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "crypto/secret.h"
#include "dataplane/storage.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define SEGMENT_WRITE_MAX ((size_t)1 << 20)

static_assert(REEL_SLOT_SIZE % STORAGE_ALIGN == 0, "slots are written with O_DIRECT");

static uint64_t
wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

enum srs_err
segment_init(struct segment *seg, struct storage *storage, const char *folder, uint64_t n_slots_max)
{
	memset(seg, 0, sizeof(*seg));
	seg->storage = storage;
	seg->folder = folder;
	seg->fd = -1;
	seg->entries_max = n_slots_max;
	seg->entries = calloc(n_slots_max, sizeof(*seg->entries));
	seg->scratch = aligned_alloc(STORAGE_ALIGN, reel_footer_slots(n_slots_max) * REEL_SLOT_SIZE);
	if (seg->entries == NULL || seg->scratch == NULL) {
		segment_free(seg);
		return SRS_ERR_NOMEM;
	}
	return SRS_OK;
}

void
segment_free(struct segment *seg)
{
	if (seg->storage == NULL)
		return;
	segment_retire(seg);
	free(seg->entries);
	free(seg->scratch);
	memset(seg, 0, sizeof(*seg));
	seg->fd = -1;
}

enum srs_err
segment_open(struct segment *seg, const struct segment_spec *spec)
{
	enum srs_err err;

	srs_assert(seg->fd < 0);
	srs_assert(spec->n_slots >= SEGMENT_SLOTS_MIN);
	srs_assert(spec->n_slots <= seg->entries_max);
	seg->header = (struct reel_container){
		.kind = REEL_CONTAINER_SEGMENT,
		.writer_id = spec->writer_id,
		.sequence = spec->sequence,
		.created_wall_ns = wall_ns(),
		.n_slots = spec->n_slots,
		.footer_slot = spec->n_slots - reel_footer_slots(spec->n_slots),
	};
	err = secret_random(seg->header.uuid, sizeof(seg->header.uuid));
	if (err)
		return err;
	(void)snprintf(seg->path, sizeof(seg->path), "%s/%" PRIu32 "-%08" PRIu64 ".open", seg->folder, spec->writer_id,
	               spec->sequence);
	err = storage_file_create(seg->storage, seg->path, spec->n_slots * REEL_SLOT_SIZE, &seg->fd);
	if (err)
		return err;
	memset(seg->entries, 0, spec->n_slots * sizeof(*seg->entries));
	seg->entries[0].kind = REEL_SLOT_CONTAINER;
	seg->next_slot = 1;
	reel_container_write(&seg->header, seg->scratch);
	err = storage_write_wait(seg->storage, seg->fd, seg->scratch, REEL_SLOT_SIZE, 0);
	if (!err)
		err = storage_sync_folder(seg->storage, seg->folder);
	if (err) {
		segment_retire(seg);
		(void)unlink(seg->path); /* nothing of ours is in it yet */
	}
	return err;
}

uint64_t
segment_room(const struct segment *seg)
{
	return seg->fd < 0 ? 0 : seg->header.footer_slot - seg->next_slot;
}

uint64_t
segment_take(struct segment *seg, uint64_t n)
{
	uint64_t first = seg->next_slot;

	srs_assert(n <= segment_room(seg));
	seg->next_slot += n;
	return first;
}

void
segment_note(struct segment *seg, uint64_t slot_no, const struct reel_footer_entry *entry)
{
	srs_assert(slot_no < seg->next_slot);
	seg->entries[slot_no] = *entry;
}

enum srs_err
segment_footer_write(struct storage *storage, int fd, const struct reel_container *header,
                     const struct reel_footer_entry *entries, uint8_t *scratch, uint8_t digest[REEL_DIGEST_SIZE])
{
	uint64_t n_footer = header->n_slots - header->footer_slot;
	size_t len = n_footer * REEL_SLOT_SIZE;
	enum srs_err err;

	for (uint64_t i = 0; i < n_footer; i++) {
		uint64_t first = i * REEL_FOOTER_ENTRIES_PER_SLOT;
		uint64_t left = first < header->footer_slot ? header->footer_slot - first : 0;
		unsigned int n = left < REEL_FOOTER_ENTRIES_PER_SLOT ? (unsigned int)left : REEL_FOOTER_ENTRIES_PER_SLOT;
		uint8_t *slot = scratch + i * REEL_SLOT_SIZE;
		size_t used = reel_footer_write(first, n != 0 ? entries + first : NULL, n, slot);

		reel_slot_finish(header->uuid, header->footer_slot + i, slot, used);
	}
	digest_sha256(scratch, (uint32_t)len, digest);
	for (size_t at = 0; at < len; at += SEGMENT_WRITE_MAX) {
		size_t piece = len - at < SEGMENT_WRITE_MAX ? len - at : SEGMENT_WRITE_MAX;

		err = storage_write_wait(storage, fd, scratch + at, piece, header->footer_slot * REEL_SLOT_SIZE + at);
		if (err)
			return err;
	}
	return storage_sync(storage, fd);
}

enum srs_err
segment_rename(struct storage *storage, const char *folder, char path[SEGMENT_PATH_MAX])
{
	char name[SEGMENT_PATH_MAX];
	size_t stem = strlen(path) - strlen(".open");
	enum srs_err err;

	memcpy(name, path, stem);
	memcpy(name + stem, ".seg", sizeof(".seg"));
	err = storage_rename(storage, path, name);
	if (err)
		return err;
	memcpy(path, name, stem + sizeof(".seg"));
	return storage_sync_folder(storage, folder);
}

enum srs_err
segment_finish(struct segment *seg, uint8_t digest[REEL_DIGEST_SIZE])
{
	enum srs_err err;

	/* What was never used goes back to the file system: a short run of the recorder does not cost a whole segment. */
	storage_release(seg->storage, seg->fd, seg->next_slot * REEL_SLOT_SIZE,
	                (seg->header.footer_slot - seg->next_slot) * REEL_SLOT_SIZE);
	err = segment_footer_write(seg->storage, seg->fd, &seg->header, seg->entries, seg->scratch, digest);
	segment_retire(seg);
	if (!err)
		err = segment_rename(seg->storage, seg->folder, seg->path);
	if (err)
		log_error("segment", "segment_finish_failed", "path=%s err=%s", seg->path, srs_err_name(err));
	return err;
}

void
segment_retire(struct segment *seg)
{
	storage_file_close(seg->storage, seg->fd);
	seg->fd = -1;
}
