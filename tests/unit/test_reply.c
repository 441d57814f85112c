/* ARP, neighbour discovery and echo: answered for our addresses, and for nothing else. */
#include "plane_fixture.h"

#include "dataplane/reply.h"

static const uint8_t ours[6] = { 2, 0, 0, 0, 0, 9 }, theirs[6] = { 2, 0, 0, 0, 0, 1 };
static struct steer steer;

static int
set_up(void **state)
{
	static char a4[] = PX_ADDRESS, a6[] = "fd00:ca57::2";
	char *texts[] = { a4, a6 };
	char why[200];

	return steer_init(&steer, texts, 2, 1, why, sizeof(why)) == SRS_OK ? 0 : -1;
}

static size_t
arp_request(uint8_t f[60], const char *target)
{
	static const uint8_t head[10] = { 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };

	memset(f, 0, 60);
	memset(f, 0xff, 6);
	memcpy(f + 6, theirs, 6);
	memcpy(f + 12, head, sizeof(head));
	memcpy(f + 22, theirs, 6);
	inet_pton(AF_INET, PX_SOURCE, f + 28);
	inet_pton(AF_INET, target, f + 38);
	return 60;
}

static void
arp_for_our_address_is_answered(void **state)
{
	uint8_t f[60], ip[4];

	assert_int_equal(reply_build(&steer, ours, f, (uint32_t)arp_request(f, PX_ADDRESS), 60), 42);
	assert_memory_equal(f, theirs, 6);
	assert_memory_equal(f + 6, ours, 6);
	assert_int_equal(f[21], 2);
	assert_memory_equal(f + 22, ours, 6);
	inet_pton(AF_INET, PX_ADDRESS, ip);
	assert_memory_equal(f + 28, ip, 4);
	assert_memory_equal(f + 32, theirs, 6);
	inet_pton(AF_INET, PX_SOURCE, ip);
	assert_memory_equal(f + 38, ip, 4);
}

static void
arp_for_others_and_cut_arp_are_left_alone(void **state)
{
	uint8_t f[60], before[60];

	arp_request(f, "198.18.254.77");
	memcpy(before, f, 60);
	assert_int_equal(reply_build(&steer, ours, f, 60, 60), 0);
	assert_memory_equal(f, before, 60);
	arp_request(f, PX_ADDRESS);
	for (uint32_t len = 0; len < 42; len++)
		assert_int_equal(reply_build(&steer, ours, f, len, 60), 0);
	f[6] |= 1;	/* a group cannot ask */
	assert_int_equal(reply_build(&steer, ours, f, 60, 60), 0);
}

static void
echo_comes_back_with_its_payload(void **state)
{
	uint8_t f[200];
	uint8_t *ip = f + 14, *icmp = ip + 20;
	uint16_t sum;
	uint32_t len = (uint32_t)px_udp(f, PX_SOURCE, 0, 0, "0123456789", 10);

	memcpy(f + 6, theirs, 6);
	ip[9] = 1;
	memset(ip + 10, 0, 2);
	sum = (uint16_t)~packet_fold(packet_sum(ip, 20));
	memcpy(ip + 10, &sum, 2);
	memset(icmp, 0, 8);
	icmp[0] = 8;
	icmp[5] = 3;
	sum = (uint16_t)~packet_fold(packet_sum(icmp, 18));
	memcpy(icmp + 2, &sum, 2);
	assert_int_equal(reply_build(&steer, ours, f, len, sizeof(f)), len);
	assert_int_equal(icmp[0], 0);
	assert_int_equal(icmp[5], 3);
	assert_memory_equal(icmp + 8, "0123456789", 10);
	assert_int_equal(packet_fold(packet_sum(icmp, 18)), 0xffff);
	assert_int_equal(packet_fold(packet_sum(ip, 20)), 0xffff);
	assert_memory_equal(f, theirs, 6);
	assert_int_equal(reply_build(&steer, ours, f, len, sizeof(f)), 0);	/* a reply is not a request */
}

