/* Clients that send nothing: asked, and only their own word ends a call. */
#include "session_fixture.h"

#define NS_PER_S UINT64_C(1000000000)

static void
pass(struct fixture *f, unsigned int seconds)
{
	for (unsigned int i = 0; i < seconds; i++) {
		now_ns += NS_PER_S;
		sessions_tick(f->all);
	}
}

static int
idle_setup(void **state)
{
	int failed = setup(state);
	struct fixture *f = *state;

	f->config.session.idle_s = 30;
	f->config.session.check_interval_s = 10;
	return failed;
}
#define IDLE(name) cmocka_unit_test_setup_teardown(name, idle_setup, teardown)

static void
a_silent_client_is_asked_less_and_less_often(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	pass(f, 25);
	assert_int_equal(n_asked, 0);
	pass(f, 15);			/* looked at each 10 s */
	assert_int_equal(n_asked, 1);
	pass(f, 40);
	assert_int_equal(n_asked, 1);
	pass(f, 30);			/* 60 s after the first */
	assert_int_equal(n_asked, 2);
	pass(f, 130);
	assert_int_equal(n_asked, 3);
	pass(f, 500);
	assert_int_equal(n_asked, 5);	/* each 240 s from then on */
	call_end(f);
}

static void
packets_keep_it_from_being_asked(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);

	for (unsigned int i = 0; i < 10; i++) {
		pass(f, 20);
		last_packet_ns = now_ns;
	}
	assert_int_equal(n_asked, 0);
	pass(f, 50);
	assert_int_equal(n_asked, 1);
	sessions_handlers()->on_probed(f->all, &f->dialog);
	assert_true(s->silent);
	last_packet_ns = now_ns;
	pass(f, 10);
	assert_false(s->silent);
	pass(f, 35);
	assert_int_equal(n_asked, 2);	/* from the beginning again */
	call_end(f);
}

static void
one_that_answers_is_kept_with_one_warning(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	char *json;

	pass(f, 40);
	sessions_handlers()->on_probed(f->all, &f->dialog);
	pass(f, 80);
	sessions_handlers()->on_probed(f->all, &f->dialog);
	assert_int_equal(n_asked, 2);
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_int_equal(sessions_counter_read(f->all, SESSION_SILENT), 1);
	json = rest_says(f, REST_ASK_SESSIONS);
	assert_non_null(strstr(json, "\"silent\":true"));
	free(json);
	call_end(f);
}

static void
a_held_call_is_asked_without_a_warning(void **state)
{
	struct fixture *f = *state;
	struct session *s;

	s = call_begin(f, sdp_of(SDP_HEAD MLINE("4000", "inactive", "1") MLINE("4002", "inactive", "2"), 1), NULL);
	assert_int_equal(s->state, SESSION_PAUSED);
	pass(f, 40);
	assert_int_equal(n_asked, 1);
	sessions_handlers()->on_probed(f->all, &f->dialog);
	assert_false(s->silent);
	assert_int_equal(sessions_counter_read(f->all, SESSION_SILENT), 0);
	call_end(f);
}

static void
nobody_is_asked_when_it_is_off(void **state)
{
	struct fixture *f = *state;

	f->config.session.idle_s = 0;
	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	pass(f, 400);
	assert_int_equal(n_asked, 0);
	call_end(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IDLE(a_silent_client_is_asked_less_and_less_often),
		IDLE(packets_keep_it_from_being_asked),
		IDLE(one_that_answers_is_kept_with_one_warning),
		IDLE(a_held_call_is_asked_without_a_warning),
		IDLE(nobody_is_asked_when_it_is_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
