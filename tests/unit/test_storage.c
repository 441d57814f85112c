/* The seam to the disk: both engines through the same tests, and the faulty one. */
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

#include "dataplane/storage.h"

#define BLOCK ((size_t)64 * 1024)
#define N_BLOCKS 40u
#define DEPTH 4u

struct fixture {
	char dir[64];
	struct storage *s;
	uint8_t *blocks;
};

static void
open_in(struct fixture *f, enum config_disk_engine engine, const char *where)
{
	(void)snprintf(f->dir, sizeof(f->dir), "%s/capstan-storage-XXXXXX", where);
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(storage_create(&f->s, engine, DEPTH), SRS_OK);
	f->blocks = aligned_alloc(STORAGE_ALIGN, N_BLOCKS * BLOCK);
	assert_non_null(f->blocks);
	for (unsigned int i = 0; i < N_BLOCKS; i++)
		memset(f->blocks + i * BLOCK, (int)(i + 1), BLOCK);
}

static void
close_all(struct fixture *f)
{
	char command[128];

	storage_destroy(f->s);
	free(f->blocks);
	(void)snprintf(command, sizeof(command), "rm -r %s", f->dir);
	assert_int_equal(system(command), 0);
}

static void
wrap_faulty(struct fixture *f)
{
	struct storage *outer;

	assert_int_equal(storage_faulty_create(&outer, f->s), SRS_OK);
	f->s = outer;
}

static void
path_in(const struct fixture *f, const char *name, char path[128])
{
	(void)snprintf(path, 128, "%s/%s", f->dir, name);
}

static void
assert_file_holds_blocks(const struct fixture *f, const char *path)
{
	uint8_t *back = malloc(N_BLOCKS * BLOCK);
	int fd = open(path, O_RDONLY);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 4 << 20);
	assert_int_equal(read(fd, back, N_BLOCKS * BLOCK), N_BLOCKS * BLOCK);
	assert_memory_equal(back, f->blocks, N_BLOCKS * BLOCK);
	close(fd);
	free(back);
}

/* More writes than the depth, last block first. */
static void
write_all(struct fixture *f, int fd, enum srs_err *first_err)
{
	struct storage_io io[N_BLOCKS] = { 0 };

	*first_err = SRS_OK;
	for (unsigned int i = 0; i < N_BLOCKS; i++) {
		unsigned int b = N_BLOCKS - 1 - i;

		io[i] = (struct storage_io){ .fd = fd, .bytes = f->blocks + b * BLOCK, .len = BLOCK, .offset = b * BLOCK };
		storage_write(f->s, &io[i]);
	}
	while (storage_poll(f->s, true) != 0)
		;
	for (unsigned int i = 0; i < N_BLOCKS; i++) {
		assert_false(io[i].busy);
		if (io[i].err && !*first_err)
			*first_err = io[i].err;
	}
}

static void
written_synced_renamed(enum config_disk_engine engine, const char *where)
{
	struct fixture f;
	char path[128], name[128];
	uint64_t free_bytes = 0;
	enum srs_err err;
	int fd = -1;

	open_in(&f, engine, where);
	path_in(&f, "a.open", path);
	path_in(&f, "a.seg", name);
	assert_int_equal(storage_file_create(f.s, path, 4 << 20, &fd), SRS_OK);
	write_all(&f, fd, &err);
	assert_int_equal(err, SRS_OK);
	assert_int_equal(storage_sync(f.s, fd), SRS_OK);
	storage_release(f.s, fd, 3 << 20, 1 << 20);
	storage_file_close(f.s, fd);
	assert_int_equal(storage_rename(f.s, path, name), SRS_OK);
	assert_int_equal(storage_sync_folder(f.s, f.dir), SRS_OK);
	assert_file_holds_blocks(&f, name);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(storage_free_space(f.s, f.dir, &free_bytes), SRS_OK);
	assert_true(free_bytes > 0);
	assert_int_equal(storage_file_create(f.s, name, 4096, &fd), SRS_ERR_STATE); /* never written over */
	assert_file_holds_blocks(&f, name);
	close_all(&f);
}

