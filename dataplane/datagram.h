/* UDP datagrams of our own, as whole Ethernet frames. Pure: bytes in, bytes out. @thread any */
#ifndef DATAGRAM_H
#define DATAGRAM_H

#include <stdint.h>

#include "dataplane/packet.h"
#include "dataplane/reply.h"

/* An Ethernet header that leads to somebody, VLAN tags with it. */
struct link {
	uint8_t len;		/* 0: nobody */
	uint8_t head[PACKET_ETHER_SIZE + 4 * PACKET_VLAN_MAX];
};

/** To whom a frame came from; `mac` is ours. A frame from a group address leads to nobody. */
void link_back(struct link *l, const uint8_t *frame, const uint8_t mac[REPLY_MAC_SIZE]);
/** Without tags. */
void link_to(struct link *l, const uint8_t to[REPLY_MAC_SIZE], const uint8_t mac[REPLY_MAC_SIZE], uint8_t ip_version);

#define DATAGRAM_HEADERS_MAX (PACKET_ETHER_SIZE + 4 * PACKET_VLAN_MAX + 40 + 8)

/** Where the payload stands in a frame. */
static inline uint32_t
datagram_payload_at(const struct link *l, uint8_t ip_version)
{
	return l->len + (ip_version == 4 ? 20u : 40u) + 8;
}

/**
 * Write the headers in front of a payload that stands at datagram_payload_at() already, with both checksums.
 *
 * @param from, to  of the same version
 * @return          length of the frame
 * @rfc 791, 8200, 768; 6864 §4.1 (atomic datagrams: DF, no identification)
 */
uint32_t datagram_finish(uint8_t *frame, const struct link *l, const struct media_address *from,
                         const struct media_address *to, uint16_t payload_len);

#endif
