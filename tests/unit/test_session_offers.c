/* Offers and answers through the life of a call: tests/vectors/calls holds what a client says, what it hears, and what is
 * recorded then. A line that begins with "> " says how the text behind it comes, "< " what has to leave:
 *   > invite | reinvite | update | ack | answer   a description of theirs (without text: none)
 *   > pause | resume | drop LABEL                 by the operator
 *   < STATUS                                      our answer, with what of it is SDP; keys are struck out
 *   < offer                                       an offer of ours
 *   = STATE LABEL:NUMBER ...                      recorded now, by number; "-" behind those that are held
 * "#" begins a remark. */
#include "session_fixture.h"

#define STEP_MAX 8192

struct step {
	char how[64];
	char text[STEP_MAX];
};

struct reading {
	FILE *file;
	const char *name;
	char ahead[512];	/* a line that the next step begins with */
	unsigned int line;
};

static bool
line_read(struct reading *r)
{
	do {
		if (fgets(r->ahead, sizeof(r->ahead), r->file) == NULL) {
			r->ahead[0] = '\0';
			return false;
		}
		r->line++;
		r->ahead[strcspn(r->ahead, "\r\n")] = '\0';
	} while (r->ahead[0] == '#' || r->ahead[0] == '\0');
	return true;
}

/* @return '>', '<', '='; 0 at the end */
static char
step_read(struct reading *r, struct step *step)
{
	char kind = r->ahead[0];
	size_t len = 0;

	if (kind == '\0')
		return 0;
	(void)snprintf(step->how, sizeof(step->how), "%.60s", r->ahead + 2);
	step->text[0] = '\0';
	while (line_read(r) && strchr("<>=", r->ahead[0]) == NULL)
		len += (size_t)snprintf(step->text + len, sizeof(step->text) - len, "%s\r\n", r->ahead);
	return kind;
}

/* What was said to the client since the last look. */
static struct {
	unsigned int n_accepts, n_refusals, n_sent;
	unsigned int update_status;	/* 0: none */
	char update_sdp[TEXT_MAX];
} seen;

static bool
heard(char *how, size_t how_len, char *text, size_t text_len)
{
	const char *sdp = "";

	if (seen.update_status != 0) {
		(void)snprintf(how, how_len, "%u", seen.update_status);
		sdp = seen.update_sdp;
		seen.update_status = 0;
	} else if (n_accepts > seen.n_accepts) {
		(void)snprintf(how, how_len, "200");
		sdp = accepted_sdp;
		seen.n_accepts++;
	} else if (n_refusals > seen.n_refusals) {
		(void)snprintf(how, how_len, "%u", refusal.status);
		seen.n_refusals++;
	} else if (n_sent > seen.n_sent) {
		(void)snprintf(how, how_len, "offer");
		sdp = sent_sdp;
		seen.n_sent++;
	} else {
		return false;
	}
	(void)snprintf(text, text_len, "%s", sdp);
	(void)offer_redact(text, strlen(text));
	return true;
}

static void
say(struct fixture *f, const struct step *step)
{
	const char *sdp = step->text[0] != '\0' ? step->text : NULL, *warning = NULL, *why;
	struct session *s = f->dialog.user;
	char json[128], *answer;

	request_of(f, sdp, NULL);
	if (strcmp(step->how, "invite") == 0) {
		sessions_handlers()->on_invite(f->all, &f->dialog, &f->request);
		s = f->dialog.user;
		if (s != NULL)
			s->sdp_id = 4711;	/* else it is random */
	} else if (strcmp(step->how, "reinvite") == 0) {
		sessions_handlers()->on_reinvite(f->all, &f->dialog, &f->request);
	} else if (strcmp(step->how, "update") == 0) {
		seen.update_status = body(f, "UPDATE", &answer, &warning);
		(void)snprintf(seen.update_sdp, sizeof(seen.update_sdp), "%s", answer != NULL ? answer : "");
		free(answer);
		seen.n_accepts = n_accepts;
		seen.n_refusals = n_refusals;
	} else if (strcmp(step->how, "ack") == 0) {
		sessions_handlers()->on_confirmed(f->all, &f->dialog, span_of_text(step->text));
	} else if (strcmp(step->how, "answer") == 0) {
		sessions_handlers()->on_answer(f->all, &f->dialog, 200, span_of_text(step->text));
	} else {
		size_t len = strcspn(step->how, " ");

		(void)snprintf(json, sizeof(json), "{\"stream\": \"%s\"}", step->how[len] != '\0' ? step->how + len + 1 : "");
		assert_int_equal(session_command(s, strncmp(step->how, "drop", 4) == 0 ? "drop" : step->how, json, &why), 200);
		session_settle(s);
	}
	run(f);
}

