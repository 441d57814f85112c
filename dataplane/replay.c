#include "dataplane/replay.h"

#include <string.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#define US_A_SECOND 1000000

enum srs_err
replay_init(struct replay *r, uint64_t tsc_hz)
{
	memset(r, 0, sizeof(*r));
	r->on = true;
	r->tsc_hz = tsc_hz;
	r->timestamp_at = rte_mbuf_dynfield_lookup(RTE_MBUF_DYNFIELD_TIMESTAMP_NAME, NULL);
	return r->timestamp_at >= 0 ? SRS_OK : SRS_ERR_STATE;
}

void
replay_arm(struct replay *r, uint64_t now_tsc)
{
	r->armed_tsc = now_tsc;
}

/* Later packets are due later; one whose time steps back is due at once. */
static bool
is_due(const struct replay *r, const struct rte_mbuf *m, uint64_t now_tsc)
{
	uint64_t us = *RTE_MBUF_DYNFIELD(m, r->timestamp_at, const rte_mbuf_timestamp_t *);

	if (us <= r->begun_us)
		return true;
	return (unsigned __int128)(us - r->begun_us) * r->tsc_hz <=
	       (unsigned __int128)(now_tsc - r->begun_tsc) * US_A_SECOND;
}

static bool
fill(struct replay *r, uint16_t port_id, uint16_t queue_id)
{
	r->at = 0;
	r->n = rte_eth_rx_burst(port_id, queue_id, r->m, REPLAY_BURST);
	return r->n != 0;
}

uint16_t
replay_rx_burst(struct replay *r, uint16_t port_id, uint16_t queue_id, struct rte_mbuf *m[], uint16_t max,
                uint64_t now_tsc)
{
	uint16_t n = 0;

	if (!r->begun) {
		if (r->armed_tsc == 0 || now_tsc - r->armed_tsc < r->tsc_hz / 1000 * REPLAY_SETTLE_MS)
			return 0;
		if (!fill(r, port_id, queue_id))
			return 0;
		r->begun = true;
		r->begun_tsc = now_tsc;
		r->begun_us = *RTE_MBUF_DYNFIELD(r->m[0], r->timestamp_at, const rte_mbuf_timestamp_t *);
	}
	while (n < max && (r->at < r->n || fill(r, port_id, queue_id)) && is_due(r, r->m[r->at], now_tsc))
		m[n++] = r->m[r->at++];
	return n;
}

void
replay_end(struct replay *r)
{
	rte_pktmbuf_free_bulk(r->m + r->at, (unsigned int)(r->n - r->at));
	r->at = r->n = 0;
}
