#include "controlplane/catalog/catalog.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/catalog/catalog_store.h"
#include "controlplane/catalog/ledger.h"
#include "lib/spsc.h"
#include "lib/srs_log.h"

#define COMMIT_INTERVAL_MS 100
#define RETRY_MS           1000
#define BATCH_MAX          2048	/* messages in one transaction */
#define STOP_TRIES         3
#define NICE               5

enum message_kind { MESSAGE_RECORDING, MESSAGE_PLACED, MESSAGE_SEGMENT, MESSAGE_LEDGER };

/* One allocation: the struct, then the texts that its pointers name. */
struct message {
	struct message *next;	/* in the batch */
	enum message_kind kind;
	bool done;		/* LEDGER: appended; a retried transaction must not write it twice */
	size_t size;
	union {
		struct catalog_recording recording;
		struct catalog_segment segment;
		struct {
			uint8_t recording[REEL_ID_SIZE], segment[REEL_ID_SIZE];
		} placed;
		struct {
			const char *kind, *json;
		} ledger;
	} u;
	char texts[];
};

struct catalog {
	struct spsc *queue;	/* control -> catalog: struct message */
	_Atomic size_t queued_bytes;	/* control adds, catalog subtracts; relaxed: only a bound */
	_Atomic uint64_t n_failed_commits;
	_Atomic bool stopping;	/* release, paired with the thread's acquire before its last drain */
	int wake_fd;
	pthread_t thread;
	bool has_thread;
	/* of the thread */
	char path[CATALOG_PATH_MAX];	/* of the store */
	struct catalog_store *store;
	struct ledger *ledger;
	struct message *batch, **batch_end;
	unsigned int batch_len;
};

/* ---- posting: control ---- */

static enum srs_err
message_make(struct message **out, enum message_kind kind, const char *const texts[], unsigned int n_texts)
{
	size_t size = sizeof(struct message);

	for (unsigned int i = 0; i < n_texts; i++) {
		size_t len = texts[i] != NULL ? strlen(texts[i]) + 1 : 0;

		if (len > CATALOG_TEXT_MAX)
			return SRS_ERR_LIMIT;
		size += len;
	}
	*out = calloc(1, size);
	if (*out == NULL)
		return SRS_ERR_NOMEM;
	(*out)->kind = kind;
	(*out)->size = size;
	return SRS_OK;
}

/* Copy a text behind the struct and point at the copy. */
static char *
text_move(const char **text, char *room)
{
	size_t len;

	if (*text == NULL)
		return room;
	len = strlen(*text) + 1;
	memcpy(room, *text, len);
	*text = room;
	return room + len;
}

static enum srs_err
message_post(struct catalog *c, struct message *m)
{
	size_t before = atomic_fetch_add_explicit(&c->queued_bytes, m->size, memory_order_relaxed);

	if (before + m->size <= CATALOG_QUEUE_BYTES_MAX && spsc_push(c->queue, m))
		return SRS_OK;
	atomic_fetch_sub_explicit(&c->queued_bytes, m->size, memory_order_relaxed);
	free(m);
	return SRS_ERR_LIMIT;
}

enum srs_err
catalog_post_recording(struct catalog *c, const struct catalog_recording *r)
{
	const char *texts[] = { r->state, r->rs_id, r->cs_id, r->group_id, r->call_id, r->src_address, r->src_agent,
		                r->participants_json, r->streams_json, r->reason, r->session_ids };
	struct catalog_recording *copy;
	struct message *m;
	enum srs_err err = message_make(&m, MESSAGE_RECORDING, texts, sizeof(texts) / sizeof(texts[0]));
	char *room;

	if (err)
		return err;
	copy = &m->u.recording;
	*copy = *r;
	copy->held = false;
	room = text_move(&copy->state, m->texts);
	room = text_move(&copy->rs_id, room);
	room = text_move(&copy->cs_id, room);
	room = text_move(&copy->group_id, room);
	room = text_move(&copy->call_id, room);
	room = text_move(&copy->src_address, room);
	room = text_move(&copy->src_agent, room);
	room = text_move(&copy->participants_json, room);
	room = text_move(&copy->streams_json, room);
	room = text_move(&copy->reason, room);
	text_move(&copy->session_ids, room);
	return message_post(c, m);
}

enum srs_err
catalog_post_placed(struct catalog *c, const uint8_t recording[REEL_ID_SIZE], const uint8_t segment_uuid[REEL_ID_SIZE])
{
	struct message *m;
	enum srs_err err = message_make(&m, MESSAGE_PLACED, NULL, 0);

	if (err)
		return err;
	memcpy(m->u.placed.recording, recording, REEL_ID_SIZE);
	memcpy(m->u.placed.segment, segment_uuid, REEL_ID_SIZE);
	return message_post(c, m);
}

