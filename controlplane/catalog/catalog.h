/* The catalog: what recordings there are, who speaks in them, where they lie. SQLite (WAL), one thread with the only
 * write connection, one transaction per 100 ms. Everything in it can be rebuilt from segments and ledger
 * (`capstan fsck --rebuild`). Beside it the ledger: an append-only, hash-chained file of what segments cannot know.
 *
 * catalog_post_*: @thread control; they copy, queue and return at once. LIMIT means the queue is full: recording goes
 * on, admission closes until there is room (catalog_has_room). */
#ifndef CATALOG_H
#define CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/reel.h"
#include "lib/srs_err.h"

#define CATALOG_FILE "catalog.db"
#define CATALOG_LEDGER_FILE "ledger"
#define CATALOG_QUEUE_MAX 65536			/* messages that wait for the thread: of a restart with 10,000 calls */
#define CATALOG_QUEUE_BYTES_MAX (64u << 20)	/* and what they may hold together */
#define CATALOG_TEXT_MAX (256u * 1024)		/* one text of a message; longer: LIMIT */

struct catalog;

/** Open or create `<dir>/catalog.db` and `<dir>/ledger`, check the ledger's chain, start the thread. Rows that an earlier process left
 * `recording` become `interrupted`: it is not recording any more. @param why names `capstan fsck --rebuild` where that
 * helps @return INVALID (damaged or a later version; an earlier one is brought up to date), STATE (another process has it), IO, NOMEM */
SRS_MUST_CHECK enum srs_err catalog_start(struct catalog **out, const char *dir, char *why, size_t why_len);
/** Drain, commit, join, close. Accepts NULL. */
void catalog_stop(struct catalog *c);
/** Bytes that the store of this process holds: its cache above all, which grows to its bound. @thread any */
uint64_t catalog_memory_bytes(void);
bool catalog_has_room(const struct catalog *c);
uint32_t catalog_queue_len(const struct catalog *c);
/** Transactions that failed and are tried again each second; not 0 and growing: the disk. @thread any */
uint64_t catalog_n_failed_commits(const struct catalog *c);

/* A recording's row as it becomes known. Text is copied; NULL leaves the column as it was. */
struct catalog_recording {
	uint8_t id[REEL_ID_SIZE];
	const char *state;		/* recording | sealed | interrupted */
	const char *rs_id;		/* our id of the recording session: groups its recordings */
	const char *cs_id;		/* rs-metadata session_id; "" when there is no metadata */
	const char *group_id;
	const char *session_ids;	/* RFC 7989 values of the call itself, a blank between: each 32-digit UUID in it is indexed */
	const char *call_id;
	const char *src_address;	/* ip:port of the SRC */
	const char *src_agent;		/* User-Agent */
	const char *participants_json;	/* [{"id","aor","name","labels":[..]}] */
	const char *streams_json;	/* [{"number","label","codec","payload_type"}] */
	const char *reason;		/* why it ended */
	int64_t started_wall_ns, ended_wall_ns;	/* 0: leave */
	uint32_t n_streams, n_parts;	/* 0: leave */
	uint64_t n_frames, bytes, missing, lost_upstream;	/* written when state becomes sealed or interrupted */
	uint32_t n_deviations;
	uint8_t seal_digest[REEL_DIGEST_SIZE];
	bool held;			/* read: not to be erased; set by a rebuild after a broken ledger. Posts never clear it */
};
SRS_MUST_CHECK enum srs_err catalog_post_recording(struct catalog *c, const struct catalog_recording *r);
SRS_MUST_CHECK enum srs_err catalog_post_placed(struct catalog *c, const uint8_t recording[REEL_ID_SIZE],
                                                const uint8_t segment_uuid[REEL_ID_SIZE]);
