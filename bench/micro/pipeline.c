/* What one packet costs an lcore: pre-built RTP or SRTP of many streams, in random order, through parse, lookup, source,
 * unprotect, append and the writer to a file; then the file is read back, each packet compared and counted.
 *
 * The lcore is driven by a thread of this program, turn by turn as lcore.c does it, and the TSC of each turn that had
 * packets is kept. `ns_per_packet` is the mean of all turns but those in which another program had the CPU: more than
 * CUT times the median turn, or 50 us. Their share is printed (`cut`), the mean with them (`ns_per_packet_all`), and
 * the median. Packets say "checksum good", as a NIC with offload does; they come from another core's cache. The feeder
 * waits for the lcore and for chunks, so that nothing is lost; a run with a loss is no result. One JSON line.
 *
 * With --suite each stream has keys of its own. The feeder protects AHEAD packets, each under a new index, while the
 * lcore has nothing to do, and then feeds them: no packet is protected within a measured turn, and those of a turn have
 * left the feeder's own caches. */
#include <dirent.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "bench/micro/sender.h"
#include "crypto/keystore.h"
#include "dataplane/dataplane_state.h"

#define HEADERS_SIZE    (14 + 20 + 8)
#define PACKET_SIZE     172
#define ADDRESS_STREAMS 60000u	/* ports taken of one address */
#define PORT_FIRST      2048u
#define STREAMS_MAX     240000u
#define FEED_BURST      32
#define SLICE           4096	/* packets between two looks at the chunks */
#define AHEAD           8192	/* protected before the first of them is fed */
#define TURNS_MAX       (1u << 21)
#define CUT             8	/* times the median turn: another program had the CPU */
#define CUT_NS_MIN      50000

struct bench {
	uint32_t n_streams, n_recordings;
	uint64_t n_packets, warm_up;
	double seconds;
	char dir[256];
	bool keep_dir;
	struct config *config;
	struct keystore *ks;
	struct dataplane *dp;
	struct rte_mempool *pool;
	struct rte_mbuf **mbufs;
	uint32_t *stream_of;	/* by mbuf */
	uint32_t *index;	/* by stream: next; ROC and SEQ */
	enum srtp_suite suite;	/* NONE: plain RTP */
	const char *engine;
	bool reports;
	struct srtp_master *masters;	/* by stream */
	struct sender **senders;
	uint32_t n_mbufs;
	pthread_t thread;	/* the lcore's */
	_Atomic bool stop, measure;
	struct turn {
		uint32_t cycles;
		uint32_t n;	/* packets */
	} *turns;
	uint32_t n_turns;
	unsigned int events[EVENT_DEVICE_FAILED + 1];
	unsigned int failed;
};

static void
die(const char *what)
{
	fprintf(stderr, "bench-pipeline: %s\n", what);
	exit(1);
}

static void
on_event(void *ctx, const struct dataplane_event *e)
{
	struct bench *b = ctx;

	b->events[e->kind]++;
	b->failed += e->err != SRS_OK;
}

static void
wait_events(struct bench *b, enum dataplane_event_kind kind, unsigned int n)
{
	const struct timespec t = { .tv_nsec = 100000 };

	for (unsigned int i = 0; b->events[kind] < n; i++) {
		if (i == 600000)
			die("an event did not come within a minute");
		if (dataplane_poll(b->dp, on_event, b, 1024) == 0)
			nanosleep(&t, NULL);
	}
}

/* ---- set-up ---- */

