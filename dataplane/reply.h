/* What a host must answer when no kernel stands behind the port: ARP, IPv6 neighbour solicitation, ICMP and ICMPv6
 * echo, each for our addresses only, and announcements at start. Replies are made in the packet's own buffer and go
 * to the MAC that asked, with its VLAN tags. Pure: bytes in, bytes out. @thread lcore */
#ifndef REPLY_H
#define REPLY_H

#include <stdint.h>

#include "dataplane/steer.h"

#define REPLY_MAC_SIZE     6
#define REPLY_ANNOUNCE_MAX 86	/* Ethernet, IPv6, neighbour advertisement with its option */

/**
 * Turn a request into its reply.
 *
 * @param frame  the request, `len` bytes; at least `room` bytes may be written
 * @return       length of the reply now in `frame`; 0: nothing to answer, the frame is unchanged
 * @rfc 826, 4861 §7.2.4, 792, 4443 §4.2
 */
uint32_t reply_build(const struct steer *steer, const uint8_t mac[REPLY_MAC_SIZE], uint8_t *frame, uint32_t len,
                     uint32_t room);

/** A gratuitous ARP request or unsolicited neighbour advertisement. @return its length @rfc 5227 §3, 4861 §7.2.6 */
uint32_t reply_announce(const struct media_address *address, const uint8_t mac[REPLY_MAC_SIZE],
                        uint8_t frame[REPLY_ANNOUNCE_MAX]);

#endif
