#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "lib/json.h"

static void
members_and_elements_are_parted_by_commas(void **state)
{
	struct json j;
	char *text;

	json_begin(&j, 1);
	json_object(&j, NULL);
	json_number(&j, "a", 0);
	json_array(&j, "b");
	json_number(&j, NULL, 1);
	json_object(&j, NULL);
	json_object_end(&j);
	json_array(&j, NULL);
	json_array_end(&j);
	json_text(&j, NULL, "");
	json_array_end(&j);
	json_bool(&j, "c", true);
	json_bool(&j, "d", false);
	json_object_end(&j);
	text = json_end(&j);
	assert_string_equal(text, "{\"a\":0,\"b\":[1,{},[],\"\"],\"c\":true,\"d\":false}");
	free(text);
}

static void
numbers_of_64_bits_are_exact(void **state)
{
	struct json j;
	char *text;

	json_begin(&j, 8);
	json_array(&j, NULL);
	json_number(&j, NULL, UINT64_MAX);
	json_number(&j, NULL, UINT64_C(1700000000123456789));
	json_array_end(&j);
	text = json_end(&j);
	assert_string_equal(text, "[18446744073709551615,1700000000123456789]");
	free(text);
}

/* Another reader finds the same text again, whatever stands in it: brackets and quotes too. */
static void
any_text_is_read_back(void **state)
{
	char all[256], *text;
	struct json j;
	cJSON *read;

	for (int c = 1; c < 128; c++)
		all[c - 1] = (char)c;
	all[127] = '\0';
	strcat(all, "{[\xc3\xa4\xe2\x82\xac");
	json_begin(&j, 4);
	json_object(&j, NULL);
	json_text(&j, all, all);
	json_text(&j, "last", "[");
	json_text(&j, "more", "x");
	json_object_end(&j);
	text = json_end(&j);
	read = cJSON_Parse(text);
	assert_non_null(read);
	assert_string_equal(read->child->string, all);
	assert_string_equal(read->child->valuestring, all);
	assert_string_equal(cJSON_GetObjectItem(read, "more")->valuestring, "x");
	cJSON_Delete(read);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_and_elements_are_parted_by_commas),
		cmocka_unit_test(numbers_of_64_bits_are_exact),
		cmocka_unit_test(any_text_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
