/* A writer alone: one fake lcore hands over full chunks as fast as they come back, the writer seals, hashes, writes
 * and commits them to a real file. Prints one JSON line. The result is ok only when every chunk is found again on
 * the disk by a walk that checks each slot, and nothing was counted as lost. */
#include <dirent.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/keystore.h"
#include "crypto/secret.h"
#include "dataplane/memory.h"
#include "dataplane/segment_file.h"
#include "dataplane/writer.h"
#include "lib/srs_log.h"

#define POOL	    8192u
#define FRAME_BYTES 172u
#define N_FRAMES    21u

struct bench {
	struct config config;
	struct keystore *keystore;
	struct writer *writer;
	struct memory chunk_memory, body_memory; /* as an lcore takes them */
	struct chunk *chunks;
	uint8_t *bodies;
	uint64_t *next_no; /* by recording */
	uint32_t n_recordings, n_opened, n_sealed;
	uint64_t n_chunks;
	bool keep;
	char dir[256];
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint16_t
body_fill(uint8_t *body)
{
	struct filler f = filler_of(body, REEL_BODY_MAX);
	uint8_t payload[FRAME_BYTES];

	memset(payload, 0xd5, sizeof(payload));
	for (uint32_t i = 0; i < N_FRAMES; i++) {
		write_u16be(&f, FRAME_BYTES);
		write_u8(&f, REEL_FRAME_RTP);
		write_u8(&f, 0);
		write_u32be(&f, i * 20000);
		write_u32be(&f, 65536 + i);
		write_bytes(&f, payload, FRAME_BYTES);
	}
	return (uint16_t)filler_used(&f);
}

static bool
bench_create(struct bench *b, char *why, size_t why_len)
{
	struct keystore_spec ks = { .store = "memory", .rotation_interval_s = 86400, .create = true };
	struct writer_spec spec = {
		.path = b->dir,
		.config = &b->config,
		.recordings_max = b->n_recordings,
		.n_lcores = 1,
		.ring_len = POOL,
		.cpu = -1,
	};

	b->next_no = calloc(b->n_recordings, sizeof(*b->next_no));
	if (b->next_no == NULL || !memory_take(&b->chunk_memory, POOL * sizeof(*b->chunks), false) ||
	    !memory_take(&b->body_memory, (size_t)POOL * REEL_SLOT_SIZE, false))
		return false;
	b->chunks = b->chunk_memory.at;
	b->bodies = b->body_memory.at;
	if (keystore_open(&b->keystore, &ks, why, why_len) != SRS_OK)
		return false;
	spec.keystore = b->keystore;
	if (writer_create(&b->writer, &spec, why, why_len) != SRS_OK)
		return false;
	for (uint32_t i = 0; i < POOL; i++) {
		b->chunks[i].body = b->bodies + (size_t)i * REEL_SLOT_SIZE;
		b->chunks[i].used = body_fill(b->chunks[i].body);
		b->chunks[i].n_frames = N_FRAMES;
		if (!spsc_push(writer_empty_ring(b->writer, 0), &b->chunks[i]))
			return false;
	}
	return writer_start(b->writer, why, why_len) == SRS_OK;
}

/* Take what came and tally it. */
static void
events_take(struct bench *b)
{
	struct dataplane_event *e;

	while ((e = spsc_pop(writer_events(b->writer))) != NULL) {
		b->n_opened += e->kind == EVENT_RECORDING_OPENED && e->err == SRS_OK;
		b->n_sealed += e->kind == EVENT_RECORDING_SEALED && e->err == SRS_OK;
		writer_event_free(b->writer, e);
	}
}

static bool
recordings_open(struct bench *b)
{
	struct part_key key = { .suite = REEL_SUITE_AES_256_GCM };
	uint8_t id[REEL_ID_SIZE];

	for (uint32_t r = 0; r < b->n_recordings; r++) {
		if (secret_random(id, sizeof(id)) != SRS_OK ||
		    keystore_dek_create(b->keystore, key.suite, &key.dek, &key.envelope) != SRS_OK)
			return false;
		memcpy(key.envelope.recording, id, sizeof(id));
		while (writer_part_open(b->writer, r, 0, &key, r) != SRS_OK) {
			events_take(b);
			sched_yield();
		}
	}
	while (b->n_opened < b->n_recordings) {
		events_take(b);
		usleep(200);
	}
	return true;
}

static void
push(struct bench *b, uint32_t recording, bool end)
{
	struct chunk *c;
	uint16_t body_max;

	while ((c = spsc_pop(writer_empty_ring(b->writer, 0))) == NULL) {
		events_take(b);
		usleep(100);
	}
	c->recording = recording;
	c->part = 0;
	c->chunk_no = b->next_no[recording]++;
	c->first_wall_ns = 1700000000000000000u + c->chunk_no * 420000000u;
	c->flags = end ? REEL_CHUNK_END | REEL_CHUNK_FINAL : 0;
	/* Chunk 0 is shorter by the commitment; a whole number of frames fits both. */
	body_max = (uint16_t)reel_chunk_body_max(c->chunk_no == 0 ? REEL_CHUNK_COMMITMENT : 0);
	while (c->used > body_max) {
		c->used -= REEL_FRAME_HEADER_SIZE + FRAME_BYTES;
		c->n_frames--;
	}
	if (!spsc_push(writer_full_ring(b->writer, 0), c))
		abort();
}

/* Chunks on the disk, each slot checked. */
static uint64_t
chunks_found(struct bench *b)
{
	char folder[300], path[600];
	uint64_t n = 0;
	struct dirent *d;
	DIR *dir;

	(void)snprintf(folder, sizeof(folder), "%s/segments", b->dir);
	dir = opendir(folder);
	while (dir != NULL && (d = readdir(dir)) != NULL) {
		struct segment_file f;
		uint8_t slot[REEL_SLOT_SIZE];

		(void)snprintf(path, sizeof(path), "%s/%s", folder, d->d_name);
		if (d->d_name[0] == '.')
			continue;
		if (segment_file_open(&f, path) == SRS_OK) {
			for (uint64_t i = 1; i < f.header.footer_slot; i++)
				n += segment_file_slot(&f, i, slot) == REEL_SLOT_CHUNK;
			segment_file_close(&f);
		}
		if (!b->keep)
			(void)unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
	if (b->keep)
		return n;
	(void)rmdir(folder);
	(void)snprintf(path, sizeof(path), "%s/lock", b->dir);
	(void)unlink(path);
	(void)rmdir(b->dir);
	return n;
}

static int
bench_run(struct bench *b)
{
	struct writer_counters c;
	uint64_t start, end, found, busy_before;
	double busy_ns, seconds;
	bool ok;

	if (!recordings_open(b))
		return 1;
	writer_counters_read(b->writer, &c);
	busy_before = c.ns_busy;
	start = now_ns();
	for (uint64_t i = 0; i < b->n_chunks; i++)
		push(b, (uint32_t)(i % b->n_recordings), false);
	do {
		writer_counters_read(b->writer, &c);
		events_take(b);
		usleep(200);
	} while (c.chunks_durable + c.chunks_lost_error < b->n_chunks);
	end = now_ns();
	seconds = (double)(end - start) / 1e9;
	busy_ns = (double)(c.ns_busy - busy_before) / (double)c.chunks_in;
	for (uint32_t r = 0; r < b->n_recordings; r++) {
		push(b, r, true);
		events_take(b);
	}
	while (b->n_sealed < b->n_recordings) {
		events_take(b);
		usleep(200);
	}
	writer_stop(b->writer);
	writer_counters_read(b->writer, &c);
	found = chunks_found(b);
	ok = found == b->n_chunks + b->n_recordings && c.frames_lost == 0 && b->n_sealed == b->n_recordings;
	printf("{\"bench\":\"writer\",\"chunks\":%llu,\"recordings\":%u,\"mb_per_s\":%.0f,\"ns_per_chunk\":%.0f,"
	       "\"ns_per_packet\":%.1f,\"commits\":%llu,\"commit_us_max\":%llu,\"chunks_found\":%llu,\"ok\":%s}\n",
	       (unsigned long long)b->n_chunks, b->n_recordings,
	       (double)b->n_chunks * REEL_SLOT_SIZE / 1e6 / seconds, busy_ns, busy_ns / N_FRAMES,
	       (unsigned long long)c.commits, (unsigned long long)(c.commit_ns_max / 1000), (unsigned long long)found,
	       ok ? "true" : "false");
	return ok ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "chunks", required_argument, NULL, 'c' },	{ "recordings", required_argument, NULL, 'r' },
		{ "engine", required_argument, NULL, 'e' },	{ "segment-mib", required_argument, NULL, 's' },
		{ "folder", required_argument, NULL, 'f' },	{ "keep", no_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 },
	};
	struct bench b = { .n_recordings = 1000, .n_chunks = 100000, .dir = "/tmp/capstan-bench-writer" };
	char why[512] = "no memory";
	int o, status = 1;

