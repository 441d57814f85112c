#include "dataplane/lcore.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_pause.h>

#include "crypto/secret.h"
#include "lib/srs_assert.h"

#define COMMANDS_A_TURN  16
#define COMMANDS_WAIT_HZ 20	/* they wait at most 1/20 s for the packets that came before them */
#define CHUNKS_A_TURN    64	/* passed on because of age */
#define RETIRED_A_TURN   64	/* streams whose old keys had their grace */
#define REPORTS_A_TURN   16	/* a thousand turns a second: 20,000 streams want 4,000 reports */
#define HOUSEKEEPING_HZ  1000
#define IDLE_PAUSES      512	/* empty polls before the first sleep */

void
lcore_begin(struct lcore *lc)
{
	struct recorder *r = &lc->recorder;

	clock_read(lc->spec.clock, &lc->clock_sequence, &r->clock);
	for (uint16_t w = 0; w < r->n_writers; w++)
		r->refused[w] = (uint8_t)writer_refuses(lc->spec.writers[w]);
	recorder_turn(r, rte_rdtsc());
}

/* ---- between bursts ---- */

static void
command_back(struct lcore *lc, struct command *c)
{
	bool pushed = spsc_push(lc->events, c);

	srs_assert(pushed);	/* the ring holds the whole pool */
}

/* By the link that control knows of, else by what the wire says. */
static bool
link_find(struct lcore *lc, const struct command *c, struct link *l)
{
	const struct media_address *from = &lc->spec.steer->address[c->stream->address_i];
	uint8_t mac[REPLY_MAC_SIZE], question[NEIGHBOUR_QUESTION_MAX], *frame;
	uint32_t question_len;
	struct rte_mbuf *m;
	bool known;

	*l = c->u.send.link;
	if (l->len != 0)
		return true;
	known = neighbour_find(&lc->neighbours, from, &c->u.send.to, lc->recorder.now_tsc, lc->spec.mac, mac, question,
	                       &question_len);
	m = question_len != 0 ? transmit_take(&lc->transmit, &frame) : NULL;
	if (m != NULL) {
		memcpy(frame, question, question_len);
		transmit_send(&lc->transmit, m, question_len);
	}
	link_to(l, mac, lc->spec.mac, c->u.send.to.ip_version);
	return known;
}

static void
send_datagram(struct lcore *lc, const struct command *c)
{
	struct media_address from = lc->spec.steer->address[c->stream->address_i];
	const struct note *note = c->u.send.datagram;
	struct rte_mbuf *m;
	uint8_t *frame;
	struct link l;

	if (!link_find(lc, c, &l)) {
		counter_add(&lc->counters.tx_dtls_nowhere, 1);
		return;
	}
	m = transmit_take(&lc->transmit, &frame);
	if (m == NULL)
		return;
	from.udp_port = c->stream->udp_port;
	memcpy(frame + datagram_payload_at(&l, from.ip_version), note->bytes, note->len);
	if (transmit_send(&lc->transmit, m, datagram_finish(frame, &l, &from, &c->u.send.to, note->len)))
		counter_add(&lc->counters.tx_dtls, 1);
}

/* @param seen  how many of those that wait may be taken */
static unsigned int
commands_take(struct lcore *lc, unsigned int seen)
{
	unsigned int n = 0;

	for (; n < COMMANDS_A_TURN; n++) {
		struct command *c = lc->current;

		if (c == NULL && seen-- != 0)
			c = spsc_pop(lc->commands);
		if (c == NULL)
			break;
		lc->current = NULL;
		if (c->kind == COMMAND_STREAM_ADD) {
			replay_arm(&lc->replay, lc->recorder.now_tsc);
			report_begin(&lc->reports, c->stream, lc->recorder.now_tsc);
		} else if (c->kind == COMMAND_STREAM_REMOVE) {
			report_end(&lc->reports, c->stream);
		}
		if (c->kind == COMMAND_STREAM_SEND) {
			send_datagram(lc, c);
			command_back(lc, c);
		} else if (command_run(c, &lc->recorder, lc->spec.streams, &lc->generations)) {
			command_back(lc, c);
		} else if (c->kind == COMMAND_NOTE) {
			lc->current = c;	/* goes on in the next turn, before all that was posted later */
			return n + 1;
		} else {
			c->next = lc->waiting;
			lc->waiting = c;
		}
	}
	return n;
}

static void
waiting_retry(struct lcore *lc)
{
	struct command **link = &lc->waiting;

	while (*link != NULL) {
		struct command *c = *link;

		if (!command_run(c, &lc->recorder, lc->spec.streams, &lc->generations))
			return;		/* no chunk for this one, none for the others */
		*link = c->next;
		command_back(lc, c);
	}
}

/* A stream is removed because a BYE came, and packets from before that BYE may still wait in the queue: while bursts are
 * full they go first, for a bounded time. And a command that came while a burst was in the hand waits for the next one. */
