#include "lib/reel.h"

#include <string.h>

#include "lib/crc32c.h"
#include "lib/sha256.h"
#include "lib/srs_assert.h"

#define CRC_AT (REEL_SLOT_SIZE - REEL_CRC_SIZE)
#define CONTAINER_DIGESTED_SIZE 64
#define FOOTER_HEADER_SIZE 64
#define FOOTER_ENTRY_SIZE 32


static_assert(FOOTER_HEADER_SIZE + REEL_FOOTER_ENTRIES_PER_SLOT * FOOTER_ENTRY_SIZE <= CRC_AT, "a footer fits a slot");

const char *
reel_reason_name(enum reel_reason reason)
{
	switch (reason) {
	case REEL_REASON_NONE:
		return "none";
	case REEL_REASON_NO_CHUNK:
		return "no_chunk";
	case REEL_REASON_DISK_FULL:
		return "disk_full";
	case REEL_REASON_WRITE_ERROR:
		return "write_error";
	case REEL_REASON_PAUSED:
		return "paused";
	case REEL_REASON_TOO_LONG:
		return "too_long";
	case REEL_REASONS_MAX:
		break;
	}
	return "unknown";
}

/* ---- slots ---- */

static uint32_t
place_crc(const uint8_t uuid[REEL_ID_SIZE], uint64_t slot_no)
{
	uint8_t seed[REEL_ID_SIZE + 8];
	struct filler f = filler_of(seed, sizeof(seed));

	write_bytes(&f, uuid, REEL_ID_SIZE);
	write_u64be(&f, slot_no);
	return crc32c(0, seed, sizeof(seed));
}

uint32_t
reel_slot_crc(const uint8_t uuid[REEL_ID_SIZE], uint64_t slot_no, const uint8_t slot[REEL_SLOT_SIZE])
{
	return crc32c(place_crc(uuid, slot_no), slot, CRC_AT);
}

static void
crc_write(uint8_t slot[REEL_SLOT_SIZE], uint32_t crc)
{
	struct filler f = filler_of(slot + CRC_AT, REEL_CRC_SIZE);

	write_u32be(&f, crc);
}

void
reel_slot_finish(const uint8_t uuid[REEL_ID_SIZE], uint64_t slot_no, uint8_t slot[REEL_SLOT_SIZE], size_t used)
{
	srs_assert(used <= CRC_AT);
	memset(slot + used, 0, CRC_AT - used);
	crc_write(slot, reel_slot_crc(uuid, slot_no, slot));
}

uint32_t
reel_slot_bytes_crc(const uint8_t slot[REEL_SLOT_SIZE])
{
	return crc32c(0, slot, CRC_AT);
}

void
reel_slot_place(const uint8_t uuid[REEL_ID_SIZE], uint64_t slot_no, uint8_t slot[REEL_SLOT_SIZE], uint32_t bytes_crc)
{
	crc_write(slot, crc32c_join(place_crc(uuid, slot_no), bytes_crc, CRC_AT));
}

static uint32_t
stored_crc(const uint8_t slot[REEL_SLOT_SIZE])
{
	struct reader r = reader_of(span_of(slot + CRC_AT, REEL_CRC_SIZE));

	return read_u32be(&r);
}

enum reel_slot_kind
reel_slot_kind(const uint8_t uuid[REEL_ID_SIZE], uint64_t slot_no, const uint8_t slot[REEL_SLOT_SIZE])
{
	static const struct {
		char magic[5];
		enum reel_slot_kind kind;
	} kinds[] = {
		{ "CHNK", REEL_SLOT_CHUNK }, { "ENVL", REEL_SLOT_ENVELOPE }, { "SEAL", REEL_SLOT_SEAL },
		{ "FOOT", REEL_SLOT_FOOTER }, { "CAPS", REEL_SLOT_CONTAINER },
	};

	if (span_is_zero(span_of(slot, REEL_SLOT_SIZE)))
		return REEL_SLOT_EMPTY;
	if (stored_crc(slot) != reel_slot_crc(uuid, slot_no, slot))
		return REEL_SLOT_DAMAGED;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (memcmp(slot, kinds[i].magic, 4) == 0)
			return kinds[i].kind;
	return REEL_SLOT_DAMAGED;
}

/* ---- container header ---- */

void
reel_container_write(const struct reel_container *c, uint8_t slot[REEL_SLOT_SIZE])
{
	struct filler f = filler_of(slot, REEL_SLOT_SIZE);

	write_bytes(&f, "CAPS", 4);
	write_u8(&f, REEL_VERSION);
	write_u8(&f, (uint8_t)c->kind);
	write_u16be(&f, 0);
	write_u32be(&f, c->writer_id);
	write_u32be(&f, 0);
	write_bytes(&f, c->uuid, REEL_ID_SIZE);
	write_u64be(&f, c->sequence);
	write_u64be(&f, c->created_wall_ns);
	write_u64be(&f, c->n_slots);
	write_u64be(&f, c->footer_slot);
	srs_assert(filler_used(&f) == CONTAINER_DIGESTED_SIZE);
	sha256(slot, CONTAINER_DIGESTED_SIZE, f.at);
	reel_slot_finish(c->uuid, 0, slot, CONTAINER_DIGESTED_SIZE + SHA256_SIZE);
}

static bool
container_geometry_is_sane(const struct reel_container *c)
{
	if (c->footer_slot == c->n_slots)
		return c->n_slots >= 1;
	return c->kind == REEL_CONTAINER_SEGMENT && c->footer_slot >= 1 && c->footer_slot < c->n_slots
	       && reel_footer_slots(c->n_slots) <= c->n_slots - c->footer_slot;
}

