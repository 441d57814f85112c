/* What a receiver of one SSRC must answer, told slowly: the index as RFC 3711 §3.3.1 defines it, and a list of all that
 * was accepted. It shares nothing with crypto/packet_index, and knows what no receiver knows: which packet was sent
 * with which index, and whether somebody changed it. */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/unprotect.h"

#define MODEL_WINDOW 128
#define MODEL_KEPT   4096	/* accepted indexes: many windows */

struct model {
	bool started;
	uint32_t roc_first;
	uint64_t highest;
	uint64_t accepted[MODEL_KEPT];	/* index + 1, by index % MODEL_KEPT */
};

/** The index that a receiver takes a SEQ for. Pure. */
uint64_t model_estimate(const struct model *m, uint16_t seq);
bool model_accepted(const struct model *m, uint64_t index);
/** The result for a packet, and the step that follows it.
 * @param index      that it is taken for: estimated, or SRTCP's own
 * @param authentic  was it protected with this index, and not changed on its way? */
enum unprotect_result model_receive(struct model *m, uint64_t index, bool authentic);

#endif
