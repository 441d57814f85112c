/* Packet time. Control maps TSC to the wall clock once a second; lcores read the map between bursts and never make a
 * system call for the time. Small differences are slewed over the next second, so that time runs on; one of more
 * than CLOCK_STEP_NS is a step, which lcores mark in every recording. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

#define CLOCK_STEP_NS 10000000	/* 10 ms */

struct clock_map {
	uint64_t tsc;		/* here ... */
	uint64_t wall_ns;	/* ... the wall clock showed this */
	uint64_t mono_ns;
	uint64_t rate;		/* wall ns per cycle, 32.32 */
	uint64_t mono_rate;
	int64_t steps_ns;	/* sum of all steps so far */
};

/* A sequence lock: one writer, readers that try again. Odd while it is written. */
struct clock {
	_Atomic uint32_t sequence;
	_Atomic uint64_t words[6];	/* struct clock_map */
	uint64_t tsc_hz;		/* constant */
	struct clock_map last;		/* control's own */
};

/** Begin with the time as it is. @thread control */
void clock_init(struct clock *c, uint64_t tsc_hz);
/** Map anew. @thread control */
void clock_publish(struct clock *c);
/** The same with given readings; for tests. */
void clock_publish_at(struct clock *c, uint64_t tsc, uint64_t wall_ns, uint64_t mono_ns);
/** Read the map when it is another than `*sequence`. @thread lcore, or any */
void clock_read(const struct clock *c, uint32_t *sequence, struct clock_map *map);

static inline uint64_t
clock_scale(uint64_t cycles, uint64_t rate)
{
	return (uint64_t)((unsigned __int128)cycles * rate >> 32);
}

/* A counter read a moment before the map was, or on a CPU whose counter is a little behind, is before the map's: time
 * stands still then, it does not wrap. */
static inline uint64_t
clock_since(const struct clock_map *m, uint64_t tsc)
{
	return (int64_t)(tsc - m->tsc) > 0 ? tsc - m->tsc : 0;
}

static inline uint64_t
clock_wall_ns(const struct clock_map *m, uint64_t tsc)
{
	return m->wall_ns + clock_scale(clock_since(m, tsc), m->rate);
}

static inline uint64_t
clock_mono_ns(const struct clock_map *m, uint64_t tsc)
{
	return m->mono_ns + clock_scale(clock_since(m, tsc), m->mono_rate);
}

#endif
