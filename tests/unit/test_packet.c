/* Parsing: one verdict for every frame, whatever was cut off or bent. */
#include "plane_fixture.h"

struct fx {
	struct steer steer;
	uint8_t frame[512];
	size_t len;
};

static int
set_up(void **state)
{
	static struct fx fx;
	static char a4[] = PX_ADDRESS, b4[] = "198.18.254.3", a6[] = "fd00:ca57::2";
	char *texts[] = { a4, b4, a6 };
	uint8_t packet[172];
	char why[200];

	memset(&fx, 0, sizeof(fx));
	if (steer_init(&fx.steer, texts, 3, 1, why, sizeof(why)) != SRS_OK)
		return -1;
	px_rtp_packet(packet, 0xabcd, 77);
	fx.len = px_udp(fx.frame, PX_SOURCE, 5004, 20000, packet, sizeof(packet));
	*state = &fx;
	return 0;
}

/* Parse a copy of exactly `len` bytes, so that a sanitizer sees a read beyond them. */
static struct rx_packet
parse(const struct fx *fx, const uint8_t *frame, size_t len)
{
	uint8_t *copy = malloc(len + 1);
	struct rx_packet p;

	assert_non_null(copy);
	memcpy(copy, frame, len);
	copy = realloc(copy, len != 0 ? len : 1);
	assert_non_null(copy);
	packet_parse(&fx->steer, 0, copy, (uint32_t)len, PACKET_CHECKSUM_UNKNOWN, &p);
	if (p.verdict == RX_PENDING)
		assert_in_range((uintptr_t)(p.bytes + p.len - copy), 0, len);
	p.bytes = NULL;
	free(copy);
	return p;
}

static void
ip_checksum_renew(uint8_t *ip)
{
	uint16_t sum;

	memset(ip + 10, 0, 2);
	sum = (uint16_t)~packet_fold(packet_sum(ip, 4u * (ip[0] & 15)));
	memcpy(ip + 10, &sum, 2);
}

static void
rtp_over_ipv4_is_found_with_its_addresses_and_ports(void **state)
{
	const struct fx *fx = *state;
	struct rx_packet p = parse(fx, fx->frame, fx->len);

	assert_int_equal(p.verdict, RX_PENDING);
	assert_int_equal(p.kind, PACKET_RTP);
	assert_int_equal(p.len, 172);
	assert_int_equal(p.address_i, 0);
	assert_int_equal(p.udp_port, 20000);
	assert_int_equal(p.source_port, 5004);
}

static void
every_truncation_gets_a_verdict_and_no_port(void **state)
{
	const struct fx *fx = *state;

	for (size_t len = 0; len < fx->len; len++) {
		struct rx_packet p = parse(fx, fx->frame, len);

		assert_int_equal(p.verdict, RX_DROP_TRUNCATED);
		assert_int_equal(p.udp_port, 0);
	}
}

static void
ethernet_padding_is_not_payload(void **state)
{
	struct fx fx = *(struct fx *)*state;
	static const uint8_t rtcp[8] = { 0x80, 201, 0, 1, 0, 0, 0, 1 };
	struct rx_packet p;

	fx.len = px_udp(fx.frame, PX_SOURCE, 5004, 20000, rtcp, sizeof(rtcp));
	memset(fx.frame + fx.len, 0xee, 60 - fx.len);
	p = parse(&fx, fx.frame, 60);
	assert_int_equal(p.verdict, RX_PENDING);
	assert_int_equal(p.kind, PACKET_RTCP);
	assert_int_equal(p.len, 8);
}

static void
one_and_two_vlan_tags_are_passed_a_third_is_not(void **state)
{
	struct fx fx = *(struct fx *)*state;

	for (unsigned int n = 1; n <= 3; n++) {
		memmove(fx.frame + 16, fx.frame + 12, fx.len - 12);
		px_put(fx.frame + 12, n == 1 ? 0x8100 : 0x88a8, 2);
		px_put(fx.frame + 14, 5, 2);
		fx.len += 4;
		assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, n <= 2 ? RX_PENDING : RX_DROP_ETHERTYPE);
	}
}