struct catalog_segment {
	uint8_t uuid[REEL_ID_SIZE];
	const char *path;
	uint32_t device_i;
	uint64_t sequence;
	const char *state;	/* open | finished | retired */
	uint8_t digest[REEL_DIGEST_SIZE];
	uint64_t n_slots_used;
};
SRS_MUST_CHECK enum srs_err catalog_post_segment(struct catalog *c, const struct catalog_segment *s);
/** A ledger entry: durable before its effect; `kind` is a word (access, hold, erase, ...), `json` its details. */
SRS_MUST_CHECK enum srs_err catalog_post_ledger(struct catalog *c, const char *kind, const char *json);

/* ---- reading: api thread and tool ---- */

struct catalog_reader;
/** Read-only connection. @return STATE when there is no catalog yet */
SRS_MUST_CHECK enum srs_err catalog_reader_open(struct catalog_reader **out, const char *dir, char *why,
                                                size_t why_len);
void catalog_reader_close(struct catalog_reader *r);
#define CATALOG_LIST_PRESET 100
#define CATALOG_LIST_MAX    1000

struct catalog_filter {
	const char *text;	/* matches ids, AORs, names, Call-ID; NULL: all */
	const char *state;
	int64_t from_wall_ns, to_wall_ns;	/* started within; 0: open */
	const char *after;	/* page: recordings started before this recording id (hex) */
	const char *group_id;	/* of this communication session group */
	const char *session_id;	/* a Session-ID: calls that share a UUID of it, in either place */
	uint32_t limit;		/* 0: CATALOG_LIST_PRESET; at most CATALOG_LIST_MAX */
};
/** Newest first. `on_row` borrows. @return IO */
SRS_MUST_CHECK enum srs_err catalog_list(struct catalog_reader *r, const struct catalog_filter *f,
                                         void (*on_row)(void *ctx, const struct catalog_recording *row), void *ctx);
/** One recording by the whole id or an unambiguous hex prefix. @return INVALID (none), LIMIT (several) */
SRS_MUST_CHECK enum srs_err catalog_find(struct catalog_reader *r, const char *id_prefix,
                                         void (*on_row)(void *ctx, const struct catalog_recording *row), void *ctx);
/** Other recordings that tell of the same call or of one that it was linked to: they share a group, a communication
 * session or a UUID of a Session-ID. Oldest first, at most CATALOG_LIST_MAX. Ids that are too short, or filled with zeros,
 * link nothing. @return IO */
SRS_MUST_CHECK enum srs_err catalog_related(struct catalog_reader *r, const uint8_t id[REEL_ID_SIZE],
                                            void (*on_row)(void *ctx, const struct catalog_recording *row), void *ctx);
/** Files that hold slots of it, oldest first: paths as the catalog has them. */
SRS_MUST_CHECK enum srs_err catalog_segments_of(struct catalog_reader *r, const uint8_t id[REEL_ID_SIZE],
                                                void (*on_path)(void *ctx, const char *path), void *ctx);

/* ---- rebuild: tool, with the daemon stopped ---- */
/** Write rows directly, without the thread: same struct, one transaction. */
struct catalog_rebuild;
SRS_MUST_CHECK enum srs_err catalog_rebuild_begin(struct catalog_rebuild **out, const char *dir, char *why, size_t why_len);
SRS_MUST_CHECK enum srs_err catalog_rebuild_recording(struct catalog_rebuild *b, const struct catalog_recording *r);
SRS_MUST_CHECK enum srs_err catalog_rebuild_segment(struct catalog_rebuild *b, const struct catalog_segment *s);
SRS_MUST_CHECK enum srs_err catalog_rebuild_placed(struct catalog_rebuild *b, const uint8_t recording[REEL_ID_SIZE],
                                                   const uint8_t segment_uuid[REEL_ID_SIZE]);
SRS_MUST_CHECK enum srs_err catalog_rebuild_commit(struct catalog_rebuild *b);	/* replaces the old catalog atomically; frees b, also on error */
/** Leave the old catalog as it is. Accepts NULL. */
void catalog_rebuild_abort(struct catalog_rebuild *b);

#endif
