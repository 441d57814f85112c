/* One recording read back: whole, and with every kind of damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controlplane/tool/timeline.h"
#include "controlplane/tool/verify.h"
#include "tape_fixture.h"

static struct tape_fixture fixture;

static int
setup(void **state)
{
	fixture_create(&fixture);
	return 0;
}

static int
teardown(void **state)
{
	fixture_destroy(&fixture);
	return 0;
}

static void
ignore(void *ctx, const char *sentence)
{
}

/* A keystore that remembers no interval key from making the recording: a reader's. */
static struct keystore *
fresh_keystore(void)
{
	struct keystore_spec spec = { .store = "file", .path = fixture.keys, .rotation_interval_s = 86400 };
	struct keystore *ks;
	char why[512];

	assert_int_equal(keystore_open(&ks, &spec, why, sizeof(why)), SRS_OK);
	return ks;
}

/* Verify the fixture's file as it is on disk. */
static struct verify_report
verify_file(bool with_keys)
{
	struct keystore *ks = with_keys ? fresh_keystore() : NULL;
	const char *paths[] = { fixture.path };
	struct verify_report r = { .verdict = VERIFY_DAMAGED };
	struct vault *v;
	struct tape *t;
	uint8_t node_id[REEL_ID_SIZE], node[32];
	char why[512];

	keystore_node_public(fixture.ks, node_id, node);
	if (vault_open(&v, paths, 1, why, sizeof(why)) != SRS_OK) {
		keystore_close(ks);
		return r;
	}
	if (tape_load(&t, v, fixture.id) == SRS_OK) {
		assert_int_equal(verify_tape(t, node, ks, ignore, NULL, &r), SRS_OK);
		tape_free(t);
	}
	vault_close(v);
	keystore_close(ks);
	return r;
}

static void
whole_recording_is_intact_with_and_without_keys(void **state)
{
	struct verify_report r = verify_file(false);

	assert_int_equal(r.verdict, VERIFY_INTACT);
	assert_int_equal(r.n_chunks, FIXTURE_CHUNKS);
	r = verify_file(true);
	assert_int_equal(r.verdict, VERIFY_INTACT);
	assert_int_equal(r.n_opened, FIXTURE_CHUNKS);
}

static void
flip(unsigned int slot, unsigned int byte, bool repair)
{
	fixture.slots[slot][byte] ^= 0x04;
	if (repair)
		reel_slot_finish(fixture.uuid, slot, fixture.slots[slot], REEL_SLOT_SIZE - REEL_CRC_SIZE);
	fixture_write(&fixture);
}

static void
a_flipped_bit_anywhere_is_found(void **state)
{
	for (unsigned int slot = 0; slot < fixture.n_slots; slot++) {
		for (unsigned int byte = slot % 7; byte < REEL_SLOT_SIZE; byte += 97) {
			uint8_t before[REEL_SLOT_SIZE];

			memcpy(before, fixture.slots[slot], sizeof(before));
			flip(slot, byte, false);
			assert_int_equal(verify_file(false).verdict, VERIFY_DAMAGED);
			assert_int_equal(verify_file(true).verdict, VERIFY_DAMAGED);
			memcpy(fixture.slots[slot], before, sizeof(before));
		}
	}
	fixture_write(&fixture);
	assert_int_equal(verify_file(true).verdict, VERIFY_INTACT);
}

/* Somebody who can compute a checksum changes chunks, seals and, with the keys at hand, envelopes. */
static void
a_flipped_bit_with_a_repaired_checksum_is_found(void **state)
{
	for (unsigned int slot = 1; slot < fixture.n_slots; slot++) {
		bool envelope = slot == 1;

		for (unsigned int byte = slot % 5; byte < REEL_SLOT_SIZE - REEL_CRC_SIZE; byte += 89) {
			uint8_t before[REEL_SLOT_SIZE];

			memcpy(before, fixture.slots[slot], sizeof(before));
			flip(slot, byte, true);
			assert_int_equal(verify_file(true).verdict, VERIFY_DAMAGED);
			if (!envelope)
				assert_int_equal(verify_file(false).verdict, VERIFY_DAMAGED);
			memcpy(fixture.slots[slot], before, sizeof(before));
		}
	}
	fixture_write(&fixture);
}

static void
a_chunk_taken_out_is_found(void **state)
{
	uint8_t before[REEL_SLOT_SIZE];

	memcpy(before, fixture.slots[4], sizeof(before));
	memset(fixture.slots[4], 0, REEL_SLOT_SIZE);
	fixture_write(&fixture);
	assert_int_equal(verify_file(false).verdict, VERIFY_DAMAGED);
	memcpy(fixture.slots[4], before, sizeof(before));
	fixture_write(&fixture);
}

