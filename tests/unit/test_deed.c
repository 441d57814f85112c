/* EVENT documents as `recordings show` lists them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "controlplane/tool/deed.h"

static void
who_did_what_when_and_why(void **state)
{
	struct deeds d = { 0 };

	assert_int_equal(deeds_take(&d, span_of_text("{\"event\":\"masked\",\"by\":\"operator\",\"name\":\"ann\",\"reason\":\"card number\","
	                                             "\"wall_ns\":1700000000123456789}")), SRS_OK);
	assert_int_equal(deeds_take(&d, span_of_text("{\"event\":\"held\",\"by\":\"src\",\"name\":\"\",\"reason\":\"\","
	                                             "\"wall_ns\":1700000000123456790,\"streams\":[3]}")), SRS_OK);
	assert_int_equal(d.n, 2);
	assert_string_equal(d.rows[0].event, "masked");
	assert_string_equal(d.rows[0].by, "operator");
	assert_string_equal(d.rows[0].name, "ann");
	assert_string_equal(d.rows[0].reason, "card number");
	assert_int_equal(d.rows[0].stream, DEED_STREAM_ALL);
	assert_true(d.rows[0].wall_ns == UINT64_C(1700000000123456789));	/* beyond 2^53 to the unit */
	assert_int_equal(d.rows[1].stream, 3);
	deeds_release(&d);
}

static void
what_is_no_event_is_left_out(void **state)
{
	static const char *const bad[] = { "", "{", "[]", "{}", "{\"event\":7}", "null", "{\"by\":\"src\"}" };
	struct deeds d = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(deeds_take(&d, span_of_text(bad[i])), SRS_OK);
	assert_int_equal(d.n, 0);
	/* odd members are empty, or all */
	assert_int_equal(deeds_take(&d, span_of_text("{\"event\":\"a name longer than any of ours\",\"streams\":[1e9],\"name\":[1]}")), SRS_OK);
	assert_int_equal(d.n, 1);
	assert_int_equal(strlen(d.rows[0].event), sizeof(d.rows[0].event) - 1);
	assert_int_equal(d.rows[0].stream, DEED_STREAM_ALL);
	assert_string_equal(d.rows[0].name, "");
	deeds_release(&d);
}

static void
their_number_is_bounded(void **state)
{
	struct deeds d = { 0 };

	for (unsigned int i = 0; i <= DEEDS_MAX; i++) {
		assert_false(d.cut);
		assert_int_equal(deeds_take(&d, span_of_text("{\"event\":\"held\"}")), SRS_OK);
	}
	assert_int_equal(d.n, DEEDS_MAX);
	assert_true(d.cut);
	deeds_release(&d);
	assert_int_equal(d.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_did_what_when_and_why),
		cmocka_unit_test(what_is_no_event_is_left_out),
		cmocka_unit_test(their_number_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