static void
plane_start(struct bench *b)
{
	char sessions[48], streams[48], recordings[48], devices[300], memory[64], engine[48], capped[64], why[512] = "";
	const char *flags[] = {
		"media.profile=ring", "media.addresses=198.18.254.2,198.18.254.3,198.18.254.4,198.18.254.5",
		"media.idle_sleep_us=0", "media.rtp_port_min=2048", "media.rtp_port_max=65535", "storage.segment_mib=1024",
		"storage.reserve_mib=0", "keys.store=memory", "limits.stall_ms_max=1000", "node.name=bench",
		b->suite != SRTP_SUITE_NONE ? "srtp.enabled=true" : "srtp.enabled=false", engine, capped, sessions, streams,
		recordings, devices, memory, NULL,
	};
	char *no_environ[] = { NULL };
	const struct config_sources from = { .environ = no_environ, .flags = flags };
	const struct keystore_spec ks = { .store = "memory", .path = "", .rotation_interval_s = 86400, .create = true };

	snprintf(engine, sizeof(engine), "srtp.engine=%s", b->engine);
	snprintf(capped, sizeof(capped), "srtp.libsrtp2_streams_max=%u", b->n_streams);
	snprintf(sessions, sizeof(sessions), "limits.sessions_max=%u", b->n_recordings);
	snprintf(streams, sizeof(streams), "limits.streams_max=%u", b->n_streams);
	snprintf(recordings, sizeof(recordings), "limits.recordings_max=%u", b->n_recordings);
	snprintf(devices, sizeof(devices), "storage.devices=%s", b->dir);
	snprintf(memory, sizeof(memory), "media.eal_extra=-m %u", 128 + b->n_mbufs / 1024);
	if (config_load(&b->config, &from, why, sizeof(why)) != SRS_OK ||
	    keystore_open(&b->ks, &ks, why, sizeof(why)) != SRS_OK ||
	    dataplane_start(&b->dp, b->config, b->ks, why, sizeof(why)) != SRS_OK)
		die(why);
}

/* The rings between the threads are bounded: ask again when they are full. */
static void
retry(struct bench *b, enum srs_err err)
{
	if (err != SRS_ERR_LIMIT)
		die(srs_err_name(err));
	dataplane_poll(b->dp, on_event, b, 1024);
}

static void
calls_open(struct bench *b)
{
	for (uint32_t i = 0; i < b->n_recordings; i++) {
		struct recording_spec spec = { .key.suite = REEL_SUITE_AES_256_GCM };
		uint32_t handle;
		enum srs_err err;

		memcpy(spec.id, &i, sizeof(i));
		spec.id[15] = 1;
		if (keystore_dek_create(b->ks, spec.key.suite, &spec.key.dek, &spec.key.envelope) != SRS_OK)
			die("no key");
		memcpy(spec.key.envelope.recording, spec.id, REEL_ID_SIZE);
		while ((err = dataplane_recording_open(b->dp, &spec, i, &handle)) != SRS_OK)
			retry(b, err);
		if (handle != i)
			die("handles are not taken in order");
	}
	wait_events(b, EVENT_RECORDING_OPENED, b->n_recordings);
	for (uint32_t i = 0; i < b->n_streams; i++) {
		struct stream_keys keys = { .n_theirs = 1 };
		const struct stream_spec spec = {
			.report = b->reports, .secure = b->suite != SRTP_SUITE_NONE, .keys = b->suite != SRTP_SUITE_NONE ? &keys : NULL,
			.recording = i / 2, .number = (uint8_t)(i % 2), .address_i = (uint16_t)(i / ADDRESS_STREAMS),
			.udp_port = (uint16_t)(PORT_FIRST + i % ADDRESS_STREAMS),
			.source = { .ip_version = 4, .ip = { 198, 18, 1, 10 } },
		};
		uint32_t handle;
		enum srs_err err;

		if (b->suite != SRTP_SUITE_NONE)
			keys.theirs[0] = keys.ours = b->masters[i];	/* ours: as good as any, nobody reads them */
		while ((err = dataplane_stream_add(b->dp, &spec, i, &handle)) != SRS_OK)
			retry(b, err);
	}
	wait_events(b, EVENT_STREAM_INSTALLED, b->n_streams);
}

