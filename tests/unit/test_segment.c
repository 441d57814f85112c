/* A segment: its header, slots in order, footer, name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "dataplane/segment.h"
#include "dataplane/segment_file.h"
#include "dataplane/storage.h"

#define N_SLOTS 512u

struct fixture {
	char dir[64];
	struct storage *storage;
	struct segment seg;
	uint8_t *slot;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct storage *inner;

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/capstan-segment-XXXXXX");
	if (mkdtemp(f->dir) == NULL || storage_create(&inner, CONFIG_DISK_AUTO, 4) != SRS_OK ||
	    storage_faulty_create(&f->storage, inner) != SRS_OK ||
	    segment_init(&f->seg, f->storage, f->dir, N_SLOTS) != SRS_OK)
		return -1;
	f->slot = aligned_alloc(STORAGE_ALIGN, REEL_SLOT_SIZE);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	segment_free(&f->seg);
	storage_destroy(f->storage);
	(void)snprintf(command, sizeof(command), "rm -r %s", f->dir);
	if (system(command) != 0)
		return -1;
	free(f->slot);
	free(f);
	return 0;
}

static void
open_one(struct fixture *f, uint64_t sequence)
{
	struct segment_spec spec = { .writer_id = 2, .sequence = sequence, .n_slots = N_SLOTS };

	assert_int_equal(segment_open(&f->seg, &spec), SRS_OK);
}

/* An envelope slot: the simplest one that is whole. */
static void
put_envelope(struct fixture *f, uint32_t part)
{
	struct reel_envelope envelope = { .suite = REEL_SUITE_AES_256_GCM, .part = part };
	struct reel_footer_entry entry = { .kind = REEL_SLOT_ENVELOPE, .part = part };
	uint64_t at = segment_take(&f->seg, 1);
	size_t used;

	memset(envelope.recording, 0xab, REEL_ID_SIZE);
	memset(entry.recording, 0xab, REEL_ID_SIZE);
	used = reel_envelope_write(&envelope, f->slot);
	reel_slot_finish(f->seg.header.uuid, at, f->slot, used);
	assert_int_equal(storage_write_wait(f->storage, f->seg.fd, f->slot, REEL_SLOT_SIZE, at * REEL_SLOT_SIZE), SRS_OK);
	segment_note(&f->seg, at, &entry);
}

static void
finished_segment_is_renamed_and_indexed(void **state)
{
	struct fixture *f = *state;
	struct segment_file file;
	struct reel_footer_entry entries[N_SLOTS];
	uint8_t digest[REEL_DIGEST_SIZE], again[REEL_DIGEST_SIZE], slot[REEL_SLOT_SIZE];
	uint8_t *footer;
	char path[128];
	int fd;

	open_one(f, 41);
	assert_int_equal(segment_room(&f->seg), N_SLOTS - 1 - reel_footer_slots(N_SLOTS));
	for (uint32_t i = 0; i < 130; i++)
		put_envelope(f, i);
	assert_int_equal(storage_sync(f->storage, f->seg.fd), SRS_OK);
	assert_int_equal(segment_finish(&f->seg, digest), SRS_OK);
	assert_false(segment_is_open(&f->seg));
	(void)snprintf(path, sizeof(path), "%s/2-00000041.seg", f->dir);
	assert_int_equal(segment_file_open(&file, path), SRS_OK);
	assert_false(file.open);
	assert_int_equal(file.header.sequence, 41);
	assert_int_equal(file.header.writer_id, 2);
	assert_int_equal(file.header.n_slots, N_SLOTS);
	assert_int_equal(segment_file_entries(&file, entries), SRS_OK);
	assert_int_equal(file.n_used, 131);
	assert_int_equal(entries[0].kind, REEL_SLOT_CONTAINER);
	assert_int_equal(entries[130].kind, REEL_SLOT_ENVELOPE);
	assert_int_equal(entries[130].part, 129);
	assert_int_equal(entries[131].kind, REEL_SLOT_EMPTY);
	assert_int_equal(segment_file_slot(&file, 130, slot), REEL_SLOT_ENVELOPE);
	assert_int_equal(segment_file_slot(&file, 131, slot), REEL_SLOT_EMPTY);

	/* The digest is of the footer as it lies on the disk. */
	footer = malloc(reel_footer_slots(N_SLOTS) * REEL_SLOT_SIZE);
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, footer, reel_footer_slots(N_SLOTS) * REEL_SLOT_SIZE,
	                       (off_t)(file.header.footer_slot * REEL_SLOT_SIZE)),
	                 reel_footer_slots(N_SLOTS) * REEL_SLOT_SIZE);
	digest_sha256(footer, (uint32_t)(reel_footer_slots(N_SLOTS) * REEL_SLOT_SIZE), again);
	assert_memory_equal(digest, again, sizeof(digest));
	close(fd);
	free(footer);
	segment_file_close(&file);
}

