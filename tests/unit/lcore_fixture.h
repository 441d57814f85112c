/* One lcore without its thread and without a writer: the test hands it bursts and turns, and looks at what comes out.
 * Shared by the tests of what an lcore does with packets. */
#ifndef LCORE_FIXTURE_H
#define LCORE_FIXTURE_H

#include "plane_fixture.h"

#include <rte_mbuf.h>

#include "dataplane/dataplane_state.h"
#include "dataplane/writer_state.h"

#define N_CHUNKS 8
#define N_COMMANDS 128
#define N_KEYSETS 32

struct fx {
	struct config *config;
	struct rte_mempool *mbufs;
	struct clock clock;
	struct steer steer;
	struct selftest selftest;
	struct stream_table streams;
	struct command_pool commands;
	struct recording rec;
	struct keyset_pool keysets;
	struct unprotect_engine *engine;	/* control's */
	uint16_t generation;
	struct lcore *lc;
	struct writer *writer;	/* nobody runs it; it only says whether it refuses */
};

static inline struct config *
config_for(void)
{
	static const char *const flags[] = { "media.profile=ring", "media.no_huge=true", "media.addresses=" PX_ADDRESS,
		                             "limits.sessions_max=4", NULL };
	char *environ_empty[] = { NULL };
	const struct config_sources from = { .environ = environ_empty, .flags = flags };
	struct config *c;
	char why[512] = "";

	if (config_load(&c, &from, why, sizeof(why)) != SRS_OK)
		fail_msg("%s", why);
	return c;
}

