/* The keys of a stream for one key generation: RTP's expanded, RTCP's as they were derived. Filled on the control thread from a master key, given to the
 * stream's lcore with a command, given back through a ring of their own or with the removed stream, and wiped on the
 * control thread before they are used again. One pool for the whole plane, in secret memory, taken at start. */
#ifndef KEYSET_H
#define KEYSET_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/srtcp.h"
#include "crypto/unprotect.h"
#include "dataplane/memory.h"
#include "lib/spsc.h"

#define KEYSET_ID_SIZE 16
#define KEYSETS_RESERVE 64	/* beyond the spares: used while retiring ones are called back */

struct keyset {
	/* lines 0 to 16: the engine's; constant in use */
	struct unprotect_ctx ctx;
	/* line 17 and later: written by whoever has it */
	struct keyset *next;	/* of a stream, of a command, or free */
	uint64_t retire_tsc;	/* ends then; 0: not retiring */
	uint32_t stream;	/* handle that it was made for */
	uint16_t generation;	/* counted up in each stream; in marks and totals */
	bool named;		/* by the latest keys that were signalled */
	bool pending;		/* named since then and not used yet: its first packet that authenticates makes it active */
	bool ours;		/* it only carries `rtcp`: our own keys, on their way to a slot */
	uint8_t id[KEYSET_ID_SIZE];	/* of suite, key, salt and MKI: tells the same key from another */
	struct srtcp_keys rtcp;
	struct srtcp_window window;	/* what RTCP came under them */
	alignas(SRS_CACHE_LINE) uint8_t spread[SRS_CACHE_LINE];	/* see below */
};
static_assert(offsetof(struct keyset, ctx) == 0, "a stream's keys are its engine's context");
static_assert(sizeof(struct keyset) / SRS_CACHE_LINE % 2 == 1, "an odd number of lines, so that they spread over sets");

struct keyset_pool {
	struct keyset *all, *free;
	uint32_t n, n_free;
	struct memory memory;
};

/** How many for so many streams: one each, spares for those that are rekeyed, the reserve. @thread any */
uint32_t keyset_pool_need(uint32_t streams_max);
SRS_MUST_CHECK enum srs_err keyset_pool_create(struct keyset_pool *pool, uint32_t n, bool huge);
/** Wipes all, also those that never came back. Accepts a zeroed one. */
void keyset_pool_destroy(struct keyset_pool *pool);
/** @return NULL: all are in use @thread control */
struct keyset *keyset_take(struct keyset_pool *pool);
/** Wipe and free one that no lcore knows any more. @thread control */
void keyset_give(struct keyset_pool *pool, struct keyset *ks);

/** Expand a master key. On failure nothing of it is left. @return UNSUPPORTED (suite), NOMEM @thread control */
SRS_MUST_CHECK enum srs_err keyset_fill(struct keyset *ks, struct unprotect_engine *e, const struct srtp_master *master);
/** The same for the same suite, key, salt and MKI, and for no others (SHA-256, cut). @thread any */
void keyset_id(const struct srtp_master *master, uint8_t id[KEYSET_ID_SIZE]);

#endif
