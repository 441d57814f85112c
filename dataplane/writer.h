/* A writer: one thread per storage device. It owns the DEK table, the block buffers, the open segment and the
 * io_uring. Chunks come in from each lcore by an SPSC ring and go back by another at once, sealed into the block.
 * Per recording it grows the Merkle tree, writes the envelope before the part's first chunk, and with the END chunk
 * writes the part's seal. Group commit: each commit_interval_ms data, fdatasync, then the events. It never sees an
 * SRTP key and never blocks an lcore. */
#ifndef WRITER_H
#define WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/chunk.h"
#include "dataplane/dataplane.h"
#include "lib/spsc.h"
#include "lib/srs_err.h"

struct writer;
struct storage;

struct writer_spec {
	uint32_t writer_id;		/* = device index */
	const char *path;		/* vault folder; segments live in <path>/segments/ */
	const struct config *config;
	const struct keystore *keystore;
	struct storage *storage;	/* NULL: made from config (tests give a faulty one) */
	uint32_t recordings_max;	/* handles are below this */
	uint16_t n_lcores;
	uint32_t ring_len;		/* chunks of one lcore's pool */
	uint32_t n_blocks;		/* write-behind pool, 1 MiB each; 0: the default of 64 */
	int cpu;			/* -1: float (the creator's affinity) */
};

SRS_MUST_CHECK enum srs_err writer_create(struct writer **out, const struct writer_spec *spec, char *why,
                                          size_t why_len);
/** Recover open files, open the first segment, start the thread. */
SRS_MUST_CHECK enum srs_err writer_start(struct writer *w, char *why, size_t why_len);
/** Flush, finish the segment, join. */
void writer_stop(struct writer *w);
void writer_destroy(struct writer *w);

/* lcore i's two ends. */
struct spsc *writer_full_ring(struct writer *w, uint16_t lcore_i);	/* push struct chunk * @thread lcore */
struct spsc *writer_empty_ring(struct writer *w, uint16_t lcore_i);	/* pop struct chunk * @thread lcore */

/** Why this writer takes no frames now: NONE, DISK_FULL or WRITE_ERROR. A lcore asks once a turn and turns frames
 * into counted gaps meanwhile, so that nothing is lost unseen. Chunks already handed over wait in the writer; those
 * that it must give up are counted and named as missing in the part's seal. @thread lcore (one relaxed load) */
enum reel_reason writer_refuses(const struct writer *w);

/* Control's end. */
/** Give the key of a part; EVENT_RECORDING_OPENED (part 0) or EVENT_PART_STARTED with err and cookie answers. @return LIMIT (ring) */
SRS_MUST_CHECK enum srs_err writer_part_open(struct writer *w, uint32_t recording, uint32_t part,
                                             const struct part_key *key, uint64_t cookie);
/** Events of this writer: pop struct dataplane_event *, give back with writer_event_free(). @thread control */
struct spsc *writer_events(struct writer *w);
void writer_event_free(struct writer *w, struct dataplane_event *e);

/** Is there room for new recordings (free space above the reserve, no failure)? @thread any */
bool writer_has_room(const struct writer *w);

/* Single-writer counters, relaxed. */
struct writer_counters {
	uint64_t chunks_in, chunks_durable, frames_durable;
	uint64_t chunks_lost_full, chunks_lost_error;	/* their frames: frames_lost */
	uint64_t frames_lost;
	uint64_t bytes_durable, commits, commit_ns_max, ns_busy;
	uint64_t segments_finished, seals, recovered;
};
void writer_counters_read(const struct writer *w, struct writer_counters *out);

#endif
