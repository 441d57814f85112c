/* One DPDK port with its queues and packet buffers, made as the configuration's profile says. @thread control, but
 * for port_inject() */
#ifndef PORT_H
#define PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/reply.h"
#include "lib/config.h"
#include "lib/span.h"
#include "lib/srs_err.h"

struct rte_mempool;
struct rte_ring;

#define PORT_QUEUES_MAX   16
#define PORT_RING_LEN     4096	/* profile ring: packets that wait in a queue */

struct port {
	enum config_profile profile;
	uint16_t port_id;
	uint16_t n_queues;
	bool opened, vdev;
	uint8_t mac[REPLY_MAC_SIZE];	/* ours: what we answer with */
	struct rte_mempool *pool;
	struct rte_ring *feed[PORT_QUEUES_MAX];	/* profile ring: in ... */
	struct rte_ring *sent[PORT_QUEUES_MAX];	/* ... and out */
	char name[32];
	char interface[16];	/* profile tap: the kernel counts what its queue drops ... */
	uint64_t dropped_before;	/* ... from when there was nobody to take it */
};

/** MiB of packet buffers, for the EAL. */
unsigned int port_memory_mib(uint16_t n_queues);
/** Make, configure and start; after it packets arrive. @param why one sentence with the remedy */
SRS_MUST_CHECK enum srs_err port_open(struct port *p, const struct config *c, uint16_t n_queues, char *why,
                                      size_t why_len);
void port_close(struct port *p);

/** Lost before any lcore saw them. @thread any */
void port_lost(const struct port *p, uint64_t *missed, uint64_t *no_buffer, uint64_t *errors);

/** Profile ring: copy frames into queue `queue_i`. @return how many were taken @thread one feeder a queue */
unsigned int port_inject(struct port *p, uint16_t queue_i, const struct span *frames, unsigned int n);
/** Profile ring: take one sent frame. @return its length, 0: none; longer ones are cut @thread one taker a queue */
size_t port_sent(struct port *p, uint16_t queue_i, uint8_t *frame, size_t room);

#endif