enum srs_err
catalog_post_segment(struct catalog *c, const struct catalog_segment *s)
{
	const char *texts[] = { s->path, s->state };
	struct message *m;
	enum srs_err err = message_make(&m, MESSAGE_SEGMENT, texts, 2);
	char *room;

	if (err)
		return err;
	m->u.segment = *s;
	room = text_move(&m->u.segment.path, m->texts);
	text_move(&m->u.segment.state, room);
	return message_post(c, m);
}

enum srs_err
catalog_post_ledger(struct catalog *c, const char *kind, const char *json)
{
	const char *texts[] = { kind, json };
	struct message *m;
	enum srs_err err = message_make(&m, MESSAGE_LEDGER, texts, 2);
	char *room;

	if (err)
		return err;
	m->u.ledger.kind = kind;
	m->u.ledger.json = json;
	room = text_move(&m->u.ledger.kind, m->texts);
	text_move(&m->u.ledger.json, room);
	return message_post(c, m);
}

uint32_t
catalog_queue_len(const struct catalog *c)
{
	return spsc_len(c->queue);
}

bool
catalog_has_room(const struct catalog *c)
{
	/* A quarter stays free for the recordings that are already open. */
	return catalog_queue_len(c) < CATALOG_QUEUE_MAX / 4 * 3 &&
	       atomic_load_explicit(&c->queued_bytes, memory_order_relaxed) < CATALOG_QUEUE_BYTES_MAX / 4 * 3;
}

uint64_t
catalog_n_failed_commits(const struct catalog *c)
{
	return atomic_load_explicit(&c->n_failed_commits, memory_order_relaxed);
}

/* ---- the thread ---- */

static void
batch_take(struct catalog *c)
{
	struct message *m;

	while (c->batch_len < BATCH_MAX && (m = spsc_pop(c->queue)) != NULL) {
		*c->batch_end = m;
		c->batch_end = &m->next;
		c->batch_len++;
	}
}

static void
batch_free(struct catalog *c)
{
	while (c->batch != NULL) {
		struct message *m = c->batch;

		c->batch = m->next;
		atomic_fetch_sub_explicit(&c->queued_bytes, m->size, memory_order_relaxed);
		free(m);
	}
	c->batch_end = &c->batch;
	c->batch_len = 0;
}

/* Ledger entries first and durable, before the rows that follow from them. */
static enum srs_err
batch_ledger(struct catalog *c)
{
	enum srs_err err = SRS_OK;
	bool any = false;

	for (struct message *m = c->batch; m != NULL && !err; m = m->next) {
		if (m->kind != MESSAGE_LEDGER || m->done)
			continue;
		err = ledger_append(c->ledger, m->u.ledger.kind, m->u.ledger.json);
		if (err == SRS_ERR_INVALID) {
			log_error("catalog", "ledger_entry_refused", "kind_len=%zu json_len=%zu", strlen(m->u.ledger.kind),
			          strlen(m->u.ledger.json));
			err = SRS_OK;
		}
		m->done = !err;
		any = true;
	}
	return !err && any ? ledger_sync(c->ledger) : err;
}

static enum srs_err
message_apply(struct catalog *c, const struct message *m)
{
	switch (m->kind) {
	case MESSAGE_RECORDING:
		return catalog_store_recording(c->store, &m->u.recording);
	case MESSAGE_PLACED:
		return catalog_store_placed(c->store, m->u.placed.recording, m->u.placed.segment);
	case MESSAGE_SEGMENT:
		return catalog_store_segment(c->store, &m->u.segment);
	case MESSAGE_LEDGER:
		break;
	}
	return SRS_OK;
}

/* Somebody deleted the file or put another in its place: go on in what is there now, and say what is missing. */
static enum srs_err
store_follow(struct catalog *c)
{
	struct catalog_store *again = NULL;
	char why[256] = "";
	enum srs_err err;

	if (catalog_store_in_place(c->store))
		return SRS_OK;
	err = catalog_store_open(&again, c->path, true, why, sizeof(why));
	if (err) {
		log_error("catalog", "catalog_lost", "why=\"%s\": tried again each second, recording goes on", why);
		return err;
	}
	log_error("catalog", "catalog_replaced", "path=%s remedy=\"stop the recorder and run capstan fsck --rebuild\"",
	          c->path);
	catalog_store_close(c->store);
	c->store = again;
	return SRS_OK;
}

/* All of the batch, or nothing: it stays for the next try. */
static enum srs_err
batch_commit(struct catalog *c)
{
	enum srs_err err = batch_ledger(c);

	if (!err)
		err = store_follow(c);
	if (!err)
		err = catalog_store_begin(c->store);
	for (struct message *m = c->batch; m != NULL && !err; m = m->next)
		err = message_apply(c, m);
	if (!err)
		err = catalog_store_commit(c->store);
	if (err) {
		atomic_fetch_add_explicit(&c->n_failed_commits, 1, memory_order_relaxed);
		log_error("catalog", "catalog_commit_failed", "err=%s messages=%u sqlite=\"%s\"", srs_err_name(err), c->batch_len,
		          catalog_store_error(c->store));
		catalog_store_rollback(c->store);
		return err;
	}
	batch_free(c);
	return SRS_OK;
}

