/* SHA-256: one message at a time (OpenSSL), and many of one length in parallel lanes (intel-ipsec-mb). */
#ifndef DIGEST_H
#define DIGEST_H

#include <stdint.h>

#include "lib/span.h"

#define DIGEST_SIZE  32
#define DIGEST_LANES 16 /* digest_many() is at its best with multiples */

/** One message; fits merkle_hash. @thread any */
void digest_sha256(const uint8_t *bytes, uint32_t len, uint8_t out[DIGEST_SIZE]);

struct digest_lanes;	/* one per writer thread */
/** @return NULL when there is no memory */
struct digest_lanes *digest_lanes_create(void);
void digest_lanes_destroy(struct digest_lanes *d);
/** Hash `n` messages, each of its own length. @thread the owner of `d` */
void digest_many(struct digest_lanes *d, const struct span *messages, uint8_t (*out)[DIGEST_SIZE], unsigned int n);

#endif