static inline int
set_up(void **state)
{
	struct fx *fx = aligned_alloc(64, (sizeof(*fx) + 63) & ~63ul);
	struct lcore_spec spec = { .n_chunks = N_CHUNKS, .n_commands = N_COMMANDS, .streams_max = 4, .recordings_max = 4, .cpu = -1,
		                   .n_keysets = N_KEYSETS, .engine = UNPROTECT_IPSEC_MB,
		                   .cname = "ABCDEFGHIJKLMNOP" };
	static unsigned int made;
	struct eal eal;
	char why[512] = "", name[32];

	assert_non_null(fx);
	memset(fx, 0, sizeof(*fx));
	fx->config = config_for();
	if (eal_start(&eal, fx->config, port_memory_mib(1), why, sizeof(why)) != SRS_OK)
		fail_msg("%s", why);
	snprintf(name, sizeof(name), "test_%u", made++);
	fx->mbufs = rte_pktmbuf_pool_create(name, 255, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	assert_non_null(fx->mbufs);
	clock_init(&fx->clock, 1000000000);
	assert_int_equal(steer_init(&fx->steer, fx->config->media.addresses, 1, 1, why, sizeof(why)), SRS_OK);
	assert_int_equal(selftest_init(&fx->selftest), SRS_OK);
	assert_int_equal(stream_table_create(&fx->streams, 4, 1, false, false), SRS_OK);
	assert_int_equal(command_pool_create(&fx->commands, N_COMMANDS, 32), SRS_OK);
	assert_int_equal(keyset_pool_create(&fx->keysets, N_KEYSETS, false), SRS_OK);
	fx->engine = unprotect_engine_create(UNPROTECT_IPSEC_MB);
	assert_non_null(fx->engine);
	spec.steer = &fx->steer;
	spec.selftest = &fx->selftest;
	spec.streams = &fx->streams;
	spec.clock = &fx->clock;
	spec.config = fx->config;
	assert_int_equal(lcore_create(&fx->lc, &spec), SRS_OK);
	assert_int_equal(spsc_create(&fx->lc->recorder.full[0], N_CHUNKS), SRS_OK);	/* the writer's ends */
	assert_int_equal(spsc_create(&fx->lc->recorder.empty[0], N_CHUNKS), SRS_OK);
	fx->writer = aligned_alloc(64, (sizeof(struct writer) + 63) & ~63ul);
	assert_non_null(fx->writer);
	memset(fx->writer, 0, sizeof(*fx->writer));
	fx->lc->spec.writers = &fx->writer;
	fx->lc->recorder.n_writers = 1;
	recording_init(&fx->rec, 0, 0);
	*state = fx;
	return 0;
}

static inline int
tear_down(void **state)
{
	struct fx *fx = *state;

	spsc_destroy(fx->lc->recorder.full[0]);
	spsc_destroy(fx->lc->recorder.empty[0]);
	lcore_destroy(fx->lc);
	command_pool_destroy(&fx->commands);
	stream_table_destroy(&fx->streams);
	keyset_pool_destroy(&fx->keysets);
	unprotect_engine_destroy(fx->engine);
	rte_mempool_free(fx->mbufs);
	free(fx->writer);
	config_free(fx->config);
	free(fx);
	return 0;
}

static inline struct command *
post(struct fx *fx, enum command_kind kind)
{
	struct command *c = command_take(&fx->commands, kind);

	assert_non_null(c);
	c->recording = &fx->rec;
	assert_true(spsc_push(fx->lc->commands, c));
	return c;
}

/* A turn without packets. @return commands that came back */
static inline unsigned int
turn(struct fx *fx)
{
	struct command *c;
	unsigned int n = 0;

	lcore_begin(fx->lc);
	lcore_housekeep(fx->lc);
	while ((c = spsc_pop(fx->lc->events)) != NULL) {
		command_give(&fx->commands, c);
		n++;
	}
	return n;
}

static inline struct stream *
stream_install_as(struct fx *fx, const struct stream_spec *spec, struct keyset *keys)
{
	struct command *c = post(fx, COMMAND_STREAM_ADD);
	struct stream *s = &fx->streams.slots[1];

	c->stream = s;
	stream_init(s, 1, 0, spec);
	s->keys = keys;
	assert_int_equal(turn(fx), 1);
	return s;
}

static inline struct stream *
stream_install(struct fx *fx)
{
	const struct stream_spec spec = px_spec(0, 1, 20000);

	return stream_install_as(fx, &spec, NULL);
}

/* ---- SRTP ---- */

static inline struct keyset *
keyset_of(struct fx *fx, const struct srtp_master *master)
{
	struct keyset *ks = keyset_take(&fx->keysets);

	assert_non_null(ks);
	assert_int_equal(keyset_fill(ks, fx->engine, master), SRS_OK);
	ks->generation = fx->generation++;
	ks->named = ks->pending = true;
	return ks;
}

static inline struct stream *
stream_secure(struct fx *fx, const struct srtp_master *master)
{
	struct stream_spec spec = px_spec(0, 1, 20000);

	spec.secure = true;
	return stream_install_as(fx, &spec, master != NULL ? keyset_of(fx, master) : NULL);
}

/* As control does it: keys that the stream does not have come along. */
static inline void
rekey(struct fx *fx, const struct srtp_master masters[], unsigned int n, unsigned int have)
{
	struct command *c = post(fx, COMMAND_STREAM_REKEY);
	struct keyset **link = &c->u.rekey.fresh;

	c->stream = &fx->streams.slots[1];
	c->u.rekey.n_ids = n;
	for (unsigned int i = 0; i < n; i++) {
		keyset_id(&masters[i], c->u.rekey.ids[i]);
		if ((have >> i & 1) == 0) {
			*link = keyset_of(fx, &masters[i]);
			link = &(*link)->next;
		}
	}
	assert_int_equal(turn(fx), 1);
}

/* Keysets that the lcore gave back. */
static inline unsigned int
retired(struct fx *fx)
{
	struct keyset *ks;
	unsigned int n = 0;

	for (; (ks = spsc_pop(fx->lc->generations.retired)) != NULL; n++)
		keyset_give(&fx->keysets, ks);
	return n;
}

static inline struct rte_mbuf *
mbuf_of(struct fx *fx, const void *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(fx->mbufs);

	if (m == NULL)
		abort();	/* a burst leaked its packets */
	memcpy(rte_pktmbuf_mtod(m, void *), frame, len);
	m->data_len = (uint16_t)len;
	m->pkt_len = (uint32_t)len;
	return m;
}

/* `n` RTP packets in one burst. */
static inline void
rtp_burst(struct fx *fx, uint16_t seq, uint16_t n)
{
	struct rte_mbuf *m[BURST_MAX];
	uint8_t packet[172], frame[256];

	for (uint16_t i = 0; i < n; i++) {
		px_rtp_packet(packet, 5, (uint16_t)(seq + i));
		m[i] = mbuf_of(fx, frame, px_udp(frame, PX_SOURCE, 5004, 20000, packet, sizeof(packet)));
	}
	lcore_begin(fx->lc);
	lcore_burst(fx->lc, m, n);
}

static inline void
burst_of(struct fx *fx, struct rte_mbuf *m[], uint16_t n)
{
	struct chunk *full;

	lcore_begin(fx->lc);
	lcore_burst(fx->lc, m, n);
	while ((full = spsc_pop(fx->lc->recorder.full[0])) != NULL)	/* as an idle writer would */
		assert_true(spsc_push(fx->lc->recorder.empty[0], full));
	recorder_refill(&fx->lc->recorder);
}

#endif
