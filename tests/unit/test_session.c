/* Recording sessions: every cell of the machine, and calls from INVITE to seal. */
#include "session_fixture.h"

/* ---- the machine ---- */

/* What each cell leads to; -1: refused. Columns in the order of enum session_event. */
static const int cells[SESSION_N_STATES][SESSION_N_EVENTS] = {
#define O SESSION_OFFERED
#define A SESSION_ARMED
#define R SESSION_RECORDING
#define P SESSION_PAUSED
#define D SESSION_DRAINING
#define S SESSION_SEALED
#define F SESSION_FAILED
	/*       OPENED REFUSED READY OFFER DESCR CONF  META  HELD  RESUM PART EXPIR STOP HANGUP ENDED REPL DRAIN DURABLE */
	[O] = {  A,    F,     -1,   -1,   -1,   -1,   -1,   -1,   -1,   -1,  -1,   F,   -1,  F,    -1,  -1,   -1 },
	[A] = {  -1,   F,     R,    -1,   -1,   -1,   -1,   -1,   -1,   -1,  -1,   F,   -1,  F,    -1,  -1,   -1 },
	[R] = {  -1,   -1,    R,    R,    R,    R,    R,    P,    -1,   R,   D,    D,   D,   D,    D,   -1,   -1 },
	[P] = {  -1,   -1,    P,    P,    P,    P,    P,    -1,   R,    P,   D,    D,   D,   D,    D,   -1,   -1 },
	[D] = {  -1,   -1,    -1,   -1,   -1,   -1,   -1,   -1,   -1,   -1,  -1,   -1,  -1,  D,    -1,  D,    S },
	[S] = {  -1,   -1,    -1,   -1,   -1,   -1,   -1,   -1,   -1,   -1,  -1,   -1,  -1,  -1,   -1,  -1,   -1 },
	[F] = {  -1,   -1,    -1,   -1,   -1,   -1,   -1,   -1,   -1,   -1,  -1,   -1,  -1,  -1,   -1,  F,    F },
#undef O
#undef A
#undef R
#undef P
#undef D
#undef S
#undef F
};

static void
every_cell_of_the_machine_is_as_drawn(void **state)
{
	for (int from = 0; from < SESSION_N_STATES; from++) {
		for (int ev = 0; ev < SESSION_N_EVENTS; ev++) {
			const struct session_edge *e = session_edge_of((enum session_state)from, (enum session_event)ev);

			if ((e != NULL ? (int)e->to : -1) != cells[from][ev])
				fail_msg("state %d, event %d leads to %d", from, ev, e != NULL ? (int)e->to : -1);
			if (e != NULL)
				assert_non_null(e->action);
		}
	}
}

static void
a_refused_event_changes_nothing_and_is_counted(void **state)
{
	struct fixture *f = *state;

	for (int from = 0; from < SESSION_N_STATES; from++) {
		for (int ev = 0; ev < SESSION_N_EVENTS; ev++) {
			struct session s = { .all = f->all, .state = (enum session_state)from };
			uint64_t before = sessions_counter_read(f->all, SESSION_EDGE_REFUSED);

			if (cells[from][ev] != -1)
				continue;
			assert_false(session_dispatch(&s, (enum session_event)ev));
			assert_int_equal(s.state, from);
			assert_int_equal(sessions_counter_read(f->all, SESSION_EDGE_REFUSED), before + 1);
		}
	}
	assert_int_equal(n_accepts + n_refusals + n_hang_ups + n_events + n_notes, 0);
}

/* ---- calls ---- */

