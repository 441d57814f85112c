#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/page.h"

static void
text_grows_past_its_first_room(void **state)
{
	char expected[26 * 100 + 1] = "", *text;
	struct page p;

	page_begin(&p, 0);
	for (int i = 0; i < 100; i++) {
		page_texts(&p, "abcdefghijklm", "nopqrstuvwxyz", NULL);
		strcat(expected, "abcdefghijklmnopqrstuvwxyz");
	}
	text = page_end(&p);
	assert_string_equal(text, expected);
	free(text);
}

static void
nothing_is_an_empty_text(void **state)
{
	struct page p;
	char *text;

	page_begin(&p, 0);
	text = page_end(&p);
	assert_string_equal(text, "");
	free(text);
}

static void
numbers_are_decimal(void **state)
{
	struct page p;
	char *text;

	page_begin(&p, 4);
	page_number(&p, 0);
	page_put(&p, " ", 1);
	page_number(&p, ULLONG_MAX);
	text = page_end(&p);
	assert_string_equal(text, "0 18446744073709551615");
	free(text);
}

#ifdef __SANITIZE_ADDRESS__
/* As malloc() says it without a sanitizer: no memory is no reason to end. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}
#endif

/* A text that cannot be had stays away whole; SIZE_MAX / 2 is more than any machine gives. */
static void
without_memory_there_is_no_text(void **state)
{
	struct page p;

	page_begin(&p, SIZE_MAX / 2);
	page_text(&p, "what nobody reads");
	assert_null(page_end(&p));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_grows_past_its_first_room),
		cmocka_unit_test(nothing_is_an_empty_text),
		cmocka_unit_test(numbers_are_decimal),
		cmocka_unit_test(without_memory_there_is_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
