/* Bytes as the value of an Authorization header. What is taken lies within the value and can be hashed; a refusal leaves
 * nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sip/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
is_within(struct span part, const char *value, size_t len)
{
	const char *at = (const char *)part.bytes;

	if (part.len != 0 && (at < value || at + part.len > value + len))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char *value = malloc(len + 1), out[CHALLENGE_HEX_MAX];
	struct credentials c;
	enum srs_err err;

	memset(&c, 1, sizeof(c));
	memcpy(value, bytes, len);
	value[len] = '\0';
	len = strlen(value);
	err = credentials_parse(&c, value);
	if (err != SRS_OK && !span_is_zero(span_of(&c, sizeof(c))))
		abort();
	if (err == SRS_OK) {
		const struct span parts[] = { c.username, c.realm, c.nonce, c.uri, c.response, c.algorithm, c.cnonce, c.qop, c.nc };

		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
			is_within(parts[i], value, len);
		if (c.username.len == 0 || c.response.len == 0 || credentials_expect(&c, false, "0123", "INVITE", out) != 64)
			abort();
	}
	free(value);
	return 0;
}
