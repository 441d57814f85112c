/* A dialog takes the place of another: one recording goes on, and what fails leaves the old call as it was. */
#include "session_fixture.h"

struct pair {
	struct fixture f;	/* first: setup and teardown are the fixture's */
	struct dialog next;
};

static int
pair_setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	*state = p;
	n_accepts_before_hang_up = 0;
	return fixture_set_up(&p->f);
}
#define PAIR(name) cmocka_unit_test_setup_teardown(name, pair_setup, teardown)

/* The INVITE alone: what follows comes with run(). */
static void
replace_ask(struct pair *p, struct dialog *by, const char *sdp, const char *xml)
{
	request_of(&p->f, sdp, xml);
	p->f.request.call_id = "call-2@src";
	p->f.request.replaced = &p->f.dialog;
	sessions_handlers()->on_invite(p->f.all, by, &p->f.request);
}

static struct session *
replace(struct pair *p, const char *sdp, const char *xml)
{
	replace_ask(p, &p->next, sdp, xml);
	run(&p->f);
	return p->next.user;
}

static void
confirm(struct pair *p)
{
	sessions_handlers()->on_confirmed(p->f.all, &p->next, (struct span){ 0 });
	run(&p->f);
}

static void
end(struct pair *p, struct dialog *d)
{
	sessions_handlers()->on_ended(p->f.all, d, DIALOG_END_BYE);
	run(&p->f);
}

static void
the_recording_goes_on_in_a_new_part_behind_a_seam(void **state)
{
	struct pair *p = *state;
	struct session *old = call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB), *s;
	uint8_t id[REEL_ID_SIZE];
	uint16_t lcore_i = old->lcore_i;

	memcpy(id, old->recordings[0]->id, sizeof(id));
	replace_ask(p, &p->next, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	assert_int_equal(n_accepts, 1);		/* its ports are not armed yet */
	assert_int_equal(n_hang_ups, 0);
	run(&p->f);
	s = p->next.user;
	assert_int_equal(n_accepts, 2);
	assert_int_equal(n_hang_ups, 1);
	assert_int_equal(n_accepts_before_hang_up, 2);	/* RFC 3891 §3: accepted first */
	assert_string_equal(hang_up_reason, "replaced");
	assert_int_equal(live_recordings, 1);
	assert_memory_equal(s->recordings[0]->id, id, sizeof(id));
	assert_int_equal(s->recordings[0]->part, 1);
	assert_int_equal(s->lcore_i, lcore_i);
	assert_int_equal(n_seams, 1);
	assert_int_equal(live_streams, 4);	/* what is under way to the old ports is recorded too */
	assert_int_equal(s->streams[0]->number, 2);
	end(p, &p->f.dialog);
	assert_int_equal(live_streams, 4);
	confirm(p);
	assert_int_equal(live_streams, 2);
	assert_int_equal(sessions_n(p->f.all), 1);
	assert_int_equal(n_sealed, 0);
	end(p, &p->next);
	assert_int_equal(n_sealed, 1);
	assert_string_equal(sealed_reasons[0], "bye");
	assert_int_equal(sessions_counter_read(p->f.all, SESSION_REPLACED), 1);
	assert_int_equal(sessions_counter_read(p->f.all, SESSION_STARTED), 2);
	assert_int_equal(sessions_counter_read(p->f.all, SESSION_ENDED), 2);
	assert_int_equal(sessions_counter_read(p->f.all, SESSION_NOTES_LOST), 0);
}

static void
the_new_part_has_the_documents_of_the_new_dialog(void **state)
{
	struct pair *p = *state;
	unsigned int before, n[256] = { 0 };

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	before = n_notes;
	replace(p, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	for (unsigned int i = before; i < n_notes; i++)
		n[notes[i].kind]++;
	assert_int_equal(n[REEL_FRAME_OFFER], 1);
	assert_int_equal(n[REEL_FRAME_ANSWER], 1);
	assert_int_equal(n[REEL_FRAME_METADATA], 1);
	assert_int_equal(n[REEL_FRAME_DESCRIPTION], 1);
	assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "\"call_id\":\"call-2@src\""));
	assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "\"number\":2"));
	assert_string_equal(last_note(REEL_FRAME_ANSWER), accepted_sdp);
	confirm(p);
	end(p, &p->f.dialog);
	end(p, &p->next);
}

