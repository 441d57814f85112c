/* libsrtp2 itself, called as its users call it: one session with one master key, a policy for each SSRC, window 128,
 * repeats refused. It sends what the engines receive, and receives the same bytes beside them. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include <srtp2/srtp.h>

#include "crypto/srtp_suite.h"

struct reference {
	srtp_t session;
	bool mki;
};

struct reference_ssrc {
	uint32_t ssrc;	/* host order */
	uint32_t roc;	/* of its first packet */
};

/** Can libsrtp2 be held against us in this suite? The AES-192 ones may be missing, and some versions (2.5) derive their
 * session keys by AES-256 where RFC 6188 §3 asks for AES-192: then no packet of theirs is worth anything. For all other
 * suites true without a look: where they are missing or wrong, the test shall fail. */
bool reference_speaks(enum srtp_suite suite);

/** @param clear_rtcp  SRTCP is authenticated and not encrypted: E flag 0
 * @return false: libsrtp2 refused */
bool reference_create(struct reference *r, const struct srtp_master *master, const struct reference_ssrc ssrcs[],
                      unsigned int n_ssrcs, bool clear_rtcp);
void reference_destroy(struct reference *r);	/* accepts a zeroed one */

/* `len` grows or shrinks by tag and MKI. */
srtp_err_status_t reference_protect(struct reference *r, uint8_t *packet, uint16_t *len);
srtp_err_status_t reference_unprotect(struct reference *r, uint8_t *packet, uint16_t *len);
srtp_err_status_t reference_protect_rtcp(struct reference *r, uint8_t *packet, uint16_t *len);
srtp_err_status_t reference_unprotect_rtcp(struct reference *r, uint8_t *packet, uint16_t *len);

#endif
