/* What a burst costs, in cycles of the TSC: kept for each burst, so that those in which another program had the CPU
 * can be told apart afterwards. @thread one */
#ifndef METER_H
#define METER_H

#include <stdbool.h>
#include <stdint.h>
#include <x86intrin.h>

struct meter {
	struct meter_burst {
		uint32_t cycles;
		uint32_t n;	/* packets */
	} *bursts;
	uint32_t n_bursts, bursts_max;
	uint64_t begin_tsc, begin_ns;	/* for the TSC's rate */
};

struct meter_figures {
	double mean;	/* ns a packet, without the bursts that were cut */
	double all;	/* with them */
	double median;	/* of the bursts */
	double cut;	/* share of the packets */
};

/** @return false: no memory */
bool meter_init(struct meter *m, uint32_t bursts_max);
void meter_free(struct meter *m);

static inline uint64_t
meter_now(void)
{
	return __rdtsc();
}

/** Bursts past `bursts_max` are not kept. */
static inline void
meter_add(struct meter *m, uint64_t cycles, uint32_t n)
{
	if (m->n_bursts < m->bursts_max)
		m->bursts[m->n_bursts++] =
			(struct meter_burst){ cycles < UINT32_MAX ? (uint32_t)cycles : UINT32_MAX, n };
}

/** Sorts the bursts. Takes 0.1 s when less has passed since meter_init(). @return false: no burst was kept */
bool meter_figures(struct meter *m, struct meter_figures *f);

#endif