static void
recorded(const struct session *s, char *out, size_t out_len)
{
	size_t len = (size_t)snprintf(out, out_len, "%s", session_state_name(s->state));

	for (unsigned int mline = 0; mline < OFFER_MEDIA_MAX; mline++) {
		for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
			const struct session_stream *st = s->streams[i];

			if (st == NULL || st->doomed || st->state != STREAM_LIVE || st->mline != mline)
				continue;
			len += (size_t)snprintf(out + len, out_len - len, " %s:%u%s", st->label[0] != '\0' ? st->label : "?",
			                        st->number, st->inactive ? "-" : "");
		}
	}
}

static void
walk(struct fixture *f, const char *name)
{
	static struct step step;
	static char text[STEP_MAX];
	char path[512], how[64];
	struct reading r = { .name = name };
	const char *root = getenv("CAPSTAN_SOURCE");
	unsigned int n_answers = 0;
	char kind;

	(void)snprintf(path, sizeof(path), "%s/tests/vectors/calls/%s.txt", root != NULL ? root : ".", name);
	r.file = fopen(path, "r");
	assert_non_null(r.file);
	memset(&seen, 0, sizeof(seen));
	(void)line_read(&r);
	while ((kind = step_read(&r, &step)) != 0) {
		unsigned int line = r.line;

		if (kind == '>') {
			if (heard(how, sizeof(how), text, sizeof(text)))
				fail_msg("%s:%u: nobody awaits %s\n%s", path, line, how, text);
			say(f, &step);
		} else if (kind == '<') {
			n_answers++;
			if (!heard(how, sizeof(how), text, sizeof(text)))
				fail_msg("%s:%u: nothing was said", path, line);
			if (strcmp(how, step.how) != 0 || strcmp(text, step.text) != 0)
				fail_msg("%s: before line %u: awaited %s\n%s\nsaid %s (%s)\n%s", path, line, step.how, step.text, how,
				         refusal_warning, text);
		} else {
			recorded(f->dialog.user, text, sizeof(text));
			if (strcmp(text, step.how) != 0)
				fail_msg("%s: before line %u: recorded is %s", path, line, text);
		}
	}
	assert_false(heard(how, sizeof(how), text, sizeof(text)));
	assert_true(n_answers > 1);
	fclose(r.file);
	call_end(f);
}

static void
streams_are_added_and_removed(void **state)
{
	walk(*state, "add-remove");
}

static void
a_slot_with_port_0_is_used_again(void **state)
{
	walk(*state, "slot");
}

static void
m_lines_are_bound_by_label_then_mid_then_place(void **state)
{
	walk(*state, "order");
}

static void
a_client_holds_and_resumes(void **state)
{
	walk(*state, "hold");
}

static void
a_client_begins_inactive(void **state)
{
	walk(*state, "inactive-first");
}

static void
a_codec_changes(void **state)
{
	walk(*state, "codec");
}

static void
rtcp_ports_and_mux_change(void **state)
{
	walk(*state, "rtcp");
}

static void
profiles_are_mixed_and_change(void **state)
{
	walk(*state, "profiles");
}

static void
keys_change_in_an_update(void **state)
{
	walk(*state, "rekey");
}

static void
an_offerless_reinvite_is_answered_in_the_ack(void **state)
{
	walk(*state, "offerless");
}

static void
what_is_refused_leaves_the_call_as_it_was(void **state)
{
	walk(*state, "refused");
}

static void
addresses_change_to_ip6_and_back(void **state)
{
	walk(*state, "versions");
}

static void
an_operator_pauses_and_drops(void **state)
{
	walk(*state, "operator");
}

