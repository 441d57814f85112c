#include "controlplane/catalog/catalog_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS 2000
#define CACHE_KIB "32768"	/* ids are random: what does not fit is read and written again for each row */
#define WAL_PAGES "4000"	/* 16 MiB between two checkpoints */

/* What version 2 has more than version 1. */
#define SCHEMA_2 \
	"CREATE INDEX recordings_group ON recordings (group_id) WHERE group_id <> '';" \
	"CREATE INDEX recordings_cs ON recordings (cs_id) WHERE cs_id <> '';" \
	"CREATE TABLE session_ids (" \
	" uuid TEXT NOT NULL, recording BLOB NOT NULL, PRIMARY KEY (uuid, recording)) WITHOUT ROWID;" \
	"CREATE INDEX session_ids_recording ON session_ids (recording);" \
	"PRAGMA user_version = 2;"

static const char upgrade_1[] = "BEGIN IMMEDIATE; ALTER TABLE recordings ADD COLUMN session_ids TEXT;" SCHEMA_2 "COMMIT";

static const char schema[] =
	"CREATE TABLE recordings ("
	" id BLOB PRIMARY KEY, state TEXT NOT NULL DEFAULT 'recording', rs_id TEXT, cs_id TEXT, group_id TEXT, call_id TEXT,"
	" src_address TEXT, src_agent TEXT, participants_json TEXT, streams_json TEXT, reason TEXT,"
	" started_wall_ns INTEGER NOT NULL DEFAULT 0, ended_wall_ns INTEGER NOT NULL DEFAULT 0,"
	" n_streams INTEGER NOT NULL DEFAULT 0, n_parts INTEGER NOT NULL DEFAULT 0, n_frames INTEGER NOT NULL DEFAULT 0,"
	" bytes INTEGER NOT NULL DEFAULT 0, missing INTEGER NOT NULL DEFAULT 0, lost_upstream INTEGER NOT NULL DEFAULT 0,"
	" n_deviations INTEGER NOT NULL DEFAULT 0, seal_digest BLOB, held INTEGER NOT NULL DEFAULT 0,"
	" session_ids TEXT) WITHOUT ROWID;"
	"CREATE INDEX recordings_started ON recordings (started_wall_ns DESC, id DESC);"
	"CREATE INDEX recordings_rs ON recordings (rs_id);"
	"CREATE TABLE segments ("
	" uuid BLOB PRIMARY KEY, path TEXT NOT NULL, device_i INTEGER NOT NULL, sequence INTEGER NOT NULL,"
	" state TEXT NOT NULL, digest BLOB, n_slots_used INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
	"CREATE TABLE placed ("
	" recording BLOB NOT NULL, segment BLOB NOT NULL, PRIMARY KEY (recording, segment)) WITHOUT ROWID;"
	"CREATE INDEX placed_segment ON placed (segment);"
	SCHEMA_2;
_Static_assert(CATALOG_VERSION == 2, "user_version in the schema is the catalog's version");

/* A field that a message leaves out keeps what the row has. Totals count once the recording is over. */
static const char upsert_recording[] =
	"INSERT INTO recordings (id, state, rs_id, cs_id, group_id, call_id, src_address, src_agent, participants_json,"
	" streams_json, reason, started_wall_ns, ended_wall_ns, n_streams, n_parts, n_frames, bytes, missing, lost_upstream,"
	" n_deviations, seal_digest, held, session_ids)"
	" VALUES (?1, coalesce(?2, 'recording'), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,"
	" ?19, ?20, ?21, ?22, ?24)"
	" ON CONFLICT (id) DO UPDATE SET state = coalesce(?2, state), rs_id = coalesce(?3, rs_id),"
	" cs_id = coalesce(?4, cs_id), group_id = coalesce(?5, group_id), call_id = coalesce(?6, call_id),"
	" src_address = coalesce(?7, src_address), src_agent = coalesce(?8, src_agent),"
	" participants_json = coalesce(?9, participants_json), streams_json = coalesce(?10, streams_json),"
	" reason = coalesce(?11, reason), started_wall_ns = iif(?12 = 0, started_wall_ns, ?12),"
	" ended_wall_ns = iif(?13 = 0, ended_wall_ns, ?13), n_streams = iif(?14 = 0, n_streams, ?14),"
	" n_parts = iif(?15 = 0, n_parts, ?15), n_frames = iif(?23, ?16, n_frames), bytes = iif(?23, ?17, bytes),"
	" missing = iif(?23, ?18, missing), lost_upstream = iif(?23, ?19, lost_upstream),"
	" n_deviations = max(n_deviations, ?20), seal_digest = iif(?23, ?21, seal_digest), held = held OR ?22,"
	" session_ids = coalesce(?24, session_ids)";

