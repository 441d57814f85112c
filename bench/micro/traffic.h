/* Protected packets of many streams for the unprotect benchmarks: distinct keys, advancing SEQ, made before the clock
 * runs. They wait in memory of their own. A pass copies the next of them into a pool that stands for the buffers of a
 * receive queue, outside of the timing; so each packet is unprotected once, no state is ever turned back, and packets
 * are as warm as the pool is small. @thread one */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/srtp_suite.h"
#include "dataplane/memory.h"

struct traffic_spec {
	enum srtp_suite suite;
	uint32_t n_streams;
	uint16_t packet_bytes;	/* RTP header and payload */
	uint64_t n_packets;	/* of all streams, at least; rounded up so that each stream has as many */
	uint32_t pool_packets;
	uint16_t header_at;	/* where the RTP header begins, behind the start of a cache line */
	bool random;		/* each turn a new permutation of all streams; false: in order of their number */
};

#define TRAFFIC_BYTES_MAX   1400
#define TRAFFIC_STREAMS_MAX 240000u
#define TRAFFIC_STORE_MAX   ((uint64_t)3 << 30)

struct arrival {
	uint8_t *packet;	/* in the pool; room for 32 bytes on both sides */
	uint32_t stream;
	uint32_t number;	/* of the stream's packets */
};

struct traffic {
	struct traffic_spec spec;
	struct srtp_master *masters;	/* by stream */
	uint32_t per_stream;
	uint16_t protected_len;		/* of every packet */
	uint32_t slot, pool_slot;	/* bytes from a packet to the next */
	struct memory store, pool;
	struct arrival *arrivals;	/* of this pass */
	uint32_t *order;		/* streams, of this turn */
	uint32_t at, turn;		/* next in `order`; turn = number of the next packet of each stream */
	uint64_t seed;
};

/** Makes keys and packets: about 1 us each. @param why  a sentence, on failure */
bool traffic_create(struct traffic *t, const struct traffic_spec *spec, const char **why);
void traffic_destroy(struct traffic *t);	/* accepts a zeroed one; wipes the keys */

/** Bring the next packets into the pool. @return how many lie in `arrivals`; 0: all were taken */
uint32_t traffic_pass(struct traffic *t);
/** Is the packet of this arrival in the pool the RTP packet that was protected? */
bool traffic_is_plain(const struct traffic *t, const struct arrival *a);
/** The SSRC of a stream's packets, host order. */
uint32_t traffic_ssrc(uint32_t stream);

#endif
