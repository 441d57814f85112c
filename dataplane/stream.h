/* Inbound streams. A port is a slot: slot_of[address][port] names it, without hash or key compare. Filled on the
 * control thread, given to its lcore by command, given back by event; in between only the lcore writes it, and the
 * control thread reads counters with relaxed loads. */
#ifndef STREAM_H
#define STREAM_H

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/packet_index.h"
#include "crypto/srtcp.h"
#include "dataplane/counters.h"
#include "dataplane/datagram.h"
#include "dataplane/dataplane.h"
#include "dataplane/keyset.h"
#include "dataplane/memory.h"
#include "dataplane/packet.h"

struct recording;

/* What a secure stream spends on packets that no context explains. */
struct join {
	uint64_t paid_tsc;	/* token bucket: extra tries are paid for up to here */
	uint32_t cursor;	/* of the search for a ROC: goes on with the next packet */
	uint32_t turn;		/* of the lcore, when a packet was last found ... */
	uint16_t generation;	/* ... and under which keys: the rest of its burst is likely there, too */
};

/* Its receiver reports: report.h. */
struct stream_report {
	struct stream *next, *previous;	/* of a wheel's slot */
	uint64_t due_tsc, sent_tsc;
	uint32_t slot;
	uint32_t ssrc;		/* ours */
	uint32_t clock_hz;
	uint16_t port;		/* where they want RTCP; 0: beside RTP */
	uint32_t index;		/* SRTCP's last: never twice under a key, so it is never turned back */
	bool waits;		/* in the wheel */
	bool first;		/* of the stream: half an interval, RFC 3550 §6.2 */
	bool sampling;		/* the last third of a second before a report */
	bool linked;		/* in this sample */
	struct link link;	/* back to who sends */
	struct media_address rtp_from, rtcp_from;	/* version 0: not heard */
	struct srtcp_keys ours;	/* suite NONE: none */
};

#define STREAM_KEYSETS_MAX 8	/* generations that a stream keeps at once */
#define STREAM_SSRC_MAX   4	/* synchronisation sources a stream keeps at once: one inline, the rest pooled */
#define STREAM_HOLD_SIZE  2048	/* a frame on probation; longer ones are not held */
#define STREAM_PART_NONE  UINT32_MAX
#define SLOT_RTCP         0x80000000u	/* slot_of: the RTCP port of the slot in the other bits */

/* One SSRC of a stream; of a secure stream, under one key generation. */
struct ssrc {
	/* line 0: every packet */
	alignas(SRS_CACHE_LINE) struct packet_index index;	/* 32 B */
	uint64_t recorded;	/* unique, in this part */
	uint64_t highest;	/* as counted; the index itself may be a few packets of this burst ahead */
	uint32_t ssrc;
	uint32_t marked_part;	/* where its SSRC mark stands */
	uint32_t turn;		/* of the lcore, when last seen: for eviction */
	uint16_t generation;	/* key generation; plain RTP: new beginnings of the source */
	uint8_t payload_type;
	bool used : 1;		/* a packet of it was authenticated */
	bool continues : 1;	/* first_index follows on from the part before */
	bool sampled : 1;	/* `transit` is of this sample: see report.h */
	/* lines 1, 2: exceptions */
	uint64_t duplicates;
	uint64_t missing[REEL_REASONS_MAX];
	uint64_t first_index;	/* of this part: what "expected" counts from */
	uint64_t began_index, began_tsc;	/* of this generation: for its mean rate, and for reports */
	/* for our reports; times and sums as RFC 3550 counts them */
	uint32_t transit, jitter;	/* units of the RTP clock; the jitter sixteenfold */
	uint32_t received_before;	/* in parts that ended */
	uint32_t expected_prior, received_prior;	/* at the last report */
	uint32_t sr_middle, sr_at;	/* of the last sender report: its NTP time's middle, and our time in 1/65536 s */
	uint32_t rtcp;		/* in this part */
};
static_assert(sizeof(struct packet_index) == 32, "a packet index is half a line");
static_assert(offsetof(struct ssrc, duplicates) == 1 * SRS_CACHE_LINE, "line 0 overflowed");
static_assert(sizeof(struct ssrc) == 3 * SRS_CACHE_LINE, "an SSRC is three lines");

/* Frames missing in a row, not yet written as a GAP. */
struct gap {
	uint64_t n_frames;
	uint64_t first_wall_ns, last_wall_ns;
};

