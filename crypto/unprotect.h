/* From protected packets to authenticated ones, a burst at a time, across streams. The engine is chosen at start
 * (`srtp.engine`); the plain engine passes RTP through the same four steps (estimate, authenticate, replay-check,
 * commit), so that plain and protected streams are counted alike. SRTP engines (ipsec-mb, libsrtp2) stand behind
 * this same interface. @thread lcore; nothing here allocates after creation */
#ifndef UNPROTECT_H
#define UNPROTECT_H

#include <stdint.h>

#include "crypto/packet_index.h"
#include "lib/srs_err.h"

enum unprotect_result {
	UNPROTECT_PENDING = 0,
	UNPROTECT_OK,		/* authenticated, new, index committed */
	UNPROTECT_REPLAYED,	/* authentic (or plain), seen before */
	UNPROTECT_TOO_OLD,	/* older than the window */
	UNPROTECT_BAD_TAG,
	UNPROTECT_NO_KEY,
};

struct unprotect_ctx;	/* keys of one stream and generation; NULL: plain RTP */

struct unprotect_op {
	uint8_t *packet;	/* RTP header first; decrypted in place */
	uint16_t len;		/* in: with tag and MKI; out: the RTP packet alone */
	uint16_t result;	/* enum unprotect_result */
	struct packet_index *index;	/* of the packet's SSRC; started or not */
	const struct unprotect_ctx *keys;
	uint64_t packet_index;	/* out, with OK, REPLAYED, TOO_OLD */
};

struct unprotect_engine;
struct unprotect_engine *unprotect_engine_create(void);	/* NULL: no memory */
void unprotect_engine_destroy(struct unprotect_engine *e);

/** Run a burst. Two packets of one stream in one burst are taken in order: the second sees the first. */
void unprotect_burst(struct unprotect_engine *e, struct unprotect_op *op[], uint16_t n);

#endif
