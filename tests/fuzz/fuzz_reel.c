/* Bytes as a slot, as a chunk's body or as a joined seal (first byte chooses): never a crash, and what a reader takes
 * the writer writes again to the byte, so that no bit of an accepted slot goes unread. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/reel.h"
#include "lib/srs_assert.h"

#define CRC_AT (REEL_SLOT_SIZE - REEL_CRC_SIZE)
#define MISSING_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const uint8_t uuid[REEL_ID_SIZE] = "a segment's uuid";
static uint8_t slot[REEL_SLOT_SIZE], again[REEL_SLOT_SIZE];

static void
container(void)
{
	struct reel_container c;

	memcpy(c.uuid, slot + 16, REEL_ID_SIZE);
	if (reel_container_read(&c, slot) != SRS_OK)
		return;
	reel_container_write(&c, again);
	srs_assert(memcmp(again, slot, REEL_SLOT_SIZE) == 0);
}

static void
chunk(void)
{
	struct reel_chunk c;
	size_t head_len;

	if (reel_chunk_head_read(&c, slot) != SRS_OK)
		return;
	head_len = reel_chunk_head_write(&c, again);
	srs_assert(memcmp(again, slot, head_len) == 0);
	srs_assert(reel_chunk_signed(&c, slot).len <= CRC_AT);
}

static void
envelope(void)
{
	static struct reel_envelope e;
	size_t used;

	if (reel_envelope_read(&e, slot) != SRS_OK)
		return;
	used = reel_envelope_write(&e, again);
	srs_assert(memcmp(again, slot, used) == 0);
	srs_assert(span_is_zero(span_of(slot + used, CRC_AT - used)));
}

static void
footer(void)
{
	static struct reel_footer_entry entries[REEL_FOOTER_ENTRIES_PER_SLOT];
	uint64_t first;
	unsigned int n;
	size_t used;

	if (reel_footer_read(&first, entries, &n, slot) != SRS_OK)
		return;
	used = reel_footer_write(first, entries, n, again);
	srs_assert(memcmp(again, slot, used) == 0);
	srs_assert(span_is_zero(span_of(slot + used, CRC_AT - used)));
}

static void
seal_piece(void)
{
	struct reel_seal_piece p;

	if (reel_seal_piece_read(&p, slot) == SRS_OK)
		srs_assert(p.bytes.bytes + p.bytes.len <= slot + CRC_AT);
}

static void
frames(struct span body)
{
	struct reel_frame f;
	struct reel_gap gap;
	struct reel_mark mark;
	uint8_t written[REEL_MARK_SIZE];
	size_t at = 0, before = 0;

	while (reel_frame_next(&f, body, UINT64_MAX - 1000, &at) == SRS_OK) {
		srs_assert(at == before + REEL_FRAME_HEADER_SIZE + f.bytes.len);
		before = at;
		if (reel_gap_read(&gap, f.bytes) == SRS_OK) {
			reel_gap_write(&gap, written);
			srs_assert(memcmp(written, f.bytes.bytes, REEL_GAP_SIZE) == 0);
		}
		if (reel_mark_read(&mark, f.bytes) == SRS_OK) {
			reel_mark_write(&mark, written);
			srs_assert(memcmp(written, f.bytes.bytes, REEL_MARK_SIZE) == 0);
		}
	}
	srs_assert(at == before);
}

static void
seal(struct span joined)
{
	static struct reel_seal_stream streams[REEL_SEAL_STREAMS_MAX];
	static struct reel_seal_missing missing[MISSING_MAX];
	static uint8_t written[REEL_SEAL_BODY_MAX];
	static uint8_t slots[REEL_SEAL_SLOTS_MAX][REEL_SLOT_SIZE];
	struct reel_proof proof;
	struct reel_seal s;
	struct span body;
	unsigned int n;
	size_t at = 0;

	if (reel_seal_read(&s, &proof, &body, joined, streams, REEL_SEAL_STREAMS_MAX, missing, MISSING_MAX) != SRS_OK)
		return;
	srs_assert(reel_seal_body_write(&s, written, sizeof(written)) == body.len);
	srs_assert(memcmp(written, body.bytes, body.len) == 0);
	n = reel_seal_slots_write(&s, body, &proof, slots, REEL_SEAL_SLOTS_MAX);
	srs_assert(n != 0);
	for (unsigned int i = 0; i < n; i++) {
		struct reel_seal_piece p;

		srs_assert(reel_seal_piece_read(&p, slots[i]) == SRS_OK);
		srs_assert(reel_seal_piece_agrees(&p, &s));
		srs_assert(p.bytes.len <= joined.len - at);
		srs_assert(memcmp(p.bytes.bytes, joined.bytes + at, p.bytes.len) == 0);
		at += p.bytes.len;
	}
	srs_assert(at == joined.len);
}

/* The crc is made right first: it would keep the fuzzer out. */
static void
any_slot(struct span bytes)
{
	size_t used = bytes.len < CRC_AT ? bytes.len : CRC_AT;

	if (used != 0)
		memcpy(slot, bytes.bytes, used);
	reel_slot_finish(uuid, 1, slot, used);
	switch (reel_slot_kind(uuid, 1, slot)) {
	case REEL_SLOT_CONTAINER:
		reel_slot_finish(slot + 16, 0, slot, used);
		container();
		break;
	case REEL_SLOT_CHUNK:
		chunk();
		break;
	case REEL_SLOT_ENVELOPE:
		envelope();
		break;
	case REEL_SLOT_SEAL:
		seal_piece();
		break;
	case REEL_SLOT_FOOTER:
		footer();
		break;
	case REEL_SLOT_EMPTY:
	case REEL_SLOT_DAMAGED:
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return 0;
	switch (bytes[0]) {
	case 's':
		any_slot(span_of(bytes + 1, len - 1));
		break;
	case 'f':
		frames(span_of(bytes + 1, len - 1));
		break;
	case 'j':
		seal(span_of(bytes + 1, len - 1));
		break;
	default:
		break;
	}
	return 0;
}
