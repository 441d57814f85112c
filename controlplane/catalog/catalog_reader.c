/* Read-only connections of the catalog: the api thread's and the tool's. @thread the owner's only */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/catalog/catalog_store.h"

#define BUSY_MS      1000

#define COLUMNS \
	"id, state, rs_id, cs_id, group_id, call_id, src_address, src_agent, participants_json, streams_json, reason," \
	" started_wall_ns, ended_wall_ns, n_streams, n_parts, n_frames, bytes, missing, lost_upstream, n_deviations," \
	" seal_digest, held, session_ids"

/* Three statements, so that each finds its rows by an index. */
#define LIST_SQL(which) \
	"SELECT " COLUMNS " FROM recordings WHERE " which \
	" (?1 IS NULL OR state = ?1)" \
	" AND (?2 = 0 OR started_wall_ns >= ?2) AND (?3 = 0 OR started_wall_ns <= ?3)" \
	" AND (?4 IS NULL OR (started_wall_ns, id) < (?5, ?4))" \
	" AND (?6 IS NULL OR instr(lower(hex(id)), ?6) OR instr(lower(rs_id), ?6) OR instr(lower(cs_id), ?6)" \
	"  OR instr(lower(group_id), ?6) OR instr(lower(call_id), ?6) OR instr(lower(src_address), ?6)" \
	"  OR instr(lower(participants_json), ?6) OR instr(lower(session_ids), ?6))" \
	" ORDER BY started_wall_ns DESC, id DESC LIMIT ?7"

#define WHICH_GROUP   " group_id = ?8 AND group_id <> '' AND"
#define WHICH_SESSION " id IN (SELECT recording FROM session_ids WHERE uuid IN (?9, ?10)) AND (?8 IS NULL OR group_id = ?8) AND"
enum { LIST_ALL, LIST_GROUP, LIST_SESSION, LIST_N };
static const char *const list_sql[LIST_N] = { LIST_SQL(""), LIST_SQL(WHICH_GROUP), LIST_SQL(WHICH_SESSION) };

/* Ids of 16 characters and more that are not filled with zeros: what is shorter is no UUID (RFC 7865 §6.10), and some
 * clients give every call the same. */
#define LINKS(id) "length(" id ") >= 16 AND " id " NOT LIKE 'AAAAAAAAAAAAAAAA%' AND " id " NOT LIKE '%00000000-0000%'"
static const char related_sql[] =
	"SELECT " COLUMNS " FROM recordings WHERE id <> ?1 AND id IN ("
	" SELECT b.recording FROM session_ids a JOIN session_ids b ON b.uuid = a.uuid WHERE a.recording = ?1"
	" UNION SELECT b.id FROM recordings a JOIN recordings b ON b.group_id = a.group_id AND b.group_id <> ''"
	"  WHERE a.id = ?1 AND " LINKS("a.group_id")
	" UNION SELECT b.id FROM recordings a JOIN recordings b ON b.cs_id = a.cs_id AND b.cs_id <> ''"
	"  WHERE a.id = ?1 AND " LINKS("a.cs_id") ")"
	" ORDER BY started_wall_ns, id LIMIT ?2";

static const char find_sql[] = "SELECT " COLUMNS " FROM recordings WHERE id >= ?1 AND id <= ?2 ORDER BY id LIMIT 2";

static const char segments_sql[] =
	"SELECT s.path FROM placed p JOIN segments s ON s.uuid = p.segment WHERE p.recording = ?1"
	" ORDER BY s.sequence, s.path";

struct catalog_reader {
	sqlite3 *db;
	sqlite3_stmt *lists[LIST_N], *find, *segments, *related;
};

void
catalog_reader_close(struct catalog_reader *r)
{
	if (r == NULL)
		return;
	for (int i = 0; i < LIST_N; i++)
		sqlite3_finalize(r->lists[i]);
	sqlite3_finalize(r->related);
	sqlite3_finalize(r->find);
	sqlite3_finalize(r->segments);
	sqlite3_close(r->db);
	free(r);
}

