/* The engine on libsrtp2, behind unprotect.h: portable, one packet at a time, for few streams. Its results are those of
 * the engine on ipsec-mb packet by packet; docs/decisions/2026-11-25-libsrtp2-engine.md says how. For unprotect.c.
 *
 * The packet index of the caller is the truth. What libsrtp2 remembers of a stream only serves to lead it to the index
 * that a packet must be authenticated for, and is thrown away whenever it stands in the way. */
#ifndef UNPROTECT_LIBSRTP2_H
#define UNPROTECT_LIBSRTP2_H

#include <stdbool.h>

#include "crypto/unprotect.h"

/** Does the library on this machine have the suite, as its RFC has it? The first call starts the library and asks it
 * for known answers: Debian's 2.5.0 fails the one of AES-192. @thread any */
bool unprotect_libsrtp2_has(enum srtp_suite suite);

/** One libsrtp2 session; the library keeps the keys in its own memory, too. @return UNSUPPORTED (suite), NOMEM @thread any */
SRS_MUST_CHECK enum srs_err unprotect_libsrtp2_init(struct unprotect_ctx *ctx, const struct srtp_master *master);
/** Give back the session, wipe the rest. Accepts a zeroed one. @thread any, when no lcore knows it */
void unprotect_libsrtp2_wipe(struct unprotect_ctx *ctx);

/** One packet with keys of this engine. A result other than OK leaves the bytes as they came. Nothing allocates here but
 * libsrtp2, for a stream's state; when it cannot, the packet is BAD_TAG. @thread lcore, one for each context */
void unprotect_libsrtp2_one(struct unprotect_op *op);

#endif
