#include "bench/micro/traffic.h"

#include <stdlib.h>
#include <string.h>

#include "bench/micro/sender.h"
#include "crypto/secret.h"

#define LINE	     64u
#define ROOM	     32u	/* an engine may write so far around a packet's end */
#define HEADER	     12u
#define SEQ_FIRST(s) ((s) * 7919u & 0x7fff)

static void
put_be(uint8_t *p, uint32_t v, unsigned int n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

static uint64_t
mix(uint64_t x)	/* every bit of x moves half of the result's */
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

uint32_t
traffic_ssrc(uint32_t stream)
{
	return 0x5e000000u + stream;
}

/* The packet before it is protected; its packet index is SEQ_FIRST + number, ROC 0 at first. */
static void
plain_build(const struct traffic *t, uint32_t stream, uint32_t number, uint8_t *p)
{
	uint32_t index = SEQ_FIRST(stream) + number;
	uint64_t seed = (uint64_t)stream << 32 | number;

	p[0] = 0x80;
	p[1] = 0;
	put_be(p + 2, index & 0xffff, 2);
	put_be(p + 4, 160 * number, 4);
	put_be(p + 8, traffic_ssrc(stream), 4);
	for (uint32_t i = HEADER; i < t->spec.packet_bytes; i += 8) {
		uint64_t word = mix(seed + (uint64_t)i * 0x9e3779b97f4a7c15ull);

		memcpy(p + i, &word, t->spec.packet_bytes - i < 8 ? t->spec.packet_bytes - i : 8);
	}
}

static uint8_t *
stored(const struct traffic *t, uint32_t stream, uint32_t number)
{
	return (uint8_t *)t->store.at + ((size_t)stream * t->per_stream + number) * t->slot;
}

static bool
stream_protect(struct traffic *t, struct sender *s, uint32_t stream)
{
	if (!sender_keys_set(s, &t->masters[stream]))
		return false;
	for (uint32_t i = 0; i < t->per_stream; i++) {
		uint8_t *p = stored(t, stream, i);
		uint16_t len = t->spec.packet_bytes;

		plain_build(t, stream, i, p);
		if (!sender_protect(s, SEQ_FIRST(stream) + i, p, &len))
			return false;
		t->protected_len = len;
	}
	return true;
}

static bool
streams_make(struct traffic *t)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape(t->spec.suite);
	struct sender *s = sender_create();
	bool ok = s != NULL;

	for (uint32_t i = 0; ok && i < t->spec.n_streams; i++) {
		t->order[i] = i;
		t->masters[i].suite = (uint8_t)t->spec.suite;
		ok = secret_random(t->masters[i].key, shape->key_len) == SRS_OK &&
		     secret_random(t->masters[i].salt, shape->salt_len) == SRS_OK && stream_protect(t, s, i);
	}
	sender_destroy(s);
	return ok;
}

static void
order_shuffle(struct traffic *t)
{
	for (uint32_t i = t->spec.n_streams - 1; t->spec.random && i > 0; i--) {
		uint32_t k = (uint32_t)(mix(t->seed += 0x9e3779b97f4a7c15ull) % (i + 1)), stream = t->order[i];

		t->order[i] = t->order[k];
		t->order[k] = stream;
	}
}

static bool
memory_reserve(struct traffic *t)
{
	const struct traffic_spec *s = &t->spec;

	t->masters = secret_alloc(s->n_streams * sizeof(*t->masters));
	t->order = calloc(s->n_streams, sizeof(*t->order));
	t->arrivals = calloc(s->pool_packets, sizeof(*t->arrivals));
	return t->masters != NULL && t->order != NULL && t->arrivals != NULL &&
	       memory_take(&t->store, (size_t)s->n_streams * t->per_stream * t->slot, false) &&
	       memory_take(&t->pool, (size_t)s->pool_packets * t->pool_slot, true);
}

bool
traffic_create(struct traffic *t, const struct traffic_spec *spec, const char **why)
{
	*t = (struct traffic){ .spec = *spec, .seed = 88172645463325252ull };
	t->per_stream = (uint32_t)((spec->n_packets + spec->n_streams - 1) / spec->n_streams);
	t->slot = (spec->packet_bytes + SENDER_TRAILER_MAX + 15u) & ~15u;
	t->pool_slot = (spec->header_at + spec->packet_bytes + SENDER_TRAILER_MAX + ROOM + LINE - 1) & ~(LINE - 1);
	if ((uint64_t)spec->n_streams * t->per_stream * t->slot > TRAFFIC_STORE_MAX) {
		*why = "the packets take more than 3 GiB: fewer --packets";
		return false;
	}
	if (!memory_reserve(t)) {
		*why = "no memory for the packets";
		return false;
	}
	if (!streams_make(t)) {
		*why = "the packets could not be protected";
		return false;
	}
	order_shuffle(t);
	return true;
}

void
traffic_destroy(struct traffic *t)
{
	secret_free(t->masters, t->spec.n_streams * sizeof(*t->masters));
	free(t->order);
	free(t->arrivals);
	memory_give(&t->store);
	memory_give(&t->pool);
	*t = (struct traffic){ 0 };
}

uint32_t
traffic_pass(struct traffic *t)
{
	uint32_t n = 0;

	while (n < t->spec.pool_packets && t->turn < t->per_stream) {
		struct arrival *a = &t->arrivals[n];

		a->packet = (uint8_t *)t->pool.at + (size_t)n++ * t->pool_slot + t->spec.header_at;
		a->stream = t->order[t->at++];
		a->number = t->turn;
		memcpy(a->packet, stored(t, a->stream, a->number), t->protected_len);
		if (t->at == t->spec.n_streams) {
			t->at = 0;
			t->turn++;
			order_shuffle(t);
		}
	}
	return n;
}

bool
traffic_is_plain(const struct traffic *t, const struct arrival *a)
{
	uint8_t plain[TRAFFIC_BYTES_MAX];

	plain_build(t, a->stream, a->number, plain);
	return memcmp(a->packet, plain, t->spec.packet_bytes) == 0;
}
