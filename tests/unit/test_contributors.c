/* Sources of a stream: SSRC, CSRC lists, CNAMEs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controlplane/tool/contributors.h"

static const uint8_t mixed[] = { 0x82, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 'x' };
static const uint8_t one[] = { 0x81, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2, 'x' };
static const uint8_t plain[] = { 0x80, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9, 'x' };
static const uint8_t names[] = { 0x80, 201, 0, 1, 0, 0, 0, 9, 0x82, 202, 0, 7,
	                         0, 0, 0, 2, 1, 5, 'b', 'o', 'b', '@', 'X', 0, 0, 0, 0, 7, 1, 7, 'n', 'o', 'b', 'o', 'd', 'y', '\x01', 0, 0, 0 };

static void
mixed_packets_count_for_each_who_contributed(void **state)
{
	struct contributors c = { 0 };

	assert_int_equal(contributors_rtp(&c, 0, span_of(mixed, sizeof(mixed)), 10), SRS_OK);
	assert_int_equal(contributors_rtp(&c, 0, span_of(one, sizeof(one)), 20), SRS_OK);
	assert_int_equal(contributors_rtp(&c, 0, span_of(plain, sizeof(plain)), 30), SRS_OK);
	assert_int_equal(contributors_rtp(&c, 1, span_of(plain, sizeof(plain)), 40), SRS_OK);
	assert_int_equal(contributors_rtp(&c, 0, span_of(mixed, 11), 50), SRS_OK);	/* too short: nobody's */
	assert_int_equal(c.n, 4);
	assert_true(c.any_mixed);
	assert_int_equal(c.rows[0].id, 9);
	assert_false(c.rows[0].mixed);
	assert_int_equal(c.rows[0].n_packets, 3);
	assert_int_equal(c.rows[1].id, 1);
	assert_true(c.rows[1].mixed);
	assert_int_equal(c.rows[1].n_packets, 1);
	assert_int_equal(c.rows[2].n_packets, 2);
	assert_int_equal(c.rows[2].first_wall_ns, 10);
	assert_int_equal(c.rows[2].last_wall_ns, 20);
	assert_int_equal(c.rows[3].stream, 1);
	contributors_release(&c);
}

static void
cnames_lead_to_addresses(void **state)
{
	struct contributors c = { 0 };

	assert_int_equal(contributors_rtp(&c, 0, span_of(mixed, sizeof(mixed)), 10), SRS_OK);
	assert_int_equal(contributors_rtcp(&c, 0, span_of(names, sizeof(names))), SRS_OK);
	assert_string_equal(c.rows[2].cname, "bob@X");
	assert_string_equal(c.rows[3].cname, "nobody?");	/* of whom no packet came */
	assert_int_equal(c.rows[3].n_packets, 0);
	assert_true(contributor_is(&c.rows[2], "sip:bob@x"));
	assert_true(contributor_is(&c.rows[2], "sips:Bob@x:5061;transport=tls"));
	assert_true(contributor_is(&c.rows[2], "bob@x"));
	assert_false(contributor_is(&c.rows[2], "sip:bob@xy"));
	assert_false(contributor_is(&c.rows[1], "sip:"));
	assert_false(contributor_is(&c.rows[1], ""));
	contributors_release(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mixed_packets_count_for_each_who_contributed),
		cmocka_unit_test(cnames_lead_to_addresses),
	};

	return cmocka_run_group_tests_name("contributors", tests, NULL, NULL);
}