static void
a_call_is_answered_once_its_ports_are_armed_and_sealed_with_bye(void **state)
{
	struct fixture *f = *state;
	struct session *s;

	request_of(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	sessions_handlers()->on_invite(f->all, &f->dialog, &f->request);
	assert_int_equal(n_accepts, 0);
	run(f);
	s = f->dialog.user;
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_int_equal(n_accepts, 1);
	assert_int_equal(live_streams, 2);
	assert_int_equal(live_recordings, 1);
	assert_non_null(strstr(accepted_sdp, "m=audio 20000 RTP/AVP 0 8"));
	assert_non_null(strstr(accepted_sdp, "m=audio 20001 RTP/AVP 0 8"));
	assert_non_null(strstr(accepted_sdp, "a=recvonly"));
	assert_non_null(strstr(accepted_sdp, "c=IN IP4 198.18.254.2"));
	assert_non_null(strstr(last_note(REEL_FRAME_OFFER), "m=audio 4000"));
	assert_string_equal(last_note(REEL_FRAME_ANSWER), accepted_sdp);
	assert_non_null(strstr(last_note(REEL_FRAME_METADATA), "p-ann"));
	assert_true(n_rows_recording > 0);
	call_end(f);
	assert_int_equal(n_rows_sealed, 1);
	assert_string_equal(row_reason, "bye");
}

static void
the_description_names_streams_participants_and_their_session(void **state)
{
	struct fixture *f = *state;
	const char *d;

	call_begin(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	d = last_note(REEL_FRAME_DESCRIPTION);
	assert_non_null(strstr(d, "\"cs_id\":\"cs-1\""));
	assert_non_null(strstr(d, "\"node\":\"node-1\""));
	assert_non_null(strstr(d, "\"src\":{\"address\":\"192.0.2.9:5060\",\"transport\":\"udp\",\"agent\":\"test SRC\","
	                          "\"identity\":\"\",\"profile\":\"node-1\",\"retention_class\":\"\"}"));
	assert_non_null(strstr(d, "\"started_wall_ns\":170000000112345678"));	/* no digit lost to a double */
	assert_non_null(strstr(d, "{\"number\":0,\"label\":\"1\",\"mline\":0,\"kind\":\"audio\",\"inactive\":false,"
	                          "\"address\":\"198.18.254.2\",\"port\":20000,\"codecs\":[{\"payload_type\":0,"
	                          "\"name\":\"PCMU\",\"clock_hz\":8000,\"channels\":1,\"fmtp\":\"\"}"));
	assert_non_null(strstr(d, "\"participants\":[\"p-bob\"]"));
	assert_non_null(strstr(d, "{\"id\":\"p-ann\",\"aor\":\"sip:ann@example.com\",\"name\":\"Ann\"}"));
	assert_non_null(strstr(row_participants, "\"labels\":[\"1\"]"));
	assert_non_null(strstr(row_streams, "\"codec\":\"PCMU\""));
	call_end(f);
}

static void
not_a_recording_session_is_refused_with_what_was_missing(void **state)
{
	struct fixture *f = *state;

	request_of(f, sdp_of(TWO_STREAMS, 1), NULL);
	f->request.require_siprec = f->request.contact_sip_src = false;
	sessions_handlers()->on_invite(f->all, &f->dialog, &f->request);
	assert_int_equal(refusal.status, 403);
	assert_non_null(strstr(refusal_warning, "Require: siprec"));
	f->src.accept = CONFIG_ACCEPT_STRICT;
	f->request.require_siprec = true;
	sessions_handlers()->on_invite(f->all, &f->dialog, &f->request);
	assert_int_equal(refusal.status, 403);
	assert_non_null(strstr(refusal_warning, "+sip.src in Contact is missing"));
	f->src.accept = CONFIG_ACCEPT_ANY;
	f->request.require_siprec = false;
	sessions_handlers()->on_invite(f->all, &f->dialog, &f->request);
	run(f);
	assert_int_equal(n_accepts, 1);
	assert_int_equal(sessions_counter_read(f->all, SESSION_REFUSED_POLICY), 2);
	call_end(f);
}

static void
a_metadata_part_alone_makes_it_a_recording_session(void **state)
{
	struct fixture *f = *state;

	request_of(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	f->request.require_siprec = f->request.contact_sip_src = false;
	sessions_handlers()->on_invite(f->all, &f->dialog, &f->request);
	run(f);
	assert_int_equal(n_accepts, 1);
	call_end(f);
}

/* docs/operations.md, "Recording clients". */
static void
what_an_offer_and_a_document_break_is_counted_for_the_client(void **state)
{
	struct fixture *f = *state;

	memset(observed, 0, sizeof(observed));
	request_of(f, sdp_of("m=audio 20000 RTP/AVP 0\r\na=sendonly\r\n", 1), "<recording xmlns='urn:ietf:params:xml:ns:recording:1'");
	sessions_handlers()->on_invite(f->all, &f->dialog, &f->request);
	assert_int_equal(observed[OBSERVED_OFFERS], 1);
	assert_int_equal(observed[OBSERVED_NO_LABEL], 1);
	assert_int_equal(observed[OBSERVED_SDES], 0);
	assert_int_equal(observed[OBSERVED_DOCUMENTS], 1);
	assert_int_equal(observed[OBSERVED_UNREAD], 1);
	assert_string_equal(observed_rule, "a metadata document that cannot be read");
	run(f);
	call_end(f);
	request_of(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	sessions_handlers()->on_invite(f->all, &f->dialog, &f->request);
	assert_int_equal(observed[OBSERVED_OFFERS], 2);
	assert_int_equal(observed[OBSERVED_NO_LABEL], 1);
	assert_int_equal(observed[OBSERVED_UNREAD], 1);
	assert_string_equal(observed_dialect, metadata_dialect_name(METADATA_RFC7865));
	run(f);
	call_end(f);
}

static void
missing_or_broken_sdp_is_refused(void **state)
{
	struct fixture *f = *state;

	call_begin(f, NULL, ANN_AND_BOB);
	assert_int_equal(refusal.status, 488);
	call_begin(f, "this is no SDP", NULL);
	assert_int_equal(refusal.status, 400);
	assert_true(refusal_warning[0] != '\0');
	call_begin(f, sdp_of(SDP_HEAD "m=audio 4000 RTP/SAVP 0\r\na=sendonly\r\n", 1), NULL);
	assert_int_equal(refusal.status, 488);
	assert_non_null(strstr(refusal_warning, "srtp.sdes_unprotected"));
	assert_int_equal(n_accepts, 0);
}

static void
what_cannot_be_recorded_gets_port_0_and_the_rest_is_recorded(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(SDP_HEAD "m=video 4010 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=sendonly\r\n"
	                     "m=audio 4012 RTP/SAVP 0\r\na=sendonly\r\n" MLINE("4000", "sendonly", "1"), 1), NULL);
	assert_int_equal(n_accepts, 1);
	assert_int_equal(live_streams, 1);
	assert_non_null(strstr(accepted_sdp, "m=video 0 "));
	assert_non_null(strstr(accepted_sdp, "m=audio 0 RTP/SAVP"));
	assert_non_null(strstr(accepted_sdp, "m=audio 20000 RTP/AVP"));
	call_end(f);
}

static void
broken_metadata_never_loses_media(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS, 1), "<recording><unclosed>");
	assert_int_equal(n_accepts, 1);
	assert_int_equal(live_streams, 2);
	assert_string_equal(last_note(REEL_FRAME_METADATA), "<recording><unclosed>");
	assert_non_null(strstr(last_note(REEL_FRAME_DEVIATIONS), "\"rule\":"));
	assert_int_equal(sessions_counter_read(f->all, SESSION_METADATA_BAD), 1);
	call_end(f);
}

static void
crypto_lines_are_struck_out_of_what_is_kept(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "
	                     "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n", 1), NULL);
	assert_null(strstr(last_note(REEL_FRAME_OFFER), "WVNfX19zZW1jdGw"));
	for (unsigned int i = 0; i < n_notes; i++) {
		if (notes[i].kind == REEL_FRAME_OFFER)
			assert_int_equal(notes[i].flags, REEL_FRAME_REDACTED);
	}
	call_end(f);
}

