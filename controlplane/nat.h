/* The address that others know us by, where that is not our own. media.external_ip is written for every peer; an address
 * that STUN found is for those on the other side of the NAT, since a peer in our own network may not reach us by it: when
 * ours is one that no router passes on, and theirs is none of these. One address of each IP version. @thread control */
#ifndef NAT_H
#define NAT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/config.h"

struct nat_address {
	uint8_t ip_version;	/* 4, 6; 0: none */
	uint8_t ip[16];		/* network order; IPv4 in the first four */
};
struct nat {
	struct nat_address configured;
	struct nat_address learned[2];	/* IPv4, IPv6 */
};

void nat_init(struct nat *n, const struct config *c);
/** @param a  of STUN. @return whether it is news */
bool nat_learn(struct nat *n, const struct nat_address *a);
/** Is this an address that others may have as well (private, shared, link-local, loopback, RFC 2544's)? */
bool nat_is_private(const struct nat_address *a);
void nat_address_of(struct nat_address *out, const struct sockaddr_storage *from);

/** Our media address `own`, as a peer has to write to it. @param beyond  the peer's own address is not private. @return own,
 * or ours outside */
const struct nat_address *nat_media(const struct nat *n, const struct nat_address *own, bool beyond);
/** The same for SIP, where a configured address is also for those beyond the NAT alone. */
const struct nat_address *nat_signalling(const struct nat *n, const struct nat_address *own,
                                         const struct sockaddr_storage *peer);

#endif
