/* Places: lcores, addresses and ports. The data plane and the clock are the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "controlplane/session/media.h"
#include "controlplane/reactor.h"

static struct dataplane_place places[3];
static unsigned int n_places;
static uint64_t now_ns;

unsigned int
dataplane_n_addresses(const struct dataplane *dp)
{
	return n_places;
}

void
dataplane_place(const struct dataplane *dp, unsigned int address_i, struct dataplane_place *out)
{
	*out = places[address_i];
}

uint64_t
reactor_mono_ns(void)
{
	return now_ns;
}

struct fixture {
	struct config config;
	struct media *media;
};

static char external_ip[] = "203.0.113.9";
static char automatic[] = "auto";

static void
fixture_make(struct fixture *f, uint16_t port_min, uint16_t port_max)
{
	static const struct dataplane_place two[] = {
		{ .address = { .ip_version = 4, .ip = { 198, 18, 254, 2 } }, .lcore_i = 0 },
		{ .address = { .ip_version = 4, .ip = { 198, 18, 254, 3 } }, .lcore_i = 1 },
		{ .address = { .ip_version = 6, .ip = { 0xfd, 0, 0xca, 0x57, [15] = 2 } }, .lcore_i = 1 },
	};

	memcpy(places, two, sizeof(places));
	n_places = 3;
	now_ns = 1000;
	memset(f, 0, sizeof(*f));
	f->config.media.rtp_port_min = port_min;
	f->config.media.rtp_port_max = port_max;
	f->config.media.port_quarantine_ms = 5000;
	f->config.media.external_ip = automatic;
	assert_int_equal(media_create(&f->media, &f->config, NULL), SRS_OK);
}

static void
a_muxed_stream_takes_one_port_and_the_next_one_its_other_half(void **state)
{
	struct fixture f;
	struct media_port a, b;

	fixture_make(&f, 20000, 20003);
	assert_int_equal(media_take(f.media, 0, 4, true, &a), SRS_OK);
	assert_int_equal(a.udp_port, 20000);
	assert_int_equal(a.rtcp_port, 0);
	assert_int_equal(media_take(f.media, 0, 4, true, &b), SRS_OK);
	assert_int_equal(b.udp_port, 20001);
	media_destroy(f.media);
}

static void
without_mux_rtcp_has_the_next_odd_port(void **state)
{
	struct fixture f;
	struct media_port a, b;

	fixture_make(&f, 19999, 20004);		/* 19999 and 20004 have no other half */
	assert_int_equal(media_take(f.media, 0, 4, true, &a), SRS_OK);
	assert_int_equal(media_take(f.media, 0, 4, false, &b), SRS_OK);
	assert_int_equal(a.udp_port, 20000);
	assert_int_equal(b.udp_port, 20002);
	assert_int_equal(b.rtcp_port, 20003);
	assert_int_equal(media_take(f.media, 0, 4, false, &b), SRS_ERR_LIMIT);
	media_destroy(f.media);
}

static void
a_port_rests_before_it_is_taken_again(void **state)
{
	struct fixture f;
	struct media_port a, b;

	fixture_make(&f, 20000, 20001);
	assert_int_equal(media_take(f.media, 0, 4, false, &a), SRS_OK);
	media_give(f.media, &a, true);
	assert_int_equal(media_take(f.media, 0, 4, false, &b), SRS_ERR_LIMIT);
	now_ns += UINT64_C(4999) * 1000000;
	assert_int_equal(media_take(f.media, 0, 4, true, &b), SRS_ERR_LIMIT);
	now_ns += UINT64_C(1000000);
	assert_int_equal(media_take(f.media, 0, 4, false, &b), SRS_OK);
	assert_int_equal(b.udp_port, 20000);
	media_destroy(f.media);
}

static void
a_port_that_never_met_a_packet_need_not_rest(void **state)
{
	struct fixture f;
	struct media_port a;

	fixture_make(&f, 20000, 20001);
	assert_int_equal(media_take(f.media, 0, 4, false, &a), SRS_OK);
	media_give(f.media, &a, false);
	assert_int_equal(media_take(f.media, 0, 4, false, &a), SRS_OK);
	media_destroy(f.media);
}

static void
two_singles_become_a_pair_again(void **state)
{
	struct fixture f;
	struct media_port a, b;

	fixture_make(&f, 20000, 20001);
	n_places = 3;
	assert_int_equal(media_take(f.media, 0, 4, true, &a), SRS_OK);
	assert_int_equal(media_take(f.media, 0, 4, true, &b), SRS_OK);
	assert_int_equal(media_pairs_free(f.media), 2);	/* the other two addresses' */
	media_give(f.media, &b, false);
	media_give(f.media, &a, false);
	assert_int_equal(media_pairs_free(f.media), 3);
	assert_int_equal(media_take(f.media, 0, 4, false, &a), SRS_OK);
	media_destroy(f.media);
}