static const char upsert_segment[] =
	"INSERT INTO segments (uuid, path, device_i, sequence, state, digest, n_slots_used)"
	" VALUES (?1, coalesce(?2, ''), ?3, ?4, coalesce(?5, 'open'), ?6, ?7)"
	" ON CONFLICT (uuid) DO UPDATE SET path = coalesce(?2, path), device_i = ?3, sequence = ?4,"
	" state = coalesce(?5, state), digest = iif(?8, ?6, digest), n_slots_used = iif(?7 = 0, n_slots_used, ?7)";

static const char insert_placed[] = "INSERT OR IGNORE INTO placed (recording, segment) VALUES (?1, ?2)";

static const char delete_session_ids[] = "DELETE FROM session_ids WHERE recording = ?1";
static const char insert_session_id[] = "INSERT OR IGNORE INTO session_ids (uuid, recording) VALUES (?1, ?2)";

static const char update_interrupted[] =
	"UPDATE recordings SET state = 'interrupted', reason = coalesce(reason, 'the recorder stopped before the call ended')"
	" WHERE state = 'recording'";

struct catalog_store {
	sqlite3 *db;
	char *path;
	struct stat file;	/* as it was opened */
	sqlite3_stmt *recording, *segment, *placed, *ids_delete, *id_insert;
};

static enum srs_err
err_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return SRS_OK;
	case SQLITE_NOMEM:
		return SRS_ERR_NOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* no such table or column: not our schema */
		return SRS_ERR_INVALID;
	default:
		return SRS_ERR_IO;
	}
}

static int
version_read(sqlite3 *db, int *version)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL);

	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		*version = sqlite3_column_int(stmt, 0);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(stmt);
	return rc;
}

