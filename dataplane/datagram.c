#include "dataplane/datagram.h"

#include <string.h>

#define PROTOCOL_UDP 17
#define UDP_SIZE     8
#define TTL          64

static void
put_u16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void
link_back(struct link *l, const uint8_t *frame, const uint8_t mac[REPLY_MAC_SIZE])
{
	uint16_t type = packet_u16(frame + 12);
	uint8_t len = PACKET_ETHER_SIZE;

	memset(l, 0, sizeof(*l));
	if ((frame[6] & 1) != 0)
		return;
	for (unsigned int n = 0; n < PACKET_VLAN_MAX && (type == 0x8100 || type == 0x88a8); n++) {
		type = packet_u16(frame + len + 2);
		len = (uint8_t)(len + 4);
	}
	memcpy(l->head, frame + 6, REPLY_MAC_SIZE);
	memcpy(l->head + 6, mac, REPLY_MAC_SIZE);
	memcpy(l->head + 12, frame + 12, len - 12u);
	l->len = len;
}

void
link_to(struct link *l, const uint8_t to[REPLY_MAC_SIZE], const uint8_t mac[REPLY_MAC_SIZE], uint8_t ip_version)
{
	memset(l, 0, sizeof(*l));
	memcpy(l->head, to, REPLY_MAC_SIZE);
	memcpy(l->head + 6, mac, REPLY_MAC_SIZE);
	put_u16(l->head + 12, ip_version == 4 ? 0x0800 : 0x86dd);
	l->len = PACKET_ETHER_SIZE;
}

static void
ipv4_write(uint8_t *ip, const struct media_address *from, const struct media_address *to, uint32_t udp_len)
{
	uint16_t sum;

	memset(ip, 0, 20);
	ip[0] = 0x45;
	put_u16(ip + 2, 20 + udp_len);
	ip[6] = 0x40;	/* don't fragment */
	ip[8] = TTL;
	ip[9] = PROTOCOL_UDP;
	memcpy(ip + 12, from->ip, 4);
	memcpy(ip + 16, to->ip, 4);
	sum = (uint16_t)~packet_fold(packet_sum(ip, 20));
	memcpy(ip + 10, &sum, 2);
}

static void
ipv6_write(uint8_t *ip, const struct media_address *from, const struct media_address *to, uint32_t udp_len)
{
	memset(ip, 0, 8);
	ip[0] = 0x60;
	put_u16(ip + 4, udp_len);
	ip[6] = PROTOCOL_UDP;
	ip[7] = TTL;
	memcpy(ip + 8, from->ip, 16);
	memcpy(ip + 24, to->ip, 16);
}

uint32_t
datagram_finish(uint8_t *frame, const struct link *l, const struct media_address *from, const struct media_address *to,
                uint16_t payload_len)
{
	uint8_t *ip = frame + l->len, *udp = frame + datagram_payload_at(l, to->ip_version) - UDP_SIZE;
	uint32_t udp_len = UDP_SIZE + (uint32_t)payload_len;
	uint16_t sum;

	memcpy(frame, l->head, l->len);
	if (to->ip_version == 4)
		ipv4_write(ip, from, to, udp_len);
	else
		ipv6_write(ip, from, to, udp_len);
	put_u16(udp, from->udp_port);
	put_u16(udp + 2, to->udp_port);
	put_u16(udp + 4, udp_len);
	put_u16(udp + 6, 0);
	sum = (uint16_t)~packet_fold(packet_pseudo_sum(to->ip_version, ip + (to->ip_version == 4 ? 12 : 8), PROTOCOL_UDP,
	                                               udp_len) + packet_sum(udp, udp_len));
	if (sum == 0)
		sum = 0xffff;	/* zero says that there is none */
	memcpy(udp + 6, &sum, 2);
	return (uint32_t)(udp - frame) + udp_len;
}
