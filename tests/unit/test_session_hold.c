/* Pause, mask, drop: media stops whatever the client does, and the recording says who stopped it. */
#include "session_fixture.h"

static unsigned int
command(struct fixture *f, const char *verb, const char *json)
{
	struct session *s = f->dialog.user;
	const char *why;
	unsigned int status = session_command(s, verb, json, &why);

	if (status != 200)
		assert_true(why[0] != '\0');
	session_settle(s);
	run(f);
	return status;
}

static void
answer(struct fixture *f, unsigned int status, const char *sdp)
{
	sessions_handlers()->on_answer(f->all, &f->dialog, status, span_of_text(sdp));
	run(f);
}

#define OURS_INACTIVE SDP_HEAD MLINE("4000", "inactive", "1") MLINE("4002", "inactive", "2")

static void
a_pause_stops_media_and_asks_the_client_to_stop(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	const char *event;

	assert_int_equal(command(f, "pause", "{\"by\": \"ann\", \"reason\": \"card number\"}"), 200);
	assert_int_equal(s->state, SESSION_PAUSED);
	assert_int_equal(n_paused_now, 1);
	assert_int_equal(n_sent, 1);
	assert_non_null(strstr(sent_sdp, "a=inactive"));
	assert_null(strstr(sent_sdp, "a=recvonly"));
	event = last_note(REEL_FRAME_EVENT);
	assert_non_null(strstr(event, "\"event\":\"paused\""));
	assert_non_null(strstr(event, "\"by\":\"operator\""));
	assert_non_null(strstr(event, "\"name\":\"ann\""));
	assert_non_null(strstr(event, "\"reason\":\"card number\""));
	answer(f, 200, sdp_of(OURS_INACTIVE, 2));
	assert_int_equal(s->state, SESSION_PAUSED);
	assert_non_null(strstr(last_note(REEL_FRAME_EVENT), "\"paused\""));	/* not "held": it did as it was asked */

	assert_int_equal(command(f, "resume", NULL), 200);
	assert_int_equal(n_paused_now, 0);
	assert_int_equal(n_sent, 2);
	assert_non_null(strstr(sent_sdp, "a=recvonly"));
	assert_null(strstr(sent_sdp, "a=inactive"));
	answer(f, 200, sdp_of(TWO_STREAMS, 3));
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_false(s->streams[0]->inactive);
	assert_non_null(strstr(last_note(REEL_FRAME_EVENT), "\"event\":\"resumed\""));
	call_end(f);
}

static void
a_mask_stops_media_and_tells_nobody(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);

	assert_int_equal(command(f, "mask", ""), 200);
	assert_int_equal(s->state, SESSION_PAUSED);
	assert_int_equal(n_paused_now, 1);
	assert_int_equal(n_sent, 0);
	assert_int_equal(command(f, "mask", ""), 409);
	assert_int_equal(command(f, "unmask", ""), 200);
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_int_equal(n_paused_now, 0);
	assert_int_equal(command(f, "unmask", ""), 409);
	call_end(f);
}

/* Who stopped it lifts it, and nobody else. */
static void
a_client_that_resumes_lifts_no_mask_and_no_pause(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);

	assert_int_equal(command(f, "mask", "{}"), 200);
	reinvite(f, sdp_of(OURS_INACTIVE, 2), NULL);
	assert_non_null(strstr(last_note(REEL_FRAME_EVENT), "\"event\":\"held\",\"by\":\"src\""));
	assert_int_equal(command(f, "pause", "{}"), 200);
	reinvite(f, sdp_of(TWO_STREAMS, 3), NULL);
	assert_non_null(strstr(last_note(REEL_FRAME_EVENT), "\"event\":\"released\""));
	assert_non_null(strstr(accepted_sdp, "a=inactive"));	/* RFC 7866 §7.2: we are paused */
	assert_int_equal(s->state, SESSION_PAUSED);
	assert_int_equal(n_paused_now, 1);
	assert_int_equal(command(f, "unmask", "{}"), 200);
	assert_int_equal(n_paused_now, 1);
	assert_int_equal(command(f, "resume", "{}"), 200);
	assert_int_equal(n_paused_now, 0);
	assert_int_equal(s->state, SESSION_RECORDING);
	call_end(f);
}

static void
a_client_that_refuses_our_pause_is_not_recorded_either(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);

	assert_int_equal(command(f, "pause", "{}"), 200);
	answer(f, 488, "");
	assert_int_equal(s->state, SESSION_PAUSED);
	assert_int_equal(n_paused_now, 1);
	assert_int_equal(sessions_counter_read(f->all, SESSION_OFFERS_REFUSED), 1);
	sessions_tick(f->all);
	assert_int_equal(n_sent, 1);		/* its word holds */
	assert_int_equal(command(f, "resume", "{}"), 200);
	assert_int_equal(n_sent, 2);
	answer(f, 491, "");			/* its own offers crossed ours */
	sessions_tick(f->all);
	assert_int_equal(n_sent, 2);
	now_ns += UINT64_C(1100000000);
	sessions_tick(f->all);
	assert_int_equal(n_sent, 3);
	call_end(f);
}