static void
hold_and_resume_move_between_recording_and_paused(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);

	reinvite(f, sdp_of(SDP_HEAD MLINE("4000", "inactive", "1") MLINE("4002", "inactive", "2"), 2), NULL);
	assert_int_equal(s->state, SESSION_PAUSED);
	assert_int_equal(n_updates, 2);
	assert_true(last_spec.inactive);
	assert_non_null(strstr(accepted_sdp, "a=inactive"));
	assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "\"inactive\":true"));
	reinvite(f, sdp_of(TWO_STREAMS, 3), NULL);
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_false(last_spec.inactive);
	assert_int_equal(live_streams, 2);
	call_end(f);
}

static void
the_answers_version_goes_up_only_on_change(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	char first[TEXT_MAX];

	(void)snprintf(first, sizeof(first), "%s", accepted_sdp);
	reinvite(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_string_equal(accepted_sdp, first);
	reinvite(f, sdp_of(SDP_HEAD MLINE("4000", "inactive", "1") MLINE("4002", "sendonly", "2"), 2), NULL);
	assert_int_equal(s->sdp_version, 2);
	call_end(f);
}

static void
streams_come_and_go_by_label(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	reinvite(f, sdp_of(TWO_STREAMS MLINE("4004", "sendonly", "3"), 2), NULL);
	assert_int_equal(live_streams, 3);
	assert_non_null(strstr(accepted_sdp, "m=audio 20002 "));
	reinvite(f, sdp_of(SDP_HEAD MLINE("4004", "sendonly", "3") MLINE("0", "inactive", "1"), 3), NULL);
	assert_int_equal(live_streams, 1);
	assert_non_null(strstr(accepted_sdp, "m=audio 20002 "));	/* bound by label, in another place */
	assert_non_null(strstr(accepted_sdp, "m=audio 0 "));
	call_end(f);
}

static void
a_new_source_address_is_handed_on(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(SDP_HEAD MLINE("4000", "sendonly", "1"), 1), NULL);
	assert_int_equal(last_spec.source.ip[3], 9);
	reinvite(f, sdp_of("v=0\r\no=SRC 1 %u IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\n"
	                   MLINE("4000", "sendonly", "1"), 2), NULL);
	assert_int_equal(n_updates, 1);
	assert_int_equal(last_spec.source.ip[3], 77);
	reinvite(f, sdp_of("v=0\r\no=SRC 1 %u IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
	                   MLINE("4000", "sendonly", "1"), 3), NULL);
	assert_int_equal(last_spec.source.ip_version, 0);	/* SDP-11: any source, still recvonly */
	assert_true(last_spec.latch);
	assert_non_null(strstr(accepted_sdp, "a=recvonly"));
	call_end(f);
}

