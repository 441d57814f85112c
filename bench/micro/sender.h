/* Protects RTP by the letter of RFC 3711, 6188 and 7714 on libcrypto, one packet at a time. The benchmarks send with
 * it, and it stands in for libsrtp2 in the differential test where that was built without a suite; where it was not,
 * the test holds the two to the same bytes. Not for the product. @thread its own */
#ifndef SENDER_H
#define SENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/srtp_suite.h"

#define SENDER_TRAILER_MAX (SRTP_MKI_MAX + SRTP_TAG_MAX)

struct sender;
struct sender *sender_create(void);	/* NULL: no memory */
void sender_destroy(struct sender *s);	/* accepts NULL; wipes the keys */

/** Derive and take the session keys of a master key; those before are gone. @return false: no such suite, no memory */
bool sender_keys_set(struct sender *s, const struct srtp_master *master);

/** Encrypt in place, append tag and MKI; SENDER_TRAILER_MAX bytes of room behind `len` are needed.
 * @param packet_index  ROC||SEQ, 48 bits; the SEQ must be the packet's
 * @return false: no RTP header fits, or libcrypto refused */
bool sender_protect(struct sender *s, uint64_t packet_index, uint8_t *packet, uint16_t *len);

#endif