static void
io_uring_writes_what_it_was_given(void **state)
{
	struct storage *s;

	if (storage_create(&s, CONFIG_DISK_IO_URING, DEPTH) != SRS_OK)
		skip(); /* forbidden here; auto falls back */
	assert_string_equal(storage_name(s), "io_uring");
	storage_destroy(s);
	written_synced_renamed(CONFIG_DISK_IO_URING, "/tmp");
}

static void
pwrite_writes_what_it_was_given(void **state)
{
	written_synced_renamed(CONFIG_DISK_PWRITE, "/tmp");
}

static void
file_system_without_direct_io_is_used_through_the_page_cache(void **state)
{
	if (access("/dev/shm", W_OK) != 0)
		skip();
	written_synced_renamed(CONFIG_DISK_AUTO, "/dev/shm");
}

static void
short_writes_are_completed(void **state)
{
	struct fixture f;
	char path[128];
	enum srs_err err;
	int fd = -1;

	open_in(&f, CONFIG_DISK_AUTO, "/tmp");
	wrap_faulty(&f);
	path_in(&f, "short", path);
	assert_int_equal(storage_file_create(f.s, path, 4 << 20, &fd), SRS_OK);
	storage_faulty_arm(f.s, &(struct storage_fault){ STORAGE_OP_WRITE, 3, 20, STORAGE_FAULT_SHORT, 0 });
	write_all(&f, fd, &err);
	assert_int_equal(err, SRS_OK);
	/* half of one slot cannot be written: some of the 20 came through whole */
	assert_true(storage_faulty_count(f.s, STORAGE_OP_WRITE) >= N_BLOCKS + 15);
	storage_file_close(f.s, fd);
	assert_file_holds_blocks(&f, path);
	close_all(&f);
}

static void
errors_say_no_space_or_io(void **state)
{
	struct fixture f;
	char path[128];
	enum srs_err err;
	int fd = -1;

	open_in(&f, CONFIG_DISK_AUTO, "/tmp");
	wrap_faulty(&f);
	path_in(&f, "bad", path);
	storage_faulty_arm(f.s, &(struct storage_fault){ STORAGE_OP_CREATE, 1, 1, ENOSPC, 0 });
	assert_int_equal(storage_file_create(f.s, path, 4 << 20, &fd), SRS_ERR_LIMIT);
	assert_int_equal(storage_file_create(f.s, path, 4 << 20, &fd), SRS_OK); /* once only, and nothing left behind */
	storage_faulty_arm(f.s, &(struct storage_fault){ STORAGE_OP_WRITE, 2, 1, EIO, 0 });
	write_all(&f, fd, &err);
	assert_int_equal(err, SRS_ERR_IO);
	storage_faulty_arm(f.s, &(struct storage_fault){ STORAGE_OP_SYNC, 1, STORAGE_FAULT_FOREVER, EIO, 0 });
	assert_int_equal(storage_sync(f.s, fd), SRS_ERR_IO);
	assert_int_equal(storage_sync(f.s, fd), SRS_ERR_IO);
	storage_faulty_arm(f.s, &(struct storage_fault){ 0 });
	assert_int_equal(storage_sync(f.s, fd), SRS_OK);
	storage_file_close(f.s, fd);
	close_all(&f);
}

static void
create_without_space_leaves_no_file(void **state)
{
	struct fixture f;
	char path[128];
	int fd = -1;

	open_in(&f, CONFIG_DISK_AUTO, "/tmp");
	path_in(&f, "huge", path);
	assert_int_equal(storage_file_create(f.s, path, (uint64_t)1 << 43, &fd), SRS_ERR_LIMIT);
	assert_int_equal(access(path, F_OK), -1);
	close_all(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(io_uring_writes_what_it_was_given),
		cmocka_unit_test(pwrite_writes_what_it_was_given),
		cmocka_unit_test(file_system_without_direct_io_is_used_through_the_page_cache),
		cmocka_unit_test(short_writes_are_completed),
		cmocka_unit_test(errors_say_no_space_or_io),
		cmocka_unit_test(create_without_space_leaves_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
