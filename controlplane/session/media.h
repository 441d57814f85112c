/* Where media arrives: which lcore takes a session, and which address and UDP port each of its m-lines gets. The
 * address chooses the lcore, the port the slot (docs/architecture.md). Ports come singly (RTCP muxed) or as an even/odd
 * pair (RTCP on port + 1, RFC 3550 §11); taking and giving back are O(1), and a port that was given back rests for
 * media.port_quarantine_ms, so that late packets of one call never enter the next (docs/rfc-coverage.md RTP-20).
 * @thread control */
#ifndef MEDIA_H
#define MEDIA_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/nat.h"
#include "dataplane/dataplane.h"
#include "lib/config.h"
#include "lib/srs_err.h"

struct media;

/* One m-line's place; plain bytes, owned by who took it. */
struct media_port {
	uint16_t address_i;
	uint16_t lcore_i;
	uint16_t udp_port;	/* RTP */
	uint16_t rtcp_port;	/* 0: muxed on udp_port */
};

/** @return NOMEM, or INVALID when the port range holds no even/odd pair */
SRS_MUST_CHECK enum srs_err media_create(struct media **out, const struct config *c, const struct dataplane *dp);
void media_destroy(struct media *m);	/* accepts NULL */

/** The lcore with the fewest ports taken among those that have an address of this IP version (0: any version).
 * @return LIMIT: no lcore has a free pair; UNSUPPORTED: no address of this version */
SRS_MUST_CHECK enum srs_err media_lcore_choose(struct media *m, uint8_t ip_version, uint16_t *lcore_i);
/** Has this lcore an address of this version (0: any), with free ports or without? */
bool media_has(const struct media *m, uint16_t lcore_i, uint8_t ip_version);

/** Take a port of that lcore, on its emptiest address of this IP version (0: any).
 * @return LIMIT: all ports are taken or rest; UNSUPPORTED: the lcore has no address of this version */
SRS_MUST_CHECK enum srs_err media_take(struct media *m, uint16_t lcore_i, uint8_t ip_version, bool rtcp_mux,
                                       struct media_port *out);
/** Give back after EVENT_STREAM_REMOVED: the port rests. A port that never met a packet may skip the rest. */
void media_give(struct media *m, const struct media_port *port, bool rests);

/** From now on addresses are written as `nat` says; borrowed. Without it they are the lcores' own. */
void media_nat_set(struct media *m, const struct nat *nat);
/** The address as text for c= and m=. @param beyond  nat_media() */
void media_text(const struct media *m, const struct media_port *port, bool beyond, char *ip, size_t ip_len,
                uint8_t *ip_version);

/** Of the address that packets come to. */
uint8_t media_ip_version(const struct media *m, const struct media_port *port);

/** Even/odd pairs that can be taken now, over all addresses. */
uint32_t media_pairs_free(struct media *m);

#endif
