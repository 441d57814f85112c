/* A chunk in memory: the only unit that crosses from an lcore to a writer. The lcore fills `body` with frames and
 * passes the pointer on; the writer seals it into its block and gives the same pointer back. Chunks come from one
 * pool per lcore, taken at start; they never move between lcores. */
#ifndef CHUNK_H
#define CHUNK_H

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/reel.h"
#include "lib/spsc.h"

struct seal_order;

struct chunk {
	/* line 0: written by the lcore while it owns the chunk, read by the writer after the hand-over */
	alignas(SRS_CACHE_LINE) uint32_t recording;	/* handle */
	uint32_t part;
	uint64_t chunk_no;
	uint64_t first_wall_ns;
	uint64_t opened_mono_ns;	/* for append -> durable */
	uint32_t n_frames;
	uint16_t used;		/* bytes of body */
	uint16_t flags;		/* REEL_CHUNK_END, _FINAL, _DOCUMENTS */
	struct seal_order *seal;	/* with END: owned by the chunk until the writer takes it */
	uint8_t *body;		/* REEL_SLOT_SIZE bytes, page aligned; REEL_BODY_MAX of them used */
	uint64_t spare;
};
static_assert(sizeof(struct chunk) == SRS_CACHE_LINE, "a chunk's descriptor is one line");

/* What the seal of a part says that the writer cannot know by itself. Built by dataplane code on the control thread
 * and the lcore, freed by the writer. */
struct seal_order {
	uint64_t cookie;
	char reason[64];
	bool final;
	uint16_t n_streams;
	struct reel_seal_stream streams[];	/* up to REEL_SEAL_STREAMS_MAX */
};

#endif
