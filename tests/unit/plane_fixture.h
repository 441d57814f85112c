/* A whole data plane on in-process rings in a folder of its own: frames go in, sealed recordings come out, and this
 * reads them back with lib/reel and the keystore. Shared by the tests of the data plane's door. */
#ifndef PLANE_FIXTURE_H
#define PLANE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/keystore.h"
#include "crypto/seal.h"
#include "dataplane/dataplane.h"
#include "dataplane/packet.h"
#include "lib/config.h"
#include "lib/reel.h"

#define PX_EVENTS_MAX 4096
#define PX_FRAMES_MAX 65536
#define PX_SOURCE     "198.18.1.10"
#define PX_ADDRESS    "198.18.254.2"

struct px_frame {
	struct reel_frame frame;	/* bytes point into px.bodies */
	uint8_t recording[REEL_ID_SIZE];
	uint32_t part;
	uint64_t chunk_no;
	uint16_t chunk_flags;
};

struct px_seal {
	struct reel_seal seal;
	struct reel_seal_stream streams[64];
	struct reel_seal_missing missing[16];
};

struct px {
	char dir[64];
	struct config *config;
	struct keystore *ks;
	struct dataplane *dp;
	struct dataplane_event events[PX_EVENTS_MAX];
	unsigned int n_events, seen;
	uint64_t cookie;
	uint64_t before;	/* packets of the self-test */
	/* what was read back */
	uint8_t *bodies;
	struct px_frame *frames;
	unsigned int n_frames;
	struct px_seal seals[16];
	unsigned int n_seals;
	unsigned int n_chunks;
};

/* ---- counters ---- */

struct px_counter {
	const char *name;
	uint64_t value, verdicts;
};

static inline void
px_on_counter(void *ctx, const struct dataplane_counter *c)
{
	struct px_counter *want = ctx;

	if (strcmp(c->name, want->name) == 0)
		want->value = c->value;
	if (strncmp(c->name, "rx_", 3) == 0)
		want->verdicts += c->value;
}

static inline uint64_t
px_counter(const struct px *px, const char *name)
{
	struct px_counter c = { .name = name, .value = UINT64_MAX };

	dataplane_counters(px->dp, px_on_counter, &c);
	if (c.value == UINT64_MAX)
		fail_msg("no counter %s", name);
	return c.value;
}