static void
put_be(uint8_t *p, uint32_t v, unsigned int n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

static uint64_t
random_next(uint64_t *r)
{
	*r ^= *r << 13;
	*r ^= *r >> 7;
	*r ^= *r << 17;
	return *r;
}

/* Distinct keys, from a fixed seed. */
static void
keys_build(struct bench *b)
{
	uint64_t r = 0x2545f4914f6cdd1dull;

	if (b->suite == SRTP_SUITE_NONE)
		return;
	b->masters = calloc(b->n_streams, sizeof(struct srtp_master));
	b->senders = calloc(b->n_streams, sizeof(struct sender *));
	if (b->masters == NULL || b->senders == NULL)
		die("no memory for the keys");
	for (uint32_t i = 0; i < b->n_streams; i++) {
		struct srtp_master *m = &b->masters[i];

		m->suite = (uint8_t)b->suite;
		for (unsigned int k = 0; k < sizeof(m->key); k++)
			m->key[k] = (uint8_t)(random_next(&r) >> 32);
		for (unsigned int k = 0; k < sizeof(m->salt); k++)
			m->salt[k] = (uint8_t)(random_next(&r) >> 32);
		b->senders[i] = sender_create();
		if (b->senders[i] == NULL || !sender_keys_set(b->senders[i], m))
			die("no memory for a sender");
	}
}

static void
keys_drop(struct bench *b)
{
	for (uint32_t i = 0; b->senders != NULL && i < b->n_streams; i++)
		sender_destroy(b->senders[i]);
	free(b->senders);
	free(b->masters);
}

/* Of RTP or SRTP. */
static uint16_t
packet_size(const struct bench *b)
{
	return (uint16_t)(PACKET_SIZE + srtp_suite_shape(b->suite)->tag_len);
}

static void
frame_build(uint8_t *f, uint32_t stream, uint16_t len)
{
	static const uint8_t source[4] = { 198, 18, 1, 10 };
	uint8_t destination[4] = { 198, 18, 254, (uint8_t)(2 + stream / ADDRESS_STREAMS) };
	uint8_t *ip = f + 14, *udp = ip + 20, *rtp = udp + 8;
	uint16_t sum;

	memset(f, 0, HEADERS_SIZE + (size_t)len);
	put_be(f + 12, 0x0800, 2);
	ip[0] = 0x45;
	put_be(ip + 2, HEADERS_SIZE - 14u + len, 2);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, source, 4);
	memcpy(ip + 16, destination, 4);
	sum = (uint16_t)~packet_fold(packet_sum(ip, 20));
	memcpy(ip + 10, &sum, 2);
	put_be(udp, 5004, 2);
	put_be(udp + 2, PORT_FIRST + stream % ADDRESS_STREAMS, 2);
	put_be(udp + 4, 8u + len, 2);
	rtp[0] = 0x80;
	put_be(rtp + 8, stream, 4);
	for (unsigned int i = 0; i < 160; i++)
		rtp[12 + i] = (uint8_t)(stream * 31 + i);
}

/* Two frames a stream, in random order (xorshift, fixed seed). */
static void
frames_build(struct bench *b)
{
	uint64_t r = 88172645463325252ull;

	b->pool = rte_pktmbuf_pool_create("bench", b->n_mbufs, 0, 0, RTE_PKTMBUF_HEADROOM + 256, SOCKET_ID_ANY);
	b->mbufs = calloc(b->n_mbufs, sizeof(struct rte_mbuf *));
	b->stream_of = calloc(b->n_mbufs, sizeof(uint32_t));
	b->index = calloc(b->n_streams, sizeof(uint32_t));
	b->turns = calloc(TURNS_MAX, sizeof(struct turn));
	if (b->turns == NULL || b->pool == NULL || b->mbufs == NULL || b->stream_of == NULL || b->index == NULL)
		die("no memory for the frames");
	for (uint32_t i = 0; i < b->n_mbufs; i++)
		b->stream_of[i] = i % b->n_streams;
	for (uint32_t i = b->n_mbufs - 1; i > 0; i--) {
		uint32_t k, t = b->stream_of[i];

		k = (uint32_t)(random_next(&r) % (i + 1));
		b->stream_of[i] = b->stream_of[k];
		b->stream_of[k] = t;
	}
	for (uint32_t i = 0; i < b->n_mbufs; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(b->pool);

		if (m == NULL)
			die("no frame buffer");
		frame_build(rte_pktmbuf_mtod(m, uint8_t *), b->stream_of[i], packet_size(b));
		m->data_len = (uint16_t)(HEADERS_SIZE + packet_size(b));
		m->pkt_len = m->data_len;
		m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
		b->mbufs[i] = m;
	}
}

