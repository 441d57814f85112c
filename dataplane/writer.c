/* Life of a writer, its thread, and what comes in. */
#include "dataplane/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "dataplane/recovery.h"
#include "dataplane/writer_state.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define INTAKE_CHUNKS  64 /* of one lcore a turn */
#define PREFETCH_AHEAD 1
#define PREFETCH_PART  256 /* what a chunk touches of struct writer_part */
#define PREFETCH_BODY  1024 /* then the processor has seen where it goes */

/* ---- events ---- */

struct writer_event *
writer_event_take(struct writer *w, enum dataplane_event_kind kind)
{
	struct writer_event *ev = w->events_free;

	if (ev == NULL)
		return NULL;
	w->events_free = ev->next;
	w->n_events_free--;
	memset(ev, 0, sizeof(*ev));
	ev->e.kind = kind;
	ev->e.stream = DATAPLANE_NONE;
	return ev;
}

void
writer_event_drop(struct writer *w, struct writer_event *ev)
{
	ev->next = w->events_free;
	w->events_free = ev;
	w->n_events_free++;
}

void
writer_event_send(struct writer *w, struct writer_event *ev)
{
	bool pushed = spsc_push(w->events, &ev->e);

	srs_assert(pushed); /* the ring holds the whole pool */
}

static void
events_take_back(struct writer *w)
{
	struct writer_event *ev;

	while ((ev = spsc_pop(w->events_back)) != NULL)
		writer_event_drop(w, ev);
	if (!w->device_event_due || w->n_events_free == 0)
		return;
	ev = writer_event_take(w, w->device_event);
	ev->e.recording = DATAPLANE_NONE;
	ev->e.u.segment.device_i = w->spec.writer_id;
	writer_event_send(w, ev);
	w->device_event_due = false;
}

/* ---- commands: parts ---- */

static struct writer_part *
part_slot(struct writer *w, uint32_t recording, uint32_t part)
{
	return &w->parts[(size_t)recording * 2 + (part & 1)];
}

static struct seal_key *
part_seal_key(struct writer *w, const struct writer_part *p)
{
	return &w->keys[p - w->parts];
}

static enum srs_err
part_open(struct writer *w, const struct writer_command *c)
{
	const struct reel_envelope *envelope = &c->key.envelope;
	struct writer_recording *r = &w->recordings[c->recording];
	struct writer_part *p = part_slot(w, c->recording, c->part);
	struct block_slot *meta;
	struct block *b;
	uint8_t *slot;
	size_t used;
	enum srs_err err;

	if (p->state != WRITER_PART_FREE || envelope->part != c->part)
		return SRS_ERR_STATE;
	if (c->part == 0) {
		memset(r, 0, sizeof(*r));
		memcpy(r->id, envelope->recording, REEL_ID_SIZE);
	} else if (memcmp(r->id, envelope->recording, REEL_ID_SIZE) != 0) {
		return SRS_ERR_STATE;
	}
	memset(p, 0, sizeof(*p));
	memcpy(p->id, r->id, REEL_ID_SIZE);
	err = seal_key_init(w->seal_engine, part_seal_key(w, p), &c->key.dek, r->id, c->part, c->key.suite);
	if (!err)
		err = seal_commitment(&c->key.dek, r->id, c->part, c->key.suite, p->commitment);
	if (err) {
		secret_wipe(part_seal_key(w, p), sizeof(struct seal_key));
		return err;
	}
	p->state = WRITER_PART_OPEN;
	p->recording = c->recording;
	p->part = c->part;
	p->suite = c->key.suite;
	p->clear_media = c->key.clear_media;
	p->clear_documents = c->key.clear_documents;
	merkle_init(&p->tree);

	b = writer_block_for(w, 1);
	srs_assert(b != NULL); /* commands_take() looked */
	slot = writer_block_slot(w, b, &meta);
	used = reel_envelope_write(envelope, slot);
	memset(slot + used, 0, REEL_SLOT_SIZE - used);
	meta->crc = reel_slot_bytes_crc(slot);
	meta->recording = c->recording;
	meta->entry.kind = REEL_SLOT_ENVELOPE;
	meta->entry.part = c->part;
	memcpy(meta->entry.recording, r->id, REEL_ID_SIZE);
	return SRS_OK;
}

