#include "controlplane/tool/timeline.h"

#include <stdlib.h>
#include <string.h>

#include "lib/rtp.h"

#define NS_PER_S       1000000000ll
#define NTP_UNIX_S     2208988800ull	/* 1900 to 1970 */
#define JUMP_NS        (2 * NS_PER_S)	/* RTP clock and arrival this far apart: a new run */
#define CLOCK_DEFAULT  8000
#define SEQ_HALF       0x8000
#define LATE_MAX       128	/* packets that a reordered one may be behind */

struct collecting {
	struct timeline *t;
	void (*on_damage)(void *ctx, const char *sentence);
	void *ctx;
	bool nomem;
};

/* ---- collecting ---- */

static struct timeline_source *
source_of(struct timeline *t, uint32_t part, uint8_t stream, uint32_t ssrc)
{
	struct timeline_source *s;

	for (unsigned int i = t->n_sources; i > 0; i--)
		if (t->sources[i - 1].stream == stream && t->sources[i - 1].ssrc == ssrc)
			return &t->sources[i - 1];
	if (t->n_sources == TIMELINE_SOURCES_MAX) {
		t->cut = true;
		return NULL;
	}
	s = &t->sources[t->n_sources++];
	s->part = part;
	s->stream = stream;
	s->ssrc = ssrc;
	return s;
}

static uint64_t
last_order(const struct timeline_source *s)
{
	return s->n_packets > 0 ? s->packets[s->n_packets - 1].order : (uint64_t)1 << 32;
}

/* A sender whose rollover counter begins again with its new key goes back in index, not in time: its numbers go on where
 * its sequence does, or behind what there is. */
static void
on_generation(struct timeline_source *s, const struct reel_mark *m)
{
	uint32_t last = (uint32_t)last_order(s), index = (uint32_t)m->index;
	int32_t ahead = (int16_t)((uint16_t)index - (uint16_t)last);

	if (m->generation == s->generation || s->n_packets == 0)
		return;
	s->generation = m->generation;
	if ((int32_t)(index + s->shift - last) >= -SEQ_HALF)
		return;
	s->shift_before = s->shift;
	s->shift = last + (uint32_t)(ahead < -LATE_MAX ? ahead + 2 * SEQ_HALF : ahead) - index;
}

static uint64_t
distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* The RTP header's own place after the 32 bits on disk wrapped: a frame's neighbours are near it. */
static uint64_t
order_near(uint64_t last, uint32_t seq_ext)
{
	uint64_t order = (last & ~(uint64_t)UINT32_MAX) | seq_ext;

	if (order + ((uint64_t)1 << 31) < last)
		order += (uint64_t)1 << 32;
	else if (order > last + ((uint64_t)1 << 31))
		order -= (uint64_t)1 << 32;
	return order;
}

static uint64_t
order_of(const struct timeline_source *s, uint32_t seq_ext)
{
	uint64_t last = last_order(s);
	uint64_t order = order_near(last, seq_ext + s->shift), before = order_near(last, seq_ext + s->shift_before);

	return distance(before, last) < distance(order, last) ? before : order;	/* a late one under the old key */
}

static void
collect_rtp(struct collecting *c, const struct tape_frame *f)
{
	struct rtp_header h;
	struct timeline_source *s;
	struct timeline_packet *p;

	if (rtp_header_read(&h, f->frame.bytes) != SRS_OK)
		return;
	s = source_of(c->t, f->part, f->frame.stream, h.ssrc);
	if (s == NULL)
		return;
	if (s->n_packets == s->room) {
		size_t room = s->room ? s->room * 2 : 1024;
		void *packets = realloc(s->packets, room * sizeof(*s->packets));

		if (packets == NULL) {
			c->nomem = true;
			return;
		}
		s->packets = packets;
		s->room = room;
	}
	p = &s->packets[s->n_packets];
	memset(p, 0, sizeof(*p));
	p->order = order_of(s, f->frame.seq_ext);
	p->wall_ns = f->frame.wall_ns;
	p->timestamp = h.timestamp;
	p->payload_type = h.payload_type;
	p->description = (uint8_t)c->t->n_descriptions;
	p->len = (uint16_t)h.payload.len;
	p->payload = malloc(h.payload.len ? h.payload.len : 1);
	if (p->payload == NULL) {
		c->nomem = true;
		return;
	}
	memcpy(p->payload, h.payload.bytes, h.payload.len);
	s->n_packets++;
}