/* ---- the run ---- */

static void
wait_chunks(struct bench *b)
{
	const struct timespec t = { .tv_nsec = 50000 };
	struct dataplane_room room;

	for (;;) {
		dataplane_poll(b->dp, on_event, b, 64);
		dataplane_room(b->dp, &room);
		if (room.chunks_free_percent > 25)
			return;
		nanosleep(&t, NULL);
	}
}

/* Our own reference keeps a frame alive when the lcore has freed it; at 1 it is ours again. What the lcore decrypted in
 * place is the payload again. */
static void
frame_renew(struct bench *b, uint32_t i)
{
	struct rte_mbuf *m = b->mbufs[i];
	uint32_t index = b->index[b->stream_of[i]]++;
	uint8_t *rtp = rte_pktmbuf_mtod_offset(m, uint8_t *, HEADERS_SIZE);
	uint16_t len = PACKET_SIZE;

	while (rte_mbuf_refcnt_read(m) != 1)
		rte_pause();
	rte_mbuf_refcnt_set(m, 2);
	put_be(rtp + 2, index, 2);
	put_be(rtp + 4, 160u * index, 4);
	if (b->suite != SRTP_SUITE_NONE && !sender_protect(b->senders[b->stream_of[i]], index, rtp, &len))
		die("a packet could not be protected");
}

/* lcore_main() of lcore.c, with a clock. */
static void *
lcore_drive(void *arg)
{
	struct bench *b = arg;
	struct lcore *lc = b->dp->lcores[0];
	uint16_t port_id = lc->spec.port_id;

	if (rte_thread_register() != 0)
		die("no lcore id");
	while (!atomic_load_explicit(&b->stop, memory_order_acquire)) {
		struct rte_mbuf *m[BURST_MAX];
		uint64_t begin = rte_rdtsc(), cycles;
		uint16_t n = rte_eth_rx_burst(port_id, 0, m, BURST_MAX);

		lcore_begin(lc);
		if (n != 0)
			lcore_burst(lc, m, n);
		lcore_housekeep(lc);
		if (n == 0) {
			rte_pause();
			continue;
		}
		cycles = rte_rdtsc() - begin;
		if (atomic_load_explicit(&b->measure, memory_order_relaxed) && b->n_turns < TURNS_MAX)
			b->turns[b->n_turns++] = (struct turn){ cycles < UINT32_MAX ? (uint32_t)cycles : UINT32_MAX, n };
	}
	rte_thread_unregister();
	return NULL;
}

static void
lcore_take_over(struct bench *b)
{
	cpu_set_t set;

	lcore_stop(b->dp->lcores[0]);
	if (pthread_create(&b->thread, NULL, lcore_drive, b) != 0)
		die("no thread");
	CPU_ZERO(&set);
	CPU_SET((unsigned int)b->dp->eal.cpus[0], &set);
	pthread_setaffinity_np(b->thread, sizeof(set), &set);
}

static double
ns_a_packet(const struct turn *t)
{
	return (double)t->cycles * 1e9 / (double)rte_get_tsc_hz() / t->n;
}

static int
by_cost(const void *x, const void *y)
{
	double a = ns_a_packet(x), b = ns_a_packet(y);

	return (a > b) - (a < b);
}

struct cost {
	double mean, all, median, cut;
};

static struct cost
cost_of(struct bench *b)
{
	double cut_ns, ns = 0, all_ns = 0;
	uint64_t n = 0, all_n = 0;
	struct cost c = { 0 };

	if (b->n_turns == 0)
		die("no turn was measured");
	qsort(b->turns, b->n_turns, sizeof(struct turn), by_cost);
	c.median = ns_a_packet(&b->turns[b->n_turns / 2]);
	cut_ns = CUT * c.median;
	for (uint32_t i = 0; i < b->n_turns; i++) {
		const struct turn *t = &b->turns[i];
		double one = ns_a_packet(t);

		all_ns += one * t->n;
		all_n += t->n;
		if (one > cut_ns && one * t->n > CUT_NS_MIN)
			continue;
		ns += one * t->n;
		n += t->n;
	}
	c.mean = ns / (double)n;
	c.all = all_ns / (double)all_n;
	c.cut = (double)(all_n - n) / (double)all_n;
	return c;
}

