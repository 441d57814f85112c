#include "dataplane/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "dataplane/tap.h"

#define RX_DESCRIPTORS 1024
#define TX_DESCRIPTORS 512
#define MBUFS_A_QUEUE  8191	/* descriptors, a full ring, caches and bursts */
#define MBUF_CACHE     256
#define SENT_LEN       64

static unsigned int ports_made;	/* names are unique in the process */

unsigned int
port_memory_mib(uint16_t n_queues)
{
	uint64_t bytes = (uint64_t)n_queues * (MBUFS_A_QUEUE + 1) * (RTE_MBUF_DEFAULT_BUF_SIZE + sizeof(struct rte_mbuf) + 64);

	return (unsigned int)(bytes * 5 / 4 >> 20) + 40;	/* DPDK's own tables and rings */
}

static enum srs_err
vdev_open(struct port *p, const char *driver, const char *args, char *why, size_t why_len)
{
	snprintf(p->name, sizeof(p->name), "%s%u", driver, ports_made++);
	if (rte_vdev_init(p->name, args) != 0 || rte_eth_dev_get_port_by_name(p->name, &p->port_id) != 0) {
		snprintf(why, why_len, "DPDK's %s did not take \"%s\": %s.", driver, args, rte_strerror(rte_errno));
		return SRS_ERR_IO;
	}
	p->vdev = true;
	return SRS_OK;
}

