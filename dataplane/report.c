#include "dataplane/report.h"

#include <string.h>

#include <rte_mbuf.h>

#include "lib/rtp.h"

#define RTCP_RR     201
#define RTCP_SDES   202
#define SDES_CNAME  1
#define BLOCK_SIZE  24
#define LOST_MAX    0x7fffff	/* 24 bits, signed. @rfc 3550 §6.4.1 */
#define TRANSIT_JUMP_S 10	/* a sender that sets its clock anew is no jitter */
#define SECOND_NS    1000000000ull

/* ---- time ---- */

/* Between half and one and a half of the interval, and the compensation for what that does to the mean.
 * @rfc 3550 §6.3.1 */
static uint64_t
interval_tsc(struct reports *r, uint64_t base_tsc)
{
	uint64_t factor;	/* 16.16 */

	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	factor = (0x8000 + (r->random >> 48)) * 53794 >> 16;	/* divided by e - 3/2 */
	return (uint64_t)((unsigned __int128)base_tsc * factor >> 16);
}

/* In 1/65536 s, as DLSR counts. */
static uint32_t
short_time(const struct recorder *now)
{
	return (uint32_t)((unsigned __int128)clock_mono_ns(&now->clock, now->now_tsc) * 65536 / SECOND_NS);
}

/* In units of the RTP clock. */
static uint32_t
media_time(const struct recorder *now, uint32_t clock_hz)
{
	return (uint32_t)((unsigned __int128)clock_mono_ns(&now->clock, now->now_tsc) * clock_hz / SECOND_NS);
}

/* ---- the wheel ---- */

void
report_init(struct reports *r, uint64_t now_tsc, uint64_t tsc_hz, uint64_t random)
{
	r->tsc_hz = tsc_hz;
	r->tick_tsc = tsc_hz / REPORT_WHEEL_HZ;
	r->at_tsc = now_tsc;
	r->random = random;
}

static void
enter(struct reports *r, struct stream *s, uint64_t due_tsc)
{
	uint64_t ahead = due_tsc > r->at_tsc ? (due_tsc - r->at_tsc) / r->tick_tsc : 0;
	uint32_t slot = (r->at + (ahead < REPORT_WHEEL_SLOTS - 1 ? (uint32_t)ahead + 1 : REPORT_WHEEL_SLOTS - 1)) %
	                REPORT_WHEEL_SLOTS;

	s->report.due_tsc = due_tsc;
	s->report.slot = slot;
	s->report.previous = NULL;
	s->report.next = r->wheel[slot];
	if (s->report.next != NULL)
		s->report.next->report.previous = s;
	r->wheel[slot] = s;
	s->report.waits = true;
}

static void
leave(struct reports *r, struct stream *s)
{
	if (s->report.previous != NULL)
		s->report.previous->report.next = s->report.next;
	else
		r->wheel[s->report.slot] = s->report.next;
	if (s->report.next != NULL)
		s->report.next->report.previous = s->report.previous;
	s->report.waits = false;
}

void
report_begin(struct reports *r, struct stream *s, uint64_t now_tsc)
{
	if ((s->flags & STREAM_F_REPORT) == 0)
		return;
	s->report.ssrc = (uint32_t)(interval_tsc(r, 1) + (r->random >> 13));
	s->report.first = true;
	s->flags |= STREAM_F_SAMPLE;	/* of the first packet: who sends? */
	enter(r, s, now_tsc + interval_tsc(r, r->tsc_hz * REPORT_INTERVAL_S / 2) - r->tsc_hz / REPORT_SAMPLE_HZ);
}

void
report_end(struct reports *r, struct stream *s)
{
	if (s->report.waits)
		leave(r, s);
	s->flags &= (uint8_t)~STREAM_F_SAMPLE;
}

/* ---- what comes in ---- */

static struct media_address
source_of(const struct rx_packet *p)
{
	struct media_address a = { .ip_version = p->ip_version, .udp_port = p->source_port };

	memcpy(a.ip, p->source_ip, p->ip_version == 4 ? 4 : 16);
	return a;
}

/* @rfc 3550 A.8: the jitter is kept sixteenfold, so that nothing is lost by rounding */
static void
jitter_count(struct ssrc *x, uint32_t transit, uint32_t clock_hz)
{
	uint32_t d = transit - x->transit;

	x->transit = transit;
	if (!x->sampled) {
		x->sampled = true;
		return;
	}
	if ((int32_t)d < 0)
		d = 0u - d;
	if (d < TRANSIT_JUMP_S * clock_hz)
		x->jitter += d - ((x->jitter + 8) >> 4);
}

