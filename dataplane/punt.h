/* DTLS records on their way to control (RFC 5764 §5.1.2, 7983): an lcore copies what comes from a stream's permitted
 * source into a buffer of a bounded ring; control hands it on and gives the buffer back. A token bucket per slot, so
 * that one source's flood is not the others' loss. It touches nothing that media depends on. */
#ifndef PUNT_H
#define PUNT_H

#include <stdint.h>

#include "dataplane/counters.h"
#include "dataplane/datagram.h"
#include "dataplane/memory.h"
#include "lib/spsc.h"

#define PUNTS_MAX     256	/* buffers of an lcore */
#define PUNT_BURST    20	/* a slot's at once: a handshake with certificates in small records */
#define PUNT_HZ       50	/* and in the long run */

struct punt {
	uint32_t stream;	/* handle, and ... */
	uint32_t life;		/* ... which of the streams that had it */
	struct media_address source;
	struct link link;	/* back to it */
	uint16_t len;
	uint8_t bytes[STREAM_DATAGRAM_MAX];
};

struct punts {
	struct spsc *full;	/* lcore to control */
	struct spsc *empty;	/* and back */
	struct memory memory;
};

SRS_MUST_CHECK enum srs_err punts_create(struct punts *p);
void punts_destroy(struct punts *p);	/* accepts a zeroed one */

/** Take a packet of kind DTLS. @return its verdict @thread lcore */
enum rx_verdict punt_take(struct punts *p, const struct rx_packet *packet, uint64_t now_tsc, uint64_t tsc_hz,
                          const uint8_t mac[REPLY_MAC_SIZE]);

#endif