static void
collect_rtcp(struct collecting *c, const struct tape_frame *f)
{
	struct rtp_sender_report sr;
	struct timeline_source *s;

	if (rtp_sender_report_find(&sr, f->frame.bytes) != SRS_OK || sr.ntp >> 32 <= NTP_UNIX_S)
		return;
	s = source_of(c->t, f->part, f->frame.stream, sr.ssrc);
	if (s == NULL)
		return;
	if (s->n_reports == s->reports_room) {
		size_t room = s->reports_room ? s->reports_room * 2 : 16;
		void *reports = realloc(s->reports, room * sizeof(*s->reports));

		if (reports == NULL) {
			c->nomem = true;
			return;
		}
		s->reports = reports;
		s->reports_room = room;
	}
	s->reports[s->n_reports].ntp_ns = ((sr.ntp >> 32) - NTP_UNIX_S) * (uint64_t)NS_PER_S +
	                                  ((sr.ntp & UINT32_MAX) * (uint64_t)NS_PER_S >> 32);
	s->reports[s->n_reports++].timestamp = sr.rtp_timestamp;
}

static void
collect_mark(struct collecting *c, const struct tape_frame *f)
{
	struct reel_mark m;

	if (reel_mark_read(&m, f->frame.bytes) != SRS_OK || m.kind != REEL_MARK_SSRC)
		return;
	for (unsigned int i = 0; i < c->t->n_sources; i++)
		if (c->t->sources[i].stream == f->frame.stream && c->t->sources[i].ssrc == m.ssrc)
			on_generation(&c->t->sources[i], &m);
}

static void
collect(void *ctx, const struct tape_frame *f)
{
	struct collecting *c = ctx;
	struct timeline *t = c->t;
	struct reel_gap gap;

	switch (f->frame.kind) {
	case REEL_FRAME_RTP:
		c->nomem |= contributors_rtp(&t->contributors, f->frame.stream, f->frame.bytes, f->frame.wall_ns) != SRS_OK;
		collect_rtp(c, f);
		break;
	case REEL_FRAME_RTCP:
		c->nomem |= contributors_rtcp(&t->contributors, f->frame.stream, f->frame.bytes) != SRS_OK;
		collect_rtcp(c, f);
		break;
	case REEL_FRAME_MARK:
		collect_mark(c, f);
		break;
	case REEL_FRAME_GAP:
		if (reel_gap_read(&gap, f->frame.bytes) == SRS_OK && gap.reason != REEL_REASON_PAUSED)
			t->n_gap_frames += gap.n_frames;
		break;
	case REEL_FRAME_EVENT:
		c->nomem |= deeds_take(&t->deeds, f->frame.bytes) != SRS_OK;
		break;
	case REEL_FRAME_DESCRIPTION:
		c->nomem |= attendance_describe(&t->attendance, f->frame.bytes, f->frame.wall_ns) != SRS_OK;
		if (t->n_descriptions == TIMELINE_DESCRIPTIONS_MAX)
			t->cut = true;
		else if (description_read(&t->descriptions[t->n_descriptions], f->frame.bytes, f->frame.wall_ns) == SRS_OK)
			t->n_descriptions++;
		break;
	default:
		break;
	}
}

static void
collect_damage(void *ctx, const char *sentence)
{
	struct collecting *c = ctx;

	c->t->n_damaged++;
	c->on_damage(c->ctx, sentence);
}

/* ---- placing ---- */

static int
by_order(const void *a, const void *b)
{
	const struct timeline_packet *x = a, *y = b;

	return x->order < y->order ? -1 : x->order > y->order;
}

