/* The ledger: a chain that holds, and what happens when it is torn, changed, cut or missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/catalog/ledger.h"

struct fixture {
	char dir[64];
	char path[96];
	char why[256];
	struct ledger_state state;
};

static int
make_fixture(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/capstan-ledger-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/ledger", f->dir);
	*state = f;
	return 0;
}

static int
drop_fixture(void **state)
{
	struct fixture *f = *state;
	DIR *dir = opendir(f->dir);

	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
		unlinkat(dirfd(dir), e->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void
write_three(struct fixture *f)
{
	struct ledger *l;

	assert_int_equal(ledger_open(&l, f->path, false, NULL, f->why, sizeof(f->why)), SRS_OK);
	assert_int_equal(ledger_append(l, "access", "{\"id\":\"aa\"}"), SRS_OK);
	assert_int_equal(ledger_append(l, "hold", "{\"id\":\"bb\"}"), SRS_OK);
	assert_int_equal(ledger_sync(l), SRS_OK);
	ledger_close(l);
}

static void
on_entry(void *ctx, const struct ledger_entry *e)
{
	char *all = ctx;

	snprintf(all + strlen(all), 512 - strlen(all), "%llu:%s:%s;", (unsigned long long)e->seq, e->kind, e->json);
}

static void
entries_come_back_in_order_across_processes(void **state)
{
	struct fixture *f = *state;
	char all[512] = "";
	struct ledger *l;

	write_three(f);
	assert_int_equal(ledger_open(&l, f->path, true, &f->state, f->why, sizeof(f->why)), SRS_OK);
	assert_int_equal(f->state.n_entries, 3);
	assert_false(f->state.broken);
	assert_int_equal(ledger_append(l, "release", "{}"), SRS_OK);
	ledger_close(l);
	assert_int_equal(ledger_check(f->path, &f->state, on_entry, all), SRS_OK);
	assert_string_equal(all, "1:begin:{\"version\":1};2:access:{\"id\":\"aa\"};3:hold:{\"id\":\"bb\"};4:release:{};");
	assert_false(f->state.broken);
	assert_int_equal(f->state.torn_bytes, 0);
}

static void
every_changed_byte_breaks_the_chain(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	int fd;

	write_three(f);
	fd = open(f->path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t i = 0; i < st.st_size - 1; i++) { /* the last byte is the line end: without it the line is torn */
		uint8_t byte, changed;

		assert_int_equal(pread(fd, &byte, 1, i), 1);
		changed = byte ^ 1;
		assert_int_equal(pwrite(fd, &changed, 1, i), 1);
		assert_int_equal(ledger_check(f->path, &f->state, NULL, NULL), SRS_OK);
		if (!f->state.broken)
			fail_msg("changed byte %ld went unseen", (long)i);
		assert_int_equal(pwrite(fd, &byte, 1, i), 1);
	}
	close(fd);
	assert_int_equal(ledger_check(f->path, &f->state, NULL, NULL), SRS_OK);
	assert_false(f->state.broken);
}

static void
removed_entry_in_the_middle_breaks_the_chain(void **state)
{
	struct fixture *f = *state;
	char text[1024], *second, *third;
	FILE *file;
	size_t n;

	write_three(f);
	file = fopen(f->path, "re");
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	second = strchr(text, '\n') + 1;
	third = strchr(second, '\n') + 1;
	file = fopen(f->path, "we");
	fwrite(text, 1, (size_t)(second - text), file);
	fputs(third, file);
	fclose(file);
	assert_int_equal(ledger_check(f->path, &f->state, NULL, NULL), SRS_OK);
	assert_true(f->state.damaged);
	assert_int_equal(f->state.n_entries, 1);
}

static void
torn_last_line_is_cut_and_the_chain_goes_on(void **state)
{
	struct fixture *f = *state;
	struct ledger *l;
	struct stat st;

	write_three(f);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(truncate(f->path, st.st_size - 10), 0);
	assert_int_equal(ledger_open(&l, f->path, true, &f->state, f->why, sizeof(f->why)), SRS_OK);
	assert_int_equal(f->state.n_entries, 2);
	assert_true(f->state.torn_bytes > 0);
	assert_false(f->state.broken);
	assert_int_equal(ledger_append(l, "access", "{}"), SRS_OK);
	ledger_close(l);
	assert_int_equal(ledger_check(f->path, &f->state, NULL, NULL), SRS_OK);
	assert_false(f->state.broken);
	assert_int_equal(f->state.n_entries, 3);
}

