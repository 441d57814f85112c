/* Bytes as the value of a Replaces header. What is taken names a call and two tags within the value, without what would
 * end them; a refusal leaves nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sip/replaces.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
is_within(struct span part, const char *value, size_t len)
{
	const char *at = (const char *)part.bytes;

	if (part.len == 0 || at < value || at + part.len > value + len || memchr(at, ';', part.len) != NULL ||
	    memchr(at, ',', part.len) != NULL || memchr(at, ' ', part.len) != NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char *value = malloc(len + 1);
	struct replaces r = { .early_only = true };

	memcpy(value, bytes, len);
	value[len] = '\0';
	len = strlen(value);
	if (replaces_parse(&r, value) == SRS_OK) {
		is_within(r.call_id, value, len);
		is_within(r.to_tag, value, len);
		is_within(r.from_tag, value, len);
	} else if (!span_is_zero(span_of(&r, sizeof(r)))) {
		abort();
	}
	free(value);
	return 0;
}
