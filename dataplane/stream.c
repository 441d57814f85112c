#include "dataplane/stream.h"

#include <stdlib.h>
#include <string.h>

#define SEQ_HALF  0x8000
#define HOLDS_MAX 1024	/* streams of one lcore on probation at once */
#define CLOCK_HZ_DEFAULT 8000
#define FLAGS_OF_LIFE (STREAM_F_SECURE | STREAM_F_DTLS | STREAM_F_REPORT | STREAM_F_SAMPLE)

enum srs_err
stream_table_create(struct stream_table *t, uint32_t streams_max, uint16_t n_addresses, bool huge, bool secret)
{
	memset(t, 0, sizeof(*t));
	if (!memory_take(&t->index_memory, (size_t)n_addresses * sizeof(t->slot_of[0]), huge) ||
	    !(secret ? memory_take_secret : memory_take)(&t->slot_memory, ((size_t)streams_max + 1) * sizeof(struct stream), huge)) {
		stream_table_destroy(t);
		return SRS_ERR_NOMEM;
	}
	t->slot_of = t->index_memory.at;
	t->slots = t->slot_memory.at;
	t->streams_max = streams_max;
	return SRS_OK;
}

void
stream_table_destroy(struct stream_table *t)
{
	memory_give(&t->index_memory);
	memory_give(&t->slot_memory);
	memset(t, 0, sizeof(*t));
}

enum srs_err
stream_pool_create(struct stream_pool *pool, uint32_t streams_max, uint32_t recordings_max)
{
	uint32_t n_totals = 4 * streams_max + recordings_max + REEL_SEAL_STREAMS_MAX;
	uint32_t n_ssrcs = streams_max + 64;	/* beside the inline one; a stream seldom has two */

	memset(pool, 0, sizeof(*pool));
	pool->ssrcs = calloc(n_ssrcs, sizeof(struct ssrc *));
	if (pool->ssrcs == NULL || !memory_take(&pool->ssrc_memory, (size_t)n_ssrcs * sizeof(struct ssrc), false) ||
	    !memory_take(&pool->hold_memory, HOLDS_MAX * sizeof(struct hold), false) ||
	    !memory_take(&pool->totals_memory, (size_t)n_totals * sizeof(struct totals), false)) {
		stream_pool_destroy(pool);
		return SRS_ERR_NOMEM;
	}
	for (uint32_t i = 0; i < n_ssrcs; i++)
		pool->ssrcs[pool->n_ssrcs++] = (struct ssrc *)pool->ssrc_memory.at + i;
	for (uint32_t i = 0; i < HOLDS_MAX; i++) {
		struct hold *h = (struct hold *)pool->hold_memory.at + i;

		h->next = pool->holds;
		pool->holds = h;
	}
	for (uint32_t i = 0; i < n_totals; i++) {
		struct totals *t = (struct totals *)pool->totals_memory.at + i;

		t->next = pool->totals;
		pool->totals = t;
	}
	return SRS_OK;
}

void
stream_pool_destroy(struct stream_pool *pool)
{
	free(pool->ssrcs);
	memory_give(&pool->ssrc_memory);
	memory_give(&pool->hold_memory);
	memory_give(&pool->totals_memory);
	memset(pool, 0, sizeof(*pool));
}

static void
source_take(struct stream *s, const struct stream_spec *spec)
{
	s->report.port = spec->rtcp_to;
	s->flags = (uint8_t)((spec->inactive ? STREAM_F_INACTIVE : 0) | (s->flags & FLAGS_OF_LIFE));
	memset(s->source_ip, 0, sizeof(s->source_ip));
	s->source_version = 0;
	s->source_port = 0;
	if (!spec->latch && spec->source.ip_version != 0) {
		s->flags |= STREAM_F_LOCKED;
		s->source_version = spec->source.ip_version;
		memcpy(s->source_ip, spec->source.ip, spec->source.ip_version == 4 ? 4 : 16);
		s->source_port = spec->source.udp_port;
		if (s->source_port != 0)
			s->flags |= STREAM_F_LOCKED_PORT;
	}
}

