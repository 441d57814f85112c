/* Key generations of a stream: new keys wait for their first packet that authenticates; then they are the active ones,
 * and what is not named any more lives on for srtp.rekey_grace_ms, for packets that come late. A generation that ends
 * leaves its totals, and its keys go back to the control thread. @thread lcore */
#ifndef GENERATION_H
#define GENERATION_H

#include <stdint.h>

#include "dataplane/recording.h"
#include "dataplane/stream.h"
#include "lib/spsc.h"

#define GENERATION_FRESH_MAX 32	/* generations that begin in one burst */

struct generations {
	struct spsc *retired;	/* struct keyset * back to control; holds the whole pool */
	uint64_t grace_tsc;
	struct stream *first, *last;	/* streams with keys that retire, by time */
	struct {
		struct stream *stream;
		struct keyset *keys;
		uint32_t ssrc;
	} fresh[GENERATION_FRESH_MAX];
	unsigned int n_fresh;
};

/** A rekey has arrived. @param ids  all keys that are named now @param fresh  those that the stream did not have when it
 * was posted: they stay here, or go back where it still has the same key. One of them may carry
 * our own keys for RTCP, which stand in the slot then */
void generation_rekey(struct generations *g, struct recorder *r, struct stream *s,
                      uint8_t (*ids)[KEYSET_ID_SIZE], unsigned int n_ids, struct keyset *fresh);

/** A packet authenticated under keys that are pending: they become active when the burst is done. */
static inline void
generation_used(struct generations *g, struct stream *s, struct keyset *ks, uint32_t ssrc)
{
	if (!ks->pending || g->n_fresh == GENERATION_FRESH_MAX)
		return;
	ks->pending = false;
	g->fresh[g->n_fresh].stream = s;
	g->fresh[g->n_fresh].keys = ks;
	g->fresh[g->n_fresh++].ssrc = ssrc;
}

/** End of a burst in which generation_used() was called: contexts of its streams move. */
void generation_begin(struct generations *g, struct recorder *r);
/** End what has had its grace, of at most `max` streams. @return of how many */
unsigned int generation_retire(struct generations *g, struct recorder *r, unsigned int max);
/** End all of a stream's generations that are not named any more, the active one with them. */
void generation_hurry(struct generations *g, struct recorder *r, struct stream *s);
/** The stream leaves. @return its keys, a list that the caller owns */
struct keyset *generation_leave(struct generations *g, struct stream *s);

#endif
