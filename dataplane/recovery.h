/* What an earlier process left behind: segments still `.open`, and recordings without a last seal. The scan only
 * reads; it answers which parts need an INTERRUPTED seal and which files a footer. The writer first makes those
 * seals durable in its new segment and then lets the files be finished. So a recovery that is itself cut short finds
 * the same work again, less the seals that it had written.
 * @thread the starter, before the writer's thread */
#ifndef RECOVERY_H
#define RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/reel.h"
#include "lib/srs_err.h"

struct recovery;
struct storage;

struct recovery_part {
	struct reel_seal seal;	/* complete but for node, bound_ms and, when chained, previous */
	uint64_t bytes;		/* of chunk bodies */
	bool last;		/* of its recording: the event tells of the totals below */
	bool chained;		/* previous = digest of the recovery_part before this one */
	uint64_t total_chunks, total_frames, total_bytes; /* with last: of the whole recording */
	uint64_t total_first_wall_ns;
};

struct recovery_file {
	struct reel_container header;
	uint64_t n_slots_used;
	uint8_t digest[REEL_DIGEST_SIZE];
	unsigned int n_recordings;	/* that have slots in it */
	const uint8_t (*recordings)[REEL_ID_SIZE];
};

/** Look at every segment of `folder`. Slots that are torn or from an earlier life are simply not there.
 * @return IO (why says which file), NOMEM */
SRS_MUST_CHECK enum srs_err recovery_scan(struct recovery **out, const char *folder, char *why, size_t why_len);
void recovery_free(struct recovery *r);	/* accepts NULL */

/** One above every sequence that was ever seen here. */
uint64_t recovery_next_sequence(const struct recovery *r);
/** Events that telling all this takes at most. */
uint32_t recovery_events_max(const struct recovery *r);

/** Give back what open files have allocated and never used: on a full disk, the room that recovery itself needs. */
void recovery_release_unused(struct recovery *r, struct storage *storage);

unsigned int recovery_n_parts(const struct recovery *r);
const struct recovery_part *recovery_part(const struct recovery *r, unsigned int i);

unsigned int recovery_n_files(const struct recovery *r);
/** Write the footer, sync, rename to `.seg`. `out` borrows. */
SRS_MUST_CHECK enum srs_err recovery_finish_file(struct recovery *r, unsigned int i, struct storage *storage,
                                                 struct recovery_file *out);

#endif
