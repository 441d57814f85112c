/* From a frame on the wire to one RTP or RTCP packet, or a verdict: Ethernet, VLAN, IPv4, IPv6, UDP, RTP. Bounds
 * only: no state, nothing is written but the out struct, and every length is checked against what is there.
 * @thread lcore */
#ifndef PACKET_H
#define PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/unprotect.h"
#include "dataplane/counters.h"
#include "dataplane/steer.h"

#define PACKET_ETHER_SIZE     14
#define PACKET_VLAN_MAX       2	/* 802.1ad: a service and a customer tag */
#define PACKET_EXTENSIONS_MAX 4	/* IPv6 extension headers walked; more: rx_drop_ip */
#define PACKET_ADDRESS_NONE   0	/* slot_of[0][0] is empty, so what did not parse finds no stream there */

enum packet_kind { PACKET_RTP, PACKET_RTCP, PACKET_DTLS };

struct stream;
struct ssrc;

/* One packet of a burst. */
struct rx_packet {
	uint8_t verdict;	/* enum rx_verdict; RX_PENDING until one phase decides */
	uint8_t kind;		/* enum packet_kind */
	uint8_t ip_version;
	bool for_reply;		/* ARP, ND, ICMP: the reply phase looks at it */
	uint16_t address_i, udp_port;	/* ours; host order */
	uint16_t source_port;
	uint16_t len;		/* of the RTP or RTCP packet */
	uint8_t *bytes;
	const uint8_t *source_ip;	/* in the packet */
	const uint8_t *frame;	/* its Ethernet header */
	struct stream *stream;
	struct ssrc *ssrc;
	struct unprotect_op op;
};

/* What the port already knows about checksums. */
enum packet_checksum { PACKET_CHECKSUM_UNKNOWN, PACKET_CHECKSUM_GOOD, PACKET_CHECKSUM_BAD };

/**
 * Parse one frame.
 *
 * @param steer    our addresses; an address of another lcore gets RX_DROP_MISROUTED
 * @param lcore_i  who asks
 * @param frame    whole Ethernet frame, `len` bytes, padding with it
 * @param out      verdict RX_PENDING: bytes, len, address and ports are valid; for_reply: see reply.h
 * @rfc 791 §3.1, 8200 §4, 768, 3550 §5.1
 */
void packet_parse(const struct steer *steer, uint16_t lcore_i, uint8_t *frame, uint32_t len,
                  enum packet_checksum checksum, struct rx_packet *out);

/** Ones' complement sum over bytes, not folded; for checksums. */
uint64_t packet_sum(const uint8_t *bytes, uint32_t len);
/** Fold to 16 bits, in the byte order of memory. */
uint16_t packet_fold(uint64_t sum);
/** Sum of the pseudo header. @rfc 768, 8200 §8.1 */
uint64_t packet_pseudo_sum(uint8_t ip_version, const uint8_t *src_and_dst, uint8_t protocol, uint32_t len);

static inline uint16_t
packet_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
packet_u32(const uint8_t *p)
{
	return (uint32_t)packet_u16(p) << 16 | packet_u16(p + 2);
}

#endif
