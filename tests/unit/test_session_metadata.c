/* Metadata through the life of a recording session: which document goes where, what becomes of it. */
#include "session_fixture.h"

static unsigned int
count_notes(uint32_t recording, enum reel_frame_kind kind)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < n_notes; i++)
		n += notes[i].recording == recording && notes[i].kind == kind;
	return n;
}

static void
update(struct fixture *f, const char *xml)
{
	const char *warning;
	char *sdp;

	request_of(f, NULL, xml);
	assert_int_equal(body(f, "UPDATE", &sdp, &warning), 200);
	assert_null(sdp);
	run(f);
}

#define PARTIAL XML_HEAD "<datamode>partial</datamode>"
#define TWO_CALLS XML_HEAD CS1 CS2 ANN BOB STREAM("s1", "cs-1", "1") STREAM("s2", "cs-2", "2") \
	SENDS("p-ann", "s1") SENDS("p-bob", "s2") XML_TAIL

static void
a_document_goes_to_the_recordings_that_it_speaks_of(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), TWO_CALLS);
	uint32_t first = s->recordings[0]->handle, second = s->recordings[1]->handle;

	assert_int_equal(count_notes(first, REEL_FRAME_METADATA), 1);
	assert_int_equal(count_notes(second, REEL_FRAME_METADATA), 1);
	update(f, PARTIAL "<participant participant_id=\"p-bob\"><nameID aor=\"sip:bob@example.com\"><name>Robert</name></nameID>"
	          "</participant>" XML_TAIL);	/* he sends into a stream of cs-2 */
	assert_int_equal(count_notes(first, REEL_FRAME_METADATA), 1);
	assert_int_equal(count_notes(first, REEL_FRAME_RECEIPT), 1);
	assert_int_equal(count_notes(second, REEL_FRAME_METADATA), 2);
	assert_non_null(strstr(last_note(REEL_FRAME_RECEIPT), "\"version\":2,"));
	assert_non_null(strstr(last_note(REEL_FRAME_RECEIPT), "\"datamode\":\"partial\""));
	update(f, PARTIAL CS1_OVER XML_TAIL);
	assert_int_equal(count_notes(first, REEL_FRAME_METADATA), 2);
	assert_int_equal(count_notes(second, REEL_FRAME_METADATA), 2);
	assert_non_null(strstr(last_note(REEL_FRAME_RECEIPT), "\"version\":3,"));
	update(f, TWO_CALLS);	/* a complete one is about all */
	assert_int_equal(count_notes(second, REEL_FRAME_METADATA), 3);
	call_end(f);
}

static void
a_document_that_cannot_be_read_goes_to_all_and_says_why(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), TWO_CALLS);

	update(f, "<recording");
	assert_int_equal(count_notes(s->recordings[0]->handle, REEL_FRAME_METADATA), 2);
	assert_int_equal(count_notes(s->recordings[1]->handle, REEL_FRAME_METADATA), 2);
	assert_non_null(strstr(last_note(REEL_FRAME_RECEIPT), "\"datamode\":\"\""));
	assert_non_null(strstr(last_note(REEL_FRAME_RECEIPT), "\"applied\":false"));
	assert_null(strstr(last_note(REEL_FRAME_RECEIPT), "\"reason\":\"\""));
	call_end(f);
}

static void
a_document_longer_than_a_frame_leaves_a_receipt_and_is_applied(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	char *text = malloc(REEL_DOCUMENT_MAX + 2);
	const char *warning;
	char *sdp;

	assert_non_null(text);
	memset(text, ' ', REEL_DOCUMENT_MAX + 1);
	text[REEL_DOCUMENT_MAX + 1] = '\0';
	request_of(f, NULL, "");
	f->request.body = span_of_text(text);
	assert_int_equal(body(f, "UPDATE", &sdp, &warning), 200);
	run(f);
	assert_int_equal(count_notes(s->recordings[0]->handle, REEL_FRAME_METADATA), 0);
	assert_non_null(strstr(last_note(REEL_FRAME_RECEIPT), "\"kept\":false"));
	assert_int_equal(sessions_counter_read(f->all, SESSION_NOTES_LOST), 1);
	call_end(f);
	free(text);
}

/* ---- persistent recording sessions (RFC 7866 §10) ---- */

static void
wait_s(struct fixture *f, uint64_t seconds)
{
	struct timer *due = armed;

	now_ns += seconds * UINT64_C(1000000000) + 1000000;
	assert_non_null(due);
	due->on_due(due->ctx);
	run(f);
}

