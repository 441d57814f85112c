#include "lib/spsc.h"

#include <stdlib.h>
#include <string.h>

#define SPSC_LEN_MAX (1u << 30)

enum srs_err
spsc_create(struct spsc **out, uint32_t len_min)
{
	struct spsc *ring;
	uint32_t len = 2;

	if (len_min > SPSC_LEN_MAX)
		return SRS_ERR_NOMEM;
	while (len < len_min)
		len *= 2;
	ring = aligned_alloc(SRS_CACHE_LINE, sizeof(*ring));
	if (ring == NULL)
		return SRS_ERR_NOMEM;
	memset(ring, 0, sizeof(*ring));
	ring->mask = len - 1;
	ring->slots = calloc(len, sizeof(*ring->slots));
	if (ring->slots == NULL) {
		free(ring);
		return SRS_ERR_NOMEM;
	}
	*out = ring;
	return SRS_OK;
}

void
spsc_destroy(struct spsc *ring)
{
	if (ring == NULL)
		return;
	free(ring->slots);
	free(ring);
}