/* The description of a stream at a time: number i, or the newest before it that has the stream; packets of one that has
 * ended may still be on their way when it is described no more. Else the first behind it. */
static const struct description *
description_until(const struct timeline *t, unsigned int i, uint8_t stream)
{
	for (unsigned int k = i + 1; k > 0 && t->n_descriptions > 0; k--)
		if (description_stream(t->descriptions[k - 1], stream) != NULL)
			return t->descriptions[k - 1];
	for (unsigned int k = i + 1; k < t->n_descriptions; k++)
		if (description_stream(t->descriptions[k], stream) != NULL)
			return t->descriptions[k];
	return t->n_descriptions > 0 ? t->descriptions[i] : NULL;
}

const struct description *
timeline_description_of(const struct timeline *t, uint8_t stream)
{
	return description_until(t, t->n_descriptions > 0 ? t->n_descriptions - 1 : 0, stream);
}

const struct description_codec *
timeline_codec(const struct timeline *t, const struct timeline_source *s, const struct timeline_packet *p)
{
	/* Media may come before the first description: then the first one holds. */
	unsigned int i = p->description > 0 ? p->description - 1u : 0;

	return description_codec(description_until(t, i, s->stream), s->stream, p->payload_type);
}

static int64_t
clock_of(const struct timeline *t, const struct timeline_source *s, const struct timeline_packet *p)
{
	const struct description_codec *c = timeline_codec(t, s, p);

	return c != NULL && c->clock_hz != 0 ? c->clock_hz : CLOCK_DEFAULT;
}

/* Places within a source: runs of the RTP clock, each anchored at its fastest packet. The offset of a packet is its
 * RTP time since the run's first packet; arrival minus offset is least for the packet that waited least. */
static void
place_run(struct timeline_source *s, size_t from, size_t to, int64_t *offsets)
{
	int64_t anchor = INT64_MAX;

	for (size_t i = from; i < to; i++)
		if ((int64_t)s->packets[i].wall_ns - offsets[i] < anchor)
			anchor = (int64_t)s->packets[i].wall_ns - offsets[i];
	for (size_t i = from; i < to; i++)
		s->packets[i].place_ns = anchor + offsets[i];
}

static enum srs_err
place_by_arrival(const struct timeline *t, struct timeline_source *s)
{
	int64_t *offsets = malloc((s->n_packets ? s->n_packets : 1) * sizeof(*offsets));
	size_t from = 0;

	if (offsets == NULL)
		return SRS_ERR_NOMEM;
	for (size_t i = 0; i < s->n_packets; i++) {
		const struct timeline_packet *p = &s->packets[i];
		int64_t step, arrived;

		if (i == from) {
			offsets[i] = 0;
			continue;
		}
		step = (int64_t)(int32_t)(p->timestamp - p[-1].timestamp) * NS_PER_S / clock_of(t, s, p);
		arrived = (int64_t)(p->wall_ns - p[-1].wall_ns);
		if (step - arrived > JUMP_NS || arrived - step > JUMP_NS) {
			place_run(s, from, i, offsets);
			from = i;
			offsets[i] = 0;
		} else {
			offsets[i] = offsets[i - 1] + step;
		}
	}
	place_run(s, from, s->n_packets, offsets);
	free(offsets);
	return SRS_OK;
}

/* How much later than by arrival the sender's own clock would place this source; the reports of one sender agree, so
 * that only differences between sources matter. @return false: no usable report */
static bool
report_shift(const struct timeline *t, const struct timeline_source *s, int64_t *shift)
{
	for (size_t r = 0; r < s->n_reports; r++) {
		for (size_t i = 0; i < s->n_packets; i++) {
			const struct timeline_packet *p = &s->packets[i];
			int64_t since = (int64_t)(int32_t)(p->timestamp - s->reports[r].timestamp) * NS_PER_S /
			                clock_of(t, s, p);

			if (since > 30 * NS_PER_S || since < -30 * NS_PER_S)
				continue;
			*shift = (int64_t)s->reports[r].ntp_ns + since - p->place_ns;
			return true;
		}
	}
	return false;
}