static void
another_nodes_signature_is_refused(void **state)
{
	const char *paths[] = { fixture.path };
	uint8_t stranger[32] = { 9 };
	struct verify_report r;
	struct vault *v;
	struct tape *t;
	char why[512];

	assert_int_equal(vault_open(&v, paths, 1, why, sizeof(why)), SRS_OK);
	assert_int_equal(tape_load(&t, v, fixture.id), SRS_OK);
	assert_int_equal(verify_tape(t, stranger, NULL, ignore, NULL, &r), SRS_OK);
	assert_int_equal(r.verdict, VERIFY_DAMAGED);
	tape_free(t);
	vault_close(v);
}

static void
the_timeline_has_every_packet_in_its_place(void **state)
{
	const char *paths[] = { fixture.path };
	struct timeline *time;
	struct vault *v;
	struct tape *t;
	char why[512];

	assert_int_equal(vault_open(&v, paths, 1, why, sizeof(why)), SRS_OK);
	assert_int_equal(tape_load(&t, v, fixture.id), SRS_OK);
	assert_int_equal(timeline_make(&time, t, fixture.ks, ignore, NULL), SRS_OK);
	assert_int_equal(time->n_sources, 2);
	for (unsigned int s = 0; s < 2; s++) {
		assert_int_equal(time->sources[s].n_packets, FIXTURE_CHUNKS * FIXTURE_PER_CHUNK);
		for (size_t i = 0; i < time->sources[s].n_packets; i++)
			assert_int_equal(time->sources[s].packets[i].place_ns, (int64_t)i * 20000000);
	}
	timeline_free(time);
	tape_free(t);
	vault_close(v);
}

/* A seal may claim anything: 2^60 missing chunks cost no more than two. */
/* As libraries do that begin anew with each key (RFC 3711 leaves the rollover counter to key management). */
static void
a_change_of_keys_at_a_lower_index_keeps_the_order(void **state)
{
	const char *paths[] = { fixture.path };
	struct timeline *time;
	struct vault *v;
	struct tape *t;
	char why[512];

	fixture_destroy(&fixture);
	fixture_rekeyed = true;
	fixture_create(&fixture);
	fixture_rekeyed = false;
	assert_int_equal(vault_open(&v, paths, 1, why, sizeof(why)), SRS_OK);
	assert_int_equal(tape_load(&t, v, fixture.id), SRS_OK);
	assert_int_equal(timeline_make(&time, t, fixture.ks, ignore, NULL), SRS_OK);
	assert_int_equal(time->n_sources, 2);
	assert_int_equal(time->sources[0].n_packets, FIXTURE_CHUNKS * FIXTURE_PER_CHUNK);
	for (uint32_t i = 0; i < FIXTURE_CHUNKS * FIXTURE_PER_CHUNK; i++)
		assert_int_equal(time->sources[0].packets[i].timestamp, 1000 + i * 160);
	timeline_free(time);
	tape_free(t);
	vault_close(v);
	fixture_destroy(&fixture);
	fixture_create(&fixture);	/* for the others */
}

static void
holes_are_counted_by_ranges_not_one_by_one(void **state)
{
	const uint64_t far = (uint64_t)1 << 60;
	struct reel_seal_missing missing[] = { { 1, far - 1 } };
	struct tape_chunk chunks[] = { { .head.chunk_no = 0 }, { .head.chunk_no = far }, { .head.chunk_no = far + 2 } };
	struct tape_part p = { .chunks = chunks, .n_chunks = 2, .sealed = true };

	p.seal.missing = missing;
	p.seal.n_missing = 1;
	p.seal.n_chunks = 2;
	assert_int_equal(tape_holes(&p, ignore, NULL), 0);
	p.n_chunks = 3; /* far + 1 is in no list */
	p.seal.n_chunks = 3;
	assert_int_equal(tape_holes(&p, ignore, NULL), 1);
}

static void
unknown_recording_is_invalid(void **state)
{
	const char *paths[] = { fixture.path };
	uint8_t id[REEL_ID_SIZE] = { 1 };
	struct vault *v;
	struct tape *t;
	char why[512];

	assert_int_equal(vault_open(&v, paths, 1, why, sizeof(why)), SRS_OK);
	assert_int_equal(tape_load(&t, v, id), SRS_ERR_INVALID);
	vault_close(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_recording_is_intact_with_and_without_keys),
		cmocka_unit_test(a_flipped_bit_anywhere_is_found),
		cmocka_unit_test(a_flipped_bit_with_a_repaired_checksum_is_found),
		cmocka_unit_test(a_chunk_taken_out_is_found),
		cmocka_unit_test(another_nodes_signature_is_refused),
		cmocka_unit_test(the_timeline_has_every_packet_in_its_place),
		cmocka_unit_test(a_change_of_keys_at_a_lower_index_keeps_the_order),
		cmocka_unit_test(holes_are_counted_by_ranges_not_one_by_one),
		cmocka_unit_test(unknown_recording_is_invalid),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
