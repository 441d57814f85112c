#include "bench/micro/meter.h"

#include <stdlib.h>
#include <time.h>

/* A burst that took more than CUT times the median, and 50 us, was interrupted: another program had the CPU. */
#define CUT	     8
#define CUT_NS_MIN   50000
#define RATE_NS_MIN  100000000u	/* the TSC's rate, to some parts in a million */

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool
meter_init(struct meter *m, uint32_t bursts_max)
{
	*m = (struct meter){ .bursts_max = bursts_max, .begin_ns = now_ns(), .begin_tsc = meter_now() };
	m->bursts = calloc(bursts_max, sizeof(*m->bursts));
	return m->bursts != NULL;
}

void
meter_free(struct meter *m)
{
	free(m->bursts);
	*m = (struct meter){ 0 };
}

static int
by_cost(const void *x, const void *y)
{
	const struct meter_burst *a = x, *b = y;
	uint64_t left = (uint64_t)a->cycles * b->n, right = (uint64_t)b->cycles * a->n;

	return (left > right) - (left < right);
}

static double
ns_a_cycle(const struct meter *m)
{
	uint64_t ns;

	while ((ns = now_ns() - m->begin_ns) < RATE_NS_MIN)
		;
	return (double)ns / (double)(meter_now() - m->begin_tsc);
}

bool
meter_figures(struct meter *m, struct meter_figures *f)
{
	double rate = ns_a_cycle(m), ns = 0, all_ns = 0;
	uint64_t n = 0, all_n = 0;
	const struct meter_burst *middle;

	*f = (struct meter_figures){ 0 };
	if (m->n_bursts == 0)
		return false;
	qsort(m->bursts, m->n_bursts, sizeof(*m->bursts), by_cost);
	middle = &m->bursts[m->n_bursts / 2];
	f->median = (double)middle->cycles * rate / middle->n;
	for (uint32_t i = 0; i < m->n_bursts; i++) {
		double one = (double)m->bursts[i].cycles * rate;

		all_ns += one;
		all_n += m->bursts[i].n;
		if (one > CUT * f->median * m->bursts[i].n && one > CUT_NS_MIN)
			continue;
		ns += one;
		n += m->bursts[i].n;
	}
	f->mean = ns / (double)n;	/* the median burst is among them */
	f->all = all_ns / (double)all_n;
	f->cut = (double)(all_n - n) / (double)all_n;
	return true;
}