/* One change to a good frame, and what it costs. */
static void
each_defect_has_its_verdict(void **state)
{
	static const struct {
		unsigned int at;
		uint8_t value;
		enum rx_verdict verdict;
		bool renew;	/* the IP checksum */
	} defects[] = {
		{ 12, 0x12, RX_DROP_ETHERTYPE, false },
		{ 14, 0x55, RX_DROP_IP, true },		/* version 5 */
		{ 14, 0x44, RX_DROP_IP, false },	/* header of 16 bytes */
		{ 14, 0x4f, RX_DROP_CHECKSUM, false },	/* options that are not there */
		{ 17, 10, RX_DROP_IP, false },		/* total below the header */
		{ 16, 0xff, RX_DROP_TRUNCATED, false },	/* total beyond the frame */
		{ 24, 0, RX_DROP_CHECKSUM, false },
		{ 20, 0x20, RX_DROP_FRAGMENT, true },	/* more fragments */
		{ 21, 1, RX_DROP_FRAGMENT, true },	/* an offset */
		{ 20, 0x40, RX_PENDING, true },		/* don't fragment is fine */
		{ 33, 9, RX_DROP_ADDRESS, true },
		{ 23, 6, RX_DROP_PROTOCOL, true },
		{ 23, 1, RX_DROP_NEIGHBOUR, true },
		{ 38, 0xff, RX_DROP_UDP, false },	/* UDP longer than IP */
		{ 39, 4, RX_DROP_UDP, false },		/* shorter than its header */
		{ 100, 0, RX_DROP_CHECKSUM, false },
	};
	const struct fx *good = *state;

	for (unsigned int i = 0; i < sizeof(defects) / sizeof(defects[0]); i++) {
		struct fx fx = *good;

		fx.frame[defects[i].at] = defects[i].value;
		if (defects[i].verdict == RX_DROP_UDP && defects[i].at == 39)
			fx.frame[38] = 0;
		if (defects[i].renew)
			ip_checksum_renew(fx.frame + 14);
		if (parse(&fx, fx.frame, fx.len).verdict != defects[i].verdict)
			fail_msg("defect %u: verdict %u, not %u", i, parse(&fx, fx.frame, fx.len).verdict, defects[i].verdict);
	}
}

static void
version_and_lengths_of_rtp_are_checked(void **state)
{
	struct fx fx = *(struct fx *)*state;
	uint8_t packet[64] = { 0x40 };

	fx.len = px_udp(fx.frame, PX_SOURCE, 1, 20000, packet, 20);
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_DROP_NOT_RTP);
	packet[0] = 0x80;
	fx.len = px_udp(fx.frame, PX_SOURCE, 1, 20000, packet, 11);
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_DROP_NOT_RTP);
	packet[0] = 0x83;	/* three CSRCs need 24 bytes */
	fx.len = px_udp(fx.frame, PX_SOURCE, 1, 20000, packet, 23);
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_DROP_NOT_RTP);
	fx.len = px_udp(fx.frame, PX_SOURCE, 1, 20000, packet, 24);
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_PENDING);
	fx.len = px_udp(fx.frame, PX_SOURCE, 1, 20000, "", 0);
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_DROP_NOT_RTP);
}

static void
what_else_comes_to_a_media_port_is_told_apart_by_its_first_byte(void **state)
{
	struct fx fx = *(struct fx *)*state;
	static const struct {
		uint8_t first, verdict, kind;
	} rows[] = {
		{ 0, RX_DROP_STUN, PACKET_RTP }, { 3, RX_DROP_STUN, PACKET_RTP }, { 4, RX_DROP_NOT_RTP, PACKET_RTP },
		{ 19, RX_DROP_NOT_RTP, PACKET_RTP }, { 20, RX_PENDING, PACKET_DTLS }, { 63, RX_PENDING, PACKET_DTLS },
		{ 64, RX_DROP_NOT_RTP, PACKET_RTP }, { 127, RX_DROP_NOT_RTP, PACKET_RTP }, { 128, RX_PENDING, PACKET_RTP },
		{ 192, RX_DROP_NOT_RTP, PACKET_RTP },
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t packet[20] = { rows[i].first };
		struct rx_packet p;

		fx.len = px_udp(fx.frame, PX_SOURCE, 1, 20000, packet, sizeof(packet));
		p = parse(&fx, fx.frame, fx.len);
		assert_int_equal(p.verdict, rows[i].verdict);
		assert_int_equal(p.kind, rows[i].kind);
		fx.len = px_udp(fx.frame, PX_SOURCE, 1, 20000, packet, 12);	/* too short for any header but RTP's */
		p = parse(&fx, fx.frame, fx.len);
		assert_int_equal(p.verdict, rows[i].first == 128 ? RX_PENDING : RX_DROP_NOT_RTP);
	}
}

static void
a_header_extension_must_fit(void **state)
{
	struct fx fx = *(struct fx *)*state;
	uint8_t packet[64] = { 0x91, [18] = 0, [19] = 2 };	/* one CSRC, then an extension of two words */

	fx.len = px_udp(fx.frame, PX_SOURCE, 1, 20000, packet, 28);
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_PENDING);
	fx.len = px_udp(fx.frame, PX_SOURCE, 1, 20000, packet, 27);
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_DROP_NOT_RTP);
	fx.len = px_udp(fx.frame, PX_SOURCE, 1, 20000, packet, 19);
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_DROP_NOT_RTP);
	packet[18] = 0xff;
	fx.len = px_udp(fx.frame, PX_SOURCE, 1, 20000, packet, 64);
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_DROP_NOT_RTP);
}

