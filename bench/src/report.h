/* RTCP: the reports that a simulated participant sends, and the check of those that it gets. @rfc 3550 §6 */
#ifndef SRC_REPORT_H
#define SRC_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPORT_MAX 128	/* bytes of what report_sender() writes */

struct report_facts {
	uint32_t ssrc;
	uint32_t timestamp;	/* RTP time of now */
	uint64_t packets, octets;
	const char *cname;
};

/** A sender report and SDES in one compound packet. @return its length */
uint16_t report_sender(uint8_t out[REPORT_MAX], const struct report_facts *facts);
/** BYE behind an empty receiver report. @return its length */
uint16_t report_bye(uint8_t out[REPORT_MAX], uint32_t ssrc);

/* What a stream knows of one SSRC that it sent under. */
struct report_source {
	uint32_t ssrc;
	uint16_t first_seq;
	uint64_t made;		/* packets */
	uint64_t beyond;	/* sent again or late: a receiver may count so many more than it expects */
	bool gaps;		/* a capture: sequence and loss are not ours to know */
	/* what the last report said */
	int32_t lost;
	uint32_t highest;
};

/**
 * Check a compound packet: lengths, a report first, a CNAME, and blocks that speak of sources that we are, with losses
 * and a highest sequence number that can be.
 *
 * @param sources  updated with what the blocks say
 * @return false, with the reason in `why`
 */
bool report_check(const uint8_t *packet, size_t len, struct report_source *sources, unsigned int n_sources, char *why,
                  size_t why_len);

#endif
