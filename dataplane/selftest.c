#include "dataplane/selftest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/lcore.h"

#define WAIT_MS_MAX 4000	/* a fresh IPv6 address may not send before duplicate detection ends */
#define SEND_MS     200		/* the first ones may go while the kernel still asks for our MAC */
#define FRAME_SIZE  (PACKET_ETHER_SIZE + 40 + 8 + SELFTEST_SIZE)

enum srs_err
selftest_init(struct selftest *t)
{
	memset(t, 0, sizeof(*t));
	t->packet[0] = 0x80;	/* RTP version 2: it has to pass the parser */
	return getrandom(t->packet + 12, SELFTEST_NONCE_SIZE, 0) == SELFTEST_NONCE_SIZE ? SRS_OK : SRS_ERR_IO;
}

/* ---- sending ---- */

static uint16_t
be16(unsigned int v)
{
	return htons((uint16_t)v);
}

/* The whole frame, for a queue without a wire: from the media address to itself. */
static size_t
frame_build(const struct selftest *t, const struct media_address *to, uint8_t f[FRAME_SIZE])
{
	bool v4 = to->ip_version == 4;
	uint8_t *ip = f + PACKET_ETHER_SIZE, *udp = ip + (v4 ? 20 : 40), *addresses = ip + (v4 ? 12 : 8);
	unsigned int address_len = v4 ? 4 : 16, udp_len = 8 + SELFTEST_SIZE;
	const uint16_t fields[3] = { be16(SELFTEST_PORT), be16(SELFTEST_PORT), be16(udp_len) };
	const uint16_t ethertype = be16(v4 ? 0x0800 : 0x86dd), length = be16(v4 ? 20 + udp_len : udp_len);
	uint16_t sum;

	memset(f, 0, FRAME_SIZE);
	memcpy(f + 12, &ethertype, 2);
	ip[0] = v4 ? 0x45 : 0x60;
	memcpy(ip + (v4 ? 2 : 4), &length, 2);
	ip[v4 ? 9 : 6] = IPPROTO_UDP;
	ip[v4 ? 8 : 7] = 1;	/* one hop */
	memcpy(addresses, to->ip, address_len);
	memcpy(addresses + address_len, to->ip, address_len);
	if (v4) {
		sum = (uint16_t)~packet_fold(packet_sum(ip, 20));
		memcpy(ip + 10, &sum, 2);
	}
	memcpy(udp, fields, sizeof(fields));
	memcpy(udp + 8, t->packet, SELFTEST_SIZE);
	sum = (uint16_t)~packet_fold(packet_pseudo_sum(to->ip_version, addresses, IPPROTO_UDP, udp_len) +
	                             packet_sum(udp, udp_len));
	if (sum == 0)
		sum = 0xffff;	/* zero would say that there is none */
	memcpy(udp + 6, &sum, 2);
	return (size_t)(udp - f) + udp_len;
}

/* As any sender on this host would: by the routing table, through the tap. */
static void
kernel_send(const struct selftest *t, const struct media_address *to)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(SELFTEST_PORT) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(SELFTEST_PORT) };
	bool v4 = to->ip_version == 4;
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;		/* seen as a packet that does not arrive */
	memcpy(&in.sin_addr, to->ip, sizeof(in.sin_addr));
	memcpy(&in6.sin6_addr, to->ip, sizeof(in6.sin6_addr));
	(void)sendto(fd, t->packet, SELFTEST_SIZE, 0, v4 ? (const struct sockaddr *)&in : (const struct sockaddr *)&in6,
	             v4 ? sizeof(in) : sizeof(in6));
	close(fd);
}

static void
send_one(const struct selftest *t, struct port *port, uint16_t queue_i, const struct media_address *to)
{
	uint8_t frame[FRAME_SIZE];
	struct span s;

	if (port->profile == CONFIG_PROFILE_TAP) {
		kernel_send(t, to);
		return;
	}
	s = span_of(frame, frame_build(t, to, frame));
	(void)port_inject(port, queue_i, &s, 1);
}

/* ---- waiting ---- */

static uint64_t
verdicts_of(struct lcore *const *lcores, uint16_t n, enum rx_verdict verdict)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < n; i++)
		sum += counter_read(&lcores[i]->counters.verdicts[verdict]);
	return sum;
}

static bool
arrives(const struct selftest *t, struct port *port, const struct steer *steer, struct lcore *const *lcores,
        uint16_t lcore_i, const struct media_address *to)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	for (unsigned int waited = 0; waited < WAIT_MS_MAX; waited++) {
		if (waited % SEND_MS == 0)
			send_one(t, port, lcore_i, to);
		nanosleep(&ms, NULL);
		if (counter_read(&lcores[lcore_i]->counters.verdicts[RX_SELFTEST]) != 0)
			return true;
		if (verdicts_of(lcores, steer->n_lcores, RX_DROP_MISROUTED) != 0)
			return false;
	}
	return false;
}

static void
explain(char *why, size_t why_len, const struct port *port, const char *address, uint16_t lcore_i, bool misrouted,
        const char *device)
{
	if (misrouted)
		snprintf(why, why_len, "Self-test: the packet for media address %s did not come to queue %u but to another one; "
		         "check the port's steering rules and the order of media.addresses.", address, lcore_i);
	else if (port->profile == CONFIG_PROFILE_TAP)
		snprintf(why, why_len, "Self-test: a packet from this host to media address %s did not arrive through %s; see "
		         "\"ip route get %s\" (it must name %s: check media.kernel_address4 and media.kernel_address6) and "
		         "whether a firewall drops UDP.", address, device, address, device);
	else
		snprintf(why, why_len, "Self-test: the packet for media address %s did not come out of queue %u; is the "
		         "lcore's CPU taken?", address, lcore_i);
}

enum srs_err
selftest_run(const struct selftest *t, struct port *port, const struct steer *steer, struct lcore *const *lcores,
             const char *device, char *why, size_t why_len)
{
	if (port->profile == CONFIG_PROFILE_PCAP)
		return SRS_OK;
	for (uint16_t i = 0, lcore_i = 0; i < steer->n_addresses; i++) {
		const struct media_address *a = &steer->address[i];
		char text[INET6_ADDRSTRLEN] = "";

		if (steer->lcore_of[i] != lcore_i)
			continue;	/* shares are contiguous: the first address of each lcore */
		if (!arrives(t, port, steer, lcores, lcore_i, a)) {
			inet_ntop(a->ip_version == 4 ? AF_INET : AF_INET6, a->ip, text, sizeof(text));
			explain(why, why_len, port, text, lcore_i,
			        verdicts_of(lcores, steer->n_lcores, RX_DROP_MISROUTED) != 0, device);
			return SRS_ERR_STATE;
		}
		lcore_i++;
	}
	return SRS_OK;
}
