/* RTP and RTCP headers (RFC 3550), sequence arithmetic and jitter. Pure; no state but the caller's. */
#ifndef RTP_H
#define RTP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"
#include "lib/srs_err.h"

#define RTP_HEADER_SIZE 12

struct rtp_header {
	uint8_t payload_type;
	bool marker;
	bool padding;
	bool extension;
	uint8_t n_csrc;
	uint16_t seq;
	uint32_t timestamp;
	uint32_t ssrc;
	struct span payload;	/* without CSRC list, extension and padding */
};

/** Check and read a header. @return INVALID for a short packet, a wrong version or lengths that do not fit
 * @rfc 3550 §5.1, A.1 @thread any */
SRS_MUST_CHECK enum srs_err rtp_header_read(struct rtp_header *h, struct span packet);

/** Contributing source `i` of a packet whose header was read, i < n_csrc. @rfc 3550 §5.1 */
static inline uint32_t
rtp_csrc(struct span packet, unsigned int i)
{
	const uint8_t *at = packet.bytes + RTP_HEADER_SIZE + (size_t)4 * i;

	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/** Is this RTCP when both share a port? Payload types 64 to 95 with the marker bit cut. @rfc 5761 §4 */
static inline bool
rtp_is_rtcp(const uint8_t *packet)
{
	uint8_t pt = packet[1] & 0x7f;

	return pt >= 64 && pt <= 95;
}

/** Check a compound RTCP packet (lengths of all its parts). `ssrc` is the first part's sender. @rfc 3550 §6.1 */
SRS_MUST_CHECK enum srs_err rtp_rtcp_check(struct span packet, uint8_t *first_type, uint32_t *ssrc);

/** Which sources leave by this compound packet? At most `max` of them; what does not parse names nobody.
 * @return how many @rfc 3550 §6.6 */
unsigned int rtp_bye_find(uint32_t ssrc[], unsigned int max, struct span packet);

struct rtp_cname {
	uint32_t ssrc;
	struct span cname;	/* within the packet */
};
/** Canonical names that a compound packet gives; at most `max` of them; what does not parse names nobody.
 * @return how many @rfc 3550 §6.5, §6.5.1 */
unsigned int rtp_cnames_find(struct rtp_cname out[], unsigned int max, struct span packet);

struct rtp_sender_report {
	uint32_t ssrc;
	uint64_t ntp;		/* 32.32 fixed point, seconds since 1900 */
	uint32_t rtp_timestamp;
};
/** Find the sender report of a compound packet. @return UNSUPPORTED when it has none */
SRS_MUST_CHECK enum srs_err rtp_sender_report_find(struct rtp_sender_report *sr, struct span packet);

#endif
