/* Who spoke when, from descriptions as a recorder writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/tool/attendance.h"

#define T0 UINT64_C(1700000000000000000)
#define S  UINT64_C(1000000000)

static struct attendance a;

static int
setup(void **state)
{
	attendance_release(&a);
	return 0;
}

/* A description at T0 + second with these senders on stream 0. */
static void
describe(unsigned int second, const char *senders)
{
	char json[2048];

	(void)snprintf(json, sizeof(json), "{\"started_wall_ns\":%" PRIu64 ",\"streams\":[{\"number\":0,\"label\":\"1\","
	               "\"senders\":[%s]}],\"participants\":[{\"id\":\"p1\",\"aor\":\"sip:ann@x\",\"name\":\"Ann\"},"
	               "{\"id\":\"p2\",\"aor\":\"sip:bob@x\",\"name\":\"\"}]}", T0, senders);
	assert_int_equal(attendance_describe(&a, span_of_text(json), T0 + second * S), SRS_OK);
}

#define P1      "{\"participant\":\"p1\"}"
#define P2      "{\"participant\":\"p2\"}"
#define P1_OVER "{\"participant\":\"p1\",\"over\":true}"

static void
who_is_named_from_one_description_to_another_spoke_in_between(void **state)
{
	describe(1, P1);
	describe(2, P1);
	describe(10, P1 "," P2);
	describe(20, P2);
	describe(30, P1 "," P2);
	assert_int_equal(a.n, 3);
	assert_string_equal(a.rows[0].name, "Ann");
	assert_string_equal(a.rows[0].label, "1");
	assert_true(a.rows[0].from_wall_ns == T0 + 1 * S);
	assert_true(a.rows[0].to_wall_ns == T0 + 20 * S);
	assert_string_equal(a.rows[1].aor, "sip:bob@x");
	assert_true(a.rows[1].from_wall_ns == T0 + 10 * S);
	assert_true(a.rows[1].to_wall_ns == 0);
	assert_string_equal(a.rows[2].participant, "p1");	/* he came back */
	assert_true(a.rows[2].from_wall_ns == T0 + 30 * S);
	attendance_release(&a);
}

static void
times_of_the_client_hold_where_they_can_be_true(void **state)
{
	describe(1, "{\"participant\":\"p1\",\"from_wall_ns\":1699999000000000000},"	/* before the recording */
	            "{\"participant\":\"p2\",\"from_wall_ns\":1}");			/* 1970 */
	describe(10, "{\"participant\":\"p1\",\"over\":true,\"to_wall_ns\":1700000008250000000},"
	             "{\"participant\":\"p2\",\"over\":true,\"to_wall_ns\":1800000000000000000}");
	assert_int_equal(a.n, 2);
	assert_true(a.rows[0].from_src);
	assert_true(a.rows[0].from_wall_ns == T0);	/* he is heard from where the recording begins */
	assert_true(a.rows[0].to_src);
	assert_true(a.rows[0].to_wall_ns == UINT64_C(1700000008250000000));
	assert_false(a.rows[1].from_src);
	assert_true(a.rows[1].from_wall_ns == T0 + 1 * S);
	assert_false(a.rows[1].to_src);
	assert_true(a.rows[1].to_wall_ns == T0 + 10 * S);
	/* told of again, it is the same end */
	describe(20, P1_OVER);
	assert_int_equal(a.n, 2);
	/* and who comes back with the old time comes when we hear of it */
	describe(30, "{\"participant\":\"p1\",\"from_wall_ns\":1699999000000000000}");
	assert_int_equal(a.n, 3);
	assert_true(a.rows[2].from_wall_ns == T0 + 30 * S);
	attendance_release(&a);
}

static void
who_left_before_the_recording_was_never_in_it(void **state)
{
	describe(1, "{\"participant\":\"p1\",\"over\":true,\"to_wall_ns\":1699999999000000000}," P1_OVER);
	assert_int_equal(a.n, 0);
	/* but who came and left between two descriptions was */
	describe(9, "{\"participant\":\"p2\",\"over\":true,\"from_wall_ns\":1700000003000000000,\"to_wall_ns\":1700000005000000000}");
	assert_int_equal(a.n, 1);
	assert_true(a.rows[0].from_wall_ns == T0 + 3 * S);
	assert_true(a.rows[0].to_wall_ns == T0 + 5 * S);
	attendance_release(&a);
}

static void
packets_count_for_those_who_were_there(void **state)
{
	describe(1, P1);
	describe(10, P2);
	attendance_hear(&a, 0, 7, T0);
	attendance_hear(&a, 0, 7, T0 + 2 * S);
	attendance_hear(&a, 0, 8, T0 + 9 * S);
	attendance_hear(&a, 0, 9, T0 + 10 * S);
	attendance_hear(&a, 1, 9, T0 + 2 * S);	/* another stream */
	assert_int_equal(a.rows[0].n_packets, 2);
	assert_int_equal(a.rows[0].ssrc, 7);
	assert_true(a.rows[0].last_wall_ns == T0 + 9 * S);
	assert_int_equal(a.rows[1].n_packets, 1);
	attendance_release(&a);
}

static void
what_is_not_ours_changes_nothing(void **state)
{
	static const char *const texts[] = { "", "[", "[]", "{\"streams\":7}", "{\"streams\":[{\"senders\":[7]}]}", "{\"streams\":[7]}" };

	describe(1, P1);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(attendance_describe(&a, span_of_text(texts[i]), T0 + 5 * S), SRS_OK);
	assert_int_equal(a.n, 1);
	assert_true(a.rows[0].to_wall_ns == 0);
	for (size_t i = 3; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(attendance_describe(&a, span_of_text(texts[i]), T0 + 6 * S), SRS_OK);
	assert_true(a.rows[0].to_wall_ns == T0 + 6 * S);	/* a description without him */
	assert_int_equal(a.n, 1);
	attendance_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(who_is_named_from_one_description_to_another_spoke_in_between, setup),
		cmocka_unit_test_setup(times_of_the_client_hold_where_they_can_be_true, setup),
		cmocka_unit_test_setup(who_left_before_the_recording_was_never_in_it, setup),
		cmocka_unit_test_setup(packets_count_for_those_who_were_there, setup),
		cmocka_unit_test_setup(what_is_not_ours_changes_nothing, setup),
	};

	return cmocka_run_group_tests_name("attendance", tests, NULL, NULL);
}