static void
tail_of_zeros_after_a_power_cut_is_cut(void **state)
{
	struct fixture *f = *state;
	struct ledger *l;
	struct stat st;

	write_three(f);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(truncate(f->path, st.st_size + 100), 0);
	assert_int_equal(ledger_open(&l, f->path, true, &f->state, f->why, sizeof(f->why)), SRS_OK);
	assert_int_equal(f->state.torn_bytes, 100);
	assert_int_equal(ledger_append(l, "access", "{}"), SRS_OK);
	ledger_close(l);
	assert_int_equal(ledger_check(f->path, &f->state, NULL, NULL), SRS_OK);
	assert_false(f->state.broken);
	assert_int_equal(f->state.n_entries, 4);
}

static void
broken_chain_is_kept_aside_and_said_for_good(void **state)
{
	struct fixture *f = *state;
	char all[512] = "";
	unsigned int n_files = 0;
	struct ledger *l;
	DIR *dir;
	int fd;

	write_three(f);
	fd = open(f->path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "9", 1, 0), 1);
	close(fd);
	assert_int_equal(ledger_open(&l, f->path, true, &f->state, f->why, sizeof(f->why)), SRS_OK);
	assert_true(f->state.broken);
	assert_int_equal(ledger_append(l, "access", "{}"), SRS_OK);
	ledger_close(l);
	assert_int_equal(ledger_open(&l, f->path, true, &f->state, f->why, sizeof(f->why)), SRS_OK);
	ledger_close(l);
	assert_true(f->state.broken);
	assert_false(f->state.damaged);
	assert_int_equal(ledger_check(f->path, &f->state, on_entry, all), SRS_OK);
	assert_non_null(strstr(all, "1:broken:{\"cause\":\"chain\""));
	dir = opendir(f->dir);
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		n_files += strncmp(e->d_name, "ledger", 6) == 0;
	closedir(dir);
	assert_int_equal(n_files, 2);
}

static void
missing_ledger_is_a_break_where_one_should_be(void **state)
{
	struct fixture *f = *state;
	struct ledger *l;

	assert_int_equal(ledger_check(f->path, &f->state, NULL, NULL), SRS_ERR_STATE);
	assert_int_equal(ledger_open(&l, f->path, true, &f->state, f->why, sizeof(f->why)), SRS_OK);
	assert_true(f->state.broken);
	ledger_close(l);
	assert_int_equal(ledger_check(f->path, &f->state, NULL, NULL), SRS_OK);
	assert_true(f->state.broken);
}

static void
second_writer_is_refused(void **state)
{
	struct fixture *f = *state;
	struct ledger *l, *other;

	assert_int_equal(ledger_open(&l, f->path, false, NULL, f->why, sizeof(f->why)), SRS_OK);
	assert_int_equal(ledger_open(&other, f->path, false, NULL, f->why, sizeof(f->why)), SRS_ERR_STATE);
	assert_non_null(strstr(f->why, "stop that one"));
	ledger_close(l);
}

static void
entries_that_would_break_the_form_are_refused(void **state)
{
	struct fixture *f = *state;
	char *large = calloc(1, LEDGER_JSON_MAX + 2);
	struct ledger *l;

	memset(large, '{', LEDGER_JSON_MAX);
	large[LEDGER_JSON_MAX] = '}';
	assert_int_equal(ledger_open(&l, f->path, false, NULL, f->why, sizeof(f->why)), SRS_OK);
	assert_int_equal(ledger_append(l, "two words", "{}"), SRS_ERR_INVALID);
	assert_int_equal(ledger_append(l, "", "{}"), SRS_ERR_INVALID);
	assert_int_equal(ledger_append(l, "access", "{\"a\":\n1}"), SRS_ERR_INVALID);
	assert_int_equal(ledger_append(l, "access", "text"), SRS_ERR_INVALID);
	assert_int_equal(ledger_append(l, "access", large), SRS_ERR_INVALID);
	large[LEDGER_JSON_MAX - 1] = '}';
	large[LEDGER_JSON_MAX] = '\0';
	assert_int_equal(ledger_append(l, "access", large), SRS_OK); /* the longest that is allowed */
	ledger_close(l);
	free(large);
	assert_int_equal(ledger_check(f->path, &f->state, NULL, NULL), SRS_OK);
	assert_int_equal(f->state.n_entries, 2);
	assert_false(f->state.broken);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, make_fixture, drop_fixture)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(entries_come_back_in_order_across_processes),
		WITH_FIXTURE(every_changed_byte_breaks_the_chain),
		WITH_FIXTURE(removed_entry_in_the_middle_breaks_the_chain),
		WITH_FIXTURE(torn_last_line_is_cut_and_the_chain_goes_on),
		WITH_FIXTURE(tail_of_zeros_after_a_power_cut_is_cut),
		WITH_FIXTURE(broken_chain_is_kept_aside_and_said_for_good),
		WITH_FIXTURE(missing_ledger_is_a_break_where_one_should_be),
		WITH_FIXTURE(second_writer_is_refused),
		WITH_FIXTURE(entries_that_would_break_the_form_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
