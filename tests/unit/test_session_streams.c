/* Streams through later offers: what no answer shows. Answers have golden files: test_session_offers.c. */
#include "session_fixture.h"

#define BARE(port) "m=audio " port " RTP/AVP 0 8\r\na=sendonly\r\na=rtcp-mux\r\n"
#define HELD SDP_HEAD MLINE("4000", "inactive", "1") MLINE("4002", "inactive", "2")

/* By its label metadata finds a stream: who leaves it out later takes no name away. */
static void
a_label_that_is_left_out_stays_with_its_stream(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	reinvite(f, sdp_of(SDP_HEAD BARE("4000") BARE("4002"), 2), NULL);
	assert_int_equal(n_added, 2);
	assert_null(strstr(accepted_sdp, "a=label"));
	assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "\"label\":\"1\",\"mline\":0"));
	assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "\"participants\":[\"p-bob\"]"));
	call_end(f);
}

/* RFC 3605: our reports go there, also when it changes in mid-call. */
static void
where_rtcp_is_wanted_reaches_the_data_plane(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(SDP_HEAD MLINE("4000", "sendonly", "1") "a=rtcp:4321\r\n", 1), NULL);
	assert_int_equal(last_spec.rtcp_to, 4321);
	reinvite(f, sdp_of(SDP_HEAD MLINE("4000", "sendonly", "1") "a=rtcp:4323 IN IP4 192.0.2.9\r\n", 2), NULL);
	assert_int_equal(n_updates, 1);
	assert_int_equal(last_spec.rtcp_to, 4323);
	reinvite(f, sdp_of(SDP_HEAD MLINE("4000", "sendonly", "1"), 3), NULL);
	assert_int_equal(last_spec.rtcp_to, 0);
	assert_int_equal(n_added, 1);
	call_end(f);
}

/* A call without a stream, or with port 0 everywhere, is one of which nothing is recorded: nor are its digits. */
static void
without_a_stream_digits_are_hidden_too(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	const char *warning;
	char *sdp;

	reinvite(f, sdp_of(SDP_HEAD MLINE("0", "sendonly", "1") MLINE("0", "sendonly", "2"), 2), NULL);
	assert_int_equal(s->state, SESSION_PAUSED);
	assert_int_equal(live_streams, 0);
	n_notes = 0;
	request_of(f, "Signal=5\r\n", NULL);
	f->request.content_type = "application/dtmf-relay";
	assert_int_equal(body(f, "INFO", &sdp, &warning), 200);
	assert_int_equal(n_notes, 1);
	assert_int_equal(notes[0].kind, REEL_FRAME_MARK);
	reinvite(f, sdp_of(TWO_STREAMS, 3), NULL);
	assert_int_equal(s->state, SESSION_RECORDING);
	call_end(f);
}

/* While we pause it, a client that refreshes its session says inactive: its own state, and no wish. A resume asks for media
 * again, and what the client answers holds, also in our own refresh. */
static void
a_client_that_repeats_our_pause_can_be_resumed(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	const char *why;
	char *again;

	assert_int_equal(session_command(s, "pause", "{}", &why), 200);
	session_settle(s);
	sessions_handlers()->on_answer(f->all, &f->dialog, 200, span_of_text(sdp_of(HELD, 2)));
	reinvite(f, sdp_of(HELD, 2), NULL);
	assert_int_equal(session_command(s, "resume", "{}", &why), 200);
	session_settle(s);
	assert_null(strstr(sent_sdp, "a=inactive"));
	sessions_handlers()->on_answer(f->all, &f->dialog, 200, span_of_text(sdp_of(TWO_STREAMS, 3)));
	assert_int_equal(s->state, SESSION_RECORDING);
	again = sessions_handlers()->on_describe(f->all, &f->dialog);
	assert_string_equal(again, sent_sdp);
	free(again);
	run(f);
	call_end(f);
}

static unsigned int
n_events_named(const char *name)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < n_notes; i++)
		n += notes[i].kind == REEL_FRAME_EVENT && strstr(notes[i].text, name) != NULL;
	return n;
}

