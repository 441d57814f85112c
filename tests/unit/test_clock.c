/* Packet time: runs on between snapshots, is slewed for small differences, steps for large ones, and never wraps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>

#include "dataplane/clock.h"

#define HZ   2000000000ull
#define WALL 1700000000000000000ull
#define SECOND 1000000000ull

/* A clock whose map is at counter 1 s. */
static void
clock_at(struct clock *c)
{
	memset(c, 0, sizeof(*c));
	c->tsc_hz = HZ;
	clock_publish_at(c, HZ, WALL, SECOND);
}

static void
a_counter_before_the_map_does_not_wrap(void **state)
{
	struct clock c;

	clock_at(&c);
	assert_int_equal(clock_wall_ns(&c.last, HZ - 1), WALL);
	assert_int_equal(clock_mono_ns(&c.last, HZ - 400), SECOND);
	assert_int_equal(clock_wall_ns(&c.last, HZ + 2000), WALL + 1000);
	/* nor where the counter itself wraps */
	clock_publish_at(&c, UINT64_MAX - 1, WALL, SECOND);
	assert_int_equal(clock_wall_ns(&c.last, 1998) - c.last.wall_ns, 1000);
}

static void
a_small_difference_is_slewed_and_time_runs_on(void **state)
{
	struct clock c;
	uint64_t before;

	clock_at(&c);
	before = clock_wall_ns(&c.last, 2 * HZ);
	clock_publish_at(&c, 2 * HZ, before - 5000000, 2 * SECOND);	/* we are 5 ms ahead */
	assert_int_equal(clock_wall_ns(&c.last, 2 * HZ), before);
	assert_in_range(clock_wall_ns(&c.last, 3 * HZ), before + SECOND - 5000010, before + SECOND - 4999990);
	assert_int_equal(c.last.steps_ns - (int64_t)(WALL), 0);	/* the first publication's, from zero */
}

static void
both_directions_of_a_step_are_summed(void **state)
{
	struct clock c;
	int64_t first;

	clock_at(&c);
	first = c.last.steps_ns;
	clock_publish_at(&c, 2 * HZ, WALL + SECOND + 3600 * SECOND, 2 * SECOND);
	assert_true(c.last.steps_ns - first == (int64_t)(3600 * SECOND));
	clock_publish_at(&c, 3 * HZ, WALL + 2 * SECOND, 3 * SECOND);
	assert_true(c.last.steps_ns == first);
	assert_int_equal(clock_wall_ns(&c.last, 3 * HZ), WALL + 2 * SECOND);
}

/* A calibration that is wrong by 200 ppm, for ten hours: the error stays where the first second left it. */
static void
a_wrong_calibration_does_not_add_up(void **state)
{
	struct clock c;
	int64_t first;

	clock_at(&c);
	first = c.last.steps_ns;
	for (uint64_t s = 1; s <= 36000; s++) {
		uint64_t tsc = HZ + s * (HZ + HZ / 5000);
		int64_t error = (int64_t)(clock_wall_ns(&c.last, tsc) - (WALL + s * SECOND));

		assert_in_range((uint64_t)(error + 1000000), 0, 2000000);	/* 1 ms either way */
		clock_publish_at(&c, tsc, WALL + s * SECOND, (s + 1) * SECOND);
	}
	assert_true(c.last.steps_ns == first);
}

/* Near enough for a test; rte_get_tsc_hz() wants an EAL. */
static uint64_t
hz_of_this_machine(void)
{
	struct timespec from, to, rest = { .tv_nsec = 50000000 };
	uint64_t tsc, ns;

	clock_gettime(CLOCK_MONOTONIC, &from);
	tsc = rte_rdtsc();
	nanosleep(&rest, NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	tsc = rte_rdtsc() - tsc;
	ns = (uint64_t)(to.tv_sec - from.tv_sec) * SECOND + (uint64_t)to.tv_nsec - (uint64_t)from.tv_nsec;
	return (uint64_t)((double)tsc * 1e9 / (double)ns);
}

struct race {
	struct clock clock;
	_Atomic int stop;
};

static void *
publish(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->stop))
		clock_publish(&r->clock);
	return NULL;
}

/* A reader beside a writer that publishes without rest, on a machine that takes CPUs away: time neither wraps nor
 * steps. */
static void
a_busy_machine_makes_no_steps(void **state)
{
	struct race r = { .stop = 0 };
	struct clock_map m = { 0 };
	uint32_t sequence = 0;
	uint64_t last = 0;
	pthread_t thread;

	clock_init(&r.clock, hz_of_this_machine());
	clock_read(&r.clock, &sequence, &m);
	assert_int_equal(pthread_create(&thread, NULL, publish, &r), 0);
	for (unsigned int i = 0; i < 300000; i++) {
		uint64_t wall;

		clock_read(&r.clock, &sequence, &m);
		wall = clock_wall_ns(&m, rte_rdtsc());
		if (last != 0 && (wall > last + 60 * SECOND || last > wall + SECOND))
			fail_msg("%llu after %llu", (unsigned long long)wall, (unsigned long long)last);
		last = wall;
	}
	atomic_store(&r.stop, 1);
	pthread_join(thread, NULL);
	assert_true(m.steps_ns == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_counter_before_the_map_does_not_wrap),
		cmocka_unit_test(a_small_difference_is_slewed_and_time_runs_on),
		cmocka_unit_test(both_directions_of_a_step_are_summed),
		cmocka_unit_test(a_wrong_calibration_does_not_add_up),
		cmocka_unit_test(a_busy_machine_makes_no_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
