/* Bytes as two DESCRIPTION documents, cut at the first form feed: what an opened recording may hold is still not trusted. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tool/attendance.h"
#include "controlplane/tool/description.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Who spoke when: no row ends before it begins. */
static void
attend(struct span first, struct span second)
{
	struct attendance a = { 0 };

	if (attendance_describe(&a, first, 1700000000000000000) != SRS_OK ||
	    attendance_describe(&a, second, 1700000001000000000) != SRS_OK)
		abort();
	for (unsigned int i = 0; i < a.n; i++) {
		if (a.rows[i].to_wall_ns != 0 && a.rows[i].to_wall_ns < a.rows[i].from_wall_ns)
			abort();
		attendance_hear(&a, a.rows[i].stream, i, a.rows[i].from_wall_ns);
	}
	attendance_release(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const uint8_t *cut = len != 0 ? memchr(bytes, '\f', len) : NULL;
	size_t first = cut != NULL ? (size_t)(cut - bytes) : len;
	struct description *d;

	attend(span_of(bytes, first), cut != NULL ? span_of(cut + 1, len - first - 1) : span_of("", 0));

	if (description_read(&d, span_of(bytes, len), 1) != SRS_OK)
		return 0;
	for (unsigned int number = 0; number < 256; number++)
		for (unsigned int type = 0; type < 128; type += 9)
			(void)description_codec(d, (uint8_t)number, (uint8_t)type);
	description_free(d);
	return 0;
}