static unsigned int
commands_take(struct writer *w)
{
	unsigned int n = 0;

	while (n < INTAKE_CHUNKS && w->n_events_free > WRITER_EVENTS_SPARE && writer_block_for(w, 1) != NULL) {
		struct writer_command *c = spsc_pop(w->commands);
		struct writer_event *ev;
		bool pushed;

		if (c == NULL)
			break;
		ev = writer_event_take(w, c->part == 0 ? EVENT_RECORDING_OPENED : EVENT_PART_STARTED);
		ev->e.err = part_open(w, c);
		ev->e.cookie = c->cookie;
		ev->e.recording = c->recording;
		ev->e.part = c->part;
		memcpy(ev->e.recording_id, c->key.envelope.recording, REEL_ID_SIZE);
		writer_event_send(w, ev);
		secret_wipe(&c->key, sizeof(c->key));
		pushed = spsc_push(w->commands_back, c);
		srs_assert(pushed);
		n++;
	}
	return n;
}

/* ---- chunks ---- */

static void
missing_note(struct writer_part *p, uint64_t first, uint64_t last)
{
	struct reel_seal_missing *before = p->n_missing != 0 ? &p->missing[p->n_missing - 1] : NULL;

	if (before != NULL && before->last + 1 == first)
		before->last = last;
	else if (p->n_missing == WRITER_MISSING_MAX)
		p->missing_unnamed += last - first + 1;
	else
		p->missing[p->n_missing++] = (struct reel_seal_missing){ .first = first, .last = last };
}

static void
chunk_lost(struct writer *w, struct chunk *c, const char *why)
{
	log_error("writer", "chunk_refused", "dev=%u recording=%u part=%u chunk=%llu why=%s", w->spec.writer_id,
	          c->recording, c->part, (unsigned long long)c->chunk_no, why);
	writer_count(&w->counters.chunks_lost_error, 1);
	writer_count(&w->counters.frames_lost, c->n_frames);
}

/* Packet time of the last frame: the seal tells it, and only here is the body in clear. Within a chunk time does not
 * go back, so this hops from length to length (two bytes, first in a frame) and reads the last one alone. */
static void
part_times(struct writer_part *p, const struct chunk *c)
{
	size_t at = 0, next = 0;
	struct reel_frame last;

	if (p->n_chunks == 0)
		p->first_wall_ns = c->first_wall_ns;
	while (next + REEL_FRAME_HEADER_SIZE <= c->used) {
		at = next;
		next += REEL_FRAME_HEADER_SIZE + ((size_t)c->body[at] << 8 | c->body[at + 1]);
	}
	if (reel_frame_next(&last, span_of(c->body, c->used), c->first_wall_ns, &at) == SRS_OK &&
	    last.wall_ns > p->last_wall_ns)
		p->last_wall_ns = last.wall_ns;
}