/* Renew the next frames; those of SRTP are so far ahead of the lcore that it has nothing to do meanwhile. */
static void
prepare(struct bench *b, uint64_t n)
{
	static uint32_t at;

	for (uint64_t i = 0; i < n; i++) {
		frame_renew(b, at);
		at = at + 1 == b->n_mbufs ? 0 : at + 1;
	}
}

static void
feed(struct bench *b, uint64_t n)
{
	unsigned int ahead = b->suite != SRTP_SUITE_NONE ? AHEAD : FEED_BURST;
	struct rte_ring *ring = b->dp->port.feed[0];
	static uint32_t at;

	for (uint64_t done = 0; done < n;) {
		struct rte_mbuf *m[FEED_BURST];
		unsigned int k = n - done < FEED_BURST ? (unsigned int)(n - done) : FEED_BURST;

		if (done % SLICE < FEED_BURST)
			wait_chunks(b);
		if (done % ahead == 0)
			prepare(b, n - done < ahead ? n - done : ahead);
		for (unsigned int i = 0; i < k; i++) {
			m[i] = b->mbufs[at];
			at = at + 1 == b->n_mbufs ? 0 : at + 1;
		}
		while (rte_ring_enqueue_bulk(ring, (void **)m, k, NULL) == 0)
			rte_pause();
		done += k;
	}
}

static void
counters_at(struct bench *b, uint64_t n_packets, struct counters *c, struct writer_counters *w)
{
	do {
		memset(c, 0, sizeof(*c));
		counters_sum(c, &b->dp->lcores[0]->counters);
	} while (c->nic_received - c->verdicts[RX_SELFTEST] < n_packets);
	usleep(300000);	/* chunks in flight */
	memset(c, 0, sizeof(*c));
	counters_sum(c, &b->dp->lcores[0]->counters);
	writer_counters_read(b->dp->writers[0], w);
}

/* Each stream begins with a look for its sender; later they are looked at in turns. */
static void
reports_settle(struct bench *b)
{
	const struct timespec t = { .tv_nsec = 10000000 };

	for (unsigned int i = 0; i < 800; i++) {
		dataplane_poll(b->dp, on_event, b, 64);
		nanosleep(&t, NULL);
	}
}

static void
calls_close(struct bench *b)
{
	for (uint32_t s = 1; s <= b->n_streams; s++) {
		enum srs_err err;

		while ((err = dataplane_stream_remove(b->dp, s, s)) != SRS_OK)
			retry(b, err);
	}
	wait_events(b, EVENT_STREAM_REMOVED, b->n_streams);
	for (uint32_t r = 0; r < b->n_recordings; r++) {
		enum srs_err err;

		while ((err = dataplane_recording_seal(b->dp, r, "bench", r)) != SRS_OK)
			retry(b, err);
	}
	wait_events(b, EVENT_RECORDING_SEALED, b->n_recordings);
}

/* ---- reading back ---- */

struct reader_state {
	struct bench *b;
	struct dek *deks;	/* by recording */
	uint64_t n_rtp;
	uint64_t bad;
};

/* As frame_build() made it. */
static bool
frame_is_whole(const struct reel_frame *f)
{
	uint8_t first;

	if (f->bytes.len != PACKET_SIZE)
		return false;
	first = (uint8_t)(31 * packet_u32(f->bytes.bytes + 8));
	for (unsigned int i = 0; i < PACKET_SIZE - 12; i++)
		if (f->bytes.bytes[12 + i] != (uint8_t)(first + i))
			return false;
	return true;
}