/* Static types need no a=rtpmap, but get one from us. An offer of 8 KB is refused at the door when its answer would not fit;
 * it was found out too late once, when the call was being recorded. */
static void
an_offer_whose_answer_would_be_too_long_is_refused_before_anything_is_taken(void **state)
{
	static const char mline[] = "m=audio 4000 RTP/AVP 0 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 25 26 28 31 32 33 34\r\n";
	static char sdp[OFFER_BYTES_MAX];
	struct fixture *f = *state;
	struct session *s;
	size_t len = (size_t)snprintf(sdp, sizeof(sdp), SDP_HEAD, 2);

	for (unsigned int i = 0; i < 40; i++) {
		len += (size_t)snprintf(sdp + len, sizeof(sdp) - len, "%s", mline);
		for (unsigned int k = 0; k < 8; k++)
			len += (size_t)snprintf(sdp + len, sizeof(sdp) - len, "a=fmtp:%u %0120u\r\n", k + 3 + 10 * (k == 5), k);
	}
	assert_true(len < sizeof(sdp));
	request_of(f, "", NULL);
	f->request.body = span_of(sdp, len);
	sessions_handlers()->on_invite(f->all, &f->dialog, &f->request);
	run(f);
	assert_int_equal(refusal.status, 488);
	assert_non_null(strstr(refusal_warning, "too long"));
	assert_null(f->dialog.user);
	assert_int_equal(n_added + (unsigned int)live_recordings, 0);
	s = call_begin(f, sdp_of(TWO_STREAMS, 1), NULL);
	request_of(f, "", NULL);
	f->request.body = span_of(sdp, len);
	sessions_handlers()->on_reinvite(f->all, &f->dialog, &f->request);
	run(f);
	assert_int_equal(n_refusals, 2);
	assert_int_equal(s->state, SESSION_RECORDING);
	assert_int_equal(live_streams, 2);
	call_end(f);
}

/* Our reports measure jitter in the clock of what is sent now (RFC 3550 §6.4.1). */
static void
a_stream_follows_the_clock_of_its_codec(void **state)
{
	struct fixture *f = *state;

	call_begin(f, sdp_of(SDP_HEAD MLINE("4000", "sendonly", "1"), 1), NULL);
	assert_int_equal(last_spec.clock_hz, 8000);
	reinvite(f, sdp_of(SDP_HEAD "m=audio 4000 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\na=sendonly\r\na=rtcp-mux\r\na=label:1\r\n",
	                   2), NULL);
	assert_int_equal(n_updates, 1);
	assert_int_equal(last_spec.clock_hz, 48000);
	assert_non_null(strstr(last_note(REEL_FRAME_DESCRIPTION), "\"name\":\"OPUS\",\"clock_hz\":48000"));
	assert_int_equal(n_added, 1);
	call_end(f);
}

static int
call_setup(void **state)
{
	int failed = setup(state);
	struct fixture *f = *state;

	f->config.srtp.sdes_unprotected = CONFIG_SDES_ALLOW;
	return failed;
}
#define WALK(name) cmocka_unit_test_setup_teardown(name, call_setup, teardown)

static int
call_setup_ip6(void **state)
{
	n_media_addresses = 2;
	return call_setup(state);
}

static int
teardown_ip6(void **state)
{
	int failed = teardown(state);

	n_media_addresses = 1;
	return failed;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WALK(streams_are_added_and_removed),
		WALK(a_slot_with_port_0_is_used_again),
		WALK(m_lines_are_bound_by_label_then_mid_then_place),
		WALK(a_client_holds_and_resumes),
		WALK(a_client_begins_inactive),
		WALK(a_codec_changes),
		WALK(rtcp_ports_and_mux_change),
		WALK(profiles_are_mixed_and_change),
		WALK(keys_change_in_an_update),
		WALK(an_offerless_reinvite_is_answered_in_the_ack),
		WALK(what_is_refused_leaves_the_call_as_it_was),
		cmocka_unit_test_setup_teardown(addresses_change_to_ip6_and_back, call_setup_ip6, teardown_ip6),
		WALK(an_operator_pauses_and_drops),
		CASE(an_offer_whose_answer_would_be_too_long_is_refused_before_anything_is_taken),
		CASE(a_stream_follows_the_clock_of_its_codec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