static const struct session_recording *
recording_named(const struct session *s, const char *cs_id)
{
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		if (s->recordings[i] != NULL && strcmp(s->recordings[i]->cs_id, cs_id) == 0)
			return s->recordings[i];
	}
	return NULL;
}

#define CS3 "<session session_id=\"cs-3\"/>"

static void
a_call_that_ends_is_sealed_while_its_recording_session_goes_on(void **state)
{
	struct fixture *f = *state;
	struct session *s;

	f->config.session.linger_s = 30;
	f->config.storage.part_seconds_max = 0;
	s = call_begin(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	update(f, PARTIAL CS1_OVER XML_TAIL);
	assert_int_equal(live_recordings, 1);
	assert_int_equal(armed_ms, 30001);
	wait_s(f, 30);
	assert_int_equal(n_sealed, 1);
	assert_string_equal(sealed_reasons[0], "cs_ended");
	assert_int_equal(n_binds, 2);	/* what still comes has a place that is nobody's */
	assert_string_equal(s->streams[0]->recording->cs_id, "");
	assert_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "p-ann"));
	now_ns += UINT64_C(1000000000) * 3600 * 60;	/* a weekend: limits.call_seconds_max is 600 */
	sessions_tick(f->all);
	assert_int_equal(n_hang_ups, 0);
	update(f, PARTIAL CS2 STREAM("s1", "cs-2", "1") STREAM("s2", "cs-2", "2") XML_TAIL);
	assert_int_equal(live_recordings, 1);
	assert_ptr_equal(s->streams[0]->recording, recording_named(s, "cs-2"));
	assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "p-ann"));
	wait_s(f, 600);		/* the new call has a limit of its own */
	assert_int_equal(n_hang_ups, 1);
	call_end(f);
	assert_string_equal(sealed_reasons[1], "call_seconds_max");
}

static void
the_recording_of_another_call_is_no_place_for_what_comes_late(void **state)
{
	struct fixture *f = *state;
	const struct session_recording *second;
	struct session *s;

	f->config.session.linger_s = 30;
	f->config.storage.part_seconds_max = 0;
	s = call_begin(f, sdp_of(TWO_STREAMS, 1), TWO_CALLS);	/* a turret with two handsets */
	second = recording_named(s, "cs-2");
	update(f, PARTIAL CS1_OVER XML_TAIL);
	assert_int_equal(n_sealed, 0);
	wait_s(f, 30);
	assert_int_equal(n_sealed, 1);
	assert_ptr_not_equal(s->streams[0]->recording, second);
	assert_true(s->streams[0]->recording->spare);
	assert_ptr_equal(s->streams[1]->recording, second);
	/* the next call is on the other handset as well: it does not take the first one's stream */
	update(f, PARTIAL "<session session_id=\"cs-2\"><stop-time>2026-01-01T10:00:00Z</stop-time></session>" CS3
	          STREAM("s2", "cs-3", "2") XML_TAIL);
	assert_ptr_equal(s->streams[1]->recording, recording_named(s, "cs-3"));
	assert_true(s->streams[0]->recording->spare);
	assert_int_equal(n_sealed, 2);
	/* and then one on the first */
	update(f, PARTIAL "<session session_id=\"cs-4\"/>" STREAM("s1", "cs-4", "1") XML_TAIL);
	assert_ptr_equal(s->streams[0]->recording, recording_named(s, "cs-4"));
	assert_int_equal(live_recordings, 2);
	call_end(f);
	assert_int_equal(n_sealed, 4);
}

static void
a_session_that_begins_without_a_call_waits_for_the_first(void **state)
{
	struct fixture *f = *state;
	struct session *s = call_begin(f, sdp_of(TWO_STREAMS, 1), XML_HEAD "<datamode>complete</datamode>" XML_TAIL);
	uint64_t begun = s->recordings[0]->started_wall_ns;

	assert_true(s->recordings[0]->spare);
	assert_int_equal(count_notes(s->recordings[0]->handle, REEL_FRAME_METADATA), 1);
	assert_int_equal(s->state, SESSION_RECORDING);
	now_ns += UINT64_C(3600000000000);
	update(f, PARTIAL CS1 ANN STREAM("s1", "cs-1", "1") STREAM("s2", "cs-1", "2") SENDS("p-ann", "s1") XML_TAIL);
	assert_int_equal(live_recordings, 1);	/* both streams are of the call: it takes the recording that is there */
	assert_string_equal(s->recordings[0]->cs_id, "cs-1");
	assert_true(s->recordings[0]->started_wall_ns == begun + UINT64_C(3600000000000));
	call_end(f);
	assert_string_equal(sealed_reasons[0], "bye");
}