static void
slot_read(struct reader_state *rs, const uint8_t uuid[REEL_ID_SIZE], uint64_t slot_no, const uint8_t *slot)
{
	static struct reel_envelope e;
	enum reel_slot_kind kind = reel_slot_kind(uuid, slot_no, slot);
	uint8_t body[REEL_BODY_MAX];
	struct reel_chunk c;
	struct reel_frame f;
	size_t at = 0;
	uint32_t i;

	if (kind == REEL_SLOT_ENVELOPE && reel_envelope_read(&e, slot) == SRS_OK) {
		memcpy(&i, e.recording, sizeof(i));
		if (i >= rs->b->n_recordings || keystore_dek_unwrap(rs->b->ks, &e, &rs->deks[i]) != SRS_OK)
			rs->bad++;
	}
	if (kind == REEL_SLOT_DAMAGED)
		rs->bad++;
	if (kind != REEL_SLOT_CHUNK)
		return;
	if (reel_chunk_head_read(&c, slot) != SRS_OK) {
		rs->bad++;
		return;
	}
	memcpy(&i, c.recording, sizeof(i));
	if (i >= rs->b->n_recordings || seal_open_portable(&rs->deks[i], &c, slot, body) != SRS_OK) {
		rs->bad++;
		return;
	}
	while (reel_frame_next(&f, span_of(body, c.body_len), c.first_wall_ns, &at) == SRS_OK)
		rs->n_rtp += f.kind == REEL_FRAME_RTP && frame_is_whole(&f);
}

static void
file_read(struct reader_state *rs, const char *path)
{
	static uint8_t slots[256][REEL_SLOT_SIZE];
	struct reel_container h;
	FILE *f = fopen(path, "rb");
	uint64_t slot_no = 0;
	size_t n;

	if (f == NULL)
		die("cannot read back");
	while ((n = fread(slots, REEL_SLOT_SIZE, 256, f)) != 0) {
		if (slot_no == 0 && reel_container_read(&h, slots[0]) != SRS_OK)
			die("not a segment");
		for (size_t i = 0; i < n; i++, slot_no++)
			if (slot_no != 0)
				slot_read(rs, h.uuid, slot_no, slots[i]);
	}
	fclose(f);
}

static uint64_t
read_back(struct bench *b, uint64_t *bad)
{
	struct reader_state rs = { .b = b, .deks = calloc(b->n_recordings, sizeof(struct dek)) };
	char folder[300], path[600];
	struct dirent **names;
	int n;

	snprintf(folder, sizeof(folder), "%s/segments", b->dir);
	n = scandir(folder, &names, NULL, alphasort);
	if (n < 0 || rs.deks == NULL)
		die("cannot read back");
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		if (names[i]->d_name[0] != '.') {
			file_read(&rs, path);
			unlink(path);
		}
		free(names[i]);
	}
	free(names);
	free(rs.deks);
	*bad = rs.bad;
	return rs.n_rtp;
}

static void
options_read(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{ "streams", required_argument, NULL, 's' }, { "packets", required_argument, NULL, 'p' },
		{ "seconds", required_argument, NULL, 't' }, { "suite", required_argument, NULL, 'u' },
		{ "dir", required_argument, NULL, 'd' }, { "engine", required_argument, NULL, 'e' },
		{ "reports", required_argument, NULL, 'r' }, { NULL, 0, NULL, 0 },
	};
	int o;

	b->n_streams = 20000;
	b->engine = "auto";
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 's')
			b->n_streams = (uint32_t)strtoul(optarg, NULL, 10);
		else if (o == 'p')
			b->n_packets = strtoull(optarg, NULL, 10);
		else if (o == 't')
			b->seconds = strtod(optarg, NULL);
		else if (o == 'd')
			snprintf(b->dir, sizeof(b->dir), "%s", optarg);
		else if (o == 'e')
			b->engine = optarg;
		else if (o == 'r')
			b->reports = strcmp(optarg, "on") == 0;
		else if (o == 'u' && strcmp(optarg, "none") != 0)
			b->suite = srtp_suite_by_name(span_of((const uint8_t *)optarg, strlen(optarg)));
		if (o == '?' || (o == 'u' && b->suite == SRTP_SUITE_NONE && strcmp(optarg, "none") != 0))
			die("usage: bench-pipeline [--streams N] [--packets N | --seconds S] [--suite none|NAME as in a=crypto] "
			    "[--engine auto|ipsec-mb|libsrtp2] [--reports on|off] [--dir FOLDER]");
	}
	if (b->n_streams < 2 || b->n_streams > STREAMS_MAX || b->n_streams % 2 != 0)
		die("--streams: an even number from 2 to 240000");
	if (b->n_packets == 0 && b->seconds <= 0)
		b->n_packets = 2000000;
}