enum srs_err
reel_container_read(struct reel_container *c, const uint8_t slot[REEL_SLOT_SIZE])
{
	struct reader r = reader_of(span_of(slot, CRC_AT));
	struct span magic = read_span(&r, 4);
	uint8_t version = read_u8(&r), kind = read_u8(&r), digest[SHA256_SIZE];
	uint64_t zero = read_u16be(&r);

	if (!span_equal(magic, span_of("CAPS", 4)))
		return SRS_ERR_INVALID;
	if (version != REEL_VERSION)
		return SRS_ERR_UNSUPPORTED;
	c->kind = (enum reel_container_kind)kind;
	c->writer_id = read_u32be(&r);
	zero |= read_u32be(&r);
	read_bytes(&r, c->uuid, REEL_ID_SIZE);
	c->sequence = read_u64be(&r);
	c->created_wall_ns = read_u64be(&r);
	c->n_slots = read_u64be(&r);
	c->footer_slot = read_u64be(&r);
	sha256(slot, CONTAINER_DIGESTED_SIZE, digest);
	if (reader_is_bad(&r) || zero != 0 || (kind != REEL_CONTAINER_SEGMENT && kind != REEL_CONTAINER_REEL))
		return SRS_ERR_INVALID;
	if (!span_equal(read_span(&r, SHA256_SIZE), span_of(digest, SHA256_SIZE)))
		return SRS_ERR_INVALID;
	if (!span_is_zero(reader_rest(&r)))
		return SRS_ERR_INVALID;
	if (stored_crc(slot) != reel_slot_crc(c->uuid, 0, slot))
		return SRS_ERR_INVALID;
	return container_geometry_is_sane(c) ? SRS_OK : SRS_ERR_INVALID;
}

/* ---- footer ---- */

/* Each footer slot stands for itself and the REEL_FOOTER_ENTRIES_PER_SLOT slots that it describes. */
uint64_t
reel_footer_slots(uint64_t n_slots)
{
	const uint64_t served = REEL_FOOTER_ENTRIES_PER_SLOT + 1;

	return n_slots / served + (n_slots % served != 0);
}

size_t
reel_footer_write(uint64_t first_entry_slot, const struct reel_footer_entry *e, unsigned int n,
                  uint8_t slot[REEL_SLOT_SIZE])
{
	struct filler f = filler_of(slot, CRC_AT);

	srs_assert(n <= REEL_FOOTER_ENTRIES_PER_SLOT);
	memset(slot, 0, FOOTER_HEADER_SIZE);
	write_bytes(&f, "FOOT", 4);
	write_u8(&f, REEL_VERSION);
	write_u8(&f, 0);
	write_u16be(&f, (uint16_t)n);
	write_u64be(&f, first_entry_slot);
	f.at = slot + FOOTER_HEADER_SIZE;
	for (unsigned int i = 0; i < n; i++) {
		write_bytes(&f, e[i].recording, REEL_ID_SIZE);
		write_u64be(&f, e[i].chunk_no);
		write_u32be(&f, e[i].part);
		write_u8(&f, e[i].kind);
		write_u8(&f, e[i].flags);
		write_u16be(&f, 0);
	}
	return filler_used(&f);
}

/* @return false on a kind or a zero field that no writer makes */
static bool
footer_entry_read(struct reel_footer_entry *e, struct reader *r)
{
	uint16_t zero;

	read_bytes(r, e->recording, REEL_ID_SIZE);
	e->chunk_no = read_u64be(r);
	e->part = read_u32be(r);
	e->kind = read_u8(r);
	e->flags = read_u8(r);
	zero = read_u16be(r);
	if (zero != 0 || e->kind > REEL_SLOT_SEAL)
		return false;
	if (e->kind == REEL_SLOT_EMPTY || e->kind == REEL_SLOT_CONTAINER)
		return span_is_zero(span_of(e->recording, REEL_ID_SIZE)) && e->chunk_no == 0 && e->part == 0 && e->flags == 0;
	if (e->kind == REEL_SLOT_ENVELOPE)
		return e->chunk_no == 0 && e->flags == 0;
	return true;
}

enum srs_err
reel_footer_read(uint64_t *first_entry_slot, struct reel_footer_entry *e, unsigned int *n,
                 const uint8_t slot[REEL_SLOT_SIZE])
{
	struct reader r = reader_of(span_of(slot, CRC_AT));
	struct span magic = read_span(&r, 4);
	uint8_t version = read_u8(&r), zero = read_u8(&r);
	uint16_t n_entries = read_u16be(&r);

	if (!span_equal(magic, span_of("FOOT", 4)))
		return SRS_ERR_INVALID;
	if (version != REEL_VERSION)
		return SRS_ERR_UNSUPPORTED;
	*first_entry_slot = read_u64be(&r);
	if (zero != 0 || n_entries > REEL_FOOTER_ENTRIES_PER_SLOT
	    || *first_entry_slot % REEL_FOOTER_ENTRIES_PER_SLOT != 0)
		return SRS_ERR_INVALID;
	if (!span_is_zero(read_span(&r, FOOTER_HEADER_SIZE - 16)))
		return SRS_ERR_INVALID;
	for (unsigned int i = 0; i < n_entries; i++)
		if (!footer_entry_read(&e[i], &r))
			return SRS_ERR_INVALID;
	*n = n_entries;
	return span_is_zero(reader_rest(&r)) ? SRS_OK : SRS_ERR_INVALID;
}