static void
an_offerless_reinvite_gets_our_description_and_needs_an_answer(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	char first[TEXT_MAX];

	(void)snprintf(first, sizeof(first), "%s", accepted_sdp);
	reinvite(f, NULL, NULL);
	assert_int_equal(n_accepts, 2);
	assert_string_equal(accepted_sdp, first);
	sessions_handlers()->on_confirmed(f->all, &f->dialog, span_of_text(sdp_of(TWO_STREAMS, 1)));
	run(f);
	assert_int_equal(n_hang_ups, 0);
	assert_int_equal(live_streams, 2);
	reinvite(f, NULL, NULL);
	sessions_handlers()->on_confirmed(f->all, &f->dialog, span_of("", 0));
	assert_int_equal(n_hang_ups, 1);
	assert_string_equal(s->reason, "no_answer");
	call_end(f);
	assert_string_equal(row_reason, "no_answer");
}

static void
a_refresh_describes_the_session_unchanged_and_takes_the_answer(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	char *again = sessions_handlers()->on_describe(f->all, &f->dialog);

	assert_non_null(again);
	assert_string_equal(again, accepted_sdp);	/* RFC 4028 §7.4: the same version too */
	free(again);
	sessions_handlers()->on_answer(f->all, &f->dialog, 200, span_of_text("no description"));
	sessions_handlers()->on_answer(f->all, &f->dialog, 200, span_of("", 0));
	sessions_handlers()->on_answer(f->all, &f->dialog, 488, span_of("", 0));
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_int_equal(live_streams, 2);
	sessions_handlers()->on_answer(f->all, &f->dialog, 200, span_of_text(sdp_of(SDP_HEAD MLINE("4000", "sendonly", "1") MLINE("0", "sendonly", "2"), 1)));
	run(f);
	assert_int_equal(live_streams, 1);	/* the peer's second m-line has port 0 now */
	assert_int_equal(n_hang_ups, 0);
	call_end(f);
}

static void
a_broken_reinvite_leaves_the_session_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	unsigned int notes_before = n_notes;

	reinvite(f, "nonsense", NULL);
	assert_int_equal(refusal.status, 400);
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_int_equal(live_streams, 2);
	assert_int_equal(n_notes, notes_before);
	call_end(f);
}

