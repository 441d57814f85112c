/* A segment as it is found on the disk, finished or not, for reading only. Slots that are torn, or whose crc belongs to
 * another place or an earlier life, are not there. @thread the caller's */
#ifndef SEGMENT_FILE_H
#define SEGMENT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/segment.h"
#include "lib/reel.h"
#include "lib/srs_err.h"

#define SEGMENT_FILE_SLOTS_MAX ((uint64_t)1 << 22) /* 16 GiB, the largest storage.segment_mib */

struct segment_file {
	char path[SEGMENT_PATH_MAX];
	int fd;
	bool open;		/* `.open`: without a footer to trust */
	struct reel_container header;
	uint64_t n_used;	/* slots up to the last good one; set by segment_file_entries() */
};

/** Open `path` and check its header. @return STATE: slot 0 was never written; INVALID: it is damaged; IO */
SRS_MUST_CHECK enum srs_err segment_file_open(struct segment_file *f, const char *path);
void segment_file_close(struct segment_file *f);
/** What each slot below the footer holds: by the footer of a finished file, by a walk otherwise.
 * @param entries header.footer_slot of them */
SRS_MUST_CHECK enum srs_err segment_file_entries(struct segment_file *f, struct reel_footer_entry *entries);
/** One slot, its crc checked. @return its kind; EMPTY and DAMAGED too */
enum reel_slot_kind segment_file_slot(const struct segment_file *f, uint64_t slot_no, uint8_t slot[REEL_SLOT_SIZE]);

#endif
