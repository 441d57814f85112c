/* The control loop: timers fire once, in order, not early; stop stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "controlplane/reactor.h"

struct fixture {
	struct reactor *reactor;
	struct timer a, b;
	char order[8];
	unsigned int n;
	uint64_t due_ns;
};

static void
a_due(void *ctx)
{
	struct fixture *f = ctx;

	f->order[f->n++] = 'a';
	f->due_ns = reactor_mono_ns();
}

static void
b_due(void *ctx)
{
	struct fixture *f = ctx;

	f->order[f->n++] = 'b';
	reactor_stop(f->reactor);
}

static void
timers_fire_once_in_order_and_never_early(void **state)
{
	struct fixture f = { 0 };
	uint64_t start;

	assert_int_equal(reactor_create(&f.reactor), SRS_OK);
	timer_init(&f.a, a_due, &f);
	timer_init(&f.b, b_due, &f);
	assert_false(timer_is_armed(&f.a));
	start = reactor_mono_ns();
	assert_int_equal(timer_arm(f.reactor, &f.b, 40), SRS_OK);
	assert_int_equal(timer_arm(f.reactor, &f.a, 10), SRS_OK);
	assert_true(timer_is_armed(&f.a));
	reactor_run(f.reactor);
	assert_string_equal(f.order, "ab");
	assert_true(f.due_ns - start >= 10 * 1000000ull);
	assert_false(timer_is_armed(&f.a));
	timer_release(&f.a);
	timer_release(&f.b);
	reactor_destroy(f.reactor);
}

static void
disarmed_timer_stays_silent_and_arming_again_moves_it(void **state)
{
	struct fixture f = { 0 };

	assert_int_equal(reactor_create(&f.reactor), SRS_OK);
	timer_init(&f.a, a_due, &f);
	timer_init(&f.b, b_due, &f);
	timer_disarm(&f.a);	/* never armed: nothing happens */
	assert_int_equal(timer_arm(f.reactor, &f.a, 5), SRS_OK);
	timer_disarm(&f.a);
	assert_int_equal(timer_arm(f.reactor, &f.b, 1000000), SRS_OK);
	assert_int_equal(timer_arm(f.reactor, &f.b, 20), SRS_OK);
	reactor_run(f.reactor);
	assert_string_equal(f.order, "b");
	timer_release(&f.a);
	timer_release(&f.b);
	timer_release(&f.b);	/* twice is harmless */
	reactor_destroy(f.reactor);
	reactor_destroy(NULL);
}

static void
clocks_move_forward(void **state)
{
	uint64_t a = reactor_mono_ns();

	assert_true(reactor_mono_ns() >= a);
	assert_true(reactor_wall_ns() > 1600000000ull * 1000000000ull);
}

struct slow {
	struct reactor *reactor;
	struct timer due;
	unsigned int turns;
	uint32_t lag_ms;
};

static void
nap(unsigned int ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000L }, NULL);
}

static void
slow_due(void *ctx)
{
	struct slow *s = ctx;

	nap(300);
	s->lag_ms = reactor_lag_ms(s->reactor);
	if (--s->turns == 0)
		reactor_stop(s->reactor);
	else
		assert_int_equal(timer_arm(s->reactor, &s->due, 0), SRS_OK);
}

static uint32_t
lag_after(unsigned int turns)
{
	struct slow s = { .turns = turns };

	assert_int_equal(reactor_create(&s.reactor), SRS_OK);
	timer_init(&s.due, slow_due, &s);
	assert_int_equal(timer_arm(s.reactor, &s.due, 0), SRS_OK);
	reactor_run(s.reactor);
	timer_release(&s.due);
	reactor_destroy(s.reactor);
	return s.lag_ms;
}

static void
a_loop_that_never_gets_done_is_late_and_one_pause_is_not(void **state)
{
	assert_true(lag_after(8) >= 100);
	assert_int_equal(lag_after(1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_once_in_order_and_never_early),
		cmocka_unit_test(disarmed_timer_stays_silent_and_arming_again_moves_it),
		cmocka_unit_test(clocks_move_forward),
		cmocka_unit_test(a_loop_that_never_gets_done_is_late_and_one_pause_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
