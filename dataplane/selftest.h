/* The start-up self-test: before anyone is told that packets flow, one packet takes the way of media to each queue,
 * and its lcore has to count it. It goes to a media address, UDP port 9 (discard, RFC 863; never a media port), and
 * carries a number that is new at each start, so that nobody else's packet passes for it. */
#ifndef SELFTEST_H
#define SELFTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/packet.h"
#include "dataplane/port.h"
#include "dataplane/steer.h"
#include "lib/srs_err.h"

struct lcore;

#define SELFTEST_PORT       9
#define SELFTEST_NONCE_SIZE 16
#define SELFTEST_SIZE       (12 + SELFTEST_NONCE_SIZE)	/* an RTP header before it */

struct selftest {
	uint8_t packet[SELFTEST_SIZE];
};

/** Draw the number. @thread control, before lcores start */
SRS_MUST_CHECK enum srs_err selftest_init(struct selftest *t);

/** A packet for no stream: is it ours? @thread lcore */
static inline bool
selftest_is(const struct selftest *t, const struct rx_packet *p)
{
	return p->udp_port == SELFTEST_PORT && p->len == SELFTEST_SIZE &&
	       __builtin_memcmp(p->bytes, t->packet, SELFTEST_SIZE) == 0;
}

/**
 * Send and wait. Profile ring: into each queue; tap: from the kernel's side, as a sender would; pcap: nothing can be
 * sent to a file, so nothing is tested.
 *
 * @param why  one sentence with the remedy, when a packet did not arrive, or at another queue
 * @thread control, after lcores started
 */
SRS_MUST_CHECK enum srs_err selftest_run(const struct selftest *t, struct port *port, const struct steer *steer,
                                         struct lcore *const *lcores, const char *device, char *why, size_t why_len);

#endif
