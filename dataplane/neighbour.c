#include "dataplane/neighbour.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "dataplane/packet.h"

#define ARP_SIZE        28
#define ARP_REPLY       2
#define ICMP6           58
#define SOLICITATION    135
#define ADVERTISEMENT   136
#define NEIGHBOUR_SIZE  24	/* without options */
#define OPTION_SIZE     8
#define OPTION_SOURCE   1
#define OPTION_TARGET   2

/* ---- routes ---- */

static bool
address_read(struct media_address *a, const char *text)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, a->ip) == 1)
		a->ip_version = 4;
	else if (inet_pton(AF_INET6, text, a->ip) == 1)
		a->ip_version = 6;
	return a->ip_version != 0;
}

static struct neighbour_route *
route_of(struct neighbours *n, uint8_t ip_version)
{
	return ip_version == 4 ? &n->route4 : &n->route6;
}

/* The kernel's end of a tap, with its prefix: "198.18.254.1/24". */
static void
route_tap(struct neighbours *n, const char *text)
{
	const char *slash = text != NULL ? strchr(text, '/') : NULL;
	struct neighbour_route *r;
	struct media_address a;
	char bare[64];

	if (slash == NULL || (size_t)(slash - text) >= sizeof(bare))
		return;
	memcpy(bare, text, (size_t)(slash - text));
	bare[slash - text] = '\0';
	if (!address_read(&a, bare))
		return;
	r = route_of(n, a.ip_version);
	memcpy(r->network, a.ip, sizeof(r->network));
	r->prefix_len = (uint8_t)strtoul(slash + 1, NULL, 10);
	r->gateway = a;
}

void
neighbour_init(struct neighbours *n, const struct config *c, uint64_t tsc_hz)
{
	struct media_address gateway;

	memset(n, 0, sizeof(*n));
	n->tsc_hz = tsc_hz;
	if (c->media.profile == CONFIG_PROFILE_TAP) {
		route_tap(n, c->media.kernel_address4);
		route_tap(n, c->media.kernel_address6);
	}
	if (c->media.gateway != NULL && address_read(&gateway, c->media.gateway))
		route_of(n, gateway.ip_version)->gateway = gateway;
}

static bool
on_wire(const struct neighbour_route *r, const uint8_t *ip)
{
	unsigned int whole = r->prefix_len / 8, rest = r->prefix_len % 8;

	if (memcmp(r->network, ip, whole) != 0)
		return false;
	return rest == 0 || ((r->network[whole] ^ ip[whole]) & (0xff00u >> rest) & 0xff) == 0;
}

/* ---- questions ---- */

static void
put_u16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t
ask_arp(uint8_t *frame, const struct media_address *from, const uint8_t *target, const uint8_t *mac)
{
	static const uint8_t head[10] = { 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };
	uint8_t *arp = frame + PACKET_ETHER_SIZE;

	memset(frame, 0xff, 6);
	memcpy(frame + 6, mac, 6);
	memcpy(frame + 12, head, sizeof(head));
	memcpy(arp + 8, mac, 6);
	memcpy(arp + 14, from->ip, 4);
	memset(arp + 18, 0, 6);
	memcpy(arp + 24, target, 4);
	return PACKET_ETHER_SIZE + ARP_SIZE;
}

/* To the solicited-node group of the target. @rfc 4861 §4.3, 4291 §2.7.1 */
static uint32_t
ask_solicitation(uint8_t *frame, const struct media_address *from, const uint8_t *target, const uint8_t *mac)
{
	static const uint8_t group[13] = { 0xff, 2, [11] = 1, 0xff };
	uint8_t *ip = frame + PACKET_ETHER_SIZE, *icmp = ip + 40;
	uint32_t len = NEIGHBOUR_SIZE + OPTION_SIZE;
	uint16_t sum;

	frame[0] = frame[1] = 0x33;
	frame[2] = 0xff;
	memcpy(frame + 3, target + 13, 3);
	memcpy(frame + 6, mac, 6);
	put_u16(frame + 12, 0x86dd);
	memset(ip, 0, 40 + len);
	ip[0] = 0x60;
	put_u16(ip + 4, len);
	ip[6] = ICMP6;
	ip[7] = 255;
	memcpy(ip + 8, from->ip, 16);
	memcpy(ip + 24, group, sizeof(group));
	memcpy(ip + 37, target + 13, 3);
	icmp[0] = SOLICITATION;
	memcpy(icmp + 8, target, 16);
	icmp[24] = OPTION_SOURCE;
	icmp[25] = 1;
	memcpy(icmp + 26, mac, 6);
	sum = (uint16_t)~packet_fold(packet_pseudo_sum(6, ip + 8, ICMP6, len) + packet_sum(icmp, len));
	memcpy(icmp + 2, &sum, 2);
	return PACKET_ETHER_SIZE + 40 + len;
}

