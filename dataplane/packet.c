#include "dataplane/packet.h"

#include <string.h>

#include "lib/rtp.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP  0x0806
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define ETHERTYPE_IPV6 0x86dd
#define PROTOCOL_ICMP  1
#define PROTOCOL_UDP   17
#define PROTOCOL_ICMP6 58
#define IPV6_HOP_BY_HOP   0
#define IPV6_ROUTING      43
#define IPV6_FRAGMENT     44
#define IPV6_DESTINATION  60
#define UDP_SIZE 8
#define DTLS_RECORD_SIZE 13	/* header. @rfc 6347 §4.1 */
#define STUN_SIZE 20	/* header. @rfc 8489 §5 */

uint64_t
packet_sum(const uint8_t *bytes, uint32_t len)
{
	uint64_t sum = 0;

	for (; len >= 4; bytes += 4, len -= 4) {
		uint32_t word;

		memcpy(&word, bytes, 4);
		sum += word;
	}
	if (len != 0) {
		uint8_t rest[4] = { 0 };
		uint32_t word;

		memcpy(rest, bytes, len);
		memcpy(&word, rest, 4);
		sum += word;
	}
	return sum;
}

uint16_t
packet_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint64_t
packet_pseudo_sum(uint8_t ip_version, const uint8_t *src_and_dst, uint8_t protocol, uint32_t len)
{
	const uint8_t tail[8] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
		                  0, 0, 0, protocol };

	return packet_sum(src_and_dst, ip_version == 4 ? 8 : 32) + packet_sum(tail, sizeof(tail));
}

/* Zero: the sender made none (IPv4 only). A sum over the pseudo header alone, not complemented, is what a sender's
 * kernel leaves when it meant a NIC to finish it: on tap, veth and virtio no NIC does. */
static bool
udp_checksum_fits(const struct rx_packet *p, const uint8_t *udp, uint16_t udp_len)
{
	uint64_t pseudo;
	uint16_t stored;

	memcpy(&stored, udp + 6, 2);
	if (stored == 0)
		return p->ip_version == 4;
	pseudo = packet_pseudo_sum(p->ip_version, p->source_ip, PROTOCOL_UDP, udp_len);
	if (packet_fold(pseudo + packet_sum(udp, udp_len)) == 0xffff)
		return true;
	return stored == packet_fold(pseudo);
}

/* Header, CSRC list and extension lie within the packet. Padding is inside what SRTP encrypts: readers check it.
 * @rfc 3550 §5.1, §5.3.1 */
static bool
rtp_header_fits(const uint8_t *b, uint32_t len)
{
	uint32_t need = RTP_HEADER_SIZE + 4u * (b[0] & 0x0f);

	if (b[0] & 0x10) {
		if (len < need + 4)
			return false;
		need += 4 + 4u * packet_u16(b + need + 2);
	}
	return len >= need;
}

/* What else may come to an RTP port. @rfc 7983 §7 */
static void
parse_other(struct rx_packet *p)
{
	const uint8_t *b = p->bytes;

	if (p->len >= DTLS_RECORD_SIZE && b[0] >= 20 && b[0] <= 63)
		p->kind = PACKET_DTLS;
	else
		p->verdict = p->len >= STUN_SIZE && b[0] <= 3 ? RX_DROP_STUN : RX_DROP_NOT_RTP;
}

static void
parse_rtp(struct rx_packet *p)
{
	const uint8_t *b = p->bytes;

	/* RTCP's shortest packet has 8 bytes (an empty RR), RTP's header 12 */
	if (p->len < 8 || b[0] >> 6 != 2) {
		parse_other(p);
		return;
	}
	p->kind = rtp_is_rtcp(b) ? PACKET_RTCP : PACKET_RTP;
	if (p->kind == PACKET_RTP && !rtp_header_fits(b, p->len))
		p->verdict = RX_DROP_NOT_RTP;
}

static void
parse_udp(struct rx_packet *p, uint8_t *udp, uint32_t len, enum packet_checksum checksum)
{
	uint16_t udp_len;

	if (len < UDP_SIZE) {
		p->verdict = RX_DROP_TRUNCATED;
		return;
	}
	udp_len = packet_u16(udp + 4);
	if (udp_len < UDP_SIZE || udp_len > len) {
		p->verdict = RX_DROP_UDP;
		return;
	}
	if (checksum == PACKET_CHECKSUM_BAD ||
	    (checksum == PACKET_CHECKSUM_UNKNOWN && !udp_checksum_fits(p, udp, udp_len))) {
		p->verdict = RX_DROP_CHECKSUM;
		return;
	}
	p->source_port = packet_u16(udp);
	p->udp_port = packet_u16(udp + 2);
	p->bytes = udp + UDP_SIZE;
	p->len = (uint16_t)(udp_len - UDP_SIZE);
	parse_rtp(p);
}

/* Ours, and this lcore's? */
static bool
address_fits(const struct steer *steer, uint16_t lcore_i, struct rx_packet *p, const uint8_t *destination)
{
	uint16_t i = steer_find(steer, p->ip_version, destination);

	if (i == STEER_NONE)
		p->verdict = RX_DROP_ADDRESS;
	else if (steer->lcore_of[i] != lcore_i)
		p->verdict = RX_DROP_MISROUTED;
	else
		p->address_i = i;
	return p->verdict == RX_PENDING;
}

