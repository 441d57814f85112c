/* HMAC-SHA1 tags of many short messages at once, each under its own key: sixteen side by side in 512-bit registers,
 * where the processor has AVX-512, else by ipsec-mb. Every lane is one packet of some stream. @thread its own */
#ifndef HMAC_LANES_H
#define HMAC_LANES_H

#include <stdint.h>

#include "crypto/unprotect.h"

#define HMAC_LANES_MAX  UNPROTECT_BURST_MAX
#define HMAC_LANES_WIDE 16	/* side by side: a run of fewer costs as much */
#define HMAC_TAG_WORDS 3	/* 12 bytes of the 20: no suite has more than 10 */

struct hmac_lane {
	const struct unprotect_ctx *keys;	/* ipad and opad, in its first line */
	const uint8_t *bytes;
	uint32_t len;		/* at least 1, at most 65,536 */
};

/* Word w of the tag of lane i: tag.words[w][i], bytes as on the wire. */
struct hmac_tags {
	alignas(64) uint32_t words[HMAC_TAG_WORDS][HMAC_LANES_MAX];
};

struct hmac_lanes;
struct hmac_lanes *hmac_lanes_create(void);	/* NULL: no memory, or neither AVX-512 nor AES-NI */
void hmac_lanes_destroy(struct hmac_lanes *h);	/* accepts NULL */
/** Tags of `n` messages, at most HMAC_LANES_MAX. @rfc 2104, 3711 §4.2.1 */
void hmac_lanes_run(struct hmac_lanes *h, const struct hmac_lane lane[], unsigned int n, struct hmac_tags *tags);
/** Test hook: leave AVX-512 alone. */
void hmac_lanes_portable(struct hmac_lanes *h);

#endif