	b.config.node.name = (char *)(uintptr_t)"bench";
	b.config.storage.segment_mib = 256;
	b.config.storage.commit_interval_ms = 100;
	b.config.storage.chunk_age_ms = 500;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'c')
			b.n_chunks = strtoull(optarg, NULL, 10);
		else if (o == 'r')
			b.n_recordings = (uint32_t)strtoul(optarg, NULL, 10);
		else if (o == 'e')
			b.config.storage.engine = strcmp(optarg, "pwrite") == 0 ? CONFIG_DISK_PWRITE : CONFIG_DISK_AUTO;
		else if (o == 's')
			b.config.storage.segment_mib = (uint32_t)strtoul(optarg, NULL, 10);
		else if (o == 'f')
			(void)snprintf(b.dir, sizeof(b.dir), "%s", optarg);
		else if (o == 'k')
			b.keep = true;
		else
			return 2;
	}
	if (b.n_recordings == 0 || b.n_recordings > 100000 || b.n_chunks == 0) {
		fprintf(stderr, "bench-writer: --recordings takes 1 to 100000, --chunks at least 1\n");
		return 2;
	}
	srs_log_level_set(SRS_LOG_WARN);
	if (bench_create(&b, why, sizeof(why)))
		status = bench_run(&b);
	else
		fprintf(stderr, "bench-writer: %s\n", why);
	writer_destroy(b.writer);
	keystore_close(b.keystore);
	memory_give(&b.chunk_memory);
	memory_give(&b.body_memory);
	free(b.next_no);
	return status;
}
