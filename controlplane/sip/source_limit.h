/* How often each address may ask for something new: a token bucket for every source, in a table of fixed size. An IPv6
 * network of 64 bits counts as one address, since its hosts choose theirs freely. What comes faster is told so; what
 * comes so fast that even the telling is work is not answered at all. @thread control */
#ifndef SOURCE_LIMIT_H
#define SOURCE_LIMIT_H

#include <stdint.h>

#include "lib/srs_err.h"

struct sockaddr_storage;
struct source_limit;

#define SOURCE_LIMIT_SOURCES 8192	/* remembered at once; then the one that was silent longest makes room */

enum source_verdict {
	SOURCE_TAKE,
	SOURCE_REFUSE,	/* over the rate: 503 */
	SOURCE_DROP,	/* as many again were refused already: silence */
};

/** @param sources_max  rounded up to a power of two, at least 8 */
SRS_MUST_CHECK enum srs_err source_limit_create(struct source_limit **out, uint32_t sources_max);
void source_limit_destroy(struct source_limit *l);	/* accepts NULL */
/**
 * One more request of this address.
 *
 * @param rate_per_s  in the long run; at least 1
 * @param burst_s     how many seconds' worth may come at once; at least 1
 */
enum source_verdict source_limit_ask(struct source_limit *l, const struct sockaddr_storage *address,
                                     uint32_t rate_per_s, uint32_t burst_s, uint64_t now_mono_ns);

#endif
