/* Bytes as a STUN response: the first 12 are the id that was asked with, so that what follows may match it. A refusal
 * leaves nothing; what is taken is an address or an error, never both. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct stun_response r;
	uint8_t *exact;

	if (len < STUN_ID_SIZE)
		return 0;
	memset(&r, 1, sizeof(r));
	exact = malloc(len - STUN_ID_SIZE + 1);		/* so that a read behind it is seen */
	memcpy(exact, bytes + STUN_ID_SIZE, len - STUN_ID_SIZE);
	exact = realloc(exact, len - STUN_ID_SIZE == 0 ? 1 : len - STUN_ID_SIZE);
	if (stun_response_read(&r, span_of(exact, len - STUN_ID_SIZE), bytes) != SRS_OK) {
		if (!span_is_zero(span_of(&r, sizeof(r))))
			abort();
	} else if ((r.error == 0) == (r.address.ip_version == 0) || (r.error != 0 && (r.error < 300 || r.error > 699))) {
		abort();
	}
	free(exact);
	return 0;
}
