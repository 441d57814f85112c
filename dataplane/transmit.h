/* What an lcore sends of its own accord: frames made in buffers of its queue's pool. Nothing waits: a port that takes
 * nothing, or a pool without a buffer, loses the frame, and it is counted. @thread lcore */
#ifndef TRANSMIT_H
#define TRANSMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/counters.h"
#include "dataplane/reply.h"

struct rte_mbuf;
struct rte_mempool;

struct transmit {
	uint16_t port_id, queue_id;
	struct rte_mempool *pool;	/* NULL: this port sends nothing */
	struct counters *counters;
	uint8_t mac[REPLY_MAC_SIZE];	/* ours */
};

#define TRANSMIT_ROOM 1700	/* bytes that a frame may have */

/** A buffer for a frame. @return NULL: none; it is counted */
struct rte_mbuf *transmit_take(struct transmit *t, uint8_t **frame);
/** Send it. @return false: the port did not take it; it is counted */
bool transmit_send(struct transmit *t, struct rte_mbuf *m, uint32_t len);

#endif
