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
	assert_int_equal(n_updates, 1);
	assert_true(last_spec.inactive && last_spec.at_once && last_spec.number == 1);	/* its removal may wait for a quiet moment */
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
	assert_int_equal(command(f, "end", "{\"by\": \"ann\", \"reason\": \"wrong number\"}"), 200);
	assert_int_equal(n_hang_ups, 1);
	assert_string_equal(hang_up_reason, "operator");
	assert_non_null(strstr(last_note(REEL_FRAME_EVENT), "\"event\":\"ended\",\"by\":\"operator\",\"name\":\"ann\""));
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

/* ---- attacks ---- */

static unsigned int
version_of(const char *sdp)
{
	unsigned int version = 0;

	assert_int_equal(sscanf(strstr(sdp, "o=capstan "), "o=capstan %*u %u", &version), 1);
	return version;
}

/* RFC 3264 §8: one more with each description that the client sees, however often its author changed his mind. */
static void
what_the_client_never_saw_leaves_no_gap_in_the_versions(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(command(f, "pause", "{}"), 200);
	assert_int_equal(version_of(sent_sdp), 2);
	refuse_message = SRS_ERR_STATE;		/* its answer is not here yet */
	assert_int_equal(command(f, "resume", "{}"), 200);
	sessions_tick(f->all);
	assert_int_equal(command(f, "pause", "{}"), 200);
	sessions_tick(f->all);
	assert_int_equal(command(f, "resume", "{}"), 200);
	refuse_message = SRS_OK;
	answer(f, 200, sdp_of(OURS_INACTIVE, 2));
	assert_int_equal(n_sent, 2);
	assert_int_equal(version_of(sent_sdp), 3);
	assert_null(strstr(sent_sdp, "a=inactive"));
	call_end(f);
}

/* Before the ACK nothing can be offered, but media can be stopped. */
static void
a_pause_before_the_ack_holds_at_once_and_is_offered_behind_it(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	refuse_message = SRS_ERR_STATE;
	assert_int_equal(command(f, "pause", "{}"), 200);
	assert_int_equal(n_paused_now, 1);
	sessions_tick(f->all);
	assert_int_equal(n_sent, 0);
	refuse_message = SRS_OK;
	sessions_handlers()->on_confirmed(f->all, &f->dialog, (struct span){ 0 });
	sessions_tick(f->all);
	assert_int_equal(n_sent, 1);
	assert_non_null(strstr(sent_sdp, "a=inactive"));
	call_end(f);
}

/* While a re-INVITE waits for its ports: the answer says it, so that no offer of ours need follow. */
static void
a_pause_amid_a_reinvite_is_told_by_its_answer(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);

	request_of(f, sdp_of(TWO_STREAMS MLINE("4004", "sendonly", "3"), 2), NULL);
	sessions_handlers()->on_reinvite(f->all, &f->dialog, &f->request);
	assert_int_equal(n_accepts, 1);
	assert_int_equal(session_command(s, "pause", "{}", &(const char *){ NULL }), 200);
	assert_int_equal(n_paused_now, 1);	/* ahead of the new stream's first packet */
	session_settle(s);
	run(f);
	assert_int_equal(n_accepts, 2);
	assert_null(strstr(accepted_sdp, "a=recvonly"));
	sessions_tick(f->all);
	assert_int_equal(n_sent, 0);
	assert_int_equal(s->state, SESSION_PAUSED);
	call_end(f);
}