static bool
commands_due(const struct lcore *lc)
{
	return lc->behind_tsc == 0 || lc->recorder.now_tsc - lc->behind_tsc > lc->spec.clock->tsc_hz / COMMANDS_WAIT_HZ;
}

static unsigned int
housekeep(struct lcore *lc, unsigned int seen)
{
	struct recorder *r = &lc->recorder;
	unsigned int n = commands_due(lc) ? commands_take(lc, seen) : 0;

	if (r->now_tsc < lc->housekeeping_tsc)
		return n;
	recorder_refill(r);
	waiting_retry(lc);
	n += report_run(&lc->reports, r, REPORTS_A_TURN);
	n += generation_retire(&lc->generations, r, RETIRED_A_TURN);
	n += recorder_age(r, CHUNKS_A_TURN);
	if (r->oldest == NULL || r->now_tsc - r->oldest->opened_tsc < r->age_tsc)
		lc->housekeeping_tsc = r->now_tsc + lc->spec.clock->tsc_hz / HOUSEKEEPING_HZ;
	return n;
}

unsigned int
lcore_housekeep(struct lcore *lc)
{
	return housekeep(lc, spsc_len(lc->commands));
}

/* What is not to be recorded from now on: packets that came behind that word may be in the hand already, but none of them
 * is appended before it. */
static void
urgent_take(struct lcore *lc)
{
	unsigned int n;

	atomic_store_explicit(&lc->urgent, false, memory_order_relaxed);
	do
		n = commands_take(lc, spsc_len(lc->commands));
	while (n == COMMANDS_A_TURN);
}

static uint16_t
lcore_turn(struct lcore *lc)
{
	struct rte_mbuf *m[BURST_MAX];
	uint16_t port_id = lc->spec.port_id, queue_id = lc->spec.queue_id, n;

	if (likely(!lc->replay.on))
		n = rte_eth_rx_burst(port_id, queue_id, m, BURST_MAX);
	else
		n = replay_rx_burst(&lc->replay, port_id, queue_id, m, BURST_MAX, lc->recorder.now_tsc);
	lcore_begin(lc);
	if (unlikely(atomic_load_explicit(&lc->urgent, memory_order_acquire)))	/* pairs with dataplane_recording_pause() */
		urgent_take(lc);
	if (n != 0)
		lcore_burst(lc, m, n);
	if (likely(n < BURST_MAX))
		lc->behind_tsc = 0;
	else if (lc->behind_tsc == 0)
		lc->behind_tsc = lc->recorder.now_tsc;
	return n;
}

static void
announce(struct lcore *lc)
{
	for (uint16_t i = 0; i < lc->spec.steer->n_addresses; i++) {
		uint8_t *frame;
		struct rte_mbuf *m = transmit_take(&lc->transmit, &frame);

		if (m == NULL)
			return;
		if (transmit_send(&lc->transmit, m, reply_announce(&lc->spec.steer->address[i], lc->spec.mac, frame)))
			counter_add(&lc->counters.tx_replies, 1);
	}
}

static void
rest(const struct lcore *lc, unsigned int idle)
{
	const struct timespec t = { .tv_nsec = (long)lc->idle_sleep_us * 1000 };

	if (lc->idle_sleep_us == 0 || (idle < IDLE_PAUSES && !lc->spec.one_cpu))
		rte_pause();
	else
		nanosleep(&t, NULL);
}

static void *
lcore_main(void *arg)
{
	struct lcore *lc = arg;
	unsigned int idle = 0;

	if (rte_thread_register() != 0)
		return NULL;	/* lcore_start() sees that the first turn never ended */
	if (lc->spec.answers)
		announce(lc);
	while (!atomic_load_explicit(&lc->stop, memory_order_acquire)) {	/* pairs with lcore_stop() */
		uint64_t begin_tsc = rte_rdtsc();
		unsigned int seen = spsc_len(lc->commands);	/* what comes later saw packets that we may not have */
		unsigned int n = lcore_turn(lc);
		unsigned int done = n + housekeep(lc, seen);

		if (n != 0) {
			counter_add(&lc->counters.turns_busy, 1);
			counter_add(&lc->counters.cycles_busy, rte_rdtsc() - begin_tsc);
		}
		idle = done != 0 ? 0 : idle + 1;
		if (idle != 0)
			rest(lc, idle);
		if (unlikely(!atomic_load_explicit(&lc->running, memory_order_relaxed)))
			atomic_store_explicit(&lc->running, true, memory_order_release);	/* pairs with lcore_start() */
	}
	while (lc->recorder.oldest != NULL)
		recording_close(&lc->recorder, lc->recorder.oldest);
	replay_end(&lc->replay);
	rte_thread_unregister();
	return NULL;
}

/* ---- life ---- */

