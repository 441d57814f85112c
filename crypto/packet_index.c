#include "crypto/packet_index.h"

#include "lib/srs_assert.h"

#define SEQ_HALF   0x8000
#define INDEX_MASK 0xffffffffffffull /* 48 bits */

void
packet_index_start(struct packet_index *index, uint32_t roc, uint16_t seq)
{
	*index = (struct packet_index){ .highest = (uint64_t)roc << 16 | seq, .started = true };
}

uint64_t
packet_index_estimate(const struct packet_index *index, uint16_t seq)
{
	uint32_t roc = (uint32_t)(index->highest >> 16);
	int32_t ahead = (int32_t)seq - (int32_t)(index->highest & 0xffff);

	if (ahead > SEQ_HALF) {
		if (roc != 0) /* older than the first wrap: stays above zero */
			roc--;
	} else if (ahead < -SEQ_HALF) {
		roc++; /* past 2^48 it wraps to zero, which the window then refuses */
	}
	return (uint64_t)roc << 16 | seq;
}

enum packet_index_check
packet_index_check(const struct packet_index *index, uint64_t i)
{
	uint64_t behind;

	if (i > index->highest)
		return PACKET_INDEX_NEW;
	behind = index->highest - i;
	if (behind >= PACKET_INDEX_WINDOW)
		return PACKET_INDEX_TOO_OLD;
	return (index->window[behind / 64] >> (behind % 64) & 1) != 0 ? PACKET_INDEX_REPLAYED
								      : PACKET_INDEX_NEW;
}

static void
window_shift(uint64_t window[2], uint64_t by)
{
	if (by >= PACKET_INDEX_WINDOW) {
		window[1] = 0;
		window[0] = 0;
	} else if (by >= 64) {
		window[1] = window[0] << (by - 64);
		window[0] = 0;
	} else if (by != 0) { /* a shift by 64 - 0 would be undefined */
		window[1] = window[1] << by | window[0] >> (64 - by);
		window[0] <<= by;
	}
}

void
packet_index_commit(struct packet_index *index, uint64_t i)
{
	uint64_t behind;

	srs_assert_hot(index->started);
	srs_assert_hot(i <= INDEX_MASK);
	srs_assert_hot(packet_index_check(index, i) == PACKET_INDEX_NEW);
	index->restart_armed = false;
	if (i > index->highest) {
		window_shift(index->window, i - index->highest);
		index->highest = i;
	}
	behind = index->highest - i;
	index->window[behind / 64] |= 1ull << (behind % 64);
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