static void
a_final_document_before_the_bye_opens_nothing(void **state)
{
	struct fixture *f = *state;

	f->config.session.linger_s = 30;
	call_begin(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	update(f, PARTIAL CS1_OVER XML_TAIL);
	call_end(f);
	assert_int_equal(n_sealed, 1);
	assert_string_equal(sealed_reasons[0], "bye");
}

static void
an_idle_session_that_ends_says_that_nobody_was_in_it(void **state)
{
	struct fixture *f = *state;

	f->config.session.linger_s = 30;
	f->config.storage.part_seconds_max = 0;
	call_begin(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	update(f, PARTIAL CS1_OVER XML_TAIL);
	wait_s(f, 30);
	call_end(f);
	assert_int_equal(n_sealed, 2);
	assert_string_equal(sealed_reasons[1], "idle");
}

/* ---- asking for all of it (RFC 7866 §9.2) ---- */

#define UNKNOWN PARTIAL SENDS("p-nobody", "s9") XML_TAIL
#define RENAMED(name) PARTIAL "<participant participant_id=\"p-bob\"><nameID aor=\"sip:" name "@example.com\"/></participant>" \
	XML_TAIL

static void
snapshot_due(struct session *s, uint64_t after_ms)
{
	now_ns += after_ms * 1000000;
	s->snapshot.due.on_due(s->snapshot.due.ctx);
}

static void
answered(struct fixture *f, unsigned int status)
{
	sessions_handlers()->on_answer(f->all, &f->dialog, status, span_of("", 0));
}

static uint64_t
counted(const struct fixture *f, enum session_counter which)
{
	return sessions_counter_read(f->all, which);
}

static struct session *
begin_with_snapshots(struct fixture *f)
{
	peer_updates = peer_takes_requests = true;
	return call_begin(f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
}

static void
a_partial_that_does_not_fit_makes_us_ask_for_all(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin_with_snapshots(f);

	update(f, UNKNOWN);
	assert_int_equal(n_sent, 0);	/* its 200 goes first */
	snapshot_due(s, 50);
	assert_int_equal(n_sent, 1);
	assert_string_equal(sent_sdp, "");
	assert_string_equal(sent_type, "application/rs-metadata-request");
	assert_non_null(strstr(sent_body, "<requestsnapshot xmlns=\"urn:ietf:params:xml:ns:recording:1\">"));
	assert_non_null(strstr(sent_body, "<requestreason xml:lang=\"en\">a partial update does not fit"));
	/* what comes before the answer is kept, and changes nothing */
	update(f, RENAMED("robert"));
	answered(f, 200);
	update(f, RENAMED("rob"));
	assert_int_equal(count_notes(s->recordings[0]->handle, REEL_FRAME_METADATA), 4);
	assert_non_null(strstr(last_note(REEL_FRAME_RECEIPT), "\"applied\":false"));
	assert_non_null(strstr(row_participants, "sip:bob@"));
	assert_int_equal(counted(f, SESSION_METADATA_HELD), 2);
	assert_int_equal(counted(f, SESSION_METADATA_BAD), 1);
	update(f, ANN_AND_BOB);
	assert_non_null(strstr(last_note(REEL_FRAME_RECEIPT), "\"applied\":true"));
	update(f, RENAMED("bobby"));
	assert_non_null(strstr(row_participants, "sip:bobby@"));
	assert_int_equal(counted(f, SESSION_SNAPSHOTS_ASKED), 1);
	assert_int_equal(counted(f, SESSION_SNAPSHOTS_CAME), 1);
	assert_int_equal(counted(f, SESSION_SNAPSHOTS_MISSED), 0);
	call_end(f);
}

static void
nobody_is_asked_who_does_not_take_it(void **state)
{
	struct fixture *f = *state;

	begin_with_snapshots(f);
	peer_takes_requests = false;	/* Accept */
	update(f, UNKNOWN);
	peer_takes_requests = true;
	peer_updates = false;		/* Allow */
	update(f, UNKNOWN);
	assert_int_equal(n_sent, 0);
	update(f, RENAMED("robert"));	/* as before: what fits is applied */
	assert_non_null(strstr(row_participants, "sip:robert@"));
	call_end(f);
}

static void
a_client_that_refuses_is_not_asked_again(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin_with_snapshots(f);

	update(f, UNKNOWN);
	snapshot_due(s, 50);
	answered(f, 415);
	assert_int_equal(counted(f, SESSION_SNAPSHOTS_MISSED), 1);
	update(f, RENAMED("robert"));
	assert_non_null(strstr(row_participants, "sip:robert@"));
	now_ns += UINT64_C(3600000000000);
	update(f, UNKNOWN);
	assert_false(s->snapshot.awaited);
	assert_int_equal(n_sent, 1);
	call_end(f);
}

static void
a_promise_that_is_not_kept_is_waited_for_32_seconds_and_believed_three_times(void **state)
{
	struct fixture *f = *state;
	struct session *s = begin_with_snapshots(f);

	for (unsigned int n = 1; n <= 4; n++) {
		update(f, UNKNOWN);
		assert_int_equal(s->snapshot.awaited, n <= 3);
		if (n > 3)
			break;
		snapshot_due(s, 50);
		assert_int_equal(n_sent, n);
		answered(f, 200);
		snapshot_due(s, 32000);
		assert_false(s->snapshot.awaited);
		assert_int_equal(counted(f, SESSION_SNAPSHOTS_MISSED), n);
	}
	assert_int_equal(n_sent, 3);
	update(f, ANN_AND_BOB);		/* of its own: then it may be asked again */
	update(f, UNKNOWN);
	assert_true(s->snapshot.awaited);
	call_end(f);
}

static void
requests_are_ten_seconds_apart(void **state)
{
	struct fixture *f = *state;
	struct session *s;

	f->config.storage.part_seconds_max = f->config.limits.call_seconds_max = 0;	/* no other timer */
	s = begin_with_snapshots(f);
	update(f, UNKNOWN);
	snapshot_due(s, 50);
	answered(f, 200);
	now_ns += 1000000000;
	update(f, ANN_AND_BOB);
	update(f, UNKNOWN);
	assert_ptr_equal(armed, &s->snapshot.due);
	assert_int_equal(armed_ms, 9001);
	call_end(f);
}

static void
what_cannot_be_read_is_asked_for_once_the_dialog_stands(void **state)
{
	struct fixture *f = *state;
	struct session *s;

	peer_updates = peer_takes_requests = true;
	refuse_message = SRS_ERR_STATE;		/* no ACK yet */
	s = call_begin(f, sdp_of(TWO_STREAMS, 1), "<recording");
	assert_int_equal(n_accepts, 1);
	snapshot_due(s, 50);
	snapshot_due(s, 1000);
	refuse_message = SRS_OK;
	snapshot_due(s, 1000);
	assert_int_equal(n_sent, 1);
	assert_non_null(strstr(sent_body, "could not be read"));
	/* the same error again: it is the client's (RFC 7866 §9.2) */
	update(f, "<recording");
	assert_false(s->snapshot.awaited);
	assert_int_equal(counted(f, SESSION_SNAPSHOTS_MISSED), 1);
	call_end(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_document_goes_to_the_recordings_that_it_speaks_of),
		CASE(a_document_that_cannot_be_read_goes_to_all_and_says_why),
		CASE(a_document_longer_than_a_frame_leaves_a_receipt_and_is_applied),
		CASE(a_call_that_ends_is_sealed_while_its_recording_session_goes_on),
		CASE(the_recording_of_another_call_is_no_place_for_what_comes_late),
		CASE(a_session_that_begins_without_a_call_waits_for_the_first),
		CASE(a_final_document_before_the_bye_opens_nothing),
		CASE(an_idle_session_that_ends_says_that_nobody_was_in_it),
		CASE(a_partial_that_does_not_fit_makes_us_ask_for_all),
		CASE(nobody_is_asked_who_does_not_take_it),
		CASE(a_client_that_refuses_is_not_asked_again),
		CASE(a_promise_that_is_not_kept_is_waited_for_32_seconds_and_believed_three_times),
		CASE(requests_are_ten_seconds_apart),
		CASE(what_cannot_be_read_is_asked_for_once_the_dialog_stands),
	};

	return cmocka_run_group_tests_name("session_metadata", tests, NULL, NULL);
}