static void
metadata_is_carried_over_until_a_new_document_comes(void **state)
{
	struct pair *p = *state;
	struct session *s;

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	s = replace(p, sdp_of(TWO_STREAMS, 1), NULL);
	assert_non_null(s->metadata);
	assert_string_equal(s->recordings[0]->cs_id, "cs-1");
	assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "sip:ann@example.com"));
	confirm(p);
	end(p, &p->f.dialog);
	end(p, &p->next);
}

static void
a_partial_document_applies_to_what_the_old_dialog_told(void **state)
{
	struct pair *p = *state;
	struct session *s;

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	s = replace(p, sdp_of(TWO_STREAMS, 1), XML_HEAD "<datamode>partial</datamode><participant participant_id=\"p-bob\">"
	            "<nameID aor=\"sip:robert@example.com\"/></participant>" XML_TAIL);
	assert_int_equal(sessions_counter_read(p->f.all, SESSION_METADATA_BAD), 0);
	assert_string_equal(s->recordings[0]->cs_id, "cs-1");
	assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "sip:ann@example.com"));
	assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "sip:robert@example.com"));
	confirm(p);
	end(p, &p->f.dialog);
	end(p, &p->next);
}

/* A recording is one communication session: another one named is another recording, here as in a re-INVITE. */
static void
another_communication_session_gets_its_own_recording(void **state)
{
	struct pair *p = *state;

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	replace(p, sdp_of(TWO_STREAMS, 1), XML_HEAD "<datamode>complete</datamode>" CS2 ANN BOB STREAM("s1", "cs-2", "1")
	        STREAM("s2", "cs-2", "2") XML_TAIL);
	confirm(p);
	end(p, &p->f.dialog);
	sessions_tick(p->f.all);
	run(&p->f);
	assert_int_equal(live_recordings, 1);
	assert_string_equal(sealed_reasons[0], "cs_ended");
	end(p, &p->next);
	assert_int_equal(n_sealed, 2);
}

