#include "dataplane/clock.h"

#include <string.h>
#include <time.h>

#include <rte_cycles.h>

#include "lib/srs_assert.h"

#define READING_TRIES    8
#define READING_WIDTH_HZ 20000	/* 50 us between the two readings of the counter are narrow enough */

static_assert(sizeof(struct clock_map) == sizeof(((struct clock *)0)->words), "the map is its words");

static uint64_t
now_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
map_store(struct clock *c)
{
	uint32_t sequence = atomic_load_explicit(&c->sequence, memory_order_relaxed);
	uint64_t words[6];

	memcpy(words, &c->last, sizeof(words));
	atomic_store_explicit(&c->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);	/* pairs with clock_read's acquire fence */
	for (unsigned int i = 0; i < 6; i++)
		atomic_store_explicit(&c->words[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&c->sequence, sequence + 2, memory_order_release);
}

/* Counter and clocks at one moment. A reader that loses its CPU between them would make a step out of the pause: the
 * narrowest of a few tries counts. */
struct reading {
	uint64_t tsc, wall_ns, mono_ns;
};

static struct reading
reading_take(uint64_t tsc_hz)
{
	struct reading best = { 0 };
	uint64_t best_width = UINT64_MAX;

	for (unsigned int i = 0; i < READING_TRIES && best_width > tsc_hz / READING_WIDTH_HZ; i++) {
		struct reading r = { .mono_ns = now_ns(CLOCK_MONOTONIC) };
		uint64_t before = rte_rdtsc_precise(), width;

		r.wall_ns = now_ns(CLOCK_REALTIME);
		width = rte_rdtsc_precise() - before;
		r.tsc = before + width / 2;
		if (width < best_width) {
			best_width = width;
			best = r;
		}
	}
	return best;
}

void
clock_init(struct clock *c, uint64_t tsc_hz)
{
	struct reading now;

	memset(c, 0, sizeof(*c));
	c->tsc_hz = tsc_hz;
	c->last.rate = c->last.mono_rate = (uint64_t)(((unsigned __int128)1000000000u << 32) / tsc_hz);
	now = reading_take(tsc_hz);
	c->last.tsc = now.tsc;
	c->last.wall_ns = now.wall_ns;
	c->last.mono_ns = now.mono_ns;
	map_store(c);
}

void
clock_publish_at(struct clock *c, uint64_t tsc, uint64_t wall_ns, uint64_t mono_ns)
{
	struct clock_map *m = &c->last;
	uint64_t mapped = clock_wall_ns(m, tsc);
	int64_t error = (int64_t)(wall_ns - mapped);
	uint64_t plain = (uint64_t)(((unsigned __int128)1000000000u << 32) / c->tsc_hz);

	if (error > CLOCK_STEP_NS || error < -CLOCK_STEP_NS) {
		m->steps_ns += error;
		m->wall_ns = wall_ns;
		m->rate = plain;
	} else {
		m->wall_ns = mapped;
		m->rate = plain + (uint64_t)((__int128)plain * error / 1000000000);	/* gone in a second */
	}
	m->mono_ns = mono_ns;
	m->tsc = tsc;
	map_store(c);
}

void
clock_publish(struct clock *c)
{
	struct reading now = reading_take(c->tsc_hz);

	clock_publish_at(c, now.tsc, now.wall_ns, now.mono_ns);
}

void
clock_read(const struct clock *c, uint32_t *sequence, struct clock_map *map)
{
	for (;;) {
		uint32_t before = atomic_load_explicit(&c->sequence, memory_order_acquire);
		uint64_t words[6];

		if (before == *sequence)
			return;
		if (before & 1)
			continue;
		for (unsigned int i = 0; i < 6; i++)
			words[i] = atomic_load_explicit(&c->words[i], memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);	/* pairs with map_store's release fence */
		if (atomic_load_explicit(&c->sequence, memory_order_relaxed) != before)
			continue;
		memcpy(map, words, sizeof(*map));
		*sequence = before;
		return;
	}
}
