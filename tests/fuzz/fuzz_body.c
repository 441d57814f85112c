/* Bytes as a body: the first line is Content-Type, the second Content-Disposition, the rest is the body. Spans must
 * stay inside the input and say what they are. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sdp/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct span
take_line(struct span *rest, char *out, size_t out_len)
{
	const uint8_t *lf = rest->len ? memchr(rest->bytes, '\n', rest->len) : NULL;
	size_t n = lf ? (size_t)(lf - rest->bytes) : rest->len;
	size_t kept = n < out_len ? n : out_len - 1;

	if (kept != 0)
		memcpy(out, rest->bytes, kept);
	out[kept] = '\0';
	return span_of(rest->bytes + n + (lf != NULL), rest->len - n - (lf != NULL));
}

static void
check_inside(struct span part, struct span body)
{
	if (part.len != 0 && (part.bytes < body.bytes || part.bytes + part.len > body.bytes + body.len))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char type[512], disposition[512];
	struct span rest = span_of(bytes, len);
	struct body body;
	const char *why = NULL;
	enum srs_err err;

	rest = take_line(&rest, type, sizeof(type));
	rest = take_line(&rest, disposition, sizeof(disposition));
	err = body_split(&body, type, disposition, rest, &why);
	if (why == NULL || (err != SRS_OK) != (why[0] != '\0') || body.n_parts > BODY_PARTS_MAX)
		abort();
	for (unsigned int i = 0; i < body.n_parts; i++) {
		const struct body_part *part = &body.parts[i];

		check_inside(part->bytes, rest);
		if (part->kind != BODY_OTHER && part->content_type.len == 0)
			abort();
	}
	if (body.sdp != NULL && body.sdp->kind != BODY_SDP)
		abort();
	if (body.metadata != NULL && body.metadata->kind != BODY_METADATA)
		abort();
	return 0;
}