void
stream_init(struct stream *s, uint32_t handle, uint32_t life, const struct stream_spec *spec)
{
	memset(s, 0, sizeof(*s));
	s->handle = handle;
	s->life = life;
	s->flags = (uint8_t)((spec->secure ? STREAM_F_SECURE : 0) | (spec->dtls ? STREAM_F_DTLS : 0) |
	                     (spec->report ? STREAM_F_REPORT : 0));
	s->report.clock_hz = spec->clock_hz != 0 ? spec->clock_hz : CLOCK_HZ_DEFAULT;
	s->number = spec->number;
	s->address_i = spec->address_i;
	s->udp_port = spec->udp_port;
	s->rtcp_port = spec->rtcp_port;
	s->payload_type = 0xff;
	s->first.marked_part = STREAM_PART_NONE;
	source_take(s, spec);
}

void
stream_update(struct stream *s, const struct stream_spec *spec, struct stream_pool *pool, struct counters *c)
{
	uint8_t version = s->source_version, flags = s->flags;
	uint16_t port = s->source_port;
	uint8_t ip[16];

	memcpy(ip, s->source_ip, sizeof(ip));
	s->report.clock_hz = spec->clock_hz != 0 ? spec->clock_hz : CLOCK_HZ_DEFAULT;
	source_take(s, spec);
	if (spec->latch || spec->source.ip_version == 0) {
		/* a re-offer on the same media keeps a source that was latched already */
		memcpy(s->source_ip, ip, sizeof(ip));
		s->source_version = version;
		s->source_port = port;
		s->flags |= flags & (STREAM_F_LOCKED | STREAM_F_LOCKED_PORT);
	}
	if (s->source_version != version || s->source_port != port || memcmp(s->source_ip, ip, sizeof(ip)) != 0) {
		/* reports wait for a packet from there */
		s->report.rtp_from.ip_version = s->report.rtcp_from.ip_version = 0;
		s->report.linked = false;
	}
	/* a held frame that its source no longer needs, or that came while the stream was inactive */
	if (s->hold != NULL && ((s->flags & STREAM_F_LOCKED) || (flags & ~s->flags & STREAM_F_INACTIVE))) {
		counter_add(&c->held_dropped, 1);
		stream_hold_drop(s, pool);
	}
}

void
stream_hold_drop(struct stream *s, struct stream_pool *pool)
{
	s->hold->next = pool->holds;
	pool->holds = s->hold;
	s->hold = NULL;
}

void
stream_release(struct stream *s, struct stream_pool *pool, struct counters *c)
{
	if (s->hold != NULL) {
		counter_add(&c->held_dropped, 1);
		stream_hold_drop(s, pool);
	}
	for (unsigned int i = 0; i < STREAM_SSRC_MAX - 1; i++) {
		if (s->more[i] != NULL)
			pool->ssrcs[pool->n_ssrcs++] = s->more[i];
		s->more[i] = NULL;
	}
}

void
stream_source_lock(struct stream *s, const struct rx_packet *p)
{
	memset(s->source_ip, 0, sizeof(s->source_ip));
	memcpy(s->source_ip, p->source_ip, p->ip_version == 4 ? 4 : 16);
	s->source_version = p->ip_version;
	s->source_port = p->source_port;
	s->flags |= STREAM_F_LOCKED | STREAM_F_LOCKED_PORT;
}

static bool
held_from_same(const struct hold *h, const struct rx_packet *p)
{
	return h->source.ip_version == p->ip_version && h->source.udp_port == p->source_port &&
	       steer_ip_equal(p->ip_version, h->source.ip, p->source_ip);
}

static enum stream_source
hold(struct stream *s, const struct rx_packet *p, uint64_t wall_ns, struct stream_pool *pool)
{
	struct hold *h = s->hold;

	if (p->len > STREAM_HOLD_SIZE)
		return STREAM_SOURCE_NO_ROOM;
	if (h == NULL) {
		h = pool->holds;
		if (h == NULL)
			return STREAM_SOURCE_NO_ROOM;
		pool->holds = h->next;
		s->hold = h;
	}
	h->wall_ns = wall_ns;
	h->ssrc = packet_u32(p->bytes + 8);
	h->seq = packet_u16(p->bytes + 2);
	h->len = p->len;
	h->source = (struct media_address){ .ip_version = p->ip_version, .udp_port = p->source_port };
	memcpy(h->source.ip, p->source_ip, p->ip_version == 4 ? 4 : 16);
	memcpy(h->bytes, p->bytes, p->len);
	return STREAM_SOURCE_HELD;
}