static void
a_second_communication_session_opens_its_own_recording(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	const char *warning;
	char *no_sdp;

	request_of(f, NULL, XML_HEAD "<datamode>complete</datamode>" CS1 CS2 ANN BOB STREAM("s1", "cs-1", "1")
	           STREAM("s2", "cs-2", "2") SENDS("p-ann", "s1") SENDS("p-bob", "s2") XML_TAIL);
	assert_int_equal(body(f, "UPDATE", &no_sdp, &warning), 200);
	assert_null(no_sdp);
	run(f);
	assert_int_equal(live_recordings, 2);
	assert_int_equal(n_binds, 1);
	assert_string_equal(s->recordings[0]->cs_id, "cs-1");
	assert_string_equal(s->recordings[1]->cs_id, "cs-2");
	assert_ptr_equal(s->streams[1]->recording, s->recordings[1]);
	assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "\"cs_id\":\"cs-2\""));

	/* cs-1 ends, its stream goes over to cs-2: its recording is sealed while the dialog lives on */
	request_of(f, NULL, XML_HEAD "<datamode>complete</datamode>" CS1_OVER CS2 ANN BOB STREAM("s1", "cs-2", "1")
	           STREAM("s2", "cs-2", "2") XML_TAIL);
	assert_int_equal(body(f, "UPDATE", &no_sdp, &warning), 200);
	run(f);
	assert_int_equal(live_recordings, 1);
	assert_string_equal(sealed_reasons[0], "cs_ended");
	assert_int_equal(s->state, SESSION_RECORDING);
	call_end(f);
	assert_int_equal(n_sealed, 2);
}

static void
two_communication_sessions_in_the_invite_open_two_recordings(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1),
	                               XML_HEAD CS1 CS2 ANN BOB STREAM("s1", "cs-1", "1") STREAM("s2", "cs-2", "2")
	                               SENDS("p-ann", "s1") SENDS("p-bob", "s2") XML_TAIL);

	assert_int_equal(live_recordings, 2);
	assert_int_equal(n_binds, 0);	/* each stream began in its own */
	for (unsigned int i = 0; i < n_notes; i++) {
		bool second = notes[i].recording == s->recordings[1]->handle;

		if (notes[i].kind != REEL_FRAME_DESCRIPTION)
			continue;
		assert_true((strstr(notes[i].text, "sip:bob") != NULL) == second);
		assert_true((strstr(notes[i].text, "sip:ann") != NULL) == !second);
	}
	assert_ptr_equal(s->streams[0]->recording, s->recordings[0]);
	assert_ptr_equal(s->streams[1]->recording, s->recordings[1]);
	call_end(f);
}

static void
an_update_with_an_offer_is_answered_once_its_ports_are_armed(void **state)
{
	struct fixture *f = *state;
	const char *warning;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	request_of(f, sdp_of(TWO_STREAMS MLINE("4004", "sendonly", "3"), 2), NULL);
	f->request.method = "UPDATE";
	assert_int_equal(sessions_handlers()->on_body(f->all, &f->dialog, &f->request, &warning), 0);
	assert_int_equal(n_accepts, 1);		/* RFC 3264 §6.1 */
	run(f);
	assert_int_equal(n_accepts, 2);
	assert_non_null(strstr(accepted_sdp, "m=audio 20002 "));
	assert_int_equal(live_streams, 3);
	call_end(f);
}

/* What a hold lifts is recorded from the answer on, not from when the lcore had the time. */
static void
a_resume_is_answered_once_the_data_plane_has_it(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(SDP_HEAD MLINE("4000", "inactive", "1"), 1), NULL);
	request_of(f, sdp_of(SDP_HEAD MLINE("4000", "sendonly", "1"), 2), NULL);
	sessions_handlers()->on_reinvite(f->all, &f->dialog, &f->request);
	assert_int_equal(n_updates, 1);
	assert_int_equal(n_accepts, 1);
	run(f);
	assert_int_equal(n_accepts, 2);
	call_end(f);
}

static void
a_broken_update_leaves_the_session_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	unsigned int notes_before = n_notes;
	const char *warning = NULL;
	char *sdp;

	request_of(f, "nonsense", NULL);
	assert_int_equal(body(f, "UPDATE", &sdp, &warning), 400);
	assert_null(sdp);
	assert_non_null(warning);
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_int_equal(live_streams, 2);
	assert_int_equal(n_notes, notes_before);
	call_end(f);
}

static void
an_unknown_body_in_info_is_415(void **state)
{
	struct fixture *f = *state;
	const char *warning;
	char *sdp;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	request_of(f, "Signal=1\r\n", NULL);
	f->request.content_type = "application/x-unknown";
	assert_int_equal(body(f, "INFO", &sdp, &warning), 415);
	call_end(f);
}