/* No packet finds its way into a recording that could not be paused yet. */
static void
a_recording_that_could_not_be_paused_gets_no_stream(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	const struct session_recording *first = s->recordings[0];

	assert_int_equal(command(f, "mask", "{}"), 200);
	refuse_pause = SRS_ERR_LIMIT;
	reinvite(f, sdp_of(TWO_STREAMS MLINE("4004", "sendonly", "3"), 2), XML_HEAD "<datamode>partial</datamode>" CS2
	         STREAM("s2", "cs-2", "2") STREAM("s3", "cs-2", "3") XML_TAIL);
	assert_int_equal(session_recordings_n(s), 2);
	assert_int_equal(n_binds, 0);
	assert_int_equal(live_streams, 3);
	for (unsigned int i = 0; i < 3; i++)
		assert_ptr_equal(s->streams[i]->recording, first);
	refuse_pause = SRS_OK;
	sessions_tick(f->all);
	run(f);
	assert_int_equal(n_paused_now, 2);
	assert_int_equal(n_binds, 2);
	call_end(f);
}

/* RFC 4574 §4 forbids it, and clients do it: what is dropped must not go on under its own name. */
static void
a_label_that_two_streams_bear_drops_both(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS MLINE("4004", "sendonly", "2"), 1), NULL);
	assert_int_equal(live_streams, 3);
	assert_int_equal(command(f, "drop", "{\"stream\": \"2\"}"), 200);
	assert_int_equal(live_streams, 1);
	reinvite(f, sdp_of(TWO_STREAMS MLINE("4004", "sendonly", "2"), 2), NULL);
	assert_int_equal(live_streams, 1);
	call_end(f);
	call_begin(f, sdp_of(SDP_HEAD MLINE("4000", "sendonly", "2") MLINE("4002", "sendonly", "2"), 1), NULL);
	assert_int_equal(command(f, "drop", "{\"stream\": \"2\"}"), 409);	/* both are the last ones */
	assert_int_equal(live_streams, 2);
	call_end(f);
}

#define BARE(port, more) "m=audio " port " RTP/AVP 0\r\na=sendonly\r\na=rtcp-mux\r\n" more

/* Bound as streams are: leaving the label out, or moving the m-line, brings nothing back. */
static void
a_dropped_stream_does_not_return_by_another_name(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(SDP_HEAD BARE("4000", "a=mid:a\r\na=label:1\r\n") BARE("4002", "a=mid:b\r\na=label:2\r\n"), 1), NULL);
	assert_int_equal(command(f, "drop", "{\"stream\": \"2\"}"), 200);
	reinvite(f, sdp_of(SDP_HEAD BARE("4000", "a=label:1\r\n") BARE("4002", ""), 2), NULL);
	assert_int_equal(live_streams, 1);
	reinvite(f, sdp_of(SDP_HEAD BARE("4002", "a=mid:b\r\n") BARE("4000", "a=mid:a\r\n"), 3), NULL);
	assert_int_equal(live_streams, 1);
	reinvite(f, sdp_of(SDP_HEAD BARE("4002", "a=label:2\r\n") BARE("4000", "a=label:1\r\n") BARE("4004", "a=label:3\r\n"), 4), NULL);
	assert_int_equal(live_streams, 2);
	call_end(f);
}

/* The client's own hold, even in its answer, is its own: no resume of ours was obeyed. */
static void
a_resume_that_is_answered_inactive_is_the_clients_hold(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);

	assert_int_equal(command(f, "pause", "{}"), 200);
	answer(f, 200, sdp_of(TWO_STREAMS, 2));		/* goes on sending */
	assert_int_equal(command(f, "resume", "{}"), 200);
	answer(f, 200, sdp_of(OURS_INACTIVE, 3));
	assert_non_null(strstr(last_note(REEL_FRAME_EVENT), "\"event\":\"held\",\"by\":\"src\""));
	assert_int_equal(s->state, SESSION_PAUSED);
	assert_int_equal(n_paused_now, 0);
	call_end(f);
}

