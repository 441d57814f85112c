/* RTCP of the simulator: what it sends passes its own check of form, and what a recorder could get wrong is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "bench/src/report.h"

#define OURS 0x11223344u

static const uint8_t cname[] = { 0x81, 202, 0, 3, 9, 9, 9, 9, 1, 4, 'n', 'a', 'm', 'e', 0, 0 };

struct report {
	uint8_t bytes[32 + sizeof(cname)];
	size_t len;
};

/* A receiver report with one block, and a CNAME behind it. */
static struct report
report_about(uint32_t ssrc, int32_t lost, uint32_t highest)
{
	struct report r = { .bytes = { 0x81, 201, 0, 7, 9, 9, 9, 9 }, .len = sizeof(r.bytes) };
	uint32_t words[3] = { ssrc, (uint32_t)lost & 0xffffff, highest };

	for (int i = 0; i < 12; i++)
		r.bytes[8 + i] = (uint8_t)(words[i / 4] >> (24 - 8 * (i % 4)));
	memcpy(r.bytes + 32, cname, sizeof(cname));
	return r;
}

static struct report_source
source(void)
{
	return (struct report_source){ .ssrc = OURS, .first_seq = 65530, .made = 20, .beyond = 2 };
}

static bool
passes(const struct report *r, struct report_source *s)
{
	char why[256] = "";
	bool ok = report_check(r->bytes, r->len, s, 1, why, sizeof(why));

	assert_int_equal(ok, why[0] == '\0');
	return ok;
}

static void
what_can_be_true_passes_and_is_kept(void **state)
{
	struct report_source s = source();
	struct report r = report_about(OURS, 3, 0x10000 + 13);

	assert_true(passes(&r, &s));
	assert_int_equal(s.lost, 3);
	assert_int_equal(s.highest, 0x10000 + 13);
	r = report_about(OURS, -2, 65530);
	assert_true(passes(&r, &s));
	assert_int_equal(s.lost, -2);
}

static void
what_cannot_be_true_is_found(void **state)
{
	static const struct { uint32_t ssrc; int32_t lost; uint32_t highest; } wrong[] = {
		{ OURS + 1, 0, 65530 }, { OURS, 21, 65530 }, { OURS, -3, 65530 }, { OURS, 0, 65529 }, { OURS, 0, 14 },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct report_source s = source();
		struct report r = report_about(wrong[i].ssrc, wrong[i].lost, wrong[i].highest);

		assert_false(passes(&r, &s));
	}
}

static void
malformed_compounds_are_found(void **state)
{
	struct report_source s = source();
	struct report good = report_about(OURS, 0, 65530), r;

	for (size_t len = 1; len < good.len; len++) { /* cut anywhere: a length is wrong or the CNAME is missing */
		r = good;
		r.len = len;
		assert_false(passes(&r, &s));
	}
	r = good;
	r.bytes[0] = 0x82; /* a block that is not there */
	assert_false(passes(&r, &s));
	r = good;
	memcpy(r.bytes, cname, sizeof(cname)); /* no report first */
	assert_false(passes(&r, &s));
	r = good;
	r.bytes[32 + 8] = 2; /* NAME, not CNAME */
	assert_false(passes(&r, &s));
}

static void
our_own_packets_have_the_right_form(void **state)
{
	struct report_facts facts = { .ssrc = OURS, .timestamp = 1, .packets = 2, .octets = 3, .cname = "someone" };
	struct report_source s = source();
	char why[256];
	uint8_t packet[REPORT_MAX];
	uint16_t len = report_sender(packet, &facts);

	assert_int_equal(len % 4, 0);
	assert_true(report_check(packet, len, &s, 1, why, sizeof(why)));
	assert_int_equal(report_bye(packet, OURS), 16);
	assert_int_equal(packet[9], 203);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_can_be_true_passes_and_is_kept),
		cmocka_unit_test(what_cannot_be_true_is_found),
		cmocka_unit_test(malformed_compounds_are_found),
		cmocka_unit_test(our_own_packets_have_the_right_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
