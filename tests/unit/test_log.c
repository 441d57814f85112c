/* The log: one line an event, none that a peer's bytes can forge, none without end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/srs_err.h"
#include "lib/srs_log.h"

static char text[256 * 1024];
static FILE *captured;
static int saved_stderr;

static void
capture(void)
{
	fflush(stderr);
	captured = tmpfile();
	assert_non_null(captured);
	saved_stderr = dup(STDERR_FILENO);
	assert_true(dup2(fileno(captured), STDERR_FILENO) >= 0);
}

/* What was logged since capture(), in `text`; the number of lines. */
static int
captured_lines(void)
{
	size_t len;
	int n = 0;

	fflush(stderr);
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	rewind(captured);
	len = fread(text, 1, sizeof(text) - 1, captured);
	text[len] = '\0';
	fclose(captured);
	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

static void
a_line_has_time_level_module_event_and_pairs(void **state)
{
	capture();
	log_warn("tester", "thing_happened", "n=%d name=%s", 5, "x");
	assert_int_equal(captured_lines(), 1);
	assert_non_null(strstr(text, "Z warn tester thing_happened n=5 name=x\n"));
	assert_int_equal(text[4], '-');
	assert_int_equal(text[10], 'T');
}

static void
lines_above_the_level_are_dropped(void **state)
{
	capture();
	log_debug("tester", "detail", "n=%d", 1);
	srs_log_level_set(SRS_LOG_ERROR);
	log_warn("tester", "not_now", "n=%d", 1);
	srs_log_level_set(SRS_LOG_DEBUG);
	log_debug("tester", "detail_wanted", "n=%d", 2);
	srs_log_level_set(SRS_LOG_INFO);
	assert_int_equal(captured_lines(), 1);
	assert_non_null(strstr(text, "detail_wanted"));
}

static void
a_peers_bytes_cannot_forge_a_line(void **state)
{
	capture();
	log_info("tester", "peer_said", "text=%s", "a\nerror tester forged\r\x1b[31m");
	assert_int_equal(captured_lines(), 1);
	assert_non_null(strstr(text, "text=a?error tester forged??[31m"));
}

static void
a_long_line_is_cut(void **state)
{
	static char large[5000];

	memset(large, 'y', sizeof(large) - 1);
	capture();
	log_info("tester", "large", "text=%s", large);
	assert_int_equal(captured_lines(), 1);
	assert_true(strlen(text) <= 1024);
}

static void
a_flood_is_held_back_and_said_so(void **state)
{
	struct timespec second = { .tv_sec = 1, .tv_nsec = 50000000 };
	int n;

	capture();
	for (int i = 0; i < 500; i++)
		log_info("tester", "flood", "i=%d", i);
	log_info("tester", "another_event", "n=%d", 1);
	n = captured_lines();
	assert_in_range(n, 21, 41); /* 20 a second and event, and the flood may straddle a second */
	assert_non_null(strstr(text, "another_event"));
	nanosleep(&second, NULL);
	capture();
	log_info("tester", "flood", "i=%d", 500);
	assert_int_equal(captured_lines(), 1);
	assert_non_null(strstr(text, "i=500 suppressed="));
}

static void
errors_have_names(void **state)
{
	assert_string_equal(srs_err_name(SRS_OK), "ok");
	assert_string_equal(srs_err_name(SRS_ERR_AUTH), "auth");
	assert_string_not_equal(srs_err_name(SRS_ERR_STATE), srs_err_name(SRS_ERR_IO));
	assert_non_null(srs_err_name((enum srs_err)99));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_time_level_module_event_and_pairs),
		cmocka_unit_test(lines_above_the_level_are_dropped),
		cmocka_unit_test(a_peers_bytes_cannot_forge_a_line),
		cmocka_unit_test(a_long_line_is_cut),
		cmocka_unit_test(a_flood_is_held_back_and_said_so),
		cmocka_unit_test(errors_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
