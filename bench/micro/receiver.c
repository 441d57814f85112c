#include "bench/micro/receiver.h"

#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/meter.h"

#define STORE_DEFAULT	((uint64_t)1 << 30)	/* bytes */
#define PER_STREAM_MIN	4
#define POOL_DEFAULT	8192
#define POOL_MAX	(1u << 22)

struct bench {
	const struct receiver *receiver;
	struct traffic_spec spec;
	struct traffic traffic;
	struct meter meter;
	uint64_t n_measured, n_refused, n_wrong;
};

static void
usage(const struct receiver receivers[], unsigned int n)
{
	fprintf(stderr, "usage: [--suite NAME] [--engine");
	for (unsigned int i = 0; i < n; i++)
		fprintf(stderr, "%c%s", i == 0 ? ' ' : '|', receivers[i].engine);
	fprintf(stderr, "] [--streams 1..%u] [--packet-bytes 12..%u] [--order random|roundrobin] [--packets N] "
		"[--pool-packets %u..%u]\n", TRAFFIC_STREAMS_MAX, TRAFFIC_BYTES_MAX, RECEIVER_BURST, POOL_MAX);
}

static bool
option_take(struct bench *b, int option, const char *value, const struct receiver receivers[], unsigned int n)
{
	struct traffic_spec *s = &b->spec;

	switch (option) {
	case 'u':
		s->suite = srtp_suite_by_name(span_of_text(value));
		return s->suite != SRTP_SUITE_NONE;
	case 'e':
		b->receiver = NULL;
		for (unsigned int i = 0; i < n; i++)
			if (strcmp(receivers[i].engine, value) == 0)
				b->receiver = &receivers[i];
		return b->receiver != NULL;
	case 's':
		s->n_streams = (uint32_t)strtoul(value, NULL, 10);
		return s->n_streams >= 1 && s->n_streams <= TRAFFIC_STREAMS_MAX;
	case 'b':
		s->packet_bytes = (uint16_t)strtoul(value, NULL, 10);
		return s->packet_bytes >= 12 && s->packet_bytes <= TRAFFIC_BYTES_MAX;
	case 'o':
		s->random = strcmp(value, "random") == 0;
		return s->random || strcmp(value, "roundrobin") == 0;
	case 'p':
		s->n_packets = strtoull(value, NULL, 10);
		return s->n_packets >= 1;
	case 'l':
		s->pool_packets = (uint32_t)strtoul(value, NULL, 10);
		return s->pool_packets >= RECEIVER_BURST && s->pool_packets <= POOL_MAX;
	default:
		return false;
	}
}

static bool
options_read(struct bench *b, int argc, char **argv, const struct receiver receivers[], unsigned int n)
{
	static const struct option options[] = {
		{ "suite", required_argument, NULL, 'u' }, { "engine", required_argument, NULL, 'e' },
		{ "streams", required_argument, NULL, 's' }, { "packet-bytes", required_argument, NULL, 'b' },
		{ "order", required_argument, NULL, 'o' }, { "packets", required_argument, NULL, 'p' },
		{ "pool-packets", required_argument, NULL, 'l' }, { NULL, 0, NULL, 0 },
	};
	struct traffic_spec *s = &b->spec;
	int option;

	b->receiver = &receivers[0];
	*s = (struct traffic_spec){ .suite = SRTP_AES_CM_128_HMAC_SHA1_80, .n_streams = 20000, .packet_bytes = 172,
		.pool_packets = POOL_DEFAULT, .random = true };
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!option_take(b, option, optarg, receivers, n))
			return false;
	if (optind != argc)
		return false;
	if (s->n_packets == 0)
		s->n_packets = STORE_DEFAULT / s->packet_bytes < b->receiver->n_packets ? STORE_DEFAULT / s->packet_bytes
											 : b->receiver->n_packets;
	if (s->n_packets < (uint64_t)PER_STREAM_MIN * s->n_streams)
		s->n_packets = (uint64_t)PER_STREAM_MIN * s->n_streams;
	s->header_at = b->receiver->header_at;
	return true;
}