static void
the_lcore_with_fewest_ports_is_chosen(void **state)
{
	struct fixture f;
	struct media_port a;
	uint16_t lcore_i = 9;

	fixture_make(&f, 20000, 20099);
	assert_int_equal(media_take(f.media, 0, 4, true, &a), SRS_OK);
	assert_int_equal(media_lcore_choose(f.media, 4, &lcore_i), SRS_OK);
	assert_int_equal(lcore_i, 1);
	assert_int_equal(media_take(f.media, 1, 4, false, &a), SRS_OK);
	assert_int_equal(media_lcore_choose(f.media, 4, &lcore_i), SRS_OK);
	assert_int_equal(lcore_i, 0);
	media_destroy(f.media);
}

static void
the_family_of_the_offer_decides_the_address(void **state)
{
	struct fixture f;
	struct media_port a;
	uint16_t lcore_i = 9;
	uint8_t version;
	char ip[48];

	fixture_make(&f, 20000, 20099);
	assert_int_equal(media_lcore_choose(f.media, 6, &lcore_i), SRS_OK);
	assert_int_equal(lcore_i, 1);
	assert_int_equal(media_take(f.media, 1, 6, true, &a), SRS_OK);
	media_text(f.media, &a, true, ip, sizeof(ip), &version);
	assert_int_equal(version, 6);
	assert_string_equal(ip, "fd00:ca57::2");
	assert_int_equal(media_take(f.media, 0, 6, true, &a), SRS_ERR_UNSUPPORTED);
	n_places = 2;
	media_destroy(f.media);
	assert_int_equal(media_create(&f.media, &f.config, NULL), SRS_OK);
	assert_int_equal(media_lcore_choose(f.media, 6, &lcore_i), SRS_ERR_UNSUPPORTED);
	media_destroy(f.media);
}

static void
an_external_address_is_written_in_place_of_ours(void **state)
{
	struct fixture f;
	struct media_port a;
	struct nat nat = { 0 };
	struct nat_address found = { 4, { 203, 0, 113, 8 } };
	uint8_t version;
	char ip[48];

	fixture_make(&f, 20000, 20099);
	media_nat_set(f.media, &nat);
	assert_int_equal(media_take(f.media, 0, 4, true, &a), SRS_OK);
	media_text(f.media, &a, true, ip, sizeof(ip), &version);
	assert_string_equal(ip, "198.18.254.2");
	/* found by STUN: for those beyond the NAT alone */
	assert_true(nat_learn(&nat, &found));
	media_text(f.media, &a, true, ip, sizeof(ip), &version);
	assert_string_equal(ip, "203.0.113.8");
	media_text(f.media, &a, false, ip, sizeof(ip), &version);
	assert_string_equal(ip, "198.18.254.2");
	/* configured: for everyone */
	f.config.media.external_ip = external_ip;
	nat_init(&nat, &f.config);
	media_text(f.media, &a, false, ip, sizeof(ip), &version);
	assert_string_equal(ip, "203.0.113.9");
	assert_int_equal(version, 4);
	media_give(f.media, &a, false);
	media_destroy(f.media);
}

static void
a_range_without_a_pair_is_refused(void **state)
{
	struct fixture f;
	struct media *m;

	fixture_make(&f, 20000, 20001);
	f.config.media.rtp_port_min = 20001;
	f.config.media.rtp_port_max = 20002;
	assert_int_equal(media_create(&m, &f.config, NULL), SRS_ERR_INVALID);
	media_destroy(f.media);
}

/* Every port is free, taken or resting, whatever the order: after all came back, every pair is whole. */
static void
nothing_is_lost_over_many_takes_and_gives(void **state)
{
	struct fixture f;
	struct media_port held[64];
	unsigned int n = 0;
	uint32_t random = 12345;

	fixture_make(&f, 20000, 20063);
	for (unsigned int step = 0; step < 20000; step++) {
		random = random * 1664525u + 1013904223u;
		now_ns += UINT64_C(1000000) * (random >> 24);
		if ((random >> 16 & 1) != 0 && n < 64) {
			if (media_take(f.media, 1, 4, (random >> 17 & 1) != 0, &held[n]) == SRS_OK) {
				for (unsigned int i = 0; i < n; i++)
					assert_int_not_equal(held[i].udp_port, held[n].udp_port);
				n++;
			}
		} else if (n > 0) {
			unsigned int i = (random >> 8) % n;

			media_give(f.media, &held[i], (random >> 18 & 1) != 0);
			held[i] = held[--n];
		}
	}
	while (n > 0)
		media_give(f.media, &held[--n], true);
	now_ns += UINT64_C(6000000000);
	assert_int_equal(media_pairs_free(f.media), 3 * 32);
	media_destroy(f.media);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_muxed_stream_takes_one_port_and_the_next_one_its_other_half),
		cmocka_unit_test(without_mux_rtcp_has_the_next_odd_port),
		cmocka_unit_test(a_port_rests_before_it_is_taken_again),
		cmocka_unit_test(a_port_that_never_met_a_packet_need_not_rest),
		cmocka_unit_test(two_singles_become_a_pair_again),
		cmocka_unit_test(the_lcore_with_fewest_ports_is_chosen),
		cmocka_unit_test(the_family_of_the_offer_decides_the_address),
		cmocka_unit_test(an_external_address_is_written_in_place_of_ours),
		cmocka_unit_test(a_range_without_a_pair_is_refused),
		cmocka_unit_test(nothing_is_lost_over_many_takes_and_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