static void
chunk_seal(struct writer *w, struct writer_part *p, const struct chunk *c, struct block *b)
{
	bool documents = (c->flags & REEL_CHUNK_DOCUMENTS) != 0;
	struct block_slot *meta;
	uint8_t *slot = writer_block_slot(w, b, &meta);
	struct reel_chunk head = {
		.suite = p->suite,
		.flags = c->flags & (REEL_CHUNK_END | REEL_CHUNK_FINAL | REEL_CHUNK_DOCUMENTS),
		.chunk_no = c->chunk_no,
		.part = c->part,
		.first_wall_ns = c->first_wall_ns,
		.body_len = c->used,
		.n_frames = c->n_frames,
	};

	if (c->chunk_no == 0) {
		head.flags |= REEL_CHUNK_COMMITMENT;
		memcpy(head.commitment, p->commitment, REEL_COMMITMENT_SIZE);
	}
	if (documents ? p->clear_documents : p->clear_media)
		head.flags |= REEL_CHUNK_CLEAR;
	memcpy(head.recording, p->id, REEL_ID_SIZE);
	seal_chunk(w->seal_engine, part_seal_key(w, p), &head, c->body, slot);

	meta->crc = reel_slot_bytes_crc(slot);
	meta->recording = c->recording;
	meta->part = p;
	meta->signed_len = (uint32_t)reel_chunk_signed(&head, slot).len;
	meta->entry.kind = REEL_SLOT_CHUNK;
	meta->entry.part = c->part;
	meta->entry.chunk_no = c->chunk_no;
	meta->entry.flags = (uint8_t)head.flags;
	memcpy(meta->entry.recording, head.recording, REEL_ID_SIZE);
	writer_block_chunk(w, b, c->n_frames);
	part_times(p, c);
	p->n_chunks++;
	p->n_frames += c->n_frames;
	p->bytes += c->used;
}

/* One chunk. Its descriptor and body are the lcore's again when this returns. */
static void
chunk_take(struct writer *w, struct chunk *c)
{
	struct writer_part *p = NULL;
	struct block *b;

	writer_count(&w->counters.chunks_in, 1);
	if (c->recording < w->spec.recordings_max)
		p = part_slot(w, c->recording, c->part);
	if (p == NULL || p->state != WRITER_PART_OPEN || p->part != c->part) {
		chunk_lost(w, c, "no_key");
		free(c->seal);
		c->seal = NULL;
		return;
	}
	if (c->chunk_no < p->next_chunk_no) {
		/* A number is a nonce: never seal it twice. */
		chunk_lost(w, c, "number_used");
	} else {
		if (c->chunk_no > p->next_chunk_no)
			missing_note(p, p->next_chunk_no, c->chunk_no - 1);
		p->next_chunk_no = c->chunk_no + 1;
		if (c->used > reel_chunk_body_max(c->chunk_no == 0 ? REEL_CHUNK_COMMITMENT : 0)) {
			missing_note(p, c->chunk_no, c->chunk_no);
			chunk_lost(w, c, "too_long");
		} else {
			b = writer_block_for(w, 1);
			srs_assert(b != NULL); /* chunks_take() looked */
			chunk_seal(w, p, c, b);
		}
	}
	if (c->flags & REEL_CHUNK_END) {
		secret_wipe(part_seal_key(w, p), sizeof(struct seal_key));
		writer_part_end(w, p, (c->flags & REEL_CHUNK_FINAL) != 0, c->seal);
		c->seal = NULL;
	}
}

static void
lines_prefetch(const void *at, size_t len)
{
	for (size_t i = 0; i < len; i += SRS_CACHE_LINE)
		__builtin_prefetch((const uint8_t *)at + i);
}

/* A recording comes by each half second: its key and part are cold by then, and the body was another core's. */
static void
chunk_prefetch(const struct writer *w, const struct chunk *c)
{
	size_t part_i = (size_t)c->recording * 2 + (c->part & 1);

	if (c->recording >= w->spec.recordings_max)
		return;
	lines_prefetch(&w->parts[part_i], PREFETCH_PART);
	lines_prefetch(&w->keys[part_i], sizeof(w->keys[part_i]));
	lines_prefetch(c->body, PREFETCH_BODY);
}

/* Chunks that there is room for. What finds none stays in the ring: the lcore's pool is the buffer behind ours. */
static unsigned int
chunks_room(struct writer *w)
{
	const struct block *b = writer_can_end(w) ? writer_block_for(w, 1) : NULL;
	unsigned int room = INTAKE_CHUNKS;

	if (b == NULL)
		return 0;
	if (room > b->n_max - b->n)
		room = b->n_max - b->n;
	if (room > WRITER_ENDINGS_MAX - w->n_endings)
		room = WRITER_ENDINGS_MAX - w->n_endings;
	return room;
}

