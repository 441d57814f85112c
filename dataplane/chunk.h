/* A chunk in memory: the only unit that crosses from an lcore to a writer. The lcore fills `body` with frames and
 * passes the pointer on; the writer seals it into its block and gives the same pointer back. Chunks come from one
 * pool per lcore, taken at start; they never move between lcores. */
#ifndef CHUNK_H
#define CHUNK_H

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/memory.h"
#include "lib/reel.h"
#include "lib/spsc.h"
#include "lib/srs_err.h"

struct seal_order;
struct config;

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

/* One lcore's chunks. Those that it does not fill and no writer has stand on a stack: the last one given back is the
 * warmest. The writers' empty rings refill it. @thread lcore, after creation */
struct chunk_pool {
	struct chunk **empty;
	uint32_t n_empty;
	uint32_t n;		/* all, wherever they are */
	uint32_t reserve;	/* the last ones are for documents and the ends of parts, not for media */
	_Atomic uint32_t free_percent;	/* relaxed, for admission */
	struct chunk *chunks;
	struct memory descriptors, bodies;
};

/** One lcore's share of config_chunks_need(), rounded up, and what stands in reserve beside it. */
uint32_t chunk_pool_need(const struct config *c, uint32_t n_lcores);
SRS_MUST_CHECK enum srs_err chunk_pool_create(struct chunk_pool *pool, uint32_t n, uint32_t reserve, bool huge);
void chunk_pool_destroy(struct chunk_pool *pool);

static inline struct chunk *
chunk_pool_take(struct chunk_pool *pool, bool media)
{
	if (pool->n_empty <= (media ? pool->reserve : 0))
		return NULL;
	return pool->empty[--pool->n_empty];
}

static inline void
chunk_pool_give(struct chunk_pool *pool, struct chunk *chunk)
{
	pool->empty[pool->n_empty++] = chunk;
}

#endif