static enum stream_source
probation(struct stream *s, const struct rx_packet *p, uint64_t wall_ns, struct stream_pool *pool, struct counters *c)
{
	const struct hold *h = s->hold;

	if (p->kind == PACKET_RTCP)
		return STREAM_SOURCE_OTHER;	/* nobody's yet */
	if (h != NULL && held_from_same(h, p) && h->ssrc == packet_u32(p->bytes + 8) &&
	    packet_u16(p->bytes + 2) == (uint16_t)(h->seq + 1)) {
		stream_source_lock(s, p);
		return STREAM_SOURCE_LATCHED;
	}
	if (h != NULL)
		counter_add(&c->held_dropped, 1);
	return hold(s, p, wall_ns, pool);
}

enum stream_source
stream_source_check(struct stream *s, const struct rx_packet *p, uint64_t wall_ns, struct stream_pool *pool,
                    struct counters *c)
{
	if (__builtin_expect((s->flags & STREAM_F_LOCKED) == 0, 0)) {
		if (s->flags & STREAM_F_SECURE)
			return STREAM_SOURCE_OK;	/* a tag proves more than two packets in sequence */
		return probation(s, p, wall_ns, pool, c);
	}
	if (s->source_version != p->ip_version ||
	    !steer_ip_equal(p->ip_version, s->source_ip, p->source_ip))
		return STREAM_SOURCE_OTHER;
	/* RTCP comes from a port of its own when it is not muxed */
	if ((s->flags & STREAM_F_LOCKED_PORT) && p->kind == PACKET_RTP && s->source_port != p->source_port)
		return STREAM_SOURCE_OTHER;
	return STREAM_SOURCE_OK;
}

static void
ssrc_begin(struct ssrc *x, uint32_t ssrc, uint32_t turn)
{
	memset(x, 0, sizeof(*x));
	x->ssrc = ssrc;
	x->turn = turn;
	x->marked_part = STREAM_PART_NONE;
}

struct ssrc *
stream_ssrc_find(struct stream *s, uint32_t ssrc)
{
	if (s->first.used && s->first.ssrc == ssrc)
		return &s->first;
	for (unsigned int i = 0; i < STREAM_SSRC_MAX - 1; i++)
		if (s->more[i] != NULL && s->more[i]->used && s->more[i]->ssrc == ssrc)
			return s->more[i];
	return NULL;
}

struct ssrc *
stream_ssrc_under(struct stream *s, uint32_t ssrc, uint16_t generation)
{
	for (unsigned int i = 0; i < STREAM_SSRC_MAX; i++) {
		struct ssrc *x = i == 0 ? &s->first : s->more[i - 1];

		if (x != NULL && x->used && x->ssrc == ssrc && x->generation == generation)
			return x;
	}
	return NULL;
}

/* A context for a new SSRC: a free one, one from the pool, or the least recently seen one. What this turn met already
 * is left alone: the burst counts on it. @param from  0, or 1: not the inline one */
static struct ssrc *
ssrc_pick(struct stream *s, unsigned int from, uint32_t turn, struct stream_pool *pool)
{
	struct ssrc *oldest = NULL;

	for (unsigned int i = from; i < STREAM_SSRC_MAX; i++) {
		struct ssrc *x = i == 0 ? &s->first : s->more[i - 1];

		if (x == NULL) {
			if (pool->n_ssrcs == 0)
				continue;
			s->more[i - 1] = pool->ssrcs[--pool->n_ssrcs];
			return s->more[i - 1];
		}
		if (x->turn == turn)
			continue;
		if (!x->used)
			return x;
		if (oldest == NULL || turn - x->turn > turn - oldest->turn)
			oldest = x;
	}
	return oldest;
}

static struct ssrc *
ssrc_new(struct stream *s, unsigned int from, uint32_t ssrc, uint32_t turn, struct stream_pool *pool,
         struct ssrc *evicted)
{
	struct ssrc *x = ssrc_pick(s, from, turn, pool);

	if (evicted != NULL)
		evicted->used = false;
	if (x == NULL || (x->used && evicted == NULL))
		return NULL;
	if (x->used)
		*evicted = *x;
	ssrc_begin(x, ssrc, turn);
	return x;
}

struct ssrc *
stream_ssrc(struct stream *s, uint32_t ssrc, uint32_t turn, struct stream_pool *pool, struct ssrc *evicted)
{
	if (evicted != NULL)
		evicted->used = false;
	for (unsigned int i = 0; i < STREAM_SSRC_MAX; i++) {
		struct ssrc *x = i == 0 ? &s->first : s->more[i - 1];
		if (x != NULL && x->ssrc == ssrc && (x->used || x->turn == turn)) {
			x->turn = turn;
			return x;
		}
	}
	return ssrc_new(s, 0, ssrc, turn, pool, evicted);
}