static unsigned int
lcore_chunks_take(struct writer *w, struct writer_lcore *l)
{
	struct chunk *c[INTAKE_CHUNKS];
	unsigned int room = chunks_room(w), n = 0;

	while (n < room && (c[n] = spsc_pop(l->full)) != NULL)
		__builtin_prefetch(c[n++]);
	for (unsigned int i = 0; i < n; i++) {
		bool pushed;

		if (i + PREFETCH_AHEAD < n)
			chunk_prefetch(w, c[i + PREFETCH_AHEAD]);
		chunk_take(w, c[i]);
		pushed = spsc_push(l->empty, c[i]);
		srs_assert(pushed);
	}
	return n;
}

static unsigned int
chunks_take(struct writer *w)
{
	unsigned int n = 0;

	for (uint16_t i = 0; i < w->spec.n_lcores; i++)
		n += lcore_chunks_take(w, &w->lcores[i]);
	return n;
}

/* ---- the thread ---- */

static bool
commit_is_due(const struct writer *w, uint64_t now)
{
	if (atomic_load_explicit(&w->refuses, memory_order_relaxed) != REEL_REASON_NONE)
		return now >= w->retry_mono_ns;
	if (w->commit_now || w->n_blocks_free <= w->n_blocks / 4 || w->n_endings == WRITER_ENDINGS_MAX)
		return true;
	/* `now` is the turn's start: what came in since is younger than that. */
	return w->dirty_mono_ns != 0 && now >= w->dirty_mono_ns + w->commit_interval_ns;
}

static unsigned int
writer_turn(struct writer *w, uint64_t now)
{
	unsigned int n;

	events_take_back(w);
	n = commands_take(w) + chunks_take(w);
	writer_blocks_poll(w);
	if (commit_is_due(w, now))
		writer_commit(w);
	if (now - w->space_mono_ns >= 1000000000u) {
		w->space_mono_ns = now;
		writer_space_check(w);
	}
	return n;
}

static bool
rings_empty(const struct writer *w)
{
	for (uint16_t i = 0; i < w->spec.n_lcores; i++)
		if (spsc_len(w->lcores[i].full) != 0)
			return false;
	return true;
}

/* After the lcores stopped: everything that they handed over becomes durable, or is counted. */
static void
writer_drain(struct writer *w)
{
	uint64_t deadline = writer_mono_ns() + WRITER_STOP_MS * 1000000ull;
	uint64_t bytes_durable = w->counters.bytes_durable;

	do {
		events_take_back(w);
		(void)chunks_take(w);
		writer_commit(w);
		if (w->counters.bytes_durable != bytes_durable) { /* slow is not failing */
			bytes_durable = w->counters.bytes_durable;
			deadline = writer_mono_ns() + WRITER_STOP_MS * 1000000ull;
		}
		if (rings_empty(w) && w->dirty_mono_ns == 0 && w->n_endings == 0) {
			if (writer_segment_finish(w) == SRS_OK)
				return;
		}
		if (atomic_load_explicit(&w->refuses, memory_order_relaxed) != REEL_REASON_NONE)
			nanosleep(&(struct timespec){ .tv_nsec = WRITER_IDLE_NS }, NULL);
	} while (writer_mono_ns() < deadline);
	writer_give_up(w);
	for (uint16_t i = 0; i < w->spec.n_lcores; i++) {
		struct chunk *c;

		while ((c = spsc_pop(w->lcores[i].full)) != NULL) {
			chunk_lost(w, c, "stopping");
			free(c->seal);
			c->seal = NULL;
			(void)spsc_push(w->lcores[i].empty, c);
		}
	}
}

/* Processor time of this thread: waiting for the disk is not work. */
static void
busy_note(struct writer *w)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	__atomic_store_n(&w->counters.ns_busy, (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec,
	                 __ATOMIC_RELAXED);
}