static uint32_t
solicitation(uint8_t *f, const char *source, const char *target, uint8_t hops)
{
	uint8_t *ip = f + 14, *ns = ip + 40;
	uint16_t sum;

	memset(f, 0, 86);
	memcpy(f + 6, theirs, 6);
	px_put(f + 12, 0x86dd, 2);
	ip[0] = 0x60;
	px_put(ip + 4, 24, 2);
	ip[6] = 58;
	ip[7] = hops;
	inet_pton(AF_INET6, source, ip + 8);
	inet_pton(AF_INET6, "ff02::1:ff00:2", ip + 24);
	ns[0] = 135;
	inet_pton(AF_INET6, target, ns + 8);
	sum = (uint16_t)~packet_fold(packet_pseudo_sum(6, ip + 8, 58, 24) + packet_sum(ns, 24));
	memcpy(ns + 2, &sum, 2);
	return 78;
}

static void
solicitation_for_our_address_is_advertised(void **state)
{
	uint8_t f[128], ip6[16];
	uint32_t len = solicitation(f, "fd00:ca57::1", "fd00:ca57::2", 255);

	assert_int_equal(reply_build(&steer, ours, f, len, 80), 0);	/* no room for the option */
	assert_int_equal(reply_build(&steer, ours, f, len, sizeof(f)), 86);
	assert_int_equal(f[54], 136);
	assert_int_equal(f[58], 0x60);	/* solicited, override */
	inet_pton(AF_INET6, "fd00:ca57::2", ip6);
	assert_memory_equal(f + 62, ip6, 16);
	assert_memory_equal(f + 22, ip6, 16);
	assert_memory_equal(f + 80, ours, 6);
	inet_pton(AF_INET6, "fd00:ca57::1", ip6);
	assert_memory_equal(f + 38, ip6, 16);
	assert_int_equal(packet_fold(packet_pseudo_sum(6, f + 22, 58, 32) + packet_sum(f + 54, 32)), 0xffff);

	len = solicitation(f, "::", "fd00:ca57::2", 255);	/* duplicate detection: to all nodes, not solicited */
	assert_int_equal(reply_build(&steer, ours, f, len, sizeof(f)), 86);
	assert_int_equal(f[58], 0x20);
	assert_int_equal(f[0], 0x33);
	assert_int_equal(f[38], 0xff);
}

static void
solicitation_from_afar_or_for_others_is_left_alone(void **state)
{
	uint8_t f[128];
	uint32_t len = solicitation(f, "fd00:ca57::1", "fd00:ca57::2", 64);

	assert_int_equal(reply_build(&steer, ours, f, len, sizeof(f)), 0);
	len = solicitation(f, "fd00:ca57::1", "fd00:ca57::3", 255);
	assert_int_equal(reply_build(&steer, ours, f, len, sizeof(f)), 0);
	len = solicitation(f, "fd00:ca57::1", "fd00:ca57::2", 255);
	f[60] ^= 1;
	assert_int_equal(reply_build(&steer, ours, f, len, sizeof(f)), 0);	/* checksum */
	for (uint32_t cut = 0; cut < len; cut++) {
		solicitation(f, "fd00:ca57::1", "fd00:ca57::2", 255);
		assert_int_equal(reply_build(&steer, ours, f, cut, sizeof(f)), 0);
	}
}

static void
announcements_parse_as_what_they_are(void **state)
{
	uint8_t f[REPLY_ANNOUNCE_MAX];

	assert_int_equal(reply_announce(&steer.address[0], ours, f), 42);
	assert_memory_equal(f + 28, f + 38, 4);	/* sender is target */
	assert_memory_equal(f + 22, ours, 6);
	assert_int_equal(reply_announce(&steer.address[1], ours, f), 86);
	assert_int_equal(f[54], 136);
	assert_int_equal(packet_fold(packet_pseudo_sum(6, f + 22, 58, 32) + packet_sum(f + 54, 32)), 0xffff);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_for_our_address_is_answered),
		cmocka_unit_test(arp_for_others_and_cut_arp_are_left_alone),
		cmocka_unit_test(echo_comes_back_with_its_payload),
		cmocka_unit_test(solicitation_for_our_address_is_advertised),
		cmocka_unit_test(solicitation_from_afar_or_for_others_is_left_alone),
		cmocka_unit_test(announcements_parse_as_what_they_are),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