static void
cancel_before_the_answer_fails_the_session_and_seals_what_was_opened(void **state)
{
	struct fixture *f = *state;

	request_of(f, sdp_of(TWO_STREAMS, 1), NULL);
	sessions_handlers()->on_invite(f->all, &f->dialog, &f->request);
	sessions_handlers()->on_ended(f->all, &f->dialog, DIALOG_END_CANCELLED);
	run(f);
	assert_int_equal(n_accepts, 0);
	assert_int_equal(n_sealed, 1);
	assert_string_equal(sealed_reasons[0], "cancelled");
}

static void
a_cancelled_recording_says_whose_it_was(void **state)
{
	struct fixture *f = *state;

	for (unsigned int late = 0; late < 2; late++) {
		n_notes = n_events = n_rows_recording = n_rows_sealed = 0;
		request_of(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
		sessions_handlers()->on_invite(f->all, &f->dialog, &f->request);
		if (late == 1) {	/* the recording is open, the streams are not installed yet */
			struct dataplane_event opened = events[0];

			events[0].kind = EVENT_DEVICE_ROOM;
			sessions_on_event(f->all, &opened);
		}
		sessions_handlers()->on_ended(f->all, &f->dialog, DIALOG_END_CANCELLED);
		run(f);
		assert_int_equal(n_rows_recording, 1);
		assert_int_equal(n_rows_sealed, 1);
		assert_non_null(strstr(row_participants, "sip:ann@example.com"));
		assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "call-1@src"));
		assert_string_not_equal(last_note(REEL_FRAME_OFFER), "");
	}
}

static void
a_refused_open_is_503_and_leaks_nothing(void **state)
{
	struct fixture *f = *state;

	refuse_open = SRS_ERR_LIMIT;
	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(refusal.status, 503);
	assert_in_range(refusal.retry_after_s, 1, 10);
	refuse_open = SRS_OK;
	fail_open = SRS_ERR_IO;
	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(n_refusals, 2);
	assert_int_equal(refusal.status, 500);
	fail_open = SRS_OK;
	keys_left = 0;
	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(refusal.status, 503);
}

static void
refused_streams_are_503_and_leak_nothing(void **state)
{
	struct fixture *f = *state;

	refuse_add = SRS_ERR_LIMIT;
	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(refusal.status, 503);
	refuse_add = SRS_OK;
	fail_install = SRS_ERR_LIMIT;
	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(n_refusals, 2);
	assert_int_equal(refusal.status, 503);
	assert_int_equal(n_accepts, 0);
}

static void
a_full_ring_while_draining_is_tried_again(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	refuse_remove = refuse_seal = SRS_ERR_LIMIT;
	call_end(f);
	assert_int_equal(sessions_n(f->all), 1);
	refuse_remove = SRS_OK;
	sessions_tick(f->all);
	run(f);
	assert_int_equal(live_streams, 0);
	assert_int_equal(live_recordings, 1);
	refuse_seal = SRS_OK;
	sessions_tick(f->all);
	run(f);
	assert_int_equal(live_recordings, 0);
}

static void
the_fifth_of_four_sessions_is_refused_with_retry_after(void **state)
{
	struct fixture *f = *state;
	struct dialog dialogs[5] = { { 0 } };
	struct sip_refusal why = { 0 };

	for (unsigned int i = 0; i < 5; i++) {
		request_of(f, sdp_of(TWO_STREAMS, 1), NULL);
		sessions_handlers()->on_invite(f->all, &dialogs[i], &f->request);
		run(f);
	}
	assert_int_equal(n_accepts, 4);
	assert_int_equal(refusal.status, 503);
	assert_in_range(refusal.retry_after_s, 1, 10);
	assert_false(sessions_handlers()->on_door(f->all, f->request.src, &why));
	assert_int_equal(why.status, 503);
	for (unsigned int i = 0; i < 4; i++) {
		sessions_handlers()->on_ended(f->all, &dialogs[i], DIALOG_END_BYE);
		run(f);
	}
	assert_true(sessions_handlers()->on_door(f->all, f->request.src, &why));
}