static void *
writer_run(void *arg)
{
	struct writer *w = arg;
	unsigned int n_empty = 0;

	while (!atomic_load_explicit(&w->stop, memory_order_acquire)) {
		uint64_t now = writer_mono_ns();

		n_empty = writer_turn(w, now) == 0 ? n_empty + 1 : 0;
		if (n_empty != 0)
			nanosleep(&(struct timespec){ .tv_nsec = n_empty <= WRITER_BRISK_TURNS ? WRITER_BRISK_NS : WRITER_IDLE_NS },
			          NULL);
		busy_note(w);
	}
	writer_drain(w);
	return NULL;
}

/* ---- life ---- */

static enum srs_err
folder_make(const char *path)
{
	return mkdir(path, 0700) == 0 || errno == EEXIST ? SRS_OK : SRS_ERR_IO;
}

/* The vault's folders, and the lock that says whose they are. */
static enum srs_err
vault_take(struct writer *w, char *why, size_t why_len)
{
	char path[SEGMENT_PATH_MAX + 8];

	if (folder_make(w->spec.path) != SRS_OK || folder_make(w->folder) != SRS_OK) {
		(void)snprintf(why, why_len, "cannot make the vault folder %s: %s", w->folder, strerror(errno));
		return SRS_ERR_IO;
	}
	(void)snprintf(path, sizeof(path), "%s/lock", w->spec.path);
	w->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->lock_fd < 0) {
		(void)snprintf(why, why_len, "cannot open %s: %s", path, strerror(errno));
		return SRS_ERR_IO;
	}
	if (flock(w->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		(void)snprintf(why, why_len, "the vault %s is in use by another recorder; stop that one or name another folder",
		               w->spec.path);
		return SRS_ERR_STATE;
	}
	return SRS_OK;
}

static enum srs_err
events_create(struct writer *w)
{
	enum srs_err err;

	/* Recovery speaks before anybody listens: its events have room beside the rest. */
	w->n_events = 4 * w->spec.recordings_max + 4096 + recovery_events_max(w->recovery);
	w->event_pool = calloc(w->n_events, sizeof(*w->event_pool));
	w->command_pool = secret_alloc(WRITER_COMMANDS * sizeof(*w->command_pool));
	if (w->event_pool == NULL || w->command_pool == NULL)
		return SRS_ERR_NOMEM;
	err = spsc_create(&w->events, w->n_events);
	if (!err)
		err = spsc_create(&w->events_back, w->n_events);
	if (!err)
		err = spsc_create(&w->commands, WRITER_COMMANDS);
	if (!err)
		err = spsc_create(&w->commands_back, WRITER_COMMANDS);
	if (err)
		return err;
	for (uint32_t i = 0; i < w->n_events; i++)
		writer_event_drop(w, &w->event_pool[i]);
	for (uint32_t i = 0; i < WRITER_COMMANDS; i++)
		if (!spsc_push(w->commands_back, &w->command_pool[i]))
			return SRS_ERR_NOMEM;
	return SRS_OK;
}

static enum srs_err
tables_create(struct writer *w)
{
	size_t n_parts = (size_t)w->spec.recordings_max * 2;
	enum srs_err err = SRS_OK;

	w->keys_len = n_parts * sizeof(*w->keys);
	if (!memory_take(&w->recording_memory, w->spec.recordings_max * sizeof(*w->recordings), false) ||
	    !memory_take(&w->part_memory, n_parts * sizeof(*w->parts), false))
		return SRS_ERR_NOMEM;
	w->recordings = w->recording_memory.at;
	w->parts = w->part_memory.at;
	w->keys = secret_alloc(w->keys_len);
	w->lcores = calloc(w->spec.n_lcores, sizeof(*w->lcores));
	if (w->keys == NULL || w->lcores == NULL)
		return SRS_ERR_NOMEM;
	for (uint16_t i = 0; i < w->spec.n_lcores && !err; i++) {
		err = spsc_create(&w->lcores[i].full, w->spec.ring_len);
		if (!err)
			err = spsc_create(&w->lcores[i].empty, w->spec.ring_len);
	}
	return err;
}