static enum srs_err
rings_open(struct port *p, char *why, size_t why_len)
{
	char name[RTE_RING_NAMESIZE];
	int id;

	for (uint16_t q = 0; q < p->n_queues; q++) {
		snprintf(name, sizeof(name), "feed_%u_%u", ports_made, q);
		p->feed[q] = rte_ring_create(name, PORT_RING_LEN, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "sent_%u_%u", ports_made, q);
		p->sent[q] = rte_ring_create(name, SENT_LEN, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (p->feed[q] == NULL || p->sent[q] == NULL)
			goto out;
	}
	snprintf(p->name, sizeof(p->name), "ring%u", ports_made++);
	id = rte_eth_from_rings(p->name, p->feed, p->n_queues, p->sent, p->n_queues, 0);
	if (id >= 0) {
		p->port_id = (uint16_t)id;
		return SRS_OK;
	}
out:
	snprintf(why, why_len, "No memory for the in-process rings: %s; free some, or give large pages.",
	         rte_strerror(rte_errno));
	return SRS_ERR_NOMEM;
}

static enum srs_err
profile_open(struct port *p, const struct config *c, char *why, size_t why_len)
{
	char args[300];
	enum srs_err err;

	switch (p->profile) {
	case CONFIG_PROFILE_RING:
		return rings_open(p, why, why_len);
	case CONFIG_PROFILE_PCAP:
		if (access(c->media.device, R_OK) != 0) {
			snprintf(why, why_len, "media.device: \"%s\" cannot be read: %s.", c->media.device, strerror(errno));
			return SRS_ERR_IO;
		}
		snprintf(args, sizeof(args), "rx_pcap=%s", c->media.device);
		return vdev_open(p, "net_pcap", args, why, why_len);
	case CONFIG_PROFILE_TAP:
		err = tap_check(c->media.device, why, why_len);
		if (err)
			return err;
		snprintf(args, sizeof(args), "iface=%s", c->media.device);
		return vdev_open(p, "net_tap", args, why, why_len);
	}
	return SRS_ERR_UNSUPPORTED;
}

static enum srs_err
queues_start(struct port *p, char *why, size_t why_len)
{
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_dev_info info;
	uint16_t n_rx = RX_DESCRIPTORS, n_tx = TX_DESCRIPTORS;
	const char *step = "configure";
	int r = rte_eth_dev_info_get(p->port_id, &info);

	if (r == 0) {
		/* packets longer than a buffer come as a chain; without it the port drops them */
		conf.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
		r = rte_eth_dev_configure(p->port_id, p->n_queues, p->n_queues, &conf);
	}
	if (r == 0) {
		step = "size the queues";
		r = rte_eth_dev_adjust_nb_rx_tx_desc(p->port_id, &n_rx, &n_tx);
	}
	for (uint16_t q = 0; r == 0 && q < p->n_queues; q++) {
		step = "set up a queue";
		r = rte_eth_rx_queue_setup(p->port_id, q, n_rx, SOCKET_ID_ANY, NULL, p->pool);
		if (r == 0)
			r = rte_eth_tx_queue_setup(p->port_id, q, n_tx, SOCKET_ID_ANY, NULL);
	}
	if (r == 0) {
		step = "start";
		r = rte_eth_dev_start(p->port_id);
	}
	if (r != 0) {
		snprintf(why, why_len, "Port %s: cannot %s: %s.", p->name, step, rte_strerror(-r));
		return SRS_ERR_IO;
	}
	return SRS_OK;
}

/* On a tap both ends would show the interface's MAC; the far side takes its neighbour. */
static void
mac_take(struct port *p)
{
	struct rte_ether_addr a;

	if (rte_eth_macaddr_get(p->port_id, &a) == 0)
		memcpy(p->mac, a.addr_bytes, REPLY_MAC_SIZE);
	if (p->profile == CONFIG_PROFILE_TAP)
		p->mac[5] ^= 1;
	p->mac[0] = (uint8_t)((p->mac[0] | 2) & ~1);	/* locally administered, one host's */
}

enum srs_err
port_open(struct port *p, const struct config *c, uint16_t n_queues, char *why, size_t why_len)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	enum srs_err err;

	memset(p, 0, sizeof(*p));
	p->profile = c->media.profile;
	p->n_queues = n_queues;
	snprintf(name, sizeof(name), "mbufs_%u", ports_made);
	p->pool = rte_pktmbuf_pool_create(name, n_queues * (MBUFS_A_QUEUE + 1u) - 1, MBUF_CACHE, 0,
	                                  RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (p->pool == NULL) {
		snprintf(why, why_len, "No memory for %u packet buffers of %u bytes (%u MiB): %s.",
		         n_queues * (MBUFS_A_QUEUE + 1u) - 1, RTE_MBUF_DEFAULT_BUF_SIZE, port_memory_mib(n_queues),
		         rte_strerror(rte_errno));
		return SRS_ERR_NOMEM;
	}
	p->opened = true;
	err = profile_open(p, c, why, why_len);
	if (err)
		goto out;
	err = queues_start(p, why, why_len);
	if (err)
		goto out;
	mac_take(p);
	if (p->profile == CONFIG_PROFILE_TAP) {
		err = tap_kernel_side(c->media.device, c->media.kernel_address4, c->media.kernel_address6, why, why_len);
		snprintf(p->interface, sizeof(p->interface), "%s", c->media.device);
		p->dropped_before = tap_dropped(p->interface);
	}
out:
	if (err)
		port_close(p);
	return err;
}

void
port_close(struct port *p)
{
	if (!p->opened)
		return;
	if (p->name[0] != '\0' && rte_eth_dev_is_valid_port(p->port_id)) {
		(void)rte_eth_dev_stop(p->port_id);
		(void)rte_eth_dev_close(p->port_id);
	}
	if (p->vdev)
		(void)rte_vdev_uninit(p->name);
	for (uint16_t q = 0; q < p->n_queues; q++) {
		void *m;

		while (p->feed[q] != NULL && rte_ring_dequeue(p->feed[q], &m) == 0)
			rte_pktmbuf_free(m);
		while (p->sent[q] != NULL && rte_ring_dequeue(p->sent[q], &m) == 0)
			rte_pktmbuf_free(m);
		rte_ring_free(p->feed[q]);
		rte_ring_free(p->sent[q]);
	}
	rte_mempool_free(p->pool);
	memset(p, 0, sizeof(*p));
}

void
port_lost(const struct port *p, uint64_t *missed, uint64_t *no_buffer, uint64_t *errors)
{
	struct rte_eth_stats stats;
	uint64_t dropped = 0;

	*missed = *no_buffer = *errors = 0;
	if (p->opened && rte_eth_stats_get(p->port_id, &stats) == 0) {
		*missed = stats.imissed;
		*no_buffer = stats.rx_nombuf;
		*errors = stats.ierrors;
	}
	if (p->interface[0] != '\0')
		dropped = tap_dropped(p->interface);
	if (dropped > p->dropped_before)
		*missed += dropped - p->dropped_before;
}

unsigned int
port_inject(struct port *p, uint16_t queue_i, const struct span *frames, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(p->pool);

		if (m == NULL)
			return i;
		if (frames[i].len > rte_pktmbuf_tailroom(m) || queue_i >= p->n_queues || p->feed[queue_i] == NULL) {
			rte_pktmbuf_free(m);
			return i;
		}
		if (frames[i].len != 0)
			memcpy(rte_pktmbuf_mtod(m, void *), frames[i].bytes, frames[i].len);
		m->data_len = (uint16_t)frames[i].len;
		m->pkt_len = (uint32_t)frames[i].len;
		if (rte_ring_enqueue(p->feed[queue_i], m) != 0) {
			rte_pktmbuf_free(m);
			return i;
		}
	}
	return n;
}

size_t
port_sent(struct port *p, uint16_t queue_i, uint8_t *frame, size_t room)
{
	void *item;
	struct rte_mbuf *m;
	size_t len;

	if (queue_i >= p->n_queues || p->sent[queue_i] == NULL || rte_ring_dequeue(p->sent[queue_i], &item) != 0)
		return 0;
	m = item;
	len = m->data_len < room ? m->data_len : room;
	memcpy(frame, rte_pktmbuf_mtod(m, void *), len);
	rte_pktmbuf_free(m);
	return len;
}