/* A client that holds, is paused meanwhile, and lets go with its answer to our resume: its hold has an end in the recording,
 * and our pause is not taken for another one. */
static void
each_hold_of_the_client_has_its_end_in_the_recording(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	const char *why;

	reinvite(f, sdp_of(HELD, 2), NULL);
	assert_int_equal(n_events_named("\"held\""), 2);
	assert_int_equal(session_command(s, "pause", "{}", &why), 200);
	session_settle(s);
	sessions_handlers()->on_answer(f->all, &f->dialog, 200, span_of_text(sdp_of(HELD, 2)));
	assert_int_equal(n_events_named("\"held\""), 2);
	assert_int_equal(session_command(s, "resume", "{}", &why), 200);
	session_settle(s);
	assert_int_equal(n_events_named("\"released\""), 0);
	sessions_handlers()->on_answer(f->all, &f->dialog, 200, span_of_text(sdp_of(TWO_STREAMS, 3)));
	assert_int_equal(n_events_named("\"released\""), 2);
	run(f);
	call_end(f);
}

/* Our refresh of a held call changes nothing (RFC 4028 §7.4): the same description, the same version. */
static void
our_refresh_repeats_what_holds(void **state)
{
	struct fixture *f = *state;
	char *again;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	reinvite(f, sdp_of(SDP_HEAD MLINE("4000", "inactive", "1") MLINE("4002", "sendonly", "2"), 2), NULL);
	again = sessions_handlers()->on_describe(f->all, &f->dialog);
	assert_string_equal(again, accepted_sdp);
	free(again);
	call_end(f);
}

#define PLAIN(port, more) "m=audio " port " RTP/AVP 0 8\r\na=sendonly\r\n" more

/* Begins with two muxed streams; the client asks for our offer and answers it so. */
static struct session *
answered(struct fixture *f, const char *answer)
{
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);

	reinvite(f, NULL, NULL);
	n_notes = n_updates = 0;
	sessions_handlers()->on_confirmed(f->all, &f->dialog, span_of_text(sdp_of(answer, 2)));
	run(f);
	assert_int_equal(n_added, 2);		/* an answer begins nothing, and moves nothing: we could not tell of another port */
	assert_int_equal(n_hang_ups, 0);
	return s;
}

/* RFC 5761 §5.1.1: without a=rtcp-mux in the answer RTCP comes to a port that we have not; media comes to the one we named. */
static void
an_answer_without_rtcp_mux_moves_no_port(void **state)
{
	struct fixture *f = *state;
	struct session *s = answered(f, SDP_HEAD PLAIN("4000", "") PLAIN("4002", ""));

	assert_int_equal(live_streams, 2);
	assert_string_equal(s->streams[0]->label, "1");
	assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "\"participants\":[\"p-bob\"]"));
	call_end(f);
}

/* The places of an answer are those of the offer (RFC 3264 §6), whatever labels stand there. */
static void
an_answer_is_read_by_place(void **state)
{
	struct fixture *f = *state;
	struct session *s = answered(f, SDP_HEAD MLINE("4000", "inactive", "2") MLINE("4002", "sendonly", "1"));

	assert_true(s->streams[0]->inactive);
	assert_false(s->streams[1]->inactive);
	assert_string_equal(s->streams[0]->label, "1");
	call_end(f);
}

static void
an_answer_ends_a_stream_by_port_0(void **state)
{
	struct fixture *f = *state;

	(void)answered(f, SDP_HEAD MLINE("4000", "sendonly", "1") "m=audio 0 RTP/AVP 0\r\n");
	assert_int_equal(live_streams, 1);
	call_end(f);
}