static inline void
px_start(struct px *px, const char *const *extra)
{
	static const char *const fixed[] = { "media.profile=ring", "media.no_huge=true", "media.addresses=" PX_ADDRESS ",fd00:ca57::2",
		                             "storage.segment_mib=2", "storage.commit_interval_ms=10", "storage.reserve_mib=0",
		                             "storage.engine=pwrite", "keys.store=memory", "node.name=test" };
	const char *flags[32];
	char devices[96];
	char *environ_empty[] = { NULL };
	struct config_sources from = { .environ = environ_empty, .flags = flags };
	struct keystore_spec ks = { .store = "memory", .path = "", .rotation_interval_s = 86400, .create = true };
	char why[512] = "";
	unsigned int n = 0;

	memset(px, 0, sizeof(*px));
	snprintf(px->dir, sizeof(px->dir), "/tmp/plane-XXXXXX");
	assert_non_null(mkdtemp(px->dir));
	snprintf(devices, sizeof(devices), "storage.devices=%s", px->dir);
	for (unsigned int i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		flags[n++] = fixed[i];
	flags[n++] = devices;
	while (extra != NULL && *extra != NULL)
		flags[n++] = *extra++;
	flags[n] = NULL;
	if (config_load(&px->config, &from, why, sizeof(why)) != SRS_OK)
		fail_msg("%s", why);
	if (keystore_open(&px->ks, &ks, why, sizeof(why)) != SRS_OK)
		fail_msg("%s", why);
	if (dataplane_start(&px->dp, px->config, px->ks, why, sizeof(why)) != SRS_OK)
		fail_msg("%s", why);
	px->cookie = 1;
	px->before = px_counter(px, "rx_selftest");
}

static inline void
px_on_event(void *ctx, const struct dataplane_event *e)
{
	struct px *px = ctx;

	assert_true(px->n_events < PX_EVENTS_MAX);
	px->events[px->n_events++] = *e;
}

static inline void
px_rest(void)
{
	const struct timespec t = { .tv_nsec = 1000000 };

	nanosleep(&t, NULL);
}

/* The completion with this cookie. */
static inline const struct dataplane_event *
px_wait(struct px *px, enum dataplane_event_kind kind, uint64_t cookie)
{
	for (unsigned int ms = 0; ms < 10000; ms++) {
		for (unsigned int i = 0; i < px->n_events; i++)
			if (px->events[i].kind == kind && px->events[i].cookie == cookie)
				return &px->events[i];
		if (dataplane_poll(px->dp, px_on_event, px, 64) == 0)
			px_rest();
	}
	fail_msg("no event of kind %d with cookie %llu within 10 s", kind, (unsigned long long)cookie);
	abort();	/* not reached */
}

static inline void
px_key(struct px *px, struct part_key *key, const uint8_t id[REEL_ID_SIZE], uint32_t part)
{
	memset(key, 0, sizeof(*key));
	key->suite = REEL_SUITE_AES_256_GCM;
	assert_int_equal(keystore_dek_create(px->ks, key->suite, &key->dek, &key->envelope), SRS_OK);
	memcpy(key->envelope.recording, id, REEL_ID_SIZE);
	key->envelope.part = part;
}

static inline uint32_t
px_recording(struct px *px, uint8_t id_byte)
{
	struct recording_spec spec = { .lcore_i = 0 };
	uint32_t recording;

	memset(spec.id, id_byte, sizeof(spec.id));
	px_key(px, &spec.key, spec.id, 0);
	assert_int_equal(dataplane_recording_open(px->dp, &spec, ++px->cookie, &recording), SRS_OK);
	assert_int_equal(px_wait(px, EVENT_RECORDING_OPENED, px->cookie)->err, SRS_OK);
	return recording;
}

static inline struct stream_spec
px_spec(uint32_t recording, uint8_t number, uint16_t port)
{
	struct stream_spec spec = { .recording = recording, .number = number, .udp_port = port,
		                    .source = { .ip_version = 4 } };

	inet_pton(AF_INET, PX_SOURCE, spec.source.ip);
	return spec;
}

static inline uint32_t
px_stream(struct px *px, const struct stream_spec *spec)
{
	uint32_t stream;

	assert_int_equal(dataplane_stream_add(px->dp, spec, ++px->cookie, &stream), SRS_OK);
	assert_int_equal(px_wait(px, EVENT_STREAM_INSTALLED, px->cookie)->err, SRS_OK);
	return stream;
}

static inline void
px_seal(struct px *px, uint32_t recording, const char *reason)
{
	assert_int_equal(dataplane_recording_seal(px->dp, recording, reason, ++px->cookie), SRS_OK);
	assert_int_equal(px_wait(px, EVENT_RECORDING_SEALED, px->cookie)->err, SRS_OK);
}

static inline const struct dataplane_event *
px_remove(struct px *px, uint32_t stream)
{
	assert_int_equal(dataplane_stream_remove(px->dp, stream, ++px->cookie), SRS_OK);
	return px_wait(px, EVENT_STREAM_REMOVED, px->cookie);
}

/* ---- frames ---- */

static inline void
px_put(uint8_t *p, uint64_t v, unsigned int n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

/* IPv4 and UDP around a payload. @return whole length */
static inline size_t
px_udp(uint8_t *f, const char *source, uint16_t source_port, uint16_t port, const void *payload, size_t len)
{
	uint8_t *ip = f + 14, *udp = ip + 20;
	uint16_t sum;

	memset(f, 0, 42);
	f[5] = 2;
	f[11] = 1;
	px_put(f + 12, 0x0800, 2);
	ip[0] = 0x45;
	px_put(ip + 2, 28 + len, 2);
	ip[8] = 64;
	ip[9] = 17;
	inet_pton(AF_INET, source, ip + 12);
	inet_pton(AF_INET, PX_ADDRESS, ip + 16);
	sum = (uint16_t)~packet_fold(packet_sum(ip, 20));
	memcpy(ip + 10, &sum, 2);
	px_put(udp, source_port, 2);
	px_put(udp + 2, port, 2);
	px_put(udp + 4, 8 + len, 2);
	memcpy(udp + 8, payload, len);
	sum = (uint16_t)~packet_fold(packet_pseudo_sum(4, ip + 12, 17, (uint32_t)(8 + len)) + packet_sum(udp, (uint32_t)(8 + len)));
	memcpy(udp + 6, &sum, 2);
	return 42 + len;
}

/* 160 bytes of payload that depend on SSRC and SEQ. */
static inline void
px_rtp_packet(uint8_t packet[172], uint32_t ssrc, uint16_t seq)
{
	packet[0] = 0x80;
	packet[1] = 0;
	px_put(packet + 2, seq, 2);
	px_put(packet + 4, 160u * seq, 4);
	px_put(packet + 8, ssrc, 4);
	for (unsigned int i = 0; i < 160; i++)
		packet[12 + i] = (uint8_t)(seq * 7 + ssrc + i);
}

static inline void
px_inject(struct px *px, const void *frame, size_t len)
{
	struct span s = span_of(frame, len);

	for (unsigned int ms = 0; dataplane_inject(px->dp, 0, &s, 1) == 0; ms++) {
		assert_true(ms < 5000);
		px_rest();
	}
}

static inline void
px_rtp(struct px *px, const char *source, uint16_t source_port, uint16_t port, uint32_t ssrc, uint16_t seq)
{
	uint8_t packet[172], frame[256];

	px_rtp_packet(packet, ssrc, seq);
	px_inject(px, frame, px_udp(frame, source, source_port, port, packet, sizeof(packet)));
}

/* ---- what came in ---- */

/* Wait until `n` packets were taken since the start, then check the law: each has one verdict. */
static inline void
px_received(struct px *px, uint64_t n)
{
	struct px_counter c;

	n += px->before;
	for (unsigned int ms = 0; px_counter(px, "nic_received") < n; ms++) {
		assert_true(ms < 5000);
		px_rest();
	}
	for (unsigned int ms = 0; ms < 1000; ms++) {
		c = (struct px_counter){ .name = "nic_received" };
		dataplane_counters(px->dp, px_on_counter, &c);
		if (c.verdicts == n)
			break;
		px_rest();
	}
	assert_int_equal(c.value, n);
	assert_int_equal(c.verdicts, n);
}

/* ---- reading back ---- */

struct px_dek {
	uint8_t recording[REEL_ID_SIZE];
	uint32_t part;
	struct dek dek;
};

static inline void
px_read_chunk(struct px *px, const uint8_t *slot, const struct px_dek *deks, unsigned int n_deks)
{
	uint8_t *body = px->bodies + (size_t)px->n_chunks * REEL_SLOT_SIZE;
	struct reel_chunk c;
	struct reel_frame f;
	const struct dek *dek = NULL;
	size_t at = 0;
	unsigned int n = 0;

	assert_int_equal(reel_chunk_head_read(&c, slot), SRS_OK);
	for (unsigned int i = 0; i < n_deks; i++)
		if (deks[i].part == c.part && memcmp(deks[i].recording, c.recording, REEL_ID_SIZE) == 0)
			dek = &deks[i].dek;
	assert_non_null(dek);
	assert_int_equal(seal_open_portable(dek, &c, slot, body), SRS_OK);
	px->n_chunks++;
	while (reel_frame_next(&f, span_of(body, c.body_len), c.first_wall_ns, &at) == SRS_OK) {
		struct px_frame *out = &px->frames[px->n_frames++];

		assert_true(px->n_frames < PX_FRAMES_MAX);
		*out = (struct px_frame){ .frame = f, .part = c.part, .chunk_no = c.chunk_no, .chunk_flags = c.flags };
		memcpy(out->recording, c.recording, REEL_ID_SIZE);
		assert_int_equal((f.kind >= REEL_FRAME_DESCRIPTION), (c.flags & REEL_CHUNK_DOCUMENTS) != 0);
		n++;
	}
	assert_int_equal(n, c.n_frames);
}

static inline void
px_read_file(struct px *px, const char *path)
{
	static struct px_dek deks[64];
	static unsigned int n_deks;
	struct reel_container h;
	FILE *f = fopen(path, "rb");
	uint8_t *bytes;
	size_t len;

	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	len = (size_t)ftell(f);
	rewind(f);
	bytes = malloc(len);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, len, f), len);
	fclose(f);
	assert_int_equal(reel_container_read(&h, bytes), SRS_OK);
	if (h.sequence <= 1 && px->n_chunks == 0)
		n_deks = 0;
	for (uint64_t i = 1; i < len / REEL_SLOT_SIZE; i++) {
		const uint8_t *slot = bytes + i * REEL_SLOT_SIZE;
		enum reel_slot_kind kind = reel_slot_kind(h.uuid, i, slot);

		if (kind == REEL_SLOT_ENVELOPE) {
			static struct reel_envelope e;
			struct px_dek *d = &deks[n_deks++];

			assert_true(n_deks <= 64);
			assert_int_equal(reel_envelope_read(&e, slot), SRS_OK);
			memcpy(d->recording, e.recording, REEL_ID_SIZE);
			d->part = e.part;
			assert_int_equal(keystore_dek_unwrap(px->ks, &e, &d->dek), SRS_OK);
		} else if (kind == REEL_SLOT_CHUNK) {
			px_read_chunk(px, slot, deks, n_deks);
		} else if (kind == REEL_SLOT_SEAL) {
			struct px_seal *s = &px->seals[px->n_seals++];
			struct reel_seal_piece p;
			struct reel_proof proof;
			struct span body;

			assert_true(px->n_seals <= 16);
			assert_int_equal(reel_seal_piece_read(&p, slot), SRS_OK);
			assert_int_equal(p.n_pieces, 1);
			assert_int_equal(reel_seal_read(&s->seal, &proof, &body, p.bytes, s->streams, 64, s->missing, 16), SRS_OK);
		}
	}
	free(bytes);
}

/* Stop the plane and read what it left. */
static inline void
px_stop_and_read(struct px *px)
{
	char folder[96], path[400];
	struct dirent **names;
	int n;

	dataplane_stop(px->dp);
	px->dp = NULL;
	px->bodies = malloc((size_t)4096 * REEL_SLOT_SIZE);
	px->frames = calloc(PX_FRAMES_MAX, sizeof(*px->frames));
	assert_non_null(px->bodies);
	assert_non_null(px->frames);
	snprintf(folder, sizeof(folder), "%s/segments", px->dir);
	n = scandir(folder, &names, NULL, alphasort);
	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		if (strstr(names[i]->d_name, ".seg") != NULL) {
			snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
			px_read_file(px, path);
		}
		free(names[i]);
	}
	free(names);
}

static inline void
px_close(struct px *px)
{
	char command[128];

	dataplane_stop(px->dp);
	keystore_close(px->ks);
	config_free(px->config);
	free(px->bodies);
	free(px->frames);
	snprintf(command, sizeof(command), "rm -rf %s", px->dir);
	assert_int_equal(system(command), 0);
}

#endif
