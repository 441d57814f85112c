/* Bytes as what arrives on a stream, in pieces: the first byte seeds the sizes of the pieces. However they are cut, the
 * verdict, the message's length and the end of the header block are those of all bytes at once, nothing is looked at
 * twice, and what frames as whole is cut in the same place by message_parse() (RFC 3261 §18.3). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sip/message.h"

#define BYTES_MAX 16384u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static size_t
piece_next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 28 == 0 ? 1 + (*seed >> 8) % 4096 : 1 + (*seed >> 24) % 7;	/* mostly a few, now and then many */
}

/* The pieces grow a copy whose last byte is the last of its allocation, so that a look behind it is seen. */
static enum message_framing
frame_in_pieces(struct message_framer *f, struct span bytes, uint32_t seed)
{
	enum message_framing how = MESSAGE_PARTIAL;

	for (size_t have = 0; have < bytes.len && how == MESSAGE_PARTIAL;) {
		size_t before = f->scanned;
		uint8_t *copy;

		have += piece_next(&seed);
		have = have < bytes.len ? have : bytes.len;
		copy = malloc(have);
		if (copy == NULL)
			abort();
		memcpy(copy, bytes.bytes, have);
		how = message_frame(f, span_of(copy, have), BYTES_MAX);
		free(copy);
		if (f->scanned < before || f->scanned > have)
			abort();
	}
	return how;
}

static void
body_is_cut_alike(struct span bytes, const struct message_framer *f)
{
	struct message m;

	/* blank lines before a message are the connection's to drop; message_parse() drops them as well */
	if (bytes.bytes[0] != '\r' && bytes.bytes[0] != '\n' &&
	    message_parse(&m, span_of(bytes.bytes, f->len), false) == SRS_OK) {
		/* more header lines than are read may hide a Content-Length: then the message is refused */
		if (m.refusal == 0 && (m.body.len != f->len - f->head_len ||
		                       (m.body.len != 0 && m.body.bytes != bytes.bytes + f->head_len)))
			abort();
		message_release(&m);
	} else if (bytes.bytes[0] != '\r' && bytes.bytes[0] != '\n') {
		message_release(&m);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct message_framer whole = { 0 }, pieces = { 0 };
	enum message_framing all, how;
	struct span input;

	if (len < 2)
		return 0;
	parser_init();
	input = span_of(bytes + 1, len - 1);
	all = message_frame(&whole, input, BYTES_MAX);
	how = frame_in_pieces(&pieces, input, bytes[0]);
	/* what is too large is seen sooner in pieces, when the bound is passed before the block ends */
	if (how != all && input.len <= BYTES_MAX)
		abort();
	if (all == MESSAGE_WHOLE) {
		if (how != MESSAGE_WHOLE && input.len <= BYTES_MAX)
			abort();
		if (how == MESSAGE_WHOLE && (whole.len != pieces.len || whole.head_len != pieces.head_len))
			abort();
		if (whole.len > input.len || whole.head_len > whole.len || whole.head_len == 0 || whole.len > BYTES_MAX)
			abort();
		body_is_cut_alike(input, &whole);
	}
	return 0;
}
