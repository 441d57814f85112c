/* What a call does in the middle: one change at a time, each an offer of its own. */
#include "call_inside.h"

#include <stddef.h>

static unsigned int
hold(struct call *c, uint32_t elapsed_ms)
{
	c->held = c->silent = true;
	return CALL_OFFER_SDP | CALL_OFFER_METADATA;
}

static unsigned int
resume(struct call *c, uint32_t elapsed_ms)
{
	c->held = false;
	return CALL_OFFER_SDP | CALL_OFFER_METADATA;
}

static unsigned int
rekey(struct call *c, uint32_t elapsed_ms)
{
	for (unsigned int i = 0; !c->plan->rekey_same && i < c->n_streams; i++)
		if (!c->gone[i] && !secure_renew(&c->secures[i]))
			call_fail(c, "no random bytes for keys");
	return CALL_OFFER_SDP | CALL_OFFER_METADATA;
}

static unsigned int
refresh(struct call *c, uint32_t elapsed_ms)
{
	return CALL_OFFER_SDP | CALL_OFFER_METADATA;
}

static unsigned int
rename_participant(struct call *c, uint32_t elapsed_ms)
{
	c->renamed = true;
	return CALL_OFFER_PARTIAL;
}

static unsigned int
add(struct call *c, uint32_t elapsed_ms)
{
	unsigned int i = c->n_streams;

	if (i == CALL_STREAMS_MAX) {
		call_fail(c, "no room for another stream");
		return 0;
	}
	c->n_streams++;
	if (!call_stream_open(c, i))
		return 0;
	media_stream_tick(&c->streams[i], elapsed_ms, true); /* what was before is not said */
	return CALL_OFFER_SDP | CALL_OFFER_METADATA;
}

static unsigned int
drop(struct call *c, uint32_t elapsed_ms)
{
	unsigned int i = c->n_streams;

	while (i > 1 && c->gone[i - 1])
		i--;
	c->gone[i - 1] = true;
	wire_flush(&c->streams[i - 1].wire);
	return CALL_OFFER_SDP | CALL_OFFER_METADATA;
}

static unsigned int
replace(struct call *c, uint32_t elapsed_ms)
{
	return 0; /* call_change_tick() */
}

static unsigned int (*const changes[CALL_N_CHANGES])(struct call *c, uint32_t elapsed_ms) = {
	[CALL_HOLD] = hold,
	[CALL_RESUME] = resume,
	[CALL_REKEY] = rekey,
	[CALL_REFRESH] = refresh,
	[CALL_METADATA] = rename_participant,
	[CALL_ADD] = add,
	[CALL_REMOVE] = drop,
	[CALL_REPLACE] = replace,
};

void
call_change_tick(struct call *c, uint32_t elapsed_ms, uint64_t now_ms)
{
	const struct call_change *next = &c->plan->changes[c->n_changed];
	unsigned int what;

	if (c->state != CALL_TALKING || c->again_ms != 0)
		return;
	if (c->snapshot_due) { /* a metadata snapshot was asked for (RFC 7866 §10) */
		c->snapshot_due = false;
		c->snapshots++;
		call_send_offer(c, CALL_OFFER_SNAPSHOT | (c->peer_updates ? CALL_OFFER_UPDATE : CALL_OFFER_SDP), now_ms);
		return;
	}
	if (c->n_changed == c->plan->n_changes || c->before != NULL || elapsed_ms < next->at_ms)
		return;
	c->n_changed++;
	if (next->kind == CALL_REPLACE) {
		c->plan->succeed(c, now_ms);
		return;
	}
	what = changes[next->kind](c, elapsed_ms);
	if (what & CALL_OFFER_SDP)
		c->sdp_version += next->kind != CALL_REFRESH;
	if (c->failure[0] == '\0' && what != 0)
		call_send_offer(c, what | (c->plan->by_update && c->peer_updates ? CALL_OFFER_UPDATE : 0u), now_ms);
}