static int
reader_prepare(struct catalog_reader *r)
{
	int rc = SQLITE_OK;

	sqlite3_busy_timeout(r->db, BUSY_MS);
	for (int i = 0; rc == SQLITE_OK && i < LIST_N; i++)
		rc = sqlite3_prepare_v2(r->db, list_sql[i], -1, &r->lists[i], NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(r->db, related_sql, -1, &r->related, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(r->db, find_sql, -1, &r->find, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(r->db, segments_sql, -1, &r->segments, NULL);
	return rc;
}

enum srs_err
catalog_reader_open(struct catalog_reader **out, const char *dir, char *why, size_t why_len)
{
	struct catalog_reader *r;
	char path[CATALOG_PATH_MAX];
	bool damaged;
	int rc;

	if ((size_t)snprintf(path, sizeof(path), "%s/" CATALOG_FILE, dir) >= sizeof(path)) {
		snprintf(why, why_len, "the catalog's path is longer than %d characters", CATALOG_PATH_MAX);
		return SRS_ERR_LIMIT;
	}
	if (access(path, F_OK) != 0 && errno == ENOENT) {
		snprintf(why, why_len,
		         "%s: there is no catalog yet; give the vault's folder, or make one with capstan fsck --rebuild", path);
		return SRS_ERR_STATE;
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return SRS_ERR_NOMEM;
	rc = sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = reader_prepare(r);
	if (rc == SQLITE_OK) {
		*out = r;
		return SRS_OK;
	}
	damaged = (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB || (rc & 0xff) == SQLITE_ERROR;
	snprintf(why, why_len, damaged ? "%s: is damaged or no catalog (%s); make it anew with capstan fsck --rebuild"
	                               : "%s: cannot be read (%s); check the rights of the file and its folder",
	         path, r->db != NULL ? sqlite3_errmsg(r->db) : sqlite3_errstr(rc));
	catalog_reader_close(r);
	return damaged ? SRS_ERR_INVALID : SRS_ERR_IO;
}

/* ---- rows ---- */

static const char *
column_text(sqlite3_stmt *stmt, int i)
{
	const unsigned char *text = sqlite3_column_text(stmt, i);

	return text != NULL ? (const char *)text : "";
}

static void
column_bytes(sqlite3_stmt *stmt, int i, uint8_t *out, int len)
{
	if (sqlite3_column_bytes(stmt, i) == len)
		memcpy(out, sqlite3_column_blob(stmt, i), (size_t)len);
}

static void
row_read(sqlite3_stmt *stmt, struct catalog_recording *row)
{
	memset(row, 0, sizeof(*row));
	column_bytes(stmt, 0, row->id, REEL_ID_SIZE);
	row->state = column_text(stmt, 1);
	row->rs_id = column_text(stmt, 2);
	row->cs_id = column_text(stmt, 3);
	row->group_id = column_text(stmt, 4);
	row->call_id = column_text(stmt, 5);
	row->src_address = column_text(stmt, 6);
	row->src_agent = column_text(stmt, 7);
	row->participants_json = column_text(stmt, 8);
	row->streams_json = column_text(stmt, 9);
	row->reason = column_text(stmt, 10);
	row->started_wall_ns = sqlite3_column_int64(stmt, 11);
	row->ended_wall_ns = sqlite3_column_int64(stmt, 12);
	row->n_streams = (uint32_t)sqlite3_column_int64(stmt, 13);
	row->n_parts = (uint32_t)sqlite3_column_int64(stmt, 14);
	row->n_frames = (uint64_t)sqlite3_column_int64(stmt, 15);
	row->bytes = (uint64_t)sqlite3_column_int64(stmt, 16);
	row->missing = (uint64_t)sqlite3_column_int64(stmt, 17);
	row->lost_upstream = (uint64_t)sqlite3_column_int64(stmt, 18);
	row->n_deviations = (uint32_t)sqlite3_column_int64(stmt, 19);
	column_bytes(stmt, 20, row->seal_digest, REEL_DIGEST_SIZE);
	row->held = sqlite3_column_int(stmt, 21) != 0;
	row->session_ids = column_text(stmt, 22);
}

static void
statement_reset(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

/* Least and largest id that begin with a hex prefix; dashes, as in UUIDs, are skipped. */
static bool
prefix_range(const char *prefix, uint8_t least[REEL_ID_SIZE], uint8_t largest[REEL_ID_SIZE])
{
	unsigned int n = 0;

	memset(least, 0, REEL_ID_SIZE);
	memset(largest, 0xff, REEL_ID_SIZE);
	for (; *prefix != '\0'; prefix++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit = strchr(digits, *prefix >= 'A' && *prefix <= 'F' ? *prefix + 32 : *prefix);
		unsigned int shift = n % 2 == 0 ? 4 : 0;

		if (*prefix == '-')
			continue;
		if (digit == NULL || n == 2 * REEL_ID_SIZE)
			return false;
		least[n / 2] = (uint8_t)(least[n / 2] | (unsigned int)(digit - digits) << shift);
		largest[n / 2] = (uint8_t)((largest[n / 2] & ~(0xfu << shift)) | (unsigned int)(digit - digits) << shift);
		n++;
	}
	return n != 0;
}

/* ---- questions ---- */

struct seen {
	int64_t started_wall_ns;
	uint8_t id[REEL_ID_SIZE];
};

static void
on_seen(void *ctx, const struct catalog_recording *row)
{
	struct seen *seen = ctx;

	seen->started_wall_ns = row->started_wall_ns;
	memcpy(seen->id, row->id, REEL_ID_SIZE);
}

enum srs_err
catalog_list(struct catalog_reader *r, const struct catalog_filter *f,
             void (*on_row)(void *ctx, const struct catalog_recording *row), void *ctx)
{
	uint32_t limit = f->limit == 0 ? CATALOG_LIST_PRESET : f->limit > CATALOG_LIST_MAX ? CATALOG_LIST_MAX : f->limit;
	sqlite3_stmt *list = r->lists[f->session_id != NULL ? LIST_SESSION : f->group_id != NULL ? LIST_GROUP : LIST_ALL];
	char uuids[2][CATALOG_UUID_SIZE];
	const char *at = f->session_id;
	struct catalog_recording row;
	struct seen after;
	char text[256];
	enum srs_err err;
	int rc;

	if (f->after != NULL) {
		err = catalog_find(r, f->after, on_seen, &after);
		if (err)
			return err;
		sqlite3_bind_blob(list, 4, after.id, REEL_ID_SIZE, SQLITE_STATIC);
		sqlite3_bind_int64(list, 5, after.started_wall_ns);
	}
	if (f->state != NULL)
		sqlite3_bind_text(list, 1, f->state, -1, SQLITE_STATIC);
	sqlite3_bind_int64(list, 2, f->from_wall_ns);
	sqlite3_bind_int64(list, 3, f->to_wall_ns);
	if (f->text != NULL && *f->text != '\0') {
		/* SQLite's lower() knows ASCII only; so does this */
		snprintf(text, sizeof(text), "%s", f->text);
		for (char *p = text; *p != '\0'; p++)
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
		sqlite3_bind_text(list, 6, text, -1, SQLITE_STATIC);
	}
	sqlite3_bind_int64(list, 7, limit);
	if (f->group_id != NULL)
		sqlite3_bind_text(list, 8, f->group_id, -1, SQLITE_STATIC);
	for (int i = 0; i < 2 && at != NULL && catalog_uuid_next(&at, uuids[i]); i++)
		sqlite3_bind_text(list, 9 + i, uuids[i], -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(list)) == SQLITE_ROW) {
		row_read(list, &row);
		on_row(ctx, &row);
	}
	statement_reset(list);
	return rc == SQLITE_DONE ? SRS_OK : SRS_ERR_IO;
}

enum srs_err
catalog_find(struct catalog_reader *r, const char *id_prefix,
             void (*on_row)(void *ctx, const struct catalog_recording *row), void *ctx)
{
	uint8_t least[REEL_ID_SIZE], largest[REEL_ID_SIZE];
	struct catalog_recording row;
	unsigned int n = 0;
	int rc;

	if (!prefix_range(id_prefix, least, largest))
		return SRS_ERR_INVALID;
	sqlite3_bind_blob(r->find, 1, least, REEL_ID_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(r->find, 2, largest, REEL_ID_SIZE, SQLITE_STATIC);
	while ((rc = sqlite3_step(r->find)) == SQLITE_ROW)
		n++;
	sqlite3_reset(r->find);
	if (rc == SQLITE_DONE && n == 1 && (rc = sqlite3_step(r->find)) == SQLITE_ROW) {
		row_read(r->find, &row);
		on_row(ctx, &row);
		rc = SQLITE_DONE;
	}
	statement_reset(r->find);
	if (rc != SQLITE_DONE)
		return SRS_ERR_IO;
	return n == 0 ? SRS_ERR_INVALID : n > 1 ? SRS_ERR_LIMIT : SRS_OK;
}

enum srs_err
catalog_related(struct catalog_reader *r, const uint8_t id[REEL_ID_SIZE],
                void (*on_row)(void *ctx, const struct catalog_recording *row), void *ctx)
{
	struct catalog_recording row;
	int rc;

	sqlite3_bind_blob(r->related, 1, id, REEL_ID_SIZE, SQLITE_STATIC);
	sqlite3_bind_int(r->related, 2, CATALOG_LIST_MAX);
	while ((rc = sqlite3_step(r->related)) == SQLITE_ROW) {
		row_read(r->related, &row);
		on_row(ctx, &row);
	}
	statement_reset(r->related);
	return rc == SQLITE_DONE ? SRS_OK : SRS_ERR_IO;
}

enum srs_err
catalog_segments_of(struct catalog_reader *r, const uint8_t id[REEL_ID_SIZE],
                    void (*on_path)(void *ctx, const char *path), void *ctx)
{
	int rc;

	sqlite3_bind_blob(r->segments, 1, id, REEL_ID_SIZE, SQLITE_STATIC);
	while ((rc = sqlite3_step(r->segments)) == SQLITE_ROW)
		on_path(ctx, column_text(r->segments, 0));
	statement_reset(r->segments);
	return rc == SQLITE_DONE ? SRS_OK : SRS_ERR_IO;
}