static void
ports_that_fail_refuse_the_invite_and_leave_the_old_call(void **state)
{
	struct pair *p = *state;
	struct session *old = call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);

	fail_install = SRS_ERR_LIMIT;
	replace(p, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	fail_install = SRS_OK;
	assert_int_equal(n_refusals, 1);
	assert_int_equal(refusal.status, 503);
	assert_int_equal(n_hang_ups, 0);
	assert_int_equal(n_seams, 0);
	assert_int_equal(old->state, SESSION_RECORDING);
	assert_null(old->successor);
	assert_non_null(old->metadata);
	assert_int_equal(live_streams, 2);
	assert_int_equal(live_recordings, 1);
	assert_int_equal(sessions_n(p->f.all), 1);
	/* and it can still be replaced */
	replace(p, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	assert_int_equal(n_seams, 1);
	confirm(p);
	end(p, &p->f.dialog);
	end(p, &p->next);
}

static void
a_refused_offer_leaves_the_old_call(void **state)
{
	struct pair *p = *state;
	struct session *old = call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	unsigned int before = n_notes;

	replace(p, "v=0\r\nthis is no SDP\r\n", NULL);
	assert_int_equal(refusal.status, 400);
	replace(p, NULL, ANN_AND_BOB);
	assert_int_equal(refusal.status, 488);
	assert_int_equal(old->state, SESSION_RECORDING);
	assert_int_equal(n_notes, before);
	assert_int_equal(n_hang_ups, 0);
	call_end(&p->f);
}

static void
a_cancelled_invite_leaves_the_old_call(void **state)
{
	struct pair *p = *state;
	struct session *old = call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);

	replace_ask(p, &p->next, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	sessions_handlers()->on_ended(p->f.all, &p->next, DIALOG_END_CANCELLED);
	run(&p->f);
	assert_int_equal(sessions_n(p->f.all), 1);
	assert_int_equal(old->state, SESSION_RECORDING);
	assert_int_equal(live_recordings, 1);
	assert_int_equal(live_streams, 2);
	call_end(&p->f);
	assert_int_equal(n_sealed, 1);
}

static void
the_old_dialog_may_end_while_the_new_one_waits(void **state)
{
	struct pair *p = *state;
	struct session *s;

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	replace_ask(p, &p->next, sdp_of(TWO_STREAMS, 1), NULL);
	sessions_handlers()->on_ended(p->f.all, &p->f.dialog, DIALOG_END_BYE);
	assert_int_equal(n_sealed, 0);
	run(&p->f);
	s = p->next.user;
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_int_equal(n_hang_ups, 0);
	assert_int_equal(n_seams, 1);
	assert_int_equal(live_recordings, 1);
	assert_int_equal(live_streams, 2);
	assert_non_null(s->metadata);
	end(p, &p->next);
	assert_int_equal(n_sealed, 1);
}

static void
both_ending_seals_the_recording_once_with_the_first_reason(void **state)
{
	struct pair *p = *state;

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	replace_ask(p, &p->next, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	sessions_handlers()->on_ended(p->f.all, &p->f.dialog, DIALOG_END_BYE);
	sessions_handlers()->on_ended(p->f.all, &p->next, DIALOG_END_CANCELLED);
	run(&p->f);
	sessions_tick(p->f.all);	/* streams of the one session, a recording of the other */
	run(&p->f);
	assert_int_equal(n_sealed, 1);
	assert_string_equal(sealed_reasons[0], "bye");
}

static void
without_an_ack_the_old_streams_go_with_the_new_dialog(void **state)
{
	struct pair *p = *state;

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	replace(p, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	end(p, &p->f.dialog);
	sessions_handlers()->on_ended(p->f.all, &p->next, DIALOG_END_NO_ACK);
	run(&p->f);
	sessions_tick(p->f.all);
	run(&p->f);
	assert_int_equal(n_sealed, 1);
	assert_int_equal(live_streams, 0);
}

/* The call is in progress, whichever dialog it is in. A recorder that stops takes nobody. */
static void
a_call_may_change_its_dialog_while_the_recorder_drains(void **state)
{
	struct pair *p = *state;
	struct dialog stranger = { 0 };

	p->f.src.sessions_max = 1;	/* nor does it count twice */
	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	sessions_drain(p->f.all);
	request_of(&p->f, sdp_of(TWO_STREAMS, 1), NULL);
	p->f.request.replaced = NULL;
	sessions_handlers()->on_invite(p->f.all, &stranger, &p->f.request);
	assert_int_equal(refusal.status, 503);
	replace(p, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	confirm(p);
	assert_int_equal(n_accepts, 2);
	end(p, &p->f.dialog);
	assert_int_equal(n_sealed, 0);
	end(p, &p->next);
	assert_int_equal(n_sealed, 1);
	assert_int_equal(sessions_n(p->f.all), 0);
}

static void
a_dialog_is_replaced_by_one_at_a_time_and_never_twice(void **state)
{
	struct pair *p = *state;
	struct dialog third = { 0 };

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	replace_ask(p, &p->next, sdp_of(TWO_STREAMS, 1), NULL);
	replace_ask(p, &third, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(refusal.status, 500);
	assert_int_equal(refusal.retry_after_s, 1);
	run(&p->f);
	replace_ask(p, &third, sdp_of(TWO_STREAMS, 1), NULL);	/* SIP would have said 603 */
	assert_int_equal(refusal.status, 481);
	confirm(p);
	end(p, &p->f.dialog);
	end(p, &p->next);
}

static void
the_successor_can_be_replaced_before_its_ack(void **state)
{
	struct pair *p = *state;
	struct dialog third = { 0 };

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	replace(p, sdp_of(TWO_STREAMS, 1), NULL);
	request_of(&p->f, sdp_of(TWO_STREAMS, 1), NULL);
	p->f.request.replaced = &p->next;
	sessions_handlers()->on_invite(p->f.all, &third, &p->f.request);
	run(&p->f);
	assert_int_equal(n_seams, 2);
	assert_int_equal(live_recordings, 1);
	end(p, &p->f.dialog);
	end(p, &p->next);
	sessions_handlers()->on_confirmed(p->f.all, &third, (struct span){ 0 });
	run(&p->f);
	end(p, &third);
	sessions_tick(p->f.all);
	run(&p->f);
	assert_int_equal(n_sealed, 1);
}

static void
a_full_house_can_still_be_replaced(void **state)
{
	struct pair *p = *state;

	p->f.config.limits.sessions_max = 1;
	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	replace(p, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	assert_int_equal(n_refusals, 0);
	confirm(p);
	end(p, &p->f.dialog);
	end(p, &p->next);
}

/* No new part now: the recording goes on all the same, with the documents where they can be read. */
static void
a_seam_that_finds_no_part_comes_later(void **state)
{
	struct pair *p = *state;
	struct session *s;

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	refuse_part = SRS_ERR_LIMIT;
	s = replace(p, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_int_equal(n_seams, 0);
	assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "call-2@src"));
	refuse_part = SRS_OK;
	fail_part = SRS_ERR_IO;
	now_ns += UINT64_C(11) * 1000000000;
	armed->on_due(armed->ctx);
	run(&p->f);
	assert_int_equal(s->recordings[0]->part, 0);
	fail_part = SRS_OK;
	n_seams = 0;
	now_ns += UINT64_C(11) * 1000000000;
	armed->on_due(armed->ctx);
	run(&p->f);
	assert_int_equal(n_seams, 1);
	assert_int_equal(s->recordings[0]->part, 1);
	confirm(p);
	end(p, &p->f.dialog);
	end(p, &p->next);
}

/* A part that was on its way to the old session when the recording changed hands. */
static void
events_follow_a_recording_to_its_new_session(void **state)
{
	struct pair *p = *state;
	struct session *s;

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	replace_ask(p, &p->next, sdp_of(TWO_STREAMS, 1), NULL);
	now_ns += UINT64_C(61) * 1000000000;
	armed->on_due(armed->ctx);		/* the old one's part: its event is behind those of the new ports */
	run(&p->f);
	s = p->next.user;
	assert_int_equal(n_parts, 2);
	assert_int_equal(n_seams, 1);
	assert_int_equal(s->recordings[0]->part, 2);
	assert_false(s->recordings[0]->part_pending);
	confirm(p);
	end(p, &p->f.dialog);
	end(p, &p->next);
	assert_int_equal(n_sealed, 1);
}

static void
shutdown_amid_a_replacement_seals_once(void **state)
{
	struct pair *p = *state;

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	replace_ask(p, &p->next, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	sessions_stop(p->f.all);
	run(&p->f);
	sessions_tick(p->f.all);
	run(&p->f);
	assert_int_equal(refusal.status, 503);
	assert_int_equal(n_sealed, 1);
	assert_string_equal(sealed_reasons[0], "shutdown");
	assert_int_equal(n_hang_ups, 1);
}

/* ---- with what operators did ---- */

static unsigned int
command(struct pair *p, struct dialog *of, const char *verb, const char *json)
{
	struct session *s = of->user;
	const char *why;
	unsigned int status = session_command(s, verb, json, &why);

	session_settle(s);
	return status;
}

static void
a_mask_and_a_drop_hold_in_the_new_dialog(void **state)
{
	struct pair *p = *state;
	struct session *s;

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	assert_int_equal(command(p, &p->f.dialog, "mask", "{}"), 200);
	assert_int_equal(command(p, &p->f.dialog, "drop", "{\"stream\": \"2\"}"), 200);
	run(&p->f);
	s = replace(p, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(s->state, SESSION_PAUSED);
	assert_int_equal(n_paused_now, 1);
	assert_non_null(strstr(accepted_sdp, "m=audio 0 "));
	confirm(p);
	end(p, &p->f.dialog);
	assert_int_equal(live_streams, 1);
	reinvite(&(struct fixture){ .all = p->f.all, .dialog = { .user = s }, .src = p->f.src }, sdp_of(TWO_STREAMS, 2), NULL);
	assert_int_equal(live_streams, 1);
	assert_int_equal(command(p, &p->next, "unmask", "{}"), 200);
	assert_int_equal(n_paused_now, 0);
	end(p, &p->next);
}

/* The operator does not know that the next dialog is under way. */
static void
commands_to_a_dialog_that_is_being_replaced_hold_in_the_next(void **state)
{
	struct pair *p = *state;
	struct session *s;

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	replace_ask(p, &p->next, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(command(p, &p->next, "mask", "{}"), 409);	/* nothing of it is recorded yet */
	assert_int_equal(command(p, &p->f.dialog, "pause", "{}"), 200);
	assert_int_equal(command(p, &p->f.dialog, "drop", "{\"stream\": \"1\"}"), 200);
	assert_int_equal(command(p, &p->f.dialog, "end", "{}"), 409);	/* would move it on instead */
	run(&p->f);
	s = p->next.user;
	assert_int_equal(s->state, SESSION_PAUSED);
	assert_int_equal(n_paused_now, 1);
	assert_non_null(strstr(accepted_sdp, "m=audio 0 "));
	assert_non_null(strstr(accepted_sdp, "a=inactive"));
	assert_null(strstr(accepted_sdp, "a=recvonly"));
	confirm(p);
	end(p, &p->f.dialog);
	assert_int_equal(live_streams, 1);
	assert_int_equal(command(p, &p->next, "end", "{}"), 200);
	end(p, &p->next);
}

/* As long as the old streams are heard, they are masked as well; a pause that found no room is tried again meanwhile. */
static void
a_mask_between_the_answer_and_the_ack_reaches_the_old_streams(void **state)
{
	struct pair *p = *state;

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	replace(p, sdp_of(TWO_STREAMS, 1), NULL);
	assert_int_equal(live_streams, 4);
	assert_int_equal(command(p, &p->f.dialog, "mask", "{}"), 409);
	refuse_pause = SRS_ERR_LIMIT;
	assert_int_equal(command(p, &p->next, "mask", "{}"), 200);
	assert_int_equal(n_paused_now, 0);
	refuse_pause = SRS_OK;
	sessions_tick(p->f.all);
	assert_int_equal(n_paused_now, 1);	/* of the one recording, which both bring packets to */
	confirm(p);
	end(p, &p->f.dialog);
	end(p, &p->next);
}

/* A mask that the data plane had no room for when the recording changed hands. */
static void
a_mask_that_waits_goes_on_waiting_in_the_next_dialog(void **state)
{
	struct pair *p = *state;

	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	replace_ask(p, &p->next, sdp_of(TWO_STREAMS, 1), NULL);
	refuse_pause = SRS_ERR_LIMIT;
	assert_int_equal(command(p, &p->f.dialog, "mask", "{}"), 200);
	sessions_handlers()->on_ended(p->f.all, &p->f.dialog, DIALOG_END_BYE);
	assert_int_equal(n_paused_now, 0);
	refuse_pause = SRS_OK;
	sessions_tick(p->f.all);		/* the new one is still not answered */
	assert_int_equal(n_accepts, 1);
	assert_int_equal(n_paused_now, 1);
	run(&p->f);
	assert_int_equal(((struct session *)p->next.user)->state, SESSION_PAUSED);
	end(p, &p->next);
}

/* What cannot be recorded in the old one's place is told apart from what went wrong here. */
static void
who_offers_nothing_that_can_go_on_hears_why_and_leaves_the_old_call(void **state)
{
	struct pair *p = *state;
	struct session *old = call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);

	replace(p, "v=0\r\no=SRC 1 1 IN IP6 2001:db8::9\r\ns=-\r\nc=IN IP6 2001:db8::9\r\nt=0 0\r\n" MLINE("4000", "sendonly", "1"), NULL);
	assert_int_equal(refusal.status, 488);	/* the core of the old call has no such address */
	assert_non_null(strstr(refusal_warning, "IP version"));
	assert_int_equal(command(p, &p->f.dialog, "drop", "{\"stream\": \"2\"}"), 200);
	run(&p->f);
	replace(p, sdp_of(SDP_HEAD MLINE("4002", "sendonly", "2"), 1), NULL);
	assert_int_equal(refusal.status, 488);
	assert_non_null(strstr(refusal_warning, "operator"));
	assert_int_equal(n_refusals, 2);
	assert_int_equal(old->state, SESSION_RECORDING);
	assert_null(old->successor);
	assert_int_equal(live_streams, 1);
	call_end(&p->f);
}

/* It asked for the old call an hour after that began: that is a sign of life. */
static void
who_takes_over_an_old_call_is_not_asked_whether_it_is_there(void **state)
{
	struct pair *p = *state;

	p->f.config.session.idle_s = 30;
	p->f.config.session.check_interval_s = 1;
	p->f.config.limits.call_seconds_max = 7200;
	call_begin(&p->f, sdp_of(TWO_STREAMS, 1), ANN_AND_BOB);
	now_ns += UINT64_C(3600) * 1000000000;
	replace(p, sdp_of(TWO_STREAMS, 1), NULL);
	confirm(p);
	end(p, &p->f.dialog);
	n_asked = 0;
	now_ns += UINT64_C(20) * 1000000000;
	sessions_tick(p->f.all);
	assert_int_equal(n_asked, 0);
	now_ns += UINT64_C(11) * 1000000000;
	sessions_tick(p->f.all);
	assert_int_equal(n_asked, 1);
	end(p, &p->next);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR(the_recording_goes_on_in_a_new_part_behind_a_seam),
		PAIR(the_new_part_has_the_documents_of_the_new_dialog),
		PAIR(metadata_is_carried_over_until_a_new_document_comes),
		PAIR(a_partial_document_applies_to_what_the_old_dialog_told),
		PAIR(another_communication_session_gets_its_own_recording),
		PAIR(ports_that_fail_refuse_the_invite_and_leave_the_old_call),
		PAIR(a_refused_offer_leaves_the_old_call),
		PAIR(a_cancelled_invite_leaves_the_old_call),
		PAIR(the_old_dialog_may_end_while_the_new_one_waits),
		PAIR(both_ending_seals_the_recording_once_with_the_first_reason),
		PAIR(without_an_ack_the_old_streams_go_with_the_new_dialog),
		PAIR(a_call_may_change_its_dialog_while_the_recorder_drains),
		PAIR(a_dialog_is_replaced_by_one_at_a_time_and_never_twice),
		PAIR(the_successor_can_be_replaced_before_its_ack),
		PAIR(a_full_house_can_still_be_replaced),
		PAIR(a_seam_that_finds_no_part_comes_later),
		PAIR(events_follow_a_recording_to_its_new_session),
		PAIR(shutdown_amid_a_replacement_seals_once),
		PAIR(a_mask_and_a_drop_hold_in_the_new_dialog),
		PAIR(commands_to_a_dialog_that_is_being_replaced_hold_in_the_next),
		PAIR(a_mask_between_the_answer_and_the_ack_reaches_the_old_streams),
		PAIR(a_mask_that_waits_goes_on_waiting_in_the_next_dialog),
		PAIR(who_offers_nothing_that_can_go_on_hears_why_and_leaves_the_old_call),
		PAIR(who_takes_over_an_old_call_is_not_asked_whether_it_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
