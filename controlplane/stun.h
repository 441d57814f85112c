/* A STUN client: which address do others see us by? Binding requests over UDP to one server, repeated as RFC 8489 §6.2.1
 * says, asked again each stun.refresh_s; what was found stays until another is found. Nothing waits for it.
 * @thread control @rfc 8489 */
#ifndef STUN_H
#define STUN_H

#include <stddef.h>
#include <stdint.h>

#include "controlplane/nat.h"
#include "controlplane/reactor.h"
#include "lib/config.h"
#include "lib/span.h"
#include "lib/srs_err.h"

struct stun;

/** Begin to ask stun.server. @param on_found  a new address @param why  names the setting. @return INVALID, IO, NOMEM */
SRS_MUST_CHECK enum srs_err stun_create(struct stun **out, struct reactor *r, const struct config *c,
                                        void (*on_found)(void *ctx, const struct nat_address *a), void *ctx, char *why,
                                        size_t why_len);
void stun_destroy(struct stun *s);	/* accepts NULL */
/** For /stun-status: malloc'd JSON, NULL when there is no memory. Accepts NULL: STUN is not used, and `why_not` says so. */
char *stun_json(const struct stun *s, const char *why_not);

/* ---- messages, pure ---- */

#define STUN_ID_SIZE      12
#define STUN_REQUEST_SIZE 28	/* header and FINGERPRINT */
#define STUN_RESPONSE_MAX 1500

void stun_request_write(const uint8_t id[STUN_ID_SIZE], uint8_t out[STUN_REQUEST_SIZE]);

struct stun_response {
	struct nat_address address;	/* of a success */
	uint16_t port;
	unsigned int error;		/* 300 to 699; 0: success */
};
/** A response to the request with this id. @return INVALID: none, drop it (RFC 8489 §6.3) */
SRS_MUST_CHECK enum srs_err stun_response_read(struct stun_response *out, struct span bytes,
                                               const uint8_t id[STUN_ID_SIZE]);

#endif
