#include "dataplane/reply.h"

#include <string.h>

#include "dataplane/packet.h"

#define ARP_SIZE       28
#define ICMP_SIZE      8
#define NEIGHBOUR_SIZE 24	/* solicitation or advertisement without options */
#define NEIGHBOUR_OPTION_SIZE 8	/* link-layer address of Ethernet */
#define PROTOCOL_ICMP  1
#define PROTOCOL_ICMP6 58
#define ECHO_REQUEST   8
#define ECHO6_REQUEST  128
#define ECHO6_REPLY    129
#define SOLICITATION   135
#define ADVERTISEMENT  136
#define NA_SOLICITED   0x40
#define NA_OVERRIDE    0x20

static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
static const uint8_t all_nodes_mac[REPLY_MAC_SIZE] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t unspecified[16];

static void
put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
ether_turn(uint8_t *frame, const uint8_t mac[REPLY_MAC_SIZE])
{
	uint8_t asker[REPLY_MAC_SIZE];

	memcpy(asker, frame + 6, sizeof(asker));
	memcpy(frame, asker, sizeof(asker));
	memcpy(frame + 6, mac, REPLY_MAC_SIZE);
}

static void
swap(uint8_t *a, uint8_t *b, size_t len)
{
	uint8_t t[16];

	memcpy(t, a, len);
	memcpy(a, b, len);
	memcpy(b, t, len);
}

static void
checksum_put(uint8_t *at, uint64_t sum)
{
	uint16_t c = (uint16_t)~packet_fold(sum);

	memcpy(at, &c, 2);
}

static uint32_t
reply_arp(const struct steer *steer, const uint8_t mac[REPLY_MAC_SIZE], uint8_t *frame, uint32_t at, uint32_t len)
{
	static const uint8_t request[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };	/* Ethernet, IPv4, lengths, request */
	uint8_t *arp = frame + at;
	uint8_t target[4];

	if (len - at < ARP_SIZE || memcmp(arp, request, 8) != 0 || steer_find(steer, 4, arp + 24) == STEER_NONE)
		return 0;
	memcpy(target, arp + 24, 4);
	arp[7] = 2;
	memcpy(arp + 18, arp + 8, 10);	/* sender becomes target */
	memcpy(arp + 8, mac, 6);
	memcpy(arp + 14, target, 4);
	ether_turn(frame, mac);
	return at + ARP_SIZE;
}

static uint32_t
reply_icmp(const struct steer *steer, const uint8_t mac[REPLY_MAC_SIZE], uint8_t *frame, uint32_t at, uint32_t len)
{
	uint8_t *ip = frame + at;
	uint32_t header, total;
	uint8_t *icmp;

	if (len - at < 20)
		return 0;
	header = 4u * (ip[0] & 0x0f);
	total = packet_u16(ip + 2);
	if (header < 20 || total > len - at || total < header + ICMP_SIZE || ip[9] != PROTOCOL_ICMP)
		return 0;
	icmp = ip + header;
	if (icmp[0] != ECHO_REQUEST || icmp[1] != 0 || steer_find(steer, 4, ip + 16) == STEER_NONE ||
	    packet_fold(packet_sum(icmp, total - header)) != 0xffff)
		return 0;
	icmp[0] = 0;
	put_u16(icmp + 2, 0);
	checksum_put(icmp + 2, packet_sum(icmp, total - header));
	swap(ip + 12, ip + 16, 4);
	ip[8] = 64;
	put_u16(ip + 10, 0);
	checksum_put(ip + 10, packet_sum(ip, header));
	ether_turn(frame, mac);
	return at + total;
}

static void
icmp6_checksum(uint8_t *ip, uint32_t icmp_len)
{
	uint8_t *icmp = ip + 40;

	put_u16(icmp + 2, 0);
	checksum_put(icmp + 2, packet_pseudo_sum(6, ip + 8, PROTOCOL_ICMP6, icmp_len) + packet_sum(icmp, icmp_len));
}

static uint32_t
reply_echo6(const struct steer *steer, const uint8_t mac[REPLY_MAC_SIZE], uint8_t *frame, uint32_t at,
            uint32_t icmp_len)
{
	uint8_t *ip = frame + at;

	if (ip[40 + 1] != 0 || steer_find(steer, 6, ip + 24) == STEER_NONE)
		return 0;
	ip[40] = ECHO6_REPLY;
	swap(ip + 8, ip + 24, 16);
	ip[7] = 64;
	icmp6_checksum(ip, icmp_len);
	ether_turn(frame, mac);
	return at + 40 + icmp_len;
}

/* Write the advertisement's ICMPv6 part for `target`. */
static void
advertisement_write(uint8_t *ip, const uint8_t target[16], const uint8_t mac[REPLY_MAC_SIZE], uint8_t flags)
{
	uint8_t *na = ip + 40;

	put_u16(ip + 4, NEIGHBOUR_SIZE + NEIGHBOUR_OPTION_SIZE);
	ip[6] = PROTOCOL_ICMP6;
	ip[7] = 255;
	memmove(na + 8, target, 16);
	memset(na, 0, 8);
	na[0] = ADVERTISEMENT;
	na[4] = flags;
	na[24] = 2;	/* target link-layer address */
	na[25] = 1;	/* in units of 8 bytes */
	memcpy(na + 26, mac, 6);
	memcpy(ip + 8, na + 8, 16);
	icmp6_checksum(ip, NEIGHBOUR_SIZE + NEIGHBOUR_OPTION_SIZE);
}

