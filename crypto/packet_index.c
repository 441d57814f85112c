#include "crypto/packet_index.h"

void
packet_index_start(struct packet_index *index, uint32_t roc, uint16_t seq)
{
	*index = (struct packet_index){ .highest = (uint64_t)roc << 16 | seq, .started = true };
}

bool
packet_index_restarted(struct packet_index *index, uint16_t seq)
{
	uint32_t roc = (uint32_t)(index->highest >> 16);

	if (!index->restart_armed || index->restart_seq != seq || roc == UINT32_MAX) {
		index->restart_armed = true;
		index->restart_seq = (uint16_t)(seq + 1);
		return false;
	}
	packet_index_start(index, roc + 1, seq);
	return true;
}