struct ssrc *
stream_ssrc_join(struct stream *s, const struct keyset *keys, uint32_t ssrc, uint32_t turn, struct stream_pool *pool,
                 struct ssrc *evicted)
{
	struct ssrc *x = ssrc_new(s, keys == s->keys ? 0 : 1, ssrc, turn, pool, evicted);

	if (x != NULL)
		x->generation = keys->generation;
	return x;
}

/* Packets that came, of this part. */
static uint64_t
received(const struct ssrc *x)
{
	uint64_t n = x->recorded + x->duplicates;

	for (unsigned int r = 0; r < REEL_REASONS_MAX; r++)
		n += x->missing[r];
	return n;
}

/* Where a sender's index goes on under its new key, so do our reports about it. */
static void
report_inherit(struct ssrc *x, const struct ssrc *old)
{
	x->jitter = old->jitter;
	x->sr_middle = old->sr_middle;
	x->sr_at = old->sr_at;
	if (x->began_index + SSRC_DROPOUT_MAX - old->highest >= 2 * SSRC_DROPOUT_MAX)
		return;		/* elsewhere: a new row of numbers */
	x->began_index = old->began_index;
	x->received_before += old->received_before + (uint32_t)received(old);
	x->expected_prior = old->expected_prior;
	x->received_prior = old->received_prior;
}

void
stream_ssrc_promote(struct stream *s, struct ssrc *x)
{
	struct ssrc was = s->first;

	s->first = *x;
	*x = was;
	if (was.used && was.ssrc == s->first.ssrc)
		report_inherit(&s->first, &was);
}

uint64_t
ssrc_lost(const struct ssrc *x)
{
	uint64_t have = x->recorded;
	uint64_t expected;

	if (!x->used)
		return 0;
	expected = x->highest + 1 - x->first_index;
	for (unsigned int r = 0; r < REEL_REASONS_MAX; r++)
		have += x->missing[r];
	return expected > have ? expected - have : 0;
}

bool
ssrc_totals(const struct ssrc *x, uint8_t number, struct reel_seal_stream *row)
{
	uint64_t any = x->recorded | x->duplicates | x->rtcp;

	for (unsigned int r = 0; r < REEL_REASONS_MAX; r++)
		any |= x->missing[r];
	if (!x->used || (any == 0 && x->highest + 1 == x->first_index))
		return false;
	*row = (struct reel_seal_stream){
		.stream = number, .payload_type = x->payload_type, .generation = x->generation, .ssrc = x->ssrc,
		.first_index = x->first_index, .highest_index = x->highest, .recorded = x->recorded,
		.duplicates = x->duplicates, .rtcp = x->rtcp,
	};
	memcpy(row->missing, x->missing, sizeof(row->missing));
	return true;
}

bool
ssrc_restarted(const struct ssrc *x, uint64_t index, uint64_t now_tsc, uint64_t silence_tsc)
{
	uint64_t jump = index - x->highest, sent = x->highest + 1 - x->began_index;
	uint64_t lifetime = now_tsc - x->began_tsc;

	if (jump > SEQ_HALF)
		return true;	/* no estimate goes further ahead at once, only a new beginning does */
	lifetime -= silence_tsc < lifetime ? silence_tsc : lifetime;
	/* jump / silence > 4 * sent / lifetime */
	return (unsigned __int128)jump * (lifetime + 1) > (unsigned __int128)4 * sent * silence_tsc;
}

void
ssrc_next_part(struct ssrc *x)
{
	x->received_before += (uint32_t)received(x);
	x->recorded = x->duplicates = x->rtcp = 0;
	memset(x->missing, 0, sizeof(x->missing));
	x->first_index = x->highest + 1;
	x->continues = true;
	x->marked_part = STREAM_PART_NONE;
}

void
ssrc_restart(struct ssrc *x)
{
	ssrc_next_part(x);
	x->generation++;
	x->received_before = x->received_prior = x->expected_prior = 0;
	x->continues = false;
	x->used = false;
}

uint64_t
stream_lost(const struct stream *s)
{
	uint64_t lost = s->lost_before + ssrc_lost(&s->first);

	for (unsigned int i = 0; i < STREAM_SSRC_MAX - 1; i++) {
		/* once: the lcore takes it away when the stream ends; what it names stays mapped */
		const struct ssrc *x = __atomic_load_n(&s->more[i], __ATOMIC_RELAXED);

		if (x != NULL)
			lost += ssrc_lost(x);
	}
	return lost;
}