/* A frame of a source that is not trusted yet. */
struct hold {
	struct hold *next;
	uint64_t wall_ns;
	uint32_t ssrc;
	uint16_t seq;
	uint16_t len;
	struct media_address source;
	uint8_t bytes[STREAM_HOLD_SIZE];
};

#define STREAM_F_LOCKED      0x01	/* source_ip is known and enforced */
#define STREAM_F_LOCKED_PORT 0x02	/* and its port: latched */
#define STREAM_F_INACTIVE    0x04	/* on hold: counted, not recorded */
#define STREAM_F_SECURE      0x08	/* SRTP: for life. Nothing counts as heard that did not authenticate */
#define STREAM_F_DTLS        0x10	/* DTLS records of its source go to control; for life */
#define STREAM_F_REPORT      0x20	/* it gets receiver reports; for life */
#define STREAM_F_SAMPLE      0x40	/* its packets are looked at for one: see report.h */

struct stream {
	/* line 0: every packet */
	alignas(SRS_CACHE_LINE) struct recording *recording;
	uint8_t source_ip[16];
	uint16_t source_port;
	uint8_t source_version;
	uint8_t flags;		/* STREAM_F_* */
	uint8_t number;		/* within the recording */
	uint8_t payload_type;	/* last seen */
	uint16_t address_i;
	struct keyset *keys;	/* the active one, then others by age; NULL: plain RTP, or no key yet */
	uint64_t frames, bytes;
	uint64_t last_tsc;
	/* lines 1 to 3; of a secure stream, always under the active keys */
	struct ssrc first;
	/* line 4 and later: rare */
	struct ssrc *more[STREAM_SSRC_MAX - 1];
	struct stream *next;	/* of the same recording */
	struct hold *hold;
	uint64_t drops;
	uint64_t rtcp_early;	/* before any SSRC was known */
	uint64_t last_rtcp_tsc;	/* 0: none yet */
	uint64_t lost_before;	/* of SSRCs and parts that ended */
	uint64_t duplicates;	/* in all */
	uint32_t handle;
	uint16_t udp_port, rtcp_port;
	struct gap gaps[REEL_REASONS_MAX];
	struct stream *retire_next, *retire_previous;	/* of the lcore: with keys that retire */
	bool retiring;		/* in that list */
	struct join join;
	uint64_t punt_paid_tsc;	/* token bucket of DTLS records */
	uint32_t life;		/* of the slot: which of its streams this is */
	struct stream_report report;
};
static_assert(sizeof(struct stream) / SRS_CACHE_LINE % 2 == 1, "an odd number of lines, so that slots spread over sets");
static_assert(offsetof(struct stream, first) == 1 * SRS_CACHE_LINE, "line 0 overflowed");
static_assert(offsetof(struct stream, more) == 4 * SRS_CACHE_LINE, "the first SSRC moved");

/* Totals of an SSRC that ended before its part did; they wait for the seal. */
struct totals {
	struct totals *next;
	struct reel_seal_stream row;
};

/* All slots; and per lcore the pools that its streams draw from. */
struct stream_table {
	uint32_t (*slot_of)[65536];	/* by address; 0: none. Written by the address's lcore */
	struct stream *slots;		/* index is the handle; 0 is not used */
	uint32_t streams_max;
	struct memory index_memory, slot_memory;
};
/** @param secret  slots hold keys: those of our reports */
SRS_MUST_CHECK enum srs_err stream_table_create(struct stream_table *t, uint32_t streams_max, uint16_t n_addresses,
                                                bool huge, bool secret);
void stream_table_destroy(struct stream_table *t);

struct stream_pool {
	struct ssrc **ssrcs;
	uint32_t n_ssrcs;
	struct hold *holds;	/* list */
	struct totals *totals;	/* list */
	struct memory ssrc_memory, hold_memory, totals_memory;
};
SRS_MUST_CHECK enum srs_err stream_pool_create(struct stream_pool *pool, uint32_t streams_max,
                                               uint32_t recordings_max);
void stream_pool_destroy(struct stream_pool *pool);

/** Fill a free slot, without keys. @param life  counts the streams that this slot had @thread control */
void stream_init(struct stream *s, uint32_t handle, uint32_t life, const struct stream_spec *spec);
/** Take another source or hold state. @thread lcore */
void stream_update(struct stream *s, const struct stream_spec *spec, struct stream_pool *pool, struct counters *c);
/** Give back what the slot drew from the pools. @thread lcore */
void stream_release(struct stream *s, struct stream_pool *pool, struct counters *c);

