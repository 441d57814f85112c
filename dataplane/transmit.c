#include "dataplane/transmit.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "lib/srs_assert.h"

struct rte_mbuf *
transmit_take(struct transmit *t, uint8_t **frame)
{
	struct rte_mbuf *m = t->pool != NULL ? rte_pktmbuf_alloc(t->pool) : NULL;

	if (m == NULL || rte_pktmbuf_tailroom(m) < TRANSMIT_ROOM) {
		rte_pktmbuf_free(m);
		counter_add(&t->counters->tx_dropped, 1);
		return NULL;
	}
	*frame = rte_pktmbuf_mtod(m, uint8_t *);
	return m;
}

bool
transmit_send(struct transmit *t, struct rte_mbuf *m, uint32_t len)
{
	srs_assert(len <= TRANSMIT_ROOM);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	if (rte_eth_tx_burst(t->port_id, t->queue_id, &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	counter_add(&t->counters->tx_dropped, 1);
	return false;
}