static void
parse_ipv4(const struct steer *steer, uint16_t lcore_i, uint8_t *ip, uint32_t len, enum packet_checksum checksum,
           struct rx_packet *p)
{
	uint32_t header, total;

	if (len < 20) {
		p->verdict = RX_DROP_TRUNCATED;
		return;
	}
	header = 4u * (ip[0] & 0x0f);
	total = packet_u16(ip + 2);
	if (ip[0] >> 4 != 4 || header < 20 || total < header) {
		p->verdict = RX_DROP_IP;
		return;
	}
	if (total > len) {
		p->verdict = RX_DROP_TRUNCATED;
		return;
	}
	if (packet_fold(packet_sum(ip, header)) != 0xffff) {
		p->verdict = RX_DROP_CHECKSUM;
		return;
	}
	p->ip_version = 4;
	p->source_ip = ip + 12;
	if ((packet_u16(ip + 6) & 0x3fff) != 0) {	/* more fragments, or an offset */
		p->verdict = RX_DROP_FRAGMENT;
		return;
	}
	if (!address_fits(steer, lcore_i, p, ip + 16))
		return;
	if (ip[9] == PROTOCOL_UDP) {
		parse_udp(p, ip + header, total - header, checksum);
	} else if (ip[9] == PROTOCOL_ICMP) {
		p->verdict = RX_DROP_NEIGHBOUR;
		p->for_reply = true;
	} else {
		p->verdict = RX_DROP_PROTOCOL;
	}
}

/* Walk extension headers up to UDP or ICMPv6. @return offset of it within `ip`, 0: verdict is set */
static uint32_t
ipv6_upper(const uint8_t *ip, uint32_t end, struct rx_packet *p, uint8_t *protocol)
{
	uint32_t at = 40;
	uint8_t next = ip[6];

	for (unsigned int n = 0; n <= PACKET_EXTENSIONS_MAX; n++) {
		if (next == PROTOCOL_UDP || next == PROTOCOL_ICMP6) {
			*protocol = next;
			return at;
		}
		if (next == IPV6_FRAGMENT) {
			p->verdict = RX_DROP_FRAGMENT;
			return 0;
		}
		if (next != IPV6_HOP_BY_HOP && next != IPV6_ROUTING && next != IPV6_DESTINATION) {
			p->verdict = RX_DROP_PROTOCOL;
			return 0;
		}
		if (end - at < 8 || end - at < 8u * (ip[at + 1] + 1u)) {
			p->verdict = RX_DROP_TRUNCATED;
			return 0;
		}
		next = ip[at];
		at += 8u * (ip[at + 1] + 1u);
	}
	p->verdict = RX_DROP_IP;
	return 0;
}

static void
parse_ipv6(const struct steer *steer, uint16_t lcore_i, uint8_t *ip, uint32_t len, enum packet_checksum checksum,
           struct rx_packet *p)
{
	uint32_t end, at;
	uint8_t protocol = 0;

	if (len < 40) {
		p->verdict = RX_DROP_TRUNCATED;
		return;
	}
	if (ip[0] >> 4 != 6) {
		p->verdict = RX_DROP_IP;
		return;
	}
	end = 40u + packet_u16(ip + 4);
	if (end > len) {
		p->verdict = RX_DROP_TRUNCATED;
		return;
	}
	p->ip_version = 6;
	p->source_ip = ip + 8;
	at = ipv6_upper(ip, end, p, &protocol);
	if (at == 0)
		return;
	if (protocol == PROTOCOL_ICMP6) {	/* solicitations go to multicast addresses: the reply phase decides */
		p->verdict = RX_DROP_NEIGHBOUR;
		p->for_reply = at == 40;
		return;
	}
	if (address_fits(steer, lcore_i, p, ip + 24))
		parse_udp(p, ip + at, end - at, checksum);
}

void
packet_parse(const struct steer *steer, uint16_t lcore_i, uint8_t *frame, uint32_t len,
             enum packet_checksum checksum, struct rx_packet *out)
{
	uint32_t at = PACKET_ETHER_SIZE;
	uint16_t type;

	out->verdict = RX_PENDING;
	out->kind = PACKET_RTP;
	out->for_reply = false;
	out->frame = frame;
	out->address_i = PACKET_ADDRESS_NONE;
	out->udp_port = 0;
	out->stream = NULL;
	out->ssrc = NULL;
	if (len < PACKET_ETHER_SIZE) {
		out->verdict = RX_DROP_TRUNCATED;
		return;
	}
	type = packet_u16(frame + 12);
	for (unsigned int n = 0; n < PACKET_VLAN_MAX && (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ); n++) {
		if (len - at < 4) {
			out->verdict = RX_DROP_TRUNCATED;
			return;
		}
		type = packet_u16(frame + at + 2);
		at += 4;
	}
	if (type == ETHERTYPE_IPV4) {
		parse_ipv4(steer, lcore_i, frame + at, len - at, checksum, out);
	} else if (type == ETHERTYPE_IPV6) {
		parse_ipv6(steer, lcore_i, frame + at, len - at, checksum, out);
	} else if (type == ETHERTYPE_ARP) {
		out->verdict = RX_DROP_NEIGHBOUR;
		out->for_reply = true;
	} else {
		out->verdict = RX_DROP_ETHERTYPE;
	}
	if (out->verdict != RX_PENDING)
		out->udp_port = 0;	/* rx_lookup finds the empty slot */
}
