/* Profile pcap: a file's packets at the pace of its timestamps. A file would be over before the first call is there;
 * so reading begins when a stream was installed and for REPLAY_SETTLE_MS no other one was: then a call has all its
 * streams. @thread lcore, but for replay_init() */
#ifndef REPLAY_H
#define REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/srs_err.h"

struct rte_mbuf;

#define REPLAY_SETTLE_MS 200
#define REPLAY_BURST     32

struct replay {
	bool on;		/* this port reads a file */
	bool begun;
	int timestamp_at;	/* in an mbuf, where the driver leaves microseconds */
	uint64_t tsc_hz;
	uint64_t armed_tsc;	/* the last stream was installed; 0: none yet */
	uint64_t begun_tsc, begun_us;
	struct rte_mbuf *m[REPLAY_BURST];	/* read, not due yet */
	uint16_t at, n;
};

/** @return STATE: the driver gives no timestamps @thread control */
SRS_MUST_CHECK enum srs_err replay_init(struct replay *r, uint64_t tsc_hz);
/** A stream was installed. */
void replay_arm(struct replay *r, uint64_t now_tsc);
/** What is due by now. @return how many */
uint16_t replay_rx_burst(struct replay *r, uint16_t port_id, uint16_t queue_id, struct rte_mbuf *m[], uint16_t max,
                         uint64_t now_tsc);
/** Free what was not due. */
void replay_end(struct replay *r);

#endif