static void
folder_make(struct bench *b)
{
	b->keep_dir = b->dir[0] != '\0';
	if (!b->keep_dir) {
		snprintf(b->dir, sizeof(b->dir), "/var/tmp/bench-pipeline-XXXXXX");
		if (mkdtemp(b->dir) == NULL)
			die("no folder to write to");
	}
}

static void
folder_remove(const struct bench *b)
{
	char path[300];

	if (b->keep_dir)
		return;
	snprintf(path, sizeof(path), "%s/lock", b->dir);
	(void)unlink(path);
	snprintf(path, sizeof(path), "%s/segments", b->dir);
	if (rmdir(path) != 0 || rmdir(b->dir) != 0)
		fprintf(stderr, "bench-pipeline: %s is left\n", b->dir);
}

int
main(int argc, char **argv)
{
	static struct bench bench;
	struct bench *b = &bench;
	struct counters c0, c1;
	struct writer_counters w0, w1;
	uint64_t fed, back, bad, lost, end;
	struct cost cost;
	double writer_ns;
	bool ok;

	options_read(b, argc, argv);
	b->n_recordings = b->n_streams / 2;
	b->n_mbufs = 2 * b->n_streams > 16384 ? 2 * b->n_streams : 16384 / b->n_streams * b->n_streams;
	folder_make(b);
	plane_start(b);
	keys_build(b);
	frames_build(b);
	lcore_take_over(b);
	calls_open(b);
	b->warm_up = b->n_mbufs;	/* each stream's first packets: marks, cold tables */
	feed(b, b->warm_up);
	if (b->reports)
		reports_settle(b);
	counters_at(b, b->warm_up, &c0, &w0);
	atomic_store(&b->measure, true);
	fed = 0;
	end = rte_rdtsc() + (uint64_t)(b->seconds * (double)rte_get_tsc_hz());
	while (b->n_packets != 0 ? fed < b->n_packets : rte_rdtsc() < end) {
		uint64_t n = b->n_packets != 0 && b->n_packets - fed < 65536 ? b->n_packets - fed : 65536;

		feed(b, n);
		fed += n;
	}
	counters_at(b, b->warm_up + fed, &c1, &w1);
	calls_close(b);
	lost = c1.nic_received - c1.verdicts[RX_RECORDED] - c1.verdicts[RX_SELFTEST];
	atomic_store(&b->stop, true);
	pthread_join(b->thread, NULL);
	cost = cost_of(b);
	writer_ns = (double)(w1.ns_busy - w0.ns_busy) / (double)fed;
	dataplane_stop(b->dp);
	back = read_back(b, &bad);
	ok = lost == 0 && bad == 0 && b->failed == 0 && back == b->warm_up + fed;
	printf("{\"bench\":\"pipeline\",\"suite\":\"%s\",\"streams\":%u,\"packets\":%llu,\"ns_per_packet\":%.1f,"
	       "\"ns_per_packet_median\":%.1f,\"ns_per_packet_all\":%.1f,\"cut\":%.5f,\"writer_ns_per_packet\":%.1f,"
	       "\"packets_per_turn\":%.1f,\"lost\":%llu,\"read_back\":%llu,\"ok\":%s}\n",
	       b->suite != SRTP_SUITE_NONE ? srtp_suite_shape(b->suite)->name : "none", b->n_streams,
	       (unsigned long long)(b->warm_up + fed), cost.mean, cost.median, cost.all, cost.cut, writer_ns,
	       (double)fed / b->n_turns, (unsigned long long)lost, (unsigned long long)back, ok ? "true" : "false");
	folder_remove(b);
	keys_drop(b);
	keystore_close(b->ks);
	config_free(b->config);
	return ok ? 0 : 1;
}