/* RFC 4861 §7.1.1: hop limit 255 proves that the sender is on the link. */
static uint32_t
reply_solicitation(const struct steer *steer, const uint8_t mac[REPLY_MAC_SIZE], uint8_t *frame, uint32_t at,
                   uint32_t icmp_len, uint32_t room)
{
	uint8_t *ip = frame + at;
	uint32_t out_len = at + 40 + NEIGHBOUR_SIZE + NEIGHBOUR_OPTION_SIZE;
	uint8_t flags = NA_SOLICITED | NA_OVERRIDE;

	if (icmp_len < NEIGHBOUR_SIZE || ip[40 + 1] != 0 || ip[7] != 255 || out_len > room ||
	    steer_find(steer, 6, ip + 40 + 8) == STEER_NONE)
		return 0;
	ether_turn(frame, mac);
	if (memcmp(ip + 8, unspecified, 16) == 0) {	/* duplicate address detection: tell everyone */
		memcpy(ip + 24, all_nodes, 16);
		memcpy(frame, all_nodes_mac, 6);
		flags = NA_OVERRIDE;
	} else {
		memcpy(ip + 24, ip + 8, 16);
	}
	advertisement_write(ip, ip + 40 + 8, mac, flags);
	return out_len;
}

static uint32_t
reply_icmp6(const struct steer *steer, const uint8_t mac[REPLY_MAC_SIZE], uint8_t *frame, uint32_t at, uint32_t len,
            uint32_t room)
{
	uint8_t *ip = frame + at;
	uint32_t icmp_len;

	if (len - at < 40 + ICMP_SIZE || ip[6] != PROTOCOL_ICMP6)
		return 0;
	icmp_len = packet_u16(ip + 4);
	if (icmp_len < ICMP_SIZE || icmp_len > len - at - 40 ||
	    packet_fold(packet_pseudo_sum(6, ip + 8, PROTOCOL_ICMP6, icmp_len) + packet_sum(ip + 40, icmp_len)) != 0xffff)
		return 0;
	if (ip[40] == ECHO6_REQUEST)
		return reply_echo6(steer, mac, frame, at, icmp_len);
	if (ip[40] == SOLICITATION)
		return reply_solicitation(steer, mac, frame, at, icmp_len, room);
	return 0;
}

uint32_t
reply_build(const struct steer *steer, const uint8_t mac[REPLY_MAC_SIZE], uint8_t *frame, uint32_t len, uint32_t room)
{
	uint32_t at = PACKET_ETHER_SIZE;
	uint16_t type;

	if (len < at || (frame[6] & 1) != 0)	/* nobody can be answered at a group address */
		return 0;
	type = packet_u16(frame + 12);
	for (unsigned int n = 0; n < PACKET_VLAN_MAX && (type == 0x8100 || type == 0x88a8) && len - at >= 4; n++) {
		type = packet_u16(frame + at + 2);
		at += 4;
	}
	if (type == 0x0806)
		return reply_arp(steer, mac, frame, at, len);
	if (type == 0x0800)
		return reply_icmp(steer, mac, frame, at, len);
	if (type == 0x86dd)
		return reply_icmp6(steer, mac, frame, at, len, room);
	return 0;
}

static uint32_t
announce_arp(const struct media_address *address, const uint8_t mac[REPLY_MAC_SIZE], uint8_t *frame)
{
	static const uint8_t head[10] = { 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };
	uint8_t *arp = frame + PACKET_ETHER_SIZE;

	memset(frame, 0xff, 6);
	memcpy(frame + 6, mac, 6);
	memcpy(frame + 12, head, sizeof(head));
	memcpy(arp + 8, mac, 6);
	memcpy(arp + 14, address->ip, 4);
	memset(arp + 18, 0, 6);
	memcpy(arp + 24, address->ip, 4);
	return PACKET_ETHER_SIZE + ARP_SIZE;
}

uint32_t
reply_announce(const struct media_address *address, const uint8_t mac[REPLY_MAC_SIZE],
               uint8_t frame[REPLY_ANNOUNCE_MAX])
{
	uint8_t *ip = frame + PACKET_ETHER_SIZE;

	if (address->ip_version == 4)
		return announce_arp(address, mac, frame);
	memcpy(frame, all_nodes_mac, 6);
	memcpy(frame + 6, mac, 6);
	put_u16(frame + 12, 0x86dd);
	memset(ip, 0, 40);
	ip[0] = 0x60;
	memcpy(ip + 24, all_nodes, 16);
	advertisement_write(ip, address->ip, mac, NA_OVERRIDE);
	return PACKET_ETHER_SIZE + 40 + NEIGHBOUR_SIZE + NEIGHBOUR_OPTION_SIZE;
}