/* An lcore stays on its CPU. */
static void
cpu_keep(void)
{
	int cpu = sched_getcpu();
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned int)cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static void
pass_run(struct bench *b, void *state, uint32_t n, bool measured)
{
	const struct arrival *a = b->traffic.arrivals;

	for (uint32_t i = 0; i < n; i += RECEIVER_BURST) {
		uint16_t k = n - i < RECEIVER_BURST ? (uint16_t)(n - i) : RECEIVER_BURST;
		uint64_t begin = meter_now();

		b->n_refused += k - b->receiver->burst(state, a + i, k);
		if (measured)
			meter_add(&b->meter, meter_now() - begin, k);
	}
	for (uint32_t i = 0; i < n; i++)
		b->n_wrong += !traffic_is_plain(&b->traffic, &a[i]);
	b->n_measured += measured ? n : 0;
}

/* The first packet of each stream is not measured: it starts indexes and fills tables. */
static bool
run(struct bench *b, const char **why)
{
	struct traffic *t = &b->traffic;
	void *state;
	uint32_t n;

	if (!traffic_create(t, &b->spec, why))
		return false;
	n = t->per_stream * b->spec.n_streams;
	if (!meter_init(&b->meter, n / RECEIVER_BURST + n / b->spec.pool_packets + 1)) {	/* each pass ends a burst */
		*why = "no memory for the figures";
		return false;
	}
	state = b->receiver->create(t, why);
	if (state == NULL)
		return false;
	for (;;) {
		bool measured = t->turn > 0;

		n = traffic_pass(t);
		if (n == 0)
			break;
		pass_run(b, state, n, measured);
	}
	b->receiver->destroy(state);
	return true;
}

static bool
print(struct bench *b)
{
	struct meter_figures f;
	bool ok = meter_figures(&b->meter, &f) && b->n_refused == 0 && b->n_wrong == 0;

	printf("{\"bench\":\"unprotect\",\"engine\":\"%s\",\"version\":\"%s\",\"suite\":\"%s\",\"streams\":%u,\"order\":\"%s\","
	       "\"packet_bytes\":%u,\"packets\":%llu,\"pool_packets\":%u,\"ns_per_packet\":%.1f,"
	       "\"ns_per_packet_median\":%.1f,\"ns_per_packet_all\":%.1f,\"cut\":%.5f,\"refused\":%llu,\"wrong\":%llu,"
	       "\"ok\":%s}\n",
	       b->receiver->engine, b->receiver->version, srtp_suite_shape(b->spec.suite)->name, b->spec.n_streams,
	       b->spec.random ? "random" : "roundrobin", b->spec.packet_bytes, (unsigned long long)b->n_measured,
	       b->spec.pool_packets, f.mean, f.median, f.all, f.cut, (unsigned long long)b->n_refused,
	       (unsigned long long)b->n_wrong, ok ? "true" : "false");
	if (!ok)
		fprintf(stderr, "%llu packets were refused, %llu came out wrong, %llu were measured\n",
			(unsigned long long)b->n_refused, (unsigned long long)b->n_wrong,
			(unsigned long long)b->n_measured);
	return ok;
}

int
receiver_main(int argc, char **argv, const struct receiver receivers[], unsigned int n_receivers)
{
	static struct bench bench;
	const char *why = "";
	bool ok = false;

	if (!options_read(&bench, argc, argv, receivers, n_receivers)) {
		usage(receivers, n_receivers);
		return 2;
	}
	if (bench.spec.n_streams > bench.receiver->streams_max) {
		fprintf(stderr, "%s is measured to %u streams\n", bench.receiver->engine, bench.receiver->streams_max);
		return 2;
	}
	cpu_keep();
	if (run(&bench, &why))
		ok = print(&bench);
	else
		fprintf(stderr, "%s\n", why);
	meter_free(&bench.meter);
	traffic_destroy(&bench.traffic);
	return ok ? 0 : 1;
}
