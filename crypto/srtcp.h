/* SRTCP, one packet at a time: reports are rare. The keys stay as they were derived, not expanded, and a replay window
 * stands beside them for each sender. @rfc 3711 §3.4, 7714 §9 */
#ifndef SRTCP_H
#define SRTCP_H

#include <stdint.h>

#include "crypto/packet_index.h"
#include "crypto/srtp_suite.h"
#include "crypto/unprotect.h"
#include "lib/srs_err.h"

#define SRTCP_SENDERS_MAX 4	/* SSRCs whose replay window is kept; the least recent one makes room */
#define SRTCP_TRAILER_MAX (4 + SRTP_MKI_MAX + SRTP_TAG_MAX)	/* E flag and index, MKI, tag */
#define SRTCP_INDEX_MAX   0x7fffffffu

/* Session keys of one master key for RTCP. Secret memory. */
struct srtcp_keys {
	uint8_t suite;		/* enum srtp_suite; NONE: no keys */
	uint8_t mki_len;
	uint8_t cipher[SRTP_MASTER_KEY_MAX];
	uint8_t salt[SRTP_MASTER_SALT_MAX];
	uint8_t auth[SRTP_AUTH_KEY_SIZE];
	uint8_t mki[SRTP_MKI_MAX];
};

/* What one receiver has seen under these keys. */
struct srtcp_window {
	struct {
		struct packet_index index;
		uint32_t ssrc;
		uint32_t used;	/* age: larger is more recent; 0: free */
	} sender[SRTCP_SENDERS_MAX];
	uint32_t uses;
};

/* Cipher contexts of one thread. */
struct srtcp;
struct srtcp *srtcp_create(void);	/* NULL: no memory */
void srtcp_destroy(struct srtcp *s);	/* accepts NULL */

/** @return UNSUPPORTED (suite), NOMEM @thread any */
SRS_MUST_CHECK enum srs_err srtcp_keys_derive(struct srtcp_keys *keys, const struct srtp_master *master);

/** Authenticate, replay-check, decrypt in place. `len`: in, with the trailer; out with OK: the RTCP packet alone. Any
 * other result leaves the packet as it came. Packets whose E flag is 0 are authenticated and not decrypted.
 * @return OK, REPLAYED, TOO_OLD, BAD_TAG (also: too short, another MKI) @thread its own */
enum unprotect_result srtcp_unprotect(struct srtcp *s, const struct srtcp_keys *keys, struct srtcp_window *window,
                                      uint8_t *packet, uint16_t *len);
/** Encrypt and authenticate; SRTCP_TRAILER_MAX bytes of room behind `len` are needed.
 * @param index  1 to SRTCP_INDEX_MAX, never the same twice under a key: the caller counts it up
 * @return LIMIT: the index is used up; NOMEM: libcrypto failed, the packet is spoiled @thread its own */
SRS_MUST_CHECK enum srs_err srtcp_protect(struct srtcp *s, const struct srtcp_keys *keys, uint32_t index,
                                          uint8_t *packet, uint16_t *len);

#endif
