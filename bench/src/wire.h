/* The way of one stream's packets to the recorder: protection, then what the network does to them, then what an
 * attacker who can send from the same address adds. */
#ifndef SRC_WIRE_H
#define SRC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protect.h"

#define WIRE_PACKET_MAX 1500	/* before protection */
#define WIRE_ROOM       (WIRE_PACKET_MAX + PROTECT_TRAILER_MAX)
#define WIRE_MEMORY     200	/* packets that a replay picks from: more than any window of 128 */

/* Probability a packet. */
struct wire_faults {
	double loss, duplicate, reorder;
	double bad_tags;	/* also send a copy with one broken bit */
	double replays;		/* also send one of the last WIRE_MEMORY packets again */
};

struct wire_memory;

struct wire {
	const struct wire_faults *faults;
	uint32_t *seed;
	int fd, rtcp_fd;	/* the same one with rtcp-mux; -1: none */
	struct protect *protect;	/* NULL: in clear. Its owner sets it by wire_secure() */
	/* a packet held back by reordering goes out behind its successor */
	uint8_t held[WIRE_ROOM];
	uint16_t held_len;
	uint8_t header[12];	/* of the newest RTP packet: a forger sees it */
	const uint8_t *hello;	/* a DTLS ClientHello that a forger sends too; NULL: none. Borrowed */
	uint16_t hello_len;
	struct wire_memory *memory;	/* with replays; owned */
	/* what went out; the recorder's report must agree. `sent` has the duplicates, not the bad tags, replays and forged */
	uint64_t made, sent, dropped, duplicated, reordered, octets;
	uint64_t bad_tags, replays, forged, forged_rtcp, forged_dtls, reports_sent;
	uint64_t unprotected;	/* could not be protected and stayed here: a bug or a limit of the engine */
};

void wire_open(struct wire *w, const struct wire_faults *faults, uint32_t *seed);
/** Protect from now on with this key. What was sent under another one is not replayed any more. */
void wire_secure(struct wire *w, struct protect *protect);
/** Send an RTP packet. WIRE_ROOM bytes are there; they are written over. */
void wire_send_rtp(struct wire *w, uint8_t *packet, uint16_t len);
/** The same for a compound RTCP packet, which no fault touches. */
void wire_send_rtcp(struct wire *w, uint8_t *packet, uint16_t len);
/** Send what reordering still holds back. */
void wire_flush(struct wire *w);
/** Send n packets that look like the stream's own to anybody without its key. */
void wire_forge(struct wire *w, unsigned int n, uint8_t payload_type);
/** Close the sockets. */
void wire_close(struct wire *w);

#endif