/* The bound of a profile is its own: the one of another client is not touched by it. */
static void
a_profile_bounds_its_sessions(void **state)
{
	struct fixture *f = *state;
	struct dialog dialogs[3] = { { 0 } };
	struct sip_refusal why = { 0 };

	f->src.sessions_max = 2;
	for (unsigned int i = 0; i < 3; i++) {
		request_of(f, sdp_of(TWO_STREAMS, 1), NULL);
		sessions_handlers()->on_invite(f->all, &dialogs[i], &f->request);
		run(f);
	}
	assert_int_equal(n_accepts, 2);
	assert_int_equal(refusal.status, 503);
	assert_non_null(strstr(refusal.warning, "of its profile"));
	assert_false(sessions_handlers()->on_door(f->all, &f->src, &why));
	assert_true(sessions_ready(f->all, &why));
	for (unsigned int i = 0; i < 2; i++) {
		sessions_handlers()->on_ended(f->all, &dialogs[i], DIALOG_END_BYE);
		run(f);
	}
	assert_true(sessions_handlers()->on_door(f->all, &f->src, &why));
}

static void
a_draining_recorder_takes_no_call_and_keeps_those_it_has(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	struct dialog late = { 0 };
	struct sip_refusal why = { 0 };

	sessions_drain(f->all);
	assert_false(sessions_ready(f->all, &why));
	assert_non_null(strstr(why.warning, "draining"));
	request_of(f, sdp_of(TWO_STREAMS, 1), NULL);
	sessions_handlers()->on_invite(f->all, &late, &f->request);
	assert_int_equal(refusal.status, 503);
	assert_int_equal(s->state, SESSION_RECORDING);
	request_of(f, sdp_of(TWO_STREAMS, 2), NULL);
	sessions_handlers()->on_reinvite(f->all, &f->dialog, &f->request);
	run(f);
	assert_int_equal(n_accepts, 2);
	sessions_handlers()->on_ended(f->all, &f->dialog, DIALOG_END_BYE);
	run(f);
	assert_int_equal(n_sealed, 1);
}

static void
a_loop_that_is_late_takes_no_call(void **state)
{
	struct fixture *f = *state;
	struct sip_refusal why = { 0 };

	lag_ms = ADMISSION_LAG_MS_MAX + 1;
	assert_false(sessions_handlers()->on_door(f->all, &f->src, &why));
	assert_non_null(strstr(why.warning, "late"));
	lag_ms = ADMISSION_LAG_MS_MAX;
	assert_true(sessions_handlers()->on_door(f->all, &f->src, &why));
}

static void
a_part_begins_anew_when_it_is_due(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);

	assert_non_null(armed);
	assert_in_range(armed_ms, 59000, 61000);
	now_ns += UINT64_C(61000000000);
	armed->on_due(armed->ctx);
	run(f);
	assert_int_equal(n_parts, 1);
	assert_int_equal(s->recordings[0]->part, 1);
	assert_in_range(armed_ms, 59000, 61000);
	call_end(f);
}

static void
a_call_that_lasts_too_long_is_ended_by_us(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	now_ns += UINT64_C(601000000000);
	armed->on_due(armed->ctx);
	run(f);
	assert_int_equal(n_hang_ups, 1);
	assert_string_equal(hang_up_reason, "call_seconds_max");
	assert_string_equal(row_reason, "call_seconds_max");
}

static void
shutdown_ends_every_call_and_refuses_new_ones(void **state)
{
	struct fixture *f = *state;
	struct dialog waiting = { 0 };

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	request_of(f, sdp_of(TWO_STREAMS, 1), NULL);
	sessions_handlers()->on_invite(f->all, &waiting, &f->request);
	sessions_stop(f->all);
	assert_int_equal(n_hang_ups, 1);	/* the answered one gets BYE */
	assert_int_equal(refusal.status, 503);	/* the other is turned away */
	run(f);
	assert_int_equal(sessions_n(f->all), 0);
	assert_string_equal(sealed_reasons[0], "shutdown");
	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(refusal.status, 503);
	assert_null(f->dialog.user);
}

static void
what_is_no_utf8_is_replaced_before_it_becomes_json(void **state)
{
	char good[] = "J\xc3\xb6rg \xe2\x82\xac \xf0\x9f\x98\x80";
	char bad[] = "a\xff" "b\xc3(\xed\xa0\x80\x01\xe2\x82";
	char before[sizeof(good)];

	memcpy(before, good, sizeof(good));
	session_text_clean(good);
	assert_string_equal(good, before);
	session_text_clean(bad);
	assert_string_equal(bad, "a?b?(??????");
}

static unsigned int
node_command(struct fixture *f, const char *verb, const char *body)
{
	struct rest_answer a = { 0 };

	sessions_answer(f->all, &(struct rest_question){ .what = REST_ASK_NODE, .argument = verb, .body = body }, &a);
	assert_non_null(a.json);
	free(a.json);
	return a.status;
}

