/* A segment: one append-only file of 4 KiB slots, preallocated, `<vault>/segments/<writer>-<sequence>.open` while it
 * grows and `.seg` when finished. Slot 0 is the container header; the footer area at the end is reserved from the
 * start, so that finishing needs no space. Slots are taken in order and written by their owner; the segment keeps
 * the footer entry of each. @thread writer */
#ifndef SEGMENT_H
#define SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/reel.h"
#include "lib/srs_err.h"

#define SEGMENT_PATH_MAX 4096
#define SEGMENT_SLOTS_MIN 512	/* 2 MiB */

struct storage;

struct segment {
	struct storage *storage;
	const char *folder;	/* borrowed: <vault>/segments */
	char path[SEGMENT_PATH_MAX];
	int fd;			/* -1: not open */
	uint64_t next_slot;
	struct reel_container header;
	uint64_t entries_max;
	struct reel_footer_entry *entries;	/* by slot */
	uint8_t *scratch;	/* aligned, as large as the largest footer */
};

struct segment_spec {
	uint32_t writer_id;
	uint64_t sequence;
	uint64_t n_slots;
};

/** Memory for segments of up to `n_slots_max`; no file yet. */
SRS_MUST_CHECK enum srs_err segment_init(struct segment *seg, struct storage *storage, const char *folder,
                                         uint64_t n_slots_max);
void segment_free(struct segment *seg);	/* closes; accepts a half-made one */

/** Create the file and write its header; its name is durable, its header with the first sync. @return LIMIT: no space */
SRS_MUST_CHECK enum srs_err segment_open(struct segment *seg, const struct segment_spec *spec);
static inline bool segment_is_open(const struct segment *seg) { return seg->fd >= 0; }
/** Slots that can still be taken. */
uint64_t segment_room(const struct segment *seg);
/** Take `n` slots. @return the first */
uint64_t segment_take(struct segment *seg, uint64_t n);
void segment_note(struct segment *seg, uint64_t slot_no, const struct reel_footer_entry *entry);

/** Everything that was written is durable already: write the footer, make it durable, rename to `.seg`. The file is
 * closed in any case; when this fails it stays `.open` for the next start's recovery.
 * @param digest SHA-256 of the footer slots */
SRS_MUST_CHECK enum srs_err segment_finish(struct segment *seg, uint8_t digest[REEL_DIGEST_SIZE]);
/** Close without a footer: this file is not trusted with anything more. */
void segment_retire(struct segment *seg);

/** Write the footer of an opened file and sync. Shared with recovery.
 * @param entries one for each slot below the footer
 * @param scratch as many slots as the footer area, aligned */
SRS_MUST_CHECK enum srs_err segment_footer_write(struct storage *storage, int fd, const struct reel_container *header,
                                                 const struct reel_footer_entry *entries, uint8_t *scratch,
                                                 uint8_t digest[REEL_DIGEST_SIZE]);
/** `.open` -> `.seg`, durably. `path` becomes the new name. */
SRS_MUST_CHECK enum srs_err segment_rename(struct storage *storage, const char *folder, char path[SEGMENT_PATH_MAX]);

#endif
