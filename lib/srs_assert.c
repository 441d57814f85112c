#include "lib/srs_assert.h"

#include <stdio.h>
#include <stdlib.h>

void
srs_assert_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "capstan: assertion failed: %s (%s:%d); please report this with the lines above\n", what,
	        file, line);
	abort();
}
