/* The 48-bit packet index of one SSRC under one key, and its replay window of 128 packets. Plain RTP uses the same
 * state, so that ordering, duplicates and loss are counted alike. Order of use: estimate, authenticate,
 * replay-check, commit. Inline is what the burst loop calls. @thread lcore */
#ifndef PACKET_INDEX_H
#define PACKET_INDEX_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/srs_assert.h"

#define PACKET_INDEX_WINDOW 128
/* Plain RTP starts at ROC 1, so that packets older than the first one never go below zero. */
#define PACKET_INDEX_PLAIN_ROC 1u
#define PACKET_INDEX_SEQ_HALF  0x8000
#define PACKET_INDEX_MAX       0xffffffffffffull	/* 48 bits */

struct packet_index {
	uint64_t highest;	/* largest authenticated index */
	uint64_t window[2];	/* bit i of [0]: highest - i was seen; [1]: highest - 64 - i */
	bool started;		/* false: nothing authenticated yet (SSRC 0 and index 0 are legal) */
	bool restart_armed;	/* the last packet was too old; the next in its row means a restart */
	uint16_t restart_seq;
};
static_assert(sizeof(struct packet_index) == 32, "two contexts share a cache line");

/** Begin at a first packet. Nothing is marked as seen; see packet_index_commit(). */
void packet_index_start(struct packet_index *index, uint32_t roc, uint16_t seq);

/**
 * Estimate the 48-bit packet index of a received SEQ. Pure.
 *
 * @return  ROC||SEQ closest to `highest`, never below zero
 * @rfc 3711 §3.3.1, Appendix A
 */
static inline uint64_t
packet_index_estimate(const struct packet_index *index, uint16_t seq)
{
	uint32_t roc = (uint32_t)(index->highest >> 16);
	int32_t ahead = (int32_t)seq - (int32_t)(index->highest & 0xffff);

	if (ahead > PACKET_INDEX_SEQ_HALF) {
		if (roc != 0)	/* older than the first wrap: stays above zero */
			roc--;
	} else if (ahead < -PACKET_INDEX_SEQ_HALF) {
		roc++;		/* past 2^48 it wraps to zero, which the window then refuses */
	}
	return (uint64_t)roc << 16 | seq;
}

enum packet_index_check { PACKET_INDEX_NEW, PACKET_INDEX_REPLAYED, PACKET_INDEX_TOO_OLD };

/** Was this index seen, or is it older than the window? Pure. @rfc 3711 §3.3.2 */
static inline enum packet_index_check
packet_index_check(const struct packet_index *index, uint64_t i)
{
	uint64_t behind;

	if (i > index->highest)
		return PACKET_INDEX_NEW;
	behind = index->highest - i;
	if (behind >= PACKET_INDEX_WINDOW)
		return PACKET_INDEX_TOO_OLD;
	return (index->window[behind / 64] >> (behind % 64) & 1) != 0 ? PACKET_INDEX_REPLAYED : PACKET_INDEX_NEW;
}

/**
 * Plain RTP only: a sender that restarts its SEQ below the window would stay unheard until it has caught up. Call
 * with each packet found too old. The second of two consecutive ones begins anew at the next ROC, so that the order
 * of the recording holds; the caller then commits it.
 *
 * @return  true: the index was started anew at `seq`
 * @rfc 3550 A.1
 */
bool packet_index_restarted(struct packet_index *index, uint16_t seq);

/** Mark an authenticated, new index as seen and move `highest`. @rfc 3711 §3.3.1, §3.3.2 */
static inline void
packet_index_commit(struct packet_index *index, uint64_t i)
{
	uint64_t behind;

	srs_assert_hot(index->started);
	srs_assert_hot(i <= PACKET_INDEX_MAX);
	srs_assert_hot(packet_index_check(index, i) == PACKET_INDEX_NEW);
	index->restart_armed = false;
	if (i > index->highest) {
		uint64_t by = i - index->highest;

		if (__builtin_expect(by < 64, 1)) {	/* by is not 0, so that 64 - by is a shift */
			index->window[1] = index->window[1] << by | index->window[0] >> (64 - by);
			index->window[0] <<= by;
		} else {
			index->window[1] = by < PACKET_INDEX_WINDOW ? index->window[0] << (by - 64) : 0;
			index->window[0] = 0;
		}
		index->highest = i;
	}
	behind = index->highest - i;
	index->window[behind / 64] |= 1ull << (behind % 64);
}

#endif