enum stream_source {
	STREAM_SOURCE_OK,
	STREAM_SOURCE_OTHER,	/* a second source, or not the offer's */
	STREAM_SOURCE_HELD,	/* kept; on probation */
	STREAM_SOURCE_NO_ROOM,
	STREAM_SOURCE_LATCHED,	/* this packet ended the probation: stream->hold goes first */
};
/** Is this packet from the stream's source? @rfc 3550 A.1 (probation: two packets in sequence) @thread lcore */
enum stream_source stream_source_check(struct stream *s, const struct rx_packet *p, uint64_t wall_ns,
                                       struct stream_pool *pool, struct counters *c);
void stream_hold_drop(struct stream *s, struct stream_pool *pool);
/** Hear only this packet's source from now on: it proved itself. @thread lcore */
void stream_source_lock(struct stream *s, const struct rx_packet *p);

/** The context of an SSRC, a free one, or the least recently seen one, which `evicted` then describes (NULL: nothing may
 * leave); NULL: all were seen in this turn, or none may leave. A new context is not `used` before its first packet is authenticated. @thread lcore */
struct ssrc *stream_ssrc(struct stream *s, uint32_t ssrc, uint32_t turn, struct stream_pool *pool,
                         struct ssrc *evicted);
/** The context when there is one. */
struct ssrc *stream_ssrc_find(struct stream *s, uint32_t ssrc);
/** Of a secure stream: the context of an SSRC under the keys of this generation, when there is one. */
struct ssrc *stream_ssrc_under(struct stream *s, uint32_t ssrc, uint16_t generation);
/** Of a secure stream: a new context for an SSRC that authenticated under `keys`. What was seen in this turn stays, and
 * the inline context is the active keys'. `evicted` as above. NULL: no place */
struct ssrc *stream_ssrc_join(struct stream *s, const struct keyset *keys, uint32_t ssrc, uint32_t turn,
                              struct stream_pool *pool, struct ssrc *evicted);
/** Other keys became the active ones: their context `x` changes places with the inline one. Pointers to contexts of this
 * stream are void after it. */
void stream_ssrc_promote(struct stream *s, struct ssrc *x);

#define SSRC_DROPOUT_MAX 3000	/* packets that may be missing in a row without a question. @rfc 3550 A.1 */

/** Is this authenticated packet further ahead than packets are lost in a row? */
static inline bool
ssrc_jumped(const struct ssrc *x, uint64_t index)
{
	return x->used && index > x->highest && index - x->highest >= SSRC_DROPOUT_MAX;
}

/** A plain packet jumped: did its source begin anew (its totals so far then end), or is what lies between lost? RFC
 * 3550 A.1 takes any such jump as a new beginning, which would hide an outage of a minute. So a jump is a loss when
 * the source, at four times its mean rate, could have sent as many packets since the stream's last one.
 * @param silence_tsc  since then */
bool ssrc_restarted(const struct ssrc *x, uint64_t index, uint64_t now_tsc, uint64_t silence_tsc);

/** Count an authenticated, unique packet of this index as expected. @rfc 3550 A.3 */
static inline void
ssrc_expect(struct ssrc *x, uint64_t index, uint64_t now_tsc)
{
	if (__builtin_expect(!x->used, 0)) {
		x->used = true;
		x->first_index = x->highest = x->began_index = index;
		x->began_tsc = now_tsc;
	} else if (__builtin_expect(index > x->highest, 1)) {
		x->highest = index;
	} else if (index < x->first_index && !x->continues) {
		x->first_index = index;
	}
}

/** Totals so far. @return false when there is nothing to tell */
bool ssrc_totals(const struct ssrc *x, uint8_t number, struct reel_seal_stream *row);
/** Packets that never came. */
uint64_t ssrc_lost(const struct ssrc *x);
/** Begin another part: totals from zero, indexes go on. */
void ssrc_next_part(struct ssrc *x);
/** Begin another generation: totals from zero, first packet still to come. */
void ssrc_restart(struct ssrc *x);

/** Packets that never came in all its life. @thread lcore; control may see it a burst old */
uint64_t stream_lost(const struct stream *s);

#endif
