#include "dataplane/chunk.h"

#include <stdlib.h>
#include <string.h>

#include "lib/config.h"

uint32_t
chunk_pool_need(const struct config *c, uint32_t n_lcores)
{
	uint64_t n = (config_chunks_need(c) + n_lcores - 1) / n_lcores;

	n += n / 16 + 64;	/* the reserve */
	return n > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)n;
}

enum srs_err
chunk_pool_create(struct chunk_pool *pool, uint32_t n, uint32_t reserve, bool huge)
{
	memset(pool, 0, sizeof(*pool));
	pool->empty = calloc(n, sizeof(struct chunk *));
	if (pool->empty == NULL || !memory_take(&pool->descriptors, (size_t)n * sizeof(struct chunk), huge) ||
	    !memory_take(&pool->bodies, (size_t)n * REEL_SLOT_SIZE, huge)) {
		chunk_pool_destroy(pool);
		return SRS_ERR_NOMEM;
	}
	pool->chunks = pool->descriptors.at;
	for (uint32_t i = n; i-- > 0;) {
		pool->chunks[i].body = (uint8_t *)pool->bodies.at + (size_t)i * REEL_SLOT_SIZE;
		pool->empty[pool->n_empty++] = &pool->chunks[i];
	}
	pool->n = n;
	pool->reserve = reserve;
	atomic_init(&pool->free_percent, 100);
	return SRS_OK;
}

void
chunk_pool_destroy(struct chunk_pool *pool)
{
	free(pool->empty);
	memory_give(&pool->descriptors);
	memory_give(&pool->bodies);
	memset(pool, 0, sizeof(*pool));
}
