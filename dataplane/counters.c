#include "dataplane/counters.h"

void
counters_sum(struct counters *sum, const struct counters *one)
{
	for (unsigned int v = 0; v < RX_VERDICTS; v++)
		sum->verdicts[v] += counter_read(&one->verdicts[v]);
#define X(name, unit, severity, sentence) sum->name += counter_read(&one->name);
	LCORE_COUNTER_LIST(X)
#undef X
}

uint64_t
counters_verdicts(const struct counters *c)
{
	uint64_t sum = 0;

	for (unsigned int v = 0; v < RX_VERDICTS; v++)
		sum += counter_read(&c->verdicts[v]);
	return sum;
}

void
counters_walk(const struct counters *c, void (*on_counter)(void *ctx, const struct dataplane_counter *c), void *ctx)
{
	const struct dataplane_counter rows[] = {
#define X(verdict, name, severity, sentence) \
	{ #name, "packets", COUNTER_##severity, sentence, counter_read(&c->verdicts[verdict]) },
		VERDICT_LIST(X)
#undef X
#define X(name, unit, severity, sentence) { #name, unit, COUNTER_##severity, sentence, counter_read(&c->name) },
		LCORE_COUNTER_LIST(X)
#undef X
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		on_counter(ctx, &rows[i]);
}
