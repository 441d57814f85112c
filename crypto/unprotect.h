/* From protected packets to authenticated ones, a burst at a time, across streams. Plain and protected RTP take the
 * same four steps (estimate, authenticate, replay-check, commit), so that both are counted alike. Two engines give
 * the same results packet by packet: ipsec-mb works on many streams at once; libsrtp2 is the portable one.
 * @thread lcore for bursts; nothing here allocates after creation (libsrtp2 does, inside) */
#ifndef UNPROTECT_H
#define UNPROTECT_H

#include <assert.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/gcm_wide.h"
#include "crypto/packet_index.h"
#include "crypto/srtp_suite.h"
#include "lib/srs_err.h"

enum unprotect_engine_kind { UNPROTECT_IPSEC_MB, UNPROTECT_LIBSRTP2 };

enum unprotect_result {
	UNPROTECT_PENDING = 0,
	UNPROTECT_OK,		/* authenticated, new, index committed; decrypted in place */
	UNPROTECT_REPLAYED,	/* authentic (or plain), seen before */
	UNPROTECT_TOO_OLD,	/* authentic, older than the window */
	UNPROTECT_BAD_TAG,	/* nothing moved, and the packet's bytes are as they came */
};

#define UNPROTECT_AES_SCHEDULE 240	/* round keys of AES-256 */
#define UNPROTECT_GCM_SCHEDULE 1008	/* ipsec-mb's struct gcm_key_data */

/* Session keys of one master key for RTP, expanded. Secret memory, owned by a stream's slot, constant in use. What a
 * packet reads stands together: four lines for AES_CM_128, five for the other suites. */
struct unprotect_ctx {
	alignas(64) uint8_t suite;	/* enum srtp_suite */
	uint8_t tag_len, mki_len;
	uint8_t engine;			/* enum unprotect_engine_kind */
	uint8_t salt[12];		/* of the session; AES-CM has two bytes more */
	union {
		struct {
			uint8_t salt_end[4];		/* two bytes, and zeros */
			uint32_t ipad[5], opad[5];	/* SHA-1 states behind the first block of each pad */
			uint8_t key_len;		/* 16, 24, 32 */
			uint8_t unused[3];
			uint8_t aes[UNPROTECT_AES_SCHEDULE];
		} cm;
		struct gcm_wide_key gcm;	/* AEAD where gcm_wide runs */
		struct {
			uint8_t unused[48];
			uint8_t gcm[UNPROTECT_GCM_SCHEDULE];	/* AEAD elsewhere: ipsec-mb's, seventeen lines */
		} library;
		void *session;			/* libsrtp2's */
	} key;
	uint8_t mki[SRTP_MKI_MAX];
};
static_assert(offsetof(struct unprotect_ctx, key.cm.aes) == 64, "line 0 overflowed");
static_assert(offsetof(struct unprotect_ctx, key.library.gcm) == 64, "ipsec-mb's key stands on a line");
static_assert(sizeof(struct unprotect_ctx) == 17 * 64, "an odd number of lines, so that contexts spread over sets");

/* What a packet reads of its context with the ipsec-mb engine, from the front: for the caller's prefetch, as soon as it
 * knows which context it will be. (AEAD on ipsec-mb's own keys reads more.) */
#define UNPROTECT_CTX_HOT (5 * 64)

struct unprotect_op {
	uint8_t *packet;	/* RTP header first; decrypted in place. */
	uint16_t len;		/* in: with tag and MKI; out with OK: the RTP packet alone */
	uint16_t result;	/* enum unprotect_result */
	uint32_t roc_guess;	/* the ROC to try when `index` is not started */
	struct packet_index *index;	/* of the packet's SSRC under these keys; started or not */
	const struct unprotect_ctx *keys;	/* NULL: plain RTP */
	uint64_t packet_index;	/* out, with OK, REPLAYED, TOO_OLD */
};

struct unprotect_engine;
/** Does this machine run it? ipsec-mb needs AES-NI. @thread any */
bool unprotect_engine_runs(enum unprotect_engine_kind kind);
/** One for each thread that uses it. @return NULL: no memory, or this machine does not run it */
struct unprotect_engine *unprotect_engine_create(enum unprotect_engine_kind kind);
void unprotect_engine_destroy(struct unprotect_engine *e);	/* accepts NULL */
/** Test hook: leave 512-bit registers alone, as on a processor without them. Keys are of one way or the other: call it
 * before the first one. */
void unprotect_engine_portable(struct unprotect_engine *e);

/** Derive and expand the session keys of a master key. @return UNSUPPORTED (suite), NOMEM @thread the engine's */
SRS_MUST_CHECK enum srs_err unprotect_ctx_init(struct unprotect_ctx *ctx, struct unprotect_engine *e,
                                               const struct srtp_master *master);
/** Wipe, and free what the engine holds. Accepts a zeroed one. @thread any, when no lcore knows it */
void unprotect_ctx_wipe(struct unprotect_ctx *ctx);

/** Run a burst of at most UNPROTECT_BURST_MAX. Two packets of one stream in one burst are taken in order: the second
 * sees the first. The RTP header of every packet was checked (rtp.h); one too short for its tag is BAD_TAG. */
#define UNPROTECT_BURST_MAX 64
void unprotect_burst(struct unprotect_engine *e, struct unprotect_op *op[], uint16_t n);

#endif
