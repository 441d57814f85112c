/* Every counter is named once, and the sum of verdicts is what came in. */
#include "plane_fixture.h"

#include "dataplane/clock.h"
#include "dataplane/counters.h"

struct names {
	const char *seen[128];
	unsigned int n;
	uint64_t sum;
};

static void
on_counter(void *ctx, const struct dataplane_counter *c)
{
	struct names *names = ctx;

	for (unsigned int i = 0; i < names->n; i++)
		assert_string_not_equal(names->seen[i], c->name);
	assert_true(names->n < 128);
	assert_true(strlen(c->sentence) > 4);
	names->seen[names->n++] = c->name;
	if (strncmp(c->name, "rx_", 3) == 0)
		names->sum += c->value;
}

static void
names_are_unique_and_verdicts_add_up(void **state)
{
	static struct counters one, sum;
	struct names names = { 0 };

	for (unsigned int v = 1; v < RX_VERDICTS; v++)
		counter_add(&one.verdicts[v], v);
	counters_sum(&sum, &one);
	counters_sum(&sum, &one);
	counters_walk(&sum, on_counter, &names);
	assert_int_equal(names.sum, (uint64_t)RX_VERDICTS * (RX_VERDICTS - 1));
	assert_int_equal(counters_verdicts(&sum), names.sum);
}

static void
small_differences_are_slewed_large_ones_are_steps(void **state)
{
	struct clock c;
	struct clock_map m = { 0 };
	uint32_t sequence = 0;
	uint64_t t0, w0;

	clock_init(&c, 1000000000);	/* one cycle a nanosecond */
	clock_read(&c, &sequence, &m);
	t0 = m.tsc;
	w0 = m.wall_ns;
	clock_publish_at(&c, t0 + 1000000000, w0 + 1001000000, 0);	/* 1 ms ahead */
	clock_read(&c, &sequence, &m);
	assert_int_equal(m.steps_ns, 0);
	assert_in_range(clock_wall_ns(&m, t0 + 1000000000), w0 + 999999000, w0 + 1000001000);	/* no jump */
	assert_in_range(clock_wall_ns(&m, t0 + 2000000000), w0 + 2000999000, w0 + 2001001000);	/* gone in a second */
	clock_publish_at(&c, t0 + 2000000000, w0 + 2001000000 - 50000000, 0);	/* 50 ms back */
	clock_read(&c, &sequence, &m);
	assert_in_range(-m.steps_ns, 49990000, 50010000);
	assert_int_equal(clock_wall_ns(&m, t0 + 2000000000), w0 + 1951000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_unique_and_verdicts_add_up),
		cmocka_unit_test(small_differences_are_slewed_large_ones_are_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
