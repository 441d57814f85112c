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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_document_goes_to_the_recordings_that_it_speaks_of),
		CASE(a_document_that_cannot_be_read_goes_to_all_and_says_why),
		CASE(a_document_longer_than_a_frame_leaves_a_receipt_and_is_applied),
	};

	return cmocka_run_group_tests_name("session_metadata", tests, NULL, NULL);
}