static enum srs_err
schema_apply(struct catalog_store *s, const char *path, bool wal, char *why, size_t why_len)
{
	const char *mode = wal ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = OFF;"
	                         "PRAGMA cache_size = -" CACHE_KIB "; PRAGMA wal_autocheckpoint = " WAL_PAGES
	                       : "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL";
	int version = 0;
	int rc = version_read(s->db, &version);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, mode, NULL, NULL, NULL);
	if (rc == SQLITE_OK && version == 0)
		rc = sqlite3_exec(s->db, schema, NULL, NULL, NULL);
	if (rc == SQLITE_OK && version == 1) {
		rc = sqlite3_exec(s->db, upgrade_1, NULL, NULL, NULL);
		version = CATALOG_VERSION;
	}
	if (rc == SQLITE_OK && version != 0 && version != CATALOG_VERSION) {
		snprintf(why, why_len,
		         "%s: is a catalog of version %d, this program writes %d; make it anew with capstan fsck --rebuild", path,
		         version, CATALOG_VERSION);
		return SRS_ERR_INVALID;
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(s->db, upsert_recording, -1, &s->recording, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(s->db, upsert_segment, -1, &s->segment, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(s->db, insert_placed, -1, &s->placed, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(s->db, delete_session_ids, -1, &s->ids_delete, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(s->db, insert_session_id, -1, &s->id_insert, NULL);
	if (rc == SQLITE_OK)
		return SRS_OK;
	if (err_of(rc) == SRS_ERR_INVALID)
		snprintf(why, why_len, "%s: is damaged or no catalog (%s); make it anew with capstan fsck --rebuild", path,
		         sqlite3_errmsg(s->db));
	else
		snprintf(why, why_len, "%s: cannot be opened (%s); check the folder's rights and free space", path,
		         sqlite3_errmsg(s->db));
	return err_of(rc);
}

enum srs_err
catalog_store_open(struct catalog_store **out, const char *path, bool wal, char *why, size_t why_len)
{
	struct catalog_store *s = calloc(1, sizeof(*s));
	enum srs_err err;
	int fd, rc;

	if (s == NULL)
		return SRS_ERR_NOMEM;
	/* SQLite would make it world-readable; its WAL takes the same mode. */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (fd >= 0) {
		(void)fstat(fd, &s->file);	/* without it the file counts as replaced, and is opened again */
		close(fd);
	}
	s->path = strdup(path);
	if (s->path == NULL) {
		free(s);
		return SRS_ERR_NOMEM;
	}
	rc = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(s->db, BUSY_MS);
		err = schema_apply(s, path, wal, why, why_len);
	} else {
		snprintf(why, why_len, "%s: cannot be opened (%s); check the folder's owner and rights", path, sqlite3_errstr(rc));
		err = err_of(rc);
	}
	if (err) {
		catalog_store_close(s);
		return err;
	}
	*out = s;
	return SRS_OK;
}

void
catalog_store_close(struct catalog_store *s)
{
	if (s == NULL)
		return;
	sqlite3_finalize(s->recording);
	sqlite3_finalize(s->segment);
	sqlite3_finalize(s->placed);
	sqlite3_finalize(s->ids_delete);
	sqlite3_finalize(s->id_insert);
	sqlite3_close(s->db);
	free(s->path);
	free(s);
}

bool
catalog_store_in_place(const struct catalog_store *s)
{
	struct stat now;

	return stat(s->path, &now) == 0 && now.st_dev == s->file.st_dev && now.st_ino == s->file.st_ino;
}

const char *
catalog_store_error(const struct catalog_store *s)
{
	return sqlite3_errmsg(s->db);
}

enum srs_err
catalog_store_begin(struct catalog_store *s)
{
	return err_of(sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
}

enum srs_err
catalog_store_commit(struct catalog_store *s)
{
	return err_of(sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL));
}

void
catalog_store_rollback(struct catalog_store *s)
{
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

static void
bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	if (text != NULL) /* unbound is NULL */
		sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

static void
bind_number(sqlite3_stmt *stmt, int at, uint64_t n)
{
	sqlite3_bind_int64(stmt, at, n > INT64_MAX ? INT64_MAX : (sqlite3_int64)n);
}

/* A bind that failed for want of memory leaves NULL behind and shows in the step's answer at the latest. */
static enum srs_err
run(sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return err_of(rc);
}

bool
catalog_uuid_next(const char **at, char uuid[CATALOG_UUID_SIZE])
{
	while (**at != '\0') {
		size_t len = strspn(*at, "0123456789abcdefABCDEF");
		const char *begin = *at;

		*at += len != 0 ? len : 1;
		if (len != CATALOG_UUID_SIZE - 1 || strspn(begin, "0") >= len)
			continue;
		for (size_t i = 0; i < len; i++)
			uuid[i] = begin[i] >= 'A' && begin[i] <= 'F' ? (char)(begin[i] + 32) : begin[i];
		uuid[len] = '\0';
		return true;
	}
	return false;
}

static enum srs_err
session_ids_write(struct catalog_store *s, const struct catalog_recording *r)
{
	const char *at = r->session_ids;
	char uuid[CATALOG_UUID_SIZE];
	enum srs_err err;

	sqlite3_bind_blob(s->ids_delete, 1, r->id, REEL_ID_SIZE, SQLITE_STATIC);
	err = run(s->ids_delete);
	while (!err && catalog_uuid_next(&at, uuid)) {
		sqlite3_bind_text(s->id_insert, 1, uuid, -1, SQLITE_STATIC);
		sqlite3_bind_blob(s->id_insert, 2, r->id, REEL_ID_SIZE, SQLITE_STATIC);
		err = run(s->id_insert);
	}
	return err;
}

enum srs_err
catalog_store_recording(struct catalog_store *s, const struct catalog_recording *r)
{
	const char *texts[] = { r->state, r->rs_id, r->cs_id, r->group_id, r->call_id, r->src_address, r->src_agent,
		                r->participants_json, r->streams_json, r->reason };
	bool over = r->state != NULL && strcmp(r->state, "recording") != 0;
	enum srs_err err;

	sqlite3_bind_blob(s->recording, 1, r->id, REEL_ID_SIZE, SQLITE_STATIC);
	for (int i = 0; i < (int)(sizeof(texts) / sizeof(texts[0])); i++)
		bind_text(s->recording, 2 + i, texts[i]);
	sqlite3_bind_int64(s->recording, 12, r->started_wall_ns);
	sqlite3_bind_int64(s->recording, 13, r->ended_wall_ns);
	sqlite3_bind_int64(s->recording, 14, r->n_streams);
	sqlite3_bind_int64(s->recording, 15, r->n_parts);
	bind_number(s->recording, 16, over ? r->n_frames : 0);
	bind_number(s->recording, 17, over ? r->bytes : 0);
	bind_number(s->recording, 18, over ? r->missing : 0);
	bind_number(s->recording, 19, over ? r->lost_upstream : 0);
	sqlite3_bind_int64(s->recording, 20, r->n_deviations);
	if (over)
		sqlite3_bind_blob(s->recording, 21, r->seal_digest, REEL_DIGEST_SIZE, SQLITE_STATIC);
	sqlite3_bind_int(s->recording, 22, r->held);
	sqlite3_bind_int(s->recording, 23, over);
	bind_text(s->recording, 24, r->session_ids);
	err = run(s->recording);
	return err || r->session_ids == NULL ? err : session_ids_write(s, r);
}

enum srs_err
catalog_store_segment(struct catalog_store *s, const struct catalog_segment *segment)
{
	bool finished = segment->state != NULL && strcmp(segment->state, "finished") == 0;

	sqlite3_bind_blob(s->segment, 1, segment->uuid, REEL_ID_SIZE, SQLITE_STATIC);
	bind_text(s->segment, 2, segment->path);
	sqlite3_bind_int64(s->segment, 3, segment->device_i);
	bind_number(s->segment, 4, segment->sequence);
	bind_text(s->segment, 5, segment->state);
	if (finished)
		sqlite3_bind_blob(s->segment, 6, segment->digest, REEL_DIGEST_SIZE, SQLITE_STATIC);
	bind_number(s->segment, 7, segment->n_slots_used);
	sqlite3_bind_int(s->segment, 8, finished);
	return run(s->segment);
}

enum srs_err
catalog_store_placed(struct catalog_store *s, const uint8_t recording[REEL_ID_SIZE],
                     const uint8_t segment_uuid[REEL_ID_SIZE])
{
	sqlite3_bind_blob(s->placed, 1, recording, REEL_ID_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(s->placed, 2, segment_uuid, REEL_ID_SIZE, SQLITE_STATIC);
	return run(s->placed);
}

enum srs_err
catalog_store_interrupt(struct catalog_store *s, unsigned int *n)
{
	enum srs_err err = err_of(sqlite3_exec(s->db, update_interrupted, NULL, NULL, NULL));

	*n = err ? 0 : (unsigned int)sqlite3_changes(s->db);
	return err;
}

uint64_t
catalog_memory_bytes(void)
{
	return (uint64_t)sqlite3_memory_used();
}
