/* Senders of SRTP or SRTCP behind a bad network: several slots with a key each, several SSRCs a slot, packets of all
 * lengths, and on their way loss, reordering, duplicates, tampering and cuts. All of it from a seed. */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/micro/sender.h"
#include "crypto/srtcp.h"
#include "tests/diff/dice.h"
#include "tests/diff/reference.h"

#define NETWORK_SLOTS	 8
#define NETWORK_SSRCS	 3	/* a slot */
#define NETWORK_SOURCES	 (NETWORK_SLOTS * NETWORK_SSRCS)
#define NETWORK_PLAIN	 1400	/* longest packet before it is protected */
#define NETWORK_BYTES	 (NETWORK_PLAIN + SRTCP_TRAILER_MAX + 16)
#define NETWORK_DELAY	 8192	/* longest, in packets sent */

enum network_kind { NETWORK_RTP, NETWORK_RTCP };

enum network_change {
	CHANGE_NONE, CHANGE_HEADER, CHANGE_INDEX, CHANGE_SSRC, CHANGE_PAYLOAD, CHANGE_TAG, CHANGE_MKI, CHANGE_CUT,
	CHANGE_LONGER, CHANGE_NOISE, CHANGES,
};
extern const char *const network_change_names[CHANGES];

/* A packet as it arrives, with what was sent. Owned by whoever took it; free(). */
struct wire {
	struct wire *next;
	uint16_t slot, source;		/* of its sender; source counts over all slots */
	uint16_t plain_len, len;
	enum network_change change;
	uint64_t index;			/* that it was protected with: ROC||SEQ, or SRTCP's */
	uint8_t plain[NETWORK_PLAIN];
	uint8_t bytes[NETWORK_BYTES];
};

struct network {
	struct dice dice;
	struct srtp_master masters[NETWORK_SLOTS];
	struct reference_ssrc ssrcs[NETWORK_SOURCES];
	struct reference senders[NETWORK_SLOTS];
	bool stands_in[NETWORK_SLOTS];	/* libsrtp2 does not speak this suite: `own` or crypto/srtcp protects instead */
	bool clear[NETWORK_SLOTS];	/* SRTCP with E flag 0 */
	enum network_kind kind;
	struct sender *own;
	struct srtcp *srtcp;
	struct srtcp_keys srtcp_keys[NETWORK_SLOTS];
	uint64_t next_index[NETWORK_SOURCES];
	uint32_t since_jump[NETWORK_SOURCES];
	uint32_t now;			/* packets sent */
	uint16_t run_source, run_left;	/* packets of one source in a row */
	struct wire *calendar[NETWORK_DELAY];	/* by time of arrival */
	const char *error;		/* a sentence: the sender itself failed */
};

/** One suite a slot. @return false: `error` says why */
bool network_create(struct network *n, uint64_t seed, enum network_kind kind,
                    const enum srtp_suite suites[NETWORK_SLOTS]);
void network_destroy(struct network *n);

/** Send one packet; it and its copies wait in the calendar. @return false: `error` says why */
bool network_send(struct network *n);
/** What arrives now, in a list; time moves on by one. */
struct wire *network_arrivals(struct network *n);

/** Which source of a slot sends under this SSRC? -1: none */
int network_source_of(const struct network *n, unsigned int slot, uint32_t ssrc);

#endif
