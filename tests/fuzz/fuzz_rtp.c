/* Bytes as a packet: never a crash, and what is handed out lies inside the packet. */
#include <stdint.h>
#include <stdlib.h>

#include "lib/rtp.h"
#include "lib/srs_assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct rtp_header h;
	struct rtp_sender_report sr;
	struct rtp_cname names[8];
	unsigned int n;
	uint8_t type;
	uint32_t ssrc;
	struct span packet = span_of(bytes, len);

	if (rtp_header_read(&h, packet) == SRS_OK) {
		srs_assert(h.payload.bytes >= bytes + RTP_HEADER_SIZE);
		srs_assert(h.payload.bytes + h.payload.len <= bytes + len);
		for (unsigned int i = 0; i < h.n_csrc; i++)
			(void)rtp_csrc(packet, i);
	}
	if (rtp_rtcp_check(packet, &type, &ssrc) == SRS_OK) {
		srs_assert(len >= 8);
		srs_assert(rtp_sender_report_find(&sr, packet) != SRS_ERR_INVALID);
	}
	n = rtp_cnames_find(names, 8, packet);
	for (unsigned int i = 0; i < n; i++)
		srs_assert(names[i].cname.bytes > bytes && names[i].cname.bytes + names[i].cname.len <= bytes + len);
	return 0;
}