static void
what_hinders_our_offer_or_the_data_plane_is_tried_again(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	refuse_message = SRS_ERR_STATE;
	refuse_pause = SRS_ERR_LIMIT;
	assert_int_equal(command(f, "pause", "{}"), 200);
	assert_int_equal(n_sent, 0);
	assert_int_equal(n_paused_now, 0);
	refuse_message = refuse_pause = SRS_OK;
	sessions_tick(f->all);
	assert_int_equal(n_sent, 1);
	assert_int_equal(n_paused_now, 1);
	call_end(f);
}

/* VAULT: of digits in INFO only the length, while nothing is to be recorded. */
static void
digits_in_info_are_hidden_while_media_is(void **state)
{
	struct fixture *f = *state;
	const char *warning;
	struct reel_mark mark;
	char *sdp;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	request_of(f, "Signal=7\r\n", NULL);
	f->request.content_type = "application/dtmf-relay";
	assert_int_equal(body(f, "INFO", &sdp, &warning), 200);
	assert_string_equal(last_note(REEL_FRAME_BODY), "application/dtmf-relay");	/* then NUL and the body */
	assert_int_equal(command(f, "mask", "{}"), 200);
	n_notes = 0;
	request_of(f, "Signal=5\r\n", NULL);
	f->request.content_type = "application/dtmf-relay";
	assert_int_equal(body(f, "INFO", &sdp, &warning), 200);
	assert_int_equal(n_notes, 1);
	assert_int_equal(notes[0].kind, REEL_FRAME_MARK);
	assert_int_equal(reel_mark_read(&mark, span_of(notes[0].mark, REEL_MARK_SIZE)), SRS_OK);
	assert_int_equal(mark.kind, REEL_MARK_HIDDEN);
	assert_int_equal(mark.value, 10);
	call_end(f);
}

/* A communication session that begins in a pause opens its recording paused. */
static void
a_recording_that_opens_in_a_pause_is_paused(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);

	assert_int_equal(command(f, "mask", "{}"), 200);
	reinvite(f, sdp_of(TWO_STREAMS, 2),
	         XML_HEAD "<datamode>partial</datamode>" CS2 STREAM("s2", "cs-2", "2") XML_TAIL);
	assert_int_equal(session_recordings_n(s), 2);
	assert_int_equal(n_paused_now, 2);
	assert_int_equal(command(f, "unmask", "{}"), 200);
	assert_int_equal(n_paused_now, 0);
	call_end(f);
}

/* SDP-04: port 0, and no way back by a later offer. */
static void
a_dropped_stream_gets_port_0_and_stays_away(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(command(f, "drop", "{\"stream\": \"nobody\"}"), 404);
	assert_int_equal(command(f, "drop", "{\"stream\": \"2\"}"), 200);
	assert_int_equal(live_streams, 1);
	assert_int_equal(n_sent, 1);
	assert_non_null(strstr(sent_sdp, "m=audio 0 "));
	assert_non_null(strstr(last_note(REEL_FRAME_EVENT), "\"event\":\"dropped\""));
	assert_non_null(strstr(last_note(REEL_FRAME_EVENT), "\"streams\":[1]"));
	reinvite(f, sdp_of(TWO_STREAMS, 2), NULL);
	assert_int_equal(live_streams, 1);
	assert_non_null(strstr(accepted_sdp, "m=audio 0 "));
	assert_int_equal(command(f, "drop", "{\"stream\": \"1\"}"), 409);	/* the last one */
	call_end(f);
}

static void
the_operator_ends_a_call(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(command(f, "end", "{\"by\": \"ann\"}"), 200);
	assert_int_equal(n_hang_ups, 1);
	assert_string_equal(hang_up_reason, "operator");
	call_end(f);
	assert_string_equal(sealed_reasons[0], "operator");
}

static void
commands_that_cannot_be_obeyed_say_why(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(command(f, "whisper", "{}"), 404);
	assert_int_equal(command(f, "mask", "[1]"), 400);
	assert_int_equal(command(f, "mask", "{\"by\": "), 400);
	assert_int_equal(command(f, "resume", "{}"), 409);
	assert_int_equal(n_paused_now, 0);
	call_end(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_pause_stops_media_and_asks_the_client_to_stop),
		CASE(a_mask_stops_media_and_tells_nobody),
		CASE(a_client_that_resumes_lifts_no_mask_and_no_pause),
		CASE(a_client_that_refuses_our_pause_is_not_recorded_either),
		CASE(what_hinders_our_offer_or_the_data_plane_is_tried_again),
		CASE(digits_in_info_are_hidden_while_media_is),
		CASE(a_recording_that_opens_in_a_pause_is_paused),
		CASE(a_dropped_stream_gets_port_0_and_stays_away),
		CASE(the_operator_ends_a_call),
		CASE(commands_that_cannot_be_obeyed_say_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