void
report_sample(struct stream *s, const struct rx_packet *p, const struct recorder *now, const uint8_t *mac)
{
	struct stream_report *report = &s->report;

	if (!report->linked) {	/* once a sample */
		report->linked = true;
		report->rtp_from = source_of(p);
		link_back(&report->link, p->frame, mac);
	}
	if (!report->sampling) {
		s->flags &= (uint8_t)~STREAM_F_SAMPLE;
		return;
	}
	jitter_count(p->ssrc, media_time(now, report->clock_hz) - packet_u32(p->bytes + 4), report->clock_hz);
}

void
report_hear(struct stream *s, const struct rx_packet *p, const struct recorder *now, const uint8_t *mac)
{
	struct rtp_sender_report sr;
	struct ssrc *x;

	s->report.rtcp_from = source_of(p);
	link_back(&s->report.link, p->frame, mac);
	if (rtp_sender_report_find(&sr, span_of(p->bytes, p->len)) != SRS_OK)
		return;
	x = stream_ssrc_find(s, sr.ssrc);
	if (x == NULL)
		return;
	x->sr_middle = (uint32_t)(sr.ntp >> 16);
	x->sr_at = short_time(now);
}

/* ---- what goes out ---- */

static uint8_t *
put(uint8_t *p, uint32_t v, unsigned int n)
{
	for (unsigned int i = n; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
	return p + n;
}

/* Duplicates and late packets with them. @rfc 3550 A.3 */
static uint32_t
received_of(const struct ssrc *x)
{
	uint64_t n = x->received_before + x->recorded + x->duplicates;

	for (unsigned int r = 0; r < REEL_REASONS_MAX; r++)
		n += x->missing[r];
	return (uint32_t)n;
}

/* @rfc 3550 §6.4.1, A.3 */
static uint8_t *
block_write(uint8_t *p, struct ssrc *x, const struct recorder *now)
{
	uint32_t expected = (uint32_t)(x->highest + 1 - x->began_index), received = received_of(x);
	uint32_t expected_interval = expected - x->expected_prior;
	int32_t lost_interval = (int32_t)(expected_interval - (received - x->received_prior));
	int32_t lost = (int32_t)(expected - received);
	uint32_t fraction = 0;

	x->expected_prior = expected;
	x->received_prior = received;
	if (expected_interval != 0 && lost_interval > 0)
		fraction = (uint32_t)(((uint64_t)(uint32_t)lost_interval << 8) / expected_interval);
	if (lost > LOST_MAX)
		lost = LOST_MAX;
	if (lost < -LOST_MAX - 1)
		lost = -LOST_MAX - 1;
	p = put(p, x->ssrc, 4);
	p = put(p, fraction < 255 ? fraction : 255, 1);
	p = put(p, (uint32_t)lost, 3);
	p = put(p, (uint32_t)(x->highest - (x->began_index & ~0xffffull)), 4);	/* cycles since we hear it */
	p = put(p, x->jitter >> 4, 4);
	p = put(p, x->sr_middle, 4);
	return put(p, x->sr_middle != 0 ? short_time(now) - x->sr_at : 0, 4);
}

/* Sources heard since the last report. */
static uint8_t *
blocks_write(uint8_t *p, struct stream *s, unsigned int *n, const struct recorder *now)
{
	for (unsigned int i = 0; i < STREAM_SSRC_MAX; i++) {
		struct ssrc *x = i == 0 ? &s->first : s->more[i - 1];

		if (x == NULL || !x->used || received_of(x) == x->received_prior)
			continue;
		if ((s->flags & STREAM_F_SECURE) && x->generation != s->keys->generation)
			continue;	/* the same source under keys that retire */
		if (x->ssrc == s->report.ssrc)
			s->report.ssrc++;	/* RFC 3550 §8.2: theirs is in use */
		p = block_write(p, x, now);
		++*n;
	}
	return p;
}

static uint16_t
compound_write(uint8_t *at, struct reports *r, struct stream *s, const struct recorder *now)
{
	unsigned int n = 0;
	uint8_t *p = blocks_write(at + 8, s, &n, now);

	at[0] = (uint8_t)(0x80 | n);
	at[1] = RTCP_RR;
	put(at + 2, (8 + n * BLOCK_SIZE) / 4 - 1, 2);
	put(at + 4, s->report.ssrc, 4);
	p = put(p, 0x81, 1);
	p = put(p, RTCP_SDES, 1);
	p = put(p, (8 + 2 + REPORT_CNAME_SIZE + 2) / 4 - 1, 2);
	p = put(p, s->report.ssrc, 4);
	p = put(p, SDES_CNAME, 1);
	p = put(p, REPORT_CNAME_SIZE, 1);
	memcpy(p, r->cname, REPORT_CNAME_SIZE);
	p = put(p + REPORT_CNAME_SIZE, 0, 2);	/* the list ends on a word. @rfc 3550 §6.5 */
	return (uint16_t)(p - at);
}
static_assert((2 + REPORT_CNAME_SIZE + 2) % 4 == 0, "the end of the SDES items fills a word");

/* Where their RTCP comes from; else where they said that they want it, or beside their RTP. @rfc 3550 §11, 3605 §2.1,
 * 5761 §5.1, 4961 */
static bool
destination(const struct stream *s, struct media_address *to)
{
	*to = s->report.rtcp_from.ip_version != 0 ? s->report.rtcp_from : s->report.rtp_from;
	if (to->ip_version == 0 || s->report.link.len == 0)
		return false;
	if (s->report.rtcp_from.ip_version == 0 && s->rtcp_port != 0)
		to->udp_port = s->report.port != 0 ? s->report.port : (uint16_t)(to->udp_port + 1);
	return to->udp_port != 0;
}

static bool
protect(struct reports *r, struct stream *s, uint8_t *packet, uint16_t *len)
{
	if ((s->flags & STREAM_F_SECURE) == 0)
		return true;
	if (s->report.index >= SRTCP_INDEX_MAX)
		return false;	/* used up: no more reports under any of our keys */
	return srtcp_protect(r->srtcp, &s->report.ours, ++s->report.index, packet, len) == SRS_OK;
}

static void
send(struct reports *r, struct stream *s, const struct recorder *now)
{
	struct media_address from = r->steer->address[s->address_i], to;
	struct rte_mbuf *m;
	uint8_t *frame, *packet;
	uint16_t len;

	if (!destination(s, &to))
		return;
	if ((s->flags & STREAM_F_SECURE) && (s->keys == NULL || s->report.ours.suite == SRTP_SUITE_NONE))
		return;
	m = transmit_take(r->transmit, &frame);
	if (m == NULL)
		return;
	from.udp_port = s->rtcp_port != 0 ? s->rtcp_port : s->udp_port;
	packet = frame + datagram_payload_at(&s->report.link, to.ip_version);
	len = compound_write(packet, r, s, now);
	if (!protect(r, s, packet, &len)) {
		rte_pktmbuf_free(m);
		counter_add(&r->counters->tx_dropped, 1);
		return;
	}
	if (transmit_send(r->transmit, m, datagram_finish(frame, &s->report.link, &from, &to, len)))
		counter_add(&r->counters->tx_reports, 1);
}
static_assert(DATAGRAM_HEADERS_MAX + 8 + STREAM_SSRC_MAX * BLOCK_SIZE + 8 + 4 + REPORT_CNAME_SIZE + SRTCP_TRAILER_MAX <=
              TRANSMIT_ROOM, "the longest report fits");

static void
sample_begin(struct stream *s)
{
	for (unsigned int i = 0; i < STREAM_SSRC_MAX; i++) {
		struct ssrc *x = i == 0 ? &s->first : s->more[i - 1];

		if (x != NULL)
			x->sampled = false;
	}
	s->report.linked = false;
	s->report.sampling = true;
	s->flags |= STREAM_F_SAMPLE;
}

/* A third of a second before it is time: is it, with another draw? Then look at what comes. @rfc 3550 §6.3.6, A.7 (timer
 * reconsideration, which the interval's compensation is for) */
static void
reconsider(struct reports *r, struct stream *s)
{
	uint64_t sample_tsc = r->tsc_hz / REPORT_SAMPLE_HZ, when_tsc = s->report.due_tsc + sample_tsc;
	uint64_t other_tsc = s->report.sent_tsc + interval_tsc(r, r->tsc_hz * REPORT_INTERVAL_S);

	if (other_tsc > when_tsc && !s->report.first) {
		enter(r, s, other_tsc - sample_tsc);
		return;
	}
	s->report.first = false;
	sample_begin(s);
	enter(r, s, when_tsc);
}

static void
due(struct reports *r, struct stream *s, const struct recorder *now)
{
	leave(r, s);
	if (!s->report.sampling) {
		reconsider(r, s);
		return;
	}
	s->report.sampling = false;
	if (s->report.link.len != 0) {	/* else the first packet is still looked for */
		s->flags &= (uint8_t)~STREAM_F_SAMPLE;
		send(r, s, now);
	}
	s->report.sent_tsc = now->now_tsc;
	enter(r, s, now->now_tsc + interval_tsc(r, r->tsc_hz * REPORT_INTERVAL_S) - r->tsc_hz / REPORT_SAMPLE_HZ);
}

unsigned int
report_run(struct reports *r, const struct recorder *now, unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int slots = 0; n < max && slots < REPORT_WHEEL_SLOTS;) {
		struct stream *s = r->wheel[r->at];

		if (s != NULL) {
			due(r, s, now);
			n++;
		} else if (now->now_tsc - r->at_tsc >= r->tick_tsc) {
			r->at = (r->at + 1) % REPORT_WHEEL_SLOTS;
			r->at_tsc += r->tick_tsc;
			slots++;
		} else {
			break;
		}
	}
	return n;
}
