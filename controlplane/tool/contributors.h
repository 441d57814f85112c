/* Whose media a stream carried, by what the packets themselves say: SSRC, the CSRC lists that a mixer writes, and the
 * CNAMEs of RTCP (RFC 7866 §8.1.4, §8.1.5.1). In a mixed stream this tells the participants apart. @thread tool */
#ifndef CONTRIBUTORS_H
#define CONTRIBUTORS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"
#include "lib/srs_err.h"

#define CONTRIBUTORS_MAX 4096
#define CONTRIBUTOR_CNAME_MAX 128

struct contributor {
	uint8_t stream;
	uint32_t id;		/* SSRC or CSRC */
	bool mixed;		/* it stands in CSRC lists */
	char cname[CONTRIBUTOR_CNAME_MAX];	/* the newest; "" when none was heard */
	uint64_t n_packets;	/* that it sent, or contributed to */
	uint64_t first_wall_ns, last_wall_ns;
};

struct contributors {
	struct contributor *rows;
	unsigned int n, room, last;	/* last: where the packet before was found */
	bool any_mixed;
};

/** @return NOMEM */
SRS_MUST_CHECK enum srs_err contributors_rtp(struct contributors *c, uint8_t stream, struct span packet, uint64_t wall_ns);
SRS_MUST_CHECK enum srs_err contributors_rtcp(struct contributors *c, uint8_t stream, struct span packet);
/** Is this CNAME that address of record? The scheme and what stands behind the host do not count. */
bool contributor_is(const struct contributor *c, const char *aor);
void contributors_release(struct contributors *c);

#endif