static void
absent_and_partial_udp_checksums_are_accepted(void **state)
{
	struct fx fx = *(struct fx *)*state;
	uint8_t *udp = fx.frame + 34;
	uint16_t partial = packet_fold(packet_pseudo_sum(4, fx.frame + 26, 17, packet_u16(udp + 4)));

	memset(udp + 6, 0, 2);
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_PENDING);
	memcpy(udp + 6, &partial, 2);
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_PENDING);
	udp[6] ^= 1;
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_DROP_CHECKSUM);
}

/* The same packet over IPv6, behind `n_extensions` destination options. */
static size_t
frame6(uint8_t *f, unsigned int n_extensions, uint8_t last_next)
{
	uint8_t *ip = f + 14, *udp = ip + 40 + 8 * n_extensions, packet[172];
	uint16_t sum;

	memset(f, 0, 54 + 8 * n_extensions);
	px_put(f + 12, 0x86dd, 2);
	ip[0] = 0x60;
	px_put(ip + 4, 8 * n_extensions + 180, 2);
	ip[6] = n_extensions != 0 ? 60 : last_next;
	ip[7] = 64;
	inet_pton(AF_INET6, "fd00:ca57::1", ip + 8);
	inet_pton(AF_INET6, "fd00:ca57::2", ip + 24);
	for (unsigned int i = 0; i < n_extensions; i++)
		ip[40 + 8 * i] = i + 1 < n_extensions ? 60 : last_next;
	px_rtp_packet(packet, 1, 1);
	px_put(udp, 5004, 2);
	px_put(udp + 2, 20000, 2);
	px_put(udp + 4, 180, 2);
	px_put(udp + 6, 0, 2);
	memcpy(udp + 8, packet, 172);
	sum = (uint16_t)~packet_fold(packet_pseudo_sum(6, ip + 8, 17, 180) + packet_sum(udp, 180));
	memcpy(udp + 6, &sum, 2);
	return 54 + 8 * n_extensions + 180;
}

static void
ipv6_extension_headers_are_walked_to_a_bound(void **state)
{
	struct fx fx = *(struct fx *)*state;

	for (unsigned int n = 0; n <= PACKET_EXTENSIONS_MAX + 1; n++) {
		struct rx_packet p;

		fx.len = frame6(fx.frame, n, 17);
		p = parse(&fx, fx.frame, fx.len);
		assert_int_equal(p.verdict, n <= PACKET_EXTENSIONS_MAX ? RX_PENDING : RX_DROP_IP);
		if (n <= PACKET_EXTENSIONS_MAX)
			assert_int_equal(p.address_i, 2);
		for (size_t len = 0; len < fx.len; len++)
			assert_int_not_equal(parse(&fx, fx.frame, len).verdict, RX_PENDING);
	}
	fx.len = frame6(fx.frame, 1, 44);
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_DROP_FRAGMENT);
	fx.len = frame6(fx.frame, 1, 6);
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_DROP_PROTOCOL);
	fx.len = frame6(fx.frame, 1, 17);
	fx.frame[14 + 41] = 255;	/* an extension longer than the packet */
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_DROP_TRUNCATED);
	fx.len = frame6(fx.frame, 0, 17);
	memset(fx.frame + 60, 0, 2);	/* IPv6 has no absent checksum */
	assert_int_equal(parse(&fx, fx.frame, fx.len).verdict, RX_DROP_CHECKSUM);
}

static void
anothers_address_is_misrouted(void **state)
{
	const struct fx *fx = *state;
	struct rx_packet p;
	uint8_t frame[512];

	memcpy(frame, fx->frame, fx->len);
	packet_parse(&fx->steer, 1, frame, (uint32_t)fx->len, PACKET_CHECKSUM_UNKNOWN, &p);
	assert_int_equal(p.verdict, RX_DROP_MISROUTED);
	assert_int_equal(p.udp_port, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rtp_over_ipv4_is_found_with_its_addresses_and_ports),
		cmocka_unit_test(every_truncation_gets_a_verdict_and_no_port),
		cmocka_unit_test(ethernet_padding_is_not_payload),
		cmocka_unit_test(one_and_two_vlan_tags_are_passed_a_third_is_not),
		cmocka_unit_test(each_defect_has_its_verdict),
		cmocka_unit_test(version_and_lengths_of_rtp_are_checked),
		cmocka_unit_test(what_else_comes_to_a_media_port_is_told_apart_by_its_first_byte),
		cmocka_unit_test(a_header_extension_must_fit),
		cmocka_unit_test(absent_and_partial_udp_checksums_are_accepted),
		cmocka_unit_test(ipv6_extension_headers_are_walked_to_a_bound),
		cmocka_unit_test(anothers_address_is_misrouted),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