static void
drain(struct catalog *c)
{
	for (unsigned int tries = 0; tries < STOP_TRIES;) {
		batch_take(c);
		if (c->batch == NULL)
			return;
		if (batch_commit(c))
			tries++;
	}
	log_error("catalog", "catalog_rows_lost", "messages=%u remedy=\"capstan fsck --rebuild\"",
	          c->batch_len + spsc_len(c->queue));
}

static void *
catalog_run(void *arg)
{
	struct catalog *c = arg;
	struct pollfd wake = { .fd = c->wake_fd, .events = POLLIN };

	/* Where cores are few, rows may be late, and answers may not. Without it all goes on the same. */
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	while (!atomic_load_explicit(&c->stopping, memory_order_acquire)) {
		enum srs_err err = SRS_OK;
		bool more;

		batch_take(c);
		more = c->batch_len == BATCH_MAX;
		if (c->batch != NULL)
			err = batch_commit(c);
		poll(&wake, 1, err ? RETRY_MS : more ? 0 : COMMIT_INTERVAL_MS);
	}
	drain(c);
	return NULL;
}

/* ---- life ---- */

static enum srs_err
files_open(struct catalog *c, const char *dir, char *why, size_t why_len)
{
	char path[CATALOG_PATH_MAX];
	struct ledger_state state;
	unsigned int n_interrupted;
	enum srs_err err;
	bool existed;

	if (mkdir(dir, 0750) != 0 && errno != EEXIST) {
		snprintf(why, why_len, "%s: cannot be made (%s); make the folder or change storage.devices", dir,
		         strerror(errno));
		return SRS_ERR_IO;
	}
	if ((size_t)snprintf(path, sizeof(path), "%s/" CATALOG_FILE, dir) >= sizeof(path))
		return SRS_ERR_LIMIT;
	existed = access(path, F_OK) == 0;
	snprintf(path, sizeof(path), "%s/" CATALOG_LEDGER_FILE, dir);
	err = ledger_open(&c->ledger, path, existed, &state, why, why_len);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/" CATALOG_FILE, dir);
	memcpy(c->path, path, sizeof(path));
	err = catalog_store_open(&c->store, path, true, why, why_len);
	if (err)
		return err;
	err = catalog_store_interrupt(c->store, &n_interrupted);
	if (err) {
		snprintf(why, why_len, "%s: cannot be written (%s); make it anew with capstan fsck --rebuild", path,
		         catalog_store_error(c->store));
		return err;
	}
	log_info("catalog", "catalog_opened", "dir=%s ledger_entries=%" PRIu64 " interrupted=%u", dir, state.n_entries,
	         n_interrupted);
	return SRS_OK;
}

enum srs_err
catalog_start(struct catalog **out, const char *dir, char *why, size_t why_len)
{
	struct catalog *c = calloc(1, sizeof(*c));
	enum srs_err err;

	if (c == NULL)
		return SRS_ERR_NOMEM;
	if (why_len != 0)
		why[0] = '\0';
	c->batch_end = &c->batch;
	c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = c->wake_fd >= 0 ? spsc_create(&c->queue, CATALOG_QUEUE_MAX) : SRS_ERR_IO;
	if (!err)
		err = files_open(c, dir, why, why_len);
	if (!err) {
		c->has_thread = pthread_create(&c->thread, NULL, catalog_run, c) == 0;
		err = c->has_thread ? SRS_OK : SRS_ERR_NOMEM;
	}
	if (err) {
		if (why_len != 0 && why[0] == '\0')
			snprintf(why, why_len, "%s: the catalog cannot start (%s)", dir, srs_err_name(err));
		catalog_stop(c);
		return err;
	}
	pthread_setname_np(c->thread, "catalog");
	*out = c;
	return SRS_OK;
}

void
catalog_stop(struct catalog *c)
{
	uint64_t one = 1;
	struct message *m;

	if (c == NULL)
		return;
	if (c->has_thread) {
		atomic_store_explicit(&c->stopping, true, memory_order_release);
		if (write(c->wake_fd, &one, sizeof(one)) != sizeof(one))
			log_warn("catalog", "catalog_wake_failed", "errno=%d", errno); /* the next tick sees it */
		pthread_join(c->thread, NULL);
	}
	batch_free(c);
	while (c->queue != NULL && (m = spsc_pop(c->queue)) != NULL)
		free(m);
	spsc_destroy(c->queue);
	catalog_store_close(c->store);
	ledger_close(c->ledger);
	if (c->wake_fd >= 0)
		close(c->wake_fd);
	free(c);
}