static void
an_operator_drains_and_takes_it_back_until_the_recorder_leaves(void **state)
{
	struct fixture *f = *state;
	struct sip_refusal why = { 0 };

	assert_int_equal(node_command(f, "drain", "{\"by\":\"ann\",\"reason\":\"upgrade\"}"), 200);
	assert_false(sessions_ready(f->all, &why));
	assert_non_null(strstr(why.warning, "draining"));
	assert_int_equal(node_command(f, "drain", "no JSON"), 200);
	assert_int_equal(node_command(f, "undrain", ""), 200);
	assert_true(sessions_ready(f->all, &why));
	assert_int_equal(node_command(f, "explode", ""), 404);
	sessions_drain(f->all);
	assert_int_equal(node_command(f, "undrain", ""), 409);
	assert_false(sessions_ready(f->all, &why));
}

static void
rest_lists_the_session_with_its_streams(void **state)
{
	struct fixture *f = *state;
	char *json;

	call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	json = rest_says(f, REST_ASK_SESSIONS);
	assert_non_null(strstr(json, "\"call_id\":\"call-1@src\""));
	assert_non_null(strstr(json, "\"state\":\"recording\""));
	assert_non_null(strstr(json, "\"frames\":7"));
	free(json);
	json = rest_says(f, REST_ASK_SESSION_STATS);
	assert_non_null(strstr(json, "\"recording\":1"));
	free(json);
	json = rest_says(f, REST_ASK_HEALTH);
	assert_non_null(strstr(json, "\"status\":\"ok\""));
	free(json);
	call_end(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_of_the_machine_is_as_drawn),
		CASE(a_refused_event_changes_nothing_and_is_counted),
		CASE(a_call_is_answered_once_its_ports_are_armed_and_sealed_with_bye),
		CASE(the_description_names_streams_participants_and_their_session),
		CASE(not_a_recording_session_is_refused_with_what_was_missing),
		CASE(a_metadata_part_alone_makes_it_a_recording_session),
		CASE(what_an_offer_and_a_document_break_is_counted_for_the_client),
		CASE(missing_or_broken_sdp_is_refused),
		CASE(what_cannot_be_recorded_gets_port_0_and_the_rest_is_recorded),
		CASE(broken_metadata_never_loses_media),
		CASE(crypto_lines_are_struck_out_of_what_is_kept),
		CASE(hold_and_resume_move_between_recording_and_paused),
		CASE(the_answers_version_goes_up_only_on_change),
		CASE(streams_come_and_go_by_label),
		CASE(a_new_source_address_is_handed_on),
		CASE(an_offerless_reinvite_gets_our_description_and_needs_an_answer),
		CASE(a_refresh_describes_the_session_unchanged_and_takes_the_answer),
		CASE(a_broken_reinvite_leaves_the_session_as_it_was),
		CASE(a_second_communication_session_opens_its_own_recording),
		CASE(two_communication_sessions_in_the_invite_open_two_recordings),
		CASE(an_update_with_an_offer_is_answered_once_its_ports_are_armed),
		CASE(a_resume_is_answered_once_the_data_plane_has_it),
		CASE(a_broken_update_leaves_the_session_as_it_was),
		CASE(an_unknown_body_in_info_is_415),
		CASE(cancel_before_the_answer_fails_the_session_and_seals_what_was_opened),
		CASE(a_cancelled_recording_says_whose_it_was),
		CASE(a_refused_open_is_503_and_leaks_nothing),
		CASE(refused_streams_are_503_and_leak_nothing),
		CASE(a_full_ring_while_draining_is_tried_again),
		CASE(the_fifth_of_four_sessions_is_refused_with_retry_after),
		CASE(a_profile_bounds_its_sessions),
		CASE(a_draining_recorder_takes_no_call_and_keeps_those_it_has),
		CASE(a_loop_that_is_late_takes_no_call),
		CASE(a_part_begins_anew_when_it_is_due),
		CASE(a_call_that_lasts_too_long_is_ended_by_us),
		CASE(shutdown_ends_every_call_and_refuses_new_ones),
		CASE(what_is_no_utf8_is_replaced_before_it_becomes_json),
		CASE(an_operator_drains_and_takes_it_back_until_the_recorder_leaves),
		CASE(rest_lists_the_session_with_its_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