static void
unused_space_goes_back(void **state)
{
	struct fixture *f = *state;
	uint8_t digest[REEL_DIGEST_SIZE];
	char path[128];
	struct stat st;

	open_one(f, 1);
	put_envelope(f, 0);
	assert_int_equal(segment_finish(&f->seg, digest), SRS_OK);
	(void)snprintf(path, sizeof(path), "%s/2-00000001.seg", f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, N_SLOTS * REEL_SLOT_SIZE);
	assert_true(st.st_blocks * 512 < 64 * REEL_SLOT_SIZE);
}

static void
walk_finds_what_a_footer_would(void **state)
{
	struct fixture *f = *state;
	struct segment_file file;
	struct reel_footer_entry entries[N_SLOTS];

	open_one(f, 7);
	for (uint32_t i = 0; i < 9; i++)
		put_envelope(f, i);
	memset(f->slot, 0x55, REEL_SLOT_SIZE); /* torn */
	assert_int_equal(storage_write_wait(f->storage, f->seg.fd, f->slot, REEL_SLOT_SIZE, 4 * REEL_SLOT_SIZE), SRS_OK);
	assert_int_equal(segment_file_open(&file, f->seg.path), SRS_OK);
	assert_true(file.open);
	assert_int_equal(segment_file_entries(&file, entries), SRS_OK);
	assert_int_equal(file.n_used, 10);
	for (unsigned int i = 1; i < 10; i++)
		assert_int_equal(entries[i].kind, i == 4 ? REEL_SLOT_EMPTY : REEL_SLOT_ENVELOPE);
	assert_int_equal(entries[9].part, 8);
	segment_file_close(&file);
}

static void
damaged_footer_is_replaced_by_a_walk(void **state)
{
	struct fixture *f = *state;
	struct segment_file file;
	struct reel_footer_entry entries[N_SLOTS];
	uint8_t digest[REEL_DIGEST_SIZE], byte = 0xff;
	char path[128];
	int fd;

	open_one(f, 8);
	put_envelope(f, 3);
	assert_int_equal(segment_finish(&f->seg, digest), SRS_OK);
	(void)snprintf(path, sizeof(path), "%s/2-00000008.seg", f->dir);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)(f->seg.header.footer_slot * REEL_SLOT_SIZE + 100)), 1);
	close(fd);
	assert_int_equal(segment_file_open(&file, path), SRS_OK);
	assert_int_equal(segment_file_entries(&file, entries), SRS_OK);
	assert_int_equal(entries[1].kind, REEL_SLOT_ENVELOPE);
	assert_int_equal(entries[1].part, 3);
	segment_file_close(&file);
}

static void
name_in_use_is_refused(void **state)
{
	struct fixture *f = *state;
	struct segment_spec spec = { .writer_id = 2, .sequence = 5, .n_slots = N_SLOTS };
	uint8_t slot[REEL_SLOT_SIZE];
	struct segment_file file;

	open_one(f, 5);
	put_envelope(f, 1);
	segment_retire(&f->seg);
	assert_int_equal(segment_open(&f->seg, &spec), SRS_ERR_STATE);
	(void)snprintf(f->seg.path, sizeof(f->seg.path), "%s/2-00000005.open", f->dir);
	assert_int_equal(segment_file_open(&file, f->seg.path), SRS_OK);
	assert_int_equal(segment_file_slot(&file, 1, slot), REEL_SLOT_ENVELOPE);
	segment_file_close(&file);
}

static void
failed_open_leaves_no_file(void **state)
{
	struct fixture *f = *state;
	struct segment_spec spec = { .writer_id = 2, .sequence = 6, .n_slots = N_SLOTS };
	static const enum storage_op ops[] = { STORAGE_OP_CREATE, STORAGE_OP_WRITE, STORAGE_OP_SYNC_FOLDER };

	for (unsigned int i = 0; i < 3; i++) {
		storage_faulty_arm(f->storage, &(struct storage_fault){ ops[i], 1, 1, ENOSPC, 0 });
		assert_int_equal(segment_open(&f->seg, &spec), SRS_ERR_LIMIT);
		assert_false(segment_is_open(&f->seg));
		assert_int_equal(access(f->seg.path, F_OK), -1);
	}
	open_one(f, 6);
}

static void
blank_and_damaged_headers_are_told_apart(void **state)
{
	struct fixture *f = *state;
	struct segment_file file;
	char path[128];
	int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/2-00000009.open", f->dir);
	assert_int_equal(storage_file_create(f->storage, path, N_SLOTS * REEL_SLOT_SIZE, &fd), SRS_OK);
	assert_int_equal(segment_file_open(&file, path), SRS_ERR_STATE);
	memset(f->slot, 0x11, REEL_SLOT_SIZE);
	assert_int_equal(storage_write_wait(f->storage, fd, f->slot, REEL_SLOT_SIZE, 0), SRS_OK);
	assert_int_equal(segment_file_open(&file, path), SRS_ERR_INVALID);
	storage_file_close(f->storage, fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finished_segment_is_renamed_and_indexed, setup, teardown),
		cmocka_unit_test_setup_teardown(unused_space_goes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(walk_finds_what_a_footer_would, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_footer_is_replaced_by_a_walk, setup, teardown),
		cmocka_unit_test_setup_teardown(name_in_use_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(failed_open_leaves_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(blank_and_damaged_headers_are_told_apart, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
