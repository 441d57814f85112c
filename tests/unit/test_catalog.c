/* The catalog: rows grow as fields become known, readers page and search, damage is named, a rebuild replaces whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/catalog/catalog.h"
#include "controlplane/catalog/ledger.h"

struct fixture {
	char dir[64];
	char why[512];
	struct catalog *c;
	struct catalog_reader *r;
	/* what on_row saw */
	unsigned int n_rows;
	char states[256], first_id[2 * REEL_ID_SIZE + 1], last_id[2 * REEL_ID_SIZE + 1];
	struct catalog_recording last; /* numbers only: texts are borrowed */
	char call_id[64], participants[64];
};

static int
make_fixture(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/capstan-catalog-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	*state = f;
	return 0;
}

static int
drop_fixture(void **state)
{
	struct fixture *f = *state;
	DIR *dir;

	catalog_reader_close(f->r);
	catalog_stop(f->c);
	dir = opendir(f->dir);
	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
		unlinkat(dirfd(dir), e->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void
start(struct fixture *f)
{
	if (catalog_start(&f->c, f->dir, f->why, sizeof(f->why)) != SRS_OK)
		fail_msg("%s", f->why);
}

static void
stop_and_read(struct fixture *f)
{
	catalog_stop(f->c);
	f->c = NULL;
	catalog_reader_close(f->r);
	f->r = NULL;
	if (catalog_reader_open(&f->r, f->dir, f->why, sizeof(f->why)) != SRS_OK)
		fail_msg("%s", f->why);
}

static void
on_row(void *ctx, const struct catalog_recording *row)
{
	struct fixture *f = ctx;

	f->n_rows++;
	snprintf(f->states + strlen(f->states), sizeof(f->states) - strlen(f->states), "%s;", row->state);
	for (unsigned int i = 0; i < REEL_ID_SIZE; i++)
		snprintf(f->last_id + 2 * i, 3, "%02x", row->id[i]);
	if (f->n_rows == 1)
		memcpy(f->first_id, f->last_id, sizeof(f->first_id));
	f->last = *row;
	snprintf(f->call_id, sizeof(f->call_id), "%s", row->call_id);
	snprintf(f->participants, sizeof(f->participants), "%s", row->participants_json);
}

static unsigned int
list(struct fixture *f, const struct catalog_filter *filter)
{
	f->n_rows = 0;
	f->states[0] = '\0';
	assert_int_equal(catalog_list(f->r, filter, on_row, f), SRS_OK);
	return f->n_rows;
}

static void
post_number(struct fixture *f, uint8_t number, const char *state)
{
	struct catalog_recording r = { .id = { 0xab, number }, .state = state, .started_wall_ns = 1000 + number,
		                       .call_id = number % 2 == 0 ? "Even@host" : "odd@host" };

	assert_int_equal(catalog_post_recording(f->c, &r), SRS_OK);
}

static void
row_grows_as_fields_become_known(void **state)
{
	struct fixture *f = *state;
	char borrowed[32] = "call-1@host";
	struct catalog_recording first = { .id = { 1, 2, 3 }, .state = "recording", .call_id = borrowed,
		                           .started_wall_ns = 77, .n_frames = 999 };
	struct catalog_recording later = { .id = { 1, 2, 3 }, .participants_json = "[{\"aor\":\"sip:a@b\"}]", .n_deviations = 2 };
	struct catalog_recording last = { .id = { 1, 2, 3 }, .state = "sealed", .reason = "bye", .ended_wall_ns = 99,
		                          .n_frames = 10, .bytes = 1720, .missing = 1, .lost_upstream = 3, .n_streams = 2,
		                          .seal_digest = { 0xee } };

	start(f);
	assert_int_equal(catalog_post_recording(f->c, &first), SRS_OK);
	memset(borrowed, 'x', 5); /* the text was copied */
	assert_int_equal(catalog_post_recording(f->c, &later), SRS_OK);
	stop_and_read(f);
	assert_int_equal(catalog_find(f->r, "010203", on_row, f), SRS_OK);
	assert_string_equal(f->states, "recording;");
	assert_int_equal(f->last.n_frames, 0); /* totals count when the recording is over */
	assert_string_equal(f->call_id, "call-1@host");
	assert_string_equal(f->participants, "[{\"aor\":\"sip:a@b\"}]");

	start(f);
	assert_int_equal(catalog_post_recording(f->c, &last), SRS_OK);
	stop_and_read(f);
	f->states[0] = '\0';
	assert_int_equal(catalog_find(f->r, "0102-03", on_row, f), SRS_OK);
	assert_string_equal(f->states, "sealed;");
	assert_string_equal(f->call_id, "call-1@host");
	assert_int_equal(f->last.started_wall_ns, 77);
	assert_int_equal(f->last.ended_wall_ns, 99);
	assert_int_equal(f->last.n_frames, 10);
	assert_int_equal(f->last.bytes, 1720);
	assert_int_equal(f->last.missing, 1);
	assert_int_equal(f->last.lost_upstream, 3);
	assert_int_equal(f->last.n_deviations, 2);
	assert_int_equal(f->last.seal_digest[0], 0xee);
	assert_false(f->last.held);
}

static void
rows_are_readable_while_the_daemon_writes(void **state)
{
	struct fixture *f = *state;
	unsigned int n = 0;

	start(f);
	assert_int_equal(catalog_reader_open(&f->r, f->dir, f->why, sizeof(f->why)), SRS_OK);
	post_number(f, 1, "recording");
	for (unsigned int i = 0; i < 200 && n == 0; i++) { /* one transaction each 100 ms; at most 2 s */
		usleep(10000);
		n = list(f, &(struct catalog_filter){ 0 });
	}
	assert_int_equal(n, 1);
}

static void
what_an_earlier_process_left_open_is_interrupted(void **state)
{
	struct fixture *f = *state;

	start(f);
	post_number(f, 1, "recording");
	post_number(f, 2, "sealed");
	stop_and_read(f);
	start(f);
	assert_int_equal(list(f, &(struct catalog_filter){ 0 }), 2);
	assert_string_equal(f->states, "sealed;interrupted;");
}

static void
lists_page_newest_first_and_filter(void **state)
{
	struct fixture *f = *state;
	struct catalog_filter page = { .limit = 4 };
	char after[2 * REEL_ID_SIZE + 1];

	start(f);
	for (uint8_t i = 0; i < 10; i++)
		post_number(f, i, i == 3 ? "interrupted" : "sealed");
	stop_and_read(f);
	assert_int_equal(list(f, &page), 4);
	assert_memory_equal(f->first_id, "ab09", 4);
	assert_memory_equal(f->last_id, "ab06", 4);
	memcpy(after, f->last_id, sizeof(after));
	page.after = after;
	assert_int_equal(list(f, &page), 4);
	assert_memory_equal(f->first_id, "ab05", 4);
	memcpy(after, f->last_id, sizeof(after));
	assert_int_equal(list(f, &page), 2);
	assert_memory_equal(f->last_id, "ab00", 4);

	assert_int_equal(list(f, &(struct catalog_filter){ .text = "eVEN@" }), 5);
	assert_int_equal(list(f, &(struct catalog_filter){ .text = "AB07" }), 1);
	assert_int_equal(list(f, &(struct catalog_filter){ .text = "%" }), 0);
	assert_int_equal(list(f, &(struct catalog_filter){ .state = "interrupted" }), 1);
	assert_int_equal(list(f, &(struct catalog_filter){ .from_wall_ns = 1003, .to_wall_ns = 1005 }), 3);
	assert_int_equal(catalog_list(f->r, &(struct catalog_filter){ .after = "ff" }, on_row, f), SRS_ERR_INVALID);
}

static void
prefix_finds_one_none_or_says_several(void **state)
{
	struct fixture *f = *state;

	start(f);
	post_number(f, 0x10, "sealed");
	post_number(f, 0x11, "sealed");
	stop_and_read(f);
	assert_int_equal(catalog_find(f->r, "ab10", on_row, f), SRS_OK);
	assert_int_equal(f->n_rows, 1);
	assert_int_equal(catalog_find(f->r, "AB1", on_row, f), SRS_ERR_LIMIT);
	assert_int_equal(catalog_find(f->r, "ac", on_row, f), SRS_ERR_INVALID);
	assert_int_equal(catalog_find(f->r, "zz", on_row, f), SRS_ERR_INVALID);
	assert_int_equal(catalog_find(f->r, "", on_row, f), SRS_ERR_INVALID);
	assert_int_equal(catalog_find(f->r, "ab100000000000000000000000000000", on_row, f), SRS_OK);
	assert_int_equal(catalog_find(f->r, "ab1000000000000000000000000000000", on_row, f), SRS_ERR_INVALID);
	assert_int_equal(f->n_rows, 2); /* refused questions bring no row */
}

static void
on_path(void *ctx, const char *path)
{
	char *all = ctx;

	snprintf(all + strlen(all), 128 - strlen(all), "%s;", path);
}

static void
segments_of_a_recording_come_oldest_first(void **state)
{
	struct fixture *f = *state;
	const uint8_t id[REEL_ID_SIZE] = { 5 };
	struct catalog_segment old = { .uuid = { 9 }, .path = "a.open", .sequence = 1, .state = "open" };
	struct catalog_segment new = { .uuid = { 8 }, .path = "b.open", .sequence = 2, .state = "open" };
	char all[128] = "";

	start(f);
	assert_int_equal(catalog_post_segment(f->c, &new), SRS_OK);
	assert_int_equal(catalog_post_segment(f->c, &old), SRS_OK);
	for (int i = 0; i < 2; i++) { /* once is enough */
		assert_int_equal(catalog_post_placed(f->c, id, old.uuid), SRS_OK);
		assert_int_equal(catalog_post_placed(f->c, id, new.uuid), SRS_OK);
	}
	old.path = "a.seg";
	old.state = "finished";
	assert_int_equal(catalog_post_segment(f->c, &old), SRS_OK);
	stop_and_read(f);
	assert_int_equal(catalog_segments_of(f->r, id, on_path, all), SRS_OK);
	assert_string_equal(all, "a.seg;b.open;");
}

static void
ledger_entries_are_on_disk_after_the_transaction(void **state)
{
	struct fixture *f = *state;
	struct ledger_state ledger;
	char path[128];

	start(f);
	assert_int_equal(catalog_post_ledger(f->c, "access", "{\"who\":\"test\"}"), SRS_OK);
	assert_int_equal(catalog_post_ledger(f->c, "not a word", "{}"), SRS_OK); /* refused by the thread, with a log line */
	assert_int_equal(catalog_post_ledger(f->c, "access", "{}"), SRS_OK);
	catalog_stop(f->c);
	f->c = NULL;
	snprintf(path, sizeof(path), "%s/ledger", f->dir);
	assert_int_equal(ledger_check(path, &ledger, NULL, NULL), SRS_OK);
	assert_int_equal(ledger.n_entries, 3); /* begin, access, access */
	assert_false(ledger.broken);
}

static void
full_queue_refuses_and_says_so_before(void **state)
{
	struct fixture *f = *state;
	char *long_text = calloc(1, CATALOG_TEXT_MAX + 1);
	struct catalog_recording r = { .id = { 1 }, .participants_json = long_text };
	enum srs_err err = SRS_OK;
	bool had_room = true;

	start(f);
	memset(long_text, 'x', CATALOG_TEXT_MAX);
	assert_int_equal(catalog_post_recording(f->c, &r), SRS_ERR_LIMIT); /* one text too long */
	long_text[CATALOG_TEXT_MAX - 1] = '\0';
	assert_true(catalog_has_room(f->c));
	for (unsigned int i = 0; i < 4 * CATALOG_QUEUE_BYTES_MAX / CATALOG_TEXT_MAX && !err; i++) {
		had_room = catalog_has_room(f->c);
		err = catalog_post_recording(f->c, &r);
	}
	free(long_text);
	assert_int_equal(err, SRS_ERR_LIMIT);
	assert_false(had_room);
}

static void
damaged_or_foreign_file_names_the_rebuild(void **state)
{
	struct fixture *f = *state;
	char path[128];
	int fd;

	assert_int_equal(catalog_reader_open(&f->r, f->dir, f->why, sizeof(f->why)), SRS_ERR_STATE);
	snprintf(path, sizeof(path), "%s/catalog.db", f->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (int i = 0; i < 200; i++)
		assert_int_equal(write(fd, "this is no database, whatever it is called ", 43), 43);
	close(fd);
	assert_int_equal(catalog_start(&f->c, f->dir, f->why, sizeof(f->why)), SRS_ERR_INVALID);
	assert_non_null(strstr(f->why, "capstan fsck --rebuild"));
	assert_int_equal(catalog_reader_open(&f->r, f->dir, f->why, sizeof(f->why)), SRS_ERR_INVALID);
	assert_non_null(strstr(f->why, "capstan fsck --rebuild"));
	f->c = NULL;
	f->r = NULL;
}

static void
second_daemon_on_one_folder_is_refused(void **state)
{
	struct fixture *f = *state;
	struct catalog *other;

	start(f);
	assert_int_equal(catalog_start(&other, f->dir, f->why, sizeof(f->why)), SRS_ERR_STATE);
	assert_non_null(strstr(f->why, "stop that one"));
}

/* ---- linked calls ---- */

static void
post_call(struct fixture *f, uint8_t number, const char *cs_id, const char *group_id, const char *session_ids)
{
	struct catalog_recording r = { .id = { 0xab, number }, .state = "sealed", .started_wall_ns = 1000 + number,
		                       .cs_id = cs_id, .group_id = group_id, .session_ids = session_ids };

	assert_int_equal(catalog_post_recording(f->c, &r), SRS_OK);
}

static void
related(struct fixture *f, uint8_t number)
{
	uint8_t id[REEL_ID_SIZE] = { 0xab, number };

	f->n_rows = 0;
	f->states[0] = '\0';
	assert_int_equal(catalog_related(f->r, id, on_row, f), SRS_OK);
}

#define A32 "ab30317f1a784dc48ff824d0d3715d86"
#define B32 "47755a9de7794ba387653f2099600ef2"
#define C32 "11112222333344445555666677778888"
#define NIL "00000000000000000000000000000000"

static void
calls_that_share_a_session_id_or_a_group_find_each_other(void **state)
{
	struct fixture *f = *state;

	start(f);
	post_call(f, 1, "", "7+OTCyoxTmqmqyA/1weDAg==", A32 ";remote=" B32);
	post_call(f, 2, "", "", "47755A9DE7794BA387653F2099600EF2;remote=" A32);	/* another client, from the other side */
	post_call(f, 3, "", "7+OTCyoxTmqmqyA/1weDAg==", "");				/* transferred */
	post_call(f, 4, "", "g", C32 ";remote=" NIL);
	post_call(f, 5, "", "g", NIL ";remote=" NIL);
	post_call(f, 6, "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAA==", "");
	post_call(f, 7, "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAA==", "");
	post_call(f, 8, "hVpd7YQgRW2nD22h7q60JQ==", "", "");
	post_call(f, 9, "hVpd7YQgRW2nD22h7q60JQ==", "", "");	/* one call that moved to another recording session */
	stop_and_read(f);

	related(f, 1);
	assert_int_equal(f->n_rows, 2);
	assert_memory_equal(f->first_id, "ab02", 4);
	assert_memory_equal(f->last_id, "ab03", 4);
	related(f, 2);
	assert_int_equal(f->n_rows, 1);
	related(f, 3);
	assert_int_equal(f->n_rows, 1);
	for (uint8_t alone = 4; alone < 8; alone++) {	/* short, nil and zero-filled ids link nothing */
		related(f, alone);
		assert_int_equal(f->n_rows, 0);
	}
	related(f, 8);
	assert_int_equal(f->n_rows, 1);
	assert_memory_equal(f->last_id, "ab09", 4);

	assert_int_equal(list(f, &(struct catalog_filter){ .group_id = "7+OTCyoxTmqmqyA/1weDAg==" }), 2);
	assert_int_equal(list(f, &(struct catalog_filter){ .group_id = "g", .state = "recording" }), 0);
	assert_int_equal(list(f, &(struct catalog_filter){ .session_id = A32 }), 2);
	assert_int_equal(list(f, &(struct catalog_filter){ .session_id = C32 ";remote=" B32 }), 3);
	assert_int_equal(list(f, &(struct catalog_filter){ .session_id = A32, .group_id = "7+OTCyoxTmqmqyA/1weDAg==" }), 1);
	assert_int_equal(list(f, &(struct catalog_filter){ .session_id = NIL }), 0);
	assert_int_equal(list(f, &(struct catalog_filter){ .session_id = "no such thing" }), 0);
}

static void
a_session_id_that_is_corrected_is_indexed_anew(void **state)
{
	struct fixture *f = *state;

	start(f);
	post_call(f, 1, "", "", A32);
	post_call(f, 1, "", "", NULL);	/* says nothing of it */
	post_call(f, 2, "", "", A32 " " B32);
	post_call(f, 2, "", "", B32);
	stop_and_read(f);
	assert_int_equal(list(f, &(struct catalog_filter){ .session_id = A32 }), 1);
	assert_memory_equal(f->last_id, "ab01", 4);
	assert_int_equal(list(f, &(struct catalog_filter){ .session_id = B32 }), 1);
	assert_memory_equal(f->last_id, "ab02", 4);
}

static void
a_catalog_of_version_1_is_brought_up_to_date(void **state)
{
	static const char version_1[] =
		"CREATE TABLE recordings ("
		" id BLOB PRIMARY KEY, state TEXT NOT NULL DEFAULT 'recording', rs_id TEXT, cs_id TEXT, group_id TEXT, call_id TEXT,"
		" src_address TEXT, src_agent TEXT, participants_json TEXT, streams_json TEXT, reason TEXT,"
		" started_wall_ns INTEGER NOT NULL DEFAULT 0, ended_wall_ns INTEGER NOT NULL DEFAULT 0,"
		" n_streams INTEGER NOT NULL DEFAULT 0, n_parts INTEGER NOT NULL DEFAULT 0, n_frames INTEGER NOT NULL DEFAULT 0,"
		" bytes INTEGER NOT NULL DEFAULT 0, missing INTEGER NOT NULL DEFAULT 0, lost_upstream INTEGER NOT NULL DEFAULT 0,"
		" n_deviations INTEGER NOT NULL DEFAULT 0, seal_digest BLOB, held INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
		"CREATE INDEX recordings_started ON recordings (started_wall_ns DESC, id DESC);"
		"CREATE INDEX recordings_rs ON recordings (rs_id);"
		"CREATE TABLE segments ("
		" uuid BLOB PRIMARY KEY, path TEXT NOT NULL, device_i INTEGER NOT NULL, sequence INTEGER NOT NULL,"
		" state TEXT NOT NULL, digest BLOB, n_slots_used INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
		"CREATE TABLE placed ("
		" recording BLOB NOT NULL, segment BLOB NOT NULL, PRIMARY KEY (recording, segment)) WITHOUT ROWID;"
		"CREATE INDEX placed_segment ON placed (segment);"
		"INSERT INTO recordings (id, state, group_id) VALUES (x'abff0000000000000000000000000000', 'sealed', 'group-of-16-chars');"
		"PRAGMA user_version = 1;";
	struct fixture *f = *state;
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/catalog.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, version_1, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(catalog_reader_open(&f->r, f->dir, f->why, sizeof(f->why)), SRS_ERR_INVALID);
	assert_non_null(strstr(f->why, "capstan fsck --rebuild"));
	f->r = NULL;
	start(f);
	post_call(f, 1, "", "group-of-16-chars", A32);
	stop_and_read(f);
	related(f, 1);
	assert_int_equal(f->n_rows, 1);
	assert_memory_equal(f->last_id, "abff", 4);
	assert_int_equal(list(f, &(struct catalog_filter){ .session_id = A32 }), 1);
}

static void
rebuild_replaces_the_old_catalog_whole(void **state)
{
	struct fixture *f = *state;
	struct catalog_recording found = { .id = { 7 }, .state = "sealed", .started_wall_ns = 5, .n_frames = 3 };
	struct catalog_segment segment = { .uuid = { 3 }, .path = "x.seg", .sequence = 1, .state = "finished" };
	struct catalog_rebuild *b;
	char all[128] = "", path[128];

	start(f);
	post_number(f, 1, "sealed");
	assert_int_equal(catalog_rebuild_begin(&b, f->dir, f->why, sizeof(f->why)), SRS_ERR_STATE); /* the daemon runs */
	stop_and_read(f);
	assert_int_equal(catalog_rebuild_begin(&b, f->dir, f->why, sizeof(f->why)), SRS_OK);
	assert_int_equal(catalog_rebuild_recording(b, &found), SRS_OK);
	catalog_rebuild_abort(b);
	stop_and_read(f);
	assert_int_equal(list(f, &(struct catalog_filter){ 0 }), 1);
	assert_memory_equal(f->first_id, "ab01", 4);

	assert_int_equal(catalog_rebuild_begin(&b, f->dir, f->why, sizeof(f->why)), SRS_OK);
	assert_int_equal(catalog_rebuild_recording(b, &found), SRS_OK);
	assert_int_equal(catalog_rebuild_segment(b, &segment), SRS_OK);
	assert_int_equal(catalog_rebuild_placed(b, found.id, segment.uuid), SRS_OK);
	assert_int_equal(catalog_rebuild_commit(b), SRS_OK);
	stop_and_read(f);
	assert_int_equal(list(f, &(struct catalog_filter){ 0 }), 1);
	assert_int_equal(f->last.id[0], 7);
	assert_false(f->last.held);
	assert_int_equal(catalog_segments_of(f->r, found.id, on_path, all), SRS_OK);
	assert_string_equal(all, "x.seg;");

	snprintf(path, sizeof(path), "%s/ledger", f->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(catalog_rebuild_begin(&b, f->dir, f->why, sizeof(f->why)), SRS_OK);
	assert_int_equal(catalog_rebuild_recording(b, &found), SRS_OK);
	assert_int_equal(catalog_rebuild_commit(b), SRS_OK);
	start(f); /* and the daemon takes it from there */
	stop_and_read(f);
	assert_int_equal(list(f, &(struct catalog_filter){ 0 }), 1);
	assert_true(f->last.held); /* nobody knows what was on hold */
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, make_fixture, drop_fixture)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(row_grows_as_fields_become_known),
		WITH_FIXTURE(rows_are_readable_while_the_daemon_writes),
		WITH_FIXTURE(what_an_earlier_process_left_open_is_interrupted),
		WITH_FIXTURE(lists_page_newest_first_and_filter),
		WITH_FIXTURE(prefix_finds_one_none_or_says_several),
		WITH_FIXTURE(segments_of_a_recording_come_oldest_first),
		WITH_FIXTURE(ledger_entries_are_on_disk_after_the_transaction),
		WITH_FIXTURE(full_queue_refuses_and_says_so_before),
		WITH_FIXTURE(damaged_or_foreign_file_names_the_rebuild),
		WITH_FIXTURE(second_daemon_on_one_folder_is_refused),
		WITH_FIXTURE(calls_that_share_a_session_id_or_a_group_find_each_other),
		WITH_FIXTURE(a_session_id_that_is_corrected_is_indexed_anew),
		WITH_FIXTURE(a_catalog_of_version_1_is_brought_up_to_date),
		WITH_FIXTURE(rebuild_replaces_the_old_catalog_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
