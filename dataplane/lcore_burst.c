/* The burst, phase by phase. */
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "dataplane/join.h"
#include "dataplane/lcore.h"
#include "lib/rtp.h"
#include "lib/srs_assert.h"

#define PREFETCH_AHEAD 6

static enum packet_checksum
checksum_of(const struct rte_mbuf *m)
{
	uint64_t flags = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	if (flags == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		return PACKET_CHECKSUM_GOOD;
	return flags == RTE_MBUF_F_RX_L4_CKSUM_BAD ? PACKET_CHECKSUM_BAD : PACKET_CHECKSUM_UNKNOWN;
}

/* A chain of buffers, in one piece; a burst has room for a few. */
static void
parse_long(const struct lcore *lc, struct rx_packet *p, const struct rte_mbuf *m, unsigned int *n_long)
{
	uint8_t *at = lc->joined + (size_t)*n_long * RX_LONG_SIZE;
	uint32_t len = 0;
	bool fits = *n_long < RX_LONG_MAX;

	for (; m != NULL && fits; m = m->next) {
		fits = m->data_len <= RX_LONG_SIZE - len;
		if (fits)
			memcpy(at + len, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
		len += m->data_len;
	}
	if (fits) {
		packet_parse(lc->spec.steer, lc->spec.lcore_i, at, len, PACKET_CHECKSUM_UNKNOWN, p);
		++*n_long;
	} else {
		packet_parse(lc->spec.steer, lc->spec.lcore_i, at, 0, PACKET_CHECKSUM_UNKNOWN, p);
		p->verdict = RX_DROP_LONG;
	}
	p->for_reply = false;	/* answers leave in the buffer that asked */
}

static void
rx_parse(const struct lcore *lc, struct rx_packet pkt[], struct rte_mbuf *m[], uint16_t n)
{
	unsigned int n_long = 0;

	for (uint16_t i = 0; i < n && i < 2 * PREFETCH_AHEAD; i++)
		rte_prefetch0(m[i]);
	for (uint16_t i = 0; i < n && i < PREFETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	for (uint16_t i = 0; i < n; i++) {
		if (i + 2 * PREFETCH_AHEAD < n)
			rte_prefetch0(m[i + 2 * PREFETCH_AHEAD]);
		if (i + PREFETCH_AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(m[i + PREFETCH_AHEAD], void *));
		if (likely(m[i]->nb_segs == 1))
			packet_parse(lc->spec.steer, lc->spec.lcore_i, rte_pktmbuf_mtod(m[i], uint8_t *),
			             m[i]->data_len, checksum_of(m[i]), &pkt[i]);
		else
			parse_long(lc, &pkt[i], m[i], &n_long);
		rte_prefetch0(&lc->spec.streams->slot_of[pkt[i].address_i][pkt[i].udp_port]);
	}
}

static void
rx_lookup(const struct lcore *lc, struct rx_packet pkt[], uint16_t n)
{
	const struct stream_table *streams = lc->spec.streams;

	for (uint16_t i = 0; i < n; i++) {
		uint32_t slot = streams->slot_of[pkt[i].address_i][pkt[i].udp_port];

		if (slot != 0) {
			pkt[i].stream = &streams->slots[slot & ~SLOT_RTCP];
			rte_prefetch0(pkt[i].stream);
			rte_prefetch0(&pkt[i].stream->first);
			if (likely(pkt[i].verdict == RX_PENDING)) {	/* the payload, for rx_append */
				rte_prefetch0(pkt[i].bytes + SRS_CACHE_LINE / 2);
				rte_prefetch0(pkt[i].bytes + 3 * SRS_CACHE_LINE / 2);
				rte_prefetch0(pkt[i].bytes + 5 * SRS_CACHE_LINE / 2);
			}
			if (slot & SLOT_RTCP)
				pkt[i].kind = PACKET_RTCP;
		} else if (pkt[i].verdict == RX_PENDING) {
			pkt[i].verdict = selftest_is(lc->spec.selftest, &pkt[i]) ? RX_SELFTEST : RX_DROP_NO_STREAM;
		}
	}
}

static void append_rtp(struct lcore *lc, struct rx_packet *p, uint64_t wall_ns);

static void
mark_gone(struct lcore *lc, struct stream *s, const struct ssrc *x)
{
	const struct reel_mark mark = { .kind = REEL_MARK_SSRC_GONE, .ssrc = x->ssrc, .index = x->highest,
		                        .generation = x->generation, .payload_type = x->payload_type };

	recording_mark(&lc->recorder, s->recording, s->number, &mark);
}

static void
evict(struct lcore *lc, struct stream *s, const struct ssrc *evicted)
{
	counter_add(&lc->counters.ssrc_evicted, 1);
	recording_ssrc_end(&lc->recorder, s->recording, s, evicted);
	mark_gone(lc, s, evicted);
}

/* A packet without a context under the active keys gets one when it has authenticated: see authenticate(). */
static void
find_ssrc_secure(struct rx_packet *p, uint32_t ssrc)
{
	struct stream *s = p->stream;

	if (s->keys == NULL) {
		p->verdict = RX_DROP_NO_KEY;
		counter_add(&s->drops, 1);
		return;
	}
	p->ssrc = stream_ssrc_under(s, ssrc, s->keys->generation);
	p->op.result = UNPROTECT_BAD_TAG;
}

/* The context of the packet's SSRC; another one may have to leave for it. */
static void
find_ssrc(struct lcore *lc, struct rx_packet *p)
{
	struct stream *s = p->stream;
	bool secure = (s->flags & STREAM_F_SECURE) != 0;
	uint32_t ssrc = packet_u32(p->bytes + 8);
	struct ssrc evicted = { .used = false };

	if (likely(s->first.used && s->first.ssrc == ssrc)) {
		s->first.turn = secure ? s->first.turn : lc->turn;	/* a forged packet does not count as heard */
		p->ssrc = &s->first;
		return;
	}
	if (secure) {
		find_ssrc_secure(p, ssrc);
		return;
	}
	p->ssrc = stream_ssrc(s, ssrc, lc->turn, &lc->pool,
	                      recording_totals_room(&lc->recorder, s->recording) ? &evicted : NULL);
	if (p->ssrc == NULL) {
		p->verdict = RX_DROP_SSRC;
		counter_add(&s->drops, 1);
	} else if (evicted.used) {
		evict(lc, s, &evicted);
	}
}

static void
op_fill(struct rx_packet *p)
{
	p->op.packet = p->bytes;
	p->op.len = p->len;
	p->op.result = UNPROTECT_PENDING;
	p->op.index = &p->ssrc->index;
	p->op.keys = p->stream->keys != NULL ? &p->stream->keys->ctx : NULL; /* one address: costs no branch */
}

/* The source proved itself with its second packet: the first one goes into the recording before it. */
static void
admit_held(struct lcore *lc, const struct rx_packet *second)
{
	struct stream *s = second->stream;
	struct hold *h = s->hold;
	struct rx_packet p = { .verdict = RX_PENDING, .kind = PACKET_RTP, .stream = s, .bytes = h->bytes,
		               .len = h->len, .frame = second->frame, .ip_version = second->ip_version, .source_ip = h->source.ip,
		               .source_port = h->source.udp_port };
	struct unprotect_op *op = &p.op;
	uint64_t wall_ns = h->wall_ns > s->recording->last_wall_ns ? h->wall_ns : lc->recorder.wall_ns;

	find_ssrc(lc, &p);
	if (p.verdict == RX_PENDING) {
		op_fill(&p);
		unprotect_burst(lc->engine, &op, 1);
		append_rtp(lc, &p, wall_ns);
	}
	counter_add(p.verdict == RX_RECORDED ? &lc->counters.held_recorded : &lc->counters.held_dropped, 1);
	stream_hold_drop(s, &lc->pool);
}

static void
rx_dtls(struct lcore *lc, struct rx_packet *p)
{
	p->verdict = punt_take(&lc->punts, p, lc->recorder.now_tsc, lc->spec.clock->tsc_hz, lc->spec.mac);
	if (p->verdict != RX_DTLS)
		counter_add(&p->stream->drops, 1);
}

/* A burst before the engine wants them: 20,000 streams' keys are in no cache, and this takes 40 ns a packet off AES-CM and
 * 100 ns off AEAD (bench/run pipeline). */
static inline void
keys_prefetch(const struct stream *s)
{
	const uint8_t *at = (const uint8_t *)s->keys;

	if (at == NULL)
		return;
	for (unsigned int i = 0; i < UNPROTECT_CTX_HOT; i += SRS_CACHE_LINE)
		rte_prefetch0(at + i);
}

static void
rx_source(struct lcore *lc, struct rx_packet pkt[], uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct rx_packet *p = &pkt[i];

		if (p->verdict != RX_PENDING)
			continue;
		if (unlikely(p->kind == PACKET_DTLS)) {
			rx_dtls(lc, p);
			continue;
		}
		rte_prefetch0(p->stream->recording);
		keys_prefetch(p->stream);
		switch (stream_source_check(p->stream, p, lc->recorder.wall_ns, &lc->pool, &lc->counters)) {
		case STREAM_SOURCE_LATCHED:
			admit_held(lc, p);
			break;
		case STREAM_SOURCE_OK:
			break;
		case STREAM_SOURCE_HELD:
			p->verdict = RX_HELD;
			break;
		case STREAM_SOURCE_OTHER:
			p->verdict = RX_DROP_SOURCE;
			break;
		case STREAM_SOURCE_NO_ROOM:
			p->verdict = RX_DROP_PROBATION;
			break;
		}
		if (p->verdict == RX_PENDING && p->kind == PACKET_RTP) {
			find_ssrc(lc, p);
			if (p->ssrc != NULL)
				op_fill(p);
		} else if (p->verdict != RX_PENDING && p->verdict != RX_HELD) {
			counter_add(&p->stream->drops, 1);
		}
	}
}

static void
rx_unprotect(struct lcore *lc, struct rx_packet pkt[], uint16_t n)
{
	struct unprotect_op *op[BURST_MAX];
	uint16_t n_ops = 0;

	for (uint16_t i = 0; i < n; i++) {
		const struct recording *rec;

		if (pkt[i].verdict != RX_PENDING)
			continue;
		if (pkt[i].ssrc != NULL)	/* RTP with a context */
			op[n_ops++] = &pkt[i].op;
		rec = pkt[i].stream->recording;
		if (likely(rec->body != NULL)) {	/* where the frame will go: about three lines */
			const uint8_t *at = rec->body + rec->used;

			__builtin_prefetch(at, 1);
			__builtin_prefetch(at + SRS_CACHE_LINE, 1);
			__builtin_prefetch(at + 2 * SRS_CACHE_LINE, 1);
		}
	}
	unprotect_burst(lc->engine, op, n_ops);
}

static uint8_t
verdict_of_reason(enum reel_reason reason)
{
	switch (reason) {
	case REEL_REASON_DISK_FULL: return RX_DROP_DISK_FULL;
	case REEL_REASON_WRITE_ERROR: return RX_DROP_WRITE_ERROR;
	case REEL_REASON_PAUSED: return RX_DROP_PAUSED;
	case REEL_REASON_TOO_LONG: return RX_DROP_TOO_LONG;
	default: return RX_DROP_NO_CHUNK;
	}
}

static void
mark_ssrc(struct lcore *lc, const struct rx_packet *p, struct recording *rec)
{
	struct ssrc *x = p->ssrc;
	struct reel_mark mark = { .kind = REEL_MARK_SSRC, .ssrc = x->ssrc, .index = p->op.packet_index,
		                  .generation = x->generation, .payload_type = x->payload_type,
		                  .ip_version = p->ip_version, .udp_port = p->source_port };

	memcpy(mark.ip, p->source_ip, p->ip_version == 4 ? 4 : 16);
	if (recording_mark(&lc->recorder, rec, p->stream->number, &mark))
		x->marked_part = rec->part;
}

/* Far ahead: the source began anew, or much was lost. A protected index is authentic: what lies between was sent.
 * @return false: there is no room for the totals of yet another source */
static bool
on_jump(struct lcore *lc, const struct rx_packet *p, uint64_t silence_tsc)
{
	struct stream *s = p->stream;
	struct ssrc *x = p->ssrc;

	if (p->op.keys != NULL || !ssrc_restarted(x, p->op.packet_index, lc->recorder.now_tsc, silence_tsc))
		return true;
	if (!recording_totals_room(&lc->recorder, s->recording))
		return false;
	counter_add(&lc->counters.ssrc_restarted, 1);
	recording_ssrc_end(&lc->recorder, s->recording, s, x);
	ssrc_restart(x);
	return true;
}

/* An authenticated, new RTP packet. */
static void
append_unique(struct lcore *lc, struct rx_packet *p, uint64_t wall_ns, uint64_t silence_tsc)
{
	struct stream *s = p->stream;
	struct ssrc *x = p->ssrc;
	struct recording *rec = s->recording;
	const struct recording_frame f = { .kind = REEL_FRAME_RTP, .stream = s->number, .len = p->op.len,
		                           .seq_ext = (uint32_t)p->op.packet_index, .wall_ns = wall_ns,
		                           .bytes = p->bytes };
	enum reel_reason reason = REEL_REASON_PAUSED;

	if (unlikely(ssrc_jumped(x, p->op.packet_index)) && !on_jump(lc, p, silence_tsc)) {
		p->verdict = RX_DROP_SSRC;
		counter_add(&s->drops, 1);
		return;
	}
	ssrc_expect(x, p->op.packet_index, lc->recorder.now_tsc);
	x->turn = lc->turn;
	x->payload_type = s->payload_type = p->bytes[1] & 0x7f;
	if (unlikely(s->flags & STREAM_F_SAMPLE))
		report_sample(s, p, &lc->recorder, lc->spec.mac);
	if (likely(!(rec->flags & RECORDING_F_PAUSED) && !(s->flags & STREAM_F_INACTIVE))) {
		if (unlikely(x->marked_part != rec->part))
			mark_ssrc(lc, p, rec);
		reason = recording_append(&lc->recorder, rec, &f);
	}
	if (likely(reason == REEL_REASON_NONE)) {
		counter_add(&x->recorded, 1);
		counter_add(&s->frames, 1);
		counter_add(&s->bytes, p->op.len);
		p->verdict = RX_RECORDED;
		return;
	}
	counter_add(&x->missing[reason], 1);
	counter_add(&s->drops, 1);
	recording_gap(rec, s, reason, wall_ns);
	p->verdict = verdict_of_reason(reason);
}

/* The context that a packet has earned; another one may have to leave for it, but none that this burst counts on. */
static struct ssrc *
context_begin(struct lcore *lc, struct rx_packet *p, const struct join_found *found)
{
	struct stream *s = p->stream;
	struct ssrc evicted = { .used = false }, *x;

	for (const struct rx_packet *q = p + 1; q < lc->burst_end; q++)
		if (q->verdict == RX_PENDING && q->ssrc != NULL && q->op.result != UNPROTECT_BAD_TAG)
			q->ssrc->turn = lc->turn;
	x = stream_ssrc_join(s, found->keys, packet_u32(p->bytes + 8), lc->turn, &lc->pool,
	                     recording_totals_room(&lc->recorder, s->recording) ? &evicted : NULL);
	if (x == NULL)
		return NULL;
	if (evicted.used)
		evict(lc, s, &evicted);
	x->index = found->index;
	return x;
}

/* A packet of a secure stream that the batch could not take. The order of a burst is kept: what an earlier packet of it
 * began, a later one finds. @return false: it has its verdict */
static bool
authenticate(struct lcore *lc, struct rx_packet *p)
{
	const struct join_time time = { .now_tsc = lc->recorder.now_tsc, .tsc_hz = lc->spec.clock->tsc_hz,
		                        .turn = lc->turn };
	struct stream *s = p->stream;
	struct join_found found;

	if (!join_packet(lc->engine, p, &time, &found)) {
		p->verdict = RX_DROP_AUTH;
		counter_add(&s->drops, 1);
		return false;
	}
	p->ssrc = found.context != NULL ? found.context : context_begin(lc, p, &found);
	if (p->ssrc == NULL) {
		p->verdict = RX_DROP_SSRC;
		counter_add(&s->drops, 1);
		return false;
	}
	if ((s->flags & STREAM_F_LOCKED) == 0)
		stream_source_lock(s, p);
	generation_used(&lc->generations, s, found.keys, p->ssrc->ssrc);
	return true;
}

static void
append_rtp(struct lcore *lc, struct rx_packet *p, uint64_t wall_ns)
{
	struct stream *s = p->stream;
	uint64_t silence_tsc = lc->recorder.now_tsc - s->last_tsc;

	if (unlikely(p->op.result == UNPROTECT_BAD_TAG) && !authenticate(lc, p))
		return;
	__atomic_store_n(&s->last_tsc, lc->recorder.now_tsc, __ATOMIC_RELAXED);
	switch (p->op.result) {
	case UNPROTECT_OK:
		append_unique(lc, p, wall_ns, silence_tsc);
		return;
	case UNPROTECT_REPLAYED:
		counter_add(&p->ssrc->duplicates, 1);
		counter_add(&s->duplicates, 1);
		p->verdict = RX_DROP_DUPLICATE;
		return;
	case UNPROTECT_TOO_OLD:
		p->verdict = RX_DROP_LATE;
		break;
	default:
		srs_assert_hot(!"a result without a verdict");
		p->verdict = RX_DROP_AUTH;
		break;
	}
	counter_add(&s->drops, 1);
}

/* Sources that said goodbye get their mark. Their contexts stay: late packets count with the others, and one that
 * talks on gets a new SSRC mark. @rfc 3550 §6.6, §6.3.7 */
static void
mark_bye(struct lcore *lc, const struct rx_packet *p)
{
	struct stream *s = p->stream;
	uint32_t gone[STREAM_SSRC_MAX];
	unsigned int n = rtp_bye_find(gone, STREAM_SSRC_MAX, span_of(p->bytes, p->len));

	for (unsigned int i = 0; i < n; i++) {
		struct ssrc *x = stream_ssrc_find(s, gone[i]);

		if (x != NULL && x->marked_part == s->recording->part) {
			mark_gone(lc, s, x);
			x->marked_part = STREAM_PART_NONE;
		}
	}
}

/* @return false: it has its verdict */
static bool
authenticate_rtcp(struct lcore *lc, struct rx_packet *p)
{
	const struct join_time time = { .now_tsc = lc->recorder.now_tsc, .tsc_hz = lc->spec.clock->tsc_hz,
		                        .turn = lc->turn };
	struct stream *s = p->stream;

	switch (s->keys != NULL ? join_rtcp(lc->srtcp, p, &time) : UNPROTECT_PENDING) {
	case UNPROTECT_OK:
		return true;
	case UNPROTECT_REPLAYED:
		counter_add(&s->duplicates, 1);
		p->verdict = RX_DROP_DUPLICATE;
		return false;
	case UNPROTECT_TOO_OLD:
		p->verdict = RX_DROP_LATE;
		break;
	case UNPROTECT_BAD_TAG:
		p->verdict = RX_DROP_AUTH_RTCP;
		break;
	case UNPROTECT_PENDING:
		p->verdict = RX_DROP_NO_KEY;
		break;
	}
	counter_add(&s->drops, 1);
	return false;
}

static void
append_rtcp(struct lcore *lc, struct rx_packet *p)
{
	struct stream *s = p->stream;
	struct recording *rec = s->recording;
	struct recording_frame f = { .kind = REEL_FRAME_RTCP, .stream = s->number, .wall_ns = lc->recorder.wall_ns,
		                     .bytes = p->bytes };
	enum reel_reason reason = REEL_REASON_PAUSED;
	uint8_t type;
	uint32_t ssrc;

	if ((s->flags & STREAM_F_SECURE) && !authenticate_rtcp(lc, p))
		return;
	f.len = p->len;
	if (rtp_rtcp_check(span_of(p->bytes, p->len), &type, &ssrc) != SRS_OK) {
		p->verdict = RX_DROP_RTCP;
		counter_add(&s->drops, 1);
		return;
	}
	__atomic_store_n(&s->last_rtcp_tsc, lc->recorder.now_tsc, __ATOMIC_RELAXED);
	if (s->flags & STREAM_F_REPORT)
		report_hear(s, p, &lc->recorder, lc->spec.mac);
	if (!(rec->flags & RECORDING_F_PAUSED) && !(s->flags & STREAM_F_INACTIVE))
		reason = recording_append(&lc->recorder, rec, &f);
	if (reason == REEL_REASON_NONE) {
		struct ssrc *x = stream_ssrc_find(s, ssrc);

		if (x != NULL)
			x->rtcp++;
		else
			counter_add(&s->rtcp_early, 1);
		mark_bye(lc, p);
		p->verdict = RX_RECORDED_RTCP;
		return;
	}
	counter_add(&s->drops, 1);
	recording_gap(rec, s, reason, lc->recorder.wall_ns);
	p->verdict = verdict_of_reason(reason);
}

static void
rx_append(struct lcore *lc, struct rx_packet pkt[], uint16_t n)
{
	lc->burst_end = pkt + n;
	for (uint16_t i = 0; i < n; i++) {
		if (pkt[i].verdict != RX_PENDING)
			continue;
		if (likely(pkt[i].kind == PACKET_RTP))
			append_rtp(lc, &pkt[i], lc->recorder.wall_ns);
		else
			append_rtcp(lc, &pkt[i]);
	}
	if (unlikely(lc->generations.n_fresh != 0))
		generation_begin(&lc->generations, &lc->recorder);
}

/* Answers leave in the mbuf that asked; it is gone from `m` then. */
static void
rx_reply(struct lcore *lc, struct rx_packet pkt[], struct rte_mbuf *m[], uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		uint32_t len, room;

		if (likely(!pkt[i].for_reply) || !lc->spec.answers)
			continue;
		neighbour_hear(&lc->neighbours, rte_pktmbuf_mtod(m[i], const uint8_t *), m[i]->data_len, lc->recorder.now_tsc);
		room = (uint32_t)m[i]->data_len + rte_pktmbuf_tailroom(m[i]);
		len = reply_build(lc->spec.steer, lc->spec.mac, rte_pktmbuf_mtod(m[i], uint8_t *), m[i]->data_len, room);
		if (len == 0)
			continue;
		pkt[i].verdict = RX_REPLIED;
		m[i]->data_len = (uint16_t)len;
		m[i]->pkt_len = len;
		m[i]->ol_flags = 0;
		if (rte_eth_tx_burst(lc->spec.port_id, lc->spec.queue_id, &m[i], 1) == 1) {
			counter_add(&lc->counters.tx_replies, 1);
			m[i] = NULL;	/* the driver's */
		} else {
			counter_add(&lc->counters.tx_dropped, 1);
		}
	}
}

static void
counters_add_verdicts(struct counters *c, const struct rx_packet pkt[], uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		srs_assert_hot(pkt[i].verdict != RX_PENDING);
		counter_add(&c->verdicts[pkt[i].verdict], 1);
	}
	srs_assert_hot(c->nic_received == counters_verdicts(c));
}

void
lcore_burst(struct lcore *lc, struct rte_mbuf *m[], uint16_t n)
{
	struct rx_packet pkt[BURST_MAX];	/* same order as m[]; verdict starts as RX_PENDING */

	if (++lc->turn == 0)
		lc->turn = 1;	/* a context that was never met has 0 */
	counter_add(&lc->counters.nic_received, n);
	rx_parse(lc, pkt, m, n);
	rx_lookup(lc, pkt, n);
	rx_source(lc, pkt, n);
	rx_unprotect(lc, pkt, n);
	rx_append(lc, pkt, n);
	rx_reply(lc, pkt, m, n);
	counters_add_verdicts(&lc->counters, pkt, n);
	rte_pktmbuf_free_bulk(m, n);
}
