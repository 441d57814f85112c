/* G.711 against a table that another program made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "controlplane/tool/g711.h"

static void
every_code_decodes_as_the_table_says(void **state)
{
	const char *source = getenv("CAPSTAN_SOURCE");
	char path[4096], line[128];
	int n = 0, code, ulaw, alaw;
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/vectors/g711.txt", source != NULL ? source : ".");
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%d %d %d", &code, &ulaw, &alaw) != 3)
			continue;
		assert_int_equal(g711_ulaw_decode((uint8_t)code), ulaw);
		assert_int_equal(g711_alaw_decode((uint8_t)code), alaw);
		n++;
	}
	fclose(f);
	assert_int_equal(n, 256);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_code_decodes_as_the_table_says) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