/* ---- the table ---- */

static bool
is(const struct neighbour *e, uint8_t ip_version, const uint8_t *ip)
{
	return e->address.ip_version == ip_version && steer_ip_equal(ip_version, e->address.ip, ip);
}

static struct neighbour *
entry_of(struct neighbours *n, const struct media_address *hop)
{
	struct neighbour *oldest = &n->all[0];

	for (unsigned int i = 0; i < NEIGHBOURS_MAX; i++) {
		if (is(&n->all[i], hop->ip_version, hop->ip))
			return &n->all[i];
		if (n->all[i].used_tsc < oldest->used_tsc)
			oldest = &n->all[i];
	}
	memset(oldest, 0, sizeof(*oldest));
	oldest->address = *hop;
	return oldest;
}

bool
neighbour_find(struct neighbours *n, const struct media_address *from, const struct media_address *to,
               uint64_t now_tsc, const uint8_t mac[REPLY_MAC_SIZE], uint8_t to_mac[REPLY_MAC_SIZE],
               uint8_t question[NEIGHBOUR_QUESTION_MAX], uint32_t *question_len)
{
	const struct neighbour_route *r = route_of(n, to->ip_version);
	const struct media_address *hop = on_wire(r, to->ip) || r->gateway.ip_version == 0 ? to : &r->gateway;
	struct neighbour *e = entry_of(n, hop);

	*question_len = 0;
	e->used_tsc = now_tsc;
	if ((!e->known || now_tsc - e->heard_tsc > NEIGHBOUR_TRUST_S * n->tsc_hz) &&
	    (e->asked_tsc == 0 || now_tsc - e->asked_tsc > n->tsc_hz / 1000 * NEIGHBOUR_ASK_MS)) {
		e->asked_tsc = now_tsc;
		*question_len = to->ip_version == 4 ? ask_arp(question, from, hop->ip, mac)
		                                    : ask_solicitation(question, from, hop->ip, mac);
	}
	memcpy(to_mac, e->mac, REPLY_MAC_SIZE);
	return e->known;
}

static void
learn(struct neighbours *n, uint8_t ip_version, const uint8_t *ip, const uint8_t *mac, uint64_t now_tsc)
{
	if ((mac[0] & 1) != 0)
		return;
	for (unsigned int i = 0; i < NEIGHBOURS_MAX; i++) {
		struct neighbour *e = &n->all[i];

		if (!is(e, ip_version, ip))
			continue;
		memcpy(e->mac, mac, REPLY_MAC_SIZE);
		e->known = true;
		e->heard_tsc = now_tsc;
	}
}

void
neighbour_hear(struct neighbours *n, const uint8_t *frame, uint32_t len, uint64_t now_tsc)
{
	static const uint8_t arp_head[6] = { 0, 1, 8, 0, 6, 4 };
	const uint8_t *at = frame + PACKET_ETHER_SIZE, *icmp = at + 40;

	if (len < PACKET_ETHER_SIZE + ARP_SIZE)
		return;
	if (packet_u16(frame + 12) == 0x0806) {
		if (memcmp(at, arp_head, sizeof(arp_head)) == 0 && at[7] == ARP_REPLY)
			learn(n, 4, at + 14, at + 8, now_tsc);
		return;
	}
	len -= PACKET_ETHER_SIZE;
	if (packet_u16(frame + 12) != 0x86dd || len < 40 + NEIGHBOUR_SIZE + OPTION_SIZE || at[6] != ICMP6 || at[7] != 255 ||
	    packet_u16(at + 4) < NEIGHBOUR_SIZE + OPTION_SIZE || packet_u16(at + 4) > len - 40 || icmp[0] != ADVERTISEMENT ||
	    icmp[1] != 0 || icmp[24] != OPTION_TARGET || icmp[25] != 1 ||
	    packet_fold(packet_pseudo_sum(6, at + 8, ICMP6, packet_u16(at + 4)) + packet_sum(icmp, packet_u16(at + 4))) != 0xffff)
		return;
	learn(n, 6, icmp + 8, icmp + 26, now_tsc);
}