/* The answer to an UPDATE waits for its ports: one that fails is refused in it. */
static void
a_port_that_fails_in_an_update_is_refused_in_its_answer(void **state)
{
	struct fixture *f = *state;
	const char *warning;
	char *sdp;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	fail_install = SRS_ERR_LIMIT;
	request_of(f, sdp_of(TWO_STREAMS MLINE("4004", "sendonly", "3"), 2), NULL);
	assert_int_equal(body(f, "UPDATE", &sdp, &warning), 200);
	assert_non_null(strstr(sdp, "m=audio 0 "));
	free(sdp);
	run(f);
	fail_install = SRS_OK;
	assert_int_equal(live_streams, 2);
	assert_int_equal(n_sent, 0);
	call_end(f);
}

/* Two operators: the second one hears that it is so, and neither lifts what the other one asked for. */
static void
two_operators_do_not_undo_each_other(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);

	assert_int_equal(command(f, "mask", "{\"by\": \"ann\"}"), 200);
	assert_int_equal(command(f, "mask", "{\"by\": \"bob\"}"), 409);
	assert_int_equal(command(f, "pause", "{\"by\": \"bob\"}"), 200);
	assert_int_equal(command(f, "unmask", "{\"by\": \"ann\"}"), 200);
	assert_int_equal(n_paused_now, 1);
	assert_int_equal(command(f, "drop", "{\"by\": \"ann\", \"stream\": \"1\"}"), 200);
	assert_int_equal(command(f, "drop", "{\"by\": \"bob\", \"stream\": \"1\"}"), 404);
	assert_int_equal(command(f, "drop", "{\"by\": \"bob\", \"stream\": \"2\"}"), 409);
	assert_int_equal(session_command(s, "end", "{\"by\": \"ann\"}", &(const char *){ NULL }), 200);
	assert_int_equal(s->state, SESSION_DRAINING);
	assert_int_equal(session_command(s, "end", "{\"by\": \"bob\"}", &(const char *){ NULL }), 409);
	assert_int_equal(session_command(s, "unmask", "{\"by\": \"bob\"}", &(const char *){ NULL }), 409);
	assert_int_equal(n_hang_ups, 1);
	call_end(f);
}

static void
hostile_json_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	static const char *const bodies[] = {
		"null", "true", "1e999", "\"mask\"", "[]", "{", "{\"by\"}", "{\"by\":}", "{}{}", "{} trailing", "{\"by\": 1}",
		"{\"reason\": null}", "{\"stream\": [\"1\"]}", "{\"by\": {\"by\": \"x\"}}", "\xff\xfe", "{\"by\": \"\\ud800\"}",
	};
	char deep[4096], text[4096];

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		if (command(f, "mask", bodies[i]) != 400)
			fail_msg("taken: %s", bodies[i]);
	}
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	assert_int_equal(command(f, "mask", deep), 400);
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_int_equal(n_paused_now, 0);
	/* what is taken is cut and cleaned before anybody reads it */
	memset(deep, 'x', sizeof(deep) - 1);
	(void)snprintf(text, sizeof(text), "{\"by\": \"\xff\xc0\\u0000b\\n\\u001b[2J\", \"reason\": \"%.3900s\"}", deep);
	assert_int_equal(command(f, "mask", text), 200);
	assert_true(strlen(last_note(REEL_FRAME_EVENT)) < 600);
	assert_null(strchr(last_note(REEL_FRAME_EVENT), '\x1b'));
	assert_null(strchr(last_note(REEL_FRAME_EVENT), '\xff'));
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
		CASE(what_the_client_never_saw_leaves_no_gap_in_the_versions),
		CASE(a_pause_before_the_ack_holds_at_once_and_is_offered_behind_it),
		CASE(a_pause_amid_a_reinvite_is_told_by_its_answer),
		CASE(a_recording_that_could_not_be_paused_gets_no_stream),
		CASE(a_label_that_two_streams_bear_drops_both),
		CASE(a_dropped_stream_does_not_return_by_another_name),
		CASE(a_resume_that_is_answered_inactive_is_the_clients_hold),
		CASE(a_port_that_fails_in_an_update_is_refused_in_its_answer),
		CASE(two_operators_do_not_undo_each_other),
		CASE(hostile_json_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