enum srs_err
lcore_create(struct lcore **out, const struct lcore_spec *spec)
{
	struct lcore *lc = aligned_alloc(SRS_CACHE_LINE, (sizeof(*lc) + SRS_CACHE_LINE - 1) & ~(size_t)(SRS_CACHE_LINE - 1));
	uint64_t tsc_hz = spec->clock->tsc_hz, seed;
	struct recorder *r;
	enum srs_err err;

	if (lc == NULL)
		return SRS_ERR_NOMEM;
	memset(lc, 0, sizeof(*lc));
	lc->spec = *spec;
	lc->idle_sleep_us = spec->config->media.idle_sleep_us;
	if (spec->one_cpu && lc->idle_sleep_us == 0)
		lc->idle_sleep_us = 200;
	lc->turn = 1;
	lc->transmit = (struct transmit){ .port_id = spec->port_id, .queue_id = spec->queue_id,
		                          .pool = spec->pool, .counters = &lc->counters };
	memcpy(lc->transmit.mac, spec->mac, sizeof(spec->mac));
	lc->reports.transmit = &lc->transmit;
	lc->reports.counters = &lc->counters;
	lc->reports.steer = spec->steer;
	lc->reports.cname = spec->cname;
	if (secret_random(&seed, sizeof(seed)) != SRS_OK) {
		lcore_destroy(lc);
		return SRS_ERR_IO;
	}
	report_init(&lc->reports, rte_rdtsc(), tsc_hz, seed | 1);
	neighbour_init(&lc->neighbours, spec->config, tsc_hz);
	r = &lc->recorder;
	r->chunks = &lc->chunks;
	r->streams = &lc->pool;
	r->counters = &lc->counters;
	r->n_writers = spec->n_writers;
	for (uint16_t w = 0; w < spec->n_writers; w++) {
		r->full[w] = writer_full_ring(spec->writers[w], spec->lcore_i);
		r->empty[w] = writer_empty_ring(spec->writers[w], spec->lcore_i);
	}
	r->age_ns = (uint64_t)spec->config->storage.chunk_age_ms * 1000000;
	r->age_tsc = tsc_hz / 1000 * spec->config->storage.chunk_age_ms;
	lc->generations.grace_tsc = tsc_hz / 1000 * spec->config->srtp.rekey_grace_ms;
	err = chunk_pool_create(&lc->chunks, spec->n_chunks, spec->n_chunks / 32, spec->huge);
	if (!err)
		err = stream_pool_create(&lc->pool, spec->streams_max, spec->recordings_max);
	if (!err)
		err = spsc_create(&lc->commands, spec->n_commands);
	if (!err)
		err = spsc_create(&lc->events, spec->n_commands);
	if (!err)
		err = spsc_create(&lc->generations.retired, spec->n_keysets);
	if (!err && spec->config->srtp.enabled && spec->config->srtp.dtls)
		err = punts_create(&lc->punts);
	if (!err && spec->file)
		err = replay_init(&lc->replay, tsc_hz);
	if (!err) {
		lc->engine = unprotect_engine_create(spec->engine);
		lc->reports.srtcp = lc->srtcp = srtcp_create();
		lc->joined = malloc((size_t)RX_LONG_MAX * RX_LONG_SIZE);
		err = lc->engine != NULL && lc->srtcp != NULL && lc->joined != NULL ? SRS_OK : SRS_ERR_NOMEM;
	}
	if (err)
		lcore_destroy(lc);
	else
		*out = lc;
	return err;
}

static void
pin(pthread_t thread, int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned int)cpu, &set);
	pthread_setaffinity_np(thread, sizeof(set), &set);	/* refused: it floats */
}

enum srs_err
lcore_start(struct lcore *lc)
{
	const struct timespec step = { .tv_nsec = 1000000 };

	if (pthread_create(&lc->thread, NULL, lcore_main, lc) != 0)
		return SRS_ERR_IO;
	lc->started = true;
	pin(lc->thread, lc->spec.cpu);
	pthread_setname_np(lc->thread, "lcore");
	for (unsigned int ms = 0; ms < 5000; ms++) {
		if (atomic_load_explicit(&lc->running, memory_order_acquire))
			return SRS_OK;
		nanosleep(&step, NULL);
	}
	return SRS_ERR_IO;
}

void
lcore_stop(struct lcore *lc)
{
	if (!lc->started)
		return;
	atomic_store_explicit(&lc->stop, true, memory_order_release);
	pthread_join(lc->thread, NULL);
	lc->started = false;
}

void
lcore_destroy(struct lcore *lc)
{
	if (lc == NULL)
		return;
	unprotect_engine_destroy(lc->engine);
	srtcp_destroy(lc->srtcp);
	spsc_destroy(lc->commands);
	spsc_destroy(lc->events);
	spsc_destroy(lc->generations.retired);
	punts_destroy(&lc->punts);
	stream_pool_destroy(&lc->pool);
	chunk_pool_destroy(&lc->chunks);
	free(lc->joined);
	free(lc);
}
