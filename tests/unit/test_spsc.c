/* The hand-over ring: order, bounds, and two real threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

#include "lib/spsc.h"

#define N_ITEMS 200000u

static void
empty_ring_gives_nothing(void **state)
{
	struct spsc *ring;

	assert_int_equal(spsc_create(&ring, 4), SRS_OK);
	assert_null(spsc_pop(ring));
	assert_int_equal(spsc_len(ring), 0);
	spsc_destroy(ring);
}

static void
full_ring_refuses_and_loses_nothing(void **state)
{
	struct spsc *ring;
	int items[5];

	assert_int_equal(spsc_create(&ring, 3), SRS_OK); /* rounded up to 4 */
	for (int i = 0; i < 4; i++)
		assert_true(spsc_push(ring, &items[i]));
	assert_false(spsc_push(ring, &items[4]));
	for (int i = 0; i < 4; i++)
		assert_ptr_equal(spsc_pop(ring), &items[i]);
	assert_null(spsc_pop(ring));
	spsc_destroy(ring);
}

static void *
produce(void *arg)
{
	struct spsc *ring = arg;

	for (uintptr_t i = 1; i <= N_ITEMS; i++)
		while (!spsc_push(ring, (void *)i)) /* NOLINT: a number as a pointer, never dereferenced */
			sched_yield();
	return NULL;
}

static void
order_holds_between_threads(void **state)
{
	struct spsc *ring;
	pthread_t thread;

	assert_int_equal(spsc_create(&ring, 64), SRS_OK);
	assert_int_equal(pthread_create(&thread, NULL, produce, ring), 0);
	for (uintptr_t i = 1; i <= N_ITEMS;) {
		void *item = spsc_pop(ring);

		if (item == NULL) {
			sched_yield();
			continue;
		}
		assert_int_equal((uintptr_t)item, i);
		i++;
	}
	pthread_join(thread, NULL);
	spsc_destroy(ring);
}

static void
absurd_length_is_refused(void **state)
{
	struct spsc *ring;

	assert_int_equal(spsc_create(&ring, UINT32_MAX), SRS_ERR_NOMEM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_ring_gives_nothing),
		cmocka_unit_test(full_ring_refuses_and_loses_nothing),
		cmocka_unit_test(order_holds_between_threads),
		cmocka_unit_test(absurd_length_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
