/* What unprotecting a packet costs: bursts of 32 over many streams with keys of their own, by the product's engines.
 * Counted as an lcore pays for it: prefetch, filling the operations, the burst, and reading the results. */
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>
#include <srtp2/srtp.h>

#include "bench/micro/receiver.h"
#include "crypto/secret.h"
#include "crypto/unprotect.h"

#define LINE 64
#define PACKETS 2000000u
/* Its cost a packet grows with its contexts, on NSS to 20 us and more: a larger run would only take long. */
#define LIBSRTP2_STREAMS_MAX 1000
#define LIBSRTP2_PACKETS     200000u

/* What an lcore's slot holds of a stream: index and keys in one line, as struct stream has them. */
struct bench_stream {
	alignas(LINE) struct packet_index index;
	const struct unprotect_ctx *keys;
};

struct product {
	struct unprotect_engine *engine;
	struct memory streams, contexts;
	uint32_t n_contexts;
	uint16_t packet_bytes, protected_len;
};

static struct unprotect_ctx *
context_of(const struct product *p, uint32_t stream)
{
	return (struct unprotect_ctx *)p->contexts.at + stream;
}

static void
product_destroy(void *state)
{
	struct product *p = state;

	for (uint32_t i = 0; i < p->n_contexts; i++)
		unprotect_ctx_wipe(context_of(p, i));
	memory_give(&p->contexts);
	memory_give(&p->streams);
	unprotect_engine_destroy(p->engine);
	free(p);
}

static bool
contexts_create(struct product *p, const struct traffic *t)
{
	uint32_t n = t->spec.n_streams;

	if (!memory_take(&p->contexts, n * sizeof(struct unprotect_ctx), true) ||
	    !memory_take(&p->streams, n * sizeof(struct bench_stream), true))
		return false;
	while (p->n_contexts < n) {
		struct unprotect_ctx *ctx = context_of(p, p->n_contexts);

		if (unprotect_ctx_init(ctx, p->engine, &t->masters[p->n_contexts]) != SRS_OK)
			return false;
		((struct bench_stream *)p->streams.at)[p->n_contexts++].keys = ctx;
	}
	return true;
}

static void *
product_create(const struct traffic *t, enum unprotect_engine_kind kind, bool portable, const char **why)
{
	struct product *p;

	*why = "this machine does not run the engine";
	if (!unprotect_engine_runs(kind))
		return NULL;
	*why = "no memory for the contexts, or the engine does not have the suite";
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->packet_bytes = t->spec.packet_bytes;
	p->protected_len = t->protected_len;
	p->engine = unprotect_engine_create(kind);
	if (p->engine != NULL && portable)
		unprotect_engine_portable(p->engine);
	if (p->engine == NULL || !contexts_create(p, t)) {
		product_destroy(p);
		return NULL;
	}
	return p;
}

static void *
ipsec_mb_create(const struct traffic *t, const char **why)
{
	return product_create(t, UNPROTECT_IPSEC_MB, false, why);
}

static void *
ipsec_mb_256_create(const struct traffic *t, const char **why)
{
	return product_create(t, UNPROTECT_IPSEC_MB, true, why);
}

static void *
libsrtp2_create(const struct traffic *t, const char **why)
{
	return product_create(t, UNPROTECT_LIBSRTP2, false, why);
}

/* As in lcore.c: slots and packets are prefetched for the whole burst, then the operations are filled. */
static uint32_t
product_burst(void *state, const struct arrival a[], uint16_t n)
{
	const struct product *p = state;
	struct bench_stream *streams = p->streams.at;
	struct unprotect_op ops[RECEIVER_BURST], *op[RECEIVER_BURST];
	uint32_t n_ok = 0;

	for (uint16_t i = 0; i < n; i++) {
		__builtin_prefetch(&streams[a[i].stream], 1);
		for (uint16_t at = 0; at < p->protected_len; at += LINE)
			__builtin_prefetch(a[i].packet + at, 1);
	}
	for (uint16_t i = 0; i < n; i++) {
		struct bench_stream *s = &streams[a[i].stream];

		ops[i] = (struct unprotect_op){ .packet = a[i].packet, .len = p->protected_len, .index = &s->index,
			.keys = s->keys };
		op[i] = &ops[i];
		for (uint16_t at = 0; at < UNPROTECT_CTX_HOT; at += LINE)
			__builtin_prefetch((const uint8_t *)s->keys + at);
	}
	unprotect_burst(p->engine, op, n);
	for (uint16_t i = 0; i < n; i++)
		n_ok += ops[i].result == UNPROTECT_OK && ops[i].len == p->packet_bytes;
	return n_ok;
}

int
main(int argc, char **argv)
{
	/* 42: behind Ethernet, IPv4 and UDP in a frame buffer */
	const struct receiver engines[] = {
		{ "ipsec-mb", imb_get_version_str(), TRAFFIC_STREAMS_MAX, PACKETS, 42,
		  ipsec_mb_create, product_burst, product_destroy },
		{ "ipsec-mb-256", imb_get_version_str(), TRAFFIC_STREAMS_MAX, PACKETS, 42,
		  ipsec_mb_256_create, product_burst, product_destroy },
		{ "libsrtp2", srtp_get_version_string(), LIBSRTP2_STREAMS_MAX, LIBSRTP2_PACKETS, 42,
		  libsrtp2_create, product_burst, product_destroy },
	};

	return receiver_main(argc, argv, engines, sizeof(engines) / sizeof(engines[0]));
}