static enum srs_err
engines_create(struct writer *w)
{
	enum srs_err err;

	w->seal_engine = seal_engine_create();
	w->lanes = digest_lanes_create();
	if (w->seal_engine == NULL || w->lanes == NULL)
		return SRS_ERR_NOMEM;
	err = keystore_signer_create(&w->signer, w->spec.keystore);
	if (err)
		return err;
	keystore_signer_id(w->signer, w->node_key_id);
	if (w->storage != NULL)
		return SRS_OK;
	w->owns_storage = true;
	return storage_create(&w->storage, w->spec.config->storage.engine, w->n_blocks + 2);
}

static void
writer_settings(struct writer *w)
{
	const struct config *c = w->spec.config;

	w->n_blocks = w->spec.n_blocks != 0 ? w->spec.n_blocks : WRITER_BLOCKS;
	if (w->n_blocks < WRITER_BLOCKS_MIN)
		w->n_blocks = WRITER_BLOCKS_MIN;
	if (w->n_blocks > WRITER_BLOCKS_MAX)
		w->n_blocks = WRITER_BLOCKS_MAX;
	w->segment_slots = ((uint64_t)c->storage.segment_mib << 20) / REEL_SLOT_SIZE;
	if (w->segment_slots < SEGMENT_SLOTS_MIN)
		w->segment_slots = SEGMENT_SLOTS_MIN;
	w->commit_interval_ns = (uint64_t)c->storage.commit_interval_ms * 1000000u;
	w->bound_base_ms = c->storage.chunk_age_ms + c->storage.commit_interval_ms;
	if (c->node.name != NULL)
		(void)snprintf(w->node, sizeof(w->node), "%s", c->node.name);
}

enum srs_err
writer_create(struct writer **out, const struct writer_spec *spec, char *why, size_t why_len)
{
	struct writer *w = calloc(1, sizeof(*w));
	enum srs_err err;

	if (w == NULL)
		return SRS_ERR_NOMEM;
	w->spec = *spec;
	w->storage = spec->storage;
	w->segment.fd = -1;
	w->lock_fd = -1;
	writer_settings(w);
	(void)snprintf(w->folder, sizeof(w->folder), "%s/segments", spec->path);
	(void)snprintf(why, why_len, "the writer of %s cannot start: no memory for its tables", spec->path);
	err = vault_take(w, why, why_len);
	if (!err)
		err = recovery_scan(&w->recovery, w->folder, why, why_len);
	if (!err)
		err = tables_create(w);
	if (!err)
		err = events_create(w);
	if (!err)
		err = engines_create(w);
	if (!err)
		err = writer_blocks_create(w);
	if (!err)
		err = writer_seals_create(w);
	if (!err)
		err = segment_init(&w->segment, w->storage, w->folder, w->segment_slots);
	if (err)
		writer_destroy(w);
	else
		*out = w;
	return err;
}

static void
affinity_set(struct writer *w)
{
	cpu_set_t set;

	if (w->spec.cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned int)w->spec.cpu, &set);
	if (pthread_setaffinity_np(w->thread, sizeof(set), &set) != 0)
		log_warn("writer", "affinity_refused", "dev=%u cpu=%d", w->spec.writer_id, w->spec.cpu);
}

enum srs_err
writer_start(struct writer *w, char *why, size_t why_len)
{
	enum srs_err err;

	w->next_sequence = recovery_next_sequence(w->recovery);
	recovery_release_unused(w->recovery, w->storage);
	err = writer_segment_open(w);
	if (err) {
		(void)snprintf(why, why_len, "cannot create a segment of %u MiB in %s: %s", w->spec.config->storage.segment_mib,
		               w->folder, err == SRS_ERR_LIMIT ? "no space; free some or lower storage.segment_mib"
		                                               : srs_err_name(err));
		return err;
	}
	err = writer_recover(w);
	if (err) {
		(void)snprintf(why, why_len, "cannot finish what an earlier process left open in %s: %s", w->folder,
		               srs_err_name(err));
		return err;
	}
	writer_space_check(w);
	if (pthread_create(&w->thread, NULL, writer_run, w) != 0) {
		(void)snprintf(why, why_len, "cannot start the writer thread of %s", w->folder);
		return SRS_ERR_NOMEM;
	}
	w->running = true;
	(void)pthread_setname_np(w->thread, "writer");
	affinity_set(w);
	log_info("writer", "writer_started", "dev=%u engine=%s folder=%s", w->spec.writer_id, storage_name(w->storage),
	         w->folder);
	return SRS_OK;
}