/* Where all sources have reports of one clock (their shifts are within JUMP_NS), trust it over arrival. */
static void
align_by_reports(struct timeline *t)
{
	int64_t least = INT64_MAX, most = INT64_MIN;
	unsigned int n = 0;

	for (unsigned int i = 0; i < t->n_sources; i++) {
		int64_t shift;

		if (t->sources[i].n_packets == 0)
			continue;
		if (!report_shift(t, &t->sources[i], &shift))
			return;
		n++;
		least = shift < least ? shift : least;
		most = shift > most ? shift : most;
	}
	if (n < 2 || most - least > JUMP_NS)
		return;
	for (unsigned int i = 0; i < t->n_sources; i++) {
		struct timeline_source *s = &t->sources[i];
		int64_t shift;

		if (s->n_packets == 0 || !report_shift(t, s, &shift))
			continue;
		for (size_t k = 0; k < s->n_packets; k++)
			s->packets[k].place_ns += shift - least;
	}
	t->aligned_by_reports = true;
}

static void
start_at_zero(struct timeline *t)
{
	int64_t first = INT64_MAX;

	for (unsigned int i = 0; i < t->n_sources; i++)
		for (size_t k = 0; k < t->sources[i].n_packets; k++)
			if (t->sources[i].packets[k].place_ns < first)
				first = t->sources[i].packets[k].place_ns;
	for (unsigned int i = 0; i < t->n_sources; i++) {
		for (size_t k = 0; k < t->sources[i].n_packets; k++) {
			struct timeline_packet *p = &t->sources[i].packets[k];

			p->place_ns -= first;
			if (p->place_ns > t->length_ns)
				t->length_ns = p->place_ns;
		}
	}
}

enum srs_err
timeline_make(struct timeline **out, const struct tape *tape, struct keystore *ks,
              void (*on_damage)(void *ctx, const char *sentence), void *ctx)
{
	struct collecting c = { .t = calloc(1, sizeof(*c.t)), .on_damage = on_damage, .ctx = ctx };
	enum srs_err err;

	if (c.t == NULL)
		return SRS_ERR_NOMEM;
	c.t->sources = calloc(TIMELINE_SOURCES_MAX, sizeof(*c.t->sources));
	if (c.t->sources == NULL) {
		free(c.t);
		return SRS_ERR_NOMEM;
	}
	err = tape_play(tape, ks, collect, collect_damage, &c);
	if (c.nomem)
		err = SRS_ERR_NOMEM;
	for (unsigned int i = 0; i < c.t->n_sources && err == SRS_OK; i++) {
		struct timeline_source *s = &c.t->sources[i];

		qsort(s->packets, s->n_packets, sizeof(*s->packets), by_order);
		err = place_by_arrival(c.t, s);
	}
	if (err != SRS_OK) {
		timeline_free(c.t);
		return err;
	}
	for (unsigned int i = 0; i < c.t->n_sources; i++) {
		const struct timeline_source *s = &c.t->sources[i];

		for (size_t k = 0; k < s->n_packets; k++)
			attendance_hear(&c.t->attendance, s->stream, s->ssrc, s->packets[k].wall_ns);
	}
	align_by_reports(c.t);
	start_at_zero(c.t);
	*out = c.t;
	return SRS_OK;
}

void
timeline_free(struct timeline *t)
{
	if (t == NULL)
		return;
	for (unsigned int i = 0; i < t->n_sources; i++) {
		for (size_t k = 0; k < t->sources[i].n_packets; k++)
			free(t->sources[i].packets[k].payload);
		free(t->sources[i].packets);
		free(t->sources[i].reports);
	}
	for (unsigned int i = 0; i < t->n_descriptions; i++)
		description_free(t->descriptions[i]);
	attendance_release(&t->attendance);
	deeds_release(&t->deeds);
	contributors_release(&t->contributors);
	free(t->sources);
	free(t);
}

const struct description *
timeline_last_description(const struct timeline *t)
{
	return t->n_descriptions > 0 ? t->descriptions[t->n_descriptions - 1] : NULL;
}