/* What cannot be an answer to what we offered: nothing of it, and nothing is lost. */
static void
an_answer_that_does_not_fit_changes_nothing(void **state)
{
	static const char *const answers[] = {
		SDP_HEAD MLINE("4000", "sendonly", "1"),						/* one m-line short */
		SDP_HEAD MLINE("4000", "sendonly", "1") "m=audio 4002 RTP/SAVP 0\r\na=sendonly\r\n",	/* another profile */
		SDP_HEAD MLINE("4000", "sendonly", "1") MLINE("4002", "sendonly", "2") "c=IN IP6 2001:db8::9\r\n",
		SDP_HEAD MLINE("4000", "sendonly", "1") "m=video 4002 RTP/AVP 99\r\na=inactive\r\n",
		SDP_HEAD MLINE("4000", "sendonly", "1") MLINE("4002", "sendonly", "2") MLINE("4004", "sendonly", "3"),
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct session *s = answered(f, answers[i]);

		assert_int_equal(live_streams, 2);
		assert_int_equal(n_updates, 0);
		assert_false(s->streams[1]->inactive);
		assert_int_equal(s->streams[1]->source.ip_version, 4);
		call_end(f);
		n_added = 0;
	}
}

#define HEAD6 "v=0\r\no=SRC 1 %u IN IP6 2001:db8::9\r\ns=-\r\nc=IN IP6 2001:db8::9\r\nt=0 0\r\n"
#define HEAD0 "v=0\r\no=SRC 1 %u IN IP6 2001:db8::9\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"

/* The old way to write a hold names no address, and so no IP version: whatever we have, nothing moves and nothing is refused. */
static void
a_hold_by_0_0_0_0_moves_no_ip6_stream(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(HEAD6 MLINE("4000", "sendonly", "1"), 1), NULL);
	uint16_t port = s->streams[0]->port.udp_port;

	reinvite(f, sdp_of(HEAD0 MLINE("4000", "inactive", "1"), 2), NULL);
	assert_int_equal(s->state, SESSION_PAUSED);
	reinvite(f, sdp_of(HEAD6 MLINE("4000", "sendonly", "1"), 3), NULL);
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_int_equal(n_refusals, 0);
	assert_int_equal(n_added, 1);
	assert_int_equal(s->streams[0]->port.udp_port, port);
	call_end(f);
}

/* And the other way round: a call that began so moves when its client turns out to speak the other version. */
static void
a_stream_that_began_without_an_address_moves_to_the_version_of_its_client(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(HEAD0 MLINE("4000", "inactive", "1"), 1), NULL);

	assert_non_null(strstr(accepted_sdp, "c=IN IP4 198.18.254.2"));
	reinvite(f, sdp_of(HEAD6 MLINE("4000", "sendonly", "1"), 2), NULL);
	assert_non_null(strstr(accepted_sdp, "m=audio 20000 RTP/AVP 0 8\r\nc=IN IP6 2001:db8::2"));
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_int_equal(live_streams, 1);
	call_end(f);
}

static int
setup_ip6(void **state)
{
	only_ip6 = true;
	return setup(state);
}

static int
teardown_ip6(void **state)
{
	int failed = teardown(state);

	only_ip6 = false;
	return failed;
}

static int
setup_both(void **state)
{
	n_media_addresses = 2;
	return setup(state);
}

static int
teardown_both(void **state)
{
	int failed = teardown(state);

	n_media_addresses = 1;
	return failed;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_label_that_is_left_out_stays_with_its_stream),
		CASE(where_rtcp_is_wanted_reaches_the_data_plane),
		CASE(without_a_stream_digits_are_hidden_too),
		CASE(a_client_that_repeats_our_pause_can_be_resumed),
		CASE(each_hold_of_the_client_has_its_end_in_the_recording),
		CASE(our_refresh_repeats_what_holds),
		CASE(an_answer_without_rtcp_mux_moves_no_port),
		CASE(an_answer_is_read_by_place),
		CASE(an_answer_ends_a_stream_by_port_0),
		CASE(an_answer_that_does_not_fit_changes_nothing),
		cmocka_unit_test_setup_teardown(a_hold_by_0_0_0_0_moves_no_ip6_stream, setup_ip6, teardown_ip6),
		cmocka_unit_test_setup_teardown(a_hold_by_0_0_0_0_moves_no_ip6_stream, setup_both, teardown_both),
		cmocka_unit_test_setup_teardown(a_stream_that_began_without_an_address_moves_to_the_version_of_its_client,
		                                setup_both, teardown_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