void
writer_stop(struct writer *w)
{
	if (!w->running)
		return;
	atomic_store_explicit(&w->stop, true, memory_order_release); /* pairs with writer_run's load */
	pthread_join(w->thread, NULL);
	w->running = false;
}

void
writer_destroy(struct writer *w)
{
	if (w == NULL)
		return;
	writer_stop(w);
	segment_free(&w->segment);
	writer_seals_free(w);
	if (w->owns_storage)
		storage_destroy(w->storage);
	writer_blocks_free(w);
	keystore_signer_destroy(w->signer);
	digest_lanes_destroy(w->lanes);
	seal_engine_destroy(w->seal_engine);
	spsc_destroy(w->commands);
	spsc_destroy(w->commands_back);
	spsc_destroy(w->events);
	spsc_destroy(w->events_back);
	secret_free(w->command_pool, WRITER_COMMANDS * sizeof(*w->command_pool));
	free(w->event_pool);
	for (uint16_t i = 0; w->lcores != NULL && i < w->spec.n_lcores; i++) {
		spsc_destroy(w->lcores[i].full);
		spsc_destroy(w->lcores[i].empty);
	}
	free(w->lcores);
	secret_free(w->keys, w->keys_len);
	memory_give(&w->part_memory);
	memory_give(&w->recording_memory);
	recovery_free(w->recovery);
	if (w->lock_fd >= 0)
		close(w->lock_fd);
	free(w);
}

/* ---- the other threads' ends ---- */

struct spsc *
writer_full_ring(struct writer *w, uint16_t lcore_i)
{
	return w->lcores[lcore_i].full;
}

struct spsc *
writer_empty_ring(struct writer *w, uint16_t lcore_i)
{
	return w->lcores[lcore_i].empty;
}

enum reel_reason
writer_refuses(const struct writer *w)
{
	return (enum reel_reason)atomic_load_explicit(&w->refuses, memory_order_relaxed);
}

enum srs_err
writer_part_open(struct writer *w, uint32_t recording, uint32_t part, const struct part_key *key, uint64_t cookie)
{
	struct writer_command *c;

	if (recording >= w->spec.recordings_max)
		return SRS_ERR_LIMIT;
	c = spsc_pop(w->commands_back);
	if (c == NULL)
		return SRS_ERR_LIMIT;
	c->recording = recording;
	c->part = part;
	c->cookie = cookie;
	c->key = *key;
	if (!spsc_push(w->commands, c))
		srs_assert_failed("commands ring holds its pool", __FILE__, __LINE__);
	return SRS_OK;
}

struct spsc *
writer_events(struct writer *w)
{
	return w->events;
}

void
writer_event_free(struct writer *w, struct dataplane_event *e)
{
	bool pushed = spsc_push(w->events_back, e);

	srs_assert(pushed);
}

bool
writer_has_room(const struct writer *w)
{
	return atomic_load_explicit(&w->space_ok, memory_order_relaxed) && writer_refuses(w) == REEL_REASON_NONE;
}

void
writer_counters_read(const struct writer *w, struct writer_counters *out)
{
	const uint64_t *from = (const uint64_t *)&w->counters;
	uint64_t *to = (uint64_t *)out;

	static_assert(sizeof(*out) % sizeof(uint64_t) == 0, "counters are 64-bit cells");
	for (size_t i = 0; i < sizeof(*out) / sizeof(uint64_t); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}
